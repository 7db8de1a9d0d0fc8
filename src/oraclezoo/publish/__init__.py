"""Publication of results: reproduction, checks and pull request text."""
