import os
import subprocess
from contextlib import suppress
from pathlib import Path

import docker
import pytest
from docker.errors import APIError, ImageNotFound

from tests.contract.executor_suite import DEADLINE_S, PROGRAMS, ExecutorSuite, fetch, wait_until
from vnode.executors.base import ImageRef, InputFile
from vnode.executors.docker import DockerExecutor
from vnode.executors.errors import OutputInvalid, SpecRefused, StartFailed

pytestmark = pytest.mark.docker
BASE_IMAGE = os.environ.get("VESTAL_BASE_IMAGE", "vestal-base:bookworm")
NODE = f"suite{os.getpid()}"


def start_executor() -> DockerExecutor:
    executor = DockerExecutor(NODE, slots=3, relay_image=BASE_IMAGE, probe_targets=(("hub.example.org", 443),))
    executor.prepare()
    return executor


@pytest.fixture(scope="module")
def shared():
    engine = docker.from_env()
    try:
        engine.images.get(BASE_IMAGE)
    except ImageNotFound:
        script = Path(__file__).parents[2] / "script" / "base-image"
        subprocess.run([script, BASE_IMAGE], check=True, timeout=1200)
    executor = start_executor()
    yield executor
    for handle in executor.find({}):
        executor.remove(handle)
    executor.close()
    ours = {"label": f"vestal.node={NODE}"}
    assert engine.containers.list(all=True, filters=ours) == []
    assert engine.networks.list(filters=ours) == []
    engine.close()


class TestDockerExecutor(ExecutorSuite):
    @pytest.fixture
    def executor(self, shared):
        return shared

    def image(self, executor, program):
        return executor.resolve_image(ImageRef(BASE_IMAGE)).id, ("python3", "-c", PROGRAMS[program].source)

    def known_image(self):
        return BASE_IMAGE

    def settle(self, executor):
        wait_until(lambda: not executor._leaving)

    def python(self, executor, source, **changes):
        return self.spec(executor, command=("python3", "-c", source), **changes)

    def test_a_command_that_the_image_does_not_have(self, owner):
        with pytest.raises(StartFailed):
            owner.start(self.spec(owner, command=("/nothing/here",)))
        wait_until(lambda: owner.find({}) == [])
        assert self.run(owner) == b"HELLO"

    @pytest.mark.parametrize("what", ["os.symlink('/etc/passwd', path)", "os.mkfifo(path)", "os.mkdir(path)"])
    def test_only_a_regular_file_is_an_output(self, owner, what):
        source = f"import os; path = os.environ['OUTPUT_FILE']; os.unlink(path); {what}"
        handle = owner.start(self.python(owner, source))
        assert owner.wait(handle, DEADLINE_S).code == 0
        with pytest.raises(OutputInvalid):
            fetch(owner, handle)

    def test_a_folder_that_became_a_link_leads_nowhere(self, owner):
        source = "import os; f = os.environ['OUTPUTS_FOLDER']; os.rmdir(f); os.symlink('/etc', f)"
        handle = owner.start(self.python(owner, source))
        assert owner.wait(handle, DEADLINE_S).code == 0
        assert owner.outputs(handle) == ()
        with pytest.raises(OutputInvalid):
            fetch(owner, handle, owner.layout(handle.name).outputs_folder + "/passwd")

    @pytest.mark.parametrize(
        "path", ["/etc/passwd", "/vestal/run/in/../../x", "/vestal/run/in", "/vestal/run/out/output"]
    )
    def test_inputs_go_to_the_inputs_only(self, owner, path):
        with pytest.raises(SpecRefused):
            owner.start(self.spec(owner, more_files=(InputFile(path, b""),)))

    def test_nothing_is_left_for_the_next_in_the_same_seat(self, owner):
        """More runs than seats, each leaving what is hard to remove."""
        leave = (
            "import os; f = os.environ['OUTPUTS_FOLDER']; assert os.listdir(f) == []; os.makedirs(f + '/a/b/c'); "
            "open(f + '/a/b/secret', 'w').write('x'); os.chmod(f + '/a/b', 0); os.chmod(f + '/a', 0); os.chmod(f, 0)"
        )
        for _ in range(6):
            handle = owner.start(self.python(owner, leave))
            assert owner.wait(handle, DEADLINE_S).code == 0, owner.logs(handle, 1000)
            owner.remove(handle)

    def test_a_place_that_cannot_be_cleaned_is_made_anew(self, owner):
        deep = "import os\nos.chdir(os.environ['OUTPUTS_FOLDER'])\nfor _ in range(1500): os.mkdir('d'); os.chdir('d')"
        for _ in range(5):
            handle = owner.start(self.python(owner, deep))
            assert owner.wait(handle, DEADLINE_S).code == 0, owner.logs(handle, 1000)
            owner.remove(handle)
        assert self.run(owner) == b"HELLO"

    def test_a_compat_image_may_be_root_and_write_anywhere(self, owner):
        source = (
            "import os; assert os.getuid() == 0; open('/new', 'w').write('x'); "
            "open(os.environ['OUTPUT_FILE'], 'wb').write(open(os.environ['INPUT_FILE'], 'rb').read())"
        )
        handle = owner.start(self.python(owner, source, profile="compat"))
        assert owner.wait(handle, DEADLINE_S).code == 0, owner.logs(handle, 1000)
        assert fetch(owner, handle) == b"hello"

    def test_a_seat_that_died_is_made_anew(self, owner):
        engine = docker.from_env()
        for seat in engine.containers.list(filters={"label": [f"vestal.node={NODE}", "vestal.kind=seat"]}):
            with suppress(APIError):  # one that is just being made anew
                seat.kill()
        engine.close()
        for _ in range(5):
            assert self.run(owner) == b"HELLO"

    def test_an_output_outlives_its_seat(self, owner):
        handle = owner.start(self.spec(owner))
        assert owner.wait(handle, DEADLINE_S).code == 0
        seat = owner._sitting[handle.name]
        seat.break_up()
        assert fetch(owner, handle) == b"HELLO"
        assert owner.outputs(handle) == ()

    def test_out_of_memory_is_said(self, owner):
        handle = owner.start(self.python(owner, "x = bytearray(1 << 30)"))
        ended = owner.wait(handle, DEADLINE_S)
        assert ended.code != 0 and ended.out_of_memory


class TestARestartedNode:
    def test_finds_its_sandboxes_running_and_ended(self, shared):
        suite = TestDockerExecutor()
        running = shared.start(suite.spec(shared, "wait"))
        ended = shared.start(suite.spec(shared, "upper"))
        assert shared.wait(ended, DEADLINE_S).code == 0
        half = shared._api.create_container_from_config(
            {"Image": BASE_IMAGE, "Labels": {"vestal.node": NODE, "vestal.kind": "sandbox"}}, f"{NODE}-half"
        )
        later = start_executor()
        try:
            assert {handle.name for handle in later.find({})} == {running.name, ended.name}
            assert half["Id"] not in {handle.id for handle in later.find({})}
            assert later.wait(running, 0) is None
            assert fetch(later, ended) == b"HELLO"
            later.kill(running)
            assert later.wait(running, DEADLINE_S).code == 137
            assert suite.run(later) == b"HELLO"
        finally:
            for handle in later.find({}):
                later.remove(handle)
            wait_until(lambda: not later._leaving)
            shared.prepare()
