"""Draw the sample image of ``oraclezoo predict --demo``: a character in brown ink on paper.

    python benchmarks/sample_image.py [--out FILE]

The strokes are one of the project's own forms of 牛 (data/glyphs/oracle.toml). The paper has grain
and the light falls off to one side, as in a photo.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from _drawings import TIMES
from _picture_kinds import encoded, inked, noisy
from PIL import Image

from oraclezoo.data.foreign.pen import stroked
from oraclezoo.data.glyphs.forms import ORACLE, arranged
from oraclezoo.data.glyphs.written import read
from oraclezoo.serving.sources import SAMPLE

CATTLE, HEIGHT, SIZE = 3, 190, (360, 480)
"""Label, height of the strokes in pixels, and width and height of the picture."""


def drawn() -> bytes:
    """Return the picture as a JPEG file."""
    rng = np.random.default_rng(16)
    known = arranged(read(ORACLE))
    form = int(np.flatnonzero(known.label == CATTLE)[0])
    near = known.control[form][known.neighbor[form]]
    points = (near * known.weight[form][..., None]).sum(1)
    points[:, 0] *= known.aspect[form]
    lines = [points[known.stroke[form] == stroke] for stroke in np.unique(known.stroke[form])]
    lines = [HEIGHT * line + (105, 120) for line in lines]
    ink = 255 - stroked(lines, 13.0, SIZE, TIMES)
    y, x = np.mgrid[0 : 1 : SIZE[1] * 1j, 0 : 1 : SIZE[0] * 1j]
    light = 1 - 0.16 * x - 0.06 * y
    picture = inked(ink, (226, 205, 168), (84, 50, 30)) * light[..., None]
    turned = Image.fromarray(noisy(picture, rng, 2.5))
    return encoded(turned, "JPEG", quality=82)


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=SAMPLE)
    parser.parse_args().out.write_bytes(drawn())


if __name__ == "__main__":
    main()
