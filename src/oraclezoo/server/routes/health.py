"""Liveness and readiness routes."""

from __future__ import annotations

from enum import Enum
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from oraclezoo.server import schemas
from oraclezoo.server.service import Service

TAGS: list[str | Enum] = ["Health"]


def add_routes(app: FastAPI, service: Service) -> None:
    """Add the routes to an application."""
    stopping: dict[int | str, dict[str, Any]] = {
        503: {"model": schemas.Status, "description": "The server was told to stop."}
    }

    @app.get("/livez", tags=TAGS, summary="Liveness", response_model=schemas.Status)
    async def livez(_: Request) -> Response:
        """Return 200 while the process serves requests; restart the process if it does not."""
        return JSONResponse({"status": "ok"})

    async def readyz(_: Request) -> Response:
        """Return 200 if the server accepts requests, and 503 while it shuts down."""
        if service.draining:
            return JSONResponse({"status": "stopping"}, 503)
        return JSONResponse({"status": "ok"})

    for path in ("/readyz", "/healthz"):
        app.add_api_route(
            path,
            readyz,
            tags=TAGS,
            summary="Readiness",
            response_model=schemas.Status,
            responses=stopping,
        )
