"""Inference with a deployed model in ONNX Runtime; needs NumPy and Pillow, but not PyTorch."""
