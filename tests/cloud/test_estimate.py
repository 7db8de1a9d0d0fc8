"""Estimates rest on measured results, name them, and admit when there is none."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oraclezoo.cloud.estimate import Estimate, estimate
from oraclezoo.plugins.registry import build_registry
from oraclezoo.ranking.load import published_folder
from oraclezoo.recipe import Recipe
from oraclezoo.recipe.resolve import resolve
from oraclezoo.recipe.suite import load_recipe

ID = "oracle-mnist-3k-default-30b5cc180930-amd-epyc-2c-1t"
REGISTRY = build_registry()
COUNTS = {"oraclezoo:oracle-mnist-3k": (1800, 200), "oraclezoo:glyphs": (24_504, 2718)}


def recipe(name: str = "default", track: str = "oracle-mnist-3k", **changes: object) -> Recipe:
    overrides = {"data.track": track, **{k.replace("_", ".", 1): v for k, v in changes.items()}}
    return resolve(load_recipe(name, overrides), REGISTRY)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one published result."""
    shutil.copy(published_folder() / f"{ID}.json", tmp_path)
    return tmp_path


@pytest.fixture
def changed(folder: Path) -> Callable[[str, Callable[[dict[str, Any]], None]], None]:
    """Add a copy of the result with another id, changed by a function."""

    def add(name: str, change: Callable[[dict[str, Any]], None]) -> None:
        document = json.loads((folder / f"{ID}.json").read_text())
        document["id"] = name
        change(document)
        (folder / f"{name}.json").write_text(json.dumps(document))

    return add


def basis(result: Estimate) -> str:
    (one,) = result.recipes
    return one.basis.result if one.basis else ""


def test_the_same_recipe_counts_as_measured(folder: Path) -> None:
    """Median, fastest and slowest seed, times the number of seeds; the cost is time and price."""
    seeds = json.loads((folder / f"{ID}.json").read_text())["seeds"]
    times = sorted(seed["train_s"] for seed in seeds)
    one = estimate([recipe()], 3, [folder], price_per_hour=7.2)
    assert one.range_s == pytest.approx((3 * times[0], 3 * times[2], 3 * times[-1]))
    document = one.to_json()
    assert document["cost"] == pytest.approx(3 * times[2] * 7.2 / 3600)
    assert document["recipes"][0]["scaled"] == 1
    text = "\n".join(one.lines())
    assert ID in text
    assert "amd-epyc-2c-1t" in text
    assert "the price you gave" in text
    assert "a GPU above all" in text


def test_a_recipe_of_the_same_net_is_scaled(folder: Path) -> None:
    """By the examples it processes; the sentence says so."""
    same = estimate([recipe()], 1, [folder])
    tenth = estimate([recipe(budget_epochs=5)], 1, [folder], counts=COUNTS)
    assert tenth.range_s[1] == pytest.approx(same.range_s[1] / 10, rel=0.01)
    assert "scaled by 0.10 for its examples" in "\n".join(tenth.lines())
    larger = estimate([recipe(track="glyphs")], 1, [folder], counts=COUNTS)
    assert larger.range_s[1] == pytest.approx(same.range_s[1] * 27_222 / 2000, rel=0.05)


@pytest.mark.parametrize(
    "other",
    [
        recipe("tiny"),
        recipe(budget_batch_size=64),
        recipe(train_precision="bf16"),
        recipe(pretrain_epochs=2),
        recipe(track="glyphs-3k"),
    ],
    ids=["net", "batch", "precision", "pretraining", "unknown track"],
)
def test_another_recipe_has_no_estimate(folder: Path, other: Recipe) -> None:
    """A guess would be taken for a measurement; the text says what to do."""
    one = estimate([other], 1, [folder], counts=COUNTS, price_per_hour=1)
    assert one.unknown == (other.name,)
    (text,) = one.lines()
    assert "no result has timed such a recipe" in text
    assert "--results" in text


def test_a_job_with_a_gpu_prefers_results_of_one(folder: Path, changed: Any) -> None:
    """And the other way round."""

    def to_gpu(document: dict[str, Any]) -> None:
        document["hardware"] |= {"device": "NVIDIA L4", "device_memory_bytes": 24 * 10**9}

    changed("on-gpu", to_gpu)
    assert basis(estimate([recipe()], 1, [folder], gpu=True)) == "on-gpu"
    assert basis(estimate([recipe()], 1, [folder])) == ID


def test_the_newest_of_equals_counts(folder: Path, changed: Any) -> None:
    """Code becomes faster."""
    changed("newer", lambda document: document.update(created="2030-01-01T00:00:00Z"))
    assert basis(estimate([recipe()], 1, [folder])) == "newer"


def test_results_without_times_do_not_count(tmp_path: Path, folder: Path, changed: Any) -> None:
    """``bench --accuracy-only`` has none."""

    def untimed(document: dict[str, Any]) -> None:
        document["created"] = "2030-01-01T00:00:00Z"
        for seed in document["seeds"]:
            seed |= {"train_s": None, "compile_s": None}

    changed("untimed", untimed)
    assert basis(estimate([recipe()], 1, [folder])) == ID


def test_other_files_are_ignored(folder: Path) -> None:
    """Only documents that call themselves results are read."""
    (folder / "notes.json").write_text('{"a": 1}')
    (folder / "list.json").write_text("[1]")
    assert basis(estimate([recipe()], 1, [folder])) == ID


def test_a_sum_says_what_is_missing(folder: Path) -> None:
    """Known recipes are summed, unknown ones named."""
    both = estimate([recipe(), recipe("tiny")], 2, [folder])
    assert both.range_s == pytest.approx(estimate([recipe()], 2, [folder]).range_s)
    text = "\n".join(both.lines())
    assert "2 seeds of 1 recipe" in text
    assert "No estimate for tiny" in text


def test_published_results_estimate_every_bundled_recipe_of_the_leaderboard() -> None:
    """The real folder is read as it is."""
    names = ("default", "tiny", "speed", "authors-cnn", "course-project")
    recipes = [recipe(name) for name in names]
    assert estimate(recipes, 5, [published_folder()]).unknown == ()
