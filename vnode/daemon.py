"""The node's process: everything is made and joined here, on one page."""

import logging
import shutil
import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proxy.app import create_app
from proxy.serve import ProxyServer, serve_listener, serve_tcp, serve_unix
from vnode.audit import Audit
from vnode.checking import reason_for
from vnode.config import NodeSettings
from vnode.delegation import DelegationDesk
from vnode.executors.base import Executor
from vnode.gate import CapabilityGate
from vnode.identity import KeyPlaces, agree_with_hub, open_identity, read_key_log, write_key_log
from vnode.journal import Entry, Journal, Phase
from vnode.leases import Lease, Leases, Room
from vnode.outbox import Outbox
from vnode.poller import Ears, Poller
from vnode.reporter import Hub
from vnode.runner import Runner, Tools, key_of
from vnode.vault import Vault
from vprotocol.errors import ConfigInvalid, VestalError
from vprotocol.ids import NodeId
from vprotocol.keylog import KeyLog
from vprotocol.messages.sync import Assignment
from vruntime.atomic import make_private_folder
from vruntime.clock import Clock, SystemClock
from vruntime.directory import Directory
from vruntime.trust_store import TrustStore
from vruntime.version import VERSION

log = logging.getLogger(__name__)

HOUSEKEEPING_S = 15.0
HOUSEKEEPER_STOP_S = 5.0
RENEW_HEAD_AFTER_S = 12 * 3600


@dataclass(frozen=True)
class Surroundings:
    """What the process gets from whoever starts it."""

    data_folder: Path
    executor: Executor
    proxy_socket: Path | None = None  # the proxy listens here (behind the relay), or
    proxy_address: tuple[str, int] | None = None  # here, or
    proxy_listener: socket.socket | None = None  # on this socket, which listens already
    clock: Clock = field(default_factory=SystemClock)
    http_session: Any = None  # tests reach a hub without a socket


