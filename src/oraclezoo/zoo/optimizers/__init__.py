"""Built-in optimizers; ``specs`` describes them without heavy imports."""
