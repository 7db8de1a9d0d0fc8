"""The built-in schedulers; their specs, which are light, in ``specs``."""
