import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from docker.errors import ImageNotFound

from vnode.executors.base import ImageRef
from vnode.executors.errors import ImageMissing, ImageRefused
from vnode.executors.images import Images, pull_name, split_reference

DIGEST, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64


class Engine:
    """The part of Docker's API that images need, with a registry that can be slow."""

    def __init__(self, here=None, registry=None):
        self.here, self.registry = dict(here or {}), dict(registry or {})
        self.pulls, self.go_on = [], threading.Event()
        self.go_on.set()

    def inspect_image(self, reference):
        for name, digest in self.here.items():
            if reference in (name, digest):
                return {"Id": digest, "Config": {"Env": ["PKG_NAME=a=b"], "Labels": {"vestal.env-encoding": "plain"}}}
        raise ImageNotFound("none")

    def pull(self, repository, tag, stream, decode):
        self.pulls.append((repository, tag))
        self.go_on.wait(10)
        reference = f"{repository}@{tag}" if tag.startswith("sha256:") else f"{repository}:{tag}"
        if reference not in self.registry:
            yield {"error": "not found"}
            return
        self.here[reference] = self.registry[reference]
        yield {"status": "done"}


def images(engine):
    return Images(engine, 10.0)


def test_what_is_here_by_digest_needs_no_registry_and_no_name():
    engine = Engine(here={"mine:1": DIGEST})
    found = images(engine).resolve(ImageRef("registry.example.org/other", DIGEST))
    assert found.id == DIGEST and found.environment == {"PKG_NAME": "a=b"} and found.env_encoding == "plain"
    assert engine.pulls == []


def test_what_is_not_here_is_pulled_by_manifest_digest():
    engine = Engine(registry={f"r.example.org/a@{OTHER}": DIGEST})
    assert images(engine).resolve(ImageRef("r.example.org/a", DIGEST, OTHER)).id == DIGEST
    assert engine.pulls == [("r.example.org/a", OTHER)]


def test_the_registry_cannot_give_another_image():
    engine = Engine(registry={f"r.example.org/a@{OTHER}": OTHER})
    with pytest.raises(ImageRefused):
        images(engine).resolve(ImageRef("r.example.org/a", DIGEST, OTHER))


def test_an_image_of_that_name_that_is_another():
    with pytest.raises(ImageRefused):
        images(Engine(here={"a:1": OTHER})).resolve(ImageRef("a:1", DIGEST))


def test_nowhere_to_be_had():
    with pytest.raises(ImageMissing):
        images(Engine()).resolve(ImageRef("a:1", DIGEST))


def test_many_ask_and_one_pull_answers_them():
    engine = Engine(registry={"a:1": DIGEST})
    engine.go_on.clear()
    found = images(engine)
    with ThreadPoolExecutor(8) as pool:
        asking = [pool.submit(found.resolve, ImageRef("a:1", DIGEST)) for _ in range(8)]
        engine.go_on.set()
        assert {each.result(10).id for each in asking} == {DIGEST}
    assert engine.pulls == [("a", "1")]


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("a", ("a", "latest")),
        ("a:1", ("a", "1")),
        ("localhost:5000/a", ("localhost:5000/a", "latest")),
        ("localhost:5000/a:2", ("localhost:5000/a", "2")),
        (f"r/a@{DIGEST}", ("r/a", DIGEST)),
    ],
)
def test_references(reference, parts):
    assert split_reference(reference) == parts


def test_a_manifest_digest_is_what_is_pulled():
    assert pull_name(ImageRef("a:1", None, DIGEST)) == f"a:1@{DIGEST}"
