"""Known: what the built-in tracks' data must be, for judging results without having the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from oraclezoo.data.upstream import FILES, TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS


@dataclass(frozen=True, slots=True)
class KnownTrack:
    """A track's facts: numbers of images, and digests of its data by the name results use.

    ``learning`` counts training and validation images together. A digest is None where none is
    known. ``labels_sha256`` is of the test labels as little-endian int64, in the split's order.
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
                "generated": "82f59c438fa263bc3d7ba05d3966679d733446f58e94d3f762aa4c026eb0908f",
                "generated train": "dcf21d0c798720af36cfa03e05dd57d1"
                "14d65d07458338bd28887f950a77b65f",
                "generated validation": "2316389279398495422c5eeb9edb7fbd"
                "1f29a0a4925fc4111beabd4d82707fdd",
                "generated test": "69aa888809ab9eca0c373e2a8db39b4b"
                "6fe0304b4eec08a3148e740d0810dff2",
            },
            labels_sha256="1ecaed1fee46e6cc282edcea895348aa3ffd482e01745e2db35acc973c294d54",
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
"""The built-in tracks with data that are the same everywhere, by bare name."""


def canonical(digests: Mapping[str, str]) -> dict[str, str]:
    """Digests by name, with an official file that was read unpacked under its packed name."""
    found = {}
    for name, sha256 in digests.items():
        file = FILES.get(f"{name}.gz")
        if file and file.kind == "sha256" and sha256 == file.unpacked_sha256:
            name, sha256 = file.name, file.digest
        found[name] = sha256
    return found


def differing(stated: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """Names of the files that two accounts of one data set do not agree about."""
    first, second = canonical(stated), canonical(found)
    return sorted(name for name in first | second if first.get(name) != second.get(name))
