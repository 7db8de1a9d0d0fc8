"""Commands run in the test process."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from oraclezoo.cli import cli

SMALL = ("-s", "budget.epochs=4", "-s", "budget.batch_size=16", "--device", "cpu")


def oraclezoo(*arguments: str | Path, **environment: str) -> Result:
    """Run a command with environment variables."""
    return CliRunner().invoke(cli, [str(argument) for argument in arguments], env=environment)


def train(data: Path, *more: str) -> Result:
    """Train a small recipe on a folder of IDX files."""
    return oraclezoo("train", "authors-cnn", "--track", "idx", "--data-dir", data, *SMALL, *more)
