"""The audit finds the faults that were planted, where they were planted, and no others."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner, Result
from scipy.ndimage import gaussian_filter
from scipy.ndimage import shift as resampled

from helpers.drawn import characters
from oraclezoo.cli import cli
from oraclezoo.data.audit import KINDS, Audit, audit, counts, damaged
from oraclezoo.data.audit.features import contrast, moved, strokes, unit
from oraclezoo.data.audit.files import published, unpublished
from oraclezoo.data.audit.neighbours import COUNT, nearest
from oraclezoo.data.audit.records import Place, Pool
from oraclezoo.data.audit.sheet import suspicious
from oraclezoo.data.characters import CLASSES, GLYPHS
from oraclezoo.data.dataset import SPLITS, ArrayDataset, ArraySplit
from oraclezoo.data.idx import write_idx
from oraclezoo.data.upstream import TEST_IMAGES, TEST_LABELS
from oraclezoo.errors import DataError

Images = npt.NDArray[np.uint8]
Parts = dict[str, tuple[Images, npt.NDArray[np.int64]]]
SIZES = {"train": 40, "validation": 5, "test": 20}


@pytest.fixture(scope="module")
def clean() -> Parts:
    """Drawn characters, 65 of each class in three splits; to be copied before it is changed."""
    return {name: characters((n,) * 10, seed=40 + n) for name, n in SIZES.items()}


@pytest.fixture
def parts(clean: Parts) -> Parts:
    return {name: (images.copy(), labels.copy()) for name, (images, labels) in clean.items()}


def looked(parts: Parts, *, flips: bool = True) -> Audit:
    return audit(dataset(parts, flips=flips), [])


def dataset(parts: Parts, *, flips: bool = True) -> ArrayDataset:
    return ArrayDataset(
        classes=CLASSES,
        glyphs=GLYPHS,
        flip_keeps_label=flips,
        synthetic=True,
        sha256={"generated": "0" * 64},
        readers={name: lambda n=name: ArraySplit(*parts[n]) for name in SPLITS},
    )


def of_kind(found: Audit, kind: str) -> list[tuple[tuple[str, int], ...]]:
    return [
        tuple((place.split, place.index) for place in finding.places)
        for finding in found.findings
        if finding.kind == kind
    ]


def grainy(image: Images, seed: int = 0) -> Images:
    """Another scan of the same: a half pixel to the right, softer, with grain and other levels."""
    made = resampled(image.astype(float), (0, 0.5), order=1) * 0.85
    made = gaussian_filter(made, 0.3)
    noise = np.random.default_rng(seed).normal(0, 6, image.shape)
    return np.clip(np.where(made > 8, made + noise, 0), 0, 255).astype(np.uint8)


def clear(images: Images) -> npt.NDArray[np.int64]:
    """The images with the strongest strokes first."""
    return np.argsort(-contrast(strokes(images)))


def test_clean_characters_have_no_copies(clean: Parts) -> None:
    """Nothing serious, no copy, no near duplicate, no class missing."""
    found = looked(clean)
    assert found.serious == 0
    assert list(found.numbers) == list(KINDS)
    for kind in ("label-set", "exact-duplicate", "mirrored-duplicate", "near-duplicate", "blank"):
        assert found.numbers[kind] == 0


def test_generated_characters_have_no_copies() -> None:
    """Those of the generator: nothing serious, nothing near."""
    from oraclezoo.data.glyphs import generate

    found = looked({name: generate((n,) * 10, seed=n) for name, n in SIZES.items()})
    assert found.serious == 0
    assert found.numbers["near-duplicate"] == 0


def test_an_exact_copy_in_another_split_is_serious(parts: Parts) -> None:
    """Leakage: found by both places; with one label, in one split, it is merely a copy."""
    (train, labels), (test, test_labels) = parts["train"], parts["test"]
    test[7], test_labels[7] = train[100], labels[100]
    train[3], labels[3] = train[200], labels[200]
    found = looked(parts)
    assert of_kind(found, "exact-duplicate") == [
        (("train", 3), ("train", 200)),
        (("train", 100), ("test", 7)),
    ]
    assert [f.serious for f in found.findings if f.kind == "exact-duplicate"] == [False, True]
    assert found.serious == 1
    assert found.numbers["near-duplicate"] == 0


def test_equal_images_with_two_labels_are_serious(parts: Parts) -> None:
    """Even within one split."""
    train, labels = parts["train"]
    train[11], labels[11] = train[50], (labels[50] + 1) % 10
    found = looked(parts)
    assert of_kind(found, "exact-duplicate") == [(("train", 11), ("train", 50))]
    (finding,) = [f for f in found.findings if f.serious]
    assert finding.note.endswith("labels differ")


def test_a_mirrored_copy_counts_where_flips_keep_the_label(parts: Parts) -> None:
    """And is another character where they do not."""
    (train, labels), (test, test_labels) = parts["train"], parts["test"]
    at = clear(train)[0]
    test[0], test_labels[0] = train[at, :, ::-1], labels[at]
    found = looked(parts)
    assert of_kind(found, "mirrored-duplicate") == [(("train", at), ("test", 0))]
    assert found.serious == 1
    apart = looked(parts, flips=False)
    assert apart.serious == 0
    assert ("test", 0) not in {place for pair in of_kind(apart, "near-duplicate") for place in pair}


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_worn_shifted_copy_is_a_near_duplicate(parts: Parts, mirrored: bool) -> None:
    """Moved by pixels and a half, softened and grainy: found, told across splits, not serious."""
    (train, labels), (test, test_labels) = parts["train"], parts["test"]
    planted = []
    for place, at in enumerate(clear(train)[:12]):
        copy = grainy(np.roll(train[at], 1, axis=0), place)
        copy[0] = 0
        test[place], test_labels[place] = copy[:, ::-1] if mirrored else copy, labels[at]
        planted.append((("train", int(at)), ("test", place)))
    found = looked(parts)
    pairs = of_kind(found, "near-duplicate")
    assert len(set(pairs) & set(planted)) >= 11
    assert not set(pairs) - set(planted)
    assert found.serious == 0
    notes = [f.note for f in found.findings if f.kind == "near-duplicate"]
    assert all("across splits" in note for note in notes)
    assert all(("mirrored" in note) == mirrored for note in notes)


def test_a_near_duplicate_with_another_label_says_so(parts: Parts) -> None:
    """A conflict for an eye to judge."""
    train, labels = parts["train"]
    at, place = clear(train)[:2]
    train[place], labels[place] = grainy(train[at]), (labels[at] + 1) % 10
    found = looked(parts)
    (finding,) = [f for f in found.findings if f.kind == "near-duplicate"]
    assert {p.index for p in finding.places} == {at, place}
    assert "labels differ" in finding.note
    assert not finding.serious


def test_blank_faint_and_white_images_are_found(parts: Parts) -> None:
    """One value is serious, whichever it is; no strokes and mostly white are to be looked at."""
    train, _ = parts["train"]
    validation, _ = parts["validation"]
    train[5], validation[2] = 0, 90
    train[6] = np.random.default_rng(0).integers(60, 66, (28, 28))
    train[7], train[7, 4:9, 4:24] = 255, 30
    found = looked(parts)
    assert of_kind(found, "blank") == [(("train", 5),), (("validation", 2),)]
    assert (("train", 6),) in of_kind(found, "almost-blank")
    assert (("train", 7),) in of_kind(found, "saturated")
    assert found.serious == 2


def test_a_wrong_label_is_suspicious() -> None:
    """Among images that are easily told apart, the one with another's label is named."""
    generator = np.random.default_rng(2)
    labels = np.arange(90, dtype=np.int64) % 3
    images = generator.integers(10, 50, (90, 28, 28), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        at = 6 + 7 * int(label) + int(generator.integers(0, 2))
        (image if label % 2 else image.T)[at : at + 3, 3 : int(generator.integers(20, 26))] = 220
    wrong = labels.copy()
    wrong[31] = 2
    whole = Parts({"train": (images, wrong), "validation": characters((0,) * 10, 0)})
    whole["test"] = whole["validation"]
    found = looked(whole)
    assert [pair[0] for pair in of_kind(found, "suspicious-label")] == [("train", 31)]


def test_an_image_unlike_its_class_is_an_outlier(parts: Parts) -> None:
    """By a measure that the note names."""
    train, labels = parts["train"]
    of_class = np.flatnonzero(labels == 4)
    train[of_class] = (train[of_class] * 0.5).astype(np.uint8)
    train[of_class[3]] = np.where(np.indices((28, 28)).sum(0) % 3, 250, 180)
    found = looked(parts)
    assert (("train", of_class[3]),) in of_kind(found, "outlier")


def test_imbalance_and_splits_that_differ_are_measured(parts: Parts) -> None:
    """Chi-square is small for proportional splits and large for others."""
    even = looked(parts).summary["balance"]
    assert even == {"imbalance": 1.0, "chi_square": 0.0, "degrees_of_freedom": 18, "p_value": 1.0}
    images, labels = parts["train"]
    keep = (labels != 0) | (np.cumsum(labels == 0) <= 1)
    parts["train"] = (images[keep], labels[keep])
    uneven = looked(parts).summary["balance"]
    assert uneven["imbalance"] == pytest.approx(65 / 26, abs=1e-3)
    assert uneven["p_value"] < 0.05


def test_a_class_that_training_lacks_is_serious(parts: Parts) -> None:
    """One that only validation lacks is not."""
    for name, label in (("train", 2), ("validation", 6)):
        images, labels = parts[name]
        parts[name] = (images[labels != label], labels[labels != label])
    found = counts.label_sets(Pool.of(dataset(parts)))
    assert [(f.note, f.serious) for f in found] == [
        ("label 2 has no image in train", True),
        ("label 6 has no image in validation", False),
    ]


def test_places_and_numbers_of_the_pool_agree(clean: Parts) -> None:
    """A place leads back to the image."""
    pool = Pool.of(dataset(clean))
    for at in (0, 399, 400, 449, 450, 649):
        place = pool.place(at)
        assert pool.at(place) == at
        assert (pool.images[at] == clean[place.split][0][place.index]).all()
    assert pool.place(450) == Place("test", 0, int(clean["test"][1][0]))


def test_splits_of_different_sizes_are_refused(parts: Parts) -> None:
    """They cannot be compared."""
    images, labels = parts["test"]
    parts["test"] = (images[:, 1:], labels)
    with pytest.raises(DataError, match="different sizes"):
        looked(parts)


def test_neighbours_are_those_of_all_pairs(clean: Parts) -> None:
    """The search by blocks and axes agrees with comparing everything, whatever the block."""
    band = strokes(clean["test"][0])
    found = nearest(band, mirrored=True)
    assert found.index.shape == (200, COUNT)
    assert (np.diff(found.distance, axis=1) >= 0).all()
    assert (found.index != np.arange(200)[:, None]).all()
    best = np.full((200, 200), -1.0)
    for seen in (band, band[:, :, ::-1]):
        for down in range(-2, 3):
            for right in range(-2, 3):
                best = np.maximum(best, unit(band) @ unit(moved(seen, down, right)).T)
    np.fill_diagonal(best, -1)
    everything = 1 - np.maximum(best, best.T).max(1)
    assert (found.distance[:, 0] <= everything + 0.02).mean() > 0.99


def test_small_blocks_find_the_same(clean: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks bound the memory and decide nothing."""
    band = strokes(clean["test"][0])
    whole = nearest(band, mirrored=True)
    monkeypatch.setattr("oraclezoo.data.audit.neighbours._BLOCK", 37)
    pieces = nearest(band, mirrored=True)
    assert (pieces.index[:, 0] == whole.index[:, 0]).mean() > 0.97
    assert np.abs(pieces.distance[:, 0] - whole.distance[:, 0]).mean() < 1e-3


@pytest.mark.parametrize("size", [(8, 8), (20, 28), (96, 96)])
def test_other_sizes_are_compared_too(size: tuple[int, int]) -> None:
    """Small, oblong and large images; a copy is at distance 0, or nearly."""
    generator = np.random.default_rng(0)
    images = gaussian_filter(generator.normal(0, 1, (12, *size)), (0, size[0] / 9, size[1] / 9))
    scaled = (images - images.min()) / np.ptp(images) * 255
    band = strokes(np.concatenate([scaled, scaled[:1]]).astype(np.uint8))
    assert max(band.shape[1:]) <= 28
    found = nearest(band, mirrored=False)
    assert found.index[0, 0] == 12
    assert found.distance[0, 0] < 0.01
    assert found.distance[1:12, 0].min() > 0.02


def test_few_images_are_no_trouble() -> None:
    """One a split, and a split without any."""
    images, labels = characters((1,) * 10, seed=3)
    three = {name: (images[i : i + 1], labels[i : i + 1]) for i, name in enumerate(SPLITS)}
    assert looked(three).numbers["exact-duplicate"] == 0
    three["validation"] = (images[:0], labels[:0])
    assert looked(three).summary["splits"] == {"train": 1, "validation": 0, "test": 1}


def test_the_report_is_json_without_images(parts: Parts) -> None:
    """And the same when it is made again."""
    parts["test"][0][0] = parts["train"][0][0]
    one, other = looked(parts).as_json(), looked(parts).as_json()
    text = json.dumps(one, allow_nan=False)
    assert text == json.dumps(other, allow_nan=False)
    (copy,) = [f for f in one["findings"] if f["kind"] == "exact-duplicate"]
    assert copy["places"][0][:2] == ["train", 0]
    assert copy["places"][1][:2] == ["test", 0]
    assert one["files"][0]["status"] == "unpublished"


def test_the_sheet_shows_findings_with_images(parts: Parts) -> None:
    """Not those without; None when there is nothing to show."""
    parts["test"][0][0] = parts["train"][0][0]
    found = looked(parts)
    assert found.pool is not None
    copies = [f for f in found.findings if f.kind == "exact-duplicate"]
    sheet = suspicious(found.pool, copies)
    assert sheet is not None
    picture = np.asarray(sheet)
    tile = parts["train"][0][0].repeat(3, axis=0).repeat(3, axis=1)
    assert (picture[12:96, 12:96] == tile).all()
    assert (picture[12:96, 98:182] == tile).all()
    assert suspicious(found.pool, []) is None


def test_files_are_held_against_their_digests(tmp_path: Path) -> None:
    """A file of upstream's name and other bytes is damaged; absent ones are left to the track."""
    (tmp_path / TEST_IMAGES).write_bytes(b"not the file")
    rows = published("oracle-mnist-3k", tmp_path)
    assert [(row.name, row.status) for row in rows] == [(TEST_IMAGES, "mismatch")]
    assert rows[0].digest == hashlib.sha256(b"not the file").hexdigest()
    found = damaged(rows)
    assert found is not None
    assert found.serious == 1
    assert found.findings[0].kind == "checksum"
    assert published("idx", tmp_path) == []
    assert damaged([]) is None
    others = unpublished({TEST_IMAGES: "1", "own": "2"}, rows)
    assert [row.name for row in others] == ["own"]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["data", "audit", *arguments])


def own(folder: Path, clean: Parts, *, leak: bool) -> Path:
    """A folder of four IDX files."""
    folder.mkdir()
    for part, name in (("train", "train"), ("test", "t10k")):
        images, labels = clean[part]
        images = images.copy()
        if leak and part == "test":
            at = int(np.flatnonzero(clean["train"][1] == labels[0])[0])
            images[0] = clean["train"][0][at]
        write_idx(folder / f"{name}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{name}-labels-idx1-ubyte.gz", labels.astype(np.uint8))
    return folder


def test_the_command_reports_and_exits_by_the_rule(tmp_path: Path, clean: Parts) -> None:
    """0 for clean data; 3 with a leak: report on stdout, reason on stderr, files written."""
    fine = run("idx", "--data-dir", str(own(tmp_path / "fine", clean, leak=False)))
    assert fine.exit_code == 0, fine.stderr
    assert "exact-duplicate" in fine.stdout
    out = tmp_path / "out"
    folder = own(tmp_path / "leak", clean, leak=True)
    leak = run("idx", "--data-dir", str(folder), "--out", str(out), "--json")
    assert leak.exit_code == 3
    assert "1 serious" in leak.stderr
    document = json.loads(leak.stdout)
    assert document["schema"] == "oraclezoo/audit/1"
    assert document["data"]["numbers"]["exact-duplicate"] == 1
    assert json.loads((out / "report.json").read_text()) == document
    assert (out / "suspicious.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_names_a_damaged_file(tmp_path: Path) -> None:
    """Without opening it."""
    (tmp_path / TEST_IMAGES).write_bytes(b"x")
    (tmp_path / TEST_LABELS).write_bytes(b"y")
    bad = run("oracle-mnist-3k", "--data-dir", str(tmp_path), "--json")
    assert bad.exit_code == 3
    assert json.loads(bad.stdout)["data"]["numbers"]["checksum"] == 2


@pytest.mark.realdata
def test_the_real_images_are_as_the_documentation_says(oracle_dir: Path) -> None:
    """The committed report of oracle-mnist-3k is what the command prints."""
    committed = Path(__file__).parents[2] / "benchmarks/measurements/audit-oracle-mnist-3k.json"
    before = json.loads(committed.read_text(encoding="utf-8"))["data"]
    now = run("oracle-mnist-3k", "--data-dir", str(oracle_dir), "--json")
    assert now.exit_code == 0, now.stderr
    after = json.loads(now.stdout)["data"]
    for key in ("splits", "balance", "classes", "files", "numbers", "serious"):
        assert after[key] == before[key]
