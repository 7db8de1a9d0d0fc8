"""Data sets: IDX files, tracks with fixed splits, downloads, synthetic glyphs, contact sheets."""
