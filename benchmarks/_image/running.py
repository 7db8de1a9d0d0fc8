"""Run the server of an image as a container runtime would, and send it requests.

:func:`observe` starts this module in separate namespaces, where the image's files are read-only
and the only network is the loopback interface. Standard library only.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

PORT = 8000
PATIENCE_S = 60.0
VOLUME = "var/lib/oraclezoo"
_SBIN = "/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Order:
    """What to run.

    Attributes:
        root: Folder with the files of the image.
        user: User and group, as numbers.
        command: The command of the image.
        environment: The environment of the image.
        health: Command of the health check.
        picture: Picture to classify.
        starts: Number of starts to time.
    """

    root: str
    user: str
    command: Sequence[str]
    environment: Mapping[str, str]
    health: Sequence[str]
    picture: str
    starts: int


def observe(order: Order) -> dict[str, Any]:
    """Return what :func:`report` returns in new namespaces.

    Raises:
        subprocess.CalledProcessError: If the server does not start, or a request fails.
    """
    command = ["unshare", "--net", "--mount", sys.executable, __file__]
    text = json.dumps(asdict(order))
    done = subprocess.run(command, input=text, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def report(order: Order) -> dict[str, Any]:
    """Start the server several times; return the seconds until ready, and the responses."""
    _prepare(Path(order.root), *order.user.split(":"))
    ready_s, seen = [], {}
    for number in range(order.starts):
        started = time.monotonic()
        server = _start(order, order.command, stderr=subprocess.DEVNULL)
        try:
            _wait(server)
            ready_s.append(time.monotonic() - started)
            if number == 0:
                seen = _look(order, server.pid)
            server.terminate()
            status = server.wait(PATIENCE_S)
        finally:
            server.kill()
            server.wait()
    return {"ready_s": ready_s, "exit_status": status, **seen}


def _prepare(root: Path, user: str, group: str) -> None:
    """Make the root read-only, with the file systems that a runtime adds, and a volume."""
    volume = str(root / VOLUME)
    environment = {"PATH": _SBIN}
    for line in (
        ["ip", "link", "set", "lo", "up"],
        ["mount", "--bind", str(root), str(root)],
        ["mount", "-o", "remount,ro,bind", str(root)],
        ["mount", "-t", "proc", "proc", str(root / "proc")],
        ["mount", "--bind", "/sys", str(root / "sys")],
        ["mount", "--rbind", "/dev", str(root / "dev")],
        ["mount", "-t", "tmpfs", "-o", f"uid={user},gid={group},mode=755", "tmpfs", volume],
    ):
        subprocess.run(line, check=True, env=environment)


def _start(order: Order, command: Sequence[str], **settings: Any) -> subprocess.Popen[bytes]:
    chroot = shutil.which("chroot", path=_SBIN) or "chroot"
    words = [chroot, f"--userspec={order.user}", order.root, *command]
    return subprocess.Popen(words, env=dict(order.environment), cwd="/", **settings)


def _wait(server: subprocess.Popen[bytes]) -> None:
    """Wait until the server is ready."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            if _request("GET", "/readyz")[0] == 200:
                return
        except OSError:
            if server.poll() is not None:
                break
            time.sleep(0.01)
    sys.exit(f"the server is not ready (exit status {server.poll()})")


def _look(order: Order, process: int) -> dict[str, Any]:
    """Return the responses of a running server, and how its process runs."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    fields = dict(line.split(":", 1) for line in status.splitlines())
    picture = Path(order.picture).read_bytes()
    code, body = _request("POST", "/v1/predict", picture, {"Content-Type": "image/jpeg"})
    prediction = json.loads(body)
    elsewhere = replace(order, environment={**order.environment, "ORACLEZOO_SERVE_PORT": "9"})
    healthy, unhealthy = (
        _start(each, order.health).wait(PATIENCE_S) if order.health else None
        for each in (order, elsewhere)
    )
    monitoring = [order.command[0], "monitoring", f"/{VOLUME}", "--target", "server:8000"]
    written = _start(order, monitoring, stdout=subprocess.DEVNULL).wait(PATIENCE_S) == 0
    touch = _start(order, ["touch", "/opt/oraclezoo/new"], stderr=subprocess.DEVNULL)
    return {
        "livez": _request("GET", "/livez")[0],
        "readyz": _request("GET", "/readyz")[0],
        "predict": code,
        "prediction": prediction["data"]["images"][0]["name"],
        "user": int(fields["Uid"].split()[1]),
        "capabilities": int(fields["CapEff"], 16),
        "monitoring": _readable(Path(order.root, VOLUME)) if written else [],
        "health": healthy,
        "health_without_server": unhealthy,
        "read_only": touch.wait(PATIENCE_S) != 0 and _is_read_only(order.root),
    }


def _readable(folder: Path) -> list[str]:
    """Return the names of the files that every user may read."""
    return sorted(path.name for path in folder.iterdir() if path.stat().st_mode & 0o004)


def _is_read_only(root: str) -> bool:
    return bool(os.statvfs(root).f_flag & os.ST_RDONLY)


def _request(
    method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", PORT, timeout=10)
    try:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


if __name__ == "__main__":
    print(json.dumps(report(Order(**json.load(sys.stdin)))))
