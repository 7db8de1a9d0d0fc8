"""Plugin discovery, validation and the component registry."""
