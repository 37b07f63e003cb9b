"""What `record_requests` keeps, and what it does not."""

import json
import stat
from pathlib import Path

from tests.hub_world import HubWorld, ok


def records(path: Path) -> list[tuple[dict, bytes]]:
    found, rest = [], path.read_bytes()
    while rest:
        line, _, rest = rest.partition(b"\n")
        head = json.loads(line)
        found.append((head, rest[: head["body_bytes"]]))
        rest = rest[head["body_bytes"] + 1 :]
    return found


def test_every_request_is_there_with_its_raw_body_and_without_its_token(tmp_path: Path) -> None:
    path = tmp_path / "seen" / "requests"
    world = HubWorld(tmp_path, record_requests=path)
    admin = world.administrator()
    body = b'{"name":\n "\xc3\xa4"}'
    ok(admin.post("/organization", data=body, content_type="application/json", headers={"X-Thing": "1"}), 201)
    head, recorded = records(path)[-1]
    assert recorded == body
    assert (head["method"], head["path"], head["headers"]["X-Thing"]) == ("POST", "/api/v1/organization", "1")
    assert admin.pair["access_token"].encode() not in path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    world.close()
