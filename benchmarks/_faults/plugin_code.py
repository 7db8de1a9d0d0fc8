"""Section 1, first half: a plugin's code is part of what was measured, whatever it raises."""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from _faults.judge import checked, message, refused, survived, told
from _faults.lab import Lab, mentions, read
from _faults.process import Ran, Setting
from _faults.records import Attempt, Case, Verdict
from _faults.site import install, net

NAMED = r"hostile"
KEPT = r"kept from before|\(reused\b"
"""What `bench` says of a job that it did not repeat."""
OTHER_OUTPUT = net(after=" * -1")
"""The same weights, another function."""
WIDER = net(width=24)
"""Other weights."""


def bench(lab: Lab, setting: Setting, *recipes: Path, out: str = "results", seeds: int = 1) -> Ran:
    """Benchmark recipes on the small data, without timing."""
    folder = setting.folder
    words = ("--data-dir", lab.data, "--seeds", str(seeds), "--accuracy-only", "--device", "cpu")
    places = ("--out", folder / out, "--runs", folder / "runs")
    return lab.zoo.run(setting, "bench", *recipes, *words, *places)


def results(folder: Path) -> list[dict[str, Any]]:
    """Return the result documents in a folder."""
    return [read(path) for path in sorted(folder.glob("*.json"))]


def leaderboard_rows(ran: Ran) -> list[dict[str, Any]]:
    """Return the rows of all tables of ``leaderboard --json``."""
    return [row for table in ran.data["tables"] for row in table["rows"]]


def identity(result: dict[str, Any]) -> str:
    """Return what a result states on code, components and plugins."""
    code = [result["code_sha256"], result["components"]["backbone"], result.get("plugins")]
    return json.dumps(code, sort_keys=True)


def edited_bench(lab: Lab) -> Iterator[Attempt]:
    """Bench, bench again, edit the plugin's network, bench again."""
    with lab.folder() as folder:
        setting = Setting(folder, paths=(install(folder / "site"),))
        recipe = lab.recipe(folder, backbone="hostile:net")
        lab.need(bench(lab, setting, recipe))
        first = results(folder / "results")[-1]
        again = bench(lab, setting, recipe)
        kept = "" if mentions(again.said, KEPT) == [] else "it does not say that the job was kept"
        yield lab.say(survived("bench again, nothing edited", again, lambda: kept))
        for what, code in (("weights keep their shapes", OTHER_OUTPUT), ("shapes change", WIDER)):
            install(folder / "site", code=code)
            after = bench(lab, setting, recipe)
            latest = max(results(folder / "results"), key=lambda one: one["created"])
            same = not mentions(after.said, KEPT) or latest["seeds"] == first["seeds"]
            stale = "the result of the edited plugin is the old one" if same else ""
            yield lab.say(survived(f"bench after an edit, {what}", after, lambda s=stale: s))
            reason = rf"{NAMED}.*(chang|edit|differ|other code)|(chang|edit|differ).*{NAMED}"
            unsaid = not any(re.search(reason, line) for line in after.err.splitlines())
            yield lab.say(
                checked(
                    f"reason given after the edit, {what}",
                    f"the output names no change of the plugin: {message(after)}" if unsaid else "",
                    after,
                    verdict=Verdict.UNCLEAR,
                )
            )


def digest_in_result(lab: Lab) -> Iterator[Attempt]:
    """Results before and after an edit; and two rows of a leaderboard from them."""
    with lab.folder() as folder:
        setting = Setting(folder, paths=(install(folder / "site"),))
        recipe = lab.recipe(folder, backbone="hostile:net")
        lab.need(bench(lab, setting, recipe, out="before"))
        install(folder / "site", code=WIDER)
        other = setting.but(folder=folder / "elsewhere")
        other.folder.mkdir()
        ran = lab.need(bench(lab, other, recipe, out="after"))
        before, after = results(folder / "before")[0], results(other.folder / "after")[0]
        same = identity(before) == identity(after)
        yield lab.say(
            checked(
                "code identity of two results, plugin edited between",
                "code_sha256 and components are the same for different code" if same else "",
                ran,
            )
        )
        shown = lab.zoo.run(
            setting, "leaderboard", folder / "before", other.folder / "after", "--json"
        )

        def merged() -> str:
            rows = leaderboard_rows(shown)
            return "" if len(rows) == 2 else f"the leaderboard has {len(rows)} row for two plugins"

        yield lab.say(survived("leaderboard of both results", shown, merged))


def published_table(lab: Lab) -> Iterator[Attempt]:
    """The published rows have eight digests of oraclezoo's own code and stay one table."""
    for track in ("oracle-mnist-3k", "glyphs-3k"):
        expected = {
            (one["recipe"]["hash"], one["hardware"]["class"])
            for one in results(lab.published)
            if one["track"]["name"] == track
        }
        ran = lab.zoo.run(
            Setting(lab.work), "leaderboard", lab.published, "--track", track, "--json"
        )

        def fault(ran: Ran = ran, rows: int = len(expected)) -> str:
            found = len(leaderboard_rows(ran))
            return "" if 0 < found <= rows else f"{found} rows of {rows} results"

        yield lab.say(survived(f"leaderboard of the published {track} results", ran, fault))


