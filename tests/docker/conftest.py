"""What tests on a real engine share. Without an engine they are skipped loudly (tests/conftest.py)."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from docker.errors import ImageNotFound

ROOT = Path(__file__).parents[2]
BASE_IMAGE = os.environ.get("VESTAL_BASE_IMAGE", "vestal-base:bookworm")
BUILD_TIMEOUT_S = 1200


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    client = docker.from_env(timeout=120)
    yield client
    client.close()


@pytest.fixture(scope="session")
def base_image(engine: docker.DockerClient) -> str:
    """An image with python3 and nothing else."""
    try:
        engine.images.get(BASE_IMAGE)
    except ImageNotFound:
        subprocess.run([ROOT / "script" / "base-image", BASE_IMAGE], check=True, timeout=BUILD_TIMEOUT_S)
    return BASE_IMAGE


@pytest.fixture(scope="session")
def images(engine: docker.DockerClient, base_image: str) -> dict[str, str]:
    """Our images, built if their sources have changed: tag → id."""
    subprocess.run([ROOT / "script" / "images", "--base", base_image], check=True, timeout=BUILD_TIMEOUT_S)
    tags = ("vestal:latest", "vestal-algorithm-base:latest", "vestal-statistics:latest")
    return {tag: str(engine.images.get(tag).id) for tag in tags}
