"""Build the ``serve`` image, run it, and check its size, contents, start-up and user.

    python benchmarks/image.py [--base IMAGE] [--starts 5] [--json] [--out FILE]

Without ``--base``, the image is built on a minimal Debian from debootstrap, which takes a few
minutes the first time. The server runs with a read-only root, as the user of the image, without
access to any network. Needs Linux, root, buildah and debootstrap, no daemon; ``--obstacle`` prints
what is missing, and nothing otherwise. Exit status 3 if a check fails. Committed output:
benchmarks/measurements/image.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from _image import buildah, content
from _image.buildah import Config
from _image.running import Order, observe
from _measured import emit, load_average, positive, spread

from oraclezoo._version import __version__

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "src" / "oraclezoo" / "serving" / "sample.jpg"
LOCK = ROOT / "containers" / "serve.txt"
LIMIT_MB, LIMIT_S = 190, 3.0
"""Largest size above the base image, and longest time until the server is ready."""

ABSENT = frozenset({"torch", "onnx", "scipy"})
MB = 1e6


@dataclass(frozen=True, slots=True)
class Check:
    """A property of the image, and what was found."""

    name: str
    found: str
    holds: bool


def static_checks(root: Path, config: Config, above_mb: float) -> Iterator[Check]:
    """Yield the checks of an image's files and settings."""
    user, _, group = config.user.partition(":")
    names = (user, group)
    numeric = all(name.isdigit() and int(name) for name in names)
    yield Check(f"at most {LIMIT_MB} MB above the base", f"{above_mb:.0f} MB", above_mb <= LIMIT_MB)
    yield Check("the user is not root", config.user or "root", numeric)
    own = content.writable(root, *map(int, names)) if numeric else ["everything"]
    yield Check("the user may write to one folder", _list(own), own == ["var/lib/oraclezoo"])
    packages = content.installed(root)
    heavy = content.named(root, ABSENT)
    yield Check("no torch, onnx or scipy", _list(heavy), not heavy)
    locked = {**content.listed(LOCK), "oraclezoo": __version__}
    other = sorted(set(packages.items()) ^ set(locked.items()))
    yield Check(
        "the packages are those of the lock",
        _list(map(" ".join, other), "no difference"),
        not other,
    )
    missing = sorted(set(packages.items()) ^ set(content.in_sbom(root).items()))
    yield Check(
        "the SBOM lists the packages", _list(map(" ".join, missing), "no difference"), not missing
    )
    telemetry = config.environment.get("ORT_DISABLE_TELEMETRY", "")
    yield Check("ORT_DISABLE_TELEMETRY=1", telemetry or "not set", telemetry == "1")
    health = " ".join(config.health)
    yield Check("a health check", f"`{health}`" if health else "none", bool(health))


def running_checks(seen: dict[str, Any], expected: str, user: str) -> Iterator[Check]:
    """Yield the checks of the running server."""
    fastest = min(seen["ready_s"])  # other work on the machine only adds time
    found = f"{fastest:.2f} s, median {median(seen['ready_s']):.2f} s"
    yield Check(f"ready within {LIMIT_S:g} s", found, fastest <= LIMIT_S)
    yield Check("the root is read-only", str(seen["read_only"]), seen["read_only"])
    runs_as = f"user {seen['user']}, capabilities {seen['capabilities']}"
    unprivileged = str(seen["user"]) == user.partition(":")[0] and not seen["capabilities"]
    yield Check("the process has no privileges", runs_as, unprivileged)
    live = (seen["livez"], seen["readyz"])
    yield Check("/livez and /readyz", f"{live[0]}, {live[1]}", live == (200, 200))
    same = (seen["predict"], seen["prediction"]) == (200, expected)
    yield Check("a prediction of the sample picture", seen["prediction"], same)
    files = seen["monitoring"]
    yield Check("monitoring files in a volume", _list(files), len(files) == 3)
    health = (seen["health"], seen["health_without_server"])
    found = f"{health[0]} with the server, {health[1]} without"
    yield Check("the health check distinguishes", found, health == (0, 1))
    yield Check("SIGTERM ends it", f"status {seen['exit_status']}", seen["exit_status"] == 0)


def predicted() -> str:
    """Return the prediction of this checkout for the sample picture."""
    command = [sys.executable, "-m", "oraclezoo", "predict", "--json", str(PICTURE)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    name: str = json.loads(done.stdout)["data"]["images"][0]["name"]
    return name


def measure(base: str | None, starts: int) -> tuple[dict[str, Any], list[Check]]:
    """Build and check the image; return the figures, and the checks."""
    before = load_average()
    origin = base or buildah.make_base()
    image = buildah.build("serve", origin)
    config = buildah.inspect(image)
    with buildah.mounted(origin) as root:
        base_bytes = content.total_bytes(root)
    with buildah.mounted(image) as root:
        size = content.total_bytes(root)
        checks = list(static_checks(root, config, (size - base_bytes) / MB))
        order = Order(
            root=str(root),
            user=config.user,
            command=config.command,
            environment=config.environment,
            health=config.health,
            picture=str(PICTURE),
            starts=starts,
        )
        seen = observe(order)
        packages = content.largest(root, 6)
    checks += running_checks(seen, predicted(), config.user)
    figures = {
        "base": {
            "name": base or f"Debian {buildah.SUITE}, minbase with Python",
            "mb": _mb(base_bytes),
        },
        "image": {
            "mb": _mb(size),
            "above_base_mb": _mb(size - base_bytes),
            "compressed_mb": _mb(buildah.compressed_bytes(image)),
        },
        "packages": [{"name": name, "mb": _mb(number)} for name, number in packages],
        "ready_s": spread(seen["ready_s"], 2),
        "checks": [asdict(check) for check in checks],
        "oraclezoo": __version__,
        "buildah": buildah.buildah("--version").split()[2],
        "cpu": _cpu(),
        "load_average": [before, load_average()],
    }
    return figures, checks


def main(arguments: list[str] | None = None) -> int:
    """Build, check and print; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--base", help="base image; the default is made with debootstrap")
    parser.add_argument("--starts", type=positive, default=5, help="number of timed starts")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--out", type=Path, help="also write the document to this file")
    parser.add_argument("--obstacle", action="store_true", help="print what is missing, and exit")
    options = parser.parse_args(arguments)
    obstacle = buildah.obstacle(base=options.base is None)
    if options.obstacle or obstacle:
        print(obstacle or "", end="\n" if obstacle else "")
        return 0 if options.obstacle else 1
    figures, checks = measure(options.base, options.starts)
    if not emit("oraclezoo/image/1", figures, options):
        for check in checks:
            print(f"{'ok  ' if check.holds else 'FAIL'}  {check.name}: {check.found}")
    return 0 if all(check.holds for check in checks) else 3


def _mb(number: int) -> float:
    return round(number / MB, 1)


def _list(names: Iterable[str], empty: str = "none") -> str:
    """Return the first names of a list as text, or ``empty``."""
    listed = list(names)
    more = f" and {len(listed) - 5} more" if len(listed) > 5 else ""
    return ", ".join(listed[:5]) + more or empty


def _cpu() -> str:
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    match = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    return match[1] if match else platform.machine()


if __name__ == "__main__":
    sys.exit(main())
