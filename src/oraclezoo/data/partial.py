"""The beginning of a file whose download broke off, and what tells which file it belongs to."""

from __future__ import annotations

import json
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from oraclezoo.data.atomic import replacing, settle


@dataclass(frozen=True, slots=True)
class Partial:
    """``path`` holds the first bytes; ``note`` is JSON, its address and validator (RFC 9110, 8.8).

    Without a note the bytes cannot be gone on with. Methods raise OSError.
    """

    path: Path
    note: Path

    @classmethod
    def of(cls, target: Path) -> Self:
        """That of the file ``target``, beside it; it need not exist."""
        return cls(
            target.with_name(f".{target.name}.part"), target.with_name(f".{target.name}.part.json")
        )

    def size_bytes(self) -> int:
        """How many bytes there are; 0 without a file."""
        try:
            status = self.path.lstat()
        except FileNotFoundError:
            return 0
        return status.st_size if stat.S_ISREG(status.st_mode) else 0

    def validator(self, url: str) -> str | None:
        """The validator that came with the bytes if they came from ``url``, else None."""
        try:
            document = json.loads(self.note.read_bytes())
        except (FileNotFoundError, ValueError, RecursionError):
            return None
        if not isinstance(document, dict) or document.get("url") != without_password(url):
            return None
        validator = document.get("validator")
        fits = isinstance(validator, str) and re.fullmatch(r"[!-~][ -~]*", validator)
        return validator if fits else None

    def begin(self, url: str, validator: str | None) -> None:
        """Start over, with no bytes."""
        self.discard()
        if validator is not None:
            document = {"url": without_password(url), "validator": validator}
            with replacing(self.note) as file:
                file.write(json.dumps(document).encode())
        self.path.open("xb").close()

    def discard(self) -> None:
        """Remove both files."""
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)

    def become(self, target: Path) -> None:
        """Put the bytes, all of them now, in the place of ``target``."""
        with self.path.open("r+b") as file:
            settle(file)
        self.note.unlink(missing_ok=True)
        self.path.replace(target)


def without_password(url: str) -> str:
    """``url`` as it may be shown and written down."""
    return re.sub(r"//[^/]*@", "//", url)
