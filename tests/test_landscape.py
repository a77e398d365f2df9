"""The loss landscape: directions, slices and grids, and going on after an interruption."""

import copy
import math

import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import resnet18

from resnet_study.diagnostics import landscape
from resnet_study.diagnostics.inspection import calibrate
from resnet_study.diagnostics.landscape import draw_direction, evaluate_landscape
from resnet_study.errors import InputError
from resnet_study.models.networks import build_model
from resnet_study.training.checkpoints import Checkpoint, read_checkpoint
from resnet_study.training.loop import evaluate
from resnet_study.training.recipes import get_recipe

STEPS = (-1.0, 0.0, 0.5)


@pytest.fixture
def model():
    torch.manual_seed(0)
    net = build_model("residual", 8, classes=3, channels=1, stem="small", width=4)
    calibrate(net, torch.randn(50, 1, 8, 8))
    return net.eval()


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(30, 1, 8, 8, generator=generator)
    return images, torch.randint(0, 3, (30,), generator=generator)


@pytest.fixture
def linear():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))


def _direction(model, seed=0):
    return draw_direction(model, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("make", [None, resnet18], ids=["ours", "torchvision's"])
def test_filters_of_a_direction_are_as_long_as_those_of_the_weights(model, make):
    net = make() if make else model
    direction = _direction(net)
    parameters = dict(net.named_parameters())
    assert list(direction) == list(parameters)
    for name, weights in parameters.items():
        if weights.ndim < 2:
            assert not direction[name].any()
        else:
            filters = direction[name].flatten(1).norm(dim=1)
            torch.testing.assert_close(filters, weights.detach().flatten(1).norm(dim=1))


def test_within_a_filter_a_direction_is_gaussian_and_of_any_angle():
    wide = nn.Linear(10_000, 2)
    d = _direction(wide)["weight"][0] / wide.weight[0].norm() * 100  # of unit variance
    assert d.mean().item() == pytest.approx(0, abs=0.05)
    assert (d**4).mean().item() == pytest.approx(3, abs=0.3)
    assert F.cosine_similarity(d, wide.weight[0], dim=0).item() == pytest.approx(0, abs=0.05)


def test_the_seed_decides_a_direction(model):
    one, again, other = _direction(model, 1), _direction(model, 1), _direction(model, 2)
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["stem.0.weight"], other["stem.0.weight"])


def test_the_loss_of_a_linear_model_is_the_one_computed_by_hand(linear, batch, tmp_path):
    images, labels = batch
    table = evaluate_landscape(linear, *batch, seed=3, a=STEPS, b=(0, 2), path=tmp_path / "file")
    generator = torch.Generator().manual_seed(3)
    weights, bias = linear[1].weight.detach().double(), linear[1].bias.detach().double()
    drawn = [torch.randn(3, 64, generator=generator).double() for _ in range(2)]
    d1, d2 = (d * (weights.norm(dim=1) / d.norm(dim=1))[:, None] for d in drawn)
    assert table[["a", "b"]].to_numpy().tolist() == [[a, b] for a in STEPS for b in (0, 2)]
    for a, b, loss, error in table.itertuples(index=False):
        logits = images.flatten(1).double() @ (weights + a * d1 + b * d2).T + bias
        known = (logits.logsumexp(dim=1) - logits[range(30), labels]).mean().item()
        assert loss == pytest.approx(known, rel=1e-5)
        assert error == pytest.approx(100 * (logits.argmax(dim=1) != labels).double().mean().item())


def test_the_centre_is_the_evaluated_loss_itself(model, dataset, tmp_path):
    recipe = get_recipe("digits")
    images, labels = next(dataset.evaluation_batches("validation", recipe.augmentation))
    table = evaluate_landscape(
        model, images, labels, seed=0, a=STEPS, b=(-1, 0), path=tmp_path / "f"
    )
    centre = table[(table.a == 0) & (table.b == 0)].iloc[0]
    error, loss = evaluate(model, dataset, "validation", recipe)
    assert centre.error == error
    assert centre.loss == pytest.approx(loss, rel=1e-6)  # layouts differ in last bits
    assert table.loss.nunique() == 6


def test_chunks_add_up_to_the_mean(model, batch, tmp_path, monkeypatch):
    whole = evaluate_landscape(model, *batch, seed=0, a=STEPS, path=tmp_path / "whole")
    monkeypatch.setattr(landscape, "CHUNK", 7)  # 30 is no multiple of it
    chunks = evaluate_landscape(model, *batch, seed=0, a=STEPS, path=tmp_path / "chunks")
    pd.testing.assert_frame_equal(chunks, whole)


