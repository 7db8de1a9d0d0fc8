"""The audit finds planted faults at their places, and no others."""

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
from oraclezoo.data.audit import KINDS, Audit, audit, damaged, published, unpublished
from oraclezoo.data.audit.neighbors import (
    COUNT,
    band_passed,
    contrast,
    nearest,
    translate,
    unit,
)
from oraclezoo.data.audit.report import Balance, Place, Pool, suspicious
from oraclezoo.data.audit.statistics import missing_classes
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
    """Drawn characters, 65 of each class in three splits; copy before changing."""
    return {name: characters((n,) * 10, seed=40 + n) for name, n in SIZES.items()}


@pytest.fixture
def parts(clean: Parts) -> Parts:
    return {name: (images.copy(), labels.copy()) for name, (images, labels) in clean.items()}


def audited(parts: Parts, *, flips: bool = True) -> Audit:
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


def of_kind(report: Audit, kind: str) -> list[tuple[tuple[str, int], ...]]:
    return [
        tuple((place.split, place.index) for place in finding.places)
        for finding in report.findings
        if finding.kind == kind
    ]


def grainy(image: Images, seed: int = 0) -> Images:
    """Return a simulated rescan: shifted by half a pixel, blurred, noisy, with lower contrast."""
    scan = resampled(image.astype(float), (0, 0.5), order=1) * 0.85
    scan = gaussian_filter(scan, 0.3)
    noise = np.random.default_rng(seed).normal(0, 6, image.shape)
    return np.clip(np.where(scan > 8, scan + noise, 0), 0, 255).astype(np.uint8)


def by_contrast(images: Images) -> npt.NDArray[np.int64]:
    """Return indices by decreasing contrast."""
    return np.argsort(-contrast(band_passed(images)))


def test_clean_characters_have_no_copies(clean: Parts) -> None:
    """Clean data has no serious finding, duplicate or missing class."""
    report = audited(clean)
    assert report.serious == 0
    assert list(report.numbers) == list(KINDS)
    for kind in ("label-set", "exact-duplicate", "mirrored-duplicate", "near-duplicate", "blank"):
        assert report.numbers[kind] == 0


def test_generated_characters_have_no_copies() -> None:
    """The generator produces no serious finding and no near duplicate."""
    from oraclezoo.data.glyphs import generate

    report = audited({name: generate((n,) * 10, seed=n) for name, n in SIZES.items()})
    assert report.serious == 0
    assert report.numbers["near-duplicate"] == 0


def test_an_exact_copy_in_another_split_is_serious(parts: Parts) -> None:
    """It is reported with both places; a copy with the same label and split is not serious."""
    (train, labels), (test, test_labels) = parts["train"], parts["test"]
    test[7], test_labels[7] = train[100], labels[100]
    train[3], labels[3] = train[200], labels[200]
    report = audited(parts)
    assert of_kind(report, "exact-duplicate") == [
        (("train", 3), ("train", 200)),
        (("train", 100), ("test", 7)),
    ]
    assert [f.serious for f in report.findings if f.kind == "exact-duplicate"] == [False, True]
    assert report.serious == 1
    assert report.numbers["near-duplicate"] == 0


def test_equal_images_with_two_labels_are_serious(parts: Parts) -> None:
    """Even within one split."""
    train, labels = parts["train"]
    train[11], labels[11] = train[50], (labels[50] + 1) % 10
    report = audited(parts)
    assert of_kind(report, "exact-duplicate") == [(("train", 11), ("train", 50))]
    (finding,) = [f for f in report.findings if f.serious]
    assert finding.note.endswith("labels differ")


def test_a_mirrored_copy_counts_where_flips_keep_the_label(parts: Parts) -> None:
    """Otherwise a mirror image is a different character."""
    (train, labels), (test, test_labels) = parts["train"], parts["test"]
    at = by_contrast(train)[0]
    test[0], test_labels[0] = train[at, :, ::-1], labels[at]
    report = audited(parts)
    assert of_kind(report, "mirrored-duplicate") == [(("train", at), ("test", 0))]
    assert report.serious == 1
    unmirrored = audited(parts, flips=False)
    assert unmirrored.serious == 0
    assert ("test", 0) not in {
        place for pair in of_kind(unmirrored, "near-duplicate") for place in pair
    }


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_degraded_shifted_copy_is_a_near_duplicate(parts: Parts, mirrored: bool) -> None:
    """Shifted, blurred and noisy copies are found, reported across splits, and not serious."""
    (train, labels), (test, test_labels) = parts["train"], parts["test"]
    planted = []
    for place, at in enumerate(by_contrast(train)[:12]):
        copy = grainy(np.roll(train[at], 1, axis=0), place)
        copy[0] = 0
        test[place], test_labels[place] = copy[:, ::-1] if mirrored else copy, labels[at]
        planted.append((("train", int(at)), ("test", place)))
    report = audited(parts)
    pairs = of_kind(report, "near-duplicate")
    assert len(set(pairs) & set(planted)) >= 11
    assert not set(pairs) - set(planted)
    assert report.serious == 0
    notes = [f.note for f in report.findings if f.kind == "near-duplicate"]
    assert all("across splits" in note for note in notes)
    assert all(("mirrored" in note) == mirrored for note in notes)


