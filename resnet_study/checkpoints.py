"""Checkpoints: what an interrupted training, or another long work, goes on from.

A checkpoint is written in one piece, so the last good one survives a crash in the middle of
writing the next, and is loaded without executing code from it.
"""

import io
import time
from pathlib import Path

import torch

from resnet_study.errors import InputError
from resnet_study.files import write_atomically


class OutOfTime(Exception):
    """The time budget is spent; the training is saved and can go on later."""


def read_checkpoint(path: Path) -> tuple[dict, dict]:
    """Identity and state of the work that was saved to ``path``, on the CPU.

    Raises:
        InputError: if the file is damaged.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        return content["identity"], content["state"]
    except Exception as error:  # whatever an unpickler makes of arbitrary bytes
        raise InputError(f"checkpoint {path} is damaged; delete it to begin afresh") from error


class Checkpoint:
    """The file that one work is saved to, every ``seconds`` and when its time is over.

    Args:
        path: the file.
        identity: what has to be the same for the work to go on: configuration, data, code.
        seconds: least time between two savings; 0 saves after every step.
        deadline: moment of ``time.monotonic`` at which to save and stop; never if None. Nobody sets
            that clock back, as they do the one on the wall.
    """

    def __init__(
        self, path: Path, identity: dict, seconds: float = 60, deadline: float | None = None
    ):
        self.path = Path(path)
        self.identity = identity
        self.seconds = seconds
        self.deadline = deadline
        self.saved = time.monotonic()

    def load(self) -> dict | None:
        """The saved state, on the CPU; None if there is none.

        Raises:
            InputError: if the file is damaged, or of another work.
        """
        if not self.path.exists():
            return None
        identity, state = read_checkpoint(self.path)
        for name, value in self.identity.items():
            if identity.get(name) != value:
                raise InputError(
                    f"checkpoint {self.path} has another {name} than this work; "
                    "delete it to begin afresh"
                )
        return state

    def save(self, state: dict) -> None:
        """Replace the checkpoint; the old one stays if that fails.

        Raises:
            InputError: if it cannot be written.
        """
        buffer = io.BytesIO()
        torch.save({"identity": self.identity, "state": state}, buffer)
        write_atomically(self.path, buffer.getvalue())
        self.saved = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether it is time to save."""
        return time.monotonic() >= self.saved + self.seconds or self.out_of_time

    @property
    def out_of_time(self) -> bool:
        """Whether the deadline has passed."""
        return self.deadline is not None and time.monotonic() >= self.deadline

    def remove(self) -> None:
        """Delete the file, and what writers that were killed left: the training is over."""
        for file in (self.path, *self.path.parent.glob(f".{self.path.name}.*")):
            file.unlink(missing_ok=True)
