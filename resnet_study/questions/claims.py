"""The nine claims of the post: what others found, what we measured, and what ours says of them.

A claim has four cells: the claim as it is stated; the literature's grade, from published trainings;
our findings, one a scale; and whether each of those bears on the claim, by a checklist. The rules
that read the records are those of the chapters and of :mod:`resnet_study.questions.registered`;
here they are brought together. The word on the front page follows from grade and bearing.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from math import isnan, nan
from pathlib import Path

import pandas as pd

from resnet_study import paths
from resnet_study.errors import InputError
from resnet_study.pipeline.frames import load_runs
from resnet_study.pipeline.measurements import MEASUREMENTS
from resnet_study.pipeline.records import read_record
from resnet_study.questions import depth as depth_questions
from resnet_study.questions import gradients, registered
from resnet_study.questions.data_size import data_size
from resnet_study.questions.effects import FIG2_EFFECTS, select
from resnet_study.questions.experiments import EXPERIMENTS, USUAL_GATES
from resnet_study.questions.highway import highway_answer
from resnet_study.questions.literature import Grade, graded, load_literature
from resnet_study.questions.paper import load_paper_curves
from resnet_study.questions.scales import BRACKETED, DEPTHS, EXPLORED, REGISTERED
from resnet_study.questions.verdicts import (
    Answer,
    Bearing,
    Check,
    Verdict,
    bearing,
    combine,
    read,
    verdict,
)
from resnet_study.questions.words import mean_and_interval
from resnet_study.statistics import Estimate, from_moments, paired_difference
from resnet_study.training.recipes import get_recipe

GRID = 5_000  # iterations between two points of the paper's curves, as digitised
CAPACITY = 0.75  # of the validation error is training error, at least: the pilots' gate
# Training error is that of the last epoch while it ran, or of the trained net on clean images.
METRICS = {registered.CLEAN: "clean training error", registered.VALIDATION: "validation error"}
RUNNING = "running training error"
ACTIVATIONS = {"sigmoid": "sigmoid", "relu": "ReLU"}  # of the untrained nets that C2 speaks of
SAME_SIZE = 0.02  # parameters may differ by that share


@dataclass(frozen=True)
class Finding:
    """What one scale says of a claim.

    ``checks`` are those that the claim asks for, and whether they are met; ``effects`` the numbers
    by what they are, of which the first decides, with ``p`` after correction; ``files`` the
    records behind them;
    ``command`` trains or measures what is missing, empty if nothing is.
    """

    where: str
    answer: Answer
    checks: dict[Check, bool]
    effects: dict[str, Estimate] = field(default_factory=dict)
    p: float = nan
    command: str = ""
    files: tuple[Path, ...] = ()

    @property
    def bearing(self) -> Bearing:
        """Whether the finding speaks about the claim as it was made."""
        return bearing(self.checks)

    @property
    def failed(self) -> list[Check]:
        """The checks that are not met."""
        return [check for check, met in self.checks.items() if not met]


Examine = Callable[[Path, Path], list[Finding]]  # of folders of records and of measurements


@dataclass(frozen=True)
class Claim:
    """A claim of the post, what is measured of it, and the chapter that tells of it.

    Raises:
        InputError: without a primary measure.
    """

    number: str
    text: str
    about: str  # object and kind of the claim
    primary: str  # the one measure that it is read from, named beforehand
    chapter: str  # name of its notebook
    examine: Examine

    def __post_init__(self):
        if not self.primary:
            raise InputError(f"{self.number} has no primary measure; accepted: one, in words")


@dataclass(frozen=True)
class Examined:
    """A claim with its findings and the literature's grade of it."""

    claim: Claim
    grade: Grade
    findings: list[Finding]

    @property
    def verdict(self) -> Verdict:
        """The word of the front page."""
        return verdict(self.grade, ((found.bearing, found.answer) for found in self.findings))

    def at(self, where: str) -> Finding:
        """The finding at a place, a value of ``scales.REGISTERED`` or the like."""
        return next(found for found in self.findings if found.where == where)


