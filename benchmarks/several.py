"""How many characters of composed pages `predict --several` finds, and how well they are read.

Each page has 3 to 20 images of a split of oracle-mnist-3k, drawn once each, at one to six times
their size: ``_pages.KINDS`` says how each kind is made. A character is found if exactly one box has
more than half of its area in common with the character's and the other way round; it is split if
several boxes lie mostly inside it, and merged if its box also covers another character. ``single``
counts pictures of one character, from ``_picture_kinds``, in which more than one was found.

    python benchmarks/several.py --data-dir FOLDER [--model NAME|FOLDER] [--json] [--write]
        [--split validation|test] [--pages 40]

The thresholds were tuned on pages of training images. ``--write`` writes
benchmarks/measurements/several.json.
"""

from __future__ import annotations

import argparse
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from _measured import emit
from _pages import KINDS, Page
from _picture_kinds import KINDS as PICTURES
from PIL import Image

import oraclezoo as oz
from oraclezoo.artifacts.resolve import record_test_evaluation
from oraclezoo.imaging.decode import read_image, to_gray
from oraclezoo.imaging.find import Box
from oraclezoo.imaging.polarity import Gray
from oraclezoo.imaging.prepare import Prepared, prepare_several
from oraclezoo.imaging.several import find_several
from oraclezoo.measure import hardware

SCHEMA = "oraclezoo/several/1"
TRACK, SIZE = "oracle-mnist-3k", 28
MEASUREMENT = Path(__file__).with_name("measurements") / "several.json"
PAGES, SINGLES = 40, 40


def shared(one: Box, other: Box) -> int:
    """Return the area that two boxes have in common, in pixels."""
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    return max(width, 0) * max(height, 0)


def area(box: Box) -> int:
    """Return the area of a box in pixels."""
    return box.width * box.height


def outcome(page: Page, read: list[Prepared]) -> dict[str, Any]:
    """Return the counts of a page: found, split, merged, missed and extra, and reading order.

    ``match`` holds the number of the box of each character that was found, or None.
    """
    counts = dict.fromkeys(("found", "split", "merged", "missed", "extra"), 0)
    match: list[int | None] = []
    boxes = [each.box for each in read]
    for box in page.boxes:
        inside = [n for n, b in enumerate(boxes) if 2 * shared(box, b) > area(b)]
        around = [n for n, b in enumerate(boxes) if 2 * shared(box, b) > area(box)]
        both = [n for n in inside if n in around]
        match.append(both[0] if len(inside) == 1 and both else None)
        if match[-1] is not None:
            counts["found"] += 1
        elif len(inside) > 1:
            counts["split"] += 1
        elif around:
            counts["merged"] += 1
        else:
            counts["missed"] += 1
    counts["extra"] = sum(all(2 * shared(box, b) <= area(b) for box in page.boxes) for b in boxes)
    numbers = [n for n in match if n is not None]
    return {**counts, "match": match, "ordered": numbers == sorted(numbers)}


def kind_row(name: str, images: Gray, labels: Any, predictor: Any, pages: int) -> dict[str, Any]:
    """Return the counts of all pages of a kind."""
    totals = dict.fromkeys(("characters", "found", "split", "merged", "missed", "extra"), 0)
    right = ordered = 0
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    for _ in range(pages):
        rows = rng.choice(len(images), int(rng.integers(3, 21)), replace=False)
        page = KINDS[name].make([images[row] for row in rows], rng)
        read = prepare_several(page.data, SIZE, order=KINDS[name].order)
        done = outcome(page, read)
        totals["characters"] += len(rows)
        for key in totals.keys() - {"characters"}:
            totals[key] += done[key]
        ordered += done["ordered"]
        found = [(n, row) for n, row in zip(done["match"], rows, strict=True) if n is not None]
        if found:
            grays = np.stack([read[n].gray for n, _ in found])
            right += int((predictor.predict(grays).labels == labels[[r for _, r in found]]).sum())
    return {
        "kind": name,
        "how": KINDS[name].how,
        "pages": pages,
        **totals,
        "right": right,
        "pages_in_order": ordered,
    }


def single_rows(images: Gray) -> list[dict[str, Any]]:
    """Return in how many pictures of one character several were found, by kind."""
    rows = []
    for kind in PICTURES:
        wrong = 0
        for image in images[:: max(1, len(images) // SINGLES)][:SINGLES]:
            data = kind.make(image, np.random.default_rng(zlib.crc32(image.tobytes())))
            gray = to_gray(read_image(BytesIO(data)))
            wrong += bool(find_several(gray, SIZE))
        rows.append({"kind": kind.name, "pictures": len(images[:SINGLES]), "several": wrong})
    return rows


def parse() -> argparse.Namespace:
    """Parse the options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--model", default="oraclenet_s")
    parser.add_argument("--split", choices=["train", "validation", "test"], default="validation")
    parser.add_argument("--pages", type=int, default=PAGES, help="pages of each kind")
    parser.add_argument("--results", type=Path, default=Path("results"), help="of the ledger")
    parser.add_argument("--view", type=Path, help="write a page of each kind to this folder")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--write", action="store_true", help=f"write {MEASUREMENT.name}")
    arguments = parser.parse_args()
    arguments.out = MEASUREMENT if arguments.write else None
    return arguments


def main() -> None:
    """Run the measurements and print them."""
    arguments = parse()
    dataset = oz.registry().create("dataset", TRACK, data_dir=arguments.data_dir)
    part = dataset.split(arguments.split)
    images, labels = np.asarray(part.images), np.asarray(part.labels)
    if arguments.split == "test":
        record_test_evaluation(oz.load(arguments.model), dataset, arguments.results)
    predictor = oz.predictor(arguments.model)
    if arguments.view:
        view(arguments.view, images)
    data: dict[str, Any] = {
        "track": TRACK,
        "split": arguments.split,
        "model": arguments.model,
        "rows": [kind_row(name, images, labels, predictor, arguments.pages) for name in KINDS],
        "single": single_rows(images),
        "libraries": hardware.libraries(),
    }
    if emit(SCHEMA, data, arguments):
        return
    for row in data["rows"]:
        counts = ", ".join(f"{row[key]} {key}" for key in ("found", "split", "merged", "missed"))
        print(
            f"{row['kind']:12}{row['characters']} characters: {counts}, {row['extra']} extra, "
            f"{row['right']} read, {row['pages_in_order']} of {row['pages']} pages in order"
        )
    wrong = {row["kind"]: row["several"] for row in data["single"] if row["several"]}
    print(f"of {SINGLES} pictures of one character, several found in: {wrong}")


def view(folder: Path, images: npt.NDArray[np.uint8]) -> None:
    """Write a page of each kind to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for name, kind in KINDS.items():
        page = kind.make(list(images[rng.choice(len(images), 9, replace=False)]), rng)
        Image.open(BytesIO(page.data)).save(folder / f"{name}.png")


if __name__ == "__main__":
    main()
