"""The demo's hub: a real one, made and started with the operator's commands, which records what it is sent."""

import secrets
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from demo.places import HubFiles
from demo.programs import Programs, tail_of
from vruntime.atomic import make_private_folder, write_new

NAME = "demo"
COLLABORATION = "Breast cancer, Wisconsin"
RESEARCHER = "ada"


@dataclass(frozen=True)
class Access:
    """What the hub's operator hands out: to each node its API key, to the researcher a password."""

    api_keys: dict[str, str] = field(repr=False)
    password: str = field(repr=False)
    collaboration: str  # its 128-bit name


class Hub:
    def __init__(self, programs: Programs, address: str) -> None:
        self._programs, self._address = programs, address
        self._folder = make_private_folder(programs.home)
        self._requests = self._folder / "requests-recorded"
        self._files: dict[str, str] = {}
        self.url = ""
        self.pid = 0

    def make(self, organizations: list[str], nodes: dict[str, str], *, encrypted: bool) -> Access:
        """Configure it and let everybody in.

        :param nodes: name of a node → its organization.
        """
        password, collaboration = secrets.token_urlsafe(18), secrets.token_hex(16)
        write_new(self._folder / "researcher.password", password.encode() + b"\n")
        fixtures = {
            "organizations": [{"name": name} for name in organizations],
            "collaborations": [
                {
                    "display_name": COLLABORATION,
                    "name": collaboration,
                    "encrypted": encrypted,
                    "organizations": organizations,
                }
            ],
            "users": [
                {
                    "username": RESEARCHER,
                    "organization": organizations[0],
                    "roles": ["Researcher"],
                    "password_file": "researcher.password",
                }
            ],
            "nodes": [{"name": name, "organization": home} for name, home in nodes.items()],
        }
        file = self._folder / "everybody.yaml"
        write_new(file, yaml.safe_dump(fixtures, sort_keys=False).encode())
        answers = ["--host", self._address, "--port", "0", "--public-url", "", "--database", ""]
        self._programs.run("vserver", "new", NAME, "--user", *answers)
        made = self._programs.run("vserver", "import", file, NAME, "--user", "--api-keys", self._folder / "api-keys")
        keys = {name: Path(path).read_text().strip() for name, path in made["api_key_files"].items()}
        return Access(keys, password, collaboration)

    def start(self) -> None:
        self._files = self._programs.run("vserver", "files", NAME, "--user")
        started = self._programs.run("vserver", "start", NAME, "--user", "--record-requests", self._requests)
        self.url, self.pid = started["url"], started["pid"]

    def stop(self) -> None:
        self._programs.run("vserver", "stop", NAME, "--user")

    def files(self) -> HubFiles:
        """Everything that it wrote."""
        log = Path(self._files["log"])
        database = Path(self._files["database"].removeprefix("sqlite:///"))
        logs = tuple(sorted(log.parent.glob("*")))
        return HubFiles(database, Path(self._files["payloads"]), logs, self._requests)

    def last_words(self) -> str:
        return tail_of(Path(self._files["log"])) if self._files else ""
