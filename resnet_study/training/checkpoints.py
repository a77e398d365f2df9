"""Checkpoints: what an interrupted training, or another long work, goes on from.

A checkpoint is written in one piece, so the last good one survives a crash in the middle of
writing the next, and is loaded without executing code from it. Its first line is JSON and tells, to
those who do not want the rest, what work it is of and how far that is; then come the bytes of
``torch.save``. Line and bytes have checksums: a flipped bit would else be trained on.
"""

import hashlib
import io
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import torch

from resnet_study.errors import InputError
from resnet_study.files import write_atomically

LONGEST = 2**20  # bytes of a first line
ZIP = b"PK\x03\x04"  # how files of ``torch.save`` begin, which checkpoints were as a whole
MISFITS = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


def share_done(path: Path) -> float:
    """How much is done of the training that was saved to ``path``, from 0 to 1.

    Reads the first line alone: the rest of a large network's checkpoint takes seconds.

    Raises:
        InputError: if the line is damaged, or the file cannot be read.
    """
    try:
        with _opened(path) as file:
            header = _header(file)
            return header["step"] / header["steps"]
    except FileNotFoundError:  # its training ended just now
        return 1.0


def read_checkpoint(path: Path) -> tuple[dict, dict]:
    """Identity and state of the work that was saved to ``path``, on the CPU.

    Raises:
        InputError: if the file is damaged, or cannot be read.
    """
    with _opened(path) as file:
        header, body = _header(file), file.read()
        if hashlib.sha256(body).hexdigest() != header["sha256"]:
            raise ValueError("its content does not match its sha256")
        state = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
        if not isinstance(state, dict):
            raise TypeError("its state is no dictionary")
        return header["identity"], state


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """The file, open; whatever goes wrong with it then becomes one line."""
    try:
        with open(path, "rb") as file:
            yield file
    except (FileNotFoundError, InputError, MemoryError):
        raise
    except OSError as error:
        raise InputError(
            f"checkpoint {path} cannot be read: {error.strerror}; delete it to begin afresh"
        ) from error
    except Exception as error:  # whatever an unpickler makes of arbitrary bytes
        raise damaged(path) from error


def damaged(path: Path) -> InputError:
    """What is raised for a file that nothing can go on from."""
    return InputError(f"checkpoint {path} is damaged; delete it to begin afresh")


def _line(fields: dict) -> bytes:
    """The first line of a file: ``fields`` and their own checksum."""
    seal = hashlib.sha256(json.dumps(fields).encode()).hexdigest()
    return json.dumps({**fields, "seal": seal}).encode() + b"\n"


def _header(file: BinaryIO) -> dict:
    """The first line, checked; ValueError, TypeError, … if it is not as :func:`_line` makes it."""
    line = file.readline(LONGEST)
    if line.startswith(ZIP):
        raise InputError(
            f"checkpoint {file.name} is of an older version of the study; delete it to begin afresh"
        )
    fields = json.loads(line)
    fields.pop("seal")
    if _line(fields) != line or not isinstance(fields["identity"], dict):
        raise ValueError("its first line was altered")
    return fields


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
            InputError: if the file is damaged, of another work, or cannot be read.
        """
        try:
            identity, state = read_checkpoint(self.path)
        except FileNotFoundError:
            return None
        for name, value in self._identity().items():
            if identity.get(name) != value:
                raise InputError(
                    f"checkpoint {self.path} has another {name} than this work; "
                    "delete it to begin afresh"
                )
        return state

    def _identity(self) -> dict:
        """The identity as it comes back from a file: JSON has lists where Python has tuples."""
        return json.loads(json.dumps(self.identity))

    @contextmanager
    def fitting(self) -> Iterator[None]:
        """Within it a loaded state is put to use.

        Raises:
            InputError: if it does not fit, as one of this work does.
        """
        try:
            yield
        except torch.cuda.OutOfMemoryError:
            raise  # the checkpoint is good, the GPU is full
        except MISFITS as error:
            raise damaged(self.path) from error

    def save(self, state: dict) -> None:
        """Replace the checkpoint; the old one stays if that fails.

        The first line tells the progress that ``state`` has under ``step`` and ``steps``.

        Raises:
            InputError: if it cannot be written.
        """
        buffer = io.BytesIO()
        torch.save(state, buffer)
        body = buffer.getvalue()
        fields = {
            "identity": self.identity,
            "step": state.get("step"),
            "steps": state.get("steps"),
            "sha256": hashlib.sha256(body).hexdigest(),
        }
        write_atomically(self.path, _line(fields) + body)
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
