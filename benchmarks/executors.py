"""Measure executors: overhead per job, memory of a large campaign, and what random kills do.

overhead   small jobs one after another through ``local``; the imports of such a job, timed alone,
           are subtracted
memory     resident memory of the submitting process while it runs many small jobs
kills      small jobs while workers and submitting processes are killed at random times: how many
           outcomes are missing, and how many jobs were started again after their outcome
trainings  a benchmark with real trainings under random kills, compared with an undisturbed one

    python benchmarks/executors.py [--jobs 2000] [--kills 100] [--training-kills 8] [--out FILE]

Output: benchmarks/measurements/executors.json. Needs /proc.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

from _measured import Figures, emit, machine, options, positive

from oraclezoo.executors.campaign import Campaign
from oraclezoo.executors.dispatch import Dispatch
from oraclezoo.executors.local import Local
from oraclezoo.executors.probe import Probe, Probed
from oraclezoo.jobs import Event
from oraclezoo.jobs.task import Task, TaskFolder

SCHEMA = "oraclezoo/executors/1"
IMPORTS = "import oraclezoo.jobs.worker, oraclezoo.executors.probe"
RECIPE = (
    *("authors-cnn", "--track", "glyphs-3k", "--seeds", "2", "--device", "cpu"),
    *("-s", "backbone.name=lenet5", "-s", "budget.epochs=4"),
)


class Memory:
    """Listener that samples the resident memory of this process."""

    def __init__(self) -> None:
        self.samples: list[int] = []

    def on_start(self, task: Task) -> None:
        """Do nothing."""

    def on_event(self, task: Task, event: Event) -> None:
        """Do nothing."""

    def on_end(self, task: Task, last: Event) -> None:
        """Sample the memory."""
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        self.samples.append(pages * os.sysconf("SC_PAGE_SIZE"))


def run(folder: Path, jobs: int, workers: int) -> tuple[float, list[int]]:
    """Run small jobs; return the seconds and the memory after each."""
    executor, memory = Local(folder=folder, workers=workers), Memory()
    dispatch = Dispatch(folder / "tasks", executor)
    start = time.perf_counter()
    for number in range(jobs):
        dispatch.add(Task(Probe(number, folder / "work" / str(number)), f"job {number}"))
    dispatch.run(memory)
    return time.perf_counter() - start, memory.samples


def overhead(jobs: int) -> Figures:
    """Return the seconds per job beyond the job's own imports, as medians of alternating turns."""
    imports, totals = [], []
    with tempfile.TemporaryDirectory() as name:
        for number in range(jobs):
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", IMPORTS], check=True)
            imports.append(time.perf_counter() - start)
            totals.append(run(Path(name) / str(number), 1, 1)[0])
    differences = [total - alone for total, alone in zip(totals, imports, strict=True)]
    return {
        "jobs": jobs,
        "job_s": median(totals),
        "imports_s": median(imports),
        "overhead_s": median(differences),
    }


