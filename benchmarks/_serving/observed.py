"""Our server with a chosen observer: ``observed.py nothing|metrics|drift MODEL PORT``."""

from __future__ import annotations

import sys

from oraclezoo.server.app import create_app
from oraclezoo.server.models import open_models
from oraclezoo.server.observer import Observer
from oraclezoo.server.routes.monitoring import Monitor, Watching
from oraclezoo.server.run import Address, serve
from oraclezoo.server.service import Service
from oraclezoo.server.settings import Settings
from oraclezoo.serving.names import locate

KINDS = {"nothing": None, "metrics": Monitor, "metrics and drift": lambda: Monitor(Watching())}


def main(kind: str, model: str, port: str) -> None:
    """Serve until a signal."""
    settings = Settings(access_log=False)
    make = KINDS[kind]
    observer = Observer() if make is None else make()
    service = Service(open_models([model], locate, settings, observer), settings, observer)
    if kind == "metrics and drift" and isinstance(observer, Monitor) and observer.unwatched:
        sys.exit(str(observer.unwatched))
    serve(create_app(service), service, Address(port=int(port)))


if __name__ == "__main__":
    main(*sys.argv[1:])
