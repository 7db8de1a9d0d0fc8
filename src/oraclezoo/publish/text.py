"""Write the text of a pull request that publishes results."""

from __future__ import annotations

from collections.abc import Sequence

from oraclezoo.errors import OracleZooError
from oraclezoo.publish.checks import Checked
from oraclezoo.ranking.load import entry_of, load_results, published_folder
from oraclezoo.ranking.reproduction.record import of_result
from oraclezoo.ranking.table import leaderboard
from oraclezoo.ranking.text import clean
from oraclezoo.result import Result


def pull_request(checked: Sequence[Checked], files: Sequence[str], caveat: str) -> str:
    """Return the Markdown: row, command, hardware and checks for each result, then the files.

    ``caveat`` states the limitations of the checks.
    """
    names = ", ".join(one.result.recipe.name for one in checked if one.result)
    lines = [f"# Results: {names}", ""]
    for one in checked:
        assert one.result is not None
        lines += _section(one, one.result)
    lines += ["## Files", "", *(f"- `{name}`" for name in files), ""]
    lines += ["The ledger only gains lines.", ""]
    lines += ["## Limitations", "", caveat, ""]
    return "\n".join(lines)


def _section(one: Checked, result: Result) -> list[str]:
    hardware, libraries = result.hardware, result.libraries
    versions = ", ".join(f"{name} {libraries[name]}" for name in sorted(libraries))
    reproductions = of_result(one.path)
    verdicts = [f"{r.verdict} ({r.hardware.class_}, {len(r.seeds)} seeds)" for r in reproductions]
    lines = [f"## {result.recipe.name} on {result.track.name}", ""]
    lines += [leaderboard([entry_of(result)]).to_markdown(robust=True).rstrip(), ""]
    lines += [_standing(result), "", "```console", f"$ {_command(result.command)}", "```", ""]
    lines += [
        f"- Hardware: {clean(hardware.device)}, {hardware.cores} cores, "
        f"{hardware.threads} threads, {clean(hardware.platform)} (class `{hardware.class_}`)",
        f"- oraclezoo {clean(result.oraclezoo)}, code `{result.code_sha256[:12]}`; "
        f"{clean(versions, 300)}",
        f"- Reproductions: {'; '.join(verdicts) or 'none yet'}",
        "",
        "Checks of `oraclezoo submit`:",
        "",
        *(f"- {'✓' if f.ok else '–'} {f.rule}: {clean(f.text, 300)}" for f in one.findings),
        "",
    ]
    return lines


def _standing(result: Result) -> str:
    """Return the rank of the row among the published rows."""
    try:
        entries = load_results([published_folder()])
        rows = leaderboard(
            [*(e for e in entries if e.result.recipe.hash != result.recipe.hash), result],
            track=result.track.name,
            division=result.track.division,
        ).rows
    except OracleZooError as error:
        return f"Not ranked among the published results: {clean(str(error), 300)}"
    row = next(row for row in rows if row.id == result.id)
    ties = [other.label for other in rows if other.number in row.ties_with]
    rank = "no rank" if row.rank is None else f"rank {row.rank}"
    tied = f", tied with {', '.join(ties)}" if ties else ""
    return f"Among the {len(rows)} results of its track and division: {rank}{tied}."


def _command(command: str) -> str:
    return clean(command, 1000).replace("`", "'")
