"""Contracts of component factories, as typed protocols.

Heavy packages are not imported: torch and numpy appear only in annotations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

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
