"""What a node has left at the engine: found by its label, kept where a run that is not finished still needs it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import docker
from docker.errors import APIError, DockerException, NotFound

from vnode.executors.docker_convert import LABEL_JOB, LABEL_KIND, LABEL_NODE, LABEL_SEAT, LABEL_VOLUME
from vnode.executors.errors import EngineUnreachable, ExecutorError

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Leftover:
    what: Literal["container", "network", "volume"]
    kind: str  # sandbox, seat, relay, ...
    name: str


@dataclass(frozen=True)
class LocalImage:
    """`name`: as a plan names it. `config_digest`: what decides whether it is the same image."""

    name: str
    config_digest: str
    size_bytes: int
    created: str


class Engine:
    """The engine's view of a node that does not run."""

    def __init__(self, client: docker.DockerClient | None = None):
        try:
            self._client = client or docker.from_env()
        except DockerException as error:
            raise EngineUnreachable() from error
        self._api = self._client.api

    def close(self) -> None:
        self._client.close()

    def version(self) -> str:
        try:
            return str(self._api.version()["Version"])
        except (DockerException, OSError) as error:
            raise EngineUnreachable() from error

    def images(self) -> list[LocalImage]:
        """Every image here that has a name, by its names."""
        found = []
        for image in self._api.images():
            for name in image.get("RepoTags") or ():
                if name != "<none>:<none>":
                    found.append(LocalImage(name, image["Id"], int(image["Size"]), str(image["Created"])))
        return sorted(found, key=lambda one: one.name)

    def leftovers(
        self, node: str, keeps: Callable[[Labels], bool], open_jobs: Collection[str] | None
    ) -> list[Leftover]:
        """In the order in which they can be removed.

        :param keeps: whether a sandbox with these labels is still needed; what it sits on is kept with it.
        :param open_jobs: whose shared scratch is kept; none: everybody's.
        """
        containers = self._listed_containers(node)
        sandboxes = [labels for labels in containers.values() if labels.get(LABEL_KIND) == "sandbox" and keeps(labels)]
        seats = {labels[LABEL_SEAT] for labels in sandboxes if LABEL_SEAT in labels}
        volumes = seats | {labels[LABEL_VOLUME] for labels in sandboxes if LABEL_VOLUME in labels}
        networks = {seat.replace("-seat-", "-net-") for seat in seats}
        found = [
            Leftover("container", labels.get(LABEL_KIND, ""), name)
            for name, labels in containers.items()
            if labels not in sandboxes and name not in seats and not (seats and labels.get(LABEL_KIND) == "relay")
        ]
        found += [Leftover("network", "network", name) for name in self._listed_networks(node) if name not in networks]
        for name, labels in self._listed_volumes(node).items():
            shared = labels.get(LABEL_KIND) == "scratch"
            kept = (open_jobs is None or labels.get(LABEL_JOB) in open_jobs) if shared else name in volumes
            if not kept:
                found.append(Leftover("volume", labels.get(LABEL_KIND, ""), name))
        return sorted(found, key=lambda one: (_ORDER[one.what], one.name))

    def remove(self, leftover: Leftover) -> None:
        """Removing what is gone is fine."""
        try:
            with suppress(NotFound):
                if leftover.what == "container":
                    self._api.remove_container(leftover.name, force=True, v=True)
                elif leftover.what == "network":
                    self._remove_network(leftover.name)
                else:
                    self._api.remove_volume(leftover.name)
        except APIError as error:
            raise ExecutorError(f"{leftover.name} could not be removed: {error.explanation}") from error

    def _remove_network(self, name: str) -> None:
        for container in self._api.inspect_network(name).get("Containers") or {}:
            with suppress(NotFound):
                self._api.disconnect_container_from_network(container, name, force=True)
        self._api.remove_network(name)

    def _listed_containers(self, node: str) -> dict[str, Labels]:
        listed = self._api.containers(all=True, filters={"label": [f"{LABEL_NODE}={node}"]})
        return {entry["Names"][0].removeprefix("/"): entry["Labels"] for entry in listed}

    def _listed_networks(self, node: str) -> list[str]:
        # Asked one by one: old engines filter networks by label loosely.
        listed: list[dict[str, Any]] = self._api.networks()
        return [entry["Name"] for entry in listed if (entry.get("Labels") or {}).get(LABEL_NODE) == node]

    def _listed_volumes(self, node: str) -> dict[str, Labels]:
        listed = self._api.volumes(filters={"label": [f"{LABEL_NODE}={node}"]})["Volumes"] or ()
        return {entry["Name"]: entry.get("Labels") or {} for entry in listed}


_ORDER = {"container": 0, "network": 1, "volume": 2}
