import math

import pytest
import torch
from torch import nn

from resnet_study.diagnostics.gates import (
    describe_gates,
    measure_gates,
    measure_lesions,
    measure_start,
    recalibration_images,
)
from resnet_study.diagnostics.inspection import calibrate
from resnet_study.diagnostics.lesions import without
from resnet_study.figures.gates import constant_carry, summarise
from resnet_study.models.highway import Gate, highway_blocks
from resnet_study.models.networks import build_model
from resnet_study.models.options import Gates
from resnet_study.pipeline.frames import load_gates, load_lesions
from resnet_study.pipeline.perform import perform
from resnet_study.pipeline.records import read_record
from resnet_study.pipeline.run import Run
from resnet_study.training.recipes import get_recipe

RECIPE = get_recipe("digits")


def _model(gates=None, depth=18, width=2):
    torch.manual_seed(0)
    gates = gates or Gates()
    return build_model(
        "highway", depth, classes=3, channels=1, stem="small", width=width, gates=gates
    ).eval()


def _constant(model):
    """Gates whose convolutions are blind, so that T is σ(bias)."""
    for part in model.modules():
        if isinstance(part, Gate):
            nn.init.zeros_(part.conv.weight)
    return model


def _unchanged(model, before):
    return all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def _copy(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


@pytest.mark.parametrize(
    ("bias", "of_8_blocks", "of_16_blocks"),
    [
        (0, 0.004, 1.5e-5),
        (-1, 0.08, 0.007),
        (-2, 0.36, 0.13),
        (-3, 0.68, 0.46),
        (-4, 0.87, 0.75),
        (-6, 0.98, 0.96),
    ],
)
def test_the_carry_product_of_constant_gates_is_the_known_one(
    dataset, bias, of_8_blocks, of_16_blocks
):
    for depth, known in ((18, of_8_blocks), (34, of_16_blocks)):
        model = _constant(_model(Gates(bias=bias), depth, width=1))
        for columns in (
            measure_start(model, dataset, RECIPE),
            measure_gates(model, dataset, RECIPE),
        ):
            assert len(columns["carry"]) == (depth - 2) // 2
            product = math.prod(columns["carry"])
            assert product == pytest.approx(known, rel=0.07)  # known to one or two digits
            assert product == pytest.approx(
                (1 - 1 / (1 + math.exp(-bias))) ** len(columns["carry"]), rel=1e-4
            )


def test_constant_gates_have_no_spread_and_know_no_class(dataset):
    columns = measure_gates(_constant(_model(Gates(bias=-3))), dataset, RECIPE)
    assert columns["block"] == list(highway_blocks(_model()))
    assert columns["transform"] == pytest.approx([1 / (1 + math.exp(3))] * 8, rel=1e-5)
    for name in ("deviation", "class_share", "bias_deviation"):
        assert columns[name] == pytest.approx([0] * 8, abs=1e-6)
    assert columns["bias"] == [-3] * 8


def test_random_gates_are_measured_over_images_channels_and_positions(dataset):
    model = _model()
    columns = measure_gates(model, dataset, RECIPE)
    seen = []
    gate = highway_blocks(model)["stage2.1"].transform
    handle = gate.register_forward_hook(lambda part, given, output: seen.append(output))
    for images, _ in dataset.evaluation_batches("validation", RECIPE.augmentation):
        model(images)
    handle.remove()
    t = torch.cat(seen).double()
    assert columns["transform"][2] == pytest.approx(t.mean().item(), rel=1e-4)
    assert columns["deviation"][2] == pytest.approx(t.std(correction=0).item(), rel=1e-3)
    assert columns["carry"][2] == pytest.approx((1 - t).log().mean().exp().item(), rel=1e-4)
    assert columns["deviation"][2] > 0.02


def test_the_class_share_is_one_where_the_class_decides_and_small_where_it_does_not(dataset):
    """The labels of the data set show as brightness; shuffled, they tell nothing."""
    model = _model()
    told = measure_gates(model, dataset, RECIPE)["class_share"][0]
    labels = dataset.validation.labels
    labels.copy_(labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(1))])
    shuffled = measure_gates(model, dataset, RECIPE)["class_share"][0]
    assert told > 0.5 > shuffled


def test_a_carry_gate_of_its_own_counts(dataset):
    model = _constant(_model(Gates(bias=-2, form="uncoupled")))
    for block in highway_blocks(model).values():
        nn.init.constant_(block.carry.shift, 0)
    columns = measure_gates(model, dataset, RECIPE)
    assert columns["carry"] == pytest.approx([0.5] * 8)


def test_biases_that_moved_are_told(dataset):
    model = _model(Gates(bias=-2, normalised=True))
    with torch.no_grad():
        highway_blocks(model)["stage1.2"].transform.shift.copy_(torch.tensor([-1.0, -2.0]))
    columns = measure_gates(model, dataset, RECIPE)
    assert columns["bias"][:3] == [-2, -1.5, -2]
    assert columns["bias_deviation"][:3] == [0, 0.5, 0]


