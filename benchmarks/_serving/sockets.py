"""Load by plain sockets, for what wrk cannot do: a fixed rate, and an account of every request."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

from _serving.servers import Running


@dataclass
class Account:
    """What became of requests: latencies by status, and requests without a response.

    ``lost`` counts requests on connections that had been answered before, so the server had
    accepted the connection; ``refused`` those on connections that were never answered.
    """

    latencies_ms: dict[int, list[float]] = field(default_factory=dict)
    lost: int = 0
    refused: int = 0

    @property
    def statuses(self) -> dict[str, int]:
        """Number of responses by status."""
        return {str(status): len(each) for status, each in sorted(self.latencies_ms.items())}

    def add(self, status: int, begin: float) -> None:
        """Count a response to a request that was sent at ``begin``."""
        self.latencies_ms.setdefault(status, []).append(1000 * (time.perf_counter() - begin))


class Connection:
    """A kept-alive HTTP/1.1 connection that sends one fixed request."""

    def __init__(self, started: Running, picture: bytes) -> None:
        body = started.server.body.of(picture)
        head = (
            f"POST {started.server.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Content-Type: {started.server.body.content_type}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self.port, self.request = started.port, head.encode() + body
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.answered = False

    async def send(self, account: Account, begin: float | None = None) -> int:
        """Send the request and return its status; 0 without a response."""
        begin = time.perf_counter() if begin is None else begin
        try:
            if self.streams is None:
                self.streams = await asyncio.open_connection("127.0.0.1", self.port)
                self.answered = False
            reader, writer = self.streams
            writer.write(self.request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
        except (OSError, EOFError, IndexError):
            if self.answered:
                account.lost += 1
            else:
                account.refused += 1
            self.close()
            return 0
        self.answered = True
        status = int(head.split(b" ", 2)[1])
        account.add(status, begin)
        if b"connection: close" in head:
            self.close()
        return status

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self.streams is not None:
            with suppress(OSError):
                self.streams[1].close()
            self.streams = None


async def at_rate(started: Running, picture: bytes, per_s: float, seconds: float) -> Account:
    """Send requests at a fixed rate, whether or not responses come; latency counts from due time.

    At most 1,000 requests are open at a time.
    """
    account, idle, tasks = Account(), list[Connection](), set[asyncio.Task[None]]()

    async def one(due: float) -> None:
        connection = idle.pop() if idle else Connection(started, picture)
        await connection.send(account, due)
        idle.append(connection)

    begin = time.perf_counter()
    for number in range(round(per_s * seconds)):
        due = begin + number / per_s
        delay = due - time.perf_counter()
        if delay > 0:
            await asyncio.sleep(delay)
        elif number % 20 == 0:
            await asyncio.sleep(0)
        if len(tasks) < 1000:
            task = asyncio.create_task(one(due))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    for connection in idle:
        connection.close()
    return account


async def until_closed(started: Running, picture: bytes, connections: int) -> Account:
    """Send in a closed loop over connections until the server takes no more."""
    account = Account()

    async def loop() -> None:
        connection = Connection(started, picture)
        while await connection.send(account) not in (0, 503):
            pass
        connection.close()

    await asyncio.gather(*(loop() for _ in range(connections)))
    return account


def merged(accounts: list[Account]) -> Counter[str]:
    """Return the sums of statuses, lost and refused requests."""
    total: Counter[str] = Counter()
    for account in accounts:
        total.update(account.statuses)
        total.update({"lost": account.lost, "refused": account.refused})
    return total
