"""Conversion of scans, in class folders or an archive, to a folder of IDX files."""
