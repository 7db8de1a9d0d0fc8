"""Batches of images, from a tensor on the device or from files that a thread reads ahead."""

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
"""Number of batches to read ahead."""

Rows = npt.NDArray[np.int64]


class Streamed:
    """Images uint8 ``(N, H, W)`` that are copied to the device batch by batch.

    Args:
        parts: Arrays of images, which are treated as one concatenated array.
        device: Device that the batches are copied to.
    """

    def __init__(self, parts: Sequence[Images], device: torch.device) -> None:
        self.parts, self.device = tuple(parts), device
        self.shape = (sum(map(len, self.parts)), *self.parts[0].shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, batches: Iterable[Rows]) -> Generator[Tensor]:
        """Yield the images at each batch of row indices, on the device, read ahead by a thread.

        Errors in the thread are raised here. Close the generator to end the thread.
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
            images = self.parts[0][rows]
        else:
            images, start = np.empty((len(rows), *self.shape[1:]), np.uint8), 0
            for part in self.parts:
                inside = (start <= rows) & (rows < start + len(part))
                images[inside] = part[rows[inside] - start]
                start += len(part)
        batch = torch.from_numpy(images)
        return batch.pin_memory() if self.device.type == "cuda" else batch

    def _move(self, batch: Future[Tensor]) -> Tensor:
        # torch does not reuse pinned memory before the copy is done
        return batch.result().to(self.device, non_blocking=True)


def batches(
    images: Tensor | Streamed, labels: Tensor, order: Tensor, size: int, first: int = 0
) -> Generator[tuple[Tensor, Tensor]]:
    """Yield images and labels in batches, on the labels' device.

    Close the generator if you stop iterating early.

    Args:
        images: Images, uint8 ``(N, H, W)``.
        labels: Labels, int64 ``(N,)``.
        order: Indices of the images in the order of use, int64 on the CPU.
        size: Batch size; an incomplete last batch is dropped.
        first: Number of batches to skip.
    """
    starts = range(first * size, len(order) - size + 1, size)
    indices = order.to(labels.device)
    if isinstance(images, Tensor):
        for start in starts:
            batch_indices = indices[start : start + size]
            yield images[batch_indices], labels[batch_indices]
        return
    numbers = order.numpy()
    with closing(images.read(numbers[start : start + size] for start in starts)) as read:
        for start, batch in zip(starts, read, strict=True):
            yield batch, labels[indices[start : start + size]]


def chunks(images: Tensor | Streamed, size: int) -> Generator[Tensor]:
    """Yield all images in order, in chunks of at most ``size`` images, on their device."""
    if isinstance(images, Tensor):
        yield from torch.split(images, size)
        return
    count = len(images)
    rows = (np.arange(start, min(start + size, count)) for start in range(0, count, size))
    with closing(images.read(rows)) as read:
        yield from read


def take(images: Tensor | Streamed, rows: Tensor) -> Tensor:
    """Return the images at the indices ``rows`` (int64 on the CPU), on the images' device."""
    if isinstance(images, Tensor):
        return images[rows.to(images.device)]
    with closing(images.read([rows.numpy()])) as read:
        return next(read)
