"""Data: IDX files, tracks with fixed splits, downloads, generated characters, contact sheets."""
