"""``oraclezoo plugins`` and ``oraclezoo plugins doctor``."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from oraclezoo.cli import cli


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["plugins", *arguments])


def problems(result: Result) -> list[dict[str, Any]]:
    actual = json.loads(result.stdout)
    assert actual["schema"] == "oraclezoo/plugins-doctor/1"
    listed: list[dict[str, Any]] = actual["data"]["problems"]
    return listed


@pytest.fixture
def motley(site: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Install a working, a broken, a disabled and an empty plugin."""
    site.offer("zoo-good", "good-net")
    site.add("zoo-bad", "raise RuntimeError('no luck')", version="0.3")
    site.offer("zoo-off", "off-net")
    site.add("zoo-empty", "")
    monkeypatch.setenv("ORACLEZOO_DISABLE_PLUGINS", "zoo-off,zoo-typo")
    return site


def test_every_plugin_has_a_line(motley: Any) -> None:
    """Each line has distribution, version, entry point, status, and components or reason."""
    result = run()
    assert result.exit_code == 0
    lines = {line.split()[0]: line for line in result.stdout.splitlines()}
    assert lines["oraclezoo"].split()[2:4] == ["builtin", "ok"]
    assert lines["zoo-good"].split() == ["zoo-good", "1.0", "main", "ok", "1", "backbone"]
    assert lines["zoo-bad"].split()[1:4] == ["0.3", "main", "quarantined"]
    assert "it raises RuntimeError: no luck" in lines["zoo-bad"]
    assert lines["zoo-off"].split()[3] == "disabled"
    assert lines["zoo-empty"].split()[3:] == ["ok", "nothing"]


def test_plugins_as_json(motley: Any) -> None:
    """The document also has the names of the components."""
    actual = json.loads(run("--json").stdout)
    assert actual["schema"] == "oraclezoo/plugins/1"
    records = {record["distribution"]: record for record in actual["data"]}
    assert records["zoo-good"]["offers"] == [{"kind": "backbone", "name": "good-net"}]
    assert records["zoo-bad"]["status"] == "quarantined"
    assert records["zoo-bad"]["fix"]
    assert records["zoo-off"]["offers"] == []


def test_the_doctor_is_content_with_working_plugins(site: Any) -> None:
    """The exit status is 0, and working plugins are counted."""
    site.offer("zoo-good", "good-net")
    result = run("doctor")
    assert result.exit_code == 0
    assert "no plugin is quarantined" in result.stdout
    assert run("doctor", "--json").exit_code == 0


