"""Check a result before publication: schema, rules and consistency of its parts.

Fabricated predictions that match the reported accuracy pass these checks; only
:mod:`oraclezoo.publish.reproduce` detects them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from oraclezoo.data.known import KNOWN, KnownTrack, canonical
from oraclezoo.errors import OracleZooError, ResultError, UnknownNameError
from oraclezoo.plugins.discovery import normalize
from oraclezoo.plugins.registry import Registry
from oraclezoo.publish.claim import Claim, Unchecked
from oraclezoo.publish.forgeries import RULES
from oraclezoo.publish.reread import added, recipe_of
from oraclezoo.ranking import ledger
from oraclezoo.ranking.comparison import MIN_COMMON_SEEDS
from oraclezoo.ranking.load import published_folder
from oraclezoo.ranking.predictions import losses
from oraclezoo.ranking.text import clean
from oraclezoo.recipe.sections import COMPONENTS, Compress
from oraclezoo.recipe.variants import Variant
from oraclezoo.result import PROTOCOL, Result, make_id
from oraclezoo.result.check import read_json
from oraclezoo.result.own_track import FOLDER as TRACKS
from oraclezoo.result.own_track import TRACK, OwnTrack, id_part, own_track

LIBRARIES = ("python", "torch", "numpy")
"""Libraries whose versions must be recorded in a result."""

LOSS_TOLERANCE = 1e-6
"""Tolerance, in nats, between reported losses and losses computed from stored predictions."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Outcome of a rule: ``ok`` is None if it could not be checked; ``text`` is the reason."""

    rule: str
    ok: bool | None
    text: str


@dataclass(frozen=True, slots=True)
class Checked:
    """A result file and its findings, with the result if it could be read."""

    path: Path
    findings: tuple[Finding, ...]
    result: Result | None

    @property
    def refused(self) -> tuple[Finding, ...]:
        """Return the rules that the result violates."""
        return tuple(finding for finding in self.findings if finding.ok is False)


def check(path: str | Path, registry: Registry) -> Checked:
    """Check every rule for a result file, with the ledger in the same folder.

    An invalid result produces findings, not an exception.
    """
    file = Path(path)
    try:
        return _checked(file, registry)
    except Exception as error:  # the file is untrusted: any error becomes a verdict
        return Checked(file, (Finding("schema", False, _unforeseen(error)),), None)


def _checked(file: Path, registry: Registry) -> Checked:
    findings: list[Finding] = []
    try:
        document = read_json(file)
        protocol = document.get("protocol") if isinstance(document, dict) else None
        if isinstance(protocol, int) and protocol != PROTOCOL:
            text = f"uses protocol {protocol}; the current one is {PROTOCOL}: run bench again"
            findings.append(Finding("protocol", False, text))
        result = Result.load(file)
    except ResultError as error:
        return Checked(file, (*findings, Finding("schema", False, _bare(error, file))), None)
    findings.append(Finding("schema", True, "valid and consistent"))
    findings.append(Finding("protocol", True, f"protocol {PROTOCOL}"))
    for rule, (test, passed) in _RULES.items():
        findings += _findings(rule, passed, test(result, file, registry), file)
    claim = Claim(result, file, registry)
    for name, each in RULES.items():
        findings += _findings(name, each.passed, each.faults(claim), file)
    return Checked(file, tuple(findings), result)


def _findings(rule: str, passed: str, faults: Iterable[str], file: Path) -> list[Finding]:
    """Return the findings of a rule; any exception becomes a finding."""
    try:
        findings = [Finding(rule, _verdict(text), text) for text in faults]
    except OracleZooError as error:
        findings = [Finding(rule, False, _bare(error, file))]
    except Exception as error:  # the other rules must still be checked
        findings = [Finding(rule, False, _unforeseen(error))]
    return findings or [Finding(rule, True, passed)]


def _unforeseen(error: Exception) -> str:
    return clean(f"cannot be evaluated: {type(error).__name__}: {error}", 200)


def _verdict(text: str) -> bool | None:
    return None if isinstance(text, Unchecked) else False


def _name(result: Result, path: Path, registry: Registry) -> Iterator[str]:
    recipe, own = result.recipe, _own(result, path)
    track = id_part(result.track.name.removeprefix("oraclezoo:"), own.name if own else "")
    expected = make_id(track, recipe.name, recipe.hash, result.hardware.class_)
    if not re.fullmatch(re.escape(expected) + r"(-[1-9][0-9]*)?", result.id):
        yield f"id is '{result.id}'; track, recipe, hash and hardware class require '{expected}'"
    if path.name != f"{result.id}.json":
        yield f"the file name must be '{result.id}.json', not '{path.name}'"
    if result.predictions and result.predictions.file != f"{result.id}.safetensors":
        yield f"predictions.file must be '{result.id}.safetensors', not '{result.predictions.file}'"


