"""HTTP server for deployed models: FastAPI in front of ONNX Runtime, without torch."""
