"""Load by plain sockets, for what wrk cannot do: a fixed rate, and an account of every request."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from _serving.servers import Running

OPEN = 500
"""Requests that may be open at a time; one that is due beyond it is left out and counted."""


@dataclass
class Account:
    """What became of requests: latencies by status, and requests without a response.

    ``lost`` counts requests whose connection was established; ``refused`` those without one.
    """

    latencies_ms: dict[int, list[float]] = field(default_factory=dict)
    lost: int = 0
    refused: int = 0
    left_out: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """Number of responses by status, and of requests without one."""
        by_status = {str(key): len(each) for key, each in sorted(self.latencies_ms.items())}
        return {**by_status, "lost": self.lost, "refused": self.refused}


class Connection(asyncio.Protocol):
    """A kept-alive HTTP/1.1 connection that sends one fixed request at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._done: asyncio.Future[int] | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the transport."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Complete the request once its whole response is here."""
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        fields = head.lower()
        length = int(fields.split(b"content-length:")[1].split(b"\r\n")[0])
        if len(body) >= length and self._done is not None and not self._done.done():
            self._received = b""
            if b"connection: close" in fields:
                self.close()
            self._done.set_result(int(head.split(b" ", 2)[1]))

    def connection_lost(self, _: Exception | None) -> None:
        """End the request without a response."""
        self.transport = None
        if self._done is not None and not self._done.done():
            self._done.set_result(0)

    def send(self, request: bytes) -> asyncio.Future[int]:
        """Send a request; its future gives the status, or 0 without a response."""
        self._done = asyncio.get_running_loop().create_future()
        if self.transport is None:
            self._done.set_result(0)
        else:
            self.transport.write(request)
        return self._done

    def close(self) -> None:
        """Close the connection."""
        if self.transport is not None:
            self.transport.close()
            self.transport = None


class Client:
    """Connections to a server, and the account of their requests."""

    def __init__(self, started: Running, picture: bytes) -> None:
        body = started.server.body.of(picture)
        self.head = (
            f"POST {started.server.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Content-Type: {started.server.body.content_type}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self.request, self.port = self.head.encode() + body, started.port
        self.account = Account()
        self.idle: list[Connection] = []

    async def one(self) -> int:
        """Send a request on an idle connection or a new one; return its status or 0."""
        while self.idle and self.idle[-1].transport is None:
            self.idle.pop()
        try:
            connection = self.idle.pop() if self.idle else await self._connected()
        except OSError:
            self.account.refused += 1
            return 0
        begin = time.perf_counter()
        status = await connection.send(self.request)
        if status:
            elapsed = 1000 * (time.perf_counter() - begin)
            self.account.latencies_ms.setdefault(status, []).append(elapsed)
            self.idle.append(connection)
        else:
            self.account.lost += 1
        return status

    async def _connected(self) -> Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(Connection, "127.0.0.1", self.port)
        return connection

    def close(self) -> None:
        """Close the idle connections."""
        for connection in self.idle:
            connection.close()


async def at_rate(started: Running, picture: bytes, per_s: float, seconds: float) -> Account:
    """Send requests at a fixed rate, whether or not responses come."""
    client, tasks = Client(started, picture), set[asyncio.Task[int]]()
    begin = time.perf_counter()
    for number in range(round(per_s * seconds)):
        delay = begin + number / per_s - time.perf_counter()
        if delay > 0 or number % 10 == 0:
            await asyncio.sleep(max(0.0, delay))
        if len(tasks) >= OPEN:
            client.account.left_out += 1
            continue
        task = asyncio.create_task(client.one())
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    client.close()
    return client.account


async def until_closed(started: Running, picture: bytes, connections: int) -> Account:
    """Send in a closed loop over connections until the server accepts none."""
    client = Client(started, picture)

    async def loop() -> None:
        while not client.account.refused:
            if not await client.one():
                await asyncio.sleep(0.01)

    await asyncio.gather(*(loop() for _ in range(connections)))
    client.close()
    return client.account


def merged(accounts: Sequence[Account]) -> Counter[str]:
    """Return the sums of the counts."""
    total: Counter[str] = Counter()
    for account in accounts:
        total.update(account.counts)
    return total
