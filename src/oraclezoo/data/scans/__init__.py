"""Convert scans, in class folders or in an archive, to a folder of IDX files."""
