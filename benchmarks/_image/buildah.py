"""Images through Buildah with chroot isolation, which needs root but no daemon."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SUITE = "bookworm"
PACKAGES = ("ca-certificates", "python3", "python3-venv")
BASE = f"localhost/oraclezoo-base:{SUITE}"
_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


@dataclass(frozen=True, slots=True)
class Config:
    """What an image says about running it.

    Attributes:
        user: User and group, as in ``USER``.
        command: Entry point and arguments.
        environment: Environment variables.
        health: Command of the health check; empty if there is none.
        ports: Ports, such as ``8000/tcp``.
    """

    user: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    health: tuple[str, ...]
    ports: tuple[str, ...]

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Config:
        """Parse the output of ``buildah inspect --type image``."""
        config = document["Docker"]["config"]
        health = (config.get("Healthcheck") or {}).get("Test") or []
        return cls(
            user=config.get("User") or "",
            command=(*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())),
            environment=dict(line.split("=", 1) for line in config.get("Env") or ()),
            health=tuple(health[1:]) if health[:1] == ["CMD"] else (),
            ports=tuple(config.get("ExposedPorts") or ()),
        )


def obstacle(*, base: bool) -> str | None:
    """Return why images cannot be built and run here; None if they can.

    Args:
        base: Whether the base image must be made with debootstrap.
    """
    needed = ["buildah", "unshare", "chroot", "ip", *(["debootstrap"] if base else [])]
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    missing = [name for name in needed if shutil.which(name, path=path) is None]
    if sys.platform != "linux":
        return "container images are built on Linux only"
    if missing:
        return f"not installed: {', '.join(missing)}"
    if os.geteuid() != 0:
        return "Buildah with chroot isolation needs root"
    tried = subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True, text=True)
    if tried.returncode:
        return f"namespaces are not permitted: {tried.stderr.strip()}"
    return None


def buildah(*words: str | Path) -> str:
    """Run Buildah; return its standard output.

    Raises:
        subprocess.CalledProcessError: If it fails. Its messages went to standard error.
    """
    environment = {**os.environ, "BUILDAH_ISOLATION": "chroot"}
    command = ["buildah", *map(str, words)]
    done = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


def make_base() -> str:
    """Return the name of a Debian image with Python; make it with debootstrap on first use."""
    if buildah("images", "--format", "{{.Name}}:{{.Tag}}").splitlines().count(BASE):
        return BASE
    with tempfile.TemporaryDirectory(prefix="oraclezoo-base-") as name:
        tree, archive = Path(name) / "tree", Path(name) / "base.tar"
        packages = f"--include={','.join(PACKAGES)}"
        command = ["debootstrap", "--variant=minbase", packages, SUITE, str(tree)]
        # what debootstrap mounts is gone when it ends, however it ends
        subprocess.run(["unshare", "--mount", *command], check=True, stdout=sys.stderr)
        skipped = ("dev/*", "proc/*", "sys/*", "var/cache/apt/*", "var/lib/apt/lists/*")
        excluded = [f"--exclude=./{pattern}" for pattern in skipped]
        subprocess.run(["tar", "-C", str(tree), *excluded, "-cf", str(archive), "."], check=True)
        container = buildah("from", "scratch")
        try:
            buildah("add", "--quiet", container, archive, "/")
            buildah("commit", "--quiet", container, BASE)
        finally:
            buildah("rm", container)
    return BASE


def build(target: str, base: str | None, arguments: Sequence[str] = ()) -> str:
    """Build a target of the ``Containerfile``; return the name of the image.

    Args:
        target: The target.
        base: Image to build on; None for the one that the file names.
        arguments: Further build arguments, as ``NAME=VALUE``.

    Raises:
        subprocess.CalledProcessError: If the build fails.
    """
    image = f"localhost/oraclezoo-{target}"
    words: list[str | Path] = [
        "bud",
        "--layers",
        "--format",
        "docker",
        "--target",
        target,
        "--tag",
        image,
    ]
    for argument in (*([f"BASE={base}"] if base else []), *arguments):
        words += ["--build-arg", argument]
    words += _trust()
    print(buildah(*words, "--file", ROOT / "Containerfile", ROOT), file=sys.stderr)
    return image


def _trust() -> list[str]:
    """Return options that let pip in the build use the certificates of this machine, if named."""
    bundle = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE")
    if not bundle:
        return []
    there = f"{bundle}:{_CERTIFICATES}:ro"
    return ["--volume", there, "--build-arg", f"PIP_CERT={_CERTIFICATES}"]


def inspect(image: str) -> Config:
    """Return what an image says about running it."""
    return Config.parse(json.loads(buildah("inspect", "--type", "image", image)))


@contextmanager
def mounted(image: str) -> Iterator[Path]:
    """Yield the folder with the files of an image."""
    container = buildah("from", "--pull-never", image)
    try:
        yield Path(buildah("mount", container))
    finally:
        buildah("rm", container)


def compressed_bytes(image: str) -> int:
    """Return the size of an image as a registry stores it."""
    with tempfile.TemporaryDirectory() as name:
        buildah("push", "--quiet", image, f"dir:{name}")
        return sum(path.stat().st_size for path in Path(name).iterdir())
