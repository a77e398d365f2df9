"""The loss around trained nets, as a measurement."""

import numpy as np
import pytest

from resnet_study.errors import InputError
from resnet_study.relief import measure, settings

SMALL = settings("residual", 8, seed=0) | {"points": 3, "epochs": 1, "width": 2}


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
