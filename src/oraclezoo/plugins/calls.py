"""Calls into a plugin's code: errors name the plugin, and process-wide settings are preserved."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from oraclezoo.errors import OracleZooError, PluginError


@contextmanager
def foreign(
    component: str, action: str, *, guarded: bool, randomness: bool = True
) -> Iterator[None]:
    """Run a component's own code.

    Args:
        component: The component's name, distribution and version, for messages.
        action: ``"imported"`` or ``"built"``.
        guarded: Whether to restore process-wide settings afterwards, with a warning.
        randomness: Whether these settings include random states.

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
            warn(f"{component} changes {', '.join(changed)} when {action}; this was undone")


def warn(text: str) -> None:
    """Log a warning about a plugin."""
    import logging  # slow, and rarely needed

    logging.getLogger("oraclezoo.plugins").warning(text)
