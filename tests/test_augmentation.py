from collections import Counter

import pytest
import torch

from resnet_study.data.augmentation import (
    augment,
    centre_crop,
    colour_axes,
    colour_moments,
    random_colour,
    random_crop,
    random_flip,
    random_scaled_crop,
    ten_crops,
)
from resnet_study.data.options import Augmentation
from resnet_study.errors import InputError


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def _images(count, dtype=torch.uint8):
    """Noise without zeros, so that padding is told from content; neither square nor grey."""
    return torch.randint(1, 256, (count, 3, 5, 7), generator=_generator(9)).to(dtype)


def _windows(image, padding):
    """Every crop that ``padding`` allows, one at a time: (row, column) offset to crop."""
    channels, height, width = image.shape
    padded = torch.zeros(channels, height + 2 * padding, width + 2 * padding, dtype=image.dtype)
    padded[:, padding : padding + height, padding : padding + width] = image
    return {
        (row, column): padded[:, row : row + height, column : column + width]
        for row in range(2 * padding + 1)
        for column in range(2 * padding + 1)
    }


def _offsets(images, crops, padding):
    """The offset of each crop within its own image; fails where there is not exactly one."""
    found = []
    for image, crop in zip(images, crops, strict=True):
        matches = [at for at, window in _windows(image, padding).items() if window.equal(crop)]
        assert len(matches) == 1
        found.append(matches[0])
    return found


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("padding", [1, 2])
def test_each_crop_is_a_window_of_its_own_padded_image(dtype, padding):
    images = _images(50, dtype)
    crops = random_crop(images, padding, _generator())
    assert crops.dtype == dtype
    _offsets(images, crops, padding)


def test_all_offsets_are_equally_likely_and_drawn_for_each_image():
    images = _images(900)
    counts = Counter(_offsets(images, random_crop(images, 1, _generator()), 1))
    assert len(counts) == 9
    assert min(counts.values()) > 65  # 100 expected, deviation 9.4
    assert max(counts.values()) < 135


def test_without_padding_a_crop_is_the_image():
    images = _images(4)
    assert torch.equal(random_crop(images, 0, _generator()), images)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_about_half_of_the_images_are_mirrored_and_the_others_untouched(dtype):
    images = _images(2000, dtype)
    flipped = random_flip(images, _generator())
    assert flipped.dtype == dtype
    mirrored = (flipped == images.flip(3)).flatten(1).all(dim=1)
    untouched = (flipped == images).flatten(1).all(dim=1)
    assert torch.all(mirrored ^ untouched)
    assert 0.45 < mirrored.double().mean() < 0.55  # deviation 0.011


NO_COLOURS = torch.zeros(3, 3)
AUGMENTATIONS = {
    "crop": lambda images, g: random_crop(images, 2, g),
    "flip": random_flip,
    "scaled crop": lambda images, g: random_scaled_crop(images, (8, 12), 7, True, g),
    "colour": lambda images, g: random_colour(images, torch.eye(3), g),
}
every_augmentation = pytest.mark.parametrize("name", AUGMENTATIONS)


def _square(count, side=8):
    """Square images, which scaling asks for."""
    return torch.randint(1, 256, (count, 3, side, side), generator=_generator(9)).to(torch.uint8)


@every_augmentation
def test_the_generator_alone_decides(name):
    images, augment = _square(50), AUGMENTATIONS[name]
    before = torch.get_rng_state()
    first = augment(images, _generator(1))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(123)
    assert torch.equal(augment(images, _generator(1)), first)
    assert not torch.equal(augment(images, _generator(2)), first)


@every_augmentation
def test_the_images_given_are_not_changed(name):
    images = _square(20)
    AUGMENTATIONS[name](images, _generator())
    assert torch.equal(images, _square(20))


def test_a_crop_of_the_whole_image_at_its_own_scale_is_the_image():
    images = _square(5)
    result = random_scaled_crop(images, (8, 8), 8, False, _generator())
    torch.testing.assert_close(result, images.float(), rtol=0, atol=0.01)


