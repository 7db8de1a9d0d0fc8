"""Platform-independent description of a job: its command, folders and limits."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from oraclezoo.cloud.secret import Secret
from oraclezoo.errors import UsageError

GROUP = 10_001
"""User and group of the container images (``Containerfile``)."""

RENAMES = "rename-dir-limit=1000"
"""Mount option of Cloud Storage FUSE: rename folders in buckets that have none."""

ANY_USER = "file-mode=666,dir-mode=777"
"""Mount options of Cloud Storage FUSE: the container may write as any user."""

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_LABEL = re.compile(r"(?=.{1,63}\Z)[a-z]([a-z0-9-]*[a-z0-9])?")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]*(@sha256:[0-9a-f]{64})?")
_HOSTS = {
    "gs": re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]"),
    "s3": re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"),
    "nfs": re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?"),
    "pvc": re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?"),
}
_FORMS = {
    "gs": "gs://BUCKET/PREFIX",
    "s3": "s3://BUCKET/PREFIX",
    "nfs": "nfs://SERVER/PATH",
    "pvc": "pvc://CLAIM/PATH",
}


@dataclass(frozen=True, slots=True)
class Location:
    """A folder outside the container.

    Attributes:
        scheme: ``gs``, ``s3``, ``nfs`` or ``pvc``.
        host: Bucket, server or claim.
        path: Path in the bucket, server or claim, without leading or trailing slash; may be empty.
    """

    scheme: str
    host: str
    path: str

    @classmethod
    def parse(cls, text: str, schemes: Sequence[str]) -> Location:
        """Parse a URL such as ``gs://bucket/folder``.

        Args:
            text: The URL.
            schemes: The schemes that the platform can mount.

        Raises:
            UsageError: The URL is malformed, contains credentials, or has an unsupported scheme.
        """
        forms = " or ".join(_FORMS[scheme] for scheme in schemes)
        scheme, separator, rest = text.partition("://")
        if "@" in rest.partition("/")[0]:
            raise UsageError(f"{scheme}://...: remove the credentials; grant access to the job")
        if not separator or scheme not in schemes:
            raise UsageError(f"'{text}': this platform mounts {forms}")
        parts = urlsplit(text)
        folders = [folder for folder in parts.path.split("/") if folder]
        fine = all(re.fullmatch(r"[\w.=+-]+", folder, re.ASCII) for folder in folders)
        if parts.query or parts.fragment or not fine or {".", ".."} & set(folders):
            raise UsageError(f"'{text}': use letters, digits and ._=+- in the path")
        if not _HOSTS[scheme].fullmatch(parts.netloc):
            raise UsageError(f"'{text}' is not of the form {_FORMS[scheme]}")
        if scheme == "nfs" and not folders:
            raise UsageError(f"'{text}': the exported path is missing ({_FORMS[scheme]})")
        return cls(scheme, parts.netloc, "/".join(folders))

    def below(self, root: str) -> str:
        """Return the folder's path in a container that mounts its bucket or claim at ``root``."""
        return f"{root}/{self.path}" if self.path else root

    def __str__(self) -> str:
        return self.below(f"{self.scheme}://{self.host}")


@dataclass(frozen=True, slots=True)
class Job:
    """A command and its environment, independent of the platform.

    Attributes:
        name: Name of the job: a DNS label.
        image: Container image, with the same version of oraclezoo.
        words: The command, unquoted.
        output: Location for results and runs.
        data: Folder of the track's files; None if the command needs no files or downloads them.
        env: Environment variables without secrets.
        secrets: References to secrets.
        retries: Number of additional attempts after a failure.
        time_limit_s: Time limit in seconds.
        service_account: Identity of the job; "" for the platform's default.
    """

    name: str
    image: str
    words: tuple[str, ...]
    output: Location
    data: Location | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[Secret, ...] = ()
    retries: int = 3
    time_limit_s: int = 4 * 3600
    service_account: str = ""

    def __post_init__(self) -> None:
        if not _LABEL.fullmatch(self.name):
            raise UsageError(
                f"name '{self.name}': use up to 63 small letters, digits and '-', a letter first"
            )
        if not _IMAGE.fullmatch(self.image):
            raise UsageError(f"'{self.image}' is not the name of a container image")
        both = sorted(set(self.env) & {secret.variable for secret in self.secrets})
        if both:
            raise UsageError(f"{both[0]} is set by both --env and --secret; remove one")


@dataclass(frozen=True, slots=True)
class Rendered:
    """A spec for one platform.

    Attributes:
        platform: Display name of the platform.
        document: The spec, as JSON data.
        submit: Command that submits the spec, with ``{file}`` in place of the file name.
        notes: What the reader must know or set up, one sentence each.
    """

    platform: str
    document: Mapping[str, Any]
    submit: str
    notes: tuple[str, ...] = ()


def duration_s(text: str) -> int:
    """Parse a duration such as ``90m``, ``4h`` or ``3600`` into seconds. Raises UsageError."""
    match = re.fullmatch(r"(\d{1,9})([smhd]?)", text.strip(), re.ASCII)
    if match is None or not int(match[1]):
        raise UsageError(f"'{text}' is not a duration; use e.g. 90m, 4h or 2d")
    return int(match[1]) * _UNITS[match[2]]


def job_name(title: str, words: Sequence[str]) -> str:
    """Return a name for a job: ``oraclezoo-``, the title and a digest of the command.

    Args:
        title: Name of a recipe or suite.
        words: The command.

    Returns:
        A DNS label; equal commands have equal names.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:40].strip("-")
    digest = hashlib.sha256("\0".join(words).encode()).hexdigest()[:8]
    return "-".join(part for part in ("oraclezoo", slug, digest) if part)


def pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    """Parse texts of the form ``KEY=VALUE``.

    Args:
        texts: The texts.
        option: Name of the option with these texts, for error messages.

    Raises:
        UsageError: A text is malformed, or a key occurs twice.
    """
    parsed: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"{option} '{text}' is not of the form KEY=VALUE")
        if key in parsed:
            raise UsageError(f"{option} {key} is given twice; remove one")
        parsed[key] = value
    return parsed


@dataclass(frozen=True, slots=True)
class Platform:
    """Description of how a platform mounts folders and passes secrets.

    Attributes:
        key: Name in command-line options.
        data_schemes: URL schemes allowed for ``--data``.
        output_schemes: URL schemes allowed for ``--output``.
        data_folder: Returns the data folder in the container.
        output_folder: Returns the output folder in the container.
        runs_folder: Returns the runs folder in the container.
        secrets: How the platform passes secrets, as the end of an error message.
    """

    key: str
    data_schemes: tuple[str, ...]
    output_schemes: tuple[str, ...]
    data_folder: Callable[[Location], str]
    output_folder: Callable[[Location], str]
    runs_folder: Callable[[Location], str]
    secrets: str
