"""Load: results with their predictions, from folders and files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from oraclezoo.errors import ResultError
from oraclezoo.ranking.predictions import Predictions, load_predictions
from oraclezoo.result import Result
from oraclezoo.result.check import read_json

PACKAGE = Path(__file__).resolve().parents[1]
_FAMILY = "oraclezoo/result/"


class Entry(NamedTuple):
    """A result and its predictions, None if no seed of it succeeded."""

    result: Result
    predictions: Predictions | None


def entry_of(result: Result) -> Entry:
    """The entry of a result that was loaded from, or saved to, a file. Raises ResultError."""
    if result.predictions is None:
        return Entry(result, None)
    if result.path is None:
        raise ResultError(
            f"result {result.id} is in no folder to read its predictions from: save it, or load it"
        )
    return Entry(result, load_predictions(result, result.path.parent))


def load_results(sources: Iterable[str | Path]) -> list[Entry]:
    """All results in folders (not in folders within) and files; none twice.

    JSON files of another schema in a folder are passed over. Raises ResultError for what is not
    there, for a broken file, and if there is no result at all.
    """
    listed = [Path(source) for source in sources]
    found: dict[str, list[Entry]] = defaultdict(list)
    for path, named in _files(listed):
        document = read_json(path)
        if not named and _is_other(document):
            continue
        result = Result.read(document, path)
        if all(result != seen.result for seen in found[result.id]):
            found[result.id].append(entry_of(result))
    if not found:
        where = ", ".join(str(path) for path in listed)
        raise ResultError(f"no results in {where}; run 'oraclezoo bench' to make some")
    return [entry for entries in found.values() for entry in entries]


def published_folder() -> Path:
    """Where this installation keeps the published results. Raises ResultError if it has none."""
    for folder in (PACKAGE / "_published", PACKAGE.parents[1] / "benchmarks" / "results"):
        if folder.is_dir():
            return folder
    raise ResultError("this oraclezoo came without published results; leave --published out")


def _files(listed: Iterable[Path]) -> Iterator[tuple[Path, bool]]:
    """Each JSON file, and whether it was asked for by name."""
    for path in listed:
        if path.is_dir():
            files = (
                file
                for file in path.glob("*.json")
                if file.is_file() and not file.name.startswith(".")
            )
            yield from ((file, False) for file in sorted(files))
        elif path.exists():
            yield path, True
        else:
            raise ResultError(
                f"{path}: there is no such file or folder; run 'oraclezoo bench' to make results"
            )


def _is_other(document: Any) -> bool:
    """Whether a JSON value openly belongs to another schema than results."""
    schema = document.get("schema") if isinstance(document, dict) else None
    return isinstance(schema, str) and not schema.startswith(_FAMILY)
