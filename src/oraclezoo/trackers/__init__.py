"""The built-in trackers: where a training's course is written down as it goes."""
