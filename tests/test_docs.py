"""The documentation is true: its example works, and what it names is there."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

from oraclezoo import errors
from oraclezoo.cli import cli

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
SITE = [
    path
    for path in sorted(DOCS.rglob("*.md"))
    if path.relative_to(DOCS).parts[0] != "_build" and "zoo" not in path.relative_to(DOCS).parts
]
PAGES = [*SITE, ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
FENCE = re.compile(r"^```\{code-block\} \w+\n:caption: \"`([^`]+)`\"\n\n(.*?)^```$", re.M | re.S)

TRY_OUT = """
import torch
from oraclezoo.plugins.registry import build_registry

registry = build_registry(strict=True)
parameter = torch.nn.Parameter(torch.zeros(1))
optimizer = torch.optim.SGD([parameter], lr=0.5)
scheduler = registry.create(
    "scheduler", "geometric", optimizer, total_steps=10, steps_per_epoch=5, end=0.01
)
rates = [optimizer.param_groups[0]["lr"]]
for _ in range(10):
    optimizer.step()
    scheduler.step()
    rates.append(optimizer.param_groups[0]["lr"])
print(registry.qualified("scheduler", "geometric"), rates[0], rates[5], rates[10])
"""


def run(*command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], env=os.environ | environ, capture_output=True, text=True
    )


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The example of the plugin guide as pip would install it: a folder for PYTHONPATH."""
    guide = DOCS / "how-to" / "publish" / "plugins.md"
    files = dict(FENCE.findall(guide.read_text(encoding="utf-8")))
    project = tomllib.loads(files.pop("pyproject.toml"))["project"]
    for name, text in files.items():
        path = tmp_path / Path(name).relative_to("src")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    name, version = project["name"].replace("-", "_"), project["version"]
    info = tmp_path / f"{name}-{version}.dist-info"
    info.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {version}\n"
    (info / "METADATA").write_text(metadata)
    points = project["entry-points"]["oraclezoo"].items()
    lines = "".join(f"{key} = {value}\n" for key, value in points)
    (info / "entry_points.txt").write_text(f"[oraclezoo]\n{lines}")
    return tmp_path


def test_the_plugin_of_the_guide_is_listed(site: Path) -> None:
    """``oraclezoo list schedulers`` lists it with the built-in ones and its distribution."""
    listed = run("-m", "oraclezoo", "list", "schedulers", "--json", PYTHONPATH=str(site))
    assert listed.returncode == 0, listed.stderr
    rows = {row["name"]: row for row in json.loads(listed.stdout)["data"]}
    assert rows["geometric"]["distribution"] == "oraclezoo-geometric"
    assert rows["constant"]["distribution"] == "oraclezoo"
    doctor = run("-m", "oraclezoo", "plugins", "doctor", PYTHONPATH=str(site))
    assert doctor.returncode == 0
    assert "warning" not in doctor.stdout


def test_the_plugin_of_the_guide_works(site: Path) -> None:
    """The registry builds it by its bare name, and it does what the guide says it does."""
    done = run("-c", TRY_OUT, PYTHONPATH=str(site))
    assert done.returncode == 0, done.stderr
    name, *rates = done.stdout.split()
    assert name == "oraclezoo-geometric:geometric"
    assert [float(rate) for rate in rates] == pytest.approx([0.5, 0.05, 0.005])


def test_environment_variables_are_real() -> None:
    """Every environment variable that the documentation names occurs in the source or the tests."""
    places = ("src", "tests", "benchmarks", "containers")
    written = [path for place in places for path in (ROOT / place).rglob("*.py")]
    written += [ROOT / "noxfile.py", ROOT / "containers" / "compose.yaml"]
    source = "".join(
        path.read_text(encoding="utf-8") for path in written if path != Path(__file__).resolve()
    )
    named = {
        name
        for page in PAGES
        for name in re.findall(r"\bORACLEZOO_[A-Z][A-Z_]*\b", page.read_text(encoding="utf-8"))
        if "__" not in name  # those are section and key of a recipe
    }
    assert {"ORACLEZOO_DATA", "ORACLEZOO_DISABLE_PLUGINS"} <= named
    assert not {name for name in named if not re.search(rf"\b{name}\b", source)}


def test_exit_statuses_are_documented() -> None:
    """The table of exit statuses has success, each status of an error, and no other."""
    page = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    section = page.split("## Exit status")[1].split("\n## ")[0]
    documented = {int(status) for status in re.findall(r"^\| (\d+) \|", section, re.M)}
    classes = [item for item in vars(errors).values() if isinstance(item, type)]
    expected = {item.exit_code for item in classes if issubclass(item, errors.OracleZooError)}
    assert documented == {0} | expected


def documented_commands() -> list[str]:
    """Each line of a console block that calls oraclezoo, without what follows it in the shell."""
    commands = []
    for page in PAGES:
        for block in re.findall(r"```(?:console|sh|bash)\n(.*?)```", page.read_text("utf-8"), re.S):
            for line in re.split(r"\n|&&", re.sub(r"\\\n *", "", block)):
                call = re.match(r"\$? *(oraclezoo\b.*)", line)
                if call:
                    commands.append(call[1].strip())
    return sorted(set(commands))


@pytest.mark.parametrize("line", documented_commands())
def test_documented_command_is_accepted(line: str) -> None:
    """Command, subcommand, options and arguments of each documented call exist."""
    words = shlex.split(line, comments=True)[1:]
    words = words[: words.index(">")] if ">" in words else words  # the shell's redirection
    command: click.Command = cli
    context = click.Context(cli)
    flags = {flag for parameter in cli.params for flag in parameter.opts}
    while words and words[0] in flags:
        words.pop(0)
    while isinstance(command, click.Group) and words:
        subcommand = command.get_command(context, words[0])
        if subcommand is None:
            break
        command, words = subcommand, words[1:]
    assert command is not cli or not words, f"unknown command {words}"
    if words not in (["--help"], ["--version"]):
        command.make_context(command.name, words)  # raises click.UsageError


def test_generated_parts_need_no_torch() -> None:
    """All that is generated at build time is made, and names the built-ins, from light rooms."""
    code = (
        "import sys, generated\n"
        "text = {name: make() for name, make in generated.PAGES.items()}\n"
        "assert '[`oraclenet`](/reference/zoo/backbones/oraclenet.md)' in text['backbones']\n"
        "assert '| `shift` | float |' in text['recipe-keys']\n"
        "assert '### `seeds[]`' in text['result-fields']\n"
        "assert '`oracle-mnist-3k` | 1,800 | 200 | 1,000' in text['tracks']\n"
        "print(*[name for name in ('torch', 'timm', 'numpy') if name in sys.modules])"
    )
    done = run("-c", code, PYTHONPATH=str(DOCS / "_ext"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_every_generated_part_is_on_a_page() -> None:
    """Pages ask only for what can be generated, and nothing is generated for no page."""
    used = {
        name
        for page in SITE
        for name in re.findall(r"^% generated: (.+)$", page.read_text(encoding="utf-8"), re.M)
    }
    done = run("-c", "import generated; print(*generated.PAGES)", PYTHONPATH=str(DOCS / "_ext"))
    assert used == set(done.stdout.split())
