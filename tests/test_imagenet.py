"""ImageNet in its real layout, with a few generated images of all shapes."""

import multiprocessing
import shutil
import threading
import time
from dataclasses import replace
from itertools import zip_longest

import numpy as np
import pytest
import torch
from conftest import files_below
from PIL import Image
from test_distributed import torchrun

from resnet_study.data.datasets import load_data
from resnet_study.data.imagenet import EIGENVALUES, EIGENVECTORS, ImageFiles, load_imagenet
from resnet_study.data.options import Augmentation
from resnet_study.errors import InputError
from resnet_study.pipeline.perform import perform
from resnet_study.pipeline.queue import Place, train_missing
from resnet_study.pipeline.records import read_record
from resnet_study.pipeline.run import Run, run_from_config
from resnet_study.training.recipes import get_recipe

MEAN = np.array([0.485, 0.456, 0.406])
DEVIATION = np.array([0.229, 0.224, 0.225])
CLASSES = ("n01440764", "n02119789", "n03028079")
SIZES = ((50, 37), (33, 64), (48, 48), (200, 150))  # width and height; one of each a class
SMALL = Augmentation(scales=(32, 60), crop=28, flip=True, colour=True)
PLAIN = Augmentation(scales=(32, 32), crop=28)


def _noise(size, seed):
    """Coarse noise, so that compression changes little."""
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)


def _save(path, image, format="JPEG"):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, format=format)


@pytest.fixture
def folder(tmp_path):
    """3 classes of 4 training and 2 validation images; one in each class is grey."""
    root = tmp_path / "imagenet"
    for label, name in enumerate(CLASSES):
        for number, size in enumerate(SIZES):
            image = _noise(size, seed=10 * label + number).convert("L" if number == 2 else "RGB")
            _save(root / "train" / name / f"{name}_{number}.JPEG", image)
            if number < 2:
                _save(root / "val" / name / f"ILSVRC2012_val_{3 * number + label:08}.JPEG", image)
    return root


@pytest.fixture
def data(folder):
    return load_imagenet(folder)


@pytest.fixture
def alone(tmp_path):
    """Make a data set whose training set begins with the given image, kept without loss."""

    def load(pixels):
        for part in ("train", "val"):
            _save(tmp_path / "one" / part / "a" / "0.JPEG", Image.fromarray(pixels), "PNG")
        return load_imagenet(tmp_path / "one")

    return load


def _order(data, seed=0):
    return data.draw_order(torch.Generator().manual_seed(seed))


def _batches(data, order, batch=4, augmentation=SMALL):
    return list(data.training_batches(order, batch, augmentation, torch.Generator()))


def _repeated(data, augmentation, count):
    """``count`` random views of the first training image."""
    order = torch.stack([torch.zeros(count).long(), torch.arange(count)], dim=1)
    return torch.cat([images for images, _ in _batches(data, order, count, augmentation)])


def _pixels(images):
    """Undo the normalisation: (N, 3, H, W) to 0 to 255, float64."""
    return 255 * (images.double().numpy() * DEVIATION[:, None, None] + MEAN[:, None, None])


def _equal(batches, others):
    pairs = list(zip(batches, others, strict=True))
    return all(torch.equal(x, y) for one, other in pairs for x, y in zip(one, other, strict=True))


def test_images_and_classes_are_found(data):
    assert (len(data.train), len(data.validation), data.classes, data.channels) == (12, 6, 3, 3)
    assert data.train.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert data.validation.labels.tolist() == [0, 0, 1, 1, 2, 2]
    for part in (data.train, data.validation):
        for index in range(len(part)):
            assert part.path(index).parent.name == CLASSES[part.labels[index]]
            assert part.path(index).is_file()


def test_the_data_set_is_read_by_its_name_from_a_relative_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)
    data = load_data("imagenet", 0, ".")
    ((images, labels),) = data.evaluation_batches("validation", PLAIN)
    assert images.shape == (6, 3, 28, 28)
    assert labels.tolist() == [0, 0, 1, 1, 2, 2]


def test_batches_are_of_the_devices_layout_and_type(data):
    images, labels = _batches(data, _order(data), 5)[0]
    assert images.shape == (5, 3, 28, 28)
    assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert data.to("cpu").device == images.device == torch.device("cpu")


