"""Nothing leaves the machine: no dependency collects usage data or looks up a host on its own.

CI services never show this, since the libraries detect them and stay silent. Here every process
runs without their variables, with an empty home, and with a C library shim that records and refuses
host look-ups, also those of native code.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

import oraclezoo

ROOT = Path(__file__).parents[1]

# what onnxruntime takes for a CI service or for its own tests (telemetry_environment.h)
SILENCERS = (
    "APPVEYOR",
    "BITBUCKET_BUILD_NUMBER",
    "BUILDKITE",
    "CI",
    "CIRCLECI",
    "CODEBUILD_BUILD_ID",
    "GITHUB_ACTIONS",
    "GITLAB_CI",
    "JENKINS_URL",
    "ORT_RUNNING_UNIT_TESTS",
    "SYSTEM_TEAMFOUNDATIONCOLLECTIONURI",
    "TEAMCITY_VERSION",
    "TF_BUILD",
    "TRAVIS",
)
SWITCHES = (
    "ORT_DISABLE_TELEMETRY",
    "HF_HUB_DISABLE_TELEMETRY",
    "DISABLE_TELEMETRY",
    "DO_NOT_TRACK",
)

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void note(const char *what, const char *name) {
    const char *path = getenv("ORACLEZOO_TEST_LOOKUPS");
    FILE *file = path ? fopen(path, "a") : NULL;
    if (file) { fprintf(file, "%s %s\n", what, name); fclose(file); }
}

static int local(const char *name) {
    return !name || !*name || !strcmp(name, "localhost") || !strcmp(name, "::1")
        || !strncmp(name, "127.", 4);
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **result) {
    int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
        dlsym(RTLD_NEXT, "getaddrinfo");
    if (local(name)) return next(name, service, hints, result);
    note("getaddrinfo", name);
    return EAI_FAIL;
}

struct hostent *gethostbyname(const char *name) {
    struct hostent *(*next)(const char *) = dlsym(RTLD_NEXT, "gethostbyname");
    if (local(name)) return next(name);
    note("gethostbyname", name);
    h_errno = NO_RECOVERY;
    return NULL;
}

int connect(int fd, const struct sockaddr *address, socklen_t size) {
    int (*next)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "connect");
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *found = (const struct sockaddr_in *)address;
        if (ntohl(found->sin_addr.s_addr) >> 24 != 127) note("connect", "IPv4");
    } else if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *found = (const struct sockaddr_in6 *)address;
        if (!IN6_IS_ADDR_LOOPBACK(&found->sin6_addr)) note("connect", "IPv6");
    }
    return next(fd, address, size);
}
"""

# runs the command line, writes its exit status, and stays until its standard input is closed
COMMAND = """
import pathlib, sys
done, *arguments = sys.argv[1:]
from oraclezoo.cli import main
try:
    main(arguments)
    status = 0
except SystemExit as stop:
    status = stop.code or 0
pathlib.Path(done).write_text(str(status))
sys.stdin.read()
"""
IMPORTS = """
import importlib, pathlib, sys
done, *modules = sys.argv[1:]
import oraclezoo
for module in modules:
    importlib.import_module(module)
pathlib.Path(done).write_text("0")
sys.stdin.read()
"""
ALONE = """
import pathlib, sys, time
import onnxruntime
done, log, longest = sys.argv[1:]
began = time.monotonic()
while time.monotonic() - began < float(longest) and not pathlib.Path(log).exists():
    time.sleep(0.2)
pathlib.Path(done).write_text(str(time.monotonic() - began))
"""
Codes = dict[str, tuple[str | Path, ...]]
"""Code and its arguments by name."""
LONGEST_S = 60.0
"""How long the bare onnxruntime may take to look up its host."""


def shim(folder: Path) -> Path | None:
    """Compile the recorder of look-ups; None where that is not possible."""
    compiler = shutil.which("cc")
    if sys.platform != "linux" or compiler is None:
        return None
    source, library = folder / "lookups.c", folder / "lookups.so"
    source.write_text(SHIM)
    command = [compiler, "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"]
    return library if subprocess.run(command, check=False).returncode == 0 else None


