"""Export of models to ONNX and PT2, quantization, and temperature calibration."""
