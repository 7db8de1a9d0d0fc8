"""A spec refuses wrong names, options and values before anything heavy is imported."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oraclezoo.errors import PluginError, UnknownOptionError, UsageError, nearest
from oraclezoo.recipe import parse_value
from oraclezoo.specs import Option, OptionType, Spec, Value

OPTIONS = (
    Option("lr", "float", 0.1, low=0.0, high=10.0),
    Option("steps", "int", 5, low=1),
    Option("nesterov", "bool", True),
    Option("mode", "str", "fast", choices=("fast", "exact")),
    Option("betas", "floats", (0.9, 0.99), low=0.0, high=1.0),
    Option("maximum", "float", None),
)
SPEC = Spec("optimizer", "sgd", "json:dumps", "a summary", OPTIONS)

VALID: dict[str, st.SearchStrategy[Any]] = {
    "lr": st.floats(0, 10),
    "steps": st.integers(1, 10**6),
    "nesterov": st.booleans(),
    "mode": st.sampled_from(["fast", "exact"]),
    "betas": st.lists(st.floats(0, 1)),
    "maximum": st.none() | st.floats(-1e9, 1e9),
}


@given(st.fixed_dictionaries({}, optional=VALID))
def test_fill_keeps_what_is_given_and_defaults_the_rest(given: dict[str, Any]) -> None:
    """All options come back, once, in the order they were declared; filling again changes none."""
    filled = SPEC.fill(given)
    assert list(filled) == [option.name for option in OPTIONS]
    for option in OPTIONS:
        wanted = given.get(option.name, option.default)
        assert filled[option.name] == (tuple(wanted or ()) if option.name == "betas" else wanted)
    assert SPEC.fill(filled) == filled


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lr", "0.1"),
        ("lr", True),
        ("lr", None),
        ("lr", -0.1),
        ("lr", 10.5),
        ("lr", math.nan),
        ("lr", math.inf),
        ("steps", 2.0),
        ("steps", 0),
        ("steps", True),
        ("nesterov", 1),
        ("nesterov", "true"),
        ("mode", "slow"),
        ("mode", 3),
        ("betas", 0.9),
        ("betas", [0.9, 1.5]),
        ("betas", ["0.9"]),
        ("maximum", "x"),
    ],
)
def test_a_wrong_value_is_refused_by_name(name: str, value: object) -> None:
    """Wrong type, out of bounds, not finite or not a choice; nothing is converted in silence."""
    with pytest.raises(UsageError, match=rf"^optimizer\.{name} is "):
        SPEC.fill({name: value})


def test_whole_numbers_do_for_floats_and_become_floats() -> None:
    """So that ``lr = 1`` and ``lr = 1.0`` give the same recipe hash."""
    filled = SPEC.fill({"lr": 1, "betas": [0, 1]})
    assert (repr(filled["lr"]), repr(filled["betas"])) == ("1.0", "(0.0, 1.0)")


def test_an_unknown_option_lists_the_nearest() -> None:
    """Or that there are none at all."""
    with pytest.raises(UnknownOptionError, match="no option 'nestrov'; did you mean 'nesterov'"):
        SPEC.fill({"nestrov": True})
    with pytest.raises(UnknownOptionError, match="takes no options"):
        Spec("dataset", "d", "a:b", "").fill({"x": 1})


@pytest.mark.parametrize("name", ["", "-a", "a b", "a:b", "a/b/c", "../a", "a\n", "/a", "a/"])
def test_names_stay_fit_for_a_command_line_and_a_file(name: str) -> None:
    """A colon qualifies, and a path or a space never belongs to a name."""
    with pytest.raises(PluginError, match="letters"):
        Spec("backbone", name, "a:b", "")


@pytest.mark.parametrize("target", ["", "a", "a.b", ":b", "a:", "a:b:c", "a b:c", "os;x:y"])
def test_a_target_is_module_and_attribute(target: str) -> None:
    """Anything else is refused when the spec is made, not when it is built."""
    with pytest.raises(PluginError, match=r"package\.module:attribute"):
        Spec("backbone", "a", target, "")


def test_impossible_specs_are_refused() -> None:
    """A kind that is none, an option twice, options of a data set."""
    twice = (Option("a", "int", 1), Option("a", "int", 2))
    with pytest.raises(PluginError, match="declared twice"):
        Spec("backbone", "a", "a:b", "", twice)
    with pytest.raises(PluginError, match="no options"):
        Spec("dataset", "a", "a:b", "", twice[:1])
    with pytest.raises(PluginError, match="is not one of"):
        Spec("net", "a", "a:b", "")  # type: ignore[arg-type]  # what is tested


def test_a_spec_cannot_be_changed() -> None:
    """Nor through the mappings it was made from."""
    facts = {"prunable": True}
    spec = Spec("backbone", "a", "a:b", "", facts=facts)
    facts["prunable"] = False
    assert spec.facts["prunable"] is True
    with pytest.raises(TypeError):
        spec.facts["prunable"] = False  # type: ignore[index]  # what is tested
    with pytest.raises(AttributeError):
        spec.name = "b"  # type: ignore[misc]  # what is tested


def test_load_returns_the_target_and_says_what_is_wrong_with_it() -> None:
    """Not there, no such attribute, or not callable: a PluginError that names it."""
    import json

    assert SPEC.load() is json.dumps
    assert Spec("backbone", "a", "json:JSONDecoder.decode", "").load() is json.JSONDecoder.decode
    for target in ("zoo_nowhere:x", "json:nowhere", "json:__doc__"):
        with pytest.raises(PluginError, match=rf"its target {target}"):
            Spec("backbone", "a", target, "").load()


@pytest.mark.parametrize(
    ("kind", "value"), [("float", 1.5), ("int", 2), ("bool", False), ("str", "x"), ("floats", ())]
)
def test_a_default_of_none_makes_an_option_optional(kind: OptionType, value: Value) -> None:
    """None is then a value; for the others it is not."""
    assert Option("o", kind, None).check(None, "w") is None
    with pytest.raises(UsageError):
        Option("o", kind, value).check(None, "w")


def test_nearest_lists_near_names_or_a_short_whole() -> None:
    """At most three near ones; all of them when they are few; nothing when they are many."""
    assert nearest("resnet81", ["resnet18", "vit"]) == "; did you mean 'resnet18'?"
    assert nearest("zzz", ["b", "a"]) == "; available: a, b"
    assert nearest("zzz", [f"name-{i}" for i in range(50)]) == ""
    assert nearest("aab", [f"aa{i}" for i in range(9)]).count("'") == 6


LATER = Option("decay_norms", "bool", False, later=True)


@pytest.mark.parametrize("value", [False, True])
def test_a_later_option_is_part_of_a_recipe_only_where_it_is_changed(value: bool) -> None:
    """The component always gets it; hashes of before the option stay."""
    spec = Spec("optimizer", "sgd", "json:dumps", "a summary", (*OPTIONS, LATER))
    assert spec.fill({})["decay_norms"] is False
    assert spec.decide({}) == SPEC.decide({}) == SPEC.fill({})
    assert spec.decide({"decay_norms": value}) == SPEC.fill({}) | (
        {"decay_norms": True} if value else {}
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("lr", "float", None, "", 10, 1), "low = 10 is above high = 1"),
        (("lr", "float", None, "", math.nan), "low and high must be numbers"),
        (("lr", "float", None, "", "0"), "low and high must be numbers"),
        (("lr", "double", 0.1), "type 'double' is not one of float, int"),
        (("lr", "bool", True, "", 0), "type bool has no bounds"),
        ((5, "float", 0.1), "its name must be a string"),
        (("m", "str", "a", "", None, None, "abc"), "write a tuple of strings"),
        (("m", "str", "a", "", None, None, (1,)), "write a tuple of strings"),
        (("m", "int", 1, "", None, None, ("1",)), "only options of type str have choices"),
    ],
)
def test_an_option_that_no_value_fits_is_refused(arguments: tuple[Any, ...], says: str) -> None:
    """When it is declared, not when somebody sets it."""
    with pytest.raises(PluginError, match=says):
        Option(*arguments)


def test_choices_and_options_may_be_lists() -> None:
    """They are kept as tuples."""
    option = Option("m", "str", "a", choices=["a", "b"])  # type: ignore[arg-type]  # a list
    assert option.choices == ("a", "b")
    spec = Spec("backbone", "net", "a:b", "", [option])  # type: ignore[arg-type]  # a list
    assert spec.options == (option,)


@pytest.mark.parametrize("name", [5, None, ("net",), b"net"])
def test_a_name_that_is_no_string_is_refused(name: Any) -> None:
    """It would break the listing of all components."""
    with pytest.raises(PluginError, match="a name is a string"):
        Spec("backbone", name, "a:b", "")
    with pytest.raises(PluginError, match=r"is not 'package\.module:attribute'"):
        Spec("backbone", "net", name, "")
    with pytest.raises(PluginError, match="options must be"):
        Spec("backbone", "net", "a:b", "", (name,))


@pytest.mark.parametrize(
    ("type", "value", "spelling"),
    [
        ("bool", "False", "false"),
        ("bool", "yes", "true"),
        ("bool", 0, "false"),
        ("float", ".5", "0.5"),
        ("float", "5.", "5"),
        ("float", "0.123456789", "0.123456789"),
        ("int", "064", "64"),
        ("int", 3.0, "3"),
        ("str", 3, '"3"'),
        ("str", True, '"true"'),
        ("floats", ".9, 0.99", "[0.9, 0.99]"),
        ("bool", "maybe", ""),
        ("float", "fast", ""),
        ("float", True, ""),
        ("int", 2.5, ""),
        ("floats", "fast,slow", ""),
    ],
)
def test_errors_suggest_the_toml_spelling(type: OptionType, value: Any, spelling: str) -> None:
    """A value whose meaning is clear comes with the text that is accepted."""
    option = Option("key", type, None if type == "floats" else 0)
    with pytest.raises(UsageError) as caught:
        option.check(value, "augment")
    message = str(caught.value)
    assert message.startswith(f"augment.key is {value!r}; it must be of type {type}")
    assert message.endswith(f": write {spelling}" if spelling else f"of type {type}")
    if spelling:
        option.check(parse_value(spelling), "augment")
