"""Metadata and digests of the built-in tracks, for checking results without the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from oraclezoo.data.upstream import FILES, TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS


@dataclass(frozen=True, slots=True)
class KnownTrack:
    """Metadata of a built-in track.

    Attributes:
        synthetic: Whether the images are generated.
        classes: Number of classes.
        image_size: Height and width of the images in pixels.
        learning: Number of training and validation images.
        test: Number of test images.
        sha256: SHA-256 of each file, keyed by the file's name in results; None if unknown.
        labels_sha256: SHA-256 of the test labels as little-endian int64, in the order of the split.
    """

    synthetic: bool
    classes: int
    image_size: int
    learning: int
    test: int
    sha256: Mapping[str, str | None]
    labels_sha256: str


def _published(*names: str) -> dict[str, str | None]:
    return {n: FILES[n].digest if FILES[n].kind == "sha256" else None for n in names}


KNOWN: Mapping[str, KnownTrack] = MappingProxyType(
    {
        "oracle-mnist": KnownTrack(
            synthetic=False,
            classes=10,
            image_size=28,
            learning=27_222,
            test=3_000,
            sha256=_published(TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS),
            labels_sha256="97ac4ac2f05f0d23e57b6fe10b952045d867ee1dcf605cd37189b4fdb21cdb66",
        ),
        "oracle-mnist-3k": KnownTrack(
            synthetic=False,
            classes=10,
            image_size=28,
            learning=2_000,
            test=1_000,
            sha256=_published(TEST_IMAGES, TEST_LABELS),
            labels_sha256="cc654823603ddd954328c3522b5dc75dc272384a780aed15c46f65eaad26544b",
        ),
        "glyphs": KnownTrack(
            synthetic=True,
            classes=10,
            image_size=28,
            learning=27_222,
            test=3_000,
            sha256={
                "generated": "d4e0f267223886deb31cde8b3027218fc8c3e9cef3ac73e3527d858bcebbebfd",
                "generated train": "664bd0861fe318a8c3164b38cde2af0e"
                "b0c55902f6786ba83d651aac6281294f",
                "generated validation": "eb63149bdf29d2602a47979956eeec08"
                "dba0cc3b19cbea187b43d2e9c768329c",
                "generated test": "a0cb40945dc9f8220fef67ab38b604ed"
                "f4ba9993480fdb934ece0599b1c97da6",
            },
            labels_sha256="df6e2a4e1596b3e17266d921db606161f9ffdbfd52a1c3d1b5ab059a87576279",
        ),
        "glyphs-3k": KnownTrack(
            synthetic=True,
            classes=10,
            image_size=28,
            learning=2_000,
            test=1_000,
            sha256={
                "generated": "e0552d1754dc98bc71f9c335f742647d0454559e54f52924b7d0281146c1848a",
                "generated train": "46df3c9be7a6d0fe825d66d5ac038f60"
                "a6fdb9e83a8ba13e148a43d0a9d8efc1",
                "generated validation": "0a04d13edc9ea5dc9ce29f0b99d12f78"
                "0135e26a0ead7d2afa5ccc1323e67b58",
                "generated test": "9c593561cf879ab557af3466e70ccad1"
                "063a32de3d0a112e3d2917f7f8733c6f",
            },
            labels_sha256="da0a854bfb71bcdb3bf3b72a7b8221f737dfa3c9de6b95584991efff2b933686",
        ),
    }
)
"""The built-in tracks with fixed data, keyed by name without prefix."""


UNPACKED = "unpacked "
"""Prefix for the digest of an unpacked file, if the digest of its packed version is unknown."""


def canonical(digests: Mapping[str, str]) -> dict[str, str]:
    """Map unpacked official files to the names and digests of their packed versions.

    The SHA-256 of the packed training images is not published, so the unpacked file's digest is
    kept, with the prefix :data:`UNPACKED`. Files of users' data sets may have the same names; they
    keep name and digest, and are recognized by their labels.

    Args:
        digests: SHA-256 (hex) of each file, keyed by file name.

    Returns:
        SHA-256 (hex) of each file, keyed by file name.
    """
    labels = FILES[TRAIN_LABELS]
    stated = {digests.get(labels.name), digests.get(labels.unpacked_name)} - {None}
    own = bool(stated - {labels.digest, labels.unpacked_sha256})
    packed = {}
    for name, sha256 in digests.items():
        file = FILES.get(f"{name}.gz")
        if file and file.kind == "sha256" and sha256 == file.unpacked_sha256:
            name, sha256 = file.name, file.digest
        elif file and file.kind != "sha256" and not own:  # verified on loading by its Git object ID
            name, sha256 = file.name, f"{UNPACKED}{sha256}"
        packed[name] = sha256
    return packed


def differing(stated: Mapping[str, str], actual: Mapping[str, str]) -> list[str]:
    """Return the names of files whose digests differ between two records of a data set.

    Args:
        stated: SHA-256 (hex) of each file, keyed by file name.
        actual: SHA-256 (hex) of each file, keyed by file name.

    Returns:
        Sorted names, including files in only one record; a file equals its unpacked version.
    """
    first, second = canonical(stated), canonical(actual)
    return sorted(name for name in first | second if _differ(first.get(name), second.get(name)))


def _differ(first: str | None, second: str | None) -> bool:
    """Return whether two digests belong to different files, as far as they can be compared."""
    if first is None or second is None:
        return first is not second
    return first != second and first.startswith(UNPACKED) == second.startswith(UNPACKED)
