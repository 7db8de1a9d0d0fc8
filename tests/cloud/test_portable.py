"""A recipe's file becomes overrides of a bundled recipe, which resolve to the same hash."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from helpers.commands import oraclezoo
from oraclezoo.cloud.command import Folders, Selection, words
from oraclezoo.cloud.portable import as_overrides, is_file
from oraclezoo.errors import UsageError
from oraclezoo.plugins.registry import build_registry
from oraclezoo.recipe import Recipe, parse_assignments, shipped
from oraclezoo.recipe.resolve import resolve
from oraclezoo.recipe.suite import load_recipe

REGISTRY = build_registry()
OWN = """
summary = "mine; it's \\"quoted\\", with = and 龜"

[backbone]
name = "resnet8"

[optimizer]
name = "adamw"
lr = 0.003
betas = [0.8, 0.99]

[scheduler]
name = "cosine"

[augment]
flip = true
cutout = 5
"""


def digest(recipe: Recipe) -> tuple[str, str, str]:
    resolved = resolve(recipe, REGISTRY)
    return resolved.hash, resolved.name, resolved.summary


@pytest.mark.parametrize("name", shipped())
def test_a_bundled_recipe_needs_no_overrides(name: str) -> None:
    """It is its own base."""
    assert as_overrides(Recipe.load(name), REGISTRY) == (name, ())


def test_a_file_becomes_overrides(tmp_path: Path) -> None:
    """Hash, name and summary survive, also through the texts of a command line."""
    file = tmp_path / "mine.toml"
    file.write_text(OWN, encoding="utf-8")
    base, texts = as_overrides(Recipe.load(file), REGISTRY)
    assert digest(Recipe.load(base, parse_assignments(texts))) == digest(Recipe.load(file))


def test_few_changes_are_few_overrides(tmp_path: Path) -> None:
    """The nearest bundled recipe is the base."""
    file = tmp_path / "tiny2.toml"
    file.write_text(Recipe.load("tiny", {"optimizer.lr": 0.15, "name": "tiny2"}).to_toml())
    base, texts = as_overrides(Recipe.load(file), REGISTRY)
    assert base == "tiny"
    assert set(texts) == {'name="tiny2"', "optimizer.lr=0.15"}


def test_a_recipe_of_a_suites_file_too(tmp_path: Path) -> None:
    """FILE/NAME names one of its recipes."""
    suite = tmp_path / "mine.toml"
    suite.write_text('base = "plain"\n[each.small]\nbackbone = { name = "lenet5" }\n')
    source = f"{suite}/small"
    chosen = Selection((source,), assigned=("budget.epochs=3",), track="glyphs-3k")
    portable = chosen.portable(REGISTRY)
    assert not any(map(is_file, portable.recipes))
    assert [digest(one) for one in portable.load()] == [digest(one) for one in chosen.load()]


def test_own_assignments_win(tmp_path: Path) -> None:
    """A key of the file that the user overrides occurs once."""
    file = tmp_path / "mine.toml"
    file.write_text(OWN, encoding="utf-8")
    chosen = Selection((str(file),), assigned=("optimizer.lr=0.5",))
    portable = chosen.portable(REGISTRY)
    assert sum(text.startswith("optimizer.lr") for text in portable.assigned) == 1
    assert [digest(one) for one in portable.load()] == [digest(one) for one in chosen.load()]


def test_a_data_lock_travels_by_its_digest(tiny_idx: Path, tmp_path: Path) -> None:
    """Named in an override or in the recipe's file."""
    data = Path(shutil.copytree(tiny_idx, tmp_path / "data"))
    assert oraclezoo("data", "lock", data).exit_code == 0
    (lock,) = tmp_path.glob("*.toml")
    file = tmp_path / "mine.toml"
    file.write_text(f"{OWN}[data]\ntrack = 'idx'\nlock = '{lock.name}'\n", encoding="utf-8")
    for chosen in (
        Selection(("tiny",), assigned=(f"data.lock={lock}",), track="idx"),
        Selection((str(file),)),
    ):
        portable = chosen.portable(REGISTRY)
        assert [digest(one) for one in portable.load()] == [digest(one) for one in chosen.load()]
        assert portable.load()[0].data.lock
        assert str(tmp_path) not in " ".join((*portable.recipes, *portable.assigned))


def test_files_come_alone(tmp_path: Path) -> None:
    """Overrides hold for all recipes of a command; a suite's file has several."""
    file = tmp_path / "mine.toml"
    file.write_text(OWN, encoding="utf-8")
    with pytest.raises(UsageError, match="render a job for it alone"):
        Selection((str(file), "tiny")).portable(REGISTRY)
    with pytest.raises(UsageError, match="one by one, as FILE/NAME"):
        Selection(suites=(str(file),))


def test_training_takes_one_recipe() -> None:
    """And a job without any is a mistake."""
    with pytest.raises(UsageError, match="exactly one recipe"):
        Selection(("tiny", "default"), train=True)
    with pytest.raises(UsageError, match="name a recipe"):
        Selection()
    with pytest.raises(UsageError, match="given twice"):
        Selection(("tiny",), assigned=("data.track=glyphs",), track="glyphs-3k").load()


def test_the_command_has_all_words() -> None:
    """Of bench and of train; each is a word of its own, without quoting."""
    folders = Folders("/out", "/out/runs", "/data")
    chosen = Selection(("tiny",), ("quick",), ("summary=a b",), "glyphs")
    assert words(chosen, folders, ("--seeds", "3"), "cuda") == (
        *("oraclezoo", "bench", "tiny", "--suite", "quick", "-s", "summary=a b"),
        *("--track", "glyphs", "--data-dir", "/data", "--device", "cuda"),
        *("--out", "/out/results", "--runs", "/out/runs", "--seeds", "3"),
    )
    training = words(Selection(("tiny",), train=True), Folders("/out", "/runs"), (), None)
    assert training == ("oraclezoo", "train", "tiny", "--out", "/runs", "--resume")


def test_a_recipe_of_a_bundled_suite_needs_no_file() -> None:
    """SUITE/NAME is a name."""
    assert not is_file("backbones/lenet5")
    assert Selection(("backbones/lenet5",)).portable(REGISTRY).recipes == ("backbones/lenet5",)
    assert load_recipe("backbones/lenet5").name == "backbones/lenet5"
