"""The container's entry point: files in, files out, errors without data."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from algorithm_base.main import main

from .pretend_proxy import pretend_proxy

ROOT = Path(__file__).parents[3]
SECRET = "J. Jansen"

ALGORITHM = '''
import sys, threading
from algorithm_base import AlgorithmError, DataFrame, Outputs, OutputStream, Peers, inputs, method, progress, source

class Careful(AlgorithmError):
    """Say it in words."""

@method
def ages(data: DataFrame = source()):
    return [int(row["age"]) for row in data]

@method
def parse(data: DataFrame = source()):
    return deeper(data)

def deeper(data):
    return [int(row["name"]) for row in data]      # line 17

@method
def leave(data: DataFrame = source()):
    sys.exit(data[0]["name"])

@method
def in_thread(data: DataFrame = source()):
    thread = threading.Thread(target=deeper, args=(data,))
    thread.start()
    thread.join()
    return "done"

@method
def careful():
    raise Careful("too few rows")

@method
def declared():
    raise Careful

@method
def everybody(peers: Peers, x):
    progress(50)
    return peers.call("echo", x)

@method
def step(parts=inputs("parts")):
    return Outputs(parts, count=len(parts))

@method
def stream(output: OutputStream):
    output.write(b"raw")
'''


@pytest.fixture
def container(tmp_path, monkeypatch):
    """Runs an order as a container would; gives exit code, output and what was said."""
    (tmp_path / "packages/an_algorithm").mkdir(parents=True)
    (tmp_path / "packages/an_algorithm/__init__.py").write_text("")
    (tmp_path / "packages/an_algorithm/methods.py").write_text(ALGORITHM)
    (tmp_path / "patients.csv").write_text(f"name,age\n{SECRET},41\n")
    (tmp_path / "outputs").mkdir()
    (tmp_path / "output").touch()
    variables = {
        "INPUT_FILE": str(tmp_path / "input"),
        "OUTPUT_FILE": str(tmp_path / "output"),
        "OUTPUTS_FOLDER": str(tmp_path / "outputs"),
        "USER_REQUESTED_DATABASE_LABELS": "default",
        "DEFAULT_DATABASE_URI": str(tmp_path / "patients.csv"),
        "DEFAULT_DATABASE_TYPE": "csv",
    }

    def run(order, *, module="an_algorithm.methods", encoded=True, **more):
        (tmp_path / "input").write_bytes(order if isinstance(order, bytes) else json.dumps(order).encode())
        values = {**variables, **more}
        if encoded:
            values = {k: base64.b32encode(v.encode()).decode().replace("=", "!") for k, v in values.items()}
        paths = os.pathsep.join([str(ROOT), str(tmp_path / "packages")])
        done = subprocess.run(
            # -S: without site-packages, so that this also proves that the standard library is enough
            [sys.executable, "-S", "-m", "algorithm_base", *([module] if module else [])],
            env={"PYTHONPATH": paths, "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **values},
            capture_output=True,
            timeout=60,
            cwd=tmp_path,
        )
        return done.returncode, (tmp_path / "output").read_bytes(), (done.stdout + done.stderr).decode()

    run.folder = tmp_path
    return run


@pytest.mark.parametrize("encoded", [True, False])
def test_an_order_is_carried_out(container, encoded):
    assert container({"method": "ages", "args": [], "kwargs": {}}, encoded=encoded) == (0, b"[41]", "")


def test_the_module_may_come_from_the_images_environment(container):
    run = container({"method": "ages"}, module=None, encoded=False, PKG_NAME="an_algorithm.methods")
    assert run == (0, b"[41]", "")


def test_an_exception_is_told_by_class_and_place_and_never_by_its_text(container):
    code, output, said = container({"method": "parse"})
    assert (code, output) == (1, b"")
    assert said == "ValueError at an_algorithm/methods.py:17 (its text is withheld: it may hold data)\n"


@pytest.mark.parametrize("name", ["leave", "in_thread"])
def test_exits_and_threads_do_not_talk_either(container, name):
    _, _, said = container({"method": name})
    assert "an_algorithm/methods.py:" in said
    assert SECRET not in said
    assert "Traceback" not in said


@pytest.mark.parametrize(("name", "text"), [("careful", "too few rows"), ("declared", "Say it in words.")])
def test_an_algorithm_error_is_shown_as_its_author_wrote_it(container, name, text):
    assert container({"method": name}) == (1, b"", f"Careful: {text}\n")


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (b"\xff", "OrderError: the order is not JSON"),
        ([], "OrderError: the order names no method"),
        ({"method": 4}, "OrderError: the order names no method"),
        ({"method": "ages", "args": {}, "kwargs": [1]}, "OrderError: the order's args must be a list"),
        ({"method": "deeper"}, "OrderError: there is no method 'deeper' in an_algorithm.methods; it has: ages, "),
        ({"method": "ages", "kwargs": {"x": 1}}, "OrderError: ages: got an unexpected keyword argument 'x'"),
    ],
)
def test_an_order_that_does_not_fit_is_exit_2(container, order, said):
    code, output, text = container(order)
    assert (code, output) == (2, b"")
    assert text.startswith(said)
    assert text.count("\n") == 1


@pytest.mark.parametrize(
    ("module", "said"),
    [(None, "which algorithm"), ("nowhere", "no module 'nowhere'"), ("an_algorithm.x", "no module 'an_algorithm.x'")],
)
def test_an_image_without_its_algorithm_says_so(container, module, said):
    code, _, text = container({"method": "ages"}, module=module)
    assert code == 2
    assert said in text


def test_an_import_error_inside_the_algorithm_is_its_own_failure(container):
    (container.folder / "packages/an_algorithm/broken.py").write_text("import json\nimport not_installed\n")
    code, _, text = container({"method": "ages"}, module="an_algorithm.broken")
    assert code == 1
    assert text.startswith("ModuleNotFoundError at an_algorithm/broken.py:2 ")


def test_outside_a_container_it_says_what_is_missing(capsys):
    assert main(["an_algorithm"], {}) == 2
    assert "INPUT_FILE is not set" in capsys.readouterr().err


def test_named_inputs_and_outputs_are_files(container):
    folder = container.folder / "inputs"
    folder.mkdir()
    (folder / "0").write_text("4")
    index = {"parts": {"many": True, "items": [{"organization_id": 1, "file": "0"}]}}
    (folder / "index.json").write_text(json.dumps(index))
    assert container({"method": "step"}, INPUTS_FOLDER=str(folder)) == (0, b"[4]", "")
    assert (container.folder / "outputs/count").read_bytes() == b"1"


def test_a_stream_is_written_raw(container):
    assert container({"method": "stream"}) == (0, b"raw", "")


def test_subtasks_and_progress_go_through_the_proxy(container):
    with pretend_proxy(
        container.folder, lambda organization, order: json.dumps([organization, order]).encode()
    ) as proxy:
        host, port = proxy.address.url.removesuffix("/api").rsplit(":", 1)
        where = {"HOST": host, "PORT": port, "API_PATH": "/api", "TOKEN_FILE": str(proxy.address.token_file)}
        code, output, said = container({"method": "everybody", "args": [7]}, **where)
    assert (code, said) == (0, "")
    assert json.loads(output) == [[n, {"method": "echo", "args": [7], "kwargs": {}}] for n in (1, 2, 3)]
    assert proxy.percents == [50]


def test_progress_that_nobody_takes_does_not_fail_the_run(container):
    with pretend_proxy(container.folder) as proxy:
        proxy.interrupt = [(404, {"msg": "no such call"})]
        host, port = proxy.address.url.removesuffix("/api").rsplit(":", 1)
        where = {"HOST": host, "PORT": port, "API_PATH": "/api", "TOKEN_FILE": str(proxy.address.token_file)}
        code, _, said = container({"method": "everybody", "args": [7]}, **where)
    assert (code, said) == (0, "progress is not reported any more: ProxyRefused\n")


def test_a_run_without_a_proxy_can_ask_nobody(container):
    code, _, said = container({"method": "everybody", "args": [7]})
    assert code == 2
    assert "no proxy" in said
