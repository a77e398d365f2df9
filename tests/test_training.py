import math
import time
from dataclasses import replace

import pytest
import torch
from conftest import random_images
from torch import nn
from torch.nn import functional as F
from torch.optim.optimizer import register_optimizer_step_pre_hook

from resnet_study.data.datasets import make_dataset
from resnet_study.data.options import Augmentation
from resnet_study.errors import InputError, OutOfTime
from resnet_study.models.networks import build_model
from resnet_study.training.checkpoints import Checkpoint
from resnet_study.training.loop import (
    choose_device,
    evaluate,
    evaluate_ten_crops,
    forward,
    reestimate_statistics,
    train,
)
from resnet_study.training.recipes import get_recipe, learning_rate

RECIPE = get_recipe("digits", epochs=2, batch=16)
PER_EPOCH = 4  # batches of 16 in the 50 training images of the data set


class Constant(nn.Module):
    """The same logits for every image, whatever the training does."""

    def __init__(self, logits):
        super().__init__()
        self.logits = torch.tensor(logits)
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, images):
        return self.logits.repeat(len(images), 1) + 0 * self.weight


class Failing(Constant):
    """Not-a-number from the given forward pass on, counted over the passes of one mode."""

    def __init__(self, at, training):
        super().__init__([1.0, 0.0, 0.0])
        self.left, self.mode = at, training

    def forward(self, images):
        self.left -= self.training == self.mode
        return super().forward(images) * (math.nan if self.left < 0 else 1)


def _model(family="residual", depth=8):
    torch.manual_seed(0)
    return build_model(family, depth, classes=3, channels=1, stem="small", width=2)


def test_the_same_seed_gives_the_same_curve_and_weights_to_the_bit(dataset):
    models = [_model(), _model()]
    histories = [train(model, dataset, RECIPE, seed=5) for model in models]
    assert histories[0] == histories[1]
    assert len(histories[0].curve) == 2
    for first, second in zip(*(model.state_dict().values() for model in models), strict=True):
        assert torch.equal(first, second)


def test_another_seed_gives_another_curve(dataset):
    curves = [train(_model(), dataset, RECIPE, seed=seed).curve for seed in (5, 6)]
    assert curves[0] != curves[1]


def _batches_seen(model, data):
    seen = []

    def watch(module, arguments):
        if module.training:
            seen.append(arguments[0].detach().clone())

    model.register_forward_pre_hook(watch)
    train(model, data, RECIPE, seed=5)
    return seen


@pytest.mark.parametrize("other", [("residual", 8), ("plain", 20)])
def test_the_batches_of_a_seed_do_not_depend_on_the_network(dataset, other):
    plain, others = _batches_seen(_model("plain"), dataset), _batches_seen(_model(*other), dataset)
    assert len(plain) == 2 * PER_EPOCH
    assert all(torch.equal(a, b) for a, b in zip(plain, others, strict=True))
    assert not torch.equal(plain[0], plain[PER_EPOCH])  # a new order in every epoch


def test_a_network_learns(dataset):
    history = train(_model(), dataset, get_recipe("digits", epochs=15, batch=16), seed=0)
    assert history.curve[0].training_error > 20
    assert history.clean_training_error < 10
    assert history.curve[-1].validation_error < 20


def test_a_point_of_the_curve_tells_epoch_and_iteration(dataset):
    curve = train(_model(), dataset, RECIPE, seed=0).curve
    assert [(point.epoch, point.iteration) for point in curve] == [
        (1, PER_EPOCH),
        (2, 2 * PER_EPOCH),
    ]


@pytest.mark.parametrize("nesterov", [False, True])
def test_every_step_has_the_recipes_rate_momentum_and_weight_decay(dataset, nesterov):
    groups = []
    hook = register_optimizer_step_pre_hook(
        lambda optimiser, *_: groups.extend(dict(group) for group in optimiser.param_groups)
    )
    try:
        train(_model(), dataset, replace(RECIPE, nesterov=nesterov), seed=0)
    finally:
        hook.remove()
    steps = 2 * PER_EPOCH
    assert [group["lr"] for group in groups] == [
        learning_rate(RECIPE, step, steps) for step in range(steps)
    ]
    assert len({group["lr"] for group in groups}) == 3
    kinds = {(g["momentum"], g["weight_decay"], g["nesterov"]) for g in groups}
    assert kinds == {(0.9, 1e-4, nesterov)}


@pytest.mark.parametrize("clip", [0.0, 0.01])
def test_no_step_sees_a_gradient_longer_than_the_recipe_allows(dataset, clip):
    norms = []

    def look(optimiser, *_):
        gradients = [p.grad for group in optimiser.param_groups for p in group["params"]]
        norms.append(nn.utils.get_total_norm(gradients).item())

    hook = register_optimizer_step_pre_hook(look)
    try:
        train(_model(), dataset, replace(RECIPE, clip=clip), seed=0)
    finally:
        hook.remove()
    assert len(norms) == 2 * PER_EPOCH
    if clip:
        assert max(norms) == pytest.approx(clip, rel=1e-3)
    else:
        assert min(norms) > 0.01


