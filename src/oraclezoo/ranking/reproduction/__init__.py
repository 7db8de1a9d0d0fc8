"""Reproductions of results: records and verdicts."""
