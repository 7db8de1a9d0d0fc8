"""Campaigns: the request, its progress, and the process that supervises it.

A campaign is a folder with ``campaign.json``, ``progress.json``, the folder ``tasks`` and the lease
of the process that submits its tasks. Another process that continues the same campaign waits for
that process, and takes over if it dies.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from oraclezoo.codec import Document, decode, encode
from oraclezoo.documents import read_json
from oraclezoo.errors import InterruptedRunError, ResultError, UsageError, nearest
from oraclezoo.jobs import Failed
from oraclezoo.jobs.lease import Observer, attempts, claim, lease_s
from oraclezoo.jobs.task import TaskFolder
from oraclezoo.specs import Value
from oraclezoo.storage import write_atomically

SCHEMA = "oraclezoo/campaign/1"
FOLDER = "campaigns"
"""Folder of the campaigns in a runs folder."""


@dataclass(frozen=True, kw_only=True)
class CampaignRecord:
    """Content of ``campaign.json``.

    Attributes:
        id: Identifier, a digest of the request.
        created: Time of the first submission.
        command: The command that started the campaign.
        executor: Qualified name of the executor.
        options: Options of the executor.
        call: Arguments of the function that runs the campaign.
    """

    id: str
    created: str
    command: str
    executor: str
    options: Mapping[str, Value]
    call: Document
    schema: str = SCHEMA


@dataclass(frozen=True)
class Failure:
    """A job that failed: its label, the kind of failure, and the message."""

    job: str
    reason: str
    message: str


@dataclass(frozen=True)
class Counts:
    """Number of jobs of a campaign in each state; ``kept`` ones were finished before it began."""

    total: int = 0
    kept: int = 0
    waiting: int = 0
    running: int = 0
    done: int = 0
    failed: tuple[Failure, ...] = ()
    complete: bool = False


@dataclass(frozen=True)
class Campaign:
    """The folder of a campaign."""

    folder: Path

    @property
    def id(self) -> str:
        """Identifier of the campaign."""
        return self.folder.name

    @property
    def tasks(self) -> Path:
        """Folder of the task folders."""
        return self.folder / "tasks"

    @property
    def executor_folder(self) -> Path:
        """Folder for the executor's own files."""
        return self.folder / "executor"

    def record(self) -> CampaignRecord:
        """Read ``campaign.json``. Raises ResultError."""
        path = self.folder / "campaign.json"
        try:
            document = read_json(path)
            if not isinstance(document, dict) or document.get("schema") != SCHEMA:
                raise ValueError("unknown schema")
            return decode(CampaignRecord, document)
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise ResultError(f"{path}: not a campaign ({error})") from error

    def write(self, record: CampaignRecord) -> None:
        """Write ``campaign.json``, keeping the creation time of an existing file."""
        with suppress(ResultError):
            record = replace(record, created=self.record().created)
        text = json.dumps(encode(record), indent=2, ensure_ascii=False)
        write_atomically(self.folder / "campaign.json", text.encode())

    def write_progress(self, counts: Counts) -> None:
        """Write ``progress.json``, with counts that :meth:`counts` cannot derive from tasks."""
        text = json.dumps(encode(counts), ensure_ascii=False)
        write_atomically(self.folder / "progress.json", text.encode())

    def counts(self) -> Counts:
        """Count the jobs of the campaign by state, from its files."""
        try:
            known = decode(Counts, read_json(self.folder / "progress.json"))
        except (OSError, KeyError, TypeError, ValueError):
            known = Counts()
        if known.complete:
            return known
        done, running, failed = 0, 0, list(known.failed)
        reported = {failure.job for failure in failed}
        folders = sorted(self.tasks.iterdir()) if self.tasks.is_dir() else []
        for folder in map(TaskFolder, folders):
            last = folder.end()
            if isinstance(last, Failed):
                if folder.label() not in reported:
                    failed.append(Failure(folder.label(), last.reason, last.message))
            elif last is not None:
                done += 1
            else:
                running += Observer(folder.path).live() is not None
        total = max(known.total, known.kept + len(folders))
        waiting = total - known.kept - done - running - len(failed)
        return Counts(total, known.kept, waiting, running, done, tuple(failed))

    def is_supervised(self) -> bool:
        """Return whether a process supervises the campaign; may take a few seconds."""
        observer = Observer(self._submitter)
        listed = attempts(self._submitter)
        until = time.monotonic() + min(5.0, lease_s())
        while observer.live() is not None:
            owner = listed[-1].owner if listed else None
            if observer.moved or (owner is not None and owner.is_here()):
                return True
            if time.monotonic() > until:
                return False
            time.sleep(0.1)
        return False

    @property
    def _submitter(self) -> Path:
        return self.folder / "submitter"

    @property
    def _cancelled(self) -> Path:
        return self.folder / "cancelled"

    def cancel(self) -> None:
        """Ask the process that supervises the campaign to stop. Raises OSError."""
        write_atomically(self._cancelled, b"")

    def is_cancelled(self) -> bool:
        """Return whether the campaign was cancelled and has not been continued since."""
        return self._cancelled.exists()

    @contextmanager
    def submitting(self, waiting: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
        """Be the only process that submits tasks while the block runs.

        Args:
            waiting: Called with a message before waiting for another process.

        Yields:
            A function that returns whether this process should stop: the campaign was cancelled, or
            another process has taken over.

        Raises:
            InterruptedRunError: The campaign was cancelled while waiting.
            OSError: The folder cannot be written.
        """
        self._submitter.mkdir(parents=True, exist_ok=True)
        held = claim(self._submitter)
        if held is None:
            waiting(f"waiting for another process that supervises campaign {self.id}")
            while held is None:
                time.sleep(0.5)
                held = claim(self._submitter)
            if self.is_cancelled():
                with held:
                    raise InterruptedRunError(f"campaign {self.id} was cancelled")
        with held:
            self._cancelled.unlink(missing_ok=True)
            for attempt in attempts(self._submitter)[:-1]:  # of earlier processes
                attempt.path.with_suffix(".beat").unlink(missing_ok=True)
                attempt.path.unlink(missing_ok=True)
            owned = held
            yield lambda: owned.lost or self.is_cancelled()


def campaigns(runs: Path) -> list[Campaign]:
    """Return the campaigns of a runs folder, sorted by their identifiers."""
    folder = runs / FOLDER
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return [Campaign(path) for path in paths if (path / "campaign.json").is_file()]


def find(name: str | None, runs: Path) -> Campaign:
    """Return the campaign with an identifier, a prefix of one, or a folder.

    Args:
        name: The identifier or folder; None for the only campaign of ``runs``.
        runs: Folder for runs.

    Returns:
        The campaign.

    Raises:
        UsageError: There is no such campaign, or there are several.
    """
    if name is not None and (Path(name) / "campaign.json").is_file():
        return Campaign(Path(name))
    listed = campaigns(runs)
    matches = [each for each in listed if each.id.startswith(name or "")]
    if len(matches) == 1:
        return matches[0]
    where = f"in {runs / FOLDER}"
    if not listed:
        raise UsageError(f"there is no campaign {where}; 'bench --on local' starts one")
    known = [each.id for each in listed]
    if not matches:
        raise UsageError(f"no campaign '{name}' {where}{nearest(name or '', known)}")
    raise UsageError(f"several campaigns {where}: choose one of {', '.join(known)}")
