"""Submission: genuine results are laid out for a pull request, forgeries are rejected."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import load_file, save

from oraclezoo.cli import cli
from oraclezoo.errors import ResultError, VerificationError
from oraclezoo.plugins.registry import Registry, build_registry
from oraclezoo.publish.checks import check
from oraclezoo.publish.submit import PLACE, TEXT, check_all, submit
from oraclezoo.ranking import ledger
from oraclezoo.ranking.load import load_results, published_folder
from oraclezoo.ranking.predictions import accuracy_of, losses
from oraclezoo.ranking.reproduction.record import FOLDER
from oraclezoo.result.check import digest

Document = dict[str, Any]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return build_registry()


@pytest.fixture
def honest(tmp_path: Path) -> Path:
    """Return a published result with its predictions and ledger, without corruption scores."""
    place = tmp_path / "results"
    place.mkdir()
    (document,) = published_folder().glob("oracle-mnist-3k-authors-cnn-8ccef09c650f-*.json")
    for file in (document, document.with_suffix(".safetensors")):
        shutil.copy(file, place)
    shutil.copy(published_folder() / ledger.FILE, place)
    edit(place / document.name, lambda content: content.pop("robustness"))
    return place / document.name


def edit(path: Path, change: Callable[[Document], None]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def edit_predictions(
    path: Path, change: Callable[[dict[str, Any]], None], *, fit: tuple[str, ...] = ()
) -> None:
    """Edit the arrays; update the fields of ``fit`` (sha256, accuracy, loss) to match."""
    file = path.with_suffix(".safetensors")
    arrays: dict[str, Any] = {key: value.copy() for key, value in load_file(file).items()}
    change(arrays)
    file.write_bytes(save(arrays))

    def follow(document: Document) -> None:
        if "sha256" in fit:
            document["predictions"]["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
        kept, labels = arrays["probabilities"], arrays["labels"].astype(np.int64)
        for index, row in enumerate(document["seeds"]):
            if "accuracy" in fit:
                row["accuracy"] = accuracy_of(kept[index], labels)
            if "loss" in fit:
                row["loss"] = float(losses(kept[index], labels))

    edit(path, follow)


def put_right(arrays: dict[str, Any]) -> None:
    """Make all predictions of the first seed correct."""
    labels = arrays["labels"].astype(np.int64)
    arrays["probabilities"][0] = np.where(np.arange(10) == labels[:, None], 0.91, 0.01)


def relabel(arrays: dict[str, Any]) -> None:
    """Replace the labels by the first seed's predictions."""
    answers = arrays["probabilities"][0].argmax(1)
    arrays["labels"] = answers.astype(arrays["labels"].dtype)


def drop_seeds(arrays: dict[str, Any], keep: list[int]) -> None:
    arrays["probabilities"] = np.ascontiguousarray(arrays["probabilities"][keep])


def put(*path: str | int, value: Any) -> Callable[[Path], None]:
    """Return a forgery that sets one value of the document."""

    def change(document: Document) -> None:
        node: Any = document
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = value

    return lambda file: edit(file, change)


def plugin(source: str, version: str = "0.1.0") -> Callable[[Path], None]:
    """A result whose backbone is from the distribution ``zoo-x``."""

    def change(document: Document) -> None:
        document["components"]["backbone"] |= {"distribution": "zoo-x", "version": "0.1.0"}
        code = hashlib.sha256(source.encode()).hexdigest()
        document["plugins"] = {"zoo-x": {"version": version, "sha256": code, "source": source}}

    return lambda file: edit(file, change)


def edit_recipe(file: Path) -> None:
    """Change the learning rate and update the hash."""

    def change(document: Document) -> None:
        recipe = document["recipe"]
        recipe["content"]["optimizer"]["options"]["lr"] = 0.05
        recipe["hash"] = digest(recipe["content"])

    edit(file, change)


def halve_budget(file: Path) -> None:
    """Halve the epochs of the recipe and update the hash."""

    def change(document: Document) -> None:
        recipe = document["recipe"]
        recipe["content"]["budget"]["epochs"] -= 5
        recipe["hash"] = digest(recipe["content"])

    edit(file, change)


def drop_two(file: Path) -> None:
    """Remove two seeds from the document and from the predictions."""
    edit(file, lambda document: document.update(seeds=document["seeds"][:3]))
    edit_predictions(file, lambda arrays: drop_seeds(arrays, [0, 1, 2]), fit=("sha256",))


def choose_seeds(file: Path) -> None:
    """Renumber seeds as if the third of six had been left out."""

    def change(document: Document) -> None:
        for row, seed in zip(document["seeds"], (0, 1, 3, 4, 5), strict=True):
            row["seed"] = seed

    edit(file, change)


