"""Section 2, second part: kills, signals, saves, and what is left behind."""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

from _faults import disks
from _faults.judge import refused, skipped, survived
from _faults.lab import Lab, read, run_in
from _faults.locks import BY_NAME, JOBS, Job, Words
from _faults.process import Ran, Setting
from _faults.records import Attempt, Case, Verdict
from _faults.saves import same
from _faults.site import install, net

DEAD = 4_190_000
"""A process number that no process has: Linux gives smaller ones on small machines."""


CHECKPOINT = ("os.rename", "last.safetensors'")
"""Where a pruning is held: at the first checkpoint of its fine-tuning."""

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def signaled(lab: Lab, name: str, number: signal.Signals) -> Iterator[Attempt]:
    """Send a signal in the middle of a command, then resume and compare with an undisturbed one."""
    job = BY_NAME[name]
    with lab.folder() as folder:
        whole, broken = folder / "whole", folder / "broken"
        for place in (whole, broken):
            place.mkdir()
        lab.need(lab.zoo.run(Setting(whole), *job.words(lab, whole)))
        words = job.words(lab, broken)
        hold = CHECKPOINT if name == "prune" else job.hold
        process = lab.zoo.start(Setting(broken, hold=hold), *words)
        process.held()
        process.signal(number)
        process.release()
        ran = process.wait()
        what = f"{number.name} in {name}"
        if ran.status == 0:  # it came too late to stop anything
            fault = differs(lab, name, whole, broken)
            yield lab.say(survived(what, ran, lambda: fault))
            return
        if ran.status is not None and ran.status < 0:
            why = "the process died of it, nothing said"
            yield lab.say(Attempt(what, Verdict.LOST, why, str(ran)))
        else:
            yield lab.say(refused(what, ran, "again|--resume"))
        resume = ("--resume",) if name in ("train", "prune", "compress") else ()
        again = lab.zoo.run(Setting(broken), *words, *resume)
        fault = differs(lab, name, whole, broken) if again.status == 0 else ""
        yield lab.say(survived(f"{what}, then resumed", again, lambda: fault))


def differs(lab: Lab, name: str, whole: Path, broken: Path) -> str:
    """Return how the outputs of two equal jobs differ."""
    if name == "train":
        one, other = (read(run_in(f / "out") / "run.json")["outcome"] for f in (whole, broken))
        keys = ("steps", "validation_loss")
        return "" if all(one[k] == other[k] for k in keys) else f"{other} instead of {one}"
    if name == "sweep":
        texts = [(f / "out" / "best.toml").read_text() for f in (whole, broken)]
        return "" if texts[0] == texts[1] else "another best.toml"
    if name == "bench":
        seeds = [read(next((f / "out").glob("*.json")))["seeds"][0] for f in (whole, broken)]
        return "" if seeds[0]["loss"] == seeds[1]["loss"] else "another loss"
    return same(lab, broken / "out", whole / "out")


def signal_case(number: signal.Signals) -> Callable[[Lab], Iterator[Attempt]]:
    """Return the attempts of a signal."""

    def attempts(lab: Lab) -> Iterator[Attempt]:
        for name in ("train", "sweep", "bench", "prune", "compress"):
            yield from signaled(lab, name, number)

    return attempts


