"""Oracle-MNIST's files from upstream's git repository: verified, and whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from oraclezoo.data import upstream
from oraclezoo.data.atomic import alone
from oraclezoo.data.locate import check, download_folder, find, search
from oraclezoo.data.partial import Partial, without_password
from oraclezoo.data.upstream import UpstreamFile, known
from oraclezoo.errors import DataError, DownloadError

if TYPE_CHECKING:
    from oraclezoo.data.transfer import Settings

VARIABLE = "ORACLEZOO_DATA_URL"
"""Environment variable that names a mirror: the URL of a folder with the four .gz files."""

INSTEAD = (
    "Instead: --data-dir FOLDER with the files, a mirror's folder in $ORACLEZOO_DATA_URL, "
    "or --track glyphs-3k, which needs no download."
)


Received = Callable[[str, int, int | None], None]
"""Gets a file's name, its bytes so far, and in all (None if the server does not say)."""


def fetch(
    names: Iterable[str] | None = None,
    *,
    dest: Path | None = None,
    url: str | None = None,
    progress: Callable[[str], None] | None = None,
    received: Received | None = None,
    settings: Settings | None = None,
) -> dict[str, Path]:
    """Download upstream's files ``names`` (all four by default) and return where they are.

    ``dest`` is the folder (default: the user's cache), ``url`` the folder to download from
    (default: $ORACLEZOO_DATA_URL, else upstream's repository). A file that is in ``dest`` and
    matches its digest is kept; any other is replaced. ``progress`` gets lines, ``received`` the
    bytes as they come; ``settings`` are timeouts and attempts.

    A download that breaks off is gone on with by the next call. Two processes that want the same
    file in the same folder take turns, and the second finds it done.

    Raises DownloadError, with ``dest``'s file as it was before; UnknownNameError.
    """
    files = [known(name) for name in (upstream.FILES if names is None else names)]
    folder = dest or download_folder()
    base = (url or os.environ.get(VARIABLE) or upstream.URL).rstrip("/")
    places: dict[str, Path] = {}
    for file in files:
        path = places[file.name] = folder / file.name
        obtain(
            file,
            path,
            f"{base}/{file.name}",
            instead=INSTEAD,
            progress=progress,
            received=received,
            settings=settings,
        )
    return places


def obtain(
    file: UpstreamFile,
    path: Path,
    url: str,
    *,
    instead: str,
    progress: Callable[[str], None] | None = None,
    received: Received | None = None,
    settings: Settings | None = None,
) -> None:
    """Have ``file`` at ``path``, from ``url`` unless it is there; as :func:`fetch` does it.

    ``instead`` ends an error's message: what else the user can do. Raises DownloadError.
    """
    if _is_there(file, path):
        return
    say = progress or (lambda _: None)
    download = _Download(file, path, url, instead, say, received, settings)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with alone(path, download.wait):
            if not _is_there(file, path):
                download.run()
    except OSError as error:
        raise DownloadError(
            f"cannot write {path} ({error.strerror or error})\n{instead}"
        ) from error


def _is_there(file: UpstreamFile, path: Path) -> bool:
    return path.is_file() and check(file, path).status == "ok"


def ensure(
    names: Iterable[str],
    data_dir: Path | None,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Path]:
    """Where upstream's files ``names`` are; those found nowhere are downloaded into the cache.

    With ``data_dir`` nothing is downloaded. Raises DataError, DownloadError.
    """
    if data_dir is not None:
        return find(names, data_dir)
    found = search(names, None)
    fetched = fetch([name for name, path in found.items() if path is None], progress=progress)
    return {name: path or fetched[name] for name, path in found.items()}


def verified(file: UpstreamFile, path: Path) -> Path:
    """``path``, once its bytes are the published ones. Raises DataError."""
    result = check(file, path)
    if result.status == "ok":
        return path
    if result.status == "unreadable":
        raise DataError(f"{path}: cannot be read")
    raise DataError(
        f"{path}: its {result.kind} is {result.actual[:16]}…, not {result.expected[:16]}…: this is "
        "not Oracle-MNIST's published file\nGet it by 'oraclezoo data fetch'; data of your own go "
        "by --track idx."
    )


@dataclass(frozen=True, slots=True)
class _Download:
    """One file on its way to ``path``; to be run by one process at a time."""

    file: UpstreamFile
    path: Path
    url: str
    instead: str
    say: Callable[[str], None]
    received: Received | None
    settings: Settings | None

    def wait(self) -> None:
        """Another process has its turn."""
        self.say(f"{self.file.name}: waiting for another process that downloads it")

    def run(self) -> None:
        """Raises DownloadError; OSError if it cannot be written."""
        partial = Partial.of(self.path)
        size = partial.size_bytes()
        # all of it may have come before a kill
        if size and upstream.digest(partial.path, self.file.kind) == self.file.digest:
            partial.become(self.path)
            return
        source = without_password(self.url).rpartition("/")[0]
        self.say(f"downloading {self.file.name} from {source}")
        try:
            resumed = self._transfer(partial)
            actual = upstream.digest(partial.path, self.file.kind)
            if resumed and actual != self.file.digest:
                self.say(f"{self.file.name}: the pieces do not fit; once more from the start")
                partial.discard()
                self._transfer(partial)
                actual = upstream.digest(partial.path, self.file.kind)
            if actual != self.file.digest:
                partial.discard()
                raise DownloadError(
                    f"the {self.file.kind} of what came is {actual}, not {self.file.digest}; "
                    "it is another file or damaged"
                )
        except DownloadError as error:
            kept = partial.size_bytes()
            later = f"; {kept:,} bytes are kept to go on from" if kept else ""
            where = without_password(self.url)
            raise DownloadError(f"{where}: {error}{later}\n{self.instead}") from error.__cause__
        partial.become(self.path)

    def _transfer(self, partial: Partial) -> bool:
        """Whether it went on with what was there."""
        from oraclezoo.data.transfer import Settings, Transfer  # brings requests

        def received(done: int, total: int | None) -> None:
            if self.received is not None:
                self.received(self.file.name, done, total)

        settings = self.settings or Settings()
        return Transfer(self.url, partial, self.file.max_bytes, settings, self.say, received).run()
