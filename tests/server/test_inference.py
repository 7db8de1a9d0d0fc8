"""The Open Inference Protocol, over JSON and in binary."""

from __future__ import annotations

import base64
import json
import struct
import threading
import tracemalloc
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from helpers.bands import drawn
from helpers.server import Local, Process
from oraclezoo.server import tensors
from oraclezoo.server.rejection import RejectedError
from oraclezoo.server.tensors import HEADER, Tensor, strings

IMAGES = np.stack([drawn(label) for label in (2, 0, 3)])


def tensor(data: Any, shape: list[int], name: str = "images", kind: str = "UINT8") -> Any:
    return {"name": name, "datatype": kind, "shape": shape, "data": data}


def infer(local: Local, *inputs: Any, **keys: Any) -> httpx.Response:
    return local.post("/v2/models/bands/infer", json={"inputs": list(inputs), **keys})


def test_the_server_and_its_model_describe_themselves(local: Local) -> None:
    """As the protocol demands, with and without a version."""
    assert local.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    document = local.get("/v2/models/bands").json()
    assert document == local.get("/v2/models/bands/versions/1").json()
    assert document["inputs"] == [
        {"name": "images", "datatype": "UINT8", "shape": [-1, 16, 16]},
        {"name": "pictures", "datatype": "BYTES", "shape": [-1]},
    ]
    assert document["outputs"] == [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 4]}]
    for path in (
        "health/live",
        "health/ready",
        "models/bands/ready",
        "models/bands/versions/1/ready",
    ):
        assert local.get(f"/v2/{path}").status_code == 200
    for path in ("models/other", "models/other/ready", "models/bands/versions/2"):
        response = local.get(f"/v2/{path}")
        assert response.status_code == 404
        assert set(response.json()) == {"error"}


@pytest.mark.parametrize("flat", [False, True])
def test_tensors_in_json(local: Local, flat: bool) -> None:
    """Nested or flat; the probabilities are those of the predictor."""
    data = IMAGES.ravel() if flat else IMAGES
    document = infer(local, tensor(data.tolist(), [3, 16, 16]), id="mine").json()
    (output,) = document.pop("outputs")
    assert document == {"model_name": "bands", "model_version": "1", "id": "mine"}
    assert (output["name"], output["datatype"], output["shape"]) == (
        "probabilities",
        "FP32",
        [3, 4],
    )
    expected = local.service.models.default.predictor.probabilities(IMAGES)
    assert np.array_equal(np.float32(output["data"]).reshape(3, 4), expected)


def test_pictures_are_prepared(local: Local, pictures: list[bytes]) -> None:
    """In JSON, files are base64."""
    data = [base64.b64encode(each).decode() for each in pictures]
    output = infer(local, tensor(data, [4], "pictures", "BYTES")).json()["outputs"][0]
    assert np.reshape(output["data"], (4, 4)).argmax(1).tolist() == [0, 1, 2, 3]


def test_an_unreadable_picture_fails_the_request(local: Local) -> None:
    """The protocol has one result for all; the message names the picture."""
    data = [base64.b64encode(b"no picture").decode()]
    response = infer(local, tensor(data, [1], "pictures", "BYTES"))
    assert response.status_code == 422
    assert response.json()["error"].startswith("picture 1: the file is not a BMP")


def test_no_images_give_no_probabilities(local: Local) -> None:
    """An empty batch is a batch."""
    output = infer(local, tensor([], [0, 16, 16])).json()["outputs"][0]
    assert (output["shape"], output["data"]) == ([0, 4], [])


