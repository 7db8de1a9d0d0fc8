"""Export: a trained module as one file that runs without this package."""
