"""What every executor must do. A new one subclasses `ExecutorSuite` and supplies `executor` and `image`.

`PROGRAMS` are what the sandboxes run: Python source for executors that run something, a function for the scripted one.
"""

import hashlib
import io
import itertools
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pytest

from vnode.executors.base import (
    Executor,
    ImageRef,
    InputFile,
    SandboxLimits,
    SandboxSpec,
    SourceMount,
)
from vnode.executors.errors import (
    AlreadyStarted,
    ExecutorError,
    ImageMissing,
    ImageRefused,
    OutputMissing,
    OutputTooLarge,
    SourceMissing,
    UnknownHandle,
)

DEADLINE_S = 60.0
LIMITS = SandboxLimits(
    memory_bytes=256 << 20, cpus=1.0, pids=64, time_s=60.0, output_bytes=8 << 20, scratch_bytes=8 << 20
)
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Program:
    source: str
    scripted: Callable


def _named(sandbox):
    sandbox.write_output(b"1", "b")
    sandbox.write_output(b"22", "a")
    return 0


def _upper(sandbox):
    sandbox.write_output(sandbox.input.upper())
    return 0


def _noise(sandbox):
    sandbox.log += b"x" * 5000 + b"\n" + b"\xff\xfe the end\n"
    return 0


def _wait(sandbox):
    sandbox.killed.wait(DEADLINE_S)
    return 1


def _environment(sandbox):
    sandbox.write_output(sandbox.spec.environment["GREETING"].encode())
    return 0


def _leave(sandbox):
    sandbox.shared["note"] = sandbox.input
    return 0


def _find(sandbox):
    sandbox.write_output(sandbox.shared.get("note", b"nothing"))
    return 0


def _digest(sandbox):
    sandbox.write_output(hashlib.sha256(sandbox.files[sandbox.layout.inputs_folder + "/large"]).hexdigest().encode())
    return 0


def _source(sandbox):
    sandbox.write_output(sandbox.files[sandbox.spec.environment["SOURCE"]])
    return 0


def _unlink(sandbox):
    del sandbox.files[sandbox.layout.output_file]
    return 0


READ_INPUT = "import os; data = open(os.environ['INPUT_FILE'], 'rb').read(); "
WRITE = "open(os.environ['OUTPUT_FILE'], 'wb').write"
NOTE = "os.environ['TEMPORARY_FOLDER'] + '/note'"
PROGRAMS = {
    "upper": Program(f"{READ_INPUT} {WRITE}(data.upper())", _upper),
    "fail": Program("import sys; sys.exit(7)", lambda sandbox: 7),
    "wait": Program("import time; time.sleep(600)", _wait),
    "noise": Program(
        "import sys; sys.stdout.buffer.write(b'x' * 5000 + b'\\n' + b'\\xff\\xfe the end\\n')",
        _noise,
    ),
    "named": Program(
        "import os; folder = os.environ['OUTPUTS_FOLDER']; open(folder + '/b', 'w').write('1'); "
        "open(folder + '/a', 'w').write('22'); os.symlink('/etc/passwd', folder + '/link'); os.mkdir(folder + '/dir')",
        _named,
    ),
    "environment": Program(f"import os; {WRITE}(os.environ['GREETING'].encode())", _environment),
    "leave": Program(f"{READ_INPUT} open({NOTE}, 'wb').write(data)", _leave),
    "find": Program(
        f"import os; path = {NOTE}; {WRITE}(open(path, 'rb').read() if os.path.exists(path) else b'nothing')", _find
    ),
    "digest": Program(
        "import os, hashlib; data = open(os.environ['INPUTS_FOLDER'] + '/large', 'rb').read(); "
        f"{WRITE}(hashlib.sha256(data).hexdigest().encode())",
        _digest,
    ),
    "source": Program(f"import os; {WRITE}(open(os.environ['SOURCE'], 'rb').read())", _source),
    "unlink": Program("import os; os.unlink(os.environ['OUTPUT_FILE'])", _unlink),
}