def loaded_under_change(lab: Lab) -> Iterator[Attempt]:
    """Train with version 1.0, then load with other code of the same and of another version."""
    with lab.folder() as folder:
        setting = Setting(folder, paths=(install(folder / "site"),))
        run = lab.train(folder / "trained", lab.data, setting, backbone="hostile:net")
        model = folder / "model"
        lab.need(lab.zoo.probe(setting, "run_model", run, model))
        for version, words in (("1.1", (r"1\.0", r"1\.1")), ("1.0", ("chang|differ|other|edit",))):
            install(folder / "site", code=OTHER_OUTPUT, version=version)
            ran = lab.zoo.probe(setting, "load_warnings", model)
            yield lab.say(told(f"oz.load under version {version}, other code", ran, NAMED, *words))
            ran = lab.zoo.run(setting, "evaluate", run, "--data-dir", lab.data)
            yield lab.say(told(f"evaluate under version {version}, other code", ran, NAMED, *words))


def model_pin(lab: Lab) -> Iterator[Attempt]:
    """``plugins check`` of a model: right archive, wrong digest, damaged archive, no file."""
    spec = (
        "from oraclezoo.hookspecs import hookimpl\n"
        "from oraclezoo.specs import fetched_model\n\n\n"
        "@hookimpl\ndef oraclezoo_models():\n"
        "    return [fetched_model('pinned', url={url!r}, sha256={sha!r}, size_bytes={size}, "
        "summary='A model')]\n"
    )
    with lab.folder() as folder:
        archive = folder / "pinned.tar"
        with tarfile.open(archive, "w") as tar:
            for file in sorted(lab.model.iterdir()):
                tar.add(file, file.name)
        content = archive.read_bytes()
        digest, size = hashlib.sha256(content).hexdigest(), len(content)
        site = folder / "site"

        def check(sha: str, size: int, url: str) -> Ran:
            install(site, specs=spec.format(url=url, sha=sha, size=size))
            env = {"XDG_CACHE_HOME": str(folder / f"cache-{sha[:8]}-{size}")}
            return lab.zoo.run(
                Setting(folder, paths=(site,), env=env), "plugins", "check", "hostile"
            )

        yield lab.say(survived("right digest and file", check(digest, size, archive.as_uri())))
        wrong = check("0" * 64, size, archive.as_uri())
        yield lab.say(refused("a digest that is not the archive's", wrong, "sha-?256|digest"))
        gone = check(digest, size + 1, (folder / "gone.tar").as_uri())
        yield lab.say(refused("an archive that does not exist", gone, "gone.tar"))


def train(lab: Lab, setting: Setting, backbone: str, *more: str | Path) -> Ran:
    """Train a recipe with a backbone on the small data."""
    folder = setting.folder
    recipe = lab.recipe(folder, backbone=backbone)
    words = ("--data-dir", lab.data, "--device", "cpu", "--out", folder / "runs")
    return lab.zoo.run(setting, "train", recipe, *words, *more)


def editable_submitted(lab: Lab) -> Iterator[Attempt]:
    """``submit --check`` of a result whose plugin is an editable install."""
    with lab.folder() as folder:
        site = install(folder / "site", editable=True)
        setting = Setting(folder, paths=(site,))
        recipe = lab.recipe(folder, backbone="hostile:net")
        lab.need(bench(lab, setting, recipe, seeds=5))
        ran = lab.zoo.run(setting, "submit", "--check", folder / "results", "--json")
        findings = ran.data["files"][0]["findings"] if ran.data else []
        noted = [f for f in findings if f["ok"] is not True and not mentions(f["text"], NAMED)]
        fault = "" if noted else "every finding on the plugin is a tick"
        yield lab.say(checked("submit --check of an editable plugin's result", fault, ran))


CASES = (
    Case(
        "plugin-edited-bench",
        "After an edit of a plugin (same version), `bench` says “kept from before”: old accuracy "
        "beside new latency; it says why a job was kept and why not",
        edited_bench,
    ),
    Case(
        "plugin-digest",
        "`code_sha256` is the same whatever the plugin; version and code join a row's identity",
        digest_in_result,
    ),
    Case(
        "plugin-published-table",
        "The published rows carry several digests of oraclezoo's own code and stay one table",
        published_table,
    ),
    Case(
        "plugin-load-changed",
        "`oz.load` of old weights under a changed plugin gives other output without a warning",
        loaded_under_change,
    ),
    Case(
        "plugin-editable-submit",
        "`submit` ticks an editable install that nobody else can get",
        editable_submitted,
    ),
    Case(
        "plugin-model-pin",
        "`plugins check` of a model never looks at digest or file",
        model_pin,
    ),
)
