"""Checks of models look at the pinned archive, the card and the predictions."""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

from oraclezoo.plugins.registry import build_registry
from oraclezoo.serving.listing import MODELS
from oraclezoo.testing.kit import check, find


def outcomes(
    site: Any, tmp_path: Path, *, sha256: str | None = None, card: dict[str, Any] | None = None
) -> dict[str, tuple[str, str]]:
    """Return outcome and reason of each check of a plugin's copy of a bundled model."""
    folder = tmp_path / "net"
    shutil.copytree(MODELS / "oraclenet_n", folder)
    path = folder / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **(card or {})}))
    archive = tmp_path / "net.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(folder, "net")
    content = archive.read_bytes()
    pin = {
        "url": archive.as_uri(),
        "sha256": sha256 or hashlib.sha256(content).hexdigest(),
        "size_bytes": len(content),
        "summary": "a copy",
    }
    source = "from oraclezoo.specs import fetched_model\n@hookimpl\ndef oraclezoo_models():\n"
    site.add("zoo-x", f"{source}    return [fetched_model('net', **{pin!r})]\n")
    registry = build_registry()
    (entry,) = find(registry, "zoo-x")
    return {one.check: (one.outcome, one.reason) for one in check(registry, entry)}


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Download into an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_a_model_that_is_what_it_says_passes(site: Any, tmp_path: Path) -> None:
    """Both of its files predict."""
    statuses = outcomes(site, tmp_path)
    assert [statuses[name][0] for name in ("archive", "card", "prediction")] == ["pass"] * 3, (
        statuses
    )
    assert statuses["prediction"][1] == "ONNX and PyTorch"


def test_an_archive_with_another_digest_fails(site: Any, tmp_path: Path) -> None:
    """It is never unpacked."""
    statuses = outcomes(site, tmp_path, sha256="ab" * 32)
    assert statuses["archive"][0] == "fail", statuses
    assert statuses["prediction"][0] == "fail"


def test_a_card_of_another_model_fails(site: Any, tmp_path: Path) -> None:
    """Classes that do not fit the outputs."""
    statuses = outcomes(site, tmp_path, card={"classes": ["a", "b"], "glyphs": ["", ""]})
    assert statuses["archive"][0] == "pass"
    assert statuses["card"][0] == "fail", statuses
