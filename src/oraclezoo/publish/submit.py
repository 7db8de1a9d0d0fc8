"""Submit results for publication: check the files and write the text of a pull request."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from oraclezoo.errors import ResultError, VerificationError
from oraclezoo.plugins.registry import Registry
from oraclezoo.publish.checks import Checked, Finding, check
from oraclezoo.publish.text import pull_request
from oraclezoo.ranking import ledger
from oraclezoo.ranking.load import paths
from oraclezoo.ranking.reproduction.record import FOLDER, Reproduction, sha256_of
from oraclezoo.result import Result
from oraclezoo.result.check import read_json
from oraclezoo.result.own_track import FOLDER as TRACKS
from oraclezoo.result.own_track import own_track
from oraclezoo.storage import write_atomically

PLACE = Path("benchmarks") / "results"
"""Folder for published results in a checkout."""
TEXT = "pull-request.md"

CAVEAT = (
    "The checks read files only. Fabricated predictions that match the reported numbers pass them; "
    "only training the recipe again (`oraclezoo reproduce`) detects those."
)


@dataclass(frozen=True, slots=True)
class Submission:
    """The files of a submission (a folder with results and their ledger) and the text."""

    folder: Path
    files: tuple[Path, ...]
    text: Path


def check_all(
    sources: str | Path | Iterable[str | Path],
    registry: Registry,
    *,
    against: str | Path | None = None,
) -> list[Checked]:
    """Check result files, and all results and reproduction records in folders.

    Args:
        sources: One or several files and folders.
        registry: Registry of components.
        against: Folder with previously published results, which must all still exist unchanged.

    Raises:
        ResultError: There is nothing to check.
    """
    listed = paths(sources)
    for path in (*listed, *([] if against is None else [Path(against)])):
        if not path.exists():
            raise ResultError(f"{path}: no such file or folder")
    checked = [check(path, registry) for path in _results(listed)]
    for folder in (path for path in listed if path.is_dir()):
        checked += _records(folder)
        if against is not None:
            checked += _changes(folder, Path(against))
    if not checked:
        raise ResultError(f"no results in {', '.join(map(str, listed))}")
    return checked


def submit(
    results: str | Path | Sequence[str | Path],
    registry: Registry,
    *,
    out: str | Path = "submission",
) -> Submission:
    """Check results and write the files for a pull request to ``out``, arranged as in a checkout.

    The files are each result document with its predictions and reproduction records, the ledger
    lines for its track (every test-set evaluation counts), and ``pull-request.md``.

    Raises:
        VerificationError: A result was rejected, for the stated reasons; nothing is written.
    """
    checked = [check(path, registry) for path in paths(results)]
    refused = [f"{one.path.name}: {f.rule}: {f.text}" for one in checked for f in one.refused]
    if refused:
        raise VerificationError("refused: " + "; ".join(refused))
    folder = Path(out)
    files: list[Path] = []
    for one in checked:
        assert one.result is not None
        files += _copy(one.path, one.result, folder / PLACE)
    names = [path.relative_to(folder).as_posix() for path in files]
    names.append((PLACE / ledger.FILE).as_posix())
    text = write_atomically(folder / TEXT, pull_request(checked, names, CAVEAT).encode())
    return Submission(folder, tuple(files), text)


def _results(listed: Iterable[Path]) -> list[Path]:
    """Return the listed files and the results in the listed folders."""
    files = []
    for path in listed:
        if not path.is_dir():
            files.append(path)
            continue
        for file in sorted(file for file in path.glob("*.json") if file.is_file()):
            try:
                document = read_json(file)
            except ResultError:
                document = {}  # unreadable: the check rejects it
            if not isinstance(document, dict):
                document = {}  # not a result: the check reports it
            if str(document.get("schema", "oraclezoo/result/")).startswith("oraclezoo/result/"):
                files.append(file)
    return files


def _records(folder: Path) -> list[Checked]:
    """Reject unreadable reproduction records, and report records of other files."""
    checked = []
    for path in sorted((folder / FOLDER).glob("*.json")):
        try:
            record = Reproduction.load(path)
        except ResultError as error:
            checked.append(Checked(path, (Finding("record", False, str(error)),), None))
            continue
        file = folder / f"{record.result_id}.json"
        fits = file.is_file() and sha256_of(file) == record.result_sha256
        text = record.verdict if fits else "not counted: its result is missing or has changed"
        checked.append(Checked(path, (Finding("record", True if fits else None, text),), None))
    return checked


def _changes(folder: Path, before: Path) -> list[Checked]:
    checked = []
    for old in sorted((*before.glob("*.json"), *before.glob(f"{TRACKS}/*.toml"))):
        for before_file in (old, old.with_suffix(".safetensors")):
            file = folder / before_file.relative_to(before)
            if not before_file.is_file():
                continue
            if not file.is_file():
                text = "published file is missing"
            elif file.read_bytes() != before_file.read_bytes():
                text = f"published file has changed{_scores(before_file, file)}"
            else:
                continue
            checked.append(Checked(file, (Finding("published", False, text),), None))
    return checked


def _scores(before: Path, after: Path) -> str:
    """Return which accuracies changed, provided that the documents are readable."""
    if before.suffix != ".json":
        return ""
    try:
        old, new = (
            {score.seed: score.accuracy for score in Result.load(path).seeds}
            for path in (before, after)
        )
    except ResultError:
        return ""
    changed = [seed for seed in old if new.get(seed) != old[seed]]
    return f": the accuracy of seed {', '.join(map(str, changed))}" if changed else ""


def _copy(path: Path, result: Result, folder: Path) -> list[Path]:
    """Copy a result with its predictions and records; return the files, without the ledger."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [path.name, *([result.predictions.file] if result.predictions else [])]
    records = [
        Path(FOLDER, file.name)
        for file in sorted((path.parent / FOLDER).glob(f"{result.id[:180]}-*.json"))
        if _is_of(file, path)
    ]
    copies = []
    for name in (*map(Path, reversed(names)), *records):  # the predictions before the document
        target = folder / name
        target.parent.mkdir(exist_ok=True)
        if (path.parent / name).resolve() != target.resolve():
            shutil.copyfile(path.parent / name, target)
        copies.append(target)
    track = result.track
    own = own_track(result, path.parent)
    if own is not None:
        copies.append(own.save(folder))
    for recipe_hash in sorted(ledger.recipes(path.parent, track.name, track.data_key)):
        ledger.note(folder, track=track.name, data_key=track.data_key, recipe_hash=recipe_hash)
    return copies


def _is_of(record: Path, result: Path) -> bool:
    try:
        return Reproduction.load(record).result_sha256 == sha256_of(result)
    except ResultError:
        return False
