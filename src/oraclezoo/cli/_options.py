"""Options that several commands share, and what they mean."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from oraclezoo.cli._base import complete_names

F = TypeVar("F", bound=Callable[..., Any])


def together(*given: Callable[[Any], Any]) -> Callable[[F], F]:
    """Several options as one decorator; help lists them in this order."""

    def apply(function: F) -> F:
        for option in reversed(given):
            function = option(function)
        return function

    return apply


def out(text: str, default: str | None = None, *, required: bool = False) -> Callable[[F], F]:
    """``--out FOLDER``: the folder that a command writes to."""
    given = {} if default is None else {"default": default, "show_default": True}
    return click.option(
        "--out",
        type=click.Path(file_okay=False),
        metavar="FOLDER",
        required=required,
        help=text,
        **given,
    )


def out_file(text: str, default: str) -> Callable[[F], F]:
    """``--out FILE``: the file that a command writes."""
    return click.option(
        "--out",
        type=click.Path(dir_okay=False),
        metavar="FILE",
        default=default,
        show_default=True,
        help=text,
    )


def assignments(function: F) -> F:
    """``-s section.key=value``, any number of times."""
    return click.option(
        "-s",
        "--set",
        "assigned",
        multiple=True,
        metavar="KEY=VALUE",
        help="Change a key of the recipe, e.g. -s optimizer.lr=0.02; may be repeated.",
    )(function)


def track(function: F) -> F:
    """``--track``."""
    return click.option(
        "--track",
        envvar="ORACLEZOO_TRACK",
        metavar="NAME",
        help="Data set with its fixed split, instead of the recipe's ('oraclezoo data list').",
    )(function)


def data_dir(function: F) -> F:
    """``--data-dir``."""
    return click.option(
        "--data-dir",
        type=click.Path(file_okay=False),
        metavar="FOLDER",
        help="Where the track's files are. Else $ORACLEZOO_DATA, the user's cache, a download.",
    )(function)


def device(function: F) -> F:
    """``--device``."""
    return click.option(
        "--device",
        default="auto",
        show_default=True,
        envvar="ORACLEZOO_DEVICE",
        metavar="NAME",
        help="auto, cpu, cuda, cuda:N or mps.",
    )(function)


def stream_above(function: F) -> F:
    """``--stream-above``."""
    return click.option(
        "--stream-above",
        metavar="SIZE",
        help="Stream larger images from their file, e.g. 512MB. Else $ORACLEZOO_STREAM_ABOVE, "
        "half of the free memory.",
    )(function)


def engine(function: F) -> F:
    """``--compile`` and ``--deterministic``."""
    function = click.option(
        "--deterministic", is_flag=True, help="The same weights twice, bit for bit, on a GPU too."
    )(function)
    return click.option(
        "--compile",
        type=click.Choice(["auto", "on", "off"]),
        default="auto",
        show_default=True,
        help="torch.compile; auto: on CUDA, where the training is long enough.",
    )(function)


def trackers(function: F) -> F:
    """``--tracker`` and ``--tracker-option``."""
    function = click.option(
        "--tracker-option",
        "tracker_options",
        multiple=True,
        metavar="NAME.KEY=VALUE",
        help="An option of a tracker, e.g. jsonl.path=all.jsonl; may be repeated.",
    )(function)
    return click.option(
        "--tracker",
        "trackers",
        multiple=True,
        metavar="NAMES",
        shell_complete=complete_names("tracker"),
        help="Tell the training's course to these, e.g. tensorboard,jsonl ('oraclezoo list "
        "trackers').",
    )(function)


def chosen_trackers(
    names: tuple[str, ...], assigned: tuple[str, ...]
) -> dict[str, dict[str, object]]:
    """Name -> options of what ``--tracker`` and ``--tracker-option`` say. Raises UsageError."""
    from oraclezoo.errors import UsageError, nearest
    from oraclezoo.recipe import parse_assignments

    listed = [name.strip() for text in names for name in text.split(",")]
    chosen: dict[str, dict[str, object]] = {name: {} for name in listed if name}
    for key, value in parse_assignments(assigned).items():
        name, _, option = key.rpartition(".")
        if name not in chosen:
            near = nearest(name, chosen) if chosen else f"; add --tracker {name or 'NAME'}"
            raise UsageError(f"--tracker-option {key}: '{name}' is no --tracker{near}")
        chosen[name][option] = value
    return chosen


def overrides(assigned: tuple[str, ...], track: str | None = None) -> dict[str, object]:
    """Changes to a recipe: the environment's (ORACLEZOO_<SECTION>__<KEY>), then the options'."""
    from oraclezoo.recipe import from_environment, parse_assignments

    changes = {**from_environment(os.environ), **parse_assignments(assigned)}
    return changes if track is None else {**changes, "data.track": track}
