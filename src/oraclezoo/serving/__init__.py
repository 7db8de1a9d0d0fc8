"""Inference with a deployed model by ONNX Runtime; needs NumPy and Pillow, not torch."""
