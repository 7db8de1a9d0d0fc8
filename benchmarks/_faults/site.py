"""Plugin distributions in a folder on the path, as pip would install them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

LIGHT = """\
from oraclezoo.hookspecs import hookimpl
from oraclezoo.specs import Option, Spec
{before}

@hookimpl
def oraclezoo_{kind}s():
    return [Spec({kind!r}, {name!r}, {target!r}, "A plugin of the fault harness"{extra})]
"""

NET = """\
import os
from torch import nn
{before}

class Net(nn.Module):
    def __init__(self, *, in_chans, num_classes, image_size{parameters}):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(in_chans * image_size**2, {width}), nn.ReLU(),
            nn.Linear({width}, num_classes),
        )
        {build}

    def forward(self, images):
        {forward}
        return self.layers(images){after}
"""


def net(
    *,
    before: str = "",
    parameters: str = "",
    build: str = "pass",
    forward: str = "pass",
    after: str = "",
    width: int = 8,
) -> str:
    """Return the source of a small backbone ``Net`` with inserted code."""
    return NET.format(
        before=before,
        parameters=parameters,
        build=build,
        forward=forward,
        after=after,
        width=width,
    )


def light(
    *,
    before: str = "",
    kind: str = "backbone",
    name: object = "net",
    target: str = "hostile.net:Net",
    extra: str = "",
) -> str:
    """Return the source of an entry point's module with one spec."""
    return LIGHT.format(before=before, kind=kind, name=name, target=target, extra=extra)


def install(
    site: Path,
    *,
    specs: str | None = None,
    code: str | None = None,
    distribution: str = "hostile",
    version: str = "1.0",
    editable: bool = False,
) -> Path:
    """Install a distribution, replacing one of its name, and return the site folder.

    Args:
        site: The folder; also to be put on the path.
        specs: Source of the entry point's module.
        code: Source of the module ``net`` that targets name.
        distribution: Its name, also the name of its package.
        version: Its version.
        editable: Record it as an editable checkout, as pip does.
    """
    remove(site, distribution)
    package = site / distribution
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "plugin.py").write_text(light() if specs is None else specs)
    (package / "net.py").write_text(net() if code is None else code)
    info = site / f"{distribution}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
    )
    (info / "entry_points.txt").write_text(f"[oraclezoo]\nmain = {distribution}.plugin\n")
    files = [f"{distribution}/{name}.py,," for name in ("__init__", "plugin", "net")]
    if editable:
        origin = {"dir_info": {"editable": True}, "url": package.as_uri()}
        (info / "direct_url.json").write_text(json.dumps(origin))
    names = ("METADATA", "entry_points.txt", "RECORD", *(["direct_url.json"] if editable else []))
    files += [f"{info.name}/{name},," for name in names]
    (info / "RECORD").write_text("\n".join(files) + "\n")
    return site


def remove(site: Path, distribution: str = "hostile") -> None:
    """Uninstall a distribution."""
    shutil.rmtree(site / distribution, ignore_errors=True)
    for info in site.glob(f"{distribution}-*.dist-info"):
        shutil.rmtree(info)
