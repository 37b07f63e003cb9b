"""Under gevent: nothing yields inside a write, passwords are hashed beside other requests, waiting holds nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
from gevent import monkey
monkey.patch_all()
import gevent, greenlet, json, sys, time
from pathlib import Path
from tests.hub_world import HubWorld, PASSWORD, ok
from vruntime.clock import Deadline, SystemClock
from vserver.config import PasswordCost

folder, url = Path(sys.argv[1]), sys.argv[2] or None
world = HubWorld(folder, database_url=url, clock=SystemClock(), password=PasswordCost(memory_kib=8192, iterations=4))
admin = world.administrator()
yields = 0

def trace(event, args):
    global yields
    origin, target = args
    # Whoever holds the turn must not be left before the turn is given back.
    if world.database._holder is not None and world.database._holder == id(origin):
        yields += 1
greenlet.settrace(trace)

def person(number):
    ok(admin.post("/user", {"username": f"u{number}", "password": PASSWORD}), 201)
    return world.login(f"u{number}")

def group(number):
    return ok(admin.post("/organization", {"name": f"o{number}"}), 201)

work = [gevent.spawn(person, number) for number in range(6)] + [gevent.spawn(group, number) for number in range(40)]
gevent.joinall(work, timeout=60, raise_error=True)
assert all(one.ready() for one in work)
seen, yields = yields, 0
with world.database.write():  # a control: one that does yield is noticed
    gevent.sleep(0)
control, yields = yields, seen
greenlet.settrace(None)

# A slow hash holds up nobody: reads are answered while it is computed.
slow = gevent.spawn(world.hub.hashing.run, monkey.get_original("time", "sleep"), 0.5)
gevent.sleep(0)
answered = 0
while not slow.ready():
    ok(admin.get("/organization/1"))
    answered += 1
    gevent.sleep(0)

# Held requests hold no connection: many more of them than the pool has.
signals, deadline = world.hub.signals, Deadline.after(SystemClock(), 30)
found = []
def look():
    with world.database.read() as session:
        from vserver.organizations.model import Organization
        from sqlalchemy import select
        return session.scalar(select(Organization.id).where(Organization.name == "awaited"))
held = [gevent.spawn(signals.hold, ["organizations"], deadline, look) for _ in range(200)]
while signals.listeners() < 200:
    gevent.sleep(0)
while checked_out := world.database.engine.pool.checkedout():
    gevent.sleep(0)  # some are looking for the first time still
assert signals.listeners() == 200
with world.database.write() as session:
    from vserver.organizations.model import Organization
    session.add(Organization(name="awaited", created_at=0.0))
    signals.notify_after_commit(session, "organizations")
gevent.joinall(held, timeout=30, raise_error=True)
print(json.dumps({"yields": yields, "control": control, "answered": answered, "checked_out": checked_out,
                  "found": len({one.value for one in held}), "held": sum(one.value is not None for one in held)}))
"""


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_one_process_done_right(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    url = request.getfixturevalue("fresh_postgres_url") if kind == "postgres" else ""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path), url],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["yields"] == 0
    assert kind == "postgres" or said["control"] > 0
    assert said["answered"] > 20
    assert said["checked_out"] == 0
    assert (said["found"], said["held"]) == (1, 200)
