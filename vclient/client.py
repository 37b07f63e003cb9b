"""The researcher's side in one object: who asks, what is asked, what came of it. A facade: the work is elsewhere."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, Unpack, cast

from vclient import submitting
from vclient.api import job as job_api
from vclient.api import token as token_api
from vclient.connection import Connection
from vclient.images import Digests, ImageRef
from vclient.job import Job
from vclient.lock_file import read_lock_file
from vclient.members import MemberView
from vclient.planning import Orders, StepExplained, explain
from vclient.run_options import ABOUT_JOB, ABOUT_STEP, RunOptions
from vclient.sealing import UserKey
from vclient.settings import ClientSettings, Places, context_named, folder_for, settings_for
from vclient.workflow import Workflow
from vprotocol.errors import NotFound, UsageError
from vprotocol.ids import Fingerprint
from vprotocol.key_request import KeyRequest
from vprotocol.messages.collaboration import Collaboration
from vprotocol.messages.job import JobView
from vprotocol.messages.orders import Order
from vprotocol.messages.token import Whoami
from vprotocol.messages.user import User
from vprotocol.workflow.definition import Workflow as Definition
from vruntime.clock import Clock, SystemClock
from vruntime.http import Http
from vruntime.logs import register_secret
from vruntime.transfer import Progress
from vruntime.trust_store import Known

API = "/api/v1"


class Client:
    """A researcher at one hub.

        client = Client("https://hub.example.org")
        client.login("ada", getpass)
        job = client.run("registry/stats@sha256:...", "average", kwargs={"column": "age"})
        print(job.results())

    :param folder: where keys, tokens and known organizations are kept; default: the person's own data folder.
    :param first_contact: accept new members of a collaboration without asking (they stay unverified).
    :param session: a `requests.Session` to use instead of a new one.
    """

    def __init__(
        self,
        url: str,
        *,
        folder: Path | str | None = None,
        settings: ClientSettings | None = None,
        first_contact: bool | None = None,
        ca_bundle: Path | str | None = None,
        proxies: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        session: Any = None,
    ) -> None:
        base = url.rstrip("/").removesuffix(API)
        chosen = settings or settings_for(base)
        if first_contact is not None:
            chosen = chosen.model_copy(update={"first_contact": first_contact})
        clock = clock or SystemClock()
        http = Http(
            base + API,
            session=session,
            clock=clock,
            ca_bundle=ca_bundle or chosen.hub.ca_bundle,
            proxies=proxies or chosen.hub.proxies,
            user_agent="vestal-client",
        )
        self.url = base
        self._connection = Connection(http, chosen, Places(Path(folder or folder_for(base))), clock)

    @classmethod
    def from_context(cls, name: str | None = None, **options: Any) -> Self:
        """The client of a configuration; without a name the only one there is.

        :raises NotFound: there is none. UsageError: there are several.
        """
        found = context_named(name)
        if found is None:
            raise UsageError("no configuration is named, and there is not exactly one", hint="Name one, or give a URL.")
        settings, context = found
        return cls(settings.hub.url, settings=settings, **{"folder": context.data_folder, **options})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.http.close()

    @property
    def folder(self) -> Path:
        return self._connection.places.folder

    # --- who asks -------------------------------------------------------------------------------------------------
    def login(self, username: str, password: str | Callable[[], str], *, remember: bool = False) -> None:
        """Log in; `remember` keeps the tokens (never the password) in a file that only you can read.

        :raises LoginFailed, RateLimited: wrong, or too often wrong.
        """
        secret = password() if callable(password) else password
        register_secret(secret)
        pair = token_api.log_in(self._connection.http, username, secret)
        self._connection.forget_lists()
        self._connection.tokens.begin(pair, keep=remember)

    def make_first_administrator(self, code: str, username: str, password: str) -> User:
        """Make the hub's first administrator, with the code that `vserver start` printed.

        :raises NotFound: the code is wrong, used or too old. AlreadyExists: the hub has an administrator.
        """
        register_secret(code)
        register_secret(password)
        return token_api.make_first_administrator(self._connection.http, code, username, password)

    def logout(self) -> None:
        """End this log-in at the hub, and forget its tokens."""
        if self._connection.tokens.token() is not None:
            token_api.log_out(self._connection.http)
        self._connection.tokens.forget()
        self._connection.forget_lists()

    def whoami(self) -> Whoami:
        return self._connection.whoami()

    # --- keys -------------------------------------------------------------------------------------------------------
    def new_key(self, about: str) -> UserKey:
        """Make this device's user key.

        :raises KeyFileInvalid: there is one already; keys are never overwritten.
        """
        return UserKey.new(self._connection.places.user_key, about)

    @property
    def key(self) -> UserKey:
        """:raises NoUserKey: none was made."""
        return self._connection.key

    def key_request(self, subject: str) -> KeyRequest:
        """What the holder of the organization's root needs to certify this device's key."""
        return self.key.request(subject)

    # --- who could be asked ---------------------------------------------------------------------------------------
    def collaborations(self) -> tuple[Collaboration, ...]:
        self._connection.forget_lists()
        return self._connection.collaborations()

    def organizations(self, collaboration: str | int | None = None) -> list[MemberView]:
        """Who is there, with words, and whether they were accepted and verified here. Looking accepts nobody."""
        self._connection.forget_lists()
        chosen = None if collaboration is None else self._connection.collaboration(collaboration)
        return self._connection.members.views(self._connection.organizations(chosen), chosen)

    def organization(self, organization: str | int, collaboration: str | int | None = None) -> MemberView:
        """One organization of the hub's list, by number, name or fingerprint."""
        chosen = None if collaboration is None else self._connection.collaboration(collaboration)
        listed = self._connection.organizations(chosen)
        return self._connection.members.views([self._connection.organization(organization, listed)], chosen)[0]

    def accept(self, organization: str | int, collaboration: str | int | None = None) -> MemberView:
        """Let a member into plans of a collaboration. It stays unverified until its words were compared.

        :raises IdentityChanged, KeyLogInvalid: what the hub shows cannot be believed.
        """
        self._connection.forget_lists()
        chosen = self._connection.collaboration(collaboration)
        found = self._connection.organization(organization, self._connection.organizations(chosen))
        return self._connection.members.accept(chosen, found)

    def verify(self, organization: str | int) -> Known:
        """Mark an accepted organization as verified: a person has compared the words over another channel."""
        return self._connection.store.mark_verified(self.known_one(organization).fingerprint)

    def forget(self, organization: str | int) -> None:
        """Its next sight is a first contact again."""
        fingerprint = self.known_one(organization).fingerprint
        self._connection.store.forget(fingerprint)
        self._connection.members.accepted.forget(fingerprint)

    def known(self) -> list[Known]:
        """Every organization that was accepted here."""
        return self._connection.store.all()

    def known_one(self, wanted: str | int) -> Known:
        """An accepted organization by name, number, fingerprint or words.

        :raises NotFound: none, or several.
        """
        names: dict[Fingerprint, Known] = {
            one.fingerprint: one
            for one in self._connection.store.all()
            if wanted in (one.fingerprint, one.log.name, one.hub_id, str(one.hub_id), one.words)
        }
        if len(names) != 1:
            listed = ", ".join(f"{one.log.name} ({one.hub_id})" for one in self._connection.store.all()) or "none"
            raise NotFound(f"{wanted} is not exactly one accepted organization", hint=f"Accepted: {listed}.")
        return next(iter(names.values()))

    # --- jobs -------------------------------------------------------------------------------------------------------
    def run(
        self,
        what: str | ImageRef | Workflow | Definition,
        method: str | None = None,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        orders: Orders | None = None,
        progress: Progress | None = None,
        **options: Unpack[RunOptions],
    ) -> Job:
        """Seal, sign, submit.

        Either an image and a method, which is a workflow of one step; or a workflow and its orders,
        `{step: order(method, ...)}` or `{step: {organization: order(...)}}`.

        :param options: see `RunOptions`.
        :raises NewMember: a member was not accepted yet. DigestMissing: the image is named without its digest.
        """
        workflow, sealed_orders, settings = _asked(what, method, args, kwargs, orders, cast(Mapping[str, Any], options))
        prepared = submitting.prepare(self._connection, workflow, settings)
        if sealed_orders is None:
            raise UsageError("a workflow needs its orders", hint="orders={step: order(method, ...)}")
        plan, view = submitting.submit(self._connection, prepared, sealed_orders, progress)
        return Job(self._connection, plan, view)

    def explain(
        self, what: str | ImageRef | Workflow | Definition, method: str | None = None, **options: Unpack[RunOptions]
    ) -> tuple[StepExplained, ...]:
        """A dry run: who would run what, on which data, and who could read what. Nothing is sealed or sent."""
        workflow, _, settings = _asked(what, method, (), None, None, cast(Mapping[str, Any], options), dry=True)
        return explain(submitting.dry_run(submitting.prepare(self._connection, workflow, settings)))

    def jobs(self, **filters: Any) -> Iterator[JobView]:
        """Jobs that you may see, as the hub lists them."""
        return job_api.jobs(self._connection.http, **filters)

    def job(self, job_id: str) -> Job:
        """A job that was submitted before.

        :raises NotFound: no such job. PlanMismatch, SignatureInvalid: the hub shows another plan.
        """
        return Job.find(self._connection, job_id)


