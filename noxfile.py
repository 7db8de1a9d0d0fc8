"""Developers' sessions. All share one environment: torch is large, and two of it are too many.

``nox -s tests`` sets the environment up under ``.nox/`` the first time and passes the tests.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import nox

ROOT = Path(__file__).parent
HOME = ROOT / ".nox" / "oraclezoo"
BIN = HOME / ("Scripts" if os.name == "nt" else "bin")
EXTRAS = "dev,docs"
nox.options.sessions = ["lint", "types", "tests"]


def environment(session: nox.Session) -> str:
    """The shared environment's Python; made, and brought up to date when pyproject changed."""
    python = BIN / "python"
    stamp = HOME / "oraclezoo.stamp"
    wanted = hashlib.sha256(
        (ROOT / "pyproject.toml").read_bytes() + f"{EXTRAS} {sys.version}".encode()
    ).hexdigest()
    if not stamp.is_file() or stamp.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(HOME)], check=True)
        session.run(
            str(python), "-m", "pip", "install", "--quiet", "-e", f".[{EXTRAS}]", external=True
        )
        stamp.write_text(wanted)
    return str(python)


@nox.session(venv_backend="none")
def tests(session: nox.Session) -> None:
    """Run the tests; arguments go to pytest."""
    session.run(environment(session), "-m", "pytest", *session.posargs, external=True)


@nox.session(venv_backend="none")
def lint(session: nox.Session) -> None:
    """Check style and formatting."""
    python = environment(session)
    session.run(python, "-m", "ruff", "check", ".", external=True)
    session.run(python, "-m", "ruff", "format", "--check", ".", external=True)


@nox.session(venv_backend="none")
def types(session: nox.Session) -> None:
    """Check types, strictly."""
    session.run(environment(session), "-m", "mypy", external=True)


@nox.session(venv_backend="none")
def docs(session: nox.Session) -> None:
    """Build the documentation, warnings as errors, into docs/_build."""
    session.run(
        environment(session),
        "-m",
        "sphinx",
        "-n",
        "-W",
        "-b",
        "html",
        "docs",
        "docs/_build/html",
        external=True,
    )


@nox.session(venv_backend="none")
def bench(session: nox.Session) -> None:
    """Run ``oraclezoo bench``; arguments go to it."""
    session.run(environment(session), "-m", "oraclezoo", "bench", *session.posargs, external=True)


@nox.session(venv_backend="none")
def plugins(session: nox.Session) -> None:
    """Install each package under plugins/ beside oraclezoo and run its tests."""
    python = environment(session)
    packages = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))
    if not packages:
        session.skip("there is no package under plugins/ yet")
    for package in packages:
        session.run(python, "-m", "pip", "install", "--quiet", "-e", str(package), external=True)
    for package in packages:
        session.run(python, "-m", "pytest", str(package / "tests"), external=True)