class ExecutorSuite:
    @pytest.fixture
    def executor(self) -> Executor:
        raise NotImplementedError

    def image(self, executor: Executor, program: str) -> tuple[str, tuple[str, ...] | None]:
        """Resolved image id and command for a program."""
        raise NotImplementedError

    def known_image(self) -> str:
        """A name that the executor resolves."""
        raise NotImplementedError

    def settle(self, executor: Executor) -> None:
        """Wait for what the executor does in the background, if it does."""

    @pytest.fixture
    def owner(self, executor: Executor):
        """Removes what a test has left."""
        yield executor
        for handle in executor.find({}):
            executor.remove(handle)
        wait_until(lambda: not executor.find({}))

    def spec(self, executor: Executor, program: str = "upper", name: str | None = None, **changes) -> SandboxSpec:
        name = name or f"suite-{os.getpid()}-{next(_numbers)}"
        layout = executor.layout(name)
        image, command = self.image(executor, program)
        environment = {
            "INPUT_FILE": layout.input_file,
            "OUTPUT_FILE": layout.output_file,
            "TEMPORARY_FOLDER": layout.temporary_folder,
            "INPUTS_FOLDER": layout.inputs_folder,
            "OUTPUTS_FOLDER": layout.outputs_folder,
        } | changes.pop("environment", {})
        files = (InputFile(layout.input_file, changes.pop("data", b"hello")), InputFile(layout.token_file, b"token"))
        return SandboxSpec(
            **{
                "name": name,
                "image": image,
                "command": command,
                "environment": environment,
                "files": files + changes.pop("more_files", ()),
                "sources": (),
                "limits": LIMITS,
                "labels": {"vestal.run": name},
                **changes,
            }
        )

    def run(self, executor: Executor, program: str = "upper", **changes) -> bytes:
        spec = self.spec(executor, program, **changes)
        handle = executor.start(spec)
        try:
            ended = executor.wait(handle, DEADLINE_S)
            assert ended is not None and ended.code == 0, (ended, executor.logs(handle, 1000))
            return fetch(executor, handle)
        finally:
            executor.remove(handle)

    # --- the life of a sandbox ----------------------------------------------------------------------------------------
    def test_it_is_an_executor(self, executor):
        assert isinstance(executor, Executor)

    def test_an_input_becomes_an_output(self, owner):
        assert self.run(owner, data=b"hello \xff") == b"HELLO \xff"

    def test_what_ended_says_when_and_how(self, owner):
        handle = owner.start(self.spec(owner, "fail"))
        ended = owner.wait(handle, DEADLINE_S)
        assert ended.code == 7 and not ended.out_of_memory
        assert ended.started_at <= ended.finished_at <= time.time() + 1

    def test_waiting_again_gives_the_same(self, owner):
        handle = owner.start(self.spec(owner, "fail"))
        assert owner.wait(handle, DEADLINE_S) == owner.wait(handle, 0)

    def test_what_still_runs_is_none(self, owner):
        handle = owner.start(self.spec(owner, "wait"))
        assert owner.wait(handle, 0) is None
        assert owner.wait(handle, 0.05) is None

    def test_a_kill_ends_the_wait(self, owner):
        handle = owner.start(self.spec(owner, "wait"))
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(owner.wait, handle, DEADLINE_S)
            owner.kill(handle)
            assert waiting.result(DEADLINE_S).code == 137

    def test_killing_what_has_ended_is_fine(self, owner):
        handle = owner.start(self.spec(owner))
        owner.wait(handle, DEADLINE_S)
        owner.kill(handle)
        owner.remove(handle)
        owner.kill(handle)

    def test_a_name_can_be_used_once(self, owner):
        spec = self.spec(owner, "wait")
        owner.start(spec)
        with pytest.raises(AlreadyStarted):
            owner.start(spec)

    def test_a_removed_name_can_be_used_again(self, owner):
        spec = self.spec(owner)
        first = owner.start(spec)
        owner.remove(first)
        second = owner.start(spec)
        assert owner.wait(second, DEADLINE_S).code == 0

    def test_removing_twice_is_fine_and_nothing_is_found(self, owner):
        handle = owner.start(self.spec(owner, "wait"))
        owner.remove(handle)
        owner.remove(handle)
        assert owner.find({"vestal.run": handle.name}) == []

    def test_what_is_gone_is_unknown(self, owner):
        handle = owner.start(self.spec(owner))
        owner.remove(handle)
        wait_until(lambda: raises(UnknownHandle, lambda: owner.wait(handle, 0)))
        with pytest.raises(UnknownHandle):
            owner.labels(handle)
        with pytest.raises(UnknownHandle):
            owner.logs(handle, 10)
        with pytest.raises(UnknownHandle):
            fetch(owner, handle)

    def test_many_at_once(self, owner):
        with ThreadPoolExecutor(6) as pool:
            results = pool.map(lambda n: self.run(owner, data=b"run %d" % n), range(6))
            assert list(results) == [b"RUN %d" % n for n in range(6)]

    # --- finding again ------------------------------------------------------------------------------------------------
    def test_found_by_labels(self, owner):
        mine = owner.start(self.spec(owner, "wait", labels={"vestal.run": "7", "vestal.job": "a"}))
        owner.start(self.spec(owner, "wait", labels={"vestal.run": "8", "vestal.job": "a"}))
        assert owner.find({"vestal.run": "7"}) == [mine]
        assert owner.find({"vestal.run": "7", "vestal.job": "b"}) == []
        assert len(owner.find({"vestal.job": "a"})) == 2
        assert {"vestal.run": "7", "vestal.job": "a"}.items() <= owner.labels(mine).items()

    def test_what_has_ended_is_still_found_with_its_output(self, owner):
        handle = owner.start(self.spec(owner))
        owner.wait(handle, DEADLINE_S)
        (found,) = owner.find({"vestal.run": handle.name})
        assert owner.wait(found, 0).code == 0
        assert fetch(owner, found) == b"HELLO"

    # --- files --------------------------------------------------------------------------------------------------------
    def test_an_output_nobody_wrote_is_empty(self, owner):
        handle = owner.start(self.spec(owner, "fail"))
        owner.wait(handle, DEADLINE_S)
        assert fetch(owner, handle) == b""

    def test_a_missing_output(self, owner):
        handle = owner.start(self.spec(owner, "unlink"))
        owner.wait(handle, DEADLINE_S)
        with pytest.raises(OutputMissing):
            fetch(owner, handle)

    def test_an_output_has_a_limit(self, owner):
        handle = owner.start(self.spec(owner, data=b"x" * 1000))
        owner.wait(handle, DEADLINE_S)
        assert len(fetch(owner, handle, limit=1000)) == 1000
        with pytest.raises(OutputTooLarge):
            fetch(owner, handle, limit=999)

    def test_a_large_output(self, owner, tmp_path):
        large = tmp_path / "large"
        large.write_bytes(os.urandom(1 << 20) * 3)
        layout = owner.layout("suite-large")
        spec = self.spec(owner, name="suite-large")
        spec = replace_input(spec, InputFile(layout.input_file, large))
        handle = owner.start(spec)
        assert owner.wait(handle, DEADLINE_S).code == 0
        assert fetch(owner, handle) == large.read_bytes().upper()
        with pytest.raises(OutputTooLarge):
            fetch(owner, handle, limit=2 << 20)

    def test_a_large_input_is_streamed_from_a_file(self, owner, tmp_path):
        large = tmp_path / "large"
        large.write_bytes(os.urandom(1 << 20) * 5 + b"odd")
        name = "suite-streamed"
        more = (InputFile(f"{owner.layout(name).inputs_folder}/large", large),)
        digest = self.run(owner, "digest", name=name, more_files=more)
        assert digest.decode() == hashlib.sha256(large.read_bytes()).hexdigest()

    def test_named_outputs_are_regular_files_only(self, owner):
        handle = owner.start(self.spec(owner, "named"))
        owner.wait(handle, DEADLINE_S)
        assert owner.outputs(handle) == ("a", "b")
        assert fetch(owner, handle, owner.layout(handle.name).outputs_folder + "/a") == b"22"

    def test_nothing_but_outputs_is_fetched(self, owner):
        handle = owner.start(self.spec(owner))
        owner.wait(handle, DEADLINE_S)
        for path in ("/etc/passwd", owner.layout(handle.name).output_file + "/../../../../etc/passwd"):
            with pytest.raises(OutputMissing):
                fetch(owner, handle, path)

    def test_environment(self, owner):
        assert self.run(owner, "environment", environment={"GREETING": "héllo"}) == "héllo".encode()

    def test_a_source_is_read_where_the_layout_says(self, owner, tmp_path):
        (tmp_path / "patients.csv").write_text("age\n42\n")
        name, path = "suite-source", str(tmp_path / "patients.csv")
        inside = owner.layout(name).source("default", path)
        assert inside.endswith("/patients.csv")
        source = SourceMount("default", path, inside, open=True)
        tmp_path.chmod(0o755)
        assert self.run(owner, "source", name=name, sources=(source,), environment={"SOURCE": inside}) == b"age\n42\n"

    def test_a_missing_source(self, owner, tmp_path):
        path = str(tmp_path / "nothing.csv")
        source = SourceMount("default", path, owner.layout("x").source("default", path), open=True)
        with pytest.raises(SourceMissing):
            owner.start(self.spec(owner, sources=(source,)))
        assert self.run(owner) == b"HELLO"

    # --- logs ---------------------------------------------------------------------------------------------------------
    def test_logs_are_bytes_and_the_last_of_them(self, owner):
        handle = owner.start(self.spec(owner, "noise"))
        owner.wait(handle, DEADLINE_S)
        wait_until(lambda: owner.logs(handle, 100).endswith(b"\n"))
        assert owner.logs(handle, 14) == b"xx\n\xff\xfe the end\n"
        assert len(owner.logs(handle, 1 << 20)) == 5012
        assert owner.logs(handle, 0) == b""

    # --- scratch ------------------------------------------------------------------------------------------------------
    def test_runs_of_a_job_share_their_scratch_until_it_ends(self, owner):
        self.run(owner, "leave", data=b"note", shared_scratch="job-1")
        assert self.run(owner, "find", shared_scratch="job-1") == b"note"
        assert self.run(owner, "find", shared_scratch="job-2") == b"nothing"
        owner.end_job("job-1")
        owner.end_job("job-1")
        owner.end_job("job-2")
        self.settle(owner)
        assert self.run(owner, "find", shared_scratch="job-1") == b"nothing"
        owner.end_job("job-1")

    def test_private_scratch_is_nobody_elses(self, owner):
        self.run(owner, "leave")
        assert self.run(owner, "find") == b"nothing"

    # --- images -------------------------------------------------------------------------------------------------------
    def test_an_image_by_name_and_by_digest(self, executor):
        by_name = executor.resolve_image(ImageRef(self.known_image()))
        assert by_name.config_digest.startswith("sha256:")
        assert executor.resolve_image(ImageRef("whatever", by_name.config_digest)).id == by_name.id

    def test_an_unknown_image(self, executor):
        with pytest.raises(ImageMissing):
            executor.resolve_image(ImageRef("localhost:1/nowhere/nothing:none"))

    def test_an_image_that_is_another(self, executor):
        with pytest.raises(ImageRefused):
            executor.resolve_image(ImageRef(self.known_image(), "sha256:" + "0" * 64))

    def test_starting_what_is_not_there(self, owner):
        with pytest.raises(ImageMissing):
            owner.start(self.spec(owner, image="sha256:" + "0" * 64))
        assert self.run(owner) == b"HELLO"

    def test_errors_have_reasons(self):
        for error in ExecutorError.__subclasses__():
            assert error.reason and error.__doc__ and error.code


def fetch(executor: Executor, handle, path: str | None = None, limit: int = 8 << 20) -> bytes:
    sink = io.BytesIO()
    size = executor.fetch(handle, path or executor.layout(handle.name).output_file, sink, limit)
    assert size == len(sink.getvalue())
    return sink.getvalue()


def replace_input(spec: SandboxSpec, file: InputFile) -> SandboxSpec:
    return replace(spec, files=(file, *spec.files[1:]))


def raises(kind: type[Exception], call: Callable[[], object]) -> bool:
    try:
        call()
    except kind:
        return True
    return False


def wait_until(condition: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
    """For what an executor does in the background."""
    deadline = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        threading.Event().wait(0.01)
