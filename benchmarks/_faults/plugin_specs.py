"""Section 1, second half: plugins that change the process, broken specs, and messages."""

from __future__ import annotations

from collections.abc import Iterator

from _faults.judge import checked, refused, survived, told
from _faults.lab import Lab, mentions, read
from _faults.plugin_code import NAMED, train
from _faults.process import Setting
from _faults.records import Attempt, Case, Verdict
from _faults.site import install, light, net, remove

CHANGES = {
    "default dtype": "import torch; torch.set_default_dtype(torch.float64)",
    "working folder": "import os; os.chdir('/')",
    "recursion limit": "import sys; sys.setrecursionlimit(123456)",
    "warning filters": "import warnings; warnings.simplefilter('error')",
    "signal handlers": "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)",
    "environment": "import os; os.environ['OMP_NUM_THREADS'] = '7'; os.environ['SHARED'] = '1'",
}
"""What a plugin can change in the process, and a statement that does."""

WORDS = {
    "default dtype": "dtype",
    "working folder": "folder|directory",
    "recursion limit": "recursion",
    "warning filters": "warning",
    "signal handlers": "signal",
    "environment": "environ",
}


def changed_process(lab: Lab) -> Iterator[Attempt]:
    """Each change at the import of the entry point's module, and of a target's module."""
    for what, statement in CHANGES.items():
        for place in ("the entry point's module", "the target's module"):
            early = place.startswith("the entry")
            with lab.folder() as folder:
                specs = light(before=statement if early else "")
                code = net(before="" if early else statement)
                site = install(folder / "site", specs=specs, code=code)
                setting = Setting(folder, paths=(site,))
                ran = lab.zoo.probe(setting, "process_state")
                left = (
                    [] if ran.data is None else [key for key, same in ran.data.items() if not same]
                )
                fault = f"not restored: {', '.join(left)}" if left else ""
                yield lab.say(survived(f"{what}, changed by {place}", ran, lambda f=fault: f))
                command = ("plugins", "doctor") if early else ("plugins", "check", "hostile")
                ran = lab.zoo.run(setting, *command)
                yield lab.say(told(f"{what}, {' '.join(command)}", ran, NAMED, WORDS[what]))


def changed_training(lab: Lab) -> Iterator[Attempt]:
    """Train a built-in recipe while a plugin that changes the process is installed."""
    expected = read(lab.run / "run.json")["outcome"]["validation_loss"]
    for what, statement in CHANGES.items():
        with lab.folder() as folder:
            site = install(folder / "site", specs=light(before=statement))
            ran = train(lab, Setting(folder, paths=(site,)), "mlp")

            def fault() -> str:
                runs = list(folder.glob("runs/*/run.json"))
                if not runs:
                    return "the run is in another folder"
                found = read(runs[0])["outcome"]["validation_loss"]
                return "" if found == expected else f"validation loss {found}, not {expected}"

            yield lab.say(survived(f"train with a plugin that changes the {what}", ran, fault))


def training_step(lab: Lab) -> Iterator[Attempt]:
    """``plugins check`` of plugins that only a real training step exposes."""
    picky = "assert images.dtype.is_floating_point and images.max() < 1e4"
    faults = {
        "a backbone that sets the default dtype when built": net(
            before="import torch", build="torch.set_default_dtype(torch.float64)"
        ),
        "a backbone that fails on its second training step": net(
            build="self.calls = 0",
            forward="self.calls += self.training; assert self.calls < 2",
        ),
        "a backbone that changes the working folder when used": net(forward="os.chdir('/')"),
        "a backbone that turns gradients off": net(
            before="import torch", forward="torch.set_grad_enabled(False)"
        ),
    }
    with lab.folder() as folder:
        site = install(folder / "site", code=net(forward=picky))
        ran = lab.zoo.run(Setting(folder, paths=(site,)), "plugins", "check", "hostile")
        yield lab.say(survived("a backbone without a fault", ran))
    for what, code in faults.items():
        with lab.folder() as folder:
            site = install(folder / "site", code=code)
            ran = lab.zoo.run(Setting(folder, paths=(site,)), "plugins", "check", "hostile")
            yield lab.say(refused(what, ran, NAMED))


def option_called_name(lab: Lab) -> Iterator[Attempt]:
    """A component with an option ``name``: quarantined, or recipe.toml keeps both."""
    option = ', options=(Option("name", "str", "inner", "a name"),)'
    for kind in ("backbone", "optimizer", "scheduler"):
        with lab.folder() as folder:
            site = install(folder / "site", specs=light(kind=kind, extra=option))
            ran = lab.zoo.run(Setting(folder, paths=(site,)), "plugins", "doctor")
            yield lab.say(refused(f"a {kind} with an option 'name'", ran, NAMED, "'name'"))


