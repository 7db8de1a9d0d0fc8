"""Compare the throughput of S concurrent trainings with S sequential ones.

Runs the engine's training loops on noise of 28 x 28 pixels, with the recipe's network, batch size,
augmentation and optimizer, without validation. Strategies (``--ways``):

in turn      one process, one seed after another, all threads: the default of ``bench``
stacked      one process, all seeds as one training (stacked weights, torch.vmap: grouped
             convolutions and batched products), all threads
compiled     the same through torch.compile; by default on CUDA only
threads      one process, one thread per seed, up to one per core; on CUDA, one stream per seed and
             all seeds concurrently
processes    one process per seed, up to one per core, sharing the cores; on CUDA all concurrently

Each strategy has separate processes, and the strategies take turns in alternating order. A ratio is
the ratio of medians, with its range over rounds. `bench --accuracy-only` uses processes on a CPU
and stacked training on an accelerator.

    python benchmarks/seeds_at_once.py [--seeds 1,2,4,8,16] [--rounds 3] [--json] [--out FILE]

Output: benchmarks/measurements/seeds-at-once.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from _measured import Figures, emit, machine, names, options, positive, quotient, spread

from oraclezoo.errors import OracleZooError

SCHEMA = "oraclezoo/seeds-at-once/1"
WAYS = ("in turn", "stacked", "compiled", "threads", "processes")
SIZE, CLASSES = 28, 10
SEED_STEPS = {"cpu": 4, "cuda": 640}
"""Total steps of a turn over all seeds, at least one per seed."""


def loops(setting: dict[str, Any]) -> tuple[Callable[[], None], int]:
    """Return the work of a turn, and its number of images."""
    import torch

    from oraclezoo.artifacts.build import build_parts
    from oraclezoo.engine.device import exact_float32, pick, synchronize
    from oraclezoo.engine.records import TrainerOptions, TrainingData
    from oraclezoo.engine.stacked import StackedTrainer, check
    from oraclezoo.engine.trainer import Trainer
    from oraclezoo.plugins.registry import build_registry
    from oraclezoo.recipe import Recipe
    from oraclezoo.recipe.resolve import resolve

    torch.set_num_threads(setting["threads"])
    device, registry = pick(setting["device"]), build_registry()
    recipe = resolve(Recipe.load(setting["recipe"], setting["changes"]), registry)
    batch, seeds, steps = recipe.budget.batch_size, setting["seeds"], setting["steps"]
    images = torch.randint(0, 256, (batch * steps, SIZE, SIZE), dtype=torch.uint8)
    labels = torch.arange(len(images)) % CLASSES
    few = (images[:2].to(device), labels[:2].to(device))
    data = TrainingData(images.to(device), labels.to(device), *few, 0.5, 0.29, False)
    shape = {"in_chans": 1, "num_classes": CLASSES, "image_size": SIZE}
    folder = Path(tempfile.gettempdir())  # never save
    trainers = []
    for seed in seeds:
        parts = build_parts(recipe, registry, data, shape, seed)
        trainer = Trainer(
            recipe,
            parts,
            data,
            seed=seed,
            device=device,
            folder=folder,
            options=TrainerOptions(compile="off"),
        )
        trainers.append(trainer)

    def rewind(each: Trainer) -> None:
        each.progress.step_in_epoch, each.progress.loss_sum = 0, 0.0

    def alone(each: Trainer) -> None:
        cuda = device.type == "cuda" and setting["way"] == "threads"
        with torch.cuda.stream(torch.cuda.Stream(device)) if cuda else nullcontext():
            each.train_epoch(lambda: False)
        rewind(each)

    if setting["way"] in ("stacked", "compiled"):
        check(trainers)
        stacked = StackedTrainer(trainers, separable=True)
        if setting["way"] == "compiled":
            stacked.stack.losses = torch.compile(stacked.stack.losses)  # type: ignore[method-assign]  # for this object

        def turn() -> None:
            stacked.train_epoch(lambda: False)
            for each in trainers:
                rewind(each)
    elif setting["way"] == "threads":
        pool = ThreadPoolExecutor(len(trainers) if device.type == "cuda" else setting["at_once"])

        def turn() -> None:
            list(pool.map(alone, trainers))
    else:

        def turn() -> None:
            for each in trainers:
                alone(each)

    def whole() -> None:
        with exact_float32():
            turn()
        synchronize(device)

    return whole, batch * steps * len(seeds)


def work(setting: dict[str, Any]) -> None:
    """Run a worker: each line on stdin starts a turn, answered by its number of images."""
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    turn, images = loops(setting)
    turn()  # warm-up
    replies.write("0\n")
    for _ in sys.stdin:
        turn()
        replies.write(f"{images}\n")


class Way:
    """The processes of one strategy for ``seeds`` seeds."""

    def __init__(self, way: str, seeds: int, steps: int, arguments: argparse.Namespace) -> None:
        self.way = way
        cuda, cores = arguments.device.startswith("cuda"), arguments.cores
        processes = seeds if cuda else min(seeds, cores)
        self.processes = processes if way == "processes" else 1
        self.threads = max(1, cores // processes) if way in ("processes", "threads") else cores
        shares = [list(range(seeds))[first :: self.processes] for first in range(self.processes)]
        self._started = []
        for share in shares:
            setting = {
                "way": way,
                "seeds": share,
                "steps": steps,
                "threads": self.threads,
                "at_once": processes,
                "device": arguments.device,
                "recipe": arguments.recipe,
                "changes": {"train.channels_last": True, "budget.epochs": 1_000_000},
            }
            command = [sys.executable, __file__, "--worker", json.dumps(setting)]
            environ = os.environ | {"OMP_NUM_THREADS": str(self.threads)}
            self._started.append(
                subprocess.Popen(
                    command,
                    env=environ,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL if not arguments.debug else None,
                    text=True,
                )
            )

    def ready(self) -> None:
        """Wait until all processes have warmed up. Raises OracleZooError if one exited."""
        self._replies()

    def turn(self) -> float:
        """Return images/s of one turn of all processes, from the first start to the last end."""
        start = time.perf_counter()
        for process in self._started:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        return self._replies() / (time.perf_counter() - start)

    def stop(self) -> None:
        """Stop all processes."""
        for process in self._started:
            process.communicate()

    def _replies(self) -> int:
        total = 0
        for process in self._started:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise OracleZooError(
                    f"a process of strategy '{self.way}' exited; use --debug for its output"
                )
            total += int(line)
        return total


@contextmanager
def running(seeds: int, steps: int, arguments: argparse.Namespace) -> Iterator[list[Way]]:
    """All ways for one number of seeds, warmed up; stopped in the end.

    A way that dies is left out, and said on stderr. Raises OracleZooError if the first one does.
    """
    with ExitStack() as stack:
        started = []
        for way in arguments.ways:
            started.append(Way(way, seeds, steps, arguments))
            stack.callback(started[-1].stop)
        alive = []
        for each in started:
            try:
                each.ready()
                alive.append(each)
            except OracleZooError as error:
                if each.way == WAYS[0]:
                    raise
                print(error, file=sys.stderr)
        yield alive


def measure(seeds: int, arguments: argparse.Namespace) -> list[Figures]:
    """Return a row per strategy."""
    total = SEED_STEPS["cuda" if arguments.device.startswith("cuda") else "cpu"]
    steps = 1 if arguments.quick else max(1, total // seeds)
    rates: dict[str, list[float]] = {way: [] for way in arguments.ways}
    with running(seeds, steps, arguments) as ways:
        for number in range(arguments.rounds):
            for each in reversed(ways) if number % 2 else ways:
                rates[each.way].append(each.turn())
        rows: list[Figures] = [
            {
                "seeds": seeds,
                "way": each.way,
                "processes": each.processes,
                "threads": each.threads,
                "images_per_s": spread(rates[each.way]),
            }
            for each in ways
        ]
    for row in rows:
        row["over_in_turn"] = quotient(row["images_per_s"], rows[0]["images_per_s"])
        print(_line(row), file=sys.stderr)
    return rows


def _line(row: Figures) -> str:
    """Format a row."""
    rate, ratio = row["images_per_s"], row["over_in_turn"]
    return (
        f"{row['seeds']:3} seeds {row['way']:10} {row['processes']:2} processes of "
        f"{row['threads']} threads: {rate['median']:9,.0f} images/s, x {ratio['value']:.2f} "
        f"({ratio['min']:.2f} to {ratio['max']:.2f})"
    )


def parse(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the arguments."""
    parser = options(__doc__)
    parser.add_argument("--recipe", default="default", help="recipe to measure")
    parser.add_argument("--seeds", type=names, default=["1", "2", "4", "8", "16"])
    parser.add_argument("--ways", type=names, help=", ".join(WAYS))
    parser.add_argument("--rounds", type=positive, default=3)
    parser.add_argument("--debug", action="store_true", help="show output of workers")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args(given)
    if arguments.worker:
        return arguments
    from oraclezoo.engine.device import pick

    arguments.device = str(pick(arguments.device))
    if arguments.ways is None:
        arguments.ways = [w for w in WAYS if w != "compiled" or arguments.device != "cpu"]
    if any(way not in WAYS for way in arguments.ways) or arguments.ways[0] != WAYS[0]:
        parser.error(f"--ways must start with '{WAYS[0]}'; known: {', '.join(WAYS)}")
    try:
        arguments.seeds = [positive(number) for number in arguments.seeds]
    except (ValueError, argparse.ArgumentTypeError):
        parser.error("--seeds must be comma-separated integers")
    if arguments.quick:
        arguments.seeds, arguments.rounds = [number for number in arguments.seeds if number <= 2], 1
    return arguments


def main() -> None:
    """Run the measurements, print and write them."""
    arguments = parse()
    if arguments.worker:
        work(json.loads(arguments.worker))
        return
    from oraclezoo.benching.seeds import usable_cores

    arguments.cores = usable_cores()
    with machine(arguments.device, None) as about:
        rows = [row for seeds in arguments.seeds for row in measure(seeds, arguments)]
    most = max(arguments.seeds)
    data = {
        **about,
        "cores": arguments.cores,
        "recipe": arguments.recipe,
        "image_size": SIZE,
        "rounds": arguments.rounds,
        "rows": rows,
        "seeds_most": most,
        "ratio_most": {
            row["way"]: row["over_in_turn"]["value"] for row in rows if row["seeds"] == most
        },
    }
    if emit(SCHEMA, data, arguments):
        return
    print(f"{data['hardware']['device']}, {arguments.cores} cores, recipe {arguments.recipe}")
    for row in rows:
        print(_line(row))


if __name__ == "__main__":
    main()
