"""Weights that were kept: found again, those of their record, and of use to torchvision."""

import pytest
import torch
import torchvision
from test_models import shaken

from resnet_study import paths
from resnet_study.data.datasets import load_data
from resnet_study.errors import InputError
from resnet_study.models.networks import build_model
from resnet_study.models.to_torchvision import to_torchvision
from resnet_study.pipeline.perform import is_recorded, perform
from resnet_study.pipeline.records import read_record, weights_path, write_record
from resnet_study.pipeline.run import make_run, run_from_config
from resnet_study.pipeline.verification import verify
from resnet_study.pipeline.weights import images_of, load_trained, trained
from resnet_study.training.loop import evaluate

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    run = make_run("digits", family="highway", depth=8, seed=3, epochs=1, width=2)
    return perform(run, device="cpu", runs_dir=tmp_path_factory.mktemp("runs"), keep_weights=True)


def _validation_error(record):
    run = run_from_config(read_record(record)["config"])
    data = load_data(run.recipe.data, run.recipe.held_out)
    return evaluate(load_trained(record), data, "validation", run.recipe)[0]


def test_a_kept_net_has_the_error_of_its_record(kept):
    assert _validation_error(kept) == read_record(kept)["final"]["validation_error"]
    assert not load_trained(kept).training
    assert images_of(kept)["shape"] == [1, 8, 8]


def _no_record(kept):
    kept.unlink()


def _no_file(kept):
    weights_path(kept).unlink()


def _no_hash(kept):
    content = read_record(kept)
    del content["weights"], content["sha256"]
    write_record(kept, content)


def _other_weights(kept):
    path = weights_path(kept)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_no_record, "cannot be read: No such file"),
        (_no_file, "there are no weights at .*; accepted: of a run with --keep-weights"),
        (_no_hash, "there are no weights at"),
        (_other_weights, "has other weights than those of its record"),
    ],
)
def test_other_weights_are_refused_in_one_line(kept, tmp_path, spoil, said):
    copy = tmp_path / "digits" / kept.name
    copy.parent.mkdir()
    for path in (kept, weights_path(kept)):
        (copy.parent / path.name).write_bytes(path.read_bytes())
    spoil(copy)
    with pytest.raises(InputError, match=said) as error:
        load_trained(copy)
    assert "\n" not in str(error.value)
    if spoil is _other_weights:
        assert verify([copy], tmp_path) == (1, [str(error.value)])


def test_an_unknown_net_is_answered_with_those_there_are():
    with pytest.raises(InputError, match="no trained net is called 'resnet50'; accepted: plain-34"):
        load_trained("resnet50")


def test_weights_that_were_not_kept_are_trained_again_only_on_request(kept):
    run, folder = run_from_config(read_record(kept)["config"]), kept.parents[1]
    assert is_recorded(run, folder, paths.DOWNLOADS, keep_weights=True)
    content = weights_path(kept).read_bytes()
    weights_path(kept).unlink()
    assert is_recorded(run, folder, paths.DOWNLOADS)
    with pytest.raises(InputError, match="and its weights are not; accepted: --runs-dir"):
        is_recorded(run, folder, paths.DOWNLOADS, keep_weights=True)
    weights_path(kept).write_bytes(content)


@pytest.mark.parametrize("way", [(), ("--seeds", "0-1")], ids=["run", "queue"])
def test_the_command_keeps_weights(command, tmp_path, way):
    options = ["--depth", "8", "--width", "1", "--epochs", "1", "--device", "cpu", "--keep-weights"]
    assert command("run", *options, *way, "--runs-dir", tmp_path)[0] == 0
    records = sorted(tmp_path.glob("digits/*.json"))
    assert len(records) == (2 if way else 1)
    for record in records:
        assert _validation_error(record) == read_record(record)["final"]["validation_error"]


@pytest.mark.parametrize("shortcut", ["A", "B", "C"])
@pytest.mark.parametrize(("depth", "stem"), [(18, "imagenet"), (34, "imagenet"), (20, "small")])
def test_torchvision_gives_the_same_logits(depth, stem, shortcut):
    torch.manual_seed(0)
    options = {"classes": 7, "stem": stem, "shortcut": shortcut}
    ours = shaken(build_model("residual", depth, width=8, **options)).double()
    images = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        expected = ours(images)
        assert expected.std() > 0.1  # of a size to which 1e-5 means something
        theirs = to_torchvision(ours)
        assert isinstance(theirs, torchvision.models.ResNet) and not theirs.training
        torch.testing.assert_close(theirs(images), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_the_weights_fit_torchvisions_own_net(shortcut):
    ours = shaken(build_model("residual", 34, classes=10, shortcut=shortcut))
    theirs = torchvision.models.resnet34(num_classes=10)
    theirs.load_state_dict(to_torchvision(ours).state_dict())
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = ours(images)
        torch.testing.assert_close(theirs.eval()(images), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    ("family", "normalisation"),
    [("plain", "batch"), ("preactivation", "batch"), ("residual", "none")],
)
def test_what_torchvision_does_not_have_is_refused(family, normalisation):
    network = build_model(family, 18, classes=10, width=2, normalisation=normalisation)
    with pytest.raises(InputError, match="accepted: residual nets with batch normalisation"):
        to_torchvision(network)


def test_two_nets_on_digits_come_along():
    assert trained() == ["plain-34-seed-0", "residual-34-seed-0"]


@pytest.mark.parametrize("name", trained())
def test_a_net_that_comes_along_has_the_error_of_its_record(name):
    (path,) = paths.WEIGHTS.glob(f"*/{name}.json")
    record = read_record(path)
    one = 100 / record["validation_images"]  # at the border another processor may decide otherwise
    error = record["final"]["validation_error"]
    assert _validation_error(path) == pytest.approx(error, abs=1.001 * one)


def test_torch_hub_loads_a_net():
    network = torch.hub.load(str(paths.ROOT), "trained", "residual-34-seed-0", source="local")
    images = torch.zeros(1, 1, 8, 8)
    assert torch.equal(network(images), load_trained("residual-34-seed-0")(images))
    theirs = torch.hub.load(str(paths.ROOT), "to_torchvision", network, source="local")
    assert isinstance(theirs, torchvision.models.ResNet)
