"""The harness of fault injection: verdicts, mutations, and a few cases on the current version."""

from __future__ import annotations

import importlib
import json
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Script = Callable[[str], ModuleType]
ROOT = Path(__file__).resolve().parents[2]
OPEN = frozenset((ROOT / "tests" / "samples" / "faults" / "open.txt").read_text().split())

with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(ROOT / "benchmarks"))
    SECTIONS = importlib.import_module("_faults").SECTIONS


@pytest.fixture(scope="module")
def lab(script: Script, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A laboratory that attacks the oraclezoo of this environment, with few mutations."""
    work = tmp_path_factory.mktemp("faults")
    zoo, laboratory = script("_faults.zoo"), script("_faults.lab")
    with zoo.Zoo(Path(sys.executable), work / "processes") as attacked:
        yield laboratory.Lab(attacked, work, laboratory.Amount(mutations=12, kills=2))


def ran(script: Script, status: int | None, out: str = "", err: str = "") -> Any:
    """A finished command."""
    return script("_faults.zoo").Ran("oraclezoo x", status, out, err, Path())


@pytest.mark.parametrize(
    ("status", "err", "verdict"),
    [
        (1, "oraclezoo: x.toml: cut", "REFUSED"),
        (1, "oraclezoo: cut", "UNCLEAR"),
        (1, "", "LOST"),
        (0, "", "LOST"),
        (None, "", "HANG"),
        (-11, "", "TRACEBACK"),
        (1, "Traceback (most recent call last):\nValueError: x.toml", "TRACEBACK"),
        (1, "oraclezoo: unexpected OverflowError: x.toml", "UNEXPECTED"),
        (1, "oraclezoo: x.toml: unexpected key 'a'", "REFUSED"),
    ],
)
def test_a_refusal_needs_a_status_and_a_cause(
    script: Script, status: int | None, err: str, verdict: str
) -> None:
    """Success, silence and other causes are no refusal."""
    attempt = script("_faults.judge").refused("x", ran(script, status, err=err), r"x\.toml")
    assert attempt.verdict.name == verdict


def test_a_refusal_that_lost_something_is_a_loss(script: Script) -> None:
    """What is gone counts, whatever the message says."""
    refusal = ran(script, 1, err="oraclezoo: no")
    attempt = script("_faults.judge").refused("x", refusal, lost=lambda: "the run is gone")
    assert (attempt.verdict.name, attempt.failed) == ("LOST", True)


@pytest.mark.parametrize(
    ("status", "fault", "verdict"),
    [(0, "", "SURVIVED"), (0, "other figures", "LOST"), (2, "", "UNCLEAR")],
)
def test_success_needs_a_right_result(
    script: Script, status: int, fault: str, verdict: str
) -> None:
    """Exit status 0 alone is not enough, and valid input must be accepted."""
    outcome = ran(script, status, err="oraclezoo: no" if status else "")
    attempt = script("_faults.judge").survived("x", outcome, lambda: fault)
    assert attempt.verdict.name == verdict


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("use it with --track idx --data-dir 'my files/data'", True),
        ("next: pip install -e 'my files/net'; oraclezoo plugins check net", True),
        ("run oraclezoo export 'my files/run'.", True),
        ("run oraclezoo export my files/run", False),
    ],
)
def test_a_command_is_quoted_or_falls_apart(script: Script, text: str, whole: bool) -> None:
    """Punctuation may follow a command, and another one."""
    assert (script("_faults.messages").unquoted(text, "my files") == "") is whole


def test_mutations_repeat(script: Script) -> None:
    """A seed gives the same mutation again; most mutations change the content."""
    mutate = script("_faults.mutate")
    content = json.dumps({"a": [1, 2.5, "x"], "b": {"c": None}}).encode()
    for name in ("of_bytes", "of_head", "of_text", "of_json", "of_lines"):
        twice = [
            [getattr(mutate, name)(random.Random(seed), content) for seed in range(200)]
            for _ in range(2)
        ]
        assert twice[0] == twice[1]
        assert len(set(twice[0]) - {content}) > 50, name


def test_rows_of_other_cases_are_kept(script: Script, tmp_path: Path) -> None:
    """A run of some cases replaces their rows in the file, in the order of the table."""
    main = script("_faults.main")
    path = tmp_path / "faults.json"
    kills = ["kills-train"]
    for version, names in (("1", [*kills, "plugin-digest"]), ("1", kills), ("2", kills)):
        main.merge(path, {"oraclezoo": version, "rows": [{"name": name} for name in names]})
        rows = json.loads(path.read_text())["data"]["rows"]
        expected = ["plugin-digest", "kills-train"] if version == "1" else ["kills-train"]
        assert [row["name"] for row in rows] == expected


def test_every_case_has_a_name_of_its_own(script: Script) -> None:
    """Names select cases and identify rows."""
    names = [case.name for cases in SECTIONS.values() for case in cases]
    assert len(set(names)) == len(names)
    with pytest.raises(SystemExit, match="no case or section is called nothing"):
        list(script("_faults.main").chosen(["nothing"]))


CHEAP = ("plugin-healthy", "submit-reordered", "mutated-recipes", "mutated-glyph-toml")
"""Cases that version 0.1.0 survives, and that take a few seconds."""


@pytest.mark.full
@pytest.mark.parametrize("name", CHEAP)
def test_cheap_cases_show_no_fault(script: Script, lab: Any, name: str) -> None:
    """The harness runs commands, probes and batches of the installed version."""
    ((_, case),) = script("_faults.main").chosen([name])
    attempts = list(case.attempts(lab))
    assert attempts
    assert not [attempt for attempt in attempts if attempt.failed]


@pytest.mark.full
def test_a_process_can_be_held_and_killed(script: Script, lab: Any) -> None:
    """A held process waits in its work; a killed one stops at the given change of the disk."""
    zoo, locks = script("_faults.zoo"), script("_faults.locks")
    with lab.folder() as folder:
        words = locks.BY_NAME["train"].words(lab, folder)
        process = lab.zoo.start(zoo.Setting(folder, hold=locks.EPOCH), *words)
        assert process.held()
        assert not process.ended
        process.release()
        assert process.wait().status == 0
        whole = lab.zoo.run(zoo.Setting(folder, below=folder), *words, "--overwrite")
        assert whole.writes > 5
        setting = zoo.Setting(folder, below=folder, kill_at=3)
        assert lab.zoo.run(setting, *words, "--overwrite").status == -9


@pytest.mark.full
@pytest.mark.parametrize("name", [case.name for cases in SECTIONS.values() for case in cases])
def test_case(request: pytest.FixtureRequest, script: Script, name: str) -> None:
    """A case shows no fault; a twentieth of the published mutations and kills are tried.

    The cases in ``open.txt`` are known to show one. Whoever mends it removes the name.
    """
    if name in OPEN:
        reason = "a known fault: see tests/samples/faults/README.md"
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    arguments = ["--only", name, "--mutations", "100", "--kills", "10"]
    assert script("_faults.main").main("", arguments) == 0
