"""``oraclezoo env --licenses``: licenses of dependencies, from their metadata."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from helpers.commands import oraclezoo
from oraclezoo.cli._shared.licenses import License, licenses


class Site:
    """A folder on the import path with metadata of distributions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, name: str, *lines: str) -> None:
        """Add a distribution of version 1.0 with further lines of metadata."""
        info = self.folder / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        text = "\n".join(["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0", *lines])
        (info / "METADATA").write_text(text + "\n", encoding="utf-8")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """An import path with more distributions."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return Site(tmp_path)


def test_requirements_are_followed(site: Site) -> None:
    """Through packages and their extras, in circles, and by any spelling of a name."""
    site.add(
        "zz-root",
        "Provides-Extra: plots",
        "Provides-Extra: all",
        "Requires-Dist: zz.core[fast] >=1",
        "Requires-Dist: zz_plot>=2; extra == 'plots'",
        'Requires-Dist: zz-root[plots]; extra == "all"',
        'Requires-Dist: zz-absent; extra == "all"',
    )
    site.add(
        "zz-core",
        "License-Expression: MIT",
        "Provides-Extra: fast",
        'Requires-Dist: zz-speed; extra == "fast"',
        'Requires-Dist: zz-unused; extra == "slow"',
        'Requires-Dist: zz-elsewhere; sys_platform == "plan9"',
    )
    site.add("zz-plot", "License: BSD", "Requires-Dist: zz-speed", "Requires-Dist: zz-shared")
    site.add("zz-speed", "Requires-Dist: zz-core")
    site.add("zz-shared")
    site.add("zz-unused")
    assert licenses("zz-root") == [
        License("zz-absent", None, None, ("all",)),
        License("zz-core", "1.0", "MIT", ("core",)),
        License("zz-plot", "1.0", "BSD", ("all", "plots")),
        License("zz-root", "1.0", None, ("core",)),
        License("zz-shared", "1.0", None, ("all", "plots")),
        License("zz-speed", "1.0", None, ("core",)),
    ]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("License-Expression: MIT OR Apache-2.0", "License: other"), "MIT OR Apache-2.0"),
        (("Classifier: License :: OSI Approved :: MIT License", "License: x"), "MIT License"),
        (
            (
                "Classifier: License :: OSI Approved",
                "Classifier: License :: OSI Approved :: BSD License",
                "Classifier: License :: Public Domain",
            ),
            "BSD License, Public Domain",
        ),
        (("Classifier: Typing :: Typed", "License: Apache 2.0"), "Apache 2.0"),
        (("License: UNKNOWN",), None),
        (("License: " + "All rights in this text " * 9,), None),
        (("License: MIT", "        Permission is granted", "        to all"), "MIT"),
        ((), None),
    ],
)
def test_what_metadata_say(site: Site, lines: tuple[str, ...], expected: str | None) -> None:
    """The expression first, then classifiers, then a short text."""
    site.add("zz-alone", *lines)
    (row,) = licenses("zz-alone")
    assert row.license == expected


def test_what_is_not_installed_has_no_licenses() -> None:
    """The caller decides what to say."""
    with pytest.raises(PackageNotFoundError):
        licenses("zz-nothing")


def test_the_command_lists_this_installation() -> None:
    """As a table and as JSON, dependencies of dependencies included."""
    table = oraclezoo("env", "--licenses")
    assert table.exit_code == 0
    assert table.stdout.splitlines()[0].split() == ["PACKAGE", "VERSION", "NEEDED", "BY", "LICENSE"]
    document = json.loads(oraclezoo("env", "--licenses", "--json").stdout)
    assert document["schema"] == "oraclezoo/licenses/1"
    rows = {row["name"]: row for row in document["data"]}
    click = rows["click"]
    assert (click["version"], click["needed_by"]) == (version("click"), ["core"])
    assert "BSD" in click["license"]
    assert rows["oraclezoo"]["license"] == "Apache-2.0"
    assert "certifi" in rows  # of requests
    assert "dev" in rows["pytest"]["needed_by"]
