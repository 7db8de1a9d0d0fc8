"""Publish results: reproduction, checks, and pull request text."""
