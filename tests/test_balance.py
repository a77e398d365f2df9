"""Balance of gradients in nets that are drawn and not trained."""

import pandas as pd
import pytest
import torch

from resnet_study.models.networks import build_model
from resnet_study.pipeline.balance import decades, measure
from resnet_study.pipeline.measurements import get_measurement


def test_decades_are_of_the_weights_of_the_first_block_over_those_of_the_last():
    torch.manual_seed(0)
    model = build_model("plain", 8, classes=3, channels=3, stem="small", width=4)
    images, labels = torch.randn(8, 3, 8, 8), torch.arange(8) % 3
    found = decades(model, images, labels)
    torch.nn.functional.cross_entropy(model(images), labels).backward()
    norms = []
    for block in (model.stages[0][0], model.stages[-1][-1]):
        weights = (block.branch.conv1.weight, block.branch.conv2.weight)
        norms.append(sum(weight.grad.square().sum() for weight in weights).sqrt())
    assert found == pytest.approx(torch.log10(norms[0] / norms[1]).item(), rel=1e-4)


def test_a_draw_is_the_same_again_and_has_every_kind_of_net():
    small = {"depth": 8, "width": 2, "draws": 2, "images": 4, "size": 8, "classes": 3}
    table = measure(**small)["balance"]
    pd.testing.assert_frame_equal(table, measure(**small)["balance"])
    assert len(table) == len(table.drop_duplicates(["draw", "family", "normalisation"])) == 8


def test_the_record_has_twenty_draws_as_registered():
    step = get_measurement("balance")
    assert (step.settings["draws"], step.settings["images"], step.settings["size"]) == (20, 64, 32)
    assert set(step.tables()["balance"].groupby(["family", "normalisation"]).size()) == {20}
