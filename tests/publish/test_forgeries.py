"""Forged results: each is refused for its reason, and every file gets a verdict."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import load_file, save

from oraclezoo.cli import cli
from oraclezoo.plugins.registry import Registry, build_registry
from oraclezoo.publish.checks import Checked, check
from oraclezoo.publish.forgeries import release
from oraclezoo.publish.submit import check_all
from oraclezoo.ranking import ledger
from oraclezoo.ranking.load import published_folder
from oraclezoo.ranking.predictions import accuracy_of, losses
from oraclezoo.result import make_id
from oraclezoo.result.check import digest

Document = dict[str, Any]
Arrays = dict[str, Any]

PLAIN = "oracle-mnist-3k-authors-cnn-8ccef09c650f-amd-epyc-2c-2t"
INT8 = "oracle-mnist-3k-tiny-491d8ce1bc8b-amd-epyc-2c-1t"
PRUNED = "oracle-mnist-3k-tiny-a6e7e7fe1344-amd-epyc-2c-1t"
OTHER = "oracle-mnist-3k-speed-d246b4ea4c95-amd-epyc-2c-2t"


class Forged:
    """A copy of a published result that forgeries edit; everything that follows is kept fitting."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir()
        shutil.copy(published_folder() / ledger.FILE, folder)
        self.document: Document = json.loads((published_folder() / f"{name}.json").read_text())
        arrays: Arrays = load_file(str(published_folder() / f"{name}.safetensors"))
        self.arrays = {key: value.copy() for key, value in arrays.items()}
        self.folder = folder

    def save(self) -> Path:
        """Write the files, with hashes, id, names, accuracies, losses and ledger that fit."""
        document, arrays = self.document, self.arrays
        recipe, track = document["recipe"], document["track"]
        recipe["hash"] = digest(recipe["content"])
        identity = make_id(
            track["name"], recipe["name"], recipe["hash"], document["hardware"]["class"]
        )
        document["id"] = identity
        file = self.folder / f"{identity}.safetensors"
        file.write_bytes(save({key: np.ascontiguousarray(value) for key, value in arrays.items()}))
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        document["predictions"] |= {"file": file.name, "sha256": sha256}
        labels = arrays["labels"].astype(np.int64)
        for row, probabilities in zip(document["seeds"], arrays["probabilities"], strict=True):
            row["accuracy"] = accuracy_of(probabilities, labels)
            row["loss"] = float(losses(probabilities, labels))
        key = json.dumps(track["data_sha256"], sort_keys=True, separators=(",", ":"))
        ledger.note(self.folder, track=track["name"], data_key=key, recipe_hash=recipe["hash"])
        path = self.folder / f"{identity}.json"
        path.write_text(json.dumps(document))
        return path


Forgery = Callable[[Forged], None]


def put(*keys: str | int, value: Any) -> Forgery:
    """A forgery that writes one value of the document."""

    def forge(forged: Forged) -> None:
        node: Any = forged.document
        for key in keys[:-1]:
            node = node[key]
        node[keys[-1]] = value

    return forge


def scale(*keys: str | int, by: float) -> Forgery:
    """A forgery that multiplies one number of the document."""

    def forge(forged: Forged) -> None:
        node: Any = forged.document
        for key in keys[:-1]:
            node = node[key]
        node[keys[-1]] = type(node[keys[-1]])(node[keys[-1]] * by)

    return forge


def option(section: str, key: str, value: Any) -> Forgery:
    """A forgery that writes an option of a component, and the hash that goes with it."""
    return put("recipe", "content", section, "options", key, value=value)


def key(section: str, name: str, value: Any) -> Forgery:
    """A forgery that writes a key of a fixed section, and the hash that goes with it."""

    def forge(forged: Forged) -> None:
        forged.document["recipe"]["content"].setdefault(section, {})[name] = value

    return forge


def drop(*keys: str) -> Forgery:
    """A forgery that leaves out a key of the document."""

    def forge(forged: Forged) -> None:
        node: Any = forged.document
        for each in keys[:-1]:
            node = node[each]
        del node[keys[-1]]

    return forge


def copy_seed(forged: Forged) -> None:
    forged.arrays["probabilities"][3] = forged.arrays["probabilities"][1]


def copy_most_of_a_seed(forged: Forged) -> None:
    """Nine images in ten are copied; the others keep their own predictions."""
    probabilities = forged.arrays["probabilities"]
    copied = np.arange(probabilities.shape[1]) % 10 != 0
    probabilities[3, copied] = probabilities[1, copied]


