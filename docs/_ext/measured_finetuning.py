"""How pruned nets are best fine-tuned, from benchmarks/measurements/finetuning.json."""

from __future__ import annotations

from measured import read, table


def finetuning() -> str:
    """Accuracy and loss by learning rate and share of distillation, a row a setting."""
    data = read("finetuning.json")
    found = {(row["macs"], row["lr_scale"], row["distill"]): row for row in data["rows"]}
    shares = list(dict.fromkeys(row["macs"] for row in data["rows"]))
    settings = list(dict.fromkeys((row["lr_scale"], row["distill"]) for row in data["rows"]))
    rows = [
        (f"{scale:g}", f"{distill:g}", *(_scored(found[share, scale, distill]) for share in shares))
        for scale, distill in settings
    ]
    header = ("`--lr-scale`", "`--distill`", *(f"`--macs {share:g}`" for share in shares))
    return "\n".join(
        [
            f"Accuracy, and cross-entropy in nats, on {data['images']:,} images (training and "
            f"validation, in {data['folds']} folds, by nets that had not seen them): the net of "
            f"`{data['recipe']}`, unpruned {_scored(data['unpruned'])}, pruned and fine-tuned for "
            f"{data['epochs']} epochs:",
            "",
            table(header, rows),
        ]
    )


def _scored(row: dict[str, float]) -> str:
    return f"{100 * row['accuracy']:.1f}%, {row['loss']:.3f}"
