"""Paths of the drawing page's files in the package."""

from __future__ import annotations

from pathlib import Path

STATIC = Path(__file__).parent / "static"
"""Folder of ``index.html`` and everything that it loads, as served by ``oraclezoo serve``."""

SETTINGS = "page.json"
"""File that says where models run: on the server, or in ONNX Runtime in the browser."""
