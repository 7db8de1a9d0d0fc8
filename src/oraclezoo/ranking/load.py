"""Load results and their predictions from folders and files."""

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
    """A result and its predictions; the predictions are None if all seeds failed."""

    result: Result
    predictions: Predictions | None


def entry_of(result: Result) -> Entry:
    """Return the entry for a result that was loaded from or saved to a file.

    Raises:
        ResultError: The result has no file, or its predictions are missing or invalid.
    """
    if result.predictions is None:
        return Entry(result, None)
    if result.path is None:
        raise ResultError(
            f"result {result.id} has no file next to its predictions; save or load it first"
        )
    return Entry(result, load_predictions(result, result.path.parent))


def load_results(sources: str | Path | Iterable[str | Path]) -> list[Entry]:
    """Load all results from files and folders (without subfolders), skipping duplicates.

    JSON files in folders that have a different schema are skipped.

    Args:
        sources: One or several files and folders.

    Raises:
        ResultError: A source does not exist, a file is invalid, or there are no results.
    """
    listed = paths(sources)
    by_id: dict[str, list[Entry]] = defaultdict(list)
    for path, named in _files(listed):
        document = read_json(path)
        if not named and _is_other(document):
            continue
        result = Result.read(document, path)
        if all(result != earlier.result for earlier in by_id[result.id]):
            by_id[result.id].append(entry_of(result))
    if not by_id:
        where = ", ".join(str(path) for path in listed)
        raise ResultError(f"no results in {where}; run 'oraclezoo bench' to create some")
    return [entry for entries in by_id.values() for entry in entries]


def paths(sources: str | Path | Iterable[str | Path]) -> list[Path]:
    """Return one or several paths as a list; a string is a single path."""
    several = [sources] if isinstance(sources, (str, Path)) else sources
    return [Path(source) for source in several]


def published_folder() -> Path:
    """Return the folder of published results. Raises ResultError if there is none."""
    for folder in (PACKAGE / "_published", PACKAGE.parents[1] / "benchmarks" / "results"):
        if folder.is_dir():
            return folder
    raise ResultError("this installation has no published results; omit --published")


def _files(listed: Iterable[Path]) -> Iterator[tuple[Path, bool]]:
    """Yield each JSON file, and whether the caller named it explicitly."""
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
                f"{path}: no such file or folder; run 'oraclezoo bench' to create results"
            )


def _is_other(document: Any) -> bool:
    """Return whether a JSON value declares a schema other than the result schema."""
    schema = document.get("schema") if isinstance(document, dict) else None
    return isinstance(schema, str) and not schema.startswith(_FAMILY)
