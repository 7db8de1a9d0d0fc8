"""Convert scans to a folder for track ``idx``: list, preprocess, split, write."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import PIL

from oraclezoo._version import __version__
from oraclezoo.data.folder import ABOUT
from oraclezoo.data.scans import write
from oraclezoo.data.scans.archive import Tar, Zip, is_zip
from oraclezoo.data.scans.layout import (
    SPLITS,
    ClassNames,
    Layout,
    Naming,
    Sample,
    Shares,
    arrange,
    assign_splits,
    name_classes,
)
from oraclezoo.data.scans.prepare import Outcome, Preparation, Step, Store, prepare_scans
from oraclezoo.data.scans.report import RecordedSettings, Report, class_counts, find_duplicates
from oraclezoo.data.scans.sources import Folder, Source, Unused
from oraclezoo.errors import DataError, UsageError
from oraclezoo.imaging.polarity import Polarity

_RULES = 3
"""Version of the preprocessing rules; cached images of other versions are ignored."""
_DEFAULT_PERCENT = 10


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings that determine the output of a conversion.

    Attributes:
        size: Height and width of the output images in pixels.
        validation_percent: Percentage of validation images; None for 10%, or for 0% if the source
            has a validation folder.
        test_percent: Percentage of test images; None for 10%, or for 0% if the source has a test
            folder.
        naming: Source of the class names.
        flip_keeps_label: Whether a mirrored character has the same class.
        polarity: Polarity of the strokes; "auto" detects it for each image.
    """

    size: int = 28
    validation_percent: int | None = None
    test_percent: int | None = None
    naming: Naming = "folders"
    flip_keeps_label: bool = False
    polarity: Polarity = "auto"


def convert(
    source: Path,
    out: Path,
    settings: Settings,
    *,
    jobs: int = 1,
    fresh: bool = False,
    progress: Callable[[Step], None] = lambda step: None,
    stop: Callable[[], bool] = lambda: False,
) -> Report:
    """Convert scans to IDX files.

    Unless ``fresh`` is set, images that an earlier, possibly interrupted conversion to ``out`` has
    preprocessed are reused. The output does not depend on ``jobs``. A report lists bad files.

    Args:
        source: Folder or archive with one folder of images per class.
        out: Output folder.
        settings: Settings that determine the output.
        jobs: Number of worker processes.
        fresh: Whether to discard preprocessed images of earlier runs.
        progress: Called after each batch of files.
        stop: Called between batches; the conversion stops if it returns True.

    Returns:
        The report, which is also written to ``out``.

    Raises:
        UsageError: If the folders or the percentages are contradictory.
        DataError: If the source cannot be converted to a data set; no files are written.
        InterruptedRunError: If ``stop`` returned True; images preprocessed so far are kept.
    """
    started = time.monotonic()
    opened = _open(source, out)
    listing = opened.listing()
    layout = arrange(listing.files)
    classes = name_classes(layout, settings.naming)
    shares = _shares(layout, settings)
    with write.work_folder(out) as work:
        rules = Preparation(settings.size, settings.polarity)
        folder = work / f"images-{rules.size}-{rules.polarity}-{_RULES}-{PIL.__version__}"
        for path in work.glob("images-*"):
            if fresh or path != folder:
                shutil.rmtree(path)
        store = Store(folder, settings.size)
        try:
            outcome = prepare_scans(opened, layout.scans, store, rules, jobs, progress, stop)
            unused = [*listing.rejected, *layout.rejected, *outcome.unused(layout.scans)]
            samples = _samples(layout, classes, shares, outcome, unused, work)
            report = Report(
                source=str(source),
                source_kind=opened.kind,
                source_sha256=outcome.source_sha256(layout.scans),
                split_folders=tuple(split for split in SPLITS if split in layout.splits),
                settings=_recorded(settings, shares),
                classes=class_counts(layout, classes, samples),
                rejected=tuple(sorted(unused)),
                ignored=tuple(sorted(listing.ignored)),
                duplicates=find_duplicates(classes, samples),
                files={},
                prepared=outcome.prepared,
                reused=len(layout.scans) - outcome.prepared,
                seconds=0.0,
                jobs=jobs,
            )
            about = write.about(classes, report.settings.flip_keeps_label)
            return _write(out, work, store, samples, report, about, started)
        finally:
            store.close()


def _open(source: Path, out: Path) -> Source:
    if source.is_dir():
        if source.resolve() == out.resolve():
            raise UsageError(f"{out}: the output folder must differ from the source folder")
        return Folder(source, out)
    if source.exists() and not source.is_file():
        raise DataError(f"{source}: not a folder or an archive file")
    return Zip(source) if is_zip(source) else Tar(source)


def _shares(layout: Layout, settings: Settings) -> Shares:
    percents = {"validation": settings.validation_percent, "test": settings.test_percent}
    shares = {}
    for split, percent in percents.items():
        if split in layout.splits and percent is not None:
            raise UsageError(f"the source has a {split} folder; omit --{split}")
        default = 0 if split in layout.splits else _DEFAULT_PERCENT
        shares[split] = default if percent is None else percent
    if sum(shares.values()) >= 100:
        raise UsageError(
            "--validation and --test must leave images for training: their sum must be below 100"
        )
    return Shares(**shares)


def _samples(
    layout: Layout,
    classes: ClassNames,
    shares: Shares,
    outcome: Outcome,
    unused: Sequence[Unused],
    work: Path,
) -> list[Sample]:
    """Return the images with label and split; errors point to the list of rejected files."""
    try:
        return assign_splits(layout, classes, shares, outcome.stored)
    except DataError as error:
        if not unused:
            raise
        path = work / "rejected.json"
        rows = [{"file": name, "reason": reason} for name, reason in sorted(unused)]
        write.write_synced(path, json.dumps(rows, indent=2).encode())
        raise DataError(f"{str(error).splitlines()[0]}\nWhy files were rejected: {path}") from error


def _recorded(settings: Settings, shares: Shares) -> RecordedSettings:
    return RecordedSettings(
        size=settings.size,
        validation_percent=shares.validation,
        test_percent=shares.test,
        classes=settings.naming,
        flip_keeps_label=settings.flip_keeps_label or settings.naming == "oracle-mnist",
        polarity=settings.polarity,
        rules=_RULES,
        oraclezoo=__version__,
        pillow=PIL.__version__,
    )


def _write(
    out: Path,
    work: Path,
    store: Store,
    samples: Sequence[Sample],
    report: Report,
    about: bytes,
    started: float,
) -> Report:
    """Write the files to a staging folder, move them to ``out``, and return the final report."""
    staged = work / "staged"
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir()
    size = report.settings.size
    digests: dict[str, str] = {}
    for split in SPLITS:
        chosen = [one for one in samples if one.split == split]
        if chosen:
            images = (store.read(one.image) for one in chosen)
            labels = [one.label for one in chosen]
            digests |= write.write_split(staged, split, images, labels, size)
    digests[ABOUT] = write.write_synced(staged / ABOUT, about)
    if write.keeps_about(out, about, len(report.classes)):
        (staged / ABOUT).unlink()
    report = replace(report, files=digests, seconds=time.monotonic() - started)
    document = {"schema": write.SCHEMA, "data": report.to_json_dict()}
    write.write_synced(staged / write.REPORT, json.dumps(document, indent=2).encode() + b"\n")
    write.swap(staged, out, work / write.PREVIOUS_REPORT)
    store.discard_all_but({one.scan.file.key for one in samples})
    shutil.rmtree(staged)
    return report
