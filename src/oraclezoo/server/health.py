"""Routes for those who start, probe and stop the server."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from oraclezoo.server import schemas
from oraclezoo.server.service import Service


def router(service: Service) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["Health"])
    stopping: dict[int | str, dict[str, Any]] = {
        503: {"model": schemas.Status, "description": "The server was told to stop."}
    }

    @routes.get("/livez", summary="Liveness", response_model=schemas.Status)
    async def livez() -> Response:
        """Return 200 while the process serves requests; restart it otherwise."""
        return JSONResponse({"status": "ok"})

    async def readyz() -> Response:
        """Return 200 if the server takes requests, and 503 once it was told to stop."""
        if service.draining:
            return JSONResponse({"status": "stopping"}, 503)
        return JSONResponse({"status": "ok"})

    for path in ("/readyz", "/healthz"):
        routes.add_api_route(
            path, readyz, summary="Readiness", response_model=schemas.Status, responses=stopping
        )
    return routes