def _asked(
    what: str | ImageRef | Workflow | Definition,
    method: str | None,
    args: Sequence[Any],
    kwargs: Mapping[str, Any] | None,
    orders: Orders | None,
    options: Mapping[str, Any],
    *,
    dry: bool = False,
) -> tuple[Workflow | Definition, Orders | None, submitting.Settings]:
    if unknown := set(options) - ABOUT_JOB - ABOUT_STEP:
        raise UsageError(
            f"there is no option `{sorted(unknown)[0]}`", hint=f"Options: {', '.join(sorted(ABOUT_JOB | ABOUT_STEP))}."
        )
    about_job = {name: value for name, value in options.items() if name in ABOUT_JOB}
    about_step = {name: value for name, value in options.items() if name in ABOUT_STEP}
    settings = submitting.Settings(**{**about_job, "images": _images(about_job.get("images"))})
    if isinstance(what, Workflow | Definition):
        if about_step or args or kwargs or method:
            wrong = sorted({*about_step, *(["method"] if method else []), *(["args"] if args or kwargs else [])})[0]
            raise UsageError(f"`{wrong}` belongs to a step of the workflow, or to its order")
        return what, orders, settings
    if orders is not None:
        raise UsageError("orders belong to a workflow; an image takes a method and its arguments")
    if method is None and not dry:
        raise UsageError("which method of the image?", hint='client.run(image, "method", ...)')
    workflow, single_order = submitting.single(
        what, Order(method or "", tuple(args), dict(kwargs or {})), **{"data": ("default",), **about_step}
    )
    return workflow, single_order, settings


def _images(given: Digests | Path | str | None) -> Digests | None:
    return read_lock_file(Path(given)) if isinstance(given, str | Path) else given
