"""Tables as the book and the terminal show them: estimates as text, in percent."""

from collections.abc import Iterable
from html import escape
from pathlib import Path

import pandas as pd

from resnet_study import paths
from resnet_study.anatomy import decades
from resnet_study.benchmarks import LOOPS, load_speeds
from resnet_study.effects import FIG2_EFFECTS, DataSize, Effect, gap, select, verdict
from resnet_study.experiments import Experiment
from resnet_study.multiplication import reading
from resnet_study.objections import RECIPE, Remainder
from resnet_study.records import read_record
from resnet_study.statistics import Estimate, estimate

NETWORKS = {"plain": "plain", "residual": "ResNet", "highway": "Highway", "scaled": "scaled"}
NORMALISATIONS = {
    "batch": "",
    "zero-gamma": "zero-γ",
    "small-gamma": "small γ",
    "skip-init": "SkipInit",
    "none": "no normalisation",
}
METRICS = {
    "training_error": "training",
    "clean_training_error": "training, clean",
    "validation_error": "validation",
    "ten_crop_error": "validation, ten crops",
}
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
ARROWS = {"explodes": "↑", "vanishes": "↓", "stays in bounds": "=", "not decided": "?"}
NOT_RECORDED = "not recorded yet"


def mean_and_deviation(value: Estimate) -> str:
    """``2.18 ± 0.35``; the deviation is over seeds, and one seed has none."""
    if value.n < 2:
        return f"{value.mean:.2f}" if value.n else "–"
    return f"{value.mean:.2f} ± {value.deviation:.2f}"


def signed(value: float) -> str:
    """``+1.11``, ``−0.36``, and ``0.00`` for what rounds to it."""
    text = f"{value:+.2f}".replace("-", "−")
    return text[1:] if text[1:] == "0.00" else text


def mean_and_interval(value: Estimate) -> str:
    """``+1.11 [+0.79, +1.35]``, a difference with its 95 % interval, if it has one."""
    if value.n < 2:
        return f"{signed(value.mean)} [–]" if value.n else "–"
    return f"{signed(value.mean)} [{signed(value.low)}, {signed(value.high)}]"


def with_n(value: Estimate) -> str:
    """``+1.11 [+0.79, +1.35] (5)``: the same with the number of seeds."""
    return f"{mean_and_interval(value)} ({value.n})"


def mean_and_range(values: pd.Series, digits: int = 2) -> str:
    """``0.21 [0.18, 0.25]``: a mean with the lowest and the highest seed, if they differ."""
    known = values.dropna().astype(float)
    if known.empty:
        return "–"
    texts = [f"{value:#.{digits}g}" for value in (known.mean(), known.min(), known.max())]
    mean, low, high = (text.rstrip(".").replace("-", "−") for text in texts)
    return f"{mean} [{low}, {high}]" if known.nunique() > 1 else mean


def scientific(value: float) -> str:
    """``1.2 × 10⁻³⁴``; ``13`` for what needs no power of ten to be read."""
    if 0.001 <= value < 10_000:
        return f"{value:.2g}" if value < 100 else f"{value:.0f}"
    mantissa, power = f"{value:.1e}".split("e")
    return f"{mantissa} × 10{str(int(power)).translate(SUPERSCRIPTS)}"


def network(family: str, depth: int) -> str:
    """``ResNet-34``: the name of a network in tables and figures."""
    return f"{NETWORKS[family]}-{depth}"


def kind(network: str, normalisation: str) -> str:
    """``ResNet-34, zero-γ``: a network, or a family, with what is unusual of its branches."""
    unusual = NORMALISATIONS[normalisation]
    return f"{network}, {unusual}" if unusual else network


def difference(effect: Effect) -> str:
    """``plain-34 − plain-18``."""
    return f"{network(*effect.minuend)} − {network(*effect.subtrahend)}"


def final_errors(runs: pd.DataFrame) -> pd.DataFrame:
    """One row a network: n, runs that diverged, and each final error over seeds."""
    rows = []
    for (family, depth), group in runs.groupby(["family", "depth"]):
        errors = {
            f"{label}, %": mean_and_deviation(estimate(group[metric].astype(float)))
            for metric, label in METRICS.items()
            if metric in runs
        }
        rows.append(
            {
                "network": network(family, depth),
                "parameters": f"{group.parameters.iloc[0]:,}",
                "n": len(group),
                "diverged": int(group.diverged.sum()),
                **errors,
            }
        )
    return pd.DataFrame(rows)


