"""Fine-tuning of pruned networks, from benchmarks/measurements/finetuning.json."""

from __future__ import annotations

from measured import read, table


def finetuning() -> str:
    """Return accuracy and loss by learning rate and distillation weight."""
    data = read("finetuning.json")
    by_setting = {(row["macs"], row["lr_scale"], row["distill"]): row for row in data["rows"]}
    shares = list(dict.fromkeys(row["macs"] for row in data["rows"]))
    settings = list(dict.fromkeys((row["lr_scale"], row["distill"]) for row in data["rows"]))
    rows = [
        (
            f"{scale:g}",
            f"{distill:g}",
            *(_scored(by_setting[share, scale, distill]) for share in shares),
        )
        for scale, distill in settings
    ]
    header = ("`--lr-scale`", "`--distill`", *(f"`--macs {share:g}`" for share in shares))
    return "\n".join(
        [
            f"Cross-validated accuracy and cross-entropy in nats on {data['images']:,} training "
            f"and validation images ({data['folds']} folds). The network of `{data['recipe']}` "
            f"reaches {_scored(data['unpruned'])} unpruned; each cell is pruned and fine-tuned for "
            f"{data['epochs']} epochs:",
            "",
            table(header, rows),
        ]
    )


def _scored(row: dict[str, float]) -> str:
    return f"{100 * row['accuracy']:.1f}%, {row['loss']:.3f}"
