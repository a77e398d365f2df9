from dataclasses import replace

import pandas as pd
import pytest

from resnet_study import reproduction
from resnet_study.figures import containment, data_size, fig2, gates, highway, speed, tables
from resnet_study.models.options import Gates
from resnet_study.pipeline.records import write_record
from resnet_study.questions import experiments, words
from resnet_study.questions.containment import containment_gaps
from resnet_study.questions.data_size import DataSize
from resnet_study.questions.effects import FIG2_EFFECTS
from resnet_study.questions.experiments import EXPERIMENTS, Arm, Grid
from resnet_study.questions.highway import highway_gaps
from resnet_study.reproduction import compare
from resnet_study.statistics import Estimate, estimate


def _runs(diverged=()):
    rows = []
    for family in ("plain", "residual"):
        for depth in (18, 34):
            for seed in range(3):
                error = {("plain", 34): 50.0}.get((family, depth), 2.0) + seed
                failed = (family, depth, seed) in diverged
                rows.append(
                    {
                        "family": family,
                        "depth": depth,
                        "seed": seed,
                        "parameters": 1_234_567,
                        "diverged": failed,
                        "training_error": None if failed else error,
                        "clean_training_error": None if failed else error + 0.25,
                        "validation_error": None if failed else error + 1,
                    }
                )
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("mean", "low", "high", "text"),
    [
        (1.114, 0.79, 1.35, "+1.11 [+0.79, +1.35]"),
        (-1.5, -2.0, 0.25, "−1.50 [−2.00, +0.25]"),  # a minus sign, not a hyphen
    ],
)
def test_a_difference_is_written_with_its_sign_and_interval(mean, low, high, text):
    assert words.mean_and_interval(Estimate(6, mean, 1.0, low, high)) == text
    few = Estimate(5, mean, 1.0, -9.0, 9.0, low, high)  # whose range is told, and called so
    low, high = text.split("[")[1].strip("]").split(", ")
    assert words.mean_and_interval(few) == f"{text.split(' ')[0]} ({low} to {high})"


def test_an_error_is_written_with_its_deviation():
    assert words.mean_and_deviation(Estimate(5, 2.184, 0.349, 1.0, 3.0)) == "2.18 ± 0.35"


def test_final_errors_have_one_row_a_network():
    table = tables.final_errors(_runs()).set_index("network")
    assert list(table.index) == ["plain-18", "plain-34", "ResNet-18", "ResNet-34"]
    row = table.loc["plain-34"]
    assert (row["n"], row["diverged"], row["parameters"]) == (3, 0, "1,234,567")
    assert row["training, %"] == "51.00 ± 1.00"
    assert row["training, clean, %"] == "51.25 ± 1.00"
    assert row["validation, %"] == "52.00 ± 1.00"


def test_a_run_that_diverged_is_counted_and_left_out_of_the_mean():
    table = tables.final_errors(_runs(diverged={("plain", 34, 2)})).set_index("network")
    row = table.loc["plain-34"]
    assert row["diverged"] == 1
    assert row["training, %"] == "50.50 ± 0.71"


def test_effects_have_one_row_each_with_n_claim_and_answer():
    table = fig2.effect_table(_runs())
    assert len(table) == len(FIG2_EFFECTS)
    first = table.iloc[0]
    assert first["difference"] == "plain-34 − plain-18"
    assert first[words.POINTS] == "+48.00 (+48.00 to +48.00)"
    assert (first["n"], first["claimed"], first["reads"]) == (3, "higher (C4)", "exploratory")
    assert table.difference.tolist()[2] == "ResNet-34 − ResNet-18"


def _arms():
    plain = _runs()[lambda runs: runs.family == "residual"]
    usual = {
        "rate": 0.05,
        "fraction": 1.0,
        "match": None,
        "start": "drawn",
        "multiply_adds": 4_500_000,
    }
    plain = plain.assign(**usual, gate_kernel=None, gate_bias=None)
    gated = plain.assign(family="highway", gate_kernel=3, gate_bias=-2.0)
    narrow = gated.assign(match="multiply_adds", rate=0.15, fraction=0.25)
    return pd.concat([plain, gated, narrow], ignore_index=True)


def test_arms_have_one_row_each_with_n_spread_and_cost():
    table = tables.arms(_arms())
    assert len(table) == 6
    row = table[(table.network == "Highway-34") & (table.matched == "multiply-adds")].iloc[0]
    assert (row.gate, row.rate, row["data"]) == ("3×3, −2", "0.15", "25 %")
    assert (row.parameters, row["multiply-adds"], row.n) == ("1,234,567", "4,500,000", 3)
    assert row["training, %"] == "3.00 ± 1.00"
    assert (table[table.network == "ResNet-18"].gate == "").all()


