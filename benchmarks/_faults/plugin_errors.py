"""Section 1, second part: whatever a plugin raises is an error that names it."""

from __future__ import annotations

from collections.abc import Iterator

from _faults.judge import refused
from _faults.lab import Lab
from _faults.plugin_code import NAMED, bench, results, train
from _faults.process import Setting
from _faults.records import Attempt, Case
from _faults.site import install, light, net

EXITS = {
    "SystemExit()": "raise SystemExit",
    "SystemExit(0)": "raise SystemExit(0)",
    "sys.exit('done')": "import sys; sys.exit('done')",
}


def exit_check(lab: Lab) -> Iterator[Attempt]:
    """SystemExit while ``plugins check`` builds or runs the backbone."""
    for name, statement in EXITS.items():
        for place in ("build", "forward"):
            with lab.folder() as folder:
                site = install(folder / "site", code=net(**{place: statement}))
                ran = lab.zoo.run(Setting(folder, paths=(site,)), "plugins", "check", "hostile")
                yield lab.say(refused(f"{name} in {place}", ran, NAMED, "SystemExit"))


def exit_train(lab: Lab) -> Iterator[Attempt]:
    """SystemExit while ``train`` builds or runs the backbone."""
    for name, statement in EXITS.items():
        for place in ("build", "forward"):
            with lab.folder() as folder:
                site = install(folder / "site", code=net(**{place: statement}))
                ran = train(lab, Setting(folder, paths=(site,)), "hostile:net")
                yield lab.say(refused(f"{name} in {place}", ran, NAMED, "SystemExit"))


def failed_job(lab: Lab, statement: str, what: str, *words: str) -> Attempt:
    """Bench a failing plugin and then a built-in recipe: one failed job, one result."""
    with lab.folder() as folder:
        site = install(folder / "site", code=net(forward=statement))
        bad = lab.recipe(folder, backbone="hostile:net", name="bad")
        good = lab.recipe(folder, name="good")
        ran = bench(lab, Setting(folder, paths=(site,)), bad, good)
        names = [one["recipe"]["name"] for one in results(folder / "results") if one["seeds"]]
        lost = "" if "good" in names else "the recipe after it has no result"
        return refused(what, ran, *words, lost=lambda: lost)


def exit_bench(lab: Lab) -> Iterator[Attempt]:
    """SystemExit in a job of ``bench``."""
    for name, statement in EXITS.items():
        yield lab.say(failed_job(lab, statement, f"{name} in forward", NAMED, "SystemExit"))


def no_run(lab: Lab) -> Iterator[Attempt]:
    """A job that ends the process itself leaves no run."""
    for status in (0, 3):
        yield lab.say(failed_job(lab, f"os._exit({status})", f"os._exit({status})", "bad"))
    kill = "import signal; os.kill(os.getpid(), signal.SIGSEGV)"
    yield lab.say(failed_job(lab, kill, "a segmentation fault", "bad"))


RAISED = (
    "ValueError('two\\nlines')",
    "KeyError('x')",
    "StopIteration",
    "RecursionError('deep')",
    "AssertionError",
    "NotImplementedError",
    "OSError(5, 'I/O error')",
    "UnicodeDecodeError('utf-8', b'x', 0, 1, 'bad')",
    "GeneratorExit",
    "BaseException('base')",
    "SystemExit(7)",
)


OPTIMIZER = """
import torch

class Net(torch.optim.SGD):
    def __init__(self, named_parameters):
        {build}
        super().__init__([parameter for _, parameter in named_parameters], lr=0.01)

    def step(self, closure=None):
        {step}
        return super().step(closure)
"""


SCHEDULER = """
import torch

class Net(torch.optim.lr_scheduler.LambdaLR):
    def __init__(self, optimizer, *, total_steps, steps_per_epoch):
        {build}
        self.calls = 0
        super().__init__(optimizer, lambda step: 1.0)

    def step(self, *arguments):
        self.calls = getattr(self, "calls", 0) + 1
        if self.calls > 1:
            {step}
        return super().step(*arguments)
"""


DATASET = """
def Net(*, data_dir, progress=None):
    {build}
"""


def raising_sources(error: str) -> Iterator[tuple[str, str, str, str]]:
    """Yield place, kind, and sources of plugins that raise ``error`` there."""
    statement = f"raise {error}"
    yield "the target's import", "backbone", light(), net(before=statement)
    yield "a backbone's constructor", "backbone", light(), net(build=statement)
    yield "a backbone's forward", "backbone", light(), net(forward=statement)
    hook = "self.layers[1].weight.register_hook(lambda grad: fail())"
    fail = f"def fail():\n    {statement}\n"
    yield "a backward hook", "backbone", light(), net(before=fail, build=hook)
    for place in ("build", "step"):
        parts = {"build": "pass", "step": "pass"} | {place: statement}
        yield (
            f"an optimizer's {place}",
            "optimizer",
            light(kind="optimizer"),
            OPTIMIZER.format(**parts),
        )
        yield (
            f"a scheduler's {place}",
            "scheduler",
            light(kind="scheduler"),
            SCHEDULER.format(**parts),
        )
    facts = light(kind="dataset")
    yield "a data set's factory", "dataset", facts, DATASET.format(build=statement)


def whatever_raises(lab: Lab) -> Iterator[Attempt]:
    """Each exception at each place where plugin code runs during a training."""
    for error in RAISED:
        for place, kind, specs, code in raising_sources(error):
            with lab.folder() as folder:
                site = install(folder / "site", specs=specs, code=code)
                setting = Setting(folder, paths=(site,))
                if kind == "backbone":
                    ran = train(lab, setting, "hostile:net")
                elif kind == "dataset":
                    ran = train(lab, setting, "mlp", "--track", "hostile:net")
                else:
                    old = 'adamw"\nlr = 0.01' if kind == "optimizer" else 'onecycle"'
                    new = 'hostile:net"'
                    path = lab.recipe(folder)
                    path.write_text(path.read_text().replace(old, new))
                    words = ("--data-dir", lab.data, "--device", "cpu", "--out", folder / "runs")
                    ran = lab.zoo.run(setting, "train", path, *words)
                yield lab.say(refused(f"{error} in {place}", ran, NAMED))


CASES = (
    Case(
        "plugin-exit-check",
        "SystemExit from plugin code counts as success: `check` exits 0 without a table",
        exit_check,
    ),
    Case("plugin-exit-train", "SystemExit from plugin code ends `train` silently", exit_train),
    Case(
        "plugin-exit-bench",
        "SystemExit from plugin code: `bench` dies with “there is no run.json” and skips the "
        "recipes after it",
        exit_bench,
    ),
    Case("plugin-no-run", "A job that leaves no run is one failed job", no_run),
    Case(
        "plugin-raises",
        "Whatever a plugin raises is a PluginError that names it",
        whatever_raises,
    ),
)
