import re

import pytest

from resnet_study import paths
from resnet_study.questions import claims
from resnet_study.questions.claims import Claim, Finding, conclude, seeds_wanted
from resnet_study.questions.experiments import EXPERIMENTS
from resnet_study.questions.words import NOT_RECORDED
from resnet_study.statistics import Estimate

UNDECIDED = Estimate(5, 0.5, 0.8, -0.2, 1.2)


@pytest.fixture(scope="module")
def examined():
    """All claims on the committed records."""
    return {claim.number: findings for claim, findings in claims.examine().items()}


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["supported", "not decided", NOT_RECORDED], "supported"),
        (["refuted", "refuted", "not decided"], "refuted"),
        (["supported", "refuted"], "supported under conditions"),
        (["mixed"], "supported under conditions"),
        (["supported at the start alone", "not decided"], "supported under conditions"),
        (["not decided", NOT_RECORDED], "not decided"),
        ([], "not decided"),
    ],
)
def test_one_verdict_follows_from_all_scales(verdicts, expected):
    assert conclude([Finding("somewhere", verdict) for verdict in verdicts]) == expected


def test_the_seeds_that_would_decide_follow_from_mean_and_spread():
    assert seeds_wanted([UNDECIDED]) == 11  # (2 · 0.8 / 0.5)², rounded up
    assert seeds_wanted([UNDECIDED, Estimate(5, 4.0, 0.8, 3.3, 4.7)]) == 11
    assert seeds_wanted([Estimate(5, 0.1, 0.8, -0.6, 0.8)]) is None  # hundreds
    assert seeds_wanted([Estimate(1, 0.5, float("nan"), float("nan"), float("nan"))]) is None


def test_every_claim_has_a_text_a_rule_and_a_chapter():
    assert [claim.number for claim in claims.CLAIMS] == [f"C{n}" for n in range(1, 10)]
    for claim in claims.CLAIMS:
        assert len(claim.text) > 20 and len(claim.rule) > 40
        assert (paths.NOTEBOOKS / f"{claim.chapter}.ipynb").is_file()


def test_every_finding_on_the_committed_records_is_told_with_its_numbers(examined):
    for number, findings in examined.items():
        assert findings, number
        for finding in findings:
            if finding.verdict == NOT_RECORDED:
                assert finding.command.startswith("resnet-study "), (number, finding)
            if finding.verdict in ("supported", "refuted") and finding.effects:
                assert all(gap.n >= 3 for gap in finding.effects.values()), (number, finding)


def test_fig_2_is_supported_on_digits_with_the_effects_of_its_chapter(examined):
    (digits, *_) = examined["C4"]
    assert digits.verdict == "supported"
    assert {gap.n for gap in digits.effects.values()} == {5}
    assert digits.effects["training error"].mean > 30


def test_without_records_every_claim_is_undecided_and_says_what_to_run(tmp_path):
    (tmp_path / "runs").mkdir()
    for findings in claims.examine(tmp_path / "runs", tmp_path / "measurements").values():
        assert conclude(findings) == "not decided"
        for finding in findings:
            assert finding.verdict == NOT_RECORDED
            assert finding.command.startswith("resnet-study ")
            assert claims.what_decides(finding) == f"`{finding.command}`"


def test_nets_of_unequal_size_refute_c6(monkeypatch):
    from resnet_study.pipeline.frames import load_runs

    def larger(records):
        runs = load_runs(records)
        return runs.assign(parameters=runs.parameters + (runs.family == "residual"))

    monkeypatch.setattr(claims, "load_runs", larger)
    (claim,) = (claim for claim in claims.CLAIMS if claim.number == "C6")
    assert conclude(claim.examine(paths.RUNS, paths.MEASUREMENTS)) == "refuted"


def test_the_commands_name_experiments_and_recipes_that_exist(examined):
    for findings in examined.values():
        for finding in findings:
            if match := re.match(
                r"resnet-study run --experiment (\S+) --recipe (\S+)", finding.command
            ):
                assert match[2] in EXPERIMENTS[match[1]].grids
            else:
                assert finding.command in ("", "resnet-study measure")


def test_the_command_tells_verdicts_and_what_would_decide(command, monkeypatch):
    claim = Claim("C0", "All is well.", "None.", "fig2", lambda runs, measurements: [])
    found = [
        Finding("digits", "supported", {"training error": Estimate(3, 1.0, 0.1, 0.9, 1.1)}),
        Finding("elsewhere", NOT_RECORDED, {}, "resnet-study run --experiment fig2"),
        Finding("there", "not decided", {"validation error": UNDECIDED}),
    ]
    monkeypatch.setattr(claims, "examine", lambda runs_dir: {claim: found})
    status, out, _ = command("verdicts")
    assert status == 0
    assert out.startswith("C0  supported: All is well.")
    assert "digits: supported; training error +1.00 [+0.90, +1.10]; n = 3" in out
    assert "would decide it: resnet-study run --experiment fig2" in out
    assert "nothing within 30 seeds" in out
