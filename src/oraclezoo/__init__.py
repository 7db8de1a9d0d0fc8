"""oraclezoo."""
