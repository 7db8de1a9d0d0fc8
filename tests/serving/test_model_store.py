"""Models by name: bundled ones, those of plugins, and the download cache."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

import oraclezoo as oz
from helpers.bands import CLASSES, drawn, write_model
from oraclezoo.errors import DownloadError, ResultError, UnknownNameError
from oraclezoo.plugins.registry import build_registry
from oraclezoo.serving import listing, names, store
from oraclezoo.serving.names import locate

PLUGIN = """
from oraclezoo.specs import fetched_model

@hookimpl
def oraclezoo_models():
    return [fetched_model("bands", url={url!r}, sha256={sha256!r}, size_bytes={size},
                          summary="reads bands")]
"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Silence the server's log."""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use an empty cache folder and no proxy."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.lower(), raising=False)
    return store.store_folder()


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """Serve a folder over HTTP; return the folder and its URL."""
    folder = tmp_path / "web"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def pack(path: Path, *members: tuple[tarfile.TarInfo, bytes], model: Path | None = None) -> Path:
    """Pack a model folder and further members into an archive."""
    with tarfile.open(path, "w:gz") as tar:
        if model is not None:
            tar.add(model, "bands")
        for info, content in members:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def pin(path: Path, url: str) -> dict[str, Any]:
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return {"name": "bands", "url": url, "sha256": digest, "size_bytes": len(content)}


@pytest.fixture(params=["file", "http"])
def pinned(
    request: pytest.FixtureRequest, deployed: Path, cache: Path, web: tuple[Path, str]
) -> tuple[Path, dict[str, Any]]:
    """Return a packed model's pin with an http or file URL."""
    folder, url = web
    archive = pack(folder / "bands.tar.gz", model=deployed)
    address = archive.as_uri() if request.param == "file" else f"{url}/bands.tar.gz"
    return archive, pin(archive, address)


def visible(folder: Path) -> set[str]:
    """Return the names in a folder, without locks and partial downloads."""
    return {p.name for p in folder.iterdir() if not p.name.startswith(".")}


def test_a_model_is_fetched_once_and_verified_each_time(
    pinned: tuple[Path, dict[str, Any]], cache: Path
) -> None:
    """The second use works offline."""
    archive, known = pinned
    messages: list[str] = []
    folder = store.fetched(**known, progress=messages.append)
    assert messages
    assert oz.predictor(folder).predict(drawn(2)).labels.tolist() == [2]
    assert visible(cache) == {folder.name, f"{folder.name}.json"}
    archive.unlink()
    assert store.fetched(**known) == folder
    assert store.is_fetched("bands", known["sha256"])


@pytest.mark.parametrize("harm", ["damage", "truncate", "add", "remove", "forget"])
def test_what_differs_from_the_archive_is_fetched_anew(
    harm: str, pinned: tuple[Path, dict[str, Any]]
) -> None:
    """A corrupt, missing or additional file, or a missing digest list, triggers a new download."""
    _, known = pinned
    folder = store.fetched(**known)
    graph = folder / "model.onnx"
    whole = graph.read_bytes()
    if harm == "damage":
        graph.write_bytes(b"x" + whole[1:])
    elif harm == "truncate":
        graph.write_bytes(whole[:100])
    elif harm == "add":
        (folder / "more.py").write_text("raise SystemExit")
    elif harm == "remove":
        graph.unlink()
    else:
        folder.with_name(f"{folder.name}.json").unlink()
    assert not store.is_fetched("bands", known["sha256"])
    assert store.fetched(**known) == folder
    assert graph.read_bytes() == whole
    assert not (folder / "more.py").exists()


def test_another_file_is_refused_and_nothing_left(
    pinned: tuple[Path, dict[str, Any]], cache: Path
) -> None:
    """A wrong, larger or missing archive leaves no files."""
    archive, known = pinned
    content = archive.read_bytes()
    for other in (content[:-1] + b"x", content + b"x"):
        archive.write_bytes(other)
        with pytest.raises(DownloadError, match=r"copy the model's folder"):
            store.fetched(**known)
        assert visible(cache) == set()
    archive.unlink()
    with pytest.raises(DownloadError, match=r"404|No such file"):
        store.fetched(**known)


