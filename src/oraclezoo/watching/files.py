"""Write the files of ``oraclezoo monitoring``."""

from __future__ import annotations

from pathlib import Path

from oraclezoo.storage import write_atomically
from oraclezoo.watching import dashboard, rules
from oraclezoo.watching.rules import quoted

RULES, DASHBOARD, SCRAPE = "oraclezoo-rules.yml", "oraclezoo-dashboard.json", "prometheus.yml"


def write(folder: Path, target: str) -> list[Path]:
    """Write alert rules, a dashboard and a Prometheus configuration; return their paths.

    Args:
        folder: Folder to write to; created if it does not exist.
        target: ``HOST:PORT`` of the server to scrape.
    """
    contents = {
        RULES: rules.as_yaml(),
        DASHBOARD: dashboard.as_json(),
        SCRAPE: configuration(target),
    }
    folder.mkdir(parents=True, exist_ok=True)
    return [
        write_atomically(folder / name, text.encode("utf-8")) for name, text in contents.items()
    ]


def configuration(target: str) -> str:
    """Return a minimal Prometheus configuration that scrapes one server."""
    return (
        "global:\n"
        "  scrape_interval: 15s\n"
        "rule_files:\n"
        f"  - {RULES}\n"
        "scrape_configs:\n"
        "  - job_name: oraclezoo\n"
        "    static_configs:\n"
        f"      - targets: [{quoted(target)}]\n"
        "    # authorization:\n"
        "    #   credentials_file: token    # of a server with --token-file\n"
    )
