"""Commands of the README and the documentation: which ones are run, how, and why others are not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

NETWORK = "needs the network"
CLUSTER = "needs a cluster, or a benchmark that runs in the background"
CREDENTIALS = "needs a bucket with credentials"
SERVER = "needs a running server; tests/server/test_serve_page.py sends the requests of the page"
SHELL = "sets up a shell or an environment"
INSTALL = "installs packages; the nox sessions do"
SCRIPT = "a measurement or a tool of the maintainers, with tests in tests/benchmarks"
DEVICE = "needs a GPU"
STANDARD = "a standard tool"
PLUGIN = "needs an installed plugin; tests/test_docs.py and tests/testing run those of the guides"
BUILT = "needs the browser runtime that `nox -s page` installs; tests/page runs it"
REPOSITORY = "needs the state of a pull request; tests/publish/test_submit.py runs it"

EXEMPT = (
    (r"(curl|docker|podman|gh)\b", NETWORK),
    (r"kubectl |oraclezoo bench (status|collect|cancel|.*--(on (slurm|ray)|detach)\b)", CLUSTER),
    (r"oraclezoo data fetch", NETWORK),
    (r"ORACLEZOO_DATA_URL=\S+ oraclezoo data fetch", NETWORK),
    (r"oraclezoo models fetch", NETWORK),
    (r"oraclezoo data (verify|convert oracle-mnist)(?! bones)", "needs the files of Oracle-MNIST"),
    (r"oraclezoo data (push|pull)", CREDENTIALS),
    (r"oraclezoo serve", SERVER),
    (r"(pip|npm) install", INSTALL),
    (r"(python|py) -m (venv|http\.server)|source |\.venv", SHELL),
    (r"oraclezoo completion", SHELL),
    (r"(sudo )?nox |\.nox|pytest ", INSTALL),
    (r"(PYTHONPATH=\S+ )?(python|bash) benchmarks/", SCRIPT),
    (r".*--device cuda", DEVICE),
    (r"(git|tar|sha256sum|wc) ", STANDARD),
    (r"oraclezoo (plugins check|list geometric)", PLUGIN),
    (r"oraclezoo (train|bench) quick -s scheduler\.name=(geometric|my-scheduler)", PLUGIN),
    (r"oraclezoo page", BUILT),
    (r"oraclezoo submit", REPOSITORY),
    (r"oraclezoo leaderboard benchmarks/results", "reads the repository; the README's test does"),
)
"""Start of a command as a regular expression, and the reason why it is not run."""

REDUCED = (
    (r"(?<!leaderboard --published )--track oracle-mnist-3k", "--track glyphs-3k"),
    (r"(audit|preview) oracle-mnist-3k", r"\1 glyphs-3k"),
    (r"--data-dir mine", "--data-dir mydata"),
    (r"bench --track idx", "bench quick --track idx"),
    (r"--data-dir FOLDER", "--data-dir mydata"),
    (r"runs/(NAME|quick-\*-s0|[a-z]+-[0-9a-f]{12}-s0)|(?<=evaluate )RUN", "runs/done"),
    (r"--seeds \d+", "--seeds 1"),
    (r"--trials \d+", "--trials 2"),
    (r"--epochs \d+", "--epochs 1"),
    (r"((?:budget|compress)\.epochs)=\d+", r"\1=1"),
    (r"--train \d+", "--train 20"),
    (r"--images \d+", "--images 100"),
    (r"--timeout 2h", "--timeout 30s"),
    (r"results/ID", "results/bench"),
    (r"docs/examples/", ""),
)
"""What is replaced in a command, for a reduced budget and for files that exist in a test."""

SLOW = re.compile(
    r"oraclezoo (bench|sweep|compress|prune|reproduce|calibrate|quantize|data audit|plot|drift)\b"
    r"|.*(--compile|--profile)|ORACLEZOO_\w+=\S+ oraclezoo bench"
)
"""Commands that take more than 20 s by nature, also with a reduced budget."""


@dataclass(frozen=True, slots=True)
class Documented:
    """A command of a page, without its prompt and comment."""

    page: str
    line: str

    @property
    def reason(self) -> str | None:
        """Why the command is not run, or None if it is."""
        for pattern, reason in EXEMPT:
            if re.match(pattern, self.line):
                return reason
        return None

    @property
    def reduced(self) -> str:
        """The command with a reduced budget."""
        line = self.line
        for pattern, replacement in REDUCED:
            line = re.sub(pattern, replacement, line)
        if "glyphs-3k" in line or "runs/done" in line:
            line = re.sub(r" --data-dir \S+", "", line)
        return line


def commands() -> list[Documented]:
    """Return the commands of all console blocks, in page order."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    pages += [path for path in sorted(DOCS.rglob("*.md")) if _written(path)]
    found = []
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for block in re.findall(r"```(?:console|sh|bash)\n(.*?)```", text, re.S):
            for line in re.sub(r"\\\n *", "", block).split("\n"):
                prompt = re.match(r"\s*(?:\$|PS>) (.*)", line)
                if prompt:
                    command = re.sub(r"\s{2,}#.*", "", prompt[1]).strip()
                    found.append(Documented(str(page.relative_to(ROOT)), command))
    return found


def _written(path: Path) -> bool:
    """Return whether a page is part of the repository, not generated."""
    parts = path.relative_to(DOCS).parts
    return parts[0] not in ("_build", "_gallery", "zoo") and parts[:2] != ("reference", "zoo")