def precisions(exact: pd.DataFrame, rounded: pd.DataFrame) -> pd.DataFrame:
    """One row a network: final training errors in two precisions, and their paired difference.

    ``exact`` and ``rounded`` are tables of :func:`resnet_study.records.load_runs`, of the same
    networks.
    """
    rows = []
    for (family, depth), group in rounded.groupby(["family", "depth"]):
        reference = select(exact, family, depth)
        measured = gap(group, reference, "training_error")
        rows.append(
            {
                "network": network(family, depth),
                "float32, %": mean_and_deviation(estimate(reference.training_error)),
                "bfloat16, %": mean_and_deviation(estimate(group.training_error)),
                "difference, points [95 % interval]": mean_and_interval(measured),
                "n": measured.n,
            }
        )
    return pd.DataFrame(rows)


def coverage(
    experiment: Experiment,
    recipe: str,
    runs_dir: Path = paths.RUNS,
    seeds: Iterable[int] | None = None,
    gpu: bool = True,
) -> str:
    """How many runs are recorded, in Markdown, and the command that trains the missing ones.

    ``seeds`` are the experiment's own if not given; ``gpu``: whether to train them takes one.
    """
    runs = experiment.runs(recipe, seeds)
    recorded = len(experiment.recorded(runs_dir, recipe, seeds))
    text = f"**{recorded} of the {len(runs)} runs of recipe `{recipe}` are recorded.**"
    if recorded == len(runs):
        return text
    command = f"resnet-study run --experiment {experiment.name} --recipe {recipe}"
    where = ", on a machine with a GPU," if gpu else ""
    missing = "the others" if recorded else "them"
    return f"{text} This command{where} trains {missing}: `{command}`"


def costs(runs: pd.DataFrame) -> pd.DataFrame:
    """One row a recipe, network and device: runs, minutes of each, and images per second.

    Both are means; the seconds of a run include its evaluations.
    """
    rows = []
    for (recipe, family, depth, device), group in runs.groupby(
        ["recipe", "family", "depth", "device"], sort=False
    ):
        rows.append(
            {
                "recipe": recipe,
                "network": network(family, depth),
                "device": device,
                "n": len(group),
                "minutes a run": f"{group.seconds.mean() / 60:.2g}",
                "images/s": f"{group.images_per_second.mean():.0f}",
            }
        )
    return pd.DataFrame(rows)


def deep_nets(runs: pd.DataFrame) -> pd.DataFrame:
    """One row a network of any depth, width and start: its errors, what a run costs, its size.

    Minutes are means over seeds, memory is the highest peak of a process.
    """
    rows = []
    for (_, width, _, normalisation), group in runs.groupby(
        ["depth", "width", "family", "normalisation"]
    ):
        (row,) = final_errors(group).to_dict("records")
        peak = group.peak_memory.astype(float).max()
        rows.append(
            {
                "network": kind(row["network"], normalisation),
                "width": width,
                **{name: row[name] for name in ("training, %", "validation, %", "n", "diverged")},
                "minutes": f"{group.seconds.mean() / 60:.2g}",
                "memory, GiB": f"{peak / 2**30:.2f}" if pd.notna(peak) else "–",
                "parameters": row["parameters"],
                "multiply-adds": f"{group.multiply_adds.iloc[0]:,}",
            }
        )
    return pd.DataFrame(rows)


def remainders(found: dict[str, Remainder]) -> pd.DataFrame:
    """One row an objection: the effect with it, how it changes, and what remains.

    ``found`` is a result of :func:`resnet_study.objections.remainders`.
    """
    return pd.DataFrame(
        [
            {
                "changed": name,
                "what remains": one.reading,
                "points [95 % interval]": mean_and_interval(one.gap),
                "n": one.gap.n,
                "less the recipe's": "–" if name == RECIPE else mean_and_interval(one.change),
            }
            for name, one in found.items()
        ]
    )