@pytest.mark.parametrize(
    ("mode", "format"),
    [("RGB", "JPEG"), ("L", "JPEG"), ("CMYK", "JPEG"), ("RGB", "PNG"), ("P", "PNG")],
)
def test_files_of_all_colours_become_red_green_and_blue(folder, mode, format):
    colour = (90, 90, 90) if mode == "L" else (102, 153, 204)
    path = folder / "train" / CLASSES[0] / f"{CLASSES[0]}_0.JPEG"
    _save(path, Image.new("RGB", (50, 37), colour).convert(mode), format)
    image = load_imagenet(folder).train.read(0)
    assert image.shape == (3, 37, 50)
    assert (image.float() - torch.tensor(colour)[:, None, None]).abs().max() <= 3


def test_images_are_normalised_by_the_constants_of_imagenet(alone):
    colour = np.array([10, 100, 250], dtype=np.uint8)
    data = alone(np.tile(colour, (40, 50, 1)))
    expected = (colour / 255 - MEAN) / DEVIATION
    views = [_repeated(data, PLAIN, 3), *(i for i, _ in data.evaluation_batches("train", PLAIN))]
    views += [crops[0] for crops, _ in data.ten_crop_batches(PLAIN)]
    for images in views:
        values = images.permute(0, 2, 3, 1).reshape(-1, 3).numpy()
        assert values == pytest.approx(np.tile(expected, (len(values), 1)), abs=1e-5)


def test_evaluation_cuts_the_centre(alone):
    pixels = np.random.default_rng(0).integers(0, 256, (32, 44, 3), dtype=np.uint8)
    ((images, labels),) = alone(pixels).evaluation_batches("validation", PLAIN)
    assert _pixels(images)[0] == pytest.approx(pixels[2:30, 8:36].transpose(2, 0, 1), abs=1e-3)
    assert labels.tolist() == [0]


def test_evaluation_scales_the_shorter_side_as_pillow_does(data):
    """Down and up, without aliasing; Pillow filters in higher precision, hence the tolerance."""
    ((images, _),) = data.evaluation_batches("train", SMALL)
    for index, view in enumerate(_pixels(images)):
        with Image.open(data.train.path(index)) as image:
            ratio = 32 / min(image.size)
            width, height = (int(side * ratio + 1e-9) for side in image.size)
            small = image.convert("RGB").resize((width, height), Image.Resampling.BILINEAR)
        left, top = (width - 28) // 2, (height - 28) // 2
        expected = np.asarray(small.crop((left, top, left + 28, top + 28))).transpose(2, 0, 1)
        assert np.abs(view - expected).max() <= 3


def test_ten_crops_are_corners_and_centre_and_their_mirrors(alone):
    pixels = np.random.default_rng(0).integers(0, 256, (32, 44, 3), dtype=np.uint8)
    ((crops, labels),) = alone(pixels).ten_crop_batches(PLAIN)
    assert crops.shape == (1, 10, 3, 28, 28)
    places = [(0, 0), (0, 16), (4, 0), (4, 16), (2, 8)]
    expected = [
        image[top : top + 28, left : left + 28].transpose(2, 0, 1)
        for image in (pixels, pixels[:, ::-1])
        for top, left in places
    ]
    assert _pixels(crops[0]) == pytest.approx(np.stack(expected), abs=1e-3)
    assert labels.tolist() == [0]


def test_evaluation_goes_through_a_set_once_and_in_order(data):
    whole = list(data.evaluation_batches("train", SMALL))
    parts = list(data.evaluation_batches("train", SMALL, batch=5))
    assert [len(labels) for _, labels in parts] == [5, 5, 2]
    assert torch.equal(torch.cat([labels for _, labels in parts]), data.train.labels)
    assert torch.equal(torch.cat([images for images, _ in parts]), whole[0][0])
    crops = list(data.ten_crop_batches(SMALL, batch=4))
    assert [images.shape[:2] for images, _ in crops] == [(4, 10), (2, 10)]
    assert torch.equal(torch.cat([labels for _, labels in crops]), data.validation.labels)


def test_an_order_visits_every_image_once_and_is_the_generators(data):
    order = _order(data)
    assert (order.shape, order.dtype) == ((12, 2), torch.int64)
    assert order[:, 0].sort().values.tolist() == list(range(12))
    assert len(order[:, 1].unique()) == 12
    assert torch.equal(order, _order(data))
    generator = torch.Generator().manual_seed(0)
    first, second = data.draw_order(generator), data.draw_order(generator)
    assert (first != second).any(dim=0).tolist() == [True, True]


def test_training_batches_follow_the_order(data):
    order = _order(data)
    batches = _batches(data, order, 5)
    assert [len(images) for images, _ in batches] == [5, 5, 2]
    labels = torch.cat([labels for _, labels in batches])
    assert torch.equal(labels, data.train.labels[order[:, 0]])