def test_a_point_takes_one_pass_for_each_chunk_of_images(model, batch, tmp_path, monkeypatch):
    passes = []
    forward = type(model).forward

    def counted(self, images):
        passes.append(len(images))
        return forward(self, images)

    monkeypatch.setattr(type(model), "forward", counted)
    evaluate_landscape(model, *batch, seed=0, a=STEPS, b=(0, 1), path=tmp_path / "whole")
    assert passes == [len(batch[0])] * (2 * len(STEPS))


def test_a_slice_is_a_row_of_the_grid(model, batch, tmp_path):
    grid = evaluate_landscape(model, *batch, seed=0, a=STEPS, b=(0, 1), path=tmp_path / "grid")
    row = evaluate_landscape(model, *batch, seed=0, a=STEPS, path=tmp_path / "slice")
    pd.testing.assert_frame_equal(grid[grid.b == 0].reset_index(drop=True), row, check_exact=True)


def test_weights_of_another_scale_have_the_same_landscape(model, batch, tmp_path):
    """Why filters are normalised: batch normalisation makes their scale mean nothing."""
    scaled, factors = copy.deepcopy(model), torch.tensor([0.1, 1, 10, 100])
    conv, norm = scaled.stem[0], scaled.stem[1]
    with torch.no_grad():
        conv.weight *= factors[:, None, None, None]
        norm.running_mean *= factors
        norm.running_var.copy_(factors**2 * (norm.running_var + norm.eps) - norm.eps)
    one = evaluate_landscape(model, *batch, seed=0, a=STEPS, path=tmp_path / "one")
    other = evaluate_landscape(scaled, *batch, seed=0, a=STEPS, path=tmp_path / "other")
    pd.testing.assert_frame_equal(one, other, rtol=1e-3)


@pytest.mark.parametrize("done", [1, 4])
def test_an_interrupted_landscape_goes_on_and_is_the_same_to_the_bit(
    model, batch, tmp_path, monkeypatch, done
):
    options = {"seed": 0, "a": STEPS, "b": (0, 1), "seconds": 0}
    whole = evaluate_landscape(model, *batch, **options, path=tmp_path / "whole")
    usual, left = landscape._loss_and_error, [done]

    def score(*given):
        if left == [0]:
            raise RuntimeError("interrupted")
        left[0] -= 1
        return usual(*given)

    monkeypatch.setattr(landscape, "_loss_and_error", score)
    with pytest.raises(RuntimeError, match="interrupted"):
        evaluate_landscape(model, *batch, **options, path=tmp_path / "file")
    left[0] = 6 - done
    resumed = evaluate_landscape(model, *batch, **options, path=tmp_path / "file")
    assert left == [0]
    pd.testing.assert_frame_equal(resumed, whole, check_exact=True)


def test_the_layout_in_memory_does_not_matter(model, batch, tmp_path):
    images, labels = batch
    one = evaluate_landscape(model, images, labels, seed=0, a=STEPS, path=tmp_path / "one")
    model.to(memory_format=torch.channels_last)
    images = images.contiguous(memory_format=torch.channels_last)
    other = evaluate_landscape(model, images, labels, seed=0, a=STEPS, path=tmp_path / "other")
    pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_a_finished_landscape_is_read(model, batch, tmp_path, monkeypatch):
    options = {"seed": 0, "a": STEPS, "path": tmp_path / "file"}
    first = evaluate_landscape(model, *batch, **options)
    monkeypatch.setattr(landscape, "_loss_and_error", None)
    again = evaluate_landscape(model, *batch, **options)
    pd.testing.assert_frame_equal(again, first, check_exact=True)


def _another_weight(given):
    nn.init.ones_(given["model"].classifier.bias)


def _another_statistic(given):
    given["model"].stem[1].running_mean += 1


def _another_image(given):
    given["images"] = given["images"] + 1


def _another_label(given):
    given["labels"] = given["labels"].flip(0)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("model", _another_weight),
        ("model", _another_statistic),
        ("batch", _another_image),
        ("batch", _another_label),
        ("seed", lambda given: given.update(seed=1)),
        ("coordinates", lambda given: given.update(a=(-1, 0, 0.6))),
        ("coordinates", lambda given: given.update(b=(1,))),
    ],
)
def test_a_file_of_another_landscape_is_refused_in_one_line(model, batch, tmp_path, name, change):
    images, labels = batch
    path = tmp_path / "file"
    given = {"model": model, "images": images, "labels": labels, "seed": 0, "a": STEPS}
    evaluate_landscape(**given, path=path)
    before = path.read_bytes()
    change(given)
    with pytest.raises(InputError, match=f"{path} has another {name} than this work; delete") as no:
        evaluate_landscape(**given, path=path)
    assert "\n" not in str(no.value)
    assert path.read_bytes() == before


