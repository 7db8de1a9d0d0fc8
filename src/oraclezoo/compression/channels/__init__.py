"""Which channels of a net go."""