def kills(job: Job) -> Callable[[Lab], Iterator[Attempt]]:
    """Return the attempts of a job's share of the kills."""

    def attempts(lab: Lab) -> Iterator[Attempt]:
        generator = random.Random(f"{lab.amount.seed} {job.name}")
        for _ in range(-(-lab.amount.kills // len(JOBS))):
            yield lab.say(_killed(lab, job, generator))

    return attempts


def _killed(lab: Lab, job: Job, generator: random.Random) -> Attempt:
    """Kill a job at a random change of the disk, run it again, compare with an undisturbed one."""
    whole, writes = _whole(lab, job.name)
    number = generator.randint(1, writes)
    with lab.folder() as folder:
        words = job.words(lab, folder)
        lab.zoo.run(Setting(folder, below=folder, kill_at=number), *words)
        again = lab.zoo.run(Setting(folder), *words)
        for option in ("--resume", "--overwrite"):  # as the message advises
            if again.status != 0 and option in again.err:
                again = lab.zoo.run(Setting(folder), *words, option)
        fault = differs(lab, job.name, whole, folder) if again.status == 0 else ""
        what = f"{job.name} killed at change {number} of {writes}"
        return survived(what, again, lambda: fault)


def _whole(lab: Lab, name: str) -> tuple[Path, int]:
    """Return the folder of an undisturbed job and the number of its changes, made once."""
    folder = lab.work / f"whole-{name}"
    if not folder.exists():
        folder.mkdir()
        ran = lab.need(
            lab.zoo.run(Setting(folder, below=folder), *BY_NAME[name].words(lab, folder))
        )
        (lab.work / f"whole-{name}.json").write_text(json.dumps(ran.writes))
    return folder, max(1, int(read(lab.work / f"whole-{name}.json")))


def separator_in_journal(lab: Lab) -> Iterator[Attempt]:
    """A trial fails with U+2028 in its reason; the same sweep again must not repeat it."""
    for mark in ("\\u2028", "\\x85", "\\x0b", "\\x1c"):
        code = net(forward=f"raise ValueError('line one{mark}line two')")
        with lab.folder() as folder:
            site = install(folder / "site", code=code)
            setting = Setting(folder, paths=(site,))
            recipe = lab.recipe(folder)
            words = ("--data-dir", lab.data, "--device", "cpu", "--out", folder / "out", "--json")
            command = ("sweep", recipe, "-p", "backbone.name=mlp,hostile:net", *words)
            first = lab.need(lab.zoo.run(setting, *command))
            ran = lab.zoo.run(setting, *command)

            def fault(first: Ran = first, ran: Ran = ran) -> str:
                before, after = ([t["status"] for t in one.data["trials"]] for one in (first, ran))
                return "" if before == after else f"trials were {before}, are {after}"

            yield lab.say(survived(f"a sweep's journal with {mark}", ran, fault))


def stale_partials(lab: Lab) -> Iterator[Attempt]:
    """Leave partial files of dead and living processes beside outputs, and write again."""
    for name in ("train", "bench", "export", "quantize", "prune", "sweep"):
        with lab.folder() as folder:
            words = BY_NAME[name].words(lab, folder)
            lab.need(lab.zoo.run(Setting(folder), *words))
            places = {path.parent for path in folder.rglob("*.json")}
            dead = [place / f".{n}.{DEAD}.partial" for place in places for n in ("run.json", "x")]
            alive = [place / f".x.{os.getpid()}.partial" for place in places]
            for path in (*dead, *alive):
                path.write_text("")
            again = {"train": ("--overwrite",), "bench": lab.overwrite("bench")}.get(name, ())
            again = ("--overwrite",) if name == "prune" else again
            ran = lab.zoo.run(Setting(folder), *words, *again)
            left = sum(path.exists() for path in dead)
            gone = sum(not path.exists() for path in alive if path.parent.exists())
            fault = f"{left} stale partial files are left" if left else ""
            fault = fault or (f"{gone} files of a living process are gone" if gone else "")
            yield lab.say(survived(f"{name} beside partial files", ran, lambda f=fault: f))


def read_only(lab: Lab) -> Iterator[Attempt]:
    """Each writing command with an output that cannot be written."""
    mark = "open(os.environ['MARK'], 'a').write('x')"
    with lab.folder() as folder, disks.read_only(folder / "read-only") as works:
        if not works:
            yield lab.say(skipped("a read-only folder", "root, and no right to mount"))
            return
        site = install(folder / "site", code=net(forward=mark))
        marked = folder / "mark"
        setting = Setting(folder, paths=(site,), env={"MARK": str(marked)})
        run = lab.train(folder / "trained", lab.data, setting, backbone="hostile:net")
        model = lab.export(run, folder / "model", setting)
        commands = _to_read_only(lab, folder, run, model, folder / "read-only")
        for name, command in commands.items():
            marked.unlink(missing_ok=True)
            ran = lab.zoo.run(setting, *command)
            late = "it computed before" if marked.exists() else ""
            yield lab.say(refused(name, ran, "read-only", lost=lambda f=late: f))


def _to_read_only(lab: Lab, folder: Path, run: Path, model: Path, ro: Path) -> dict[str, Words]:
    recipe = lab.recipe(folder, backbone="hostile:net")
    data: Words = ("--data-dir", lab.data)
    cpu: Words = (*data, "--device", "cpu")
    out = ro / "out"
    one: Words = ("bench", recipe, "--seeds", "1", *cpu)
    prune: Words = ("--macs", "0.6", "--round-to", "1", "--epochs", "1")
    less: Words = ("--size", "0.9", "--trials", "1", "--epochs", "1")
    return {
        "train --out": ("train", recipe, *cpu, "--out", out),
        "bench --out": (*one, "--out", out, "--runs", "runs"),
        "bench --runs": (*one, "--out", "results", "--runs", out),
        "sweep --out": ("sweep", recipe, "-p", "optimizer.lr=0.1,0.2", *cpu, "--out", out),
        "export": ("export", run, *lab.out("export", out), *lab.measuring()),
        "quantize": ("quantize", model, *lab.out("quantize", out), *lab.measuring()),
        "prune": ("prune", run, *lab.out("prune", out), *prune, *lab.measuring()),
        "compress": ("compress", model, *lab.out("compress", out), *less, *data),
        "evaluate --results": ("evaluate", run, "--split", "test", *data, "--results", out),
        "plot --out": ("plot", run, *data, "--out", out),
        "drift --save-reference": (
            *("drift", run, lab.pictures, *data),
            *("--save-reference", out / "reference.safetensors"),
        ),
    }


CASES = (
    *(
        Case(
            f"signal-{number.name.lower()}",
            f"{number.name} keeps the state, as Ctrl-C does",
            signal_case(number),
        )
        for number in SIGNALS
    ),
    *(
        Case(f"kills-{job.name}", f"Kills of `{job.name}` at any change of the disk", kills(job))
        for job in JOBS
    ),
    Case("journal-u2028", "Journals split at U+2028", separator_in_journal),
    Case("read-only", "A read-only output is found before the work", read_only),
    Case("stale-partials", "Stale `.X.PID.partial` files are cleaned", stale_partials),
)
