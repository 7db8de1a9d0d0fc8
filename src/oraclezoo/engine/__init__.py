"""Training: the engine, augmentation, checkpoints."""
