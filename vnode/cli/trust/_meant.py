"""Which known organization is meant: by its name, its fingerprint's first digits, or its ten words."""

from vnode.reporter import Hub
from vprotocol.errors import OrganizationUnknown, UsageError
from vruntime.clock import Clock
from vruntime.trust_store import Known, TrustStore

LEAST_DIGITS = 8


def meant(store: TrustStore, text: str) -> Known:
    """:raises OrganizationUnknown: none. UsageError: several of this name, which only the fingerprint tells apart."""
    wanted = " ".join(text.lower().split())
    found = [one for one in store.all() if _is_called(one, wanted)]
    if not found:
        raise OrganizationUnknown(
            f"no organization called {text!r} is known here", hint="`vnode trust list` shows all."
        )
    if len(found) > 1:
        raise UsageError(f"{len(found)} organizations are called {text!r}.", hint="Give the fingerprint.")
    return found[0]


def meet(store: TrustStore, hub: Hub, name: str, clock: Clock) -> Known:
    """The organization that the hub shows under this name, met for the first time: it is recorded as unverified.

    :raises OrganizationUnknown: none, or none with an identity. UsageError: several of this name.
    """
    listed = hub.http.get("/organization", params={"name": name})["data"]
    found = [one for one in listed if one["name"] == name and one["fingerprint"] is not None]
    if not found:
        raise OrganizationUnknown(
            f"neither this node nor the hub knows an organization {name!r} with an identity",
            hint="`vnode trust list` shows whom this node knows. An identity is there once a node was started.",
        )
    if len(found) > 1:
        raise UsageError(f"The hub shows {len(found)} organizations called {name!r}.")
    number = int(found[0]["id"])
    log = hub.key_log(number)
    if log is None:
        raise OrganizationUnknown(f"the hub shows no identity of {name!r}")
    return store.accept(log, int(clock.now()), number)


def _is_called(known: Known, wanted: str) -> bool:
    if known.log.name.lower() == wanted or known.words == wanted:
        return True
    return len(wanted) >= LEAST_DIGITS and known.fingerprint.startswith(wanted)
