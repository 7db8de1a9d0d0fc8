"""Contracts of component factories, as typed protocols.

Heavy packages are not imported: torch and numpy appear only in annotations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import nn
    from torch.nn import Module as Module  # the registry names these types through this module
    from torch.optim import Optimizer as Optimizer
    from torch.optim.lr_scheduler import LRScheduler as LRScheduler


class BackboneFactory(Protocol):
    """Factory for a module that maps standardized images to logits.

    Input: float ``(N, in_chans, image_size, image_size)``. Output: float ``(N, num_classes)``.

    Metadata: ``data_init`` (bool): the module has a method ``initialize(images)``, which is called
    once before training with a float batch ``(N, in_chans, H, W)`` of training images. ``prunable``
    (bool): channels can be pruned.

    The option ``pretrained`` (bool), if there is one, loads weights that were trained on other
    data. Results with this option belong to the open division, and a saved model is rebuilt without
    it.
    """

    def __call__(
        self, *, in_chans: int, num_classes: int, image_size: int, **options: Any
    ) -> nn.Module: ...


class OptimizerFactory(Protocol):
    """Factory for an optimizer of ``model.named_parameters()``, which must skip frozen parameters.

    Metadata: ``needs_closure`` (bool): ``step`` requires a closure. ``train_eval`` (bool): the
    optimizer has ``train()`` and ``eval()``, which are called around training and evaluation.
    ``separable`` (bool): the update of a parameter depends only on its own value, gradient and
    state, so that one step can update several models. ``takes`` and ``others`` (str): the
    parameters that the method updates, and the method used for all other parameters.
    """

    def __call__(
        self, named_parameters: Iterable[tuple[str, nn.Parameter]], **options: Any
    ) -> Optimizer: ...


class SchedulerFactory(Protocol):
    """Factory for a scheduler, which is stepped ``total_steps`` times, after each optimizer step.

    Metadata: ``metric`` (bool): the scheduler is instead stepped once per epoch with the validation
    loss. ``lr_peak`` (number, default 1): maximum factor on the optimizer's learning rate with
    default options.
    """

    def __call__(
        self, optimizer: Optimizer, *, total_steps: int, steps_per_epoch: int, **options: Any
    ) -> LRScheduler: ...


class Images(Protocol):
    """Images uint8 ``(N, H, W)``: a NumPy array, or an array-like that reads from disk.

    ``images[key]`` returns an array, where ``key`` is an integer, a slice, or an int64 index array
    in any order; a prefetching thread may call it. Iteration yields single images, and
    ``numpy.asarray(images)`` (``__array__``) loads all images into memory.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, key: Any, /) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...


class Split(Protocol):
    """Images uint8 ``(N, H, W)`` and labels int64 ``(N,)`` of one split."""

    @property
    def images(self) -> Images: ...
    @property
    def labels(self) -> npt.NDArray[np.int64]: ...


class Dataset(Protocol):
    """Data set with a fixed split. A split is read only when :meth:`split` is called.

    ``classes``           display name of each class
    ``glyphs``            modern character of each class, or ""
    ``flip_keeps_label``  whether a mirrored image keeps its label
    ``synthetic``         whether the images are generated
    ``sha256``            SHA-256 of each source file, keyed by file name, or of ``"generated"``
    """

    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def glyphs(self) -> tuple[str, ...]: ...
    @property
    def flip_keeps_label(self) -> bool: ...
    @property
    def synthetic(self) -> bool: ...
    @property
    def sha256(self) -> Mapping[str, str]: ...
    def split(self, name: str) -> Split: ...


class DatasetFactory(Protocol):
    """Factory that finds, verifies and opens a data set.

    Args:
        data_dir: Folder with the files, or None to search the default folders.
        progress: Called with one line of text at a time during long operations.

    Raises DataError, which suggests a remedy, if the data set is not available. Data sets have no
    options.

    Metadata: ``synthetic`` (bool): equal to the attribute of the data set, for listings.
    ``streams`` (bool): the factory also accepts ``stream_above``, a size in bytes or None; the
    images of a split above this size must not be loaded into memory, but returned as an array-like
    that reads on demand.
    """

    def __call__(
        self,
        *,
        data_dir: Path | None,
        progress: Callable[[str], None] | None = None,
    ) -> Dataset: ...


