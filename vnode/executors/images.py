"""Finding images by what they are, not by what they are called; pulling each at most once at a time."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound

from vnode.executors.base import ImageRef, ResolvedImage
from vnode.executors.errors import ImageMissing, ImageRefused

LABEL_ENCODING = "vestal.env-encoding"  # an image may say which encoding of variables its tools read


class Images:
    def __init__(self, api: docker.APIClient, pull_timeout_s: float):
        self._api, self._pull_timeout_s = api, pull_timeout_s
        self._pulls: dict[str, Future[None]] = {}
        self._lock = threading.Lock()

    def resolve(self, image: ImageRef) -> ResolvedImage:
        """By config digest if the plan names one: what is here with it needs no registry and no name."""
        found = self._inspect(image.config_digest or pull_name(image))
        if found is not None:
            return resolved(found)
        try:
            self._pull_once(pull_name(image), image.config_digest)
        except ImageMissing:
            if (other := self._inspect(pull_name(image))) is None:
                raise
        else:
            if (found := self._inspect(image.config_digest or pull_name(image))) is not None:
                return resolved(found)
            if (other := self._inspect(pull_name(image))) is None:
                raise ImageMissing(f"The registry gave no image for {image.name}.")
        raise ImageRefused(f"{image.name} is {other['Id']}; the plan names {image.config_digest}.")

    def _inspect(self, reference: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self._api.inspect_image(reference)
        except (ImageNotFound, NotFound):
            return None
        return found

    def _pull_once(self, reference: str, config_digest: str | None) -> None:
        with self._lock:
            pull = self._pulls.get(reference)
            mine = pull is None
            if pull is None:
                pull = self._pulls[reference] = Future()
        if mine:
            try:
                if self._inspect(config_digest or reference) is None:  # else somebody has just pulled it
                    self._pull(reference)
                pull.set_result(None)
            except Exception as error:
                pull.set_exception(error)
            finally:
                with self._lock:
                    del self._pulls[reference]
        pull.result(self._pull_timeout_s)

    def _pull(self, reference: str) -> None:
        repository, tag = split_reference(reference)
        try:
            for line in self._api.pull(repository, tag=tag, stream=True, decode=True):
                if "error" in line:
                    raise ImageMissing(f"{reference} could not be pulled: {line['error']}")
        except (APIError, NotFound) as error:
            raise ImageMissing(f"{reference} could not be pulled: {error.explanation}") from error
        except (DockerException, OSError) as error:
            raise ImageMissing(f"{reference} could not be pulled: {error}") from error


def pull_name(image: ImageRef) -> str:
    return f"{image.name}@{image.manifest_digest}" if image.manifest_digest else image.name


def split_reference(reference: str) -> tuple[str, str]:
    """Repository and tag or digest: Docker's API pulls every tag where none is named."""
    if "@" in reference:
        repository, _, digest = reference.partition("@")
        return repository, digest
    head, colon, tag = reference.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (reference, "latest")


def resolved(found: dict[str, Any]) -> ResolvedImage:
    config = found.get("Config") or {}
    labels = config.get("Labels") or {}
    encoding = labels.get(LABEL_ENCODING)
    return ResolvedImage(
        id=found["Id"],
        config_digest=found["Id"],
        environment=dict(entry.partition("=")[::2] for entry in config.get("Env") or ()),
        labels=labels,
        env_encoding=encoding if encoding in ("base32", "plain") else None,
    )