def test_what_is_usual_in_every_arm_has_no_column():
    assert "start" not in tables.arms(_arms())
    usual = tables.arms(_arms().query("match.isna() and family == 'residual'"))
    assert not {"gate", "matched", "start", "data"} & set(usual.columns)
    assert {"rate", "parameters", "multiply-adds", "n"} <= set(usual.columns)
    contained = _arms().assign(start="contained")
    assert set(tables.arms(contained).start) == {"contained"}


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.234e-34, "1.2 × 10⁻³⁴"), (13_000, "1.3 × 10⁴"), (195.4, "195"), (0.98, "0.98"), (13, "13")],
)
def test_large_and_small_numbers_are_written_with_a_power_of_ten(value, text):
    assert words.scientific(value) == text


def test_what_rounds_to_zero_has_no_sign():
    assert [words.signed(value) for value in (0.004, -0.004, -0.006)] == ["0.00", "0.00", "−0.01"]


def test_gaps_are_written_with_gate_interval_and_cost():
    table = highway.gap_table(highway_gaps(_arms(), rate=0.05, metric="training_error"))
    assert table.network.tolist() == ["Highway-18", "Highway-34"]
    row = table.iloc[0]
    assert (row.gate, row.matched, row.parameters) == ("3×3, −2", "", "1,234,567")
    assert row[words.POINTS] == "0.00 (0.00 to 0.00)"
    assert (row.n, row["multiply-adds"], row["sign"]) == (3, "4,500,000", "undecided")


def test_the_report_sets_ours_beside_theirs():
    ours, theirs = _runs(), _runs()
    theirs = theirs[theirs.seed < 2]
    table = reproduction.comparison_table(compare(ours, theirs))
    assert len(table) == len(FIG2_EFFECTS)  # no Highway net is among them
    first = table.iloc[0]
    assert first["ours"] == "+48.00 (+48.00 to +48.00), n = 3"
    assert first["yours"].endswith("n = 2")
    assert (first["claim"], first["agree"], first["p"]) == ("C4", "yes", "1.00")


def test_a_table_is_shown_without_row_numbers():
    html = tables.show(pd.DataFrame({"network": ["plain-18"]}, index=[4711])).data
    assert "plain-18" in html
    assert "4711" not in html


def test_what_one_seed_cannot_tell_is_left_out():
    one, none = estimate(pd.Series([2.0])), estimate(pd.Series([], dtype=float))
    assert words.mean_and_deviation(one) == "2.00"
    assert words.mean_and_interval(one) == "+2.00"
    assert words.mean_and_deviation(none) == words.mean_and_interval(none) == "–"


def test_costs_are_means_over_the_runs_of_a_network_on_a_device():
    runs = pd.DataFrame(
        {
            "recipe": "digits",
            "family": ["plain", "plain", "plain"],
            "depth": 18,
            "device": ["CPU", "CPU", "GPU"],
            "seconds": [60.0, 180.0, 6.0],
            "images_per_second": [100.0, 300.0, 5000.4],
        }
    )
    rows = tables.costs(runs).to_numpy().tolist()
    assert rows == [
        ["digits", "plain-18", "CPU", 2, "2", "200"],
        ["digits", "plain-18", "GPU", 1, "0.1", "5000"],
    ]


def test_what_is_missing_is_told_with_the_command_that_trains_it(tmp_path):
    experiment = replace(
        EXPERIMENTS["fig2"], grids={"digits": Grid((Arm("plain", 8),), seeds=(0, 1))}
    )
    text = experiments.coverage(experiment, "digits", tmp_path)
    assert "0 of the 2 runs" in text
    assert "`resnet-study run --experiment fig2 --recipe digits`" in text
    for run in experiment.runs():
        write_record(run.record_path(tmp_path), {"config": run.config})
    text = experiments.coverage(experiment, "digits", tmp_path)
    assert "2 of the 2 runs" in text
    assert "resnet-study run" not in text


def test_two_precisions_are_compared_seed_by_seed():
    exact = pd.DataFrame({"family": "plain", "depth": 18, "seed": [0, 1, 2], "training_error": 1.0})
    rounded = exact.assign(training_error=[1.5, 2.0, 2.5]).iloc[::-1]
    (row,) = speed.precision_table(exact, rounded).to_dict("records")
    assert row == {
        "network": "plain-18",
        "float32, %": "1.00 ± 0.00",
        "bfloat16, %": "2.00 ± 0.50",
        f"difference, {words.POINTS}": "+1.00 (+0.50 to +1.50)",
        "n": 3,
    }


