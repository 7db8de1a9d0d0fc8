"""Options, checks and output shared by the commands of ``oraclezoo job render``."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from oraclezoo._version import __version__
from oraclezoo.cli._shared import options
from oraclezoo.cli._shared.app import (
    App,
    complete_recipes,
    complete_suites,
    emit_json,
    json_option,
    say,
)
from oraclezoo.errors import UsageError

if TYPE_CHECKING:
    from oraclezoo.cloud.estimate import Estimate
    from oraclezoo.cloud.job import Job, Platform, Rendered
    from oraclezoo.recipe import Recipe
    from oraclezoo.specs import Kind

F = TypeVar("F", bound=Callable[..., Any])
_TAIL = "oraclezoo.tail"
_OURS = ("out", "runs", "data_dir", "recipes", "recipe", "suites", "track", "assigned", "as_json")


class Command(click.Command):
    """Command that passes the words after ``--`` on to the command of the job."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words before ``--``."""
        if "--" in args:
            at = args.index("--")
            ctx.meta[_TAIL] = tuple(args[at + 1 :])
            args = args[:at]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Return the usage line, including the words after ``--``."""
        return [*super().collect_usage_pieces(ctx), "[-- BENCH_OPTIONS...]"]


@dataclass(frozen=True, slots=True)
class Request:
    """The options shared by all platforms."""

    recipes: tuple[str, ...]
    suites: tuple[str, ...]
    assigned: tuple[str, ...]
    track: str | None
    train: bool
    image: str
    output: str
    data: str | None
    name: str | None
    env: tuple[str, ...]
    time_limit: str
    service_account: str
    results: tuple[str, ...]
    price_per_hour: float | None
    out: str | None
    as_json: bool
    retries: int
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prepared:
    """A checked request: the job, its resolved recipes and their estimated time."""

    job: Job
    recipes: tuple[Recipe, ...]
    estimate: Estimate
    plugins: tuple[str, ...]


def common(function: F) -> F:
    """Add the options shared by all platforms."""
    return options.combine(
        click.argument("recipes", nargs=-1, shell_complete=complete_recipes),
        click.option(
            "--suite",
            "suites",
            multiple=True,
            metavar="NAME",
            shell_complete=complete_suites,
            help="Add all recipes of a suite; repeatable.",
        ),
        options.assignments,
        options.track,
        click.option(
            "--train", is_flag=True, help="Train one recipe with one seed instead of benchmarking."
        ),
        click.option(
            "--image",
            required=True,
            metavar="IMAGE",
            help="Container image with this version of oraclezoo.",
        ),
        click.option(
            "--output", required=True, metavar="URL", help="Folder for results and runs, as a URL."
        ),
        click.option("--data", metavar="URL", help="Folder of the track's files, as a URL."),
        click.option(
            "--name", metavar="NAME", help="Name of the job.  [default: from the command]"
        ),
        click.option(
            "--env",
            multiple=True,
            metavar="NAME=VALUE",
            help="Set an environment variable, not a secret; repeatable.",
        ),
        click.option(
            "--time-limit",
            default="4h",
            show_default=True,
            metavar="TIME",
            help="Stop the job after this time, e.g. 90m, 4h or 2d.",
        ),
        click.option(
            "--service-account", default="", metavar="NAME", help="Identity that the job runs as."
        ),
        click.option(
            "--results",
            multiple=True,
            metavar="FOLDER",
            help="Estimate from these results too, beside the published ones; repeatable.",
        ),
        click.option(
            "--price-per-hour",
            type=click.FloatRange(min=0),
            metavar="PRICE",
            help="Price of the machine, to estimate the cost.",
        ),
        click.option(
            "--out",
            type=click.Path(dir_okay=False),
            metavar="FILE",
            help="File to write.  [default: standard output]",
        ),
        json_option,
    )(function)


def retries(function: F) -> F:
    """Add ``--retries``."""
    return click.option(
        "--retries",
        type=click.IntRange(min=0, max=10),
        default=3,
        show_default=True,
        help="Number of further attempts after a failure.",
    )(function)


def secrets(form: str) -> Callable[[F], F]:
    """Add ``--secret``."""
    return click.option(
        "--secret",
        "secrets",
        multiple=True,
        metavar=form,
        help="Set an environment variable from a stored secret; repeatable.",
    )


def resources(memory: str) -> Callable[[F], F]:
    """Add ``--cpus`` and ``--memory``."""
    return options.combine(
        click.option(
            "--cpus",
            type=click.IntRange(min=1),
            default=4,
            show_default=True,
            help="Number of CPUs.",
        ),
        click.option(
            "--memory",
            default=memory,
            show_default=True,
            metavar="SIZE",
            callback=_memory,
            help="Memory, e.g. 8Gi.",
        ),
    )


def _memory(ctx: click.Context, parameter: click.Parameter, text: str) -> str:
    import re

    if not re.fullmatch(r"[1-9]\d{0,5}[MG]i", text):
        raise click.BadParameter("use e.g. 8Gi or 512Mi")
    return text


def prepare(app: App, request: Request, platform: Platform, *, gpu: bool = False) -> Prepared:
    """Check a request completely, so that an invalid name is an error and prints no spec.

    Raises UsageError.
    """
    from oraclezoo.cloud.command import Folders, Selection, words
    from oraclezoo.cloud.job import Job, Location, duration_s, job_name, pairs
    from oraclezoo.cloud.secret import Secret, refuse_values
    from oraclezoo.recipe.resolve import resolve

    chosen = Selection(
        request.recipes, request.suites, request.assigned, request.track, request.train
    )
    recipes = tuple(resolve(recipe, app.registry) for recipe in chosen.load())
    output = Location.parse(request.output, platform.output_schemes)
    data = None if request.data is None else Location.parse(request.data, platform.data_schemes)
    folders = Folders(
        platform.output_folder(output),
        platform.runs_folder(output),
        None if data is None else platform.data_folder(data),
    )
    tail: tuple[str, ...] = click.get_current_context().meta.get(_TAIL, ())
    device = "cuda" if gpu and not any(word.startswith("--device") for word in tail) else None
    command = words(chosen.portable(app.registry), folders, tail, device)
    seeds = _seeds(command, len(command) - len(tail))
    env = pairs(request.env, "--env")
    refuse_values(command, env, platform.secrets)
    job = Job(
        name=request.name or job_name((*request.suites, recipes[0].name)[0], command),
        image=request.image,
        words=command,
        output=output,
        data=data,
        env=env,
        secrets=tuple(Secret.parse(text, platform.key) for text in request.secrets),
        retries=request.retries,
        time_limit_s=duration_s(request.time_limit),
        service_account=request.service_account,
    )
    estimate = _estimate(app, request, recipes, seeds, gpu)
    return Prepared(job, recipes, estimate, _plugins(app, recipes))


def _seeds(command: tuple[str, ...], own: int) -> int:
    """Parse the command as in the container; return its number of seeds.

    Raises UsageError, also if the words after ``--`` (from index ``own``) repeat a generated word.
    """
    from oraclezoo.cli.bench import command as bench
    from oraclezoo.cli.train import command as train

    parser = train if command[1] == "train" else bench
    name = f"oraclezoo {command[1]}"
    parsed = parser.make_context(name, list(command[2:])).params
    before = parser.make_context(name, list(command[2:own])).params
    for key in _OURS:
        if parsed.get(key) != before.get(key):
            raise UsageError(f"after '--', {key.replace('_', '-')} would override a job option")
    seeds: int = parsed.get("seeds", 1)
    return seeds


def _estimate(
    app: App, request: Request, recipes: tuple[Recipe, ...], seeds: int, gpu: bool
) -> Estimate:
    from pathlib import Path

    from oraclezoo.cloud.estimate import estimate
    from oraclezoo.errors import ResultError
    from oraclezoo.ranking.load import published_folder

    folders = [Path(folder) for folder in request.results]
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"--results {folder}: no such folder")
    with suppress(ResultError):  # this installation has no published results
        folders.append(published_folder())
    return estimate(
        recipes,
        seeds,
        folders,
        gpu=gpu,
        counts=_counts(app),
        price_per_hour=request.price_per_hour,
    )


def _counts(app: App) -> dict[str, tuple[int, int]]:
    """Return the numbers of training and validation images of tracks whose specs state them."""
    counts = {"oraclezoo:oracle-mnist": (24_504, 2_718)}  # depend on digests, so not in specs
    for entry in app.registry.entries("dataset"):
        train, validation = (entry.spec.facts.get(key) for key in ("train", "validation"))
        if isinstance(train, int) and isinstance(validation, int):
            counts[entry.qualified] = (train, validation)
    return counts


def _plugins(app: App, recipes: tuple[Recipe, ...]) -> tuple[str, ...]:
    """Return the plugin distributions that the image must contain in addition to oraclezoo."""
    names: set[tuple[Kind, str]] = {("dataset", recipe.data.track) for recipe in recipes}
    for recipe in recipes:
        names |= {
            ("backbone", recipe.backbone.name),
            ("optimizer", recipe.optimizer.name),
            ("scheduler", recipe.scheduler.name),
        }
    entries = [app.registry.get(kind, name) for kind, name in names]
    return tuple(sorted({f"{e.distribution} {e.version}" for e in entries if not e.builtin}))


def emit(request: Request, prepared: Prepared, rendered: Rendered) -> None:
    """Print the spec, or write it to a file."""
    from pathlib import Path
    from shlex import join

    from oraclezoo.cloud.text import to_yaml
    from oraclezoo.storage import write_atomically

    name = request.out or "FILE"
    submit = rendered.submit.format(file=join([name]))
    command = join(prepared.job.words)
    lines = prepared.estimate.lines()
    if request.as_json:
        document = {
            "platform": rendered.platform,
            "command": command,
            "spec": rendered.document,
            "submit": submit,
            "notes": list(rendered.notes),
            "estimate": prepared.estimate.to_json(),
        }
        emit_json("oraclezoo/job/1", document)
        return
    needed = ", ".join(["oraclezoo " + __version__, *prepared.plugins])
    comments = [
        f"{rendered.platform} job: {command}",
        f"Rendered by oraclezoo {__version__}. Read and edit it, then submit it: {submit}",
        f"The image must have {needed}.",
        *lines,
    ]
    text = to_yaml(rendered, comments)
    if request.out is None:
        click.echo(text, nl=False)
        return
    write_atomically(Path(request.out), text.encode())
    say("\n".join([*lines, f"wrote {request.out}; to submit it: {submit}"]))
