from pathlib import Path

import pytest

from vprotocol.errors import AlreadyExists, ConfigInvalid
from vruntime import contexts
from vruntime.contexts import ContextNotFound, Environment, EnvironmentNeeded, Kind, Level, NameInvalid


@pytest.fixture
def make(vestal_home):
    def write(kind, level, name, text="name: x\n"):
        path = contexts.folders(kind, level).config / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


def test_without_an_override_folders_are_those_of_the_platform():
    node = contexts.folders(Kind.NODE, Level.USER, env={})
    assert node.config.name == "node"
    assert "vestal" in node.config.parts
    server = contexts.folders(Kind.SERVER, Level.SYSTEM, env={})
    assert len({node.config, node.data, node.log, server.config, server.data, server.log}) == 6
    assert Path.home() not in server.config.parents


def test_one_variable_moves_both_levels(vestal_home):
    assert contexts.folders(Kind.NODE, Level.USER).config == vestal_home / "user" / "config" / "node"
    assert contexts.folders(Kind.SERVER, Level.SYSTEM).log == vestal_home / "system" / "log" / "server"


def test_a_name_is_found_at_its_usual_level_first(make):
    make(Kind.SERVER, Level.USER, "hub")
    assert contexts.find(Kind.SERVER, "hub").level is Level.USER
    make(Kind.SERVER, Level.SYSTEM, "hub")
    assert contexts.find(Kind.SERVER, "hub").level is Level.SYSTEM
    assert contexts.find(Kind.SERVER, "hub", level=Level.USER).level is Level.USER


def test_kinds_do_not_see_each_other(make):
    make(Kind.NODE, Level.USER, "a")
    with pytest.raises(ContextNotFound, match="no client configuration called a") as raised:
        contexts.find(Kind.CLIENT, "a")
    assert raised.value.fields == {"known": []}


def test_a_path_is_as_good_as_a_name(tmp_path, vestal_home):
    file = tmp_path / "hospital-a.yaml"
    file.write_text("name: x\n")
    context = contexts.find(Kind.NODE, str(file))
    assert (context.name, context.config_file) == ("hospital-a", file)
    assert context.data_folder == vestal_home / "user" / "data" / "node" / "hospital-a" / "plain"
    with pytest.raises(ContextNotFound):
        contexts.find(Kind.NODE, str(tmp_path / "other.yaml"))


def test_environments_of_one_file_have_folders_of_their_own(make):
    make(Kind.NODE, Level.USER, "a", "prod: {x: 1}\ntest: {x: 2}\n")
    prod, test = (contexts.find(Kind.NODE, "a", environment=one) for one in ("prod", "test"))
    assert (prod.environment, test.environment) == (Environment.PROD, Environment.TEST)
    assert prod.data_folder != test.data_folder
    with pytest.raises(EnvironmentNeeded, match="prod, test"):
        contexts.find(Kind.NODE, "a")
    with pytest.raises(EnvironmentNeeded, match="no environment dev"):
        contexts.find(Kind.NODE, "a", environment="dev")


def test_the_only_environment_need_not_be_named(make):
    make(Kind.NODE, Level.USER, "a", "acc: {x: 1}\n")
    assert contexts.find(Kind.NODE, "a").environment is Environment.ACC


def test_the_listing_shows_everything_also_what_is_broken(make):
    make(Kind.NODE, Level.USER, "a", "prod: {}\ndev: {}\n")
    make(Kind.NODE, Level.SYSTEM, "b")
    make(Kind.NODE, Level.USER, "c", "a: [1\n")
    a, c, b = contexts.listing(Kind.NODE)
    assert (a.name, a.environments, a.level) == ("a", (Environment.PROD, Environment.DEV), Level.USER)
    assert (b.name, b.environments, b.level) == ("b", (Environment.PLAIN,), Level.SYSTEM)
    assert c.environments == ()
    assert "c.yaml" in c.problem
    assert contexts.listing(Kind.SERVER) == []


def test_a_broken_file_that_is_asked_for_is_an_error(make):
    make(Kind.NODE, Level.USER, "c", "a: [1\n")
    with pytest.raises(ConfigInvalid, match=r"c\.yaml:2"):
        contexts.find(Kind.NODE, "c")


@pytest.mark.parametrize("name", ["", "A", "../x", "a b", "-a", "a" * 64, "ä"])
def test_what_cannot_name_a_container_is_no_name(name, vestal_home):
    with pytest.raises(NameInvalid):
        contexts.new_config_file(Kind.NODE, name)


def test_a_new_configuration_never_replaces_one(make):
    path = make(Kind.NODE, Level.USER, "a")
    with pytest.raises(AlreadyExists, match="already"):
        contexts.new_config_file(Kind.NODE, "a")
    assert contexts.new_config_file(Kind.NODE, "b") == path.with_name("b.yaml")
