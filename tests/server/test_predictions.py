"""Routes of predictions and models."""

from __future__ import annotations

import base64
import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from helpers.bands import band_graph, drawn, write_model
from helpers.server import Local
from oraclezoo.cli import cli
from oraclezoo.errors import UsageError

UNKNOWN = {"threshold": 0.4, "file": "unknown.safetensors", "sha256": "0" * 64}


def labels(document: dict[str, Any]) -> list[int]:
    return [row["label"] for row in document["data"]["images"]]


def encoded(picture: bytes) -> str:
    return base64.b64encode(picture).decode()


def write_detecting_model(folder: Path) -> Path:
    """Write the bands model with a second output: the share of bright pixels."""
    model = band_graph()
    graph = model.graph
    graph.initializer.append(numpy_helper.from_array(np.array([1, 2]), "sides"))
    graph.initializer.append(numpy_helper.from_array(np.float32(1 / 255), "scale"))
    graph.node.append(helper.make_node("ReduceMean", ["floats", "sides"], ["mean"], keepdims=0))
    graph.node.append(helper.make_node("Mul", ["mean", "scale"], ["unknown"]))
    graph.output.append(helper.make_tensor_value_info("unknown", TensorProto.FLOAT, ["n"]))
    onnx.checker.check_model(model)
    return write_model(folder, model.SerializeToString(), unknown=UNKNOWN)


def test_the_response_is_the_document_of_the_command(
    local: Local, bands: Path, pictures: list[bytes], tmp_path: Path
) -> None:
    """Only what names the model and the file differs."""
    file = tmp_path / "image"
    file.write_bytes(pictures[2])
    done = CliRunner().invoke(cli, ["predict", str(file), "--model", str(bands), "--json"])
    expected = json.loads(done.stdout)
    expected["data"]["images"][0]["file"] = "image"
    expected["data"]["model"]["name"] = "bands"
    del expected["data"]["model"]["folder"]
    response = local.post("/v1/predict", content=pictures[2])
    assert response.status_code == 200
    assert response.json() == expected


def test_a_form_has_several_files(local: Local, pictures: list[bytes]) -> None:
    """Results are in the order of the files and have their names; options are fields or query."""
    files = [("images", (f"{n}.png", data)) for n, data in enumerate(pictures)]
    response = local.post("/v1/predict?polarity=light-on-dark", files=files, data={"top": "1"})
    assert labels(response.json()) == [0, 1, 2, 3]
    rows = response.json()["data"]["images"]
    assert [row["file"] for row in rows] == ["0.png", "1.png", "2.png", "3.png"]
    assert [len(row["top"]) for row in rows] == [1, 1, 1, 1]


def test_json_has_images_in_base64(local: Local, pictures: list[bytes]) -> None:
    """Names are optional, data URLs are accepted, and options are keys."""
    images = [
        encoded(pictures[3]),
        {"data": f"data:image/png;base64,{encoded(pictures[1])}", "name": "second"},
    ]
    body = {"images": images, "top": 2, "box": {"x": 0, "y": 0, "width": 60, "height": 60}}
    document = local.post("/v1/predict", json=body).json()
    assert labels(document) == [3, 1]
    rows = document["data"]["images"]
    assert [row["file"] for row in rows] == ["image 1", "second"]
    assert rows[0]["box"] == body["box"]
    assert len(rows[0]["top"]) == 2


@pytest.mark.parametrize("kind", ["form", "json"])
def test_a_bad_image_fails_alone(local: Local, pictures: list[bytes], kind: str) -> None:
    """The others are read; the status is 200, and the reason is that of the command."""
    if kind == "form":
        files = [("images", ("a", pictures[1])), ("images", ("b", b"?")), ("images", ("c", b""))]
        response = local.post("/v1/predict", files=files)
    else:
        names = (("a", pictures[1]), ("b", b"?"), ("c", b""))
        images = [{"name": name, "data": encoded(data)} for name, data in names]
        response = local.post("/v1/predict", json={"images": images})
    assert response.status_code == 200
    assert labels(response.json()) == [1]
    bad = response.json()["data"]["unreadable"]
    assert [row["file"] for row in bad] == ["b", "c"]
    assert "is not a BMP" in bad[0]["reason"]
    assert bad[1]["reason"] == "the file is empty"


