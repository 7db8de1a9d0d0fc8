"""Section 3: forged results, made from published ones with every digest right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from _faults.forge import BASES, OTHER, Forgery, base, copy_published, findings, judge
from _faults.judge import checked, crash
from _faults.lab import Lab
from _faults.process import Setting
from _faults.records import Attempt, Case


def forged(
    reason: str, *changes: tuple[str, Callable[[Forgery], None]]
) -> Callable[[Lab], Iterator[Attempt]]:
    """Return the attempts of forgeries: each change on each base, beside an honest result."""

    def attempts(lab: Lab) -> Iterator[Attempt]:
        for what, change in changes:
            for name in BASES:
                with lab.folder() as folder:
                    one = base(lab, name)
                    honest = OTHER[one.document["track"]["name"]]
                    copy_published(lab, folder, honest)
                    change(one)
                    path = one.write(folder)
                    ran = lab.zoo.run(Setting(folder), "submit", "--check", folder, "--json")
                    track = one.document["track"]["name"]
                    what_of = f"{what} ({track})"
                    yield lab.say(judge(what_of, ran, path.name, honest=honest, reason=reason))

    return attempts


def _equal_seeds(one: Forgery) -> None:
    one.probabilities[3] = one.probabilities[1]


def _all_equal(one: Forgery) -> None:
    one.probabilities[:] = one.probabilities[0]


def _stolen(one: Forgery) -> None:
    one.probabilities[:] = one.other


def _stolen_shuffled(one: Forgery) -> None:
    one.probabilities[:] = one.other[::-1]


def _hardware(**fields: Any) -> Callable[[Forgery], None]:
    return lambda one: one.document["hardware"].update(fields)


def _size(key: str, factor: float) -> Callable[[Forgery], None]:
    def change(one: Forgery) -> None:
        one.document["model"][key] = max(1, int(one.document["model"][key] * factor))

    return change


def _times(value: float) -> Callable[[Forgery], None]:
    def change(one: Forgery) -> None:
        for score in one.document["seeds"]:
            score["train_s"] = value

    return change


def _latency(value: float) -> Callable[[Forgery], None]:
    def change(one: Forgery) -> None:
        for row in one.document["latency"]:
            row.update(p50_ms=value, p95_ms=value, p99_ms=value)

    return change


def _null_option(kind: str, name: str) -> Callable[[Forgery], None]:
    return lambda one: one.content[kind]["options"].__setitem__(name, None)


def _null_key(one: Forgery) -> None:
    one.content["augment"]["nothing"] = None


def _drop(*keys: str) -> Callable[[Forgery], None]:
    def change(one: Forgery) -> None:
        part = one.content
        for key in keys[:-1]:
            part = part[key]
        part.pop(keys[-1] if keys[-1] in part else sorted(part)[-1])

    return change


def _stated_later(one: Forgery) -> None:
    """State a key that is omitted at its default."""
    one.content.setdefault("augment", {})["jpeg"] = 0.0


def _distribution(kind: str) -> Callable[[Forgery], None]:
    return lambda one: one.document["components"][kind].update(distribution="somebody-else")


def _own_name(one: Forgery) -> None:
    """Call a built-in component another distribution's."""
    for place in (one.document["components"]["backbone"], one.content["backbone"]):
        place["name"] = place["name"].replace("oraclezoo:", "somebody-else:")


def _created(value: str) -> Callable[[Forgery], None]:
    return lambda one: one.document.update(created=value)


def _version(value: str) -> Callable[[Forgery], None]:
    def change(one: Forgery) -> None:
        one.document["oraclezoo"] = value
        for part in one.document["components"].values():
            part["version"] = value

    return change


def _library(name: str, value: str) -> Callable[[Forgery], None]:
    return lambda one: one.document["libraries"].update({name: value})


def overflow(lab: Lab) -> Iterator[Attempt]:
    """A folder with a file that overflows: one verdict a file, always."""
    for key, number in (("lr", 10**400), ("momentum", -(10**350)), ("lr", None)):
        with lab.folder() as folder:
            one = base(lab, BASES[0])
            honest = OTHER["oracle-mnist-3k"]
            copy_published(lab, folder, honest)
            one.content["optimizer"]["options"][key] = 0.123456 if number is None else number
            path = one.write(folder)
            if number is None:  # infinity, which no digest can be computed of
                path.write_text(path.read_text().replace("0.123456", "1e999"))
            ran = lab.zoo.run(Setting(folder), "submit", "--check", folder, "--json")
            size = "1e999" if number is None else f"{len(str(number))} digits"
            what = f"a folder with {key} of {size}"
            yield lab.say(judge(what, ran, path.name, honest=honest))


def broken_files(lab: Lab) -> Iterator[Attempt]:
    """Folders with files that are no results at all: a verdict for each, and for the others."""
    contents = {
        "empty": "",
        "a list": "[]",
        "deep": "[" * 50_000,
        "a number": "9" * 400,
        "no text": "\ud800",
        "null": "null",
        "schema only": '{"schema": "oraclezoo/result/1"}',
    }
    for what, text in contents.items():
        with lab.folder() as folder:
            honest = OTHER["glyphs-3k"]
            copy_published(lab, folder, honest)
            (folder / "bad.json").write_text(text, errors="surrogatepass")
            ran = lab.zoo.run(Setting(folder), "submit", "--check", folder, "--json")
            yield lab.say(judge(f"a file that is {what}", ran, "bad.json", honest=honest))