def _checks(runs: pd.DataFrame, recipe: str, sizes: bool) -> dict[Check, bool]:
    """What trainings of a recipe meet of the checks for claims about errors, from their records.

    The claims' own object is ImageNet. Long enough is beyond the last grid point at which the
    paper's curves are not drawn yet. What limits a net is read on all of the data, net by net.
    ``sizes``: whether families of equal depth must be equally large.
    """
    whole = runs[runs.fraction == 1]
    longest = max((_iterations(path) for path in whole.path), default=0)
    errors = ["clean_training_error", "validation_error"]
    means = whole.astype(dict.fromkeys(errors, float)).groupby(["family", "depth"])[errors].mean()
    found = {
        Check.OBJECT: recipe == "imagenet",
        Check.LENGTH: longest > load_paper_curves().iteration.min() - GRID,
        Check.REGIME: bool((means.clean_training_error >= CAPACITY * means.validation_error).all()),
        Check.BRACKETED: recipe in BRACKETED,
    }
    if sizes:
        spread = runs[runs.family != "plain"].groupby("depth").parameters.agg(["min", "max"])
        found[Check.SIZES] = bool((spread["max"] <= (1 + SAME_SIZE) * spread["min"]).all())
    return found


def _iterations(path: str) -> int:
    return read_record(Path(path), "run")["curve"]["iteration"][-1]


def _registered(number: str, runs_dir: Path) -> list[Finding]:
    """The registered measure of a claim, at each scale that was registered."""
    found = []
    for recipe, where in REGISTERED.items():
        reading = registered.readings(recipe, runs_dir).get(number)
        if reading is None:
            continue
        missing = registered.missing(recipe, runs_dir)
        checks = {Check.OBJECT: False}
        if reading.files:
            runs = load_runs(reading.files)
            checks = _checks(runs, recipe, sizes=number in ("C7", "C8", "C9"))
        if number == "C2":  # of a cause in nets that fail, wherever they do
            checks = {Check.OBJECT: False}
        effects = {}
        if reading.effect.n:
            text, metric = reading.measure.text, reading.measure.metric
            effects = {
                f"{text}, {METRICS[metric]}": reading.effect,
                METRICS[registered.OTHER[metric]]: reading.other,
                **{
                    f"{METRICS[metric]} with {name}": effect
                    for name, effect in reading.variants.items()
                },
            }
        command = "" if registered.has_p(reading) else "; ".join(missing)
        p, files = reading.adjusted, reading.files
        found.append(Finding(where, reading.answer, checks, effects, p, command, files))
    return found


def _explored(
    experiment: str,
    runs_dir: Path,
    decide: Callable[[pd.DataFrame, str], tuple[Answer, dict[str, Estimate]]],
    sizes: bool = False,
) -> list[Finding]:
    """What trainings that were not registered say, at each scale that has records."""
    found = []
    for recipe, where in EXPLORED.items():
        if recipe not in EXPERIMENTS[experiment].grids:
            continue
        recorded = EXPERIMENTS[experiment].recorded(runs_dir, recipe)
        if not recorded:
            continue
        runs = load_runs(recorded)
        answer, effects = decide(runs, recipe)
        effects = {name: effect for name, effect in effects.items() if effect.n}
        if effects:
            checks = _checks(runs, recipe, sizes)
            found.append(Finding(where, answer, checks, effects, files=tuple(recorded)))
    return found


def _depths(runs_dir: Path, _: Path) -> list[Finding]:
    """C1 at each depth of a hundred layers or more; see :mod:`resnet_study.questions.depth`."""
    starts = dict(zip(depth_questions.STARTS, ("usual start", "zero-γ"), strict=True))
    findings = []
    for (name, recipe), data in DEPTHS.items():
        planned = EXPERIMENTS[name].runs(recipe)
        recorded = EXPERIMENTS[name].recorded(runs_dir, recipe)
        runs = load_runs(recorded) if recorded else None
        for depth in sorted({run.depth for run in planned if run.family == "plain"}):
            if depth < depth_questions.DEEP:
                continue
            where = f"{data}, {depth:,} layers"
            checks = {Check.OBJECT: True}
            if runs is None:
                command = f"resnet-study run --experiment {name} --recipe {recipe}"
                findings.append(Finding(where, Answer.NOT_RECORDED, checks, command=command))
                continue
            plain = depth_questions.errors(select(runs, "plain", depth))
            effects = {}
            for start, title in starts.items():
                nets = select(runs, "residual", depth, normalisation=start)
                effect = paired_difference(depth_questions.errors(nets), plain)
                if effect.n:
                    effects[f"ResNet − plain, {title}, {RUNNING}"] = effect
            answer = depth_questions.answer_at(runs, depth)
            findings.append(Finding(where, answer, checks, effects, files=tuple(recorded)))
    return findings


