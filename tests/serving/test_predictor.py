"""Prediction with a deployed model, and errors for anything else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

import oraclezoo as oz
from helpers.bands import CARD, CLASSES, SIZE, band_graph, drawn, write_model
from oraclezoo.errors import ResultError
from oraclezoo.serving.predictor import Predictor
from oraclezoo.serving.reading import BATCH, read
from oraclezoo.serving.sources import Source, expand


def test_it_reads_images_of_any_kind(deployed: Path, tmp_path: Path) -> None:
    """Files, sizes, shapes and polarities give the label of the bright band."""
    from PIL import Image

    path = tmp_path / "file.png"
    Image.fromarray(255 - drawn(3, 100, 70)).save(path)
    labels, probabilities = oz.predictor(deployed).predict([drawn(0), drawn(2, 99, 60), path])
    assert labels.tolist() == [0, 2, 3]
    assert labels.dtype == np.int64
    assert probabilities.shape == (3, CLASSES)
    assert probabilities.sum(1) == pytest.approx(np.ones(3), abs=1e-5)


def test_the_card_says_how_far_jpeg_images_are_smoothed(deployed: Path, tmp_path: Path) -> None:
    """Without an entry in the card, the smoothing is 0.4."""
    from io import BytesIO

    from PIL import Image

    file = BytesIO()
    Image.fromarray(drawn(1)).save(file, "JPEG", quality=10)
    pixels = np.asarray(Image.open(file))
    scale = {**CARD["preprocessing"], "jpeg_smoothing": 0.0}
    exact = Predictor(write_model(tmp_path / "model", preprocessing=scale))
    raw = exact.predict(pixels[None]).probabilities
    assert np.array_equal(exact.predict(file.getvalue()).probabilities, raw)
    assert not np.array_equal(Predictor(deployed).predict(file.getvalue()).probabilities, raw)
    assert next(read(exact, [Source("one", BytesIO(file.getvalue()))])).probabilities == (
        pytest.approx(raw[0], abs=1e-6)
    )


def test_an_image_reads_alike_alone_and_in_a_crowd(deployed: Path) -> None:
    """Predictions do not depend on the batch."""
    images = np.stack([drawn(i % CLASSES, seed=i) for i in range(2 * BATCH + 3)])
    predictor = Predictor(deployed, threads=1)
    whole = predictor.predict(images).probabilities
    assert np.allclose(whole[-1], predictor.predict(images[-1]).probabilities[0], atol=1e-6)
    assert (whole.argmax(1) == np.arange(len(images)) % CLASSES).all()
    assert predictor.predict(images[:0]).probabilities.shape == (0, CLASSES)


def test_many_sources_are_read_in_order_and_bad_ones_told(deployed: Path, tmp_path: Path) -> None:
    """At most one batch of sources is held at a time."""
    from io import BytesIO

    from PIL import Image

    taken = 0

    def sources():  # type: ignore[no-untyped-def]  # a generator of sources
        nonlocal taken
        for number in range(BATCH + 10):
            taken += 1
            if number == 5:
                yield Source("bad", reason="for a reason")
                continue
            file = BytesIO()
            Image.fromarray(drawn(number % CLASSES)).save(file, "PNG")
            file.seek(0)
            yield Source(str(number), file)

    readings = read(Predictor(deployed), sources())
    first = next(readings)
    assert (first.name, first.top(2)[0], taken) == ("0", 0, BATCH)
    others = list(readings)
    assert [r.name for r in others][:5] == ["1", "2", "3", "4", "bad"]
    assert [r.reason for r in others if r.reason] == ["for a reason"]
    assert all(r.top(1) == [int(r.name) % CLASSES] for r in others if not r.reason)
    assert others[4].top(3) == []


def test_reading_never_imports_torch(deployed: Path) -> None:
    """Nor does it import timm, onnx or scipy."""
    code = (
        "import sys, numpy as np, oraclezoo as oz\n"
        f"print(oz.predictor({str(deployed)!r}).predict(np.zeros((1, 16, 16), np.uint8)).labels)\n"
        "heavy = {'torch', 'timm', 'onnx', 'scipy', 'requests'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"schema": "oraclezoo/model/2"}, "not a model card"),
        ({"onnx": None}, "has no ONNX file.*oraclezoo export"),
        ({"classes": ["one"]}, "1 classes and 4 glyphs"),
        ({"glyphs": ["一"]}, "4 classes and 1 glyphs"),
        ({"input": {**CARD["input"], "image_size": 10**9}}, "input is"),
        ({"input": {**CARD["input"], "in_chans": 3}}, "3 channels"),
        ({"input": None}, "not a valid model card"),
        ({"preprocessing": {"mean": 0.1, "std": 0.0}}, "preprocessing is"),
        ({"preprocessing": {**CARD["preprocessing"], "jpeg_smoothing": 2}}, "preprocessing is"),
        ({"onnx_entry": {"file": "../model.onnx"}}, "onnx is"),
        (
            {"onnx_entry": {"file": "other.onnx"}},
            "other.onnx: not found, but named in the",
        ),
        ({"onnx_entry": {"sha256": "0" * 64}}, "the file is corrupt or belongs to another model"),
    ],
)
def test_a_folder_that_is_not_right_is_refused(
    changes: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    """Each fault raises an error of one or two lines."""
    folder = write_model(tmp_path / "model", **changes)
    with pytest.raises(ResultError, match=reason) as refused:
        Predictor(folder)
    assert len(str(refused.value).splitlines()) <= 2


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 1}', "[" * 100_000])
def test_a_broken_card_is_refused(text: str, deployed: Path, tmp_path: Path) -> None:
    """The card is truncated, of another type, or malicious."""
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(ResultError, match=r"corrupt or truncated|not a model card"):
        Predictor(tmp_path)


def test_a_place_without_a_card_is_no_model(tmp_path: Path) -> None:
    """An empty folder, a missing folder and a file raise an error."""
    (tmp_path / "file").write_text("x")
    for name in ("", "nowhere", "file"):
        with pytest.raises(ResultError, match="not a model folder"):
            Predictor(tmp_path / name)


NO_TEXT = band_graph().SerializeToString().replace(b"images", b"imag\xffs")
NO_TEXT_IN_A_MESSAGE = band_graph().SerializeToString().replace(b"Softmax", b"Softma\xff")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (band_graph().SerializeToString()[:-40], "truncated, or not an ONNX file"),
        (b"", "cannot be read by ONNX Runtime"),
        (band_graph(size=20).SerializeToString(), "for 16x16 images"),
        (band_graph(classes=5).SerializeToString(), "4 classes"),
        (band_graph(output="scores").SerializeToString(), "scores"),
        (band_graph(dtype=TensorProto.FLOAT).SerializeToString(), "uint8"),
        (NO_TEXT, "cannot be read by ONNX Runtime"),
        (NO_TEXT_IN_A_MESSAGE, "cannot be read by ONNX Runtime"),
    ],
    ids=[
        *("truncated", "empty", "other size", "more classes", "other name", "floats"),
        *("an input's name", "a name in a message"),
    ],
)
def test_an_onnx_file_that_is_not_a_models_is_refused(
    content: bytes, reason: str, tmp_path: Path
) -> None:
    """A matching digest is not sufficient."""
    with pytest.raises(ResultError, match=reason):
        Predictor(write_model(tmp_path, content))


def test_outputs_that_are_no_probabilities_are_refused(tmp_path: Path) -> None:
    """For instance, a graph without softmax."""
    model = band_graph()
    model.graph.node[-1].op_type = "Identity"
    del model.graph.node[-1].attribute[:]
    predictor = Predictor(write_model(tmp_path, model.SerializeToString()))
    with pytest.raises(ResultError, match="outputs are not probabilities"):
        predictor.predict(drawn(1))


def test_a_folder_of_files_reads_as_one_by_one(deployed: Path, tmp_path: Path) -> None:
    """``expand`` and ``read`` work together."""
    from io import BytesIO

    from PIL import Image

    for label in range(CLASSES):
        Image.fromarray(drawn(label, 4 * SIZE, 4 * SIZE)).save(tmp_path / f"{label}.jpg")
    readings = read(Predictor(deployed), expand([str(tmp_path)], BytesIO()))
    assert [(Path(r.name).stem, r.top(1)) for r in readings] == [
        (str(label), [label]) for label in range(CLASSES)
    ]


def test_a_run_folder_comes_with_the_command_that_exports_it(tmp_path: Path) -> None:
    """The command is quoted for the shell."""
    folder = tmp_path / "my run"
    folder.mkdir()
    (folder / "run.json").write_text("{}")
    with pytest.raises(ResultError, match="is a run folder") as caught:
        oz.predictor(folder)
    assert str(caught.value).endswith(f"oraclezoo export '{folder}'")
