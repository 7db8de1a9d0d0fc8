"""Both implementations of the preprocessing, over the same RGBA pixels."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from oraclezoo.errors import DataError
from oraclezoo.imaging.decode import upright
from oraclezoo.imaging.prepare import prepare

RGBA = npt.NDArray[np.uint8]
SIZE = 28
SCRIPT = Path(__file__).parents[1] / "page" / "twin.mjs"


@dataclass(frozen=True)
class Pixels:
    """RGBA uint8 ``(H, W, 4)``, and what the page learns from the file beside them."""

    name: str
    rgba: RGBA
    jpeg: bool = False
    keyed: bool = False
    smoothing: float = 0.4

    @classmethod
    def of(cls, name: str, picture: Image.Image, smoothing: float = 0.4) -> Pixels:
        """Return the pixels that a browser decodes from a file that Pillow has opened."""
        jpeg = picture.format == "JPEG"
        image = upright(picture)
        keyed = isinstance(image.info.get("transparency"), (int, tuple))
        return cls(name, np.asarray(image.convert("RGBA")), jpeg, keyed, smoothing)


def in_python(pixels: Pixels) -> tuple[dict[str, Any], bytes]:
    """Return inverted and box, or the reason, and the prepared bytes."""
    image = Image.fromarray(pixels.rgba)
    image.format = "JPEG" if pixels.jpeg else None
    if pixels.keyed:
        image.info["transparency"] = (0, 0, 0)
    try:
        prepared = prepare(image, SIZE, smoothing=pixels.smoothing)
    except DataError as error:
        return {"reason": str(error)}, b""
    row = {"inverted": prepared.inverted, "box": prepared.box._asdict()}
    return row, prepared.gray.tobytes()


def in_javascript(
    node: str, pictures: list[Pixels], folder: Path
) -> list[tuple[dict[str, Any], bytes]]:
    """Return the same from the page's code."""
    head = {
        "size": SIZE,
        "pictures": [
            {
                "width": each.rgba.shape[1],
                "height": each.rgba.shape[0],
                "options": {
                    "jpeg": each.jpeg,
                    "keyed": each.keyed,
                    "smoothing": each.smoothing,
                },
            }
            for each in pictures
        ],
    }
    source, target = folder / "pictures.bin", folder / "prepared.bin"
    with source.open("wb") as file:
        file.write(json.dumps(head).encode() + b"\n")
        for each in pictures:
            file.write(each.rgba.tobytes())
    subprocess.run([node, str(SCRIPT), str(source), str(target)], check=True, timeout=600)
    line, _, content = target.read_bytes().partition(b"\n")
    rows, at = [], 0
    for row in json.loads(line):
        length = 0 if "reason" in row else SIZE * SIZE
        rows.append((row, content[at : at + length]))
        at += length
    return rows


def differences(node: str, pictures: list[Pixels], folder: Path) -> list[str]:
    """Return the names of the pictures that the two prepare differently."""
    pairs = zip(pictures, in_javascript(node, pictures, folder), strict=True)
    return [each.name for each, outcome in pairs if in_python(each) != outcome]
