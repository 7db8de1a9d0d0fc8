"""MLflow's client reads the runs back from an SQLite file; no server is needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import oraclezoo as oz
from oraclezoo.data.idx import write_idx
from oraclezoo.errors import DivergedError, InterruptedRunError
from oraclezoo.testing import conformance

test_conformance = conformance("oraclezoo-mlflow")

SMALL: dict[str, object] = {"budget.epochs": 2, "budget.batch_size": 16, "data.track": "idx"}

CI = {
    *("BITBUCKET_BUILD_NUMBER", "BUILDKITE", "CI", "CIRCLECI", "CLOUD_RUN_EXECUTION"),
    *("CODEBUILD_BUILD_ARN", "GITHUB_ACTIONS", "GITLAB_CI", "JENKINS_URL", "TEAMCITY_VERSION"),
    *("RUNBOT_BUILD_NAME", "RUNBOT_HOST_URL", "RUNBOT_WORKER_ID", "TF_BUILD", "TRAVIS"),
}
"""Variables that MLflow takes for a CI service."""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return 160 images of stripes in two positions."""
    folder = tmp_path_factory.mktemp("images")
    for name, count in (("train", 120), ("t10k", 40)):
        labels = (np.arange(count) % 2).astype(np.uint8)
        pictures = np.zeros((count, 16, 16), np.uint8)
        for picture, label in zip(pictures, labels, strict=True):
            picture[8 * label : 8 * label + 3] = 220
        write_idx(folder / f"{name}-images-idx3-ubyte", pictures)
        write_idx(folder / f"{name}-labels-idx1-ubyte", labels)
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs shared by the tests, since MLflow takes seconds to create a file."""
    return tmp_path_factory.mktemp("it's") / "runs"


def train(images: Path, home: Path, name: str, **more: Any) -> oz.Run:
    """Run a tiny training in which a failing tracker is an error."""

    def never(text: str) -> None:
        raise AssertionError(text)

    changes = {**SMALL, **more.pop("changes", {}), "name": name}
    return oz.train(
        oz.Recipe.load("authors-cnn", changes),
        data_dir=images,
        out=home,
        device="cpu",
        trackers={"mlflow": {"experiment": "tests"}},
        progress=never,
        **more,
    )


def runs(home: Path, name: str) -> list[Any]:
    """Return MLflow's runs of a recipe by name."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{home}/mlflow.db")
    experiment = client.get_experiment_by_name("tests")
    assert experiment is not None
    matches = client.search_runs([experiment.experiment_id])
    return [run for run in matches if run.data.params["recipe.name"] == name]


def test_a_training_is_a_whole_run(images: Path, home: Path) -> None:
    """A run has parameters, metrics by step, artifacts and a status."""
    from mlflow import MlflowClient

    run = train(images, home, "whole")
    (actual,) = runs(home, "whole")
    assert actual.info.status == "FINISHED"
    assert actual.info.run_name == run.folder.name
    assert actual.data.params["optimizer.lr"] == "0.1"
    assert actual.data.metrics["outcome/validation_accuracy"] == 1.0
    client = MlflowClient(tracking_uri=f"sqlite:///{home}/mlflow.db")
    losses = client.get_metric_history(actual.info.run_id, "train/loss")
    expected = [(row.step, row.train_loss) for row in run.metrics]
    assert [(metric.step, metric.value) for metric in losses] == expected
    local = Path(client.download_artifacts(actual.info.run_id, "model"))
    kept_at = home / "mlflow-artifacts" / actual.info.run_id / "artifacts" / "model"
    assert kept_at.joinpath("model.json").is_file(), "artifacts stay next to the runs"
    blank = np.zeros((2, 16, 16), np.uint8)
    kept = oz.load(local).predict(blank)
    np.testing.assert_array_equal(kept.probabilities, run.model().predict(blank).probabilities)
    assert {item.path for item in client.list_artifacts(actual.info.run_id)} == {
        "model",
        "recipe.toml",
    }


def test_an_interrupted_training_goes_on_as_the_same_run(images: Path, home: Path) -> None:
    """A resumed training continues the run, even with an apostrophe in its folder's name."""
    steps = iter(range(100))
    with pytest.raises(InterruptedRunError):
        train(images, home, "broken-off", should_stop=lambda: next(steps) == 7)
    (actual,) = runs(home, "broken-off")
    assert actual.info.status == "KILLED"
    train(images, home, "broken-off", resume=True)
    (resumed,) = runs(home, "broken-off")
    assert resumed.info.run_id == actual.info.run_id
    assert resumed.info.status == "FINISHED"


def test_a_diverged_training_has_failed(images: Path, home: Path) -> None:
    """MLflow's status is set, with oraclezoo's as a tag."""
    wild = {"optimizer.lr": 100.0, "optimizer.weight_decay": 1.0}
    with pytest.raises(DivergedError):
        train(images, home, "wild", changes=wild)
    (actual,) = runs(home, "wild")
    assert actual.info.status == "FAILED"
    assert actual.data.tags["oraclezoo.status"] == "diverged"


def test_listing_does_not_import_mlflow() -> None:
    """MLflow takes seconds to import, so listing must not import it."""
    code = (
        "import sys; from oraclezoo.plugins.registry import build_registry; "
        "assert ('tracker', 'oraclezoo-mlflow:mlflow') in build_registry(); "
        "assert 'mlflow' not in sys.modules and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("chosen", "disabled"), [(None, True), ("false", False)])
def test_usage_reports_are_off_unless_the_user_wants_them(
    tmp_path: Path, chosen: str | None, disabled: bool
) -> None:
    """By MLflow's own reading of its environment; a CI service or pytest would silence it too."""
    code = (
        "import sys; from pathlib import Path; from oraclezoo_mlflow.tracker import MlflowTracker; "
        "MlflowTracker(run_name='r', folder=Path(sys.argv[1]), config={}, experiment='e', uri=None)"
        "; import mlflow; from importlib.util import find_spec; "
        "print(find_spec('mlflow.telemetry') and "
        "__import__('mlflow.telemetry.utils').telemetry.utils.is_telemetry_disabled())"
    )
    quiet = {"MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK", "PYTEST_CURRENT_TEST"}
    environment = {name: value for name, value in os.environ.items() if name not in quiet | CI}
    environment |= {"HOME": str(tmp_path), "HTTPS_PROXY": "http://127.0.0.1:9"}  # nothing leaves
    environment.pop("XDG_CONFIG_HOME", None)
    if chosen is not None:
        environment["MLFLOW_DISABLE_TELEMETRY"] = chosen
    folder = tmp_path / "runs" / "run"
    folder.mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    answer = done.stdout.split()[-1]
    if answer == "None":
        pytest.skip("this MLflow, older than 3.2, reports nothing")
    assert answer == str(disabled)
    assert (tmp_path / ".config" / "mlflow" / "telemetry.json").exists() != disabled