def memory(jobs: int, workers: int) -> Figures:
    """Return the memory after a tenth of the jobs and at the end."""
    with tempfile.TemporaryDirectory() as name:
        seconds, samples = run(Path(name), jobs, workers)
    early = samples[jobs // 10]
    return {
        "jobs": jobs,
        "workers": workers,
        "seconds": seconds,
        "early_bytes": early,
        "end_bytes": samples[-1],
        "growth_bytes": samples[-1] - early,
    }


def submit(folder: Path, jobs: int) -> None:
    """Be a submitting process, to be killed."""
    campaign = Campaign(folder / "campaign")
    with campaign.submitting(lambda text: None) as should_stop:
        executor = Local(folder=folder, workers=3)
        dispatch = Dispatch(campaign.tasks, executor, should_stop)
        for number in range(jobs):
            dispatch.add(Task(Probe(number, folder / "work" / str(number)), f"job {number}"))
        dispatch.run(Memory())
        executor.close()


def killing(command: list[str], kills: int, pause_s: float, seed: int) -> Figures:
    """Repeat a command until it succeeds, killing it or one of its children at random times."""
    generator = random.Random(seed)
    workers = submitters = 0
    while True:
        process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while process.poll() is None and workers + submitters < kills:
            time.sleep(generator.uniform(0, pause_s))
            children: list[str] = []
            with suppress(OSError):
                path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
                children = path.read_text().split()
            if not children:  # it has just started, or is about to end
                continue
            if generator.random() < 0.3:
                process.kill()
                submitters += 1
                break
            with suppress(ProcessLookupError):
                os.kill(int(generator.choice(children)), signal.SIGKILL)
                workers += 1
        if process.wait() == 0:
            return {"seed": seed, "killed_workers": workers, "killed_submitters": submitters}
        if process.returncode > 0:
            raise SystemExit(f"{command} failed with status {process.returncode}")


def small_kills(jobs: int, kills: int) -> Figures:
    """Kill workers and submitters of small jobs; count what is missing and what was done twice."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [sys.executable, __file__, "--submit", name, "--jobs", str(jobs)]
        figures = killing(command, kills, 0.5, seed=1)
        lost = twice = 0
        for path in (folder / "campaign" / "tasks").iterdir():
            end = TaskFolder(path).end()
            if not isinstance(end, Probed):
                lost += 1
            elif len(list((folder / "work" / str(end.number)).iterdir())) != end.starts:
                twice += 1
    return {"jobs": jobs, **figures, "lost": lost, "twice": twice}


def training_kills(kills: int) -> Figures:
    """Run a benchmark under random kills, and compare its results with an undisturbed one."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = [sys.executable, "-m", "oraclezoo", "bench", *RECIPE]

        def at(place: str) -> list[str]:
            return ["--out", str(folder / place), "--runs", str(folder / f"{place}-runs")]

        subprocess.run([*program, *at("plain")], check=True, stdout=subprocess.DEVNULL, stderr=None)
        command = [*program, *at("killed"), "--on", "local", "--executor-option", "workers=2"]
        command += ["--executor-option", f"threads={os.environ['OMP_NUM_THREADS']}"]
        figures = killing(command, kills, 12.0, seed=2)
        plain, killed = (_document(folder / place) for place in ("plain", "killed"))
    accuracies = [[seed["accuracy"] for seed in each["seeds"]] for each in (plain, killed)]
    return {
        "trainings": len(plain["seeds"]),
        **figures,
        "accuracies_equal": accuracies[0] == accuracies[1],
        "predictions_equal": plain["predictions"]["sha256"] == killed["predictions"]["sha256"],
        "failures": len(killed["failures"]),
    }


def _document(folder: Path) -> dict[str, Any]:
    (path,) = folder.glob("*.json")
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def parse() -> argparse.Namespace:
    """Return the options."""
    parser = options(__doc__)
    parser.add_argument("--jobs", type=positive, default=2000, help="jobs for the memory")
    parser.add_argument("--kills", type=positive, default=100, help="kills of small jobs")
    parser.add_argument("--training-kills", type=positive, default=8, help="kills of trainings")
    parser.add_argument("--submit", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.jobs, arguments.kills, arguments.training_kills = 20, 4, 0
    return arguments


def main() -> None:
    """Run the measurements, print and write them."""
    arguments = parse()
    if arguments.submit:
        submit(arguments.submit, arguments.jobs)
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ["ORACLEZOO_JOB_ATTEMPTS"] = "1000"
    figures = {
        "memory": memory(arguments.jobs, 8),  # before torch is imported
        "overhead": overhead(min(arguments.jobs, 50)),
        "kills": small_kills(4 * arguments.kills, arguments.kills),
    }
    if arguments.training_kills:
        figures["trainings"] = training_kills(arguments.training_kills)
    with machine(arguments.device, None) as about:
        data = {**about, "cores": os.cpu_count(), **figures}
    if not emit(SCHEMA, data, arguments):
        print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
