"""The path of a GPU, on a GPU that is not there; and what it would look like with faults."""

import inspect
import sys
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from unittest import mock

import pytest
import torch
from conftest import random_images
from emulated_gpu import emulated_gpu

from resnet_study import paths
from resnet_study.data.datasets import make_dataset
from resnet_study.data.options import Augmentation
from resnet_study.diagnostics import gates
from resnet_study.errors import OutOfTime
from resnet_study.models.networks import build_model
from resnet_study.models.options import Gates
from resnet_study.pipeline.perform import perform
from resnet_study.pipeline.records import read_record
from resnet_study.pipeline.run import Run
from resnet_study.training import graphs, loop
from resnet_study.training.checkpoints import Checkpoint
from resnet_study.training.recipes import get_recipe

sys.path.append(str(paths.ROOT / "benchmarks"))
from loops import MAKERS

pytestmark = pytest.mark.slow

PICTURES = Augmentation(scales=(8, 15), crop=7, flip=True, colour=True)
DIGITS = get_recipe("digits", epochs=3, batch=16)  # 50 images: the fourth batch is an odd one
RECIPES = {
    "digits": DIGITS,
    "pictures": replace(DIGITS, augmentation=PICTURES, ten_crop=True, precision="tensorfloat32"),
    "bfloat16": replace(DIGITS, augmentation=PICTURES, precision="bfloat16"),
}
FAMILIES = ("plain", "residual", "highway")


def _data(recipe):
    shape = (1, 8, 8) if recipe.augmentation.scales is None else (3, 8, 8)
    parts = (random_images(50, shape=shape), random_images(20, shape=shape, seed=1))
    return make_dataset(*parts).to("cuda")


def _model(data, family="residual", **options):
    torch.manual_seed(0)
    return build_model(
        family, 8, classes=3, channels=data.channels, stem="small", width=2, **options
    )


def _trained(recipe, family, graphed):
    """History and weights of a training; without graphs each kernel is launched by itself."""
    single = mock.patch.object(
        graphs.GraphedGradients, "__call__", lambda self, *batch: self.compute(*batch)
    )
    with emulated_gpu() as gpu:
        data = _data(recipe)
        model = _model(data, family)
        with nullcontext() if graphed else single:
            history = loop.train(model, data, recipe, seed=0)
        weights = {name: tensor.cpu() for name, tensor in model.state_dict().items()}
    assert gpu.captures == graphed
    assert not gpu.mixed
    return replace(history, seconds=0), weights


def graph_is_single_launches(recipe, family):
    history, weights = _trained(recipe, family, graphed=True)
    same, others = _trained(recipe, family, graphed=False)
    assert history == same and history.diverged_at is None
    assert all(torch.equal(weights[name], others[name]) for name in weights)


def no_host_waits_within_an_epoch(recipe):
    with emulated_gpu() as gpu:
        data = _data(recipe)
        training = loop.Training(_model(data), data, recipe, seed=0)
        for _ in range(2):
            gpu.waits.clear()
            for batch in training.rest_of_epoch():
                training.learn(*batch)
            assert not gpu.waits
            training.close_epoch(training.evaluate())
    assert not gpu.mixed


def resumed_is_unbroken(stops, folder):
    """Stop after each of so many steps, of which every fourth is of the odd batch, and go on."""
    recipe = RECIPES["pictures"]
    with emulated_gpu():
        data = _data(recipe)
        unbroken = loop.train(_model(data), data, recipe, seed=0)
        for steps in stops:
            left = iter([False] * (steps - 1) + [True])
            checkpoint = Checkpoint(folder / "checkpoint", {})
            over = mock.PropertyMock(side_effect=lambda left=left: next(left))
            with mock.patch.object(Checkpoint, "out_of_time", over), pytest.raises(OutOfTime):
                loop.train(_model(data), data, recipe, seed=0, checkpoint=_due(checkpoint))
        last = Checkpoint(folder / "checkpoint", {})
        resumed = loop.train(_model(data), data, recipe, seed=0, checkpoint=last)
    assert resumed.curve == unbroken.curve
    assert resumed.wrong_images == unbroken.wrong_images


def _due(checkpoint):
    checkpoint.seconds = 0  # save after every step
    return checkpoint


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", RECIPES)
def test_a_graph_is_single_launches_to_the_bit(name, family):
    graph_is_single_launches(RECIPES[name], family)


@pytest.mark.parametrize("name", RECIPES)
def test_the_host_does_not_wait_within_an_epoch(name):
    no_host_waits_within_an_epoch(RECIPES[name])


