"""A plugin that cannot be loaded."""

raise RuntimeError("this package is broken on purpose")