def test_a_training_batch_pairs_images_with_their_labels(folder):
    for label, name in enumerate(CLASSES):
        for path in (folder / "train" / name).iterdir():
            _save(path, Image.new("RGB", (40, 50), (100 * label, 0, 0)))
    data = load_imagenet(folder)
    augmentation = Augmentation(scales=(32, 60), crop=28, flip=True)
    for images, labels in _batches(data, _order(data), 5, augmentation):
        reds = _pixels(images)[:, 0].mean(axis=(1, 2))
        assert (reds / 100).round().astype(int).tolist() == labels.tolist()


def test_scale_place_and_side_vary_as_in_the_paper(alone):
    """A slope tells them: red rises to the right and green downwards, 0 to 250 in 300 pixels."""
    ramp = np.linspace(0, 250, 300).round().astype(np.uint8)
    pixels = np.stack([*np.meshgrid(ramp, ramp), np.zeros((300, 300), np.uint8)], axis=2)
    augmentation = replace(get_recipe("imagenet").augmentation, colour=False)
    views = _repeated(alone(pixels), augmentation, 200)
    columns = _pixels(views.mean(dim=2, keepdim=True))[:, 0, 0]  # (200, 224), of red
    rows = _pixels(views.mean(dim=3, keepdim=True))[:, 1, :, 0]  # of green
    slopes = np.polyfit(np.arange(224), rows.T, 1)[0]
    sides = 250 / slopes * 300 / 299
    assert 254 < sides.min() < 262 and 474 < sides.max() < 483
    assert sides.mean() == pytest.approx(368, abs=20)
    mirrored = columns[:, 0] > columns[:, -1]
    assert 70 < mirrored.sum() < 130
    lefts = np.minimum(columns[:, 0], columns[:, -1]) / 250 * sides / (sides - 224)
    tops = rows[:, 0] / 250 * sides / (sides - 224)
    for places in (lefts, tops):  # as fractions of the room there is
        assert -0.1 < places.min() < 0.05 and 0.95 < places.max() < 1.1
        assert places.mean() == pytest.approx(0.5, abs=0.1)
    assert np.abs(np.corrcoef([lefts, tops, sides]) - np.eye(3)).max() < 0.25


def test_both_ends_of_the_scales_are_drawn_and_nothing_else(alone):
    """At the least scale a crop of its size is the whole image, at the greatest it is not."""
    pixels = np.random.default_rng(0).integers(0, 256, (29, 29, 3), dtype=np.uint8)
    views = _repeated(alone(pixels), Augmentation(scales=(29, 30), crop=29), 60)
    whole = np.abs(_pixels(views) - pixels.transpose(2, 0, 1)).max(axis=(1, 2, 3)) < 1e-3
    assert 15 < whole.sum() < 45


def test_every_place_of_a_crop_is_drawn_and_nothing_else(alone):
    pixels = np.random.default_rng(0).integers(0, 256, (29, 31, 3), dtype=np.uint8)
    views = _pixels(_repeated(alone(pixels), Augmentation(scales=(29, 29), crop=29), 60))
    places = [pixels[:, left : left + 29].transpose(2, 0, 1) for left in range(3)]
    drawn = [(np.abs(views - place).max(axis=(1, 2, 3)) < 1e-3).sum() for place in places]
    assert min(drawn) > 10 and sum(drawn) == 60


def test_colour_moves_along_the_principal_axes(alone):
    """The α of Krizhevsky et al. 2012, found again from the pixels, are normal of deviation 0.1."""
    data = alone(np.full((40, 40, 3), 128, dtype=np.uint8))
    shifted = _pixels(_repeated(data, Augmentation(scales=(32, 60), crop=28, colour=True), 500))
    shift = (shifted - 128) / 255
    assert np.ptp(shift, axis=(2, 3)).max() < 1e-5  # the same at all pixels
    alpha = shift[:, :, 0, 0] @ np.array(EIGENVECTORS) / EIGENVALUES
    assert alpha.mean(axis=0) == pytest.approx(0, abs=0.02)
    assert alpha.std(axis=0) == pytest.approx(0.1, rel=0.15)
    assert np.abs(np.corrcoef(alpha.T) - np.eye(3)).max() < 0.2


def test_the_principal_axes_are_unit_vectors_at_right_angles():
    assert pytest.approx(np.eye(3), abs=1e-3) == np.array(EIGENVECTORS).T @ EIGENVECTORS


@pytest.fixture
def cores(monkeypatch):
    """Pretend that the machine has so many cores."""

    def set_cores(count):
        monkeypatch.setattr("resnet_study.data.imagenet.cpu_count", lambda: count)

    return set_cores


