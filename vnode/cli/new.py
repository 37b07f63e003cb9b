"""`vnode new`: write a configuration, with comments."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import yaml

from vnode.cli._choice import level_options
from vnode.config import NodeSettings
from vprotocol.errors import UsageError
from vruntime import config, contexts
from vruntime.atomic import make_private_folder, write_new
from vruntime.cli import Out
from vruntime.cli import command as cli_command
from vruntime.contexts import Environment, Kind, Level
from vruntime.wizard import Question, answerable, ask

API_KEY_VARIABLE = "VNODE_API_KEY"
SOURCE_KEYS = ("label", "type", "path", "collaborations", "projects", "open", "query", "sheet_name")
SOURCE_TYPES = ("csv", "tsv", "parquet", "excel", "sql", "folder", "other")


def _whole_number(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 256:
        raise ValueError("write a number from 1 to 256")
    return int(text)


def _address(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise ValueError("an address starts with https:// (or http://)")
    return text.rstrip("/")


def _has_source(answers: Mapping[str, Any]) -> bool:
    return bool(answers["data_path"])


QUESTIONS = (
    Question("hub", "Address of the hub?", check=_address),
    Question(
        "api_key",
        f"API key of this node? (empty: it will be in the environment variable {API_KEY_VARIABLE})",
        default="",
        secret=True,
        help=f"A file that holds the API key (- is standard input); without it, the variable {API_KEY_VARIABLE}.",
    ),
    Question(
        "organization",
        "Name of your organization, for a new identity? (empty: the node's name)",
        default="",
        help="Name of the organization in a new identity.",
    ),
    Question(
        "private_key",
        "File of the organization key, if your organization has one already? (empty: make a new identity)",
        default="",
        help="File of an organization key that exists already.",
    ),
    Question(
        "executor",
        "How to run algorithms? (process: no isolation, for demonstrations only)",
        default="docker",
        choices=("docker", "process"),
    ),
    Question("image", "Image of the node?", default="vestal", only_if=lambda given: given["executor"] == "docker"),
    Question("max_runs", "How many runs at the same time?", default="4", check=_whole_number),
    Question(
        "trust",
        "Whose requests to accept? (verified: only where the ten words were compared)",
        default="verified",
        choices=("verified", "first-contact"),
    ),
    Question(
        "images",
        "Which images may run? (patterns with *, with commas between; empty: none yet; *: any)",
        default="",
        help="Patterns of images that may run, with commas between.",
    ),
    Question("data_path", "Path of a data source? (empty: none yet)", default="", help="Path of a data source."),
    Question("data_label", "What is it called in requests?", default="default", only_if=_has_source),
    Question("data_type", "What is it?", default="csv", choices=SOURCE_TYPES, only_if=_has_source),
    Question(
        "data_collaborations",
        "Which collaborations may use it? (their names of 32 hex digits, with commas between, or any)",
        default="any",
        only_if=_has_source,
        help="Names of the collaborations that may use the data source, or any.",
    ),
    Question(
        "data_open",
        "Is it public or synthetic, so that it needs no isolation?",
        default=False,
        yes_no=True,
        only_if=_has_source,
        help="The data source is public or synthetic.",
    ),
)

_TEMPLATE = """\
# The node `{name}`. What is not here has a default. `${{NAME}}` in a value is that environment variable.
# After a change: vnode restart {name}
name: {name}

hub:
  url: {hub}
  # From the hub's administrator. Whoever has it can be this node to the hub, and read nothing.
  api_key: {api_key}
  # Your own certificate authority, and the proxy that this machine uses:
  # ca_bundle: /etc/ssl/certs/hospital.pem
  # proxies: {{https: http://proxy.hospital.example:3128}}

# The organization's name in a new identity, which the first start makes.
{organization}
# An organization that has its keys already: nodes of one organization share this file.
{private_key}

# docker isolates algorithms; process does not and refuses data that is not `open: true`.
executor: {executor}
image: {image}
max_runs: {max_runs}
{process_images}
# Data: nobody may use a source unless `collaborations` or `projects` name them (32 hex digits each), or say any.
# types: {types}
{data_sources}

policy:
  # Refuse what is not sealed.
  encrypted_only: true
  # verified: only plans of organizations whose ten words you have compared (`vnode trust verify`); or first-contact.
  trust: {trust}
  # Which images may run: NAME or NAME@sha256:DIGEST, * for any text. An empty list allows none.
  images: {images}
  # Whose people may ask (fingerprints), and with which keys. Without these lines: everybody in the collaboration.
  # organizations: []
  # users: []
  # Which functions of an image may be called.
  # functions: {{"registry.example.org/stats/average": [partial]}}
  # The most that a run may ask for.
  # max: {{memory: 4GiB, cpus: 2, time: 1h, output: 50MiB, scratch: 4GiB}}
  # none: refuse plans that let people download final outputs.
  # downloads: allow

