"""Section 2, second part: saves that are killed, flipped bits, folders without digests."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from _faults.judge import checked, message, refused, survived, told
from _faults.lab import CHECKOUT, Lab
from _faults.locks import Words
from _faults.process import Ran, Setting
from _faults.records import Attempt, Case, Verdict

SAMPLES = CHECKOUT / "tests" / "samples" / "v0.1"


PROBES = ("predict", "predict_weights", "predictor")
"""Ways to predict with a folder: as a user does, with its weights, with its ONNX file."""


def same(lab: Lab, folder: Path, *models: Path) -> str:
    """Return "" if a model folder predicts as one of ``models`` does, in each way that works."""
    for probe in PROBES:
        found = lab.predictions(folder, probe=probe)
        if found is None:
            continue
        known = [lab.known(model, probe) for model in models]
        if not any(k is not None and np.allclose(found, k, atol=1e-4) for k in known):
            return f"it loads ({probe}), and its predictions are those of no model that was saved"
    return ""


def save_killed(lab: Lab) -> Iterator[Attempt]:
    """Kill ``Model.save`` over another model at each of its changes of the disk."""
    pairs = (
        (lab.other_model, lab.model),
        (lab.other_model, lab.plain_model),
        (lab.plain_model, lab.other_model),
    )
    for new, old in pairs:
        for number in range(1, 100):
            with lab.folder() as folder:
                target = folder / "model"
                shutil.copytree(old, target)
                setting = Setting(folder, below=folder, kill_at=number)
                ran = lab.zoo.probe(setting, "save_over", new, target)
                fault = same(lab, target, new, old)
                what = f"killed at change {number} of saving {new.name} over {old.name}"
                load = api(lab.zoo.probe(Setting(folder), "predict", target, lab.images))
                if load.status != 0:
                    fault = f"neither model is left: {message(load)}"
                yield lab.say(checked(what, fault, ran))
            if ran.status == 0:
                break


def swapped_saves(lab: Lab) -> Iterator[Attempt]:
    """Load a folder again and again while another process saves two models to it by turns."""
    with lab.folder() as folder:
        target = folder / "model"
        shutil.copytree(lab.model, target)
        writer = lab.zoo.start(
            *(Setting(folder), "probe:", "save_in_turns"),
            *(lab.model, lab.other_model, target, "400"),
        )
        command = ("probe:", "predictor", target, lab.images)
        known = [lab.known(m, "predictor") for m in (lab.model, lab.other_model)]
        for ran in lab.zoo.many(Setting(folder), [command] * 100):
            found = np.array(json.loads(ran.out)) if ran.status == 0 else None
            fault = ""
            if found is not None and not any(np.allclose(found, k, atol=1e-4) for k in known):  # type: ignore[arg-type]
                fault = "predictions of neither model"
            text = "load while another process saves"
            if "Error" in ran.err and "ResultError" in ran.err:
                yield lab.say(Attempt(text, Verdict.REFUSED, message(ran), str(ran)))
            else:
                yield lab.say(survived(text, ran, lambda f=fault: f))
        writer.wait()


def flipped(content: bytes, generator: random.Random, start: int) -> bytes:
    """Return a copy with one flipped bit at or after ``start``."""
    changed = bytearray(content)
    changed[generator.randrange(start, len(content))] ^= 1 << generator.randrange(8)
    return bytes(changed)


def tensors(content: bytes) -> int:
    """Return where the tensors of a safetensors file begin."""
    return 8 + int.from_bytes(content[:8], "little")


def flips(lab: Lab, source: Path, name: str, command: Callable[[Path], Words]) -> Iterator[Attempt]:
    """Flip single bits of the tensors of a file and run a command on each copy of its folder."""
    generator = random.Random(f"{lab.amount.seed} {name}")
    content = (source / name).read_bytes()
    with lab.folder() as folder:
        copies = []
        for number in range(60):
            copy = folder / str(number) / source.name
            shutil.copytree(source, copy)
            (copy / name).write_bytes(flipped(content, generator, tensors(content)))
            copies.append(copy)
        for ran in lab.zoo.many(Setting(folder), [command(copy) for copy in copies]):
            yield lab.say(refused(f"a flipped bit in {name}", api(ran)))


def api(ran: Ran) -> Ran:
    """Return a probe's outcome with the traceback of an oraclezoo exception as its message."""
    lines = ran.err.strip().splitlines()
    if ran.status == 1 and lines and lines[-1].startswith("oraclezoo.errors."):
        return Ran(ran.command, 1, ran.out, lines[-1], ran.place, ran.peak_bytes)
    return ran


def weights_flipped(lab: Lab) -> Iterator[Attempt]:
    """Flip 60 single bits of ``model.safetensors``, one at a time, and load."""
    yield from flips(
        lab,
        lab.plain_model,
        "model.safetensors",
        lambda copy: ("probe:", "predict", copy, lab.images),
    )


def checkpoint_flipped(lab: Lab) -> Iterator[Attempt]:
    """Flip 60 single bits of a run's weights, and evaluate it."""
    yield from flips(
        lab,
        lab.run,
        "last.safetensors",
        lambda copy: ("evaluate", copy, "--data-dir", lab.data),
    )


def older_folders(lab: Lab) -> Iterator[Attempt]:
    """Load folders of version 0.1.0, which have no digest: they work, with a note."""
    for name in ("exported", "int8", "pruned", "bf16"):
        ran = lab.zoo.probe(Setting(lab.work), "load_warnings", SAMPLES / name)
        yield lab.say(told(f"oz.load of {name} of version 0.1.0", ran, "digest|sha-?256|0\\.1\\.0"))
    run = next((SAMPLES / "finished").iterdir())
    ran = lab.zoo.run(Setting(lab.work), "evaluate", run, "--data-dir", SAMPLES / "idx")
    yield lab.say(told("evaluate of a run of version 0.1.0", ran, "digest|sha-?256|0\\.1\\.0"))


CASES = (
    Case(
        "save-killed",
        "`Model.save` killed over an older model leaves new weights under the old card, which "
        "loads silently",
        save_killed,
    ),
    Case("save-swaps", "A save swaps whole folders", swapped_saves),
    Case("weights-flipped", "60 of 60 flipped bits in `model.safetensors` load", weights_flipped),
    Case("checkpoint-flipped", "Checkpoints carry a digest, checked on load", checkpoint_flipped),
    Case("older-folders", "Older folders without a digest load with a note", older_folders),
)
