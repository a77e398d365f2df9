"""Data and recipes of somebody's own."""

import re
import shutil

import numpy as np
import pytest
from PIL import Image

from resnet_study.data import folders
from resnet_study.data.datasets import Dataset, load_data
from resnet_study.data.imagenet import ImageNet
from resnet_study.errors import InputError
from resnet_study.pipeline.records import find_records, read_record
from resnet_study.training.recipes import RECIPES, read_recipe

MINE = 'base = "digits"\nepochs = 2\nwidth = 1\nbatch = 8\nheld_out = 6\ncrop_padding = 2\n'


def draw(folder, classes, count=10, sizes=((12, 12),)):
    """Pictures in which the class shows as a colour."""
    chance = np.random.default_rng(len(classes))
    for label, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            width, height = sizes[number % len(sizes)]
            pixels = chance.integers(0, 100, (height, width, 3))
            pixels[..., label % 3] += 120
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number}.jpg")
    return folder


@pytest.fixture
def pets(tmp_path):
    return draw(tmp_path / "pets", ["ant", "bee", "cat"])


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(MINE)
    return path


def test_a_folder_is_called_after_what_is_in_it(pets, tmp_path):
    name = folders.name_folder(f"folder:{pets}")
    assert re.fullmatch("folder-pets-[0-9a-f]{8}", name)
    moved = shutil.copytree(pets, tmp_path / "elsewhere" / "pets")
    assert folders.name_folder(f"folder:{moved}") == name
    (pets / "ant" / ".DS_Store").touch()
    assert folders.name_folder(f"folder:{pets}") == name
    draw(pets, ["dog"])
    assert folders.name_folder(f"folder:{pets}") != name


def test_pictures_of_one_size_lie_on_the_device(pets):
    data = load_data(folders.name_folder(f"folder:{pets}"), 6)
    assert isinstance(data, Dataset)
    assert (len(data.train), len(data.validation), data.classes) == (24, 6, 3)
    assert data.validation.labels.bincount().tolist() == [2, 2, 2]
    assert data.image_shape == (3, 12, 12)


def test_what_validates_may_lie_apart(tmp_path):
    folder = tmp_path / "two"
    draw(folder / "train", ["ant", "bee"])
    draw(folder / "val", ["ant", "bee"], count=3)
    data = load_data(folders.name_folder(f"folder:{folder}"), 0)
    assert (len(data.train), len(data.validation), data.classes) == (20, 6, 2)
    with pytest.raises(InputError, match="held_out 5, but .* has val; accepted: 0"):
        load_data(folders.name_folder(f"folder:{folder}"), 5)


def test_pictures_of_several_sizes_are_read_as_files(tmp_path, command):
    folder = draw(tmp_path / "mixed", ["ant", "bee"], sizes=((12, 12), (16, 20)))
    data = load_data(folders.name_folder(f"folder:{folder}"), 4)
    assert isinstance(data, ImageNet)
    assert (len(data.train), len(data.validation), data.classes) == (16, 4, 2)
    options = [
        "--depth",
        "8",
        "--width",
        "1",
        "--epochs",
        "1",
        "--batch",
        "4",
        "--held-out",
        "4",
        "--device",
        "cpu",
    ]
    asked = ["run", *options, "--data", f"folder:{folder}", "--runs-dir", tmp_path / "runs"]
    status, _, said = command(*asked)
    assert status == 2 and "accepted: with scales and crop" in said and said.count("\n") == 1
    status, _, said = command(*asked, "--scales", "12,14", "--crop", "10")
    assert status == 0, said


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda pets: pets.rename(pets.with_name("gone")), "data folder .*pets is none; accepted"),
        (lambda pets: (pets / "ant" / "0.jpg").write_bytes(b"x"), "0.jpg cannot be read"),
        (lambda pets: (pets / "ant" / "0.jpg").write_bytes(b""), "0.jpg is empty"),
        (lambda pets: (pets / "loose.png").touch(), "loose.png lies outside of the class folders"),
    ],
)
def test_a_folder_that_cannot_be_used_is_told_in_one_line(pets, change, told):
    change(pets)
    with pytest.raises(InputError, match=told):
        load_data(folders.name_folder(f"folder:{pets}"), 6)