def test_a_near_duplicate_with_another_label_says_so(parts: Parts) -> None:
    """It is not serious, since only a person can tell copies from lookalikes."""
    train, labels = parts["train"]
    at, place = by_contrast(train)[:2]
    train[place], labels[place] = grainy(train[at]), (labels[at] + 1) % 10
    report = audited(parts)
    (finding,) = [f for f in report.findings if f.kind == "near-duplicate"]
    assert {p.index for p in finding.places} == {at, place}
    assert "labels differ" in finding.note
    assert not finding.serious


def test_blank_faint_and_white_images_are_found(parts: Parts) -> None:
    """Only constant images are serious."""
    train, _ = parts["train"]
    validation, _ = parts["validation"]
    train[5], validation[2] = 0, 90
    train[6] = np.random.default_rng(0).integers(60, 66, (28, 28))
    train[7], train[7, 4:9, 4:24] = 255, 30
    report = audited(parts)
    assert of_kind(report, "blank") == [(("train", 5),), (("validation", 2),)]
    assert (("train", 6),) in of_kind(report, "almost-blank")
    assert (("train", 7),) in of_kind(report, "saturated")
    assert report.serious == 2


def test_a_wrong_label_is_suspicious() -> None:
    """Among easily separable images, the mislabeled one is found."""
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
    report = audited(whole)
    assert [pair[0] for pair in of_kind(report, "suspicious-label")] == [("train", 31)]


def test_an_image_unlike_its_class_is_an_outlier(parts: Parts) -> None:
    """An image unlike its class in a statistic is an outlier."""
    train, labels = parts["train"]
    of_class = np.flatnonzero(labels == 4)
    train[of_class] = (train[of_class] * 0.5).astype(np.uint8)
    train[of_class[3]] = np.where(np.indices((28, 28)).sum(0) % 3, 250, 180)
    report = audited(parts)
    assert (("train", of_class[3]),) in of_kind(report, "outlier")


def test_imbalance_and_splits_that_differ_are_measured(parts: Parts) -> None:
    """Chi-square is small for proportional splits and large for others."""
    even = audited(parts).summary
    assert even is not None
    assert even.balance == Balance(1.0, 0.0, 18, 1.0)
    images, labels = parts["train"]
    keep = (labels != 0) | (np.cumsum(labels == 0) <= 1)
    parts["train"] = (images[keep], labels[keep])
    uneven = audited(parts).summary
    assert uneven is not None
    assert uneven.balance.imbalance == pytest.approx(65 / 26, abs=1e-3)
    assert uneven.balance.p_value < 0.05


def test_a_class_that_training_lacks_is_serious(parts: Parts) -> None:
    """A class that only validation lacks is not."""
    for name, label in (("train", 2), ("validation", 6)):
        images, labels = parts[name]
        parts[name] = (images[labels != label], labels[labels != label])
    findings = missing_classes(Pool.of(dataset(parts)))
    assert [(f.note, f.serious) for f in findings] == [
        ("label 2 has no image in train", True),
        ("label 6 has no image in validation", False),
    ]


def test_places_and_numbers_of_the_pool_agree(clean: Parts) -> None:
    """`at` is the inverse of `place`."""
    pool = Pool.of(dataset(clean))
    for at in (0, 399, 400, 449, 450, 649):
        place = pool.place(at)
        assert pool.at(place) == at
        assert (pool.images[at] == clean[place.split][0][place.index]).all()
    assert pool.place(450) == Place("test", 0, int(clean["test"][1][0]))


def test_splits_of_different_sizes_are_refused(parts: Parts) -> None:
    """Images of different sizes cannot be compared."""
    images, labels = parts["test"]
    parts["test"] = (images[:, 1:], labels)
    with pytest.raises(DataError, match="different sizes"):
        audited(parts)


def test_neighbors_are_those_of_all_pairs(clean: Parts) -> None:
    """The two-stage search agrees with an exhaustive comparison."""
    band = band_passed(clean["test"][0])
    neighbors = nearest(band, mirrored=True)
    assert neighbors.index.shape == (200, COUNT)
    assert (np.diff(neighbors.distance, axis=1) >= 0).all()
    assert (neighbors.index != np.arange(200)[:, None]).all()
    best = np.full((200, 200), -1.0)
    for oriented in (band, band[:, :, ::-1]):
        for down in range(-2, 3):
            for right in range(-2, 3):
                best = np.maximum(best, unit(band) @ unit(translate(oriented, down, right)).T)
    np.fill_diagonal(best, -1)
    everything = 1 - np.maximum(best, best.T).max(1)
    assert (neighbors.distance[:, 0] <= everything + 0.02).mean() > 0.99


