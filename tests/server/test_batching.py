"""The queue of a model and the threads that work it off."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from helpers.bands import drawn
from helpers.server import PATIENCE, Local
from oraclezoo.errors import ResultError
from oraclezoo.imaging.find import Box
from oraclezoo.imaging.prepare import Prepared
from oraclezoo.server.batching import LARGEST, Batcher, Order, Picture
from oraclezoo.server.observer import Batch, Observer
from oraclezoo.server.rejection import RejectedError
from oraclezoo.server.settings import Settings
from oraclezoo.serving.predictor import Predictor
from oraclezoo.serving.reading import Preprocessing


class Holding(Observer):
    """Records batches, and holds a thread after its first one until it is told to go on."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.busy, self.go = threading.Event(), threading.Event()

    def ran(self, batch: Batch) -> None:
        """Record and hold."""
        self.batches.append(batch)
        self.busy.set()
        assert self.go.wait(PATIENCE)


def prepared(label: int) -> Prepared:
    return Prepared(drawn(label), False, Box(0, 0, 16, 16))


@contextmanager
def started(batcher: Batcher, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    async def start() -> None:
        batcher.start()

    loop.run_until_complete(start())
    try:
        yield
    finally:
        batcher.stop()
        loop.close()


def submitted(batcher: Batcher, *images: Picture | Prepared) -> Order:
    return batcher.submit(images, Preprocessing())


def test_a_free_thread_takes_what_is_queued(bands: Path) -> None:
    """While it is busy, images queue up, and then run together, up to a limit."""
    observer, loop = Holding(), asyncio.new_event_loop()
    batcher = Batcher("bands", Predictor(bands), threads=1, queue=99, observer=observer)
    with started(batcher, loop):
        first = submitted(batcher, prepared(1))
        loop.run_until_complete(first.done)
        assert observer.busy.wait(PATIENCE)
        orders = [submitted(batcher, prepared(n % 4), prepared(n % 3)) for n in range(20)]
        assert (batcher.depth, batcher.accepted) == (40, 41)
        observer.go.set()
        for number, order in enumerate(orders):
            readings = loop.run_until_complete(order.done)
            assert [reading.top(1) for reading in readings] == [[number % 4], [number % 3]]
            batcher.release(order)
        assert batcher.accepted == 1
    sizes = [len(batch.readings) for batch in observer.batches]
    assert sizes[:2] == [1, LARGEST]
    assert sum(sizes) == 41
    assert all(waited >= 0 for batch in observer.batches for waited in batch.waited)


def test_a_full_queue_rejects(bands: Path) -> None:
    """A request is accepted as a whole or not at all; finished ones make room."""
    observer, loop = Holding(), asyncio.new_event_loop()
    batcher = Batcher("bands", Predictor(bands), threads=1, queue=3, observer=observer)
    with started(batcher, loop):
        first = submitted(batcher, prepared(0))
        loop.run_until_complete(first.done)
        assert observer.busy.wait(PATIENCE)
        second = submitted(batcher, prepared(1))
        with pytest.raises(RejectedError) as caught:
            submitted(batcher, prepared(2), prepared(3))
        assert caught.value.status == 429
        assert "2 images are queued, and the limit is 3" in str(caught.value)
        batcher.release(first)
        third = submitted(batcher, prepared(2), prepared(3))
        observer.go.set()
        loop.run_until_complete(asyncio.gather(second.done, third.done))


def test_released_images_leave_the_queue(bands: Path) -> None:
    """Those of a client that left never run."""
    observer, loop = Holding(), asyncio.new_event_loop()
    batcher = Batcher("bands", Predictor(bands), threads=1, queue=9, observer=observer)
    with started(batcher, loop):
        loop.run_until_complete(submitted(batcher, prepared(0)).done)
        assert observer.busy.wait(PATIENCE)
        left = submitted(batcher, Picture("left", b""))
        kept = submitted(batcher, Picture("kept", b""))
        batcher.release(left)
        observer.go.set()
        loop.run_until_complete(kept.done)
        assert not left.done.done()
    names = [reading.name for batch in observer.batches for reading in batch.readings]
    assert names == ["", "kept"]


def test_a_failure_is_that_of_its_batch(bands: Path) -> None:
    """The thread goes on; an observer that fails does not matter to clients."""

    class Failing(Observer):
        def ran(self, batch: Batch) -> None:
            raise ValueError("defect")

    loop = asyncio.new_event_loop()
    batcher = Batcher("bands", Predictor(bands), threads=1, queue=9, observer=Failing())
    with started(batcher, loop):
        wrong = Prepared(np.zeros((3, 3), np.uint8), False, Box(0, 0, 3, 3))
        with pytest.raises(ResultError, match="failed in ONNX Runtime"):
            loop.run_until_complete(submitted(batcher, wrong).done)
        (reading,) = loop.run_until_complete(submitted(batcher, prepared(2)).done)
        assert reading.top(1) == [2]


def test_a_request_is_dropped_when_its_client_leaves(bands: Path) -> None:
    """It is logged with status 499, and its images make room for others."""
    observer = Holding()
    settings = Settings(threads=1, access_log=False)
    answers = []
    observer.answered = answers.append  # type: ignore[method-assign]
    with Local(bands, settings=settings, observer=observer) as server:
        batcher = server.service.models.default.batcher
        holding = asyncio.run_coroutine_threadsafe(
            server.send("POST", "/v1/predict", content=b"x"), server.loop
        )
        assert observer.busy.wait(PATIENCE)
        left = threading.Event()

        async def leave() -> None:
            body = [{"type": "http.request", "body": b"y", "more_body": False}]

            async def receive() -> dict[str, object]:
                if body:
                    return body.pop()
                while batcher.depth == 0:
                    await asyncio.sleep(0.01)
                left.set()
                return {"type": "http.disconnect"}

            async def send(message: dict[str, object]) -> None:
                assert message.get("status", 499) == 499  # the system drops it

            path = "/v1/predict"
            scope = {"type": "http", "method": "POST", "path": path, "headers": []}
            extra = {"query_string": b"", "root_path": "", "client": None, "server": None}
            await server.app({**scope, **extra}, receive, send)  # type: ignore[arg-type]

        server.run(leave())
        assert left.is_set()
        assert batcher.accepted <= 1
        observer.go.set()
        assert holding.result(PATIENCE).status_code == 422
    assert [answer.status for answer in answers if answer.reason == "left"] == [499]
    names = [reading.name for batch in observer.batches for reading in batch.readings]
    assert names == ["image"]
