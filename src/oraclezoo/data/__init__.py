"""Data: IDX files, tracks with their fixed splits, downloads, generated characters, previews."""
