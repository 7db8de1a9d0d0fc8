"""Card entry for a detector of unknown characters."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Unknown:
    """Detector for pictures that show none of the model's characters, and how it was fitted.

    A picture is unknown if its score, in [0, 1], is at least ``threshold``. ``kept`` holds the
    fraction of known pictures with a lower score, keyed by kind of picture (``real``, and
    ``drawings`` if the model reads the characters of Oracle-MNIST). ``images`` holds the number of
    pictures of each kind, and ``fitted_on`` the number of known and foreign training pictures.
    ``fonts`` says whether installed fonts had Chinese characters. ``file`` describes the weights.
    """

    threshold: float
    file: str
    sha256: str
    method: str = "cnn"
    split: str | None = None
    fonts: bool | None = None
    kept: Mapping[str, float] = field(default_factory=dict)
    images: Mapping[str, int] = field(default_factory=dict)
    fitted_on: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        valid = 0 <= self.threshold <= 1 and re.fullmatch("[0-9a-f]{64}", self.sha256)
        if not valid or not re.fullmatch(r"[\w-][\w.-]*", self.file):
            raise ValueError(f"unknown is {dataclasses.asdict(self)}")
