"""Tiny ImageNet in its real layout, with fewer and generated images."""

import numpy as np
import pytest
import torch
from PIL import Image

from resnet_study import tiny_imagenet
from resnet_study.data import load_data
from resnet_study.errors import InputError
from resnet_study.tiny_imagenet import load_tiny_imagenet


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