def test_what_validates_has_to_be_said(pets):
    with pytest.raises(InputError, match="has no val; accepted: a held_out of 1 or more"):
        load_data(folders.name_folder(f"folder:{pets}"), 0)


def test_a_recipe_of_a_file_has_the_settings_of_its_base(recipe):
    mine, base = read_recipe(recipe), RECIPES["digits"]()
    assert (mine.name, mine.epochs, mine.augmentation.crop_padding) == ("mine", 2, 2)
    assert (mine.rate, mine.drops, mine.stem) == (base.rate, base.drops, base.stem)


def test_a_recipe_needs_no_base(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        'name = "all-of-it"\ndata = "digits"\nheld_out = 100\nstem = "small"\nwidth = 2\n'
        "batch = 16\nepochs = 1\nrate = 0.1\ndrops = [0.5, 0.9]\nweight_decay = 0\n"
    )
    mine = read_recipe(path)
    assert (mine.name, mine.drops, mine.momentum, mine.weight_decay) == (
        "all-of-it", (0.5, 0.9), 0.9, 0,
    )  # fmt: skip
    assert mine.augmentation.crop_padding == 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("epochs = ", "cannot be read"),
        ('base = "bread"', "base 'bread' is unknown; accepted: digits"),
        ('base = "digits"\nepoch = 3', "'epoch' is unknown; accepted: name, base, data"),
        ('base = "digits"\nepochs = 0', "epochs 0 is impossible; accepted: 1 or more"),
        ('base = "digits"\nepochs = "3"', "epochs '3' is no whole number"),
        ('base = "digits"\nname = "cifar10"', "cannot be called 'cifar10'"),
        ('base = "digits"\nname = "../x"', "cannot be called '../x'"),
        ("epochs = 3", "data, held_out, .* is missing; accepted: all of them, or a base"),
        ('base = "digits"\ndata = "folder:nowhere"', "nowhere is none"),
    ],
)
def test_a_recipe_that_cannot_be_used_is_told_in_one_line(command, tmp_path, text, told):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    status, _, said = command("run", "--recipe", path, "--runs-dir", tmp_path / "runs")
    assert status == 2
    assert re.search(told, said) and said.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_two_folders_of_pictures_make_two_records(pets, recipe, tmp_path, command):
    draw(tmp_path / "other" / "pets", ["ant", "bee"])
    runs = tmp_path / "runs"
    asked = ["run", "--recipe", recipe, "--depth", 8, "--device", "cpu", "--runs-dir", runs]
    for folder in (pets, tmp_path / "other" / "pets"):
        status, said, error = command(*asked, "--data", f"folder:{folder}")
        assert status == 0 and "recorded: " in said, error
        assert "recorded already" in command(*asked, "--data", f"folder:{folder}")[1]
    first, second = map(read_record, find_records(runs))
    assert first["provenance"]["data"] != second["provenance"]["data"]
    assert {first["training_images"], second["training_images"]} == {24, 14}
    assert command("verify", runs, "--runs-dir", runs)[0] == 0
    assert "runs of no experiment: 2 recorded" in command("status", "--runs-dir", runs)[1]
    recipe.write_text(MINE.replace("width = 1", "width = 2"))
    status, _, said = command(*asked, "--data", f"folder:{pets}")
    assert status == 2 and "with other settings of a recipe called mine" in said


@pytest.mark.slow
def test_a_grid_with_recipe_and_data_of_somebodys_own(pets, recipe, tmp_path, command):
    status, said, error = command(
        "run", "--recipe", recipe, "--data", f"folder:{pets}", "--depth", "8", "--seeds", "0-1",
        "--rate", "0.01", "--device", "cpu", "--runs-dir", tmp_path / "runs",
    )  # fmt: skip
    assert status == 0, error
    assert "2 of 2 runs are recorded" in said
