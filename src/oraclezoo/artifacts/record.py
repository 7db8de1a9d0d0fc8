"""Record of a run or variant, as stored in ``run.json`` or ``variant.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from oraclezoo.card import Card, PluginSource, RecipeId, Source
from oraclezoo.codec import decode, encode
from oraclezoo.errors import ResultError

SCHEMA = "oraclezoo/run/1"
VARIANT_SCHEMA = "oraclezoo/variant/1"


@dataclass(frozen=True)
class SourceRun:
    """The source run of a variant, identified by its weights and training time."""

    weights_sha256: str
    train_s: float


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Inputs that must match for the results and times of two runs to be comparable.

    Attributes:
        recipe: Name and hash of the recipe.
        seed: Random seed of the run.
        oraclezoo: Version of oraclezoo.
        code_sha256: SHA-256 of the code of oraclezoo.
        components: Distribution and version of each component, keyed by kind.
        plugins: Version and code of each distribution other than oraclezoo, keyed by name.
        data_sha256: SHA-256 of each file of training and validation images.
        compile: The ``torch.compile`` mode: ``"auto"``, ``"on"`` or ``"off"``.
        deterministic: Whether deterministic algorithms are used.
        hardware: Description of the machine.
        libraries: Versions of the libraries.
        source: For a compressed variant, the run that was compressed; otherwise None.
    """

    recipe: RecipeId
    seed: int
    oraclezoo: str
    code_sha256: str
    components: Mapping[str, Source]
    data_sha256: Mapping[str, str]
    compile: str
    deterministic: bool
    hardware: Mapping[str, str | int | None]
    libraries: Mapping[str, str]
    plugins: Mapping[str, PluginSource] = field(default_factory=dict)
    source: SourceRun | None = field(default=None, metadata={"json": "run"})

    def __post_init__(self) -> None:
        # so that the mappings compare equal to those read from a file
        for name in ("components", "plugins", "data_sha256", "hardware", "libraries"):
            object.__setattr__(self, name, dict(getattr(self, name)))


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Totals of a finished run, including pre-training, teacher training and fine-tuning.

    ``best_epoch`` and ``best_validation_accuracy`` describe the best epoch, and ``compiled`` is
    true if ``torch.compile`` was used; all three are None for a compressed variant. Validation
    metrics are None if the validation images were used for training (``data.refit``).
    """

    steps: int
    examples: int
    train_s: float
    compile_s: float
    compiled: bool | None = None
    validation_accuracy: float | None
    validation_loss: float | None
    best_epoch: int | None = None
    best_validation_accuracy: float | None = None
    peak_memory_bytes: int | None


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """Totals of pre-training or teacher training, which precede training of the model itself."""

    examples: int
    steps: int
    train_s: float
    compile_s: float


@dataclass(frozen=True, kw_only=True)
class Pretraining(Preparation):
    """Record of pre-training on a different track."""

    track: str
    epochs: int
    data_sha256: Mapping[str, str]
    validation_accuracy: float


@dataclass(frozen=True, kw_only=True)
class Teaching(Preparation):
    """Record of teacher training, with the validation accuracy of each teacher.

    The accuracy is None for teachers that were trained on the validation images.
    """

    teachers: int
    validation_accuracy: tuple[float | None, ...]


@dataclass(frozen=True)
class Robustness:
    """Accuracy in [0, 1] under each corruption at severities 1 to 5.

    ``version`` is the version of the corruptions, and ``seed`` is their random seed.
    """

    version: str
    seed: int
    accuracy: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class Scores:
    """Accuracy in [0, 1] and loss in nats on the test split."""

    accuracy: float
    loss: float


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """The test-set evaluation of a run.

    Attributes:
        score: Accuracy and loss.
        test_sha256: SHA-256 of each file of test images.
        calibration_s: Seconds of the calibration workload when the run was trained, a measure of
            machine speed; None if the run was not timed.
        robustness: Accuracy on corrupted test images; None if it was not measured.
    """

    score: Scores
    test_sha256: Mapping[str, str]
    calibration_s: float | None
    robustness: Robustness | None = field(metadata={"json": "robust"})


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """The record of a run, or of a compressed variant of one.

    Attributes:
        provenance: Inputs that identify the run.
        started: Time when the run started or was last resumed.
        status: ``running``, ``done``, ``interrupted``, ``diverged`` or ``failed``.
        reason: Reason why the run diverged or failed.
        finished: Time when the run ended successfully.
        parts: For a resumed run, the provenance of each part before a resume, unless it equals the
            provenance of the last part.
        outcome: Totals of the finished run.
        evaluated: Test-set evaluation of the run.
        model: Card of the model; None for a variant, whose model has a separate folder.
        pid: ID of the process that trains the run.
        concurrent: Number of seeds that were trained concurrently.
        strategy: Strategy of concurrent training: ``stacked`` or ``processes``.
        pretrained: Record of pre-training.
        taught: Record of teacher training.
        train_images: Number of training images.
        validation_images: Number of validation images.
        flip: Whether training images were randomly mirrored.
        streamed: Whether training images were streamed to the device.
        profiled: Whether a profile was recorded.
    """

    provenance: Provenance
    started: str
    status: str
    reason: str | None
    finished: str | None = None
    parts: tuple[Provenance, ...]
    outcome: Outcome | None = None
    evaluated: Evaluated | None = None
    model: Card | None = None
    pid: int | None = None
    concurrent: int | None = field(default=None, metadata={"json": "together"})
    strategy: str | None = None
    pretrained: Pretraining | None
    taught: Teaching | None
    train_images: int | None = None
    validation_images: int | None = None
    flip: bool | None = None
    streamed: bool | None = None
    profiled: bool | None = None
    schema: str = SCHEMA

    @classmethod
    def from_json(cls, document: object, where: object) -> Self:
        """Parse the contents of a file. Raises ResultError, which names the file ``where``."""
        if not isinstance(document, dict) or document.get("schema") not in (SCHEMA, VARIANT_SCHEMA):
            raise ResultError(f"{where}: not a run record ({SCHEMA})")
        evaluated = all(key in document for key in ("score", "test_sha256", "calibration_s"))
        parts = {"provenance": document, "evaluated": document if evaluated else None}
        try:
            return decode(cls, {**document, **parts})
        except (KeyError, TypeError, ValueError, ResultError) as error:
            reason = f"{error} is missing" if isinstance(error, KeyError) else error
            raise ResultError(f"{where}: not a valid run record: {reason}") from error

    def to_json(self) -> dict[str, Any]:
        """Return the contents of the file."""
        entries = encode(self)
        return {**entries.pop("provenance"), **entries.pop("evaluated", {}), **entries}
