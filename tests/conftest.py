"""Fixtures shared by several test packages."""

from __future__ import annotations

import importlib
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import oraclezoo  # noqa: F401  (before any test module imports onnxruntime: turns telemetry off)

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data" / "oracle-mnist"
"""Default folder of the real data files: next to the checkout, never inside it."""

# No test asserts a wall-clock time. CI repeats the same examples; local runs use random ones.
settings.register_profile("oraclezoo", deadline=None, derandomize="CI" in os.environ)
settings.register_profile("thorough", deadline=None, max_examples=1000)
settings.load_profile("oraclezoo")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run tests marked `full` as well")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect tests marked ``full`` unless ``--full`` is given."""
    if config.getoption("--full"):
        return
    deselected = [item for item in items if item.get_closest_marker("full")]
    config.hook.pytest_deselected(items=deselected)
    items[:] = [item for item in items if item not in deselected]


NEEDED = ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")


@pytest.fixture(scope="session")
def oracle_dir() -> Path:
    """Return the folder with the official Oracle-MNIST test files; skip if there is none."""
    folder = Path(os.environ.get("ORACLEZOO_TEST_DATA") or BESIDE)
    missing = [name for name in NEEDED if not (folder / name).is_file()]
    if missing:
        pytest.skip(f"no {missing[0]} in {folder}; set ORACLEZOO_TEST_DATA to the real files")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _signals_are_heard() -> None:
    """Restore SIGINT, which background processes of a shell ignore, and nohup's SIGHUP."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def _apart_from_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Isolate tests from the user's cache and environment variables."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        for name in [name for name in os.environ if name.startswith("ORACLEZOO_")]:
            if not name.startswith("ORACLEZOO_TEST_"):
                patch.delenv(name)
        yield


@pytest.fixture(scope="session", autouse=True)
def _jobs_are_forked() -> Iterator[None]:
    """Start jobs as forks of a process that has imported torch: see helpers/forked_jobs.py."""
    from helpers import forked_jobs

    with pytest.MonkeyPatch.context() as patch:
        if forked_jobs.SUPPORTED:
            patch.setattr("oraclezoo.jobs.subprocess", forked_jobs.Subprocess)
        yield


@pytest.fixture
def started_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start jobs as users start them, in processes that have not imported torch."""
    monkeypatch.setattr("oraclezoo.jobs.subprocess", subprocess)


class PluginSite:
    """A folder on ``sys.path`` into which a test installs plugin distributions, as pip would."""

    NUMBERS = itertools.count()  # no two tests share a module's name
    HEADER = "from oraclezoo.hookspecs import hookimpl\nfrom oraclezoo.specs import Option, Spec\n"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.modules: list[str] = []

    def add(
        self,
        distribution: str,
        source: str,
        *,
        entry: str = "main",
        value: str | None = None,
        version: str = "1.0",
    ) -> str:
        """Install ``source`` as a module with an entry point and return the module's name.

        A second call for the same distribution adds another entry point.
        """
        module = f"zoo_test_{next(self.NUMBERS)}"
        self.modules.append(module)
        (self.folder / f"{module}.py").write_text(self.HEADER + source)
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        )
        points = info / "entry_points.txt"
        before = points.read_text() if points.exists() else "[oraclezoo]\n"
        points.write_text(f"{before}{entry} = {module if value is None else value}\n")
        importlib.invalidate_caches()
        return module

    def offer(self, distribution: str, *names: str, entry: str = "main") -> str:
        """Install a plugin that provides backbones with these names."""
        specs = ", ".join(
            f"Spec('backbone', {name!r}, 'torch.nn:Identity', 'from {distribution}')"
            for name in names
        )
        hook = f"@hookimpl\ndef oraclezoo_backbones():\n    return [{specs}]\n"
        return self.add(distribution, hook, entry=entry)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PluginSite]:
    """Return an empty site folder for the plugins of one test."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delenv("ORACLEZOO_DISABLE_PLUGINS", raising=False)
    plugin_site = PluginSite(folder)
    yield plugin_site
    for module in plugin_site.modules:
        sys.modules.pop(module, None)


@pytest.fixture(scope="session")
def tiny_idx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data set for track ``idx`` that trains in seconds: 160 + 40 images, four classes."""
    import numpy as np

    from oraclezoo.data.idx import write_idx

    folder = tmp_path_factory.mktemp("tiny")
    generator = np.random.default_rng(0)
    for name, count in (("train", 160), ("t10k", 40)):
        labels = (np.arange(count) % 4).astype(np.uint8)
        images = generator.integers(0, 90, (count, 16, 16), dtype=np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[4 * label : 4 * label + 3] = 220
        write_idx(folder / f"{name}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{name}-labels-idx1-ubyte", labels)
    return folder


@pytest.fixture(scope="session")
def tiny_run(tiny_idx: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished run on ``tiny_idx``: a narrow OracleNet that fits it well."""
    import oraclezoo as oz

    changes: dict[str, object] = {
        "backbone.name": "oraclenet",
        "backbone.width": 0.25,
        "budget.epochs": 8,
        "budget.batch_size": 16,
        "data.track": "idx",
        "augment.cutout": 0,
        "augment.rotate": 0.0,
        "augment.shift": 0.0,
    }
    recipe = oz.Recipe.load("default", changes)
    out = tmp_path_factory.mktemp("tiny-runs")
    return oz.train(recipe, data_dir=tiny_idx, out=out, device="cpu").folder
