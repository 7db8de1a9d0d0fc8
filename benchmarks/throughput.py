"""Compare training throughput of oraclezoo's engine, a plain DataLoader loop, and Lightning.

All contenders use the same model, batch size, precision, optimizer and images (noise of 28 x 28
pixels). Only the engine augments, and its rows state whether they do. If the precision is fp32, one
row of the engine uses bf16, to show which precision suits the device. The other contenders use
PyTorch's default memory format (NCHW) and their best number of loader workers (on a GPU, up to
twelve). The engine's best setting is selected among batch sizes and memory formats, then with
compilation on a GPU or with ``--compile``. Each contender runs in a separate process and they take
turns. A ratio is the ratio of medians, with its range over rounds.

The script compares the model's FLOP/s with those of the fastest of matrix products and a wide
convolution, in the same precision and the same rounds. A profile of the engine shows the remaining
time.

    pip install lightning      # once; without it, --no-lightning
    python benchmarks/throughput.py [--rounds 5] [--turn-s 3] [--json] [--out FILE]

Output: benchmarks/measurements/throughput.json.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from _measured import Figures, emit, machine, names, noise, options, positive, quotient, spread
from _turns import Contender, rounds, running

from oraclezoo.errors import OracleZooError

SCHEMA = "oraclezoo/throughput/1"
BATCHES = {"mobilenetv3_small_100": 32, "oraclenet": 256}
"""Common batch size of all contenders, by model."""
RATIOS = {
    "ratio_lightning_same_batch": ("mobilenetv3_small_100", "engine", "lightning"),
    "ratio_lightning_best": ("mobilenetv3_small_100", "engine best", "lightning"),
    "ratio_plain_house_net": ("oraclenet", "engine", "dataloader"),
    "ratio_lightning_house_net": ("oraclenet", "engine best", "lightning"),
}
KINDS = (
    ("depthwise convolution", r"depthwise"),
    ("convolution", r"conv|fprop|dgrad|wgrad"),
    ("normalization", r"norm|bn_"),
    ("pooling", r"pool|amax|max_|mean"),
    ("optimizer", r"foreach|fused_(adam|sgd)|adam|multi_tensor"),
    ("matrix products", r"mm$|gemm|cutlass|linear|matmul"),
    ("augmentation", r"grid|affine|upsample|bicubic|rand|uniform|masked_fill"),
    ("copies", r"copy|memcpy|memset|clone|contiguous|cat|index|gather|zero|fill"),
    (
        "pointwise",
        r"gelu|relu|hardswish|hardsigmoid|sigmoid|(^|::)_?(add|mul|sub|div|sum|threshold)|softmax"
        r"|nll|elementwise|triton|reduce",
    ),
)
"""Kind of an operation by a pattern of its name; the first match counts."""


def main() -> None:
    """Run the measurements, print and write them."""
    arguments = parse(sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder, machine(arguments.device, arguments.threads) as m:
        shared = common(arguments, m, noise(Path(folder) / "data", arguments.images))
        groups = [measure(model, shared, arguments) for model in arguments.models]
    data = document(groups, m, arguments)
    if not emit(SCHEMA, data, arguments):
        show(data)


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Parse options, and fill in defaults that depend on each other."""
    parser = options(__doc__)
    parser.add_argument(
        "--models", type=names, default=list(BATCHES), help="comma-separated models"
    )
    parser.add_argument("--rounds", type=positive, help="turns of each contender (5)")
    parser.add_argument("--turn-s", type=float, help="length of a turn in seconds (3)")
    parser.add_argument(
        "--images", type=positive, help="number of training images (1,800; on a GPU 27,222)"
    )
    parser.add_argument("--batches", help="batch sizes to try for the engine, e.g. 64,128")
    parser.add_argument(
        "--precision", choices=("fp32", "bf16"), help="default: fp32; on a GPU bf16"
    )
    parser.add_argument(
        "--threads", type=positive, default=os.cpu_count(), help="number of PyTorch threads"
    )
    parser.add_argument(
        "--compile",
        action=argparse.BooleanOptionalAction,
        help="also try the best setting compiled (default: on a GPU)",
    )
    parser.add_argument("--no-lightning", action="store_true", help="omit Lightning")
    arguments = parser.parse_args(words)
    if unknown := [model for model in arguments.models if model not in BATCHES]:
        parser.error(f"--models: unknown model {unknown[0]}; known: {', '.join(BATCHES)}")
    if not arguments.no_lightning and importlib.util.find_spec("lightning") is None:
        parser.error("lightning is not installed: pip install lightning, or use --no-lightning")
    on_gpu = arguments.device.startswith("cuda") or (arguments.device == "auto" and has_cuda())
    quick = arguments.quick
    arguments.rounds = arguments.rounds or (2 if quick else 5)
    arguments.turn_s = arguments.turn_s or (0.4 if quick else 3.0)
    arguments.images = arguments.images or (900 if quick else 27_222 if on_gpu else 1_800)
    arguments.precision = arguments.precision or ("bf16" if on_gpu else "fp32")
    arguments.compile = on_gpu and not quick if arguments.compile is None else arguments.compile
    usual = (256, 512, 1024, 2048) if on_gpu else (64, 128, 256, 512)
    try:
        arguments.batches = (
            [int(n) for n in arguments.batches.split(",")] if arguments.batches else usual
        )
    except ValueError:
        parser.error(f"--batches: '{arguments.batches}' is not a comma-separated list of integers")
    if quick:
        arguments.batches = arguments.batches[1:2]
    if too_large := [n for n in (*arguments.batches, *BATCHES.values()) if n > arguments.images]:
        parser.error(f"--images must be at least {max(too_large)}, the largest batch size")
    return arguments


