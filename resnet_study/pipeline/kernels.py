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

from resnet_study.pipeline.environment import environment

SAVING = 30  # seconds that an interrupted cell has to save and end


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
