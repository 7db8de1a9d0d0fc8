"""Torch receipts: what bf16, fp16 and int8 cost and bring a shipped model where torch runs it.

For each precision the receipt that `oraclezoo quantize --backend torch` leaves, measured on the
validation images of a generated track: float32 eager and compiled before, the form after. The
document is written after each, so that one cut short has those that are done.

    python benchmarks/torch_receipts.py [--device cuda] [--rounds 1] [--json] [--out FILE]

int8 needs torchao (pip install 'oraclezoo[torchao]').
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from _measured import emit, names, options, positive

import oraclezoo as oz
from oraclezoo.cli._receipt import receipt_text
from oraclezoo.errors import OracleZooError

SCHEMA = "oraclezoo/torch-receipts/1"


def main() -> int:
    """Make the receipts, write and print them; 1 if one could not be made."""
    arguments = parse()
    data: dict[str, Any] = {"model": arguments.model, "track": arguments.track}
    data |= {"receipts": [], "failed": {}}
    for precision in arguments.precisions:
        try:
            data["receipts"].append(receipt(precision, arguments))
        except OracleZooError as error:
            data["failed"][precision] = str(error)
            print(f"{precision}: {error}", file=sys.stderr)
        emit(SCHEMA, data, argparse.Namespace(out=arguments.out, json=False))
    if not emit(SCHEMA, data, arguments):
        print("\n\n".join(map(receipt_text, data["receipts"])))
    return 1 if data["failed"] else 0


def parse() -> argparse.Namespace:
    """What is asked; ``--quick`` is one setting, one round."""
    parser = options(__doc__)
    parser.add_argument("--model", default="oraclenet_s", help="a model by its name")
    parser.add_argument("--track", default="glyphs-3k", help="whose validation images are used")
    parser.add_argument("--data-dir", help="where the track's files are, if it is not generated")
    parser.add_argument("--precisions", type=names, default=["bf16", "fp16", "int8"])
    parser.add_argument("--compile", choices=("auto", "on", "off"), default="auto")
    parser.add_argument("--rounds", type=positive, default=3, help="of before and after in turn")
    parser.add_argument("--batch-size", type=positive, default=500, help="of the large batch")
    parser.add_argument("--threads", type=positive, default=1, help="that torch takes")
    arguments = parser.parse_args()
    large = [] if arguments.quick else [(arguments.batch_size, arguments.threads)]
    arguments.settings = [(1, arguments.threads), *large]
    arguments.rounds = 1 if arguments.quick else arguments.rounds
    return arguments


def receipt(precision: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Of the model in one precision; nothing is kept of the model that is made."""
    made = oz.quantize(
        arguments.model,
        backend="torch",
        precision=precision,
        device=arguments.device,
        compile=arguments.compile,
        track=arguments.track,
        data_dir=arguments.data_dir,
        rounds=arguments.rounds,
        settings=arguments.settings,
        progress=lambda text: print(text, file=sys.stderr),
    )
    found: dict[str, Any] = made.card["receipts"][-1]
    return found


if __name__ == "__main__":
    sys.exit(main())
