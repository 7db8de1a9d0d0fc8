"""Scans in class folders or archives, converted to a folder of IDX files."""
