"""What the cases share: the attacked zoo, small data, a run, models and pictures."""

from __future__ import annotations

import functools
import gzip
import json
import re
import shutil
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from _faults.process import Ran, Setting
from _faults.records import Attempt
from _faults.zoo import Zoo

CHECKOUT = Path(__file__).resolve().parents[2]
CLASSES = 4
SIZE = 16

RECIPE = """\
summary = "A small network on small data"

[data]
track = "idx"

[backbone]
name = "{backbone}"

[optimizer]
name = "adamw"
lr = 0.01

[scheduler]
name = "onecycle"

[budget]
epochs = {epochs}
batch_size = 16
"""


@dataclass(frozen=True, slots=True)
class Amount:
    """How much is tried: mutations for each parser, kills, and the seed of both."""

    mutations: int = 2000
    kills: int = 100
    seed: int = 0


def write_idx(path: Path, array: npt.NDArray[np.uint8]) -> None:
    """Write an IDX file, compressed if its name ends in ``.gz``."""
    header = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    content = header + array.tobytes()
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def write_data(folder: Path, seed: int, *, train: int = 80, test: int = 40) -> Path:
    """Write a data set of four classes that a small network learns in two epochs."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    for name, count in (("train", train), ("t10k", test)):
        labels = (np.arange(count) % CLASSES).astype(np.uint8)
        images = generator.integers(0, 90, (count, SIZE, SIZE), dtype=np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[4 * label : 4 * label + 3] = 220
        write_idx(folder / f"{name}-images-idx3-ubyte", images)
        write_idx(folder / f"{name}-labels-idx1-ubyte", labels)
    return folder


class Lab:
    """Materials of one run of the harness, made by the attacked oraclezoo when first needed."""

    def __init__(
        self, zoo: Zoo, work: Path, amount: Amount, note: Callable[[str], None] = lambda text: None
    ) -> None:
        self.zoo, self.work, self.amount, self.note = zoo, work, amount, note
        self._number = 0
        self._known: dict[tuple[Path, str], npt.NDArray[np.float64] | None] = {}

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """A new empty folder, removed afterwards."""
        self._number += 1
        path = self.work / f"c{self._number}"
        path.mkdir(parents=True)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def say(self, attempt: Attempt) -> Attempt:
        """Report an attempt to whoever listens, and return it."""
        self.note(f"{attempt.verdict.value:10} {attempt.what}: {attempt.why}\n{attempt.ran}")
        return attempt

    def recipe(
        self, folder: Path, *, backbone: str = "mlp", epochs: int = 2, name: str = "tiny"
    ) -> Path:
        """Write a recipe file."""
        path = folder / f"{name}.toml"
        path.write_text(RECIPE.format(backbone=backbone, epochs=epochs), encoding="utf-8")
        return path

    @functools.cached_property
    def data(self) -> Path:
        """A small data set."""
        return write_data(self.work / "data-a", 1)

    @functools.cached_property
    def other_data(self) -> Path:
        """Another one of the same sizes."""
        return write_data(self.work / "data-b", 2)

    @functools.cached_property
    def run(self) -> Path:
        """A finished run on :attr:`data`."""
        return self.train(self.work / "shared-run", self.data)

    @functools.cached_property
    def other_run(self) -> Path:
        """A run of the same backbone on :attr:`other_data`, with other weights."""
        return self.train(self.work / "shared-other-run", self.other_data)

    @functools.cached_property
    def model(self) -> Path:
        """A model folder with an ONNX file, of :attr:`run`."""
        return self.export(self.run, self.work / "shared-model")

    @functools.cached_property
    def other_model(self) -> Path:
        """A model folder of :attr:`other_run`."""
        out = self.work / "shared-other-model"
        return self.export(self.other_run, out, data=self.other_data)

    @functools.cached_property
    def plain_model(self) -> Path:
        """A model folder without an ONNX file, of :attr:`run`."""
        out = self.work / "shared-plain"
        self.need(self.zoo.probe(Setting(self.work), "run_model", self.run, out))
        return out

    @functools.cached_property
    def images(self) -> Path:
        """Blends of test images as a ``.npy`` file: no model is sure of them."""
        path = self.work / "images.npy"
        images = self.test_images()[:12].astype(np.uint16)
        np.save(
            path,
            ((images + np.roll(images, 1, 0) + np.roll(images, 2, 0)) // 3)[:8].astype(np.uint8),
        )
        return path

    @functools.cached_property
    def pictures(self) -> Path:
        """A folder of four PNG files."""
        folder = self.work / "pictures"
        folder.mkdir()
        for number, image in enumerate(self.test_images()[:4]):
            Image.fromarray(image).save(folder / f"{number}.png")
        return folder

    def test_images(self) -> npt.NDArray[np.uint8]:
        """Return the test images of :attr:`data`."""
        content = (self.data / "t10k-images-idx3-ubyte").read_bytes()
        return np.frombuffer(content, np.uint8, offset=16).reshape(-1, SIZE, SIZE)

    @property
    def published(self) -> Path:
        """Folder of the published results of this checkout."""
        return CHECKOUT / "benchmarks" / "results"

    def train(
        self, folder: Path, data: Path, setting: Setting | None = None, **recipe: Any
    ) -> Path:
        """Train a recipe and return the run folder."""
        folder.mkdir(parents=True, exist_ok=True)
        file = self.recipe(folder, **recipe)
        words = ("train", file, "--data-dir", data, "--device", "cpu", "--out", folder / "runs")
        self.need(self.zoo.run(setting or Setting(folder), *words))
        return run_in(folder / "runs")

    def export(
        self, source: Path, out: Path, setting: Setting | None = None, data: Path | None = None
    ) -> Path:
        """Export a model and return the folder."""
        words = ("export", source, *self.out("export", out), *self.measuring(data))
        self.need(self.zoo.run(setting or Setting(self.work), *words))
        return out

    def measuring(self, data: Path | None = None) -> tuple[str | Path, ...]:
        """Return the options of compression commands: data, no timing."""
        return ("--data-dir", data or self.data, "--no-timed")

    def out(self, command: str, folder: Path) -> tuple[str | Path, ...]:
        """Return the arguments for the output; in version 0.1.0 it is positional."""
        return ("--out", folder) if self.zoo.has_option(command, "--out") else (folder,)

    def overwrite(self, command: str) -> tuple[str, ...]:
        """Return the option that repeats finished work."""
        return ("--overwrite",) if self.zoo.has_option(command, "--overwrite") else ("--fresh",)

    def need(self, ran: Ran) -> Ran:
        """Raise unless a command worked that only prepares an attack."""
        if ran.status != 0:
            raise PreparationError(f"{ran.err.strip()[-200:]} ({ran.command})")
        return ran

    def known(self, model: Path, probe: str) -> npt.NDArray[np.float64] | None:
        """Return the predictions of a model folder that does not change."""
        key = (model, probe)
        if key not in self._known:
            self._known[key] = self.predictions(model, probe=probe)
        return self._known[key]

    def predictions(self, model: Path, *, probe: str = "predict") -> npt.NDArray[np.float64] | None:
        """Return the probabilities of a model for :attr:`images`, or None if it does not load."""
        ran = self.zoo.probe(Setting(self.work), probe, model, self.images)
        return np.array(ran.data) if ran.status == 0 else None


class PreparationError(Exception):
    """A command that prepares an attack failed."""


def run_in(folder: Path) -> Path:
    """Return the only run folder below a folder."""
    found = sorted(path.parent for path in folder.glob("*/run.json"))
    if len(found) != 1:
        raise PreparationError(f"{folder} has {len(found)} runs")
    return found[0]


def read(path: Path) -> Any:
    """Return the content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def edit(path: Path, change: Callable[[Any], None]) -> None:
    """Change a JSON file in place."""
    document = read(path)
    change(document)
    path.write_text(json.dumps(document, indent=2), encoding="utf-8")


def mentions(text: str, *words: str) -> list[str]:
    """Return the regular expressions that do not match a text, ignoring case and line breaks."""
    flat = " ".join(text.split())
    return [word for word in words if not re.search(word, flat, re.IGNORECASE)]
