"""Building, inspecting and running container images, for ``benchmarks/image.py``."""
