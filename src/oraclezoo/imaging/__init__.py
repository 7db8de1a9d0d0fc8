"""Image preprocessing: from an image file of any format to a model's input."""
