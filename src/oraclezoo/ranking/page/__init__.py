"""The leaderboard page: HTML and SVG text, generated deterministically without templates."""
