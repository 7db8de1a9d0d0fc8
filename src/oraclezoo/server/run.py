"""Running the application in uvicorn until a signal, and stopping without losing a request."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
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

STEP = 1.0
"""Seconds of each of the first two steps of stopping; less if nobody is connected.

First, the server is not ready, but takes requests, until load balancers have noticed. Then it
listens no longer, and each connection is closed with its next response. A client that keeps a
connection alive may have sent a request that the server has not seen; if connections were closed at
the signal, or new ones were still accepted when the socket is closed, requests would be lost.
"""

QUIET = 0.1
"""Seconds without connections and requests after which a step ends early."""

_BACKLOG = 2048
"""Connections that the system holds until the server takes them."""

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
    for name in ("uvicorn.error", "asyncio"):
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
        family, kind, protocol, _, where = socket.getaddrinfo(
            address.host,
            address.port,
            type=socket.SOCK_STREAM,
            proto=socket.IPPROTO_TCP,  # asyncio sends small responses at once only if it is named
            flags=socket.AI_PASSIVE,
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            if os.name == "posix":  # on Windows, the option would let two servers share the port
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(where)
            listener.listen(_BACKLOG)
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(
            f"cannot listen on {address.host}:{address.port} ({reason})\n"
            "Choose another --host or --port."
        ) from error
    return listener


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
        state, step = self.server_state, min(STEP, self.grace / 4)
        end = monotonic() + self.grace
        await self._until_quiet(monotonic() + step)
        for server in self.servers:
            server.close()
        self.service.closing = True
        await self._until_quiet(monotonic() + step)
        for connection in list(state.connections):
            connection.shutdown()
        await self._until_quiet(end)
        self.lost = len(state.tasks)
        for task in list(state.tasks):
            task.cancel()
        for connection in list(state.connections):
            connection.transport.close()
        await self.lifespan.shutdown()

    async def _until_quiet(self, end: float) -> None:
        """Wait until there has been no connection and no request for a moment, or until ``end``."""
        state = self.server_state
        quiet_since = monotonic()
        while monotonic() < end and not self.force_exit:
            if state.connections or state.tasks:
                quiet_since = monotonic()
            elif monotonic() - quiet_since > QUIET:
                return
            await asyncio.sleep(0.02)
