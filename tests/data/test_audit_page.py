"""Documentation of audit and corruptions, compared with committed reports and code."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from oraclezoo.data.audit import KINDS
from oraclezoo.data.corrupt import CORRUPTIONS, VERSION

ROOT = Path(__file__).resolve().parents[2]
MEASURED = ROOT / "benchmarks" / "measurements"


@pytest.fixture(scope="module")
def page() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "docs" / "_ext")
        yield importlib.import_module("audit_page")


def test_the_findings_have_a_row_for_each_kind_and_finding(page: ModuleType) -> None:
    """Every finding and every class is in the tables."""
    text = page.audit_findings()
    report = json.loads(
        (ROOT / "benchmarks" / "measurements" / "audit-oracle-mnist-3k.json").read_text()
    )["data"]
    assert list(report["numbers"]) == list(KINDS)
    for kind, count in report["numbers"].items():
        assert f"| {count} | {kind} |" in text
        assert text.count(f"| {kind} | ") == count
    assert all(
        f"| {row['label']} {row['name']} {row['glyph']} |" in text for row in report["classes"]
    )


def test_the_corruptions_page_is_of_these_corruptions(page: ModuleType) -> None:
    """The committed table has the current version, names and strengths."""
    data = json.loads((ROOT / "benchmarks" / "measurements" / "corruptions.json").read_text())[
        "data"
    ]
    assert data["version"] == VERSION
    assert data["split"] == "validation"
    committed = [(r["name"], r["summary"], r["unit"], tuple(r["strengths"])) for r in data["rows"]]
    assert committed == [(c.name, c.summary, c.unit, c.strengths) for c in CORRUPTIONS.values()]
    for table in (page.corruptions(), page.corruption_accuracy()):
        assert all(name in table for name in CORRUPTIONS)


def test_the_cost_is_of_several_tracks(page: ModuleType) -> None:
    """Includes the detection rate for planted copies."""
    text = page.audit_cost()
    assert "| `oracle-mnist-3k` | 3,000 |" in text
    assert "rescanned" in text


def test_the_command_writes_a_sheet(tmp_path: Path) -> None:
    """For all corruptions or one; an unknown name gets a suggestion."""
    sheet = tmp_path / "sheet.png"
    command = [
        sys.executable,
        "-m",
        "oraclezoo",
        "data",
        "corrupt",
        "glyphs-3k",
        "--out",
        str(sheet),
    ]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)["data"]
    assert data["version"] == VERSION
    assert [row["name"] for row in data["corruptions"]] == list(CORRUPTIONS)
    assert sheet.read_bytes().startswith(b"\x89PNG")
    wrong = subprocess.run(
        [*command, "--overwrite", "--name", "blott"], capture_output=True, text=True
    )
    assert wrong.returncode == 2
    assert "did you mean 'blots'" in wrong.stderr
