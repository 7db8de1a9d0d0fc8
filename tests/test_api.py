"""The public API: lazy, and hidden by no package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import FunctionType

import numpy as np
import pytest

import oraclezoo as oz
from oraclezoo.errors import RecipeError, ResultError, UnknownNameError, UsageError
from oraclezoo.ranking.load import published_folder


def test_public_names_survive_the_import_of_every_package() -> None:
    """``oraclezoo.train`` is the function before and after all packages are imported."""
    code = (
        "import importlib, pkgutil, types, oraclezoo as oz\n"
        "for module in pkgutil.iter_modules(oz.__path__, 'oraclezoo.'):\n"
        "    if not module.name.endswith('__main__'):\n"
        "        importlib.import_module(module.name)\n"
        "assert not any(isinstance(getattr(oz, name), types.ModuleType) for name in oz.__all__)\n"
        "assert 'backbone' == next(iter(oz.registry())).spec.kind\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_importing_the_package_is_light() -> None:
    """``import oraclezoo`` brings neither torch nor numpy; a recipe does not either."""
    code = (
        "import sys, oraclezoo as oz\n"
        "oz.Recipe.load('default'); oz.registry(); dir(oz)\n"
        "heavy = {'torch', 'timm', 'numpy', 'onnx', 'scipy', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_there() -> None:
    """Nothing listed is missing; a name that is not listed is refused in Python's words."""
    for name in oz.__all__:
        assert getattr(oz, name) is not None
    assert dir(oz) == sorted(oz.__all__)
    assert isinstance(oz.train, FunctionType)
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        oz.trian  # type: ignore[attr-defined]  # noqa: B018  # that is what is tested


def test_a_single_recipe_name_is_not_a_list_of_letters(tiny_idx: Path, tmp_path: Path) -> None:
    """``oz.bench("quick")`` looks for the recipe of this name; an unknown one is named whole."""
    with pytest.raises(UnknownNameError, match="unknown recipe 'quik'"):
        oz.bench("quik", out=tmp_path / "results", runs=tmp_path / "runs")
    with pytest.raises(UnknownNameError, match="unknown dataset 'nowhere'"):
        oz.bench("quick", track="nowhere", out=tmp_path / "results", runs=tmp_path / "runs")
    with pytest.raises(RecipeError, match=r"missing\.toml: no such file"):
        oz.bench(tmp_path / "missing.toml")


def test_a_leaderboard_takes_a_folder_a_file_or_results() -> None:
    """One or several, mixed; anything else is refused in one line."""
    folder = published_folder()
    first, second = sorted(folder.glob("oracle-mnist-3k-t*.json"))[:2]
    whole = oz.leaderboard(str(folder), track="oracle-mnist-3k", division="closed")
    assert len(whole.rows) == len(
        oz.leaderboard([folder], track=whole.track, division="closed").rows
    )
    assert [row.id for row in oz.leaderboard(first).rows] == [first.stem]
    assert [row.id for row in oz.leaderboard(oz.Result.load(first)).rows] == [first.stem]
    assert len(oz.leaderboard([oz.Result.load(first), str(second)]).rows) == 2
    with pytest.raises(UsageError, match="takes results, or files and folders"):
        oz.leaderboard([first, 3])  # type: ignore[list-item]  # that is what is tested
    with pytest.raises(ResultError, match="no such file or folder"):
        oz.leaderboard("no-such-folder")


def test_load_opens_models_and_runs(tiny_run: Path, tmp_path: Path) -> None:
    """A run folder gives its trained model; the folder of a saved model gives that model."""
    images = np.zeros((1, 16, 16), np.uint8)
    expected = oz.Run.load(tiny_run).model().predict(images).probabilities
    loaded = oz.load(tiny_run)
    assert np.array_equal(loaded.predict(images).probabilities, expected)
    again = oz.load(loaded.save(tmp_path / "model"))
    assert np.array_equal(again.predict(images).probabilities, expected)


def test_predict_is_the_predictor_of_the_model() -> None:
    """One call for one picture; the default is the default model of the command line."""
    image = np.zeros((1, 28, 28), np.uint8)
    image[0, 5:23, 13:15] = 255
    for name in ("oraclenet_n", "oraclenet_s"):
        expected = oz.predictor(name).predict(image).probabilities
        assert np.array_equal(oz.predict(image, name).probabilities, expected)
    assert np.array_equal(oz.predict(image).probabilities, expected)


def test_objects_are_short_in_a_prompt_and_tables_in_a_notebook(tiny_run: Path) -> None:
    """A line names the object; HTML in its values is escaped."""
    result = oz.Result.load(next(published_folder().glob("oracle-mnist-3k-tiny*.json")))
    registry = oz.registry()
    objects = {
        "Recipe(name='tiny', track=": oz.Recipe.load("tiny"),
        f"Run(folder={str(tiny_run)!r}, status='done'": oz.Run.load(tiny_run),
        "Model(backbone=": oz.Run.load(tiny_run).model(),
        f"Result(id='{result.id}'": result,
        "Table(track='oracle-mnist-3k'": oz.leaderboard(result),
        "Registry(backbones=": registry,
        "Entry(kind='backbone', name='oraclezoo:lenet5'": registry.get("backbone", "lenet5"),
    }
    for start, shown in objects.items():
        assert repr(shown).startswith(start)
        assert len(repr(shown)) < 400
        assert "<table" in shown._repr_html_()
    html = oz.Recipe.load("tiny", {"name": "tiny", "backbone.name": "<b>"})._repr_html_()
    assert "<b>" not in html
    assert "&lt;b&gt;" in html
    assert repr(oz.Run(tiny_run / "absent")).endswith("status='unreadable')")
