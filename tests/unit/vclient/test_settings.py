"""Contexts, places, lock files: what a client reads from disk, and what it says when that is wrong."""

import pytest

from tests.unit.vclient.federation import DIGEST
from vclient import Client, ImageRef
from vclient.lock_file import read_lock_file
from vclient.members import AcceptedMembers
from vclient.settings import folder_for, name_for, settings_for
from vclient.workflow import Workflow
from vprotocol.errors import ConfigInvalid, UsageError, WorkflowInvalid
from vruntime.http import AddressInvalid


def write_context(home, name, text):
    path = home / "user" / "config" / "client" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://hub.example.org", "hub-example-org"),
        ("http://127.0.0.1:7600", "127-0-0-1-7600"),
        ("https://example.org/hubs/Two", "example-org-hubs-two"),
    ],
)
def test_every_hub_has_a_context_of_its_own(vestal_home, url, name):
    assert name_for(url) == name
    assert Client(url).folder == folder_for(url) == vestal_home / "user" / "data" / "client" / name / "plain"


def test_the_only_context_is_the_usual_one(vestal_home):
    write_context(vestal_home, "a", "hub: {url: 'https://a.example.org'}\n")
    assert Client.from_context().url == "https://a.example.org"
    write_context(vestal_home, "b", "hub: {url: 'https://b.example.org'}\n")
    with pytest.raises(UsageError, match="not exactly one"):
        Client.from_context()
    assert Client.from_context("b").url == "https://b.example.org"


def test_a_hubs_context_serves_python_as_well(vestal_home):
    write_context(vestal_home, "hub-example-org", "hub: {url: 'https://hub.example.org'}\nmin_suite: 1\n")
    assert settings_for("https://hub.example.org").min_suite == 1
    assert settings_for("https://other.example.org").min_suite == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{}\n", "hub: is missing"),
        ("hub: {url: 'https://a.example.org'}\nmin_suit: 0\n", "Did you mean min_suite"),
        ("hub: {url: 'https://a.example.org'}\nmin_suite: 3\n", "min_suite"),
        ("hub: {url: 'https://a.example.org'}\ntrust: blind\n", "trust"),
        ("hub: {url: 'https://a.example.org'}\nfirst_contact: maybe\n", "true or false"),
        ("hub: [\n", "a.yaml"),
    ],
)
def test_a_wrong_context_file_names_line_and_key(vestal_home, text, says):
    path = write_context(vestal_home, "a", text)
    with pytest.raises(ConfigInvalid) as caught:
        Client.from_context("a")
    assert says in f"{caught.value} {caught.value.hint}"
    assert str(path) in str(caught.value)


def test_a_wrong_address_is_refused(vestal_home):
    for url in ("hub.example.org", "ftp://hub", "https://ada:secret@hub"):
        with pytest.raises(AddressInvalid) as caught:
            Client(url)
        assert "secret" not in str(caught.value)


def test_a_lock_file_gives_digests(tmp_path):
    path = tmp_path / "images.lock"
    other = "sha256:" + "ee" * 32
    path.write_text(f"a: {DIGEST}\nb: {{config_digest: '{DIGEST}', manifest_digest: '{other}'}}\n")
    assert read_lock_file(path) == {"a": ImageRef("a", DIGEST), "b": ImageRef("b", DIGEST, other)}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- a\n", "maps names"),
        ("a: 12\n", "write its digest"),
        ("a: latest\n", "not a digest"),
        ("a: {digest: x}\n", "write its digest"),
        (f"a: {DIGEST}\na: {DIGEST}\n", "a"),
    ],
)
def test_a_wrong_lock_file_is_named(tmp_path, text, says):
    path = tmp_path / "images.lock"
    path.write_text(text)
    with pytest.raises(ConfigInvalid, match=says) as caught:
        read_lock_file(path)
    assert str(path) in str(caught.value)


def test_a_damaged_list_of_members_is_not_taken_for_an_empty_one(tmp_path):
    path = tmp_path / "members.json"
    for content in ("", "[]", '{"collaborations": {"x": {}}}'):
        path.write_text(content)
        with pytest.raises(ConfigInvalid, match="damaged"):
            AcceptedMembers(path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("steps: {}\n", "name"),
        ("name: x\nsteps: {a: {}}\n", "image"),
        ("name: x\nsteps: {a: {image: i, colour: red}}\n", "colour"),
        ("name: x\nsteps: {a: {image: i}}\nconnections: [{from: a}]\n", "connections"),
        ("name: [\n", "line|flow"),
    ],
)
def test_a_wrong_workflow_file_is_named(tmp_path, text, says):
    path = tmp_path / "flow.yaml"
    path.write_text(text)
    with pytest.raises(WorkflowInvalid, match=says) as caught:
        Workflow.load(path)
    assert str(path) in str(caught.value)
