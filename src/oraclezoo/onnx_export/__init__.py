"""Export of PyTorch modules to ONNX and PT2 files, and inference with ONNX Runtime."""
