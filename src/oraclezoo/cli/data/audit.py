"""``oraclezoo data audit``: find problems in a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from oraclezoo.cli._shared import options
from oraclezoo.cli._shared.app import (
    App,
    complete_names,
    emit_json,
    json_option,
    next_step,
    pass_app,
    print_table,
    say,
)
from oraclezoo.cli._shared.examples import example

if TYPE_CHECKING:
    from pathlib import Path

    from oraclezoo.data.audit import Audit


@click.command("audit", epilog=example("oraclezoo data audit idx --data-dir my-data --out report"))
@click.argument("track", default="glyphs-3k", shell_complete=complete_names("dataset"))
@options.data_dir
@options.out("Folder for report.json and suspicious.png.")
@options.quiet
@json_option
@pass_app
def command(app: App, track: str, data_dir: str | None, out: str | None, as_json: bool) -> None:
    """Audit TRACK: files, class balance, duplicates, near-duplicates, blank images, labels.

    Examines all splits, including the test images. To audit your own images, use --data-dir FOLDER
    with the track idx.

    Exit status 3 if there is a serious finding: a file that differs from the published one, equal
    images in two splits or with two labels (also mirrored ones if flips preserve the label), a
    constant image, or a class without training images. Review the other findings by eye.
    """
    from pathlib import Path
    from tempfile import TemporaryFile

    from oraclezoo.data import audit as auditing
    from oraclezoo.errors import VerificationError

    if out:  # before the audit, which may take minutes
        Path(out).mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=out):
            pass
    place = Path(data_dir) if data_dir else None
    entry = app.registry.get("dataset", track)
    files = auditing.published(entry.spec.name, place) if entry.builtin else []
    outcome = auditing.damaged(files)
    if outcome is None:
        dataset = app.registry.create("dataset", track, data_dir=place, progress=say)
        outcome = auditing.audit(dataset, files, progress=say)
    name = entry.spec.name if entry.builtin else entry.qualified
    written = _write(outcome, name, Path(out)) if out else []
    if as_json:
        emit_json("oraclezoo/audit/1", {"track": name, **outcome.as_json()})
    else:
        _show(outcome)
        for path in written:
            click.echo(path)
    if outcome.serious:
        raise VerificationError(f"{name}: {outcome.serious} serious findings")
    if not as_json:
        folder = ("--data-dir", data_dir) if data_dir else ()
        next_step("train", "--track", track, *folder)


def _write(outcome: Audit, track: str, folder: Path) -> list[Path]:
    """Write the report and, if there are images to show, the contact sheet."""
    import json

    from oraclezoo.data.audit.report import suspicious
    from oraclezoo.storage import replacing, write_atomically

    report = folder / "report.json"
    document = {"schema": "oraclezoo/audit/1", "data": {"track": track, **outcome.as_json()}}
    text = json.dumps(document, indent=2, allow_nan=False) + "\n"
    write_atomically(report, text.encode())
    sheet = None
    if outcome.pool is not None and outcome.summary is not None:
        names = [each.name for each in outcome.summary.classes]
        sheet = suspicious(outcome.pool, outcome.findings, names=names, say=say)
    if sheet is None:
        return [report]
    picture = folder / "suspicious.png"
    with replacing(picture) as file:
        sheet.save(file, format="PNG")
    return [report, picture]


def _show(outcome: Audit) -> None:
    from oraclezoo.data.audit import KINDS

    print_table(
        ("file", "status", "digest"),
        [(row.name, row.status, f"{row.kind} {row.digest[:16]}") for row in outcome.files],
    )
    if outcome.summary is not None:
        summary, balance = outcome.summary, outcome.summary.balance
        sizes = ", ".join(f"{name} {count:,}" for name, count in summary.splits.items())
        click.echo(f"\n{summary.images:,} images: {sizes}")
        click.echo(
            f"largest class / smallest: {balance.imbalance:.2f}; classes across splits: "
            f"chi-square {balance.chi_square:.1f}, p = {balance.p_value:.3f}"
        )
    click.echo("")
    serious = dict.fromkeys(KINDS, 0)
    for finding in outcome.findings:
        serious[finding.kind] += finding.serious
    print_table(
        ("count", "serious", "kind", "meaning"),
        [
            (str(count), str(serious[kind]), kind, KINDS[kind])
            for kind, count in outcome.numbers.items()
        ],
    )
    for finding in outcome.findings:
        if finding.serious:
            where = ", ".join(f"{p.split} {p.index} (label {p.label})" for p in finding.places[:6])
            click.echo(f"{finding.kind}: {finding.note}{': ' if where else ''}{where}")
