"""The loss around trained nets, as a measurement."""

import numpy as np
import pandas as pd
import pytest

from resnet_study.errors import InputError
from resnet_study.figures import shortcut
from resnet_study.pipeline.landscapes import measure
from resnet_study.pipeline.measurements import landscape_settings

SMALL = landscape_settings("residual", 8, seed=0) | {"points": 3, "epochs": 1, "width": 2}


def test_the_centre_is_the_trained_net_and_all_else_is_around_it(tmp_path):
    tables = measure(**SMALL, work=tmp_path)
    landscape, final = tables["landscape"], tables["final"].iloc[0]
    assert len(landscape) == 9 and sorted(landscape.a.unique()) == [-1, 0, 1]
    centre = landscape[(landscape.a == 0) & (landscape.b == 0)].iloc[0]
    assert centre.error == pytest.approx(final.clean_training_error)
    assert landscape.loss.nunique() > 5 and np.isfinite(landscape.loss).all()


def test_a_finished_landscape_is_read_and_one_of_another_net_refused(tmp_path):
    first = measure(**SMALL, work=tmp_path)["landscape"]
    (path,) = tmp_path.iterdir()
    written = path.stat().st_mtime_ns
    assert measure(**SMALL, work=tmp_path)["landscape"].equals(first)
    assert path.stat().st_mtime_ns == written
    other = measure(**(SMALL | {"seed": 1}), work=tmp_path)["landscape"]
    assert not other.equals(first)
    path.write_bytes((tmp_path / path.name.replace("seed-0", "seed-1")).read_bytes())
    with pytest.raises(InputError, match="has another"):
        measure(**SMALL, work=tmp_path)


def _landscape(scale):
    axis = np.linspace(-1, 1, 5)
    return pd.DataFrame(
        [(a, b, scale * (0.01 + a**2 + b**2), 10.0) for a in axis for b in axis],
        columns=["a", "b", "loss", "error"],
    )


def test_landscapes_side_by_side_have_one_scale():
    both = {"plain-34": _landscape(1), "ResNet-34": _landscape(10)}
    contours = shortcut.contours(both)
    levels = [axes.collections[0].levels for axes in contours.axes]
    assert np.array_equal(*levels) and levels[0][0] <= -2 and 10 ** levels[0][-1] >= 20
    limits = {axes.get_zlim() for axes in shortcut.relief(both).axes}
    assert len(limits) == 1


def test_an_infinite_loss_is_missing_and_not_the_scale():
    broken = _landscape(1)
    broken.loc[0, "loss"] = np.inf
    contours = shortcut.contours({"a": broken, "b": _landscape(1)})
    assert np.isfinite(contours.axes[0].collections[0].levels).all()


def test_responses_and_lesions_have_a_line_for_each_net():
    rows = [
        {"family": f, "depth": d, "seed": s, "position": p, "deviation": 1.0}
        for f in ("plain", "residual")
        for d in (18, 34)
        for s in (0, 1)
        for p in (1, 2)
    ]
    assert [len(axes.lines) for axes in shortcut.responses(pd.DataFrame(rows)).axes] == [2, 2]
    table = pd.DataFrame(rows)
    table = table.assign(
        block=lambda t: "stages.1." + (t.position - 1).astype(str),
        error=50,
        recalibrated=20,
        whole=10,
    )
    left, right = shortcut.lesions(table, 34).axes
    assert left.get_title() == "plain-34" and right.get_title() == "ResNet-34"
    assert len(left.lines) == 4  # two errors, the whole net, a block that halves the resolution
