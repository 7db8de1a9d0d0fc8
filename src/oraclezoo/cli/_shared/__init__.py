"""Code shared by several commands: options, output, progress."""
