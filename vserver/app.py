"""The wiring of the hub, on one page."""

from flask import Flask
from prometheus_client import CollectorRegistry
from werkzeug.middleware.proxy_fix import ProxyFix

from vruntime.clock import Clock, SystemClock
from vserver import migrations
from vserver.accounts import resource as accounts
from vserver.accounts import tokens
from vserver.collaborations import resource as collaborations
from vserver.config import Settings
from vserver.db import Database
from vserver.events import resource as events
from vserver.hub import Chore, Hub
from vserver.jobs import deadlines
from vserver.jobs import resource as jobs
from vserver.jobs.leases import LeaseTokens
from vserver.jobs.told import Told
from vserver.nodes import resource as nodes
from vserver.offload import Offload
from vserver.organizations import resource as organizations
from vserver.payloads import resource as payloads
from vserver.payloads import retention
from vserver.payloads.folder import PayloadFolder
from vserver.web import entrance, idempotency, request
from vserver.web.converters import register_converters
from vserver.web.errors import HubApi, to_response
from vserver.web.links import PREFIX
from vserver.web.longpoll import Signals
from vserver.web.operation import operations_of
from vserver.web.ratelimit import RateLimiter
from vserver.web.recorder import RequestRecorder

FILE_WORK_AT_ONCE = 256

# A domain joins the hub here: its resources, and what it does by itself from time to time.
RESOURCES = (
    *entrance.RESOURCES,
    *accounts.RESOURCES,
    *organizations.RESOURCES,
    *collaborations.RESOURCES,
    *nodes.RESOURCES,
    *jobs.RESOURCES,
    *payloads.RESOURCES,
    *events.RESOURCES,
)


def forget_old(hub: Hub) -> None:
    with hub.database.write() as session:
        tokens.forget_expired(session, hub.now())
        idempotency.forget_old(session, hub.now())


CHORES = (
    Chore("forget expired tokens and stored answers", 600.0, forget_old),
    Chore("forget unused payloads and old events", 3600.0, retention.forget_old),
    Chore("apply what is due", 1.0, deadlines.sweep),  # sleeps until something is
)


def create_app(
    settings: Settings,
    *,
    clock: Clock | None = None,
    signals: Signals | None = None,
    database: Database | None = None,
) -> Flask:
    """The hub as a WSGI application. Its database is migrated first; no socket is opened, no thread started."""
    clock = clock or SystemClock()
    database = database or Database(settings.database_url, durable=settings.durable)
    migrations.migrate(database)
    limits = settings.limits
    hub = Hub(
        settings=settings,
        clock=clock,
        database=database,
        signals=signals or Signals(clock),
        hashing=Offload(settings.password.at_once),
        files=Offload(FILE_WORK_AT_ONCE),
        logins=RateLimiter(clock, per_s=limits.logins_per_s, burst=limits.login_burst),
        writes=RateLimiter(clock, per_s=limits.writes_per_s, burst=limits.write_burst),
        metrics=CollectorRegistry(),
        operations={resource.place: operations_of(resource) for resource in RESOURCES},
        payloads=PayloadFolder(settings.payload_folder, durable=settings.durable),
        lease_tokens=LeaseTokens.from_file(settings.folder / "lease.secret"),
        told=Told(clock),
        chores=list(CHORES),
    )
    deadlines.refresh_leases(hub)
    app = Flask("vserver", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = limits.body_bytes
    app.url_map.merge_slashes = False
    app.extensions["vestal"] = hub
    register_converters(app)
    app.register_error_handler(Exception, to_response)
    request.install(app, hub.metrics, https=(settings.public_url or "").startswith("https://"))
    api = HubApi(app, prefix=PREFIX)
    for resource in RESOURCES:
        api.add_resource(resource, resource.place.value, endpoint=resource.place.name.lower())
    if settings.proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=settings.proxies, x_proto=settings.proxies)  # type: ignore[method-assign]
    if settings.record_requests is not None:
        app.wsgi_app = RequestRecorder(app.wsgi_app, settings.record_requests)  # type: ignore[method-assign]
    return app
