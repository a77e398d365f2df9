"""Archives: what is packed comes back, and nothing else gets through."""

import gzip
import io
import os
import random
import re
import shutil
import tarfile
import zlib
from dataclasses import replace

import pytest
from conftest import files_below, resealed

from resnet_study import paths
from resnet_study.errors import InputError
from resnet_study.pipeline import archive as archives
from resnet_study.pipeline.archive import pack, unpack
from resnet_study.pipeline.records import RecordError, find_records


@pytest.fixture
def runs(tmp_path, tiny_record, tiny_run):
    """A folder of two records."""
    other = replace(tiny_run, seed=1)
    resealed(tiny_record, other.record_path(tmp_path / "runs"), config=other.config)
    return tmp_path / "runs"


@pytest.fixture
def other(runs, tiny_run):
    """The second of them."""
    return replace(tiny_run, seed=1).record_path(runs)


def _tar(files):
    """A tar file of contents by name, or of ready members."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in files:
            member = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            if content is not None:
                member.size = len(content)
            tar.addfile(member, io.BytesIO(content or b""))
    return packed.getvalue()


def _zipped(path, content):
    """``content`` in gzip as ``pack`` does it."""
    with (
        path.open("wb") as file,
        gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as packed,
    ):
        packed.write(content)
    return path


def _archive(path, files):
    return _zipped(path, _tar(files.items()))


def test_what_is_packed_is_unpacked_elsewhere(tmp_path, runs):
    (runs / "digits" / "record.lock").touch()  # neither locks nor checkpoints travel
    assert pack(tmp_path / "a.tar.gz", runs) == 2
    assert unpack(tmp_path / "a.tar.gz", tmp_path / "there") == (2, 0)
    found = files_below(tmp_path / "there")
    assert {path.relative_to(tmp_path / "there"): text for path, text in found.items()} == {
        path.relative_to(runs): path.read_bytes() for path in find_records(runs)
    }


def test_the_same_records_make_the_same_archive(tmp_path, runs):
    pack(tmp_path / "a.tar.gz", runs)
    shutil.copytree(runs, tmp_path / "copy", copy_function=shutil.copyfile)
    for path in find_records(tmp_path / "copy"):
        os.utime(path, (1e9, 1e9))
        path.chmod(0o600)
    pack(tmp_path / "b.tar.gz", tmp_path / "copy")
    assert (tmp_path / "a.tar.gz").read_bytes() == (tmp_path / "b.tar.gz").read_bytes()


@pytest.mark.slow
def test_the_committed_records_can_be_packed(tmp_path):
    assert pack(tmp_path / "a.tar.gz", paths.RUNS) == len(find_records())


def test_a_record_that_is_known_is_left_alone(tmp_path, runs, other):
    pack(tmp_path / "a.tar.gz", runs)
    before = files_below(runs)
    other.unlink()
    assert unpack(tmp_path / "a.tar.gz", runs) == (1, 1)
    assert files_below(runs) == before


def test_a_known_record_of_another_layout_is_known(tmp_path, runs, other):
    pack(tmp_path / "a.tar.gz", runs)
    other.write_bytes(other.read_bytes().replace(b"\n", b"\r\n"))  # as git may check it out
    assert unpack(tmp_path / "a.tar.gz", runs) == (0, 2)


def test_a_damaged_record_is_not_packed(tmp_path, runs, other):
    other.write_text(other.read_text()[:-5])
    with pytest.raises(InputError, match=str(other)):
        pack(tmp_path / "a.tar.gz", runs)
    assert not (tmp_path / "a.tar.gz").exists()


def test_a_record_that_no_run_can_leave_is_not_packed(tmp_path, runs, other):
    resealed(other, other, parameters="many")
    with pytest.raises(RecordError, match="parameters is 'many'; accepted: a whole number"):
        pack(tmp_path / "a.tar.gz", runs)
    assert not (tmp_path / "a.tar.gz").exists()


def test_more_than_can_be_unpacked_is_not_packed(tmp_path, runs, monkeypatch):
    monkeypatch.setattr(archives, "LARGEST", 2 * tarfile.RECORDSIZE + 2000)
    with pytest.raises(RecordError, match="are more than 22,480 bytes; accepted: fewer"):
        pack(tmp_path / "a.tar.gz", runs)
    assert not (tmp_path / "a.tar.gz").exists()


def test_a_damaged_record_in_an_archive_is_named_and_nothing_is_unpacked(tmp_path, runs, other):
    good, bad = other.read_bytes(), other.read_bytes()[:-9]
    archive = _archive(tmp_path / "a.tar.gz", {f"digits/{other.name}": good, "bad.json": bad})
    with pytest.raises(InputError, match="bad.json"):
        unpack(archive, tmp_path / "there")
    assert not files_below(tmp_path / "there")


def test_a_record_that_differs_from_ours_is_refused_and_nothing_is_unpacked(
    tmp_path, runs, other, tiny_record
):
    pack(tmp_path / "a.tar.gz", runs)
    tiny_record.unlink()
    resealed(other, other, seconds=1.5)
    before = files_below(runs)
    with pytest.raises(InputError, match=f"{other} differs"):
        unpack(tmp_path / "a.tar.gz", runs)
    assert files_below(runs) == before


NAMES = [
    "../escaped.json",
    "a/../../escaped.json",
    "program.py",
    "/digits/{}",
    "./digits/{}",
    "digits//{}",
    "x/../digits/{}",
    "digits\\{}",
    "DIGITS/{}",
    "digits/{}.json",
    "digits-narrow/{}",
    "runs/digits/{}",
    "{}",
    'digits/"><img src=x onerror=alert(1)>.json',
    "digits/line\nbreak.json",
    "digits/\x1b[31mred.json",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_not_the_runs_own_is_refused_in_one_line(tmp_path, other, name):
    good = other.read_bytes()
    files = {f"digits/{other.name}": good, name.format(other.name): good}
    archive = _archive(tmp_path / "a.tar.gz", files)
    before = files_below(tmp_path)
    with pytest.raises(RecordError, match=r"a\.tar\.gz has a fault: it is of a run that") as no:
        unpack(archive, tmp_path / "there" / "runs")
    assert str(no.value).isprintable() and len(str(no.value)) < 500
    assert files_below(tmp_path) == before


def test_a_record_that_is_there_twice_is_refused(tmp_path, other):
    name, good = f"digits/{other.name}", other.read_bytes()
    archive = _zipped(tmp_path / "a.tar.gz", _tar([(name, good), (name, good)]))
    with pytest.raises(RecordError, match="is there twice"):
        unpack(archive, tmp_path / "there")
    assert not files_below(tmp_path / "there")


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE,
        tarfile.DIRTYPE, tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE, b"Z",
    ],
)  # fmt: skip
def test_what_is_no_plain_file_is_refused_and_nothing_is_unpacked(tmp_path, other, kind):
    member = tarfile.TarInfo(f"digits/{other.name}")
    member.type, member.linkname = kind, "/etc/passwd"
    if kind == tarfile.GNUTYPE_SPARSE:
        header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
        header[483:495] = b"%011o\0" % 2**32  # how large it says it is: 4 GiB of zeros
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        content = bytes(header) + bytes(1024)
    else:
        content = _tar([(member, None)])
    archive = _zipped(tmp_path / "a.tar.gz", content)
    with pytest.raises(RecordError):
        unpack(archive, tmp_path / "there")
    assert not files_below(tmp_path / "there")


def test_a_link_where_a_record_belongs_is_not_followed(tmp_path, runs, other):
    pack(tmp_path / "a.tar.gz", runs)
    other.unlink()
    other.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RecordError, match=str(other)):
        unpack(tmp_path / "a.tar.gz", runs)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("content", [None, b"", b"no archive", b"\x1f\x8b\x08 cut"])
def test_what_is_no_archive_is_refused_by_name(command, tmp_path, content):
    archive = tmp_path / "a.tar.gz"
    if content is not None:
        archive.write_bytes(content)
    status, _, err = command("unpack", archive, "--runs-dir", tmp_path / "there")
    assert status == 2
    assert err.count("\n") == 1
    assert str(archive) in err
    assert not files_below(tmp_path / "there")


@pytest.fixture
def packed(tmp_path, runs):
    """An archive."""
    pack(tmp_path / "a.tar.gz", runs)
    return tmp_path / "a.tar.gz"


def _refused(archive, content, there):
    archive.write_bytes(content)
    with pytest.raises(RecordError, match=re.escape(f"archive {archive} ")) as refusal:
        unpack(archive, there)
    assert str(refusal.value).isprintable()
    assert not files_below(there)


@pytest.mark.parametrize("cut", [*range(1, 10), 100, 200])
def test_an_archive_cut_short_is_refused_by_name(packed, tmp_path, cut):
    _refused(packed, packed.read_bytes()[:-cut], tmp_path / "there")


@pytest.mark.parametrize("more", [b"\0", b"\n", b"garbage", bytes(10_000), None])
def test_an_archive_with_something_behind_it_is_refused(packed, tmp_path, more):
    content = packed.read_bytes()
    _refused(packed, content + (content if more is None else more), tmp_path / "there")


def test_no_flipped_bit_of_an_archive_changes_what_is_in_it(packed):
    """In its head, its sums and its last byte each is found; another might say the same."""
    content = packed.read_bytes()
    held, size = archives._unzip(content), 8 * len(content)
    head, end = range(8 * len(archives.HEAD)), range(size - 8 * (archives.TAIL.size + 1), size)
    others = random.Random(0).sample(range(size), 80)
    for bit in [*head, *range(size - 160, size), *others]:
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            assert archives._unzip(bytes(flipped)) == held
        except (ValueError, zlib.error):
            continue
        assert bit not in head and bit not in end


def test_an_archive_that_others_made_is_refused(tmp_path, runs, other):
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz") as tar:  # with a name and a time in its head
        tar.add(other, f"digits/{other.name}")
    with pytest.raises(RecordError, match="none that resnet-study pack wrote"):
        unpack(path, tmp_path / "there")


@pytest.fixture
def small(monkeypatch):
    """The most that an archive may hold: 1 MiB."""
    monkeypatch.setattr(archives, "LARGEST", 2**20)


def _bombs(name, good):
    """Tar files of more than 1 MiB."""
    zeros = bytes(2**21)
    header = tarfile.TarInfo(name)
    header.pax_headers = {"comment": "x" * 2**21}
    text = good[:-2] + b" " * 2**21 + good[-2:]
    return {
        "one member": _tar([(name, zeros)]),
        "a record with blanks": _tar([(name, text)]),
        "many members": _tar([(f"digits/{n}.json", good) for n in range(1000)]),
        "zeros behind the end": _tar([(name, good)]) + zeros,
        "a long header": _tar([(header, good)]),
    }


@pytest.mark.parametrize("kind", _bombs("x", b"{}").keys())
def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, other, small, kind):
    content = _bombs(f"digits/{other.name}", other.read_bytes())[kind]
    archive = _zipped(tmp_path / "a.tar.gz", content)
    assert archive.stat().st_size < 2**20
    with pytest.raises(RecordError, match="holds more than 1,048,576 bytes"):
        unpack(archive, tmp_path / "there")
    assert not files_below(tmp_path / "there")


def test_an_archive_within_an_archive_is_refused(tmp_path, packed):
    for content in (packed.read_bytes(), _tar([("digits/a.tar.gz", packed.read_bytes())])):
        archive = _zipped(tmp_path / "nested.tar.gz", content)
        with pytest.raises(RecordError):
            unpack(archive, tmp_path / "there")


def test_something_behind_the_records_is_refused(tmp_path, other):
    content = _tar([(f"digits/{other.name}", other.read_bytes())])
    for behind in (content, b"x", bytes(3 * tarfile.RECORDSIZE)):
        archive = _zipped(tmp_path / "a.tar.gz", content + behind)
        with pytest.raises(RecordError, match="something behind its records"):
            unpack(archive, tmp_path / "there")


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), os.mkfifo])
def test_what_is_no_file_is_refused_without_waiting(tmp_path, make):
    make(tmp_path / "a.tar.gz")
    with pytest.raises(RecordError, match="is no file"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "there")


def test_the_command_packs_and_unpacks(command, tmp_path, runs):
    assert command("pack", tmp_path / "a.tar.gz", "--runs-dir", runs)[0] == 0
    status, out, err = command("unpack", tmp_path / "a.tar.gz", "--runs-dir", tmp_path / "there")
    assert (status, err) == (0, "")
    assert "added 2 records" in out
    assert len(find_records(tmp_path / "there")) == 2
