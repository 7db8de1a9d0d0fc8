"""Tracker tensorboard, read back with TensorBoard."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest

from oraclezoo.errors import OracleZooError
from oraclezoo.trackers.tensorboard import TensorBoard


def read(folder: Path) -> Any:
    """Read the event files with TensorBoard's reader, without sampling."""
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    ).EventAccumulator(str(folder))
    return accumulator.Reload()


def steps(folder: Path) -> list[int]:
    return [event.step for event in read(folder).Scalars("train/loss")]


def test_scalars_settings_and_text_are_read_back(tmp_path: Path) -> None:
    """Scalars by step, hyperparameters by name, and the recipe as text."""
    (tmp_path / "recipe.toml").write_text('name = "a"\n')
    config = {"optimizer.lr": 0.1, "optimizer.betas": [0.9, 0.99], "backbone.hidden": None}
    tracker = TensorBoard(run_name="a", folder=tmp_path, config=config)
    tracker.artifact(tmp_path / "recipe.toml")
    for step in (1, 2):
        tracker.log(step, {"train/loss": 1 / step})
    tracker.finish("done")
    actual = read(tmp_path / "tensorboard")
    assert [event.value for event in actual.Scalars("train/loss")] == [1.0, 0.5]
    (text,) = actual.Tensors("recipe.toml/text_summary")
    assert b'name = "a"' in text.tensor_proto.string_val[0]
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    content = actual.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    settings = HParamsPluginData.FromString(content).session_start_info.hparams
    assert settings["optimizer.lr"].number_value == 0.1
    assert settings["optimizer.betas"].string_value == "[0.9, 0.99]"


def test_steps_after_a_break_are_not_shown_twice(tmp_path: Path) -> None:
    """A run resumed at step 2 replaces later events; a new run replaces all."""
    first = TensorBoard(run_name="a", folder=tmp_path, config={"resumed_step": 0})
    for step in (1, 2, 3):
        first.log(step, {"train/loss": 1.0})
    first.finish("interrupted")
    second = TensorBoard(run_name="a", folder=tmp_path, config={"resumed_step": 2})
    for step in (3, 4):
        second.log(step, {"train/loss": 1.0})
    second.finish("done")
    assert steps(tmp_path / "tensorboard") == [1, 2, 3, 4]
    anew = TensorBoard(run_name="a", folder=tmp_path, config={"resumed_step": 0})
    anew.log(1, {"train/loss": 1.0})
    anew.finish("done")
    assert steps(tmp_path / "tensorboard") == [1]


def test_without_the_package_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one-line error names the extra."""
    real = builtins.__import__

    def missing(name: str, *arguments: Any) -> Any:
        if "tensorboard" in str(arguments[2:3]) and name == "torch.utils":
            raise ModuleNotFoundError("No module named 'tensorboard'", name="tensorboard")
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(OracleZooError, match=r"pip install 'oraclezoo\[trackers\]'"):
        TensorBoard(run_name="a", folder=tmp_path, config={})