def has_cuda() -> bool:
    """Return whether PyTorch has a CUDA device."""
    import torch

    return torch.cuda.is_available()


def common(arguments: argparse.Namespace, about: Figures, data: Path) -> dict[str, Any]:
    """Return the settings that all contenders share."""
    return {
        "device": about["device"],
        "threads": arguments.threads,
        "precision": arguments.precision,
        "data": str(data),
        "workers": 0,
        "channels_last": False,
        "augmented": False,
        "compile": "off",
    }


def line_up(
    model: str, shared: dict[str, Any], arguments: argparse.Namespace
) -> dict[str, list[dict[str, Any]]]:
    """Return the candidate settings of each role; the fastest one is used."""
    base = shared | {"model": model, "batch_size": BATCHES[model]}
    own = {"way": "engine", "augmented": True, "channels_last": True}
    on_gpu = shared["device"].startswith("cuda")
    cores = os.cpu_count() or 1
    workers = (0,) if arguments.quick else (min(12, cores),) if on_gpu else (0, 2)
    rivals = ["dataloader"] if arguments.no_lightning else ["lightning", "dataloader"]
    layouts = (True,) if arguments.quick else (True, False)
    best = [
        base | own | {"batch_size": size, "channels_last": layout}
        for size in arguments.batches
        for layout in layouts
    ]
    bare = {} if arguments.quick else {"engine bare": [base | own | {"augmented": False}]}
    if not arguments.quick and shared["precision"] == "fp32":
        bare["engine bf16"] = [base | own | {"precision": "bf16"}]
    return {
        **{way: [base | {"way": way, "workers": n} for n in workers] for way in rivals},
        "engine": [base | own],
        **bare,
        "engine best": best,
        "peak": [base | {"way": "peak"}],
    }


