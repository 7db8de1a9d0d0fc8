"""Plugins load in isolation; whatever breaks the contract is quarantined with a reason and fix."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from oraclezoo.errors import PluginError
from oraclezoo.plugins.host import Host, Plugin, build_host
from oraclezoo.specs import KINDS, PLUGIN_API_VERSION

SPEC = "Spec('backbone', 'net', 'a:b', 'a net')"
HOOK = f"@hookimpl\ndef oraclezoo_backbones():\n    return [{SPEC}]\n"


def hook(body: str, name: str = "oraclezoo_backbones", arguments: str = "") -> str:
    return f"@hookimpl\ndef {name}({arguments}):\n    {body}\n"


def load(site: Any, **options: Any) -> Host:
    """Return a host of the test's plugins only."""
    return build_host(paths=[str(site.folder)], **options)


def third_party(host: Host) -> list[Plugin]:
    return [plugin for plugin in host.plugins if plugin.distribution != "oraclezoo"]


QUARANTINED = {
    "raises": ("raise RuntimeError('no luck')", "RuntimeError: no luck", "zoo-x"),
    "exits": ("raise SystemExit(3)", "SystemExit", "zoo-x"),
    "syntax": ("def broken(:", "SyntaxError", "zoo-x"),
    "requirement": ("import not_installed_at_all", "'not_installed_at_all'", "pip install"),
    "misspelled": (hook("return []", "oraclezoo_backbone"), "'oraclezoo_backbones'", "rename"),
    "misspelled, unmarked": ("def oraclezoo_optimisers(): ...", "'oraclezoo_optimizers'", "rename"),
    "other hook": (
        hook("return []", "pytest_configure"),
        "unknown hook 'pytest_configure'",
        "rename",
    ),
    "unmarked": ("def oraclezoo_backbones(): ...", "not marked", "hookimpl"),
    "misspelled api": ("oraclezoo_plugin_apis = '1'", "'oraclezoo_plugin_api'", "rename"),
    "signature": (hook("return []", arguments="config"), "'config'", "no arguments"),
    "wrapper": (
        "@hookimpl(wrapper=True)\ndef oraclezoo_backbones():\n    return (yield)\n",
        "wrapper",
        "plain hook",
    ),
    "hook raises": (hook("return 1 / 0"), "ZeroDivisionError", "zoo-x"),
    "generator raises": (hook(f"yield {SPEC}; raise KeyError('late')"), "KeyError", "zoo-x"),
    "returns nothing": (hook("pass"), "returned NoneType", "iterable"),
    "returns text": (hook("return 'net'"), "returned str", "iterable"),
    "not a spec": (hook("return ['net']"), "returned a str", "iterable"),
    "wrong kind": (
        hook(f"return [{SPEC}]", "oraclezoo_optimizers"),
        "returned backbone 'net'",
        "oraclezoo_backbones",
    ),
    "bad spec": (hook("return [Spec('backbone', 'net', 'nowhere', '')]"), "nowhere", "zoo-x"),
    "twice": (hook(f"return [{SPEC}, {SPEC}]"), "twice", "rename"),
    "option is an argument": (
        hook("return [Spec('backbone', 'n', 'a:b', '', (Option('in_chans', 'int', 1),))]"),
        "'in_chans'",
        "identifier",
    ),
    "default out of bounds": (
        hook("return [Spec('backbone', 'n', 'a:b', '', (Option('w', 'int', 1, low=2),))]"),
        "[2, inf]",
        "correct",
    ),
    "fact": (hook("return [Spec('backbone', 'n', 'a:b', '', facts={'x': object()})]"), "'x'", ""),
    "fact of another type": (
        hook("return [Spec('backbone', 'n', 'a:b', '', facts={'prunable': 'false'})]"),
        "facts['prunable'] is 'false'",
        "must be of type bool",
    ),
    "option called name": (
        hook("return [Spec('backbone', 'n', 'a:b', '', (Option('name', 'str', 'x'),))]"),
        "an option cannot be called 'name'",
        "identifier",
    ),
    "timm's names": (
        hook("return [Spec('backbone', 'timm/foo', 'a:b', '')]"),
        "names that begin with 'timm/'",
        "rename",
    ),
    "name is no string": (hook("return [Spec('backbone', 5, 'a:b', '')]"), "spec 5", "zoo-x"),
    "bounds the wrong way": (
        hook("return [Spec('backbone', 'n', 'a:b', '', (Option('w', 'int', None, '', 10, 1),))]"),
        "option 'w': low = 10 is above high = 1",
        "zoo-x",
    ),
    "choices in one string": (
        hook("return [Spec('backbone', 'n', 'a:b', '', (Option('m', 'str', 'a', choices='b'),))]"),
        "option 'm': choices are 'b'; write a tuple",
        "zoo-x",
    ),
    "summary of two lines": (
        hook("return [Spec('backbone', 'n', 'a:b', 'one\\ntwo')]"),
        "single line",
        "summary",
    ),
    "newer api": (f"oraclezoo_plugin_api = '>{PLUGIN_API_VERSION}'", "plugin API", "version"),
    "api in words": ("oraclezoo_plugin_api = 'one'", "'one'", ">=1"),
    "api of odd type": ("oraclezoo_plugin_api = 1.5", "1.5", ">=1"),
}


