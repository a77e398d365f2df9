import json
import re
from dataclasses import replace

import pytest

from resnet_study import paths
from resnet_study.errors import InputError
from resnet_study.figures import claims as figures
from resnet_study.pipeline.frames import load_runs
from resnet_study.questions import claims, lines, literature, objections
from resnet_study.questions.claims import CLAIMS, Claim, Examined, Finding
from resnet_study.questions.experiments import EXPERIMENTS
from resnet_study.questions.lines import ANSWERS, LINES, NOT_SO, PICTURES, Sentence, answer, line
from resnet_study.questions.literature import STATEMENTS, Grade
from resnet_study.questions.verdicts import Answer, Bearing, Check, Verdict
from resnet_study.statistics import Estimate, from_moments
from resnet_study.training.recipes import get_recipe

pytestmark = pytest.mark.slow

NUMBERS = [f"C{n}" for n in range(1, 10)]


@pytest.fixture(scope="module")
def found():
    """All claims on the committed records."""
    return claims.examine()


def test_nine_claims_have_all_their_cells(found):
    assert [claim.number for claim in CLAIMS] == [*found] == [*LINES] == NUMBERS
    for claim in CLAIMS:
        assert len(claim.text) > 20 and len(claim.about) > 10
        assert (paths.NOTEBOOKS / f"{claim.chapter}.ipynb").is_file()
        assert found[claim.number].findings


def test_a_claim_without_a_primary_measure_is_refused():
    with pytest.raises(InputError, match="C4 has no primary measure"):
        replace(CLAIMS[3], primary="")


def test_a_claim_without_a_cell_for_the_literature_is_refused(monkeypatch):
    fewer = tuple(one for one in STATEMENTS if one.claim != "C3")
    monkeypatch.setattr(literature, "STATEMENTS", fewer)
    with pytest.raises(InputError, match="C3 has no statement in the literature"):
        claims.examine()


def test_every_finding_is_told_with_its_numbers(found):
    for number, one in found.items():
        for finding in one.findings:
            if finding.answer is Answer.NOT_RECORDED:
                assert finding.command.startswith("resnet-study "), (number, finding.where)
            else:
                assert finding.files, (number, finding.where)


def test_nothing_of_fewer_than_six_seeds_decides_and_none_is_given_an_interval(found):
    for one in found.values():
        for finding in one.findings:
            # What is measured "with" other nets stands beside the measure, and decides nothing.
            few = [name for name, e in finding.effects.items() if e.n < 6 and " with " not in name]
            if few:
                assert finding.answer in (Answer.EXPLORATORY, Answer.NOT_RECORDED), finding.where
            for name, effect in finding.effects.items():
                told = claims.in_words(replace(finding, effects={name: effect}))
                assert ("[" in told) == (effect.n >= 6), told


def test_short_or_easy_trainings_do_not_bear_on_claims_about_imagenet(found):
    assert found["C5"].at(PICTURES).bearing is Bearing.IN_KIND
    briefly = found["C5"].at("20 classes of Tiny ImageNet, briefly")
    assert Check.LENGTH in briefly.failed and briefly.bearing is Bearing.NONE
    digits = found["C5"].at("digits, fresh seeds")
    assert Check.REGIME in digits.failed and digits.bearing is Bearing.NONE
    larger = found["C8"].at("digits, first seeds")
    assert Check.SIZES in larger.failed


def test_fig_2_on_digits_is_as_its_chapter_has_it(found):
    first = found["C4"].at("digits, first seeds")
    assert first.answer is Answer.EXPLORATORY
    assert {gap.n for gap in first.effects.values()} == {5}
    assert found["C4"].at("digits, fresh seeds").answer is Answer.SAME


def test_without_records_every_claim_rests_on_the_literature_and_says_what_to_run(tmp_path):
    (tmp_path / "runs").mkdir()
    for number, one in claims.examine(tmp_path / "runs", tmp_path / "measurements").items():
        expected = Verdict.OPEN if one.grade is Grade.UNREPORTED else Verdict[one.grade.name]
        assert one.verdict is expected, number
        for finding in one.findings:
            assert finding.answer is Answer.NOT_RECORDED
            assert finding.command.startswith("resnet-study ")


def test_nets_of_unequal_size_are_told(monkeypatch):
    def larger(records):
        runs = load_runs(records)
        return runs.assign(parameters=runs.parameters + (runs.family == "residual"))

    monkeypatch.setattr(claims, "load_runs", larger)
    (claim,) = (claim for claim in CLAIMS if claim.number == "C6")
    answers = {one.answer for one in claim.examine(paths.RUNS, paths.MEASUREMENTS)}
    assert answers == {Answer.OPPOSITE}


def test_the_commands_name_experiments_and_recipes_that_exist(found):
    commands = [finding.command for one in found.values() for finding in one.findings]
    for command in filter(None, "; ".join(filter(None, commands)).split("; ")):
        run = re.fullmatch(r"resnet-study run --experiment (\S+) --recipe (\S+)", command)
        if run:
            assert run[2] in EXPERIMENTS[run[1]].grids
        else:
            assert re.fullmatch(r"resnet-study measure( \w+)?", command)