def test_small_blocks_find_the_same(clean: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """The block size bounds memory and does not affect the result."""
    band = band_passed(clean["test"][0])
    whole = nearest(band, mirrored=True)
    monkeypatch.setattr("oraclezoo.data.audit.neighbors._BLOCK", 37)
    pieces = nearest(band, mirrored=True)
    assert (pieces.index[:, 0] == whole.index[:, 0]).mean() > 0.97
    assert np.abs(pieces.distance[:, 0] - whole.distance[:, 0]).mean() < 1e-3


@pytest.mark.parametrize("size", [(8, 8), (20, 28), (96, 96)])
def test_other_sizes_are_compared_too(size: tuple[int, int]) -> None:
    """A copy has a distance near 0 for small, oblong and large images."""
    generator = np.random.default_rng(0)
    images = gaussian_filter(generator.normal(0, 1, (12, *size)), (0, size[0] / 9, size[1] / 9))
    scaled = (images - images.min()) / np.ptp(images) * 255
    band = band_passed(np.concatenate([scaled, scaled[:1]]).astype(np.uint8))
    assert max(band.shape[1:]) <= 28
    neighbors = nearest(band, mirrored=False)
    assert neighbors.index[0, 0] == 12
    assert neighbors.distance[0, 0] < 0.01
    assert neighbors.distance[1:12, 0].min() > 0.02


def test_few_images_are_no_trouble() -> None:
    """Splits may have one image or none."""
    images, labels = characters((1,) * 10, seed=3)
    three = {name: (images[i : i + 1], labels[i : i + 1]) for i, name in enumerate(SPLITS)}
    assert audited(three).numbers["exact-duplicate"] == 0
    three["validation"] = (images[:0], labels[:0])
    summary = audited(three).summary
    assert summary is not None
    assert summary.splits == {"train": 1, "validation": 0, "test": 1}


def test_the_report_is_json_without_images(parts: Parts) -> None:
    """A second audit gives the same document."""
    parts["test"][0][0] = parts["train"][0][0]
    one, other = audited(parts).as_json(), audited(parts).as_json()
    text = json.dumps(one, allow_nan=False)
    assert text == json.dumps(other, allow_nan=False)
    (copy,) = [f for f in one["findings"] if f["kind"] == "exact-duplicate"]
    assert copy["places"][0][:2] == ["train", 0]
    assert copy["places"][1][:2] == ["test", 0]
    assert one["files"][0]["status"] == "unpublished"


def test_the_sheet_shows_findings_with_images(parts: Parts) -> None:
    """Findings without images are left out; without any the sheet is None."""
    parts["test"][0][0] = parts["train"][0][0]
    report = audited(parts)
    assert report.pool is not None
    copies = [f for f in report.findings if f.kind == "exact-duplicate"]
    sheet = suspicious(report.pool, copies)
    assert sheet is not None
    picture = np.asarray(sheet)
    tile = parts["train"][0][0].repeat(3, axis=0).repeat(3, axis=1)
    assert (picture[12:96, 12:96] == tile).all()
    assert (picture[12:96, 98:182] == tile).all()
    named = suspicious(report.pool, copies, names=[f"name {label}" for label in range(20)])
    assert named is not None
    assert named.tobytes() != sheet.tobytes()
    assert suspicious(report.pool, []) is None


def test_files_are_checked_against_their_digests(tmp_path: Path) -> None:
    """A mismatch is a serious finding; absent files are ignored."""
    (tmp_path / TEST_IMAGES).write_bytes(b"not the file")
    rows = published("oracle-mnist-3k", tmp_path)
    assert [(row.name, row.status) for row in rows] == [(TEST_IMAGES, "mismatch")]
    assert rows[0].digest == hashlib.sha256(b"not the file").hexdigest()
    report = damaged(rows)
    assert report is not None
    assert report.serious == 1
    assert report.findings[0].kind == "checksum"
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
    """Exit status 0 for clean data, 3 with leakage; the report is printed and written."""
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


def test_an_output_that_cannot_be_written_is_found_before_the_audit(
    tmp_path: Path, clean: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file in the place of the folder, for instance."""
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("oraclezoo.data.audit.audit", lambda *_, **__: pytest.fail("the audit ran"))
    done = CliRunner().invoke(
        cli, ["data", "audit", "glyphs-3k", "--out", str(tmp_path / "file" / "report")]
    )
    assert done.exit_code == 1
    assert done.stderr.startswith(f"oraclezoo: {tmp_path}/file")


def test_the_command_reports_a_corrupt_file(tmp_path: Path) -> None:
    """A failed digest check ends the audit before an image is read."""
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
