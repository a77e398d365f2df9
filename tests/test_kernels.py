"""What a notebook's kernel inherits, how it dies, and that none is left."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import nbformat
import pytest

from resnet_study import paths
from resnet_study.errors import InputError
from resnet_study.pipeline.environment import FOREIGN, environment
from resnet_study.pipeline.notebooks import execute

pytestmark = pytest.mark.slow

OUR_KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
THEIR_KERNEL = OUR_KERNEL | {"name": "conda-env-foo-py"}  # as a colleague's file has it
SAVING = 4  # seconds: longer than Jupyter waits before it terminates a kernel


def write_notebook(path, *cells, kernel=OUR_KERNEL):
    code = [nbformat.v4.new_code_cell(cell) for cell in cells]
    nbformat.write(nbformat.v4.new_notebook(cells=code, metadata={"kernelspec": kernel}), path)
    return path


def wait_for(condition, seconds=60):
    """The first value of ``condition()`` that is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    pytest.fail("it took too long")


def runs(process):
    """Whether the process of that number is there, and not only still to be reaped."""
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rsplit(")")[-1].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def long_notebook(tmp_path):
    """A notebook that tells its process, works for long, and saves when it is interrupted."""
    code = f"""
import os, pathlib, time
folder = pathlib.Path({str(tmp_path)!r})
(folder / "started").write_text(str(os.getpid()))
try:
    time.sleep(600)
except KeyboardInterrupt:
    time.sleep({SAVING})
    (folder / "saved").touch()
    raise
"""
    return write_notebook(tmp_path / "long.ipynb", code, f"open({str(tmp_path / 'next')!r}, 'w')")


def started(folder):
    """Process of the kernel, once the notebook above is at work."""
    path = folder / "started"
    return int(wait_for(lambda: path.exists() and path.read_text()))


def test_a_kernel_is_this_python_and_has_nothing_of_a_users(tmp_path, monkeypatch):
    foreign = tmp_path / "jupyter" / "kernels" / "python3"
    foreign.mkdir(parents=True)
    spec = {"argv": ["false"], "display_name": "theirs", "language": "python"}
    (foreign / "kernel.json").write_text(json.dumps(spec))
    start_up = tmp_path / "ipython" / "profile_default" / "startup" / "00.py"
    start_up.parent.mkdir(parents=True)
    start_up.write_text("theirs = 1")
    (tmp_path / "start.py").write_text("theirs = 2")
    for name, value in {
        "JUPYTER_PATH": tmp_path / "jupyter",
        "JUPYTER_DEFAULT_PROVISIONER_NAME": "theirs",
        "IPYTHONDIR": tmp_path / "ipython",
        "PYTHONSTARTUP": tmp_path / "start.py",
        "PYTHONWARNINGS": "error",
        "PYTHONPATH": f"{os.environ.get('PYTHONPATH', '')}{os.pathsep}",  # the current folder
        "MPLBACKEND": "theirs",
        "HOME": "/proc/nowhere",
        "LC_ALL": "C",
        "TMPDIR": tmp_path / "nowhere",
    }.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.chdir(paths.ROOT / "resnet_study")  # which has a queue.py
    code = """
import json, os, queue, sys
import matplotlib.pyplot as plt
import resnet_study
plt.close(plt.figure())
print(json.dumps([sys.executable, resnet_study.__file__, queue.__file__, "theirs" in globals()]))
"""
    output = tmp_path / "out.ipynb"
    execute(write_notebook(tmp_path / "in.ipynb", code, kernel=THEIR_KERNEL), output, {})
    (told,) = nbformat.read(output, as_version=4).cells[0].outputs
    python, study, library, theirs = json.loads(told.text)
    assert python == sys.executable
    assert study == str(paths.ROOT / "resnet_study" / "__init__.py")
    assert library != str(paths.ROOT / "resnet_study" / "queue.py")
    assert not theirs


def test_a_process_of_ours_finds_this_package_and_no_file_of_the_current_folder(monkeypatch):
    for name in FOREIGN:
        monkeypatch.setenv(name, "theirs")
    monkeypatch.setenv("PYTHONPATH", f"/one{os.pathsep}{os.pathsep}/two{os.pathsep}")
    found = environment()
    assert not FOREIGN & found.keys()
    assert found["PYTHONPATH"].split(os.pathsep) == ["/one", "/two", str(paths.ROOT)]
    assert found["PYTHONSAFEPATH"] == "1"


def test_the_command_works_inside_of_the_package():
    done = subprocess.run(
        [sys.executable, "-m", "resnet_study", "list"],
        cwd=paths.ROOT / "resnet_study",
        env=environment() | {"PYTHONSAFEPATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "families: plain, residual" in done.stdout


def test_a_kernel_that_dies_is_told_in_one_line(tmp_path, capfd):
    code = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    notebook = write_notebook(tmp_path / "dying.ipynb", code)
    with pytest.raises(InputError, match="dying.ipynb failed: its kernel was killed, .*memory"):
        execute(notebook, tmp_path / "out.ipynb", {})
    assert capfd.readouterr() == ("", "")
    assert os.listdir(tmp_path) == ["dying.ipynb"]


def test_a_kernel_that_does_not_start_is_told_in_one_line(tmp_path, monkeypatch, capfd):
    notebook = write_notebook(tmp_path / "in.ipynb", "1")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "ipykernel.py").write_text("raise ImportError('no such luck')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "broken"))
    with pytest.raises(InputError, match="its kernel died: ImportError: no such luck$"):
        execute(notebook, tmp_path / "out.ipynb", {})
    assert capfd.readouterr() == ("", "")


def test_an_interrupt_lets_the_cell_save_and_leaves_no_kernel(tmp_path, long_notebook):
    command = [sys.executable, "-m", "resnet_study", "execute", long_notebook, tmp_path / "out"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    kernel = started(tmp_path)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT
    assert "Traceback" not in said
    assert not runs(kernel)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"long.ipynb", "started", "saved"}  # no output, and no next cell


def test_a_killed_queue_leaves_no_kernel_and_its_trainings_save(tmp_path, long_notebook):
    log = tmp_path / "log.ipynb"
    child = [
        sys.executable,
        "-m",
        "resnet_study.pipeline.notebooks",
        str(long_notebook),
        str(log),
        "{}",
    ]
    queue = subprocess.Popen([sys.executable, "-c", f"import subprocess as s; s.run({child!r})"])
    kernel = started(tmp_path)
    queue.kill()
    queue.wait()
    wait_for(lambda: not runs(kernel))
    assert (tmp_path / "saved").exists()
    assert not (tmp_path / "next").exists()


def test_a_kernel_does_not_outlive_a_killed_command(tmp_path, long_notebook):
    command = [
        sys.executable,
        "-m",
        "resnet_study.pipeline.notebooks",
        long_notebook,
        tmp_path / "l",
        "{}",
    ]
    process = subprocess.Popen(command)
    kernel = started(tmp_path)
    process.kill()
    process.wait()
    wait_for(lambda: not runs(kernel), seconds=20)


def test_the_child_of_a_queue_tells_its_failure_in_one_line(tmp_path):
    notebook = write_notebook(tmp_path / "in.ipynb", "raise ValueError('one\\ntwo')")
    log = tmp_path / "{0}" / "log.ipynb"  # papermill would fill something in
    log.parent.mkdir()
    command = [sys.executable, "-m", "resnet_study.pipeline.notebooks", notebook, log, "{}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "ValueError: one\n"
    assert re.search("one.*two", log.read_text(), re.DOTALL)