def whole(value: Any) -> list[Any]:
    return [[[value] * 16] * 16]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([], "send one input"),
        (None, "inputs must be a list"),
        ([1], "an input must be an object"),
        ([tensor(whole(0), [1, 16, 16])] * 2, "is given twice"),
        ([tensor(whole(0), [1, 16, 16], "other")], "unknown input 'other' of type UINT8"),
        ([tensor(whole(0), [1, 16, 16], kind="FP32")], "unknown input 'images' of type FP32"),
        ([tensor(whole(0), [1, 28, 28])], "must have the shape [n, 16, 16]"),
        ([tensor(whole(0), [2, 16, 16])], "has 256 elements, but shape [2, 16, 16]"),
        ([tensor(whole(0.5), [1, 16, 16])], "whole numbers from 0 to 255"),
        ([tensor(whole(256), [1, 16, 16])], "whole numbers from 0 to 255"),
        ([tensor(whole(-1), [1, 16, 16])], "whole numbers from 0 to 255"),
        ([tensor(whole(10**30), [1, 16, 16])], "whole numbers from 0 to 255"),
        ([tensor(whole(True), [1, 16, 16])], "whole numbers from 0 to 255"),
        ([tensor(whole("a"), [1, 16, 16])], "whole numbers from 0 to 255"),
        ([tensor([True, *[0] * 255], [1, 16, 16])], "whole numbers from 0 to 255"),
        ([tensor([[[[0] * 256]]], [1, 16, 16])], "has 1 elements, but shape"),
        ([tensor([0, [0] * 255], [1, 16, 16])], "rows of different length"),
        ([tensor(whole(None), [1, 16, 16])], "whole numbers from 0 to 255"),
        ([tensor([[[0] * 16] * 15 + [[0]]], [1, 16, 16])], "rows of different length"),
        ([tensor(whole(0), [1, -16, 16])], "shape must be a list of whole numbers"),
        ([tensor(whole(0), [True, 16, 16])], "shape must be a list of whole numbers"),
        ([tensor([1], [1], "pictures", "BYTES")], "base64 strings in JSON"),
        ([tensor(["AA=="], [2], "pictures", "BYTES")], "has 1 elements, but shape [2]"),
        ([tensor(["AA=="], [1, 1], "pictures", "BYTES")], "must have the shape [n]"),
        ([{"name": "images", "datatype": "UINT8", "shape": [1]}], "data of input 'images' must be"),
    ],
)
def test_wrong_tensors_are_explained(local: Local, inputs: Any, message: str) -> None:
    """With status 400, never 500."""
    response = local.post("/v2/models/bands/infer", json={"inputs": inputs})
    assert response.status_code == 400
    assert message in response.json()["error"]


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_explained(local: Local, text: str) -> None:
    """JSON has no NaN, though Python's parser knows it."""
    numbers = ",".join([text, *["0"] * 255])
    entry = f'{{"name":"images","datatype":"UINT8","shape":[1,16,16],"data":[{numbers}]}}'
    response = local.post("/v2/models/bands/infer", content=f'{{"inputs":[{entry}]}}')
    assert response.status_code == 400


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"outputs": [{"name": "logits"}]}, "unknown output 'logits'; known are probabilities"),
        ({"outputs": [{}]}, "name must be a string"),
        (
            {"outputs": [{"name": "probabilities", "parameters": {"classification": 2}}]},
            "classification extension is not supported",
        ),
        ({"outputs": [{"name": "probabilities", "parameters": {"binary_data": 1}}]}, "binary_data"),
        ({"parameters": 3}, "parameters must be an object"),
        ({"id": 3}, "id must be a string"),
    ],
)
def test_wrong_wishes_are_explained(local: Local, keys: Any, message: str) -> None:
    """Outputs and parameters are checked before the model runs."""
    response = infer(local, tensor(whole(0), [1, 16, 16]), **keys)
    assert response.status_code == 400
    assert message in response.json()["error"]


def binary(header: Any, data: bytes, length: str | None = None) -> dict[str, Any]:
    text = json.dumps(header).encode()
    return {"content": text + data, "headers": {HEADER: length or str(len(text))}}


def binary_input(size: Any, shape: list[int], name: str = "images", kind: str = "UINT8") -> Any:
    parameters = {"binary_data_size": size}
    entry = {"name": name, "datatype": kind, "shape": shape, "parameters": parameters}
    return {"inputs": [entry]}


def test_binary_tensors_both_ways(local: Local) -> None:
    """The response's JSON is followed by the probabilities."""
    header = binary_input(IMAGES.size, [3, 16, 16])
    header["parameters"] = {"binary_data_output": True}
    response = local.post("/v2/models/bands/infer", **binary(header, IMAGES.tobytes()))
    length = int(response.headers[HEADER])
    (output,) = json.loads(response.content[:length])["outputs"]
    assert output["parameters"] == {"binary_data_size": 48}
    values = np.frombuffer(response.content[length:], "<f4").reshape(output["shape"])
    assert np.array_equal(values, local.service.models.default.predictor.probabilities(IMAGES))


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (binary(binary_input(256, [1, 16, 16]), bytes(255)), "does not match the body"),
        (binary(binary_input(256, [1, 16, 16]), bytes(257)), "1 bytes follow the last tensor"),
        (binary(binary_input(256, [2, 16, 16]), bytes(256)), "has 256 elements, but shape"),
        (binary(binary_input(-1, [1, 16, 16]), bytes(256)), "does not match the body"),
        (binary(binary_input("256", [1, 16, 16]), bytes(256)), "does not match the body"),
        (binary(binary_input(256, [1, 16, 16]), bytes(256), "100000"), "but the body has"),
        (binary(binary_input(256, [1, 16, 16]), bytes(256), "-1"), "but the body has"),
        (binary(binary_input(256, [1, 16, 16]), bytes(256), "5"), "not JSON"),
        (binary(binary_input(2, [1], "pictures", "BYTES"), b"ab"), "ends within an element"),
        (
            binary(binary_input(6, [1], "pictures", "BYTES"), struct.pack("<I", 9) + b"ab"),
            "ends within an element",
        ),
        (
            binary(binary_input(4, [2], "pictures", "BYTES"), struct.pack("<I", 0)),
            "has 1 elements, but shape [2]",
        ),
    ],
)
def test_wrong_binary_data_are_explained(local: Local, sent: Any, message: str) -> None:
    """Lengths are compared with what has arrived."""
    response = local.post("/v2/models/bands/infer", **sent)
    assert response.status_code == 400
    assert message in response.json()["error"]


