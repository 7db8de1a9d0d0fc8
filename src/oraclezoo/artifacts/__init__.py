"""What a training leaves on disk, and how it is opened again: runs, models, graphs, scores."""
