import errno
import os

import pytest
from conftest import files_below

from resnet_study.errors import InputError
from resnet_study.files import require_writable, write_atomically


@pytest.mark.parametrize("step", ["replace", "fsync"])
@pytest.mark.parametrize("before", [b"old", None])
def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch, step, before):
    path = tmp_path / "record.json"
    if before:
        path.write_bytes(before)
    found = files_below(tmp_path)

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, full)
    with pytest.raises(InputError, match=f"{path}.*No space left"):
        write_atomically(path, b"new")
    assert files_below(tmp_path) == found


def test_an_interrupted_write_leaves_what_was_there(tmp_path, monkeypatch):
    (tmp_path / "record.json").write_bytes(b"old")
    found = files_below(tmp_path)

    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "record.json", b"new")
    assert files_below(tmp_path) == found


def test_a_write_replaces_what_was_there_and_can_be_read_by_others(tmp_path):
    path = tmp_path / "record.json"
    path.write_bytes(b"old and longer")
    write_atomically(path, b"new")
    assert files_below(tmp_path) == {path: b"new"}
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_write_makes_the_folders_it_needs(tmp_path):
    write_atomically(tmp_path / "a" / "b" / "file", b"new")
    assert (tmp_path / "a" / "b" / "file").read_bytes() == b"new"


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()  # tests may run as root, who may write everywhere
    for attempt in (
        lambda: write_atomically(tmp_path / "file" / "runs" / "record.json", b"new"),
        lambda: require_writable(tmp_path / "file" / "runs"),
    ):
        with pytest.raises(InputError, match=f"cannot write into {tmp_path / 'file'}"):
            attempt()


def test_finding_out_whether_a_folder_can_be_written_leaves_nothing_in_it(tmp_path):
    require_writable(tmp_path / "runs")
    assert not files_below(tmp_path)
