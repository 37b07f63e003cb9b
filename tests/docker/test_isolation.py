"""What a sandbox cannot do, tried on a real engine. Whatever must fail is first seen to succeed from an ordinary
container: a test that cannot fail proves nothing.
"""

import json
import os
import socket
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from vnode.executors.attachment import ProxyAttachment, relay_name
from vnode.executors.base import ImageRef, InputFile, SandboxLimits, SandboxSpec, SourceMount
from vnode.executors.docker import DockerExecutor
from vnode.executors.errors import IsolationBroken
from vnode.executors.inside import listen
from vnode.executors.probe import check_isolation, what_answers

pytestmark = pytest.mark.docker
NODE = f"isolation{os.getpid()}"
DEADLINE_S = 60.0
LIMITS = SandboxLimits(
    memory_bytes=128 << 20, cpus=1.0, pids=32, time_s=60.0, output_bytes=1 << 20, scratch_bytes=1 << 20
)
DUMMY_ADDRESS = "198.51.100.7"
TRY_TO_CONNECT = """
import json, os, socket
answered = []
for host, port in json.loads(os.environ["TARGETS"]):
    try:
        socket.create_connection((host, port), 1).close()
        answered.append(host)
    except ConnectionRefusedError:
        answered.append(host)
    except OSError:
        pass
print(json.dumps(answered))
"""


@pytest.fixture(scope="module")
def executor(base_image):
    executor = DockerExecutor(NODE, slots=3, relay_image=base_image)
    executor.prepare()
    yield executor
    for handle in executor.find({}):
        executor.remove(handle)
    executor.close()


@pytest.fixture(scope="module")
def listener():
    """A service of the host on every address, as careless services are: its port."""
    server = listen.bind(socket.SOCK_STREAM, 0)
    server.listen(64)
    threading.Thread(target=listen.greet, args=(server,), daemon=True).start()
    return server.getsockname()[1]


@pytest.fixture(scope="module")
def dummy_interface():
    """An address of the host in a network that nobody routes."""
    name = "vestal-dummy0"
    failures = []
    for kind in ("dummy", "bridge"):  # not every kernel has the first
        try:
            for command in (
                ["link", "add", name, "type", kind],
                ["addr", "add", f"{DUMMY_ADDRESS}/24", "dev", name],
                ["link", "set", name, "up"],
            ):
                subprocess.run(["ip", *command], check=True, capture_output=True, timeout=10)
            break
        except (OSError, subprocess.CalledProcessError) as error:
            failures.append(str(error))
    else:
        pytest.skip(f"this host lets nobody make an interface: {failures}")
    yield DUMMY_ADDRESS
    subprocess.run(["ip", "link", "del", name], check=True, timeout=10)


@contextmanager
def sandbox(executor, source, **changes):
    """A running sandbox that executes Python source."""
    name = f"{NODE}-{os.urandom(4).hex()}"
    layout = executor.layout(name)
    environment = {"OUTPUT_FILE": layout.output_file, "TEMPORARY_FOLDER": layout.temporary_folder}
    image = executor.resolve_image(ImageRef(executor.relay_image)).id
    spec = SandboxSpec(
        name=name,
        image=image,
        command=("python3", "-c", source),
        environment=environment | changes.pop("environment", {}),
        files=(InputFile(layout.input_file, b"{}"), InputFile(layout.token_file, b"token")),
        **{"sources": (), "limits": LIMITS, "labels": {}} | changes,
    )
    handle = executor.start(spec)
    try:
        yield handle
    finally:
        executor.remove(handle)


def inside(executor, source, **changes):
    """What the source prints in a sandbox, as JSON."""
    with sandbox(executor, source, **changes) as handle:
        ended = executor.wait(handle, DEADLINE_S)
        said = executor.logs(handle, 10_000).decode()
        assert ended is not None and ended.code == 0, (ended, said)
        return json.loads(said)


def outside(engine, image, source, **options):
    """The same in an ordinary container."""
    return json.loads(engine.containers.run(image, ["-c", source], entrypoint="python3", remove=True, **options))