class Daemon:
    """One node. `start` returns when the node listens to its hub; `stop` waits for what runs, as long as it may."""

    def __init__(self, settings: NodeSettings, around: Surroundings) -> None:
        self.settings, self._around = settings, around
        self._clock = around.clock
        folder = make_private_folder(around.data_folder)
        self._folder = folder
        self.leases = Leases()
        self.gate = CapabilityGate()
        self.journal = Journal(folder / "journal.sqlite")
        self.outbox = Outbox(folder / "outbox")
        self.audit = Audit(folder / "audit.jsonl", self._clock)
        self.hub = Hub.connect(settings.hub, self._clock, f"vnode/{VERSION}", around.http_session)
        self._places = KeyPlaces.at(folder, settings.private_key, settings.node_key)
        self.trust = TrustStore(self._places.trust_store)
        self._key_log_seen_ns = 0
        self._workspace = _emptied(folder / "workspace")
        self._stopping = threading.Event()
        self._running: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._proxy: ProxyServer | None = None
        self._housekeeper = threading.Thread(target=self._keep_house, name="housekeeping", daemon=True)

    # --- starting -----------------------------------------------------------------------------------------------
    def start(self) -> None:
        """:raises VestalError: what must be mended before this node can work; nothing runs then."""
        me = self.hub.whoami()
        if me.kind != "node" or me.organization is None:
            raise ConfigInvalid("hub.api_key is not that of a node", hint="Use the key that was shown at its creation.")
        organization_id = int(me.organization.id)
        name = self.settings.organization or self.settings.name
        identity = open_identity(self._places, name, self.settings.name, self._clock)
        directory = Directory(self.hub.http, self.trust, self._clock, max_head_age_s=self.settings.max_key_log_age)
        self.vault = Vault.open(self._places.organization_key, self._places.node_key, identity, directory)
        self._organization_id = organization_id
        self._agree(identity)
        self._around.executor.prepare()
        tools = Tools(
            settings=self.settings,
            hub=self.hub,
            vault=self.vault,
            directory=directory,
            executor=self._around.executor,
            journal=self.journal,
            outbox=self.outbox,
            leases=self.leases,
            gate=self.gate,
            audit=self.audit,
            clock=self._clock,
            workspace=self._workspace,
            node_id=NodeId(me.id),
        )
        self.runner = Runner(tools)
        desk = DelegationDesk(
            settings=self.settings,
            hub=self.hub,
            vault=self.vault,
            directory=directory,
            journal=self.journal,
            leases=self.leases,
            clock=self._clock,
            workspace=self._workspace,
            made_room=lambda: self.poller.nudge(),
        )
        self._proxy = self._serve_proxy(desk)
        ears = Ears(self._room, self._offered, self.leases.cancel, self.journal.open_jobs, self._end_job)
        self.poller = Poller(self.hub, self.leases, ears, self._clock, tags=self.settings.tags, version=VERSION)
        self._resume()
        self.poller.start()
        self._housekeeper.start()

    def _serve_proxy(self, desk: DelegationDesk) -> ProxyServer | None:
        app = create_app(self.gate, desk)
        if self._around.proxy_socket is not None:
            return serve_unix(app, self._around.proxy_socket)
        if self._around.proxy_address is not None:
            return serve_tcp(app, *self._around.proxy_address)
        if self._around.proxy_listener is not None:
            return serve_listener(app, self._around.proxy_listener)
        return None

    def _agree(self, identity: KeyLog) -> None:
        """Hub and node show the same identity, with a fresh head."""
        agreed = agree_with_hub(self.hub, self._organization_id, identity)
        head = agreed.head_body
        now = int(self._clock.now())
        if head is None or now - head.issued_at > RENEW_HEAD_AFTER_S:
            agreed = self.vault.fresh_head(agreed, now)
            self.hub.upload_key_log(self._organization_id, agreed)
        self.vault.identity = agreed
        write_key_log(self._places.key_log, agreed)
        self.trust.accept(agreed, now, self._organization_id, own=True)

    def _resume(self) -> None:
        """Go on with everything that was begun before: nothing is lost."""
        for entry in self.journal.unfinished():
            log.info("going on with run %s, which was %s", entry.run, entry.phase.value)
            self._take(entry.assignment)
        for outgoing in self.outbox.waiting():
            if self.journal.find(outgoing.key) is None:  # a refusal: it never used up a key
                self.runner.deliver(outgoing.key)

    @property
    def proxy_port(self) -> int | None:
        """Where the proxy listens, when it listens on a TCP port."""
        return self._proxy.port if self._proxy is not None and self._around.proxy_address is not None else None

    # --- runs ---------------------------------------------------------------------------------------------------
    def _room(self) -> Room:
        return self.leases.room(self.settings.max_runs)

    def _offered(self, assignment: Assignment) -> None:
        """A hub that hands over more than was asked for does not decide how much this machine runs."""
        if self.leases.get(assignment.run) is None and len(self.leases) >= 2 * self.settings.max_runs:
            log.warning("run %s is not taken: the hub hands over more runs than there are places", assignment.run)
            return
        self._take(assignment)

    def _take(self, assignment: Assignment) -> None:
        lease = self.leases.take(assignment)
        if lease is None:
            return
        thread = threading.Thread(target=self._run, args=(assignment, lease), name=f"run-{assignment.run}", daemon=True)
        with self._lock:
            self._running.add(thread)
            thread.start()  # with the lock held: nobody joins a thread that has not begun

    def _run(self, assignment: Assignment, lease: Lease) -> None:
        try:
            self.runner.run(assignment, lease, self._begun(assignment))
        except VestalError as error:
            log.error("an assignment could not even be read: %s", error)
            self.audit.write("refused", f"run {assignment.run}", reason=reason_for(error).value)
        except Exception:
            log.exception("the node made a mistake with an assignment")
        finally:
            self._end_lease(assignment.run)
            with self._lock:
                self._running.discard(threading.current_thread())
            self.poller.nudge()

    def _begun(self, assignment: Assignment) -> Entry | None:
        """What the journal knows of this attempt, if it is to be gone on with. The same run under another number is
        not: the hub repeats itself."""
        entry = self.journal.find(key_of(assignment))
        return None if entry is None or entry.phase is Phase.ENDED or entry.run != assignment.run else entry

    def _end_lease(self, run: int) -> None:
        if self.outbox.holds(run):
            self.leases.rest(run)
        else:
            self.leases.drop(run)

    def _end_job(self, job: str) -> None:
        """Remove what the job's runs shared here."""
        if any(lease_job == job for lease_job in self.leases.jobs()):
            return
        self._around.executor.end_job(job)
        self.journal.close_job(job)

    # --- keeping house ------------------------------------------------------------------------------------------
    def _keep_house(self) -> None:
        """Deliver what could not be delivered, keep the key log fresh, forget expired keys."""
        while not self._clock.wait(self._stopping, HOUSEKEEPING_S):
            for duty in (self._deliver_waiting, self._notice_new_entries, self._renew_head, self._forget):
                try:
                    duty()
                except VestalError as error:
                    log.warning("housekeeping: %s", error)
                except Exception:
                    log.exception("housekeeping met a mistake of the node")

    def _deliver_waiting(self) -> None:
        for outgoing in self.outbox.waiting():
            lease = self.leases.get(outgoing.run)
            if (lease is None or lease.resting) and self.runner.deliver(outgoing.key):
                self.leases.drop(outgoing.run)

    def _notice_new_entries(self) -> None:
        """`vnode keys` writes the key log of a running node too."""
        written_ns = self._places.key_log.stat().st_mtime_ns
        if written_ns != self._key_log_seen_ns:
            written = read_key_log(self._places.key_log)
            if written.number > self.vault.identity.number:
                log.info("the key log has %d new entries", written.number - self.vault.identity.number)
                self._agree(written)
            self._key_log_seen_ns = written_ns

    def _renew_head(self) -> None:
        head = self.vault.identity.head_body
        if head is None or self._clock.now() - head.issued_at > RENEW_HEAD_AFTER_S:
            self._agree(self.vault.identity)

    def _forget(self) -> None:
        self.journal.forget_expired(self._clock.now())

    # --- stopping -----------------------------------------------------------------------------------------------
    def wait(self, timeout_s: float | None = None) -> bool:
        """Until somebody calls `request_stop`; True if somebody did."""
        return self._stopping.wait(timeout_s)

    def request_stop(self) -> None:
        """Safe to call from a signal handler."""
        self._stopping.set()

    def stop(self) -> None:
        """Drain: take nothing new, wait for what runs. What still runs after that is found again at the next start."""
        self._stopping.set()
        poller: Poller | None = getattr(self, "poller", None)
        if poller is not None:
            poller.drain()
            self._await_runs()
            self.runner.abandoned.set()
            poller.stop(timeout_s=0.2)
        if self._housekeeper.is_alive():
            self._housekeeper.join(HOUSEKEEPER_STOP_S)
        if self._proxy is not None:
            self._proxy.stop()
        self._around.executor.close()
        self.hub.http.close()
        self.audit.close()
        self.journal.close()

    def _await_runs(self) -> None:
        until = self._clock.monotonic() + self.settings.drain
        with self._lock:
            running = list(self._running)
        for thread in running:
            thread.join(max(0.0, until - self._clock.monotonic()))


def _emptied(folder: Path) -> Path:
    """The workspace holds nothing that must survive: opened inputs of runs that are over."""
    if folder.exists():
        shutil.rmtree(folder)
    return make_private_folder(folder)
