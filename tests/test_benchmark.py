"""The benchmark of the training loops, on generated data; nothing here depends on a time."""

import contextlib
import copy
import io
import json
import runpy
import subprocess
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

# The scripts there import each other by name.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import random_images
from floor import Ceilings, count_bytes, count_flops, count_outputs, measure_ceilings
from loops import MAKERS, PictureFiles, stock_transforms
from PIL import Image
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from training_loop import benchmark, time_steps

from resnet_study import paths
from resnet_study.data.datasets import load_data, make_dataset
from resnet_study.data.options import Augmentation
from resnet_study.figures import speed as speed_figures
from resnet_study.figures import style
from resnet_study.models.networks import build_model, count_parameters
from resnet_study.pipeline.benchmarks import LOOPS, coverage, find_results, load_speeds, result_path
from resnet_study.pipeline.records import RecordError, read_record, write_record
from resnet_study.training.recipes import PRECISIONS, get_recipe

pytestmark = pytest.mark.slow

SCRIPT = paths.ROOT / "benchmarks" / "training_loop.py"
CPU = torch.device("cpu")
RECIPE = get_recipe("digits", width=2, batch=16)
NETWORKS = (("plain", 8), ("residual", 8))
every_loop = pytest.mark.parametrize("name", LOOPS)


def _network(family="residual"):
    torch.manual_seed(0)
    return build_model(family, 8, classes=3, channels=1, stem="small", width=2)


def _steps(loop, count):
    batches = loop.batches(RECIPE.batch)
    for images, labels in islice(batches, count):
        loop.learn(images, labels)
    batches.close()


@pytest.fixture(scope="module")
def measured():
    """A benchmark of two rounds of two steps, and what it printed."""
    data = make_dataset(random_images(50), random_images(20, seed=1))
    ceilings = iter([Ceilings(5e9, 1e9), Ceilings(4e9, 2e9)])  # one for each network
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        found = benchmark(
            RECIPE, data, None, lambda: next(ceilings), networks=NETWORKS, rounds=2, steps=2
        )
    return found, printed.getvalue()


@pytest.fixture
def result(measured):
    return copy.deepcopy(measured[0])


@pytest.fixture
def written(result, tmp_path):
    """The same as a file."""
    path = result_path(tmp_path, "A Processor (TM) 3.0", "digits", "float32")
    write_record(path, result)
    return path


@every_loop
def test_a_loop_goes_on_after_an_epoch_and_takes_full_batches_only(dataset, name):
    loop = MAKERS[name](_network(), dataset, RECIPE, None)
    batches = loop.batches(RECIPE.batch)
    for images, labels in islice(batches, 8):  # an epoch has three full ones
        assert images.shape == (16, 1, 8, 8)
        assert images.dtype == torch.float32
        assert labels.shape == (16,)
    batches.close()


@pytest.mark.parametrize("precision", PRECISIONS)
@every_loop
def test_a_loop_learns(dataset, name, precision):
    network = _network()
    before = copy.deepcopy(network.state_dict())
    recipe = replace(RECIPE, precision=precision)
    _steps(MAKERS[name](network, dataset, recipe, None), 4)
    after = network.state_dict()
    assert all(torch.isfinite(value).all() for value in after.values())
    assert not torch.equal(before["classifier.weight"], after["classifier.weight"])
    assert int(after["stem.1.num_batches_tracked"]) == 4


def test_the_stock_loop_and_ours_learn_the_same_from_the_same_batches(dataset):
    """Otherwise it would be no comparison; an epoch, before their random numbers part."""
    networks = {name: _network() for name in ("resident", "ours")}
    for name, network in networks.items():
        _steps(MAKERS[name](network, dataset, RECIPE, None), 3)
    stock, ours = (network.state_dict() for network in networks.values())
    for key, value in stock.items():
        torch.testing.assert_close(ours[key], value, rtol=1e-4, atol=1e-5)


@pytest.fixture
def pictures(tmp_path):
    """A folder of training files in the real layout: 20 classes of 2, told apart by colour."""
    for number in range(20):
        images = tmp_path / "tiny-imagenet-200" / "train" / f"n{number:08}" / "images"
        images.mkdir(parents=True)
        pixels = np.full((64, 64, 3), (10 * number, 60, 128), dtype=np.uint8)
        for image in range(2):
            Image.fromarray(pixels).save(images / f"n{number:08}_{image}.JPEG")
    return tmp_path


