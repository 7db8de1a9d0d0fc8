"""Training a recipe: from its parts and data to a finished run."""
