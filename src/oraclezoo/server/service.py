"""Service object that the routes share: the server's models, limits and state."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from oraclezoo.imaging.prepare import Prepared
from oraclezoo.server.batching import Picture
from oraclezoo.server.body import Bodies, too_slow
from oraclezoo.server.models import Models, ServedModel
from oraclezoo.server.observer import Observer
from oraclezoo.server.settings import Settings
from oraclezoo.serving.reading import Preprocessing, Reading


@dataclass(slots=True, eq=False)
class Service:
    """A server's models, settings and state.

    Attributes:
        models: The served models.
        settings: Limits and access control.
        observer: Is notified of requests and predictions.
        bodies: The request bodies in memory.
        draining: Whether the server is shutting down; it still completes accepted requests.
        closing: Whether it no longer listens; each connection closes after its next response.
    """

    models: Models
    settings: Settings
    observer: Observer
    bodies: Bodies = field(init=False)
    draining: bool = False
    closing: bool = False

    def __post_init__(self) -> None:
        self.bodies = Bodies(self.settings)

    @asynccontextmanager
    async def deadline(self) -> AsyncIterator[None]:
        """Limit the time of a request. Raises RejectedError (408) when the time is up."""
        seconds = self.settings.timeout
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError as error:
            raise too_slow(seconds, unread=True) from error

    async def read(
        self,
        request: Request,
        model: ServedModel,
        images: Sequence[Picture | Prepared],
        settings: Preprocessing,
    ) -> list[Reading]:
        """Return the results for a request's images; stop if the client disconnects.

        Raises:
            RejectedError: The queue is full (429).
            ClientDisconnect: The client disconnected.
        """
        order = model.batcher.submit(images, settings)
        watcher = asyncio.ensure_future(_until_left(request.receive))
        watcher.add_done_callback(lambda _: order.done.cancel())
        try:
            return await order.done
        except asyncio.CancelledError:
            if watcher.done() and not watcher.cancelled():
                raise ClientDisconnect from None
            raise
        finally:
            watcher.cancel()
            model.batcher.release(order)


async def _until_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
