"""Command line of the harness: choose cases, run them, print and write the table."""

from __future__ import annotations

import argparse
import json
import platform
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from _faults import SECTIONS
from _faults.lab import CHECKOUT, Amount, Lab, PreparationError
from _faults.process import Setting
from _faults.records import FAULTS, Attempt, Case, Row, Verdict, summarize
from _faults.zoo import Zoo

SCHEMA = "oraclezoo/faults/1"
FILE = CHECKOUT / "benchmarks" / "measurements" / "faults.json"


def parser(doc: str | None) -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--python", type=Path, default=Path(sys.executable), help="interpreter")
    made.add_argument("--only", nargs="+", metavar="NAME", help="cases or sections to run")
    made.add_argument("--list", action="store_true", help="list the cases and exit")
    made.add_argument("--mutations", type=int, default=Amount().mutations, help="for each parser")
    made.add_argument("--kills", type=int, default=Amount().kills)
    made.add_argument("--seed", type=int, default=Amount().seed)
    made.add_argument(
        "--patience", type=float, default=1.0, help="multiply time limits, on a busy machine"
    )
    made.add_argument("--json", action="store_true", help="print one JSON document")
    made.add_argument("--write", action="store_true", help=f"write {FILE.relative_to(CHECKOUT)}")
    made.add_argument("--out", type=Path, help="also write the document to this file")
    made.add_argument("-v", "--verbose", action="store_true", help="print each attempt")
    return made


def chosen(names: Sequence[str] | None) -> Iterator[tuple[str, Case]]:
    """Yield section and case for names of cases, their beginnings, or sections."""
    known = [(section, case) for section, cases in SECTIONS.items() for case in cases]
    for name in names or ():
        if not any(name == section or case.name.startswith(name) for section, case in known):
            raise SystemExit(f"no case or section is called {name}; --list shows them")
    for section, case in known:
        if not names or section in names or any(case.name.startswith(name) for name in names):
            yield section, case


def merge(path: Path, data: dict[str, Any]) -> None:
    """Write the document; a file on the same version keeps the rows that were not run."""
    rows = data["rows"]
    try:
        old = json.loads(path.read_text(encoding="utf-8"))["data"]
    except (FileNotFoundError, ValueError, KeyError):
        old = {}
    if old.get("oraclezoo") == data["oraclezoo"]:
        names = {row["name"] for row in rows}
        rows = [*rows, *(row for row in old["rows"] if row["name"] not in names)]
    order = [case.name for cases in SECTIONS.values() for case in cases]
    rows = sorted(
        (row for row in rows if row["name"] in order), key=lambda r: order.index(r["name"])
    )
    text = json.dumps({"schema": SCHEMA, "data": {**data, "rows": rows}}, indent=1)
    text = re.sub(r"/[^\s\"']*faults-\w+/", "", text)  # folders of this machine
    path.write_text(text + "\n", encoding="utf-8")


def run(lab: Lab, section: str, case: Case) -> Row:
    """Run a case; an attack that cannot be prepared counts as a fault."""
    start = time.monotonic()
    attempts: list[Attempt] = []
    try:
        for attempt in case.attempts(lab):
            attempts.append(attempt)
    except PreparationError as error:
        attempts.append(lab.say(Attempt("preparation", Verdict.UNCLEAR, str(error)[:300])))
    except (KeyError, TypeError, IndexError, ValueError, OSError, AttributeError) as error:
        where = traceback.extract_tb(error.__traceback__)[-1]  # an answer of another form
        why = f"the answer cannot be read: {error!r} ({Path(where.filename).name}:{where.lineno})"
        attempts.append(lab.say(Attempt("reading the answer", Verdict.UNCLEAR, why)))
    return summarize(section, case, attempts, time.monotonic() - start)


def document(lab: Lab, rows: Iterable[Row]) -> dict[str, Any]:
    """Return the measurement: what was attacked, how much was tried, and the rows."""
    about = lab.zoo.probe(Setting(lab.work), "version").data
    return {
        "oraclezoo": about["version"],
        "platform": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "seed": lab.amount.seed,
        "rows": [asdict(row) for row in rows],
    }


def show(row: Row) -> str:
    """Return a line of the table, and the faults below it."""
    counts = ", ".join(f"{row.counts[v.value]} {v.value}" for v in Verdict if row.counts[v.value])
    lines = [
        f"{'FAIL' if row.failed else 'ok':4} {row.name}: {row.tried} tried: {counts} "
        f"({row.seconds} s)"
    ]
    return "\n".join([*lines, *(f"       {fault}" for fault in row.faults)])


def main(doc: str | None, arguments: Sequence[str] | None = None) -> int:
    """Run the harness and return the exit status."""
    options = parser(doc).parse_args(arguments)
    cases = list(chosen(options.only))
    if options.list:
        for section, case in cases:
            print(f"{section:10} {case.name}: {case.sentence}")
        return 0
    out = sys.stderr if options.json else sys.stdout
    note = (
        (lambda text: print(text, file=out, flush=True)) if options.verbose else lambda text: None
    )
    work = Path(tempfile.mkdtemp(prefix="faults-"))
    work.chmod(0o755)
    rows: list[Row] = []
    files = [*([FILE] if options.write else []), *([options.out] if options.out else [])]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends the attacked processes too
    try:
        with Zoo(options.python.absolute(), work / "processes", options.patience) as zoo:
            amount = Amount(options.mutations, options.kills, options.seed)
            lab = Lab(zoo, work, amount, note)
            for section, case in cases:
                rows.append(run(lab, section, case))
                print(show(rows[-1]), file=out, flush=True)
                data = document(lab, rows)
                for path in files:  # a run that is stopped keeps its rows
                    merge(path, data)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    total = {verdict.value: sum(row.counts[verdict.value] for row in rows) for verdict in Verdict}
    print("all: " + ", ".join(f"{count} {name}" for name, count in total.items()), file=out)
    if options.json:
        print(json.dumps({"schema": SCHEMA, "data": data}, indent=2))
    return int(any(total[verdict.value] for verdict in FAULTS))
