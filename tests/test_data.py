import pickle
import struct

import numpy as np
import pytest
import torch
from conftest import files_below, random_images
from sklearn.datasets import load_digits

from resnet_study.data.datasets import (
    Images,
    halve,
    hold_out,
    load_data,
    make_dataset,
    take_fraction,
)
from resnet_study.data.options import DATA_SETS, Augmentation
from resnet_study.errors import InputError


@pytest.fixture(scope="module")
def digits():
    return load_data("digits", 360)


AS_THEY_ARE = Augmentation()


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def _epoch(data, batch, augmentation=AS_THEY_ARE, seed=0):
    """The batches of one epoch."""
    generator = _generator(seed)
    order = data.draw_order(generator)
    return list(data.training_batches(order, batch, augmentation, generator))


def _numbered(count):
    """Images whose labels are their positions, to tell them apart in a batch."""
    return Images(random_images(count).images, torch.arange(count))


def test_digits_are_split_into_1437_and_360(digits):
    assert (len(digits.train), len(digits.validation)) == (1437, 360)
    assert digits.image_shape == (1, 8, 8)
    assert digits.classes == 10
    assert digits.train.images.dtype == torch.uint8


def test_the_split_of_the_digits_loses_and_doubles_nothing(digits):
    source = load_digits()
    everything = sorted(
        (label, *image) for label, image in zip(source.target, source.data.astype(int), strict=True)
    )
    images = torch.cat([digits.train.images, digits.validation.images]).flatten(1).tolist()
    labels = torch.cat([digits.train.labels, digits.validation.labels]).tolist()
    assert sorted((y, *x) for x, y in zip(images, labels, strict=True)) == everything


def test_the_split_of_the_digits_is_balanced(digits):
    validation = torch.bincount(digits.validation.labels)
    total = validation + torch.bincount(digits.train.labels)
    assert torch.all((validation - total * 360 / 1797).abs() < 1)


def test_the_split_is_the_same_whatever_the_random_state(digits):
    torch.manual_seed(99)
    np.random.seed(99)
    again = load_data("digits", 360)
    assert torch.equal(again.validation.images, digits.validation.images)
    assert again.fingerprint() == digits.fingerprint()


def test_hold_out_splits_disjointly_and_completely():
    labels = torch.arange(100) % 5
    images = torch.arange(100, dtype=torch.uint8)[:, None, None, None]
    kept, held = hold_out(Images(images, labels), 20)
    assert torch.bincount(held.labels).tolist() == [4] * 5
    assert sorted(torch.cat([kept.images, held.images]).flatten().tolist()) == list(range(100))
    for part in (kept, held):
        assert torch.equal(part.images.flatten() % 5, part.labels)


def test_digits_have_no_test_set_to_validate_on():
    with pytest.raises(InputError, match="hold out 1 or more"):
        load_data("digits", 0)


def test_an_unknown_data_set_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match=f"'mnist'.*accepted: {', '.join(DATA_SETS)}"):
        load_data("mnist", 0)


def test_training_images_are_normalised_to_mean_0_and_deviation_1(digits):
    images = torch.cat([images for images, _ in digits.evaluation_batches("train", AS_THEY_ARE)])
    assert images.mean() == pytest.approx(0, abs=1e-5)
    assert images.std(correction=0) == pytest.approx(1, abs=1e-5)


def test_every_channel_is_normalised_by_itself():
    images = torch.randint(0, 100, (40, 3, 4, 4), generator=_generator(), dtype=torch.uint8)
    images[:, 1] += 100
    images[:, 2] //= 10
    data = make_dataset(Images(images, torch.arange(40) % 2), _numbered(3))
    ((batch, _),) = data.evaluation_batches("train", AS_THEY_ARE)
    for channel in range(3):
        assert batch[:, channel].mean() == pytest.approx(0, abs=1e-5)
        assert batch[:, channel].std(correction=0) == pytest.approx(1, abs=1e-4)


