"""The built-in optimizers; their specs, which are light, in ``specs``."""
