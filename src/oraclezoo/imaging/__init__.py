"""From an image file of any kind to a model's input."""