def test_validation_images_have_no_part_in_the_normalisation(dataset):
    brighter = Images(dataset.validation.images + 50, dataset.validation.labels)
    other = make_dataset(dataset.train, brighter)
    assert torch.equal(other.mean, dataset.mean)
    assert torch.equal(other.deviation, dataset.deviation)
    ((images, _),) = other.evaluation_batches("validation", AS_THEY_ARE)
    assert images.mean() > 0.3  # and they are normalised by the training set, not by themselves


@pytest.mark.parametrize("part", ["train", "validation"])
@pytest.mark.parametrize("what", ["images", "labels"])
def test_the_fingerprint_changes_with_one_value(dataset, part, what):
    before = dataset.fingerprint()
    assert dataset.fingerprint() == before
    getattr(getattr(dataset, part), what)[7] ^= 1
    assert dataset.fingerprint() != before


def test_the_fingerprint_changes_with_the_split():
    images = random_images(30)
    first = make_dataset(images.take(torch.arange(20)), images.take(torch.arange(20, 30)))
    second = make_dataset(images.take(torch.arange(19)), images.take(torch.arange(19, 30)))
    assert first.fingerprint() != second.fingerprint()


def test_an_order_visits_every_training_image_once_and_differs_each_time():
    data = make_dataset(_numbered(50), _numbered(3))
    generator = _generator()
    orders = [data.draw_order(generator).tolist() for _ in range(2)]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(50))
    assert orders[0] != orders[1]
    assert list(range(50)) not in orders


def test_training_batches_follow_the_order():
    data = make_dataset(_numbered(50), _numbered(3))
    order = data.draw_order(_generator())
    batches = data.training_batches(order, 16, AS_THEY_ARE, _generator())
    labels = [labels for _, labels in batches]
    assert [len(batch) for batch in labels] == [16, 16, 16, 2]
    assert torch.equal(torch.cat(labels), order)


def test_a_training_batch_pairs_images_with_their_labels():
    data = make_dataset(_numbered(50), _numbered(3))
    for images, labels in _epoch(data, 16):
        pixels = (images * data.deviation + data.mean).round().to(torch.uint8)
        assert torch.equal(pixels, data.train.images[labels])


def test_training_batches_are_augmented_as_told(dataset):
    ((plain, _),) = _epoch(dataset, 50)
    ((flipped, _),) = _epoch(dataset, 50, Augmentation(flip=True))
    ((cropped, _),) = _epoch(dataset, 50, Augmentation(crop_padding=1))
    mirrored = (flipped != plain).flatten(1).any(dim=1)
    assert torch.equal(flipped[mirrored], plain[mirrored].flip(3))
    assert 10 < mirrored.sum() < 40
    assert not torch.equal(cropped, plain)


def test_a_padded_pixel_is_a_black_one():
    """Padding comes before normalisation: it is zero light, not the mean grey."""
    white = Images(torch.full((20, 1, 3, 3), 255, dtype=torch.uint8), torch.zeros(20).long())
    white.images[0] = 0  # some deviation to normalise by
    data = make_dataset(white, white)
    ((images, _),) = _epoch(data, 20, Augmentation(crop_padding=1))
    values = (images * data.deviation + data.mean).round().unique().tolist()
    assert values == [0, 255]


def test_evaluation_goes_through_a_set_once_and_in_order():
    data = make_dataset(_numbered(3), _numbered(25))
    batches = list(data.evaluation_batches("validation", AS_THEY_ARE, batch=10))
    assert [len(labels) for _, labels in batches] == [10, 10, 5]
    assert torch.cat([labels for _, labels in batches]).tolist() == list(range(25))
    pixels = torch.cat([images for images, _ in batches]) * data.deviation + data.mean
    assert torch.equal(pixels.round().to(torch.uint8), data.validation.images)


def _members(images):
    return {tuple(image.flatten().tolist()) for image in images.images}


def test_a_fraction_takes_that_share_of_every_class(digits):
    for fraction in (0.1, 0.25, 0.5):
        part = take_fraction(digits.train, fraction)
        whole = torch.bincount(digits.train.labels)
        assert torch.all((torch.bincount(part.labels) - fraction * whole).abs() <= 0.5)
        assert _members(part) < _members(digits.train)
    assert take_fraction(digits.train, 1) is digits.train


