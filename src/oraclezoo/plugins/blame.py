"""Attribute errors to plugins, based on the files in the traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from oraclezoo.errors import OracleZooError, PluginError
from oraclezoo.plugins.registry import Registry


@contextmanager
def blaming(registry: Registry) -> Iterator[None]:
    """Convert any exception raised by plugin code in the block, even SystemExit, to a PluginError.

    Errors of oraclezoo, Ctrl-C, memory errors and exceptions raised by other code pass unchanged.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        named = blamed(error, registry)
        if named is None:
            raise
        raise named from error


def blamed(error: BaseException, registry: Registry) -> PluginError | None:
    """Return a PluginError that names the plugin whose code raised ``error``, or None.

    The plugin is the one whose code has the innermost frame in the traceback.
    """
    if isinstance(error, (OracleZooError, MemoryError)):
        return None
    if "OutOfMemory" in type(error).__name__:
        return None
    files, trace = [], error.__traceback__
    while trace is not None:
        files.append(trace.tb_frame.f_code.co_filename)
        trace = trace.tb_next
    if not files:
        return None
    paths = {name: registry.paths(name) for name in registry.distributions}
    for file in reversed(files):
        for name, own in paths.items():
            if file in own:
                text = " ".join(str(error).split())[:200]
                message = type(error).__name__ + (f": {text}" if text else "")
                version = registry.distributions[name]
                return PluginError(
                    f"plugin {name} {version} raises {message}; update it (pip install -U {name}), "
                    "or send its author the traceback (oraclezoo --debug ...)"
                )
    return None
