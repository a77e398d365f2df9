"""The live pieces: what their scripts are given, and what stands in their place on paper.

A Sphinx extension (see ``extra_extensions`` in ``_config.yml``). The directive ``live`` puts a
piece of ``PIECES`` onto a page, filled from ``book/_templates/live_*.html``; its data are written
as a script into the site, since a page opened from a file may ask for no other kind of data. Its
still, for paper and for browsers without scripts, is drawn from the records; that of the nets that
train in the page is what the page drew (``book/still.py``).
"""

import json
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import numpy as np
from docutils import nodes
from runs_page import Rendered, named_records
from sklearn.datasets import load_digits

from resnet_study.errors import require_one_of
from resnet_study.figures import fig2, gradients, style
from resnet_study.pipeline.frames import load_curves
from resnet_study.pipeline.measurements import MEASUREMENTS, MOMENTS
from resnet_study.pipeline.run import Run, run_from_config
from resnet_study.questions import gradients as gradient_rules
from resnet_study.questions.experiments import EXPERIMENTS, OWN_RATES
from resnet_study.questions.paper import load_paper_curves
from resnet_study.training.recipes import get_recipe

PIECE = "live"  # key of a page's piece in its metadata
MOST_POINTS = 25  # of a curve
FAMILIES = ("plain", "residual")
METRICS = {"training_error": "training error", "validation_error": "validation error"}
CLASSES = {"digits": 10, "tiny-imagenet-50": 50, "tiny-imagenet-20": 20}  # by recipe
NORMALISATIONS = {
    "batch": "batch normalisation",
    "zero-gamma": "zero-γ",
    "small-gamma": "small γ",
    "skip-init": "SkipInit",
    "none": "none",
}
# Starts of a branch, which a plain net has not: what its plain counterpart has instead.
WITHOUT_BRANCH = {"zero-gamma": "batch", "small-gamma": "batch", "skip-init": "none"}
KNOBS = ("rate", "epochs", "width")  # of a recipe


# The nets that train in the page


@cache
def digits() -> dict:
    """The digits as text, a letter a pixel from ``a`` for 0, and how nets are trained on them."""
    data, recipe = load_digits(), get_recipe("digits")
    values = data.data.astype(int)
    return {
        "digits": {
            "pixels": "".join(chr(ord("a") + value) for value in values.flat),
            "labels": "".join(map(str, data.target)),
            "mean": values.mean(),
            "deviation": values.std(),
        },
        "recipe": {
            "batch": recipe.batch,
            "epochs": recipe.epochs,
            "drops": recipe.drops,
            "momentum": recipe.momentum,
            "decay": recipe.weight_decay,
        },
    }


# Fig. 2 that answers objections


def _factor(run: Run, knob: str) -> float:
    """By how much a run departs from its recipe; in rate, from the rate of its family there."""
    usual = getattr(get_recipe(run.recipe.name), knob)
    if knob == "rate" and run.recipe.name == "tiny-imagenet-50":
        usual *= OWN_RATES[run.family]
    return round(getattr(run.recipe, knob) / usual, 2)


def asked(run: Run) -> dict | None:
    """Where a run stands in Fig. 2 and its objections: ``images``, ``KNOBS``, ``normalisation``.

    None for one that does not: of another family or depth, or with other changes.
    """
    if (
        run.family not in FAMILIES
        or run.depth not in style.DEPTHS
        or run.recipe.name not in CLASSES
    ):
        return None
    if run.changes.keys() - {*KNOBS, "normalisation"}:
        return None
    factors = {knob: _factor(run, knob) for knob in KNOBS}
    return {"images": run.recipe.name, **factors, "normalisation": run.normalisation}