def targets(addresses, port):
    return {"TARGETS": json.dumps([[address, port] for address in addresses])}


def host_addresses():
    return [address for address in listen.addresses() if address not in ("127.0.0.1", "::1") and ":" not in address]


# --- the network -----------------------------------------------------------------------------------------------------
def test_no_address_of_the_host_answers(engine, base_image, executor, listener, dummy_interface):
    addresses = host_addresses()
    assert (
        dummy_interface in addresses and len(addresses) > 2
    )  # and those of the default bridge and of a real interface
    wanted = targets(addresses, listener)
    assert outside(engine, base_image, TRY_TO_CONNECT, environment=wanted) == addresses
    assert inside(executor, TRY_TO_CONNECT, environment=wanted) == []


def test_an_internal_network_alone_would_not_do(engine, base_image, listener):
    """Why the bridge has no address: with `internal` only, its gateway address is the host."""
    network = engine.networks.create(f"{NODE}-internal", internal=True, labels={"vestal.node": NODE})
    try:
        gateway = network.attrs.get("IPAM", {}).get("Config") or engine.networks.get(network.id).attrs["IPAM"]["Config"]
        address = gateway[0]["Gateway"]
        wanted = targets([address], listener)
        assert outside(engine, base_image, TRY_TO_CONNECT, environment=wanted, network=network.name) == [address]
    finally:
        network.remove()


def test_its_own_gateway_does_not_answer(executor, listener):
    gateways = [executor._networks.network(name).gateway_address for name in executor._networks.names()]
    assert inside(executor, TRY_TO_CONNECT, environment=targets(gateways, listener)) == []


def test_another_sandbox_does_not_answer(engine, base_image, executor):
    serve = (
        "import socket, time; s = socket.create_server(('0.0.0.0', 4321), backlog=16); print('ready', flush=True); "
        "time.sleep(300)"
    )
    neighbour = engine.containers.run(
        base_image, ["-c", serve], entrypoint="python3", detach=True, labels={"vestal.node": NODE}
    )
    try:
        next(neighbour.logs(stream=True))
        neighbour.reload()
        address = neighbour.attrs["NetworkSettings"]["IPAddress"]
        assert outside(engine, base_image, TRY_TO_CONNECT, environment=targets([address], 4321)) == [address]
        assert inside(executor, TRY_TO_CONNECT, environment=targets([address], 4321)) == []
    finally:
        neighbour.remove(force=True)
    with sandbox(executor, serve) as other:
        wait_for_log(executor, other, b"ready")
        assert inside(executor, TRY_TO_CONNECT, environment=targets([other.address], 4321)) == []


def test_no_name_is_looked_up(executor):
    source = (
        "import json, socket\nfound = []\nfor name in ('example.com', 'example.org', 'host.docker.internal'):\n"
        "    try: found.append(socket.gethostbyname(name))\n    except OSError: pass\nprint(json.dumps(found))"
    )
    assert inside(executor, source) == []


def test_nobody_is_at_the_end_of_its_default_route(executor):
    """The engine makes such a route even on internal networks; the address that it names is nobody's."""
    source = (
        "import json, socket\n"
        "try: socket.create_connection(('203.0.113.1', 80), 2)\nexcept OSError: pass\n"
        "print(json.dumps([line.split()[:3] for line in open('/proc/net/arp').read().splitlines()[1:]]))"
    )
    gateways = {executor._networks.network(name).gateway_address for name in executor._networks.names()}
    neighbours = inside(executor, source)
    assert all(address not in gateways or int(flags, 16) == 0 for address, _, flags in neighbours), neighbours


def test_the_probe_finds_what_an_ordinary_container_reaches(executor, base_image, listener):
    answered = what_answers(executor._api, NODE, base_image, None, [("192.0.2.255", 9)])
    assert any(address in line for address in host_addresses() for line in answered)