def test_fractions_are_nested_and_the_same_every_time(digits):
    parts = []
    for fraction in (0.1, 0.25, 0.5):
        torch.manual_seed(int(100 * fraction))
        parts.append(take_fraction(digits.train, fraction))
        again = take_fraction(digits.train, fraction)
        assert torch.equal(again.images, parts[-1].images)
    small, middle, large = map(_members, parts)
    assert small < middle < large


def test_a_fraction_may_be_drawn_by_another_seed(digits):
    chosen = [take_fraction(digits.train, 0.1, seed) for seed in (0, 1, 1)]
    assert torch.equal(chosen[1].images, chosen[2].images)
    assert not torch.equal(chosen[0].images, chosen[1].images)
    counts = [torch.bincount(part.labels).tolist() for part in chosen]
    assert counts[0] == counts[1]


def test_images_of_a_fraction_keep_their_labels_and_their_order():
    images = _numbered(40)
    images.labels.remainder_(4)
    part = take_fraction(images, 0.5)
    positions = [
        (images.images == image).flatten(1).all(dim=1).nonzero().item() for image in part.images
    ]
    assert positions == sorted(positions)
    assert part.labels.tolist() == [position % 4 for position in positions]


@pytest.mark.parametrize("fraction", [0.01, 0.04])
def test_a_fraction_that_leaves_a_class_empty_is_refused(fraction):
    with pytest.raises(InputError, match=f"fraction {fraction} leaves no image of a class of 10"):
        take_fraction(random_images(30), fraction)
    assert len(take_fraction(random_images(30), 0.06)) == 3


def test_a_fraction_changes_what_trains_and_not_what_validates(digits):
    part = load_data("digits", 360, fraction=0.1)
    assert torch.equal(part.validation.images, digits.validation.images)
    assert (len(part.train), part.epoch_images) == (142, 1437)
    assert part.mean == pytest.approx(part.train.images.double().mean().item(), rel=1e-6)
    assert not torch.equal(part.mean, digits.mean)
    assert part.fingerprint() != digits.fingerprint()


def test_an_epoch_of_a_fraction_is_as_long_and_visits_all_alike():
    data = make_dataset(_numbered(20), _numbered(3), epoch_images=50)
    order = data.draw_order(_generator()).tolist()
    assert len(order) == 50
    assert sorted(order[:20]) == sorted(order[20:40]) == list(range(20))
    assert order[:20] != order[20:40]
    assert len(set(order[40:])) == 10
    labels = [
        labels
        for _, labels in data.training_batches(torch.tensor(order), 16, AS_THEY_ARE, _generator())
    ]
    assert torch.cat(labels).tolist() == order
    assert data.to("cpu").epoch_images == 50


def test_a_whole_set_is_drawn_in_one_permutation():
    data = make_dataset(_numbered(50), _numbered(3))
    assert torch.equal(data.draw_order(_generator()), torch.randperm(50, generator=_generator()))


# The folders that torchvision reads, with a few generated images each.


def _write_cifar(folder, files, label_key, meta, meta_key):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in files:
        pixels = rng.integers(0, 256, (20, 3072), dtype=np.uint8)
        labels = (np.arange(20) % 10).tolist()
        (folder / name).write_bytes(pickle.dumps({"data": pixels, label_key: labels}))
    (folder / meta).write_bytes(pickle.dumps({meta_key: [str(i) for i in range(10)]}))


def _write_cifar10(root):
    files = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    folder = root / "cifar-10-batches-py"
    _write_cifar(folder, files, "labels", "batches.meta", "label_names")
    first = pickle.loads((folder / "data_batch_1").read_bytes())
    return first["data"][0].reshape(3, 32, 32), (100, 20)


def _write_cifar100(root):
    folder = root / "cifar-100-python"
    _write_cifar(folder, ["train", "test"], "fine_labels", "meta", "fine_label_names")
    first = pickle.loads((folder / "train").read_bytes())
    return first["data"][0].reshape(3, 32, 32), (20, 20)


def _write_fashion_mnist(root):
    folder = root / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part, count in (("train", 40), ("t10k", 20)):
        pixels = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = (np.arange(count) % 10).astype(np.uint8)
        header = struct.pack(">iiii", 0x0803, count, 28, 28)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(header + pixels.tobytes())
        header = struct.pack(">ii", 0x0801, count)
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(header + labels.tobytes())
        if part == "train":
            first = pixels[:1]
    return first, (40, 20)


