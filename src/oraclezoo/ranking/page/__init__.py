"""The leaderboard's page: HTML and SVG as text, the same for the same results; no template."""
