import pandas as pd

from resnet_study.figures.highway import PUBLISHED_COMPARISONS, beside_published


def _runs(highway, residual, depths=(18, 34)):
    rows = []
    for depth in depths:
        for seed in range(3):
            shared = {"depth": depth, "seed": seed}
            gates = {"gate_kernel": 3, "gate_bias": -2.0, "parameters": 985_370}
            none = {"gate_kernel": None, "gate_bias": None, "parameters": 700_000}
            for family, error, extra in (("highway", highway, gates), ("residual", residual, none)):
                if error is not None:
                    rows.append(
                        shared | extra | {"family": family, "validation_error": error + seed}
                    )
    return pd.DataFrame(rows)


def test_published_comparisons_are_those_of_the_sources():
    gaps = {one.source: round(one.highway - one.residual, 2) for one in PUBLISHED_COMPARISONS}
    assert gaps == {
        "He et al. 2015": 1.11,
        "He et al. 2016, Table 1": 2.09,
        "Srivastava 2025": -0.21,
    }


def test_ours_stand_below_the_published_ones_with_n_and_interval():
    table = beside_published({"digits": _runs(4, 3), "pictures": pd.DataFrame()})
    assert table.who.tolist()[-2:] == ["this book"] * 2
    assert len(table) == len(PUBLISHED_COMPARISONS) + 2
    first = table.iloc[0]
    assert (first["Highway, %"], first["gap, points"]) == ("7.72", "+1.11")
    ours = table.iloc[-1]
    assert (ours.layers, ours.gate, ours.n) == ("34, 34", "3×3, −2", "3")
    assert (ours["Highway, %"], ours["ResNet, %"]) == ("5.00 ± 1.00", "4.00 ± 1.00")
    assert ours["gap, points"] == "+1.00 (+1.00 to +1.00)"
    assert ours.parameters == "0.99 M, 0.70 M"


def test_a_comparison_that_is_not_recorded_has_no_row():
    assert len(beside_published({"pictures": _runs(None, 3)})) == len(PUBLISHED_COMPARISONS)
