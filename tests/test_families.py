"""Families that are a file each, and the one that is the example of it."""

import os
import subprocess
import sys

import pytest
import torch
from torch.nn import functional as F

from resnet_study import paths
from resnet_study.errors import InputError
from resnet_study.models import families
from resnet_study.models.blocks import named_blocks
from resnet_study.models.networks import build_model
from resnet_study.models.options import FAMILIES

MINE = """
from torch import nn
LABEL, COLOUR = "mine", "#123456"
class Block(nn.Conv2d):
    def __init__(self, channels_in, channels_out, stride, shortcut, normalisation="batch"):
        super().__init__(channels_in, channels_out, 3, stride, padding=1)
"""


@pytest.fixture
def blocks(tmp_path, monkeypatch):
    """An empty folder of somebody's own blocks."""
    monkeypatch.setattr(families, "FOLDERS", (families.FOLDERS[0], tmp_path))
    families.load_family.cache_clear()
    yield tmp_path
    families.load_family.cache_clear()


def preactivation(shortcut="A", depth=8):
    torch.manual_seed(0)
    return build_model(
        "preactivation", depth, classes=3, channels=1, stem="small", width=4, shortcut=shortcut
    )


def test_every_file_is_a_family():
    assert {path.stem for path in families.FOLDERS[0].glob("[!_]*.py")} <= set(FAMILIES)
    for name in families.find_families():
        assert families.load_family(name).LABEL


def test_somebodys_file_is_a_family(blocks):
    (blocks / "mine.py").write_text(MINE)
    (blocks / ".mine.swp.py").write_text("an editor's")
    assert {"mine", "preactivation"} == set(families.find_families())
    assert families.load_family("mine").COLOUR == "#123456"


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("My-Block.py", MINE, "accepted is a name of small letters and digits"),
        ("preactivation.py", MINE, "family preactivation is there twice"),
        ("mine.py", "import no_such_module", "does not run: ModuleNotFoundError"),
        ("mine.py", "def f(:", "does not run: SyntaxError"),
        ("mine.py", MINE.replace("LABEL", "TITLE"), "has no LABEL; needed: Block, LABEL, COLOUR"),
    ],
)
def test_a_file_that_is_no_family_is_told_in_one_line(blocks, name, text, told):
    (blocks / name).write_text(text)
    with pytest.raises(InputError, match=told) as caught:
        families.find_families()
        families.load_family("mine")
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_family_of_a_workspace_trains_from_the_command_line(tmp_path):
    (tmp_path / "blocks").mkdir()
    (tmp_path / "blocks" / "mine.py").write_text(MINE)
    options = "run --family mine --depth 8 --width 1 --epochs 1 --device cpu"
    done = subprocess.run(
        [sys.executable, "-m", "resnet_study", *options.split()],
        env=os.environ | {"RESNET_STUDY_ROOT": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "data/runs/digits/mine-8-width-1-epochs-1-seed-0.json").is_file()


@pytest.mark.parametrize("shortcut", ["A", "B", "C"])
def test_the_preactivation_block_is_the_papers(shortcut):
    """Written out by hand, layer by layer: He et al. 2016, Fig. 4(e), and the appendix."""
    model = preactivation(shortcut).train()
    first, *_, last = blocks = list(named_blocks(model).values())

    def activated(norm, x):
        return F.relu(F.batch_norm(x, None, None, norm.weight, norm.bias, training=True))

    images = torch.randn(5, 1, 8, 8)
    conv, norm, *_ = model.stem
    x = activated(norm, F.conv2d(images, conv.weight, padding=1))  # which the first block shares
    for block in blocks:
        active = x if block is first else activated(block.activation[0], x)
        one, (norm, _), two = block.branch
        inside = F.conv2d(active, one.weight, stride=one.stride, padding=1)
        branch = F.conv2d(activated(norm, inside), two.weight, padding=1)
        if block.projects:
            away = F.conv2d(active, block.shortcut.weight, stride=one.stride)
        else:
            new = branch.shape[1] - x.shape[1]
            away = F.pad(x[:, :, :: one.stride[0], :: one.stride[0]], (0, 0, 0, 0, 0, new))
        x = away + branch
    x = activated(last.last[0], x)
    expected = model.classifier(x.mean(dim=(2, 3)))
    assert torch.allclose(model(images), expected, atol=1e-5)
    assert any(block.projects for block in blocks) == (shortcut != "A")


def test_nothing_stands_on_the_way_from_block_to_block():
    """With branches that are zero, each block of a stage but the last hands on what it got."""
    model = preactivation(depth=14)
    block = named_blocks(model)["stage2.2"]
    torch.nn.init.zeros_(block.branch[2].weight)
    x = torch.randn(2, 8, 4, 4)
    assert torch.equal(block(x), x)  # negative values too


def test_own_blocks_decide_the_fingerprint_of_the_code(tmp_path, monkeypatch):
    from resnet_study.pipeline.provenance import code_fingerprint

    before = code_fingerprint()
    monkeypatch.setattr(paths, "BLOCKS", tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    assert code_fingerprint() != before
