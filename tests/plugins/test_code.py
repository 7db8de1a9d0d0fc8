"""The code of a plugin: the same for the same files, however it was installed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from oraclezoo.card import PluginSource
from oraclezoo.errors import PluginError
from oraclezoo.plugins import code
from oraclezoo.plugins.code import code_of, paths_of

FILES = {"zoo_coded/__init__.py": "x = 1\n", "zoo_coded/data/table.txt": "1 2 3\n"}


@pytest.fixture(autouse=True)
def _first_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what this process has seen of distributions."""
    monkeypatch.setattr(code, "_seen", {})


class Installation:
    """A site folder with one distribution, ``zoo-coded``."""

    def __init__(self, folder: Path) -> None:
        self.site, self.sources = folder / "site-packages", folder / "checkout" / "src"
        self.info = self.site / "zoo_coded-1.2.dist-info"
        self.info.mkdir(parents=True)
        (self.info / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: zoo-coded\nVersion: 1.2\n"
        )

    def wheel(self) -> None:
        """Install the files as a wheel from an index."""
        self._write(self.site)
        names = [*FILES, "zoo_coded/__pycache__/__init__.pyc", "../bin/zoo", "zoo_coded/gone.py"]
        (self.info / "RECORD").write_text("".join(f"{name},,\n" for name in names))
        (self.info / "INSTALLER").write_text("pip\n")

    def editable(self) -> None:
        """Install a checkout in editable mode."""
        self._write(self.sources)
        (self.info / "RECORD").write_text("_zoo_coded.pth,,\nzoo_coded-1.2.dist-info/RECORD,,\n")
        (self.site / "_zoo_coded.pth").write_text(f"{self.sources}\n")
        direct = {"url": f"file://{self.sources.parent}", "dir_info": {"editable": True}}
        (self.info / "direct_url.json").write_text(json.dumps(direct))

    def _write(self, folder: Path) -> None:
        for name, text in FILES.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    """Return an installation on ``sys.path``."""
    installed = Installation(tmp_path)
    monkeypatch.syspath_prepend(installed.sources)
    monkeypatch.syspath_prepend(installed.site)
    yield installed
    sys.modules.pop("zoo_coded", None)


def coded() -> PluginSource:
    return code_of("zoo-coded", {"zoo_coded.plugin", "torch.nn", "json"})


def test_a_wheel_and_a_checkout_of_the_same_files_have_the_same_code(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The digest covers names and contents, and the source of the install is told."""
    installation.wheel()
    wheel = coded()
    assert (wheel.version, wheel.source) == ("1.2", "index")
    installation.editable()
    monkeypatch.syspath_prepend(installation.sources)  # before the wheel's files
    checkout = coded()
    assert checkout.source == "editable"
    assert checkout.sha256 == wheel.sha256
    assert checkout == wheel  # the source is not compared
    assert checkout.text == f"1.2 (code {wheel.sha256[:8]})"


@pytest.mark.parametrize("install", ["wheel", "editable"])
@pytest.mark.parametrize("name", list(FILES))
def test_any_edit_changes_the_code(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, install: str, name: str
) -> None:
    """Of a module or of a data file; a compiled cache or a hidden file does not count."""
    getattr(installation, install)()
    root = installation.site if install == "wheel" else installation.sources
    before = coded()
    cache = root / "zoo_coded" / "__pycache__" / "__init__.cpython-311.pyc"
    cache.parent.mkdir(exist_ok=True)
    cache.write_bytes(b"compiled")
    (root / "zoo_coded" / ".hidden.py").write_text("y = 1\n")
    assert coded() == before
    (root / name).write_text("edited\n")
    monkeypatch.setattr(code, "_seen", {})
    after = coded()
    assert after.sha256 != before.sha256
    assert after.version == before.version


def test_a_file_that_is_added_or_renamed_changes_the_code_of_a_checkout(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names of the files count too."""
    installation.editable()
    package, seen = installation.sources / "zoo_coded", {coded().sha256}
    (package / "more.py").write_text("")
    monkeypatch.setattr(code, "_seen", {})
    seen.add(coded().sha256)
    (package / "more.py").rename(package / "less.py")
    monkeypatch.setattr(code, "_seen", {})
    seen.add(coded().sha256)
    assert len(seen) == 3


def test_an_edit_while_the_process_uses_the_code_is_refused(installation: Installation) -> None:
    """The process has imported the old code and would record the new one."""
    installation.editable()
    coded()
    (installation.sources / "zoo_coded" / "__init__.py").write_text("x = 2\n")
    with pytest.raises(PluginError, match=r"code of plugin zoo-coded changed .*; start again"):
        coded()


@pytest.mark.parametrize(
    ("direct", "source"),
    [
        ({"url": "https://example.org/zoo.git", "vcs_info": {"vcs": "git"}}, "url"),
        ({"url": "file:///home/me/zoo", "dir_info": {}}, "local"),
        ({"url": "file:///home/me/zoo.whl", "archive_info": {}}, "local"),
        ([], "index"),
    ],
)
def test_the_source_of_an_install(installation: Installation, direct: object, source: str) -> None:
    """PEP 610: an index leaves no ``direct_url.json``."""
    installation.wheel()
    (installation.info / "direct_url.json").write_text(json.dumps(direct))
    assert coded().source == source


@pytest.mark.parametrize("install", ["wheel", "editable"])
def test_an_edit_of_a_package_that_a_spec_borrows_changes_the_code(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, install: str
) -> None:
    """A plugin may only describe what another distribution implements."""
    getattr(installation, install)()
    library = installation.site / "zoo_library" / "net.py"
    library.parent.mkdir()
    library.write_text("x = 1\n")
    (library.parent / "weights.bin").write_bytes(b"large")
    modules = {"zoo_coded.plugin", "zoo_library.net"}
    before = code_of("zoo-coded", modules)
    assert str(library) in paths_of("zoo-coded", modules)
    library.write_text("x = 2\n")
    monkeypatch.setattr(code, "_seen", {})
    assert code_of("zoo-coded", modules).sha256 != before.sha256
    monkeypatch.setattr(code, "_seen", {})
    assert code_of("zoo-coded", {"zoo_coded.plugin"}) == coded()


def test_a_distribution_without_files_or_metadata_is_an_error(installation: Installation) -> None:
    """Two plugins whose files cannot be found would look like the same code."""
    with pytest.raises(PluginError, match="its files are not found"):
        code_of("zoo-coded", {"torch.nn"})
    with pytest.raises(PluginError, match="not installed"):
        code_of("zoo-nowhere", {"zoo_nowhere"})


def test_the_paths_of_a_distribution(installation: Installation) -> None:
    """Absolute ones, of the files that count; none of other distributions."""
    installation.editable()
    paths = paths_of("zoo-coded", {"zoo_coded", "torch", "json"})
    assert paths == {str((installation.sources / name).resolve()) for name in FILES}
    assert paths_of("zoo-nowhere", {"json"}) == frozenset()
