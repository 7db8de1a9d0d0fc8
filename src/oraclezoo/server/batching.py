"""Dynamic batching without a timer: an idle thread takes the queued images and runs the model.

The server never delays an image to fill a batch. Under load, images queue up while the threads are
busy, so batches grow by themselves.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from itertools import islice
from queue import Empty, SimpleQueue
from time import perf_counter

from oraclezoo.imaging.prepare import Prepared
from oraclezoo.server.observer import Batch, Observer
from oraclezoo.server.rejection import busy
from oraclezoo.serving.predictor import Predictor
from oraclezoo.serving.reading import Outcome, Preprocessing, Reading, classified, outcomes_of
from oraclezoo.serving.sources import Source

LARGEST = 32
"""Maximum number of images per run of the model; larger batches are no faster on a CPU."""

PREPARING = 0.02
"""Seconds of preparation after which a batch is closed, so that a slow image delays few others."""


@dataclass(frozen=True, slots=True)
class Picture:
    """The bytes of an image file, with its name in the response."""

    name: str
    data: bytes


@dataclass(slots=True, eq=False)
class Order:
    """The images of one request, whose results are returned together."""

    images: Sequence[Picture | Prepared]
    settings: Preprocessing
    done: asyncio.Future[list[Reading]]
    queued: float = field(default_factory=perf_counter)
    cancelled: bool = False
    left: int = 0
    readings: list[list[Reading]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.left = len(self.images)
        self.readings = [[]] * self.left


@dataclass(slots=True, eq=False)
class _Item:
    """One image of an order, and the characters found in it."""

    order: Order
    number: int
    outcomes: list[Outcome] = field(default_factory=list)
    waited: float = 0.0
    prepared: float | None = None


class Batcher:
    """A model, the threads that run it, and the queue of images.

    Call :meth:`start` in the event loop before the first :meth:`submit`, and :meth:`stop` when the
    server stops.

    Args:
        name: Name of the model.
        predictor: The model.
        threads: Number of threads.
        queue: Maximum number of in-flight images, which are accepted but not finished.
        observer: Is notified of every run of the model.
    """

    def __init__(
        self, name: str, predictor: Predictor, *, threads: int, queue: int, observer: Observer
    ) -> None:
        self.name, self.predictor = name, predictor
        self.queue, self.observer = queue, observer
        self.accepted = 0
        self._waiting: SimpleQueue[_Item | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True)
            for number in range(threads)
        ]
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Start the threads. They deliver results to the event loop that is running now."""
        self._loop = asyncio.get_running_loop()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop the threads once the queue is empty, and wait briefly for them to end.

        A thread that is still decoding a large image for a disconnected client does not keep the
        process alive.
        """
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join(timeout=1)

    @property
    def depth(self) -> int:
        """Number of images that no thread has taken yet."""
        return self._waiting.qsize()

    def submit(self, images: Sequence[Picture | Prepared], settings: Preprocessing) -> Order:
        """Queue the images of a request; call :meth:`release` once the results are not needed.

        Args:
            images: At least one encoded image or preprocessed input.
            settings: How to decode and preprocess the images.

        Returns:
            The order. Its future ``done`` yields one result per image (one per character when
            reading several), where an unreadable image has a reason, or raises ResultError.

        Raises:
            RejectedError: The queue is full (429).
        """
        if self.accepted + len(images) > self.queue:
            raise busy(
                f"{self.accepted} images are queued, and the limit is {self.queue}; try again later"
            )
        assert self._loop is not None, "start the batcher first"
        order = Order(images, settings, self._loop.create_future())
        self.accepted += len(images)
        for number in range(len(images)):
            self._waiting.put(_Item(order, number))
        return order

    def release(self, order: Order) -> None:
        """Release the slots of an order in the queue; images that still wait are skipped."""
        order.cancelled = True
        self.accepted -= len(order.images)

    def _work(self) -> None:
        """Run batches until the batcher stops. Runs in a worker thread, like its callees."""
        while (first := self._waiting.get()) is not None:
            batch = self._take(first)
            if batch:
                self._run(batch)

    def _take(self, item: _Item) -> list[_Item]:
        """Return an image and those queued behind it, all prepared, without the canceled ones."""
        batch: list[_Item] = []
        begin = perf_counter()
        while True:
            if not item.order.cancelled and self._prepare(item):
                batch.append(item)
            if len(batch) >= LARGEST or perf_counter() - begin > PREPARING:
                return batch
            try:
                following = self._waiting.get_nowait()
            except Empty:
                return batch
            if following is None:
                self._waiting.put(None)  # this thread ends when it takes the None again
                return batch
            item = following

    def _prepare(self, item: _Item) -> bool:
        """Prepare an image; return False if that raised an unexpected exception."""
        begin = perf_counter()
        item.waited = begin - item.order.queued
        image = item.order.images[item.number]
        if isinstance(image, Prepared):
            item.outcomes = [Outcome("", image, None)]
            return True
        source = Source(image.name, BytesIO(image.data))
        card, settings = self.predictor.card, item.order.settings
        try:
            item.outcomes = outcomes_of(item.number, source, card, settings)
        except Exception as error:  # a bug fails one request; the thread continues
            self._deliver([item], [], error)
            return False
        item.prepared = perf_counter() - begin
        return True

    def _run(self, batch: list[_Item]) -> None:
        """Run the model on a batch and deliver the results."""
        begin = perf_counter()
        try:
            readings = classified(
                self.predictor, [each for item in batch for each in item.outcomes]
            )
        except Exception as error:  # the requests of this batch fail, no others
            self._deliver(batch, [], error)
            return
        seconds = perf_counter() - begin
        self._deliver(batch, readings, None)
        some_read = any(reading.probabilities is not None for reading in readings)
        result = Batch(
            self.name,
            tuple(item.waited for item in batch),
            tuple(item.prepared for item in batch if item.prepared is not None),
            seconds if some_read else 0.0,
            tuple(readings),
        )
        try:
            self.observer.ran(result)
        except Exception:
            logging.getLogger(__name__).exception("an observer failed")

    def _deliver(
        self, batch: list[_Item], readings: list[Reading], error: Exception | None
    ) -> None:
        """Hand the results to the event loop."""
        assert self._loop is not None
        if not self._loop.is_closed():  # when the process ends, nobody waits
            self._loop.call_soon_threadsafe(_settle, batch, readings, error)


def _settle(batch: list[_Item], readings: list[Reading], error: Exception | None) -> None:
    """Complete the orders of a batch, in the event loop."""
    rest = iter(readings)
    for item in batch:
        order = item.order
        own = list(islice(rest, len(item.outcomes)))
        if order.done.done():
            continue
        if error is not None:
            order.done.set_exception(error)
            continue
        order.readings[item.number] = own
        order.left -= 1
        if not order.left:
            order.done.set_result([each for every in order.readings for each in every])
