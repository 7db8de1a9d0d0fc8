"""The page prepares pictures as Python does: the same bytes from the same RGBA pixels."""

from __future__ import annotations

import importlib
import zlib
from io import BytesIO
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image, features

from helpers.page_twins import RGBA, Pixels, differences, in_javascript
from oraclezoo.data.glyphs import generate

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
RNG = np.random.default_rng


@pytest.fixture(scope="module")
def kinds() -> ModuleType:
    """Return the kinds of pictures that the accuracy is measured on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        return importlib.import_module("_picture_kinds")


def composed(kinds: ModuleType, number: int) -> list[Pixels]:
    """Pictures of all kinds in turn, made from generated characters."""
    left_out = {"16-bit"} if features.check("avif") else {"16-bit", "seal"}
    known = [kind for kind in kinds.KINDS if kind.name not in left_out]  # browsers read 8 bits
    images, _ = generate([-(-number // 10)] * 10, seed=11)
    pictures = []
    for index, gray in enumerate(images[:number]):
        kind = known[index % len(known)]
        rng = RNG([index, zlib.crc32(kind.name.encode())])
        picture = Image.open(BytesIO(kind.make(gray, rng)))
        pictures.append(Pixels.of(f"{kind.name} {index}", picture))
    return pictures


def opaque(gray: np.ndarray) -> RGBA:
    """Return gray values as RGBA."""
    return np.dstack([gray, gray, gray, np.full_like(gray, 255)]).astype(np.uint8)


def with_opacity(kind: str, seed: int = 3) -> RGBA:
    """A dark ring in color, with an opacity that the reading depends on."""
    y, x = np.mgrid[-1:1:61j, -1:1:47j]
    distance = np.hypot(x * 0.9, y)
    ring = abs(distance - 0.5) < 0.09
    rgba = RNG(seed).integers(0, 60, (61, 47, 4)).astype(np.uint8)
    rgba[~ring, :3] = 236
    rgba[..., 3] = {
        "erased page": np.where(ring, 255, 0),
        "turned page": np.where(distance > 1, 0, 255),
        "faint": np.where(ring, 200, 40),
        "soft": np.clip(255 - 400 * abs(distance - 0.5), 0, 255),
    }[kind]
    if kind == "soft":
        rgba[..., :3] = 0
    return rgba


def edge_cases() -> list[Pixels]:
    """Small, noisy, binary, transparent and blank pictures."""
    noise = RNG(5).integers(0, 256, (40, 33, 4)).astype(np.uint8)
    bar = np.full((1, 90), 250, np.uint8)
    bar[0, 30:50] = 10
    smooth = np.rint(127 + 120 * np.sin(np.mgrid[0:50, 0:40][0] / 3)).astype(np.uint8)
    bits = (RNG(6).random((30, 44)) < 0.3).astype(np.uint8) * 255
    prepared = generate([1] * 10, seed=4)[0][5]
    pictures = [
        Pixels("one row", opaque(bar)),
        Pixels("one column", opaque(bar.T)),
        Pixels("two pixels", opaque(np.array([[0, 255]], np.uint8))),
        Pixels("three rows", opaque(np.repeat(bar, 3, 0))),
        Pixels("long row", opaque(np.repeat(bar, 4000, 1))),
        Pixels("long column", opaque(np.repeat(bar, 700, 1).T)),
        Pixels("waves", opaque(smooth)),
        Pixels("small JPEG", opaque(smooth), jpeg=True),
        Pixels("small JPEG, other smoothing", opaque(smooth), jpeg=True, smoothing=0.7),
        Pixels("small JPEG without smoothing", opaque(smooth), jpeg=True, smoothing=0.0),
        Pixels("bits", opaque(bits)),
        Pixels("noise", noise),
        Pixels("noise, keyed", noise, keyed=True),
        Pixels("prepared", opaque(prepared)),
        Pixels("prepared, inverted", opaque(255 - prepared)),
        Pixels("blank", opaque(np.full((50, 50), 77, np.uint8))),
        Pixels("transparent", np.zeros((20, 20, 4), np.uint8)),
    ]
    for kind in ("erased page", "turned page", "faint", "soft"):
        for keyed in (False, True):
            name = f"{kind}, keyed" if keyed else kind
            pictures.append(Pixels(name, with_opacity(kind), keyed=keyed))
    return pictures


def test_composed_pictures_are_prepared_alike(kinds: ModuleType, node: str, tmp_path: Path) -> None:
    """Two or three of each kind that people bring."""
    assert differences(node, composed(kinds, 60), tmp_path) == []


@pytest.mark.full
def test_many_composed_pictures_are_prepared_alike(
    kinds: ModuleType, node: str, tmp_path: Path
) -> None:
    """300 pictures of all kinds."""
    assert differences(node, composed(kinds, 300), tmp_path) == []


def test_edge_cases_are_prepared_alike(node: str, tmp_path: Path) -> None:
    """Also opacity in all ways that decide about the background."""
    assert differences(node, edge_cases(), tmp_path) == []


def test_blank_pictures_have_the_same_reason(node: str, tmp_path: Path) -> None:
    """The page says what the command says."""
    blank = [each for each in edge_cases() if each.name in ("blank", "transparent")]
    reasons = [row["reason"] for row, _ in in_javascript(node, blank, tmp_path)]
    assert reasons == [
        "the image is blank: every pixel has the same gray value",
        "the image is blank: every pixel is transparent",
    ]


@pytest.mark.realdata
@pytest.mark.full
def test_real_characters_are_prepared_alike(
    kinds: ModuleType, node: str, oracle_dir: Path, tmp_path: Path
) -> None:
    """Ten validation images as pictures of every kind."""
    import oraclezoo as oz

    dataset = oz.registry().create("dataset", "oracle-mnist-3k", data_dir=oracle_dir)
    pictures = []
    for index, gray in enumerate(np.asarray(dataset.split("validation").images)[::20]):
        for kind in kinds.KINDS:
            if kind.name != "16-bit":
                picture = Image.open(BytesIO(kind.make(gray, RNG(index))))
                pictures.append(Pixels.of(f"{kind.name} {index}", picture))
    assert differences(node, pictures, tmp_path) == []
