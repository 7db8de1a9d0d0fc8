"""Names resolve to exactly one component with a known origin."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oraclezoo.errors import (
    AmbiguousNameError,
    PluginError,
    UnknownNameError,
    UnknownOptionError,
    UsageError,
)
from oraclezoo.plugins.host import Plugin, build_host
from oraclezoo.plugins.registry import Registry, build_registry
from oraclezoo.specs import KINDS, Kind, Option, Spec


def plugin(distribution: str, *specs: Spec, entry: str = "main", **fields: Any) -> Plugin:
    return Plugin(distribution, "1.0", entry, "module", specs=specs, **fields)


def backbone(name: str, **fields: Any) -> Spec:
    return Spec("backbone", name, fields.pop("target", "collections:OrderedDict"), "", **fields)


def backbones(distribution: str, *names: str, **fields: Any) -> Plugin:
    return plugin(distribution, *map(backbone, names), **fields)


OPTIONLESS = ("dataset", "model")
BUILTIN = backbones("oraclezoo", "resnet18", "lenet5")


@st.composite
def installations(draw: st.DrawFn) -> list[Plugin]:
    """Draw built-ins and up to four plugins with clashing names, some quarantined."""
    names = st.lists(st.sampled_from(["a", "b", "c", "timm/x"]), unique=True)
    plugins = []
    for distribution in ["oraclezoo", *draw(st.sets(st.sampled_from(["p", "q", "r-s"])))]:
        specs = [Spec(kind, n, "m:a", "") for kind in KINDS[:2] for n in draw(names)]
        broken = distribution != "oraclezoo" and draw(st.booleans())
        plugins.append(plugin(distribution, *specs, status="quarantined" if broken else "ok"))
    return plugins


@given(installations())
def test_every_entry_is_reached_by_its_qualified_name_and_by_its_shortest(
    plugins: list[Plugin],
) -> None:
    """Neither name resolves to another entry."""
    registry = Registry(plugins)
    for entry in registry:
        kind = entry.spec.kind
        assert registry.get(kind, entry.qualified) == entry
        assert registry.get(kind, registry.shortest(entry)) == entry
        assert registry.qualified(kind, entry.qualified) == entry.qualified


@given(installations(), st.sampled_from(KINDS), st.sampled_from(["a", "b", "timm/x", "z"]))
def test_a_bare_name_is_the_built_in_else_the_only_one_else_an_error(
    plugins: list[Plugin], kind: Kind, name: str
) -> None:
    """The error lists the qualified names; ``in`` agrees with ``get``."""
    working = [p for p in plugins if p.status == "ok"]
    offers = [
        p.distribution for p in working if any((s.kind, s.name) == (kind, name) for s in p.specs)
    ]
    registry = Registry(plugins)
    if "oraclezoo" in offers or (kind == "backbone" and name.startswith("timm/")):
        assert registry.qualified(kind, name) == f"oraclezoo:{name}"
    elif len(offers) == 1:
        assert registry.qualified(kind, name) == f"{offers[0]}:{name}"
    elif offers:
        with pytest.raises(AmbiguousNameError) as ambiguous:
            registry.get(kind, name)
        assert all(f"'{distribution}:{name}'" in str(ambiguous.value) for distribution in offers)
    else:
        with pytest.raises(UnknownNameError):
            registry.get(kind, name)
    actual = bool(offers) and (len(offers) == 1 or "oraclezoo" in offers)
    assert ((kind, name) in registry) == (actual or (kind == "backbone" and name == "timm/x"))


@given(installations(), st.randoms())
def test_the_order_of_plugins_decides_nothing(plugins: list[Plugin], random: Any) -> None:
    """Entries are listed once, in a canonical order."""
    shuffled = random.sample(plugins, len(plugins))
    listed = list(Registry(plugins))
    assert list(Registry(shuffled)) == listed
    assert len(Registry(plugins)) == len(listed)
    assert len(listed) == sum(len(p.specs) for p in plugins if p.status == "ok")


def test_an_unknown_name_lists_the_nearest() -> None:
    """Suggestions are bare or qualified, like the name."""
    registry = Registry([BUILTIN, backbones("zoo-a", "net"), backbones("zoo-b", "net")])
    with pytest.raises(UnknownNameError, match="did you mean 'resnet18'"):
        registry.get("backbone", "resnet81")
    with pytest.raises(UnknownNameError, match="'oraclezoo:resnet18'"):
        registry.get("backbone", "oraclezoo:resnet81")
    with pytest.raises(UnknownNameError, match="'zoo-b:net' or 'zoo-a:net'"):
        registry.get("backbone", "zoo-c:net")
    with pytest.raises(UnknownNameError, match="'zoo-c' is not installed: pip install zoo-c; did"):
        registry.get("backbone", "zoo-c:net")


@pytest.mark.parametrize("name", ["net", "zoo-a:net", "Zoo_A:net", "zoo-a:never-seen"])
def test_an_unknown_name_of_a_plugin_that_did_not_load_says_so(name: str) -> None:
    """The error refers to ``plugins doctor``."""
    out = backbones("zoo-a", "net", status="quarantined", reason="it raises KeyError")
    with pytest.raises(UnknownNameError, match=r"zoo-a:main is quarantined \(it raises KeyError\)"):
        Registry([BUILTIN, out]).get("backbone", name)


def test_an_unknown_name_may_belong_to_a_plugin_that_never_said_what_it_offers() -> None:
    """A plugin that failed at import is mentioned for any unknown bare name."""
    registry = Registry([BUILTIN, plugin("zoo-a", status="quarantined", reason="it raises")])
    with pytest.raises(UnknownNameError, match=r"did not load: zoo-a:main; see .*doctor"):
        registry.get("backbone", "net")


def test_an_unknown_kind_lists_the_kinds() -> None:
    """Kinds are singular."""
    with pytest.raises(UsageError, match="unknown kind 'backbones'; did you mean 'backbone'"):
        Registry([BUILTIN]).get("backbones", "net")  # type: ignore[arg-type]  # what is tested
    assert ("backbones", "lenet5") not in Registry([BUILTIN])
    assert "lenet5" not in Registry([BUILTIN])


def test_a_distribution_is_compared_as_installers_do() -> None:
    """``Zoo_A:net`` and ``zoo-a:net`` are equal."""
    registry = Registry([backbones("zoo-a", "net")])
    assert registry.qualified("backbone", "Zoo_A:net") == "zoo-a:net"


def test_every_timm_architecture_has_a_name() -> None:
    """It exists without timm, belongs to oraclezoo, and is not iterated over."""
    registry = Registry([BUILTIN])
    entry = registry.get("backbone", "oraclezoo:timm/resnet50")
    assert entry == registry.get("backbone", "timm/resnet50")
    assert (entry.qualified, entry.builtin) == ("oraclezoo:timm/resnet50", True)
    assert entry not in list(registry)
    assert ("optimizer", "timm/resnet50") not in registry
    assert ("backbone", "other:timm/resnet50") not in registry
    with pytest.raises(UnknownNameError):
        registry.get("backbone", "timm/ ")


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        (None, ["lenet5", "resnet18", "net"]),
        ("net", ["lenet5", "resnet18", "net"]),
        ("NET1", ["resnet18"]),
        ("*net", ["net"]),
        ("?enet5", ["lenet5"]),
        ("zoo-a:*", ["net"]),
        ("zoo-a", ["net"]),
        ("zzz", []),
    ],
)
def test_entries_match_a_glob_or_a_part_of_the_name(pattern: str | None, found: list[str]) -> None:
    """Bare and qualified names match; built-ins come first."""
    registry = Registry([backbones("zoo-a", "net"), BUILTIN])
    assert [entry.spec.name for entry in registry.entries("backbone", pattern)] == found
    assert registry.entries("optimizer", pattern) == []


def test_resolve_qualifies_and_fills() -> None:
    """Given options are validated, the others have their defaults."""
    spec = backbone("net", options=(Option("width", "float", 1.0), Option("depth", "int", 3)))
    registry = Registry([plugin("zoo-a", spec)])
    assert registry.resolve("backbone", "net", {"depth": 5}) == (
        "zoo-a:net",
        {"width": 1.0, "depth": 5},
    )
    with pytest.raises(UnknownOptionError, match="no option 'widht'; did you mean 'width'"):
        registry.resolve("backbone", "net", {"widht": 5})


SIZES = {"in_chans": 1, "num_classes": 10, "image_size": 28}


def record(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments, as a factory."""
    return args, kwargs


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Return a registry with one component of each kind, built by :func:`record`."""
    monkeypatch.setattr("collections.record", record, raising=False)
    name_option = (Option("name", "str", "x"),)
    specs = [
        Spec(
            kind,
            "it",
            "collections:record",
            "",
            () if kind in OPTIONLESS else name_option,
            fixed={"architecture": "tiny"},
        )
        for kind in KINDS
    ]
    return Registry([plugin("zoo-a", *specs)])


@pytest.mark.parametrize(
    ("kind", "args", "kwargs", "positional"),
    [
        ("backbone", (), SIZES, ()),
        ("optimizer", ([("w", 0)],), {}, ([("w", 0)],)),
        ("optimizer", (), {"named_parameters": 7}, (7,)),
        ("scheduler", ("opt",), {"total_steps": 9, "steps_per_epoch": 3}, ("opt",)),
        ("dataset", (), {"data_dir": "here", "progress": print}, ()),
        ("model", (), {"progress": print}, ()),
    ],
)
def test_create_passes_contract_arguments_fixed_ones_and_all_options(
    recording: Registry, kind: Kind, args: Any, kwargs: Any, positional: Any
) -> None:
    """Omitted options have defaults; an option may share a parameter's name."""
    option = {} if kind in OPTIONLESS else {"name": "y"}
    got_args, got = recording.create(kind, "it", *args, **kwargs, **option)
    keywords = {k: v for k, v in kwargs.items() if k != "named_parameters"}
    assert got_args == positional
    assert got == {**keywords, **option, "architecture": "tiny"}
    if option:
        assert recording.create(kind, "it", *args, **kwargs)[1]["name"] == "x"


