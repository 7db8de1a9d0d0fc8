"""Recipes: strict parsing, overrides, canonical hash."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oraclezoo.errors import RecipeError, UnknownNameError, UnknownOptionError, UsageError
from oraclezoo.plugins.registry import Registry, build_registry
from oraclezoo.recipe import (
    Recipe,
    from_environment,
    parse_assignments,
    parse_value,
    shipped,
)
from oraclezoo.recipe.resolve import resolve
from oraclezoo.recipe.sections import SECTIONS, keys


@pytest.fixture(scope="module")
def registry() -> Registry:
    """Return the registry of this environment."""
    return build_registry()


@pytest.mark.parametrize("name", shipped())
def test_shipped_recipes_resolve_and_read_back_equal(name: str, registry: Registry) -> None:
    """Every bundled recipe resolves and survives writing and reading."""
    recipe = resolve(Recipe.load(name), registry)
    again = resolve(Recipe.from_dict(tomllib.loads(recipe.to_toml())), registry)
    assert again == recipe
    assert again.hash == recipe.hash
    assert recipe.summary


def test_unknown_keys_are_refused_with_the_nearest_name(tmp_path: Path) -> None:
    """Misspelled sections and keys and wrong types raise errors."""
    text = Recipe.load("default").to_toml()
    for wrong, right, near in (
        ("[augmentt]", "[augment]", "'augment'"),
        ("epoch = ", "epochs = ", "'epochs'"),
        ("label_smothing", "label_smoothing", "'label_smoothing'"),
    ):
        path = tmp_path / "wrong.toml"
        path.write_text(text.replace(right, wrong, 1))
        with pytest.raises(RecipeError, match=near) as caught:
            Recipe.load(path)
        assert str(path) in str(caught.value)
        assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("budget.epochs", 0, "must be in"),
        ("budget.epochs", 1.5, "type int"),
        ("budget.epochs", True, "type int"),
        ("loss.label_smoothing", float("nan"), "finite"),
        ("train.precision", "fp8", "one of fp32, bf16, fp16"),
        ("train.channels_last", 1, "type bool"),
        ("optimizer", "sgd", "is a section"),
        ("optimzer.lr", 1.0, "'optimizer'"),
        ("backbone.name", 3, "needs a name"),
        ("backbone.width", {"a": 1}, "must be a number"),
        ("name", "a/b/c", "letters, digits"),
        ("name", "../b", "letters, digits"),
    ],
)
def test_values_are_checked(key: str, value: object, says: str) -> None:
    """A wrong type or a value out of bounds raises a one-line usage error."""
    with pytest.raises(UsageError, match=says):
        Recipe.load("default").override({key: value})


def test_unknown_names_list_what_there_is(tmp_path: Path) -> None:
    """The error suggests similar names, or passing a path."""
    with pytest.raises(UnknownNameError, match="'default'"):
        Recipe.load("defualt")
    with pytest.raises(RecipeError, match="no such file"):
        Recipe.load(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("[backbone\n")
    with pytest.raises(RecipeError, match=r"broken\.toml"):
        Recipe.load(broken)


def test_options_of_components_are_checked_when_resolved(registry: Registry) -> None:
    """A recipe accepts any component option; ``resolve`` validates them."""
    with pytest.raises(UnknownOptionError, match="'momentum'"):
        resolve(Recipe.load("default", {"optimizer.momentun": 0.9}), registry)
    with pytest.raises(UnknownNameError, match="'oraclenet'"):
        resolve(Recipe.load("default", {"backbone.name": "oraclnet"}), registry)


def test_naming_another_component_drops_the_old_ones_options(registry: Registry) -> None:
    """An override can replace a component by name, in any order of the overrides."""
    recipe = Recipe.load("authors-cnn", {"optimizer.lr": 0.3, "optimizer.name": "adamw"})
    assert recipe.optimizer.name == "adamw"
    assert dict(recipe.optimizer.options) == {"lr": 0.3}
    same = Recipe.load("authors-cnn", {"optimizer.name": "sgd"})
    assert same == Recipe.load("authors-cnn")
    assert resolve(recipe, registry).optimizer.options["betas"] == (0.9, 0.999)


def test_hash_is_over_what_decides_a_training_and_nothing_else(registry: Registry) -> None:
    """Name, summary and explicit defaults do not change the hash."""
    base = Recipe.load("default")
    hashed = resolve(base, registry).hash
    renamed = base.override({"name": "mine", "summary": "another"})
    assert resolve(renamed, registry).hash == hashed
    spelled = base.override({"optimizer.name": "oraclezoo:muon", "augment.elastic_grid": 4})
    assert resolve(spelled, registry).hash == hashed
    assert resolve(base.override({"optimizer.lr": 0.05}), registry).hash != hashed
    assert resolve(base.override({"data.track": "oracle-mnist-3k"}), registry).hash != hashed
    assert resolve(resolve(base, registry), registry).hash == hashed
    with pytest.raises(UsageError, match="resolved"):
        _ = base.hash


def test_integers_and_floats_of_one_value_hash_alike(registry: Registry) -> None:
    """``lr = 1`` and ``lr = 1.0`` are the same recipe."""
    one = resolve(Recipe.load("default", {"optimizer.lr": 1}), registry)
    assert one.hash == resolve(Recipe.load("default", {"optimizer.lr": 1.0}), registry).hash


@given(
    epochs=st.integers(1, 10_000),
    shift=st.floats(0, 28, allow_nan=False),
    flip=st.booleans(),
    precision=st.sampled_from(["fp32", "bf16", "fp16"]),
    lr=st.floats(1e-8, 100),
    summary=st.text(max_size=80),
)
def test_toml_round_trip(
    epochs: int, shift: float, flip: bool, precision: str, lr: float, summary: str
) -> None:
    """Any values are read back equal."""
    changes: dict[str, object] = {
        "budget.epochs": epochs,
        "augment.shift": shift,
        "augment.flip": flip,
        "train.precision": precision,
        "optimizer.lr": lr,
        "summary": summary,
    }
    recipe = Recipe.load("default", changes)
    assert Recipe.from_dict(tomllib.loads(recipe.to_toml())) == recipe


def test_assignments_are_toml_or_plain_text() -> None:
    """``-s`` accepts numbers, booleans, lists and plain words; '=' is required."""
    assert parse_assignments(["a.b=0.02", "c.d=true", "e.f=cosine", "g.h=[0.9, 0.95]"]) == {
        "a.b": 0.02,
        "c.d": True,
        "e.f": "cosine",
        "g.h": [0.9, 0.95],
    }
    assert parse_value("1\nother = 2") == "1\nother = 2"
    with pytest.raises(UsageError, match=r"section\.key=value"):
        parse_assignments(["optimizer.lr"])


def test_environment_sets_keys_of_sections_only() -> None:
    """ORACLEZOO_<SECTION>__<KEY> is an override; other variables are ignored."""
    actual = from_environment(
        {
            "ORACLEZOO_OPTIMIZER__LR": "0.5",
            "ORACLEZOO_TRAIN__CHANNELS_LAST": "false",
            "ORACLEZOO_DATA": "/somewhere",
            "PATH": "x",
        }
    )
    assert actual == {"optimizer.lr": 0.5, "train.channels_last": False}
    with pytest.raises(UsageError, match="'optimizer'"):
        from_environment({"ORACLEZOO_OPTIMISER__LR": "0.5"})


@pytest.mark.parametrize("section", list(SECTIONS.values()))
def test_every_key_has_help_and_a_valid_default(section: type) -> None:
    """Defaults are valid, and each key has a help text."""
    for name, option in keys(section).items():
        assert option.help
        assert option.check(option.default, "section") == option.default, name
    assert dataclasses.is_dataclass(section)


@pytest.mark.parametrize(
    ("name", "hash12"),
    [
        ("default", "30b5cc180930"),
        ("authors-cnn", "8ccef09c650f"),
        ("course-project", "99ec3c369252"),
        ("tiny", "42164403c378"),
        ("best", "990e3c2487a4"),
    ],
)
def test_published_recipes_keep_their_hashes(name: str, hash12: str, registry: Registry) -> None:
    """A key added later is omitted from the hash while it has its default."""
    recipe = resolve(Recipe.load(name, {"data.track": "oracle-mnist-3k"}), registry)
    assert recipe.hash12 == hash12
    assert "distill" not in recipe.canonical()
    plain = resolve(recipe.override({"evaluate.shifts": 0}), registry)
    assert "evaluate" not in plain.canonical()
    changed = resolve(recipe.override({"evaluate.shifts": 1}), registry)
    assert changed.canonical()["evaluate"] == {"shifts": 1}
    assert changed.hash != plain.hash
    assert recipe.hash in (plain.hash, changed.hash)
    assert Recipe.from_dict(tomllib.loads(changed.to_toml())).evaluate.shifts == 1


def test_options_that_came_later_leave_hashes_alone(registry: Registry) -> None:
    """An option added later is part of the recipe only if it differs from its default."""
    recipe = resolve(Recipe.load("authors-cnn"), registry)
    same = {"optimizer.decay_norms": True, "scheduler.warmup": 0.0}
    assert resolve(Recipe.load("authors-cnn", same), registry).hash == recipe.hash
    assert "decay_norms" not in recipe.canonical()["optimizer"]["options"]
    changed = resolve(Recipe.load("authors-cnn", {"optimizer.decay_norms": False}), registry)
    assert changed.canonical()["optimizer"]["options"]["decay_norms"] is False
    assert changed.hash != recipe.hash


def test_what_compresses_a_net_is_in_the_hash(registry: Registry) -> None:
    """Each variant has a separate hash; keys without effect do not count."""
    base = Recipe.load("tiny", {"data.track": "oracle-mnist-3k"})
    plain = resolve(base, registry)
    result = {
        steps: resolve(base.override({"compress.steps": steps}), registry)
        for steps in ("int8", "fp16", "prune50", "prune50+int8", "prune60+int8")
    }
    assert len({plain.hash, *(recipe.hash for recipe in result.values())}) == 6
    assert all(recipe.uncompressed.hash == plain.hash for recipe in result.values())
    assert result["int8"].canonical()["compress"] == {"steps": "int8"}
    assert result["int8"].label == "tiny (int8)"
    idle = resolve(result["int8"].override({"compress.epochs": 5}), registry)
    assert idle.hash == result["int8"].hash
    assert resolve(base.override({"compress.epochs": 5}), registry).hash == plain.hash
    tuned = resolve(result["prune50"].override({"compress.epochs": 5}), registry)
    assert tuned.canonical()["compress"] == {"steps": "prune50", "epochs": 5}
    spelled = resolve(base.override({"compress.steps": "PRUNE50 + int8"}), registry)
    assert spelled.hash == result["prune50+int8"].hash
    assert Recipe.from_dict(tomllib.loads(spelled.to_toml())).compress == spelled.compress
    with pytest.raises(UsageError, match="unknown step 'int4'"):
        base.override({"compress.steps": "int4"})


def test_a_key_that_is_given_twice_is_refused() -> None:
    """The error names the key; different keys all count."""
    assert parse_assignments(["a.x=1", "a.y=2"]) == {"a.x": 1, "a.y": 2}
    with pytest.raises(UsageError, match=r"'a\.x' is set twice"):
        parse_assignments(["a.x=1", "a.y=2", "a.x = 3"])


def test_python_spellings_are_answered_with_tomls() -> None:
    """``-s augment.flip=False`` is refused with the spelling of TOML."""
    for text, spelling in (("augment.flip=False", "false"), ("optimizer.lr=.5", "0.5")):
        with pytest.raises(UsageError, match=f": write {spelling}$"):
            resolve(Recipe.load("default", parse_assignments([text])), build_registry())