def _seeds(result: Result, path: Path, registry: Registry) -> Iterator[str]:
    successful = [score.seed for score in result.seeds]
    seeds = sorted({*successful, *(failure.seed for failure in result.failures)})
    if len(successful) < MIN_COMMON_SEEDS:
        yield f"{len(successful)} seeds; a published result needs at least {MIN_COMMON_SEEDS}"
    if seeds != list(range(len(seeds))):
        yield (
            f"seeds are {', '.join(map(str, seeds))}; they must be 0 to {len(seeds) - 1} without "
            "gaps, including failed ones, so that seeds cannot be cherry-picked"
        )


def _provenance(result: Result, path: Path, registry: Registry) -> Iterator[str]:
    missing = [name for name in LIBRARIES if name not in result.libraries]
    if missing:
        yield f"libraries: missing the version of {', '.join(missing)}"
    if not re.match(r"oraclezoo(\.| (\S+ )*)bench\b", result.command):
        yield "command: must be the oraclezoo command that produced the result"
    if len(set(result.code_sha256)) == 1:
        yield "code_sha256: not a digest of source code"
    timed = any(score.train_s is not None for score in result.seeds)
    if timed and result.hardware.calibration_s is None:
        yield "hardware.calibration_s: required with training times"
    if datetime.fromisoformat(result.created) > datetime.now(UTC) + timedelta(days=1):
        yield f"created: {result.created} is in the future"


def _data(result: Result, path: Path, registry: Registry) -> Iterator[str]:
    track = result.track
    known = _known(result, path)
    if known is None:
        yield f"track {track.name}: not publishable, since the digests of its data are unknown"
        if _short(track.name) == TRACK:
            yield "your data become a track: set name and source in dataset.toml, and bench again"
        return
    if isinstance(known, OwnTrack):
        yield from _own_faults(known)
    counts = (track.synthetic, track.classes, track.image_size, track.test)
    if counts != (known.synthetic, known.classes, known.image_size, known.test):
        yield f"track {track.name}: wrong number of classes or test images, image size or synthetic"
    if track.train + track.validation != known.learning:
        yield f"track {track.name}: train and validation must add up to {known.learning} images"
    own = isinstance(known, OwnTrack)  # the names are then not those of official files
    digests = dict(track.data_sha256) if own else canonical(track.data_sha256)
    if set(digests) != set(known.sha256):
        yield f"data_sha256: its keys must be {', '.join(known.sha256)}"
    for name, sha256 in digests.items():
        if known.sha256.get(name, sha256) not in (sha256, None):
            yield f"data_sha256.{name} does not match the track's data"
    for name, expected in known.sha256.items():
        if expected is None:
            yield Unchecked(f"no reference digest for {name}; all others match the track")


def _own(result: Result, path: Path) -> OwnTrack | None:
    """Return the record of a user's data set, stored next to the result or published."""
    record = own_track(result, path.parent)
    try:
        return record or own_track(result, published_folder())
    except ResultError:
        return None


def _known(result: Result, path: Path) -> KnownTrack | OwnTrack | None:
    return KNOWN.get(_short(result.track.name)) or _own(result, path)


def _own_faults(own: OwnTrack) -> Iterator[str]:
    if not own.source.strip():
        yield f"track {own.name}: state in dataset.toml, as 'source', where others get the data"
    try:
        other = OwnTrack.load(published_folder() / TRACKS / f"{own.name}.toml")
    except ResultError:
        return
    if dict(other.sha256) != dict(own.sha256):
        yield f"track {own.name}: its name is taken by different published data; choose a new one"


def _predictions(result: Result, path: Path, registry: Registry) -> Iterator[str]:
    predictions = Claim(result, path, registry).predictions
    for score, loss in zip(
        result.seeds, losses(predictions.probabilities, predictions.labels), strict=True
    ):
        if abs(score.loss - loss) > LOSS_TOLERANCE * max(1.0, abs(loss)):
            yield (
                f"seed {score.seed}: reported loss {score.loss:.6f}, but its predictions give "
                f"{loss:.6f}"
            )
    known = _known(result, path)
    labels = hashlib.sha256(predictions.labels.astype("<i8").tobytes()).hexdigest()
    if known is not None and labels != known.labels_sha256:
        yield "the labels in the predictions file are not the track's test labels"


