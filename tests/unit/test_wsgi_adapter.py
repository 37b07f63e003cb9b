"""The adapter that other tests stand on."""

import gzip

import pytest
import requests

from tests.wsgi_adapter import WsgiAdapter


def session(app):
    made = requests.Session()
    made.mount("http://hub", WsgiAdapter(app))
    return made


def test_the_application_sees_the_request_as_a_server_would_hand_it_over():
    seen = {}

    def app(environ, start_response):
        seen.update(environ, body=environ["wsgi.input"].read())
        start_response("200 OK", [])
        return []

    session(app).post(
        "http://hub:81/a%20b/%C3%A9?x=1&x=%2F", data=b"body", headers={"If-Match": '"7"', "Content-Type": "a/b"}
    )
    assert (seen["PATH_INFO"].encode("latin-1").decode(), seen["QUERY_STRING"]) == ("/a b/é", "x=1&x=%2F")
    assert (seen["HTTP_IF_MATCH"], seen["CONTENT_TYPE"], seen["CONTENT_LENGTH"]) == ('"7"', "a/b", "4")
    assert (seen["body"], seen["HTTP_HOST"], seen["SERVER_PORT"]) == (b"body", "hub:81", "81")


def test_headers_arrive_as_sent_repeated_ones_too():
    def app(environ, start_response):
        start_response("201 Made", [("Link", "a"), ("Link", "b"), ("ETag", '"1"')])
        return [b""]

    reply = session(app).get("http://hub/")
    assert (reply.status_code, reply.reason, reply.headers["etag"]) == (201, "Made", '"1"')
    assert reply.raw.headers.getlist("Link") == ["a", "b"]


def test_bodies_stream_both_ways_and_the_iterable_is_closed():
    sent, steps = iter([b"one", b"two"]), []

    class Body:
        def __init__(self, environ):
            self.left = iter([environ["wsgi.input"].read(3), environ["wsgi.input"].read(10)])

        def __iter__(self):
            for part in self.left:
                steps.append(part)
                yield part

        def close(self):
            steps.append("closed")

    def app(environ, start_response):
        start_response("200 OK", [])
        return Body(environ)

    reply = session(app).post("http://hub/", data=sent, stream=True)
    assert steps == []
    assert reply.raw.read(3) == b"one"
    assert b"".join(reply.iter_content(2)) == b"two"
    reply.close()
    assert steps == [b"one", b"two", "closed"]


def test_compressed_answers_are_unpacked():
    def app(environ, start_response):
        start_response("200 OK", [("Content-Encoding", "gzip")])
        return [gzip.compress(b"text")]

    assert session(app).get("http://hub/").content == b"text"


@pytest.mark.parametrize("headers", [[], [("Content-Length", "100")]])
def test_an_application_that_breaks_off_looks_like_a_broken_connection(headers):
    def app(environ, start_response):
        start_response("200 OK", headers)
        yield b"part"
        raise OSError("gone")

    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        session(app).get("http://hub/")


def test_a_body_shorter_than_announced_is_noticed():
    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "100")])
        return [b"part"]

    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        session(app).get("http://hub/")


def test_head_has_no_body():
    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "4")])
        return [b"body"]

    assert session(app).head("http://hub/").content == b""