def missing_plugin(lab: Lab) -> Iterator[Attempt]:
    """A result of a plugin that is not installed gets a dash that names the distribution."""
    for kind in ("backbone", "optimizer", "scheduler"):
        with lab.folder() as folder:
            one = base(lab, BASES[0])
            part = {"name": "ghost:net", "distribution": "ghost", "version": "1.0"}
            one.document["components"][kind] = part
            one.content[kind]["name"] = "ghost:net"
            path = one.write(folder)
            ran = lab.zoo.run(Setting(folder), "submit", "--check", path, "--json")
            failed = crash(ran)
            what = f"a {kind} of a plugin that is not installed"
            if failed:
                yield lab.say(Attempt(what, *failed, str(ran)))
                continue
            rows = [f for f in findings(ran, path.name) if f["rule"] == "recipe"]
            dash = any(f["ok"] is None and "ghost" in f["text"] for f in rows)
            tick = [f["text"] for f in rows if f["ok"] is True]
            fault = "" if dash else f"no dash that names it; ticks: {tick}"
            yield lab.say(checked(what, fault, ran))


CASES = (
    Case(
        "submit-overflow",
        "`submit --check` gives no verdict for a whole folder if one file overflows "
        "(`lr` of 10^400)",
        overflow,
    ),
    Case("submit-broken", "One verdict a file, always", broken_files),
    Case(
        "forged-equal-seeds",
        "Two seeds with equal predictions",
        forged("seed", ("two equal seeds", _equal_seeds), ("five equal seeds", _all_equal)),
    ),
    Case(
        "forged-stolen",
        "Predictions equal to another published row's",
        forged(
            "predictions|published",
            ("another row's", _stolen),
            ("another row's, seeds reversed", _stolen_shuffled),
        ),
    ),
    Case(
        "forged-hardware",
        "A hardware class that CPU, cores and threads do not give",
        forged(
            "hardware|class|threads|cores",
            ("another class", _hardware(**{"class": "nvidia-h200-141gib"})),
            ("more threads", _hardware(threads=64)),
            ("more cores", _hardware(cores=64)),
            ("another CPU", _hardware(cpu="Intel(R) Xeon(R)", device="Intel(R) Xeon(R)")),
        ),
    ),
    Case(
        "forged-sizes",
        "Sizes that the recipe does not give",
        forged(
            "parameters|operations|macs|bytes|size",
            ("a tenth of the parameters", _size("parameters", 0.1)),
            ("a tenth of the operations", _size("macs", 0.1)),
            ("a tenth of the bytes", _size("size_bytes", 0.1)),
        ),
    ),
    Case(
        "forged-times",
        "Times below what the arithmetic can take",
        forged(
            "time|train_s|latency|p50|fast|arithmetic",
            ("training in a microsecond", _times(1e-6)),
            ("training in 10 ms", _times(0.01)),
            ("latency of a picosecond", _latency(1e-9)),
        ),
    ),
    Case(
        "forged-null",
        "`null` options that make a second hash of one recipe",
        forged(
            "null|hash|option|key",
            ("a null option of the backbone", _null_option("backbone", "extra")),
            ("a null option of the optimizer", _null_option("optimizer", "extra")),
            ("a null key", _null_key),
        ),
    ),
    Case(
        "forged-defaults",
        "Dropped defaults that make a second hash of one recipe",
        forged(
            "default|hash|option|key|elastic_grid|clip_norm|jpeg",
            ("without augment.elastic_grid", _drop("augment", "elastic_grid")),
            ("without train.clip_norm", _drop("train", "clip_norm")),
            ("without an option of the optimizer", _drop("optimizer", "options", "eps")),
            ("a stated default that is omitted", _stated_later),
        ),
    ),
    Case(
        "forged-distribution",
        "A distribution that does not own the built-in name",
        forged(
            "distribution|somebody-else|oraclezoo",
            ("a built-in backbone, another distribution", _distribution("backbone")),
            ("a built-in data set, another distribution", _distribution("dataset")),
            ("another distribution's name, oraclezoo's distribution", _own_name),
        ),
    ),
    Case(
        "forged-dates",
        "Dates that cannot be",
        forged(
            "created|date",
            ("1999", _created("1999-01-01T00:00:00Z")),
            ("2019", _created("2019-06-01T00:00:00Z")),
            ("9999", _created("9999-01-01T00:00:00Z")),
            ("year 1", _created("0001-01-01T00:00:00Z")),
        ),
    ),
    Case(
        "forged-versions",
        "Versions that cannot be",
        forged(
            "version|oraclezoo|python|torch|numpy",
            ("oraclezoo 99.0", _version("99.0")),
            ("oraclezoo 'x'", _version("x")),
            ("Python 2.7", _library("python", "2.7.18")),
            ("torch 0.1", _library("torch", "0.1")),
            ("numpy 'x'", _library("numpy", "x")),
        ),
    ),
    Case(
        "submit-missing-plugin",
        "A plugin that is not installed gets a tick: it gets a dash that names the distribution",
        missing_plugin,
    ),
)