def test_if_all_images_fail_the_status_is_422(local: Local) -> None:
    """The document has the reasons, and a message."""
    response = local.post("/v1/predict", content=b"no picture")
    assert response.status_code == 422
    document = response.json()
    assert document["error"].startswith("no image could be read; image: the file is not a BMP")
    assert len(document["data"]["unreadable"]) == 1


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ("model=other", 404, "unknown model 'other'; available: bands"),
        ("top=0", 422, "top must be a whole number from 1, not '0'"),
        ("top=x", 422, "top must be"),
        ("polarity=dark", 422, "polarity must be one of auto"),
        ("box=1,2,3", 422, "is not four whole numbers X,Y,W,H"),
        ("box=1,2,0,3", 422, "has no area"),
        ("box=\u0663,2,9,9", 422, "is not four whole numbers"),
        ("box=0,0,500,500", 422, "is not inside the image"),
        ("several=1", 422, "several must be one of columns, rows, not '1'"),
        ("several=rows&box=1,2,3,4", 422, "cannot be combined with box"),
        ("colour=1", 422, "unknown parameter 'colour'; known are model, top"),
    ],
)
def test_wrong_options_are_explained(
    local: Local, pictures: list[bytes], query: str, status: int, message: str
) -> None:
    """The message says what is accepted."""
    response = local.post(f"/v1/predict?{query}", content=pictures[0])
    assert response.status_code == status
    assert message in response.json()["error"]


@pytest.mark.parametrize(
    ("content", "status", "message"),
    [
        (b"", 400, "not JSON"),
        (b"{", 400, "not JSON"),
        (b'{"images": NaN}', 400, "NaN is not a JSON value"),
        (b"[" * 100_000, 400, "not JSON"),
        (b'{"images": ' + b"9" * 5000 + b"}", 400, "not JSON"),
        (b"\xff", 400, "not JSON"),
        (b"[]", 422, "must be an object"),
        (b'{"images": []}', 422, "has no image"),
        (b'{"images": [1]}', 422, "image 1 is neither"),
        (b'{"images": ["?"]}', 422, "image 1 is not base64"),
        (b'{"images": [{"name": "a"}]}', 422, "image 1 is neither"),
        (b'{"images": [{"data": "", "kind": 1}]}', 422, "an object has"),
        (b'{"images": ["AAAA"], "top": 1.5}', 422, "top must be a number"),
        (b'{"images": ["AAAA"], "top": true}', 422, "top must be a number"),
        (b'{"images": ["AAAA"], "box": {"x": 1}}', 422, "is not four whole numbers"),
        (b'{"images": ["AAAA"], "size": 1}', 422, "unknown key 'size'"),
    ],
)
def test_wrong_json_is_explained(local: Local, content: bytes, status: int, message: str) -> None:
    """Malformed documents are 400, and others 422."""
    headers = {"content-type": "application/json"}
    response = local.post("/v1/predict", content=content, headers=headers)
    assert response.status_code == status, response.text
    assert message in response.json()["error"]


HEAD = b'--b\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n\r\n'


