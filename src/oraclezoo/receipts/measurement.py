"""Options shared by all commands that measure a model before and after a change."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from oraclezoo.card.receipt import GateEntry, Receipt
from oraclezoo.errors import VerificationError
from oraclezoo.receipts.timing import ROUNDS, Setting

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Measurement:
    """Data and latency settings for the measurements of a receipt.

    ``track`` is the name of the data set (None for the one that the model was trained on), and
    ``data_dir`` the folder with its files. Accuracy is measured on ``split``; the ledger in the
    folder ``results`` records test-set evaluations. If ``timed``, latency is measured in ``rounds``
    rounds at each of ``settings``, which are pairs of batch size and number of threads. By default
    these are batch 1 on one thread, and batch 256 on PyTorch's number of threads.
    """

    track: str | None = None
    data_dir: str | Path | None = None
    split: str = "validation"
    results: str | Path = "results"
    timed: bool = True
    rounds: int = ROUNDS
    settings: tuple[Setting, ...] | None = None


@dataclass(frozen=True)
class Gates:
    """Maximum accepted drop in accuracy, in percentage points; None accepts any drop.

    ``max_drop`` limits the measured drop, and ``max_limit`` its one-sided 95% confidence limit.
    """

    max_drop: float | None = None
    max_limit: float | None = None

    def check(self, receipt: Receipt) -> None:
        """Raise VerificationError if the drop in accuracy in a receipt exceeds a limit."""
        change = receipt.accuracy
        drop, limit = -100 * change.difference, 100 * change.loss_limit95
        images = f"{receipt.images} {receipt.split} images"
        failures = []
        if self.max_drop is not None and drop > self.max_drop + _ROUNDING:
            failures.append(
                f"{receipt.step} lost {drop:.2f} points on {images}, more than {self.max_drop:g}"
            )
        if self.max_limit is not None and limit > self.max_limit + _ROUNDING:
            failures.append(
                f"the 95% limit of the loss is {limit:.2f} points on {images}, "
                f"more than {self.max_limit:g}"
            )
        if failures:
            raise VerificationError("; ".join(failures) + "; nothing was written")

    def passed(self, receipt: Receipt) -> Receipt:
        """Return a copy of a receipt that records these limits."""
        return replace(receipt, gates=GateEntry(self.max_drop, self.max_limit))