class Home:
    """An empty home folder for one process, and what that process leaves and looks up."""

    def __init__(self, folder: Path, library: Path | None) -> None:
        self.folder, self.library = folder / "home", library
        self.work, self.log = folder / "work", folder / "lookups.txt"
        self.done, self.output = folder / "done", folder / "output.txt"
        for place in (self.folder, self.work, folder / "tmp"):
            place.mkdir(parents=True)
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if name not in (*SILENCERS, *SWITCHES) and not name.startswith("XDG_")
        } | {
            "HOME": str(self.folder),
            "XDG_CACHE_HOME": str(self.folder / ".cache"),
            "TMPDIR": str(folder / "tmp"),
            "OMP_NUM_THREADS": "1",
        }
        if library is not None:
            self.environment |= {
                "LD_PRELOAD": str(library),
                "ORACLEZOO_TEST_LOOKUPS": str(self.log),
            }

    def start(
        self, code: str, *arguments: str | Path, stay: bool = False, **variables: str
    ) -> subprocess.Popen[bytes]:
        """Start Python code in this home; ``self.done`` appears when its work is done.

        With ``stay`` its standard input is a pipe, which the caller closes to let it end.
        """
        with self.output.open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-c", code, str(self.done), *map(str, arguments)],
                cwd=self.work,
                env={**self.environment, **variables},
                stdin=subprocess.PIPE if stay else subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def wait(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until the work is done; the process may stay for longer."""
        while process.poll() is None and not (self.done.is_file() and self.done.read_text()):
            time.sleep(0.05)
        text = self.done.read_text() if self.done.is_file() else "nothing"
        assert re.fullmatch(r"[\d.]+", text), self.output.read_text()

    def files(self) -> list[str]:
        """Files outside oraclezoo's own cache, and telemetry's where the process worked."""
        files = [path.relative_to(self.folder) for path in self.folder.rglob("*") if path.is_file()]
        own = (Path(".cache", "oraclezoo"), Path("Library", "Caches", "oraclezoo"))
        return sorted(
            [str(path) for path in files if not any(map(path.is_relative_to, own))]
            # onnxruntime's name for its store where it finds no cache folder
            + [path.name for path in self.work.glob(":memory:*")]
        )

    def lookups(self) -> list[str]:
        """Hosts that were looked up, and connections past the loopback."""
        return self.log.read_text().splitlines() if self.log.exists() else []


@dataclass(frozen=True)
class Alone:
    """What the bare onnxruntime does, without the switch: the positive control."""

    files: list[str]
    lookups: list[str]
    seconds: float


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """The recorder of look-ups."""
    return shim(tmp_path_factory.mktemp("shim"))


@pytest.fixture
def home(tmp_path: Path, library: Path | None) -> Home:
    """A home of this test alone."""
    return Home(tmp_path, library)


@pytest.fixture(scope="module")
def control(
    library: Path | None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Home, subprocess.Popen[bytes]]]:
    """Start the bare onnxruntime in a home of its own."""
    home = Home(tmp_path_factory.mktemp("alone"), library)
    process = home.start(ALONE, home.log, "0" if library is None else LONGEST_S)
    yield home, process
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def alone(control: tuple[Home, subprocess.Popen[bytes]]) -> Alone:
    """Wait until the bare onnxruntime has looked up its host."""
    home, process = control
    home.wait(process)
    process.wait()
    alone_run = Alone(home.files(), home.lookups(), float(home.done.read_text()))
    return alone_run if alone_run.lookups else replace(alone_run, seconds=0.0)


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image for ``predict``."""
    from PIL import Image

    path = tmp_path_factory.mktemp("picture") / "stripe.png"
    pixels = np.zeros((28, 28), np.uint8)
    pixels[8:12, 4:24] = 220
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture(scope="module")
def light(picture: Path) -> Codes:
    """Return what is watched in the default suite: a command, and all dependencies."""
    return {"predict": (COMMAND, "predict", picture), "imports": (IMPORTS, *direct_modules())}


@pytest.fixture(scope="module")
def heavy(tiny_run: Path, tiny_idx: Path, tmp_path_factory: pytest.TempPathFactory) -> Codes:
    """Return the commands that need minutes of CPU time, with their jobs."""
    place = tmp_path_factory.mktemp("models")
    oraclezoo.export(tiny_run, place / "model", data_dir=tiny_idx, timed=False)
    commands: dict[str, Sequence[str | Path]] = {
        "export": (
            *("export", tiny_run, "--out", place / "other"),
            *("--data-dir", tiny_idx, "--no-timed"),
        ),
        "quantize": ("quantize", place / "model", "--data-dir", tiny_idx, "--no-timed"),
        "bench": (
            *("bench", "authors-cnn", "--track", "idx", "--data-dir", tiny_idx, "--seeds", "1"),
            *("--compress", "int8", "--set", "backbone.name=lenet5", "--set", "budget.epochs=1"),
        ),
    }
    return {name: (COMMAND, *arguments) for name, arguments in commands.items()}


@pytest.fixture(scope="module", params=["light", pytest.param("heavy", marks=pytest.mark.full)])
def watched(
    control: tuple[Home, subprocess.Popen[bytes]],
    library: Path | None,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> dict[str, Home]:
    """Run code concurrently, each in a home of its own, beside the control.

    After their work all stay for twice the time that the control took to look up its host.
    """
    codes: Codes = request.getfixturevalue(request.param)
    homes = {name: Home(tmp_path_factory.mktemp(name), library) for name in codes}
    processes: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, (code, *arguments) in codes.items():
            processes[name] = homes[name].start(str(code), *arguments, stay=True)
        for name, process in processes.items():
            homes[name].wait(process)
            assert homes[name].done.read_text() == "0", homes[name].output.read_text()
        time.sleep(2 * request.getfixturevalue("alone").seconds)
        for process in processes.values():
            process.communicate()
            assert process.returncode == 0
    finally:
        for process in processes.values():
            process.kill()
            process.wait()
    return homes


def skip_if_silent(alone: Alone) -> None:
    """Skip visibly where the installed onnxruntime collects nothing."""
    if not alone.files:
        version = importlib.metadata.version("onnxruntime")
        pytest.skip(f"onnxruntime {version} ({sys.platform}) collects nothing when imported")


def direct_modules() -> list[str]:
    """Modules of oraclezoo's direct dependencies, those of its users' extras included."""
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = document["optional-dependencies"]
    wanted = {name_of(line) for line in document["dependencies"]}
    for extra in ("plots", "serve", "sweep", "torchao", "trackers"):
        wanted |= {name_of(line) for line in extras[extra]}
    modules = importlib.metadata.packages_distributions()
    return sorted(
        module
        for module, distributions in modules.items()
        if wanted & {name_of(name) for name in distributions} and re.fullmatch(r"[a-z]\w*", module)
    )


def name_of(requirement: str) -> str:
    """The distribution that a requirement names, as registries spell it."""
    return re.split(r"[^\w.-]", requirement)[0].lower().replace("_", "-")


# these come first: the control works while the commands do
@pytest.mark.slow
def test_commands_leave_nothing(watched: dict[str, Home]) -> None:
    """No file outside oraclezoo's own cache."""
    left = {name: home.files() for name, home in watched.items()}
    # matplotlib lists the machine's fonts once
    if "imports" in left:
        left["imports"] = [path for path in left["imports"] if "matplotlib" not in path]
    assert left == {name: [] for name in watched}


@pytest.mark.slow
def test_commands_look_up_nothing(watched: dict[str, Home], library: Path | None) -> None:
    """No host name, and no connection past the loopback."""
    if library is None:
        pytest.skip("look-ups are recorded on Linux with a C compiler (cc) only")
    actual = {name: home.lookups() for name, home in watched.items()}
    assert actual == {name: [] for name in watched}


@pytest.mark.slow
def test_the_control_sees_a_bare_onnxruntime(alone: Alone) -> None:
    """Without the switch it leaves a device id, and looks up a host; else all below is vacuous."""
    skip_if_silent(alone)
    assert any("onnxruntime" in name for name in alone.files)


@pytest.mark.slow
def test_the_control_sees_a_look_up(alone: Alone, library: Path | None) -> None:
    """The shim catches the look-ups of native code."""
    if library is None:
        pytest.skip("look-ups are recorded on Linux with a C compiler (cc) only")
    skip_if_silent(alone)
    assert any(line.startswith("getaddrinfo ") for line in alone.lookups)


def test_one_prediction_leaves_nothing(home: Home, picture: Path) -> None:
    """The same without waiting for uploaders: the store is there before anything is sent."""
    process = home.start(COMMAND, "predict", picture)
    assert process.wait() == 0
    assert home.done.read_text() == "0", home.output.read_text()
    assert (home.files(), home.lookups()) == ([], [])


@pytest.mark.slow
def test_a_user_who_wants_telemetry_keeps_it(alone: Alone, home: Home, picture: Path) -> None:
    """ORT_DISABLE_TELEMETRY=0 is respected, and what comes of it is seen here."""
    skip_if_silent(alone)
    process = home.start(COMMAND, "predict", picture, ORT_DISABLE_TELEMETRY="0")
    assert process.wait() == 0
    assert home.files() == alone.files


@pytest.mark.parametrize(
    "module",
    ["oraclezoo", "oraclezoo.cli", "oraclezoo.onnx_export.session", "oraclezoo.benching.actions"],
)
def test_switches_are_set_before_any_library(home: Home, module: str) -> None:
    """Importing any part sets them, before onnxruntime and huggingface_hub can read them."""
    code = f"""
import os, sys
switches = dict(onnxruntime={SWITCHES[0]!r}, huggingface_hub={SWITCHES[1]!r})
class Watch:
    def find_spec(self, name, path=None, target=None):
        assert name not in switches or os.environ[switches[name]] == "1"
sys.meta_path.insert(0, Watch())
import {module}
print(*(os.environ[switch] for switch in switches.values()))
"""
    process = home.start(code)
    assert process.wait() == 0, home.output.read_text()
    assert home.output.read_text().split() == ["1", "1"]


@pytest.mark.parametrize("value", ["0", "", "false"])
@pytest.mark.parametrize("switch", SWITCHES[:2])
def test_what_the_user_has_set_stays(home: Home, switch: str, value: str) -> None:
    """Also an empty value."""
    code = f"import json, os, oraclezoo; print(json.dumps(os.environ[{switch!r}]))"
    process = home.start(code, **{switch: value})
    assert process.wait() == 0
    assert json.loads(home.output.read_text()) == value


def sources() -> list[Path]:
    """Scripts, plugins and pages, whose code may run in processes of its own."""
    patterns = (
        "benchmarks/**/*.py",
        "plugins/**/*.py",
        "plugins/**/*.md",
        "docs/**/*.py",
        "docs/**/*.md",
        "docs/examples/*.ipynb",
        "src/**/*.md",
        "src/**/*.txt",
        "README.md",
    )
    files = [path for pattern in patterns for path in ROOT.glob(pattern)]
    return [path for path in files if not {"_build", "_gallery"} & set(path.parts)]


IMPORT = re.compile(r"^\W*(?:import|from)\s+(?:[\w, ]+,\s*)?(onnxruntime|oraclezoo)\b|ORT_DISABLE_")


def test_no_snippet_imports_onnxruntime_first() -> None:
    """It comes after oraclezoo or after the switch, within a file and within a page's snippet."""
    assert len(sources()) > 50
    late = []
    for path in sources():
        covered = False
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("```"):
                covered = False
            match = IMPORT.search(line)
            if match is None:
                continue
            if match.group(1) == "onnxruntime" and not covered:
                late.append(f"{path.relative_to(ROOT)}: {line}")
            covered = True
    assert late == []


def test_every_dependency_is_on_the_page() -> None:
    """A new one is looked at before it is added: docs/reference/privacy.md says what it sends."""
    page = (ROOT / "docs" / "reference" / "privacy.md").read_text(encoding="utf-8").lower()
    listed = set(re.findall(r"`([\w.-]+)`", page))
    wanted = set()
    for file in (ROOT / "pyproject.toml", *ROOT.glob("plugins/*/pyproject.toml")):
        project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
        extras = project.get("optional-dependencies", {})
        for lines in (project["dependencies"], *extras.values()):
            wanted |= {name_of(line) for line in lines}
    assert wanted - listed - {"oraclezoo"} == set()
