"""Where batches come from: a tensor on the device, or images that are read ahead of their use."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from oraclezoo.contracts import Images

AHEAD = 4
"""Batches that are read while one is in use."""

Rows = npt.NDArray[np.int64]


class Streamed:
    """Images uint8 ``(N, H, W)`` that are not held on the device, but brought there in batches.

    ``parts`` follow one another, as if they were concatenated; ``device`` is where batches go.
    """

    def __init__(self, parts: Sequence[Images], device: torch.device) -> None:
        self.parts, self.device = tuple(parts), device
        self.shape = (sum(map(len, self.parts)), *self.parts[0].shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, batches: Iterable[Rows]) -> Generator[Tensor]:
        """The images of each batch of row numbers, on the device, read by a thread ahead of time.

        What fails in the thread is raised here. The thread ends with the generator: close it.
        """
        pool = ThreadPoolExecutor(1, "oraclezoo-read-ahead")
        waiting: deque[Future[Tensor]] = deque()
        try:
            for rows in batches:
                waiting.append(pool.submit(self._gather, rows))
                if len(waiting) > AHEAD:
                    yield self._move(waiting.popleft())
            while waiting:
                yield self._move(waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _gather(self, rows: Rows) -> Tensor:
        if len(self.parts) == 1:
            found = self.parts[0][rows]
        else:
            found, start = np.empty((len(rows), *self.shape[1:]), np.uint8), 0
            for part in self.parts:
                inside = (start <= rows) & (rows < start + len(part))
                found[inside] = part[rows[inside] - start]
                start += len(part)
        batch = torch.from_numpy(found)
        return batch.pin_memory() if self.device.type == "cuda" else batch

    def _move(self, batch: Future[Tensor]) -> Tensor:
        # torch keeps pinned memory from being used again before the copy is done
        return batch.result().to(self.device, non_blocking=True)


def batches(
    images: Tensor | Streamed, labels: Tensor, order: Tensor, size: int, first: int = 0
) -> Generator[tuple[Tensor, Tensor]]:
    """Images and labels, ``size`` at a time along ``order``, from the batch numbered ``first`` on.

    ``order``, int64 ``(N,)`` on the CPU, is a permutation; an incomplete last batch is left out.
    Both come on the labels' device. Close the generator when it is left early.
    """
    starts = range(first * size, len(order) - size + 1, size)
    there = order.to(labels.device)
    if isinstance(images, Tensor):
        for start in starts:
            chosen = there[start : start + size]
            yield images[chosen], labels[chosen]
        return
    numbers = order.numpy()
    with closing(images.read(numbers[start : start + size] for start in starts)) as read:
        for start, batch in zip(starts, read, strict=True):
            yield batch, labels[there[start : start + size]]


def chunks(images: Tensor | Streamed, size: int) -> Generator[Tensor]:
    """All images in order, at most ``size`` at a time, on their device."""
    if isinstance(images, Tensor):
        yield from torch.split(images, size)
        return
    count = len(images)
    rows = (np.arange(start, min(start + size, count)) for start in range(0, count, size))
    with closing(images.read(rows)) as read:
        yield from read


def take(images: Tensor | Streamed, rows: Tensor) -> Tensor:
    """The images numbered ``rows``, int64 on the CPU, on their device."""
    if isinstance(images, Tensor):
        return images[rows.to(images.device)]
    with closing(images.read([rows.numpy()])) as read:
        return next(read)
