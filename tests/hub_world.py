"""A real hub in this process, and the people and nodes that use it, made as a test needs them.

world = HubWorld(tmp_path)                      # or with database_url=..., **settings
admin = world.administrator()
a = world.organization("A"); study = world.collaboration(a, ...)
ada = world.user(a, "Researcher"); node = world.node(a)
ada.get("/organization/1").json
"""

import itertools
import secrets
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from vprotocol.keylog import KeyLog
from vprotocol.keys import KeyKind, PrivateKey
from vruntime.clock import ManualClock
from vserver import migrations
from vserver.accounts import tokens
from vserver.app import create_app
from vserver.config import Limits, PasswordCost, Settings
from vserver.db import Database
from vserver.hub import Hub
from vserver.web.links import PREFIX

PASSWORD = "correct horse battery"
CHEAP = PasswordCost(memory_kib=64, iterations=1, at_once=64)
NOW = 1_800_000_000


class Caller:
    """Somebody who talks to the hub, with or without a token."""

    def __init__(self, app: Flask, name: str, pair: dict[str, Any] | None = None) -> None:
        self.app, self.name = app, name
        self.pair = pair or {}
        self.id: int = self.pair.get("principal", {}).get("id", 0)
        self.organization_id: int | None = None

    def call(self, verb: str, path: str, json: Any = None, **options: Any) -> TestResponse:
        headers = dict(options.pop("headers", {}))
        if "access_token" in self.pair:
            headers.setdefault("Authorization", f"Bearer {self.pair['access_token']}")
        path = path if path.startswith(PREFIX) else PREFIX + path
        if json is not None:
            options["json"] = json
        return self.app.test_client().open(path, method=verb, headers=headers, **options)

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.call("GET", path, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> TestResponse:
        return self.call("POST", path, json, **options)

    def put(self, path: str, json: Any = None, **options: Any) -> TestResponse:
        return self.call("PUT", path, json, **options)

    def patch(self, path: str, json: Any = None, **options: Any) -> TestResponse:
        return self.call("PATCH", path, json, **options)

    def delete(self, path: str, **options: Any) -> TestResponse:
        return self.call("DELETE", path, **options)


class HubWorld:
    def __init__(self, folder: Path, *, database_url: str | None = None, clock: Any = None, **settings: Any) -> None:
        settings = {"password": CHEAP, "limits": Limits(login_burst=1000), "durable": False, **settings}
        self.settings = Settings(data_folder=folder, database=database_url, **settings)
        if database_url is None:
            _begin_with_a_migrated_database(Path(self.settings.database_url.removeprefix("sqlite:///")))
        self.clock = clock or ManualClock(now=NOW)
        self.app = create_app(self.settings, clock=self.clock)
        self.hub: Hub = self.app.extensions["vestal"]
        self.nobody = Caller(self.app, "nobody")
        self._admin: Caller | None = None
        self._numbers = itertools.count(1)

    @property
    def database(self) -> Database:
        return self.hub.database

    def close(self) -> None:
        self.database.dispose()

    def first_code(self) -> str:
        with self.database.write() as session:
            return tokens.new_one_time_code(session, tokens.FIRST_ADMINISTRATOR, self.hub.now(), 3600)

    def administrator(self) -> Caller:
        if self._admin is None:
            body = {"code": self.first_code(), "username": "root", "password": PASSWORD}
            ok(self.nobody.post("/user/first", body), 201)
            self._admin = self.login("root")
        return self._admin

    def login(self, username: str, password: str = PASSWORD) -> Caller:
        answer = ok(self.nobody.post("/token/user", {"username": username, "password": password}))
        return Caller(self.app, username, answer)

    def organization(self, name: str | None = None) -> int:
        name = name or f"organization {next(self._numbers)}"
        return ok(self.administrator().post("/organization", {"name": name}), 201)["id"]

    def collaboration(self, *organization_ids: int, **more: Any) -> dict[str, Any]:
        name = secrets.token_hex(16)
        body = {"name": name, "display_name": f"study {name}", "organizations": list(organization_ids), **more}
        return ok(self.administrator().post("/collaboration", body), 201)

    def user(self, organization_id: int | None, *roles: str, username: str | None = None) -> Caller:
        username = username or f"user{next(self._numbers)}"
        body = {"username": username, "password": PASSWORD, "organization_id": organization_id, "roles": list(roles)}
        ok(self.administrator().post("/user", body), 201)
        caller = self.login(username)
        caller.organization_id = organization_id
        return caller

    def node(self, organization_id: int, name: str | None = None) -> Caller:
        name = name or f"node{next(self._numbers)}"
        made = ok(self.administrator().post("/node", {"name": name, "organization_id": organization_id}), 201)
        pair = ok(self.nobody.post("/token/node", {"api_key": made["api_key"]}))
        caller = Caller(self.app, name, {**pair, "api_key": made["api_key"]})
        caller.organization_id = organization_id
        return caller


@cache
def _migrated() -> bytes:
    """An empty database of today's shape. Migrating costs more than most tests."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/hub.sqlite", durable=False)
        migrations.migrate(database)
        with database.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        database.dispose()
        return Path(folder, "hub.sqlite").read_bytes()


def _begin_with_a_migrated_database(path: Path) -> None:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_migrated())


class Identity:
    """An organization's keys: root, organization key, a node key; its key log with a head."""

    def __init__(self, name: str = "Hospital", now: int = NOW) -> None:
        self.root = PrivateKey.generate(KeyKind.ROOT)
        self.organization = PrivateKey.generate(KeyKind.ORGANIZATION)
        self.node = PrivateKey.generate(KeyKind.NODE)
        log = KeyLog.create(self.root, name, now)
        log = log.certify(self.root, self.organization.public, "organization", now, now + 10**8)
        log = log.certify(self.root, self.node.public, "node", now, now + 10**8)
        self.log = log.sign_head(self.node, now)


def ok(response: TestResponse, status: int = 200) -> Any:
    """The answer, which must have this status."""
    assert response.status_code == status, (response.status_code, response.get_data(as_text=True))
    return response.get_json(silent=True)


def error(response: TestResponse, status: int, code: str) -> dict[str, Any]:
    """The error, which must have this status and code and the one shape of all errors."""
    assert response.status_code == status, (response.status_code, response.get_data(as_text=True))
    body = response.get_json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message", "hint", "fields", "request_id"}
    assert body["error"]["code"] == code, body
    assert body["error"]["message"]
    assert body["error"]["request_id"] == response.headers["X-Request-Id"]
    return body["error"]
