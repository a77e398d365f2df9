"""What lies beside pictures, what lies in them, and who reads them; with generated pictures."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import files_below
from PIL import Image

from resnet_study.data import imagenet, tiny_imagenet
from resnet_study.data.imagenet import load_imagenet
from resnet_study.data.options import Augmentation
from resnet_study.data.tiny_imagenet import read_image
from resnet_study.errors import InputError

pytestmark = pytest.mark.slow

SMALL = Augmentation(scales=(64, 64), crop=64)


def _picture(seed, mode="RGB"):
    pixels = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


@pytest.fixture
def folder(tmp_path):
    """2 classes of 3 training images and 1 validation image, kept without loss."""
    for part, count in (("train", 3), ("val", 1)):
        for label in ("ant", "bee"):
            place = tmp_path / "data" / part / label
            place.mkdir(parents=True)
            for number in range(count):
                seed = sum(map(ord, part + label)) + number
                _picture(seed).save(place / f"{label}_{number}.png")
    return tmp_path / "data"


def _refusal(call):
    """The one line in which ``call`` refuses."""
    with pytest.raises(InputError) as refusal:
        call()
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


# Which files are pictures


def test_pictures_are_those_of_torchvisions_image_folder(folder):
    from torchvision.datasets import ImageFolder
    from torchvision.datasets.folder import IMG_EXTENSIONS

    for number, ending in enumerate((*IMG_EXTENSIONS, ".JPEG", ".Jpg")):
        picture = "PNG" if ending == ".webp" else None  # which Pillow may come without
        _picture(100 + number).save(folder / "train" / "ant" / f"{number}{ending}", picture)
    (folder / "train" / "list.txt").touch()
    (folder / "train" / "ant" / "boxes.txt").touch()
    (folder / "train" / "Zoo").mkdir()
    (folder / "val" / "Zoo").mkdir()
    for part in ("train", "val"):
        _picture(50).save(folder / part / "Zoo" / "\N{LATIN SMALL LETTER U WITH DIAERESIS}.png")
    data = load_imagenet(folder)
    expected = ImageFolder(folder / "train")
    found = [(str(data.train.path(i)), label) for i, label in enumerate(data.train.labels.tolist())]
    assert found == expected.samples


SYSTEMS_OWN = [
    "@eaDir/ant_0.png/SYNOPHOTO_THUMB_M.jpg",
    ".ipynb_checkpoints/ant_0-checkpoint.png",
    ".AppleDouble/ant_0.png",
    "__MACOSX/ant/ant_0.png",
    "__MACOSX/._ant_0.png",
    "lost+found/ant_0.png",
    "#recycle/ant_0.png",
    "@Recycle/ant_0.png",
    "@Recently-Snapshot/ant_0.png",
    ".@__thumb/default_ant_0.png",
    "$RECYCLE.BIN/ant_0.png",
    "System Volume Information/ant_0.png",
    ".Trash-1000/files/ant_0.png",
    ".hidden/ant_0.png",
    "._ant_0.png",
    ".ant_0.png.Xh3a9q",
    ".#ant_0.png",
    ".nfs000000000123.png",
    ".DS_Store",
    "Thumbs.db",
    "desktop.ini",
    "Icon\r",
    "ant_0.png~",
    "#ant_0.png#",
    "ant_0.png.xmp",
    "ant_0.png:Zone.Identifier",
    "README.txt",
]


@pytest.mark.parametrize("name", SYSTEMS_OWN)
def test_what_systems_and_editors_leave_is_no_picture(folder, name):
    before = load_imagenet(folder)
    for place in (".", "train", "train/ant", "val", "val/bee"):
        path = folder / place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "train" / "ant" / "ant_0.png", path)
    after = load_imagenet(folder)
    assert after.fingerprint() == before.fingerprint()
    assert (after.classes, len(after.train), len(after.validation)) == (2, 6, 2)


@pytest.mark.parametrize("target", ["nowhere", ".#ant_0.png"])
def test_a_lock_of_an_editor_is_no_picture(folder, target):
    (folder / "train" / "ant" / ".#ant_0.png").symlink_to(target)
    (folder / "train" / ".#bee").symlink_to(target)
    assert len(load_imagenet(folder).train) == 6


def _write(content):
    return lambda path: path.write_bytes(content)


def _link(target):
    return lambda path: path.symlink_to(target)


def _folder_with(name):
    def make(path):
        path.mkdir()
        if name:
            _picture(9).save(path / name)

    return make


def _copy(path):
    shutil.copy(path.parent / "ant_0.png", path)


MISTAKEN = {
    "ant_3.png.part": (_write(b"\x89PNG"), "not finished"),
    "ant_3.Q7x_2.png.part": (_write(b"\x89PNG"), "not finished"),
    "ant_3.png.crdownload": (_write(b"\x89PNG"), "not finished"),
    "ant_3.png": (_write(b""), "empty"),
    "ant_4.png": (_folder_with(""), "within a class folder; accepted: train/<class>"),
    "images": (_folder_with("ant_3.png"), "within a class folder; accepted: train/<class>"),
    "ant_5.png": (_link("nowhere"), "cannot be reached"),
    "ant_6.png": (_link("ant_6.png"), "cannot be reached"),
    "up": (_link(".."), "within a class folder"),
    "ant_7.png": (os.mkfifo, "no file"),
    "ant_8.GIF": (_write(b"GIF89a"), "accepted: .jpg, .jpeg, .png"),
    "ant_9.heic": (_write(b"heic"), "accepted: .jpg, .jpeg, .png"),
    "ant_0 (1).png": (_copy, "copy of ant_0.png"),
    "ant_0-Copy1.png": (_copy, "copy of ant_0.png"),
    "ant_0 copy.png": (_copy, "copy of ant_0.png"),
    "ant_0 2.png": (_copy, "copy of ant_0.png"),
    "ant_0的副本.png": (_copy, "copy of ant_0.png"),
    "ant_0.sync-conflict-20250101-101010-ABCDEFG.png": (_copy, "copy of ant_0.png"),
    "Copy of ant_0.png": (_copy, "copy of ant_0.png"),
    "ant_0.PNG": (_copy, "ant_0.png"),
}


@pytest.mark.parametrize("part", ["train", "val"])
@pytest.mark.parametrize("name", MISTAKEN)
def test_what_may_be_meant_as_a_picture_is_refused_by_name(folder, part, name):
    make, words = MISTAKEN[name]
    make(folder / part / "ant" / name)
    refusal = _refusal(lambda: load_imagenet(folder))
    assert str(folder / part / "ant" / name) in refusal or "copy of ant_0.PNG" in refusal
    assert words in refusal


def test_names_alone_make_no_copy(folder):
    """ImageNet has the same picture under several numbers, and numbers that begin alike."""
    for name in ("ant_10.png", "ant_01.png", "0.png"):
        shutil.copy(folder / "train" / "ant" / "ant_0.png", folder / "train" / "bee" / name)
    _picture(77).save(folder / "train" / "ant" / "ant_0 (1).png")
    assert len(load_imagenet(folder).train) == 10


@pytest.mark.parametrize("part", ["train", "val"])
def test_a_picture_beside_the_class_folders_is_refused(folder, part):
    _picture(9).save(folder / part / "ant_3.png")
    refusal = _refusal(lambda: load_imagenet(folder))
    assert f"{folder / part / 'ant_3.png'} lies outside of the class folders" in refusal


@pytest.mark.parametrize("part", ["train", "val"])
def test_a_class_that_is_a_link_to_nothing_is_refused(folder, part):
    for target in ("nowhere", "cat"):
        (folder / part / "cat").symlink_to(target)
        assert f"{folder / part / 'cat'} cannot be reached" in _refusal(
            lambda: load_imagenet(folder)
        )
        (folder / part / "cat").unlink()


@pytest.mark.parametrize("own", ["@eaDir/ant_0.png", "._ant_0.png", "Thumbs.db", None])
def test_a_class_of_foreign_files_alone_is_refused(folder, own):
    empty = folder / "train" / "bee"
    shutil.rmtree(empty)
    path = empty / (own or ".")
    path.parent.mkdir(parents=True, exist_ok=True)
    if own:
        path.write_bytes(b"0")
    else:
        path.mkdir(exist_ok=True)
    assert f"{empty} holds no images" in _refusal(lambda: load_imagenet(folder))


def test_a_class_folder_that_is_a_file_is_refused(folder):
    shutil.rmtree(folder / "train" / "bee")
    (folder / "train" / "bee").write_bytes(b"0")
    assert "class bee" in _refusal(lambda: load_imagenet(folder))


@pytest.mark.parametrize("linked", ["train", "train/ant", "train/ant/ant_0.png", "."])
def test_links_to_elsewhere_are_followed(folder, tmp_path, linked):
    before = load_imagenet(folder)
    (folder / linked).rename(tmp_path / "elsewhere")
    (folder / linked).symlink_to(tmp_path / "elsewhere")
    assert load_imagenet(folder).fingerprint() == before.fingerprint()


@pytest.mark.parametrize("place", ["train", "val", "train/ant", ".."])
def test_a_folder_of_the_data_set_or_above_it_is_refused_in_a_line(folder, place):
    refusal = _refusal(lambda: load_imagenet(folder / place))
    assert "give the folder that holds train and val with --data-dir" in refusal


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("closed", [".", "train", "train/ant", "val/bee"])
@pytest.mark.parametrize("mode", [0o000, 0o444])
def test_a_folder_without_permission_is_named(folder, closed, mode):
    (folder / closed).chmod(mode)
    try:
        refusal = _refusal(lambda: load_imagenet(folder).fingerprint())
    finally:
        (folder / closed).chmod(0o755)
    assert str(folder / closed) in refusal


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_picture_without_permission_is_named(folder):
    path = folder / "train" / "ant" / "ant_0.png"
    path.chmod(0)
    assert f"{path} cannot be read: " in _refusal(lambda: load_imagenet(folder).train.read(0))
    assert f"{path} cannot be read: " in _refusal(lambda: read_image(path))


def test_names_in_no_encoding_are_read_and_told(folder):
    name = os.fsencode(folder / "train" / "ant") + b"/\xff\xe9.png"
    shutil.copy(folder / "train" / "ant" / "ant_1.png", name)
    data = load_imagenet(folder)
    (index,) = [i for i in range(7) if os.fsencode(data.train.path(i)) == name]
    assert torch.equal(data.train.read(index), data.train.read(1))
    Path(os.fsdecode(name)).write_bytes(b"0")
    wrong = subprocess.run(
        [sys.executable, "-m", "resnet_study", "run", "--recipe", "imagenet", "--device", "cpu",
         "--batch", "4", "--width", "1", "--data-dir", folder, "--runs-dir", folder / "runs"],
        capture_output=True,
    )  # fmt: skip
    assert wrong.returncode == 2
    assert wrong.stderr.count(b"\n") == 1 and b"cannot be read" in wrong.stderr


# What becomes of their pixels


READERS = {
    "imagenet": lambda path: imagenet.ImageFiles(
        path.parent, np.array([os.fsencode(path.name)]), torch.zeros(1)
    ).read(0),
    "tiny-imagenet": lambda path: torch.tensor(read_image(path)).permute(2, 0, 1),
}
either = pytest.mark.parametrize("read", READERS.values(), ids=READERS)
RAMP = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 16


@either
@pytest.mark.parametrize("ending", ["png", "tif", "pgm"])
def test_grey_of_16_bits_keeps_its_upper_8(tmp_path, read, ending):
    path = tmp_path / f"grey.{ending}"
    if ending == "pgm":
        path.write_bytes(b"P5 64 64 65535\n" + RAMP.astype(">u2").tobytes())
    else:
        Image.fromarray(RAMP).save(path)
    expected = torch.tensor((RAMP >> 8).astype(np.uint8)).expand(3, 64, 64)
    assert torch.equal(read(path), expected)


@either
@pytest.mark.parametrize("endianness", ["<", ">"])
@pytest.mark.parametrize("kind", ["i4", "f4", "i2"])
def test_grey_without_a_white_is_refused_by_name(tmp_path, read, kind, endianness):
    path = tmp_path / "grey.tif"
    _write_tiff(path, RAMP.astype(endianness + kind), endianness)
    refusal = _refusal(lambda: read(path))
    assert str(path) in refusal and "accepted: 8 or 16 bits, from black at 0" in refusal


@either
@pytest.mark.parametrize("tag", [{258: 12}, {262: 0}])
def test_16_bits_that_are_not_from_black_to_white_are_refused(tmp_path, read, tag):
    path = tmp_path / "grey.tif"
    _write_tiff(path, RAMP.astype("<u2"), "<", tag)
    assert "accepted: 8 or 16 bits, from black at 0" in _refusal(lambda: read(path))


def test_a_tiff_as_the_tests_write_it_is_read(tmp_path):
    _write_tiff(tmp_path / "grey.tif", RAMP.astype(">u2"), ">")
    assert np.array_equal(read_image(tmp_path / "grey.tif")[:, :, 1], RAMP >> 8)


def _write_tiff(path, pixels, endianness, tags=None):
    """Grey pixels (H, W) as a TIFF of one strip, with ``tags`` changed."""
    height, width = pixels.shape
    kind = {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]
    head = 8 + 2 + 9 * 12 + 4
    fields = {
        **{256: width, 257: height, 258: 8 * pixels.itemsize, 259: 1, 262: 1},
        **{273: head, 278: height, 279: pixels.nbytes, 339: kind},
        **(tags or {}),
    }
    order = {"<": "little", ">": "big"}[endianness]

    def number(value, size):
        return int(value).to_bytes(size, order)

    content = {"<": b"II", ">": b"MM"}[endianness] + number(42, 2) + number(8, 4) + number(9, 2)
    for tag, value in fields.items():
        content += number(tag, 2) + number(4, 2) + number(1, 4) + number(value, 4)
    path.write_bytes(content + number(0, 4) + pixels.tobytes())


@either
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "P in bytes"])
def test_beneath_transparency_the_colour_is_taken(tmp_path, read, mode, recwarn):
    path, colours = tmp_path / "picture.png", _picture(3, "L" if mode == "LA" else "RGB")
    if mode.startswith("P"):
        image = colours.quantize(16)
        transparent = bytes(range(16)) if mode == "P in bytes" else 3
        image.save(path, transparency=transparent)
        colours = image.convert("RGB")
    else:
        colours.putalpha(_picture(4, "L"))
        colours.save(path)
        colours = colours.convert("RGB")
    assert torch.equal(read(path), torch.tensor(np.asarray(colours)).permute(2, 0, 1))
    assert not recwarn.list


@either
def test_the_orientation_of_a_photograph_is_not_applied(tmp_path, read):
    """As with torchvision's ImageFolder, and so by everyone who trains on ImageNet."""
    path, exif = tmp_path / "picture.png", Image.Exif()
    exif[274] = 6  # to be turned by 90°
    _picture(3).save(path, exif=exif)
    assert torch.equal(read(path), torch.tensor(np.asarray(_picture(3))).permute(2, 0, 1))


