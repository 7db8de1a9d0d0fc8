"""The OpenAPI document, the page made of it, and requests made from it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import checks

from helpers.server import Local
from oraclezoo.server.app import create_api

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"


def test_the_committed_document_is_current(local: Local) -> None:
    """After a change, run ``oraclezoo serve --openapi > docs/openapi.json`` and review it."""
    assert json.loads(DOCUMENT.read_text(encoding="utf-8")) == local.get("/openapi.json").json()


def test_the_page_shows_every_route_and_loads_nothing_remote(local: Local) -> None:
    """Neither scripts nor styles of other hosts, which the policy would block anyway."""
    response = local.get("/docs")
    assert response.headers["content-type"].startswith("text/html")
    for path, operations in local.get("/openapi.json").json()["paths"].items():
        for method in operations:
            shown = f'<span class="method">{method.upper()}</span> {path}'
            assert shown in response.text
    linked = re.findall(r'(?:src|href)="(.*?)"', response.text)
    assert sorted(linked) == ["docs.css", "openapi.json"]
    for name in linked:
        assert local.get(f"/{name}").is_success


def fuzzed(local: Local, examples: int) -> None:
    """Send requests that fit the document, and some that do not, to every route."""
    api = create_api(local.service)
    schema = schemathesis.openapi.from_dict(api.openapi())
    wanted = [
        checks.not_a_server_error,
        *(
            schemathesis.CHECKS.get_by_names(
                [
                    "status_code_conformance",
                    "content_type_conformance",
                    "response_schema_conformance",
                ]
            )
        ),
    ]
    for result in schema.get_all_operations():
        operation = result.ok()

        @settings(
            max_examples=examples,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        )
        def send(case: schemathesis.Case) -> None:
            case.call_and_validate(base_url=BASE, checks=wanted)

        operation.as_strategy()


@pytest.mark.full
def test_requests_made_from_the_document(local: Local) -> None:
    fuzzed(local, 100)
