import io
import os
import shutil
import tarfile

import pytest
from conftest import files_below

from resnet_study import paths
from resnet_study.archive import pack, unpack
from resnet_study.errors import InputError
from resnet_study.records import find_records, write_record


@pytest.fixture
def runs(tmp_path, tiny_record):
    """A folder of two records."""
    folder = tmp_path / "runs"
    write_record(folder / "other" / "record.json", {"config": {}})
    return folder


def _archive(path, files):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def test_what_is_packed_is_unpacked_elsewhere(tmp_path, runs):
    (runs / "other" / "record.lock").touch()  # neither locks nor checkpoints travel
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


def test_the_committed_records_can_be_packed(tmp_path):
    assert pack(tmp_path / "a.tar.gz", paths.RUNS) == len(find_records())


def test_a_record_that_is_known_is_left_alone(tmp_path, runs):
    pack(tmp_path / "a.tar.gz", runs)
    before = files_below(runs)
    (runs / "other" / "record.json").unlink()
    assert unpack(tmp_path / "a.tar.gz", runs) == (1, 1)
    assert files_below(runs) == before


def test_a_damaged_record_is_not_packed(tmp_path, runs):
    path = runs / "other" / "record.json"
    path.write_text(path.read_text()[:-5])
    with pytest.raises(InputError, match=str(path)):
        pack(tmp_path / "a.tar.gz", runs)
    assert not (tmp_path / "a.tar.gz").exists()


def test_a_damaged_record_in_an_archive_is_named_and_nothing_is_unpacked(tmp_path, runs):
    good = (runs / "other" / "record.json").read_bytes()
    archive = _archive(tmp_path / "a.tar.gz", {"good.json": good, "bad.json": good[:-9]})
    with pytest.raises(InputError, match="bad.json"):
        unpack(archive, tmp_path / "there")
    assert not files_below(tmp_path / "there")


def test_a_record_that_differs_from_ours_is_refused_and_nothing_is_unpacked(tmp_path, runs):
    pack(tmp_path / "a.tar.gz", runs)
    first, other = find_records(runs)
    first.unlink()
    write_record(other, {"config": {"other": "content"}})
    before = files_below(runs)
    with pytest.raises(InputError, match=f"{other} differs"):
        unpack(tmp_path / "a.tar.gz", runs)
    assert files_below(runs) == before


@pytest.mark.parametrize("name", ["../escaped.json", "a/../../escaped.json", "program.py"])
def test_a_member_that_is_no_record_is_refused(tmp_path, runs, name):
    good = (runs / "other" / "record.json").read_bytes()
    archive = _archive(tmp_path / "a.tar.gz", {"good.json": good, name: good})
    before = files_below(tmp_path)
    with pytest.raises(InputError, match="which is no record"):
        unpack(archive, tmp_path / "there" / "runs")
    assert files_below(tmp_path) == before


def test_an_absolute_path_stays_below_the_folder(tmp_path, runs):
    good = (runs / "other" / "record.json").read_bytes()
    outside = tmp_path / "outside.json"
    archive = _archive(tmp_path / "a.tar.gz", {str(outside): good})
    unpack(archive, tmp_path / "there")
    assert not outside.exists()


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


def test_an_archive_cut_short_is_refused_by_name(tmp_path, runs):
    archive = tmp_path / "a.tar.gz"
    pack(archive, runs)
    archive.write_bytes(archive.read_bytes()[:-200])
    with pytest.raises(InputError, match=f"{archive} cannot be read"):
        unpack(archive, tmp_path / "there")
    assert not files_below(tmp_path / "there")


def test_the_command_packs_and_unpacks(command, tmp_path, runs):
    assert command("pack", tmp_path / "a.tar.gz", "--runs-dir", runs)[0] == 0
    status, out, err = command("unpack", tmp_path / "a.tar.gz", "--runs-dir", tmp_path / "there")
    assert (status, err) == (0, "")
    assert "added 2 records" in out
    assert len(find_records(tmp_path / "there")) == 2
