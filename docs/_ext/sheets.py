"""Contact sheets for the page on generated characters, drawn at build time.

Real images are never committed. The sheet shows them only if the files exist ($ORACLEZOO_DATA or
the user cache); the build never downloads them.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "_generated"
GENERATED, REAL = "glyphs-3k", "oracle-mnist-3k"
PER_CLASS = 12


def sheets() -> str:
    """Return Markdown for the sheet that :func:`draw` writes on this machine."""
    if real_files() is None:
        return (
            f"![Generated characters, one class per row](/_generated/{GENERATED}.png)\n\n"
            "The real images were not available when this documentation was built. To compare, run "
            f"`oraclezoo data preview {REAL} --beside {GENERATED} --out sheet.png`."
        )
    return (
        f"![Real and generated characters, one class per row](/_generated/{REAL}.png)\n\n"
        f"Left: training images of `{REAL}`. Right: training images of `{GENERATED}`."
    )


def real_files() -> Path | None:
    """Return the folder with the real files of the track, or None."""
    from oraclezoo.data.locate import search
    from oraclezoo.data.upstream import TEST_IMAGES, TEST_LABELS

    files = search((TEST_IMAGES, TEST_LABELS), None)
    folders = {path.parent for path in files.values() if path is not None}
    return folders.pop() if len(folders) == 1 and None not in files.values() else None


def draw() -> None:
    """Write the sheet that :func:`sheets` refers to, and a small one for the first page."""
    from oraclezoo.data import tracks
    from oraclezoo.data.sheet import contact_sheet
    from oraclezoo.data.tiles import classes_beside

    FOLDER.mkdir(exist_ok=True)
    generated, folder = tracks.glyphs_3k(data_dir=None), real_files()
    part, names = generated.split("train"), (generated.classes, generated.glyphs)
    contact_sheet(part.images, part.labels, *names, per_class=4).save(FOLDER / "characters.png")
    if folder is None:
        sheet = contact_sheet(part.images, part.labels, *names, per_class=PER_CLASS)
        sheet.save(FOLDER / f"{GENERATED}.png")
        return
    real = tracks.oracle_mnist_3k(data_dir=folder)
    classes_beside(real, generated, "train", PER_CLASS).save(FOLDER / f"{REAL}.png")
