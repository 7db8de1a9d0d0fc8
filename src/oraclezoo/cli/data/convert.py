"""``oraclezoo data convert``: convert scanned images to IDX files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import click

from oraclezoo.cli._shared import options
from oraclezoo.cli._shared.app import emit_json, json_option, next_step, say
from oraclezoo.cli._shared.examples import example

if TYPE_CHECKING:
    from oraclezoo.data.scans.prepare import Step
    from oraclezoo.data.scans.report import Report

Naming = Literal["folders", "oracle-mnist"]

_SHOWN = 10
"""Number of rejected files to print; the report lists all of them."""


@click.command("convert", epilog=example("oraclezoo data convert scans --out my-data"))
@click.argument("source", type=click.Path())
@options.out("Folder for the IDX files.", required=True)
@click.option(
    "--size",
    type=click.IntRange(1, 512),
    default=28,
    show_default=True,
    help="Image size in pixels.",
)
@click.option(
    "--validation",
    type=click.IntRange(0, 90),
    metavar="PERCENT",
    help="Validation split, chosen by hash.  [default: 10, unless SOURCE has validation/]",
)
@click.option(
    "--test",
    type=click.IntRange(1, 90),
    metavar="PERCENT",
    help="Test split, chosen by hash.  [default: 10, unless SOURCE has test/]",
)
@click.option(
    "--classes",
    type=click.Choice(get_args(Naming)),
    default="folders",
    show_default=True,
    help="Class names: folder names, or Oracle-MNIST's classes with their label order.",
)
@click.option(
    "--flip-keeps-label", is_flag=True, help="Declare that mirroring an image preserves its label."
)
@click.option(
    "--polarity",
    type=click.Choice(["auto", "light-on-dark", "dark-on-light"]),
    default="auto",
    show_default=True,
    help="Polarity of the scans; auto detects it per image.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Worker processes.  [default: number of cores]",
)
@click.option(
    "--allow-rejected",
    type=click.FloatRange(0, 100),
    default=0.0,
    show_default=True,
    metavar="PERCENT",
    help="Maximum percentage of rejected files; exit with status 3 above it.",
)
@click.option(
    "--overwrite", is_flag=True, help="Convert every file again, including those converted earlier."
)
@options.quiet
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
    overwrite: bool,
    as_json: bool,
) -> None:
    """Convert scanned images in SOURCE to IDX files, for --track idx.

    SOURCE is a folder or a tar or zip archive with one folder of images per class, or with train/
    and test/ (and optionally validation/) that contain such folders. Images may have any size,
    color mode and polarity, and any format that 'oraclezoo predict' reads.

    After an interruption, run the same command again to resume; files that were added later are
    converted, the others reused. Unusable files are skipped and listed in report.json. Exit status
    3 if the percentage of rejected files exceeds --allow-rejected (the other files are written); 1
    if a class has no training image left (nothing is written).
    """
    from pathlib import Path

    from oraclezoo.cli._shared.progress import progress, stop_on_interrupt
    from oraclezoo.data.scans.convert import Settings, convert
    from oraclezoo.errors import VerificationError

    settings = Settings(size, validation, test, classes, flip_keeps_label, polarity)
    with progress("converting", 1) as lines, stop_on_interrupt(lines.say) as stop:

        def report_step(step: Step) -> None:
            text = f"{step.done:,} of {step.total:,} files, {step.images_per_s:,.0f} files/s"
            lines.update(step.done / step.total, text)

        report = convert(
            Path(source),
            Path(out),
            settings,
            jobs=jobs or _cores(),
            fresh=overwrite,
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
            f"at most {allow_rejected:g}% are allowed; the others are in {out}\n"
            f"Reasons: {Path(out, 'report.json')}. --allow-rejected PERCENT raises the limit."
        )
    if not as_json:
        next_step("data", "audit", "idx", "--data-dir", out)


def _show(report: Report, out: str) -> None:
    """Print a summary of the report."""
    size = report.settings.size
    rows = [
        ("source", f"{report.source} ({report.source_kind}), {len(report.classes)} classes"),
        (
            "written",
            f"{out}: {report.count('train'):,} training, {report.count('validation'):,} "
            f"validation, {report.count('test'):,} test images of {size} x {size}",
        ),
        ("rejected", f"{len(report.rejected):,} files, {report.rejected_percent:.1f}%"),
        *(("", f"{name}: {reason}") for name, reason in report.rejected[:_SHOWN]),
    ]
    if len(report.rejected) > _SHOWN:
        rows.append(("", f"... see {out}/report.json for all"))
    if report.ignored:
        rows.append(("ignored", f"{len(report.ignored):,} files or links that are not images"))
    if report.duplicates:
        copies = sum(len(group.files) - 1 for group in report.duplicates)
        conflicts = sum(group.conflicting for group in report.duplicates)
        across = sum(group.across_splits for group in report.duplicates)
        rows.append(
            (
                "duplicates",
                f"{copies:,} images duplicate another (all kept); {conflicts:,} in two "
                f"classes, {across:,} in two splits",
            )
        )
    rate = "" if report.images_per_s is None else f", {report.images_per_s:,.0f} files/s"
    rows.append(
        (
            "time",
            f"{report.seconds:.1f} s for {report.prepared:,} files{rate}, {report.jobs} jobs; "
            f"{report.reused:,} files reused from earlier runs",
        )
    )
    rows.append(("use it with", f"--track idx --data-dir {out}"))
    for name, text in rows:
        click.echo(f"{name:<11} {text}")


def _hint(report: Report) -> None:
    from oraclezoo.data.scans.layout import looks_like_oracle_mnist

    names = [each.name for each in report.classes]
    if report.settings.classes == "folders" and looks_like_oracle_mnist(names):
        say("the classes are Oracle-MNIST's; use --classes oracle-mnist for its label order")


def _cores() -> int:
    import os

    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
