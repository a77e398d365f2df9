"""How far a training is, for somebody who waits for it: a bar, a line an epoch, TensorBoard."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from resnet_study.errors import InputError
from resnet_study.files import require_writable
from resnet_study.training.loop import Evaluation, Report


def _errors(point: Evaluation) -> str:
    return f"training {point.training_error:.1f} %, validation {point.validation_error:.1f} %"


@contextmanager
def bar() -> Iterator[Report]:
    """A bar on standard error, for a terminal or a notebook."""
    with ExitStack() as stack:
        shown: list[tqdm] = []

        def report(step: int, steps: int, point: Evaluation | None) -> None:
            if not shown:
                begun = tqdm(initial=step, total=steps, unit="step")
                shown.append(stack.enter_context(begun))
            shown[0].update(step - shown[0].n)
            if point:
                shown[0].set_postfix_str(_errors(point))

        yield report


@contextmanager
def lines(say: Callable[[str], None]) -> Iterator[Report]:
    """A line an epoch, for a file that somebody reads or follows."""
    begun: list[tuple[float, int]] = []  # when, and after which step

    def report(step: int, steps: int, point: Evaluation | None) -> None:
        if not begun:
            begun.append((time.monotonic(), step))
        if point:
            clock, first = begun[0]
            left = (time.monotonic() - clock) / max(step - first, 1) * (steps - step)
            say(
                f"epoch {point.epoch} ({100 * step // steps} %): {_errors(point)}; "
                f"{in_words(left)} to go"
            )

    yield report


@contextmanager
def tensorboard(folder: Path) -> Iterator[Report]:
    """Curves that TensorBoard shows, written into ``folder``, each point after its epoch.

    Raises:
        InputError: if the extra ``tensorboard`` is not installed, or the folder cannot be made.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise InputError(
            "tensorboard is missing; accepted: pip install 'resnet-study[tensorboard]'"
        ) from error
    require_writable(folder)
    with SummaryWriter(folder) as writer:

        def report(step: int, steps: int, point: Evaluation | None) -> None:
            for name, value in asdict(point).items() if point else ():
                if isinstance(value, float):
                    writer.add_scalar(name, value, step)

        yield report


def in_words(seconds: float) -> str:
    """``about 40 s``, ``about 12 min``, ``about 3.5 h``."""
    if seconds < 90:
        return f"about {seconds:.0f} s"
    if seconds < 90 * 60:
        return f"about {seconds / 60:.0f} min"
    return f"about {seconds / 3600:.1f} h"
