"""Report of a conversion, as written to ``report.json``."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from oraclezoo.data.scans.layout import SPLITS, ClassNames, Layout, Naming, Sample, SplitName
from oraclezoo.data.scans.sources import Unused
from oraclezoo.imaging.polarity import Polarity


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """Counts of a class: images per split, and rejected files."""

    name: str
    glyph: str
    images: Mapping[SplitName, int]
    rejected: int


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Files that give the same image, with the class and split of each."""

    files: tuple[str, ...]
    classes: tuple[str, ...]
    splits: tuple[SplitName, ...]

    @property
    def conflicting(self) -> bool:
        """Return whether the files belong to more than one class."""
        return len(set(self.classes)) > 1

    @property
    def across_splits(self) -> bool:
        """Return whether the files belong to more than one split."""
        return len(set(self.splits)) > 1


@dataclass(frozen=True, slots=True)
class RecordedSettings:
    """Resolved settings and the versions that determine the output.

    ``rules`` is the version of the preprocessing rules, and ``classes`` replaces ``naming``; the
    other fields are those of :class:`oraclezoo.data.scans.convert.Settings`.
    """

    size: int
    validation_percent: int
    test_percent: int
    classes: Naming
    flip_keeps_label: bool
    polarity: Polarity
    rules: int
    oraclezoo: str
    pillow: str


@dataclass(frozen=True, slots=True)
class Report:
    """Report of a finished conversion.

    Attributes:
        source: Path of the source.
        source_kind: "folder", "zip archive" or "tar archive".
        source_sha256: SHA-256 of the paths and digests of all image files that were read, in order;
            equal for a folder and an archive of the folder.
        split_folders: Splits that have folders in the source.
        settings: Resolved settings and versions.
        classes: Counts of the classes, in label order.
        rejected: Unusable image files.
        ignored: Files that are not images.
        duplicates: Groups of files that give the same image.
        files: SHA-256 of each output file, keyed by name.
        prepared: Number of files preprocessed in this run.
        reused: Number of files reused from earlier runs.
        seconds: Duration of the conversion in seconds, from listing to writing.
        jobs: Number of worker processes.
    """

    source: str
    source_kind: str
    source_sha256: str
    split_folders: tuple[SplitName, ...]
    settings: RecordedSettings
    classes: tuple[ClassCounts, ...]
    rejected: tuple[Unused, ...]
    ignored: tuple[Unused, ...]
    duplicates: tuple[Duplicates, ...]
    files: Mapping[str, str]
    prepared: int
    reused: int
    seconds: float
    jobs: int

    def count(self, split: SplitName) -> int:
        """Return the number of images in a split.

        Args:
            split: The split.

        Returns:
            Number of images over all classes.
        """
        return sum(each.images[split] for each in self.classes)

    @property
    def usable(self) -> int:
        """Return the number of images in all splits."""
        return sum(self.count(split) for split in SPLITS)

    @property
    def rejected_percent(self) -> float:
        """Return the percentage of image files that were rejected."""
        return 100 * len(self.rejected) / max(1, self.usable + len(self.rejected))

    @property
    def images_per_s(self) -> float | None:
        """Return the files preprocessed per second in this run; None if there were none."""
        return self.prepared / self.seconds if self.prepared else None

    def to_json_dict(self) -> dict[str, Any]:
        """Return the report as a JSON document."""
        return {
            "source": {
                "path": self.source,
                "kind": self.source_kind,
                "sha256": self.source_sha256,
                "side_folders": list(self.split_folders),
            },
            "settings": asdict(self.settings),
            "images": {split: self.count(split) for split in SPLITS},
            "classes": [
                {
                    "label": label,
                    "name": each.name,
                    "glyph": each.glyph,
                    **{split: each.images[split] for split in SPLITS},
                    "rejected": each.rejected,
                }
                for label, each in enumerate(self.classes)
            ],
            "rejected_percent": round(self.rejected_percent, 3),
            "rejected": _unused(self.rejected),
            "ignored": _unused(self.ignored),
            "duplicates": [
                {
                    "files": list(group.files),
                    "classes": list(group.classes),
                    "sides": list(group.splits),
                }
                for group in self.duplicates
            ],
            "files": dict(self.files),
            "time": {
                "seconds": round(self.seconds, 3),
                "prepared": self.prepared,
                "kept": self.reused,
                "images_per_s": None if self.images_per_s is None else round(self.images_per_s, 1),
                "jobs": self.jobs,
            },
        }


def class_counts(
    layout: Layout, classes: ClassNames, samples: Sequence[Sample]
) -> tuple[ClassCounts, ...]:
    """Count the images and rejected files of each class.

    Args:
        layout: The scans.
        classes: Classes in label order.
        samples: The images of the data set.

    Returns:
        The counts in label order.
    """
    images = Counter((one.label, one.split) for one in samples)
    files = Counter(scan.folder for scan in layout.scans)
    rows = zip(classes.folders, classes.names, classes.glyphs, strict=True)
    return tuple(
        ClassCounts(
            name,
            glyph,
            {split: images[label, split] for split in SPLITS},
            files[folder] - sum(images[label, split] for split in SPLITS),
        )
        for label, (folder, name, glyph) in enumerate(rows)
    )


def find_duplicates(classes: ClassNames, samples: Sequence[Sample]) -> tuple[Duplicates, ...]:
    """Find groups of files that give the same image.

    Args:
        classes: Classes in label order.
        samples: The images of the data set.

    Returns:
        The groups.
    """
    groups: dict[str, list[Sample]] = defaultdict(list)
    for one in samples:
        groups[one.image.image_sha256].append(one)
    return tuple(
        Duplicates(
            tuple(one.scan.file.name for one in group),
            tuple(classes.names[one.label] for one in group),
            tuple(one.split for one in group),
        )
        for group in groups.values()
        if len(group) > 1
    )


def _unused(files: Sequence[Unused]) -> list[dict[str, str]]:
    return [{"file": name, "reason": reason} for name, reason in files]
