"""Settings of the whole process survive a plugin, and the plugin is named."""

from __future__ import annotations

import logging
import os
import random
import signal
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from oraclezoo.plugins.host import build_host
from oraclezoo.plugins.process_state import Interrupts, _blanket, preserved
from oraclezoo.plugins.registry import build_registry

CHANGES = {
    "the working folder": "import os\nos.chdir('/')",
    "the recursion limit (": "import sys\nsys.setrecursionlimit(50_000)",
    "the warning filters": "import warnings\nwarnings.simplefilter('ignore')",
    "signal handlers (SIGTERM)": "import signal\nsignal.signal(signal.SIGTERM, print)",
    "environment variables (OMP_NUM_THREADS)": "import os\nos.environ['OMP_NUM_THREADS'] = '99'",
    "environment variables (HOME)": "import os\ndel os.environ['HOME']",
    "torch's default dtype (torch.float32 -> torch.float64)": (
        "import torch\ntorch.set_default_dtype(torch.float64)"
    ),
    "torch's number of threads": "import torch\ntorch.set_num_threads(3)",
    "torch's gradient mode (True -> False)": "import torch\ntorch.set_grad_enabled(False)",
    "torch's deterministic algorithms": "import torch\ntorch.use_deterministic_algorithms(True)",
    "torch's default device (cpu -> meta)": "import torch\ntorch.set_default_device('meta')",
    "torch's cuDNN benchmark mode (False -> True)": (
        "import torch\ntorch.backends.cudnn.benchmark = True"
    ),
    "NumPy's handling of floating-point errors": "import numpy\nnumpy.seterr(all='raise')",
    "the random state of Python": "import random\nrandom.seed(0)",
    "the random state of NumPy": "import numpy\nnumpy.random.seed(0)",
    "the random state of torch": "import torch\ntorch.manual_seed(0)",
}


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Start from settings that no change above leads to."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    random.seed(1)
    np.random.seed(1)  # the global state is what a plugin may change
    torch.manual_seed(1)
    torch.use_deterministic_algorithms(False)  # imports more of torch


def settings() -> dict[str, Any]:
    """Return what the changes above change."""
    return {
        "folder": Path.cwd(),
        "limit": sys.getrecursionlimit(),
        "filters": list(filter(_blanket, warnings.filters)),
        "handler": signal.getsignal(signal.SIGTERM),
        "environment": dict(os.environ),
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "threads": torch.get_num_threads(),
        "gradients": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "cudnn": torch.backends.cudnn.benchmark,
        "errors": np.geterr(),
        "python": random.getstate(),
        "numpy": np.random.get_state()[1].tolist(),  # type: ignore[index,union-attr]
        "torch": torch.get_rng_state().tolist(),
    }


@pytest.mark.parametrize(("change", "source"), CHANGES.items(), ids=CHANGES)
def test_a_plugin_that_changes_a_setting_at_import_is_named_and_undone(
    site: Any, caplog: pytest.LogCaptureFixture, change: str, source: str
) -> None:
    """It still works; a warning and the doctor say what it changes."""
    site.add("zoo-x", source)
    before = settings()
    plugin = build_host().plugins[1]
    assert settings() == before
    assert plugin.status == "ok"
    assert any(f"it changes {change}" in why for why, _ in plugin.notes), plugin.notes
    (record,) = caplog.records
    assert f"plugin zoo-x:main changes {change}" in record.message


@pytest.mark.parametrize(("change", "source"), CHANGES.items(), ids=CHANGES)
def test_a_target_that_changes_a_setting_at_import_is_named_and_undone(
    site: Any, caplog: pytest.LogCaptureFixture, change: str, source: str
) -> None:
    """The module with the component is guarded like the entry point's."""
    heavy = f"{site.add('zoo-x', '')}_net"
    site.modules.append(heavy)
    output = "\nimport torch.nn\n\n\ndef made(**shape):\n    return torch.nn.Identity()\n"
    (site.folder / f"{heavy}.py").write_text(source + output)
    spec = f"Spec('backbone', 'net', '{heavy}:made', '')"
    site.add("zoo-y", f"@hookimpl\ndef oraclezoo_backbones():\n    return [{spec}]\n")
    registry = build_registry()
    before = settings()
    registry.create("backbone", "net", in_chans=1, num_classes=2, image_size=8)
    assert settings() == before
    assert f"backbone 'zoo-y:net' (zoo-y 1.0) changes {change}" in caplog.text


