"""Drift: images of the model's own kind are let be, corrupted and foreign ones are found."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner
from PIL import Image
from scipy import stats

import oraclezoo as oz
from oraclezoo.analysis.drift import drift, gather, reference
from oraclezoo.analysis.features import features
from oraclezoo.analysis.reference import MAX_SAMPLE, Reference, sample_indices
from oraclezoo.artifacts.model import Model
from oraclezoo.cli import cli
from oraclezoo.data.corrupt import corrupt
from oraclezoo.data.glyphs.folder import write_folder
from oraclezoo.data.glyphs.written import read
from oraclezoo.data.idx import write_idx
from oraclezoo.errors import DataError, ResultError, UsageError
from oraclezoo.measure.two_sample import class_test, mmd_test

Images = npt.NDArray[np.uint8]
PHOENICIAN = Path(__file__).resolve().parents[2] / "docs" / "examples" / "phoenician.toml"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> oz.Run:
    """A net that reads generated characters, after two epochs."""
    recipe = oz.Recipe.load("authors-cnn", {"budget.epochs": 2, "data.track": "glyphs-3k"})
    return oz.train(recipe, device="cpu", out=tmp_path_factory.mktemp("drift"))


@pytest.fixture(scope="module")
def model(run: oz.Run) -> Model:
    return run.model()


@pytest.fixture(scope="module")
def unseen() -> Images:
    """1,000 images of the same kind that the net has not seen."""
    images: Images = np.asarray(oz.registry().create("dataset", "glyphs-3k").split("test").images)
    return images


@pytest.fixture(scope="module")
def held_to(run: oz.Run) -> Reference:
    return reference(run, device="cpu")


@pytest.mark.parametrize("refit", [True, False])
def test_a_model_that_has_learned_its_reference_says_so(model: Model, refit: bool) -> None:
    """By its card, so that a model folder without its run tells it too."""
    assert model.card.provenance is not None
    card = replace(model.card, provenance=replace(model.card.provenance, refit=refit))
    lines: list[str] = []
    reference(Model(model.module, card), device="cpu", progress=lines.append)
    assert any("trained on its validation images" in line for line in lines) is refit


def some(images: Images, seed: int = 0, number: int = 120) -> Images:
    """Images drawn at random."""
    return images[np.random.default_rng(seed).permutation(len(images))[:number]]


def test_p_values_of_unseen_images_are_uniform(model: Model, unseen: Images) -> None:
    """Two halves drawn from one pool, 200 times: no more small p-values than there should be."""
    found = features(model, unseen)
    rng = np.random.default_rng(1)
    vectors, classes = [], []
    for pair in range(200):
        order = rng.permutation(len(unseen))[:120]
        a, b = order[:60], order[60:]
        test = mmd_test(found.vectors[a], found.vectors[b], permutations=99, seed=pair)
        vectors.append(test.p)
        labels = class_test(found.labels[a], found.labels[b], 10, permutations=99, seed=pair)
        classes.append(labels.p)
    for p in (vectors, classes):
        assert stats.kstest(np.array(p) - rng.random(200) / 100, "uniform").pvalue > 0.01


def test_unseen_images_of_the_same_kind_do_not_differ(
    run: oz.Run, held_to: Reference, unseen: Images
) -> None:
    """Against images of validation, which the net has not learned either."""
    report = drift(run, some(unseen), held_to, device="cpu")
    assert report.differs == ()
    assert (report.images, report.against, report.split) == (120, 200, "validation")
    assert sum(share.images for share in report.shares) == pytest.approx(1)


@pytest.mark.parametrize("name", ["speckle", "rubbing-edge", "rotate", "contrast"])
def test_corrupted_images_differ(
    run: oz.Run, held_to: Reference, unseen: Images, name: str
) -> None:
    """In their features, at the highest severity: the net has learned of worn images already."""
    report = drift(run, corrupt(some(unseen, number=200), name, 5), held_to, device="cpu")
    assert "features" in report.differs


def test_foreign_characters_differ(run: oz.Run, held_to: Reference, tmp_path: Path) -> None:
    """Letters of another script, as the folder of IDX files that is made of them."""
    counts = {"train": 5, "validation": 1, "test": 5}
    write_folder(tmp_path / "letters", read(PHOENICIAN), counts, 0, flip_keeps_label=False)
    report = drift(run, [str(tmp_path / "letters")], held_to, device="cpu")
    assert report.differs == ("features", "classes")


def test_one_class_alone_is_a_shift_of_classes(
    run: oz.Run, held_to: Reference, model: Model, unseen: Images
) -> None:
    """Each image is as those trained on; together they are not."""
    labels = features(model, unseen).labels
    usual = int(np.bincount(labels).argmax())
    report = drift(run, unseen[labels == usual][:60], held_to, device="cpu")
    assert "classes" in report.differs
    assert max(report.shares, key=lambda share: share.images).images == 1


def test_files_are_prepared_as_for_a_prediction(unseen: Images, tmp_path: Path) -> None:
    """Pictures of prepared images come out as they were; unreadable ones are named and left out."""
    chosen = some(unseen, number=12)
    for number, image in enumerate(chosen):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    (tmp_path / "zz.png").write_bytes(b"no picture")
    unreadable: list[str] = []
    actual = gather([str(tmp_path)], 28, "auto", unreadable)
    assert np.array_equal(actual, chosen)
    assert len(unreadable) == 1
    assert "zz.png" in unreadable[0]
    write_idx(tmp_path / "mine-idx3-ubyte.gz", chosen)
    assert np.array_equal(gather([str(tmp_path / "mine-idx3-ubyte.gz")], 28, "auto", []), chosen)
    assert gather([str(tmp_path / "mine-idx3-ubyte.gz")], 20, "auto", []).shape == (12, 20, 20)


def test_features_are_the_input_of_the_last_linear_layer(model: Model, unseen: Images) -> None:
    """From which the net's own answers follow; the number of images at a time changes nothing."""
    vectors = features(model, unseen[:20])
    answers = model.predict(unseen[:20]).labels
    assert np.array_equal(vectors.labels, answers)
    assert vectors.vectors.shape[0] == 20
    assert vectors.vectors.shape[1] != len(model.classes)
    one = features(model, unseen[:1])
    assert np.allclose(one.vectors, vectors.vectors[:1], atol=1e-4)


