"""Running the application in uvicorn until a signal, and stopping without losing a request."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import monotonic
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from oraclezoo.errors import UsageError
from oraclezoo.server.log import JsonHandler, log
from oraclezoo.server.service import Service
from oraclezoo.signals import detach, handling

KEEP_ALIVE = 75
"""Seconds after which a connection without requests is closed; proxies close theirs earlier."""

LAST_CALL = 1.0
"""Seconds in which a stopping server still answers, and closes each connection after that.

A client that keeps a connection alive may have sent a request that the server has not seen. If the
connection were closed at the signal, that request would be lost.
"""

_SWITCH_INTERVAL = 0.0005
"""Seconds after which Python lets another thread run: the event loop waits less for the others."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen, and how long stopping may take.

    Attributes:
        host: Name or address of a network interface.
        port: TCP port; 0 for a free one.
        grace: Seconds from the signal to the end of the process.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    grace: float = 10.0


def serve(app: ASGIApp, service: Service, address: Address) -> bool:
    """Serve until SIGTERM or SIGINT.

    Returns:
        Whether every accepted request was answered; otherwise, the grace period was too short.

    Raises:
        UsageError: The address is not available.
    """
    sys.setswitchinterval(_SWITCH_INTERVAL)
    for name in ("uvicorn.error", "asyncio", "oraclezoo"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [JsonHandler()], False
        logger.setLevel(logging.WARNING)
    listener = _listen(address)
    config = uvicorn.Config(
        app,
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="on",
        timeout_keep_alive=KEEP_ALIVE,
    )
    server = _Server(config, service, address.grace)
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    names = ",".join(model.name for model in service.models)
    log("started", url=f"http://{shown}:{port}", models=names)
    server.run(sockets=[listener])
    log("stopped", lost=server.lost or None)
    return not server.lost


def _listen(address: Address) -> socket.socket:
    """Return a listening socket. Raises UsageError."""
    try:
        found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, _, _, _, where = found[0]
        listener = socket.create_server(where[:2], family=family, backlog=2048)
        # asyncio turns Nagle's algorithm off only for sockets that say that they are TCP
        return socket.socket(
            family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=listener.detach()
        )
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(
            f"cannot listen on {address.host}:{address.port} ({reason})\n"
            "Choose another --host or --port."
        ) from error


class _Server(uvicorn.Server):
    """A server that answers what it accepted before it ends, and drops clients that send nothing.

    Args:
        config: uvicorn's settings.
        service: Is told when the server stops.
        grace: Seconds for stopping.
    """

    def __init__(self, config: uvicorn.Config, service: Service, grace: float) -> None:
        super().__init__(config)
        self.service, self.grace = service, grace
        self.lost = 0
        self._silent: dict[Any, float] = {}

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle the signals that stop a process; unlike uvicorn's, it does not raise them again.

        Yields:
            None.
        """
        with handling(self.handle_exit):
            yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Start to stop; a second Ctrl-C stops at once."""
        detach(sig)
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = self.service.draining = True

    async def on_tick(self, counter: int) -> bool:
        """Do what is due every tenth of a second; return whether to stop."""
        if counter % 10 == 0:
            self._drop_silent()
        return await super().on_tick(counter)

    def _drop_silent(self) -> None:
        """Close connections whose request's headers do not arrive within the time of a request.

        uvicorn limits only the time between two requests.
        """
        now, silent = monotonic(), {}
        for connection in list[Any](self.server_state.connections):
            idle = connection.cycle is None or connection.cycle.response_complete
            if idle and connection.timeout_keep_alive_task is None:
                silent[connection] = since = self._silent.get(connection, now)
                if now - since > self.service.settings.timeout:
                    connection.transport.close()
        self._silent = silent

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what was accepted, for as long as the grace period lasts."""
        end = monotonic() + self.grace
        last_call = monotonic() + min(LAST_CALL, self.grace / 4)
        await self._wait(last_call, lambda: bool(self.server_state.connections))
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        state = self.server_state
        await self._wait(end, lambda: bool(state.connections or state.tasks))
        self.lost = len(state.tasks)
        for task in list(state.tasks):
            task.cancel()
        for connection in list(state.connections):
            connection.transport.close()
        await self.lifespan.shutdown()

    async def _wait(self, end: float, busy: Callable[[], bool]) -> None:
        while busy() and monotonic() < end and not self.force_exit:
            await asyncio.sleep(0.02)