def steal(forged: Forged) -> None:
    """The predictions of another published recipe."""
    tensors = load_file(str(published_folder() / f"{OTHER}.safetensors"))
    forged.arrays["probabilities"] = tensors["probabilities"].copy()


def steal_one(forged: Forged) -> None:
    """One seed of another published recipe, as another seed, slightly changed."""
    tensors = load_file(str(published_folder() / f"{OTHER}.safetensors"))
    forged.arrays["probabilities"][0] = tensors["probabilities"][4]
    forged.arrays["probabilities"][0, :100] = forged.arrays["probabilities"][1, :100]


def foreign_owner(forged: Forged) -> None:
    part = {"name": "oraclezoo:lenet5", "distribution": "zoo-extras", "version": "1.0"}
    forged.document["components"]["backbone"] = part


def unknown_builtin(forged: Forged) -> None:
    """A plugin that is not installed, and beside it a built-in name that does not exist."""
    named = {"backbone": "zoo-extras:net", "optimizer": "oraclezoo:sgdd"}
    for kind, name in named.items():
        owner = name.partition(":")[0]
        version = "1.0" if owner == "zoo-extras" else forged.document["oraclezoo"]
        part = {"name": name, "distribution": owner, "version": version}
        forged.document["components"][kind] = part
        forged.document["recipe"]["content"][kind]["name"] = name


