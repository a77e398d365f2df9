import math
from dataclasses import replace

import pytest

from resnet_study.data.options import DATA_SETS, Augmentation
from resnet_study.errors import InputError
from resnet_study.training.recipes import RECIPES, get_recipe, learning_rate


@pytest.mark.parametrize(
    ("step", "steps", "rate"),
    [
        (0, 460, 0.05),
        (229, 460, 0.05),
        (230, 460, 0.005),
        (344, 460, 0.005),
        (345, 460, 0.0005),
        (459, 460, 0.0005),
        # Half of 7 steps is 3.5: the fourth step is still before the drop, the fifth is not.
        (3, 7, 0.05),
        (4, 7, 0.005),
        (5, 7, 0.005),
        (6, 7, 0.0005),
    ],
)
def test_the_learning_rate_drops_at_half_and_three_quarters(step, steps, rate):
    assert learning_rate(get_recipe("digits"), step, steps) == pytest.approx(rate)


def test_a_recipe_without_drops_has_a_constant_rate():
    recipe = get_recipe("digits", drops=())
    assert {learning_rate(recipe, step, 10) for step in range(10)} == {recipe.rate}


def test_the_digits_recipe_is_the_one_of_the_issue():
    recipe = get_recipe("digits")
    assert (recipe.data, recipe.held_out, recipe.stem, recipe.width) == ("digits", 360, "small", 16)
    assert (recipe.batch, recipe.epochs, recipe.rate) == (64, 20, 0.05)
    assert (recipe.momentum, recipe.weight_decay) == (0.9, 1e-4)
    assert recipe.augmentation == Augmentation(crop_padding=1)  # a mirrored digit is no digit


def test_the_cifar_recipe_is_the_papers():
    recipe = get_recipe("cifar10")
    assert (recipe.batch, recipe.rate, recipe.momentum, recipe.weight_decay) == (
        128,
        0.1,
        0.9,
        1e-4,
    )
    assert recipe.held_out == 5000
    assert recipe.augmentation == Augmentation(crop_padding=4, flip=True)
    steps = recipe.epochs * math.ceil(45_000 / recipe.batch)
    assert steps == pytest.approx(64_000, rel=0.005)
    rates = [learning_rate(recipe, step, steps) for step in range(steps)]
    drops = [step for step in range(1, steps) if rates[step] < rates[step - 1]]
    assert drops == pytest.approx([32_000, 48_000], rel=0.005)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_found_by_its_own_name_and_describes_itself(name):
    assert get_recipe(name).name == name
    assert get_recipe(name).data in DATA_SETS
    assert RECIPES[name].__doc__.strip()  # shown by `resnet-study list`


def test_changes_apply_and_none_is_no_change():
    recipe = get_recipe("digits", epochs=3, width=None)
    assert (recipe.epochs, recipe.width) == (3, get_recipe("digits").width)


def test_an_unknown_recipe_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match=f"'mnist'.*accepted: {', '.join(RECIPES)}"):
        get_recipe("mnist")


@pytest.mark.parametrize(
    ("field", "value", "accepted"),
    [
        ("epochs", 0, "1 or more"),
        ("epochs", -1, "1 or more"),
        ("width", 0, "1 or more"),
        ("batch", 1, "2 or more"),
        ("batch", -64, "2 or more"),
        ("rate", 0.0, "above 0"),
        ("rate", -0.1, "above 0"),
        ("rate", math.nan, "above 0"),
        ("rate", math.inf, "above 0"),
        ("held_out", -1, "0 or more"),
        ("fraction", 0.0, "above 0, up to 1"),
        ("fraction", -0.5, "above 0, up to 1"),
        ("fraction", 1.5, "above 0, up to 1"),
        ("fraction", math.nan, "above 0, up to 1"),
        ("momentum", -0.5, "0 or more"),
        ("weight_decay", -1e-4, "0 or more"),
        ("stem", "large", "imagenet, small"),
        ("data", "mnist", "digits"),
        ("patience", -1, "0 or more"),
        ("precision", "float16", "float32, tensorfloat32, bfloat16"),
        ("ten_crop", True, "augmentation with scales and crop"),
    ],
)
def test_an_impossible_value_is_refused_with_the_possible_ones(field, value, accepted):
    with pytest.raises(InputError, match=f"accepted: .*{accepted}") as refusal:
        get_recipe("digits", **{field: value})
    assert str(value) in str(refusal.value) or field == "ten_crop"


def test_the_warm_up_of_110_layers_returns_to_the_full_rate():
    recipe = get_recipe("cifar10-110")
    rates = [learning_rate(recipe, step, 64_064) for step in (0, 399, 400, 32_031, 32_032, 48_048)]
    assert rates == pytest.approx([0.01, 0.01, 0.1, 0.1, 0.01, 0.001])


@pytest.mark.parametrize(
    ("name", "images"),
    [("cifar10", 45_000), ("cifar10-final", 50_000), ("tiny-imagenet-32", 100_000)],
)
def test_the_cifar_recipes_run_for_64000_iterations(name, images):
    recipe = get_recipe(name)
    assert recipe.epochs * math.ceil(images / recipe.batch) == pytest.approx(64_000, rel=0.005)


def test_the_imagenet_recipe_is_the_papers():
    recipe = get_recipe("imagenet")
    assert recipe.augmentation == Augmentation(scales=(256, 480), crop=224, flip=True, colour=True)
    assert (recipe.batch, recipe.rate, recipe.momentum, recipe.weight_decay) == (
        256,
        0.1,
        0.9,
        1e-4,
    )
    assert (recipe.stem, recipe.width, recipe.ten_crop) == ("imagenet", 64, True)
    steps = recipe.epochs * math.ceil(1_281_167 / recipe.batch)
    assert steps == pytest.approx(600_000, rel=0.005)
    rates = [learning_rate(recipe, step, steps) for step in range(steps)]
    drops = [step for step in range(1, steps) if rates[step] < rates[step - 1]]
    assert drops == pytest.approx([150_000, 300_000], rel=0.005)


def test_tiny_imagenet_is_the_imagenet_recipe_at_a_quarter_of_the_pixels():
    full, tiny = get_recipe("imagenet"), get_recipe("tiny-imagenet")
    assert tiny.augmentation.crop * 4 == full.augmentation.crop
    assert tuple(4 * side for side in tiny.augmentation.scales) == full.augmentation.scales
    assert tiny.drops == (1 / 3, 2 / 3) and tiny.epochs == 90
    same = ("stem", "width", "batch", "rate", "momentum", "weight_decay", "precision", "ten_crop")
    assert all(getattr(tiny, name) == getattr(full, name) for name in same)


def test_nesterovs_momentum_needs_momentum():
    with pytest.raises(InputError, match="accepted with it: momentum above 0"):
        get_recipe("digits", nesterov=True, momentum=0)


def test_imagenet_without_a_crop_is_refused():
    with pytest.raises(InputError, match="imagenet needs a crop"):
        replace(get_recipe("imagenet", ten_crop=False), augmentation=Augmentation())


def test_a_plateau_and_a_warm_up_exclude_each_other():
    with pytest.raises(InputError, match="patience and warmup"):
        get_recipe("cifar10-110", patience=3)
