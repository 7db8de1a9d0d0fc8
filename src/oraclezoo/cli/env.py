"""``oraclezoo env``: describe the environment for bug reports without importing libraries."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import Any

import click

from oraclezoo._version import __version__
from oraclezoo.cli._shared.app import emit_json, json_option, print_table
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
        "packages": _packages(),
        "environment": {k: v for k, v in sorted(os.environ.items()) if k.startswith("ORACLEZOO_")},
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