def test_the_stock_loop_reads_every_tenth_class_and_labels_it_anew(pictures):
    files = PictureFiles(pictures, 2, nn.Identity())
    assert [label for _, label in files] == [0, 0, 1, 1]
    assert [round(np.asarray(image)[..., 0].mean(), -1) for image, _ in files] == [0, 0, 100, 100]


def test_the_stock_loop_sees_pictures_as_ours_does(pictures):
    """Of one colour, a picture is the same wherever it is cut."""
    read = [np.asarray(image) for image, _ in PictureFiles(pictures, 20, nn.Identity())]
    data = make_dataset(
        random_images(40, shape=(3, 64, 64)), random_images(4, seed=1, shape=(3, 64, 64))
    )
    data.train.images.copy_(torch.tensor(np.stack(read)).permute(0, 3, 1, 2))
    augmentation = Augmentation(scales=(64, 120), crop=56, flip=True)
    files = PictureFiles(pictures, 20, stock_transforms(augmentation, data))
    theirs = torch.stack([image for image, _ in files])
    (ours, _), *_ = data.training_batches(torch.arange(40), 40, augmentation, torch.Generator())
    assert theirs.shape == ours.shape == (40, 3, 56, 56)
    torch.testing.assert_close(theirs, ours, rtol=0, atol=0.05)


def test_the_stock_loop_changes_colours_as_the_recipe_says(pictures):
    data = make_dataset(random_images(40, shape=(3, 64, 64)), random_images(4, shape=(3, 64, 64)))
    recipe = get_recipe("tiny-imagenet-20")
    image, _ = PictureFiles(pictures, 2, stock_transforms(recipe.augmentation, data))[0]
    again, _ = PictureFiles(pictures, 2, stock_transforms(recipe.augmentation, data))[0]
    assert image.shape == (3, 56, 56)
    assert image.std(dim=(1, 2)).max() < 0.1  # still of one colour, but of another
    assert not torch.allclose(image.mean(dim=(1, 2)), again.mean(dim=(1, 2)))


def test_counted_flops_are_those_of_a_step_but_for_the_gradient_of_the_images():
    network = _network()
    with FlopCounterMode(display=False) as counter:
        network(torch.rand(16, 1, 8, 8)).sum().backward()
    first = 2 * 16 * network.stem[0].weight.numel() * 64
    assert count_flops(network, (1, 8, 8), 16) == counter.get_total_flops() + first


def test_counted_bytes_are_parameters_images_and_outputs():
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 64, 3)
    )
    assert count_outputs(network, (1, 8, 8)) == 4 * 64 + 3
    parameters = count_parameters(network)
    for precision, width in (("float32", 4), ("tensorfloat32", 4), ("bfloat16", 2)):
        expected = 2 * 12 * parameters + 2 * width * 5 * (64 + 4 * 64 + 3)
        assert count_bytes(network, (1, 8, 8), 5, precision) == expected


def test_counting_leaves_the_network_as_it_was():
    network = _network()
    count_outputs(network, (1, 8, 8))
    assert next(network.parameters()).device == CPU
    assert network.training
    assert not any(layer._forward_hooks for layer in network.modules())


def test_the_floor_is_the_slower_of_arithmetic_and_memory():
    ceilings = Ceilings(flops_per_second=100.0, bytes_per_second=10.0)
    assert ceilings.seconds(flops=1000, size=10) == 10
    assert ceilings.seconds(flops=10, size=1000) == 100


@pytest.mark.parametrize("precision", PRECISIONS)
def test_ceilings_are_measured_in_every_precision(precision):
    ceilings = measure_ceilings(CPU, precision, side=16, size=2**10)
    assert ceilings.flops_per_second > 0
    assert ceilings.bytes_per_second > 0


