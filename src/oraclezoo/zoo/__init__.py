"""The built-in backbones, optimizers, schedulers and tracks; :mod:`.builtin` lists them."""
