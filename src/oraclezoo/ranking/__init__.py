"""Leaderboards: statistics over results, ranks with ties, and tables. torch is not imported."""