@pytest.mark.parametrize(("source", "reason", "fix"), QUARANTINED.values(), ids=QUARANTINED)
def test_a_plugin_that_breaks_the_contract_is_quarantined_alone(
    site: Any, source: str, reason: str, fix: str
) -> None:
    """It has a reason and a fix; other plugins work, and its hooks are not kept."""
    site.add("zoo-x", source)
    site.offer("zoo-y", "good")
    host = load(site)
    bad, good = third_party(host)
    assert bad.status == "quarantined"
    assert reason in bad.reason
    assert fix in bad.fix
    assert bad.fix
    assert "Error" in bad.traceback or "SystemExit" in bad.traceback
    assert (good.status, [spec.name for spec in good.specs]) == ("ok", ["good"])
    assert [name for name, _ in host.manager.list_name_plugin()] == [
        "oraclezoo:builtin",
        "zoo-y:main",
    ]


@pytest.mark.parametrize("value", ["", "no module", "a..b", "a:b:c"])
def test_a_malformed_entry_point_is_quarantined(site: Any, value: str) -> None:
    """The value is not a module name; the next line still works."""
    site.add("zoo-x", HOOK, entry="a", value=value)
    site.add("zoo-x", HOOK, entry="b")
    bad, good = third_party(load(site))
    assert "is not a module name" in bad.reason
    assert good.status == "ok"


def test_a_line_without_an_equals_sign_is_quarantined(site: Any) -> None:
    """A malformed line of entry_points.txt is reported."""
    site.offer("zoo-x", "net")
    points = next(site.folder.glob("*.dist-info")) / "entry_points.txt"
    points.write_text(points.read_text() + "lonely\n# a comment\n\n[other]\nz = nowhere\n")
    lonely, main = third_party(load(site))
    assert (lonely.entry_point, lonely.status) == ("lonely", "quarantined")
    assert main.status == "ok"


def test_an_entry_point_whose_module_is_gone_is_quarantined(site: Any) -> None:
    """The advice is to reinstall the distribution."""
    site.add("zoo-x", "", value="zoo_gone.plugin")
    (plugin,) = third_party(load(site))
    assert "zoo_gone" in plugin.reason
    assert plugin.fix == "reinstall it: pip install --force-reinstall zoo-x"


def test_ctrl_c_during_the_import_of_a_plugin_stops_the_program(site: Any) -> None:
    """Ctrl-C belongs to the user, also while a plugin is being imported."""
    site.add("zoo-x", "import signal\nsignal.raise_signal(signal.SIGINT)")
    with pytest.raises(KeyboardInterrupt):
        load(site)


def test_a_keyboard_interrupt_that_nobody_pressed_is_the_plugins_fault(site: Any) -> None:
    """A plugin that raises it is quarantined as for any other exception."""
    site.add("zoo-x", "raise KeyboardInterrupt")
    site.offer("zoo-y", "good")
    bad, good = third_party(load(site))
    assert (bad.status, good.status) == ("quarantined", "ok")
    assert "KeyboardInterrupt" in bad.reason