def test_create_gives_a_data_set_no_folder_by_default(recording: Registry) -> None:
    """``data_dir`` is always passed, ``progress`` only if given."""
    assert recording.create("dataset", "it")[1] == {"data_dir": None, "architecture": "tiny"}


@pytest.mark.parametrize(
    ("kind", "args", "kwargs", "message"),
    [
        ("backbone", (), {"in_chans": 1}, "needs num_classes, image_size"),
        ("backbone", (1,), SIZES, "takes 0 positional"),
        ("optimizer", (), {}, "needs named_parameters"),
        ("optimizer", (1, 2), {}, "takes 1 positional"),
        ("scheduler", (), {"total_steps": 1, "steps_per_epoch": 1}, "needs optimizer"),
        ("scheduler", ("opt",), {"total_steps": 1}, "needs steps_per_epoch"),
        ("backbone", (), {**SIZES, "name": 3}, "must be of type str"),
        ("backbone", (), {**SIZES, "architecture": "big"}, "no option 'architecture'"),
        ("dataset", (), {"split": "test"}, "takes no options"),
        ("model", (), {"precision": "int8"}, "takes no options"),
    ],
)
def test_create_refuses_wrong_arguments_in_one_line(
    recording: Registry, kind: Kind, args: Any, kwargs: Any, message: str
) -> None:
    """Missing, surplus and wrong arguments; fixed arguments are not options."""
    with pytest.raises(UsageError, match=message):
        recording.create(kind, "it", *args, **kwargs)


