"""Training engine: training loop, augmentation, checkpoints and profiling."""
