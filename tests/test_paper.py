import pandas as pd
import pytest

from resnet_study.questions.paper import beside_table_2, final_paper_errors, load_paper_curves


@pytest.fixture(scope="module")
def errors():
    """(split, family, plateau) to (error of 18 layers, of 34, gap), as numbers."""
    table = final_paper_errors(load_paper_curves())
    return {
        (row["error"], row["family"], row["plateau"]): tuple(
            float(row[name].replace("−", "-"))
            for name in ("18 layers, %", "34 layers, %", "gap, points")
        )
        for row in table.to_dict("records")
    }


@pytest.mark.parametrize(
    ("split", "family", "plateau", "expected"),
    [
        ("validation", "plain", "before the first drop", (50.1, 54.9)),
        ("validation", "plain", "before the second drop", (36.7, 38.6)),
        ("validation", "plain", "end", (31.4, 32.5)),
        ("validation", "ResNet", "before the first drop", (47.0, 44.5)),
        ("validation", "ResNet", "before the second drop", (35.5, 32.4)),
        ("validation", "ResNet", "end", (31.1, 28.2)),
        ("training", "plain", "end", (31.7, 33.1)),
        ("training", "ResNet", "end", (29.9, 25.0)),
    ],
)
def test_the_papers_errors_on_its_plateaus(errors, split, family, plateau, expected):
    *found, gap = errors[split, family, plateau]
    # Digitised to about 0.3 points; thin lines hide each other, so training has fewer points.
    tolerance = {"validation": 0.3, "training": 0.6}[split]
    assert found == pytest.approx(expected, abs=tolerance)
    assert gap == pytest.approx(found[1] - found[0], abs=0.11)  # all three are rounded


def test_the_papers_plain_gap_shrinks_as_the_rate_drops(errors):
    gaps = [
        errors["validation", "plain", plateau][2]
        for plateau in ("before the first drop", "before the second drop", "end")
    ]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] > 0


def test_every_line_of_the_papers_figure_is_there():
    curves = load_paper_curves()
    lines = curves.groupby(["family", "depth", "split"])
    assert set(lines.groups) == {
        (family, depth, split)
        for family in ("plain", "residual")
        for depth in (18, 34)
        for split in ("training", "validation")
    }
    assert lines.size().min() > 50
    assert curves.iteration.between(0, 600_000).all()
    assert curves.error_percent.between(20, 80).all()
    assert not curves.duplicated(["family", "depth", "split", "iteration"]).any()


def test_our_errors_stand_beside_table_2():
    """Ten-crop errors where there are any, means over seeds, and a dash for what is not there."""
    rows = [("plain", 18, 40.0), ("plain", 34, 41.0), ("plain", 34, 43.0), ("residual", 18, 39.0)]
    ours = pd.DataFrame(rows, columns=["family", "depth", "ten_crop_error"])
    ours["validation_error"] = 99.0
    small = ours.drop(columns="ten_crop_error").iloc[:1]
    table = beside_table_2({"ours": ours, "small": small, "none": pd.DataFrame()})
    assert table.columns.tolist() == ["error, %", "ImageNet, Table 2", "ours", "small", "none"]
    assert table.to_numpy().tolist() == [
        ["plain-18", "27.94", "40.00", "99.00", "–"],
        ["plain-34", "28.54", "42.00", "–", "–"],
        ["ResNet-18", "27.88", "39.00", "–", "–"],
        ["ResNet-34", "25.03", "–", "–", "–"],
        ["plain-34 − plain-18", "+0.60", "+2.00", "–", "–"],
        ["ResNet-34 − ResNet-18", "−2.85", "–", "–", "–"],
    ]
