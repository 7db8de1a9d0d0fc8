"""Training artifacts on disk: run folders, models, ONNX graphs and scores."""
