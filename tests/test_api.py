"""The public API: lazy, and hidden by no package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import FunctionType

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
        assert name in dir(oz)
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
