"""``oraclezoo env``: describe the environment for bug reports without importing libraries."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import Any

import click

from oraclezoo._version import __version__
from oraclezoo.cli._shared.app import emit_json, json_option, next_step, print_table
from oraclezoo.cli._shared.examples import example


@click.command("env", epilog=example("oraclezoo env --json"))
@click.option("--licenses", is_flag=True, help="List dependencies with their licenses instead.")
@json_option
def command(licenses: bool, as_json: bool) -> None:
    """Show versions, hardware and settings."""
    if licenses:
        _show_licenses(as_json)
        return
    environment = describe()
    if as_json:
        emit_json("oraclezoo/env/1", environment)
        return
    for name, value in environment.items():
        if isinstance(value, dict):
            click.echo(click.style(name, bold=True) + ("" if value else ": none"))
            for key, text in value.items():
                click.echo(f"  {key}: {'not installed' if text is None else text}")
        else:
            click.echo(f"{click.style(name, bold=True)}: {'unknown' if value is None else value}")
    next_step("plugins", "doctor")


def _show_licenses(as_json: bool) -> None:
    from dataclasses import asdict
    from importlib.metadata import PackageNotFoundError

    from oraclezoo.cli._shared.licenses import licenses
    from oraclezoo.errors import OracleZooError

    try:
        rows = licenses()
    except PackageNotFoundError as error:  # run from a checkout that is not installed
        raise OracleZooError(
            "oraclezoo is not installed, so its dependencies are unknown; run 'pip install .'"
        ) from error
    if as_json:
        emit_json("oraclezoo/licenses/1", [asdict(row) for row in rows])
        return
    texts = [
        (
            row.name,
            row.version or "not installed",
            ", ".join(row.needed_by),
            row.license or ("not stated" if row.version else ""),
        )
        for row in rows
    ]
    print_table(("PACKAGE", "VERSION", "NEEDED BY", "LICENSE"), texts)


def describe() -> dict[str, Any]:
    """Return the environment as JSON data; None marks a missing package or value."""
    from oraclezoo.data.locate import user_cache

    cache = user_cache()
    return {
        "oraclezoo": __version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": _cores(),
        "memory_bytes": _memory_bytes(),
        "cache_folder": None if cache is None else str(cache),
        "devices": _devices(),
        "plugins": _plugins(),
        "packages": _packages(),
        "environment": {k: v for k, v in sorted(os.environ.items()) if k.startswith("ORACLEZOO_")},
    }


_PROBE = """
import json, os
import numpy, torch
blas = numpy.show_config(mode="dicts")["Build Dependencies"]["blas"]
built_for = torch.version.cuda or torch.version.hip
gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
of_torch = torch.__config__.show().partition("BLAS_INFO=")[2].partition(",")[0] or "unknown"
print(json.dumps({
    "cuda": f"torch built for {built_for}, " + (", ".join(gpus) or "no device")
        if built_for else "torch built without CUDA",
    "mps": "available" if torch.backends.mps.is_available() else "not available",
    "threads": f"{torch.get_num_threads()} in torch; OMP_NUM_THREADS: "
        + os.environ.get("OMP_NUM_THREADS", "not set"),
    "blas": f"{blas.get('name')} {blas.get('version')} in numpy; {of_torch} in torch",
}))
"""
"""Code that reports devices and libraries of a process that imports torch."""

_PROBE_S = 120


def _devices() -> dict[str, str]:
    """Return CUDA, MPS, threads and BLAS, found by another process, or the reason of a failure.

    A broken installation of torch, the reason for many bug reports, does not break this command.
    """
    import json
    import subprocess
    import sys

    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROBE],
            capture_output=True,
            text=True,
            timeout=_PROBE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"torch": f"no answer within {_PROBE_S} s"}
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        return {"torch": f"cannot be imported: {lines[-1]}"}
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


def _plugins() -> dict[str, str]:
    """Return version and status of each plugin besides the built-in one."""
    from oraclezoo.cli._shared.app import stdout_to_stderr
    from oraclezoo.plugins.registry import build_registry

    with stdout_to_stderr():
        plugins = build_registry().plugins
    return {
        f"{plugin.distribution} ({plugin.entry_point})": f"{plugin.version}, {plugin.status}"
        for plugin in plugins
        if plugin.distribution != "oraclezoo"
    }


def _packages() -> dict[str, str | None]:
    """Return the versions of oraclezoo's dependencies and of torchvision, which timm requires."""
    from importlib import metadata

    names = {"torchvision"}
    try:
        for line in metadata.requires("oraclezoo") or ():
            if "extra ==" not in line:
                names |= set(re.findall(r"^[\w.-]+", line))
    except metadata.PackageNotFoundError:  # run from a checkout that is not installed
        names |= {"torch", "timm", "onnx", "onnxruntime"}
    versions: dict[str, str | None] = {}
    for name in sorted(names):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    return versions


def _cores() -> int | None:
    """Return the number of logical cores available to this process."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows have no affinity
        return os.cpu_count()


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None


def _processor() -> str | None:
    """Return the processor's model name, if the system reports it."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
            match = re.search(r"^model name\s*:\s*(.+)$", file.read(), re.MULTILINE)
    except OSError:
        match = None
    return match[1].strip() if match else platform.processor() or None
