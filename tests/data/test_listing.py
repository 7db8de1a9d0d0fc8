"""The specs of the built-in tracks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from oraclezoo.data import tracks
from oraclezoo.data.listing import DATASETS
from oraclezoo.specs import Spec


def test_the_tracks_are_the_five_of_the_protocol() -> None:
    """Each has name, kind, summary, requirements and source."""
    names = [spec.name for spec in DATASETS]
    assert names == ["oracle-mnist", "oracle-mnist-3k", "glyphs", "glyphs-3k", "idx"]
    for spec in DATASETS:
        assert spec.kind == "dataset"
        assert spec.summary
        assert spec.source
        assert spec.facts["needs"]


@pytest.mark.parametrize("spec", DATASETS, ids=lambda spec: spec.name)
def test_targets_load(spec: Spec) -> None:
    """Each target is a function of oraclezoo.data.tracks."""
    assert spec.load() is getattr(tracks, spec.target.partition(":")[2])


@pytest.mark.parametrize("name", ["glyphs-3k", "oracle-mnist-3k"])
def test_facts_are_those_of_the_data_set(name: str, request: pytest.FixtureRequest) -> None:
    """Declared sizes and origin are those of the opened data set."""
    (spec,) = (spec for spec in DATASETS if spec.name == name)
    folder: Path | None = None
    if not spec.facts["synthetic"]:
        folder = request.getfixturevalue("oracle_dir")
    dataset = spec.load()(data_dir=folder)
    assert dataset.synthetic == spec.facts["synthetic"]
    for split in ("train", "validation", "test"):
        assert len(dataset.split(split).labels) == spec.facts[split]


def test_the_large_generated_track_is_listed_with_its_size() -> None:
    """The counts of glyphs add up to those it generates, without generating them."""
    (spec,) = (spec for spec in DATASETS if spec.name == "glyphs")
    validation = sum(count // 10 for count in tracks.TRAIN_COUNTS)
    assert spec.facts["validation"] == validation
    assert spec.facts["train"] == sum(tracks.TRAIN_COUNTS) - validation


def test_the_listing_is_light() -> None:
    """Importing it brings no numpy, torch, scipy or Pillow."""
    code = "import oraclezoo.data.listing, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "torch", "scipy", "PIL"} & set(done.stdout.split())