def measure(model: str, shared: dict[str, Any], arguments: argparse.Namespace) -> Figures:
    """Select each role's setting, then measure all roles in turns."""
    picked: dict[str, dict[str, Any]] = {}
    all_rates: list[Figures] = []
    with ExitStack() as stack:
        for role, settings in line_up(model, shared, arguments).items():
            note(f"{model}: {role}, {len(settings)} settings")
            best, rates = choose(settings, arguments.turn_s)
            all_rates += rates
            if role == "engine best" and arguments.compile:
                note(f"{model}: {role}, compiled")
                best, rates = choose([best, best | {"compile": "on"}], arguments.turn_s)
                all_rates += rates
            picked[role] = best
        started = stack.enter_context(running(list(picked.values())))
        contender_of = dict(zip(picked, started, strict=True))
        note(f"{model}: {arguments.rounds} rounds of {len(contender_of)}")
        turns = rounds(list(contender_of.values()), arguments.rounds, arguments.turn_s)
        rates_of = dict(zip(contender_of, turns, strict=True))
        last = {role: each.turn(0) for role, each in contender_of.items()}
        profiled = [
            role for role in ("dataloader", "engine", "engine best") if role in contender_of
        ]
        profiles = {
            role: contender_of[role].turn(arguments.turn_s, profile=True) for role in profiled
        }
        facts = {role: each.facts for role, each in contender_of.items()}
        settings_of = {role: each.setting for role, each in contender_of.items()}
    peak = spread([rate / 1e9 for rate in rates_of.pop("peak")])
    rows = [
        row(model, role, settings_of[role], facts[role], rates, last[role], peak)
        for role, rates in rates_of.items()
    ]
    share_of = {each["contender"]: each.get("share_of_peak") for each in rows}
    return {
        "model": model,
        "rows": rows,
        "tried": all_rates,
        "peak": {"work": facts["peak"]["work"], "gflops_per_s": peak},
        "profile": {role: account(each, share_of[role]) for role, each in profiles.items()},
    }


