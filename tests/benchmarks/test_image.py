"""What benchmarks/image.py finds in images: made ones here, real ones in ``nox -s image``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(SCRIPTS))

import image  # noqa: E402  (scripts are no package)
from _image import buildah, content  # noqa: E402

pytestmark = pytest.mark.skipif(os.name == "nt", reason="images are built on Linux")

DOCKER = {
    "Docker": {
        "config": {
            "User": "10001:10001",
            "Entrypoint": ["oraclezoo"],
            "Cmd": ["serve"],
            "Env": ["ORT_DISABLE_TELEMETRY=1", "PATH=/a:/b=c"],
            "Healthcheck": {"Test": ["CMD", "python3", "-m", "oraclezoo.server.alive"]},
            "ExposedPorts": {"8000/tcp": {}},
        }
    }
}


def add(site: Path, name: str, version: str) -> None:
    """Add an installed package."""
    info = site / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nx")
    (site / name).mkdir()
    (site / name / "__init__.py").write_bytes(b"x" * 1000)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The files of an image with the packages of the lock, and of its list of contents."""
    site = tmp_path / "opt" / "oraclezoo" / "lib" / "python3.11" / "site-packages"
    packages = {**content.listed(image.LOCK), "oraclezoo": image.__version__}
    for name, version in packages.items():
        add(site, name, version)
    sbom = tmp_path / content.SBOM
    sbom.parent.mkdir(parents=True)
    components = [{"name": name, "version": version} for name, version in packages.items()]
    sbom.write_text(json.dumps({"bomFormat": "CycloneDX", "components": components}))
    return tmp_path


def checks(root: Path, above_mb: float = 100, **changes: Any) -> dict[str, bool]:
    """Which checks of an image hold."""
    config = buildah.Config.parse({"Docker": {"config": {**DOCKER["Docker"]["config"], **changes}}})
    return {check.name: check.holds for check in image.static_checks(root, config, above_mb)}


def test_the_configuration_is_read() -> None:
    """Entry point and arguments are one command; a value may have an equals sign."""
    config = buildah.Config.parse(DOCKER)
    assert config.command == ("oraclezoo", "serve")
    assert config.environment["PATH"] == "/a:/b=c"
    assert config.health == ("python3", "-m", "oraclezoo.server.alive")
    bare = buildah.Config.parse({"Docker": {"config": {"Healthcheck": {"Test": ["NONE"]}}}})
    assert (bare.user, bare.command, bare.health) == ("", (), ())


def test_a_good_image_passes(root: Path) -> None:
    """All but the folder that the user may write to, whose owner a test cannot set."""
    failed = [name for name, holds in checks(root).items() if not holds]
    assert failed == ["the user may write to one folder"]


@pytest.mark.parametrize(
    ("changes", "failing"),
    [
        ({"above_mb": 190.4}, "at most 190 MB above the base"),
        ({"User": ""}, "the user is not root"),
        ({"User": "0:0"}, "the user is not root"),
        ({"User": "oraclezoo"}, "the user is not root"),
        ({"Env": []}, "ORT_DISABLE_TELEMETRY=1"),
        ({"Healthcheck": None}, "a health check"),
    ],
)
def test_a_bad_setting_fails(root: Path, changes: dict[str, Any], failing: str) -> None:
    """Each by its own check."""
    assert not checks(root, **changes)[failing]


def test_a_package_too_many_is_found(root: Path) -> None:
    """By its folder, and by the lock and the list of contents, which do not have it."""
    add(next((root / content.ENVIRONMENT).glob("lib/*/site-packages")), "scipy", "1.17.1")
    held = checks(root)
    assert not held["no torch, onnx or scipy"]
    assert not held["the packages are those of the lock"]
    assert not held["the SBOM lists the packages"]


def test_onnxruntime_is_not_onnx(root: Path) -> None:
    """Names are compared whole."""
    assert content.named(root, frozenset({"onnx", "torch"})) == []
    assert content.named(root, frozenset({"onnxruntime"}))


def test_what_a_user_may_change_is_found(tmp_path: Path) -> None:
    """Files of others' are not listed, nor folders for temporary files, nor links."""
    user, group = os.getuid(), os.getgid()
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp" / "new").write_text("")
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o1777)
    (tmp_path / "closed").write_text("")
    (tmp_path / "closed").chmod(0o444)
    (tmp_path / "link").symlink_to("closed")
    assert content.writable(tmp_path, user + 1, group + 1) == ["open"]
    (tmp_path / "closed").chmod(0o644)
    assert sorted(content.writable(tmp_path, user, group + 1)) == ["closed", "open"]
    (tmp_path / "closed").chmod(0o464)
    assert sorted(content.writable(tmp_path, user + 1, group)) == ["closed", "open"]


def test_a_file_with_two_names_counts_once(tmp_path: Path) -> None:
    """As it does in a layer; a link counts by its own length."""
    (tmp_path / "a").write_bytes(b"x" * 1000)
    os.link(tmp_path / "a", tmp_path / "b")
    (tmp_path / "c").symlink_to("a")
    assert content.total_bytes(tmp_path) == 1001


def test_checks_of_the_running_server() -> None:
    """The slowest start may be slower than the limit; other values may not differ."""
    seen = {
        "ready_s": [5.0, 2.0, 4.0],
        "read_only": True,
        "user": 10001,
        "capabilities": 0,
        "livez": 200,
        "readyz": 200,
        "predict": 200,
        "prediction": "cattle",
        "monitoring": ["a", "b", "c"],
        "health": 0,
        "health_without_server": 1,
        "exit_status": 0,
    }

    def failed(**changes: Any) -> list[str]:
        found = image.running_checks({**seen, **changes}, "cattle", "10001:10001")
        return [check.name for check in found if not check.holds]

    assert failed() == []
    assert failed(ready_s=[3.5, 4.0]) == ["ready within 3 s"]
    assert failed(user=0, capabilities=1) == ["the process has no privileges"]
    assert failed(prediction="sun") == ["a prediction of the sample picture"]
    assert failed(monitoring=[]) == ["monitoring files in a volume"]
    assert failed(health_without_server=0) == ["the health check distinguishes"]
    assert failed(exit_status=-9, read_only=False) == ["the root is read-only", "SIGTERM ends it"]


def test_without_buildah_one_line_says_so(tmp_path: Path) -> None:
    """``nox -s image`` shows it and goes on; the script itself fails."""
    command = [sys.executable, str(SCRIPTS / "image.py")]
    environment = {**os.environ, "PATH": str(tmp_path), "PYTHONPATH": str(SCRIPTS.parent / "src")}
    asked = subprocess.run(
        [*command, "--obstacle"], capture_output=True, text=True, env=environment, check=True
    )
    line = asked.stdout.strip()
    if sys.platform == "linux":
        assert "buildah" in line
    assert line
    assert "\n" not in line
    assert subprocess.run(command, capture_output=True, env=environment).returncode == 1
