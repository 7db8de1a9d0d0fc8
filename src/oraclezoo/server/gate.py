"""Middleware for every request: access log, security headers, CORS and bearer token."""

from __future__ import annotations

import asyncio
import hmac
import os
import re
from dataclasses import dataclass
from time import perf_counter

from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oraclezoo.server.log import log
from oraclezoo.server.observer import Answer
from oraclezoo.server.rejection import AsciiJSONResponse, RejectedError, busy
from oraclezoo.server.service import Service

NOTE = "oraclezoo"
"""Key of a request's :class:`Note` in the ASGI scope."""

LEFT = 499
"""Status in the log and the metrics if the client disconnected before the response."""

POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'wasm-unsafe-eval'",
        "img-src 'self' blob: data:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
"""Content security policy: no remote content; the page may run its models in WebAssembly."""

_METHODS = {"GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"}
_GUARDED = re.compile(r"/(v1|v2|metrics)(/|$)")
_READING = re.compile(r"/v1/predict|/v2/models/.*/infer")
_OPEN = re.compile(r"/v2/health(/|$)")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9_.-]{1,64}")
_LINGER = 1.0
"""Seconds to keep reading a rejected request's body, so that the client sees the response."""


@dataclass(slots=True)
class Note:
    """Fields that routes add to the log line of their request."""

    reason: str = ""
    route: str = ""
    model: str = ""
    images: int = 0


def guarded(app: ASGIApp, service: Service) -> ASGIApp:
    """Wrap an application in log, headers, CORS and token check, outermost first."""
    settings = service.settings
    app = Busy(app, service)
    if settings.token is not None:
        app = Bearer(app, settings.token)
    if settings.origins:
        names = ["inference-header-content-length", "retry-after", "x-request-id"]
        app = CORSMiddleware(
            app,
            allow_origins=settings.origins,
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-encoding", "content-type", *names],
            expose_headers=names,
        )
    return Gate(app, service)


class Gate:
    """Add headers to every response and log every request, without its content.

    Args:
        app: The wrapped application.
        service: Provides the settings and the observer.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self.app, self.service = app, service
        shared = "cross-origin" if service.settings.origins else "same-origin"
        self.headers = [
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"cross-origin-resource-policy", shared.encode()),
            (b"content-security-policy", POLICY.encode()),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begin = perf_counter()
        note = scope[NOTE] = Note()
        request_id = _request_id(scope)
        status = LEFT

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = self._headers(message, request_id)
            await send(message)

        try:
            await self.app(scope, receive, send_on)
        finally:
            self._finished(scope, note, status, perf_counter() - begin, request_id)

    def _headers(self, message: Message, request_id: bytes) -> list[tuple[bytes, bytes]]:
        headers = [*message["headers"], *self.headers, (b"x-request-id", request_id)]
        names = {name for name, _ in message["headers"]}
        if b"cache-control" not in names:
            headers.append((b"cache-control", b"no-store"))
        if self.service.closing and b"connection" not in names:
            headers.append((b"connection", b"close"))
        return headers

    def _finished(
        self, scope: Scope, note: Note, status: int, seconds: float, request_id: bytes
    ) -> None:
        route = note.route or getattr(scope.get("route"), "path", "unmatched")
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        self.service.observer.answered(Answer(route, method, status, seconds, note.reason))
        if not self.service.settings.access_log:
            return
        client = scope.get("client")
        log(
            "request",
            request_id=request_id.decode(),
            client=client[0] if client else "",
            method=method,
            path=scope["path"][:200],
            route=route,
            status=status,
            ms=round(1000 * seconds, 2),
            model=note.model,
            images=note.images,
            reason=note.reason,
        )


class Busy:
    """Reject prediction requests before parsing them while the queues of all models are full.

    Under overload the server rejects most requests, so a rejection must be cheap.

    Args:
        app: The wrapped application.
        service: Provides the models.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self.app, self.batchers = app, [model.batcher for model in service.models]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or reject it with status 429."""
        if (
            scope["type"] == "http"
            and scope["method"] == "POST"
            and all(batcher.accepted >= batcher.queue for batcher in self.batchers)
            and _READING.fullmatch(scope["path"])
        ):
            first = self.batchers[0]
            error = busy(
                f"{first.accepted} images are queued, and the limit is {first.queue}; "
                "try again later"
            )
            note = scope[NOTE]
            note.reason, note.route = error.reason, _route_of(scope["path"])
            await rejected(error)(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _route_of(path: str) -> str:
    """Return the path pattern of a prediction route."""
    return path if path.startswith("/v1") else "/v2/models/{model}/infer"


class Bearer:
    """Reject requests without the token, except for health checks, the page and documentation.

    Args:
        app: The wrapped application.
        token: The bearer token that requests must carry.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app, self.expected = app, token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or reject it with status 401."""
        if scope["type"] != "http" or not is_guarded(scope["path"]) or self._allows(scope):
            await self.app(scope, receive, send)
            return
        scope[NOTE].reason = "token"
        message = "send the server's token in the header 'Authorization: Bearer TOKEN'"
        error = RejectedError(401, "token", message, unread=scope["method"] == "POST")
        await rejected(error)(scope, receive, send)

    def _allows(self, scope: Scope) -> bool:
        sent = b""
        for name, value in scope["headers"]:
            if name == b"authorization":
                kind, _, sent = value.partition(b" ")
                if kind.lower() != b"bearer":
                    sent = b""
        return hmac.compare_digest(sent.strip(), self.expected)


def is_guarded(path: str) -> bool:
    """Return whether a path requires the token, if the server has one."""
    return bool(_GUARDED.match(path)) and not _OPEN.match(path)


def rejected(error: RejectedError) -> Response:
    """Return the response to a rejected request."""
    kind = _LastResponse if error.unread else AsciiJSONResponse
    return kind({"error": error.message}, error.status, error.headers)


class _LastResponse(AsciiJSONResponse):
    """A response that is sent before the request's body has arrived, and closes the connection.

    Closing immediately would reset the connection, and a client that is still sending might never
    see the response. So the server sends the response and keeps reading the body for a moment.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code}
        await send({**start, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        try:
            async with asyncio.timeout(_LINGER):
                message: Message = {"type": "http.request", "more_body": True}
                while message["type"] == "http.request" and message.get("more_body", False):
                    message = await receive()
        except TimeoutError:
            pass
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _request_id(scope: Scope) -> bytes:
    """Return the client's request ID if it is a short word, or a random ID."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return bytes(value)
    return os.urandom(8).hex().encode()