def test_batches_do_not_depend_on_the_number_of_reading_processes(data, cores):
    order = _order(data)
    # A single batch is read by this process.
    alone = [batch for part in order.split(4) for batch in _batches(data, part)]
    for count in (1, 3):
        cores(count)
        batches = _batches(data, order)
        assert len(batches) == 3
        assert _equal(batches, alone)


def test_an_image_does_not_depend_on_how_many_are_in_its_batch(data):
    order = _order(data)
    plain = replace(SMALL, colour=False)  # whose product some processors round by batch
    (whole,) = _batches(data, order, 12, plain)
    parts = _batches(data, order, 4, plain)
    assert _equal([map(torch.cat, zip(*parts, strict=True))], [whole])


@pytest.mark.parametrize(("count", "processes", "readers"), [(1, 2, 1), (3, 1, 3), (4, 2, 2)])
def test_the_cores_of_a_machine_are_shared_by_its_processes(
    data, cores, monkeypatch, count, processes, readers
):
    cores(count)
    torchrun(monkeypatch, 0, processes)
    batches = data.training_batches(_order(data), 2, SMALL, torch.Generator())
    before = len(multiprocessing.active_children())
    next(batches)
    assert len(multiprocessing.active_children()) - before == readers


def test_an_interrupted_epoch_goes_on_with_the_same_batches(data):
    order = _order(data)
    batches = _batches(data, order, 5)
    for done in (1, 2, 3):
        assert _equal(_batches(data, order[done * 5 :], 5), batches[done:])


@pytest.mark.parametrize("processes", [2, 3])
def test_the_shares_of_all_processes_are_the_whole(data, monkeypatch, processes):
    order = _order(data)
    ways = (
        lambda: _batches(data, order, 5),
        lambda: list(data.evaluation_batches("validation", SMALL)),
        lambda: list(data.ten_crop_batches(SMALL)),
    )
    whole = [way() for way in ways]
    shares = []
    for rank in range(processes):
        torchrun(monkeypatch, rank, processes)
        shares.append([way() for way in ways])
    for batches, *parts in zip(whole, *shares, strict=True):
        for batch, *of_processes in zip_longest(batches, *parts):  # none of a last, small batch
            together = map(torch.cat, zip(*filter(None, of_processes), strict=True))
            assert _equal([together], [batch])


def test_more_processes_than_images_leave_some_without(data, monkeypatch):
    labels = []
    for rank in range(8):
        torchrun(monkeypatch, rank, 8)
        labels += [labels for _, labels in data.evaluation_batches("validation", PLAIN)]
    assert torch.equal(torch.cat(labels), data.validation.labels)


def test_the_random_state_of_the_process_is_left_alone(data):
    order, before = _order(data), torch.get_rng_state()
    for batch in (4, 12):  # with reading processes and without
        assert len(_batches(data, order, batch)) == 12 // batch
    assert len(list(data.ten_crop_batches(SMALL, batch=3))) == 2
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    assert _equal(_batches(data, order), _batches(data, order))


def test_the_fingerprint_is_of_the_content_and_not_of_the_place(folder, data):
    copy = folder.with_name("elsewhere")
    shutil.copytree(folder, copy)
    assert load_imagenet(copy).fingerprint() == data.fingerprint()


def _rename(path):
    path.rename(path.with_name("other.JPEG"))


def _lengthen(path):
    path.write_bytes(path.read_bytes() + b"\0")


def _move(path):
    path.rename(path.parents[1] / CLASSES[2] / path.name)


@pytest.mark.parametrize("change", [_rename, _lengthen, _move])
@pytest.mark.parametrize("part", ["train", "val"])
def test_the_fingerprint_changes_with_one_file(folder, data, part, change):
    before = data.fingerprint()
    change(sorted((folder / part / CLASSES[0]).iterdir())[0])
    assert load_imagenet(folder).fingerprint() != before


def test_a_network_trains_on_it_with_the_papers_recipe(folder, tmp_path):
    recipe = get_recipe("imagenet", epochs=1, width=1, batch=6, precision="float32")
    run = Run(recipe, "plain", 18, seed=0)
    record = read_record(perform(run, device="cpu", data_dir=folder, runs_dir=tmp_path / "runs"))
    assert record["training_images"] == 12
    assert record["curve"]["iteration"] == [2]
    assert 0 <= record["final"]["ten_crop_error"] <= 100


def _refusal(load, *names):
    """``load`` refuses in one line with all of the ``names``."""
    with pytest.raises(InputError) as refusal:
        load()
    message = str(refusal.value)
    assert "\n" not in message
    for name in names:
        assert str(name) in message