class Tracker(Protocol):
    """Destination for the metrics and files of one training run.

    Methods are called sequentially from one background thread, while no training step is running.
    If a method raises an exception or takes too long, the user is warned once, the tracker is
    disabled, and training continues.
    """

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Log finite metrics by name, e.g. ``train/loss``, after ``step`` optimizer steps."""

    def artifact(self, path: Path) -> None:
        """Record a file or folder of the run; its contents may change later."""

    def finish(self, status: str) -> None:
        """Finish with ``done``, ``interrupted``, ``diverged`` or ``failed``; called once, last."""


class TrackerFactory(Protocol):
    """Factory that starts or resumes the tracking of a training run.

    Args:
        run_name: Name of the run folder.
        folder: The run folder, which already exists.
        config: Configuration as a flat mapping from dotted names to strings, numbers, booleans,
            None or lists of these types. ``config["resumed_step"]`` is 0 for a new run, otherwise
            the optimizer step from which a run with the same ``run_name`` is resumed; the earlier
            record of that run may contain later steps.
    """

    def __call__(
        self, *, run_name: str, folder: Path, config: Mapping[str, Any], **options: Any
    ) -> Tracker: ...


@dataclass(frozen=True)
class Job:
    """One process that an executor starts somewhere: the worker of one task.

    All paths are absolute. The worker takes everything from ``request.json`` in ``folder`` and
    writes ``events.jsonl`` and, at its end, ``end.json`` there; ``end.json`` is what counts, and
    the exit status of the process does not.

    Attributes:
        id: Identifier of the task, unique within the campaign: letters and digits.
        label: Name for listings and queues, e.g. ``default seed 3``.
        folder: The task's folder.
        command: Command that runs the task: Python, ``-m oraclezoo.jobs``, the folder, and a word
            that identifies this submission.
        reads: Files and folders outside ``folder`` that the task needs.
        writes: Folders outside ``folder`` that the task writes; an interrupted task resumes from
            their content.
    """

    id: str
    label: str
    folder: Path
    command: tuple[str, ...]
    reads: tuple[Path, ...] = ()
    writes: tuple[Path, ...] = ()


JobState = Literal["waiting", "running", "ended", "unknown"]
"""State of a submitted job: queued, started, gone, or not known to the executor (any more).

``ended`` means that the process is certainly gone, whatever became of it. Report ``unknown`` only
if the job can no longer run; if a scheduler does not answer, raise an exception instead.
"""


class Executor(Protocol):
    """Runs jobs. The caller, not the executor, resubmits a job that died.

    An executor may start a job again by itself, e.g. after a node failed: the worker continues from
    the saved state, and two workers of one task never run at the same time. All methods are called
    from one thread. ``submit`` and ``states`` may raise OracleZooError, e.g. if a scheduler does
    not answer: the campaign stops with this message, keeps its state, and can be resumed.
    """

    @property
    def exclusive(self) -> bool:
        """Whether a job has its node to itself, so that times can be measured on it."""

    @property
    def shared_folder(self) -> bool:
        """Whether jobs see the files of the submitting machine under the same paths.

        If not, the executor transfers them with ``oraclezoo.executors.transport``.
        """

    @property
    def outlives(self) -> bool:
        """Whether submitted jobs keep running after the submitting process has ended.

        Another executor with the same options must then accept their handles.
        """

    @property
    def poll_s(self) -> float:
        """Pause in seconds between two calls of :meth:`states`."""

    def submit(self, jobs: Sequence[Job]) -> Sequence[str]:
        """Submit jobs and return one handle for each: a string that is stored with the task."""

    def states(self, handles: Sequence[str]) -> Mapping[str, JobState]:
        """Return the state of each handle."""

    def cancel(self, handles: Sequence[str]) -> None:
        """Ask jobs to save their state and exit (SIGINT or SIGTERM), and remove queued ones.

        Handles of jobs that are gone are ignored. The method does not wait.
        """

    def close(self) -> None:
        """Release connections; jobs that outlive the process keep running."""


class ExecutorFactory(Protocol):
    """Factory that connects to an executor.

    Args:
        folder: Existing folder for the executor's own files, e.g. scripts and logs; it is the same
            one each time the campaign is continued.

    Raises OracleZooError, which suggests a remedy, if the executor is not available.
    """

    def __call__(self, *, folder: Path, **options: Any) -> Executor: ...
