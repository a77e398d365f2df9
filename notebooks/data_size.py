# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Does a Highway net need more data?
#
# **The question.** If ResNets outperform Highway nets, then why? The post guesses that a Highway
# net needs more data to converge (C9): its gates have parameters, which must be learnt.
# {cite:t}`he2016identity` blame optimisation instead, as they see gates raise the *training* error, and
# {cite:t}`srivastava2025comparison` blames the design of those gates. We know of no published experiment
# that varies the data; this is one.
#
# **What we do here.** We train residual and Highway nets of 18 layers on {glue:text}`fractions` of the
# training images, and measure the gap between them at each size. The parts are drawn class by class, so every class
# keeps its share, and each lies within the next; they are the same for every family and seed. All
# trainings have *equal iterations*: on a tenth of the images a net sees each of them ten times as often, so a net
# on little data is not also one that was trained for less. The validation images stay the same.
#
# ## Two predictions, and a reading
#
# They were written down before the first net of this chapter was trained on a part of the data. The gap is Highway − ResNet in
# the error of the last epoch, paired by seed. A gap is *higher* or *lower* if its 95 % interval leaves out zero, or, of
# fewer than six seeds, if every seed says so: that explores, and decides nothing.
#
# - **Needs data** predicts that the Highway net fits what it is given as well as the ResNet does, and
#   falls behind on what it has not seen, the more so the less it was given: a training error that is higher at no
#   size, a validation error that is higher at the smallest, and a validation gap that closes as data grow.
# - **Optimisation** predicts that it cannot fit even what it is given: a training error that is
#   higher at *every* size.
# - **No need of data**: the training error is higher at no size, and the validation gap is below
#   zero at the smallest size or opens as data grow.
# - Anything else is **not decided**.
#
# Whether a gap closes is read from its slope: a line through the gaps of one seed against
# the logarithm of the data, in points for ten times the data, then a mean over seeds. C9 explains a deficit: where
# the Highway net is no worse with all of the data, its *premise is not met*, whatever the slope. The trainings that decide
# have six seeds, and each seed draws its own tenth; they are [registered](../book/registration.md), and stand in
# [fifty classes](pictures.ipynb).

# %% tags=["remove-cell"]
from IPython.display import Markdown
from myst_nb import glue

from resnet_study import paths
from resnet_study.figures import data_size as data_size_figures
from resnet_study.figures import sources, style, tables
from resnet_study.pipeline.frames import load_runs
from resnet_study.pipeline.parameters import check_parameters
from resnet_study.pipeline.records import read_record
from resnet_study.questions import experiments, words
from resnet_study.questions.data_size import data_size
from resnet_study.questions.experiments import EXPERIMENTS, FRACTIONS, parse_seeds
from resnet_study.questions.verdicts import combine
from resnet_study.training.recipes import get_recipe

style.use_style()

# %% tags=["parameters", "remove-cell"]
runs_dir: str = "data/runs"  # folder of the records; relative to the repository
seeds: str = "0-4"  # seeds of the records to draw, such as 0-2,7

# %% tags=["remove-cell"]
check_parameters()
experiment = EXPERIMENTS["data-size"]
records = experiment.records(paths.ROOT / runs_dir, "digits", parse_seeds(seeds))
runs = load_runs(records)
pictures = experiment.records(recipe="tiny-imagenet-20")
picture_runs = load_runs(pictures)
full = experiment.recorded(recipe="tiny-imagenet")
full_runs = load_runs(full)

# %% tags=["hide-cell"]
scales = {
    "": ("digits", runs),
    "pictures_": ("tiny-imagenet-20", picture_runs),
    "full_": ("tiny-imagenet", full_runs),
}


def kinds_of(name):
    """Gates and size of the Highway nets that the experiment declares for a recipe, in order."""
    return list(dict.fromkeys((run.gates, run.match) for run in experiment.runs(name) if run.gates))


sizes = {
    prefix: [
        data_size(table, gates, get_recipe(name).rate, match=match)
        for gates, match in kinds_of(name)
    ]
    if len(table)
    else []
    for prefix, (name, table) in scales.items()
}


def told(size, kind):
    """``reading`` or ``answer`` of one gate, if there is a gap at every size."""
    return getattr(size, kind) if size.covers(FRACTIONS) else words.NOT_RECORDED


def in_words(found, kind):
    """``bias −1: optimisation; bias −2: not decided``."""
    parts = [f"bias {size.gates.bias:g}: {told(size, kind)}".replace("-", "−") for size in found]
    return "; ".join(parts) or words.NOT_RECORDED


