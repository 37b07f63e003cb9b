"""`vnode doctor`: ordered checks, each with what to do about it."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Literal

import click

from vnode import launch
from vnode.cli._choice import Choice, chosen_node
from vnode.cli._key_log import door
from vnode.cli._status import is_running
from vnode.containment import LOOPBACK_NAMES
from vnode.deployment import Deployment
from vnode.executors.leftovers import Engine
from vnode.identity import read_key_log
from vnode.reporter import Hub
from vprotocol.errors import ConfigInvalid, IdentityChanged, KeyUnknown, NotAuthenticated, VestalError
from vprotocol.keylog import CLOCK_SKEW_S
from vprotocol.keys import KeyKind
from vprotocol.words import spoken
from vruntime.cli import UNEXPECTED, Out
from vruntime.cli import command as cli_command
from vruntime.clock import Clock, SystemClock
from vruntime.keyfiles import read_key

LEAST_FREE_BYTES = 2 * 2**30
WELCOME_SKEW_S = 60  # more is worth a word, and more than CLOCK_SKEW_S stops things
REQUEST_WITHIN_S = 15.0

State = Literal["ok", "warning", "failed", "skipped"]
SIGNS: dict[State, str] = {"ok": "ok", "warning": "!", "failed": "FAILED", "skipped": "-"}


@dataclass(frozen=True)
class Finding:
    check: str
    state: State
    detail: str
    fix: str | None = None


@dataclass(frozen=True)
class Patient:
    node: Deployment
    hub: Hub
    clock: Clock


Check = Callable[[Patient], Finding]


@cli_command("doctor", short_help="Check a node's surroundings.")
@chosen_node
@click.option("--probe/--no-probe", default=True, help="Prove the isolation with a sandbox (takes some seconds).")
def command(choice: Choice, probe: bool, out: Out) -> int:
    """Check, in order, what the node NAME (or the only one) needs. The exit code is 1 if anything failed."""
    findings = []
    for finding in examined(choice, SystemClock(), probe=probe):
        findings.append(finding)
        if not out.as_json:
            out.line(f"{SIGNS[finding.state]:<7} {finding.check}: {finding.detail}")
            if finding.fix and finding.state != "ok":
                out.line(f"        fix: {finding.fix}")
    if out.as_json:
        out.result([asdict(finding) for finding in findings])
    return UNEXPECTED if any(finding.state == "failed" for finding in findings) else 0


def examined(choice: Choice, clock: Clock, *, probe: bool) -> Iterator[Finding]:
    """The findings as they are made; what cannot be checked after a failure is skipped."""
    try:
        node = choice.load(variables_needed=True)
    except VestalError as error:
        yield _failed("configuration", error)
        return
    yield Finding("configuration", "ok", str(node.context.config_file))
    patient = Patient(node, door(node, clock), clock)
    failed: set[str] = set()
    for name, check, needs in CHECKS:
        if name == "isolation" and not probe:
            yield Finding(name, "skipped", "not asked for")
            continue
        if missing := [need for need in needs if need in failed]:
            failed.add(name)
            yield Finding(name, "skipped", f"needs: {', '.join(missing)}")
            continue
        finding = _examine(name, check, patient)
        if finding.state == "failed":
            failed.add(name)
        yield finding


def _examine(name: str, check: Check, patient: Patient) -> Finding:
    try:
        return check(patient)
    except VestalError as error:
        return _failed(name, error)
    except OSError as error:
        return Finding(name, "failed", f"{error.strerror or type(error).__name__}: {error.filename or ''}")


def _failed(name: str, error: VestalError) -> Finding:
    return Finding(name, "failed", str(error), error.hint)


# --- the checks ------------------------------------------------------------------------------------------------------
def keys(patient: Patient) -> Finding:
    """Each file is readable by its owner only, holds what it should, and is certified."""
    places = patient.node.places
    if not places.organization_key.exists() and not places.key_log.exists():
        return Finding("keys", "warning", "there are none yet", "The first start makes them.")
    log = read_key_log(places.key_log)
    now = int(patient.clock.now())
    for path, kind in ((places.organization_key, KeyKind.ORGANIZATION), (places.node_key, KeyKind.NODE)):
        key = read_key(path, kind).public
        if key.id not in log.certificates:
            raise KeyUnknown(f"the key in {path} is not certified in the key log of {log.name}")
        log.certificate(key.id, kind, now)
    if places.root.exists():
        read_key(places.root, KeyKind.ROOT)
        fix = f"Move {places.root} to a place that is offline; it is needed to certify keys only."
        return Finding("keys", "warning", f"in order; the root of {log.name} is on this machine", fix)
    return Finding("keys", "ok", f"certified in the key log of {log.name}")


def hub(patient: Patient) -> Finding:
    answer = patient.hub.http.exchange("GET", "/version", anonymous=True, deadline_s=REQUEST_WITHIN_S)
    version = answer.body.get("version", "?") if isinstance(answer.body, dict) else "?"
    settings = patient.node.settings
    where = f"{settings.hub.url} answers, version {version}"
    host, _ = launch.hub_address(settings)
    if settings.executor == "docker" and host in LOOPBACK_NAMES:
        fix = "Write an address that also means the hub inside a container, or start with --foreground."
        return Finding("hub", "warning", f"{where}, but in the node's container {host} is the container", fix)
    if settings.hub.url.startswith("http://") and host not in LOOPBACK_NAMES:
        return Finding("hub", "warning", f"{where}, without TLS", "Put the hub behind https.")
    return Finding("hub", "ok", where)


def clock_difference(patient: Patient) -> Finding:
    answer = patient.hub.http.exchange("GET", "/version", anonymous=True, deadline_s=REQUEST_WITHIN_S)
    date = next((value for name, value in answer.headers.items() if name.lower() == "date"), None)
    if date is None:
        return Finding("clock", "skipped", "the hub does not say what time it is")
    off_s = patient.clock.now() - parsedate_to_datetime(date).timestamp()
    detail = f"{abs(off_s):.0f} s {'ahead of' if off_s > 0 else 'behind'} the hub"
    if abs(off_s) > WELCOME_SKEW_S:
        state: State = "failed" if abs(off_s) > CLOCK_SKEW_S else "warning"
        return Finding("clock", state, detail, "Let this machine's clock be set by NTP, or tell the hub's operator.")
    return Finding("clock", "ok", detail)


def login(patient: Patient) -> Finding:
    me = patient.hub.whoami()
    if me.kind != "node" or me.organization is None:
        raise ConfigInvalid("hub.api_key is not that of a node", hint="Use the key that was shown at its creation.")
    return Finding("login", "ok", f"node {me.id} of organization {me.organization.id}")


def identity(patient: Patient) -> Finding:
    """Hub and node show the same."""
    places = patient.node.places
    me = patient.hub.whoami()
    if me.organization is None:
        raise NotAuthenticated()
    shown = patient.hub.key_log(int(me.organization.id))
    if not places.key_log.exists():
        if shown is None:
            return Finding("identity", "ok", "none yet; the first start makes one")
        raise IdentityChanged(
            f"the hub shows an identity ({spoken(shown.fingerprint)}) and this node has none",
            hint="Copy the organization key and key-log.json from the organization's other node.",
        )
    own = read_key_log(places.key_log)
    if shown is None:
        return Finding("identity", "ok", "the hub has none yet; the next start brings it there")
    shorter, longer = (own, shown) if own.number <= shown.number else (shown, own)
    longer.check_continues(shorter.fingerprint, shorter.number, shorter.entries[-1].hash)
    return Finding("identity", "ok", f"the hub shows the same: {spoken(own.fingerprint)}")


def engine(patient: Patient) -> Finding:
    if patient.node.settings.executor == "process":
        fix = "Use the executor docker for anything but public or synthetic data."
        return Finding("engine", "warning", "the executor is process: nothing is isolated", fix)
    with closing(Engine()) as found:
        return Finding("engine", "ok", f"Docker {found.version()}")


def isolation(patient: Patient) -> Finding:
    """A sandbox tries the hub, the host and the world; under a name of its own, so that the node is not disturbed."""
    settings = patient.node.settings
    if settings.executor == "process":
        return Finding("isolation", "skipped", "the executor is process")
    if is_running(patient.node):
        return Finding("isolation", "ok", "proved when the node started")
    own = settings.model_copy(update={"name": f"{settings.name}-doctor", "max_runs": 1})
    executor = launch.docker_executor(own)
    try:
        executor.prepare()
    finally:
        executor.close()
    return Finding("isolation", "ok", "a sandbox reaches neither the hub, nor this machine, nor a name server")


def disk(patient: Patient) -> Finding:
    folder = _existing_parent(patient.node.folder)
    free = shutil.disk_usage(folder).free
    detail = f"{free / 2**30:.1f} GiB free at {folder}"
    if free < LEAST_FREE_BYTES:
        return Finding("disk", "failed", detail, "Results wait on disk until the hub has them: make room.")
    return Finding("disk", "ok", detail)


def data_sources(patient: Patient) -> Finding:
    sources = patient.node.settings.data_sources
    missing = [f"{source.label} ({source.path})" for source in sources if not source.path.exists()]
    if missing:
        fix = "Correct `path` in the configuration."
        return Finding("data sources", "failed", f"not there: {', '.join(missing)}", fix)
    if not sources:
        return Finding("data sources", "warning", "there are none", "Add `data_sources:` to the configuration.")
    return Finding("data sources", "ok", ", ".join(source.label for source in sources))


def _existing_parent(folder: Path) -> Path:
    return next(one for one in (folder, *folder.parents) if one.exists())


# In this order, and none before what it needs.
CHECKS: tuple[tuple[str, Check, tuple[str, ...]], ...] = (
    ("keys", keys, ()),
    ("hub", hub, ()),
    ("clock", clock_difference, ("hub",)),
    ("login", login, ("hub",)),
    ("identity", identity, ("login",)),
    ("engine", engine, ()),
    ("isolation", isolation, ("engine",)),
    ("disk", disk, ()),
    ("data sources", data_sources, ()),
)
