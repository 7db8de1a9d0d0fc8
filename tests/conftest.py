"""Fixtures that more than one test room needs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data" / "oracle-mnist"
"""Where the real files lie when nothing else is said: beside the checkout, never inside it."""

settings.register_profile("oraclezoo", deadline=None)  # no test asserts a wall-clock time
settings.load_profile("oraclezoo")

NEEDED = ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")


@pytest.fixture(scope="session")
def oracle_dir() -> Path:
    """The folder with Oracle-MNIST's official test file; skips visibly where it is not."""
    folder = Path(os.environ.get("ORACLEZOO_TEST_DATA") or BESIDE)
    missing = [name for name in NEEDED if not (folder / name).is_file()]
    if missing:
        pytest.skip(f"no {missing[0]} in {folder}; set ORACLEZOO_TEST_DATA to the real files")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _apart_from_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes the user's cache, or listens to the user's settings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        for name in [name for name in os.environ if name.startswith("ORACLEZOO_")]:
            if not name.startswith("ORACLEZOO_TEST_"):
                patch.delenv(name)
        yield
