import os

import pytest

from vnode.executors.errors import ImageMissing
from vnode.executors.process_image import process_image, source_digest


@pytest.fixture
def project(tmp_path):
    (tmp_path / "p" / "algorithm").mkdir(parents=True)
    (tmp_path / "p" / "algorithm" / "__init__.py").write_text("x = 1\n")
    return tmp_path / "p"


def test_the_digest_is_that_of_the_code(project):
    before = source_digest(project)
    assert before.startswith("sha256:") and len(before) == 71
    (project / "algorithm" / "__pycache__").mkdir()
    (project / "algorithm" / "__pycache__" / "x.pyc").write_bytes(b"1")
    os.utime(project / "algorithm" / "__init__.py", (1, 1))
    assert source_digest(project) == before
    (project / "algorithm" / "__init__.py").write_text("x = 2\n")
    assert source_digest(project) != before


def test_names_and_contents_cannot_run_into_each_other(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "ab").write_text("c")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "a").write_text("bc")
    assert source_digest(tmp_path / "a") != source_digest(tmp_path / "b")


def test_a_wheel_is_its_bytes(tmp_path):
    (tmp_path / "a.whl").write_bytes(b"")
    assert source_digest(tmp_path / "a.whl").startswith("sha256:e3b0c44298fc1c14")


def test_a_project_with_a_src_folder(project, tmp_path):
    (tmp_path / "q").mkdir()
    project.rename(tmp_path / "q" / "src")
    assert process_image("x", "algorithm", tmp_path / "q").path == tmp_path / "q" / "src"


def test_nothing_there(tmp_path):
    with pytest.raises(ImageMissing):
        process_image("x", "algorithm", tmp_path / "none")
