"""A whole federation in this process: a real hub, real nodes with scripted executors, a real client. No sockets.

    with Federation(tmp_path, {"algorithm": behaviour}) as world:
        job = world.client.run(world.image("algorithm"), "method", data=())
        job.wait(timeout_s=20)

Only the proxies listen (on loopback ports that the system chooses), because algorithms speak HTTP.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests

from tests.hub_world import PASSWORD, HubWorld, ok
from tests.wsgi_adapter import WsgiAdapter
from vclient.client import Client
from vclient.images import ImageRef
from vnode.config import NodeSettings
from vnode.daemon import Daemon, Surroundings
from vnode.executors.scripted import Behaviour, Sandbox, ScriptedExecutor, digest_of
from vnode.identity import KeyPlaces, read_key_log, write_key_log
from vprotocol.keys import KeyKind
from vruntime.clock import SystemClock
from vruntime.keyfiles import read_key

URL = "http://hub"
LONG_S = 10**8


class Federation:
    """`size` organizations with a node each; one researcher, of the first."""

    def __init__(
        self,
        folder: Path,
        script: Mapping[str, Behaviour],
        *,
        size: int = 3,
        encrypted: bool = True,
        node: Mapping[str, Any] | None = None,
        adapter: Callable[[Any], Any] = WsgiAdapter,
        **hub: Any,
    ) -> None:
        self.folder, self.script, self._node_settings = folder, script, dict(node or {})
        self._adapter = adapter
        (folder / "hub").mkdir()
        self.hub = HubWorld(folder / "hub", clock=SystemClock(), **hub)
        names = [f"hospital {number}" for number in range(1, size + 1)]
        self.organizations = [self.hub.organization(name) for name in names]
        self.collaboration = self.hub.collaboration(*self.organizations, encrypted=encrypted)
        self.executors: list[ScriptedExecutor] = []
        self.settings: list[NodeSettings] = []
        for number, name in zip(self.organizations, names, strict=True):
            self.settings.append(self._settings(number, name))
            self.executors.append(ScriptedExecutor(script))
        self.nodes = [self._start(index) for index in range(size)]
        self.client = self.researcher()

    def __enter__(self) -> "Federation":
        return self

    def __exit__(self, *_: object) -> None:
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            list(pool.map(Daemon.stop, self.nodes))
        self.client.close()
        self.hub.close()

    def session(self) -> requests.Session:
        session = requests.Session()
        session.mount(URL, self._adapter(self.hub.app))
        return session

    @staticmethod
    def image(name: str) -> ImageRef:
        return ImageRef(name, digest_of(name))

    def restart(self, index: int) -> Daemon:
        """A new process of this node, as it were: same folder, same executor."""
        self.nodes[index] = self._start(index)
        return self.nodes[index]

    def researcher(self, organization: int = 0, name: str = "ada") -> Client:
        caller = self.hub.user(self.organizations[organization], "Researcher", username=name)
        client = Client(URL, folder=self.folder / name, session=self.session(), first_contact=True)
        client.login(caller.name, PASSWORD)
        key = client.new_key(name)
        self.certify(organization, key.public, name)
        return client

    def certify(self, organization: int, key: Any, subject: str) -> None:
        """What the organization's administrator does with the root."""
        places = KeyPlaces.at(self.folder / f"node{organization}", None, None)
        root, node_key = read_key(places.root, KeyKind.ROOT), read_key(places.node_key, KeyKind.NODE)
        now = int(SystemClock().now())
        log = read_key_log(places.key_log).certify(root, key, subject, now, now + LONG_S).sign_head(node_key, now)
        write_key_log(places.key_log, log)
        self.nodes[organization].vault.identity = log
        self.nodes[organization].hub.upload_key_log(self.organizations[organization], log)

    def _settings(self, organization_id: int, name: str) -> NodeSettings:
        body = {"name": f"n{organization_id}", "organization_id": organization_id}
        made = ok(self.hub.administrator().post("/node", body), 201)
        data = self.folder / f"data{organization_id}.csv"
        data.write_text("age\n40\n50\n")
        return NodeSettings.model_validate(
            {
                "name": f"n{organization_id}",
                "organization": name,
                "hub": {"url": URL, "api_key": made["api_key"]},
                "data_sources": [{"label": "default", "type": "csv", "path": str(data), "collaborations": "any"}],
                "policy": {"trust": "first-contact"},
                "drain": 2,
                **self._node_settings,
            }
        )

    def _start(self, index: int) -> Daemon:
        settings, executor = self.settings[index], self.executors[index]
        around = Surroundings(
            data_folder=self.folder / f"node{index}",
            executor=executor,
            proxy_address=("127.0.0.1", 0),
            http_session=self.session(),
        )
        daemon = Daemon(settings, around)
        daemon.start()
        executor.proxy_port = daemon.proxy_port or 0
        return daemon


def order_of(sandbox: Sandbox) -> dict[str, Any]:
    """What INPUT_FILE holds."""
    return json.loads(sandbox.input)


def ask(sandbox: Sandbox, verb: str, path: str, body: Any = None) -> tuple[int, Any]:
    """One request of an algorithm to its proxy: status and decoded answer."""
    token = sandbox.files[sandbox.layout.token_file].decode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{sandbox.layout.proxy_port}{path}",
        method=verb,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, json.loads(reply.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())
