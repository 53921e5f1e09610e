"""The addresses: each limit and each wrong request has its status, and says which setting it met."""

import base64
import json
import socket
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Event
from urllib.parse import urlsplit

import pytest

from shards.read import Shards

pytest.importorskip("uvicorn", reason="needs the extra `serve`")
pytest.importorskip("fastapi", reason="needs the extra `serve`")
from tests.train.served import ask, metric, served, together

JSON = "application/json"


@pytest.fixture(scope="module")
def word(words):
    """A picture."""
    return Shards([words], "test").image(0)


@pytest.fixture(scope="module")
def server():
    with served("body=20000", "images=3", "pixels=20000") as made:
        yield made


def promised(width: int, height: int) -> bytes:
    """A PNG whose head promises so many pixels, and that holds none."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n\0\0\0\r"
        + head
        + struct.pack(">I", zlib.crc32(head))
        + b"\0\0\0\x20IDAT"
        + bytes(40)
    )


WRONG = {
    "no body": ("/read", b"", "image/png", 422, "empty"),
    "no image": ("/read", b"hello", "image/png", 422, "no known image format"),
    "a form": (
        "/read",
        b"a=b",
        "application/x-www-form-urlencoded",
        415,
        "several as application/json",
    ),
    "no type": ("/read", b"a=b", "", 415, "content-type ''"),
    "too many bytes": ("/read", bytes(20001), "image/png", 413, "body=20000"),
    "too many pixels": ("/read", promised(200, 200), "image/png", 413, "pixels=20000"),
    "a bad name": ("/read?name=%00", b"hello", "image/png", 422, "name: must be"),
    "a long name": ("/read?name=" + "a" * 257, b"hello", "image/png", 422, "256"),
    "a batch of no JSON": ("/read", b"{", JSON, 422, "no JSON"),
    "a deep one": ("/read", b"[" * 19000, JSON, 422, "no JSON"),
    "not UTF-8": ("/read", b'"\xff"', JSON, 422, "no JSON"),
    "a list": ("/read", b"[]", JSON, 422, "JSON must be"),
    "no images": ("/read", b'{"images": []}', JSON, 422, "JSON must be"),
    "images of another type": ("/read", b'{"images": "all"}', JSON, 422, "JSON must be"),
    "an image of another type": ("/read", b'{"images": [3]}', JSON, 422, "images[0]"),
    "data of another type": ("/read", b'{"images": [{"data": 3}]}', JSON, 422, "images[0]"),
    "no base64": ("/read", b'{"images": [{"data": "%"}]}', JSON, 422, "images[0].data"),
    "no ASCII": ("/read", '{"images": [{"data": "\u00e4"}]}'.encode(), JSON, 422, "images[0].data"),
    "half a character": ("/read", rb'{"images": [{"data": "", "name": "\ud800"}]}', JSON, 422, "name"),
    "no picture at all": ("/read", together(b"a", b"b"), JSON, 422, "no known image format"),
    "too wide in a batch": ("/read", together(promised(60000, 60000)), JSON, 413, "pixels=20000"),
    "too many": ("/read", together(b"", b"", b"", b""), JSON, 413, "images=3"),
    "another address": ("/rad", b"", "image/png", 404, "Not Found"),
    "another method": ("/read", None, "", 405, "Method Not Allowed"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_answered_has_a_status_and_a_reason(server, name):
    path, body, kind, status, said = WRONG[name]
    found, told = ask(server.address, path, body, kind)
    assert found == status
    assert list(told) == ["error"]
    assert said in told["error"]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_picture_is_refused(server, word, share):
    status, told = ask(server.address, "/read", word[: int(len(word) * share)])
    assert status == 422
    assert told["error"].startswith(("truncated", "undecodable"))


def test_a_body_that_does_not_tell_its_length_is_cut_off_all_the_same(server):
    place = urlsplit(server.address)
    with closing(socket.create_connection((place.hostname, place.port), timeout=60)) as line:
        line.sendall(b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\n"
                     b"Transfer-Encoding: chunked\r\n\r\n")  # fmt: skip
        for _ in range(30):
            line.sendall(b"400\r\n" + bytes(1024) + b"\r\n")
        assert line.recv(12) == b"HTTP/1.1 413"


def test_what_is_no_http_is_refused(server):
    place = urlsplit(server.address)
    with closing(socket.create_connection((place.hostname, place.port), timeout=60)) as line:
        line.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert line.recv(12) == b"HTTP/1.1 400"


def test_requests_are_counted_by_address_and_status(word):
    with served() as server:
        for body in (word, word, b"no picture"):
            ask(server.address, "/read", body)
        ask(server.address, "/read", together(word, word), JSON)
        ask(server.address, "/some/other")
        for path, status, count in (
            ("/read", 200, 3),
            ("/read", 422, 1),
            ("other", 404, 1),
        ):
            line = f'ocr_requests_total{{path="{path}",status="{status}"}}'
            assert metric(server.address, line) == count
        assert metric(server.address, "ocr_request_seconds_count") == 4
        assert metric(server.address, "ocr_batch_images_sum") == 5
        assert metric(server.address, "ocr_requests_inside") == 0


class Held:
    """A model that answers nothing until it is let go."""

    def __init__(self, server):
        self.entered, self.go = Event(), Event()
        self.inner = server.desk.models[0]
        server.desk.models = [self]

    def __call__(self, names, given):
        self.entered.set()
        assert self.go.wait(120)
        return self.inner(names, given)


def test_what_is_asked_at_the_same_time_is_read_in_one_batch(word):
    with served("batch=8", "wait=0") as server, ThreadPoolExecutor(6) as pool:
        held = Held(server)
        first = pool.submit(ask, server.address, "/read", word)
        assert held.entered.wait(60)
        others = [pool.submit(ask, server.address, "/read", word) for _ in range(5)]
        while metric(server.address, "ocr_images_waiting") < 5:
            pass
        assert metric(server.address, "ocr_requests_inside") == 6
        held.go.set()
        assert {one.result(120)[0] for one in (first, *others)} == {200}
        assert metric(server.address, "ocr_batch_images_count") == 2
        assert metric(server.address, 'ocr_batch_images_bucket{le="1"}') == 1
        assert metric(server.address, "ocr_batch_images_sum") == 6


def test_a_full_queue_answers_at_once(word):
    with served("queue=1") as server, ThreadPoolExecutor(1) as pool:
        held = Held(server)
        first = pool.submit(ask, server.address, "/read", word)
        assert held.entered.wait(60)
        assert ask(server.address, "/read", word) == (
            503, {"error": "queue=1 requests are inside already; try again"}
        )  # fmt: skip
        assert ask(server.address, "/health")[0] == 200
        held.go.set()
        assert first.result(120)[0] == 200
        assert ask(server.address, "/read", word)[0] == 200


def test_an_answer_that_takes_too_long_is_given_up_and_the_next_is_given(word):
    with served("timeout=.3") as server:
        held = Held(server)
        assert ask(server.address, "/read", word) == (504, {"error": "no answer in timeout=0.3 seconds"})
        held.go.set()
        server.desk.models = [held.inner]
        assert ask(server.address, "/read", word)[0] == 200


def test_slow_clients_are_given_up(word):
    with served("timeout=.3") as server:
        place = urlsplit(server.address)
        head = b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\nContent-Length: 999\r\n\r\n"
        for sent, wanted in ((head + b"abc", b"HTTP/1.1 408"), (head[:30], b""), (b"", b"")):
            with closing(socket.create_connection((place.hostname, place.port), timeout=60)) as line:
                line.sendall(sent)
                try:
                    assert line.recv(12) == wanted
                except ConnectionResetError:
                    assert not wanted
        assert metric(server.address, "ocr_requests_inside") == 0


def test_a_fault_of_the_model_is_told_as_json_and_does_not_stop_the_server(word, caplog):
    with served() as server:
        inner = server.desk.models
        server.desk.models = [lambda names, given: 1 / 0]
        status, told = ask(server.address, "/read", word)
        assert (status, list(told)) == (500, ["error"])
        assert "ZeroDivisionError" not in told["error"]
        server.desk.models = inner
        assert ask(server.address, "/read", word)[0] == 200
    assert "ZeroDivisionError" in caplog.text


def test_the_addresses_describe_themselves_without_anything_from_elsewhere(server):
    _, told = ask(server.address, "/openapi.json")
    assert set(told["paths"]) == {"/read", "/health", "/metrics"}
    assert "Reading" in told["components"]["schemas"]
    assert set(told["paths"]["/read"]["post"]["responses"]) >= {"200", "413", "415", "422", "503", "504"}
    _, page = ask(server.address, "/docs")
    for path in told["paths"]:
        assert f"<code>{path}</code>" in page
    assert "queue= is full" in page


def test_the_schema_of_a_batch_takes_what_the_server_takes(server, word):
    _, told = ask(server.address, "/openapi.json")
    schema = told["paths"]["/read"]["post"]["requestBody"]["content"][JSON]["schema"]
    one = {"data": base64.b64encode(word).decode(), "name": "a"}
    assert set(one) == set(schema["properties"]["images"]["items"]["properties"])
    body = json.dumps({"images": [one]}).encode()
    assert ask(server.address, "/read", body, JSON)[1]["images"][0]["name"] == "a"