def test_a_damaged_file_and_one_of_a_training_are_refused(model, batch, tmp_path):
    path = tmp_path / "file"
    options = {"seed": 0, "a": STEPS, "path": path}
    evaluate_landscape(model, *batch, **options)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=f"{path} is damaged; delete it"):
        evaluate_landscape(model, *batch, **options)
    Checkpoint(path, {"configuration": {}}).save({"step": 3})
    with pytest.raises(InputError, match="has another model"):
        evaluate_landscape(model, *batch, **options)


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.clear(),
        lambda state: state.pop("scores"),
        lambda state: state.update(scores=None),
        lambda state: state.update(scores=state["scores"][:1]),
        lambda state: state.update(scores=state["scores"].int()),
        lambda state: state["directions"].pop(),
        lambda state: state["directions"][0].popitem(),
        lambda state: state["directions"][0].update(dict.fromkeys(state["directions"][0], 1)),
        lambda state: state["directions"][0].update(
            {name: torch.ones(1) for name in state["directions"][0]}
        ),
    ],
)
def test_a_state_of_no_landscape_is_damaged(model, batch, tmp_path, change):
    path = tmp_path / "file"
    options = {"seed": 0, "a": STEPS, "path": path}
    evaluate_landscape(model, *batch, **options)
    identity, state = read_checkpoint(path)
    change(state)
    Checkpoint(path, identity).save(state)
    with pytest.raises(InputError, match=f"{path} is damaged; delete it"):
        evaluate_landscape(model, *batch, **options)


def test_a_loss_that_is_not_finite_is_kept_as_infinite(linear, batch, tmp_path):
    options = {"seed": 0, "a": (0, 1e38, 1e39), "path": tmp_path / "file"}
    for _ in range(2):  # evaluated, and read
        loss = evaluate_landscape(linear, *batch, **options).loss
        assert math.isfinite(loss[0]) and loss[1:].tolist() == [math.inf] * 2


def test_the_model_is_left_as_it_was(model, batch, tmp_path):
    model(batch[0]).sum().backward()
    before = copy.deepcopy(model.state_dict())
    gradients = [p.grad.clone() for p in model.parameters()]
    strides = [p.stride() for p in model.parameters()]
    state = torch.get_rng_state()
    evaluate_landscape(model, *batch, seed=0, a=STEPS, path=tmp_path / "file")
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), gradients, strict=True))
    assert [p.stride() for p in model.parameters()] == strides
    assert torch.equal(torch.get_rng_state(), state)


def test_torchvisions_resnet_has_a_landscape(tmp_path):
    torch.manual_seed(0)
    net, images = resnet18(num_classes=3), torch.randn(4, 3, 32, 32)
    calibrate(net, images)
    labels = torch.tensor([0, 1, 2, 0])
    table = evaluate_landscape(
        net.eval(), images, labels, seed=0, a=(0, 0.5), path=tmp_path / "file"
    )
    known = F.cross_entropy(net(images), labels).item()
    assert table.loss[0] == pytest.approx(known, rel=1e-4)
    assert table.loss[1] != pytest.approx(known, rel=1e-2)


def test_bad_input_is_refused_and_nothing_is_written(model, batch, tmp_path):
    images, labels = batch
    options = {"seed": 0, "a": STEPS, "path": tmp_path / "file"}
    with pytest.raises(InputError, match=r"accepted: model.eval\(\)"):
        evaluate_landscape(copy.deepcopy(model).train(), *batch, **options)
    with pytest.raises(InputError, match="the batch is empty"):
        evaluate_landscape(model, images[:0], labels[:0], **options)
    with pytest.raises(InputError, match="seed 0.5 is no whole number"):
        evaluate_landscape(model, *batch, **{**options, "seed": 0.5})
    for none in ((), (0, math.nan), (math.inf,)):
        with pytest.raises(InputError, match="coordinates b .*; accepted: one or more finite"):
            evaluate_landscape(model, *batch, **options, b=none)
    assert not list(tmp_path.iterdir())
