"""Private networks, made ahead of time and used again: one sandbox at a time on each, and no way out.

`internal` alone is not enough: a sandbox would reach every service of the host that listens on 0.0.0.0 through the
bridge's gateway address. So the bridge gets no address at all (docs/adr/0008-one-private-network-a-run.md).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, NotFound

from vnode.executors.docker_convert import LABEL_KIND, LABEL_NODE
from vnode.executors.errors import NetworksExhausted

PREFIX = 28


def isolation_options(engine_version: str) -> dict[str, str]:
    """Driver options that leave the host's side of the bridge without an address."""
    major = int(re.match(r"\d*", engine_version).group() or 0)  # type: ignore[union-attr]
    common = {"com.docker.network.bridge.enable_ip_masquerade": "false"}
    if major >= 28:
        return common | {"com.docker.network.bridge.gateway_mode_ipv4": "isolated"}
    return common | {"com.docker.network.bridge.inhibit_ipv4": "true"}


def candidate_subnets(pool: IPv4Network, taken: Collection[IPv4Network], start: int) -> Iterator[IPv4Network]:
    """Free /28s of the pool, from a place of the node's own so that two nodes rarely ask for the same."""
    count = 1 << (PREFIX - pool.prefixlen)
    base = int(pool.network_address)
    for step in range(count):
        subnet = IPv4Network((base + ((start + step) % count) * (1 << (32 - PREFIX)), PREFIX))
        if not any(subnet.overlaps(other) for other in taken):
            yield subnet


def host_routes(table: Path = Path("/proc/net/route")) -> list[IPv4Network]:
    """Networks that this host already knows a way to, the default route aside. Empty where there is no such table."""
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:
        return []
    routes = []
    for line in lines:
        _, destination, _, _, _, _, _, mask, *_ = line.split()
        if int(mask, 16):
            network = IPv4Address(int.from_bytes(bytes.fromhex(destination), "little"))
            routes.append(IPv4Network((network, int.from_bytes(bytes.fromhex(mask), "little").bit_count())))
    return routes


@dataclass(frozen=True)
class PrivateNetwork:
    """One pooled network: .0 is its own, .1 the gateway that nobody is, .2 the proxy, .3 the sandbox."""

    name: str
    subnet: IPv4Network

    @property
    def gateway_address(self) -> str:
        return str(self.subnet.network_address + 1)

    @property
    def proxy_address(self) -> str:
        return str(self.subnet.network_address + 2)

    @property
    def sandbox_address(self) -> str:
        return str(self.subnet.network_address + 3)


class NetworkPool:
    """All private networks of one node."""

    def __init__(self, api: docker.APIClient, node: str, pool: IPv4Network, size: int):
        self._api, self.node, self.pool, self.size = api, node, pool, size
        self._networks: dict[str, PrivateNetwork] = {}

    def prepare(self, engine_version: str, busy: Collection[str]) -> None:
        """Take over what an earlier life left, in good order, and make the rest."""
        options = isolation_options(engine_version)
        listed = self._api.networks()
        networks: dict[str, PrivateNetwork] = {}
        for found in listed:
            if (found.get("Labels") or {}).get(LABEL_NODE) != self.node:
                continue
            if found["Name"] in busy or (self._usable(found, options) and len(networks) < self.size):
                networks[found["Name"]] = PrivateNetwork(found["Name"], _subnets(found)[0])
            else:
                self._discard(found["Id"])
        taken = [subnet for found in listed for subnet in _subnets(found)] + host_routes()
        subnets = candidate_subnets(self.pool, taken, zlib.crc32(self.node.encode()))
        names = (f"vnode-{self.node}-net-{number}" for number in range(1, 1 << 16))
        for name in names:
            if len(networks) >= self.size:
                break
            if name not in networks:
                networks[name] = self._create(name, subnets, options)
        self._networks = networks

    def names(self) -> tuple[str, ...]:
        return tuple(self._networks)

    def network(self, name: str) -> PrivateNetwork:
        return self._networks[name]

    def remove_all(self) -> None:
        for name in self.names():
            self._discard(name)
        self._networks = {}

    def _usable(self, found: dict[str, Any], options: dict[str, str]) -> bool:
        subnets = _subnets(found)
        return (
            found["Internal"]
            and len(subnets) == 1
            and subnets[0].subnet_of(self.pool)
            and subnets[0].prefixlen == PREFIX
            and options.items() <= (found.get("Options") or {}).items()
        )

    def _create(self, name: str, subnets: Iterator[IPv4Network], options: dict[str, str]) -> PrivateNetwork:
        for subnet in subnets:
            try:
                self._api.create_network(
                    name,
                    driver="bridge",
                    options=options,
                    ipam=docker.types.IPAMConfig(
                        pool_configs=[
                            docker.types.IPAMPool(subnet=str(subnet), gateway=str(subnet.network_address + 1))
                        ]
                    ),
                    check_duplicate=True,
                    internal=True,
                    labels={LABEL_NODE: self.node, LABEL_KIND: "network"},
                )
            except APIError as error:
                if "overlap" in str(error.explanation).lower():  # another node was faster, or a route the engine sees
                    continue
                raise
            return PrivateNetwork(name, subnet)
        raise NetworksExhausted(f"There is no free /{PREFIX} left in {self.pool}.")

    def _discard(self, name: str) -> None:
        with suppress(NotFound):
            inspected = self._api.inspect_network(name)
            for container in inspected.get("Containers") or {}:
                with suppress(NotFound):
                    self._api.disconnect_container_from_network(container, name, force=True)
            self._api.remove_network(name)


def _subnets(found: dict[str, Any]) -> list[IPv4Network]:
    configs: Iterable[dict[str, Any]] = (found.get("IPAM") or {}).get("Config") or []
    return [IPv4Network(config["Subnet"]) for config in configs if ":" not in config.get("Subnet", ":")]
