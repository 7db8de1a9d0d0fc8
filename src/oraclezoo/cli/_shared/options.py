"""Options shared by several commands."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from oraclezoo.cli._shared.app import App, complete_names

F = TypeVar("F", bound=Callable[..., Any])


def quiet(function: F) -> F:
    """Add ``--quiet``, which silences :func:`say` and progress."""
    return click.option(
        "-q",
        "--quiet",
        is_flag=True,
        expose_value=False,
        envvar="ORACLEZOO_QUIET",
        callback=_set_quiet,
        help="Print results and errors only, without progress and messages.",
    )(function)


def _set_quiet(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(App).quiet = True


def combine(*options: Callable[[Any], Any]) -> Callable[[F], F]:
    """Combine option decorators into one; the help lists them in this order."""

    def apply(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return apply


def out(text: str, default: str | None = None, *, required: bool = False) -> Callable[[F], F]:
    """Add ``--out FOLDER`` for the output folder of a command."""
    # With an explicit default of None, click treats a required option as given.
    defaults: dict[str, Any] = {} if default is None else {"default": default}
    return click.option(
        "--out",
        type=click.Path(file_okay=False),
        metavar="FOLDER",
        required=required,
        show_default=default is not None,
        help=text,
        **defaults,
    )


def out_file(text: str, default: str) -> Callable[[F], F]:
    """Add ``--out FILE`` and ``--overwrite`` for the output file of a command."""
    return combine(
        click.option(
            "--out",
            type=click.Path(dir_okay=False),
            metavar="FILE",
            default=default,
            show_default=True,
            help=text,
        ),
        click.option("--overwrite", is_flag=True, help="Replace an existing file."),
    )


def refuse_existing(file: str, *, overwrite: bool) -> None:
    """Raise UsageError if the output file of a command exists and may not be replaced."""
    from oraclezoo.errors import UsageError

    if not overwrite and os.path.lexists(file):
        raise UsageError(f"{file} exists: pass --overwrite to replace it, or choose another --out")


def _complete_assignment(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[str]:
    from oraclezoo.cli._shared.shell import complete_assignment

    return complete_assignment(ctx, parameter, incomplete)


def assignments(function: F) -> F:
    """Add ``-s section.key=value``, repeatable."""
    return click.option(
        "-s",
        "--set",
        "assigned",
        multiple=True,
        metavar="KEY=VALUE",
        shell_complete=_complete_assignment,
        help="Override a recipe key, e.g. -s optimizer.lr=0.02; repeatable.",
    )(function)


def track(function: F) -> F:
    """Add ``--track``."""
    return click.option(
        "--track",
        envvar="ORACLEZOO_TRACK",
        metavar="NAME",
        shell_complete=complete_names("dataset"),
        help="Replace the recipe's track (data set with a fixed split); see 'oraclezoo data list'.",
    )(function)


def data_dir(function: F) -> F:
    """Add ``--data-dir``."""
    return click.option(
        "--data-dir",
        type=click.Path(file_okay=False),
        metavar="FOLDER",
        help="Folder of the track's files.  [default: $ORACLEZOO_DATA, the cache, or a download]",
    )(function)


def split(text: str, *names: str) -> Callable[[F], F]:
    """Add ``--split`` with default ``validation``; the other choice is ``test`` by default."""
    return click.option(
        "--split",
        type=click.Choice(names or ("validation", "test")),
        default="validation",
        show_default=True,
        help=text,
    )


def results(function: F) -> F:
    """Add ``--results``."""
    return click.option(
        "--results",
        default="results",
        show_default=True,
        metavar="FOLDER",
        help="Folder of the ledger.",
    )(function)


def rounds(text: str) -> Callable[[F], F]:
    """Add ``--rounds``."""
    return click.option(
        "--rounds", type=click.IntRange(min=1), default=3, show_default=True, help=text
    )


def seed(function: F) -> F:
    """Add ``--seed``."""
    return click.option(
        "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed."
    )(function)


def unfinished(job: str) -> Callable[[F], F]:
    """Add ``--resume`` and ``--overwrite`` of a job that writes a model."""
    return combine(
        click.option("--resume", is_flag=True, help=f"Resume an unfinished {job}."),
        click.option(
            "--overwrite", is_flag=True, help="Start over; replace a model in the output folder."
        ),
    )


def ratio(name: str, text: str) -> Callable[[F], F]:
    """Add ``--name RATIO``, above 0 and at most 1."""
    return click.option(
        f"--{name}",
        type=click.FloatRange(min=0, max=1, min_open=True),
        metavar="RATIO",
        help=text,
    )


def polarity(function: F) -> F:
    """Add ``--polarity``."""
    return click.option(
        "--polarity",
        type=click.Choice(["auto", "light-on-dark", "dark-on-light"]),
        default="auto",
        show_default=True,
        help="Polarity of the images; auto detects it for each.",
    )(function)


def device(function: F) -> F:
    """Add ``--device``."""
    return click.option(
        "--device",
        default="auto",
        show_default=True,
        envvar="ORACLEZOO_DEVICE",
        metavar="NAME",
        help="Device: auto, cpu, cuda, cuda:N or mps.",
    )(function)


def stream_above(function: F) -> F:
    """Add ``--stream-above``."""
    return click.option(
        "--stream-above",
        metavar="SIZE",
        help="Stream image arrays larger than SIZE from disk, e.g. 512MB.  "
        "[default: $ORACLEZOO_STREAM_ABOVE, or half of the free memory]",
    )(function)


def engine(function: F) -> F:
    """Add ``--compile`` and ``--deterministic``."""
    function = click.option(
        "--deterministic",
        is_flag=True,
        help="Use deterministic algorithms, so that a GPU run is bit-reproducible.",
    )(function)
    return click.option(
        "--compile",
        type=click.Choice(["auto", "on", "off"]),
        default="auto",
        show_default=True,
        help="Use torch.compile; auto enables it for long runs on CUDA.",
    )(function)


def trackers(function: F) -> F:
    """Add ``--tracker`` and ``--tracker-option``."""
    function = click.option(
        "--tracker-option",
        "tracker_options",
        multiple=True,
        metavar="NAME.KEY=VALUE",
        help="Set a tracker option, e.g. jsonl.path=all.jsonl; repeatable.",
    )(function)
    return click.option(
        "--tracker",
        "trackers",
        multiple=True,
        metavar="NAMES",
        shell_complete=complete_names("tracker"),
        help="Log metrics to these trackers, e.g. tensorboard,jsonl; see 'oraclezoo list "
        "trackers'.",
    )(function)


def runs(function: F) -> F:
    """Add ``--runs``."""
    return click.option(
        "--runs", default="runs", show_default=True, metavar="FOLDER", help="Folder for runs."
    )(function)


def executor(function: F) -> F:
    """Add ``--on`` and ``--executor-option``."""
    function = click.option(
        "--executor-option",
        "executor_options",
        multiple=True,
        metavar="KEY=VALUE",
        help="Set an option of the executor, e.g. workers=4; repeatable.",
    )(function)
    return click.option(
        "--on",
        metavar="EXECUTOR",
        shell_complete=complete_names("executor"),
        help="Run the jobs with an executor, e.g. local or slurm; see 'oraclezoo list executors'.",
    )(function)


def chosen_executor(name: str | None, assigned: tuple[str, ...]) -> dict[str, object]:
    """Parse ``--executor-option`` into option -> value. Raises UsageError."""
    from oraclezoo.errors import UsageError
    from oraclezoo.recipe import parse_assignments

    if assigned and name is None:
        raise UsageError(f"--executor-option {assigned[0]} requires --on EXECUTOR")
    return dict(parse_assignments(assigned))


def chosen_trackers(
    names: tuple[str, ...], assigned: tuple[str, ...]
) -> dict[str, dict[str, object]]:
    """Parse ``--tracker`` and ``--tracker-option`` into name -> options. Raises UsageError."""
    from oraclezoo.errors import UsageError, nearest
    from oraclezoo.recipe import parse_assignments

    listed = [name.strip() for text in names for name in text.split(",")]
    chosen: dict[str, dict[str, object]] = {name: {} for name in listed if name}
    for key, value in parse_assignments(assigned).items():
        name, _, option = key.rpartition(".")
        if name not in chosen:
            near = nearest(name, chosen) if chosen else f"; add --tracker {name or 'NAME'}"
            raise UsageError(f"--tracker-option {key} requires --tracker {name}{near}")
        chosen[name][option] = value
    return chosen


def overrides(assigned: tuple[str, ...], track: str | None = None) -> dict[str, object]:
    """Return recipe overrides from ORACLEZOO_<SECTION>__<KEY> variables, then the command line."""
    from oraclezoo.errors import UsageError
    from oraclezoo.recipe import from_environment, parse_assignments

    own = parse_assignments(assigned)
    if track is not None and own.get("data.track", track) != track:
        raise UsageError(
            f"data.track is set twice: {own['data.track']} by -s, {track} by --track or "
            "$ORACLEZOO_TRACK"
        )
    changes = {**from_environment(os.environ), **own}
    return changes if track is None else {**changes, "data.track": track}