FOLDERS = {
    "cifar10": _write_cifar10,
    "cifar100": _write_cifar100,
    "fashion-mnist": _write_fashion_mnist,
}


@pytest.fixture
def checksums_pass(monkeypatch):
    """Generated files cannot have the checksums of the real ones."""
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *arguments: True)


@pytest.mark.parametrize("name", FOLDERS)
def test_torchvisions_folders_are_read(name, tmp_path, checksums_pass, no_network):
    first, (train, test) = FOLDERS[name](tmp_path)
    data = load_data(name, 0, tmp_path)
    assert (len(data.train), len(data.validation)) == (train, test)
    assert data.image_shape == first.shape  # channels first
    assert np.array_equal(data.train.images[0].numpy(), first)
    assert data.train.labels.dtype == torch.int64
    assert data.validation.labels.tolist() == [i % 10 for i in range(test)]


@pytest.mark.parametrize("name", FOLDERS)
def test_the_test_images_stay_unseen_where_images_are_held_out(
    name, tmp_path, checksums_pass, no_network
):
    _, (train, _) = FOLDERS[name](tmp_path)
    data = load_data(name, 10, tmp_path)
    assert (len(data.train), len(data.validation)) == (train - 10, 10)
    assert data.validation.labels.sort().values.tolist() == list(range(10))


@pytest.mark.parametrize("name", FOLDERS)
def test_missing_data_without_a_network_are_refused_naming_the_folder(name, tmp_path, no_network):
    with pytest.raises(InputError) as refusal:
        load_data(name, 0, tmp_path / "nowhere")
    assert str(tmp_path / "nowhere") in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_data_with_a_wrong_checksum_are_refused_naming_the_folder(name, tmp_path, no_network):
    FOLDERS[name](tmp_path)  # the real names, but not the real content
    with pytest.raises(InputError) as refusal:
        load_data(name, 0, tmp_path)
    assert str(tmp_path) in str(refusal.value)


@pytest.mark.parametrize("left", [0, 3, 1000])
def test_a_file_cut_short_is_refused_naming_the_folder(left, tmp_path, no_network):
    """torchvision checks sums of the archives only, not of Fashion-MNIST's unpacked files."""
    FOLDERS["fashion-mnist"](tmp_path)
    file = tmp_path / "FashionMNIST" / "raw" / "train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:left])
    with pytest.raises(InputError) as refusal:
        load_data("fashion-mnist", 0, tmp_path)
    assert str(tmp_path) in str(refusal.value)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_file_in_place_of_the_data_folder_is_refused(name, tmp_path, no_network):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file"):
        load_data(name, 0, tmp_path / "file")


@pytest.mark.parametrize("name", FOLDERS)
def test_the_folder_of_a_data_set_itself_may_be_named(name, tmp_path, checksums_pass, no_network):
    FOLDERS[name](tmp_path)
    before, files = load_data(name, 0, tmp_path).fingerprint(), files_below(tmp_path)
    for own in tmp_path.rglob("*"):
        if own.is_dir():
            assert load_data(name, 0, own).fingerprint() == before
    assert files_below(tmp_path) == files


@pytest.mark.parametrize("name", FOLDERS)
def test_no_data_set_is_downloaded_into_itself(name, tmp_path, no_network):
    FOLDERS[name](tmp_path)
    (own,) = tmp_path.iterdir()
    next(path for path in own.rglob("*") if path.is_file()).unlink()
    with pytest.raises(InputError):
        load_data(name, 0, own)
    assert not (own / own.name).exists()


def test_halving_takes_rounded_means_of_two_by_two_pixels():
    images = torch.tensor([[0, 1, 255, 255], [2, 4, 255, 254]], dtype=torch.uint8)
    halved = halve(images.expand(3, 2, 2, 4))
    assert halved.dtype == torch.uint8 and halved.shape == (3, 2, 1, 2)
    assert halved[2, 1].tolist() == [[2, 255]]  # of means 1.75 and 254.75