def test_every_sentence_of_the_front_page_is_true_of_the_records(found):
    for number in NUMBERS:
        assert NOT_SO not in line(number, found), line(number, found)


@pytest.fixture(scope="module")
def remains():
    runs = load_runs(EXPERIMENTS["objections"].records(paths.RUNS, "digits"))
    return objections.remainders(runs, get_recipe("digits"), objections.DEGRADATION)


@pytest.mark.parametrize("page", ANSWERS)
def test_every_answer_of_the_story_is_true_of_the_records(page, found, remains):
    told = answer(page, remains if page == "objections" else found)
    assert NOT_SO not in told


@pytest.mark.parametrize("page", [page for page in ANSWERS if page != "objections"])
def test_an_answer_is_marked_in_records_turned_round(page, found):
    assert answer(page, {name: _turned(one) for name, one in found.items()}).startswith(NOT_SO)


def test_an_answer_is_marked_where_the_best_means_do_not_help(remains):
    helpless = {**remains, objections.BEST: remains[objections.RECIPE]}
    assert answer("objections", helpless).startswith(NOT_SO)


def _turned(one):
    """A claim's effects with the other sign, and the other answer where it had the claimed one."""
    opposite = {Answer.SAME: Answer.OPPOSITE, Answer.AS_GOOD: Answer.WORSE}
    turned = [
        replace(
            finding,
            answer=opposite.get(finding.answer, finding.answer),
            effects={name: _negative(effect) for name, effect in finding.effects.items()},
        )
        for finding in one.findings
    ]
    return Examined(one.claim, one.grade, turned)


def _negative(e):
    return Estimate(e.n, -e.mean, e.deviation, -e.high, -e.low, -e.most, -e.least)


def test_a_sentence_that_is_no_longer_true_is_marked(found):
    """The fourth claim's records turned round."""
    told = line("C4", {**found, "C4": _turned(found["C4"])})
    assert told.startswith(NOT_SO)


def test_a_sentence_about_what_is_not_recorded_is_marked(found):
    empty = {name: Examined(one.claim, one.grade, []) for name, one in found.items()}
    assert line("C4", empty).startswith(NOT_SO)


def test_a_number_in_a_sentence_comes_from_the_records(found):
    mean = found["C4"].at(PICTURES).effects
    points = f"{[*mean.values()][0].mean:.0f} points"
    assert points in line("C4", found)
    sentence = Sentence("{} of them.", lambda _: True, lambda _: ("7",))
    assert sentence.told(found) == "7 of them."


def test_the_front_table_has_a_word_and_a_line_for_each_claim(found):
    table = figures.front_table(found)
    assert [re.match(r"\[(C\d)\]", cell)[1] for cell in table[""]] == NUMBERS
    assert set(table.Verdict) <= {f"**{word}**" for word in Verdict}


def test_tables_of_findings_say_what_is_not_met():
    finding = Finding("here", Answer.SAME, {Check.LENGTH: False}, {"D": from_moments(6, 1, 1)}, 0.0)
    (row,) = figures.findings_table([finding]).to_dict("records")
    assert row["Of the claim"] == f"does not bear; not met: {Check.LENGTH}"
    assert row["p"] == "below 0.001"
    assert "What is missing" not in row


@pytest.fixture
def one_claim(monkeypatch):
    claim = Claim("C1", "All is well.", "All.", "How well.", "fig2", lambda *_: [])
    findings = [
        Finding("digits", Answer.SAME, {Check.OBJECT: True}, {"D": from_moments(6, 1.0, 0.1)}),
        Finding("there", Answer.EXPLORATORY, {}, {"D": Estimate(3, 1, 0.1, 0.8, 1.2, 0.9, 1.1)}),
        Finding("elsewhere", Answer.NOT_RECORDED, {}, command="resnet-study measure"),
    ]
    found = {"C1": Examined(claim, Grade.REPORTED_ONCE, findings)}
    monkeypatch.setattr(claims, "examine", lambda runs_dir: found)
    monkeypatch.setattr(lines, "LINES", {"C1": (Sentence("So it is.", lambda _: True),)})


def test_the_command_tells_verdicts_findings_and_what_is_missing(command, one_claim):
    status, out, _ = command("verdicts")
    assert status == 0
    assert out.splitlines() == [
        "C1  reported once: All is well.",
        "    So it is.",
        "    literature: reported once",
        "    digits: same sign, bears directly; D +1.00 [+0.90, +1.10]; n = 6",
        "    there: exploratory, bears directly; D +1.00 (+0.90 to +1.10); n = 3",
        "    elsewhere: not recorded yet, bears directly",
        "      missing: resnet-study measure",
    ]


def test_the_command_tells_programs_the_same(command, one_claim):
    status, out, _ = command("verdicts", "--json")
    (told,) = json.loads(out)
    assert status == 0
    assert (told["claim"], told["verdict"], told["literature"]) == ("C1", *["reported once"] * 2)
    first, second, third = told["findings"]
    assert first["effects"]["D"]["mean"] == 1 and first["effects"]["D"]["least"] is None
    assert second["answer"] == "exploratory" and second["effects"]["D"]["most"] == 1.1
    assert third["missing"] == "resnet-study measure" and third["p"] is None
