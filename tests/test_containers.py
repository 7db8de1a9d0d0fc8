"""Container files: locks, targets, ports and permissions. ``nox -s image`` builds and runs."""

from __future__ import annotations

import json
import re
import runpy
import shlex
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import click
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from oraclezoo.cli import cli
from oraclezoo.cloud.job import GROUP
from oraclezoo.watching import dashboard, files

yaml = pytest.importorskip("yaml")
ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "containers"
LOCKS = sorted(FOLDER.glob("*.txt"))
HASHED = [path for path in LOCKS if path.name != "torch-cpu.txt"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONTAINERFILE = (ROOT / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ")
STAGES = {
    re.search(r" AS (\S+)", part)[1]: part  # type: ignore[index]
    for part in re.split(r"^(?=FROM )", CONTAINERFILE, flags=re.MULTILINE)[1:]
}


@pytest.fixture(scope="module")
def lock() -> dict[str, Any]:
    return runpy.run_path(str(FOLDER / "lock.py"))


def pins(path: Path) -> dict[str, str]:
    """Return the versions in a list, without the local part of PyTorch's builds."""
    lines = re.findall(r"^([A-Za-z0-9][^\s=]*)==([^\s;\\+]+)", path.read_text("utf-8"), re.M)
    return {canonicalize_name(name.partition("[")[0]): version for name, version in lines}


def compose() -> dict[str, Any]:
    """Return the services of the compose file."""
    document = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
    services: dict[str, Any] = document["services"]
    return services


@pytest.mark.parametrize("path", HASHED, ids=lambda path: path.stem)
def test_every_package_has_hashes(path: Path) -> None:
    """And nothing else: no index, no folder, no option."""
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# Written by")
    packages = 0
    for line, after in zip(lines[1:], [*lines[2:], ""], strict=True):
        if not line.startswith(" "):
            assert re.fullmatch(r"[\w.-]+(\[[\w,]+\])?==[\w.+!]+( ;.+)? \\", line), line
            assert after.startswith("    --hash=sha256:"), line
            packages += 1
        else:
            assert re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line), line
    assert packages == len(pins(path)) > 5


def test_a_package_has_one_version() -> None:
    """In all images."""
    versions: dict[str, set[str]] = {}
    for path in LOCKS:
        for name, version in pins(path).items():
            versions.setdefault(name, set()).add(version)
    assert {name: each for name, each in versions.items() if len(each) > 1} == {}


@pytest.mark.parametrize(
    ("names", "extras"),
    [(("train", "torch-cuda"), ("plots", "remote", "sweep", "trackers")),
     (("dev", "torch-cuda"), ("dev", "docs", "serve"))],
    ids=["train", "dev"],
)  # fmt: skip
def test_locks_satisfy_the_project(names: tuple[str, ...], extras: tuple[str, ...]) -> None:
    """Each requirement is there, at a version within its bounds; run ``nox -s lock`` if not."""
    locked = {
        name: version for each in names for name, version in pins(FOLDER / f"{each}.txt").items()
    }
    optional = PROJECT["optional-dependencies"]
    wanted = [*PROJECT["dependencies"], *(line for extra in extras for line in optional[extra])]
    for requirement in map(Requirement, wanted):
        if requirement.name != "oraclezoo":
            version = locked[canonicalize_name(requirement.name)]
            assert requirement.specifier.contains(version, prereleases=True), requirement


def test_the_server_has_what_it_imports_and_no_more(lock: dict[str, Any]) -> None:
    """Bounds are those of the project; a dependency that it does not need is left out by name."""
    requirements = [Requirement(line) for line in lock["served"](PROJECT)]
    names = {canonicalize_name(each.name) for each in requirements}
    assert names >= {*lock["SERVED"], "fastapi", "uvicorn"}
    locked = pins(FOLDER / "serve.txt")
    assert all(each.specifier.contains(locked[each.name]) for each in requirements)
    assert not {"torch", "torchvision", "timm", "onnx", "onnxscript", "scipy"} & set(locked)
    assert not [name for name in locked if name.startswith(("nvidia-", "cuda-"))]


def test_pytorch_is_in_lists_of_its_own(lock: dict[str, Any]) -> None:
    """A lock splits into PyTorch with the libraries of CUDA, and the rest."""
    text = "".join(
        f"{name}==1.0 \\\n    --hash=sha256:00\n"
        for name in ("nvidia-cublas", "torch", "torch-pruning", "torchvision", "triton", "numpy")
    )
    torch, rest = lock["split"](text)
    assert re.findall(r"^([\w-]+)==", torch, re.M) == [
        "nvidia-cublas",
        "torch",
        "torchvision",
        "triton",
    ]
    assert re.findall(r"^([\w-]+)==", rest, re.M) == ["torch-pruning", "numpy"]
    assert pins(FOLDER / "torch-cpu.txt").items() <= pins(FOLDER / "torch-cuda.txt").items()
    for name in ("dev", "train"):
        assert not {"torch", "torchvision"} & set(pins(FOLDER / f"{name}.txt"))


def test_the_base_is_pinned() -> None:
    """By digest, in one place; stages build on it, on each other, or on nothing."""
    (base,) = re.findall(r"^ARG BASE=(\S+)$", CONTAINERFILE, re.M)
    assert re.fullmatch(r"\S+:3\.11-slim-bookworm@sha256:[0-9a-f]{64}", base)
    origins = set(re.findall(r"^FROM (\S+)", CONTAINERFILE, re.M))
    assert origins <= {"${BASE}", "scratch", *STAGES}
    assert list(STAGES)[-1] == "serve"
    assert STAGES.keys() >= {"serve", "train", "dev", "sbom"}


def test_images_do_not_run_as_root() -> None:
    """The user is a number, so that a cluster can tell; cloud jobs give its group the volumes."""
    for target in ("serve", "train"):
        assert re.findall(r"^USER (\S+)$", STAGES[target], re.M) == [f"{GROUP}:{GROUP}"]
    assert re.search(r"^USER (?!0)\d+:\d+$", STAGES["dev"], re.M)
    assert f"useradd --uid {GROUP}" in STAGES["runtime"]
    assert "ORT_DISABLE_TELEMETRY=1" in STAGES["runtime"]
    assert "ORT_DISABLE_TELEMETRY=1" in STAGES["dev"]


def test_packages_are_installed_from_locks_alone() -> None:
    """With hashes, without what packages ask for, and without building any."""
    for name, setting in (("PIP_NO_DEPS", "1"), ("PIP_ONLY_BINARY", ":all:")):
        assert f"{name}={setting}" in STAGES["build"]
    lines = re.findall(r"pip[^&\n]+ -r (\S+)", CONTAINERFILE)
    assert set(lines) == {"build.txt", "serve.txt", "train.txt", "dev.txt", "torch.txt"}
    for name in ("build.txt", "serve.txt", "train.txt", "dev.txt"):
        assert re.search(rf"--require-hashes\s+-r {name}", CONTAINERFILE)


def test_what_is_copied_is_in_the_context() -> None:
    """``.dockerignore`` lets in what the build needs, and nothing that it does not."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = {line[1:] for line in lines if line.startswith("!")}
    used = set()
    for line in re.findall(r"^COPY (?!--from)(.+)$", CONTAINERFILE, re.M):
        for source in shlex.split(line)[:-1]:
            for path in {source.replace("${TORCH}", kind) for kind in ("cpu", "cuda")}:
                assert (ROOT / path).exists(), path
                (pattern,) = (each for each in allowed if fnmatch(path, each))
                used.add(pattern)
    assert used == allowed
    assert lines.index("*") < min(lines.index(f"!{pattern}") for pattern in allowed)


def test_commands_of_the_images_exist() -> None:
    """Those of the compose file too, with their options."""
    (words,) = re.findall(r"^CMD (\[.+\])$", STAGES["serve"], re.M)
    services = compose()
    for each in (
        json.loads(words),
        *(services[name]["command"] for name in ("server", "monitoring")),
    ):
        command = cli.get_command(click.Context(cli), each[0])
        assert command is not None
        command.make_context(each[0], [str(word) for word in each[1:]])
    (health,) = re.findall(r"^HEALTHCHECK .+ CMD (\[.+\])$", STAGES["serve"], re.M)
    module = json.loads(health)[-1].replace(".", "/")
    assert (ROOT / "src" / f"{module}.py").is_file()


def test_services_are_reachable_from_this_machine_only() -> None:
    """And run without privileges, on files that they cannot change."""
    for name, service in compose().items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service.get("read_only") or name == "grafana"
        assert "@" in service["image"] or not service["image"].endswith("latest")


def test_prometheus_and_grafana_read_what_the_command_writes() -> None:
    """The folder that ``oraclezoo monitoring`` fills is where both look."""
    services = compose()
    folder = services["monitoring"]["command"][1]
    (volume,) = services["monitoring"]["volumes"]
    assert volume == f"monitoring:{folder}"
    place = "/etc/oraclezoo"
    for name in ("prometheus", "grafana"):
        assert f"monitoring:{place}:ro" in services[name]["volumes"]
        started = services[name]["depends_on"]["monitoring"]["condition"]
        assert started == "service_completed_successfully"
    assert f"--config.file={place}/{files.SCRAPE}" in services["prometheus"]["command"]
    target = services["monitoring"]["command"][-1]
    assert target == "server:8000"
    assert target in files.configuration(target)
    provider = yaml.safe_load((FOLDER / "grafana" / "dashboards" / "oraclezoo.yaml").read_text())
    assert provider["providers"][0]["options"]["path"] == place
    source = yaml.safe_load((FOLDER / "grafana" / "datasources" / "prometheus.yaml").read_text())
    assert source["datasources"][0]["type"] == "prometheus"
    assert json.loads(dashboard.as_json())["templating"]["list"][0]["query"] == "prometheus"
    settings = services["grafana"]["environment"]
    assert settings["GF_ANALYTICS_REPORTING_ENABLED"] == "false"
    home = settings["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{place}/{files.DASHBOARD}"


def test_the_dev_container_takes_a_gpu_if_there_is_one() -> None:
    """It is the image's own target, and installs the checkout."""
    document = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text("utf-8"))
    assert document["build"]["target"] in STAGES
    assert (ROOT / ".devcontainer" / document["build"]["dockerfile"]).resolve().is_file()
    assert document["hostRequirements"] == {"gpu": "optional"}
    assert (
        f"useradd --uid 1000 --create-home --shell /bin/bash {document['remoteUser']}"
        in STAGES["dev"]
    )
    assert {"editables", "hatchling", "nox"} <= set(pins(FOLDER / "dev.txt"))
    assert "--editable ." in document["postCreateCommand"]


def test_published_images_are_targets_with_provenance() -> None:
    """They are pushed by digest, and attested with their contents."""
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "images.yml").read_text("utf-8"))
    job = workflow["jobs"]["build"]
    matrix = job["strategy"]["matrix"]["include"]
    assert {each["target"] for each in matrix} == {"serve", "train"}
    assert {each["torch"] for each in matrix if each["target"] == "train"} == {"cpu", "cuda"}
    steps = job["steps"]
    (push,) = (step["with"] for step in steps if step.get("id") == "push")
    assert "push-by-digest=true" in push["outputs"]
    assert push["provenance"] == "mode=max"
    assert push["sbom"] is True
    used = [step["uses"].partition("@")[0] for step in steps if "uses" in step]
    assert {"actions/attest-build-provenance", "actions/attest-sbom"} <= set(used)
    public = [step for step in steps if step.get("if") != "github.event_name != 'pull_request'"]
    assert not any("attest" in str(step) or "login" in str(step) for step in public)
    (build,) = (step["with"] for step in public if "with" in step)
    assert build["outputs"] == "type=cacheonly"