@either
def test_an_animation_is_its_first_frame(tmp_path, read):
    path = tmp_path / "picture.tif"
    _picture(3).save(path, save_all=True, append_images=[_picture(4), _picture(5)])
    assert torch.equal(read(path), torch.tensor(np.asarray(_picture(3))).permute(2, 0, 1))


@either
@pytest.mark.parametrize("mode", ["L", "1", "CMYK"])
def test_other_colours_are_pillows(tmp_path, read, mode):
    path = tmp_path / "picture.tif"
    _picture(3, mode).save(path)
    expected = np.asarray(_picture(3, mode).convert("RGB"))
    assert torch.equal(read(path), torch.tensor(expected).permute(2, 0, 1))


@either
@pytest.mark.parametrize("ending", ["png", "bmp", "tif", "ppm", "jpg", "gif"])
def test_damaged_pictures_are_read_or_named_in_a_line(tmp_path, read, ending, recwarn):
    """What lies in a header is anything but what Pillow expects."""
    path, rng = tmp_path / f"picture.{ending}", np.random.default_rng(0)
    _picture(3).save(path)
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    for _ in range(60):
        damaged = whole.copy()
        damaged[rng.integers(0, 120, 4)] = rng.integers(0, 256, 4)
        path.write_bytes(damaged.tobytes())
        try:
            read(path)
        except InputError as error:
            assert str(path) in str(error) and "\n" not in str(error)
    assert not recwarn.list