@pytest.mark.parametrize(
    ("content_type", "content", "status", "message"),
    [
        ("multipart/form-data", b"--b--", 400, "has no boundary"),
        ("multipart/form-data; boundary=b", b"nothing", 400, "malformed"),
        ("multipart/form-data; boundary=b", HEAD + b"data", 400, "is truncated"),
        ("multipart/form-data; boundary=b", b"--b\r\n\r\nx\r\n--b--\r\n", 400, "no content dispos"),
        (
            "multipart/form-data; boundary=b",
            HEAD.replace(b'; filename="a"', b"") + b"x\r\n--b--\r\n",
            422,
            "field 'images' is neither an option (model, top, polarity, box, several) nor a file",
        ),
        ("multipart/form-data; boundary=b", b"--b--\r\n", 422, "has no image"),
        ("image/png", b"", 422, "has no image"),
    ],
)
def test_wrong_forms_are_explained(
    local: Local, content_type: str, content: bytes, status: int, message: str
) -> None:
    """A form that was cut off is not read in part."""
    headers = {"content-type": content_type}
    response = local.post("/v1/predict", content=content, headers=headers)
    assert response.status_code == status, response.text
    assert message in response.json()["error"]


def test_several_characters_of_an_image(local: Local) -> None:
    """Each has its number and box, as with ``predict --several``."""
    page = np.full((80, 200), 250, np.uint8)
    for left in (30, 130):
        page[20:60, left : left + 40] = 255 - drawn(1, 40, 40)
    buffer = BytesIO()
    Image.fromarray(page).save(buffer, "PNG")
    response = local.post("/v1/predict?several=rows", content=buffer.getvalue())
    rows = response.json()["data"]["images"]
    assert [row["number"] for row in rows] == list(range(1, len(rows) + 1))
    assert len(rows) > 1
    lefts = [row["box"]["x"] for row in rows]
    assert lefts == sorted(lefts)


def test_unknown_characters_are_reported(pictures: list[bytes], tmp_path: Path) -> None:
    """If the model detects them: in predictions, in its entry, and as an output of the protocol."""
    with Local(write_detecting_model(tmp_path / "detecting")) as server:
        (entry,) = server.get("/v1/models").json()["models"]
        (row,) = server.post("/v1/predict", content=pictures[0]).json()["data"]["images"]
        assert row["unknown"] is (row["unknown_score"] >= entry["unknown_threshold"])
        document = server.get("/v2/models/detecting").json()
        assert document["outputs"][1] == {"name": "unknown", "datatype": "FP32", "shape": [-1]}
        data = [encoded(each) for each in pictures]
        tensor = {"name": "pictures", "datatype": "BYTES", "shape": [4], "data": data}
        body = {"inputs": [tensor], "outputs": [{"name": "unknown"}]}
        (output,) = server.post("/v2/models/detecting/infer", json=body).json()["outputs"]
        assert output["shape"] == [4]
        assert output["data"][0] == pytest.approx(row["unknown_score"])


def test_several_models_are_served(bands: Path, pictures: list[bytes], tmp_path: Path) -> None:
    """The first is the default, and a request names another."""
    other = write_model(tmp_path / "other", classes=["a", "b", "c", "d"])
    with Local(bands, other) as server:
        entries = server.get("/v1/models").json()["models"]
        assert [(entry["name"], entry["default"]) for entry in entries] == [
            ("bands", True),
            ("other", False),
        ]
        assert entries[0]["classes"][0] == {"label": 0, "name": "first", "glyph": "一"}
        plain = server.post("/v1/predict", content=pictures[0]).json()
        chosen = server.post("/v1/predict?model=other", content=pictures[0]).json()
        assert plain["data"]["images"][0]["name"] == "first"
        assert chosen["data"]["images"][0]["name"] == "a"
        assert chosen["data"]["model"]["name"] == "other"


def test_unknown_paths_and_methods_have_json_errors(local: Local) -> None:
    """As all errors have."""
    assert local.get("/nowhere").json() == {"error": "Not Found"}
    response = local.get("/v1/predict")
    assert (response.status_code, response.json()) == (405, {"error": "Method Not Allowed"})


def test_a_model_is_given_once(tmp_path: Path, bands: Path) -> None:
    """The error says whether the same model or another of its name was given before."""
    other = write_model(tmp_path / "bands")
    with pytest.raises(UsageError, match="model 'bands' is given twice"):
        Local(bands, bands)
    with pytest.raises(UsageError, match="two models have the name 'bands'; rename the folder"):
        Local(bands, other)