def thinned(values: list) -> list:
    """At most ``MOST_POINTS`` of ``values``, evenly spread, the last one among them."""
    step = -(-len(values) // MOST_POINTS)
    return values[::-1][::step][::-1]


def line(record: dict) -> dict:
    """A record's curves in percent, each point with its share of the training, to draw it."""
    curve, planned = record["curve"], record["config"]["recipe"]["epochs"]
    return {
        "at": thinned([round(epoch / planned, 3) for epoch in curve.get("epoch", [])]),
        **{metric: thinned([round(v, 1) for v in curve.get(metric, [])]) for metric in METRICS},
        "diverged": record["diverged_at"] is not None,
    }


@cache
def objections() -> dict:
    """Runs with the lines that they draw, by where they stand, and the paper's lines."""
    runs = {}
    for name, record in named_records().items():
        run = run_from_config(record["config"])
        where = asked(run) if run else None
        if where:
            net = {"family": run.family, "depth": run.depth}
            setting = {knob: getattr(run.recipe, knob) for knob in KNOBS}
            runs[name] = {**net, "where": where, "setting": setting, **line(record)}
    return {
        "choices": {
            "images": {
                name: f"pictures of {classes} classes" if classes > 10 else name
                for name, classes in CLASSES.items()
            },
            "normalisation": NORMALISATIONS,
            **{knob: _choices(run["where"][knob] for run in runs.values()) for knob in KNOBS},
        },
        "metrics": METRICS,
        "guessing": {name: 100 - 100 / classes for name, classes in CLASSES.items()},
        "withoutBranch": WITHOUT_BRANCH,
        "runs": runs,
        "paper": paper(),
    }


def _choices(factors: Iterable[float]) -> dict[str, str]:
    """Each factor in words, the recipe's own first."""
    found = sorted(set(factors), key=lambda factor: (factor != 1, factor))
    return {f"{factor:g}": "the recipe's" if factor == 1 else _times(factor) for factor in found}


def _times(factor: float) -> str:
    return f"{factor:g} ×" if factor > 1 else f"1/{round(1 / factor)} ×"


def paper() -> list[dict]:
    """Lines of the paper's Fig. 4, thinned, as those of runs are."""
    curves = load_paper_curves()
    end = curves.iteration.max()
    return [
        {
            "family": family,
            "depth": depth,
            "metric": f"{split}_error",
            "at": thinned([round(at / end, 3) for at in points.iteration]),
            "error": thinned(points.error_percent.tolist()),
        }
        for (family, depth, split), points in curves.groupby(["family", "depth", "split"])
    ]


# The gradient film


@cache
def film() -> dict:
    """Gradient by layer at every moment, of every net that was watched."""
    watched = [
        m for name, m in MEASUREMENTS.items() if name.startswith("anatomy-") and m.path().is_file()
    ]
    norms = gradient_rules.load([(m.settings, m.tables()) for m in watched], "norms")
    nets = []
    for (depth, normalisation), pair in norms.groupby(["depth", "normalisation"]):
        lines = [
            {
                "family": family,
                "seed": seed,
                "moment": moment,
                "layers": layers.position.tolist(),
                "decades": _decades(layers.gradient),
            }
            for (family, seed, moment), layers in pair.groupby(["family", "seed", "iteration"])
        ]
        nets.append({"depth": depth, "normalisation": normalisation, "lines": lines})
    epoch = len(load_digits().target) - get_recipe("digits").held_out
    return {"moments": MOMENTS, "epoch": -(-epoch // get_recipe("digits").batch), "nets": nets}


def _decades(gradient) -> list[float | None]:
    """log₁₀ of a gradient by layer over that of the last one; None where there is none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        decades = np.log10(gradient / gradient.iloc[-1])
    return [round(value, 2) if np.isfinite(value) else None for value in decades]


# What stands in their place


def still_of_fig2():
    """The recipe's digits, and the paper's curves."""
    ours = style.long_curves(load_curves(EXPERIMENTS["fig2"].records()))
    return fig2.fig2({"on digits": ours, "on ImageNet": load_paper_curves()})


def still_of_film():
    """The moments of the film, over each other."""
    watched = [m for n, m in MEASUREMENTS.items() if n.startswith("anatomy-") and "-34-seed" in n]
    norms = gradient_rules.load([(m.settings, m.tables()) for m in watched], "norms")
    return gradients.profiles(norms, 34, list(MOMENTS))


# What a piece's script is given, as a constant of its name, and its still.
PIECES: dict[str, tuple[Callable[[], dict], Callable | None]] = {
    "try": (digits, None),
    "objections": (objections, still_of_fig2),
    "film": (film, still_of_film),
}


class Live(Rendered):
    """A live piece, named by the directive's argument."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The filled template of the piece; its data and its still are written at the end."""
        (name,) = self.arguments
        require_one_of("live piece", name, PIECES)
        self.data = PIECES[name][0]()
        self.template = f"live_{name}.html"
        self.env.metadata[self.env.docname][PIECE] = name
        return super().run()

    def context(self) -> dict:
        """What the script is given, too: menus are made of it."""
        return self.data


def write_files(app, exception) -> None:
    """Put data and still of each piece that a page has into the site."""
    if exception:
        return
    static = Path(app.outdir) / "_static"
    for name in {page[PIECE] for page in app.env.metadata.values() if PIECE in page}:
        data, still = PIECES[name]
        text = json.dumps(data(), separators=(",", ":"), allow_nan=False, ensure_ascii=False)
        script = f"const {name.upper()} = {text};\n"
        (static / f"{name}-data.js").write_text(script, encoding="utf-8")
        if still:
            style.use_style()
            drawn = still()
            style.save_svg(drawn, static / f"still-{name}.svg")
            style.plt.close(drawn)


def setup(app) -> dict:
    """What Sphinx calls."""
    app.add_directive("live", Live)
    app.connect("build-finished", write_files)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
