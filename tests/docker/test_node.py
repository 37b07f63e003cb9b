"""The whole path with real containers: hub process, node containers, algorithm containers; `kill -9` in its middle."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from demo import ground, pooled
from demo.federation import Federation, Plan
from demo.nodes import Hospital
from demo.talk import Talk
from examples.split import write_parts
from vclient.job import Job

pytestmark = [pytest.mark.docker, pytest.mark.slow]
TABLE = Path(__file__).parents[2] / "examples" / "data" / "wdbc.csv"
WAIT_S = 240
COLUMNS = ["mean_radius", "mean_texture", "mean_area"]


@pytest.fixture(scope="module")
def federation(images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    folder = tmp_path_factory.mktemp("federation")
    data = tuple(write_parts(TABLE, folder / "data", 3))
    with Federation(folder, Plan(ground.containers(lambda _: None), data), Talk()) as made:
        yield made


@pytest.fixture
def image(federation: Federation) -> Any:
    return federation._plan.ground.image


def daemon(engine: docker.DockerClient, hospital: Hospital) -> Any:
    return engine.containers.get(f"vnode-{hospital.node}")


def sandboxes(engine: docker.DockerClient, hospital: Hospital) -> list[Any]:
    labels = [f"vestal.node={hospital.node}", "vestal.kind=sandbox"]
    return engine.containers.list(all=True, filters={"label": labels}, ignore_removed=True)


def running_sandbox(engine: docker.DockerClient, hospital: Hospital) -> Any:
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until:
        found = [each for each in sandboxes(engine, hospital) if each.status == "running"]
        if found:
            return found[0]
        time.sleep(0.05)  # real containers: there is nothing that would tell
    raise AssertionError(f"no algorithm was started at {hospital.node}")


def api_keys(federation: Federation) -> list[str]:
    found = [path.read_text().strip() for path in federation.programs.home.rglob("api-keys/*")]
    assert len(found) == len(federation.hospitals)
    return found


def means(federation: Federation, image: Any, **options: Any) -> Job:
    kwargs = {"columns": COLUMNS}
    return federation.client.run(image, "central_moments", kwargs=kwargs, on="initiator", delegate=True, **options)


def check_means(value: dict[str, Any]) -> None:
    table = pooled.read(TABLE, "diagnosis")
    expected = pooled.moments(table.values)
    places = [table.columns.index(column) for column in COLUMNS]
    assert value["mean"] == pytest.approx(list(expected.mean[places]), rel=1e-9)
    assert value["std"] == pytest.approx(list(expected.std[places]), rel=1e-9)


def test_three_node_containers_answer_one_question(federation: Federation, image: Any) -> None:
    job = means(federation, image)
    job.wait(timeout_s=WAIT_S)
    check_means(job.result())


def test_a_node_is_not_root_and_carries_no_secret_in_its_environment(
    federation: Federation, engine: docker.DockerClient
) -> None:
    for hospital in federation.hospitals:
        found = daemon(engine, hospital).attrs
        assert found["Config"]["User"].split(":")[0] not in ("", "0", "root")
        assert not [key for key in api_keys(federation) if key in str(found)]


def test_a_daemon_that_is_killed_while_its_algorithm_runs_loses_nothing(
    federation: Federation, image: Any, engine: docker.DockerClient
) -> None:
    """The algorithm goes on, its proxy comes back, and the same container's result is delivered."""
    first = federation.hospitals[0]
    job = federation.client.run(
        image,
        "central_logistic",
        kwargs={"target": "diagnosis", "positive": "malignant", "columns": COLUMNS},
        on="initiator",
        delegate=True,
    )
    central = running_sandbox(engine, first)
    daemon(engine, first).kill(signal="KILL")
    assert daemon(engine, first).status != "running"
    central.reload()
    first.start()
    job.wait(timeout_s=WAIT_S)
    answer = job.result()
    assert answer["converged"]
    runs = [run for run in job.status().runs or () if run.path == "main[0]"]
    assert all(run.attempt == 1 for run in runs)


def test_a_site_that_is_killed_and_comes_back_answers_its_part(
    federation: Federation, image: Any, engine: docker.DockerClient
) -> None:
    second = federation.hospitals[1]
    daemon(engine, second).kill(signal="KILL")
    job = means(federation, image)
    second.start()
    job.wait(timeout_s=WAIT_S)
    check_means(job.result())


def test_nothing_of_a_run_is_left_behind(federation: Federation, image: Any, engine: docker.DockerClient) -> None:
    job = means(federation, image, private_scratch=True)
    job.wait(timeout_s=WAIT_S)
    until = time.monotonic() + 60
    while time.monotonic() < until and any(sandboxes(engine, each) for each in federation.hospitals):
        time.sleep(0.1)
    assert not [box.name for each in federation.hospitals for box in sandboxes(engine, each)]


def test_list_shows_the_nodes_as_running(federation: Federation) -> None:
    listed = federation.programs.run("vnode", "list")
    running = {each["name"]: each["runs_as"] for each in listed if each["state"] == "online"}
    assert running == {each.node: "container" for each in federation.hospitals}


def test_no_secret_stands_in_the_process_list(federation: Federation) -> None:
    shown = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True, timeout=30).stdout
    assert not [key for key in api_keys(federation) if key in shown]
