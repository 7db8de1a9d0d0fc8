"""Measure bf16, fp16 and int8 of a bundled model in PyTorch.

For each precision, the script writes the receipt of `oraclezoo quantize --backend torch`, measured
on the validation images of a generated track and compared with float32, eager and compiled. It
saves the document after each precision, so that an interrupted run keeps finished ones.

    python benchmarks/torch_receipts.py [--device cuda] [--rounds 1] [--json] [--out FILE]

int8 needs torchao (pip install 'oraclezoo[torchao]').
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from _measured import emit, names, options, positive

import oraclezoo as oz
from oraclezoo.card.receipt import Receipt
from oraclezoo.cli._shared.receipt import receipt_text
from oraclezoo.errors import OracleZooError

SCHEMA = "oraclezoo/torch-receipts/1"


def main() -> int:
    """Measure, write and print the receipts; return 1 if one failed."""
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
        receipts = map(Receipt.from_json, data["receipts"])
        print("\n\n".join(map(receipt_text, receipts)))
    return 1 if data["failed"] else 0


def parse() -> argparse.Namespace:
    """Parse options; ``--quick`` measures one setting for one round."""
    parser = options(__doc__)
    parser.add_argument("--model", default="oraclenet_s", help="name of the model")
    parser.add_argument("--track", default="glyphs-3k", help="track with the validation images")
    parser.add_argument("--data-dir", help="folder with the track's files, unless it is generated")
    parser.add_argument("--precisions", type=names, default=["bf16", "fp16", "int8"])
    parser.add_argument("--compile", choices=("auto", "on", "off"), default="auto")
    parser.add_argument(
        "--rounds", type=positive, default=3, help="rounds that alternate before and after"
    )
    parser.add_argument("--batch-size", type=positive, default=500, help="size of the large batch")
    parser.add_argument("--threads", type=positive, default=1, help="number of PyTorch threads")
    arguments = parser.parse_args()
    large = [] if arguments.quick else [(arguments.batch_size, arguments.threads)]
    arguments.settings = [(1, arguments.threads), *large]
    arguments.rounds = 1 if arguments.quick else arguments.rounds
    return arguments


def receipt(precision: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the receipt of the model in one precision, and discard the model."""
    quantized = oz.quantize(
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
    return quantized.card.receipts[-1].to_json()


if __name__ == "__main__":
    sys.exit(main())
