"""The researcher: a key of her own, certified by her hospital, and no hospital believed before its words were heard."""

from pathlib import Path

from demo.hub import RESEARCHER
from demo.nodes import Hospital
from demo.programs import DemoFailed
from vclient import Client
from vclient.sealing import write_request
from vclient.settings import ClientSettings, CollaborationSettings, HubSettings
from vruntime.trust_store import TrustLevel


def client(url: str, folder: Path, collaboration: str, *, encrypted: bool) -> Client:
    """Her client. Only her own file lets it take part where nothing is encrypted."""
    hub = HubSettings(url=url)
    if encrypted:
        settings = ClientSettings(hub=hub, trust=TrustLevel.VERIFIED)
    else:
        unsealed = CollaborationSettings(min_suite=0)
        settings = ClientSettings(hub=hub, first_contact=True, collaborations={collaboration: unsealed})
    return Client(url, folder=folder, settings=settings)


def join(who: Client, password: str, home: Hospital, words: dict[str, str]) -> None:
    """Log in, have the device's key certified, and accept each hospital under the words that it said itself.

    :param words: organization → what its administrator read out.
    """
    who.login(RESEARCHER, password)
    who.new_key(RESEARCHER)
    request = who.folder / "key-request.json"
    write_request(request, who.key_request(RESEARCHER))
    home.certify(request)
    for organization, heard in words.items():
        shown = who.accept(organization)
        if shown.words != heard:
            raise DemoFailed(f"the hub shows other words for {organization} than it says itself")
        who.verify(organization)
