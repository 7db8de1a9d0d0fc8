"""Export PyTorch modules to ONNX and PT2 files, and run ONNX files with ONNX Runtime."""
