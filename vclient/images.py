"""Which image is meant: always by the digest of its configuration, never by a tag alone."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from vclient.errors import DigestMissing
from vprotocol.errors import UsageError
from vprotocol.plan import PlanImage

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NOT_IN_A_LABEL = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True)
class ImageRef:
    """An image by name and by what it holds.

    :param config_digest: the image id that an engine shows, `sha256:...`
    :param manifest_digest: by which a site may pull it from a registry
    """

    name: str
    config_digest: str
    manifest_digest: str | None = None

    def __post_init__(self) -> None:
        if not self.name or "@" in self.name:
            raise UsageError(f"{self.name!r} is not the name of an image")
        for digest in (self.config_digest, self.manifest_digest):
            if digest is not None and not _DIGEST.fullmatch(digest):
                raise UsageError(
                    f"{digest!r} is not a digest", hint="A digest is sha256: and 64 hex digits in small letters."
                )

    def __str__(self) -> str:
        return f"{self.name}@{self.config_digest}"


Digests = Mapping[str, str | ImageRef]


class Images:
    """Names → images, from what the caller knows; and the labels by which a plan names them."""

    def __init__(self, known: Digests | None = None) -> None:
        self._known = dict(known or {})

    def find(self, reference: "str | ImageRef") -> ImageRef:
        """:raises DigestMissing: nothing says which image the name means."""
        if isinstance(reference, ImageRef):
            return reference
        name, at, digest = reference.partition("@")
        known = self._known.get(reference) or self._known.get(name)
        if isinstance(known, str):
            known = ImageRef(name, known)
        if at:
            found = ImageRef(name, digest)
            if known is not None and known.config_digest != found.config_digest:
                raise UsageError(f"{name} is named with two different digests")
            return known or found
        if known is None:
            raise DigestMissing(f"the image {reference} is named without its digest")
        return known


class ImageLabels:
    """Gives each different image one label of the plan, made from its name."""

    def __init__(self) -> None:
        self.images: dict[str, PlanImage] = {}

    def label(self, image: ImageRef) -> str:
        wanted = PlanImage(name=image.name, manifest_digest=image.manifest_digest, config_digest=image.config_digest)
        for label, found in self.images.items():
            if found == wanted:
                return label
        last = image.name.rsplit("/", 1)[-1].split(":", 1)[0]
        plain = _NOT_IN_A_LABEL.sub("-", last).strip("-_")[:50] or "image"
        stem = plain if plain[0].isalpha() else f"i-{plain}"
        label = stem
        number = 2
        while label in self.images:
            label, number = f"{stem}-{number}", number + 1
        self.images[label] = wanted
        return label
