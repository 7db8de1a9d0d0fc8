"""Compare and restore process-wide settings around calls into plugin code.

Settings of torch and NumPy are only read if these packages have been imported.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import Any, Self, cast

_MISSING = object()


@contextmanager
def preserved(changed: list[str], *, randomness: bool = True) -> Iterator[None]:
    """Run a block, and afterwards restore the settings that it changed.

    The settings are the working directory, recursion limit, warning filters, signal handlers,
    environment variables, NumPy's error handling, torch's defaults and thread count and, with
    ``randomness``, random states.

    Args:
        changed: List that receives a description of each change.
        randomness: Whether to include random states.
    """
    before, modules = _read(randomness), set(sys.modules)
    try:
        yield
    finally:
        after = _read(randomness)
        fresh = {name.partition(".")[0] for name in sys.modules.keys() - modules}
        for name, value in after.items():
            old = before.get(name, _FRESH.get(name, _MISSING))
            if old is _MISSING:
                continue
            difference = _DIFFERENCES.get(name, _values)(old, value, fresh)
            if difference:
                changed.append(f"{name}{difference}")
                _restore(name, old, fresh)


class Interrupts:
    """Context manager that distinguishes Ctrl-C from a KeyboardInterrupt raised by code.

    ``pressed`` is True once the process has received SIGINT within the block.
    """

    def __init__(self) -> None:
        self.pressed = False
        self._before: Callable[[int, FrameType | None], Any] | None = None

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.pressed = True
        if self._before is not None:
            self._before(number, frame)

    def __enter__(self) -> Self:
        handler = signal.getsignal(signal.SIGINT)
        if callable(handler) and threading.current_thread() is threading.main_thread():
            self._before = handler
            signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)


def _read(randomness: bool) -> dict[str, Any]:
    """Return the settings, keyed by the names used in messages."""
    state: dict[str, Any] = {
        "the working folder": _working_folder(),
        "the recursion limit": sys.getrecursionlimit(),
        "the warning filters": list(warnings.filters),
        "signal handlers": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "environment variables": dict(os.environ),
    }
    random, numpy, torch = (sys.modules.get(name) for name in ("random", "numpy", "torch"))
    if randomness:
        if random is not None:
            state["the random state of Python"] = random.getstate()
        if numpy is not None and hasattr(numpy, "random"):
            kind, keys, *rest = numpy.random.get_state()
            state["the random state of NumPy"] = (kind, keys.tolist(), *rest)
    if numpy is not None and hasattr(numpy, "geterr"):
        state["NumPy's handling of floating-point errors"] = numpy.geterr()
    if torch is not None and hasattr(torch, "get_default_device"):  # not partially imported
        state |= {
            "torch's default dtype": str(torch.get_default_dtype()),
            "torch's default device": str(torch.get_default_device()),
            "torch's number of threads": torch.get_num_threads(),
            "torch's gradient mode": torch.is_grad_enabled(),
            "torch's deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
            "torch's float32 matmul precision": torch.get_float32_matmul_precision(),
            "torch's cuDNN benchmark mode": torch.backends.cudnn.benchmark,
        }
        if randomness:
            state["the random state of torch"] = torch.get_rng_state().tolist()
    return state


_FRESH: dict[str, Any] = {
    "NumPy's handling of floating-point errors": {
        "divide": "warn",
        "over": "warn",
        "under": "ignore",
        "invalid": "warn",
    },
    "torch's cuDNN benchmark mode": False,
    "torch's default dtype": "torch.float32",
    "torch's default device": "cpu",
    "torch's gradient mode": True,
    "torch's deterministic algorithms": False,
    "torch's float32 matmul precision": "highest",
}
"""Settings of a process that has not imported torch or NumPy before."""


def _values(old: Any, new: Any, fresh: set[str]) -> str:
    """Describe the change of a plain value, or return "" if it did not change."""
    return "" if old == new else f" ({_text(old)} -> {_text(new)})"


def _text(value: Any) -> str:
    """Format a value, or the entries of a mapping."""
    if isinstance(value, dict):
        return ", ".join(f"{key}: {item}" for key, item in value.items())
    return str(value)


def _random(old: Any, new: Any, fresh: set[str]) -> str:
    return "" if old == new else " (seeded or drawn from)"


def _filters(old: list[Any], new: list[Any], fresh: set[str]) -> str:
    """Return whether filters for all modules and messages differ; narrower filters are harmless."""
    return (
        "" if list(filter(_blanket, old)) == list(filter(_blanket, new)) else " (for all modules)"
    )


def _blanket(entry: Any) -> bool:
    _, message, category, module, _ = entry
    return message is None and module is None and category.__module__ == "builtins"


def _signals(old: dict[int, Any], new: dict[int, Any], fresh: set[str]) -> str:
    names = [signal.Signals(number).name for number, one in new.items() if old[number] != one]
    return f" ({', '.join(sorted(names))})" if names else ""


def _environment(old: dict[str, str], new: dict[str, str], fresh: set[str]) -> str:
    names = _changed(old, new, fresh)
    return f" ({', '.join(names[:5])})" if names else ""


def _changed(old: dict[str, str], new: dict[str, str], fresh: set[str]) -> list[str]:
    """Return changed variables, except those that a newly imported library names after itself."""
    own = tuple(name.strip("_").upper() for name in fresh)
    return sorted(
        name
        for name in old.keys() | new.keys()
        if old.get(name) != new.get(name) and not (name not in old and name.startswith(own))
    )


_DIFFERENCES: dict[str, Callable[[Any, Any, set[str]], str]] = {
    "the warning filters": _filters,
    "signal handlers": _signals,
    "environment variables": _environment,
    "the random state of Python": _random,
    "the random state of NumPy": _random,
    "the random state of torch": _random,
}


def _restore(name: str, value: Any, fresh: set[str]) -> None:
    modules: dict[str, Any] = dict(sys.modules)
    torch: Any = modules.get("torch")
    with suppress(OSError, RecursionError):
        if name == "the working folder" and value is not None:
            os.chdir(value)
        elif name == "the recursion limit":
            sys.setrecursionlimit(value)
        elif name == "the warning filters":
            narrow = [e for e in warnings.filters if not _blanket(e) and e not in value]
            warnings.resetwarnings()  # also clears results cached with the old filters
            cast("list[Any]", warnings.filters).extend([*narrow, *value])
        elif name == "signal handlers":
            _restore_signals(value)
        elif name == "environment variables":
            for variable in _changed(value, dict(os.environ), fresh):
                if variable in value:
                    os.environ[variable] = value[variable]
                else:
                    del os.environ[variable]
        elif name == "the random state of Python":
            modules["random"].setstate(value)
        elif name == "the random state of NumPy":
            modules["numpy"].random.set_state(value)
        elif name == "the random state of torch":
            torch.set_rng_state(torch.tensor(value, dtype=torch.uint8))
        elif name == "NumPy's handling of floating-point errors":
            modules["numpy"].seterr(**value)
        elif name == "torch's cuDNN benchmark mode":
            torch.backends.cudnn.benchmark = value
        elif name == "torch's default dtype":
            torch.set_default_dtype(getattr(torch, value.removeprefix("torch.")))
        elif name == "torch's default device":
            torch.set_default_device(None if value == "cpu" else value)
        elif name == "torch's number of threads":
            torch.set_num_threads(value)
        elif name == "torch's gradient mode":
            torch.set_grad_enabled(value)
        elif name == "torch's deterministic algorithms":
            torch.use_deterministic_algorithms(value)
        elif name == "torch's float32 matmul precision":
            torch.set_float32_matmul_precision(value)


def _restore_signals(handlers: dict[int, Any]) -> None:
    for number, handler in handlers.items():
        # a handler installed by C code is None, and cannot be restored
        if handler is not None and signal.getsignal(number) != handler:
            with suppress(ValueError):  # not in the main thread
                signal.signal(number, handler)


def _working_folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109  # a deleted folder raises
    except OSError:
        return None
