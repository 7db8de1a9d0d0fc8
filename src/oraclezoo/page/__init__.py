"""The drawing page: static files, served by ``oraclezoo serve`` or written to a folder."""
