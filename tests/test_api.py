"""The public API: lazy, and hidden by no package."""

from __future__ import annotations

import subprocess
import sys
from types import FunctionType

import pytest

import oraclezoo as oz


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
