import io
import tarfile

import pytest

from vnode.executors.archive import Entry, pack, regular_files, unpack_file
from vnode.executors.errors import OutputInvalid, OutputMissing, OutputTooLarge


def tar(*members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.type, info.size = kind, len(content)
            info.linkname = "/etc/passwd" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def pieces(data, size=700):
    return iter([data[start : start + size] for start in range(0, len(data), size)])


def test_what_is_packed_is_read_by_others(tmp_path):
    (tmp_path / "large").write_bytes(b"y" * 3_000_001)
    packed = pack([Entry("in", 0o500, 7), Entry("in/a", 0o400, 7, b"abc"), Entry("in/b", 0o400, 7, tmp_path / "large")])
    assert not isinstance(packed, bytes)
    with tarfile.open(fileobj=io.BytesIO(b"".join(packed))) as archive:
        folder, small, large = archive.getmembers()
        assert folder.isdir() and (folder.mode, folder.uid, folder.gid) == (0o500, 7, 7)
        assert archive.extractfile(small).read() == b"abc"
        assert archive.extractfile(large).read() == b"y" * 3_000_001


def test_small_files_are_one_piece():
    assert isinstance(pack([Entry("a", 0o400, 0, b"x")]), bytes)


def test_one_file_comes_out():
    sink = io.BytesIO()
    assert unpack_file(pieces(tar(("output", tarfile.REGTYPE, b"z" * 5000))), sink, 5000) == 5000
    assert sink.getvalue() == b"z" * 5000


def test_the_limit_holds():
    with pytest.raises(OutputTooLarge):
        unpack_file(pieces(tar(("output", tarfile.REGTYPE, b"z" * 5001))), io.BytesIO(), 5000)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE])
def test_nothing_but_a_regular_file(kind):
    with pytest.raises(OutputInvalid):
        unpack_file(pieces(tar(("output", kind, b""))), io.BytesIO(), 5000)


def test_an_empty_archive_is_a_missing_output():
    with pytest.raises(OutputMissing):
        unpack_file(pieces(tar()), io.BytesIO(), 10)


def test_garbage_is_an_invalid_output():
    with pytest.raises((OutputInvalid, OutputMissing)):
        unpack_file(pieces(b"\xff" * 2048), io.BytesIO(), 10)


def test_names_of_regular_files_directly_below():
    data = tar(
        ("files/", tarfile.DIRTYPE, b""),
        ("files/b", tarfile.REGTYPE, b"1" * 2000),
        ("files/link", tarfile.SYMTYPE, b""),
        ("files/deep/", tarfile.DIRTYPE, b""),
        ("files/deep/c", tarfile.REGTYPE, b"2"),
        ("files/a", tarfile.REGTYPE, b""),
    )
    assert regular_files(pieces(data), 100) == ("a", "b")
    with pytest.raises(OutputTooLarge):
        regular_files(pieces(data), 3)