def test_the_probe_refuses_a_network_that_is_merely_internal(engine, base_image, executor):
    network = engine.networks.create(f"{NODE}-leaky", internal=True, labels={"vestal.node": NODE})
    seat = engine.containers.run(
        base_image, ["-c", "import time; time.sleep(300)"], entrypoint="python3", detach=True, network=network.name
    )
    try:
        gateway = engine.networks.get(network.id).attrs["IPAM"]["Config"][0]["Gateway"]
        with pytest.raises(IsolationBroken) as refused:
            check_isolation(executor._api, NODE, base_image, seat.name, (), (gateway,))
        assert any(gateway in line for line in refused.value.answered)
    finally:
        seat.remove(force=True)
        network.remove()


# --- who it is and what it may ---------------------------------------------------------------------------------------
WHO = """
import json, os
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
print(json.dumps({"uid": os.getuid(), "gid": os.getgid(), "groups": os.getgroups(),
    "capabilities": [int(status[key], 16) for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")],
    "no_new_privileges": int(status["NoNewPrivs"]), "seccomp": int(status["Seccomp"])}))
"""


def test_it_is_nobody(engine, base_image, executor):
    ordinary = outside(engine, base_image, WHO)
    assert ordinary["uid"] == 0 and any(ordinary["capabilities"]) and not ordinary["no_new_privileges"]
    me = inside(executor, WHO)
    assert me["uid"] == me["gid"] == 65532 and 0 not in me["groups"]
    assert me["capabilities"] == [0] * 5
    assert me["no_new_privileges"] == 1
    assert me["seccomp"] == 2


WRITABLE = """
import json, os
found = []
for folder in ("/", "/etc", "/usr", "/opt", "/var", "/root", "/home", "/mnt", "/vestal", "/vestal/run/in", "/proc/sys"):
    try:
        open(folder + "/x", "w").close()
        found.append(folder)
    except OSError:
        pass
print(json.dumps(found))
"""


def test_the_root_file_system_is_read_only(engine, base_image, executor):
    assert "/etc" in outside(engine, base_image, WRITABLE)
    assert inside(executor, WRITABLE) == []


def test_even_a_root_of_its_own_would_be_read_only(executor):
    mounts = inside(
        executor, "import json; print(json.dumps([l.split()[:4] for l in open('/proc/mounts').read().splitlines()]))"
    )
    options = {mount[1]: mount[3].split(",") for mount in mounts}
    assert "ro" in options["/"]
    assert not any(mount[1].endswith("docker.sock") for mount in mounts)


def test_data_is_read_only_even_for_its_owner(engine, base_image, executor, tmp_path):
    data = tmp_path / "patients.csv"
    data.write_text("age\n42\n")
    data.chmod(0o666)
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(0o755)
    attempt = (
        "import json, os\ntry:\n    open(os.environ['DATA'], 'a').write('x'); print(json.dumps('written'))\n"
        "except OSError as error: print(json.dumps(error.strerror))"
    )
    mounted = {str(data): {"bind": "/data.csv", "mode": "rw"}}
    assert outside(engine, base_image, attempt, environment={"DATA": "/data.csv"}, volumes=mounted) == "written"
    data.write_text("age\n42\n")
    path = executor.layout("x").source("default", str(data))
    source = SourceMount("default", str(data), path)
    assert inside(executor, attempt, environment={"DATA": path}, sources=(source,)) == "Read-only file system"
    assert data.read_text() == "age\n42\n"


def test_devices_are_the_harmless_ones(executor):
    devices = inside(executor, "import json, os; print(json.dumps(sorted(os.listdir('/dev'))))")
    assert set(devices) <= {
        *("core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout"),
        *("tty", "urandom", "zero"),
    }


def test_it_sees_no_other_process(executor):
    processes = inside(executor, "import json, os; print(json.dumps([p for p in os.listdir('/proc') if p.isdigit()]))")
    assert processes == ["1"]


# --- limits ----------------------------------------------------------------------------------------------------------
FORK = """
import json, os, time
count = 0
try:
    for _ in range(100):
        if os.fork() == 0:
            time.sleep(30)
            os._exit(0)
        count += 1
except OSError:
    pass
print(json.dumps(count), flush=True)
os.kill(0, 9) if count == 100 else os._exit(0)
"""


