"""Routes of the server, one module per interface; each adds its routes to the API."""
