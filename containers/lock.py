"""Lock the dependencies of the container images: exact versions, and SHA-256 hashes of their files.

``nox -s lock`` runs this script. It writes one list for each use:

- ``build.txt``: the tools that build the package and list the content of an image.
- ``serve.txt``: what ``oraclezoo serve`` and ``oraclezoo predict`` import, and no more.
- ``train.txt`` and ``dev.txt``: all dependencies, without PyTorch.
- ``torch-cuda.txt`` and ``torch-cpu.txt``: PyTorch, with and without CUDA.

A package has the same version in all lists. PyTorch's builds without CUDA come from an index of its
own; if that cannot be reached, ``torch-cpu.txt`` has versions but no hashes.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent / "pyproject.toml"
PYTHON, PLATFORM = "3.11", "x86_64-manylinux_2_28"
"""Python of the base image, and the oldest system that the images' wheels support."""

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
TRAIN_EXTRAS = ("plots", "remote", "sweep", "trackers")
DEV_EXTRAS = ("dev", "docs")
DEV_TOOLS = ("editables", "hatchling", "nox", "pip")
SERVED = frozenset(
    {
        *("click", "filelock", "numpy", "onnxruntime", "pillow", "platformdirs", "pluggy"),
        *("requests", "rich", "urllib3"),
    }
)
"""Dependencies that classifying pictures needs, beside the extra ``serve``."""

NOT_SERVED = frozenset({"httpx"})
"""Packages of the extra ``serve`` that only clients need."""

TOOLS = ("cyclonedx-bom",)
_WITH_TORCH = re.compile(r"torch|torchvision|triton|(nvidia|cuda)-.+")
_HEADER = "# Written by `nox -s lock`; do not edit.\n"


def served(project: dict[str, list[str]]) -> list[str]:
    """Return the requirements of the ``serve`` image, with the bounds of ``pyproject.toml``."""
    core = [line for line in project["dependencies"] if _name(line) in SERVED]
    extra = project["optional-dependencies"]["serve"]
    return [*core, *(line for line in extra if _name(line) not in NOT_SERVED)]


def split(lock: str) -> tuple[str, str]:
    """Split a lock into PyTorch with the libraries of CUDA, and everything else."""
    entries = re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE)
    torch = [entry for entry in entries if _WITH_TORCH.fullmatch(_name(entry))]
    return "".join(torch), "".join(entry for entry in entries if entry not in torch)


def compiled(uv: Sequence[str], *words: str, requirements: Iterable[str] = ()) -> str:
    """Return a lock, resolved by uv to the newest versions.

    Args:
        uv: The command that runs uv.
        words: Further arguments of ``uv pip compile``.
        requirements: Requirements on standard input.

    Raises:
        subprocess.CalledProcessError: If there is no solution, or no connection.
    """
    command = [*uv, "pip", "compile", "--quiet", "--no-header", "--no-annotate"]
    command += ["--no-emit-index-url", "--no-emit-find-links", "--generate-hashes"]
    command += ["--python-version", PYTHON, "--python-platform", PLATFORM, *words]
    lines = "\n".join(requirements)
    return subprocess.run(command, check=True, stdout=-1, text=True, input=lines).stdout


def cpu(uv: Sequence[str], versions: Sequence[str]) -> str:
    """Return the lock of PyTorch without CUDA; without hashes if its index cannot be reached."""
    wanted = [f"{version}+cpu" for version in versions]
    try:
        return compiled(uv, "--no-deps", "--index-url", CPU_INDEX, "-", requirements=wanted)
    except subprocess.CalledProcessError:
        sys.stderr.write("torch-cpu.txt has no hashes: PyTorch's index cannot be reached\n")
        return "".join(f"{line}\n" for line in wanted)


def locks(uv: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the name and content of each list."""
    document = tomllib.loads(PROJECT.read_text(encoding="utf-8"))
    extras = [word for extra in DEV_EXTRAS for word in ("--extra", extra)]
    tools = [*document["build-system"]["requires"], *TOOLS]
    everything = compiled(uv, *extras, str(PROJECT), "-", requirements=DEV_TOOLS)
    torch, dev = split(everything)
    yield "dev.txt", dev
    yield "torch-cuda.txt", torch
    pins = re.findall(r"^(?:torch|torchvision)==[^\s+]+", torch, flags=re.MULTILINE)
    yield "torch-cpu.txt", cpu(uv, pins)
    same = HERE / "same.txt.tmp"
    same.write_text("".join(f"{pin}\n" for pin in _pins(everything)), encoding="utf-8")
    try:
        extras = [word for extra in TRAIN_EXTRAS for word in ("--extra", extra)]
        train = compiled(uv, *extras, "--constraint", str(same), str(PROJECT))
        yield "train.txt", split(train)[1]
        alone = ("--constraint", str(same), "-")
        yield "serve.txt", compiled(uv, *alone, requirements=served(document["project"]))
        yield "build.txt", compiled(uv, *alone, requirements=tools)
    finally:
        same.unlink()


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the lists; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, add_help=True)
    parser.add_argument("--out", type=Path, default=HERE, help="Folder of the lists.")
    out: Path = parser.parse_args(arguments).out
    try:
        made = dict(locks((sys.executable, "-m", "uv")))
    except subprocess.CalledProcessError as error:
        return int(error.returncode)
    for name, content in made.items():
        (out / name).write_text(_HEADER + content, encoding="utf-8")
    return 0


def _name(requirement: str) -> str:
    """Return the normalized name of a requirement, or "" for text without one."""
    match = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", requirement)
    return re.sub(r"[-_.]+", "-", match[0]).lower() if match else ""


def _pins(lock: str) -> list[str]:
    return re.findall(r"^[A-Za-z0-9][^\s;\\]+==[^\s;\\]+", lock, flags=re.MULTILINE)


if __name__ == "__main__":
    sys.exit(main())