def test_a_scaled_crop_shows_a_part_of_the_image_of_the_right_size():
    """On a ramp, values tell places: one pixel of the crop is 1/scale of the image."""
    side, crop, scales = 64, 56, (64, 120)
    ramp = torch.arange(side, dtype=torch.float32) + 0.5  # in pixels from the left edge
    images = torch.stack([ramp.expand(side, side), ramp[:, None].expand(side, side)])
    images = images.expand(400, 2, side, side)
    result = random_scaled_crop(images, scales, crop, False, _generator())
    assert result.shape == (400, 2, crop, crop)
    across, down = result[:, 0], result[:, 1]
    # Inside the image the ramp is straight; its outermost half pixels are not.
    steps = torch.stack([across[:, 0, 2:-2].diff(), down[:, 2:-2, 0].diff()])
    step = steps.mean(dim=2)
    torch.testing.assert_close(steps, step[..., None].expand_as(steps), rtol=0, atol=1e-2)
    torch.testing.assert_close(step[0], step[1], rtol=0, atol=1e-3)  # the shape is kept
    scale = side / step[0]
    assert scales[0] - 0.1 <= scale.min() < 68
    assert 116 < scale.max() <= scales[1] + 0.1
    assert scale.mean() == pytest.approx(sum(scales) / 2, abs=3)
    # The crop lies inside the image, and reaches all of its edges now and then.
    centre = across[:, 0, [crop // 2 - 1, crop // 2]].mean(dim=1)
    left = centre - step[0] * crop / 2
    room = side - step[0] * crop
    assert left.min() > -0.1
    assert (room - left).min() > -0.1
    assert (left / room).mean() == pytest.approx(0.5, abs=0.05)


def test_half_of_the_scaled_crops_are_mirrored_on_demand():
    images = _square(1000)
    straight = random_scaled_crop(images, (8, 12), 7, False, _generator())
    flipped = random_scaled_crop(images, (8, 12), 7, True, _generator())
    same = torch.isclose(flipped, straight, atol=0.01).flatten(1).all(dim=1)
    mirrored = torch.isclose(flipped, straight.flip(3), atol=0.01).flatten(1).all(dim=1)
    assert torch.all(same ^ mirrored)
    assert 0.45 < mirrored.double().mean() < 0.55


def test_colour_axes_are_eigenvectors_of_the_covariance_times_their_eigenvalues():
    images = _square(200)
    images[:, 1] = images[:, 0] // 2 + images[:, 2] // 4  # correlated channels
    pixels = (images.double() / 255).transpose(0, 1).flatten(1)
    covariance = torch.cov(pixels, correction=0)
    axes = colour_axes(colour_moments(images)[1]).double()
    for axis in axes.T:
        value = axis.norm()
        torch.testing.assert_close(covariance @ axis, value * axis, rtol=1e-4, atol=1e-7)
    assert axes.norm(dim=0).sum().item() == pytest.approx(covariance.trace().item(), rel=1e-5)


def test_moments_of_colour_are_those_of_all_pixels():
    images = torch.cat([_square(73), _square(40) // 3])  # more than one part
    pixels = images.double().transpose(0, 1).flatten(1)
    mean, covariance = colour_moments(images)
    torch.testing.assert_close(mean, pixels.mean(dim=1))
    torch.testing.assert_close(covariance, torch.cov(pixels, correction=0))


def test_moments_of_colour_do_not_depend_on_the_order_to_the_bit():
    images = _square(2500)
    shuffled = images[torch.randperm(len(images), generator=_generator())]
    for one, other in zip(colour_moments(images), colour_moments(shuffled), strict=True):
        assert torch.equal(one, other)


def test_colour_shifts_all_pixels_of_an_image_alike():
    images = _square(3000)
    axes = torch.diag(torch.tensor([1.0, 0.5, 0.0]))
    shift = random_colour(images, axes, _generator()) - images
    assert torch.all((shift - shift[:, :, :1, :1]).abs() < 1e-3)
    deviations = shift[:, :, 0, 0].std(dim=0).tolist()
    assert deviations == pytest.approx([25.5, 12.75, 0], rel=0.05, abs=1e-4)
    assert torch.all(shift[:, :, 0, 0].mean(dim=0).abs() < 2)


def test_an_augmentation_of_nothing_changes_nothing():
    images = _images(5)
    assert torch.equal(augment(images, Augmentation(), NO_COLOURS, _generator()), images)
    assert torch.equal(centre_crop(images, None), images)


@pytest.mark.parametrize(
    ("augmentation", "name"),
    [
        (Augmentation(crop_padding=2), "crop"),
        (Augmentation(flip=True), "flip"),
        (Augmentation(scales=(8, 12), crop=7, flip=True), "scaled crop"),
        (Augmentation(colour=True), "colour"),
    ],
)
def test_an_augmentation_does_in_training_what_it_names(augmentation, name):
    images = _square(20)
    result = augment(images, augmentation, torch.eye(3), _generator(4))
    assert torch.equal(result, AUGMENTATIONS[name](images, _generator(4)))


def test_evaluation_sees_the_centre():
    images = _square(2)
    result = centre_crop(images, 4)
    assert torch.equal(result, images[:, :, 2:6, 2:6])


def test_ten_crops_are_corners_and_centre_and_their_mirror_images():
    images = _square(2)
    crops = ten_crops(images, 4)
    places = [(0, 0), (0, 4), (4, 0), (4, 4), (2, 2)]
    expected = torch.stack(
        [
            view[:, :, top : top + 4, left : left + 4]
            for view in (images, images.flip(3))
            for top, left in places
        ],
        dim=1,
    )
    assert crops.shape == (2, 10, 3, 4, 4)
    assert torch.equal(crops, expected)


@pytest.mark.parametrize(
    "arguments",
    [
        {"crop_padding": -1},
        {"scales": (8, 12)},
        {"crop": 7},
        {"scales": (8, 12), "crop": 9},
        {"scales": (12, 8), "crop": 7},
        {"scales": (8, 12), "crop": 0},
    ],
    ids=str,
)
def test_an_impossible_augmentation_is_refused(arguments):
    with pytest.raises(InputError, match="accepted"):
        Augmentation(**arguments)


def test_a_crop_that_was_not_given_is_told():
    assert Augmentation(scales=(8, 12), crop=7).scaled_crop == ((8, 12), 7)
    with pytest.raises(InputError, match="no crop; accepted"):
        _ = Augmentation(crop_padding=1).scaled_crop