def test_a_gpu_is_asked_for_only_where_it_takes_one(tmp_path):
    experiment = EXPERIMENTS["fig2"]
    assert "with a GPU" in experiments.coverage(experiment, "tiny-imagenet", tmp_path)
    text = experiments.coverage(experiment, "digits", tmp_path, seeds=[3], gpu=False)
    assert "GPU" not in text
    assert "0 of the 4 runs" in text


def _data_size(n=3):
    gaps = {f: Estimate(n, 4 * f, 0.5, 3 * f, 5 * f, 3 * f, 5 * f) for f in (0.1, 1.0)}
    slope = Estimate(n, -2.0, 0.5, -3.0, -1.0, -3.0, -1.0)
    return DataSize(Gates(kernel=3, bias=-4), gaps, gaps, slope, slope)


def test_gaps_by_amount_of_data_have_one_row_a_gate_and_fraction():
    table = data_size.fraction_table([_data_size()])
    assert table["data"].tolist() == ["10 %", "100 %"]
    row = table.iloc[1]
    assert (row.gate, row.n) == ("3×3, −4", 3)
    assert row[f"validation, {words.POINTS}"] == "+4.00 (+3.00 to +5.00)"


def test_slopes_have_reading_and_answer_once_every_fraction_is_there():
    (row,) = data_size.slope_table([_data_size()], (0.1, 1.0)).to_dict("records")
    assert row[f"validation, {words.POINTS} a decade"] == "−2.00 (−3.00 to −1.00)"
    assert (row["n"], row["reading"], row["C9"]) == (3, "optimisation", "exploratory")
    (row,) = data_size.slope_table([_data_size()], (0.1, 0.5, 1.0)).to_dict("records")
    assert row["C9"] == row["reading"] == words.NOT_RECORDED


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([0.1, 0.2, 0.3], "0.20 [0.10, 0.30]"),
        ([-0.00123, -0.002], "−0.0016 [−0.0020, −0.0012]"),
        ([56.0, 60.0], "58 [56, 60]"),
        ([0.5, 0.5], "0.50"),
        ([0.5, None], "0.50"),
        ([], "–"),
    ],
)
def test_a_mean_is_written_with_its_lowest_and_highest_seed(values, text):
    assert words.mean_and_range(pd.Series(values, dtype=float)) == text


def test_gates_have_one_row_each_with_n_and_cost():
    summary = pd.DataFrame(
        {
            "depth": [18, 18, 34],
            "gate_kernel": 3,
            "gate_bias": [-2.0, -2.0, -1.0],
            "seed": [0, 1, 0],
            "parameters": 1_234_567,
            "multiply_adds": 4_500_000,
            "transform_end": [0.1, 0.3, 0.4],
        }
    )
    table = gates.gate_table(summary, {"transform_end": "T after"})
    assert table.network.tolist() == ["Highway-18", "Highway-34"]
    row = table.iloc[0]
    assert (row.gate, row.n, row["T after"]) == ("3×3, −2", 2, "0.20 [0.10, 0.30]")
    assert (row.parameters, row["multiply-adds"]) == ("1,234,567", "4,500,000")


def test_gaps_of_contained_nets_are_paired_with_drawn_and_residual_ones():
    gated = _arms()
    half = {"gate_kernel": 1, "gate_bias": 0.0, "match": None, "rate": 0.05, "fraction": 1.0}
    drawn = gated[gated.family == "highway"].query("rate == 0.05").assign(**half)
    contained = drawn[drawn.depth == 18].assign(start="contained", training_error=80.0)
    runs = pd.concat([gated[gated.family == "residual"], drawn, contained], ignore_index=True)
    found = containment_gaps(runs, Gates(kernel=1, bias=0), "training_error")
    table = containment.containment_table(found)
    assert table.difference.tolist() == [
        "Highway, contained − Highway, drawn",
        "Highway, contained − ResNet",
        "Highway, drawn − ResNet",
        "Highway, drawn − ResNet",  # of 34 layers, where none was contained
    ]
    assert table.layers.tolist() == [18, 18, 18, 34]
    row = table.iloc[1]
    assert (row.n, row["sign"], row.parameters) == (3, "higher", "1,234,567")
    assert row[words.POINTS].startswith("+77.00 (")


def test_without_a_highway_net_there_are_no_gaps_to_show():
    residual = _arms().query("family == 'residual'")
    found = containment_gaps(residual, Gates(kernel=1, bias=0), "training_error")
    assert containment.containment_table(found).empty
