"""/token, /whoami, /user/first: coming in, and out."""

from vprotocol.messages.token import TokenPair, Whoami
from vprotocol.messages.user import User
from vruntime.http import Http


def log_in(http: Http, username: str, password: str) -> TokenPair:
    return TokenPair.from_wire(http.post("/token/user", {"username": username, "password": password}, anonymous=True))


def make_first_administrator(http: Http, code: str, username: str, password: str) -> User:
    asked = {"code": code, "username": username, "password": password}
    return User.from_wire(http.post("/user/first", asked, anonymous=True))


def refresh(http: Http, refresh_token: str) -> TokenPair:
    return TokenPair.from_wire(http.post("/token/refresh", {"refresh_token": refresh_token}, anonymous=True))


def log_out(http: Http) -> None:
    http.delete("/token")


def whoami(http: Http) -> Whoami:
    return Whoami.from_wire(http.get("/whoami"))