def test_the_doctor_explains_every_problem(motley: Any) -> None:
    """Each problem has a cause and a fix, errors first; a quarantined plugin gives status 1."""
    result = run("doctor", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["data"]["healthy"] is False
    actual = problems(result)
    assert [p["level"] for p in actual] == ["error", "warning", "warning", "note"]
    assert all(p["what"] and p["why"] and p["fix"] for p in actual)
    bad, empty, typo, off = actual
    assert "zoo-bad:main" in bad["what"]
    assert "no luck" in bad["traceback"]
    assert "provides no components" in empty["why"]
    assert "'zoo-typo'" in typo["what"]
    assert "zoo-off:main" in off["what"]


def test_the_doctor_in_words(motley: Any) -> None:
    """--debug shows the traceback."""
    result = run("doctor")
    assert result.exit_code == 1
    assert "error: quarantined: zoo-bad:main" in result.stdout
    assert "  why: it raises RuntimeError: no luck\n  fix: update it" in result.stdout
    assert "Traceback" not in result.stdout
    debugging = CliRunner().invoke(cli, ["--debug", "plugins", "doctor"])
    assert "raise RuntimeError('no luck')" in debugging.stdout


def test_the_doctor_knows_clashes(site: Any) -> None:
    """A name in two plugins is a warning, a built-in's name is a note; neither fails."""
    site.offer("zoo-a", "shared-net", "resnet18")
    site.offer("zoo-b", "shared-net")
    result = run("doctor", "--json")
    assert result.exit_code == 0
    shared, shadowed = problems(result)
    assert shared["level"] == "warning"
    assert "zoo-a:shared-net, zoo-b:shared-net" in shared["why"]
    assert shadowed["level"] == "note"
    assert shadowed["fix"] == "use zoo-a:resnet18 to select it"


def test_strict_does_not_silence_the_doctor(motley: Any) -> None:
    """With --strict, the doctor still explains problems."""
    result = CliRunner().invoke(cli, ["--strict", "plugins", "doctor"])
    assert result.exit_code == 1
    assert "zoo-bad:main" in result.stdout


def test_the_doctor_finds_a_target_that_is_not_there(site: Any) -> None:
    """A missing module or name is an error with a fix and status 1; nothing is imported."""
    hook = "@hookimpl\ndef oraclezoo_backbones():\n    return ["
    spec = "Spec('backbone', '{}', '{}', 'x'), "
    module = site.add("zoo-parts", "class Net: ...")
    targets = {"gone": "zoo_nowhere.net:Net", "typo": f"{module}:Nett", "fine": f"{module}:Net"}
    site.add("zoo-x", hook + "".join(spec.format(*pair) for pair in targets.items()) + "]\n")
    result = run("doctor", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["data"]["healthy"] is False
    absent, typo = [p for p in problems(result) if p["level"] == "error"]
    assert "zoo-x:gone" in absent["what"]
    assert "no module named 'zoo_nowhere'" in absent["why"]
    assert f"'{module}' defines no 'Nett'; did you mean 'Net'?" in typo["why"]
    assert "pip install -U zoo-x" in typo["fix"]
    assert "zoo-x" in {line.split()[0] for line in run().stdout.splitlines()}


def test_the_doctor_times_what_loads_slowly(site: Any) -> None:
    """A plugin with a slow import is reported with the time; it still works."""
    site.add("zoo-slow", "import time\ntime.sleep(0.6)\n")
    site.offer("zoo-slow", "slow-net", entry="other")
    result = run("doctor", "--json")
    assert result.exit_code == 0
    (slow,) = [p for p in problems(result) if " s to load" in p["why"]]
    assert slow["level"] == "warning"
    assert "zoo-slow:main" in slow["what"]
    assert float(slow["why"].split()[2]) >= 0.6
    assert "ORACLEZOO_DISABLE_PLUGINS" in slow["fix"]


def test_the_doctor_knows_an_api_that_was_left(site: Any) -> None:
    """The plugin's range of API versions lies before or after the current one."""
    site.add("zoo-old", "oraclezoo_plugin_api = '<1'")
    (problem,) = problems(run("doctor", "--json"))
    assert "zoo-old" in problem["what"]
    assert "it supports plugin API <1; this oraclezoo has" in problem["why"]
    assert "install matching versions" in problem["fix"]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import os\nos._exit(0)", "ends the process that loads it (exit status 0)"),
        ("import os\nos._exit(7)", "ends the process that loads it (exit status 7)"),
        ("import os\nos.abort()", "kills the process that loads it (SIGABRT)"),
    ],
)
def test_the_doctor_survives_a_plugin_that_ends_the_process(
    site: Any, source: str, says: str
) -> None:
    """It loads each plugin in a subprocess first; the others are diagnosed as ever."""
    site.add("zoo-end", source, version="0.3")
    site.offer("zoo-good", "good-net")
    result = run("doctor", "--json")
    assert result.exit_code == 1
    (problem,) = problems(result)
    assert problem["what"].startswith("quarantined: zoo-end:main (zoo-end 0.3")
    assert says in problem["why"]
    assert "ORACLEZOO_DISABLE_PLUGINS=zoo-end" in problem["fix"]


def test_the_doctor_leaves_a_disabled_plugin_alone(
    site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not loaded in a subprocess either."""
    site.add("zoo-end", f"open({str(site.folder / 'loaded')!r}, 'w')\nimport os\nos._exit(1)")
    monkeypatch.setenv("ORACLEZOO_DISABLE_PLUGINS", "zoo-end")
    result = run("doctor", "--json")
    assert result.exit_code == 0
    assert not (site.folder / "loaded").exists()


def test_the_doctor_names_a_keyboard_interrupt_at_import(site: Any) -> None:
    """Nobody pressed Ctrl-C."""
    site.add("zoo-stop", "raise KeyboardInterrupt")
    result = run("doctor", "--json")
    assert result.exit_code == 1
    assert "it raises KeyboardInterrupt" in problems(result)[0]["why"]


def test_the_doctor_knows_names_that_differ_by_case_only(site: Any) -> None:
    """From a built-in one, and from another plugin's."""
    site.offer("zoo-a", "LeNet5", "my-net")
    site.offer("zoo-b", "My-Net")
    result = run("doctor", "--json")
    assert result.exit_code == 0
    whys = sorted(p["why"] for p in problems(result))
    assert whys == [
        "names differ by case only, and are easily confused: oraclezoo:lenet5, zoo-a:LeNet5",
        "names differ by case only, and are easily confused: zoo-b:My-Net, zoo-a:my-net",
    ]


def test_the_doctor_names_a_plugin_that_changes_the_process(site: Any) -> None:
    """A warning; what it changes is undone."""
    site.add("zoo-x", "import sys\nsys.setrecursionlimit(50_000)")
    reasons = [p["why"] for p in problems(run("doctor", "--json"))]
    assert any("changes the recursion limit" in why for why in reasons)
