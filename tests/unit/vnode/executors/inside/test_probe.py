import json
import socket
import threading

import pytest

from vnode.executors.inside import listen, probe


@pytest.fixture
def listening():
    """What the listener offers: its port."""
    tcp = listen.bind(socket.SOCK_STREAM, 0)
    tcp.listen(8)
    udp = listen.bind(socket.SOCK_DGRAM, tcp.getsockname()[1])
    for serve, server in ((listen.greet, tcp), (listen.echo, udp)):
        threading.Thread(target=serve, args=(server,), daemon=True).start()
    return tcp.getsockname()[1]


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(probe, "answered", [])


def test_it_sees_what_answers(listening, capsys):
    probe.main({"connect": [["127.0.0.1", listening]], "send": [["127.0.0.1", listening]], "look_up": ["localhost"]})
    word, _, found = capsys.readouterr().out.partition(" ")
    assert word == "answered"
    connected, sent, looked_up = sorted(json.loads(found))
    assert connected == f"127.0.0.1 UDP port {listening}" and sent == f"127.0.0.1 port {listening}"
    assert "localhost" in looked_up


def test_a_refusal_is_an_answer(capsys):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        probe.main({"connect": [["127.0.0.1", port]], "send": [["127.0.0.1", port]], "look_up": []})
    found = json.loads(capsys.readouterr().out.partition(" ")[2])
    assert len(found) == 2 and all("refused" in line for line in found)


def test_addresses_of_this_host():
    assert "127.0.0.1" in listen.addresses()
