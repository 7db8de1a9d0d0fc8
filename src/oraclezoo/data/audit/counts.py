"""Class counts: imbalance, and a test that the splits have equal class proportions."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import chi2_contingency

from oraclezoo.data.audit.records import Finding, Pool
from oraclezoo.data.dataset import SPLITS


def table(pool: Pool) -> Any:
    """Count the images of each class in each split.

    Args:
        pool: The images.

    Returns:
        int64 ``(classes, 3)``.
    """
    counts = np.zeros((pool.num_classes, len(SPLITS)), np.int64)
    np.add.at(counts, (pool.labels, pool.splits), 1)
    return counts


def balance(pool: Pool) -> dict[str, Any]:
    """Return the class imbalance and a chi-square test of homogeneity across the splits.

    The null hypothesis of Pearson's chi-square test (without Yates's correction) is that the splits
    have the same class proportions. Classes and splits without images are left out.

    Args:
        pool: The images.

    Returns:
        ``imbalance`` (largest class count over the smallest positive one, all splits),
        ``chi_square``, ``degrees_of_freedom`` and ``p_value``; 0, 0 and 1 if there is nothing to
        test.
    """
    counts = table(pool)
    totals = counts.sum(1)
    filled = counts[totals > 0][:, counts.sum(0) > 0]
    test = chi2_contingency(filled, correction=False) if min(filled.shape) > 1 else None
    return {
        "imbalance": round(float(totals.max() / totals[totals > 0].min()), 4),
        "chi_square": round(float(test.statistic), 4) if test else 0.0,
        "degrees_of_freedom": int(test.dof) if test else 0,
        "p_value": round(float(test.pvalue), 6) if test else 1.0,
    }


def label_sets(pool: Pool) -> list[Finding]:
    """Find classes that lack images in a split.

    Args:
        pool: The images.

    Returns:
        A finding per class, serious if the training split lacks it and another split has it.
    """
    findings = []
    for label, row in enumerate(table(pool)):
        lacking = [name for name, count in zip(SPLITS, row, strict=True) if not count]
        if not lacking:
            continue
        serious = "train" in lacking and bool(row.sum())
        note = f"label {label} has no image in {' and '.join(lacking)}"
        findings.append(Finding("label-set", serious, (), float(label), note))
    return findings
