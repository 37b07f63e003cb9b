"""What stands for an image where there are no containers: a Python package, named by the digest of its code."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path

from vnode.executors.errors import ImageMissing

IGNORED = frozenset({"__pycache__", ".git", "build", "dist", ".pytest_cache", ".mypy_cache", ".ruff_cache"})


@dataclass(frozen=True)
class ProcessImage:
    """`path`: a wheel, or a folder whose content is importable. `package`: what PKG_NAME says in a container image."""

    name: str
    package: str
    path: Path
    digest: str
    command: tuple[str, ...] = (sys.executable, "-m", "algorithm_base")

    def __post_init__(self) -> None:
        if not self.digest.startswith("sha256:"):
            raise ValueError("an image's digest starts with sha256:")

    @property
    def python_path(self) -> tuple[str, ...]:
        """The package, and our own folder: `algorithm_base` lies beside this package."""
        return str(self.path), str(Path(__file__).parents[2])


def process_image(name: str, package: str, path: Path) -> ProcessImage:
    """`path`: a wheel, a folder that holds the package, or a project with the package below `src`."""
    path = path.resolve()
    if not path.exists():
        raise ImageMissing(f"There is nothing at {path} for the image {name}.")
    digest = source_digest(path)
    if path.is_dir() and not (path / package).exists() and (path / "src" / package).exists():
        path = path / "src"
    return ProcessImage(name, package, path, digest)


def source_digest(path: Path) -> str:
    """SHA-256 of a wheel's bytes; of a folder: of every file's name and content, in order, each by its length."""
    digest = hashlib.sha256()
    if path.is_file():
        digest.update(path.read_bytes())
        return f"sha256:{digest.hexdigest()}"
    for file in sorted(_source_files(path)):
        for part in (file.relative_to(path).as_posix().encode(), file.read_bytes()):
            digest.update(len(part).to_bytes(8, "big") + part)
    return f"sha256:{digest.hexdigest()}"


def _source_files(folder: Path) -> list[Path]:
    return [
        file
        for file in folder.rglob("*")
        if file.is_file()
        and file.suffix != ".pyc"
        and not any(part in IGNORED or part.endswith(".egg-info") for part in file.relative_to(folder).parts)
    ]
