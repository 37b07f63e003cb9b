import json
import signal
import subprocess
import sys

import pytest

from tests.contract.executor_suite import DEADLINE_S, PROGRAMS, ExecutorSuite, fetch, wait_until
from vnode.executors.base import ImageRef, SourceMount
from vnode.executors.errors import OutputInvalid, SourceNotOpen, SpecRefused
from vnode.executors.process import ProcessExecutor
from vnode.executors.process_image import process_image


class TestProcessExecutor(ExecutorSuite):
    @pytest.fixture
    def executor(self, tmp_path):
        package = tmp_path / "package" / "algorithm"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("")
        executor = self.again(tmp_path)
        executor.prepare()
        return executor

    def again(self, tmp_path):
        """As after a restart of the node."""
        image = process_image("algorithm:1", "algorithm", tmp_path / "package")
        return ProcessExecutor(tmp_path / "sandboxes", [image])

    def image(self, executor, program):
        return executor.resolve_image(ImageRef("algorithm:1")).id, (sys.executable, "-c", PROGRAMS[program].source)

    def known_image(self):
        return "algorithm:1"

    def test_data_that_is_not_open_is_refused(self, owner, tmp_path):
        (tmp_path / "patients.csv").write_text("age\n42\n")
        path = str(tmp_path / "patients.csv")
        with pytest.raises(SourceNotOpen):
            owner.start(self.spec(owner, sources=(SourceMount("default", path, path),)))
        assert owner.find({}) == []

    def test_it_does_not_claim_to_isolate(self, executor):
        assert executor.isolates is False

    def test_the_environment_of_the_node_stays_outside(self, owner, monkeypatch):
        monkeypatch.setenv("VNODE_API_KEY", "secret")
        command = (sys.executable, "-c", "import os; print(dict(os.environ))")
        handle = owner.start(self.spec(owner, command=command))
        owner.wait(handle, DEADLINE_S)
        assert b"secret" not in owner.logs(handle, 1 << 16)

    @pytest.mark.parametrize("what", ["os.symlink('/etc/passwd', path)", "os.mkdir(path)", "os.mkfifo(path)"])
    def test_only_a_regular_file_is_an_output(self, owner, what):
        source = f"import os; path = os.environ['OUTPUT_FILE']; os.unlink(path); {what}"
        command = (sys.executable, "-c", source)
        handle = owner.start(self.spec(owner, command=command))
        owner.wait(handle, DEADLINE_S)
        with pytest.raises(OutputInvalid):
            fetch(owner, handle)

    def test_a_restarted_node_goes_on(self, owner, tmp_path):
        spec = self.spec(owner, "wait")
        handle = owner.start(spec)
        later = self.again(tmp_path)
        later.prepare()
        assert later.find({"vestal.run": handle.name}) == [handle]
        assert later.wait(handle, 0) is None
        later.kill(handle)
        assert later.wait(handle, DEADLINE_S).code == 137

    def test_an_exit_code_outlives_the_node(self, owner, tmp_path):
        handle = owner.start(self.spec(owner, "fail"))
        assert self.again(tmp_path).wait(handle, DEADLINE_S).code == 7

    def test_another_process_with_the_same_number_is_not_ours(self, owner, tmp_path):
        handle = owner.start(self.spec(owner, "fail"))
        owner.wait(handle, DEADLINE_S)
        stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)
        try:
            written = tmp_path / "sandboxes" / "runs" / handle.name / "pid.json"
            written.write_text(json.dumps({"pid": stranger.pid, "born": 1}))
            (found,) = owner.find({"vestal.run": handle.name})
            owner.kill(found)
            assert stranger.poll() is None
            assert owner.wait(found, 0).code == 7
        finally:
            stranger.send_signal(signal.SIGKILL)
            stranger.communicate()

    def test_half_started_sandboxes_are_removed(self, owner, tmp_path):
        (tmp_path / "sandboxes" / "runs" / "half").mkdir()
        self.again(tmp_path).prepare()
        assert not (tmp_path / "sandboxes" / "runs" / "half").exists()

    @pytest.mark.parametrize("name", ["../up", "", ".hidden", "a/b", "a\0b"])
    def test_a_name_is_not_a_path(self, owner, name):
        with pytest.raises(SpecRefused):
            owner.layout(name)

    def test_what_cannot_be_executed_is_an_exit_code(self, owner):
        handle = owner.start(self.spec(owner, command=("/nothing/here",)))
        assert owner.wait(handle, DEADLINE_S).code == 127
        assert b"could not be started" in owner.logs(handle, 1000)

    def test_children_of_the_algorithm_end_with_it(self, owner, tmp_path):
        mark = tmp_path / "child"
        source = (
            "import subprocess, sys, time; "
            f"child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); "
            f"open({str(mark)!r}, 'w').write(str(child.pid)); print('ready', flush=True); time.sleep(600)"
        )
        handle = owner.start(self.spec(owner, command=(sys.executable, "-c", source)))
        wait_until(lambda: owner.logs(handle, 100).startswith(b"ready"))
        owner.kill(handle)
        owner.wait(handle, DEADLINE_S)
        wait_until(lambda: not alive(int(mark.read_text())))


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