def _fig2(number: str) -> Examine:
    """C4 or C5: the registered measure, and what was explored before."""
    chosen = [effect for effect in FIG2_EFFECTS if effect.claim == number]

    def decide(runs: pd.DataFrame, _: str) -> tuple[Answer, dict[str, Estimate]]:
        found = {effect: effect.estimate(runs) for effect in chosen}
        answer = combine(read(measured, effect.claimed) for effect, measured in found.items())
        return answer, {_error(effect.metric): value for effect, value in found.items()}

    return lambda runs_dir, _: [
        *_registered(number, runs_dir),
        *_explored("fig2", runs_dir, decide),
    ]


def _sizes(runs_dir: Path, _: Path) -> list[Finding]:
    """C6: C4 and C5 together, of nets that are counted to be equally large."""
    findings = []
    for fourth, fifth in zip(_registered("C4", runs_dir), _registered("C5", runs_dir), strict=True):
        files = tuple(sorted({*fourth.files, *fifth.files}))
        answer = combine([fourth.answer, fifth.answer])
        if files and load_runs(files).groupby("depth").parameters.nunique().max() > 1:
            answer = Answer.OPPOSITE
        checks = {check: met and fourth.checks[check] for check, met in fifth.checks.items()}
        effects = {**dict([*fourth.effects.items()][:1]), **dict([*fifth.effects.items()][:1])}
        findings.append(
            Finding(fourth.where, answer, checks, effects, command=fifth.command, files=files)
        )
    return findings


def _highway(number: str, metric: str, claimed: str) -> Examine:
    """C7 or C8; see :func:`resnet_study.questions.highway.highway_answer`."""

    def decide(runs: pd.DataFrame, _: str) -> tuple[Answer, dict[str, Estimate]]:
        answer, gaps = highway_answer(runs, USUAL_GATES, metric, claimed)
        return answer, {
            f"{_error(metric)}, {depth} layers": gap for depth, gap in gaps.items() if gap.n
        }

    return lambda runs_dir, _: [
        *_registered(number, runs_dir),
        *_explored("highway", runs_dir, decide, sizes=True),
    ]


def _error(metric: str) -> str:
    """The name of a column of ``load_runs``."""
    return {"training_error": RUNNING, **METRICS}[metric]


def _data_size(runs_dir: Path, _: Path) -> list[Finding]:
    """C9: a 2×2 of nets and data, and what was explored over four sizes."""

    def decide(runs: pd.DataFrame, recipe: str) -> tuple[Answer, dict[str, Estimate]]:
        planned = EXPERIMENTS["data-size"].runs(recipe)
        gates = dict.fromkeys(run.gates for run in planned if run.gates)
        sizes = [data_size(runs, gate, get_recipe(recipe).rate) for gate in gates]
        slopes = {
            f"bias {size.gates.bias:g}: validation gap a decade".replace("-", "−"): (
                size.validation_slope
            )
            for size in sizes
        }
        return combine(size.answer for size in sizes), slopes

    return [*_registered("C9", runs_dir), *_explored("data-size", runs_dir, decide, sizes=True)]


def _cause(runs_dir: Path, folder: Path) -> list[Finding]:
    """C2: an intervention on plain-34; untrained nets; and plain-34 watched while it trains."""

    def decide(grown):
        answer, moments = gradients.decide_c2(grown)
        ends = {"at the start": min(moments), "at the end": max(moments)}
        return answer, {f"decades {name}": moments[moment] for name, moment in ends.items()}

    return [
        *(found for found in _registered("C2", runs_dir)),
        _multiplied(folder),
        _watched("plain-34 on digits, watched", folder, decide),
    ]


