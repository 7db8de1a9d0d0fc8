"""Tasks: job requests in folders, which any process of any machine with the folder can run.

``request.json`` is the document that a job reads from standard input, ``events.jsonl`` has the
events, one per line, ``log.txt`` all other output, and ``end.json`` the last event. A task without
``end.json`` is not done. The identifier of a task is a digest of all that determines its outcome.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oraclezoo.codec import encode
from oraclezoo.jobs.lease import DEAD, RELEASED, Attempt, attempts, write_once
from oraclezoo.jobs.messages import (
    Event,
    Failed,
    Request,
    event_from_json,
    event_to_json,
    to_json,
)
from oraclezoo.storage import write_atomically

LOG = "log.txt"
"""Output of a task's processes, except events."""

VARIABLE = "ORACLEZOO_JOB_ATTEMPTS"
"""Environment variable with the number of workers that may die before a task counts as failed."""

INTERRUPTIONS = 100
"""Number of times that a task may be interrupted and resumed before it counts as failed."""


def attempts_allowed() -> int:
    """Return the number of workers that may die before a task counts as failed; 3 by default."""
    text = os.environ.get(VARIABLE, "")
    return int(text) if text.isdecimal() and int(text) else 3


_FAILED = re.compile(r"failed-(\d+)\.json")


@dataclass(frozen=True)
class Task:
    """A request that any process can run.

    Attributes:
        request: The request. A field named in its class attribute ``INCIDENTAL``, and every path,
            does not affect the outcome.
        label: Human-readable name, e.g. ``default seed 3``.
        inputs: All other inputs that determine the outcome, e.g. digests of code and data.
        reads: Files and folders that the task needs.
        writes: Folders that the task writes.
    """

    request: Request
    label: str
    inputs: str = ""
    reads: tuple[Path, ...] = ()
    writes: tuple[Path, ...] = ()

    @property
    def id(self) -> str:
        """Digest of the request, without paths and incidental fields, and of the other inputs."""
        request = self.request
        parts = [request.ACTION, _identity(request), self.inputs]
        text = json.dumps(parts, sort_keys=True, default=list)
        return hashlib.sha256(text.encode()).hexdigest()[:20]

    def create(self, root: Path) -> TaskFolder:
        """Create the task's folder under ``root``, with its request, or return an existing one."""
        place = TaskFolder(root / self.id)
        place.path.mkdir(parents=True, exist_ok=True)
        card = {
            "label": self.label,
            "reads": [str(path) for path in self.reads],
            "writes": [str(path) for path in self.writes],
        }
        write_atomically(place.path / "task.json", json.dumps(card).encode())
        write_atomically(place.path / "request.json", to_json(self.request).encode())
        return place


@dataclass(frozen=True)
class TaskFolder:
    """The folder of a task."""

    path: Path

    @property
    def id(self) -> str:
        """Identifier of the task."""
        return self.path.name

    def request(self, *, resume: bool = False) -> dict[str, Any]:
        """Return the request document; ``resume`` sets the field of this name, if there is one.

        Raises OSError or ValueError.
        """
        document: dict[str, Any] = json.loads((self.path / "request.json").read_bytes())
        if resume and "resume" in document["request"]:
            document["request"]["resume"] = True
        return document

    def label(self) -> str:
        """Return the task's label, or its identifier if the request cannot be read."""
        try:
            return str(json.loads((self.path / "task.json").read_bytes())["label"])
        except (OSError, ValueError, KeyError, TypeError):
            return self.id

    def end(self) -> Event | None:
        """Return the last event of a finished task; None if it is not finished."""
        try:
            document = json.loads((self.path / "end.json").read_bytes())
            return event_from_json(document)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError):
            return None

    def finish(self, last: Event) -> bool:
        """Write ``end.json`` with the last event; return False if the task is finished already.

        Raises OSError if it cannot be written.
        """
        content = json.dumps(event_to_json(last), ensure_ascii=False).encode()
        path = self.path / "end.json"
        if write_once(path, content):
            return True
        if self.end() is None:  # unreadable
            write_atomically(path, content)
            return True
        return False

    def reopen(self) -> None:
        """Allow a failed task to be retried; the failure is kept in another file."""
        if isinstance(self.end(), Failed):
            listed = attempts(self.path)
            number = listed[-1].number if listed else 0
            (self.path / "end.json").replace(self.path / f"failed-{number}.json")

    def attempts(self) -> list[Attempt]:
        """Return the attempts since the task last failed."""
        matches = [_FAILED.fullmatch(path.name) for path in self.path.iterdir()]
        before = max((int(match[1]) for match in matches if match), default=0)
        return [each for each in attempts(self.path) if each.number > before]

    def give_up(self) -> Failed | None:
        """Finish the task as failed if too many of its workers died; return this outcome or None.

        Raises OSError if the folder cannot be written.
        """
        ends = [attempt.beats()[-1:] for attempt in self.attempts()]
        lost, interrupted = ends.count(DEAD), ends.count(RELEASED)
        allowed = attempts_allowed()
        if lost < allowed and interrupted < INTERRUPTIONS:
            return None
        times = f"died {lost} times" if lost >= allowed else f"was interrupted {interrupted} times"
        tail = self.log_tail()
        lines = [line for line in tail.splitlines() if line.strip()]
        detail = f": {lines[-1].strip()}" if lines else ""
        failed = Failed("killed", f"its process {times} without an outcome{detail}", tail)
        self.finish(failed)
        return failed

    def log_tail(self, size: int = 4000, start: int = 0) -> str:
        """Return the last ``size`` bytes of the log, not reaching back before ``start``."""
        try:
            with (self.path / LOG).open("rb") as file:
                file.seek(max(start, file.seek(0, os.SEEK_END) - size))
                return file.read().decode(errors="replace")
        except OSError:
            return ""

    def events(self, offset: int) -> tuple[list[Event], int]:
        """Return the events from a byte offset on, and the offset after the last complete line.

        Lines that a killed worker left incomplete are skipped.
        """
        try:
            with (self.path / "events.jsonl").open("rb") as file:
                file.seek(offset)
                content = file.read()
        except OSError:
            return [], offset
        complete = content[: content.rfind(b"\n") + 1]
        return list(_parsed(complete)), offset + len(complete)


def _parsed(content: bytes) -> Iterator[Event]:
    for line in content.splitlines():
        try:
            yield event_from_json(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError, ImportError):
            continue


def _identity(record: Any) -> Any:
    """Return the fields of a record that determine the outcome, as JSON-serializable data."""
    if hasattr(record, "to_dict") or hasattr(record, "to_json"):
        return encode(_Wrapped(record))["value"]
    if dataclasses.is_dataclass(record):
        skipped = getattr(record, "INCIDENTAL", ())
        values = {each.name: getattr(record, each.name) for each in dataclasses.fields(record)}
        return {
            name: _identity(value)
            for name, value in values.items()
            if name not in skipped and not isinstance(value, Path)
        }
    if isinstance(record, Mapping):
        return {str(key): _identity(value) for key, value in record.items()}
    if isinstance(record, (tuple, list)):
        return [_identity(value) for value in record]
    return record


@dataclass(frozen=True)
class _Wrapped:
    """A record with its own conversion to JSON."""

    value: Any
