"""The OpenAPI document, the page made of it, and requests made from it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.server import Local, Process

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


CHECKS = "all"
EXCEPT = "positive_data_acceptance"
"""Bytes that fit the document need not be an image."""


def fuzzed(process: Process, folder: Path, *options: str) -> None:
    """Send requests made from the document, some of them wrong on purpose, to every route."""
    document = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    for operations in document["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "path":  # or most requests would be for unknown models
                    known = {"model": "bands", "version": "1"}[parameter["name"]]
                    parameter["schema"] = {"enum": [known, "other"]}
    (folder / "openapi.json").write_text(json.dumps(document))
    command = [sys.executable, "-m", "schemathesis.cli", "run", "openapi.json"]
    command += ["--url", process.url, "--checks", CHECKS, "--exclude-checks", EXCEPT]
    command += ["--seed", "1", "--no-color", *options]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stdout[-20_000:]
    failed = [line for line in process.log() if line.get("status", 200) >= 500]
    assert failed == []


def test_requests_made_from_the_document(process: Process, tmp_path: Path) -> None:
    """No request causes a server error, and every response is as the document says."""
    fuzzed(process, tmp_path, "--phases", "fuzzing", "--max-examples", "3")


@pytest.mark.full
def test_many_requests_made_from_the_document(process: Process, tmp_path: Path) -> None:
    """More of them, and one for every keyword of the document."""
    fuzzed(process, tmp_path, "--phases", "coverage,fuzzing", "--max-examples", "100")