def test_running_errors_and_losses_weigh_every_image_alike(dataset):
    """The last batch has 2 images and the others 16: a mean over batches would be another."""
    logits = [2.0, 0.5, -1.0]
    point = train(Constant(logits), dataset, RECIPE, seed=0).curve[0]
    for part, error, loss in (
        (dataset.train, point.training_error, point.training_loss),
        (dataset.validation, point.validation_error, point.validation_loss),
    ):
        every = torch.tensor(logits, dtype=torch.float64).repeat(len(part), 1)
        assert error == pytest.approx(100 * (part.labels != 0).double().mean().item())
        assert loss == pytest.approx(F.cross_entropy(every, part.labels).item(), rel=1e-6)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_evaluation_counts_every_image_once(split):
    # Unequal classes, and more images than fit in one batch of the evaluation.
    images = random_images(2300, classes=5)
    images.labels.clamp_(max=2)
    data = make_dataset(images, images.take(torch.arange(1201)))
    part = getattr(data, split)
    for predicted in range(3):
        logits = [0.0, 0.0, 0.0]
        logits[predicted] = 1.0
        error, loss = evaluate(Constant(logits), data, split, RECIPE)
        right = (part.labels == predicted).double().mean().item()
        assert error == pytest.approx(100 * (1 - right))
        assert loss == pytest.approx(math.log(math.e + 2) - right, rel=1e-6)


def test_evaluation_leaves_the_network_as_it_was(dataset):
    model = _model().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    evaluate(model, dataset, "validation", RECIPE)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_the_clean_training_error_is_that_of_the_trained_network_on_plain_images(dataset):
    model = _model()
    history = train(model, dataset, RECIPE, seed=0)
    images = (dataset.train.images.float() - dataset.mean) / dataset.deviation
    with torch.no_grad():
        wrong = model.eval()(images).argmax(dim=1) != dataset.train.labels
    assert history.clean_training_error == pytest.approx(100 * wrong.double().mean().item())


def test_callbacks_are_called_before_the_first_step_and_at_each_evaluation(dataset):
    model, calls = _model(), []
    before = model.state_dict()["stem.0.weight"].clone()

    def watch(given_model, given_data, iteration):
        assert given_model is model
        changed = not torch.equal(model.state_dict()["stem.0.weight"], before)
        calls.append((iteration, len(given_data.train), changed))

    train(model, dataset, RECIPE, seed=0, callbacks=[watch])
    assert calls == [(0, 50, False), (PER_EPOCH, 50, True), (2 * PER_EPOCH, 50, True)]


def test_callbacks_are_called_at_moments_too_and_once_where_both_fall_together(dataset):
    calls = []
    train(
        _model(),
        dataset,
        RECIPE,
        seed=0,
        callbacks=[lambda model, data, iteration: calls.append(iteration)],
        moments=(1, PER_EPOCH, PER_EPOCH + 2, 100),
    )
    assert calls == [0, 1, PER_EPOCH, PER_EPOCH + 2, 2 * PER_EPOCH]


def test_watching_a_training_does_not_change_it(dataset):
    def switch_mode(model, data, iteration):
        model.eval()

    watched = train(_model(), dataset, RECIPE, seed=0, callbacks=[switch_mode], moments=(1, 2))
    assert watched == train(_model(), dataset, RECIPE, seed=0)


@pytest.mark.parametrize(
    ("at", "training"), [(PER_EPOCH + 1, True), (1, False)], ids=["training", "validation"]
)
def test_a_loss_that_is_not_finite_ends_the_training_and_is_told(dataset, at, training):
    model = Failing(at, training)
    iterations = []
    recipe = get_recipe("digits", epochs=5, batch=16)
    history = train(
        model, dataset, recipe, seed=0, callbacks=[lambda *given: iterations.append(given[2])]
    )
    assert PER_EPOCH < history.diverged_at <= 2 * PER_EPOCH
    assert [point.epoch for point in history.curve] == [1]
    assert history.clean_training_error is None
    assert iterations == [0, PER_EPOCH]


def test_a_huge_rate_diverges_and_leaves_a_finite_curve(dataset):
    recipe = get_recipe("digits", epochs=3, batch=16, rate=1e30)
    history = train(_model(), dataset, recipe, seed=0)
    assert history.diverged_at is not None
    for point in history.curve:
        assert all(map(math.isfinite, vars(point).values()))


def test_a_last_batch_of_one_image_is_refused():
    """A four-stage net ends in 1×1 pixels on digits: batch normalisation needs two images."""
    data = make_dataset(random_images(17), random_images(5))
    with pytest.raises(InputError, match="a last batch of 1 of 17 images to 1 process"):
        train(_model(depth=18), data, get_recipe("digits", epochs=1, batch=4, width=1), seed=0)


def test_a_batch_larger_than_the_training_set_is_refused():
    data = make_dataset(random_images(16), random_images(5))
    with pytest.raises(InputError, match="batch 17 is larger .* accepted: up to its 16 images"):
        train(_model(), data, get_recipe("digits", epochs=1, batch=17, width=1), seed=0)
    train(_model(), data, get_recipe("digits", epochs=1, batch=16, width=1), seed=0)


