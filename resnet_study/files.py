"""Writing files so that nothing is ever half-written."""

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from resnet_study.errors import InputError


def write_atomically(path: Path, content: bytes) -> None:
    """Write ``content`` so that ``path`` holds either all of it or what it held before.

    Raises:
        InputError: if it cannot be written: a folder without permission, a full disk.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise InputError(f"cannot write into {path.parent}: {error.strerror}") from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            _where_supported(os.fsync, file.fileno())
        # mkstemp makes files that only their owner can read.
        _where_supported(os.chmod, temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    finally:
        Path(temporary).unlink(missing_ok=True)


def _where_supported(call: Callable, *arguments: object) -> None:
    """``call``, unless the file system has no such thing: some know no owners, or no flushing."""
    try:
        call(*arguments)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM):
            raise


@contextmanager
def exclusive(lock: Path) -> Iterator[None]:
    """Hold the lock file ``lock``, and leave none behind; a killed holder's is taken over.

    Raises:
        InputError: if another process holds it, or it cannot be held: another user's, no file, or a
            file system without locks.
    """
    file_lock = FileLock(lock, blocking=False)
    try:
        file_lock.acquire()
    except Timeout as error:
        raise InputError(f"another process holds {lock}: it is at the same work") from error
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or "this file system knows no locks"
        raise InputError(
            f"cannot lock {lock}: {reason}; accepted: a folder of records of one's own, on a file "
            "system with locks"
        ) from error
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        file_lock.release()


def require_writable(folder: Path) -> None:
    """Find out before a long job, not after it, that its result cannot be written.

    ``folder`` is made if it is not there.

    Raises:
        InputError: if nothing can be written into it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise InputError(f"cannot write into {folder}: {error.strerror}") from error


def contents(folder: Path) -> frozenset[tuple[str, int, int]]:
    """Names, sizes in bytes and times of change in ns of what lies in a folder, if there is one.

    It is another when anything in the folder is.
    """
    if not folder.is_dir():
        return frozenset()
    entries = [(entry.name, entry.stat()) for entry in os.scandir(folder) if entry.is_file()]
    return frozenset((name, stat.st_size, stat.st_mtime_ns) for name, stat in entries)
