"""The nine claims of the post, and what the records say of each: the verdicts of the book.

A claim is examined at each scale, or under each condition, that has records. The rules that decide
are those of :mod:`resnet_study.questions.effects`, :mod:`resnet_study.pipeline.anatomy` and
:mod:`resnet_study.pipeline.multiplication`; here they are brought together, and nothing is decided
twice.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path

import pandas as pd

from resnet_study import paths
from resnet_study.pipeline.frames import load_runs
from resnet_study.pipeline.measurements import MEASUREMENTS
from resnet_study.questions import depth as depth_questions
from resnet_study.questions import gradients
from resnet_study.questions.data_size import data_size
from resnet_study.questions.effects import FEWEST_SEEDS, FIG2_EFFECTS, select, sign, verdict
from resnet_study.questions.experiments import EXPERIMENTS, USUAL_GATES, Experiment
from resnet_study.questions.highway import highway_verdict, overall
from resnet_study.questions.scales import DEPTHS, SCALES
from resnet_study.questions.words import NOT_RECORDED, mean_and_interval
from resnet_study.statistics import Estimate, paired_difference
from resnet_study.training.recipes import get_recipe

MEASURE = "resnet-study measure"
MOST_SEEDS = 30  # more than anybody will train for one sign


@dataclass(frozen=True)
class Finding:
    """What one scale, or one condition, says of a claim.

    ``effects`` are the numbers that the verdict rests on, by what they are, and ``files`` the
    records that they were computed from; ``command`` would train or measure what the verdict
    lacks, and is empty if it lacks nothing.
    """

    where: str
    verdict: str
    effects: dict[str, Estimate] = field(default_factory=dict)
    command: str = ""
    files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Claim:
    """A claim of the post, the rule that decides it, and the chapter that tests it."""

    number: str
    text: str
    rule: str
    chapter: str  # name of its notebook
    examine: Callable[[Path, Path], list[Finding]]  # of folders of records and of measurements


def conclude(findings: Iterable[Finding]) -> str:
    """One verdict of all findings; those that decide nothing have no say.

    ``supported`` or ``refuted`` if every finding that decides says so, ``supported under
    conditions`` if some support the claim, or support it in part, and others do not, else
    ``not decided``.
    """
    found = {finding.verdict for finding in findings} - {"not decided", NOT_RECORDED}
    if not found:
        return "not decided"
    return found.pop() if found in ({"supported"}, {"refuted"}) else "supported under conditions"


def seeds_wanted(effects: Iterable[Estimate]) -> int | None:
    """Seeds at which the least clear of ``effects`` would leave out zero, if all stays as it is.

    By the normal approximation, two standard errors from zero; None if that takes more than
    ``MOST_SEEDS``, or no spread is known.
    """
    wanted = FEWEST_SEEDS
    for effect in effects:
        if effect.n < 2 or effect.mean == 0:
            return None
        wanted = max(wanted, ceil((2 * effect.deviation / effect.mean) ** 2))
    return wanted if wanted <= MOST_SEEDS else None


def _finding(
    experiment: Experiment,
    recipe: str,
    runs_dir: Path,
    decide: Callable[[pd.DataFrame], tuple[str, dict[str, Estimate]]],
    where: str | None = None,
) -> Finding:
    """The finding of an experiment with one recipe, by ``decide``, a function of its runs."""
    where = where or SCALES[recipe]
    command = f"resnet-study run --experiment {experiment.name} --recipe {recipe}"
    planned = experiment.runs(recipe)
    recorded = experiment.recorded(runs_dir, recipe)
    if not recorded:
        return Finding(where, NOT_RECORDED, {}, command)
    found, effects = decide(load_runs(recorded))
    files = tuple(recorded)
    if len(recorded) < len(planned):
        return Finding(where, found, effects, command, files)
    if found != "not decided":
        return Finding(where, found, effects, "", files)
    last = max(run.seed for run in planned)
    wanted = seeds_wanted(gap for gap in effects.values() if sign(gap) == "undecided")
    more = f" --seeds {last + 1}-{wanted - 1}" if wanted and wanted > last + 1 else ""
    return Finding(where, found, effects, command + more if more else "", files)


def _depths(runs_dir: Path, _: Path) -> list[Finding]:
    """C1 at each depth of a hundred layers or more; see :mod:`resnet_study.questions.depth`."""
    starts = dict(zip(depth_questions.STARTS, ("usual start", "zero-γ"), strict=True))
    findings = []
    for (name, recipe), data in DEPTHS.items():
        planned = EXPERIMENTS[name].runs(recipe)
        for depth in sorted({run.depth for run in planned if run.family == "plain"}):
            if depth < depth_questions.DEEP:
                continue

            def decide(runs, depth=depth):
                plain = depth_questions.errors(select(runs, "plain", depth))
                effects = {}
                for start, title in starts.items():
                    nets = select(runs, "residual", depth, normalisation=start)
                    effect = paired_difference(depth_questions.errors(nets), plain)
                    if effect.n:
                        effects[f"training error, ResNet − plain, {title}"] = effect
                return depth_questions.verdict_at(runs, depth), effects

            where = f"{data}, {depth:,} layers"
            findings.append(_finding(EXPERIMENTS[name], recipe, runs_dir, decide, where))
    return findings


def _fig2(number: str) -> Callable[[Path, Path], list[Finding]]:
    """C4, C5 or C6 at each scale: what training and validation error share."""
    chosen = [effect for effect in FIG2_EFFECTS if effect.claim == number]

    def decide(runs: pd.DataFrame) -> tuple[str, dict[str, Estimate]]:
        effects = {effect: effect.estimate(runs) for effect in chosen}
        found = overall(verdict(effect, measured) for effect, measured in effects.items())
        if number == "C6" and runs.groupby("depth").parameters.nunique().max() > 1:
            found = "refuted"
        return found, {_metric(effect.metric): measured for effect, measured in effects.items()}

    return lambda runs_dir, _: [
        _finding(EXPERIMENTS["fig2"], recipe, runs_dir, decide) for recipe in SCALES
    ]


def _metric(column: str) -> str:
    return column.replace("_", " ")


def _highway(metric: str, claimed: str) -> Callable[[Path, Path], list[Finding]]:
    """C7 or C8 at each scale; see :func:`resnet_study.questions.highway.highway_verdict`."""

    def decide(runs: pd.DataFrame) -> tuple[str, dict[str, Estimate]]:
        found, gaps = highway_verdict(runs, USUAL_GATES, metric, claimed)
        return found, {f"{_metric(metric)}, {depth} layers": gap for depth, gap in gaps.items()}

    return lambda runs_dir, _: [
        _finding(EXPERIMENTS["highway"], recipe, runs_dir, decide) for recipe in SCALES
    ]


def _signed(number: float) -> str:
    return f"{number:g}".replace("-", "−")


def _data_size(runs_dir: Path, _: Path) -> list[Finding]:
    """C9 at each scale: what all gates of the experiment share."""
    experiment = EXPERIMENTS["data-size"]
    findings = []
    for recipe in SCALES:
        planned = experiment.runs(recipe)
        gates = dict.fromkeys(run.gates for run in planned if run.gates)
        fractions = {run.recipe.fraction for run in planned}
        rate = get_recipe(recipe).rate

        def decide(runs, gates=gates, fractions=fractions, rate=rate):
            sizes = [data_size(runs, gate, rate) for gate in gates]
            if not all(size.covers(fractions) for size in sizes):
                return NOT_RECORDED, {}
            slopes = {
                f"bias {_signed(size.gates.bias)}: validation gap a decade": size.validation_slope
                for size in sizes
            }
            return overall(size.verdict for size in sizes), slopes

        findings.append(_finding(experiment, recipe, runs_dir, decide))
    return findings


def _watched(
    where: str, folder: Path, decide: Callable[[pd.DataFrame], tuple[str, dict[str, Estimate]]]
) -> Finding:
    """The finding of all nets that were watched, by ``decide``, a function of their growth."""
    steps = [step for name, step in MEASUREMENTS.items() if name.startswith("anatomy-")]
    if any(step.state(folder) != "recorded" for step in steps):
        return Finding(where, NOT_RECORDED, {}, MEASURE)
    found = [(step.settings, step.tables(folder)) for step in steps]
    files = tuple(step.path(folder) for step in steps)
    return Finding(where, *decide(gradients.load(found, "growth")), files=files)


def _gradients(_: Path, folder: Path) -> list[Finding]:
    """C2: in untrained fully connected nets, and in plain-34 while it trains."""

    def decide(grown):
        found, moments = gradients.decide_c2(grown)
        ends = {"at the start": min(moments), "at the end": max(moments)}
        return found, {f"decades {name}": moments[moment] for name, moment in ends.items()}

    return [_multiplied(folder), _watched("plain-34 on digits", folder, decide)]


def _multiplied(folder: Path) -> Finding:
    """What the deepest of the untrained fully connected nets say of C2."""
    step, where = MEASUREMENTS["multiplication"], "untrained fully connected nets"
    if step.state(folder) != "recorded":
        return Finding(where, NOT_RECORDED, {}, MEASURE)
    growth = gradients.with_readings(step.tables(folder)["growth"])
    fits = growth[growth.depth == growth.depth.max()].fits
    verdicts = {"supported" if fit else "refuted" for fit in fits}
    found = verdicts.pop() if len(verdicts) == 1 else "mixed"
    where = f"{where}, of which {fits.sum()} of {len(fits)} kinds do so"
    return Finding(where, found, files=(step.path(folder),))


def _shortcuts(_: Path, folder: Path) -> list[Finding]:
    """C3: imbalance of gradients at the start, with shortcuts less without."""

    def decide(grown):
        found, gaps = gradients.decide_c3(grown)
        names = {"batch": "decades with BN", "none": "decades without BN"}
        return found, {names[normalisation]: gap for normalisation, gap in gaps.items()}

    return [_watched("34 layers on digits", folder, decide)]


DECIDED = (
    "An effect is decided if there are three seeds or more and its 95 % bootstrap interval, "
    "paired by seed, leaves out zero."
)
PAIR = f"Supported or refuted if training and validation error both say so. {DECIDED}"

CLAIMS = (
    Claim(
        "C1",
        "Residual learning makes networks of hundreds, even thousands of layers trainable.",
        "At a depth of a hundred layers or more: supported if every seed of the residual net ends "
        f"below {depth_questions.FAILURE:.0f} % training error and no seed of the plain net "
        "of that depth does, three seeds or more; supported with zero-γ if the residual net does "
        "so only when its branches start at 0; refuted if the plain net trains too, or the residual net "
        "does not; mixed if seeds disagree. A run that diverged counts as 100 %.",
        "depth",
        _depths,
    ),
    Claim(
        "C2",
        "Depth fails because gradients vanish or explode: repeated multiplication by factors "
        "below or above 1, with sigmoid activations for instance.",
        "In untrained fully connected nets: how many kinds vanish or explode, beyond ten times, "
        "by a constant factor a layer. In plain-34 with batch normalisation, while it trains: "
        "supported if its gradient is out of those bounds at every moment, supported at the start "
        "alone if it is out of them first and within at the end, refuted if it stays within.",
        "gradients",
        _gradients,
    ),
    Claim(
        "C3",
        "Identity shortcuts solve that problem.",
        "At the start, with 34 layers: supported if the gradient is less out of balance (|log₁₀| "
        "of its ratio, stem to last block) with shortcuts than without, with batch normalisation "
        f"and without it. {DECIDED}",
        "gradients",
        _shortcuts,
    ),
    Claim(
        "C4",
        "On ImageNet the 34-layer plain network is worse than the 18-layer one, in training and "
        "in validation error (Fig. 2, left).",
        f"plain-34 − plain-18 is higher. {PAIR}",
        "fig2",
        _fig2("C4"),
    ),
    Claim(
        "C5",
        "The 34-layer ResNet is better than the 18-layer one (Fig. 2, right).",
        f"ResNet-34 − ResNet-18 is lower. {PAIR}",
        "fig2",
        _fig2("C5"),
    ),
    Claim(
        "C6",
        "C4 and C5 hold with no extra parameter against the plain counterpart.",
        "Nets of one depth have equally many parameters, and, whatever becomes of C5, "
        "ResNet-34 − plain-34 is lower. "
        f"{PAIR}",
        "fig2",
        _fig2("C6"),
    ),
    Claim(
        "C7",
        "The solution space of a Highway network contains that of a ResNet, so it should be at "
        "least as good.",
        "That it contains it is proved. That it is at least as good: supported if the training "
        "error of the Highway net, 3×3 gates of bias −2, is lower than the ResNet's at 18 and at "
        f"34 layers, refuted if higher, each at its best rate. {DECIDED}",
        "containment",
        _highway("training_error", "lower"),
    ),
    Claim(
        "C8",
        "ResNets nevertheless outperform Highway networks.",
        "Supported if the validation error of that Highway net is higher than the ResNet's at 18 "
        f"and at 34 layers, refuted if lower, each at its best rate. {DECIDED}",
        "highway",
        _highway("validation_error", "higher"),
    ),
    Claim(
        "C9",
        "Possibly because a Highway network needs more data to converge.",
        "Over 10 to 100 % of the data at equal iterations: supported if the Highway net's training "
        "error is higher at no size and its validation gap closes as data grow; refuted if its "
        "training error is higher at every size, or if the gap is below zero at the smallest or "
        f"opens. {DECIDED}",
        "data_size",
        _data_size,
    ),
)


def examine(
    runs_dir: Path = paths.RUNS, measurements_dir: Path = paths.MEASUREMENTS
) -> dict[Claim, list[Finding]]:
    """Every claim with its findings, from the records in these folders.

    Raises:
        RecordError: if one is damaged.
    """
    return {claim: claim.examine(runs_dir, measurements_dir) for claim in CLAIMS}


def in_words(finding: Finding) -> str:
    """A finding's effects, as ``training error +44.73 [+41.41, +47.68], …; n = 5``."""
    effects = [f"{name} {mean_and_interval(gap)}" for name, gap in finding.effects.items()]
    numbers = list(dict.fromkeys(str(gap.n) for gap in finding.effects.values()))
    return f"{', '.join(effects)}; n = {', '.join(numbers)}" if effects else ""


