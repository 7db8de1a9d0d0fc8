"""Servers for tests: one in the test process without sockets, and one in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from oraclezoo.server.app import create_app
from oraclezoo.server.models import open_models
from oraclezoo.server.observer import Observer
from oraclezoo.server.routes.monitoring import Monitor
from oraclezoo.server.service import Service
from oraclezoo.server.settings import Settings

PATIENCE = 120
"""Seconds to wait for a process on a busy machine."""


class Local:
    """An application in an event loop of its own thread; requests go to it without sockets.

    Args:
        folders: Model folders.
        settings: Limits.
        observer: Is told of events.
        page: Folder of the page.
    """

    def __init__(
        self,
        *folders: Path,
        settings: Settings | None = None,
        observer: Observer | None = None,
        page: Path | None = None,
    ) -> None:
        settings, observer = settings or Settings(access_log=False), observer or Monitor()
        models = open_models(map(str, folders), Path, settings, observer)
        self.service = Service(models, settings, observer)
        self.app = create_app(self.service, page=page)
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)

    def __enter__(self) -> Local:
        self._thread.start()
        self.run(self._start())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.run(self._stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    async def _start(self) -> None:
        self.service.models.start()

    async def _stop(self) -> None:
        self.service.models.stop()

    def run(self, coroutine: Any) -> Any:
        """Run a coroutine in the loop and return its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(PATIENCE)

    async def send(self, method: str, path: str, **content: Any) -> httpx.Response:
        """Send a request, in the loop."""
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, timeout=PATIENCE, **content)

    def get(self, path: str, **content: Any) -> httpx.Response:
        """Send a GET request."""
        response: httpx.Response = self.run(self.send("GET", path, **content))
        return response

    def post(self, path: str, **content: Any) -> httpx.Response:
        """Send a POST request."""
        response: httpx.Response = self.run(self.send("POST", path, **content))
        return response


class Process:
    """A running ``oraclezoo serve``: its address, and its log when it has ended."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process, self._log = process, log
        self.url = ""

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def log(self) -> list[dict[str, Any]]:
        """Return the lines of the log."""
        lines = self._log.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.endswith("}")]

    def stop(self) -> int:
        """Send SIGTERM and return the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def wait(self) -> None:
        """Wait until the server listens."""
        while not self.url:
            assert self.process.poll() is None, self._log.read_text(encoding="utf-8")
            started = [line for line in self.log() if line["event"] == "started"]
            if started:
                self.url = started[0]["url"]


@contextmanager
def serving(log: Path, *arguments: Any, **environment: str) -> Iterator[Process]:
    """Run ``oraclezoo serve`` with a free port during the block."""
    command = [sys.executable, "-m", "oraclezoo", "serve", *map(str, arguments)]
    with log.open("w") as stream:
        process = subprocess.Popen(
            command,
            stderr=stream,
            text=True,
            env={**os.environ, "PORT": "0", "OMP_NUM_THREADS": "1", **environment},
        )
    try:
        server = Process(process, log)
        server.wait()
        yield server
    finally:
        process.kill()
        process.wait()
