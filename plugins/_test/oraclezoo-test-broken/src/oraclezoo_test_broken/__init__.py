"""A plugin that raises on import."""

raise RuntimeError("this package is broken on purpose")