def name_no_string(lab: Lab) -> Iterator[Attempt]:
    """A spec whose name is not a string, while a user mistypes another name."""
    for name in (5, None, True):
        with lab.folder() as folder:
            site = install(folder / "site", specs=light(name=name))
            setting = Setting(folder, paths=(site,))
            ran = lab.zoo.run(setting, "list", "backbonez")
            yield lab.say(refused(f"list TYPO beside a spec called {name!r}", ran, "backbonez"))
            ran = train(lab, setting, "oraclnet")
            yield lab.say(refused(f"train TYPO beside a spec called {name!r}", ran, "oraclenet"))
            ran = lab.zoo.run(setting, "plugins", "doctor")
            yield lab.say(refused(f"doctor of a spec called {name!r}", ran, NAMED, "name"))


SPECS = {
    "spec-slash": ("`timm/foo` as a spec's name is not caught", light(name="timm/foo"), "timm/foo"),
    "spec-case": (
        "A name that differs from a built-in by case only is not caught",
        light(name="OracleNet"),
        "case",
    ),
    "spec-bounds": (
        "An option with `low=10, high=1` is not caught",
        light(extra=', options=(Option("depth", "int", None, "depth", low=10, high=1),)'),
        "depth",
    ),
    "spec-fact": (
        "An unknown fact is not caught",
        light(extra=', facts={"prunabel": True}'),
        "prunabel",
    ),
    "spec-choices": (
        '`choices="abc"` is not caught',
        light(extra=', options=(Option("mode", "str", "a", "mode", choices="abc"),)'),
        "mode",
    ),
}
"""Specs that the host must catch: sentence, source, and what the doctor must mention."""


def _doctor(specs: str, word: str):  # type: ignore[no-untyped-def]
    def attempts(lab: Lab) -> Iterator[Attempt]:
        with lab.folder() as folder:
            site = install(folder / "site", specs=specs)
            ran = lab.zoo.run(Setting(folder, paths=(site,)), "plugins", "doctor")
            yield lab.say(told("plugins doctor", ran, NAMED, word))

    return attempts


def deadly_import(lab: Lab) -> Iterator[Attempt]:
    """Plugins that end or interrupt the process when imported, and the doctor."""
    deaths = {
        "KeyboardInterrupt": "raise KeyboardInterrupt",
        "os._exit(0)": "import os; os._exit(0)",
        "os._exit(1)": "import os; os._exit(1)",
        "SIGKILL": "import os; os.kill(os.getpid(), 9)",
        "an endless loop": "while True: pass",
    }
    for name, statement in deaths.items():
        with lab.folder() as folder:
            site = install(folder / "site", specs=light(before=statement))
            setting = Setting(folder, paths=(site,), timeout_s=120)
            ran = lab.zoo.run(setting, "plugins", "doctor")
            yield lab.say(refused(f"{name} at import", ran, NAMED))


def nan_rate(lab: Lab) -> Iterator[Attempt]:
    """A learning rate that is not a number."""
    for value in ("nan", "inf", "-1.0"):
        with lab.folder() as folder:
            ran = train(lab, Setting(folder), "mlp", "-s", f"optimizer.lr={value}")
            yield lab.say(refused(f"optimizer.lr={value}", ran, r"optimizer\.lr|learning rate"))
    for kind, what, code in rates():
        with lab.folder() as folder:
            site = install(folder / "site", specs=light(kind=kind), code=code)
            path = lab.recipe(folder)
            old = 'adamw"\nlr = 0.01' if kind == "optimizer" else 'onecycle"'
            path.write_text(path.read_text().replace(old, 'hostile:net"'))
            words = ("--data-dir", lab.data, "--device", "cpu", "--out", folder / "runs")
            ran = lab.zoo.run(Setting(folder, paths=(site,)), "train", path, *words)
            yield lab.say(refused(what, ran, f"{kind} 'hostile:net'", "rate"))


def rates() -> Iterator[tuple[str, str, str]]:
    """Yield kind, description and source of plugins that give a rate that is not a number."""
    optimizer = (
        "import torch\n\nclass Net(torch.optim.SGD):\n"
        "    def __init__(self, named_parameters):\n"
        "        super().__init__([p for _, p in named_parameters], lr=0.01)\n"
        "        self.param_groups[0]['lr'] = float('nan')\n"
    )
    yield "optimizer", "an optimizer whose rate is NaN", optimizer
    for when in (0, 3):
        for value in ("nan", "inf"):
            scheduler = (
                "import torch\n\ndef Net(optimizer, *, total_steps, steps_per_epoch):\n"
                f"    rate = lambda step: float('{value}') if step >= {when} else 1.0\n"
                "    return torch.optim.lr_scheduler.LambdaLR(optimizer, rate)\n"
            )
            yield "scheduler", f"a scheduler that gives {value} from step {when} on", scheduler


def tuple_output(lab: Lab) -> Iterator[Attempt]:
    """Backbones that return something else than logits."""
    values = {"tuple": ", images", " is None": " is None", "list": ".tolist()", "dict": " and {}"}
    for name, after in values.items():
        with lab.folder() as folder:
            site = install(folder / "site", code=net(after=after))
            ran = train(lab, Setting(folder, paths=(site,)), "hostile:net")
            yield lab.say(refused(f"forward returns {name.strip()}", ran, NAMED, "return|tensor"))


