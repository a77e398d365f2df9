"""Signals that ask a process to end: what is under way is saved first.

Ctrl-C, ``kill``, a closed terminal, and schedulers that take a machine back all send one of
``SIGNALS``. Within :func:`stoppable` each of them raises :class:`Stopped`; within :func:`held` they
wait, so that a step is taken as a whole.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
_waiting: list[int] = []  # signals that came while they were held
_raised: list[int] = []  # signals that were raised
_holds = 0


class Stopped(KeyboardInterrupt):
    """A signal asked this process to end. No :class:`Exception`: nobody takes it for an error."""

    def __init__(self, number: int, text: str | None = None):
        self.number = number
        super().__init__(text or f"stopped by {signal.Signals(number).name}")

    @property
    def status(self) -> int:
        """Exit status of a process that a signal ended, as shells tell it."""
        return 128 + self.number


def _stop(number: int, frame: object) -> None:
    if _holds and not _waiting:
        _waiting.append(number)
    else:  # also when asked twice: what is held may hang
        _raised.append(number)
        raise Stopped(number)


@contextmanager
def stoppable() -> Iterator[None]:
    """Within it each of ``SIGNALS`` raises :class:`Stopped`, once nothing holds them.

    One that is ignored stays so: ``nohup`` wants no SIGHUP. Does nothing outside of the main
    thread, where Python takes no signals.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, _stop)
    try:
        yield
    except (ImportError, SystemError) as error:
        # A library that is being loaded makes an error of its own of whatever is raised in it.
        if _raised:
            raise Stopped(_raised[-1]) from error
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _waiting.clear()
        if before:
            _raised.clear()


@contextmanager
def held() -> Iterator[None]:
    """Within it signals wait: :func:`waiting` tells of one. A second one is not kept waiting."""
    global _holds
    _holds += 1
    try:
        yield
    finally:
        _holds -= 1


@contextmanager
def let_through() -> Iterator[None]:
    """Within it signals are not held, even within :func:`held`; one that waits is raised."""
    global _holds
    before, _holds = _holds, 0
    try:
        if before and _waiting:
            raise Stopped(_waiting.pop())
        yield
    finally:
        _holds = before


def waiting() -> int | None:
    """The signal that waits, if there is one."""
    return _waiting[0] if _waiting else None
