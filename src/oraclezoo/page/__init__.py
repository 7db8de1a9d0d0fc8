"""Drawing page: static files that ``oraclezoo serve`` serves or that are written to a folder."""
