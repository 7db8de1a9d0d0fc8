"""Preparation of all scans, with reuse of images prepared by earlier runs."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from oraclezoo.data.scans.files import Content, ScanFile, Source, Unused
from oraclezoo.data.scans.layout import Scan
from oraclezoo.data.scans.prepare import Preparation, Prepared, prepare_files
from oraclezoo.data.scans.store import Kept, Store
from oraclezoo.data.scans.workers import spread
from oraclezoo.errors import DataError, InterruptedRunError

_FILES_A_TASK = 128
_FEWEST_FILES = 8
_BYTES_A_TASK = 8 << 20


class Step(NamedTuple):
    """Progress of a conversion: files done, files in total, files prepared per second."""

    done: int
    total: int
    images_per_s: float


@dataclass(slots=True)
class Outcome:
    """Outcome of each file, by its key.

    Attributes:
        kept: Stored images.
        rejected: Files that could not be used, with the reason.
        prepared: Number of files prepared by this run.
    """

    kept: dict[str, Kept] = field(default_factory=dict)
    rejected: dict[str, Prepared] = field(default_factory=dict)
    prepared: int = 0

    def unused(self, scans: Iterable[Scan]) -> Iterator[Unused]:
        """Yield the rejected scans and the reasons.

        Args:
            scans: The scans to look up.

        Yields:
            Name and reason of each rejected scan.
        """
        for scan in scans:
            one = self.rejected.get(scan.file.key)
            if one is not None:
                yield Unused(scan.file.name, one.reason)

    def source_sha256(self, scans: Iterable[Scan]) -> str:
        """Return the SHA-256 (hex) over path and SHA-256 of each file.

        Args:
            scans: The scans, in order.

        Returns:
            The digest, hex.
        """
        state = hashlib.sha256()
        for scan in scans:
            one = self.kept.get(scan.file.key) or self.rejected[scan.file.key]
            state.update(json.dumps([scan.path, one.source_sha256]).encode())
        return state.hexdigest()


def gather(
    source: Source,
    scans: Sequence[Scan],
    store: Store,
    rules: Preparation,
    jobs: int,
    progress: Callable[[Step], None],
    stop: Callable[[], bool],
) -> Outcome:
    """Prepare the scans that are not in the store, and add them to it.

    Args:
        source: The folder or archive.
        scans: Its scans.
        store: Prepared images of this and earlier runs.
        rules: How images are preprocessed.
        jobs: Number of worker processes.
        progress: Called after each batch of files.
        stop: Polled between batches; True stops.

    Returns:
        The outcome of each file.

    Raises:
        DataError: If the source changed, or a worker process died.
        InterruptedRunError: If ``stop`` returned True; prepared images are kept.
    """
    stored = {scan.file.key: store.get(scan.file.key) for scan in scans}
    outcome = Outcome({key: kept for key, kept in stored.items() if kept is not None})
    waiting = [scan.file for scan in scans if stored[scan.file.key] is None]
    begun, before = time.monotonic(), len(outcome.kept)
    even = max(
        _FEWEST_FILES, len(waiting) // (4 * jobs)
    )  # small enough for all workers to stay busy
    most = min(even, _FILES_A_TASK, _BYTES_A_TASK // rules.size**2)
    jobs = max(1, min(jobs, len(waiting) // most))
    tasks = _tasks(source, waiting, most)
    for done in spread(partial(prepare_files, rules), tasks, jobs, stop):
        store.add(done)
        for one in done:
            kept = store.get(one.key) if one.image is not None else None
            if kept is None:
                outcome.rejected[one.key] = one
            else:
                outcome.kept[one.key] = kept
        outcome.prepared += len(done)
        rate = outcome.prepared / max(time.monotonic() - begun, 1e-9)
        progress(Step(before + outcome.prepared, len(scans), rate))
    if outcome.prepared < len(waiting):
        if stop():
            raise InterruptedRunError(
                f"interrupted: {before + outcome.prepared:,} of {len(scans):,} files are prepared; "
                "run the same command again to resume"
            )
        raise DataError("the source changed while being read; run the same command again")
    return outcome


def _tasks(
    source: Source, files: Sequence[ScanFile], most: int
) -> Iterator[list[tuple[str, Content]]]:
    """Yield the files with their contents, in batches for the workers."""
    task: list[tuple[str, Content]] = []
    size_bytes = 0
    for file, content in source.contents(files):
        task.append((file.key, content))
        size_bytes += len(content) if isinstance(content, bytes) else 0
        if len(task) >= most or size_bytes >= _BYTES_A_TASK:
            yield task
            task, size_bytes = [], 0
    if task:
        yield task
