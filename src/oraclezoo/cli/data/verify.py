"""``oraclezoo data verify``: verify files by their published digests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from oraclezoo.cli._shared.app import emit_json, json_option, print_table
from oraclezoo.cli._shared.examples import example

if TYPE_CHECKING:
    from pathlib import Path


@click.command("verify", epilog=example("oraclezoo data verify my-data --lock my-data.lock.toml"))
@click.argument("folder", type=click.Path(file_okay=False), required=False)
@click.option(
    "--lock",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Verify the files of a lock ('oraclezoo data lock') instead of Oracle-MNIST's.",
)
@json_option
def command(folder: str | None, lock: str | None, as_json: bool) -> None:
    """Verify the Oracle-MNIST files in FOLDER (default: the user's cache) by their digests.

    Exit status 3 if a digest differs or all files are missing. A single missing file is reported,
    but is not a failure. With --lock, FOLDER must have every file of the lock.
    """
    from pathlib import Path

    if lock is not None:
        _verify_lock(Path(lock), Path(folder or "."), as_json)
        return

    from oraclezoo.data.locate import folders, is_earlier
    from oraclezoo.data.locate import verify as check
    from oraclezoo.data.upstream import EARLIER, ORDERS
    from oraclezoo.errors import VerificationError

    place = folders(Path(folder) if folder else None)[0]
    checks = check(place)
    if as_json:
        rows = [
            {
                "name": c.name,
                "status": c.status,
                "kind": c.kind,
                "expected": c.expected,
                "actual": c.actual,
            }
            for c in checks
        ]
        emit_json("oraclezoo/verify/1", {"folder": str(place), "files": rows})
    else:
        print_table(
            ("file", "status", "digest"),
            [(c.name, c.status, f"{c.kind} {c.expected[:16]}") for c in checks],
        )
    bad = [c.name for c in checks if c.status not in ("ok", "missing")]
    if bad or all(c.status == "missing" for c in checks):
        problem = ", ".join(bad) + ": not the published file" if bad else "no files found"
        earlier = [c.name for c in checks if is_earlier(c)]
        if earlier:
            problem += f" ({', '.join(earlier)}: upstream's upload of {EARLIER}); {ORDERS}"
        raise VerificationError(f"{place}: {problem}; run 'oraclezoo data fetch'")


def _verify_lock(lock: Path, folder: Path, as_json: bool) -> None:
    """Print the check of each file of a lock. Raises VerificationError if one fails."""
    from oraclezoo.data.lock import check_files
    from oraclezoo.errors import VerificationError, command_line
    from oraclezoo.recipe.data_lock import DataLock

    checks = check_files(DataLock.read(lock), folder)
    if as_json:
        rows = [{"name": c.name, "status": c.status, "sha256": c.sha256} for c in checks]
        emit_json("oraclezoo/verify-lock/1", {"folder": str(folder), "files": rows})
    else:
        print_table(
            ("file", "status", "digest"),
            [(c.name, c.status, f"sha256 {c.sha256[:16]}") for c in checks],
        )
    wrong = [f"{c.name} ({c.status})" for c in checks if c.status != "ok"]
    if wrong:
        pull = command_line("oraclezoo", "data", "pull", lock, "--out", folder)
        raise VerificationError(
            f"{folder}: {', '.join(wrong)}; '{pull}' fetches the locked files, or "
            "'oraclezoo data lock' records a change"
        )