@either
def test_a_picture_of_more_pixels_than_memory_is_named(tmp_path, read):
    path = tmp_path / "picture.bmp"
    _picture(3).save(path)
    content = bytearray(path.read_bytes())
    content[18:26] = (60_000).to_bytes(4, "little") * 2  # width and height
    path.write_bytes(content)
    assert str(path) in _refusal(lambda: read(path))


# The processes that read them


@pytest.fixture
def two_readers(monkeypatch):
    for module in (imagenet, tiny_imagenet):
        monkeypatch.setattr(module, "cpu_count", lambda: 2, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1}, raising=False)


def _children():
    return set(multiprocessing.active_children())


def test_a_killed_reader_ends_the_batches_in_a_line_and_when_one_is_due(folder, two_readers):
    data, before = load_imagenet(folder), _children()
    order = data.draw_order(torch.Generator())
    batches = data.training_batches(order, 1, SMALL, torch.Generator())
    next(batches)
    victim = (_children() - before).pop()
    victim.kill()
    victim.join()
    time.sleep(0.1)  # here the training goes on
    assert "a process that reads images died" in _refusal(lambda: list(batches))


def _die(paths):
    os.kill(os.getpid(), signal.SIGKILL)


def _want_too_much(paths):
    raise OSError("no space left")


