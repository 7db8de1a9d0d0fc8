"""The built-in backbones; their specs, which are light, in ``specs``."""
