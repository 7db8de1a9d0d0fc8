"""Model folders of others: exchanged files and greedy cards are refused."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

import oraclezoo as oz
from helpers.commands import oraclezoo
from oraclezoo.errors import ResultError

SAMPLES = Path(__file__).parents[1] / "samples" / "v0.1"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder as this version writes it, with weights, a graph and digests of both."""
    folder = tmp_path_factory.mktemp("model") / "exported"
    model = oz.load(SAMPLES / "exported")
    return model.save(folder)


@pytest.fixture
def copied(saved: Path, tmp_path: Path) -> Path:
    """A copy of it that may be changed."""
    return Path(shutil.copytree(saved, tmp_path / "copied"))


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "model.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    change(card)
    path.write_text(json.dumps(card), encoding="utf-8")


def test_an_untouched_folder_loads(copied: Path) -> None:
    """Otherwise the other tests would show nothing."""
    oz.load(copied)


@pytest.mark.parametrize("name", ["model.safetensors", "model.onnx"])
def test_an_exchanged_file_is_refused(copied: Path, name: str) -> None:
    """One changed byte of the weights or the graph is enough."""
    content = bytearray((copied / name).read_bytes())
    content[-1] ^= 1
    (copied / name).write_bytes(content)
    with pytest.raises(ResultError, match=rf"SHA-256 of {name} is not that in its card"):
        oz.load(copied)


def test_a_card_cannot_ask_for_a_download(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused before any connection."""

    def connect(*arguments: object) -> NoReturn:
        raise AssertionError("a connection")

    edit(copied, lambda card: card["backbone"]["options"].update(pretrained=True))
    monkeypatch.setattr(socket.socket, "connect", connect)
    with pytest.raises(ResultError, match="requests pretrained weights"):
        oz.load(copied)


@pytest.mark.parametrize("key", ["image_size", "num_classes", "in_chans"])
def test_a_card_cannot_ask_for_a_huge_input(copied: Path, key: str) -> None:
    """It is refused before anything is allocated, by predict as well."""
    edit(copied, lambda card: card["input"].update({key: 10**9}))
    with pytest.raises(ResultError, match="input is"):
        oz.load(copied)
    done = oraclezoo("predict", "--model", copied, "--demo")
    assert done.exit_code == 1
    assert "input is" in done.stderr