def _recipe(result: Result, path: Path, registry: Registry) -> Iterator[str]:
    content, parts = result.recipe.content, result.components
    names = {kind: _get(content, kind, "name") for kind in ("backbone", "optimizer", "scheduler")}
    names["dataset"] = _get(content, "data", "track")
    for kind, name in names.items():
        if parts[kind].name != name:
            yield f"components.{kind} is {parts[kind].name}, but the recipe has {name}"
    if _short(names["dataset"]) != _short(result.track.name):
        yield f"track is {result.track.name}, but the recipe trains on {names['dataset']}"
    if _get(content, "data", "refit") != result.recipe.refit:
        yield "recipe.refit does not match recipe.content"
    claim = Claim(result, path, registry)
    try:
        recipe = recipe_of(result.recipe, registry)
    except UnknownNameError:
        if not claim.missing:
            raise
        _resolve_installed(claim)
        yield Unchecked(f"{', '.join(claim.missing)} not installed; install it and check again")
        return
    newer = added(result.recipe, recipe)
    if newer:
        yield Unchecked(f"matches; newer options have their defaults: {', '.join(newer)}")


def _resolve_installed(claim: Claim) -> None:
    """Resolve the components of installed distributions. Raises UsageError."""
    installed = {plugin.distribution for plugin in claim.registry.plugins}
    for kind in COMPONENTS:
        name = claim.result.components[kind].name
        part = claim.result.recipe.content[kind]
        if normalize(name.partition(":")[0]) in installed:
            options = {key: v for key, v in part["options"].items() if v is not None}
            claim.registry.resolve(kind, name, options)


def _plugins(result: Result, path: Path, registry: Registry) -> Iterator[str]:
    for name, version in result.foreign.items():
        record = result.plugins.get(name)
        if record is None:
            yield f"the code of {name} {version} is not stated; run the benchmark again"
        elif record.version != version:
            yield f"{name} is {version} in components and {record.version} in plugins"
        elif len(set(record.sha256)) == 1:
            yield f"plugins.{name}.sha256 is not the SHA-256 of any code"
        elif record.source == "editable":
            yield (
                f"{name} {version} was an editable checkout, which nobody else can install; "
                "publish it, install it from there and run the benchmark again"
            )
        elif record.source == "local":
            yield Unchecked(f"{name} {version} was installed from a local file or folder")


def _budget(result: Result, path: Path, registry: Registry) -> Iterator[str]:
    content, track = result.recipe.content, result.track
    epochs, batch = _get(content, "budget", "epochs"), _get(content, "budget", "batch_size")
    if not (isinstance(epochs, int) and isinstance(batch, int) and batch > 0):
        yield "recipe.content has no valid budget"
        return
    extra_steps = bool(_get(content, "pretrain", "epochs") or _get(content, "distill", "teachers"))
    images = track.train + result.recipe.refit * track.validation
    steps = epochs * (images // batch) + _tuning_epochs(content) * (track.train // batch)
    if result.examples < steps * batch or (not extra_steps and result.examples != steps * batch):
        yield f"examples is {result.examples}; the recipe's budget gives {steps * batch}"
    wrong = [
        s.seed for s in result.seeds if s.steps < steps or (not extra_steps and s.steps != steps)
    ]
    if wrong:
        yield f"seed {wrong[0]}: steps differ from the {steps} of the recipe's budget"


def _tuning_epochs(content: Any) -> int:
    """Return the number of fine-tuning epochs in a recipe's compression. Raises UsageError."""
    steps, epochs = _get(content, "compress", "steps"), _get(content, "compress", "epochs")
    if not steps or Variant.parse(str(steps)).left is None:
        return 0
    return epochs if isinstance(epochs, int) else Compress().epochs


def _ledger(result: Result, path: Path, registry: Registry) -> Iterator[str]:
    track = result.track
    recorded = ledger.recipes(path.parent, track.name, track.data_key)
    if result.recipe.hash not in recorded:
        yield f"{ledger.FILE} in its folder has no entry for this recipe and data"


_RULES: dict[str, tuple[Callable[[Result, Path, Registry], Iterator[str]], str]] = {
    "name": (_name, "file name and id match the track, recipe and hardware"),
    "seeds": (_seeds, "five or more, numbered from 0 without gaps"),
    "provenance": (_provenance, "versions, code digest, command and hardware are complete"),
    "data": (_data, "digests and counts match the track"),
    "predictions": (_predictions, "match their digest, the accuracies and the losses"),
    "recipe": (_recipe, "hash matches the content, and this version reads it unchanged"),
    "plugins": (_plugins, "none, or installed from where others can get them"),
    "budget": (_budget, "steps, examples and division match the recipe"),
    "ledger": (_ledger, "the test-set evaluation is recorded"),
}
"""Each rule: a generator of violations, and the text of the finding if there are none."""


def _get(content: Any, section: str, key: str) -> Any:
    part = content.get(section)
    return part.get(key) if isinstance(part, dict) else None


def _short(name: Any) -> str:
    return str(name).removeprefix("oraclezoo:")


def _bare(error: Exception, path: Path) -> str:
    """Return the text of an error without the path, which is shown separately."""
    text = str(error).splitlines()[0]
    return text.replace(f"result {path}: ", "").replace(f"{path.parent}/", "")
