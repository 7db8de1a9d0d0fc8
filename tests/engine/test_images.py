"""Streamed and resident images give the same batches."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from oraclezoo.artifacts.build import build_parts
from oraclezoo.engine.images import AHEAD, Streamed, batches, chunks, take
from oraclezoo.engine.records import TrainingData
from oraclezoo.engine.trainer import Trainer
from oraclezoo.errors import DataError, InterruptedRunError
from oraclezoo.plugins.registry import build_registry
from oraclezoo.recipe import Recipe
from oraclezoo.recipe.resolve import resolve

CPU = torch.device("cpu")
ARRAY = np.random.default_rng(0).integers(0, 256, (64, 16, 16), np.uint8)
LABELS = torch.arange(64) % 4


class Elsewhere:
    """An array-like with only the methods of the contract."""

    def __init__(self, array: npt.NDArray[np.uint8], breaks_at: int = 10**9) -> None:
        self._array, self._breaks_at = array, breaks_at
        self.shape, self.dtype = array.shape, array.dtype
        self.asked: list[list[int]] = []

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, key: Any) -> Any:
        """Return images, in the calling thread."""
        self.asked.append(np.atleast_1d(np.arange(len(self))[key]).tolist())
        if len(self.asked) > self._breaks_at:
            raise DataError("the disk is gone")
        return self._array[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._array)


def readers() -> list[str]:
    """Return the names of the running reader threads."""
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith("oraclezoo-read-ahead")]


@given(
    size=st.integers(1, 70),
    first=st.integers(0, 5),
    cut=st.integers(0, 64),
    order=st.permutations(range(64)),
)
def test_streamed_batches_are_the_resident_ones(
    size: int, first: int, cut: int, order: list[int]
) -> None:
    """This holds for any size, start and order, and for concatenated parts."""
    resident = list(batches(torch.from_numpy(ARRAY), LABELS, torch.tensor(order), size, first))
    parts = [Elsewhere(ARRAY[:cut]), ARRAY[cut:]]
    streamed = list(batches(Streamed(parts, CPU), LABELS, torch.tensor(order), size, first))
    assert len(resident) == len(streamed) == max(0, 64 // size - first)
    for (images, labels), (others, same) in zip(resident, streamed, strict=True):
        assert torch.equal(images, others)
        assert torch.equal(labels, same)
    assert readers() == []


@pytest.mark.parametrize("size", [1, 7, 64, 100])
def test_chunks_and_samples_are_the_same(size: int) -> None:
    """All images in order, with an incomplete last chunk, and any sample."""
    resident, streamed = torch.from_numpy(ARRAY), Streamed([Elsewhere(ARRAY)], CPU)
    assert streamed.shape == (64, 16, 16)
    pairs = list(zip(chunks(resident, size), chunks(streamed, size), strict=True))
    assert all(torch.equal(one, other) for one, other in pairs)
    rows = torch.tensor([3, 60, 0])
    assert torch.equal(take(resident, rows), take(streamed, rows))


def test_it_reads_a_few_batches_ahead_and_no_more() -> None:
    """Memory is bounded, and the thread stops with its consumer."""
    source = Elsewhere(ARRAY)
    with closing(batches(Streamed([source], CPU), LABELS, torch.arange(64), 2)) as pairs:
        next(pairs)
        assert len(source.asked) <= AHEAD + 1
        next(pairs)
        assert readers() != []
    assert readers() == []
    assert len(source.asked) <= AHEAD + 2


def test_what_fails_in_the_thread_is_raised_where_it_is_used() -> None:
    """The original error follows the preceding batches, and no thread is left."""
    source = Elsewhere(ARRAY, breaks_at=3)
    seen = []
    with pytest.raises(DataError, match="the disk is gone"):  # noqa: PT012
        for images, _ in batches(Streamed([source], CPU), LABELS, torch.arange(64), 4):
            seen.append(images)
    assert len(seen) == 3
    assert readers() == []


def trainer(images: torch.Tensor | Streamed, folder: Path, **changes: object) -> Trainer:
    """Return a trainer of a small variant of the default recipe."""
    folder.mkdir(exist_ok=True)
    small = {"budget.epochs": 3, "budget.batch_size": 16, "augment.cutout": 3, **changes}
    registry = build_registry()
    recipe = resolve(Recipe.load("quick", small), registry)
    data = TrainingData(images, LABELS, images, LABELS, 0.5, 0.3, True)
    shape = {"in_chans": 1, "num_classes": 4, "image_size": 16}
    parts = build_parts(recipe, registry, data, shape, 0)
    return Trainer(recipe, parts, data, seed=0, device=CPU, folder=folder)


def weights(of: Trainer) -> list[torch.Tensor]:
    """Return the state that becomes the model."""
    return list(of.kept.state_dict().values())


@pytest.mark.parametrize("steps", [1, 4, 6, 11])
def test_a_streamed_training_stops_resumes_and_ends_as_a_resident_one(
    tmp_path: Path, steps: int
) -> None:
    """The weights are bit-identical for any stop, and no thread is left."""
    whole = trainer(torch.from_numpy(ARRAY), tmp_path / "whole")
    whole.fit()
    calls = iter(range(1, 10**6))
    part = trainer(Streamed([Elsewhere(ARRAY)], CPU), tmp_path / "part")
    with pytest.raises(InterruptedRunError):
        part.fit(should_stop=lambda: next(calls) >= steps)
    assert readers() == []
    again = trainer(Streamed([ARRAY[:40], Elsewhere(ARRAY[40:])], CPU), tmp_path / "part")
    assert again.resume()
    again.fit()
    assert all(torch.equal(a, b) for a, b in zip(weights(whole), weights(again), strict=True))
    assert whole.progress.best == again.progress.best


def test_each_image_is_read_once_an_epoch(tmp_path: Path) -> None:
    """Each epoch is a new shuffle of all images."""
    source = Elsewhere(ARRAY)
    other = torch.from_numpy(ARRAY)
    run = trainer(Streamed([source], CPU), tmp_path, **{"backbone.name": "lenet5"})
    run.data = TrainingData(run.data.images, LABELS, other, LABELS, 0.5, 0.3, True)
    run.fit()
    read = [row for rows in source.asked for row in rows]
    epochs = [read[start : start + 64] for start in range(0, len(read), 64)]
    assert len(epochs) == 3
    assert all(sorted(epoch) == list(range(64)) for epoch in epochs)
    assert epochs[0] != epochs[1]
    assert epochs == [run.inputs.order(epoch).tolist() for epoch in range(3)]


def test_ctrl_c_in_the_loop_ends_the_thread(tmp_path: Path) -> None:
    """Any exception between two batches stops it."""

    def stop() -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer(Streamed([Elsewhere(ARRAY)], CPU), tmp_path).fit(should_stop=stop)
    assert readers() == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_batches_arrive_on_a_gpu_unharmed() -> None:
    """Asynchronous copies from reused memory are correct."""
    cuda = torch.device("cuda")
    order = torch.randperm(64)
    resident = batches(torch.from_numpy(ARRAY).to(cuda), LABELS.to(cuda), order, 4)
    streamed = batches(Streamed([Elsewhere(ARRAY)], cuda), LABELS.to(cuda), order, 4)
    for (images, labels), (others, same) in zip(list(resident), list(streamed), strict=True):
        assert torch.equal(images, others)
        assert torch.equal(labels, same)
