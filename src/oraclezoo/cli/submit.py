"""``oraclezoo submit``: check results and prepare a pull request to publish them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from oraclezoo.cli._shared import options
from oraclezoo.cli._shared.app import App, emit_json, json_option, next_step, pass_app
from oraclezoo.cli._shared.examples import example

if TYPE_CHECKING:
    from oraclezoo.publish.checks import Checked


@click.command("submit", epilog=example("oraclezoo submit results/my-result.json --out submission"))
@click.argument("results", nargs=-1, required=True, type=click.Path(), metavar="RESULT...")
@click.option(
    "--check",
    "only_check",
    is_flag=True,
    help="Only check, as CI does for pull requests; accepts whole folders.",
)
@click.option(
    "--against",
    type=click.Path(file_okay=False),
    metavar="FOLDER",
    help="With --check: previously published results; changing or removing one is refused.",
)
@options.out("Output folder, laid out like a checkout; may be a checkout.", "submission")
@json_option
@pass_app
def command(
    app: App,
    results: tuple[str, ...],
    only_check: bool,
    against: str | None,
    out: str,
    as_json: bool,
) -> None:
    """Check each RESULT against the schema and rules; write files and text for a pull request.

    Exit status 3, with all reasons, if one is refused. Fabricated predictions that match the
    reported numbers pass these checks; only 'oraclezoo reproduce' detects them.
    """
    from oraclezoo.errors import UsageError, VerificationError
    from oraclezoo.publish.submit import CAVEAT, check_all, submit

    if against is not None and not only_check:
        raise UsageError("--against requires --check")
    checked = check_all(results, app.registry, against=against)
    refused = sum(bool(one.refused) for one in checked)
    submission = None if only_check or refused else submit(results, app.registry, out=out)
    if as_json:
        text = None if submission is None else str(submission.text)
        files = [_document(one) for one in checked]
        emit_json("oraclezoo/submit/1", {"files": files, "caveat": CAVEAT, "text": text})
    else:
        for one in checked:
            _show(one)
        if submission is not None:
            click.echo(f"written: {', '.join(map(str, (*submission.files, submission.text)))}")
        click.echo(CAVEAT)
    if submission is not None and not as_json:
        next_step("submit", "--check", out)
    if refused:
        raise VerificationError(f"{refused} of {len(checked)} files refused; nothing was written")


def _document(one: Checked) -> dict[str, object]:
    findings = [{"rule": f.rule, "ok": f.ok, "text": f.text} for f in one.findings]
    return {"file": str(one.path), "refused": bool(one.refused), "findings": findings}


def _show(one: Checked) -> None:
    """Print a file's verdict; for a refused file, only the reasons."""
    click.echo(click.style(f"{one.path}: {'refused' if one.refused else 'ok'}", bold=True))
    for finding in one.refused or one.findings:
        mark = {True: "ok", False: "no", None: "--"}[finding.ok]
        click.echo(f"  {mark} {finding.rule}: {finding.text}")
