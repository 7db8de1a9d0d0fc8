"""Every command of the README and the documentation runs as printed, with a reduced budget.

``helpers/documented.py`` lists the commands that are not run, each with its reason.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from helpers import documented

COMMANDS = documented.commands()
README = [each.line for each in COMMANDS if each.page == "README.md"]
RUN = sorted({each.reduced for each in COMMANDS if each.reason is None})
RECIPE = {"budget.epochs": 1, "backbone.name": "lenet5", "data.track": "glyphs-3k"}


@pytest.fixture(scope="session")
def supplies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the files that the commands of the documentation name."""
    from PIL import Image

    import oraclezoo as oz
    from oraclezoo.data.idx import write_idx
    from oraclezoo.serving.names import locate
    from oraclezoo.serving.sources import SAMPLE

    folder = tmp_path_factory.mktemp("supplies")
    dataset = oz.registry().create("dataset", "glyphs-3k")
    part, test = dataset.split("train"), dataset.split("validation")
    (folder / "mydata").mkdir()
    write_idx(folder / "mydata" / "train-images-idx3-ubyte.gz", part.images[:400])
    write_idx(folder / "mydata" / "train-labels-idx1-ubyte.gz", part.labels[:400].astype("uint8"))
    write_idx(folder / "mydata" / "t10k-images-idx3-ubyte.gz", test.images[:100])
    write_idx(folder / "mydata" / "t10k-labels-idx1-ubyte.gz", test.labels[:100].astype("uint8"))
    shutil.copytree(folder / "mydata", folder / "bones")
    for label, name in enumerate(dataset.classes):
        (folder / "scans" / name).mkdir(parents=True)
        for number, image in enumerate(part.images[part.labels == label][:12]):
            Image.fromarray(image).save(folder / "scans" / name / f"{number}.png")
    with Image.open(SAMPLE) as sample:
        for name in ("bone.jpg", "page.png", "sheet.png", "scan.tif"):
            sample.convert("L").save(folder / name)
    run = oz.train(oz.Recipe.load("quick", RECIPE), seed=0, out=folder / "trained")
    shutil.copytree(run.folder, folder / "runs" / "done")
    oz.export(run, out=folder / "models" / "mine")
    shutil.copytree(folder / "models" / "mine", folder / "models" / "half")
    shutil.copytree(locate("oraclenet_n"), folder / "models" / "mine-int8")
    shutil.copytree(locate("oraclenet_n"), folder / "my-model")
    text = 'summary = "A test"\n' + "".join(
        (documented.ROOT / "src/oraclezoo/recipe/shipped/quick.toml").read_text().partition("\n")[2]
    )
    for name in ("mine.toml", "my-recipe.toml"):
        (folder / name).write_text(text, encoding="utf-8")
    phoenician = documented.DOCS / "examples" / "phoenician.toml"
    for name in ("phoenician.toml", "my-characters.toml"):
        shutil.copy(phoenician, folder / name)
    for path in (documented.ROOT / "benchmarks" / "results").glob("glyphs-3k-authors-cnn-*"):
        (folder / "results").mkdir(exist_ok=True)
        shutil.copy(path, folder / "results")
    return folder


def test_every_command_is_run_or_has_a_reason() -> None:
    """Exemptions are used, and a command of another program needs one."""
    assert len(RUN) > 60
    for each in COMMANDS:
        assert each.reason or re.match(r"(\w+=\S+ )?oraclezoo |find ", each.line), each
    for pattern, reason in documented.EXEMPT:
        assert any(re.match(pattern, each.line) for each in COMMANDS), (pattern, reason)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(line, marks=pytest.mark.full if documented.SLOW.match(line) else ())
        for line in RUN
    ],
)
def test_a_documented_command_runs(
    line: str, supplies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends with status 0 in a folder with the files that it names, and says nothing wrong."""
    folder = tmp_path / "work"
    shutil.copytree(supplies, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("ORACLEZOO_BUDGET__EPOCHS", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    if "--track" not in line:
        monkeypatch.setenv("ORACLEZOO_TRACK", "glyphs-3k")
    for condition, before in FIRST.items():
        if condition in line:
            before()
    out = re.search(r"--out ([^./]\S*)", line)
    if out and "sheet" not in out[1]:
        shutil.rmtree(out[1], ignore_errors=True)
    sheet = re.search(r"preview .*--out (\S+)", line)
    if sheet:
        Path(sheet[1]).unlink(missing_ok=True)
    status, output = run(line)
    gated = re.search(r"--(max-drop|max-limit|latency|size 0|gate|macs)\b", line)
    assert status == 0 or (gated and status == 3), output


def run(line: str) -> tuple[int, str]:
    """Run a command: in this process, or in a shell if it uses one."""
    from oraclezoo.cli import cli

    if re.search(r"[|>*]|^\w+=", line) and not re.search(r"'[^']*\*[^']*'", line):
        shim = Path("oraclezoo")
        shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m oraclezoo "$@"\n')
        shim.chmod(0o755)
        path = f"{Path.cwd()}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-c", line], env=os.environ | {"PATH": path}, capture_output=True, text=True
        )
        return done.returncode, done.stdout + done.stderr
    result = CliRunner().invoke(cli, shlex.split(line)[1:])
    trace = f"\n{result.exception!r}" if result.exception else ""
    return result.exit_code, result.output + trace


def bench() -> None:
    """Write a result of one seed to ``results/bench.json``, and to the folder ``measured``."""
    import oraclezoo as oz

    (result,) = oz.bench([oz.Recipe.load("quick", RECIPE)], track="glyphs-3k", seeds=1)
    folder = Path("results")
    Path("measured").mkdir()
    for path in folder.glob(f"{result.id}.*"):
        shutil.copy(path, "measured")
        shutil.copy(path, folder / f"bench{path.suffix}")


def lock() -> None:
    """Write ``bones.lock.toml``."""
    assert run('oraclezoo data lock bones --source "https://example.org/bones"')[0] == 0


def reference() -> None:
    """Write ``reference.safetensors``."""
    assert run("oraclezoo drift runs/done --save-reference reference.safetensors")[0] == 0


def sweep() -> None:
    """Write a sweep of two trials to ``mine.toml``."""
    page = (documented.DOCS / "how-to" / "train" / "sweeps.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```toml\n(.*?)```", page, re.S)
    Path("mine.toml").write_text(text, encoding="utf-8")


FIRST = {
    "results/bench.json": bench,
    "--results measured": bench,
    "bones.lock.toml": lock,
    "--reference": reference,
    "sweep --file": sweep,
}
"""What a command needs that another command of its page writes."""


def test_readme_commands_work_in_zsh_and_powershell() -> None:
    """No comments, no ``&&``, no unquoted brackets or patterns, no line continuations."""
    assert len(README) > 8
    for line in README:
        unquoted = re.sub(r"'[^']*'|\"[^\"]*\"", "", line)
        assert not re.search(r"[#&|;<>\[\]*?$`\\]|--\w+='", unquoted), line