def link(kind: bytes, target: str) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo("bands/link")
    info.type, info.linkname = kind, target
    return info, b""


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        ((tarfile.TarInfo("../out.txt"), b"x"), "outside"),
        (link(tarfile.SYMTYPE, "/etc/passwd"), "neither a file nor a folder"),
        (link(tarfile.FIFOTYPE, ""), "neither a file nor a folder"),
        ((tarfile.TarInfo("bands/zeros"), bytes(3_000_000)), "bytes when unpacked"),
        ((tarfile.TarInfo("other/model.json"), b"{}"), "exactly one model.json, found 2"),
    ],
    ids=["leads out", "link", "pipe", "bomb", "two models"],
)
def test_an_archive_that_is_no_models_is_refused(
    member: tuple[tarfile.TarInfo, bytes],
    reason: str,
    deployed: Path,
    cache: Path,
    tmp_path: Path,
) -> None:
    """A matching digest is not sufficient; nothing is installed."""
    archive = pack(tmp_path / "bad.tar.gz", member, model=deployed)
    with pytest.raises(ResultError, match=reason):
        store.fetched(**pin(archive, archive.as_uri()))
    assert not [path for path in cache.iterdir() if path.is_dir()]
    assert not (cache.parent / "out.txt").exists()


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b\x08\x00 no gzip"])
def test_what_is_no_archive_is_refused(content: bytes, cache: Path, tmp_path: Path) -> None:
    """The error is a single line."""
    archive = tmp_path / "bad.tar.gz"
    archive.write_bytes(content)
    known = pin(archive, archive.as_uri()) | {"size_bytes": max(1, len(content))}
    with pytest.raises(ResultError, match="not a valid model archive"):
        store.fetched(**known)


def test_a_plugin_offers_models(site: Any, pinned: tuple[Path, dict[str, Any]]) -> None:
    """A plugin's pinned model is found by its bare and its qualified name."""
    _, known = pinned
    site.add(
        "zoo-a", PLUGIN.format(url=known["url"], sha256=known["sha256"], size=known["size_bytes"])
    )
    entry = build_registry(strict=True).get("model", "bands")
    assert entry.qualified == "zoo-a:bands"
    folder = locate("bands")
    assert folder == locate("zoo-a:bands") == build_registry().create("model", "bands")
    assert oz.predictor("bands").predict([drawn(3)]).labels.tolist() == [3]


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": "ABC"},
        {"sha256": "f" * 63},
        {"url": "ftp://host/x.tar"},
        {"url": "x.tar"},
        {"size": 0},
    ],
    ids=str,
)
def test_a_plugins_model_must_be_pinned(site: Any, change: dict[str, Any]) -> None:
    """Otherwise the plugin is quarantined, with the fix."""
    good = {"url": "https://host/x.tar", "sha256": "f" * 64, "size": 9}
    site.add("zoo-a", PLUGIN.format(**good | change))
    site.add("zoo-b", PLUGIN.format(**good))
    bad, fine = build_registry().plugins[1:]
    assert (bad.status, fine.status) == ("quarantined", "ok")
    assert "model 'bands' is not pinned" in bad.reason
    assert "fetched_model" in bad.fix


def test_a_plugin_cannot_slip_in_a_factory(site: Any) -> None:
    """A model spec with another target would load unverified files."""
    site.add(
        "zoo-a",
        "@hookimpl\ndef oraclezoo_models():\n"
        "    return [Spec('model', 'mine', 'zoo_a:load', 'from nowhere')]\n",
    )
    assert build_registry().plugins[1].status == "quarantined"


@pytest.fixture
def shipping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Path]]:
    """Return a function that adds the test model to the bundled ones."""
    models = tmp_path / "models"

    def ship(name: str) -> Path:
        folder = write_model(models / name)
        files = {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()
        }
        listed = ", ".join(f'"{file}" = "{digest}"' for file, digest in files.items())
        (models / "index.toml").write_text(
            f'[{name}]\nsummary = "reads bands"\nsource = "this test"\nsize_bytes = 9\n'
            f"files = {{ {listed} }}\n"
        )
        read = listing.models
        monkeypatch.setattr(listing, "models", lambda: read(models / "index.toml"))
        monkeypatch.setattr(store, "MODELS", models)
        listing.shipped.cache_clear()
        return folder

    yield ship
    monkeypatch.undo()
    listing.shipped.cache_clear()


