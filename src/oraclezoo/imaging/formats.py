"""Image formats: the ones that Pillow always reads, and the ones that need a codec."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import BinaryIO

from PIL import Image

from oraclezoo.errors import DataError

FORMATS = ("BMP", "PNG", "JPEG", "GIF", "TIFF", "WEBP")
"""Formats that every Pillow reads, by Pillow's names, detected from a file's content."""

SUFFIXES = frozenset(
    {".bmp", ".png", ".jpg", ".jpeg", ".gif", ".tif", ".tiff", ".webp"}
    | {".avif", ".heic", ".heif", ".jxl"}
)
"""File name extensions of images."""

NAMES = "BMP, PNG, JPEG, GIF, TIFF, WebP, AVIF, HEIC or JPEG XL"
"""Names of the formats, for messages."""

_HEAD = 32
"""Bytes that identify a format."""


@dataclass(frozen=True, slots=True)
class Codec:
    """A format that Pillow reads if a module is installed.

    Attributes:
        name: Pillow's name of the format.
        title: Its common name.
        matches: Returns whether a file that begins with the given bytes has this format.
        module: Module that registers the format with Pillow when it is imported.
        function: Function of the module to call after the import, if there is one.
        install: Package to install if Pillow cannot read the format.
    """

    name: str
    title: str
    matches: Callable[[bytes], bool]
    module: str
    function: str
    install: str


def _has_brand(head: bytes, brands: tuple[bytes, ...]) -> bool:
    return head[4:8] == b"ftyp" and head[8:12] in brands


CODECS = (
    Codec(
        "AVIF",
        "AVIF",
        lambda head: head[4:8] == b"ftyp" and (b"avif" in head[8:] or b"avis" in head[8:]),
        "PIL.AvifImagePlugin",
        "",
        "pip install 'pillow>=11.3'",
    ),
    Codec(
        "HEIF",
        "HEIC",
        lambda head: _has_brand(
            head, (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
        ),
        "pillow_heif",
        "register_heif_opener",
        "pip install pillow-heif",
    ),
    Codec(
        "JXL",
        "JPEG XL",
        lambda head: head.startswith((b"\xff\x0a", b"\x00\x00\x00\x0cJXL \r\n\x87\n")),
        "pillow_jxl",
        "",
        "pip install pillow-jxl-plugin",
    ),
)


def formats_of(file: BinaryIO) -> tuple[str, ...]:
    """Return the formats to try for a file, without changing its read position.

    Raises:
        DataError: The file needs a codec that is not installed.
    """
    start = file.tell()
    head = file.read(_HEAD)
    file.seek(start)
    for codec in CODECS:
        if codec.matches(head):
            if codec.name not in Image.OPEN:
                _register(codec)
            return (codec.name,)
    return FORMATS


def _register(codec: Codec) -> None:
    """Register a format with Pillow. Raises DataError."""
    try:
        module = import_module(codec.module)
        if codec.function:
            getattr(module, codec.function)()
    except ImportError:
        pass
    if codec.name not in Image.OPEN:
        raise DataError(f"Pillow cannot read {codec.title} here; {codec.install}")
