"""A lock file: which digest the name of an image means, written down once and kept beside the analysis."""

from pathlib import Path
from typing import Any

from vclient.images import ImageRef
from vprotocol.errors import ConfigInvalid, UsageError
from vruntime.yaml_source import YamlInvalid, read_yaml


def read_lock_file(path: Path) -> dict[str, str | ImageRef]:
    """A YAML or JSON file: name → digest, or name → `{config_digest, manifest_digest}`.

    :raises ConfigInvalid: not such a file.
    """
    try:
        document = read_yaml(path).data
    except YamlInvalid as error:
        raise ConfigInvalid(str(error), hint=error.hint, fields=error.fields) from None
    if not isinstance(document, dict):
        raise ConfigInvalid(f"{path}: a lock file maps names of images to digests")
    return {str(name): _locked(path, str(name), value) for name, value in document.items()}


def _locked(path: Path, name: str, value: Any) -> ImageRef:
    fields = {"config_digest": value} if isinstance(value, str) else value
    if not isinstance(fields, dict) or not {"config_digest"} <= set(fields) <= {"config_digest", "manifest_digest"}:
        raise ConfigInvalid(f"{path}: {name}: write its digest, or config_digest and manifest_digest")
    try:
        return ImageRef(name, str(fields["config_digest"]), fields.get("manifest_digest"))
    except UsageError as error:
        raise ConfigInvalid(f"{path}: {error}", hint=error.hint) from None