@pytest.mark.parametrize("fail", [_die, _want_too_much])
def test_a_killed_decoder_ends_reading_in_a_line(tmp_path, two_readers, monkeypatch, fail):
    monkeypatch.setattr(tiny_imagenet, "_read_some", fail)
    refusal = _refusal(lambda: tiny_imagenet._read_images([tmp_path / "0.JPEG"] * 2000))
    assert "a process that reads images died" in refusal


def test_cores_are_counted_where_the_system_tells_no_affinity(folder, monkeypatch):
    """As on macOS and Windows."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    data = load_imagenet(folder)
    assert len(list(data.evaluation_batches("train", SMALL, batch=2))) == 3
    picture = folder / "train" / "ant" / "ant_0.png"
    assert tiny_imagenet._read_images([picture] * 3).shape == (3, 3, 64, 64)


def _dispositions(queue):
    from resnet_study.data.pictures import as_reader

    as_reader(0)
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    queue.put([int(signal.getsignal(getattr(signal, name))) for name in names])
    queue.put(len(signal.pthread_sigmask(signal.SIG_BLOCK, [])))


def test_a_reader_leaves_signals_to_its_parent():
    from resnet_study.data.pictures import holding_signals

    given = {signal.SIGTERM: lambda *_: None, signal.SIGHUP: signal.SIG_IGN}  # as under nohup
    before = {number: signal.signal(number, handler) for number, handler in given.items()}
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    try:
        with holding_signals():
            child = context.Process(target=_dispositions, args=(queue,))
            child.start()
        assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    ignored, default = int(signal.SIG_IGN), int(signal.SIG_DFL)
    assert (queue.get(), queue.get()) == ([ignored, default, ignored], 0)
    child.join()


READING = """
import os, sys, time
from pathlib import Path
import torch
from resnet_study.data import imagenet, tiny_imagenet
from resnet_study.data.options import Augmentation