def objections(cases: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One row an objection and network: its errors and its size; ``cases`` are runs by its name."""
    rows = []
    for name, runs in cases.items():
        for _, nets in runs.groupby(["depth", "family"]):
            (row,) = final_errors(nets).to_dict("records")
            size = f"{nets.multiply_adds.iloc[0]:,}"
            rows.append({"changed": name, **row, "multiply-adds": size})
    return pd.DataFrame(rows)


def starts(runs: pd.DataFrame, gaps: dict[int, dict[str, Estimate]]) -> pd.DataFrame:
    """One row a residual net of each start that is recorded: its errors, and its gap to the usual.

    ``runs`` were all trained by one recipe; ``gaps`` are results of
    :func:`resnet_study.objections.starts` by depth.
    """
    rows = []
    for depth, by_start in gaps.items():
        for normalisation, measured in by_start.items():
            nets = select(runs, "residual", depth, normalisation=normalisation)
            if nets.empty:
                continue
            (row,) = final_errors(nets).to_dict("records")
            gap_in_words = "–" if normalisation == "batch" else mean_and_interval(measured)
            rows.append(
                {
                    "network": kind(row.pop("network"), normalisation),
                    "training, less the usual start's": gap_in_words,
                    "training, %": row.pop("training, %"),
                    "n": row.pop("n"),
                    **row,
                }
            )
    return pd.DataFrame(rows)


def gate(kernel: float, bias: float) -> str:
    """``3×3, −2``: a gate in a table; nothing for a net without one."""
    return "" if pd.isna(kernel) else f"{kernel:.0f}×{kernel:.0f}, {bias:g}".replace("-", "−")


def arms(runs: pd.DataFrame) -> pd.DataFrame:
    """One row an arm of an experiment: what departs from the recipe, its size, and its errors.

    As :func:`final_errors`, for runs that differ in more than family and depth. Columns in which
    nothing departs from the usual are left out.
    """
    labels = ["depth", "family", "gate_kernel", "gate_bias", "match", "start", "rate", "fraction"]
    rows = []
    for (depth, family, kernel, bias, match, start, rate, fraction), group in runs.groupby(
        labels, dropna=False
    ):
        (row,) = final_errors(group).to_dict("records")
        rows.append(
            {
                "network": network(family, depth),
                "gate": gate(kernel, bias),
                "matched": "" if pd.isna(match) else match.replace("_", "-"),
                "start": start,
                "rate": f"{rate:g}",
                "data": percent(fraction),
                **{name: text for name, text in row.items() if name.endswith("%")},
                **{name: row[name] for name in ("n", "diverged", "parameters")},
                "multiply-adds": f"{group.multiply_adds.iloc[0]:,}",
            }
        )
    usual = {"gate": "", "matched": "", "start": "drawn", "data": percent(1)}
    table = pd.DataFrame(rows)
    return table.drop(columns=[name for name in usual if (table[name] == usual[name]).all()])


def gaps(table: pd.DataFrame) -> pd.DataFrame:
    """A table of :func:`resnet_study.effects.highway_gaps` as text, Highway − ResNet."""
    return pd.DataFrame(
        {
            "network": [network("highway", depth) for depth in table.depth],
            "gate": [gate(*pair) for pair in zip(table.kernel, table.bias, strict=True)],
            "matched": table.match.str.replace("_", "-"),
            "points [95 % interval]": table.gap.map(mean_and_interval),
            "n": [gap.n for gap in table.gap],
            "sign": table.sign,
            "parameters": table.parameters.map("{:,}".format),
            "multiply-adds": table.multiply_adds.map("{:,}".format),
        }
    )


def percent(fraction: float) -> str:
    """``25 %``."""
    return f"{fraction:.0%}".replace("%", " %")


def data_size_gaps(sizes: Iterable[DataSize]) -> pd.DataFrame:
    """One row a gate and fraction of the data: the gaps Highway − ResNet, in points."""
    return pd.DataFrame(
        [
            {
                "gate": gate(size.gates.kernel, size.gates.bias),
                "data": percent(fraction),
                "training, points [95 % interval]": mean_and_interval(size.training[fraction]),
                "validation, points [95 % interval]": mean_and_interval(size.validation[fraction]),
                "n": size.validation[fraction].n,
            }
            for size in sizes
            for fraction in size.training
        ]
    )


def data_size_slopes(sizes: Iterable[DataSize], fractions: Iterable[float]) -> pd.DataFrame:
    """One row a gate: slopes of its gaps, in points for ten times the data, and the verdict.

    Where a gap at one of ``fractions`` is missing there is nothing to read yet.
    """
    rows = []
    for size in sizes:
        whole = size.covers(fractions)
        rows.append(
            {
                "gate": gate(size.gates.kernel, size.gates.bias),
                "verdict": size.verdict if whole else NOT_RECORDED,
                "reading": size.reading if whole else NOT_RECORDED,
                "training, a decade [95 %]": mean_and_interval(size.training_slope),
                "validation, a decade [95 %]": mean_and_interval(size.validation_slope),
                "n": size.validation_slope.n,
            }
        )
    return pd.DataFrame(rows)


def gates(summary: pd.DataFrame, columns: dict[str, str]) -> pd.DataFrame:
    """One row a gate of :func:`resnet_study.gate_statistics.summarise`: columns by their titles.

    Means over seeds, with the lowest and the highest.
    """
    rows = []
    for (depth, kernel, bias), runs in summary.groupby(["depth", "gate_kernel", "gate_bias"]):
        rows.append(
            {
                "network": network("highway", depth),
                "gate": gate(kernel, bias),
                **{title: mean_and_range(runs[name]) for name, title in columns.items()},
                "n": len(runs),
                "parameters": f"{runs.parameters.iloc[0]:,}",
                "multiply-adds": f"{runs.multiply_adds.iloc[0]:,}",
            }
        )
    return pd.DataFrame(rows)


def multiplication(growth: pd.DataFrame) -> pd.DataFrame:
    """One row a net: the table ``growth`` of :func:`resnet_study.multiplication.measure` as text.

    With columns ``reading`` and ``fits``, what the rules of that module say of it.
    """
    return pd.DataFrame(
        {
            "activation": growth.activation.replace("relu", "ReLU"),
            "variance": growth.initialisation.map({"lecun": "1/N", "he": "2/N"}),
            "BN": growth.normalised.map({False: "no", True: "yes"}),
            "shortcuts": growth.shortcut.map({False: "no", True: "yes"}),
            "reading": growth.reading,
            "fits the post": growth.fits.map({False: "no", True: "yes"}),
            "factor a layer [95 %]": [
                f"{mean:.3f} [{low:.3f}, {high:.3f}]"
                for mean, low, high in zip(
                    growth.factor_mean, growth.factor_low, growth.factor_high, strict=True
                )
            ],
            "n": growth.factor_n.astype(int),
            "in total": [scientific(10**decades) for decades in growth.decades_mean],
            "law": growth.law,
        }
    )


def gradients(grown: pd.DataFrame, errors: pd.DataFrame, moments: Iterable[int]) -> pd.DataFrame:
    """One row a net: decades of its gradient at ``moments``, how it ends, and n.

    After the decades stands what they mean, by ``ARROWS``.

    ``grown`` and ``errors`` are tables ``growth`` and ``curve`` of
    :func:`resnet_study.anatomy.load`; see ``reading`` of ``multiplication``.
    """
    rows = []
    for (depth, family, normalisation), nets in grown.groupby(
        ["depth", "family", "normalisation"], sort=True
    ):
        label = {"family": family, "depth": depth, "normalisation": normalisation}
        row = {"network": network(family, depth), "BN": "yes" if normalisation == "batch" else "no"}
        for moment in moments:
            measured = estimate(decades(nets, moment, **label))
            arrow = ARROWS[reading(measured)]
            row[f"iteration {moment}"] = f"{mean_and_interval(measured)} {arrow}"
        ends = errors[(errors[list(label)] == pd.Series(label)).all(axis=1)]
        last = ends[ends.epoch == ends.epoch.max()].training_error
        rows.append(row | {"training error, %": mean_and_deviation(estimate(last)), "n": len(last)})
    return pd.DataFrame(rows)


def containment_gaps(table: pd.DataFrame) -> pd.DataFrame:
    """A table of :func:`resnet_study.effects.containment_gaps` as text."""
    return pd.DataFrame(
        {
            "layers": table.depth,
            "difference": table.minuend + " − " + table.subtrahend,
            "points [95 % interval]": table.gap.map(mean_and_interval),
            "n": [gap.n for gap in table.gap],
            "sign": table.sign,
            "parameters": table.parameters.map("{:,}".format),
            "multiply-adds": table.multiply_adds.map("{:,}".format),
        }
    )


def effects(runs: pd.DataFrame) -> pd.DataFrame:
    """One row an effect of Fig. 2: its interval, n, and what it says of the claim."""
    rows = []
    for effect in FIG2_EFFECTS:
        measured = effect.estimate(runs)
        rows.append(
            {
                "difference": difference(effect),
                "error": METRICS[effect.metric],
                "points [95 % interval]": mean_and_interval(measured),
                "n": measured.n,
                "claimed": f"{effect.claimed} ({effect.claim})",
                "verdict": verdict(effect, measured),
            }
        )
    return pd.DataFrame(rows)


def speeds(measured: pd.DataFrame) -> pd.DataFrame:
    """One row a network and loop of :func:`resnet_study.benchmarks.load_speeds`, as text."""
    rows = []
    for (family, depth), loops in measured.groupby(["family", "depth"], sort=False):
        fastest = loops.set_index("loop").images_per_second["ours"]
        for loop in loops.itertuples():
            row = {
                "network": network(family, depth),
                "loop": LOOPS[loop.loop],
                "images/s [lowest, highest]": f"{loop.images_per_second:,.0f} "
                f"[{loop.lowest:,.0f}, {loop.highest:,.0f}]",
                "ms a step": f"{loop.step_ms:,.1f}",
                "ours": f"{fastest / loop.images_per_second:.2f}×",
                "of floor": f"{100 * loop.floor_fraction:.0f} %",
            }
            if pd.notna(loop.peak_memory_bytes):
                row["peak memory, GiB"] = f"{loop.peak_memory_bytes / 2**30:.2f}"
            rows.append(row)
    return pd.DataFrame(rows)


def measurements(results: list[Path]) -> pd.DataFrame:
    """One row a result of a benchmark: what was measured where, and the floor's two speeds.

    ``Fig. 2 once`` is its time at the speed of our loop, without evaluations.
    """
    rows = []
    for path in results:
        result, ours = read_record(path, "benchmark"), load_speeds(path).query("loop == 'ours'")
        images = result["epochs"] * result["training_images"]
        rows.append(
            {
                "recipe": result["recipe"],
                "device": result["provenance"]["device"]["name"],
                "Fig. 2 once, minutes": f"{(images / ours.images_per_second).sum() / 60:.3g}",
                "cores": result["cores"],
                "torch": result["provenance"]["packages"]["torch"],
                "measured on": result["started"][:10],
                "batch": result["batch"],
                "precision": result["precision"],
                "rounds × steps": f"{result['rounds']} × {result['steps']}",
                "TFLOP/s": f"{result['flops_per_second'] / 1e12:.3g}",
                "GB/s": f"{result['bytes_per_second'] / 1e9:.3g}",
            }
        )
    return pd.DataFrame(rows)


def comparison(table: pd.DataFrame) -> pd.DataFrame:
    """The reproduction report: a table of :func:`resnet_study.effects.compare` as text."""
    return pd.DataFrame(
        {
            "difference": table.effect.map(difference),
            "error": table.effect.map(lambda effect: METRICS[effect.metric]),
            "agreement": table.agreement,
            "claim": table.effect.map(lambda effect: effect.claim),
            "ours": table.our_verdict,
            "yours": table.their_verdict,
            "our points (n)": table.ours.map(with_n),
            "your points (n)": table.theirs.map(with_n),
        }
    )


def show(table: pd.DataFrame, caption: str = ""):
    """A table as a page of the book shows it: without pandas' numbering of the rows."""
    from IPython.display import HTML  # there in a notebook; a training does without it

    with pd.option_context("display.max_colwidth", None):  # texts as they are, not cut
        html = table.to_html(index=False, border=0, justify="left")
    if caption:
        html = html.replace("<thead>", f"<caption>{escape(caption)}</caption>\n  <thead>", 1)
    return HTML(html)


def markdown(table: pd.DataFrame) -> str:
    """A table of texts, which may be Markdown themselves, as Markdown; n stays with its number."""
    rows = [list(table), ["---"] * len(table.columns), *table.to_numpy().tolist()]
    text = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return text.replace("n = ", "n\u00a0=\u00a0")
