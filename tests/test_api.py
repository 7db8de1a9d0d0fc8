"""The public API: lazy, and safe from rooms of the same name."""

from __future__ import annotations

import subprocess
import sys
from types import FunctionType

import pytest

import oraclezoo as oz


def test_public_names_survive_the_import_of_rooms_of_the_same_name() -> None:
    """``oraclezoo.train`` is the function before and after ``from oraclezoo.train import ...``."""
    code = (
        "import oraclezoo as oz\n"
        "from oraclezoo.train import seeds\n"
        "from oraclezoo.leaderboard import ledger\n"
        "from oraclezoo.compress import plan\n"
        "import oraclezoo.registry\n"
        "assert callable(oz.train) and callable(oz.leaderboard) and callable(oz.registry)\n"
        "assert callable(oz.compress) and plan.Plan\n"
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
    """Nothing listed is missing, and nothing can be replaced by accident."""
    for name in oz.__all__:
        assert getattr(oz, name) is not None
        assert name in dir(oz)
    assert isinstance(oz.train, FunctionType)
    with pytest.raises(AttributeError):
        oz.train = None  # type: ignore[assignment]  # that is what is tested
