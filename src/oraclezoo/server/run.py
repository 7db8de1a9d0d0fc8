"""Run the application in uvicorn until a signal arrives, then stop without losing requests."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
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
"""Idle seconds after which a connection is closed; must exceed the timeout of proxies."""

STEP = 1.0
"""Seconds of each of the first two shutdown steps; less if no client is connected.

In the first step, the server reports that it is not ready, but accepts requests until load
balancers have noticed. In the second step, it no longer listens, and closes each connection after
its next response. On a keep-alive connection, a client may have sent a request that the server has
not seen yet. Such requests would be lost if the server closed connections at the signal, or if it
still accepted new ones when it closes the socket.
"""

QUIET = 0.1
"""Seconds without connections and requests after which a shutdown step ends early."""

_BACKLOG = 2048
"""Maximum number of connections that the operating system queues for the server."""

_SWITCH_INTERVAL = 0.0005
"""Interpreter switch interval in seconds: the event loop waits less for the worker threads."""


@dataclass(frozen=True, slots=True)
class Address:
    """Address to listen on, and the grace period for stopping.

    Attributes:
        host: Host name or IP address to bind to.
        port: TCP port; 0 for any free port.
        grace: Maximum seconds from the signal to the end of the process.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    grace: float = 10.0

    def __post_init__(self) -> None:
        if not 0 <= self.grace < math.inf:
            raise UsageError(f"the grace period is {self.grace} s; it must be finite")


def serve(app: ASGIApp, service: Service, address: Address) -> bool:
    """Serve until SIGTERM or SIGINT arrives.

    Returns:
        True if every accepted request got a response; False if the grace period was too short.

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
            proto=socket.IPPROTO_TCP,  # without it, asyncio does not set TCP_NODELAY
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
    """uvicorn server that completes accepted requests before it ends, and drops silent clients.

    Args:
        config: uvicorn's settings.
        service: Its flags are set when the server stops.
        grace: Maximum seconds for stopping.
    """

    def __init__(self, config: uvicorn.Config, service: Service, grace: float) -> None:
        super().__init__(config)
        self.service, self.grace = service, grace
        self.lost = 0
        self._silent: dict[Any, float] = {}

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle stop signals; unlike uvicorn's version, do not raise them again afterwards.

        Yields:
            None.
        """
        with handling(self.handle_exit):
            yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin the shutdown; a second Ctrl-C stops immediately."""
        detach(sig)
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = self.service.draining = True

    async def on_tick(self, counter: int) -> bool:
        """Run the periodic tasks, ten times a second; return whether to stop."""
        if counter % 10 == 0:
            self._drop_silent()
        return await super().on_tick(counter)

    def _drop_silent(self) -> None:
        """Close connections that do not send their request's headers within the request timeout.

        uvicorn limits only the idle time between two requests.
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
        """Complete the accepted requests, within the grace period."""
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
        """Wait until ``end``, or until no connection or request has been active for a moment."""
        state = self.server_state
        quiet_since = monotonic()
        while monotonic() < end and not self.force_exit:
            if state.connections or state.tasks:
                quiet_since = monotonic()
            elif monotonic() - quiet_since > QUIET:
                return
            await asyncio.sleep(0.02)
