"""Call plugin code: errors name the plugin, and process-wide settings are preserved."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from oraclezoo.errors import OracleZooError, PluginError

_COLLECTED: ContextVar[list[str] | None] = ContextVar("collected", default=None)


@contextmanager
def collected() -> Iterator[list[str]]:
    """Collect the process-wide changes that components make, instead of warning about them."""
    texts: list[str] = []
    token = _COLLECTED.set(texts)
    try:
        yield texts
    finally:
        _COLLECTED.reset(token)


@contextmanager
def foreign(
    component: str, action: str, *, guarded: bool, randomness: bool = True
) -> Iterator[None]:
    """Context manager for calls into the code of a component.

    Args:
        component: Name, distribution and version of the component, for messages.
        action: What is being done to the component, for messages: ``"imported"`` or ``"built"``.
        guarded: Whether to restore process-wide settings afterwards, with a warning.
        randomness: Whether the settings to restore include random states.

    Raises:
        PluginError: The code raised an exception, even SystemExit. Ctrl-C, memory errors and errors
            of oraclezoo pass unchanged.
    """
    changed: list[str] = []
    try:
        if guarded:
            from oraclezoo.plugins.process_state import preserved

            with preserved(changed, randomness=randomness):
                yield
        else:
            yield
    except PluginError as error:
        if not guarded or component in str(error):
            raise
        raise PluginError(f"{component}: {error}") from error
    except (OracleZooError, MemoryError, KeyboardInterrupt):
        raise
    except BaseException as error:
        if "OutOfMemory" in type(error).__name__:
            raise
        text = " ".join(str(error).split())[:200]
        raise PluginError(
            f"{component} cannot be {action}: {type(error).__name__}: {text}"
        ) from error
    finally:
        if changed:
            text = f"{component} changes {', '.join(changed)} when {action}"
            texts = _COLLECTED.get()
            if texts is None:
                warn(f"{text}; this was undone")
            else:
                texts.append(text)


def warn(text: str) -> None:
    """Log a warning about a plugin."""
    import logging  # slow to import, and rarely needed

    logging.getLogger("oraclezoo.plugins").warning(text)