def test_a_reference_is_of_one_model(
    run: oz.Run, held_to: Reference, unseen: Images, tmp_path: Path
) -> None:
    """File and back changes nothing; other weights, and other files, are refused."""
    path = held_to.save(tmp_path / "reference.safetensors")
    kept = Reference.load(path, run.model())
    assert np.array_equal(kept.features.vectors, held_to.features.vectors)
    assert (kept.model, kept.track, kept.split) == (held_to.model, "glyphs-3k", "validation")
    assert drift(run, some(unseen), path, device="cpu") == drift(
        run, some(unseen), held_to, device="cpu"
    )
    other = run.model()
    for weight in other.module.parameters():
        weight.data.mul_(1.5)
    with pytest.raises(ResultError, match="different weights"):
        Reference.load(path, other)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ResultError, match="not a reference"):
        Reference.load(path, run.model())


def test_what_cannot_be_tested_is_said(run: oz.Run, held_to: Reference, unseen: Images) -> None:
    """Too few images, and a split that is not for this."""
    with pytest.raises(DataError, match="at least 10"):
        drift(run, unseen[:9], held_to, device="cpu")
    with pytest.raises(UsageError, match="train or validation"):
        reference(run, split="test")
    assert len(sample_indices(MAX_SAMPLE + 500)) == MAX_SAMPLE
    assert np.array_equal(sample_indices(5), np.arange(5))


def test_a_reference_that_cannot_be_written_is_found_before_the_work(
    run: oz.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file in the place of its folder, for instance."""
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(
        "oraclezoo.analysis.drift.reference", lambda *_, **__: pytest.fail("it was computed")
    )
    words = ["drift", str(run.folder), "--save-reference", str(tmp_path / "file" / "reference")]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 1
    assert "cannot be written to" in done.stderr


def test_the_command_and_its_gate(run: oz.Run, unseen: Images, tmp_path: Path) -> None:
    """A reference is written once; with it no data are needed. The gate exits with 3."""
    runner, kept = CliRunner(), str(tmp_path / "reference.safetensors")
    folder, device = str(run.folder), ["--device", "cpu"]
    done = runner.invoke(cli, ["drift", folder, "--save-reference", kept, *device])
    assert (done.exit_code, done.stdout) == (0, "")
    fine, corrupted = tmp_path / "fine-idx3-ubyte", tmp_path / "worn-idx3-ubyte"
    write_idx(fine, some(unseen))
    write_idx(corrupted, corrupt(some(unseen), "speckle", 4))
    arguments = ["drift", folder, "--reference", kept, "--gate", "0.001", *device]
    done = runner.invoke(cli, [*arguments, str(fine)])
    assert done.exit_code == 0, done.output
    assert "no difference found" in done.stdout
    done = runner.invoke(cli, [*arguments, "--gate", "0.01", str(corrupted), "--json"])
    assert done.exit_code == 3
    document = json.loads(done.stdout)
    assert document["schema"] == "oraclezoo/drift/1"
    assert "features" in document["data"]["differs"]
    assert runner.invoke(cli, ["drift", folder]).exit_code == 2
