"""Built-in trackers: destinations for training metrics."""