def choose(
    settings: Sequence[dict[str, Any]], seconds: float
) -> tuple[dict[str, Any], list[Figures]]:
    """Return the fastest setting, and a row for each; a single setting is not measured.

    Failing settings are excluded. Raises OracleZooError if all fail.
    """
    if len(settings) == 1:
        return settings[0], []
    candidates: list[tuple[float, dict[str, Any]]] = []
    rows: list[Figures] = []
    at_once = max(4, (os.cpu_count() or 1) // 2)  # each uses several hundred megabytes
    for first in range(0, len(settings), at_once):
        with running(settings[first : first + at_once]) as contenders:
            for each, rate in zip(contenders, tries(contenders, seconds), strict=True):
                setting = {key: each.setting[key] for key in SETTING}
                if isinstance(rate, OracleZooError):
                    rows.append(setting | {"images_per_s": None, "failed": str(rate)})
                else:
                    candidates.append((rate, each.setting))
                    rows.append(setting | {"images_per_s": round(rate, 1)})
    if not candidates:
        raise OracleZooError(f"all settings failed: {rows[0]['failed']}")
    return max(candidates, key=lambda pair: pair[0])[1], rows


def tries(contenders: Sequence[Contender], seconds: float) -> list[float | OracleZooError]:
    """Return the best rate of each setting in three turns after a warm-up, or its failure.

    With so few turns, the best rate is more robust than the median: load only slows turns down.
    """
    rates: list[float | OracleZooError] = [0.0] * len(contenders)
    for number in range(4):
        for index, each in enumerate(contenders):
            if isinstance(before := rates[index], OracleZooError):
                continue
            try:
                rate = each.turn(seconds / 3)["per_s"]
                rates[index] = max(before, rate if number else 0.0)
            except OracleZooError as error:
                rates[index] = error
    return rates


SETTING = (
    "model",
    "way",
    "batch_size",
    "channels_last",
    "precision",
    "workers",
    "augmented",
    "compile",
)
"""Return the part of a row that describes the setting."""


def row(
    model: str,
    contender: str,
    setting: dict[str, Any],
    facts: Figures,
    rates: Sequence[float],
    last: Figures,
    peak: Figures,
) -> Figures:
    """Return the figures of a contender; the engine's include FLOP/s and share of peak."""
    figures: Figures = {
        "contender": contender,
        **{key: setting[key] for key in SETTING},
        "images_per_s": spread(rates),
        "first_step_s": facts["first_step_s"],
        "peak_memory_bytes": last["peak_memory_bytes"],
    }
    if "flops_per_image" in facts and contender != "engine bf16":  # bf16 has a different peak
        flops = facts["flops_per_image"]
        gflops = spread([rate * flops / 1e9 for rate in rates])
        figures |= {
            "flops_per_image": round(flops),
            "gflops_per_s": gflops,
            "share_of_peak": quotient(gflops, peak),
        }
    return figures


def kind_of(operation: str) -> str:
    """Return the kind of an operation from its name."""
    for kind, pattern in KINDS:
        if re.search(pattern, operation, re.IGNORECASE):
            return kind
    return "other"


def account(turn: Figures, share_of_peak: Figures | None) -> Figures:
    """Return the time of a profiled turn by kind of operation: µs per image, and shares.

    ``busy_share`` is the time of all operations divided by the time of the turn; on a GPU, the rest
    is idle time. ``arithmetic_share_of_peak`` is the share of peak throughput within the time of
    convolutions and matrix products.
    """
    operations = turn["operations"]
    # a machine may deny its GPU's counters; then no operation is seen
    total = sum(seconds for _, seconds in operations) or 1e-9
    kinds: dict[str, float] = {}
    for name, seconds in operations:
        kinds[kind_of(name)] = kinds.get(kind_of(name), 0.0) + seconds
    ordered = dict(sorted(kinds.items(), key=lambda pair: -pair[1]))
    shares = {kind: round(seconds / total, 4) for kind, seconds in ordered.items()}
    arithmetic = sum(
        shares.get(kind, 0.0)
        for kind in ("convolution", "depthwise convolution", "matrix products")
    )
    images = turn["per_s"] * turn["seconds"]
    within = share_of_peak["value"] / arithmetic if share_of_peak and arithmetic else None
    return {
        "shares": shares,
        "us_per_image": {kind: round(s / images * 1e6, 2) for kind, s in ordered.items()},
        "busy_share": round(total / turn["seconds"], 3),
        "arithmetic_share_of_peak": None if within is None else round(within, 3),
        "operations": [[name, round(seconds / total, 4)] for name, seconds in operations[:15]],
    }


def document(groups: Sequence[Figures], about: Figures, arguments: argparse.Namespace) -> Figures:
    """Return the data of the JSON document."""
    rows = [each for group in groups for each in group["rows"]]
    by_name = {(each["model"], each["contender"]): each for each in rows}
    ratios = {
        name: quotient(by_name[model, over]["images_per_s"], by_name[model, under]["images_per_s"])
        for name, (model, over, under) in RATIOS.items()
        if (model, over) in by_name and (model, under) in by_name
    }
    house = by_name.get(("oraclenet", "engine best"))
    return {
        **{name: ratios[name]["value"] if name in ratios else None for name in RATIOS},
        "flops_share_of_peak": house["share_of_peak"]["value"] if house else None,
        "ratios": ratios,
        "rounds": arguments.rounds,
        "turn_s": arguments.turn_s,
        "images": arguments.images,
        "image_size": 28,
        "quick": arguments.quick,
        **about,
        "rows": rows,
        "tried": [each for group in groups for each in group["tried"]],
        "peaks": {group["model"]: group["peak"] for group in groups},
        "profiles": {group["model"]: group["profile"] for group in groups},
    }


def note(text: str) -> None:
    """Print progress to stderr."""
    print(text, file=sys.stderr, flush=True)


def show(data: Figures) -> None:
    """Print the figures."""
    hardware = data["hardware"]
    print(
        f"{hardware['device']}, {hardware['threads']} threads, load {data['load_average_before']}"
    )
    for each in data["rows"]:
        rate, share = each["images_per_s"], each.get("share_of_peak")
        layout = "NHWC" if each["channels_last"] else "NCHW"
        print(
            f"{each['model']:22} {each['contender']:12} batch {each['batch_size']:4} {layout} "
            f"{each['precision']} {rate['median']:10,.0f} images/s "
            f"({rate['min']:,.0f} to {rate['max']:,.0f})"
            + (f", {share['value']:.0%} of peak" if share else "")
        )
    for name, value in data["ratios"].items():
        print(f"{name} {value['value']} ({value['min']} to {value['max']})")
    for model, profiles in data["profiles"].items():
        print(f"{model}: peak measured with {data['peaks'][model]['work']}")
        for contender, profile in profiles.items():
            shares = ", ".join(f"{kind} {share:.0%}" for kind, share in profile["shares"].items())
            print(f"  {contender}: {shares}")


if __name__ == "__main__":
    try:
        main()
    except OracleZooError as error:
        sys.exit(f"throughput.py: {error}")
