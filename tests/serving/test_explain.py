"""Occlusion sensitivity, in Python and on the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from helpers.bands import CLASSES, SIZE, drawn
from oraclezoo.cli import cli
from oraclezoo.errors import UsageError
from oraclezoo.serving.explain import occlusion, write_overlay
from oraclezoo.serving.predictor import Predictor


@pytest.mark.parametrize("label", range(CLASSES))
def test_what_decides_matters_most(label: int, deployed: Path) -> None:
    """The model classifies by the bright band, and covering it costs probability."""
    faint = drawn(label) // 20  # or the model would be certain whatever is covered
    importance = occlusion(Predictor(deployed), faint)
    assert importance.shape == (SIZE, SIZE)
    assert importance.dtype == np.float32
    rows = importance.mean(1)
    assert rows.argmax() * CLASSES // SIZE == label
    assert rows.max() > 0.02


def test_an_overlay_is_red_where_it_matters(tmp_path: Path) -> None:
    """The left half shows the input alone; a file that cannot be written is an error."""
    importance = np.zeros((16, 16), np.float32)
    importance[:8] = 0.5
    write_overlay(tmp_path / "overlay.png", np.full((16, 16), 90, np.uint8), importance)
    page = np.asarray(Image.open(tmp_path / "overlay.png")).astype(int)
    red = page[..., 0] - page[..., 1]
    assert red[:100, -200:].min() > 100
    assert red[-100:].max() == red[:, :280].max() == 0
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="cannot be written"):
        write_overlay(tmp_path / "file" / "x.png", np.zeros((16, 16), np.uint8), importance)


def test_the_command_writes_an_overlay_per_image(deployed: Path, tmp_path: Path) -> None:
    """Images that cannot be read have none."""
    Image.fromarray(drawn(2)).save(tmp_path / "one.png")
    (tmp_path / "bad.png").write_bytes(b"x")
    files = [str(tmp_path / name) for name in ("bad.png", "one.png")]
    folder = tmp_path / "why"
    options = ["--model", str(deployed), "--explain", str(folder)]
    done = CliRunner().invoke(cli, ["predict", *files, *options])
    assert done.exit_code == 1
    assert [path.name for path in folder.iterdir()] == ["0002-one.png"]
