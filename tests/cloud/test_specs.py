"""Rendered specs: their text, and that each field exists in the platform's published API."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from helpers.commands import oraclezoo
from oraclezoo._version import __version__
from oraclezoo.cli.bench import command as bench
from oraclezoo.cli.train import command as train
from oraclezoo.ranking import load

HERE = Path(__file__).parent
RESULT = "oracle-mnist-3k-default-30b5cc180930-amd-epyc-2c-1t"
IMAGE = "registry.example/oraclezoo:0.2.0"

JOBS = {
    "kubernetes": (
        *("kubernetes", "default", "--track", "oracle-mnist-3k", "--data", "pvc://images/oracle"),
        *("--output", "pvc://results", "--price-per-hour", "1.20", "--", "--seeds", "3"),
    ),
    "kubernetes-gpu": (
        *("kubernetes", "--suite", "quick", "-s", "optimizer.lr=0.1", "--gpu", "--cpus", "8"),
        *("--data", "gs://my-images", "--output", "gs://my-results/a/b", "--namespace", "research"),
        *("--node-selector", "cloud.google.com/gke-accelerator=nvidia-l4"),
        *("--service-account", "trainer", "--image-pull-secret", "registry"),
        *("--secret", "WANDB_API_KEY=wandb:key", "--env", "WANDB_PROJECT=oracle", "--retries", "0"),
        *("--", "--tracker", "wandb", "--compress", "prune50+int8"),
    ),
    "kubernetes-s3": (
        *("kubernetes", "tiny", "--train", "--track", "oracle-mnist-3k"),
        *("--data", "s3://my-images/oracle", "--output", "nfs://files.example/exports/oracle"),
        *("--secret", "AWS_ACCESS_KEY_ID=aws:id", "--name", "tiny", "--", "--seed", "7"),
    ),
    "vertex": (
        *("vertex", "default", "--track", "oracle-mnist-3k", "--data", "gs://my-images/oracle"),
        *("--output", "gs://my-results/oracle", "--gpu", "NVIDIA_L4", "--spot"),
        *("--service-account", "trainer@project.iam.gserviceaccount.com"),
    ),
    "vertex-nfs": (
        *("vertex", "default", "--data", "nfs://10.0.0.2/images", "--no-retries"),
        *("--output", "nfs://10.0.0.2/results", "--network", "projects/1/global/networks/vpc"),
        *("--env", "WANDB_MODE=offline", "--time-limit", "90m"),
    ),
    "vertex-train": (
        *("vertex", "default", "--train", "--track", "glyphs-3k", "-s", "summary='two words'"),
        *("--output", "gs://my-results/oracle"),
    ),
    "cloudrun": (
        *("cloudrun", "default", "tiny", "--track", "oracle-mnist-3k"),
        *("--data", "gs://my-images/oracle", "--output", "gs://my-results/oracle"),
    ),
    "cloudrun-gpu": (
        *("cloudrun", "default", "--output", "gs://my-results", "--gpu", "nvidia-l4"),
        *("--secret", "WANDB_API_KEY=wandb", "--secret", "OTHER=other:3", "--time-limit", "2h"),
        *("--service-account", "trainer@project.iam.gserviceaccount.com", "--env", "A=b c"),
    ),
}
"""Jobs with golden files; together they use every part that a platform's module can render."""


