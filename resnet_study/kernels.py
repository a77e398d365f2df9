"""The kernel that notebooks run in: this Python with this package, and nothing of a user's.

Jupyter looks for a kernel by its name, and takes the first ``python3`` it finds, which may be
another environment's. Ours is not looked for.
"""

import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager

from resnet_study import paths

SAVING = 30  # seconds that an interrupted cell has to save and end

# What a user sets for sessions by hand, and a notebook must not depend on.
FOREIGN = {
    "PYTHONSTARTUP",  # a kernel runs that file
    "PYTHONWARNINGS",  # "error" stops Jupyter at the first thing that is out of fashion
    "PYTHONINSPECT",  # waits for somebody to type when all is done
    "PYTHONOPTIMIZE",  # takes out the docstrings that commands and pages show
    "MPLBACKEND",  # may want a screen
}


def environment() -> dict[str, str]:
    """Variables for a process of ours: the user's, but for those that get into its way."""
    kept = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    folders = [folder for folder in kept.get("PYTHONPATH", "").split(os.pathsep) if folder]
    if paths.NOTEBOOKS.is_dir():  # a checkout, which may not be installed
        folders.append(str(paths.ROOT))
    return kept | {
        "PYTHONPATH": os.pathsep.join(folders),
        # Else the current folder comes first, and a file in it may have the name of a library.
        "PYTHONSAFEPATH": "1",
        "PYTHONUTF8": "1",  # our files are UTF-8, whatever the terminal is
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # a debugger's advice, which nobody asked for
    }


class Kernels:
    """Makes kernels for one notebook, and sees to it that none is left.

    ``manager`` is the class that papermill makes them with.
    """

    def __init__(self, home: Path):
        self.started: list[AsyncKernelManager] = []
        self.said = home / "said"  # by the process, outside of cells
        kernels = self

        class Manager(AsyncKernelManager):
            @property
            def kernel_spec(self):
                # Not ipykernel_launcher, which takes the current folder out of PYTHONPATH.
                command = [sys.executable, "-m", "ipykernel", "-f", "{connection_file}"]
                return KernelSpec(
                    argv=[*command, "--InteractiveShellApp.ignore_cwd=True"],
                    display_name="Python 3",
                    language="python",
                    metadata={"kernel_provisioner": {"provisioner_name": "local-provisioner"}},
                )

            async def start_kernel(self, **options):
                kernels.started.append(self)
                # Jupyter interrupts, asks, and after half of this time terminates.
                self.shutdown_wait_time = 2.0 * SAVING
                # A user's start-up files and settings lie in the folder of this variable.
                own = environment() | {"IPYTHONDIR": str(home / "ipython")}
                if not os.access(os.path.expanduser("~"), os.W_OK):
                    own.setdefault("MPLCONFIGDIR", str(home))  # else it complains in a cell
                with kernels.said.open("wb") as said:
                    await super().start_kernel(env=own, stdout=said, stderr=said, **options)

        self.manager = Manager

    @property
    def processes(self) -> list[Popen]:
        """Those that were started and not yet seen to end in the usual way."""
        provisioners = [manager.provisioner for manager in self.started]
        return [each.process for each in provisioners if each is not None and each.process]

    def end(self) -> str:
        """How a kernel that died came to its end, in words."""
        for process in self.processes:
            status = process.poll()
            if status == -signal.SIGKILL:
                return "its kernel was killed, as happens where memory runs out"
            if status is not None and status < 0:
                return f"its kernel was ended by {signal.Signals(-status).name}"
        lines = self.said.read_text(errors="replace").split("\n") if self.said.exists() else []
        said = [line.strip() for line in lines if line.strip()]
        return "its kernel died" + (f": {said[-1]}" if said else "")

    def kill(self) -> None:
        """End what is left: of a start that was interrupted."""
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # each kernel leads a group of its own
                process.wait()


@contextmanager
def kernels() -> Iterator[Kernels]:
    """Kernels that end with this context at the latest."""
    with tempfile.TemporaryDirectory(prefix="resnet-study-", ignore_cleanup_errors=True) as home:
        ours = Kernels(Path(home))
        try:
            yield ours
        finally:
            ours.kill()
