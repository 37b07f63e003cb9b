import json
from dataclasses import replace

import pytest

from vnode.executors.base import InputFile, SandboxLimits, SandboxSpec, SourceMount
from vnode.executors.docker_convert import Place, create_body, entries, exit_of, layout, seat_path, unix_time
from vnode.executors.errors import SpecRefused

PLACE = Place("vnode-a-seat-1", "10.213.0.3", "vnode-a-seat-1")
LAYOUT = layout(7654)
SPEC = SandboxSpec(
    name="vnode-a-run-7",
    image="sha256:abc",
    command=None,
    environment={"HOST": "http://proxyserver"},
    files=(InputFile(LAYOUT.input_file, b"{}"), InputFile(LAYOUT.token_file, b"t")),
    sources=(SourceMount("default", "/data/patients.csv", LAYOUT.source("default", "/data/patients.csv")),),
    limits=SandboxLimits(1 << 30, 1.5, 100, 60.0, 1 << 20, 2 << 20),
    labels={"vestal.run": "7"},
)


@pytest.fixture
def body():
    return create_body(SPEC, "a", PLACE)


def test_it_is_json(body):
    assert json.loads(json.dumps(body)) == body


def test_a_strict_sandbox_may_nothing(body):
    host = body["HostConfig"]
    assert body["User"] == "65532:65532"
    assert host["CapDrop"] == ["ALL"] and "CapAdd" not in host
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["ReadonlyRootfs"] is True
    assert host["IpcMode"] == "private"
    assert not {"Privileged", "Devices", "Binds", "PidMode", "PortBindings", "Links"} & host.keys()


def test_limits(body):
    host = body["HostConfig"]
    assert host["Memory"] == host["MemorySwap"] == 1 << 30
    assert host["NanoCpus"] == 1_500_000_000
    assert host["PidsLimit"] == 100
    assert {"Name": "fsize", "Soft": 2 << 20, "Hard": 2 << 20} in host["Ulimits"]


def test_it_joins_its_seat_and_no_other_network(body):
    assert body["HostConfig"]["NetworkMode"] == "container:vnode-a-seat-1"
    assert "NetworkingConfig" not in body


def test_the_images_own_command_is_not_touched(body):
    assert "Entrypoint" not in body and "Cmd" not in body


def test_a_command_replaces_the_images(body):
    given = create_body(replace(SPEC, command=("python3", "-c", "1")), "a", PLACE)
    assert given["Entrypoint"] == ["python3", "-c", "1"] and given["Cmd"] == []


def test_sources_are_read_only_and_not_recursive(body):
    (source,) = [mount for mount in body["HostConfig"]["Mounts"] if mount["Type"] == "bind"]
    assert source["Source"] == "/data/patients.csv" and source["Target"] == "/mnt/vestal/default/patients.csv"
    assert source["ReadOnly"] is True and source["BindOptions"]["NonRecursive"] is True


def test_volumes_of_a_run_and_of_a_job():
    def names(spec):
        mounts = create_body(spec, "a", PLACE)["HostConfig"]["Mounts"]
        return [mount["Source"] for mount in mounts if mount["Type"] == "volume"]

    assert names(SPEC) == ["vnode-a-seat-1", "vnode-a-run-vnode-a-run-7"]
    assert names(replace(SPEC, shared_scratch="j1")) == ["vnode-a-seat-1", "vnode-a-job-j1-tmp"]


def test_labels_of_the_caller_cannot_speak_for_us():
    body = create_body(replace(SPEC, labels={"vestal.node": "b", "x": "y"}), "a", PLACE)
    assert body["Labels"]["vestal.node"] == "a" and body["Labels"]["x"] == "y"


def test_compat_relaxes_two_points_only():
    strict, compat = create_body(SPEC, "a", PLACE), create_body(replace(SPEC, profile="compat"), "a", PLACE)
    assert compat["User"] == "0:0" and compat["HostConfig"]["ReadonlyRootfs"] is False
    changed = {key for key in strict["HostConfig"] if strict["HostConfig"][key] != compat["HostConfig"][key]}
    assert changed == {"ReadonlyRootfs"}


def test_a_home_unless_one_is_given(body):
    assert "HOME=/tmp" in body["Env"] and "HOST=http://proxyserver" in body["Env"]
    given = create_body(replace(SPEC, environment={"HOME": "/home/x"}), "a", PLACE)["Env"]
    assert given == ["HOME=/home/x"]


def test_entries_come_folders_first_and_hold_an_empty_output():
    listed = list(entries(replace(SPEC, files=(InputFile("/vestal/run/in/files/a/b", b"x"),))))
    paths = [entry.path for entry in listed]
    assert paths == ["in", "in/files", "out", "out/files", "in/files/a", "out/output", "in/files/a/b"]
    by_path = {entry.path: entry for entry in listed}
    assert by_path["out/output"].content == b"" and by_path["out/output"].mode == 0o600
    assert by_path["in/files/a/b"].mode == 0o400
    assert {entry.owner for entry in listed} == {65532}


def test_root_without_capabilities_can_read_its_files():
    assert {entry.mode & 0o444 for entry in entries(replace(SPEC, profile="compat"))} <= {0o404, 0o444}


@pytest.mark.parametrize("path", ["/etc/passwd", "/vestal/run/in/../x", "/vestal/run/in", "input", "/vestal/run/out/a"])
def test_an_input_outside_of_the_inputs_is_refused(path):
    with pytest.raises(SpecRefused):
        list(entries(replace(SPEC, files=(InputFile(path, b""),))))


@pytest.mark.parametrize(
    ("path", "within"),
    [
        ("/vestal/run/out/output", "out/output"),
        ("/vestal/run/out/files/a", "out/files/a"),
        ("/vestal/run/in/token", None),
        ("/vestal/run/out/../in/token", None),
        ("/etc/passwd", None),
        ("out/output", None),
    ],
)
def test_only_outputs_are_taken_out(path, within):
    assert seat_path(path) == within


def test_times():
    assert unix_time("0001-01-01T00:00:00Z") is None
    assert unix_time("1970-01-01T00:00:01.5Z") == 1.5
    assert unix_time("1970-01-01T00:01:00.123456789Z") == pytest.approx(60.123456789)


def test_an_exit():
    state = {
        "ExitCode": 137,
        "OOMKilled": True,
        "StartedAt": "1970-01-01T00:00:01Z",
        "FinishedAt": "1970-01-01T00:00:02Z",
    }
    ended = exit_of(state)
    assert (ended.code, ended.out_of_memory, ended.started_at, ended.finished_at) == (137, True, 1.0, 2.0)
