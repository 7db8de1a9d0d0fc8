"""Published results, to be forged with every digest right, and the verdicts on them."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save

from _faults.judge import crash
from _faults.lab import Lab, mentions, read
from _faults.process import Ran
from _faults.records import Attempt, Verdict

BASES = (
    "oracle-mnist-3k-default-dd2c16ba9765-amd-epyc-2c-1t",
    "oracle-mnist-3k-backbones-resnet8-168885b4c528-amd-epyc-2c-1t",
    "glyphs-3k-optimizers-adamw-6430b733caa1-amd-epyc-2c-1t",
)


OTHER = {
    "oracle-mnist-3k": "oracle-mnist-3k-backbones-convmixer-b0f5ed32d571-amd-epyc-2c-1t",
    "glyphs-3k": "glyphs-3k-optimizers-lion-1a43cca6e5d2-amd-epyc-2c-1t",
}
"""A published row of another recipe on the same track."""


@dataclass
class Forgery:
    """A result that is being forged: its document and its predictions."""

    document: dict[str, Any]
    probabilities: npt.NDArray[np.float16]
    labels: npt.NDArray[np.uint8]
    other: npt.NDArray[np.float16] = field(default_factory=lambda: np.zeros(0, np.float16))

    @property
    def content(self) -> dict[str, Any]:
        """The recipe's content."""
        content: dict[str, Any] = self.document["recipe"]["content"]
        return content

    def write(self, folder: Path) -> Path:
        """Write document, predictions and ledger, with each digest and each figure right."""
        one = self.document
        text = json.dumps(self.content, sort_keys=True, separators=(",", ":"), allow_nan=False)
        recipe_hash = hashlib.sha256(text.encode()).hexdigest()
        one["recipe"]["hash"] = recipe_hash
        track, name = one["track"]["name"], one["recipe"]["name"].replace("/", "-")
        one["id"] = f"{track}-{name}-{recipe_hash[:12]}-{one['hardware']['class']}"
        path = folder / f"{one['id']}.json"
        stored = save({"probabilities": self.probabilities, "labels": self.labels})
        path.with_suffix(".safetensors").write_bytes(stored)
        one["predictions"] |= {
            "file": f"{one['id']}.safetensors",
            "sha256": hashlib.sha256(stored).hexdigest(),
        }
        for score, rows in zip(one["seeds"], self.probabilities, strict=True):
            right = rows[np.arange(len(self.labels)), self.labels].astype(np.float64)
            score["accuracy"] = float((rows.argmax(1) == self.labels).mean())
            score["loss"] = float(-np.log(np.maximum(right, 1e-7)).mean())
        digests = json.dumps(one["track"]["data_sha256"], sort_keys=True, separators=(",", ":"))
        row = {"track": track, "data_key": digests, "recipe_hash": recipe_hash, "time": "x"}
        with (folder / "ledger.jsonl").open("a") as ledger:
            ledger.write(json.dumps(row) + "\n")
        path.write_text(json.dumps(one, indent=2), encoding="utf-8")
        return path


def base(lab: Lab, name: str) -> Forgery:
    """Return a published result."""
    document = read(lab.published / f"{name}.json")
    tensors = load_file(lab.published / f"{name}.safetensors")
    other = load_file(lab.published / f"{OTHER[document['track']['name']]}.safetensors")
    one = Forgery(document, tensors["probabilities"], tensors["labels"], other["probabilities"])
    # predictions that nobody published, or every forgery would be refused as a copy
    one.probabilities = tempered(one.probabilities)
    return one


def tempered(probabilities: npt.NDArray[np.float16]) -> npt.NDArray[np.float16]:
    """Return probabilities with the same order of classes and another confidence."""
    powers = np.maximum(probabilities.astype(np.float64), 1e-7) ** 0.9
    return (powers / powers.sum(-1, keepdims=True)).astype(np.float16)


def findings(ran: Ran, name: str) -> list[dict[str, Any]]:
    """Return the findings on a file, from ``submit --check --json``."""
    files = ran.data["files"] if ran.data else []
    rows = [one for one in files if Path(one["file"]).name == name]
    return list(rows[0]["findings"]) if rows else []


def copy_published(lab: Lab, folder: Path, name: str) -> None:
    """Copy a published result beside a forged one."""
    for suffix in (".json", ".safetensors"):
        shutil.copy(lab.published / f"{name}{suffix}", folder)
    shutil.copy(lab.published / "ledger.jsonl", folder)


def judge(what: str, ran: Ran, name: str, *, honest: str, reason: str = "") -> Attempt:
    """Expect the forged file to be refused and the honest one beside it to keep its ticks.

    One of the findings against the forged file must match ``reason``.
    """
    failed = crash(ran)
    if failed:
        return Attempt(what, *failed, str(ran))
    of_forged, of_honest = findings(ran, name), findings(ran, f"{honest}.json")
    if not of_honest or any(one["ok"] is not True for one in of_honest):
        return Attempt(what, Verdict.LOST, f"the honest file lost a tick: {of_honest}", str(ran))
    broken = [f"{one['rule']}: {one['text']}" for one in of_forged if one["ok"] is False]
    if broken and mentions("; ".join(broken), reason):
        return Attempt(what, Verdict.UNCLEAR, f"refused for another reason: {broken}", str(ran))
    if broken:
        return Attempt(what, Verdict.REFUSED, broken[0])
    return Attempt(
        what, Verdict.LOST, "passes every check" if of_forged else "no verdict", str(ran)
    )
