"""Transfer of tasks to machines without a shared folder, and of results back.

An executor whose ``shared_folder`` is False calls :func:`pack` on the submitting machine,
:func:`run_packed` on the other one, and :func:`unpack` with its result on the submitting machine,
before it reports the job as ``ended``. On the other machine, the paths of the request lie in a
temporary folder, except ``data_dir``: data sets are found there as on any machine.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from oraclezoo.codec import decode
from oraclezoo.contracts import Job
from oraclezoo.errors import ResultError
from oraclezoo.jobs import to_json
from oraclezoo.jobs.lease import attempts, write_once
from oraclezoo.jobs.messages import attribute
from oraclezoo.jobs.task import LOG, TaskFolder

THERE = ("data_dir",)
"""Fields with paths that refer to the machine on which a task runs."""

TASK, FILES = "task", "files"
"""Folders of an archive: the task's folder, and the root of all other paths."""

RETURNED = ("events.jsonl", LOG, "end.json")


def pack(job: Job) -> bytes:
    """Pack a task: its request, the files it reads, and the state it resumes from.

    Args:
        job: The job to transport.

    Returns:
        An archive for :func:`run_packed`.

    Raises:
        OSError: A file cannot be read.
    """
    card = {"writes": [str(path) for path in job.writes]}
    with _archive() as (file, buffer):
        request = TaskFolder(job.folder).request(resume=bool(attempts(job.folder)))
        _add(file, f"{TASK}/request.json", json.dumps(request).encode())
        _add(file, "card.json", json.dumps(card).encode())
        for path in (*job.reads, *job.writes):
            if path.exists():
                file.add(path, _member(path), filter=_without_locks)
    return buffer.getvalue()


def run_packed(archive: bytes, should_stop: Callable[[], bool] = lambda: False) -> bytes:
    """Run a packed task in a temporary folder, in a separate process.

    Args:
        archive: The archive of :func:`pack`.
        should_stop: Called every half second; if it returns True, the process is interrupted, and
            the state that it saves is returned.

    Returns:
        An archive for :func:`unpack`, also if the task failed, was interrupted or was killed.

    Raises:
        ResultError: The archive is damaged.
    """
    with tempfile.TemporaryDirectory(prefix="oraclezoo-task-") as name:
        root = Path(name).resolve()
        _extract(archive, root)
        card = json.loads((root / "card.json").read_bytes())
        _localize(root / TASK / "request.json", root / FILES)
        with (root / TASK / LOG).open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "oraclezoo.jobs", str(root / TASK)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        _wait(process, should_stop)
        with _archive() as (file, buffer):
            for part in RETURNED:
                if (root / TASK / part).is_file():
                    file.add(root / TASK / part, f"{TASK}/{part}")
            for text in card["writes"]:
                member = _member(Path(text))
                if (root / member).exists():
                    file.add(root / member, member, filter=_without_locks)
        return buffer.getvalue()


def unpack(job: Job, archive: bytes) -> None:
    """Move the results of a task into place; the outcome, which marks it as done, comes last.

    Args:
        job: The job that was packed.
        archive: The archive of :func:`run_packed`.

    Raises:
        ResultError: The archive is damaged.
        OSError: A file cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix=".unpack-", dir=job.folder) as name:
        root = Path(name)
        _extract(archive, root)
        for path in job.writes:
            source = root / _member(path)
            if source.exists():
                _move(source, path)
        for part in RETURNED[:-1]:
            if (root / TASK / part).is_file():
                (root / TASK / part).replace(job.folder / part)
        end = root / TASK / RETURNED[-1]
        if end.is_file():
            write_once(job.folder / end.name, end.read_bytes())


def _wait(process: subprocess.Popen[bytes], should_stop: Callable[[], bool]) -> None:
    stopping = False
    while process.poll() is None:
        if should_stop() and not stopping:
            stopping = True
            process.terminate()  # SIGINT may be ignored while the process starts
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.5)


def _localize(path: Path, files: Path) -> None:
    """Rewrite the paths in a request file to be below ``files``."""
    document = json.loads(path.read_bytes())
    function = attribute(document["action"])
    kind = typing.get_type_hints(function)["request"]
    request = _mapped(decode(kind, document["request"]), lambda old: _below(files, old))
    path.write_text(to_json(request), encoding="utf-8")


def _mapped(value: Any, change: Callable[[Path], Path]) -> Any:
    """Return a record with all paths changed, except those of the other machine."""
    if isinstance(value, Path):
        return change(value)
    if is_dataclass(value) and not isinstance(value, type) and not hasattr(value, "to_dict"):
        return replace(
            value,
            **{
                each.name: _mapped(getattr(value, each.name), change)
                for each in fields(value)
                if each.init and each.name not in THERE
            },
        )
    if isinstance(value, tuple):
        return tuple(_mapped(item, change) for item in value)
    if isinstance(value, Mapping):
        return {key: _mapped(item, change) for key, item in value.items()}
    return value


def _member(path: Path) -> str:
    return f"{FILES}/{_relative(path)}"


def _below(files: Path, path: Path) -> Path:
    return files / _relative(path)


def _relative(path: Path) -> str:
    """Return an absolute path as a relative one."""
    return path.relative_to(path.anchor).as_posix()


@contextmanager
def _archive() -> Iterator[tuple[tarfile.TarFile, io.BytesIO]]:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        yield file, buffer


def _add(file: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mtime = len(content), int(time.time())
    file.addfile(info, io.BytesIO(content))


def _without_locks(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
    name = Path(info.name).name
    return None if name == ".lock" or name.endswith(".tmp") else info


def _extract(archive: bytes, root: Path) -> None:
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r") as file:
            file.extractall(root, filter="data")
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise ResultError(f"the archive of a task is damaged ({error})") from error


def _move(source: Path, target: Path) -> None:
    """Move a file or folder to its place and replace what is there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.is_dir():
        target.replace(old)
    try:
        source.replace(target)
    except OSError:  # on another file system than the campaign
        shutil.move(source, target)
    shutil.rmtree(old, ignore_errors=True)
