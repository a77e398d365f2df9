import errno
import os
import re

import pytest
from conftest import files_below
from filelock import FileLock

from resnet_study.errors import InputError
from resnet_study.files import exclusive, require_writable, write_atomically


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


@pytest.mark.parametrize("call", ["chmod", "fsync"])
@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS])
def test_a_file_system_without_owners_or_flushing_will_do(tmp_path, monkeypatch, call, number):
    def refuse(*arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, refuse)
    write_atomically(tmp_path / "file", b"content")
    assert (tmp_path / "file").read_bytes() == b"content"
    assert files_below(tmp_path).keys() == {tmp_path / "file"}


def test_a_disk_that_fails_to_flush_is_told(tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(InputError, match="cannot write .*file: Input/output error"):
        write_atomically(tmp_path / "file", b"content")
    assert not files_below(tmp_path)


@pytest.mark.parametrize("what", ["folder", "dangling link", "no locks"])
def test_a_lock_that_cannot_be_held_is_told(tmp_path, monkeypatch, what):
    lock = tmp_path / ".lock"
    if what == "folder":
        lock.mkdir()
    elif what == "dangling link":
        lock.symlink_to(tmp_path / "nowhere" / "lock")
    else:

        def refuse(self, *arguments, **options):  # filelock before it had locks of its own
            raise NotImplementedError("FileSystem does not appear to support flock")

        monkeypatch.setattr(FileLock, "acquire", refuse)
    message = f"cannot lock {re.escape(str(lock))}: .*accepted: "
    with pytest.raises(InputError, match=message), exclusive(lock):
        raise AssertionError("held")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_another_users_lock_is_told(tmp_path):
    lock = tmp_path / ".lock"
    lock.touch()
    lock.chmod(0o644)
    for folder in (tmp_path, *tmp_path.parents):
        folder.chmod(folder.stat().st_mode | 0o755)
    os.seteuid(4001)
    try:
        with pytest.raises(InputError, match="cannot lock .*: Permission"), exclusive(lock):
            raise AssertionError("held")
    finally:
        os.seteuid(0)
