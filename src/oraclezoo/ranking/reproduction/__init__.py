"""Results that were run again."""
