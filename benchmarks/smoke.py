"""Smoke test of the installed dependencies: each command that uses a heavy one, on few images.

    python benchmarks/smoke.py

Generates characters, trains a few steps, benchmarks, exports, quantizes, prunes, predicts and ranks
with the oraclezoo of this interpreter, in a temporary folder. ``nox -s bounds`` runs it with the
lowest and with the newest versions of the dependencies.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

COMMANDS = """\
env
data glyphs --out data --train 20 --validation 4 --test 4
data preview idx --data-dir data --out preview.png --per-class 1
train quick --track idx --data-dir data --device cpu -s budget.batch_size=32 --out runs
export RUN --out model --data-dir data --no-timed
quantize model --out int8 --data-dir data --no-timed --images 32
prune RUN --out pruned --data-dir data --no-timed --macs 0.7 --epochs 0
export pruned --out pruned-onnx --data-dir data --no-timed
predict --model int8 preview.png
predict --model pruned-onnx preview.png
bench quick --track idx --data-dir data --device cpu -s budget.batch_size=32 --seeds 1
leaderboard results
"""


def main() -> int:
    """Run the commands and return the exit status of the first that fails, or 0."""
    with tempfile.TemporaryDirectory(prefix="oraclezoo-smoke-") as folder:
        for line in COMMANDS.splitlines():
            runs = [str(path) for path in Path(folder).glob("runs/quick-*")]
            words = [word if word != "RUN" else runs[0] for word in line.split()]
            print("oraclezoo", *words, flush=True)
            done = subprocess.run([sys.executable, "-m", "oraclezoo", *words], cwd=folder)
            if done.returncode:
                return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
