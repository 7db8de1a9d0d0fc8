"""``oraclezoo predict``: classify images of characters."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from oraclezoo.cli._shared import options
from oraclezoo.cli._shared.app import (
    App,
    complete_models,
    emit_json,
    json_option,
    next_step,
    pass_app,
    say,
    say_error,
    wrapped,
)
from oraclezoo.cli._shared.examples import example

if TYPE_CHECKING:
    from oraclezoo.imaging.find import Box
    from oraclezoo.serving.predictor import Predictor
    from oraclezoo.serving.reading import Reading
    from oraclezoo.serving.sources import Source


@click.command("predict", epilog=example("oraclezoo predict bone.jpg --top 5"))
@click.argument("images", nargs=-1, metavar="IMAGE...")
@click.option(
    "--model",
    metavar="NAME|FOLDER",
    shell_complete=complete_models,
    help="Model name ('oraclezoo models list') or folder.  [default: oraclenet_s]",
)
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Classes to print for each image.",
)
@options.polarity
@click.option(
    "--box",
    metavar="X,Y,W,H",
    callback=lambda _ctx, _param, text: _box(text),
    help="Read this rectangle of every image instead of finding the character: left and upper "
    "edge, width and height in pixels.",
)
@click.option(
    "--show",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write each image, with the box of its character, beside the model's input to DIR.",
)
@click.option(
    "--explain",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write the model's input for each image to DIR, with what mattered to the prediction in "
    "red (occlusion sensitivity).",
)
@click.option(
    "--several",
    is_flag=True,
    help="Read every separate character of an image, e.g. of a page or an inscription.",
)
@click.option(
    "--order",
    type=click.Choice(["columns", "rows"]),
    default="columns",
    show_default=True,
    help="With --several: columns from right to left, or rows from left to right.",
)
@click.option("--demo", is_flag=True, help="Also classify the bundled sample image.")
@click.option(
    "--files-from",
    type=click.Path(dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="Read more paths from FILE, one per line; '-' is standard input.",
)
@options.quiet
@json_option
@pass_app
@click.pass_context
def command(
    ctx: click.Context,
    app: App,
    images: tuple[str, ...],
    model: str | None,
    top: int,
    polarity: Any,
    box: Any,
    show: Path | None,
    explain: Path | None,
    several: bool,
    order: Any,
    demo: bool,
    files_from: str | None,
    as_json: bool,
) -> None:
    """Classify the character in each IMAGE: files, folders, glob patterns, or '-' for stdin.

    Accepts images of any size, color mode, polarity and common format, with the character anywhere
    in them. An unreadable image is reported on stderr and skipped; the exit status is then 1.
    """
    from oraclezoo.serving.document import SCHEMA, image_entry, model_entry, unreadable_entry
    from oraclezoo.serving.reading import Preprocessing, read
    from oraclezoo.serving.sources import SAMPLE

    if demo:
        images = (str(SAMPLE), *images)
    if not images and files_from is None:
        raise click.UsageError("pass an image, a folder, or '-' for standard input")
    if "-" in images and files_from == "-":
        raise click.UsageError("standard input cannot be both an image and a list of paths")
    if not several and ctx.get_parameter_source("order") is ParameterSource.COMMANDLINE:
        raise click.UsageError("--order requires --several")
    if several and box is not None:
        raise click.UsageError("--several finds the characters itself; it cannot use --box")
    predictor = _open(model, app)
    settings = Preprocessing(polarity, box, show, several=order if several else None)
    rows, unreadable = [], []
    for position, reading in enumerate(read(predictor, _sources(images, files_from), settings), 1):
        if explain is not None:
            _explain(predictor, reading, explain, position)
        if reading.probabilities is None:
            say_error(f"oraclezoo: {_printable(reading.name)}: {reading.reason}")
            unreadable.append(unreadable_entry(reading))
        elif as_json:
            rows.append(image_entry(predictor, reading, top))
        else:
            click.echo(wrapped(_line(image_entry(predictor, reading, top))))
    if as_json:
        model_row = {"folder": str(predictor.folder), **model_entry(predictor)}
        emit_json(SCHEMA, {"model": model_row, "images": rows, "unreadable": unreadable})
    elif not unreadable:
        next_step("serve", *((model,) if model else ()))
    ctx.exit(1 if unreadable else 0)


def _explain(predictor: Predictor, reading: Reading, folder: Path, position: int) -> None:
    """Write the overlay of an image that was read; ``position`` is the result's position."""
    from oraclezoo.serving.explain import occlusion, write_overlay
    from oraclezoo.serving.view import view_name

    if reading.prepared is not None:
        path = folder / view_name(position, reading.name)
        gray = reading.prepared.gray
        write_overlay(path, gray, occlusion(predictor, gray))


def _open(model: str | None, app: App) -> Predictor:
    from oraclezoo.serving.names import DEFAULT, locate
    from oraclezoo.serving.predictor import Predictor

    return Predictor(locate(model or DEFAULT, lambda: app.registry, say))


def _sources(images: tuple[str, ...], files_from: str | None) -> Iterator[Source]:
    from oraclezoo.serving.sources import expand, paths_in

    stdin = sys.stdin.buffer
    yield from expand(images, stdin)
    if files_from == "-":
        yield from expand(paths_in(stdin), stdin)
    elif files_from is not None:
        with Path(files_from).open("rb") as file:
            yield from expand(paths_in(file), stdin)


def _box(text: str | None) -> Box | None:
    """Parse the box ``X,Y,W,H``."""
    from oraclezoo.errors import UsageError
    from oraclezoo.serving.reading import box_of

    if text is None:
        return None
    try:
        return box_of(text)
    except UsageError as error:
        raise click.BadParameter(str(error)) from error


def _line(row: dict[str, Any]) -> str:
    """Format a row, e.g. ``file: 日 sun 97.3%, 月 moon 1.2%``."""
    first, *others = (
        f"{each['glyph']} {each['name']} {100 * each['probability']:.1f}%".strip()
        for each in row["top"]
    )
    classes = ", ".join([click.style(first, bold=True), *others])
    note = " (not a character this model knows)" if row["unknown"] else ""
    number = f" #{row['number']}" if "number" in row else ""
    return f"{_printable(row['file'])}{number}: {classes}{note}"


def _printable(name: str) -> str:
    from oraclezoo.data.scans.sources import printable

    return printable(name)