def _multiplied(folder: Path) -> Finding:
    """What the deepest of the untrained fully connected nets say of the mechanism of C2."""
    step, where = MEASUREMENTS["multiplication"], "untrained fully connected nets"
    checks = {Check.OBJECT: False}
    if step.state(folder) != "recorded":
        return Finding(where, Answer.NOT_RECORDED, checks, command=_measure(step.name))
    growth = gradients.with_readings(step.tables(folder)["growth"])
    nets = gradients.distinct_nets(growth[growth.depth == growth.depth.max()])
    answers = {True: Answer.SAME, False: Answer.OPPOSITE}
    answer = combine(answers[bool(fits)] for fits in nets.fits)
    bare = nets[~nets.normalised & ~nets.shortcut & (nets.initialisation == "he")]
    effects = {
        f"decades, {ACTIVATIONS[row.activation]} from He's start": from_moments(
            int(row.decades_n), row.decades_mean, row.decades_deviation
        )
        for row in bare.itertuples()
        if row.activation in ACTIVATIONS
    }
    return Finding(where, answer, checks, effects, files=(step.path(folder),))


def _watched(
    where: str, folder: Path, decide: Callable[[pd.DataFrame], tuple[Answer, dict[str, Estimate]]]
) -> Finding:
    """The finding of all nets that were watched, by ``decide``, a function of their growth."""
    steps = [step for name, step in MEASUREMENTS.items() if name.startswith("anatomy-")]
    checks = {Check.OBJECT: False}
    if any(step.state(folder) != "recorded" for step in steps):
        return Finding(where, Answer.NOT_RECORDED, checks, command="resnet-study measure")
    found = [(step.settings, step.tables(folder)) for step in steps]
    answer, effects = decide(gradients.load(found, "growth"))
    files = tuple(step.path(folder) for step in steps)
    return Finding(where, answer, checks, effects, files=files)


def _balance(_: Path, folder: Path) -> list[Finding]:
    """C3: nets that are drawn and not trained, as registered; and nets of digits at the start."""
    step, where = MEASUREMENTS["balance"], "34 layers, drawn and not trained"
    checks = {Check.OBJECT: False}
    if step.state(folder) != "recorded":
        drawn = Finding(where, Answer.NOT_RECORDED, checks, command=_measure(step.name))
    else:
        answer, gaps, p = gradients.judge_balance(step.tables(folder)["balance"])
        drawn = Finding(where, answer, checks, gaps, p, files=(step.path(folder),))

    def decide(grown):
        answer, gaps = gradients.decide_c3(grown)
        return answer, {gradients.WITH[name]: gap for name, gap in gaps.items()}

    return [drawn, _watched("34 layers on digits, at the start", folder, decide)]


def _measure(name: str) -> str:
    return f"resnet-study measure {name}"