def test_a_round_takes_the_steps_that_warm_up_and_those_that_it_times(dataset):
    network = _network()
    loop = MAKERS["ours"](network, dataset, RECIPE, None)
    assert time_steps(loop, RECIPE.batch, 1, CPU) > 0
    one = int(network.stem[1].num_batches_tracked)
    time_steps(loop, RECIPE.batch, 3, CPU)
    assert int(network.stem[1].num_batches_tracked) == 2 * one + 2


def test_a_result_says_what_was_measured_on_what(result):
    assert (result["recipe"], result["batch"], result["precision"]) == ("digits", 16, "float32")
    assert (result["rounds"], result["steps"], result["training_images"]) == (2, 2, 50)
    assert result["data_bytes"] == 70 * 64
    assert result["provenance"]["device"]["type"] == "cpu"
    assert {"commit", "packages", "threads"} <= result["provenance"].keys()
    assert [(n["family"], n["depth"]) for n in result["networks"]] == list(NETWORKS)
    assert (result["flops_per_second"], result["bytes_per_second"]) == (5e9, 2e9)  # the highest
    for network in result["networks"]:
        least = max(network["flops_per_step"] / 5e9, network["bytes_per_step"] / 2e9)
        assert network["floor_ms"] == pytest.approx(1000 * least)
        assert network["loops"].keys() == LOOPS.keys()
        for loop in network["loops"].values():
            assert len(loop["images_per_second"]) == 2
            assert min(loop["images_per_second"]) > 0
            assert loop["peak_memory_bytes"] is None  # not told on a CPU


def test_the_benchmark_prints_a_line_a_network(measured):
    lines = measured[1].splitlines()
    assert [line.split(":")[0] for line in lines] == ["plain-8", "ResNet-8"]
    for line in lines:
        for words in (*LOOPS.values(), "images/s", "(c)/(a)", "(c)/(b)"):
            assert words in line


def test_a_result_comes_back_as_it_was_written(result, written):
    content = read_record(written)
    assert {key: content[key] for key in result} == json.loads(json.dumps(result))
    assert find_results(written.parent) == [written]
    assert written.name == "a-processor-tm-3-0-digits-float32.json"


def test_a_result_changed_by_hand_is_found(written):
    written.write_text(written.read_text().replace('"batch": 16', '"batch": 32'))
    with pytest.raises(RecordError, match="altered"):
        load_speeds(written)


def test_there_are_no_results_where_there_is_no_folder(tmp_path):
    assert find_results(tmp_path / "none") == []


@pytest.fixture
def known(result, tmp_path):
    """A result with round numbers: of 16 images, steps of 16, 8 and 4 ms over a floor of 1 ms."""
    for network in result["networks"]:
        network["floor_ms"] = 1.0
        for loop, speed in zip(network["loops"].values(), (1000, 2000, 4000), strict=True):
            loop["images_per_second"] = [speed - 100, speed, speed + 300]
    path = tmp_path / "known.json"
    write_record(path, result)
    return path


def test_speeds_are_medians_with_their_spread(known):
    speeds = load_speeds(known)
    assert len(speeds) == len(NETWORKS) * len(LOOPS)
    row = speeds.iloc[0]
    assert (row.family, row.depth, row.loop) == ("plain", 8, "stock")
    assert (row.images_per_second, row.lowest, row.highest) == (1000, 900, 1300)
    assert (row.step_ms, row.floor_fraction) == (16, 1 / 16)
    assert pd.isna(row.peak_memory_bytes)


def test_a_table_of_speeds_compares_with_ours(known):
    table = speed_figures.speed_table(load_speeds(known))
    assert list(table.network) == ["plain-8"] * 3 + ["ResNet-8"] * 3
    assert list(table["ours"][:3]) == ["4.00×", "2.00×", "1.00×"]
    assert list(table["of floor"][:3]) == ["6 %", "12 %", "25 %"]
    assert table["images/s [lowest, highest]"][2] == "4,000 [3,900, 4,300]"
    assert "peak memory, GiB" not in table


def test_a_table_of_speeds_shows_memory_where_it_was_measured(known):
    speeds = load_speeds(known).assign(peak_memory_bytes=1.5 * 2**30)
    assert set(speed_figures.speed_table(speeds)["peak memory, GiB"]) == {"1.50"}