def over_all_gates(found):
    return combine([told(size, "answer") for size in found] or [words.NOT_RECORDED])


def at_ends(found, split):
    """The gap at the smallest and at the largest size, of each bias."""
    parts = []
    for size in found:
        gaps = list(getattr(size, split).values())
        ends = (words.mean_and_interval(gap) for gap in (gaps[0], gaps[-1]))
        bias = f"{size.gates.bias:g}".replace("-", "−")
        parts.append("{} and {} at bias {}".format(*ends, bias))
    return "; ".join(parts) or "–"


facts = {
    "fractions": ", ".join(f"{100 * fraction:g}" for fraction in FRACTIONS[:-1])
    + f" and {100 * FRACTIONS[-1]:g} %",
    "iterations": read_record(records[0])["curve"]["iteration"][-1],
    "n_runs": len(runs),
    "n_seeds": runs[runs.family == "highway"].seed.nunique(),
    "training_images": f"{max(read_record(path)['training_images'] for path in records):,}",
    "smallest": min(read_record(path)["training_images"] for path in records),
    "pictures_training_images": f"{max(read_record(p)['training_images'] for p in pictures):,}",
    "one_image": f"{100 / read_record(records[0])['validation_images']:.2f}",
    "pictures_n_seeds": picture_runs[picture_runs.family == "highway"].seed.nunique(),
    "pictures_epochs": get_recipe("tiny-imagenet-20").epochs,
}
for prefix, found in sizes.items():
    facts[f"{prefix}c9_answer"] = over_all_gates(found)
    facts[f"{prefix}c9_readings"] = in_words(found, "reading")
    for split in ("training", "validation"):
        facts[f"{prefix}{split}_ends"] = at_ends(found, split)
for name, value in facts.items():
    glue(name, value, display=False)
sources.numbers([*records, *pictures, *full])

# %% [markdown]
# ## Digits

# %% tags=["remove-input"]
Markdown(
    experiments.coverage(experiment, "digits", paths.ROOT / runs_dir, parse_seeds(seeds), gpu=False)
)

# %% [markdown]
# The whole set is {glue:text}`training_images` images and the smallest part that is recorded {glue:text}`smallest`;
# every training takes {glue:text}`iterations` iterations. The gates are 3×3, as published, with three biases.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-data-errors", "caption": "Final errors on the digits against the share of the training images, 18 layers, equal iterations. Points: means over seeds; bars: from the lowest seed to the highest. Axes are logarithmic above 1 %."}, "image": {"alt": "Two panels of final error against the share of training images on a logarithmic axis, training error left and validation error right, with a line for the residual net and one for the Highway net with each gate bias."}}
sources.figure(data_size_figures.errors_by_fraction(runs), sources.ends(runs), records)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-data-gaps", "caption": "The gap Highway \u2212 ResNet on the digits against the share of the training images, in points: means over paired seeds; bars reach from the lowest seed to the highest, or over the 95 % interval where there are six or more. The line at zero is the ResNet. Points are set apart sideways to be seen."}, "image": {"alt": "Two panels of the gap between Highway and residual nets against the share of training images on a logarithmic axis, training error left and validation error right, with a line and intervals for each gate bias, and a line at zero."}}
figure = data_size_figures.gaps_by_fraction(sizes[""])
sources.figure(figure, data_size_figures.gap_points(sizes[""]), records)

# %% tags=["hide-input"]
sources.table(
    data_size_figures.fraction_table(sizes[""]),
    "Highway − ResNet by the amount of data, digits",
    records,
)

# %% [markdown]
# Slopes of the two gaps in points a decade, which is ten times the data, and what the rule makes of them. A negative slope is a gap that falls as data grow:

# %% tags=["hide-input"]
sources.table(
    data_size_figures.slope_table(sizes[""], FRACTIONS),
    "What the gaps do as data grow, digits",
    records,
)

# %% [markdown]
# All networks with their sizes and errors, mean ± standard deviation over n seeds:

# %% tags=["hide-cell"]
sources.table(tables.arms(runs), "All arms on the digits", records)

# %% [markdown]
# ## Pictures: twenty classes of Tiny ImageNet
#
# The same on {glue:text}`pictures_training_images` photographs and parts of them, with the recipe of
# [Fig. 2](fig2.ipynb), a gate bias of −2, and three seeds. These records are ours, in every copy of the book.

