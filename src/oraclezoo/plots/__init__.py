"""Figures from arrays, as SVG and PNG. Needs matplotlib (extra ``[plots]``)."""
