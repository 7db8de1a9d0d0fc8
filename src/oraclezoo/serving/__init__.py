"""Serving: a deployed model reads images of any kind. NumPy, Pillow and ONNX Runtime, no torch."""