# %% tags=["remove-input"]
Markdown(experiments.coverage(experiment, "tiny-imagenet-20", gpu=False))

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-data-errors-pictures", "caption": "Final errors on twenty classes of Tiny ImageNet against the share of the training images, 18 layers, equal iterations, as far as they are recorded. Points: means over seeds; bars: from the lowest seed to the highest."}, "image": {"alt": "Two panels of final error on pictures against the share of training images on a logarithmic axis, training error left and validation error right, with a line for the residual and one for the Highway net."}}
compared = "highway" in set(picture_runs.family)
if compared:
    figure = data_size_figures.errors_by_fraction(picture_runs, logarithmic=False)
    sources.figure(figure, sources.ends(picture_runs), pictures)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-data-gaps-pictures", "caption": "The gap Highway \u2212 ResNet on twenty classes of Tiny ImageNet against the share of the training images, in points: means over paired seeds, as far as they are recorded; bars reach from the lowest seed to the highest. The line at zero is the ResNet."}, "image": {"alt": "Two panels of the gap between Highway and residual nets on pictures against the share of training images on a logarithmic axis, training error left and validation error right, with intervals, and a line at zero."}}
if compared:
    figure = data_size_figures.gaps_by_fraction(sizes["pictures_"])
    sources.figure(figure, data_size_figures.gap_points(sizes["pictures_"]), pictures)

# %% tags=["hide-input"]
if compared:
    gaps = data_size_figures.fraction_table(sizes["pictures_"])
    sources.table(gaps, "Highway − ResNet by the amount of data, twenty classes", pictures)

# %% tags=["hide-input"]
if compared:
    slopes = data_size_figures.slope_table(sizes["pictures_"], FRACTIONS)
    sources.table(slopes, "What the gaps do as data grow, twenty classes", pictures)

# %% tags=["hide-cell"]
if compared:
    sources.table(tables.arms(picture_runs), "All arms on twenty classes", pictures)

# %% [markdown]
# ## Tiny ImageNet in full
#
# The Highway net there has gates of bias −2 and as many parameters as the ResNet.

# %% tags=["remove-input"]
Markdown(experiments.coverage(experiment, "tiny-imagenet"))

# %% tags=["remove-input"]
if sizes["full_"]:
    slopes = data_size_figures.slope_table(sizes["full_"], FRACTIONS)
    sources.table(slopes, "What the gaps do as data grow, Tiny ImageNet", full)

# %% [markdown]
# ## Beside the literature
#
# | who | data | varies the amount of data | what the deficit is put down to | n |
# |---|---|---|---|---|
# | the post {cite}`cui2019resnet` | – | no, a guess | too few data | – |
# | {cite:t}`he2016identity` | CIFAR-10 | no | optimisation: gates raise the training error | 5 |
# | {cite:t}`srivastava2025comparison` | CIFAR-10 | no | the gates' design: with others there is no deficit | 1 |
# | this book | digits | yes, {glue:text}`fractions` | {glue:text}`c9_readings` | {glue:text}`n_seeds` |
# | this book | pictures | yes, {glue:text}`fractions` | {glue:text}`pictures_c9_readings` | {glue:text}`pictures_n_seeds` |
#
# ## What could still be wrong
#
# - *Where there is no deficit, there is none to explain.* The rule asks what a gap does as data grow;
#   whether there is a gap worth explaining with all of the data is the question of
#   [the comparison](highway.ipynb).
# - *A training error can be too low to differ.* Equal iterations on a tenth of the images let a net learn
#   them by heart, and a gap near zero is then a floor and not a draw. The digits' augmentation, a shift by
#   a pixel, hardly stands in the way.
# - *Two processors.* With all of the digits, our Highway nets of seeds 3 and 4 were trained on a processor with other
#   instructions than their ResNets; [the comparison](highway.ipynb) says what that does.
# - *Coarse errors.* One validation image of the digits is {glue:text}`one_image` points.
# - *One draw of the parts.* Nets and seeds share them, which makes the pairs cleaner and hides
#   how much depends on the draw.
# - *One rate.* It is the recipe's at every size, for both families; what suits all of the data need not suit a tenth.
# - *18 layers, few seeds, small sets.* {glue:text}`n_seeds` and {glue:text}`pictures_n_seeds` seeds decide nothing,
#   and {glue:text}`pictures_epochs` epochs on pictures are a beginning.
#
# **The answer.** That a Highway net needs more data than a ResNet is, in these trainings, {glue:text}`c9_answer` on the digits
# ({glue:text}`c9_readings`; n = {glue:text}`n_seeds`) and {glue:text}`pictures_c9_answer` on pictures
# ({glue:text}`pictures_c9_readings`; n = {glue:text}`pictures_n_seeds`). With the smallest recorded part of the data and with all of it the gap in training error is, on
# the digits, {glue:text}`training_ends`, and in validation error {glue:text}`validation_ends`.
