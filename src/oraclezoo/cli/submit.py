"""``oraclezoo submit``: check results, and write what a pull request needs to publish them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from oraclezoo.cli._base import App, emit_json, json_option, pass_app

if TYPE_CHECKING:
    from oraclezoo.publish.checks import Checked


@click.command("submit")
@click.argument("results", nargs=-1, required=True, type=click.Path(), metavar="RESULT...")
@click.option(
    "--check",
    "only_check",
    is_flag=True,
    help="Check alone, also whole folders; what a pull request is held to.",
)
@click.option(
    "--against",
    type=click.Path(file_okay=False),
    metavar="FOLDER",
    help="With --check: results as published before; one that was changed or removed is refused.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False),
    default="submission",
    show_default=True,
    metavar="FOLDER",
    help="Where files are laid out as in a checkout; a checkout itself will do.",
)
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
    """Check each RESULT against schema and rules, and write files and text for a pull request.

    Exit status 3, with each reason, if one is refused. Invented predictions that fit what is
    stated pass: only 'oraclezoo reproduce' finds those.
    """
    from oraclezoo.errors import UsageError, VerificationError
    from oraclezoo.publish.submit import CAVEAT, check_all, submit

    if against is not None and not only_check:
        raise UsageError("--against goes with --check")
    checked = check_all(results, app.registry, against=against)
    refused = sum(bool(one.refused) for one in checked)
    made = None if only_check or refused else submit(results, app.registry, out=out)
    if as_json:
        text = None if made is None else str(made.text)
        files = [_document(one) for one in checked]
        emit_json("oraclezoo/submit/1", {"files": files, "caveat": CAVEAT, "text": text})
    else:
        for one in checked:
            _show(one)
        if made is not None:
            click.echo(f"written: {', '.join(map(str, (*made.files, made.text)))}")
        click.echo(CAVEAT)
    if refused:
        raise VerificationError(f"{refused} of {len(checked)} files refused; nothing was written")


def _document(one: Checked) -> dict[str, object]:
    findings = [{"rule": f.rule, "ok": f.ok, "text": f.text} for f in one.findings]
    return {"file": str(one.path), "refused": bool(one.refused), "findings": findings}


def _show(one: Checked) -> None:
    """A file's verdict; of one that is refused, the reasons alone."""
    click.echo(click.style(f"{one.path}: {'refused' if one.refused else 'fine'}", bold=True))
    for found in one.refused or one.findings:
        mark = {True: "ok", False: "no", None: "--"}[found.ok]
        click.echo(f"  {mark} {found.rule}: {found.text}")
