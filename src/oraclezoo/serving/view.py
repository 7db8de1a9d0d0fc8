"""Pictures of a model's input next to the image that it comes from."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw

from oraclezoo.errors import UsageError
from oraclezoo.imaging.decode import read_image, to_gray
from oraclezoo.imaging.find import Box
from oraclezoo.imaging.prepare import Prepared

_EDGE = 280
_RED = (220, 40, 40)
_GRAY = (128, 128, 128)


def view_name(number: int, name: str) -> str:
    """Return a file name for the picture of an image: its number and the letters in its name."""
    return f"{number:04}-{re.sub('[^A-Za-z0-9]+', '-', Path(name).stem)[:60].strip('-')}.png"


def write_view(path: Path, data: bytes, prepared: Prepared) -> None:
    """Write an image with the box of its character, and next to it the model's input, enlarged.

    Raises:
        DataError: The image cannot be read.
        UsageError: The picture cannot be written.
    """
    image = read_image(BytesIO(data))
    if image.has_transparency_data or image.mode not in ("1", "L", "P", "RGB", "CMYK"):
        image = Image.fromarray(to_gray(image))
    scale = _EDGE / max(image.size)
    shown = image.convert("RGB").resize([max(1, round(scale * edge)) for edge in image.size])
    page = Image.new("RGB", (2 * _EDGE + 8, _EDGE), _GRAY)
    page.paste(shown, (0, 0))
    ImageDraw.Draw(page).rectangle(_scaled(prepared.box, scale), outline=_RED, width=2)
    seen = Image.fromarray(prepared.gray).resize((_EDGE, _EDGE), Image.Resampling.NEAREST)
    page.paste(seen, (_EDGE + 8, 0))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        page.save(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror or error})") from error


def _scaled(box: Box, scale: float) -> tuple[float, float, float, float]:
    right, bottom = scale * (box.x + box.width) - 1, scale * (box.y + box.height) - 1
    left, top = scale * box.x, scale * box.y
    return left, top, max(left, right), max(top, bottom)