@pytest.mark.parametrize("part", ["train", "val"])
def test_a_missing_half_is_named(folder, part):
    shutil.rmtree(folder / part)
    _refusal(lambda: load_imagenet(folder), folder / part, "--data-dir")
    (folder / part).touch()
    _refusal(lambda: load_imagenet(folder), folder / part, "--data-dir")


def test_a_missing_data_folder_is_named(tmp_path):
    _refusal(lambda: load_data("imagenet", 0, tmp_path / "no"), tmp_path / "no", "--data-dir")


@pytest.mark.parametrize("part", ["train", "val"])
def test_images_outside_of_class_folders_are_refused(folder, part):
    """As the validation images lie in the official archive."""
    for path in (folder / part).glob("*/*.JPEG"):
        path.rename(folder / part / path.name)
    for path in (folder / part).glob("n*"):
        if path.is_dir():
            path.rmdir()
    _refusal(lambda: load_imagenet(folder), folder / part, "class folders", "val/<class>/*.JPEG")


@pytest.mark.parametrize(("there", "missing"), [("train", "val"), ("val", "train")])
def test_a_class_of_one_half_only_is_named(folder, there, missing):
    shutil.rmtree(folder / missing / CLASSES[1])
    _refusal(
        lambda: load_imagenet(folder),
        f"class {CLASSES[1]} of {folder / there} is missing in {folder / missing}",
    )


@pytest.mark.parametrize("part", ["train", "val"])
def test_a_class_without_images_is_named(folder, part):
    for path in (folder / part / CLASSES[1]).iterdir():
        path.rename(path.with_suffix(".txt"))
    _refusal(lambda: load_imagenet(folder), folder / part / CLASSES[1], "no images")


def _cut(path):
    path.write_bytes(path.read_bytes()[:300])


def _empty(path):
    path.write_bytes(b"")


def _remove(path):
    path.unlink()


@pytest.mark.parametrize("spoil", [_cut, _empty, _remove])
@pytest.mark.parametrize("batch", [12, 4], ids=["here", "in a reading process"])
def test_a_broken_or_vanished_image_is_named_in_one_line(folder, data, batch, spoil):
    training = folder / "train" / CLASSES[1] / f"{CLASSES[1]}_1.JPEG"
    validation = folder / "val" / CLASSES[2] / "ILSVRC2012_val_00000005.JPEG"
    for path in (training, validation):
        spoil(path)
    _refusal(lambda: _batches(data, _order(data), batch), training)
    _refusal(lambda: list(data.evaluation_batches("train", SMALL, batch)), training)
    _refusal(lambda: list(data.ten_crop_batches(SMALL, batch)), validation)


def test_a_vanished_image_is_named_by_the_fingerprint(folder, data):
    path = folder / "val" / CLASSES[0] / "ILSVRC2012_val_00000000.JPEG"
    path.unlink()
    _refusal(data.fingerprint, path)


def test_the_fingerprint_looks_at_several_files_at_once(data, monkeypatch):
    threads, look = set(), ImageFiles.size

    def slow(files, index):
        threads.add(threading.get_ident())
        time.sleep(0.001)
        return look(files, index)

    many = replace(data, train=data.train.take(torch.arange(1000) % 12))
    alone = many.fingerprint()
    monkeypatch.setattr(ImageFiles, "size", slow)
    assert many.fingerprint() == alone
    assert len(threads) > 1


def test_what_is_recorded_of_one_folder_is_no_answer_for_another(folder, tmp_path, command):
    """Refused in one line by ``run`` and by the queue; the record stays and answers for its own."""
    runs = tmp_path / "runs"
    options = "--recipe imagenet --depth 8 --width 1 --epochs 1 --batch 6 --scales 32,40 --crop 28"
    arguments = ("run", *options.split(), "--device", "cpu", "--runs-dir", runs)
    assert command(*arguments, "--data-dir", folder)[0] == 0
    before = files_below(runs)
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    (other / "train" / CLASSES[0] / f"{CLASSES[0]}_0.JPEG").unlink()
    status, out, err = command(*arguments, "--data-dir", other)
    assert status == 2 and not out
    assert err.count("\n") == 1 and "other images than those in" in err
    assert files_below(runs) == before
    for images in (folder, tmp_path / "gone"):  # where there are none, none are others
        status, out, _ = command(*arguments, "--data-dir", images)
        assert status == 0 and "recorded already" in out
    (path,) = before
    with pytest.raises(InputError, match="accepted: --runs-dir with another folder"):
        train_missing([run_from_config(read_record(path)["config"])], Place(runs, other), print)