FORGERIES: dict[str, tuple[str, Forgery, str, str]] = {
    "two equal seeds": (PLAIN, copy_seed, "copies", "seeds 1 and 3 have equal predictions"),
    "two almost equal seeds": (
        *(PLAIN, copy_most_of_a_seed),
        *("copies", "seeds 1 and 3 have equal predictions"),
    ),
    "another row's predictions": (
        *(PLAIN, steal),
        *("copies", f"seed 0 has the predictions of seed 0 of {OTHER}"),
    ),
    "a seed of another row": (
        *(PLAIN, steal_one),
        *("copies", f"seed 0 has the predictions of seed 4 of {OTHER}"),
    ),
    "hardware class": (
        *(PLAIN, put("hardware", "class", value="amd-epyc-64c-64t")),
        *("hardware", "device, cores and threads imply 'amd-epyc-2c-2t'"),
    ),
    "cores": (
        *(PLAIN, put("hardware", "cores", value=64)),
        *("hardware", "device, cores and threads imply 'amd-epyc-64c-2t'"),
    ),
    "processor": (
        *(PLAIN, put("hardware", "cpu", value="Cray-1")),
        *("hardware", "hardware.device is 'AMD EPYC', but the processor is 'Cray-1'"),
    ),
    "GPU latency without a GPU": (
        *(PLAIN, put("latency", 0, "device", value="cuda")),
        *("hardware", "latency[0]: measured on cuda, but the hardware is AMD EPYC"),
    ),
    "latency with more threads": (
        *(PLAIN, put("latency", 1, "threads", value=128)),
        *("hardware", "latency[1]: 128 threads, but the hardware has 2"),
    ),
    "fewer parameters": (
        *(PLAIN, put("model", "parameters", value=43_108)),
        *("sizes", "model.parameters is 43108; the recipe gives 431080"),
    ),
    "fewer multiply-accumulates": (
        *(PLAIN, put("model", "macs", value=229_300)),
        *("sizes", "model.macs is 229300; the recipe gives 2293000"),
    ),
    "smaller file": (
        *(PLAIN, put("model", "size_bytes", value=431_080)),
        *("sizes", "model.size_bytes is 431080; the recipe gives 1724320"),
    ),
    "smaller int8 file": (
        *(INT8, put("model", "size_bytes", value=10_000)),
        *("sizes", "model.size_bytes is 10000; int8 of 75284 parameters gives"),
    ),
    "int8 that prunes": (
        *(INT8, put("model", "parameters", value=60_000)),
        *("sizes", "model.parameters is 60000; the recipe gives 75284"),
    ),
    "pruned net with more operations": (
        *(PRUNED, put("model", "macs", value=25_000_000)),
        *("sizes", "model.macs is 25000000; prune50+int8 keeps 50% of 26005280"),
    ),
    "pruned net with too few operations": (
        *(PRUNED, scale("model", "macs", by=0.1)),
        *("sizes", "; prune50+int8 keeps 50% of 26005280"),
    ),
    "pruned net with too few parameters": (
        *(PRUNED, scale("model", "parameters", by=0.1)),
        *("sizes", "; prune50+int8 of 75284 leaves more than 4705 and not all"),
    ),
    "memory below the weights": (
        *(PLAIN, put("seeds", 0, "peak_memory_bytes", value=1_000_000)),
        *("sizes", "seed 0: 1000000 bytes do not hold the weights and their gradients"),
    ),
    "memory above the machine's": (
        *(PLAIN, put("seeds", 0, "peak_memory_bytes", value=10**12)),
        *("sizes", "seed 0: 1000000000000 bytes of memory on a machine with 25276510208"),
    ),
    "training time": (
        *(PLAIN, put("seeds", 2, "train_s", value=0.01)),
        *("times", "seed 2: train_s is 0.01;"),
    ),
    "compilation time": (
        *(PLAIN, put("seeds", 2, "compile_s", value=1e6)),
        *("times", "seed 2: compile_s is larger than train_s"),
    ),
    "latency": (
        *(PLAIN, scale("latency", 1, "p50_ms", by=0.01)),
        *("times", "latency[1]: p50_ms is"),
    ),
    "calibration": (
        *(PLAIN, put("hardware", "calibration_s", value=1e-4)),
        *("times", "hardware.calibration_s is 0.0001; its arithmetic takes"),
    ),
    "null option": (
        *(PLAIN, option("backbone", "pool", None)),
        *("hash", "backbone.pool: not in the canonical recipe, 8ccef09c650f: a second hash"),
    ),
    "null instead of a default": (
        *(PLAIN, option("optimizer", "momentum", None)),
        *("recipe", "optimizer.momentum is None"),
    ),
    "dropped default": (
        *(PLAIN, drop("recipe", "content", "train", "clip_norm")),
        *("hash", "train.clip_norm: missing from the recipe 8ccef09c650f: a second hash"),
    ),
    "stated later default": (
        *(PLAIN, key("augment", "interpolation", "bilinear")),
        *(
            "hash",
            "augment.interpolation: not in the canonical recipe, 8ccef09c650f: a second hash",
        ),
    ),
    "integer for a float": (
        *(PLAIN, option("optimizer", "weight_decay", 0)),
        *("hash", "numbers are written differently in the recipe 8ccef09c650f: a second hash"),
    ),
    "negative zero": (
        *(PLAIN, option("optimizer", "weight_decay", -0.0)),
        *("hash", "optimizer.weight_decay is -0.0, a second hash of one recipe"),
    ),
    "option without effect": (
        *(PLAIN, key("augment", "elastic_grid", 5)),
        *("hash", "augment.elastic_grid has no effect without augment.elastic"),
    ),
    "owner of a built-in name": (
        *(PLAIN, foreign_owner),
        *("components", "oraclezoo:lenet5 is a component of oraclezoo, not of zoo-extras"),
    ),
    "unknown built-in beside a missing plugin": (
        *(PLAIN, unknown_builtin),
        *("recipe", "unknown optimizer 'oraclezoo:sgdd'"),
    ),
    "created before oraclezoo": (
        *(PLAIN, put("created", value="2019-05-01T12:00:00Z")),
        *("versions", "created: 2019-05-01T12:00:00Z is before oraclezoo's first commit"),
    ),
    "oraclezoo of the future": (
        *(PLAIN, put("oraclezoo", value="99.1.0")),
        *("versions", "oraclezoo: 99.1.0 is newer than this version"),
    ),
    "no version of oraclezoo": (
        *(PLAIN, put("oraclezoo", value="the newest")),
        *("versions", "oraclezoo: there is no version 'the newest'"),
    ),
    "component of another version": (
        *(PLAIN, put("components", "backbone", "version", value="0.0.7")),
        *("versions", "components.backbone: oraclezoo 0.0.7, but another field has version 0.1.0"),
    ),
    "old Python": (
        *(PLAIN, put("libraries", "python", value="2.7.18")),
        *("versions", "libraries.python: '2.7.18' cannot run oraclezoo, which needs 3.11"),
    ),
    "torch of the future": (
        *(PLAIN, put("libraries", "torch", value="99.0")),
        *("versions", "libraries.torch: there is no version '99.0'"),
    ),
    "no version of NumPy": (
        *(PLAIN, put("libraries", "numpy", value="latest")),
        *("versions", "libraries.numpy: 'latest' cannot run oraclezoo"),
    ),
    "validation accuracy": (
        *(PLAIN, put("seeds", 0, "validation_accuracy", value=0.9512345)),
        *("counts", "seed 0: validation accuracy 0.9512345 is not a whole number of 200 images"),
    ),
    "corrupted accuracy": (
        *(PLAIN, put("robustness", "corruptions", 0, "accuracy", 0, 0, value=0.9512345)),
        *("counts", "is not a whole number of 1000 images"),
    ),
    "corruptions left out": (
        *(PLAIN, lambda forged: forged.document["robustness"]["corruptions"].pop()),
        *("counts", "robustness: version 1 has the corruptions grain, "),
    ),
    "command": (
        *(PLAIN, put("command", value="oraclezoo list backbones")),
        *("provenance", "command: "),
    ),
    "overflow": (
        *(PLAIN, option("optimizer", "lr", 10**400)),
        *("schema", "recipe.content.optimizer.options.lr has more than 1001 bits"),
    ),
}


