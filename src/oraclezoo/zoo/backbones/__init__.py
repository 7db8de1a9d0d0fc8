"""Built-in backbones; ``specs`` describes them without heavy imports."""
