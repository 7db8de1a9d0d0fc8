"""Artifacts of training on disk: run folders, models, ONNX graphs and scores."""
