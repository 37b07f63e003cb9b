"""Builds the project's images without downloading anything inside a build: wheels are fetched here and copied in."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import docker
from docker.errors import BuildError, DockerException, ImageNotFound

ROOT = Path(__file__).resolve().parents[1]
WHEELHOUSE = ROOT / ".vestal" / "wheels"
OWN_BASE = "vestal-base:bookworm"
PUBLIC_BASE = "python:3.12-slim"
LABEL = "vestal.made-from"
PACKAGES = ("vprotocol", "vruntime", "vserver", "vclient", "proxy", "vnode", "algorithm_base")
ALGORITHM_BASE = "vestal-algorithm-base"
STATISTICS = Path("examples/vestal-statistics")
BUILD_TIMEOUT_S = 900
SETUPTOOLS_MAJOR = 77  # knows the licence expressions in pyproject.toml
ASK_PYTHON = (
    "import json, platform, sys; print(json.dumps({'version': '%d.%d' % sys.version_info[:2], "
    "'machine': platform.machine(), 'glibc': platform.libc_ver()[1]}))"
)


@dataclass(frozen=True)
class Recipe:
    """One image: its tag, its Dockerfile, what it is made from, and the project whose wheels it needs."""

    tag: str
    dockerfile: Path
    sources: tuple[Path, ...]
    base: str | None = None  # None: the common one
    project: Path | None = None
    extra_wheels: tuple[str, ...] = ()
    copied: Path | None = None  # a folder that the Dockerfile copies as it is


DISTRIBUTION = (Path("pyproject.toml"), Path("setup.py"), *map(Path, PACKAGES))
RECIPES = {
    "vestal": Recipe("vestal:latest", Path("Dockerfile"), DISTRIBUTION, project=Path()),
    "algorithm-base": Recipe(
        f"{ALGORITHM_BASE}:latest",
        Path("algorithm_base/Dockerfile"),
        (Path("algorithm_base"),),
        copied=Path("algorithm_base"),
    ),
    "statistics": Recipe(
        "vestal-statistics:latest",
        STATISTICS / "Dockerfile",
        (STATISTICS,),
        base=f"{ALGORITHM_BASE}:latest",
        project=STATISTICS,
        extra_wheels=("pandas",),
    ),
    "development": Recipe("vestal:devcon", Path("development.Dockerfile"), DISTRIBUTION, project=Path()),
}
USUAL = ("vestal", "algorithm-base", "statistics")


def main() -> int:
    parser = argparse.ArgumentParser(prog="script/images", description=__doc__)
    parser.add_argument("images", nargs="*", metavar="IMAGE", help=f"of {', '.join(RECIPES)}; default: the first three")
    parser.add_argument("--base", default=os.environ.get("VESTAL_BASE_IMAGE"), help="the image to start from")
    parser.add_argument("--force", action="store_true", help="build even what has not changed")
    parser.add_argument("--json", action="store_true", help="the last line is an object: tag → image id")
    wanted = parser.parse_args()
    names = wanted.images or list(USUAL)
    if unknown := set(names) - RECIPES.keys():
        parser.error(f"there is no image {', '.join(sorted(unknown))}")
    if "statistics" in names and "algorithm-base" not in names:
        names.insert(0, "algorithm-base")
    try:
        engine = docker.from_env(timeout=BUILD_TIMEOUT_S)
        base = wanted.base or find_base(engine)
        made = {RECIPES[name].tag: build(engine, RECIPES[name], base, wanted.force) for name in names}
    except (DockerException, subprocess.CalledProcessError, OSError) as error:
        print(f"script/images: {error}", file=sys.stderr)
        print("Is a Docker engine running, and is the package index reachable?", file=sys.stderr)
        return 1
    if wanted.json:
        print(json.dumps(made))
    else:
        for tag, image in made.items():
            print(f"{tag}  {image}")
    return 0


def find_base(engine: docker.DockerClient) -> str:
    if present(engine, OWN_BASE):
        return OWN_BASE
    if shutil.which("debootstrap") and os.geteuid() == 0:
        subprocess.run([ROOT / "script" / "base-image", OWN_BASE], check=True, stdout=sys.stderr)
        return OWN_BASE
    if not present(engine, PUBLIC_BASE):
        say(f"pulling {PUBLIC_BASE}")
        engine.images.pull(*PUBLIC_BASE.split(":"))
    return PUBLIC_BASE


def present(engine: docker.DockerClient, name: str) -> bool:
    try:
        engine.images.get(name)
    except ImageNotFound:
        return False
    return True


def build(engine: docker.DockerClient, recipe: Recipe, common_base: str, force: bool) -> str:
    base = recipe.base or common_base
    key = made_from(recipe, engine.images.get(base).id)
    if not force and present(engine, recipe.tag):
        found = engine.images.get(recipe.tag)
        if found.labels.get(LABEL) == key:
            return str(found.id)
    say(f"building {recipe.tag}")
    with tempfile.TemporaryDirectory(prefix="vestal-image-") as folder:
        context = Path(folder)
        shutil.copy(ROOT / recipe.dockerfile, context / "Dockerfile")
        if recipe.copied:
            shutil.copytree(ROOT / recipe.copied, context / recipe.copied, ignore=shutil.ignore_patterns("__pycache__"))
        if recipe.project is not None:
            dependencies, own = wheels(engine, base, recipe)
            shutil.copytree(dependencies, context / "wheels")
            shutil.copytree(own, context / "own")
        try:
            image, _ = engine.images.build(
                path=folder, tag=recipe.tag, buildargs={"BASE_IMAGE": base}, labels={LABEL: key}, rm=True, forcerm=True
            )
        except BuildError as error:
            for line in error.build_log:
                sys.stderr.write(line.get("stream", ""))
            raise
    return str(image.id)


def made_from(recipe: Recipe, base_id: str) -> str:
    digest = hashlib.sha256(base_id.encode())
    for path in (recipe.dockerfile, *recipe.sources):
        for file in files_of(ROOT / path):
            digest.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def files_of(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for file in sorted(path.rglob("*")):
        parts = file.relative_to(path).parts
        hidden = any(part in ("__pycache__", "build") or part.endswith(".egg-info") for part in parts)
        if file.is_file() and not hidden:
            yield file


def wheels(engine: docker.DockerClient, base: str, recipe: Recipe) -> tuple[Path, Path]:
    """A folder with the dependencies' wheels, kept from last time, and one with the project's own, new."""
    assert recipe.project is not None
    project = ROOT / recipe.project
    python = json.loads(engine.containers.run(base, ["-c", ASK_PYTHON], entrypoint="python3", remove=True))
    key = hashlib.sha256(
        (project / "pyproject.toml").read_bytes() + json.dumps([python, recipe.extra_wheels]).encode()
    ).hexdigest()[:16]
    folder = WHEELHOUSE / key
    own = WHEELHOUSE / "own" / key
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir(parents=True)
    # A copy, so that no build folder is left in the checkout and none of an earlier build gets in.
    with tempfile.TemporaryDirectory(prefix="vestal-source-") as copy:
        for path in recipe.sources:
            for file in files_of(ROOT / path):
                target = Path(copy, file.relative_to(project))
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, target)
        (Path(copy) / "README.md").touch()
        pip("wheel", "--no-deps", *isolation(), "--wheel-dir", str(own), copy)
    (wheel,) = own.glob("*.whl")
    if not folder.exists():
        say(f"fetching wheels for Python {python['version']} on {python['machine']}")
        half = folder.with_suffix(".half")
        shutil.rmtree(half, ignore_errors=True)
        pip("download", "--dest", str(half), *platform_options(python), str(wheel), *recipe.extra_wheels)
        (half / wheel.name).unlink(missing_ok=True)
        half.rename(folder)
    return folder, own


def isolation() -> list[str]:
    """A setuptools that is new enough saves fetching one."""
    try:
        major = int(version("setuptools").split(".")[0])
    except PackageNotFoundError:
        major = 0
    return ["--no-build-isolation"] if major >= SETUPTOOLS_MAJOR and find_spec("wheel") else []


def platform_options(python: dict[str, str]) -> list[str]:
    """What `pip` must know about an image that it does not run in: only wheels, for that Python and that C library."""
    newest = int(python["glibc"].split(".")[1])
    platforms = [f"manylinux_2_{minor}_{python['machine']}" for minor in range(newest, 16, -1)]
    options = ["--only-binary=:all:", "--implementation", "cp", "--python-version", python["version"]]
    for platform in (*platforms, f"manylinux2014_{python['machine']}"):
        options += ["--platform", platform]
    return options


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    subprocess.run(command, check=True, stdout=sys.stderr, timeout=BUILD_TIMEOUT_S)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
