"""Tiny ImageNet in its real layout, with fewer and generated images."""

import shutil

import numpy as np
import pytest
import torch
from conftest import files_below
from PIL import Image

from resnet_study.data import tiny_imagenet
from resnet_study.data.datasets import load_data
from resnet_study.data.tiny_imagenet import load_tiny_imagenet
from resnet_study.errors import InputError


def _save(path, colour, mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((64, 64, 3), colour, dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(path, format="JPEG")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """20 classes of 2 training images and 1 validation image; colours tell the class."""
    monkeypatch.setattr(tiny_imagenet, "CLASSES", 20)
    monkeypatch.setattr(tiny_imagenet, "IMAGES_PER_CLASS", 2)
    monkeypatch.setattr(tiny_imagenet, "VALIDATION_IMAGES", 20)
    root = tmp_path / "tiny-imagenet-200"
    ids = [f"n{number:08}" for number in range(20)]
    annotations = []
    for number, identifier in enumerate(ids):
        colour = (10 * number, 0, 128)
        for image in range(2):
            _save(root / "train" / identifier / "images" / f"{identifier}_{image}.JPEG", colour)
        _save(root / "val" / "images" / f"val_{19 - number}.JPEG", colour)
        annotations.append(f"val_{19 - number}.JPEG\t{identifier}\t0\t0\t63\t63")
    (root / "wnids.txt").write_text("\n".join(reversed(ids)) + "\n")  # not sorted, as the real one
    (root / "val" / "val_annotations.txt").write_text("\n".join(annotations) + "\n")
    return root


def _classes_by_colour(images):
    return (images[:, 0].float().mean(dim=(1, 2)) / 10).round().long().tolist()


def test_images_and_labels_belong_together(folder):
    images, labels, validation, validation_labels = load_tiny_imagenet(folder.parent)
    assert images.shape == (40, 3, 64, 64)
    assert validation.shape == (20, 3, 64, 64)
    assert (images.dtype, labels.dtype) == (torch.uint8, torch.int64)
    assert torch.bincount(labels).tolist() == [2] * 20
    assert _classes_by_colour(images) == labels.tolist()
    assert _classes_by_colour(validation) == validation_labels.tolist()


def test_every_tenth_class_is_labelled_anew(folder):
    images, labels, validation, validation_labels = load_tiny_imagenet(folder.parent, every=10)
    assert labels.tolist() == [0, 0, 1, 1]
    assert _classes_by_colour(images) == [0, 0, 10, 10]
    assert validation_labels.tolist() == [0, 1]
    assert _classes_by_colour(validation) == [0, 10]


def test_a_grey_image_gets_three_equal_channels(folder):
    path = folder / "train" / "n00000000" / "images" / "n00000000_0.JPEG"
    _save(path, (90, 90, 90), mode="L")
    images, *_ = load_tiny_imagenet(folder.parent)
    assert torch.all((images[0].int() - 90).abs() <= 2)


def test_the_data_set_is_read_by_its_name(folder):
    data = load_data("tiny-imagenet", 0, folder.parent)
    assert (len(data.train), len(data.validation), data.classes) == (40, 20, 20)
    assert data.image_shape == (3, 64, 64)


TRAINING_IMAGE = "train/n00000003/images/n00000003_1.JPEG"
VALIDATION_IMAGE = "val/images/val_4.JPEG"


@pytest.mark.parametrize(
    "name", ["wnids.txt", "val/val_annotations.txt", TRAINING_IMAGE, VALIDATION_IMAGE]
)
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(InputError, match=name):
        load_tiny_imagenet(folder.parent)


@pytest.mark.parametrize("left", [0, 10, 300])
@pytest.mark.parametrize("name", [TRAINING_IMAGE, VALIDATION_IMAGE])
def test_an_image_cut_short_is_named(folder, name, left):
    path = folder / name
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(InputError, match=f"{name} is corrupt"):
        load_tiny_imagenet(folder.parent)


def test_an_image_of_another_size_is_named(folder):
    Image.new("RGB", (32, 64)).save(folder / TRAINING_IMAGE)
    with pytest.raises(InputError, match=f"{TRAINING_IMAGE}.*accepted: 64"):
        load_tiny_imagenet(folder.parent)


@pytest.mark.parametrize("name", ["wnids.txt", "val/val_annotations.txt"])
def test_a_list_cut_short_is_named(folder, name):
    lines = (folder / name).read_text().splitlines()
    (folder / name).write_text("\n".join(lines[:-3]))
    with pytest.raises(InputError, match=f"{name} names 17 .*; accepted: 20"):
        load_tiny_imagenet(folder.parent)


@pytest.mark.parametrize("name", ["tiny-imagenet", "tiny-imagenet-20"])
def test_a_missing_folder_without_a_network_is_named(tmp_path, no_network, name):
    with pytest.raises(InputError) as refusal:
        load_data(name, 0, tmp_path / "nowhere")
    assert str(tmp_path / "nowhere") in str(refusal.value)


@pytest.fixture
def decoded(monkeypatch):
    """The numbers of images that were decoded, so far."""
    counts, read = [], tiny_imagenet._read_images

    def counted(paths):
        counts.append(len(paths))
        return read(paths)

    monkeypatch.setattr(tiny_imagenet, "_read_images", counted)
    return counts


@pytest.mark.parametrize("every", [1, 10])
@pytest.mark.parametrize("name", [TRAINING_IMAGE, VALIDATION_IMAGE])
def test_a_missing_image_is_named_before_any_is_decoded(folder, decoded, name, every):
    path = folder / name.replace("00003", "00010").replace("val_4", "val_9")  # of class 10
    path.unlink()
    with pytest.raises(InputError, match=f"{path} is missing; accepted: train/<class>/images"):
        load_tiny_imagenet(folder.parent, every)
    path.mkdir()
    with pytest.raises(InputError, match=f"{path} is missing"):
        load_tiny_imagenet(folder.parent, every)
    assert decoded == []


def _equal(parts, others):
    return all(torch.equal(part, other) for part, other in zip(parts, others, strict=True))


def _sort_validation(folder, place):
    """Move the validation images into folders of their classes, as scripts do."""
    for line in (folder / "val" / "val_annotations.txt").read_text().splitlines():
        name, label = line.split("\t")[:2]
        target = folder / "val" / place.format(label=label)
        target.mkdir(parents=True, exist_ok=True)
        (folder / "val" / "images" / name).rename(target / name)
    if place.startswith("{label}"):
        (folder / "val" / "images").rmdir()


def _in_order(folder):
    """Number the validation images as the real ones are, in the order of the list."""
    path = folder / "val" / "val_annotations.txt"
    path.write_text("".join(line + "\n" for line in reversed(path.read_text().splitlines())))


@pytest.mark.parametrize("place", ["{label}/images", "{label}", "images/{label}"])
@pytest.mark.parametrize("list_is_there", [True, False])
def test_sorted_validation_images_are_read_in_their_order(folder, place, list_is_there):
    _in_order(folder)
    before = load_tiny_imagenet(folder.parent, every=5)
    _sort_validation(folder, place)
    if not list_is_there:
        (folder / "val" / "val_annotations.txt").unlink()
    for name in ("@eaDir", ".ipynb_checkpoints"):
        shutil.copytree(folder / "val" / place.format(label="n00000005"), folder / "val" / name)
    assert _equal(load_tiny_imagenet(folder.parent, every=5), before)


def test_a_validation_set_half_of_which_was_sorted_is_read(folder):
    before = load_tiny_imagenet(folder.parent)
    target = folder / "val" / "n00000003" / "images"
    target.mkdir(parents=True)
    (folder / "val" / "images" / "val_16.JPEG").rename(target / "val_16.JPEG")
    assert _equal(load_tiny_imagenet(folder.parent), before)


def test_a_validation_image_in_two_classes_is_refused(folder, decoded):
    _sort_validation(folder, "{label}")
    (folder / "val" / "val_annotations.txt").unlink()
    shutil.copy(folder / "val" / "n00000003" / "val_16.JPEG", folder / "val" / "n00000004")
    with pytest.raises(InputError, match="names 20 images .*; accepted: 20, each once"):
        load_tiny_imagenet(folder.parent)
    (folder / "val" / "n00000003" / "val_16.JPEG").unlink()
    (folder / "val" / "n00000004" / "val_16.JPEG").rename(folder / "val" / "n00000004" / "x.JPEG")
    with pytest.raises(InputError, match="val names 19 images .*; accepted: 20"):
        load_tiny_imagenet(folder.parent)
    assert decoded == []


def test_an_image_listed_twice_is_refused(folder, decoded):
    path = folder / "val" / "val_annotations.txt"
    path.write_text(path.read_text().replace("val_3.JPEG", "val_4.JPEG"))
    with pytest.raises(InputError, match="names 19 images"):
        load_tiny_imagenet(folder.parent)
    assert decoded == []


def test_training_images_directly_in_their_class_folders_are_read(folder):
    before = load_tiny_imagenet(folder.parent)
    for path in list((folder / "train").glob("*/images/*")):
        path.rename(path.parents[1] / path.name)
    assert _equal(load_tiny_imagenet(folder.parent), before)


EDITORS = {
    "CRLF": lambda text: text.replace("\n", "\r\n").encode(),
    "CR": lambda text: text.replace("\n", "\r").encode(),
    "BOM": lambda text: text.encode("utf-8-sig"),
    "BOM and CRLF": lambda text: text.replace("\n", "\r\n").encode("utf-8-sig"),
    "blank lines": lambda text: ("\n" + text.replace("\n", "\n\n") + "  \n").encode(),
    "no last line end": lambda text: text.rstrip().encode(),
    "spaces": lambda text: text.replace("\t", "  ").replace("\n", " \n").encode(),
    "only what is needed": lambda text: text.replace("\t0\t0\t63\t63", "").encode(),
}


@pytest.mark.parametrize("editor", EDITORS)
def test_texts_are_read_whatever_editor_wrote_them(folder, editor):
    before = load_tiny_imagenet(folder.parent)
    for name in ("wnids.txt", "val/val_annotations.txt"):
        path = folder / name
        path.write_bytes(EDITORS[editor](path.read_text()))
    assert _equal(load_tiny_imagenet(folder.parent), before)


@pytest.mark.parametrize("name", ["wnids.txt", "val/val_annotations.txt"])
def test_a_text_in_another_encoding_is_named_in_a_line(folder, name):
    (folder / name).write_text((folder / name).read_text(), encoding="utf-16")
    with pytest.raises(InputError, match=f"{name} cannot be read: ") as refusal:
        load_tiny_imagenet(folder.parent)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("place", [".", "train", "val", "train/.."])
def test_the_folder_of_the_data_set_itself_may_be_named(folder, no_network, monkeypatch, place):
    before, files = load_tiny_imagenet(folder.parent), files_below(folder.parent)
    assert _equal(load_tiny_imagenet(folder / place), before)
    monkeypatch.chdir(folder / place)
    assert _equal(load_tiny_imagenet("."), before)
    assert files_below(folder.parent) == files


def test_the_folder_of_the_data_set_may_have_another_name(folder, no_network):
    before = load_tiny_imagenet(folder.parent)
    other = folder.rename(folder.with_name("tin"))
    assert _equal(load_tiny_imagenet(other), before)
    (other.parent / "link").symlink_to(other)
    assert _equal(load_tiny_imagenet(other.parent / "link"), before)


def test_a_home_is_written_with_a_tilde(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    assert len(load_data("tiny-imagenet", 0, "~").train) == 40
    assert len(load_data("tiny-imagenet", 0, "~/tiny-imagenet-200").train) == 40


def test_a_folder_without_its_lists_is_refused_and_not_downloaded_into(folder, no_network):
    (folder / "wnids.txt").unlink()
    files = files_below(folder)
    for place in (folder, folder.parent):
        with pytest.raises(InputError, match="tiny-imagenet-200/wnids.txt cannot be read"):
            load_tiny_imagenet(place)
    assert files_below(folder) == files


def test_a_folder_that_is_not_there_is_downloaded_to_where_it_is_named(tmp_path, no_network):
    with pytest.raises(InputError, match=f"{tmp_path}/tiny-imagenet-200, and cannot"):
        load_tiny_imagenet(tmp_path / "tiny-imagenet-200")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", ["IncompleteRead", "BadStatusLine"])
def test_a_download_that_breaks_off_is_told_in_a_line(tmp_path, monkeypatch, error):
    import http.client

    def break_off(*arguments, **options):
        raise getattr(http.client, error)(b"")

    monkeypatch.setattr("urllib.request.urlopen", break_off)
    for name in ("tiny-imagenet", "cifar10", "cifar100", "fashion-mnist"):
        with pytest.raises(InputError) as refusal:
            load_data(name, 0, tmp_path)
        assert "\n" not in str(refusal.value)
