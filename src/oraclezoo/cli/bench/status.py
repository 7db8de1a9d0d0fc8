"""``oraclezoo bench status``: count the jobs of campaigns by state."""

from __future__ import annotations

from typing import Any

import click

from oraclezoo.cli._shared import options
from oraclezoo.cli._shared.app import emit_json, json_option, next_step, print_table, say
from oraclezoo.cli._shared.examples import example


@click.command("status", epilog=example("oraclezoo bench status"))
@click.argument("campaign", required=False)
@options.runs
@json_option
def command(campaign: str | None, runs: str, as_json: bool) -> None:
    """Count the jobs of CAMPAIGN (an identifier or a folder; by default all) by state.

    A campaign is active (a process supervises it), submitted (its jobs are with a scheduler),
    stopped, cancelled or complete. 'bench collect' continues a submitted or stopped one.
    """
    from pathlib import Path

    from oraclezoo.executors.campaign import campaigns, find
    from oraclezoo.executors.dispatch import submitted_handles

    listed = campaigns(Path(runs)) if campaign is None else [find(campaign, Path(runs))]
    rows = []
    documents: list[dict[str, Any]] = []
    for each in listed:
        record, counts = each.record(), each.counts()
        supervised = not counts.complete and each.is_supervised()
        state = "complete" if counts.complete else "active" if supervised else "stopped"
        if state == "stopped" and each.is_cancelled():
            state = "cancelled"
        elif state == "stopped" and any(submitted_handles(each.tasks)):
            state = "submitted"
        numbers = (counts.waiting, counts.running, counts.done, counts.kept, len(counts.failed))
        rows.append((each.id, state, record.executor, *map(str, (counts.total, *numbers))))
        documents.append(
            {
                "campaign": each.id,
                "folder": str(each.folder),
                "state": state,
                "executor": record.executor,
                "command": record.command,
                "created": record.created,
                "jobs": counts.total,
                "waiting": counts.waiting,
                "running": counts.running,
                "done": counts.done,
                "kept": counts.kept,
                "failed": [
                    {"job": f.job, "reason": f.reason, "message": f.message} for f in counts.failed
                ],
            }
        )
    if as_json:
        emit_json("oraclezoo/bench-status/1", documents)
        return
    if not rows:
        say(f"no campaigns in {runs}; 'oraclezoo bench --detach' starts one")
        return
    header = ("CAMPAIGN", "STATE", "EXECUTOR", "JOBS", "WAITING", "RUNNING", "DONE", "KEPT")
    print_table((*header, "FAILED"), rows)
    for document in documents:
        for failure in document["failed"]:
            click.echo(f"{failure['job']} failed ({failure['reason']}): {failure['message']}")
    next_step("bench", "collect", rows[0][0], *_folder(runs))


def _folder(runs: str) -> tuple[str, ...]:
    """Return the option that names the folder of runs, if it is not the default."""
    return () if runs == "runs" else ("--runs", runs)
