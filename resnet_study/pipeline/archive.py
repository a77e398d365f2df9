"""Moving records between machines, as one verified archive.

An archive is a tar file in gzip, as :func:`pack` writes it and no other: one stream without a name
or a time in its head, and nothing behind its end.
"""

import gzip
import io
import struct
import tarfile
import zlib
from pathlib import Path

from resnet_study.files import write_atomically
from resnet_study.pipeline import schemas
from resnet_study.pipeline.records import RecordError, find_records, parse_record, read_record
from resnet_study.pipeline.verification import require_sound

HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"  # of gzip: no name, no time, best effort
TAIL = struct.Struct("<LL")  # CRC-32 and size of what is packed, modulo 2**32
LARGEST = 128 * 2**20  # bytes of an archive when unpacked: tens of thousands of records


def pack(archive: Path | str, runs_dir: Path | str) -> int:
    """Write all records below ``runs_dir`` into ``archive`` (tar.gz); returns how many.

    The same records make the same archive: it holds their names and contents, no times or owners.

    Raises:
        RecordError: if there is none, one is damaged, no run of ours can have left it there, or all
            are too much.
        InputError: if the archive cannot be written.
    """
    buffer = io.BytesIO()
    paths = find_records(runs_dir)
    if not paths:
        raise RecordError(f"no records in {runs_dir}; accepted: a folder of records")
    with (
        gzip.GzipFile(filename="", fileobj=buffer, mode="wb", compresslevel=9, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        for path in paths:
            name = path.relative_to(runs_dir).as_posix()
            # Nothing leaves this machine that another one would refuse.
            require_sound(read_record(path), name, f"record {path}")
            content = path.read_bytes()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
            if tar.offset > LARGEST - 2 * tarfile.RECORDSIZE:
                raise RecordError(
                    f"the records in {runs_dir} are more than {LARGEST:,} bytes; accepted: fewer "
                    "at a time"
                )
    write_atomically(Path(archive), buffer.getvalue())
    return len(paths)


def unpack(archive: Path | str, runs_dir: Path | str) -> tuple[int, int]:
    """Add the records in ``archive`` to ``runs_dir``; returns how many were new, and known.

    All are checked before the first is written; a run that is recorded already with other
    content is refused.

    Raises:
        RecordError: if the archive is damaged or none of ours, a record in it is, no run of ours
            can have left it under its name, or it differs from ours.
        InputError: if a record cannot be written.
    """
    texts = _read(Path(archive))
    new = {}
    for name, text in texts.items():
        path = Path(runs_dir) / name
        if not path.exists() and not path.is_symlink():
            new[path] = text
        elif read_record(path)["sha256"] != parse_record(text, path)["sha256"]:
            raise RecordError(
                f"record {path} differs from the one in {archive}; remove one of them"
            )
    for path, text in new.items():
        write_atomically(path, text.encode())
    return len(new), len(texts) - len(new)


def _read(archive: Path) -> dict[str, str]:
    """The records in ``archive`` by their names below a folder of records, all of them checked.

    Raises:
        RecordError: if it cannot be read, or something in it is no record of ours.
    """
    try:
        if archive.exists() and not archive.is_file():
            raise RecordError(f"archive {archive} is no file")
        if archive.stat().st_size > LARGEST:
            raise RecordError(f"archive {archive} has more than {LARGEST:,} bytes, as none of ours")
        return _records(_unzip(archive.read_bytes()), archive)
    except RecordError:
        raise
    except (OSError, ValueError, tarfile.TarError, zlib.error) as error:
        raise RecordError(f"archive {archive} cannot be read: {error}") from error


def _unzip(packed: bytes) -> bytes:
    """What ``packed`` holds, if not a bit of it is other than :func:`pack` wrote it.

    Raises:
        ValueError: if a bit is, or it holds more than ``LARGEST`` bytes, of which no more are read.
        zlib.error: if it is no deflated stream.
    """
    if not packed.startswith(HEAD) or len(packed) <= len(HEAD) + TAIL.size:
        raise ValueError("it is none that resnet-study pack wrote, or is cut short")
    deflated, tail = packed[len(HEAD) : -TAIL.size], packed[-TAIL.size :]
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    content = inflate.decompress(deflated[:-1], LARGEST)
    if inflate.unconsumed_tail:
        raise ValueError(f"it holds more than {LARGEST:,} bytes, as none of ours does")
    end = _end(inflate, deflated[-1])
    if end is None:
        raise ValueError("it is cut short, or something follows its end")
    content += end
    if TAIL.pack(zlib.crc32(content), len(content) & 0xFFFFFFFF) != tail:
        raise ValueError("its content does not match its checksum")
    # Bits behind the last code are zero and say nothing: another one there would go unnoticed.
    if any(_end(inflate, deflated[-1] & ~(1 << bit)) == end for bit in _bits(deflated[-1])):
        raise ValueError("its last byte was altered")
    return content


def _bits(byte: int) -> list[int]:
    """The places of the bits that are set in ``byte``."""
    return [place for place in range(8) if byte >> place & 1]


def _end(inflate, byte: int) -> bytes | None:
    """What a deflated stream has left if ``byte`` is its last; None if it does not end there."""
    inflate = inflate.copy()
    try:
        content = inflate.decompress(bytes([byte]))
    except zlib.error:
        return None
    return content if inflate.eof and not inflate.unused_data else None


def _records(content: bytes, archive: Path) -> dict[str, str]:
    """The records in a tar file by their names, all of them checked.

    Raises:
        RecordError: if something in it is no record of ours.
        ValueError, tarfile.TarError: if it is no tar file.
    """
    found = {}
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
        for member in tar:
            what = f"{schemas.short(member.name)} in archive {archive}"
            # A sparse file says how large it wants to be.
            if member.type != tarfile.REGTYPE or member.issparse():
                raise RecordError(f"{what} is no record")
            if member.name in found:
                raise RecordError(f"{what} is there twice")
            text = tar.extractfile(member).read().decode()
            require_sound(parse_record(text, Path(member.name)), member.name, what)
            found[member.name] = text
        rest = content[tar.offset :]
    if any(rest) or len(rest) > 2 * tarfile.RECORDSIZE:
        raise RecordError(f"archive {archive} holds something behind its records")
    return found