@pytest.mark.parametrize("stops", [(1,), (3,), (4,), (5, 2), (1,) * 11])
def test_a_resumed_training_goes_on_to_the_bit_also_around_the_odd_batch(stops, tmp_path):
    resumed_is_unbroken(stops, tmp_path)


@pytest.mark.parametrize("form", ["coupled", "uncoupled"])
def test_gates_are_measured_on_a_gpu_as_on_the_cpu(form):
    recipe, found = RECIPES["pictures"], []
    for device in ("cpu", "cuda"):
        with emulated_gpu() as gpu:
            data = _data(recipe).to(device)
            model = _model(data, "highway", gates=Gates(form=form)).to(device)
            found.append(gates.measure_gates(model.eval(), data, recipe))
        assert not gpu.mixed
    assert found[0] == found[1]


def test_a_run_on_a_gpu_is_recorded_as_such(tmp_path):
    run = Run(get_recipe("digits", epochs=1, width=1), "highway", 8, seed=0)
    with emulated_gpu() as gpu:
        path = perform(run, device="auto", runs_dir=tmp_path)
    device = read_record(path, "run")["provenance"]["device"]
    assert (device["type"], device["name"], device["capability"]) == ("cuda", "No GPU", "9.0")
    assert not gpu.mixed and gpu.captures == 1


@pytest.mark.parametrize(("name", "waits"), [("ours", False), ("resident", True)])
def test_the_loops_of_the_benchmark_run_and_ours_does_not_wait(name, waits, tmp_path):
    recipe = replace(RECIPES["pictures"], batch=8)
    with emulated_gpu() as gpu:
        data = _data(recipe)
        made = MAKERS[name](_model(data), data, recipe, tmp_path)
        gpu.waits.clear()
        for _, batch in zip(range(9), made.batches(8), strict=False):
            made.learn(*batch)
    assert bool(gpu.waits) == waits
    assert not gpu.mixed


# Faults: what the lines of the library are instead, and what finds it.


@contextmanager
def planted(owner, old, new):
    """Within it a class or function is what its source would make with ``new`` for ``old``."""
    source = inspect.getsource(owner)
    assert source.count(old) == 1, f"{old!r} is not in {owner.__name__} any more"
    module = sys.modules[owner.__module__]
    scope = dict(vars(module))
    exec(compile(source.replace(old, new), f"/resnet_study/{owner.__name__}", "exec"), scope)
    with ExitStack() as stack:
        for each in (module, loop):
            if getattr(each, owner.__name__, None) is owner:
                stack.enter_context(mock.patch.object(each, owner.__name__, scope[owner.__name__]))
        yield


def _graph(_):
    graph_is_single_launches(RECIPES["digits"], "residual")


def _waits(_):
    no_host_waits_within_an_epoch(RECIPES["pictures"])


def _resume(folder):
    resumed_is_unbroken((5, 2), folder)


FAULTS = {
    "the images of the first batch are learnt again": (
        graphs.GraphedGradients, "self.images.copy_(images)", "pass", _graph
    ),
    "the labels of the first batch are": (
        graphs.GraphedGradients, "self.labels.copy_(labels)", "pass", _graph
    ),
    "the gradients of an odd batch stay": (
        graphs.GraphedGradients, "parameter.grad = gradient", "pass", _graph
    ),
    "the warm-up moves running statistics": (
        graphs.GraphedGradients, "buffer.copy_(before)", "pass", _graph
    ),
    "the odd batch is replayed, too": (
        loop.Training, " and len(labels) == self.recipe.batch", "", _graph
    ),
    "the graph is never replayed": (
        graphs.GraphedGradients, "self.graph.replay()", "pass", _graph
    ),
    "the loss is read at every step": (
        loop.Training, "self.step += 1", "self.step += 1; loss.item()", _waits
    ),
    "a rate lies on the CPU": (
        loop.Training,
        "loss = F.cross_entropy(logits, labels)",
        "loss = F.cross_entropy(logits + torch.zeros(3), labels)",
        _waits,
    ),
    "an order of the CPU picks images": (
        loop.Training, "rest = self.order[", "rest = self.order.cpu()[", _waits
    ),
    "the generator is not saved": (
        loop.Training, 'self.generator.set_state(state["generator"])', "pass", _resume
    ),
    "the order is drawn anew": (
        loop.Training, 'self.order = state["order"] if', "self.order = None if True else state if",
        _resume,
    ),
    "momentum is forgotten": (
        loop.Training, 'self.optimiser.load_state_dict(state["optimiser"])', "pass", _resume
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault, tmp_path):
    owner, old, new, check = FAULTS[fault]
    check(tmp_path)
    with planted(owner, old, new), pytest.raises((AssertionError, RuntimeError)):
        check(tmp_path / "planted")
