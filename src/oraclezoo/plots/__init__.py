"""Figures: arrays in, SVG and PNG out. Needs matplotlib, which the extra ``[plots]`` brings."""