@pytest.fixture(scope="module")
def registry() -> Registry:
    return build_registry()


@pytest.mark.parametrize("name", [PLAIN, INT8, PRUNED])
def test_an_honest_copy_passes(name: str, registry: Registry, tmp_path: Path) -> None:
    """What the forgeries start from keeps every tick."""
    checked = check(Forged(tmp_path / "results", name).save(), registry)
    assert [finding for finding in checked.findings if not finding.ok] == []


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_is_refused_for_its_reason(name: str, registry: Registry, tmp_path: Path) -> None:
    """Hash, id, file names, accuracies, losses and ledger are made to fit each forgery."""
    original, forge, rules, reason = FORGERIES[name]
    forged = Forged(tmp_path / "results", original)
    forge(forged)
    refused = check(forged.save(), registry).refused
    texts = [finding.text for finding in refused if finding.rule in rules.split("|")]
    assert any(reason in text for text in texts), refused


def test_a_missing_plugin_gets_a_dash_that_names_it(registry: Registry, tmp_path: Path) -> None:
    """Neither a tick nor a refusal: the recipe cannot be read here."""
    forged = Forged(tmp_path / "results", PLAIN)
    part = {"name": "zoo-extras:net", "distribution": "zoo-extras", "version": "1.4"}
    forged.document["components"]["backbone"] = part
    forged.document["recipe"]["content"]["backbone"] = {"name": "zoo-extras:net", "options": {}}
    code = {"version": "1.4", "sha256": "0123456789abcdef" * 4, "source": "index"}
    forged.document["plugins"] = {"zoo-extras": code}
    probabilities = forged.arrays["probabilities"].astype(np.float32)
    forged.arrays["probabilities"] = (0.9 * probabilities + 0.01).astype(np.float16)
    checked = check(forged.save(), registry)
    assert checked.refused == ()
    dashes = {f.rule: f.text for f in checked.findings if f.ok is None}
    assert dashes.keys() == {"recipe", "hash", "sizes"}
    assert all("zoo-extras==1.4 not installed" in text for text in dashes.values())


@pytest.mark.parametrize("unsure", [0, 1, 40], ids=lambda count: f"{count} unsure")
def test_perfect_seeds_may_be_equal(registry: Registry, tmp_path: Path, unsure: int) -> None:
    """Seeds that are sure of all images are equal by right; one image in doubt shows a copy."""
    forged = Forged(tmp_path / "results", PLAIN)
    labels = forged.arrays["labels"].astype(np.int64)
    perfect = np.eye(10, dtype=np.float16)[labels]
    perfect[:unsure] = (0.9 * perfect[:unsure] + 0.01).astype(np.float16)
    forged.arrays["probabilities"][:] = perfect
    findings = [one for one in check(forged.save(), registry).findings if one.rule == "copies"]
    if unsure:
        assert "seeds 0 and 1 have equal predictions" in [one.text for one in findings]
        assert all(one.ok is False for one in findings)
    else:
        (finding,) = findings
        assert finding.ok is None
        assert finding.text.startswith("5 seeds predict each image with a probability that rounds")


