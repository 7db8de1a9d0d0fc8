"""Health check of a container: exits with 0 if the server on this machine is ready, else with 1."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException

TIMEOUT_S = 3.0


def port(environ: Mapping[str, str]) -> int:
    """Return the port that ``oraclezoo serve`` listens on without ``--port``.

    Args:
        environ: The environment; ``ORACLEZOO_SERVE_PORT`` takes precedence over ``PORT``.

    Raises:
        ValueError: If the variable is not a number.
    """
    return int(environ.get("ORACLEZOO_SERVE_PORT") or environ.get("PORT") or 8000)


def is_ready(number: int) -> bool:
    """Return whether a server accepts requests on a port of this machine."""
    connection = HTTPConnection("127.0.0.1", number, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def main() -> int:
    """Return the exit status."""
    return 0 if is_ready(port(os.environ)) else 1


if __name__ == "__main__":
    sys.exit(main())