def test_a_fact_without_effect_is_a_note(site: Any) -> None:
    """A newer oraclezoo may know it, so that the plugin works; the nearest known one is named."""
    site.add("zoo-x", hook("return [Spec('backbone', 'n', 'a:b', '', facts={'prunabel': True})]"))
    (plugin,) = third_party(load(site))
    assert plugin.status == "ok"
    ((why, fix),) = plugin.notes
    assert "facts['prunabel'], which has no effect; did you mean 'prunable'" in why
    assert "rename" in fix


def test_every_fact_of_a_built_in_component_is_known(site: Any) -> None:
    """The table of facts is complete."""
    assert load(site).plugins[0].notes == ()


@pytest.mark.parametrize("declared", ["'>=1'", "'1'", "1", "'>=1, <2'", "'!=7,<=1,==1'", "None"])
def test_a_plugin_may_declare_the_api_it_supports(site: Any, declared: str) -> None:
    """All comparisons of integers must hold."""
    site.add("zoo-x", f"oraclezoo_plugin_api = {declared}\n{HOOK}")
    assert third_party(load(site))[0].status == "ok"


def test_two_distributions_may_use_the_same_entry_point_name(site: Any) -> None:
    """Both are loaded."""
    site.offer("zoo-a", "one", entry="net")
    site.offer("zoo-b", "two", entry="net")
    plugins = third_party(load(site))
    assert [plugin.name for plugin in plugins] == ["zoo-a:net", "zoo-b:net"]
    assert [plugin.specs[0].name for plugin in plugins] == ["one", "two"]


def test_two_entry_points_of_a_distribution_may_not_offer_the_same_name(site: Any) -> None:
    """``distribution:name`` must be unique, so the second entry point is quarantined."""
    site.offer("zoo-a", "net", entry="first")
    site.offer("zoo-a", "net", entry="second")
    first, second = third_party(load(site))
    assert first.status == "ok"
    assert second.status == "quarantined"
    assert "zoo-a:first" in second.reason


def test_an_entry_point_declared_twice_keeps_the_first(site: Any) -> None:
    """Only the second one is quarantined."""
    site.offer("zoo-a", "one")
    site.offer("zoo-a", "two")
    host = load(site)
    assert sorted(plugin.status for plugin in third_party(host)) == ["ok", "quarantined"]
    assert host.manager.has_plugin("zoo-a:main")


def test_two_entry_points_of_the_same_module_are_one_plugin(site: Any) -> None:
    """The second one names the first."""
    module = site.offer("zoo-a", "net")
    site.add("zoo-b", "", value=module)
    _, second = third_party(load(site))
    assert second.reason == "zoo-a:main is the same module"


def test_a_distribution_seen_twice_counts_once(site: Any) -> None:
    """An editable checkout leaves an egg-info next to the installed dist-info."""
    module = site.offer("Zoo_A", "net")
    checkout = site.folder / "checkout"
    egg = checkout / "Zoo.A.egg-info"
    egg.mkdir(parents=True)
    (egg / "PKG-INFO").write_text("Name: zoo.a\nVersion: 0.9\n")
    (egg / "entry_points.txt").write_text(f"[oraclezoo]\nmain = {module}\n")
    host = build_host(paths=[str(site.folder), str(checkout), str(site.folder)])
    assert [(p.distribution, p.version) for p in third_party(host)] == [("zoo-a", "1.0")]
    (alone,) = third_party(build_host(paths=[str(checkout)]))
    assert (alone.distribution, alone.version, alone.status) == ("zoo-a", "0.9", "ok")


def test_leftovers_of_an_uninstallation_are_no_distribution(site: Any) -> None:
    """A metadata folder without metadata does not hide the real one."""
    site.offer("zoo-a", "net")
    (site.folder / "zoo_a-0.1.dist-info").mkdir()
    (site.folder / "~oo_a-0.2.dist-info").mkdir()
    assert [plugin.version for plugin in third_party(load(site))] == ["1.0"]


def test_paths_that_are_no_folders_are_passed_over(site: Any) -> None:
    """``sys.path`` may contain zip files and missing folders."""
    (site.folder / "a.zip").write_bytes(b"PK")
    assert third_party(build_host(paths=[str(site.folder / "a.zip"), "/no/such/folder"])) == []


