"""The server as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Match
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from oraclezoo._version import __version__
from oraclezoo.server.gate import LEFT, NOTE, guarded, rejected
from oraclezoo.server.rejection import AsciiJSONResponse, RejectedError
from oraclezoo.server.routes import health, inference, monitoring, predictions, usage
from oraclezoo.server.routes.monitoring import Monitor
from oraclezoo.server.service import Service

DESCRIPTION = """\
Reads oracle bone characters in pictures. `POST /v1/predict` takes image files; the routes under
`/v2` are the Open Inference Protocol, for clients of KServe and Triton.
"""


def create_app(service: Service, *, page: Path | None = None) -> ASGIApp:
    """Return the ASGI application of the server.

    The application's lifespan starts and stops the models' threads.

    Args:
        service: The models, limits and state of the server.
        page: Folder with an ``index.html``, served at ``/``; None for no page.
    """
    return guarded(create_api(service, page=page), service)


def create_api(service: Service, *, page: Path | None = None) -> FastAPI:
    """Return the routes only, without access log, security headers and token check.

    See :func:`create_app`.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.models.start()
        try:
            yield
        finally:
            service.models.stop()

    app = FastAPI(
        title="oraclezoo",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,  # FastAPI's own pages load scripts from another host
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,  # a redirect would name the host and scheme that a proxy used
        telemetry={"auto_configure": False, "tracing": False, "metrics": False, "logs": False},
        exception_handlers={
            RejectedError: _on_rejection,
            HTTPException: _on_http_error,
            RequestValidationError: _on_invalid,
            ClientDisconnect: _on_leaving,
            Exception: _on_defect,
        },
    )
    app.router.route_class = _DirectRoute
    predictions.add_routes(app, service)
    inference.add_routes(app, service)
    health.add_routes(app, service)
    usage.add_routes(app)
    if isinstance(service.observer, Monitor):
        monitoring.add_routes(app, service, service.observer)
    if page is not None:
        app.router.default = _Page(directory=page, html=True)
    else:
        app.add_api_route("/", _to_usage, include_in_schema=False)
    return app


class _DirectRoute(APIRoute):
    """A route whose function takes the request and returns the response.

    The route appears in the OpenAPI document, but FastAPI does not resolve its parameters, which
    would take as long as running a small model.
    """

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether the route serves a request; HEAD like GET, without the body."""
        match, child = super().matches(scope)
        if match is Match.PARTIAL and self._serves_head(scope):
            match = Match.FULL
        return match, child

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if self._serves_head(scope):
            await self.app(scope, receive, send)
        else:
            await super().handle(scope, receive, send)

    def _serves_head(self, scope: Scope) -> bool:
        # with HEAD among its methods, each route would be in the OpenAPI document twice
        return (
            scope["type"] == "http" and scope["method"] == "HEAD" and "GET" in (self.methods or ())
        )

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the route's function as the handler."""
        return self.endpoint


class _Page(StaticFiles):
    """Files of the page, for paths without a route.

    A mount at ``/`` would match every path, so that a wrong method of a route had status 404.
    """

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return the response for a path. Raises HTTPException (404, 405)."""
        if scope["method"] in ("GET", "HEAD"):
            return await super().get_response(path, scope)
        await super().get_response(path, {**scope, "method": "HEAD"})
        raise HTTPException(405, headers={"allow": "GET, HEAD"})


async def _to_usage(_: Request) -> Response:
    return RedirectResponse("docs")


async def _on_rejection(request: Request, error: Exception) -> Response:
    assert isinstance(error, RejectedError)
    request.scope[NOTE].reason = error.reason
    return rejected(error)


async def _on_http_error(_: Request, error: Exception) -> Response:
    """Return the response for an unknown path or a wrong method."""
    assert isinstance(error, HTTPException)
    return AsciiJSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    request.scope[NOTE].reason = "invalid"
    where = ".".join(map(str, first["loc"][1:]))
    return AsciiJSONResponse({"error": f"{where}: {first['msg']}"}, 422)


async def _on_leaving(request: Request, _: Exception) -> Response:
    """Return a response that nobody receives, because the client has disconnected."""
    request.scope[NOTE].reason = "left"
    return Response(status_code=LEFT)


async def _on_defect(request: Request, _: Exception) -> Response:
    """Log an unexpected exception with its traceback and return a 500 response."""
    request.scope[NOTE].reason = "defect"
    return AsciiJSONResponse({"error": "internal error; the server's log has the details"}, 500)