def test_on_a_plateau_the_rate_is_divided_by_ten(dataset):
    """Nothing is learnt, so every epoch after the first is one of a plateau."""
    recipe = get_recipe("digits", epochs=7, batch=16, patience=2, drops=())
    rates = []
    hook = register_optimizer_step_pre_hook(
        lambda optimiser, *_: rates.append(optimiser.param_groups[0]["lr"])
    )
    try:
        train(Constant([1.0, 0.0, 0.0]), dataset, recipe, seed=0)
    finally:
        hook.remove()
    assert rates[::PER_EPOCH] == pytest.approx([0.05, 0.05, 0.05, 0.005, 0.005, 5e-4, 5e-4])


def test_a_plateau_is_remembered_over_an_interruption(dataset, tmp_path):
    recipe = get_recipe("digits", epochs=6, batch=16, patience=1, drops=())
    unbroken = train(_model(), dataset, recipe, seed=0)
    file = tmp_path / "checkpoint"
    for _ in range(3):  # one step more each time
        with pytest.raises(OutOfTime):
            train(
                _model(), dataset, recipe, seed=0,
                checkpoint=Checkpoint(file, {}, deadline=time.monotonic()),
            )  # fmt: skip
    assert train(_model(), dataset, recipe, seed=0, checkpoint=Checkpoint(file, {})) == unbroken


def test_bfloat16_rounds_the_forward_pass_and_keeps_float32_weights(dataset):
    exact, rounded = (_model(), _model())
    half = replace(RECIPE, precision="bfloat16")
    images = next(dataset.evaluation_batches("train", RECIPE.augmentation))[0]
    difference = (forward(exact, images, half) - forward(exact, images, RECIPE)).abs().max().item()
    assert 0 < difference < 0.1
    assert forward(exact, images, half).dtype == torch.float32
    history = train(rounded, dataset, half, seed=0)
    assert history.curve != train(exact, dataset, RECIPE, seed=0).curve
    for tensor in rounded.state_dict().values():
        assert tensor.dtype in (torch.float32, torch.int64)


def test_statistics_are_the_averages_over_an_epochs_batches(dataset):
    """Seen at the first batch normalisation, whose input does not depend on others."""
    model, recipe = _model(), replace(RECIPE, batch=10)
    train(model, dataset, RECIPE, seed=0)
    generator = torch.Generator().manual_seed(3)
    reestimate_statistics(model, dataset, recipe, generator)
    again = torch.Generator().manual_seed(3)
    order = dataset.draw_order(again)
    batches = [
        model.stem[0](images)
        for images, _ in dataset.training_batches(order, 10, recipe.augmentation, again)
    ]
    means = torch.stack([batch.mean(dim=(0, 2, 3)) for batch in batches]).mean(dim=0)
    variances = torch.stack([batch.var(dim=(0, 2, 3)) for batch in batches]).mean(dim=0)
    torch.testing.assert_close(model.stem[1].running_mean, means)
    torch.testing.assert_close(model.stem[1].running_var, variances)
    assert model.stem[1].momentum == 0.1  # as it was


def test_ten_crops_are_averaged_as_probabilities():
    images = random_images(23, shape=(3, 8, 8))
    data = make_dataset(images, images)
    recipe = replace(RECIPE, augmentation=Augmentation(scales=(8, 12), crop=6), ten_crop=True)
    torch.manual_seed(0)
    model = build_model("residual", 8, classes=3, channels=3, stem="small", width=2)
    train(model, data, replace(recipe, ten_crop=False, epochs=8), seed=0)
    wrong = 0
    with torch.no_grad():
        for image, label in zip(images.images, images.labels, strict=True):
            normal = (image[None].float() - data.mean) / data.deviation
            crops = [
                normal[:, :, top : top + 6, left : left + 6]
                for top, left in [(0, 0), (0, 2), (2, 0), (2, 2), (1, 1)]
            ]
            crops = torch.cat(crops + [crop.flip(3) for crop in crops])
            wrong += (model.eval()(crops).softmax(dim=1).mean(dim=0).argmax() != label).item()
    assert 0 < wrong < 23
    assert evaluate_ten_crops(model, data, recipe) == pytest.approx(100 * wrong / 23)
    history = train(model, data, recipe, seed=0)
    assert history.ten_crop_error is not None
    assert train(model, data, replace(recipe, ten_crop=False), seed=0).ten_crop_error is None


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "cpu:7", ""])
def test_an_unknown_device_is_refused_with_the_known_ones(name):
    with pytest.raises(InputError, match="accepted: auto, cpu"):
        choose_device(name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_is_refused_where_there_is_none():
    with pytest.raises(InputError, match="'cuda'.*accepted: auto, cpu$"):
        choose_device("cuda")
    assert choose_device("auto") == torch.device("cpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
def test_a_gpu_is_chosen_where_there_is_one():
    assert choose_device("auto").type == choose_device("cuda").type == "cuda"
