"""Which known organization is meant: by its name, its fingerprint's first digits, or its ten words."""

from vprotocol.errors import OrganizationUnknown, UsageError
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


def _is_called(known: Known, wanted: str) -> bool:
    if known.log.name.lower() == wanted or known.words == wanted:
        return True
    return len(wanted) >= LEAST_DIGITS and known.fingerprint.startswith(wanted)
