"""How fast the loops train: figure and tables."""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from resnet_study.figures.style import INK
from resnet_study.pipeline.benchmarks import LOOPS, load_speeds
from resnet_study.pipeline.records import read_record
from resnet_study.questions.effects import gap, select
from resnet_study.questions.words import (
    POINTS,
    mean_and_deviation,
    mean_and_interval,
    network,
)
from resnet_study.statistics import estimate

LOOP_COLOURS = {"stock": "#D55E00", "resident": "#0072B2", "ours": "#8C6400"}  # theirs too


def speeds(measured: pd.DataFrame, title: str) -> Figure:
    """Images per second of each network and loop: medians, with lines from lowest to highest.

    ``measured`` is a table of :func:`resnet_study.pipeline.benchmarks.load_speeds`.
    """
    networks = list(measured.groupby(["family", "depth"], sort=False).groups)
    figure, axes = plt.subplots(figsize=(7.2, 1.3 + 0.75 * len(networks)), layout="constrained")
    for place, (loop, bars) in enumerate(measured.groupby("loop", sort=False)):
        middle = bars.images_per_second
        drawn = axes.barh(
            [row + 0.27 * (place - 1) for row in range(len(networks))],
            middle,
            height=0.25,
            color=LOOP_COLOURS[loop],
            label=LOOPS[loop],
            xerr=[middle - bars.lowest, bars.highest - middle],
            error_kw={"elinewidth": 1, "ecolor": INK},
        )
        axes.bar_label(drawn, [f"{speed:,.0f}" for speed in middle], padding=6, fontsize=9)
    axes.set_yticks(range(len(networks)), [network(*name) for name in networks])
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("images per second")
    axes.set_title(title, parse_math=False)  # a device's name may have a dollar
    figure.legend(loc="outside lower center", ncols=len(LOOPS))
    return figure


def precision_table(exact: pd.DataFrame, rounded: pd.DataFrame) -> pd.DataFrame:
    """One row a network: final training errors in two precisions, and their paired difference.

    ``exact`` and ``rounded`` are tables of :func:`resnet_study.pipeline.frames.load_runs`, of the
    same networks.
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
                f"difference, {POINTS}": mean_and_interval(measured),
                "n": measured.n,
            }
        )
    return pd.DataFrame(rows)


def speed_table(measured: pd.DataFrame) -> pd.DataFrame:
    """One row a network and loop of :func:`resnet_study.pipeline.benchmarks.load_speeds`, as
    text."""
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


def benchmark_table(results: list[Path]) -> pd.DataFrame:
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
