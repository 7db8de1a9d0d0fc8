"""Graphs in int8."""
