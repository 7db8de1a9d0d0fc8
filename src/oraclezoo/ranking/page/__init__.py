"""The leaderboard page: deterministic HTML and SVG text, without templates."""
