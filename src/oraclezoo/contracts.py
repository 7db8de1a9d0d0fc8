"""What a factory takes and returns, kind by kind, as typed Protocols.

Imports nothing heavy: torch and numpy appear in annotations only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import nn
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler


class BackboneFactory(Protocol):
    """``(N, in_chans, image_size, image_size)`` float, standardised -> logits ``(N, num_classes)``.

    Facts: ``data_init`` (bool): the module has ``initialize(images)``, called once before training
    with a float batch ``(N, in_chans, H, W)`` of training images. ``prunable`` (bool).

    An option ``pretrained`` (bool), if there is one, starts from weights learned elsewhere: results
    with it are of the open division, and a saved model is rebuilt without it.
    """

    def __call__(
        self, *, in_chans: int, num_classes: int, image_size: int, **options: Any
    ) -> nn.Module: ...


class OptimizerFactory(Protocol):
    """Gets ``model.named_parameters()``, frozen ones included, and leaves those out.

    Facts: ``needs_closure`` (bool): ``step`` must be given a closure. ``train_eval`` (bool): the
    optimizer has ``train()`` and ``eval()``, to be called around training and evaluation.
    ``separable`` (bool): a parameter's update depends on its own value, gradient and state alone,
    so that one step can serve many models. ``takes`` and ``others`` (str): which parameters the
    method itself updates, and what updates the rest.
    """

    def __call__(
        self, named_parameters: Iterable[tuple[str, nn.Parameter]], **options: Any
    ) -> Optimizer: ...


class SchedulerFactory(Protocol):
    """Stepped once after each optimizer step, ``total_steps`` times in all.

    Facts: ``metric`` (bool): stepped instead once an epoch with the validation loss. ``lr_peak``
    (number, 1 if left out): at most how many times the optimizer's learning rate it reaches at its
    defaults.
    """

    def __call__(
        self, optimizer: Optimizer, *, total_steps: int, steps_per_epoch: int, **options: Any
    ) -> LRScheduler: ...


class Images(Protocol):
    """Images uint8 ``(N, H, W)``: a NumPy array, or what reads like one and may lie elsewhere.

    ``images[key]`` is an array, for a number, a slice, or an int64 array of numbers in any order;
    a thread that reads ahead may ask for it. Iteration goes through single images, and
    ``numpy.asarray(images)`` (``__array__``) has all of them in memory.
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
    """A data set with a fixed split. Nothing of a split is read before :meth:`split` is called.

    ``classes`` holds a display name a class, ``glyphs`` the character each stands for (or "").
    ``flip_keeps_label``: a mirrored image keeps its label. ``synthetic``: generated, not real.
    ``sha256`` maps each source file, or ``"generated"``, to the digest of its bytes.
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
    """Finds, checks and opens a data set; raises DataError with what to do when it cannot.

    ``data_dir`` is where the user says the files are, or None. ``progress`` is called with a line
    of text now and then when something takes long. Data sets take no options.

    Facts: ``synthetic`` (bool), as the data set itself says; here for listings. ``streams`` (bool):
    the factory takes ``stream_above`` as well, a size in bytes or None: images of a split that take
    more are not to be held in memory, but given as an array-like that reads them when asked.
    """

    def __call__(
        self,
        *,
        data_dir: Path | None,
        progress: Callable[[str], None] | None = None,
    ) -> Dataset: ...


class Tracker(Protocol):
    """Where the course of one training is written down as it goes.

    Its methods are called one after another, all in one thread, which is not the main one, and
    while nothing is trained. One that raises, or takes too long, is named to the user once and not
    called again; the training goes on.
    """

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Finite figures by name, e.g. ``train/loss``, after so many optimizer steps."""

    def artifact(self, path: Path) -> None:
        """A file, or a folder with files, that belongs to the training; it may change later."""

    def finish(self, status: str) -> None:
        """The end: ``done``, ``interrupted``, ``diverged`` or ``failed``. Called last, and once."""


class TrackerFactory(Protocol):
    """Begins the record of a training, or goes on with it.

    ``run_name`` is the name of the run's folder, ``folder`` that folder, which exists. ``config``
    says what is trained, and on what: flat, dotted names to text, numbers, true, false, None or
    lists of those. ``config["resumed_step"]`` is 0, or the optimizer steps after which an earlier
    record of the same ``run_name`` goes on; that may have gone further.
    """

    def __call__(
        self, *, run_name: str, folder: Path, config: Mapping[str, Any], **options: Any
    ) -> Tracker: ...