def what_decides(finding: Finding) -> str:
    """What would decide a finding that is not decided, in Markdown; empty for one that is."""
    if finding.verdict not in ("not decided", NOT_RECORDED):
        return ""
    if finding.command:
        return f"`{finding.command}`"
    return f"nothing within {MOST_SEEDS} seeds, if means and spreads stay as they are"


def files(examined: dict[Claim, list[Finding]]) -> list[Path]:
    """All records that the findings were computed from."""
    return sorted({path for found in examined.values() for one in found for path in one.files})


def verdict_table(examined: dict[Claim, list[Finding]]) -> pd.DataFrame:
    """One row a claim, cells in Markdown, with links to chapters in the folder of notebooks."""
    rows = []
    for claim, findings in examined.items():
        evidence = [
            f"{finding.where}: {finding.verdict}"
            + (f" ({in_words(finding)})" if finding.effects else "")
            for finding in findings
        ]
        rows.append(
            {
                "": f"[{claim.number}]({claim.chapter}.ipynb)",
                "Verdict": f"**{conclude(findings)}**",
                "The post claims": claim.text,
                "What it rests on": "<br>".join(evidence),
            }
        )
    return pd.DataFrame(rows)


def findings_table(findings: list[Finding]) -> pd.DataFrame:
    """One row a finding, cells in Markdown."""
    return pd.DataFrame(
        [
            {
                "Where": finding.where,
                "Verdict": finding.verdict,
                "What it rests on": in_words(finding) or "–",
                "What would decide it": what_decides(finding) or "–",
            }
            for finding in findings
        ]
    )


def short_table(examined: dict[Claim, list[Finding]]) -> pd.DataFrame:
    """One row a claim, cells in Markdown, without numbers."""
    rows = []
    for claim, findings in examined.items():
        by_verdict: dict[str, list[str]] = {}
        for finding in findings:
            by_verdict.setdefault(finding.verdict, []).append(finding.where)
        scales = [f"{name}: {', '.join(where)}" for name, where in by_verdict.items()]
        rows.append(
            {
                "": claim.number,
                "Verdict": f"**{conclude(findings)}**",
                "The post claims": claim.text,
                "Where": "; ".join(scales),
            }
        )
    return pd.DataFrame(rows)
