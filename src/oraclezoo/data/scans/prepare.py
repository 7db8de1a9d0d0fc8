"""Preprocess scans in batches, and store the images between runs."""

from __future__ import annotations

import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

from oraclezoo.data.scans.layout import Scan, StoredImage
from oraclezoo.data.scans.sources import Content, ScanFile, Source, Unused
from oraclezoo.data.workers import spread
from oraclezoo.errors import DataError, InterruptedRunError
from oraclezoo.imaging.polarity import Polarity
from oraclezoo.imaging.prepare import prepare, read_bytes
from oraclezoo.storage import naming

_SUFFIX = ".images"
_OPEN_FILES = 64
_MAX_BATCH = 128
_MIN_BATCH = 8
_MAX_BATCH_BYTES = 8 << 20


class Prepared(NamedTuple):
    """Result of preprocessing a file.

    Attributes:
        key: Key of the file.
        source_sha256: SHA-256 of the file, "" if it could not be read.
        image: ``size * size`` bytes; None if the file was rejected.
        reason: Reason for the rejection, "" otherwise.
    """

    key: str
    source_sha256: str
    image: bytes | None
    reason: str


class Preparation(NamedTuple):
    """Preprocessing parameters: height and width of images in pixels, and polarity of the scans."""

    size: int
    polarity: Polarity = "auto"


def prepare_files(rules: Preparation, tasks: Sequence[tuple[str, Content]]) -> list[Prepared]:
    """Read and preprocess a batch of files.

    Args:
        rules: Preprocessing parameters.
        tasks: Key and content of each file.

    Returns:
        The result for each file, in order.
    """
    return [_prepare(rules, key, content) for key, content in tasks]


def _prepare(rules: Preparation, key: str, content: Content) -> Prepared:
    if isinstance(content, str):
        return Prepared(key, "", None, content)
    digest = ""
    try:
        data = read_bytes(content) if isinstance(content, Path) else content
        digest = hashlib.sha256(data).hexdigest()
        # no smoothing: keep the details of the scans
        image = prepare(data, rules.size, rules.polarity, smoothing=0.0).gray
    except DataError as error:
        return Prepared(key, digest, None, str(error))
    except MemoryError:
        return Prepared(key, digest, None, "not enough memory to read the image")
    return Prepared(key, digest, image.tobytes(), "")


class Store:
    """Store of preprocessed images of ``size * size`` bytes, keyed by source file.

    Each file is named by the SHA-256 of its content: a line of JSON with keys and digests, then
    the images. Only one process at a time may use a folder. Methods raise OSError.

    Args:
        folder: The folder; incomplete and corrupt files in it are removed.
        size: Height and width of the images in pixels.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self._folder, self._image_bytes = folder, size * size
        self._images: dict[str, StoredImage] = {}
        self._open: OrderedDict[Path, BinaryIO] = OrderedDict()
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(folder.iterdir()):
            content = path.read_bytes() if path.suffix == _SUFFIX else b""
            if hashlib.sha256(content).hexdigest() == path.stem:
                self._index(path, content)
            else:
                path.unlink()  # truncated when a process was killed, or corrupt

    def get(self, key: str) -> StoredImage | None:
        """Return the location of the image for a source file, or None if it is not stored.

        Args:
            key: Key of the source file.

        Returns:
            The location, or None.
        """
        return self._images.get(key)

    def add(self, prepared: Sequence[Prepared]) -> None:
        """Store the images of a batch.

        Args:
            prepared: Results of the batch; rejected files are skipped.
        """
        usable = [one for one in prepared if one.image is not None]
        if not usable:
            return
        images = [one.image for one in usable if one.image is not None]
        header = {
            "keys": [one.key for one in usable],
            "images": [hashlib.sha256(image).hexdigest() for image in images],
            "sources": [one.source_sha256 for one in usable],
        }
        content = json.dumps(header).encode() + b"\n" + b"".join(images)
        path = self._folder / (hashlib.sha256(content).hexdigest() + _SUFFIX)
        temporary = path.with_suffix(".tmp")
        with naming(temporary):
            temporary.write_bytes(content)
        temporary.replace(path)
        self._index(path, content)

    def read(self, image: StoredImage) -> bytes:
        """Return the bytes of a stored image.

        Args:
            image: Location of the image.

        Returns:
            ``size * size`` bytes.
        """
        file = self._open.get(image.path)
        if file is None:
            file = self._open[image.path] = image.path.open("rb")
            if len(self._open) > _OPEN_FILES:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(image.path)
        file.seek(image.offset)
        return file.read(self._image_bytes)

    def discard_all_but(self, keys: Collection[str]) -> None:
        """Remove all store files without images of ``keys``.

        Args:
            keys: Keys of source files.
        """
        needed = {self._images[key].path for key in keys if key in self._images}
        for path in {image.path for image in self._images.values()} - needed:
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close all open files."""
        while self._open:
            self._open.popitem()[1].close()

    def _index(self, path: Path, content: bytes) -> None:
        start = content.index(b"\n") + 1
        header = json.loads(content[:start])
        rows = zip(header["keys"], header["images"], header["sources"], strict=True)
        for row, (key, image, source) in enumerate(rows):
            self._images[key] = StoredImage(path, start + row * self._image_bytes, image, source)