FORGERIES: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "accuracy": (
        put("seeds", 0, "accuracy", value=0.99),
        "schema|predictions",
        "its predictions give",
    ),
    "loss": (put("seeds", 0, "loss", value=0.01), "predictions", "reported loss 0.010000"),
    "predictions": (
        lambda file: edit_predictions(file, put_right),
        "predictions",
        r"SHA-256 differs from the one in its result",
    ),
    "predictions and hash": (
        lambda file: edit_predictions(file, put_right, fit=("sha256",)),
        "predictions",
        "reported accuracy",
    ),
    "predictions, hash and accuracy": (
        lambda file: edit_predictions(file, put_right, fit=("sha256", "accuracy")),
        "predictions",
        "reported loss",
    ),
    "labels": (
        lambda file: edit_predictions(file, relabel, fit=("sha256", "accuracy", "loss")),
        "predictions",
        "not the track's test labels",
    ),
    "data hash": (
        put("track", "data_sha256", "t10k-images-idx3-ubyte.gz", value="ab" * 32),
        "data",
        r"data_sha256\.t10k-images-idx3-ubyte\.gz does not match the track's data",
    ),
    "track": (put("track", "name", value="glyphs-3k"), "data", "keys must be generated"),
    "own data": (put("track", "name", value="idx"), "data", "the digests of its data are unknown"),
    "test images": (put("track", "train", value=1900), "data", "add up to 2000 images"),
    "protocol": (put("protocol", value=0), "protocol", "uses protocol 0; the current one is 1"),
    "seeds dropped": (
        lambda file: edit(file, lambda document: document.update(seeds=document["seeds"][:4])),
        "predictions",
        "probabilities have shape",
    ),
    "seeds dropped everywhere": (drop_two, "seeds", "3 seeds; a published result needs at least 5"),
    "seeds chosen": (choose_seeds, "seeds", "0 to 4 without gaps"),
    "recipe": (
        put("recipe", "content", "budget", "epochs", value=1),
        "schema",
        "does not match recipe.content",
    ),
    "recipe and hash": (edit_recipe, "ledger", "has no entry for this recipe"),
    "recipe and hash, by id": (edit_recipe, "name", "track, recipe, hash and hardware class"),
    "budget": (halve_budget, "budget", "the recipe's budget gives"),
    "refit": (put("recipe", "refit", value=True), "recipe", "does not match recipe.content"),
    "component": (
        put("components", "optimizer", "name", value="oraclezoo:muon"),
        "recipe",
        r"components\.optimizer is oraclezoo:muon",
    ),
    "plugin without code": (
        put("components", "backbone", "distribution", value="zoo-x"),
        "plugins",
        "the code of zoo-x 0.1.0 is not stated",
    ),
    "editable plugin": (
        plugin("editable"),
        "plugins",
        "zoo-x 0.1.0 was an editable checkout, which nobody else can install",
    ),
    "plugin of another version": (
        plugin("index", version="9"),
        "plugins",
        "zoo-x is 0.1.0 in components and 9 in plugins",
    ),
    "versions": (
        put("libraries", value={"python": "3.11"}),
        "provenance",
        "missing the version of torch, numpy",
    ),
    "command": (put("command", value="by hand"), "provenance", "must be the oraclezoo command"),
    "calibration": (
        put("hardware", "calibration_s", value=None),
        "provenance",
        "required with training times",
    ),
    "future": (put("created", value="2999-01-01T00:00:00Z"), "provenance", "is in the future"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_is_refused_for_its_reason(name: str, honest: Path, registry: Registry) -> None:
    """Each edit violates the expected rule, even if other fields are made consistent."""
    forge, rule, reason = FORGERIES[name]
    assert check(honest, registry).refused == ()
    forge(honest)
    refused = check(honest, registry).refused
    assert {finding.rule for finding in refused} & set(rule.split("|")), refused
    assert any(_says(reason, finding.text) for finding in refused), refused


@pytest.mark.parametrize(
    ("source", "ok"), [("index", True), ("url", True), ("local", None), ("editable", False)]
)
def test_a_plugin_must_be_available_to_others(
    source: str, ok: bool | None, honest: Path, registry: Registry
) -> None:
    """Nobody is known to be able to install what was installed from a local path."""
    plugin(source)(honest)
    (finding,) = [one for one in check(honest, registry).findings if one.rule == "plugins"]
    assert finding.ok is ok


def _says(reason: str, text: str) -> bool:
    import re

    return re.search(reason, text) is not None


def test_invented_predictions_that_fit_pass_and_the_text_says_so(
    honest: Path, registry: Registry, tmp_path: Path
) -> None:
    """File checks cannot detect consistent forgeries; the text refers to ``reproduce``."""
    edit_predictions(honest, put_right, fit=("sha256", "accuracy", "loss"))
    submission = submit([honest], registry, out=tmp_path / "out")
    assert "only training the recipe again (`oraclezoo reproduce`) detects those" in " ".join(
        submission.text.read_text().split()
    )


def test_every_published_result_passes(registry: Registry) -> None:
    """All results in the repository pass the checks."""
    checked = check_all([published_folder()], registry)
    assert [(one.path.name, one.refused) for one in checked if one.refused] == []
    assert len([one for one in checked if one.result]) == len(load_results([published_folder()]))


def test_a_submission_is_laid_out_as_in_a_checkout(
    honest: Path, registry: Registry, tmp_path: Path
) -> None:
    """The submission has loadable files, all ledger lines, and a complete text."""
    submission = submit([honest], registry, out=tmp_path / "out")
    place = tmp_path / "out" / PLACE
    (entry,) = load_results([place])
    assert entry.result.id == honest.stem
    track = entry.result.track
    assert ledger.recipes(place, track.name, track.data_key) == ledger.recipes(
        honest.parent, track.name, track.data_key
    )
    assert check(place / honest.name, registry).refused == ()
    text = submission.text.read_text()
    assert submission.text == tmp_path / "out" / TEXT
    accuracy = 100 * np.mean([score.accuracy for score in entry.result.seeds])
    for part in (f"{accuracy:.2f}", entry.result.command, entry.result.hardware.class_):
        assert part in text
    for rule in ("schema", "seeds", "predictions", "ledger"):
        assert f"- ✓ {rule}:" in text
    assert "Reproductions: none yet" in text


def test_a_refused_one_writes_nothing(honest: Path, registry: Registry, tmp_path: Path) -> None:
    """One rejected result prevents the whole submission."""
    other = tmp_path / "other"
    shutil.copytree(honest.parent, other)
    put("seeds", 0, "accuracy", value=0.99)(honest)
    with pytest.raises(VerificationError, match="its predictions give"):
        submit([other / honest.name, honest], registry, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_published_result_may_not_change_or_go(
    honest: Path, registry: Registry, tmp_path: Path
) -> None:
    """Changed and missing published files are rejected, with the seeds whose accuracy changed."""
    before = tmp_path / "before"
    shutil.copytree(honest.parent, before)
    assert not any(one.refused for one in check_all([honest.parent], registry, against=before))
    edit_predictions(honest, put_right, fit=("sha256", "accuracy", "loss"))
    assert not any(one.refused for one in check_all([honest.parent], registry))
    refused = [
        f for one in check_all([honest.parent], registry, against=before) for f in one.refused
    ]
    assert len(refused) == 2
    assert "has changed: the accuracy of seed 0" in refused[0].text
    honest.unlink()
    honest.with_suffix(".safetensors").unlink()
    refused = [
        f for one in check_all([honest.parent], registry, against=before) for f in one.refused
    ]
    assert [finding.text for finding in refused] == ["published file is missing"] * 2


def test_broken_files_and_records_are_refused(honest: Path, registry: Registry) -> None:
    """Invalid results and reproduction records are rejected; other JSON files are ignored."""
    (honest.parent / "other.json").write_text('{"schema": "oraclezoo/other/1"}')
    (honest.parent / "broken.json").write_text("{")
    (honest.parent / FOLDER).mkdir()
    (honest.parent / FOLDER / "x.json").write_text("{}")
    checked = check_all([honest.parent], registry)
    assert {one.path.name for one in checked if one.refused} == {"broken.json", "x.json"}
    (honest.parent / "empty").mkdir()
    with pytest.raises(ResultError, match="no results in"):
        check_all([honest.parent / "empty"], registry)


def test_the_command_exits_with_3_and_the_reasons(honest: Path, tmp_path: Path) -> None:
    """The exit status is 0 for genuine results and 3 for forged ones, with all reasons."""
    runner = CliRunner()
    done = runner.invoke(cli, ["submit", "--check", str(honest.parent)])
    assert done.exit_code == 0, done.output
    assert f"{honest.name}: ok" in done.stdout
    assert "reproduce" in done.stdout
    put("seeds", 0, "accuracy", value=0.99)(honest)
    done = runner.invoke(cli, ["submit", str(honest), "--out", str(tmp_path / "out"), "--json"])
    assert done.exit_code == 3
    document = json.loads(done.stdout)
    assert document["schema"] == "oraclezoo/submit/1"
    (file,) = document["data"]["files"]
    assert file["refused"]
    assert [f["rule"] for f in file["findings"] if f["ok"] is False] == ["predictions"]
    assert not (tmp_path / "out").exists()
    assert runner.invoke(cli, ["submit", str(honest), "--against", str(tmp_path)]).exit_code == 2
