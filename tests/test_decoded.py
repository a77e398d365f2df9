"""What was decoded once is read from one file, and only as long as it is of the same images."""

import os

import pytest
import torch
from PIL import Image

from resnet_study.data import decoded as module
from resnet_study.data.decoded import FOLDER, decoded
from resnet_study.errors import InputError


@pytest.fixture
def images(tmp_path):
    for number in range(3):
        Image.new("L", (4, 4), 50 * number).save(tmp_path / f"{number}.png")
    return [tmp_path / f"{number}.png" for number in range(3)]


class Reader:
    """Decodes, and counts how often it is asked to."""

    calls = 0

    def __call__(self, paths):
        self.calls += 1
        pixels = [bytearray(Image.open(path).tobytes()) for path in paths]
        return torch.tensor(pixels, dtype=torch.uint8).view(len(paths), 1, 4, 4)


def _kept(folder):
    (path,) = (folder / FOLDER).iterdir()
    return path


def test_a_second_time_nothing_is_decoded_and_the_images_are_the_same(images, tmp_path, capsys):
    read = Reader()
    first, second = (decoded(images, tmp_path, read) for _ in range(2))
    assert read.calls == 1
    assert torch.equal(first, second) and second.dtype == torch.uint8
    assert capsys.readouterr().err == f"decoded images are kept in {tmp_path / FOLDER}\n"


def test_to_change_the_images_changes_no_file(images, tmp_path):
    read = Reader()
    decoded(images, tmp_path, read)
    decoded(images, tmp_path, read).zero_()
    assert decoded(images, tmp_path, read).any()
    assert read.calls == 1


@pytest.mark.parametrize("damage", ["a bit", "the end", "nothing", "another file"])
def test_a_file_that_is_damaged_is_made_anew(images, tmp_path, damage):
    read = Reader()
    first = decoded(images, tmp_path, read)
    content = bytearray(_kept(tmp_path).read_bytes())
    content[-40] ^= 1
    contents = {"a bit": content, "the end": content[:-5], "nothing": b"", "another file": b"x" * 9}
    _kept(tmp_path).write_bytes(contents[damage])
    for _ in range(2):
        assert torch.equal(decoded(images, tmp_path, read), first)
    assert read.calls == 2


def test_other_images_and_another_decoder_have_files_of_their_own(images, tmp_path, monkeypatch):
    read = Reader()
    decoded(images, tmp_path, read)
    Image.new("L", (4, 4), 9).save(images[0])
    os.utime(images[0], ns=(1, 1))
    assert decoded(images, tmp_path, read)[0, 0, 0, 0] == 9
    monkeypatch.setattr(module, "jpeg_decoder", lambda: "another")
    decoded(images, tmp_path, read)
    decoded(images[:2], tmp_path, read)
    assert read.calls == 4
    assert len(list((tmp_path / FOLDER).iterdir())) == 4


def test_where_nothing_can_be_written_images_are_decoded_every_time(images, tmp_path, capsys):
    (tmp_path / "file").touch()  # no folder can be made in it, even by root
    read = Reader()
    for calls in (1, 2):
        assert len(decoded(images, tmp_path / "file", read)) == 3
        assert read.calls == calls
    assert not capsys.readouterr().err


def test_a_missing_image_is_told(images, tmp_path):
    images[1].unlink()
    with pytest.raises(InputError, match=r"1\.png"):
        decoded(images, tmp_path, Reader())