def test_wrong_options_are_refused_before_the_target_is_imported() -> None:
    """A typo does not import torch; a valid call reports the missing target."""
    registry = Registry([plugin("zoo-a", backbone("net", target="zoo_nowhere:Net"))])
    with pytest.raises(UnknownOptionError):
        registry.create("backbone", "net", **SIZES, widht=2)
    with pytest.raises(PluginError, match="zoo_nowhere:Net cannot be imported"):
        registry.create("backbone", "net", **SIZES)


def test_a_factory_is_what_the_target_names() -> None:
    """The target's return value is returned."""
    registry = Registry([plugin("zoo-a", backbone("net"))])
    assert registry.create("backbone", "net", **SIZES) == OrderedDict(SIZES)


def test_clashes_are_known() -> None:
    """Entries that share a bare name are grouped, the built-in one first."""
    registry = Registry([backbones("zoo-a", "resnet18", "net"), BUILTIN, backbones("zoo-b", "net")])
    clashing: Iterable[list[str]] = [[e.qualified for e in c] for c in registry.clashes()]
    assert sorted(clashing) == [
        ["oraclezoo:resnet18", "zoo-a:resnet18"],
        ["zoo-a:net", "zoo-b:net"],
    ]


def test_the_registry_of_this_installation_has_plugins_and_built_ins(site: Any) -> None:
    """``build_registry`` searches ``sys.path`` and records provenance."""
    site.offer("zoo-fresh", "fresh-net", entry="nets")
    site.add("zoo-broken", "raise RuntimeError")
    registry = build_registry()
    entry = registry.get("backbone", "fresh-net")
    assert (entry.distribution, entry.version, entry.entry_point) == ("zoo-fresh", "1.0", "nets")
    assert registry.get("backbone", "lenet5").builtin
    assert {"zoo-fresh:nets", "zoo-broken:main"} <= {plugin.name for plugin in registry.plugins}
    with pytest.raises(PluginError, match="zoo-broken"):
        build_registry(strict=True)


@pytest.mark.parametrize("spec", build_host(paths=[]).plugins[0].specs, ids=lambda s: s.name)
def test_every_built_in_says_what_it_is(spec: Spec) -> None:
    """Each has a short summary, a source, and a help text per option."""
    assert len(spec.summary) >= 10
    assert "\n" not in spec.summary
    assert spec.source
    assert all(option.help for option in spec.options)