def test_processes_are_limited(engine, base_image, executor):
    ordinary = FORK.replace("os.kill(0, 9) if count == 100 else os._exit(0)", "os._exit(0)")
    assert outside(engine, base_image, ordinary) == 100
    assert inside(executor, FORK) < LIMITS.pids


def test_memory_is_limited(engine, base_image, executor):
    take = "import json; x = bytearray(400 << 20); print(json.dumps(len(x)))"
    assert outside(engine, base_image, take) == 400 << 20
    with sandbox(executor, take) as handle:
        ended = executor.wait(handle, DEADLINE_S)
    assert ended.code == 137 and ended.out_of_memory


def test_a_file_is_limited(engine, base_image, executor):
    write = (
        "import json, os\npath = os.environ.get('OUTPUT_FILE', '/tmp/x')\n"
        "try:\n    with open(path, 'wb') as file: file.write(bytes(3 << 20))\nexcept OSError: pass\n"
        "print(json.dumps(os.path.getsize(path)))"
    )
    assert outside(engine, base_image, write) == 3 << 20
    assert inside(executor, write) == 1 << 20


def test_temporary_space_in_memory_is_limited(executor):
    write = (
        "import json, os\nwritten = 0\ntry:\n"
        "    for n in range(200):\n        open(f'/tmp/{n}', 'wb').write(bytes(1 << 20)); written += 1\n"
        "except OSError: pass\nprint(json.dumps(written))"
    )
    assert 0 < inside(executor, write) <= 64


# --- the one way out -------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def proxy(tmp_path_factory):
    """A proxy that says who called: one line of greeting, then the request comes back in upper case."""
    path = Path(tmp_path_factory.mktemp("proxy"), "proxy.sock")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen(64)

    def serve():
        while True:
            connection, _ = server.accept()
            with connection, connection.makefile("rb") as reader:
                greeting = reader.readline()
                connection.sendall(greeting + reader.read().upper())

    threading.Thread(target=serve, daemon=True).start()
    yield path
    server.close()


@pytest.fixture(scope="module")
def attached(base_image, proxy):
    executor = DockerExecutor(
        NODE + "p", slots=2, relay_image=base_image, proxy=ProxyAttachment(port=7654, socket=proxy)
    )
    executor.prepare()
    yield executor
    executor.close()


CALL = (
    "import json, socket; s = socket.create_connection(('proxyserver', 7654), 5); s.sendall(b'hello'); "
    "s.shutdown(socket.SHUT_WR); f = s.makefile('rb'); print(json.dumps(f.read().decode().split('\\r\\n')))"
)


def test_the_proxy_is_reached_and_knows_who_calls(attached):
    with sandbox(attached, CALL) as handle:
        assert attached.wait(handle, DEADLINE_S).code == 0, attached.logs(handle, 1000)
        greeting, answer = json.loads(attached.logs(handle, 1000))
        address = handle.address
    words = greeting.split()
    assert words[:3] == ["PROXY", "TCP4", address] and words[5] == "7654"
    assert answer == "HELLO"


def test_the_proxy_is_all_that_is_reached(attached, listener):
    assert inside(attached, TRY_TO_CONNECT, environment=targets(host_addresses(), listener)) == []


def test_nothing_is_left_after_the_executor(engine, base_image, proxy):
    executor = DockerExecutor(
        NODE + "q", slots=1, relay_image=base_image, proxy=ProxyAttachment(port=7654, socket=proxy)
    )
    executor.prepare()
    assert engine.containers.get(relay_name(NODE + "q")).status == "running"
    executor.close()
    everything = {"label": f"vestal.node={NODE}q"}
    assert engine.containers.list(all=True, filters=everything) == []
    assert engine.networks.list(filters=everything) == []
    assert engine.volumes.list(filters=everything) == []


def wait_for_log(executor, handle, word):
    ended = threading.Event()
    for _ in range(1000):
        if word in executor.logs(handle, 1000):
            return
        ended.wait(0.01)
    raise AssertionError(executor.logs(handle, 1000))
