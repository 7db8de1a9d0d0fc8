"""Section 2, first part: two processes in one folder, other data, runs that are models."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from _faults.judge import checked, refused, survived, told
from _faults.lab import Lab, edit, read, run_in
from _faults.process import Setting
from _faults.records import Attempt, Case

POPEN = ("subprocess.Popen", "python")
EPOCH = ("open", "/metrics.jsonl'")
LEDGER = ("open", "ledger.jsonl'")

BUSY = r"running|in use|locked|another process"
"""What a message says of a folder in which another process works."""

Words = tuple[str | Path, ...]


@dataclass(frozen=True, slots=True)
class Job:
    """A command that writes, and where in its work a process is held.

    ``words`` returns its arguments for an output folder.
    """

    name: str
    words: Callable[[Lab, Path], Words]
    hold: tuple[str, str]
    again: tuple[str, ...] = ()


def _train(lab: Lab, folder: Path) -> Words:
    words = ("--data-dir", lab.data, "--device", "cpu", "--out", folder / "out")
    return ("train", lab.recipe(folder), *words)


def _sweep(lab: Lab, folder: Path) -> Words:
    words = ("--data-dir", lab.data, "--device", "cpu", "--out", folder / "out")
    return ("sweep", lab.recipe(folder), "-p", "optimizer.lr=0.01,0.02", *words)


def _bench(lab: Lab, folder: Path) -> Words:
    words = ("--data-dir", lab.data, "--seeds", "1", "--device", "cpu", "--accuracy-only")
    places = ("--out", folder / "out", "--runs", folder / "runs")
    return ("bench", lab.recipe(folder), *words, *places)


def _measured(lab: Lab) -> Words:
    return ("--data-dir", lab.data, "--rounds", "1", "--at", "1:1")


def _export(lab: Lab, folder: Path) -> Words:
    return ("export", lab.run, *lab.out("export", folder / "out"), *_measured(lab))


def _quantize(lab: Lab, folder: Path) -> Words:
    words = ("--images", "32", "--calibration", "minmax", *_measured(lab))
    return ("quantize", lab.model, *lab.out("quantize", folder / "out"), *words)


def _prune(lab: Lab, folder: Path) -> Words:
    words = ("--macs", "0.6", "--round-to", "1", "--epochs", "2", *_measured(lab))
    return ("prune", lab.run, *lab.out("prune", folder / "out"), *words)


def _compress(lab: Lab, folder: Path) -> Words:
    words = ("--size", "0.9", "--trials", "1", "--round-to", "1", "--epochs", "1", "--rounds", "1")
    place = lab.out("compress", folder / "out")
    return ("compress", lab.model, *place, *words, "--data-dir", lab.data)


def _evaluate(lab: Lab, folder: Path) -> Words:
    words = ("--split", "test", "--data-dir", lab.data, "--results", folder / "out")
    return ("evaluate", lab.run, *words)


JOBS = (
    Job("train", _train, EPOCH, ("--overwrite",)),
    Job("sweep", _sweep, EPOCH),
    Job("bench", _bench, POPEN),
    Job("export", _export, POPEN),
    Job("quantize", _quantize, POPEN),
    Job("prune", _prune, POPEN, ("--overwrite",)),
    Job("compress", _compress, POPEN, ("--overwrite",)),
)
BY_NAME = {job.name: job for job in JOBS}


def both(lab: Lab, job: Job, more: tuple[str, ...] = ()) -> Iterator[Attempt]:
    """Hold one process in the middle of its work, run the same command, let the first finish."""
    with lab.folder() as folder:
        words = job.words(lab, folder)
        first = lab.zoo.start(Setting(folder, hold=job.hold), *words)
        held = first.held()
        second = lab.zoo.run(Setting(folder), *words, *more)
        first.release()
        ended = first.wait()
        name = " ".join((job.name, *more))
        if not held:
            yield lab.say(checked(f"{name}: the first process", "it did not reach its work", ended))
            return
        advice = "--out|another folder|other folder|wait"
        yield lab.say(refused(f"{name}, beside one at work", second, BUSY, advice))
        yield lab.say(survived(f"{name}, the one at work", ended))


def lock(job: Job) -> Callable[[Lab], Iterator[Attempt]]:
    """Return the attempts of two processes of a command."""

    def attempts(lab: Lab) -> Iterator[Attempt]:
        yield from both(lab, job)
        if job.again:
            yield from both(lab, job, job.again)

    return attempts


def lock_evaluate(lab: Lab) -> Iterator[Attempt]:
    """Two evaluations of different runs note both recipes in one ledger."""
    with lab.folder() as folder:
        other = lab.train(folder / "trained", lab.data, epochs=1, name="another")
        words = _evaluate(lab, folder)
        first = lab.zoo.start(Setting(folder, hold=LEDGER), *words)
        first.held()
        second = lab.zoo.run(Setting(folder), "evaluate", other, *words[2:])
        first.release()
        ended = first.wait()
        ledger = folder / "out" / "ledger.jsonl"
        lines = ledger.read_text().count("\n") if ledger.exists() else 0
        done = (second.status == 0) + (ended.status == 0)
        lost = "" if lines == done else f"{done} evaluations worked, the ledger has {lines} lines"
        attempt = told("evaluate --split test, beside one at work", second)
        yield lab.say(attempt)
        yield lab.say(survived("the one at work", ended, lambda: lost))


def mixed_data(lab: Lab) -> Iterator[Attempt]:
    """Two trainings of one recipe on different data in one run folder, in both orders."""
    for first_data, second_data in ((lab.data, lab.other_data), (lab.other_data, lab.data)):
        with lab.folder() as folder:
            recipe = lab.recipe(folder, epochs=3)
            words = ("--device", "cpu", "--out", folder / "out")
            setting = Setting(folder, hold=EPOCH)
            first = lab.zoo.start(setting, "train", recipe, "--data-dir", first_data, *words)
            first.held()
            second = lab.zoo.run(
                Setting(folder), "train", recipe, "--data-dir", second_data, *words, "--overwrite"
            )
            first.release()
            ended = first.wait()
            run = run_in(folder / "out")
            epochs = len((run / "metrics.jsonl").read_text().splitlines())
            fault = "" if epochs == 3 else f"metrics.jsonl has {epochs} epochs of 3"
            yield lab.say(refused("train on other data, beside one at work", second, BUSY))
            yield lab.say(survived("the one at work", ended, lambda f=fault: f))


def stale_lock(lab: Lab) -> Iterator[Attempt]:
    """Kill a process at work, then run the same command: the lock of a dead owner is free."""
    for job in JOBS:
        with lab.folder() as folder:
            words = job.words(lab, folder)
            first = lab.zoo.start(Setting(folder, hold=job.hold), *words)
            first.held()
            first.signal(signal.SIGKILL, group=True)
            first.wait()
            again = lab.zoo.run(Setting(folder), *words, *job.again)
            yield lab.say(survived(f"{job.name} after one that was killed", again))


def bench_other_data(lab: Lab) -> Iterator[Attempt]:
    """Bench one recipe on data set A, then on B with the same folder of runs."""
    with lab.folder() as folder:
        recipe = lab.recipe(folder)
        words = ("--seeds", "1", "--device", "cpu", "--accuracy-only", "--runs", folder / "runs")

        def digests() -> set[str]:
            return {str(read(path)["data_sha256"]) for path in folder.glob("runs/**/run.json")}

        lab.need(
            lab.zoo.run(
                Setting(folder), "bench", recipe, *words, "--data-dir", lab.data, "--out", "a"
            )
        )
        before = digests()
        ran = lab.zoo.run(
            Setting(folder), "bench", recipe, *words, "--data-dir", lab.other_data, "--out", "b"
        )
        lost = "" if before <= digests() else "the run folder of data set A was replaced"
        if ran.status == 0:
            yield lab.say(survived("bench on other data", ran, lambda: lost))
        else:
            yield lab.say(refused("bench on other data", ran, "data", lost=lambda: lost))


def evaluate_other_data(lab: Lab) -> Iterator[Attempt]:
    """Score a run on images that it was not trained with."""
    with lab.folder() as folder:
        for split in ("validation", "test"):
            words = ("--split", split, "--data-dir", lab.other_data, "--results", folder / "r")
            ran = lab.zoo.run(Setting(folder), "evaluate", lab.run, *words)
            yield lab.say(told(f"evaluate --split {split} on other data", ran, "other data|differ"))


def run_and_model(lab: Lab) -> Iterator[Attempt]:
    """Write a model into the run folder that it is made of."""
    for name in ("prune", "export", "quantize", "compress"):
        with lab.folder() as folder:
            run = folder / "run"
            shutil.copytree(lab.run, run)
            source = lab.model if name in ("quantize", "compress") else run
            words = BY_NAME[name].words(lab, folder)
            words = tuple(run if word == folder / "out" else word for word in words)
            ran = lab.zoo.run(Setting(folder), words[0], source, *words[2:])
            both_kinds = (run / "model.json").exists() and (run / "run.json").exists()
            lost = "a folder that is run and model at once" if both_kinds else ""
            yield lab.say(refused(f"{name} into a run folder", ran, "run", lost=lambda w=lost: w))


def resume_finished(lab: Lab) -> Iterator[Attempt]:
    """Repeat a finished command with ``--resume``."""
    for name in ("prune", "compress", "train"):
        with lab.folder() as folder:
            words = BY_NAME[name].words(lab, folder)
            lab.need(lab.zoo.run(Setting(folder), *words))
            ran = lab.zoo.run(Setting(folder), *words, "--resume")
            yield lab.say(survived(f"a finished {name} with --resume", ran))


def damaged_identity(lab: Lab) -> Iterator[Attempt]:
    """Resume a run whose record states other data than it was started with."""
    with lab.folder() as folder:
        run = folder / "out" / lab.run.name
        shutil.copytree(lab.run, run)
        edit(run / "run.json", lambda one: one.update(data_sha256={"x": "0" * 64}, status="x"))
        words = ("--data-dir", lab.data, "--device", "cpu", "--out", folder / "out", "--resume")
        ran = lab.zoo.run(Setting(folder), "train", lab.recipe(folder), *words)
        yield lab.say(
            refused("train --resume of a run on other data", ran, "(other|different) data")
        )


CASES = (
    *(
        Case(
            f"lock-{job.name}",
            f"Two processes: `{job.name}` beside `{job.name}` in one folder; the second is refused "
            "with what to do",
            lock(job),
        )
        for job in JOBS
    ),
    Case("lock-evaluate", "Two processes: `evaluate` where it writes", lock_evaluate),
    Case(
        "lock-mixed-data",
        "Two trainings in one folder both exit 0 with mixed metrics and the wrong data's digests",
        mixed_data,
    ),
    Case("lock-stale", "A lock whose owner died does not block", stale_lock),
    Case(
        "bench-other-data",
        "`bench` on data set B replaces A's run folder of the same recipe in silence",
        bench_other_data,
    ),
    Case(
        "evaluate-other-data",
        "`evaluate` scores a run on other data without a word",
        evaluate_other_data,
    ),
    Case("resume-other-data", "`train --resume` of a run on other data", damaged_identity),
    Case(
        "prune-into-run",
        "`prune RUN RUN` makes a folder that is run and model at once",
        run_and_model,
    ),
    Case(
        "resume-finished",
        "A finished `prune` or `compress` with `--resume` exits 0",
        resume_finished,
    ),
)