# Variables that every algorithm gets, such as the address of a proxy.
# algorithm_env: {{}}

# How old the newest word about an organization's keys may be: this bounds how long a revocation can be hidden.
# max_key_log_age: 7d
# How long a stop waits for what runs.
# drain: 30s
"""


def written(name: str, answers: Mapping[str, Any], sources: list[dict[str, Any]], images: list[dict[str, Any]]) -> str:
    """The text of a new configuration file."""

    def line(key: str, value: Any, example: str) -> str:
        return f"{key}: {_scalar(value)}" if value else f"# {key}: {example}"

    patterns = [pattern.strip() for pattern in answers["images"].split(",") if pattern.strip()]
    example = "# data_sources:\n#   - {label: default, type: csv, path: /data/patients.csv, collaborations: any}"
    return _TEMPLATE.format(
        name=name,
        hub=_scalar(answers["hub"]),
        api_key=_scalar(_literal(answers["api_key"])) if answers["api_key"] else f"${{{API_KEY_VARIABLE}}}",
        organization=line("organization", answers["organization"], "Hospital A"),
        private_key=line("private_key", answers["private_key"], "/etc/vestal/organization.key"),
        executor=answers["executor"],
        image=_scalar(answers.get("image", "vestal")),
        max_runs=answers["max_runs"],
        process_images=_block("process_images", images) if images else "",
        types=", ".join(SOURCE_TYPES),
        data_sources=_block("data_sources", sources) if sources else example,
        trust=answers["trust"],
        images=yaml.safe_dump(patterns, default_flow_style=True, width=10_000).strip(),
    )


def _literal(secret: str) -> str:
    return secret.replace("${", "$${")


def _scalar(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).splitlines()[0]


def _block(key: str, items: list[dict[str, Any]]) -> str:
    return yaml.safe_dump({key: items}, sort_keys=False, width=10_000).strip()


def _answered_source(answers: Mapping[str, Any]) -> list[dict[str, Any]]:
    if not answers["data_path"]:
        return []
    return [
        {
            "label": answers["data_label"],
            "type": answers["data_type"],
            "path": str(Path(answers["data_path"]).expanduser().absolute()),
            "collaborations": _names(answers["data_collaborations"]),
            **({"open": True} if answers["data_open"] else {}),
        }
    ]


def _names(text: str) -> str | list[str]:
    return "any" if text.strip() == "any" else [name.strip() for name in text.split(",") if name.strip()]


def _pairs(text: str, option: str, known: tuple[str, ...]) -> dict[str, Any]:
    """`label=default,path=/data/a.csv`"""
    found: dict[str, Any] = {}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        if not equals or key.strip() not in known:
            raise UsageError(
                f"{option}: `{part}` is not KEY=VALUE.", hint=f"The keys are {', '.join(known)}; commas between them."
            )
        found[key.strip()] = value.strip()
    if "path" in found:
        found["path"] = str(Path(found["path"]).expanduser().absolute())
    return found


def _given_source(text: str) -> dict[str, Any]:
    found = _pairs(text, "--data-source", SOURCE_KEYS)
    found |= {key: _names(found[key].replace("+", ",")) for key in ("collaborations", "projects") if key in found}
    if "open" in found:
        found["open"] = found["open"] == "true"
    return {"label": "default", "type": "csv", **found}


@cli_command("new", short_help="Make a node's configuration.")
@click.argument("name")
@level_options[0]
@level_options[1]
@answerable(QUESTIONS)
@click.option(
    "--data-source",
    "more_sources",
    multiple=True,
    metavar="KEY=VALUE,...",
    help="A further data source, such as label=scans,type=folder,path=/data/scans,collaborations=any. Repeatable.",
)
@click.option(
    "--process-image",
    "process_images",
    multiple=True,
    metavar="KEY=VALUE,...",
    help="For the executor process: name=...,package=...,path=... Repeatable.",
)
def command(
    name: str,
    level: Level | None,
    more_sources: tuple[str, ...],
    process_images: tuple[str, ...],
    out: Out,
    **given: Any,
) -> None:
    """Make the configuration of a node called NAME. Questions that no option answers are asked."""
    path = contexts.new_config_file(Kind.NODE, name, level)
    answers = ask(QUESTIONS, given)
    sources = [*_answered_source(answers), *map(_given_source, more_sources)]
    images = [_pairs(text, "--process-image", ("name", "package", "path")) for text in process_images]
    text = written(name, answers, sources, images)
    config.loads(text, NodeSettings, source=path.name, env={API_KEY_VARIABLE: "x" * 16})
    make_private_folder(path.parent)
    write_new(path, text.encode())
    out.result({"name": name, "configuration": str(path), "environment": Environment.PLAIN}, str(path))
    out.say(f"`vnode doctor {name}` checks it; `vnode start {name}` starts the node.")