@pytest.fixture(scope="module")
def client(process: Process) -> Any:
    client = triton.InferenceServerClient(process.url.removeprefix("http://"))
    yield client
    client.close()


def test_tritons_client_reads_metadata(client: Any) -> None:
    """Unmodified, over a socket."""
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("bands")
    assert client.is_model_ready("bands", "1")
    assert not client.is_model_ready("other")
    assert client.get_server_metadata()["name"] == "oraclezoo"
    assert client.get_model_metadata("bands")["versions"] == ["1"]
    with pytest.raises(InferenceServerException, match="unknown model 'other'"):
        client.get_model_metadata("other")


@pytest.mark.parametrize("compression", [None, "gzip", "deflate"])
@pytest.mark.parametrize("sent_binary", [True, False])
@pytest.mark.parametrize("wanted", [None, True, False])
def test_tritons_client_infers(
    client: Any, local: Local, sent_binary: bool, wanted: bool | None, compression: str | None
) -> None:
    """Binary or JSON in either direction, compressed or not."""
    images = triton.InferInput("images", list(IMAGES.shape), "UINT8")
    images.set_data_from_numpy(IMAGES, binary_data=sent_binary)
    outputs = None
    if wanted is not None:
        outputs = [triton.InferRequestedOutput("probabilities", binary_data=wanted)]
    result = client.infer(
        "bands",
        [images],
        outputs=outputs,
        request_id="7",
        request_compression_algorithm=compression,
        response_compression_algorithm=compression,
    )
    expected = local.service.models.default.predictor.probabilities(IMAGES)
    assert np.array_equal(result.as_numpy("probabilities"), expected)
    assert result.get_response()["id"] == "7"


def test_tritons_client_sends_pictures(client: Any, pictures: list[bytes]) -> None:
    """As BYTES, which it encodes itself."""
    data = np.array(pictures, dtype=object)
    sent = triton.InferInput("pictures", [4], "BYTES")
    sent.set_data_from_numpy(data)
    result = client.infer("bands", [sent], model_version="1")
    assert result.as_numpy("probabilities").argmax(1).tolist() == [0, 1, 2, 3]


def test_tritons_client_shows_errors(client: Any) -> None:
    """With the message of the server."""
    images = triton.InferInput("images", [1, 8, 8], "UINT8")
    images.set_data_from_numpy(np.zeros((1, 8, 8), np.uint8))
    with pytest.raises(InferenceServerException, match=r"must have the shape \[n, 16, 16\]"):
        client.infer("bands", [images])


def test_strings_among_numbers_take_little_memory(local: Local) -> None:
    """One long string among 255 short ones is refused before any copy is made."""
    data = ["a" * 2_000_000, *["b"] * 255]
    tracemalloc.start()
    try:
        response = infer(local, tensor(data, [1, 16, 16]))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert response.status_code == 400
    assert "whole numbers from 0 to 255" in response.json()["error"]
    assert peak < 50_000_000


def test_surplus_elements_are_not_read() -> None:
    """A body of empty strings is refused at the first one too many."""
    with pytest.raises(RejectedError, match="more elements than 2"):
        strings(Tensor("pictures", "BYTES", (2,), bytes(4 * 3)))
    endless = bytes(4 * 2) + b"\5\0\0\0wrong" + b"\xff"
    with pytest.raises(RejectedError, match="more elements than 2"):
        strings(Tensor("pictures", "BYTES", (2,), endless))


def test_large_requests_are_parsed_outside_the_event_loop(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other clients are served meanwhile; small requests take no detour."""
    threads = []
    parse = tensors.parse

    def noted(body: bytes, length: str | None) -> Any:
        threads.append(threading.current_thread().name)
        return parse(body, length)

    monkeypatch.setattr(tensors, "parse", noted)
    entry = tensor([0] * 256, [1, 16, 16])
    assert infer(local, entry).is_success
    assert infer(local, entry, parameters={"padding": "x" * 100_000}).is_success
    small, large = threads
    assert small != large


def test_a_long_id_is_refused(local: Local) -> None:
    """A response must have the request's id, not part of it."""
    entry = tensor(whole(0), [1, 16, 16])
    assert infer(local, entry, id="x" * 200).json()["id"] == "x" * 200
    response = infer(local, entry, id="x" * 201)
    assert response.status_code == 400
    assert "at most 200 characters" in response.json()["error"]


@pytest.mark.parametrize("path", ["/v2/models/bands/infer", "/v1/predict"])
def test_messages_may_quote_any_string_of_json(local: Local, path: str) -> None:
    """Also a lone surrogate, which UTF-8 cannot encode."""
    entry = json.dumps(tensor([0], [1], "\ud800"))
    content = {
        "/v2/models/bands/infer": f'{{"inputs": [{entry}]}}',
        "/v1/predict": '{"images": ["AAAA"], "model": "\\ud800"}',
    }[path]
    headers = {"content-type": "application/json"}
    response = local.post(path, content=content, headers=headers)
    assert response.status_code in (400, 404)
    assert "\ud800" in response.json()["error"]
