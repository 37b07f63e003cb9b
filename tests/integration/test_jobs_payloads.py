"""Payloads: uploads that resume, downloads of any part, and who may do which."""

import io
import secrets
from typing import Any

import pytest

from tests.integration.federation import Federation, Refused, b64, segment
from vprotocol.envelope import Context, PayloadKind, Suite, seal
from vprotocol.envelope.format import SEGMENT_BYTES

BODY_BYTES = SEGMENT_BYTES + 100_000


@pytest.fixture
def database_url() -> None:
    """SQLite: files are the same with every database."""


def sealed(federation: Federation, length: int = BODY_BYTES, number: int = 0) -> tuple[bytes, Any]:
    home = federation.organizations[number]
    context = Context(
        suite=Suite.X25519,
        kind=PayloadKind.ORDER,
        plan=None,
        path=None,
        organization=home.fingerprint,
        sender=home.user_key.id,
        media_type="application/octet-stream",
    )
    sink = io.BytesIO()
    made = seal(io.BytesIO(secrets.token_bytes(length)), sink, context, [home.key.public], home.user_key)
    return sink.getvalue(), made


def test_segments_arrive_in_any_order_and_the_whole_file_comes_back(federation: Federation) -> None:
    person = federation.person()
    data, made = sealed(federation)
    assert person.announce(made.parts, made.leaves)["missing"] == [0, 1]
    person.put_segment(made.id, 1, segment(data, made.parts, 1))
    assert person.get(f"/payload/{made.id}/status")["missing"] == [0]
    with pytest.raises(Refused) as refused:
        person.get(f"/payload/{made.id}")
    assert refused.value.code == "payload_incomplete"
    person.put_segment(made.id, 0, segment(data, made.parts, 0))
    view = person.get(f"/payload/{made.id}/status")
    assert view["complete"] and view["missing"] == [] and view["bytes_total"] == len(data)
    answer = person.raw("GET", f"/payload/{made.id}")
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Length"] == str(len(data))
    assert answer.content == data


def test_an_upload_resumes_and_repeats_change_nothing(federation: Federation) -> None:
    person = federation.person()
    data, made = sealed(federation)
    person.announce(made.parts, made.leaves)
    for _ in range(2):
        person.put_segment(made.id, 0, segment(data, made.parts, 0))
    again = person.announce(made.parts, made.leaves)
    assert again["missing"] == [1]
    person.put_segment(made.id, 1, segment(data, made.parts, 1))
    person.put_segment(made.id, 1, segment(data, made.parts, 1))
    assert person.announce(made.parts, made.leaves)["complete"]
    assert person.raw("GET", f"/payload/{made.id}").content == data


def test_a_wrong_segment_is_refused_and_spoils_nothing(federation: Federation) -> None:
    person = federation.person()
    data, made = sealed(federation)
    person.announce(made.parts, made.leaves)
    right = segment(data, made.parts, 1)
    wrong = bytes([right[0] ^ 1]) + right[1:]
    for upload in (wrong, right, wrong):
        if upload is right:
            person.put_segment(made.id, 1, upload)
            continue
        with pytest.raises(Refused) as refused:
            person.put_segment(made.id, 1, upload)
        assert (refused.value.status, refused.value.code) == (422, "damaged")
    person.put_segment(made.id, 0, segment(data, made.parts, 0))
    assert person.raw("GET", f"/payload/{made.id}").content == data


@pytest.mark.parametrize("change", [b"", b"x"])
def test_a_segment_of_another_length_is_refused(federation: Federation, change: bytes) -> None:
    person = federation.person()
    data, made = sealed(federation, 1000)
    person.announce(made.parts, made.leaves)
    right = segment(data, made.parts, 0)
    with pytest.raises(Refused) as refused:
        person.put_segment(made.id, 0, right + change if change else right[:-1])
    assert refused.value.code == "bad_request" and refused.value.fields["expected"] == len(right)


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=100-", 100, None),
        ("bytes=-16", -16, None),
        ("bytes=8388600-8388700", 8388600, 8388701),
    ],
)
def test_parts_are_fetched_by_range(federation: Federation, asked: str, start: int, stop: int | None) -> None:
    person = federation.person()
    data, made = sealed(federation)
    person.upload(data, made.parts, made.leaves)
    answer = person.raw("GET", f"/payload/{made.id}", headers={"Range": asked})
    assert answer.status_code == 206
    assert answer.content == data[start:stop]
    assert answer.headers["Content-Range"].endswith(f"/{len(data)}")


def test_a_range_behind_the_end_cannot_be_satisfied(federation: Federation) -> None:
    person = federation.person()
    data, made = sealed(federation, 100)
    person.upload(data, made.parts, made.leaves)
    answer = person.raw("GET", f"/payload/{made.id}", headers={"Range": f"bytes={len(data)}-"})
    assert answer.status_code == 416 and answer.headers["Content-Range"] == f"bytes */{len(data)}"


def test_head_tells_the_length(federation: Federation) -> None:
    person = federation.person()
    data, made = sealed(federation)
    person.upload(data, made.parts, made.leaves)
    answer = person.raw("HEAD", f"/payload/{made.id}")
    assert (answer.status_code, answer.headers["Content-Length"]) == (200, str(len(data)))