def unsaved_state(lab: Lab) -> Iterator[Attempt]:
    """State that no checkpoint can hold is found before the first epoch."""
    code = net(build="self.register_buffer('extra', None)", before="") + (
        "\n    def get_extra_state(self):\n        return lambda: None\n"
        "\n    def set_extra_state(self, state):\n        pass\n"
    )
    with lab.folder() as folder:
        site = install(folder / "site", code=code)
        ran = train(lab, Setting(folder, paths=(site,)), "hostile:net")

        def trained() -> str:
            metrics = list(folder.glob("runs/*/metrics.jsonl"))
            done = any(path.read_text().strip() for path in metrics)
            return "an epoch was trained before" if done else ""

        attempt = refused("state that cannot be saved", ran, NAMED)
        late = trained()
        if late and attempt.verdict is Verdict.REFUSED:
            attempt = Attempt(attempt.what, Verdict.UNCLEAR, late, attempt.ran)
        yield lab.say(attempt)


def plugin_gone(lab: Lab) -> Iterator[Attempt]:
    """Commands on runs and models whose plugin is no longer installed."""
    with lab.folder() as folder:
        site = install(folder / "site", version="2.5")
        setting = Setting(folder, paths=(site,))
        run = lab.train(folder / "trained", lab.data, setting, backbone="hostile:net")
        model = folder / "model"
        lab.need(lab.zoo.probe(setting, "run_model", run, model))
        remove(site)
        commands = (
            ("evaluate", run, "--data-dir", lab.data),
            ("export", model, *lab.out("export", folder / "exported"), *lab.measuring()),
            ("prune", model, *lab.out("prune", folder / "p"), "--macs", "0.5", *lab.measuring()),
        )
        for command in commands:
            ran = lab.zoo.run(setting, *command)
            first = next((x for x in ran.err.splitlines() if x.startswith("oraclezoo:")), "")
            attempt = refused(f"{command[0]} without the plugin", ran)
            if attempt.verdict is Verdict.REFUSED and mentions(first, r"pip install hostile==2\.5"):
                why = f"does not say pip install hostile==2.5 first: {first}"
                attempt = Attempt(attempt.what, Verdict.UNCLEAR, why, attempt.ran)
            yield lab.say(attempt)


def strict_list(lab: Lab) -> Iterator[Attempt]:
    """A healthy plugin stays healthy: no note, and its backbone trains."""
    with lab.folder() as folder:
        setting = Setting(folder, paths=(install(folder / "site"),))
        ran = lab.zoo.run(setting, "--strict", "plugins", "doctor")
        noise = "a note on a healthy plugin" if "hostile" in ran.said else ""
        yield lab.say(survived("doctor of a healthy plugin", ran, lambda: noise))
        ran = lab.zoo.probe(setting, "process_state")
        left = [] if ran.data is None else [key for key, same in ran.data.items() if not same]
        yield lab.say(survived("the process after a healthy plugin", ran, lambda: ", ".join(left)))
        ran = train(lab, setting, "hostile:net")
        yield lab.say(survived("train with a healthy plugin", ran))
        runs = list(folder.glob("runs/*/run.json"))
        yield lab.say(checked("its run", "" if runs else "there is no run folder", ran))


CASES = (
    Case(
        "plugin-process-state",
        "A plugin that changes the process at import (default dtype, working folder, recursion "
        "limit, warning filters, signal handlers, environment) is not restored, nor named",
        changed_process,
    ),
    Case(
        "plugin-changes-training",
        "A plugin that changes the process changes everybody's training",
        changed_training,
    ),
    Case("plugin-check-step", "`check` takes one real training step", training_step),
    Case(
        "plugin-option-name",
        "An option called `name` overwrites the component's name in `recipe.toml`",
        option_called_name,
    ),
    Case(
        "plugin-name-type",
        "A spec name that is no string breaks `list TYPO` for everyone",
        name_no_string,
    ),
    *(
        Case(f"plugin-{name}", sentence, _doctor(specs, word))
        for name, (sentence, specs, word) in SPECS.items()
    ),
    Case(
        "plugin-deadly-import",
        "KeyboardInterrupt or `os._exit` at import: the doctor loads each plugin in a subprocess "
        "and names it",
        deadly_import,
    ),
    Case("plugin-message-nan", "Message: a NaN learning rate is the scheduler's fault", nan_rate),
    Case("plugin-message-tuple", "The message on a tuple from a backbone", tuple_output),
    Case(
        "plugin-message-state", "State that cannot be saved is found after an epoch", unsaved_state
    ),
    Case(
        "plugin-message-gone",
        "A plugin that is gone: the message says `pip install NAME==VERSION` first",
        plugin_gone,
    ),
    Case("plugin-healthy", "A healthy plugin keeps working, without a note", strict_list),
)