def test_in_a_folder_the_later_of_two_equal_results_is_refused(
    registry: Registry, tmp_path: Path
) -> None:
    """The one that was there first keeps its ticks."""
    for name in (OTHER, PLAIN):
        forged = Forged(tmp_path / name, name)
        if name == PLAIN:
            steal(forged)
            forged.document["created"] = "2026-11-29T00:00:00Z"
        path = forged.save()
        shutil.copytree(path.parent, tmp_path / "all", dirs_exist_ok=True)
    (tmp_path / "all" / ledger.FILE).write_text(
        "".join((tmp_path / name / ledger.FILE).read_text() for name in (OTHER, PLAIN))
    )
    checked = check_all([tmp_path / "all"], registry)
    assert [one.path.stem for one in checked if one.refused] == [PLAIN]


def test_every_file_gets_a_verdict(registry: Registry, tmp_path: Path) -> None:
    """A folder with a file that overflows, a broken one, a named pipe and a folder."""
    path = Forged(tmp_path / "results", PLAIN).save()
    text = path.read_text()
    (path.parent / "huge.json").write_text(text.replace('"lr": 0.1', f'"lr": {10**400}'))
    (path.parent / "digits.json").write_text(text.replace('"lr": 0.1', f'"lr": 1{"0" * 6000}'))
    (path.parent / "deep.json").write_text("[" * 100_000)
    (path.parent / "list.json").write_text("[]")
    (path.parent / "null.json").write_text("null")
    (path.parent / "folder.json").mkdir()
    os.mkfifo(path.parent / "pipe.json")
    done = CliRunner().invoke(cli, ["submit", "--check", str(path.parent)])
    assert done.exit_code == 3
    verdicts = [line for line in done.stdout.splitlines() if line.endswith((": ok", ": refused"))]
    assert [Path(line.split(": ")[0]).name for line in verdicts if line.endswith("ok")] == [
        path.name
    ]
    assert len(verdicts) == 6


def test_predictions_in_a_named_pipe_are_refused(registry: Registry, tmp_path: Path) -> None:
    """Reading one would wait for ever."""
    path = Forged(tmp_path / "results", PLAIN).save()
    path.with_suffix(".safetensors").unlink()
    os.mkfifo(path.with_suffix(".safetensors"))
    refused = check(path, registry).refused
    assert any("not a regular file" in finding.text for finding in refused)


HOSTILE: tuple[Any, ...] = (
    *(None, True, -1, 0, 2**53 - 1, 10**400, -(10**400), 1e308, -0.0, 1e-320),
    *("", "x" * 400, "a\u2028b", "../../etc/passwd", "oraclezoo:", ":", [], {}, [[]], [1]),
    *({"name": None}, {"options": 3}, "2026-99-99T00:00:00Z"),
)


def leaves(node: Any, where: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the paths of all values of a document, containers included."""
    items = (
        node.items()
        if isinstance(node, dict)
        else enumerate(node)
        if isinstance(node, list)
        else ()
    )
    actual = [where] if where else []
    for name, value in items:
        actual += leaves(value, (*where, name))
    return actual


@pytest.mark.parametrize("block", range(4))
def test_no_value_breaks_a_check(block: int, registry: Registry, tmp_path: Path) -> None:
    """Seeded mutations of single values, with the recipe's hash made to fit."""
    original = Forged(tmp_path / "results", INT8)
    path = original.save()
    document = json.loads(path.read_text())
    document["latency"], document["seeds"] = document["latency"][:1], document["seeds"]
    random_ = random.Random(block)
    places = leaves(document)
    for _ in range(60):
        changed = copy.deepcopy(document)
        where = random_.choice(places)
        put(*where, value=random_.choice(HOSTILE))(_holder(changed))
        content = changed.get("recipe")
        if isinstance(content, dict) and random_.random() < 0.9:
            content["hash"] = digest(content.get("content"))
        path.write_text(json.dumps(changed))
        checked = check(path, registry)
        assert isinstance(checked, Checked)
        assert checked.findings
        unforeseen = [f.text for f in checked.findings if "cannot be evaluated" in f.text]
        assert unforeseen == [], where


def _holder(document: Document) -> Forged:
    holder = object.__new__(Forged)
    holder.document = document
    return holder


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("2.14.1", (2, 14, 1)),
        ("2.14.1+cu130", (2, 14, 1)),
        ("3.15.0rc1", (3, 15, 0)),
        ("0.2.0.dev3", (0, 2, 0)),
        ("", None),
        ("v1", None),
        ("1..2", None),
        ("newest", None),
    ],
)
def test_versions_are_read(text: str, numbers: tuple[int, ...] | None) -> None:
    """As PEP 440 writes them; other text is no version."""
    assert release(text) == numbers
