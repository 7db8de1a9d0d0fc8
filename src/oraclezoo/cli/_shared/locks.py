"""Arguments of commands that copy the files of a data lock."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from oraclezoo.errors import UsageError
from oraclezoo.recipe.data_lock import DataLock

SUFFIX = ".lock.toml"


@dataclass(frozen=True, slots=True)
class LockedFolder:
    """A lock, the folder of its files, and their remote copy."""

    lock: DataLock
    folder: Path
    remote: str

    @classmethod
    def parse(cls, lock: str, folder: str | None, remote: str | None) -> LockedFolder:
        """Read a lock; by default, the folder is next to it and the remote is the one in it."""
        path, read = Path(lock), DataLock.read(Path(lock))
        if folder is None and not path.name.endswith(SUFFIX):
            raise UsageError(
                f"{lock} does not end with {SUFFIX}, so the folder of its files is unknown; name it"
            )
        if not remote and not read.remote:
            raise UsageError(f"{lock} names no remote; pass one, e.g. s3://bucket/folder")
        place = Path(folder) if folder else path.with_name(path.name.removesuffix(SUFFIX))
        return cls(read, place, remote or read.remote)