def said(paths):
    print(os.getpid(), flush=True)
    time.sleep(60)

try:
    if sys.argv[1] == "pool":
        tiny_imagenet._read_some = said
        tiny_imagenet._read_images([Path("0.JPEG")] * 9000)
    else:
        imagenet.ImageFiles.read = lambda files, index: said([])
        data = imagenet.load_imagenet(Path(sys.argv[2]))
        order = data.draw_order(torch.Generator())
        small = Augmentation(scales=(64, 64), crop=64)
        list(data.training_batches(order, 1, small, torch.Generator()))
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.fixture
def reading(folder):
    """Start a process that reads for long; returns it and the id of a reader that is at it."""
    started = []

    def start(kind):
        child = subprocess.Popen(
            [sys.executable, "-c", READING, kind, folder],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        started.append(child)
        return child, int(child.stdout.readline())

    yield start
    for child in started:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.communicate()


def _has_ended(process):
    """Whether ``process`` ends within ten seconds; a zombie has."""
    for _ in range(100):
        try:
            if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.1)
    return False


on_linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")


@on_linux
@pytest.mark.parametrize("kind", ["pool", "loader"])
def test_readers_do_not_outlive_a_killed_parent(reading, kind):
    child, reader = reading(kind)
    child.kill()
    assert _has_ended(reader)


@on_linux
@pytest.mark.parametrize("kind", ["pool", "loader"])
def test_an_interrupt_of_all_processes_is_answered_by_the_first_alone(reading, kind):
    child, reader = reading(kind)
    os.killpg(child.pid, signal.SIGINT)
    time.sleep(0.5)
    os.killpg(child.pid, signal.SIGTERM)  # for readers that still sleep
    _, said = child.communicate()
    assert "KeyboardInterrupt" not in said and "Traceback" not in said
    assert _has_ended(reader)


def test_reading_leaves_the_handlers_of_signals_as_they_were(folder, two_readers):
    numbers = (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    before_files = files_below(folder)
    data = load_imagenet(folder)
    assert len(list(data.evaluation_batches("train", SMALL, batch=1))) == 6
    assert [signal.getsignal(number) for number in numbers] == before
    assert files_below(folder) == before_files
