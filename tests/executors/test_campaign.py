"""Campaigns: their files, their counts, and who is at work on them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.commands import oraclezoo
from oraclezoo.errors import ResultError, UsageError
from oraclezoo.executors.campaign import (
    FOLDER,
    Campaign,
    CampaignRecord,
    Counts,
    Failure,
    campaigns,
    find,
)
from oraclezoo.executors.dispatch import SUBMITTED
from oraclezoo.executors.probe import Probe, Probed
from oraclezoo.jobs import Failed
from oraclezoo.jobs.lease import claim
from oraclezoo.jobs.task import Task


def create(runs: Path, name: str) -> Campaign:
    """Create a campaign with a record."""
    campaign = Campaign(runs / FOLDER / name)
    campaign.folder.mkdir(parents=True)
    record = CampaignRecord(
        id=name,
        created="2026-01-01T00:00:00Z",
        command="oraclezoo bench",
        executor="oraclezoo:local",
        options={"workers": 2, "threads": None},
        call={"seeds": [0]},
    )
    campaign.write(record)
    assert campaign.record() == record
    return campaign


def test_a_campaign_is_found_by_the_start_of_its_name(tmp_path: Path) -> None:
    """Or by its folder, or if it is the only one."""
    first = create(tmp_path, "abc123")
    assert find(None, tmp_path) == first
    second = create(tmp_path, "abd456")
    assert campaigns(tmp_path) == [first, second]
    assert find("abc", tmp_path) == first
    assert find(str(second.folder), Path("elsewhere")) == second
    with pytest.raises(UsageError, match="several campaigns"):
        find("ab", tmp_path)
    with pytest.raises(UsageError, match="no campaign 'x'"):
        find("x", tmp_path)


def test_jobs_are_counted_by_state(tmp_path: Path) -> None:
    """From the files of tasks, and from what was finished before."""
    campaign = create(tmp_path, "abc")
    campaign.write_progress(Counts(9, kept=2, failed=(Failure("lost", "error", "no model"),)))
    folders = [
        Task(Probe(number, tmp_path), f"job {number}").create(campaign.tasks) for number in range(4)
    ]
    folders[0].finish(Probed(0, 1))
    folders[1].finish(Failed("diverged", "the loss is nan"))
    held = claim(folders[2].path)
    assert held is not None
    with held:
        counts = campaign.counts()
    assert (counts.total, counts.kept, counts.done, counts.running) == (9, 2, 1, 1)
    assert counts.waiting == 9 - 2 - 1 - 1 - 2
    assert [failure.job for failure in counts.failed] == ["lost", "job 1"]


def test_the_process_at_work_is_seen(tmp_path: Path) -> None:
    """While it holds the campaign, and not afterwards; a cancellation ends with the next start."""
    campaign = create(tmp_path, "abc")
    assert not campaign.is_supervised()
    campaign.cancel()
    with campaign.submitting(print) as should_stop:
        assert campaign.is_supervised()
        assert not should_stop()
        campaign.cancel()
        assert should_stop()
    assert not campaign.is_supervised()
    assert campaign.is_cancelled()


def test_other_folders_are_no_campaigns(tmp_path: Path) -> None:
    """A damaged record is an error that names the file."""
    (tmp_path / "campaign.json").write_text("{}")
    with pytest.raises(ResultError, match=r"campaign\.json"):
        Campaign(tmp_path).record()


def test_a_campaign_whose_jobs_are_with_a_scheduler_is_not_stopped(tmp_path: Path) -> None:
    """No process supervises it after ``--detach``, but its jobs run on."""
    campaign = create(tmp_path, "c1")
    task = Task(Probe(0, tmp_path / "work", "succeed"), "job 0").create(campaign.tasks)
    states = []
    for _ in range(2):
        shown = oraclezoo("bench", "status", "--runs", tmp_path, "--json")
        states.append(json.loads(shown.stdout)["data"][0]["state"])
        content = {"submission": "a", "handle": "4711_0"}
        (task.path / SUBMITTED).write_text(json.dumps(content), encoding="utf-8")
    assert states == ["stopped", "submitted"]
    shown = oraclezoo("bench", "status", "--runs", tmp_path)
    assert f"next: oraclezoo bench collect c1 --runs {tmp_path}" in shown.output
