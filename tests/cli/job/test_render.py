"""``oraclezoo job render``: checks before anything is printed, output, and cheap imports."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from helpers.commands import oraclezoo

KUBERNETES = ("job", "render", "kubernetes")
PLAIN = ("--image", "image:1", "--output", "pvc://results")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tinny", *PLAIN), "did you mean 'tiny'"),
        (("--suite", "backbone", *PLAIN), "did you mean 'backbones'"),
        (("tiny", "-s", "optimizer.lrr=1", *PLAIN), "did you mean 'lr'"),
        (("tiny", "-s", "optimizer.name=muonn", *PLAIN), "did you mean 'muon'"),
        (("tiny", "--track", "glyph", *PLAIN), "did you mean 'glyphs'"),
        (("tiny", *PLAIN, "--", "--sedes", "3"), "No such option '--sedes'"),
        (("tiny", *PLAIN, "--", "--seeds", "0"), "--seeds"),
        (("tiny", *PLAIN, "--", "--out", "elsewhere"), "out would override"),
        (("tiny", *PLAIN, "--", "default"), "recipes would override"),
        (("tiny", "--train", *PLAIN, "--", "--seeds", "3"), "No such option '--seeds'"),
        (("tiny", "default", "--train", *PLAIN), "exactly one recipe"),
        (PLAIN, "name a recipe"),
        (("tiny", "--image", "i:1"), "Missing option '--output'"),
        (("tiny", "--image", "i:1", "--output", "s3://bucket/a"), "mounts pvc://"),
        (("tiny", *PLAIN, "--data", "images"), "mounts pvc://"),
        (("tiny", *PLAIN, "--time-limit", "soon"), "90m, 4h or 2d"),
        (("tiny", *PLAIN, "--memory", "8GB"), "8Gi or 512Mi"),
        (("tiny", *PLAIN, "--env", "HF_TOKEN=x"), "--secret VARIABLE=SECRET:KEY"),
        (("tiny", *PLAIN, "--", "--tracker-option", "wandb.api_key=x"), "looks like a secret"),
        (("tiny", *PLAIN, "--results", "nowhere"), "no such folder"),
        (("missing.toml", *PLAIN), "no such file"),
    ],
)
def test_mistakes_are_found_before_anything_is_printed(
    here: Path, arguments: tuple[str, ...], message: str
) -> None:
    """Exit status 2, one or two lines, nothing on stdout, and no file."""
    done = oraclezoo(*KUBERNETES, "--out", "job.yaml", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) <= 2
    assert done.stdout == ""
    assert not list(here.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("vertex", "--gpu", "NVIDIA_L5"), "did you mean 'NVIDIA_L4'"),
        (("vertex", "--gpu", "NVIDIA_H100_80GB"), "requires --machine-type"),
        (("vertex", "--time-limit", "8d"), "at most 7d"),
        (("vertex", "--data", "nfs://10.0.0.2/a"), "requires --network"),
        (("vertex", "--env", "HF_TOKEN=x"), "Secret Manager"),
        (("cloudrun", "--time-limit", "8d"), "at most 168h"),
        (("cloudrun", "--gpu", "nvidia-l4", "--time-limit", "13h"), "at most 12h with a GPU"),
        (("cloudrun", "--secret", "A=b c"), "never its value"),
    ],
)
def test_limits_of_a_platform(arguments: tuple[str, ...], message: str) -> None:
    """They are errors here, not after the submission."""
    platform, *more = arguments
    shared = ("tiny", "--image", "image:1", "--output", "gs://bucket/a")
    done = oraclezoo("job", "render", platform, *shared, *more)
    assert done.exit_code == 2
    assert message in done.stderr


def test_a_file_is_written_and_the_estimate_shown(here: Path) -> None:
    """The path stands in the command that submits it, quoted."""
    done = oraclezoo(
        *KUBERNETES, "tiny", "--track", "oracle-mnist-3k", *PLAIN, "--out", "a b/job.yaml"
    )
    assert (done.exit_code, done.stdout) == (0, "")
    assert "Estimated training time" in done.stderr
    assert "kubectl apply -f 'a b/job.yaml'" in done.stderr
    assert yaml.safe_load((here / "a b" / "job.yaml").read_text())["kind"] == "Job"


def test_an_own_recipe_travels_without_its_file(here: Path) -> None:
    """As overrides in the command."""
    (here / "mine.toml").write_text(
        '[backbone]\nname = "lenet5"\n[optimizer]\nname = "adamw"\n[scheduler]\nname = "cosine"\n'
    )
    done = oraclezoo(*KUBERNETES, "mine.toml", *PLAIN)
    assert done.exit_code == 0, done.output
    (container,) = yaml.safe_load(done.stdout)["spec"]["template"]["spec"]["containers"]
    assert "mine.toml" not in done.stdout
    assert 'name="mine"' in container["command"]


def test_an_image_may_be_tagged_by_its_commit(here: Path) -> None:
    """Such a tag has the form of a key, and is common."""
    image = "registry.example:5000/oraclezoo:" + "0123456789abcdef" * 2 + "01234567"
    done = oraclezoo(*KUBERNETES, "tiny", "--image", image, "--output", "pvc://results")
    assert done.exit_code == 0, done.output
    assert f"image: {image}\n" in done.stdout


def test_plugins_that_the_image_needs_are_named(site: Any, here: Path) -> None:
    """With their versions; those of other recipes are not."""
    site.offer("zoo-a", "net-a")
    site.offer("zoo-b", "net-b")
    words = (*KUBERNETES, "tiny", "-s", "backbone.name=zoo-a:net-a", *PLAIN)
    done = oraclezoo(*words)
    assert done.exit_code == 0, done.output
    (line,) = re.findall(r"# The image must have (.*)\.\n", done.stdout)
    assert re.fullmatch(r"oraclezoo [\d.]+, zoo-a [\d.]+", line)


def test_a_chosen_device_is_kept(here: Path) -> None:
    """A GPU otherwise makes the job fail rather than fall back to the CPU."""
    for tail, device in (((), "cuda"), (("--", "--device", "cuda:0"), "cuda:0")):
        done = oraclezoo(*KUBERNETES, "tiny", "--gpu", *PLAIN, "--json", *tail)
        command = json.loads(done.stdout)["data"]["command"]
        assert command.count("--device") == 1
        assert f"--device {device}" in command


def test_rendering_imports_no_torch() -> None:
    """Nor timm or onnx: it reads recipes and results."""
    code = (
        "import sys; from oraclezoo.cli import cli; "
        "cli.main(sys.argv[1:], standalone_mode=False); "
        "print(sorted({'torch', 'timm', 'onnx', 'onnxruntime'} & set(sys.modules)), "
        "file=sys.stderr)"
    )
    words = [*KUBERNETES, "tiny", "--track", "oracle-mnist-3k", *PLAIN]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=300
    )
    assert (done.returncode, done.stderr.strip()) == (0, "[]")
    assert "Estimated training time" in done.stdout
