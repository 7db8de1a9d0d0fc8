"""Out-of-memory errors suggest a batch size that fits."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from helpers.small import CPU, trainer
from oraclezoo.engine import device, memory
from oraclezoo.engine.memory import advice, batch_that_fits, is_out_of_memory, peak_bytes
from oraclezoo.errors import OutOfMemoryError

REFUSED = "[enforce fail at alloc_cpu.cpp:1] err == 0. DefaultCPUAllocator: can't allocate memory"


def held(count: int) -> None:
    """Allocate two tensors of ``count`` kB after freeing another."""
    first = torch.zeros(3 * count, 250)
    del first
    _ = [torch.zeros(count, 250), torch.zeros(count, 250).add_(1).view(-1)]


@pytest.mark.parametrize(("count", "peak"), [(1, 3000), (100, 300_000)])
def test_peak_is_what_was_held_at_once(count: int, peak: int) -> None:
    """Freed memory does not count; views and in-place operations take none."""
    assert peak_bytes(CPU, lambda: held(count)) == peak


def test_the_memory_of_a_pass_grows_with_its_batch() -> None:
    """A linear layer's backward pass holds at least its input and output."""
    layer = torch.nn.Linear(100, 1000)

    def passes(count: int) -> None:
        layer(torch.ones(count, 100)).square().sum().backward()
        layer.zero_grad()

    few, many = (peak_bytes(CPU, lambda n=n: passes(n)) for n in (10, 110))  # type: ignore[misc]
    assert 4 * 1100 * 100 <= many - few <= 16 * 1100 * 100


@given(free=st.floats(-1e12, 1e12), each=st.floats(1, 1e9), failed=st.integers(1, 10**7))
def test_what_fits(free: float, each: float, failed: int) -> None:
    """The size is a power of two, at least 1, and at most half of what failed."""
    fits = batch_that_fits(free, each, failed)
    assert fits >= 1
    assert fits & (fits - 1) == 0
    assert fits == 1 or (fits <= failed / 2 and fits * each <= free)
    assert fits >= min(failed / 2, free / each) / 2 - 1


def test_what_is_out_of_memory() -> None:
    """Errors of CUDA, Python and torch's CPU allocator are recognized, and no others."""
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError(REFUSED))
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_out_of_memory(ValueError("out of memory"))


@pytest.mark.parametrize(
    "refusal", [MemoryError(), RuntimeError(REFUSED), torch.OutOfMemoryError("CUDA out of memory")]
)
def test_a_failed_allocation_names_a_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: Exception
) -> None:
    """Two lines suggest a smaller batch; the batch is not reduced silently."""
    run = trainer(tmp_path)
    real = run.parts.model.forward

    def forward(images: Tensor) -> Tensor:
        if len(images) > 8:
            raise refusal
        result: Tensor = real(images)
        return result

    monkeypatch.setattr(run.parts.model, "forward", forward)
    with pytest.raises(OutOfMemoryError) as caught:
        run.fit()
    first, second = str(caught.value).splitlines()
    assert first.startswith("out of memory on cpu at a batch of 16 images (about ")
    assert second.startswith("use -s budget.batch_size=8 or less")
    assert run.step == 0
    assert not list(tmp_path.iterdir())


def test_the_advice_follows_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """With 1 MB per image and 100 MB free, the advice is 32: 40% of the memory would fit 40."""
    monkeypatch.setattr(memory, "free_memory_bytes", lambda device: 100_000_000)
    text = advice(1000, CPU, lambda count: [torch.zeros(count, 250_000)])  # type: ignore[arg-type, func-returns-value, return-value]
    assert "about 1 MB per image, 0.1 GB free" in text
    assert "budget.batch_size=32 or less" in text


def test_where_not_even_a_few_fit_the_batch_is_not_blamed() -> None:
    """If a small pass fails too, no batch size is suggested."""

    def passes(count: int) -> None:
        raise MemoryError

    assert "even 6 do not fit" in advice(64, CPU, passes)


def test_a_limit_of_the_process_counts_as_memory() -> None:
    """ulimit bounds the free memory."""
    code = (
        "import resource, torch; from oraclezoo.engine.device import free_memory_bytes\n"
        "from pathlib import Path\n"
        "used = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 10**8, -1))\n"
        "print(free_memory_bytes(torch.device('cpu')))"
    )
    if not Path("/proc/self/statm").is_file():
        pytest.skip("no /proc here")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0.5e8 < int(done.stdout) <= 1e8
    assert device.free_memory_bytes(CPU) > 1e8


LIMITED = """
import resource, sys
from pathlib import Path
from helpers.small import trainer
from oraclezoo.errors import OutOfMemoryError
import torch
run = trainer(Path(sys.argv[1]), {"backbone.name": "oraclenet", "budget.batch_size": 1600,
    "budget.epochs": 1}, count=1700)
run.dummy_pass(2)  # what libraries allocate once is allocated
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 150_000_000, -1))
try:
    run.fit()
except OutOfMemoryError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on the address space")
def test_a_real_limit_is_met_and_the_named_size_fits(tmp_path: Path) -> None:
    """A process with 150 MB fails at 1,600 images and succeeds at the suggested size."""

    def run(code: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "run")],
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[1],
            env={"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
            check=True,
        )
        return done.stdout

    message = run(LIMITED)
    matches = re.search(r"budget\.batch_size=(\d+) or less", message)
    assert matches, message
    assert 1 <= int(matches[1]) <= 800
    assert run(LIMITED.replace("1600", matches[1])) == ""
