"""The files of the drawing page that are part of the package."""

from __future__ import annotations

from pathlib import Path

STATIC = Path(__file__).parent / "static"
"""Folder of ``index.html`` and everything that it loads, for a server that answers predictions."""

SETTINGS = "page.json"
"""File that says who answers: the server, or ONNX Runtime in the browser."""
