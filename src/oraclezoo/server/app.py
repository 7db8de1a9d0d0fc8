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
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from oraclezoo._version import __version__
from oraclezoo.server.gate import LEFT, NOTE, guarded, rejected
from oraclezoo.server.rejection import RejectedError
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
        app.mount("/", StaticFiles(directory=page, html=True), name="page")
    else:
        app.add_api_route("/", _to_usage, include_in_schema=False)
    return app


class _DirectRoute(APIRoute):
    """A route whose function takes the request and returns the response.

    The route appears in the OpenAPI document, but FastAPI does not resolve its parameters, which
    would take as long as running a small model.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the route's function as the handler."""
        return self.endpoint


async def _to_usage(_: Request) -> Response:
    return RedirectResponse("docs")


async def _on_rejection(request: Request, error: Exception) -> Response:
    assert isinstance(error, RejectedError)
    request.scope[NOTE].reason = error.reason
    return rejected(error)


async def _on_http_error(_: Request, error: Exception) -> Response:
    """Return the response for an unknown path or a wrong method."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    request.scope[NOTE].reason = "invalid"
    where = ".".join(map(str, first["loc"][1:]))
    return JSONResponse({"error": f"{where}: {first['msg']}"}, 422)


async def _on_leaving(request: Request, _: Exception) -> Response:
    """Return a response that nobody receives, because the client has disconnected."""
    request.scope[NOTE].reason = "left"
    return Response(status_code=LEFT)


async def _on_defect(request: Request, _: Exception) -> Response:
    """Log an unexpected exception with its traceback and return a 500 response."""
    request.scope[NOTE].reason = "defect"
    return JSONResponse({"error": "internal error; the server's log has the details"}, 500)
