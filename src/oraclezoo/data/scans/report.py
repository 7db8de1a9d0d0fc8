"""Report of a conversion, as saved in ``report.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oraclezoo.data.scans.files import Unused
from oraclezoo.data.scans.layout import SIDES, Side

SCHEMA = "oraclezoo/convert/1"


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """Counts of a class: images on each side, and rejected files."""

    name: str
    glyph: str
    images: Mapping[Side, int]
    rejected: int


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Files that give the same image, with class and side of each."""

    files: tuple[str, ...]
    classes: tuple[str, ...]
    sides: tuple[Side, ...]

    @property
    def conflicting(self) -> bool:
        """Whether the files belong to more than one class."""
        return len(set(self.classes)) > 1

    @property
    def across_sides(self) -> bool:
        """Whether the files are on more than one side."""
        return len(set(self.sides)) > 1


@dataclass(frozen=True, slots=True)
class Report:
    """Report of a finished conversion.

    Attributes:
        source: Path of the source.
        source_kind: "folder", "zip archive" or "tar archive".
        source_sha256: SHA-256 over path and SHA-256 of every image file that was read, in order;
            equal for a folder and an archive of it.
        side_folders: Sides that have folders in the source.
        settings: Settings and versions that determine the output.
        classes: Counts in label order.
        rejected: Image files that could not be used.
        ignored: Files that are not images.
        duplicates: Groups of files that give the same image.
        files: SHA-256 of each output file, by name.
        prepared: Number of files prepared by this run.
        kept: Number of files reused from earlier runs.
        seconds: Duration of the conversion, from listing to writing.
        jobs: Number of worker processes.
    """

    source: str
    source_kind: str
    source_sha256: str
    side_folders: tuple[Side, ...]
    settings: Mapping[str, Any]
    classes: tuple[ClassCounts, ...]
    rejected: tuple[Unused, ...]
    ignored: tuple[Unused, ...]
    duplicates: tuple[Duplicates, ...]
    files: Mapping[str, str]
    prepared: int
    kept: int
    seconds: float
    jobs: int

    def count(self, side: Side) -> int:
        """Return the number of images on a side.

        Args:
            side: The side.

        Returns:
            Number of images of all classes.
        """
        return sum(each.images[side] for each in self.classes)

    @property
    def usable(self) -> int:
        """Number of images on all sides."""
        return sum(self.count(side) for side in SIDES)

    @property
    def rejected_percent(self) -> float:
        """Percentage of image files that were rejected."""
        return 100 * len(self.rejected) / max(1, self.usable + len(self.rejected))

    @property
    def images_per_s(self) -> float | None:
        """Files prepared by this run per second; None if there were none."""
        return self.prepared / self.seconds if self.prepared else None

    def to_json_dict(self) -> dict[str, Any]:
        """Return the report as a JSON document."""
        return {
            "source": {
                "path": self.source,
                "kind": self.source_kind,
                "sha256": self.source_sha256,
                "side_folders": list(self.side_folders),
            },
            "settings": dict(self.settings),
            "images": {side: self.count(side) for side in SIDES},
            "classes": [
                {
                    "label": label,
                    "name": each.name,
                    "glyph": each.glyph,
                    **{side: each.images[side] for side in SIDES},
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
                    "sides": list(group.sides),
                }
                for group in self.duplicates
            ],
            "files": dict(self.files),
            "time": {
                "seconds": round(self.seconds, 3),
                "prepared": self.prepared,
                "kept": self.kept,
                "images_per_s": None if self.images_per_s is None else round(self.images_per_s, 1),
                "jobs": self.jobs,
            },
        }


def _unused(files: Sequence[Unused]) -> list[dict[str, str]]:
    return [{"file": name, "reason": reason} for name, reason in files]
