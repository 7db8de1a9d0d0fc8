"""The leaderboard: statistics over results, ranks with ties, tables. Never imports torch."""