def test_an_order_uploaded_before_is_fetched_by_the_node_that_runs_it(federation: Federation) -> None:
    draft = federation.simple(order=secrets.token_bytes(200_000))
    person = federation.person()
    with pytest.raises(Refused) as refused:
        person.post("/job", {"plan": draft.plan.signed.to_wire()})
    assert refused.value.fields["step"] == "mean"
    from vprotocol.envelope import inspect
    from vprotocol.envelope.format import leaf

    data = draft.orders[0]
    parts = inspect(io.BytesIO(data))
    person.upload(data, parts, [leaf(segment(data, parts, 0))])
    person.post("/job", {"plan": draft.plan.signed.to_wire()})
    node = federation.node()
    (assignment,) = node.claim()
    assert assignment["order"] == {"id": parts.id, "bytes_total": len(data), "inline": None}
    assert node.raw("GET", f"/payload/{parts.id}").content == data


def test_small_payloads_are_in_the_database_and_large_ones_in_files_never_both(federation: Federation) -> None:
    draft = federation.simple()
    federation.submit(draft)
    small = draft.plan.plan.steps[0].orders[0].payload
    assert not federation.hub.payloads.path(small).exists()
    assert (
        federation.person().raw("GET", f"/payload/{small}", headers={"Range": "bytes=0-7"}).content
        == (draft.orders[0][:8])
    )


# --- who -------------------------------------------------------------------------------------------------------------
def test_nobody_else_fetches_an_upload_before_a_job_uses_it(federation: Federation) -> None:
    data, made = sealed(federation, 1000)
    federation.person(0).upload(data, made.parts, made.leaves)
    for stranger in (federation.person(1), federation.node(1)):
        with pytest.raises(Refused) as refused:
            stranger.get(f"/payload/{made.id}")
        assert refused.value.status == 403
    with pytest.raises(Refused) as refused:
        federation.person(1).put_segment(made.id, 0, segment(data, made.parts, 0))
    assert refused.value.status == 404


def test_members_of_the_collaboration_fetch_what_its_jobs_use_and_others_do_not(
    federation: Federation, tmp_path: Any
) -> None:
    draft = federation.simple()
    federation.submit(draft)
    payload = draft.plan.plan.steps[0].orders[0].payload
    for reader in (federation.person(1), federation.node(2)):
        assert reader.raw("GET", f"/payload/{payload}").content == draft.orders[0]
    with federation.hub.database.write() as session:
        from vserver.collaborations import service as collaborations

        found = collaborations.collaboration(session, federation.collaboration_id)
        collaborations.remove_member(session, found, federation.organizations[2].id)
    assert federation.node(2).raw("GET", f"/payload/{payload}").status_code == 403


def test_uploads_that_no_job_came_for_are_forgotten(federation: Federation, clock: Any) -> None:
    from vserver.payloads import retention

    data, made = sealed(federation, 1000)
    federation.person().upload(data, made.parts, made.leaves)
    retention.forget_old(federation.hub)
    assert federation.hub.payloads.path(made.id).exists()
    clock.advance(3 * 86_400)
    retention.forget_old(federation.hub)
    assert not federation.hub.payloads.path(made.id).exists()
    assert federation.person().announce(made.parts, made.leaves)["missing"] == [0]  # it may come again


# --- bad input -------------------------------------------------------------------------------------------------------
def _announced(made: Any, **changes: Any) -> dict[str, Any]:
    message = {
        "header": b64(made.parts.header_bytes),
        "trailer": b64(made.parts.trailer_bytes),
        "leaves": [leaf.hex() for leaf in made.leaves],
    }
    return {**message, **changes}


@pytest.mark.parametrize(
    ("changes", "code", "word"),
    [
        ({"header": b64(b"{}")}, "damaged", "suite"),
        ({"header": "!"}, "bad_message", "header"),
        ({"trailer": b64(b"not json")}, "damaged", "JSON"),
        ({"leaves": []}, "bad_message", "leaves"),
        ({"leaves": ["0" * 64]}, "damaged", "not the one that was signed"),
        ({"leaves": ["00"]}, "bad_message", "leaves"),
    ],
)
def test_what_is_announced_must_fit_together(
    federation: Federation, changes: dict[str, Any], code: str, word: str
) -> None:
    _, made = sealed(federation, 10)
    with pytest.raises(Refused) as refused:
        federation.person().post("/payload", _announced(made, **changes))
    assert refused.value.code == code
    assert word in f"{refused.value.message} {refused.value.fields}"


def test_segments_and_payloads_that_do_not_exist(federation: Federation) -> None:
    person = federation.person()
    data, made = sealed(federation, 10)
    for call in (
        lambda: person.put_segment(made.id, 0, data),
        lambda: person.get(f"/payload/{made.id}"),
        lambda: person.get("/payload/xyz"),
    ):
        with pytest.raises(Refused) as refused:
            call()
        assert refused.value.status == 404
    person.announce(made.parts, made.leaves)
    with pytest.raises(Refused) as refused:
        person.put_segment(made.id, 1, b"x")
    assert "1 segments" in refused.value.message