def test_a_lesion_leaves_the_shortcut_alone():
    block = highway_blocks(_model())["stage2.1"]
    images = torch.rand(2, 2, 8, 8)
    whole = block(images)
    with without(block):
        assert torch.equal(block(images), block.shortcut(images))
    assert torch.equal(block(images), whole)


def test_a_lesion_of_a_block_that_carries_all_changes_nothing(dataset):
    model = _model()
    images = next(dataset.evaluation_batches("validation", RECIPE.augmentation))[0]
    whole = model(images)
    closed = highway_blocks(model)["stage1.1"]
    nn.init.zeros_(closed.transform.conv.weight)
    nn.init.constant_(closed.transform.shift, -100)
    assert not torch.equal(model(images), whole)
    with without(closed):
        injured = model(images)
    torch.testing.assert_close(model(images), injured)


def test_lesions_have_an_error_for_each_block_and_leave_the_model_alone(dataset):
    model = _model()
    before = _copy(model)
    columns = measure_lesions(model, dataset, RECIPE)
    assert columns["block"] == list(highway_blocks(model))
    for name in ("error", "recalibrated"):
        assert all(0 <= error <= 100 for error in columns[name])
    assert _unchanged(model, before)


def test_recalibration_gives_the_statistics_of_the_training_images(dataset):
    model = _model()
    calibrate(model, recalibration_images(dataset, RECIPE))
    images = torch.cat([i for i, _ in dataset.evaluation_batches("train", RECIPE.augmentation)])
    first = model.stem[0](images).transpose(0, 1).flatten(1)
    torch.testing.assert_close(model.stem[1].running_mean, first.mean(dim=1), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(model.stem[1].running_var, first.var(dim=1), atol=1e-5, rtol=1e-4)
    assert not model.training
    assert model.stem[1].momentum == 0.1


def test_measuring_the_start_leaves_the_model_and_the_random_state_alone(dataset):
    model = _model().train()
    before, state = _copy(model), torch.get_rng_state()
    columns = measure_start(model, dataset, RECIPE)
    assert _unchanged(model, before)
    assert model.training
    assert torch.equal(torch.get_rng_state(), state)
    assert describe_gates(model, dataset, RECIPE, columns)["start"] is columns


@pytest.mark.slow
def test_the_record_of_a_gated_net_holds_its_gates_and_stays_small(tmp_path):
    run = Run(get_recipe("digits", epochs=2, width=2), "highway", 18, 0, gates=Gates(bias=-1))
    path = perform(run, device="cpu", runs_dir=tmp_path)
    gates = read_record(path)["gates"]
    assert gates.keys() == {"start", "end", "lesions"}
    assert set(gates["start"]["bias"]) == {-1}
    assert set(gates["end"]["bias"]) != {-1}
    assert {len(c) for part in gates.values() for c in part.values()} == {8}
    assert path.stat().st_size < 10_000


def test_other_records_hold_none(tiny_record, tmp_path):
    assert "gates" not in read_record(tiny_record)
    diverging = Run(get_recipe("digits", epochs=1, width=1, rate=1e30), "highway", 8, 0)
    record = read_record(perform(diverging, device="cpu", runs_dir=tmp_path))
    assert record["diverged_at"] is not None
    assert "gates" not in record


@pytest.mark.slow
def test_a_summary_has_one_row_a_run_with_means_over_the_blocks(tmp_path):
    recipe = get_recipe("digits", epochs=1, width=1)
    runs = [
        Run(recipe, "highway", 8, seed, gates=Gates(bias=b)) for b in (-2, -1) for seed in (0, 1)
    ]
    records = [perform(run, device="cpu", runs_dir=tmp_path) for run in runs]
    gates, lesioned = load_gates(records), load_lesions(records)
    table = summarise(gates, lesioned)
    assert table[["gate_bias", "seed"]].to_numpy().tolist() == [[-2, 0], [-2, 1], [-1, 0], [-1, 1]]
    end = read_record(records[3])["gates"]["end"]
    row = table.iloc[3]
    for name in ("transform", "deviation", "class_share", "bias"):
        assert row[f"{name}_end"] == pytest.approx(sum(end[name]) / 3)
    assert row.bias_start == -1
    assert row.carry_product_end == pytest.approx(math.prod(end["carry"]))
    assert (row.blocks, row.carry_product_constant) == (3, constant_carry(-1, 3))
    costs = lesioned[(lesioned.gate_bias == -1) & (lesioned.seed == 1)].set_index("block")
    assert row.worst_cost == costs.cost.max() == costs.cost[row.worst]
    assert row.worst_recalibrated == costs.cost_recalibrated[row.worst]
    assert row.harmless == (costs.cost_recalibrated <= 0).mean()


def test_constant_gates_carry_the_known_product():
    assert constant_carry(-2, 16) == pytest.approx((1 - 1 / (1 + math.exp(2))) ** 16)
