"""``oraclezoo plugins check``: verdicts and exit status."""

from __future__ import annotations

import json
from typing import Any

from click.testing import CliRunner, Result

from oraclezoo.cli import cli

SCHEDULERS = """
from torch.optim.lr_scheduler import LRScheduler


class Good(LRScheduler):
    def __init__(self, optimizer, *, total_steps, steps_per_epoch):
        print("loud when built")
        super().__init__(optimizer)

    def get_lr(self):
        return list(self.base_lrs)


class Negative(Good):
    def get_lr(self):
        return [-1.0 for _ in self.base_lrs]
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["plugins", "check", *arguments])


def offer(site: Any, distribution: str, **schedulers: str) -> None:
    """Install a plugin with schedulers, as pairs of a name and a class of the source above."""
    heavy = site.add(f"{distribution}-parts", SCHEDULERS)
    specs = ", ".join(
        f"Spec('scheduler', {name!r}, '{heavy}:{factory}', 'x', facts={{'metric': False}})"
        for name, factory in schedulers.items()
    )
    site.add(distribution, f"@hookimpl\ndef oraclezoo_schedulers():\n    return [{specs}]\n")


def test_each_check_has_a_line(site: Any) -> None:
    """Each line has kind, qualified name, check, verdict and reason; the exit status is 0."""
    offer(site, "zoo-good", steady="Good")
    result = run("zoo-good")
    assert result.exit_code == 0, result.output
    header, *lines = result.stdout.splitlines()
    assert header.split() == ["KIND", "NAME", "CHECK", "VERDICT", "REASON"]
    assert [line.split()[:4] for line in lines] == [
        ["scheduler", "zoo-good:steady", name, verdict]
        for name, verdict in (
            ("target", "pass"),
            ("bounds", "pass"),
            ("proportion", "pass"),
            ("options", "skip"),
            ("resume", "pass"),
            ("determinism", "pass"),
            ("metric", "pass"),
            ("training-step", "pass"),
        )
    ]
    assert "it has no option with bounds" in result.stdout
    assert "loud" not in result.stdout


def test_a_failure_is_exit_status_3_with_its_reason(site: Any) -> None:
    """The full reason is on stderr; other components still pass."""
    offer(site, "zoo-mixed", steady="Good", wrong="Negative")
    result = run("zoo-mixed")
    assert result.exit_code == 3
    assert "zoo-mixed:wrong, bounds: of 1 steps, the learning rate at step 0 is -1" in result.stderr
    assert run("steady").exit_code == 0
    data = json.loads(run("wrong", "--json").stdout)
    assert data["schema"] == "oraclezoo/plugins-check/1"
    assert data["data"]["passed"] is False
    (bounds,) = [v for v in data["data"]["verdicts"] if v["check"] == "bounds"]
    assert bounds.keys() == {"kind", "name", "check", "verdict", "reason"}
    assert (bounds["verdict"], bounds["name"]) == ("fail", "zoo-mixed:wrong")


def test_a_plugin_that_does_not_load_fails(site: Any) -> None:
    """The output has the reason and the fix of its quarantine."""
    site.add("zoo-bad", "raise RuntimeError('no luck')")
    result = run("zoo-bad", "--json")
    assert result.exit_code == 3
    (verdict,) = json.loads(result.stdout)["data"]["verdicts"]
    assert (verdict["check"], verdict["verdict"]) == ("loads", "fail")
    assert "no luck" in verdict["reason"]
    assert "update it" in verdict["reason"]


def test_a_half_of_a_distribution_that_does_not_load_is_told_beside_the_other(site: Any) -> None:
    """One entry point is quarantined; the components of the other are still checked."""
    offer(site, "zoo-half", steady="Good")
    site.add("zoo-half", "raise RuntimeError('no luck')", entry="second")
    result = run("zoo-half", "--json")
    assert result.exit_code == 3
    verdicts = json.loads(result.stdout)["data"]["verdicts"]
    assert [v["name"] for v in verdicts if v["verdict"] == "fail"] == ["zoo-half:second"]
    assert "zoo-half:steady" in {v["name"] for v in verdicts}


def test_a_name_that_nothing_goes_by_is_wrong_usage(site: Any) -> None:
    """The error suggests similar names."""
    offer(site, "zoo-good", steady="Good")
    result = run("stedy")
    assert result.exit_code == 2
    assert "did you mean 'steady'" in result.stderr