def test_a_shipped_name_means_the_shipped_model(
    shipping: Callable[[str], Path], site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plugins and folders of the same name do not matter; no plugin is loaded."""
    folder = shipping("bands")
    site.add("zoo-a", PLUGIN.format(url="https://host/x.tar", sha256="f" * 64, size=9))
    monkeypatch.chdir(tmp_path)
    other = write_model(tmp_path / "bands")

    def never() -> Any:
        raise AssertionError("plugins were loaded")

    assert locate("bands", never) == folder
    assert locate("./bands", never) == Path("bands")
    assert locate(other, never) == other
    assert build_registry().create("model", "bands") == folder
    assert len(oz.predictor("bands").classes) == CLASSES


def test_a_shipped_model_is_verified(shipping: Callable[[str], Path]) -> None:
    """The digests in the index are checked on each use."""
    folder = shipping("bands")
    card = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**card, "classes": list("abcd")}))
    with pytest.raises(ResultError, match=r"model\.json is corrupt: reinstall"):
        locate("bands")
    (folder / "model.json").unlink()
    with pytest.raises(ResultError, match=r"model\.json is missing: reinstall"):
        locate("bands")


def test_an_unknown_name_lists_the_nearest(shipping: Callable[[str], Path]) -> None:
    """Names that could be paths are returned as paths."""
    shipping("bands")
    with pytest.raises(UnknownNameError, match="did you mean 'bands'"):
        locate("band")
    assert locate("no/such/folder") == Path("no/such/folder")


@pytest.mark.parametrize(
    "text", ["[", '[x]\nsummary = "s"\n', "[x]\nfiles = 3\n", "x = 1\n"], ids=range(4)
)
def test_a_broken_index_is_told(text: str, tmp_path: Path) -> None:
    """An invalid index raises a one-line error."""
    path = tmp_path / "index.toml"
    path.write_text(text)
    with pytest.raises(ResultError, match="invalid model index"):
        listing.models(path)


def test_the_shipped_index_is_true() -> None:
    """Each bundled model has exactly the files of the index, with their digests."""
    for spec in listing.models():
        if spec.target != listing.SHIPPED_MODEL:
            continue
        folder = locate(spec.name)
        assert folder == listing.MODELS / spec.name
        assert {p.name for p in folder.iterdir()} == set(spec.fixed["files"])
        total = sum(path.stat().st_size for path in folder.iterdir())
        assert spec.facts["size_bytes"] == total
    assert names.DEFAULT


def test_shipped_models_are_as_small_as_is_said() -> None:
    """The bundled models take under 3 MB, and oraclenet_n under 100 kB beside its detector."""
    shipped = [spec for spec in listing.models() if spec.target == listing.SHIPPED_MODEL]
    assert sum(spec.facts["size_bytes"] for spec in shipped) < 3_000_000
    graph = locate("oraclenet_n") / "model.onnx"
    assert (
        json.loads((graph.parent / "model.json").read_text("utf-8"))["onnx"]["precision"] == "int8"
    )
    detector = (graph.parent / "unknown.safetensors").stat().st_size
    assert graph.stat().st_size - detector < 100_000


@pytest.mark.realdata
@pytest.mark.parametrize(
    "name", [s.name for s in listing.models() if s.target == listing.SHIPPED_MODEL]
)
def test_a_shipped_model_reads_as_its_card_says(name: str, oracle_dir: Path) -> None:
    """The published labels are reproduced, up to rounding on other processors."""
    stated = json.loads((locate(name) / "model.json").read_text("utf-8"))["result"]
    dataset = oz.registry().create("dataset", stated["track"], data_dir=oracle_dir)
    part = dataset.split(stated["split"])
    actual = oz.predictor(name).predict(np.asarray(part.images)).labels
    assert len(actual) == stated["images"]
    assert (actual == part.labels).mean() == pytest.approx(stated["accuracy"], abs=0.01)
