"""``oraclezoo data convert``: scans to IDX files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import click

from oraclezoo.cli._base import emit_json, json_option, say

if TYPE_CHECKING:
    from oraclezoo.data.scans.gather import Step
    from oraclezoo.data.scans.report import Report

Naming = Literal["folders", "oracle-mnist"]

_SHOWN = 10
"""Rejected files that are listed on the terminal; the report lists all."""


@click.command("convert")
@click.argument("source", type=click.Path())
@click.argument("out", type=click.Path(file_okay=False))
@click.option(
    "--size", type=click.IntRange(1, 512), default=28, show_default=True, help="Pixels a side."
)
@click.option(
    "--validation",
    type=click.IntRange(0, 90),
    metavar="PERCENT",
    help="Share of validation, by hash; 10 unless SOURCE has a folder for it.",
)
@click.option(
    "--test",
    type=click.IntRange(1, 90),
    metavar="PERCENT",
    help="Share of the test, by hash; 10 unless SOURCE has a folder for it.",
)
@click.option(
    "--classes",
    type=click.Choice(get_args(Naming)),
    default="folders",
    show_default=True,
    help="Names of classes: the folders', or Oracle-MNIST's with its characters and flips.",
)
@click.option("--flip-keeps-label", is_flag=True, help="Mirrored characters are of the same class.")
@click.option(
    "--polarity",
    type=click.Choice(["auto", "light-on-dark", "dark-on-light"]),
    default="auto",
    show_default=True,
    help="Polarity of the scans; auto detects it for each.",
)
@click.option("--jobs", type=click.IntRange(min=1), help="Processes; else one for each core.")
@click.option(
    "--allow-rejected",
    type=click.FloatRange(0, 100),
    default=0.0,
    metavar="PERCENT",
    help="Share of rejected files that is no failure; 0 by default.",
)
@click.option("--fresh", is_flag=True, help="Prepare all again, also what an earlier run has kept.")
@json_option
def command(
    source: str,
    out: str,
    size: int,
    validation: int | None,
    test: int | None,
    classes: Naming,
    flip_keeps_label: bool,
    polarity: Any,
    jobs: int | None,
    allow_rejected: float,
    fresh: bool,
    as_json: bool,
) -> None:
    """Convert scans to IDX files in the folder OUT, for --track idx.

    SOURCE is a folder or a tar or zip archive with a folder of images for each class, or with
    train/ and test/ (and validation/) that have those in them. Images are BMP, PNG, JPEG, TIFF or
    WebP of any size, colour and polarity.

    After a stop or a kill the same command goes on; files added later are all that it prepares.
    Files that cannot be used are left out and listed in OUT/report.json. Exit status 3 if their
    share is more than --allow-rejected, with all others written; 1 if a class has no training
    image left, with nothing written.
    """
    from pathlib import Path

    from oraclezoo.cli._progress import progress, stop_on_interrupt
    from oraclezoo.data.scans.convert import Settings, convert
    from oraclezoo.errors import VerificationError

    settings = Settings(size, validation, test, classes, flip_keeps_label, polarity)
    with progress("convert", 100) as lines, stop_on_interrupt(lines.say) as stop:

        def report_step(step: Step) -> None:
            text = f"{step.done:,} of {step.total:,} files, {step.images_per_s:,.0f} files/s"
            lines.update(int(100 * step.done / step.total), text)

        report = convert(
            Path(source),
            Path(out),
            settings,
            jobs=jobs or _cores(),
            fresh=fresh,
            progress=report_step,
            stop=stop,
        )
    if as_json:
        emit_json("oraclezoo/convert/1", report.to_json_dict())
    else:
        _show(report, out)
    _hint(report)
    if report.rejected_percent > allow_rejected:
        raise VerificationError(
            f"{len(report.rejected):,} files ({report.rejected_percent:.1f}%) were rejected, "
            f"{allow_rejected:g}% are allowed; the others are in {out}\n"
            f"Reasons are in {Path(out, 'report.json')}; --allow-rejected PERCENT accepts a share."
        )


def _show(report: Report, out: str) -> None:
    """The report in a few lines."""
    sides: Any = report.to_json_dict()["images"]
    size = report.settings["size"]
    rows = [
        ("source", f"{report.source} ({report.source_kind}), {len(report.classes)} classes"),
        (
            "written",
            f"{out}: {sides['train']:,} training, {sides['validation']:,} validation, "
            f"{sides['test']:,} test images of {size} x {size}",
        ),
        ("rejected", f"{len(report.rejected):,} files, {report.rejected_percent:.1f}%"),
        *(("", f"{name}: {reason}") for name, reason in report.rejected[:_SHOWN]),
    ]
    if len(report.rejected) > _SHOWN:
        rows.append(("", f"... all are in {out}/report.json"))
    if report.ignored:
        rows.append(("ignored", f"{len(report.ignored):,} files or links that are no images"))
    if report.duplicates:
        twice = sum(len(group.files) - 1 for group in report.duplicates)
        conflicts = sum(group.conflicting for group in report.duplicates)
        across = sum(group.across_sides for group in report.duplicates)
        rows.append(
            (
                "duplicates",
                f"{twice:,} images equal another (all kept); {conflicts:,} of them under two "
                f"classes, {across:,} on two sides",
            )
        )
    rate = "" if report.images_per_s is None else f", {report.images_per_s:,.0f} files/s"
    rows.append(
        (
            "time",
            f"{report.seconds:.1f} s for {report.prepared:,} files{rate}, {report.jobs} jobs; "
            f"{report.kept:,} files kept from before",
        )
    )
    rows.append(("use it by", f"--track idx --data-dir {out}"))
    for name, text in rows:
        click.echo(f"{name:<10}  {text}")


def _hint(report: Report) -> None:
    from oraclezoo.data.scans.layout import looks_like_oracle_mnist

    names = [each.name for each in report.classes]
    if report.settings["classes"] == "folders" and looks_like_oracle_mnist(names):
        say("these are Oracle-MNIST's classes: --classes oracle-mnist gives them its label order")


def _cores() -> int:
    import os

    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