CLAIMS = (
    Claim(
        "C1",
        "Residual learning makes networks of hundreds, even thousands of layers trainable.",
        "Existence: residual nets of a hundred layers and more, and plain ones that fail.",
        "Training error of the last epoch below 20 %, seed by seed; 100 % for a run that diverged.",
        "depth",
        _depths,
    ),
    Claim(
        "C2",
        "Depth fails because gradients vanish or explode: repeated multiplication by factors "
        "below or above 1, with sigmoid activations for instance.",
        "A cause: that deep plain nets fail for their gradients.",
        "Plain-34 with clipped gradients − plain-34, training error on clean images, lower.",
        "gradients",
        _cause,
    ),
    Claim(
        "C3",
        "Identity shortcuts solve that problem.",
        "A cure: that with shortcuts gradients neither vanish nor explode.",
        "Imbalance of gradients, |log₁₀| from first block to last, ResNet-34 − plain-34, lower "
        "with batch normalisation and without.",
        "gradients",
        _balance,
    ),
    Claim(
        "C4",
        "On ImageNet the 34-layer plain network is worse than the 18-layer one, in training and "
        "in validation error (Fig. 2, left).",
        "A comparison: ImageNet, converged nets, the paper's recipe.",
        "plain-34 − plain-18, training error on clean images, higher.",
        "fig2",
        _fig2("C4"),
    ),
    Claim(
        "C5",
        "The 34-layer ResNet is better than the 18-layer one (Fig. 2, right).",
        "A comparison: ImageNet, converged nets, the paper's recipe.",
        "ResNet-34 − ResNet-18, validation error, lower.",
        "fig2",
        _fig2("C5"),
    ),
    Claim(
        "C6",
        "C4 and C5 hold with no extra parameter against the plain counterpart.",
        "A count, and C4 and C5 with it.",
        "Numbers of parameters, counted; else the measures of C4 and C5.",
        "fig2",
        _sizes,
    ),
    Claim(
        "C7",
        "The solution space of a Highway network contains that of a ResNet, so it should be at "
        "least as good.",
        "A theorem, and a comparison of trained nets that is said to follow from it.",
        "Highway − ResNet of equal size, mean of 18 and 34 layers, training error on clean images, "
        "no larger than 1 point.",
        "containment",
        _highway("C7", "training_error", "lower"),
    ),
    Claim(
        "C8",
        "ResNets nevertheless outperform Highway networks.",
        "A comparison of trained nets, in general.",
        "Highway − ResNet of equal size, mean of 18 and 34 layers, validation error, higher.",
        "highway",
        _highway("C8", "validation_error", "higher"),
    ),
    Claim(
        "C9",
        "Possibly because a Highway network needs more data to converge.",
        "A reason for a deficit, where there is one.",
        "Highway-18 − ResNet-18 on a tenth of the data less the same on all, validation error, "
        "higher; if there is a deficit on all.",
        "data_size",
        _data_size,
    ),
)


def examine(
    runs_dir: Path = paths.RUNS, measurements_dir: Path = paths.MEASUREMENTS
) -> dict[str, Examined]:
    """Every claim by its number, with its findings, from the records in these folders.

    Raises:
        RecordError: if one is damaged.
        InputError: for a claim on which ``literature.STATEMENTS`` says nothing.
    """
    return {
        claim.number: Examined(
            claim, _grade(claim), claim.examine(Path(runs_dir), Path(measurements_dir))
        )
        for claim in CLAIMS
    }


def _grade(claim: Claim) -> Grade:
    """The grade of the literature; each claim has one, if only that nothing is reported."""
    table = graded(load_literature()).set_index("claim")
    if claim.number not in table.index:
        raise InputError(f"{claim.number} has no statement in the literature; accepted: one")
    return table.grade[claim.number]


def in_words(finding: Finding) -> str:
    """A finding's effects, as ``training error +44.73 [+41.41, +47.68], …; n = 6``."""
    effects = [f"{name} {mean_and_interval(gap)}" for name, gap in finding.effects.items()]
    numbers = list(dict.fromkeys(str(gap.n) for gap in finding.effects.values()))
    return f"{', '.join(effects)}; n = {', '.join(numbers)}" if effects else ""


def files(examined: Iterable[Examined]) -> list[Path]:
    """All records that the findings were computed from."""
    return sorted({path for one in examined for found in one.findings for path in found.files})


def as_json(found: dict[str, Examined]) -> list[dict]:
    """Claims, grades, findings and verdicts as JSON has them; what is not known is null."""

    def number(value: float) -> float | None:
        return None if isnan(value) else float(f"{value:.6g}")

    def plain(finding: Finding) -> dict:
        effects = {
            name: {key: number(value) for key, value in asdict(effect).items()}
            for name, effect in finding.effects.items()
        }
        return {
            "where": finding.where,
            "answer": finding.answer,
            "bearing": finding.bearing,
            "checks": {str(check): bool(met) for check, met in finding.checks.items()},
            "effects": effects,
            "p": number(finding.p),
            "missing": finding.command,
            "records": [path.name for path in finding.files],
        }

    return [
        {
            "claim": name,
            "text": one.claim.text,
            "measure": one.claim.primary,
            "literature": one.grade.value,
            "verdict": one.verdict,
            "findings": [plain(finding) for finding in one.findings],
        }
        for name, one in found.items()
    ]
