"""Moving records between machines, as one verified archive."""

import gzip
import io
import tarfile
from pathlib import Path, PurePosixPath

from resnet_study.errors import InputError
from resnet_study.files import write_atomically
from resnet_study.records import find_records, parse_record, read_record


def pack(archive: Path | str, runs_dir: Path | str) -> int:
    """Write all records below ``runs_dir`` into ``archive`` (tar.gz); returns how many.

    The same records make the same archive: it holds their names and contents, no times or owners.

    Raises:
        RecordError: if one is damaged.
        InputError: if the archive cannot be written.
    """
    buffer = io.BytesIO()
    paths = find_records(runs_dir)
    with (
        gzip.GzipFile(filename="", fileobj=buffer, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        for path in paths:
            read_record(path)  # nothing damaged leaves this machine
            content = path.read_bytes()
            member = tarfile.TarInfo(path.relative_to(runs_dir).as_posix())
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    write_atomically(Path(archive), buffer.getvalue())
    return len(paths)


def unpack(archive: Path | str, runs_dir: Path | str) -> tuple[int, int]:
    """Add the records in ``archive`` to ``runs_dir``; returns how many were new, and known.

    All are checked before the first is written; a run that is recorded already with other
    content is refused.

    Raises:
        RecordError: if a record is damaged.
        InputError: if the archive is no archive of records, or one differs from ours.
    """
    texts = {}
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                name = PurePosixPath(member.name)
                if not member.isfile() or name.suffix != ".json" or ".." in name.parts:
                    raise InputError(f"archive {archive} holds {member.name}, which is no record")
                texts[name] = tar.extractfile(member).read().decode()
    except (OSError, EOFError, tarfile.TarError, UnicodeDecodeError) as error:
        raise InputError(f"archive {archive} cannot be read: {error}") from error
    new = {}
    for name, text in texts.items():
        path = Path(runs_dir) / name.relative_to(name.anchor)
        parse_record(text, path)
        if not path.exists():
            new[path] = text
        elif path.read_text(encoding="utf-8") != text:
            raise InputError(f"record {path} differs from the one in {archive}; remove one of them")
    for path, text in new.items():
        write_atomically(path, text.encode())
    return len(new), len(texts) - len(new)
