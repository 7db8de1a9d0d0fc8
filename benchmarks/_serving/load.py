"""Load by wrk: a closed loop over a number of connections."""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from _serving.servers import Running

SCRIPT = """\
local file = io.open("%s", "rb")
wrk.method = "POST"
wrk.body = file:read("*a")
wrk.headers["Content-Type"] = "%s"
file:close()
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\\nRESULT {"requests": %%d, "us": %%d, "p50_us": %%d, "p99_us": %%d, "failed": %%d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@dataclass(frozen=True)
class Load:
    """Requests a second, median and 99th percentile of the latency, and failed requests."""

    per_s: float
    p50_ms: float
    p99_ms: float
    failed: int


def wrk(
    started: Running, picture: bytes, connections: int, seconds: float, core: int | None
) -> Load:
    """Send one picture over and over."""
    body = started.server.body
    with tempfile.TemporaryDirectory() as folder:
        content, script = Path(folder, "body"), Path(folder, "post.lua")
        content.write_bytes(body.of(picture))
        script.write_text(SCRIPT % (content, body.content_type), encoding="utf-8")
        pinned = [] if core is None else ["taskset", "--cpu-list", str(core)]
        done = subprocess.run(
            [
                *(*pinned, "wrk", "--threads", "1", "--connections", str(connections)),
                *("--duration", f"{max(1, round(seconds))}s", "--timeout", "30s"),
                *("--script", str(script), started.url),
            ],
            capture_output=True,
            text=True,
            check=True,
            timeout=seconds + 120,
        )
    (line,) = [each for each in done.stdout.splitlines() if each.startswith("RESULT ")]
    found = json.loads(line.removeprefix("RESULT "))
    return Load(
        per_s=found["requests"] / (found["us"] / 1e6),
        p50_ms=found["p50_us"] / 1000,
        p99_ms=found["p99_us"] / 1000,
        failed=found["failed"],
    )
