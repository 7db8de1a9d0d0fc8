"""Checkpoints: exact round trips and clear errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from oraclezoo.engine.checkpoint import load_optimizer, load_state, save_state
from oraclezoo.errors import PluginError, ResultError

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
)
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=5) | st.integers(0, 9), inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=TREES)
def test_any_tree_of_plain_values_round_trips(tree: Any, tmp_path: Path) -> None:
    """This includes integer keys, tuples, infinities and empty containers."""
    path = tmp_path / "state.safetensors"
    save_state(path, {"tree": tree})
    state = load_state(path)["tree"]
    assert state == tree
    assert type(state) is type(tree)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.uint8])
def test_tensors_round_trip_bit_for_bit(dtype: torch.dtype, tmp_path: Path) -> None:
    """This includes strided, shared and zero-dimensional tensors."""
    base = (torch.arange(24).view(4, 6) % 7).to(dtype)
    state = {"a": base, "view": base.t(), 3: [base[0], torch.tensor(2).to(dtype)]}
    path = tmp_path / "state.safetensors"
    save_state(path, state)
    actual = load_state(path)
    assert torch.equal(actual["a"], base)
    assert torch.equal(actual["view"], base.t())
    assert torch.equal(actual[3][1], torch.tensor(2).to(dtype))
    assert list(tmp_path.iterdir()) == [path]


def test_tensors_under_keys_that_read_alike_stay_apart(tmp_path: Path) -> None:
    """An integer and its text, and dotted keys, are different keys."""
    state = {
        0: torch.tensor(1.0),
        "0": torch.tensor(2.0),
        "a.b": torch.tensor(3.0),
        "a": {"b": torch.tensor(4.0)},
    }
    save_state(tmp_path / "s.safetensors", state)
    actual = load_state(tmp_path / "s.safetensors")
    assert [float(v) for v in (actual[0], actual["0"], actual["a.b"], actual["a"]["b"])] == [
        1,
        2,
        3,
        4,
    ]


def test_every_flipped_bit_is_found(tmp_path: Path) -> None:
    """In the weights, in the header and in the digest; or the content is what it was."""
    path = tmp_path / "state.safetensors"
    state = {"a": torch.arange(64.0), "scalar": torch.tensor(3), "empty": torch.zeros(0), "n": 5}
    save_state(path, state)
    content = path.read_bytes()
    for position in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[position // 8] ^= 1 << position % 8
        path.write_bytes(damaged)
        try:
            tensors = load_state(path)
        except ResultError:
            continue
        assert tensors.keys() == state.keys()
        assert all(torch.equal(tensors[key], state[key]) for key in ("a", "scalar", "empty"))
        assert tensors["n"] == 5


def test_checkpoints_of_version_0_1_are_read_with_a_note(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """They have the tree alone, without a digest; newer ones are read without a note."""
    save_state(tmp_path / "new.safetensors", {"n": 5})
    load_state(tmp_path / "new.safetensors")
    assert caplog.text == ""
    tree = '{"dict": [["a", {"tensor": "state.a"}], ["n", 5]]}'
    path = tmp_path / "old.safetensors"
    save_file({"state.a": torch.ones(2)}, path, metadata={"oraclezoo/state/1": tree})
    tensors = load_state(path)
    assert tensors["n"] == 5
    assert tensors["a"].tolist() == [1, 1]
    (record,) = caplog.records
    assert "old.safetensors was saved by oraclezoo 0.1 without a digest" in record.message


@pytest.mark.parametrize(
    "metadata",
    [
        {"oraclezoo/state/2": "[" * 100_000},
        {"oraclezoo/state/1": "[" * 100_000 + "]" * 100_000},
        {"oraclezoo/state/2": '{"tree": 3, "sha256": ""}'},
        {"oraclezoo/state/2": "3"},
        {"oraclezoo/state/1": "9" * 5000},
        {"oraclezoo/state/1": '{"dict": [[[], 1]]}'},
        {"oraclezoo/state/1": '{"tensor": []}'},
        {"oraclezoo/state/1": '{"tuple": 1}'},
        {"oraclezoo/state/1": "{}"},
    ],
    ids=range(9),
)
def test_a_forged_tree_is_one_error(tmp_path: Path, metadata: dict[str, str]) -> None:
    """Whatever the header holds, the error names the file."""
    path = tmp_path / "forged.safetensors"
    save_file({"state.a": torch.ones(2)}, path, metadata=metadata)
    with pytest.raises(ResultError, match="not a valid oraclezoo checkpoint"):
        load_state(path)


def test_objects_are_refused_by_name(tmp_path: Path) -> None:
    """The error names the place of an object in the state; nothing is written."""
    path = tmp_path / "state.safetensors"
    with pytest.raises(PluginError, match=r"state\.scheduler\.fn: cannot save a builtin"):
        save_state(path, {"scheduler": {"fn": len}})
    assert not path.exists()


def test_broken_files_are_one_error(tmp_path: Path) -> None:
    """Missing, truncated, foreign and invalid files raise a ResultError with the path."""
    path = tmp_path / "state.safetensors"
    with pytest.raises(ResultError, match="checkpoint not found"):
        load_state(path)
    save_state(path, {"a": torch.zeros(100)})
    whole = path.read_bytes()
    for cut in (0, 7, 60, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(ResultError, match=r"state\.safetensors"):
            load_state(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(ResultError, match="not a valid oraclezoo checkpoint"):
        load_state(path)
    save_file({"a": torch.zeros(1)}, path, metadata={"oraclezoo/state/1": '{"call": "x"}'})
    with pytest.raises(ResultError, match="not a valid oraclezoo checkpoint"):
        load_state(path)


def test_a_loaded_optimizer_has_its_parameters_layout(tmp_path: Path) -> None:
    """Momenta of channels_last weights keep their layout, and the next step is equal."""

    def build() -> tuple[torch.nn.Conv2d, torch.optim.SGD]:
        torch.manual_seed(0)
        layer = torch.nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
        return layer, torch.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9, fused=True)

    def step(layer: torch.nn.Conv2d, optimizer: torch.optim.SGD, number: int) -> None:
        images = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(number))
        optimizer.zero_grad()
        layer(images).square().sum().backward()
        optimizer.step()

    layer, optimizer = build()
    step(layer, optimizer, 1)
    saved = {"layer": layer.state_dict(), "optimizer": optimizer.state_dict()}
    save_state(tmp_path / "state", saved)
    again, other = build()
    state = load_state(tmp_path / "state")
    again.load_state_dict(state["layer"])
    load_optimizer(other, state["optimizer"])
    momentum = other.state[again.weight]["momentum_buffer"]
    assert momentum.stride() == again.weight.stride() != momentum.contiguous().stride()
    step(layer, optimizer, 2)
    step(again, other, 2)
    assert torch.equal(layer.weight, again.weight)