@pytest.fixture(autouse=True)
def one_published_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Estimates rest on one real result, so that new results leave the golden files alone."""
    published = tmp_path / "oraclezoo" / "_published"
    published.mkdir(parents=True)
    shutil.copy(load.published_folder() / f"{RESULT}.json", published)
    monkeypatch.setattr(load, "PACKAGE", published.parent)


def rendered(*arguments: str) -> str:
    """Return what ``oraclezoo job render`` prints."""
    done = oraclezoo("job", "render", arguments[0], "--image", IMAGE, *arguments[1:])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize("name", JOBS)
def test_a_spec_is_its_golden_file(name: str) -> None:
    """A change of the text is intended; then the golden file changes in the same commit."""
    text = rendered(*JOBS[name]).replace(__version__, "VERSION")
    golden = HERE / "golden" / f"{name}.yaml"
    assert text == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", JOBS)
def test_fields_are_those_of_the_api(name: str) -> None:
    """Names, types, choices and required fields, by the list that names its source."""
    platform = name.partition("-")[0]
    api = json.loads((HERE / "fields" / f"{platform}.json").read_text(encoding="utf-8"))
    assert api["source"]
    assert faults(api, api["root"], yaml.safe_load(rendered(*JOBS[name])), "$") == []


def faults(api: dict[str, Any], kind: Any, value: Any, where: str) -> list[str]:
    """Return where a value differs from a type of the API: a name, a list of one, or choices."""
    if isinstance(kind, list):
        if not isinstance(value, list):
            return [f"{where}: not a list"]
        return [
            f for i, one in enumerate(value) for f in faults(api, kind[0], one, f"{where}[{i}]")
        ]
    if isinstance(kind, dict):
        return [] if value in kind["enum"] else [f"{where}: {value} is none of {kind['enum']}"]
    if kind in api["types"]:
        fields, needed = api["types"][kind], api["required"].get(kind, [])
        found = [f"{where}: {key} is missing" for key in needed if key not in value]
        for key, part in value.items():
            if key not in fields:
                found.append(f"{where}: {kind} has no field {key}")
            else:
                found += faults(api, fields[key], part, f"{where}.{key}")
        return found
    plain = {"string": str, "integer": int, "boolean": bool, "map": dict, "object": dict}[kind]
    fine = isinstance(value, plain) and (plain is not int or not isinstance(value, bool))
    if kind == "map":
        fine = fine and all(isinstance(one, str) for one in value.values())
    return [] if fine else [f"{where}: {value!r} is no {kind}"]


def test_the_check_of_fields_finds_faults() -> None:
    """An unknown field, a wrong type, a missing field and a wrong choice."""
    api = json.loads((HERE / "fields" / "kubernetes.json").read_text(encoding="utf-8"))
    spec = yaml.safe_load(rendered(*JOBS["kubernetes"]))
    pod = spec["spec"]["template"]["spec"]
    pod["restartpolicy"] = pod.pop("restartPolicy")
    spec["spec"]["backoffLimit"] = "3"
    del pod["containers"][0]["name"]
    spec["kind"] = "job"
    found = "\n".join(faults(api, "Job", spec, "$"))
    for text in ("no field restartpolicy", "'3' is no integer", "name is missing", "job is none"):
        assert text in found


@pytest.mark.parametrize("name", JOBS)
def test_the_command_is_one_of_ours(name: str) -> None:
    """The parser of bench or train accepts its words, which the first comment quotes."""
    text = rendered(*JOBS[name])
    comment = re.sub(r"\n#  +", " ", text).splitlines()[0]
    words = shlex.split(comment.partition(" job: ")[2])
    assert words[0] == "oraclezoo"
    parser = {"bench": bench, "train": train}[words[1]]
    parser.make_context(words[1], words[2:])
    flat = json.dumps(yaml.safe_load(text))
    assert all(json.dumps(word)[1:-1] in flat for word in words if "'" not in word)


@pytest.mark.parametrize("name", JOBS)
def test_json_holds_the_same_spec(name: str) -> None:
    """One document, with the command that submits it and the estimate."""
    before, separator, tail = "\0".join(JOBS[name]).partition("\0--\0")
    arguments = [*before.split("\0"), "--json", *(["--", *tail.split("\0")] if separator else [])]
    document = json.loads(rendered(*arguments))
    assert document["schema"] == "oraclezoo/job/1"
    data = document["data"]
    assert data["spec"] == yaml.safe_load(rendered(*JOBS[name]))
    assert "FILE" in data["submit"]
    assert data["estimate"]["seeds"] >= 1


def test_a_name_is_that_of_the_command() -> None:
    """Equal commands have equal names, others do not; a name can be chosen."""

    def name(*more: str) -> str:
        spec = yaml.safe_load(rendered("kubernetes", "tiny", "--output", "pvc://out", *more))
        return str(spec["metadata"]["name"])

    assert name() == name()
    assert name() != name("-s", "optimizer.lr=0.1")
    assert name("--name", "mine") == "mine"
