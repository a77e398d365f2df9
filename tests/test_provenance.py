"""Where a result comes from is told truly, or not at all."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from resnet_study import paths
from resnet_study.errors import InputError
from resnet_study.pipeline import provenance

SETTINGS = ("-c", "user.name=n", "-c", "user.email=e@example.org")


def _git(folder, *arguments):
    command = ["git", "-C", folder, *SETTINGS, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path):
    """Somebody's own repository, in which everything is committed."""
    _git(tmp_path, "init", "-q")
    (tmp_path / "file").write_text("x")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "-qm", "own")
    return tmp_path


@pytest.fixture
def move(monkeypatch):
    """Pretends that the package is a copy in another folder."""

    def to(root: Path):
        copy = root / "resnet_study"
        shutil.copytree(paths.ROOT / "resnet_study", copy, ignore=lambda *_: {"__pycache__"})
        monkeypatch.setattr(paths, "PACKAGE", copy)
        return copy

    return to


@pytest.fixture(autouse=True)
def no_variable(monkeypatch):
    monkeypatch.delenv(provenance.COMMIT, raising=False)


def test_a_checkout_names_its_commit_and_whether_the_library_differs(repository, move):
    package = move(repository)
    _git(repository, "add", ".")
    _git(repository, "commit", "-qm", "study")
    head = _git(repository, "rev-parse", "HEAD")
    assert provenance.commit() == head
    (repository / "notes").write_text("not the library")
    assert provenance.commit() == head
    (package / "new.py").write_text("")
    assert provenance.commit() == f"{head}+modified"


@pytest.mark.parametrize("where", [".venv/site", "third_party/study"])
@pytest.mark.parametrize("tracked", [False, True])
def test_a_surrounding_repository_lends_no_commit(repository, move, where, tracked):
    move(repository / where)
    if tracked:
        _git(repository, "add", ".")
        _git(repository, "commit", "-qm", "vendored")
    assert provenance.commit() is None


def test_a_package_that_git_does_not_track_has_no_commit(repository, move):
    move(repository)
    assert provenance.commit() is None


def test_a_copy_without_git_takes_its_commit_from_the_environment(tmp_path, move, monkeypatch):
    move(tmp_path)
    assert provenance.commit() is None
    monkeypatch.setenv(provenance.COMMIT, "ab" * 20)
    assert provenance.commit() == "ab" * 20
    for wrong in ("", "abcdef0", "<img src=x>" * 4, "AB" * 20, "ab" * 20 + "\n"):
        monkeypatch.setenv(provenance.COMMIT, wrong)
        with pytest.raises(InputError, match="accepted: 40 hexadecimal digits"):
            provenance.commit()


def test_a_checkout_is_asked_before_the_environment(monkeypatch):
    known = provenance.commit()
    monkeypatch.setenv(provenance.COMMIT, "ab" * 20)
    assert provenance.commit() == known


def test_neither_environment_nor_settings_redirect_git(repository, monkeypatch):
    known = provenance.commit()
    monkeypatch.setenv("GIT_DIR", str(repository / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(repository))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "status.showUntrackedFiles")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "no")
    (repository / ".gitconfig").write_text("[core]\n\tworktree = /nowhere\n[broken\n")
    monkeypatch.setenv("HOME", str(repository))
    assert provenance.commit() == known


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_a_clone_of_another_owner_names_its_commit(repository, move):
    move(repository)
    _git(repository, "add", ".")
    _git(repository, "commit", "-qm", "study")
    head = _git(repository, "rev-parse", "HEAD")
    for path in [repository, *repository.rglob("*")]:
        os.chown(path, 4001, 4001)
    assert provenance.commit() == head


def test_line_ends_do_not_change_the_fingerprint_of_the_code(tmp_path, move):
    known = provenance.code_fingerprint()
    package = move(tmp_path)
    for path in package.rglob("*.py"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert provenance.code_fingerprint() == known
    (package / "training" / "loop.py").write_text("")
    assert provenance.code_fingerprint() != known


def test_what_decodes_pictures_is_told():
    found = provenance.describe(torch.device("cpu"))
    assert "pillow" in found["packages"]
    assert found["jpeg_decoder"].startswith("libjpeg")
    assert found["jpeg_decoder"].split()[1][0].isdigit()
    assert found["device"]["instructions"]


def test_a_gpu_is_told_with_its_driver_and_libraries(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "A GPU")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    asked = tmp_path / "nvidia-smi"
    asked.write_text("#!/bin/sh\necho 580.159.04\necho 580.159.04\n")
    asked.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    found = provenance.describe_device(torch.device("cuda", 0))
    assert (found["name"], found["capability"]) == ("A GPU", "9.0")
    assert found["driver"] == "580.159.04"
    assert found.keys() >= {"cuda", "cudnn"}
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert provenance.describe_device(torch.device("cuda", 0))["driver"] is None
