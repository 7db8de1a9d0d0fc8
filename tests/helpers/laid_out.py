"""Lays a package out as pip would install it, without pip: for machines without a network."""

from __future__ import annotations

import os
import shutil
import tomllib
from pathlib import Path


def lay_out(project: Path, site: Path) -> dict[str, str]:
    """Put a project with a ``src`` folder into ``site``; the environment that has it installed."""
    about = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    shutil.copytree(project / "src", site, dirs_exist_ok=True)
    name, version = about["name"], about["version"]
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    points = "".join(
        f"{key} = {value}\n" for key, value in about["entry-points"]["oraclezoo"].items()
    )
    (info / "entry_points.txt").write_text(f"[oraclezoo]\n{points}")
    return {**os.environ, "PYTHONPATH": str(site)}
