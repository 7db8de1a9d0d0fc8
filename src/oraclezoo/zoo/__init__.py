"""Built-in backbones, optimizers and schedulers; :mod:`.builtin` registers them."""