def test_no_distribution_may_call_itself_oraclezoo(site: Any) -> None:
    """``oraclezoo:name`` always means a built-in component."""
    site.offer("oraclezoo", "net")
    impostor = load(site).plugins[1]
    assert impostor.status == "quarantined"
    assert "built-ins" in impostor.reason


def test_a_plugin_may_be_an_object_in_a_module(site: Any) -> None:
    """``module:attribute`` names an object whose methods are hooks."""
    indented = HOOK.replace("\n", "\n    ").replace("()", "(self)")
    module = site.add("zoo-a", f"class P:\n    {indented}\nplugin = P()\n")
    points = next(site.folder.glob("*.dist-info")) / "entry_points.txt"
    points.write_text(f"[oraclezoo]\nmain = {module}:plugin [extra]\n")
    (plugin,) = third_party(load(site))
    assert (plugin.reason, [spec.name for spec in plugin.specs]) == ("", ["net"])


def test_a_plugin_may_import_modules_that_begin_like_hooks(site: Any, tmp_path: Any) -> None:
    """An imported package ``oraclezoo_x`` is not a misspelled hook."""
    (site.folder / "oraclezoo_x.py").write_text("")
    site.add("oraclezoo-x", f"import oraclezoo_x\n{HOOK}")
    assert third_party(load(site))[0].status == "ok"
    sys.modules.pop("oraclezoo_x")


def test_the_built_ins_are_a_plugin_with_all_kinds() -> None:
    """They use the same hooks, under this distribution's name."""
    (builtin,) = build_host(paths=[]).plugins
    assert (builtin.name, builtin.status) == ("oraclezoo:builtin", "ok")
    assert {spec.kind for spec in builtin.specs} | {"model"} == set(KINDS)  # none need be shipped


@pytest.mark.parametrize("disable", ["all", "Zoo.A, zoo_b", "zoo-a:main,zoo-b"])
def test_disabled_plugins_are_not_even_imported(site: Any, disable: str) -> None:
    """By normalized distribution, by entry point, or all; built-ins stay."""
    site.add("zoo-a", "raise RuntimeError")
    site.offer("zoo-b", "net")
    host = load(site, disable=disable)
    assert [plugin.status for plugin in host.plugins] == ["ok", "disabled", "disabled"]
    assert host.unknown_disabled == ()
    assert not set(site.modules) & set(sys.modules)


def test_the_environment_disables_plugins(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """``ORACLEZOO_DISABLE_PLUGINS`` is used, and its unknown names are recorded."""
    site.offer("zoo-a", "net")
    monkeypatch.setenv("ORACLEZOO_DISABLE_PLUGINS", "zoo-a, zoo-typo,zoo-a:other")
    host = load(site)
    assert third_party(host)[0].status == "disabled"
    assert host.unknown_disabled == ("zoo-typo", "zoo-a:other")


def test_strict_turns_quarantines_into_one_error(site: Any) -> None:
    """The error names all quarantined plugins, but no disabled ones."""
    site.add("zoo-a", "raise RuntimeError('first')")
    site.add("zoo-b", "raise RuntimeError('second')")
    with pytest.raises(PluginError, match=r"zoo-a:main .*first.*zoo-b:main .*second"):
        load(site, strict=True)
    assert load(site, strict=True, disable="zoo-a,zoo-b").plugins


def test_a_plugin_that_prints_does_not_write_to_stdout(
    site: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """stdout is for the command's result."""
    site.add("zoo-a", f"print('hello')\n{hook('print(1); return []')}")
    load(site)
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "hello\n1\n")


def test_a_plugin_that_offers_nothing_works_and_is_noted(site: Any) -> None:
    """It gets a warning, not an error."""
    site.add("zoo-a", "")
    (plugin,) = third_party(load(site))
    assert (plugin.status, plugin.notes[0][0]) == ("ok", "it provides no components")


def test_a_plugin_that_imports_a_heavy_library_is_noted(
    site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The warning tells the author how to avoid it."""
    monkeypatch.setitem(sys.modules, "timm", sys)  # so that all is as before in the end
    monkeypatch.delitem(sys.modules, "timm")
    site.add("zoo-a", f"import sys\nsys.modules['timm'] = sys\n{HOOK}")
    (plugin,) = third_party(load(site))
    assert plugin.status == "ok"
    assert plugin.notes[0][0].startswith("it imports timm when loaded")
