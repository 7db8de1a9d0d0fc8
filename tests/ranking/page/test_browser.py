"""The leaderboard page in a browser, without external requests.

Sphinx builds the page as for a user, and headless Chromium loads it from a local server. Skipped
without Chromium.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oraclezoo.ranking.load import Entry
from oraclezoo.result import Failure

MakeEntry = Callable[..., Entry]
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
CHROMIUM = next((actual for name in NAMES if (actual := shutil.which(name))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
NUMERIC = ("number", "rank", "ties", "accuracy", "latency", "size", "training", "parameters")

ACT = """
<script>window.addEventListener("load", () => {
  const board = document.querySelector(".oz-board");
  const form = board.querySelector("form");
  const table = board.querySelector('[data-track="glyphs-3k"] table');
  const observed = { sorted: {}, chosen: {}, tables: {} };
  const values = (key) => Array.from(table.tBodies[0].rows,
    (row) => row.querySelector(`[data-key="${key}"]`).dataset.value ?? null);
  for (const tab of board.querySelectorAll(".oz-tabs a")) {
    tab.click();
    observed.tables[tab.dataset.table] = shown().length;
  }
  board.querySelector('.oz-tabs a[data-table^="glyphs"]').click();
  for (const head of table.tHead.querySelectorAll("th[data-key]")) {
    const key = head.dataset.key;
    const twice = [];
    for (let turn = 0; turn < 2; turn++) {
      head.querySelector(".oz-by").click();
      twice.push([head.getAttribute("aria-sort"), values(key)]);
    }
    observed.sorted[key] = Object.fromEntries(twice);
  }
  function shown() {
    return Array.from(board.querySelectorAll("tbody tr")).filter((row) => row.offsetParent !== null)
      .map((row) => row.id);
  }
  observed.all = shown();
  for (const select of form.querySelectorAll("label:not(.oz-sort) select"))
    for (const option of select.options) {
      select.value = option.value;
      form.dispatchEvent(new Event("input", { bubbles: true }));
      if (option.value) observed.chosen[`${select.name}=${option.value}`] = shown();
      select.value = "";
    }
  form.elements.words.value = "NEAR other";
  form.dispatchEvent(new Event("input", { bubbles: true }));
  observed.words = shown();
  observed.status = form.querySelector(".oz-status").textContent;
  form.elements.words.value = "";
  form.dispatchEvent(new Event("input", { bubbles: true }));
  const button = table.querySelector(".oz-rank");
  const note = document.getElementById(button.getAttribute("popovertarget"));
  observed.closed = note.offsetParent === null && !note.matches(":popover-open");
  button.click();
  observed.opened = note.matches(":popover-open");
  observed.link = table.querySelector("a.oz-name").getAttribute("href");
  observed.resources = performance.getEntriesByType("resource").map((entry) => entry.name);
  observed.ids = Object.fromEntries(Array.from(table.tBodies[0].rows,
    (row) => [row.id, { ...row.dataset }]));
  const out = document.createElement("pre");
  out.id = "observed";
  out.textContent = JSON.stringify(observed);
  document.body.append(out);
});</script>
"""


@pytest.fixture
def site(make_entry: MakeEntry, tmp_path: Path) -> Path:
    """Build a site whose page has five rows on two tracks, one of them failed."""
    ease = (np.arange(400) + 0.5) / 400
    rng = np.random.default_rng(3)
    results = tmp_path / "source" / "results"
    shares = {"first": 0.9, "near": 0.895, "far": 0.8, "tenth": 0.1}
    for index, (name, share) in enumerate(shares.items()):
        correct = (ease + rng.normal(0, 0.02, (5, 400))) < share
        hardware = "other-cpu-4t" if name == "near" else "test-cpu-2t"
        entry = make_entry(name, correct, folder=results, hardware=hardware)
        path = results / f"{entry.result.id}.json"
        document = json.loads(path.read_text())
        latency = (0.9, 0.10, 12.0, 2e-5)[index]  # by their letters in another order
        document["latency"][1] |= dict.fromkeys(("p50_ms", "p95_ms", "p99_ms"), latency)
        document["model"]["size_bytes"] = (9, 10, 1_000_000, 200_000)[index]
        path.write_text(json.dumps(document))
    failures = (Failure(0, "diverged", "loss is nan"),)
    make_entry("failed", None, folder=results, test=400, failures=failures)
    make_entry("elsewhere", np.ones((5, 40), dtype=bool), folder=results, track="idx")
    source = tmp_path / "source"
    (source / "conf.py").write_text("extensions = ['oraclezoo.sphinxext']\nhtml_theme = 'furo'\n")
    (source / "index.rst").write_text("Board\n=====\n\n.. oraclezoo-leaderboard:: results\n")
    command = [sys.executable, "-m", "sphinx", "-n", "-W", "-q", "-b", "html"]
    subprocess.run([*command, str(source), str(tmp_path / "html")], check=True)
    page = tmp_path / "html" / "index.html"
    text = page.read_text(encoding="utf-8").replace("</body>", ACT + "</body>")
    page.write_text(text, encoding="utf-8")
    return tmp_path / "html"


class Quiet(SimpleHTTPRequestHandler):
    """Serve files, and record the host of each request of a page."""

    hosts: set[str] = set()  # noqa: RUF012  # set by each test

    def send_head(self) -> Any:
        if self.headers.get("Referer"):  # the browser's own errands have none
            self.hosts.add(self.headers.get("Host", ""))
        return super().send_head()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def observed(site: Path, tmp_path: Path) -> dict[str, Any]:
    """Return what the page's actions showed; every host name resolves to the test's server."""
    Quiet.hosts = set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    profile = tmp_path / "profile"
    try:
        done = subprocess.run(
            [
                str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                "--disable-extensions", "--no-first-run", f"--user-data-dir={profile}",
                "--virtual-time-budget=5000",
                f"--host-resolver-rules=MAP * 127.0.0.1:{port}", "--window-size=1280,900",
                "--dump-dom", f"http://page.invalid:{port}/index.html",
            ],
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip
    finally:
        server.shutdown()
        server.server_close()
    matches = re.search(r'<pre id="observed">(.*?)</pre>', done.stdout, re.DOTALL)
    assert matches, done.stderr[-2000:]
    return json.loads(html.unescape(matches[1])) | {"hosts": Quiet.hosts, "port": port}


def test_the_page_works_in_a_browser(observed: dict[str, Any], site: Path) -> None:
    """Numbers sort numerically with missing ones last.

    Tables, filters, search and notes work; rows link to pages; one host.
    """
    for key in NUMERIC:
        for way, turn in (("ascending", 1), ("descending", -1)):
            values = observed["sorted"][key][way]
            numbers = [float(value) for value in values if value is not None]
            assert numbers == sorted(numbers, reverse=turn < 0), (key, way)
            assert None not in values[: len(numbers)], (key, way)
    assert None in observed["sorted"]["accuracy"]["ascending"]
    latency = [float(v) for v in observed["sorted"]["latency"]["ascending"] if v is not None]
    assert latency[:4] == [2e-5, 0.10, 0.8, 0.9]
    names = observed["sorted"]["recipe"]["ascending"]
    assert names == sorted(names)

    rows = observed["ids"]
    assert observed["tables"] == {"glyphs-3k-closed": 5, "idx-closed": 1}
    assert set(observed["all"]) == set(rows)
    assert {choice.split("=")[0] for choice in observed["chosen"]} == {"hardware"}
    for choice, shown in observed["chosen"].items():
        name, value = choice.split("=")
        assert set(shown) == {row for row, data in rows.items() if data[name] == value}, choice
        assert 0 < len(shown) < len(rows)
    assert len(observed["words"]) == 1
    assert observed["status"].startswith("1 of 5 rows")

    assert observed["closed"]
    assert observed["opened"]
    assert (site / observed["link"]).is_file()
    assert len(list((site / "index").glob("*.html"))) == 6

    assert observed["hosts"] == {f"page.invalid:{observed['port']}"}
    assert observed["resources"]
    own = f"http://page.invalid:{observed['port']}/"
    assert all(name.startswith((own, "data:")) for name in observed["resources"])
