"""Leaderboards: statistics over results, ranks with ties, and tables. Never imports torch."""