class Step(NamedTuple):
    """Progress of a conversion: files done, total files, and files preprocessed per second."""

    done: int
    total: int
    images_per_s: float


@dataclass(slots=True)
class Outcome:
    """Results of preprocessing, keyed by source file.

    Attributes:
        stored: Stored images.
        rejected: Unusable files, with the reason.
        prepared: Number of files preprocessed in this run.
    """

    stored: dict[str, StoredImage] = field(default_factory=dict)
    rejected: dict[str, Prepared] = field(default_factory=dict)
    prepared: int = 0

    def unused(self, scans: Iterable[Scan]) -> Iterator[Unused]:
        """Yield the rejected scans with the reasons.

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
        """Return the SHA-256 (hex) of the paths and SHA-256 digests of files.

        Args:
            scans: The scans, in order.

        Returns:
            The digest, hex.
        """
        state = hashlib.sha256()
        for scan in scans:
            one = self.stored.get(scan.file.key) or self.rejected[scan.file.key]
            state.update(json.dumps([scan.path, one.source_sha256]).encode())
        return state.hexdigest()


def prepare_scans(
    source: Source,
    scans: Sequence[Scan],
    store: Store,
    rules: Preparation,
    jobs: int,
    progress: Callable[[Step], None],
    stop: Callable[[], bool],
) -> Outcome:
    """Preprocess the scans that are not in the store, and add them to it.

    Args:
        source: The folder or archive.
        scans: The scans of the source.
        store: Store of preprocessed images from this run and earlier runs.
        rules: Preprocessing parameters.
        jobs: Number of worker processes.
        progress: Called after each batch of files.
        stop: Called between batches; preprocessing stops if it returns True.

    Returns:
        The result for each file.

    Raises:
        DataError: If the source changed, or a worker process died.
        InterruptedRunError: If ``stop`` returned True; preprocessed images are kept.
    """
    stored = {scan.file.key: store.get(scan.file.key) for scan in scans}
    outcome = Outcome({key: image for key, image in stored.items() if image is not None})
    waiting = [scan.file for scan in scans if stored[scan.file.key] is None]
    started, reused = time.monotonic(), len(outcome.stored)
    # several batches per worker, so that workers finish at about the same time
    balanced = max(_MIN_BATCH, len(waiting) // (4 * jobs))
    batch = min(balanced, _MAX_BATCH, _MAX_BATCH_BYTES // rules.size**2)
    jobs = max(1, min(jobs, len(waiting) // batch))
    tasks = _batches(source, waiting, batch)
    for done in spread(partial(prepare_files, rules), tasks, jobs, stop):
        store.add(done)
        for one in done:
            image = store.get(one.key) if one.image is not None else None
            if image is None:
                outcome.rejected[one.key] = one
            else:
                outcome.stored[one.key] = image
        outcome.prepared += len(done)
        rate = outcome.prepared / max(time.monotonic() - started, 1e-9)
        progress(Step(reused + outcome.prepared, len(scans), rate))
    if outcome.prepared < len(waiting):
        if stop():
            raise InterruptedRunError(
                f"interrupted: {reused + outcome.prepared:,} of {len(scans):,} files are prepared; "
                "run the same command again to resume"
            )
        raise DataError("the source changed while being read; run the same command again")
    return outcome


def _batches(
    source: Source, files: Sequence[ScanFile], count: int
) -> Iterator[list[tuple[str, Content]]]:
    """Yield the files with their contents, in batches of up to ``count`` files."""
    batch: list[tuple[str, Content]] = []
    size_bytes = 0
    for file, content in source.contents(files):
        batch.append((file.key, content))
        size_bytes += len(content) if isinstance(content, bytes) else 0
        if len(batch) >= count or size_bytes >= _MAX_BATCH_BYTES:
            yield batch
            batch, size_bytes = [], 0
    if batch:
        yield batch