def test_a_tracker_that_changes_a_setting_at_import_is_named_and_undone(
    site: Any, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """It would change the training that it is to log."""
    heavy = f"{site.add('zoo-x', '')}_log"
    site.modules.append(heavy)
    (site.folder / f"{heavy}.py").write_text(
        "import torch\ntorch.set_default_dtype(torch.float64)\n\n\n"
        "def made(**settings):\n    return object()\n"
    )
    spec = f"Spec('tracker', 'log', '{heavy}:made', '')"
    site.add("zoo-y", f"@hookimpl\ndef oraclezoo_trackers():\n    return [{spec}]\n")
    registry = build_registry()
    registry.create("tracker", "log", run_name="r", folder=tmp_path, config={})
    assert torch.get_default_dtype() == torch.float32
    assert "tracker 'zoo-y:log' (zoo-y 1.0) changes torch's default dtype" in caplog.text


def test_a_factory_that_changes_a_setting_is_named_and_undone(
    site: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Drawing random numbers is what a factory may do."""
    module = site.add(
        "zoo-x",
        "def made(**shape):\n"
        "    import torch\n"
        "    torch.rand(1)\n"
        "    torch.set_default_dtype(torch.float64)\n"
        "    return torch.nn.Identity()\n\n"
        "@hookimpl\ndef oraclezoo_backbones():\n"
        "    return [Spec('backbone', 'net', __name__ + ':made', '')]\n",
    )
    assert module
    registry = build_registry()
    before = torch.get_rng_state()
    registry.create("backbone", "net", in_chans=1, num_classes=2, image_size=8)
    assert torch.get_default_dtype() == torch.float32
    assert not torch.equal(before, torch.get_rng_state())
    (record,) = caplog.records
    assert "changes torch's default dtype (torch.float32 -> torch.float64) when built" in (
        record.message
    )


def test_what_a_library_does_for_itself_is_no_fault() -> None:
    """Narrow filters, and variables named after a library that is imported."""
    changed: list[str] = []
    sys.modules.pop("zoo_library", None)
    with preserved(changed):
        sys.modules["zoo_library"] = threading
        os.environ["ZOO_LIBRARY_CACHE"] = "here"
        warnings.filterwarnings("ignore", message="numpy.dtype size changed")
    assert changed == []
    assert os.environ.pop("ZOO_LIBRARY_CACHE") == "here"
    del sys.modules["zoo_library"]


def test_settings_are_restored_after_an_error() -> None:
    """The exception passes."""
    changed: list[str] = []
    before = Path.cwd()

    def leave() -> None:
        with preserved(changed):
            os.chdir("/")
            raise SystemExit(0)

    with pytest.raises(SystemExit):
        leave()
    assert Path.cwd() == before
    assert changed == [f"the working folder ({before} -> /)"]


def test_interrupts_know_ctrl_c_from_a_raised_exception() -> None:
    """The handler of before is called and restored."""
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), Interrupts() as raised:
        raise KeyboardInterrupt
    assert not raised.pressed
    with pytest.raises(KeyboardInterrupt), Interrupts() as pressed:
        signal.raise_signal(signal.SIGINT)
    assert pressed.pressed
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_load_outside_the_main_thread_works(site: Any) -> None:
    """Signal handlers can only be set in the main thread."""
    site.add("zoo-x", "raise KeyboardInterrupt")
    site.offer("zoo-y", "net")
    states: list[str] = []
    thread = threading.Thread(
        target=lambda: states.extend(plugin.status for plugin in build_host().plugins)
    )
    thread.start()
    thread.join()
    assert states == ["ok", "quarantined", "ok"]


def test_a_plugin_that_leaves_settings_alone_is_not_warned_about(
    site: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is logged."""
    site.offer("zoo-y", "net")
    with caplog.at_level(logging.DEBUG):
        assert build_host().plugins[1].notes == ()
    assert not caplog.records