def test_a_table_of_measurements_says_how_long_figure_2_takes(known):
    (row,) = speed_figures.benchmark_table([known]).to_dict("records")
    assert (row["recipe"], row["batch"], row["rounds × steps"]) == ("digits", 16, "2 × 2")
    assert row["Fig. 2 once, minutes"] == f"{2 * 20 * 50 / 4000 / 60:.3g}"


def test_the_figure_has_a_bar_for_each_network_and_loop(known):
    (axes,) = speed_figures.speeds(load_speeds(known), "digits on a processor").axes
    widths = [bar.get_width() for bar in axes.patches]
    assert widths == [1000, 1000, 2000, 2000, 4000, 4000]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["plain-8", "ResNet-8"]
    assert axes.yaxis_inverted()  # the first on top
    assert axes.get_title() == "digits on a processor"
    (legend,) = axes.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == list(LOOPS.values())
    style.plt.close(axes.figure)


def test_the_book_says_that_no_gpu_was_measured_until_one_was(known):
    assert "No GPU has been measured yet" in coverage([])
    text = coverage([known])
    assert "Measured: digits in float32 on " in text
    assert "No GPU has been measured yet" in text
    assert "--device cuda --recipe tiny-imagenet" in text
    content = read_record(known)
    content["provenance"]["device"] = {"type": "cuda", "name": "A GPU"}
    write_record(known, content)
    assert coverage([known]) == "Measured: digits in float32 on A GPU."


@pytest.mark.parametrize("path", find_results(), ids=lambda path: path.stem)
def test_a_committed_result_is_whole_and_in_its_place(path):
    result = read_record(path)
    device = result["provenance"]["device"]["name"]
    names = (result["recipe"], result["precision"])
    assert path == result_path(paths.BENCHMARKS, device, *names)
    speeds = load_speeds(path)
    assert len(speeds) == 4 * len(LOOPS)
    assert (speeds.lowest <= speeds.images_per_second).all()
    assert (speeds.images_per_second <= speeds.highest).all()
    assert speeds.floor_fraction.between(0, 1, inclusive="neither").all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--recipe", "cifar9"], ["cifar9", "digits, tiny-imagenet-20, tiny-imagenet"]),
        (["--precision", "float8"], ["float8", "float32, tensorfloat32, bfloat16"]),
        (["--recipe", "imagenet"], ["imagenet", "digits"]),
        (["--device", "cuda:99"], ["cuda:99", "cpu"]),
        (["--rounds", "0"], ["rounds 0", "1 or more"]),
        (["--steps", "0"], ["steps 0", "1 or more"]),
        (["--steps", "many"], ["--steps", "many"]),
        (["--output", SCRIPT], ["training_loop.py"]),
        (["--stpes", "3"], ["--stpes"]),
    ],
)
def test_a_mistake_gets_one_line_and_writes_nothing(monkeypatch, tmp_path, arguments, words):
    default = ["--output", tmp_path / "results"]
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, default + arguments)])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert isinstance(stop.value.code, str)  # goes to standard error, with exit status 1
    assert "\n" not in stop.value.code
    for word in words:
        assert word in stop.value.code
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def _run(*arguments):
    return subprocess.run(
        [sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True
    )


def test_a_data_folder_of_another_layout_is_refused(tmp_path):
    (tmp_path / "tiny-imagenet-200").mkdir()
    arguments = ["--recipe", "tiny-imagenet-20", "--data-dir", tmp_path]
    done = _run(*arguments, "--device", "cpu", "--output", tmp_path / "results")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "wnids.txt" in done.stderr
    assert find_results(tmp_path / "results") == []


def test_the_command_measures_the_four_networks_and_writes_a_result(tmp_path):
    options = ["--rounds", 1, "--steps", 1, "--device", "cpu", "--output", tmp_path]
    done = _run("--recipe", "digits", *options)
    assert done.returncode == 0, done.stderr
    (path,) = find_results(tmp_path)
    *lines, last = done.stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "plain-18",
        "plain-34",
        "ResNet-18",
        "ResNet-34",
    ]
    assert last == f"written: {path}"
    result = read_record(path)
    assert result["provenance"]["threads"] == 1
    assert result["training_images"] == len(load_data("digits", 360).train)
    assert len(load_speeds(path)) == 4 * len(LOOPS)
