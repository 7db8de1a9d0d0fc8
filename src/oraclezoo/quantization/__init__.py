"""Export models to ONNX and PT2, quantize them, and calibrate their probabilities."""
