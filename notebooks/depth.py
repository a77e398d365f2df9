# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # To a thousand layers
#
# **The question.** Does residual learning make networks of hundreds, even thousands of layers trainable (C1)? And is it residual
# learning that does it, so that a plain net of the same depth is not?
#
# **What we do here.** We train plain and residual nets of the 6n+2 family of {cite:t}`he2015deep` on the digits, from scratch, each
# on one core: 20, 56 and 110 layers as wide as in the other chapters, three seeds each; and 1,004 layers, half as wide. The
# optimiser, {glue:text}`epochs` epochs and the rate are those of [Fig. 2](fig2.ipynb) at every depth.
#
# **Which start counts.** A ResNet of 2015 starts with all its branches at full strength: the *usual start*. Two years later
# {cite:t}`goyal2017accurate` let the last scale of each branch, its γ, start at 0: *zero-γ*. Each block then starts as its
# shortcut alone and learns how much of a branch to add. The net is the same, and only its first step starts elsewhere. We count
# both as residual learning, and where it takes zero-γ we say so.
#
# ## The rule
#
# A net *fails* with a seed if its training error in the last epoch is {glue:text}`failure` % or more, the threshold of
# {cite:t}`he2016identity` (there, of test error). That a net trains at all takes one training to show. That another one does not, with
# three seeds, is what we saw and no proof: by our rule fewer than six seeds decide nothing. So at each depth
# of {glue:text}`deep` layers or more we say which nets trained with every seed, from which start.
#
# A thousand layers with the usual start are trained once: one seed that fails is enough to say that this start does not make them
# trainable. Known before were nets of up to 56 layers (those of [Gradients at work](gradients.ipynb)) and two
# trials at 1,004 that were stopped early and not kept: with the usual start and the paper's slow first steps hardly anything was learnt
# by the sixth epoch, with zero-γ much by the fourth.

# %% tags=["remove-cell"]
import pandas as pd
from IPython.display import Markdown
from myst_nb import glue

from resnet_study import paths
from resnet_study.figures import depth as depth_figures
from resnet_study.figures import sources, style
from resnet_study.figures.depth import beside_published
from resnet_study.pipeline.frames import load_curves, load_runs
from resnet_study.pipeline.parameters import check_parameters
from resnet_study.pipeline.records import read_record
from resnet_study.questions import depth as depth_questions
from resnet_study.questions import experiments, words
from resnet_study.questions.effects import gap, select
from resnet_study.questions.experiments import EXPERIMENTS
from resnet_study.statistics import estimate
from resnet_study.training.recipes import get_recipe

style.use_style()

# %% tags=["parameters", "remove-cell"]
runs_dir: str = "data/runs"  # folder of the records; relative to the repository

# %% tags=["remove-cell"]
check_parameters()
folder = paths.ROOT / runs_dir
hundred, thousand = EXPERIMENTS["depth"], EXPERIMENTS["thousand-layers"]
records = [*hundred.recorded(folder, "digits"), *thousand.recorded(folder)]
runs = load_runs(records)
pictures = hundred.recorded(folder, "tiny-imagenet-32")
picture_runs = load_runs(pictures)
DEEPEST, NARROW = 1004, "digits-narrow"
CHANCE, PICTURES_CHANCE = 90.0, 99.5  # percent: ten classes, two hundred
SHOWN = ["recipe", "family", "normalisation", "depth", "seed", "training_error", "validation_error"]


def one_width(table):
    """Runs or curves of one width at each depth: as in the other chapters, or else narrow."""
    return table[(table.recipe != NARROW) | (table.depth == DEEPEST)] if len(table) else table


def net(family, depth, normalisation="batch", recipe="digits"):
    """Runs of one network."""
    if runs.empty:
        return pd.DataFrame(columns=["seed", "training_error", "validation_error"])
    chosen = select(runs, family, depth, normalisation=normalisation)
    return chosen[chosen.recipe == (NARROW if depth == DEEPEST else recipe)]


# %% tags=["remove-input"]
Markdown(
    "\n\n".join(
        experiments.coverage(experiment, recipe, folder, gpu=False)
        for experiment, recipe in ((hundred, "digits"), (thousand, NARROW))
    )
)

# %% [markdown]
# ## Error against depth

# %% mystnb={"figure": {"caption": "Final errors on the digits against the number of layers. Points are means over seeds, bars reach from the lowest seed to the highest; depths are a little apart so that no point hides another. Hollow points are nets of half the width. A run that diverged lies on the upper edge. Grey: failure; dotted: guessing.", "name": "fig-depth"}, "image": {"alt": "Two panels of error against depth on a logarithmic axis, training left and validation right, with points for plain nets, ResNets and ResNets with zero-\u03b3. The table below has the numbers."}} tags=["hide-input"]
if len(runs):
    sources.figure(depth_figures.errors_by_depth(runs, CHANCE), runs[SHOWN], records)

# %% [markdown]
# Errors are those of the last epoch, mean ± standard deviation over n seeds, without those that diverged; guessing is wrong
# {glue:text}`chance` % of the time. Minutes are those of a run on one core, with its evaluations, on a machine that had other work to do;
# memory is the highest peak of a process, Python and its libraries included.

# %% tags=["remove-input"]
if len(runs):
    sources.table(depth_figures.deep_net_table(runs), "Deep nets on the digits", records)

# %% [markdown]
# ## A hundred and a thousand layers as they train

# %% mystnb={"figure": {"caption": "Nets of 110 layers and, half as wide, of 1,004 layers on the digits, as far as they are recorded. Thin lines: training error, running over each epoch's augmented batches; bold lines: validation error. Lines are means over seeds, bands reach from the lowest seed to the highest; runs that diverged have none, single seeds no band. Dotted: guessing.", "name": "fig-thousand"}, "image": {"alt": "Panels of error against iteration for 110 and for 1,004 layers, with a thin line for training and a bold one for validation error of the plain net, the ResNet and the ResNet with zero-\u03b3. The text below says which of them train."}} tags=["hide-input"]
curves = one_width(load_curves(records))
deep = curves[curves.depth >= depth_questions.DEEP] if len(curves) else curves
if len(deep):
    drawn = depth_figures.depth_curves(deep, one_width(runs), CHANCE)
    sources.figure(drawn, deep[[*SHOWN, "iteration"]], records)

# %% tags=["hide-cell"]
KINDS = {
    "plain": ("plain", "batch"),
    "usual": ("residual", "batch"),
    "zero": ("residual", "zero-gamma"),
}


def spread(nets, metric="training_error"):
    """Mean ± deviation in percent, or why there is none."""
    measured = estimate(nets[metric].astype(float))
    if measured.n:
        return f"{words.mean_and_deviation(measured)} %"
    return "diverged" if len(nets) else words.NOT_RECORDED


def seen(table, depth):
    """What becomes of nets of a depth, or that none is recorded."""
    there = len(table) and depth in set(table.depth)
    return depth_questions.seen_at(table, depth) if there else words.NOT_RECORDED


facts = {
    "epochs": get_recipe("digits").epochs,
    "failure": int(depth_questions.FAILURE),
    "deep": depth_questions.DEEP,
    "chance": int(CHANCE),
    "one_image": f"{100 / read_record(records[0])['validation_images']:.2f}",
    "c1_pictures": seen(picture_runs, 110),
    "n_diverged": int(runs.diverged.sum()) if len(runs) else 0,
    "n_runs": len(runs),
}
for depth in (20, 56, 110, DEEPEST):
    facts[f"c1_{depth}"] = seen(one_width(runs), depth)
    for name, (family, normalisation) in KINDS.items():
        nets = net(family, depth, normalisation)
        facts[f"{name}_{depth}"] = spread(nets)
        facts[f"{name}_{depth}_outcome"] = depth_questions.outcome(nets)
dearest = runs[(runs.depth == DEEPEST) & ~runs.diverged] if len(runs) else runs
facts["minutes"] = f"{dearest.seconds.mean() / 60:.0f}" if len(dearest) else "–"
facts["memory"] = f"{dearest.peak_memory.astype(float).max() / 2**30:.1f}" if len(dearest) else "–"

FITS = {
    "usual_110": (net("residual", 110), net("residual", 56)),
    "zero_110": (net("residual", 110, "zero-gamma"), net("residual", 56, "zero-gamma")),
    "zero_1004": (
        net("residual", DEEPEST, "zero-gamma"),
        net("residual", 110, "zero-gamma", NARROW),
    ),
}
for name, pair in FITS.items():
    facts[f"fit_{name}"] = depth_questions.overfitting(*pair)
    for split in ("training", "validation"):
        measured = gap(*pair, f"{split}_error")
        facts[f"fit_{name}_{split}"] = words.mean_and_interval(measured)
        facts[f"fit_{name}_n"] = measured.n
    if not measured.n:
        facts[f"fit_{name}"] = words.NOT_RECORDED
for name, value in facts.items():
    glue(name, value, display=False)
sources.numbers([*records, *pictures])

# %% [markdown]
# A run of 1,004 layers that does not diverge takes {glue:text}`minutes` minutes of one core on average, and {glue:text}`memory` GiB at its peak. With eight channels on
# 8×8 pixels the activations of a thousand layers fit into memory as they are: they are kept for the backward pass, and
# none had to be computed a second time (what torch calls activation checkpointing).
#
# ## Which nets train
#
# How many seeds train, and the training errors they end with:
#
# | layers | plain | ResNet, usual start | ResNet, zero-γ | so |
# |---|---|---|---|---|
# | 110 | {glue:text}`plain_110_outcome`: {glue:text}`plain_110` | {glue:text}`usual_110_outcome`: {glue:text}`usual_110` | {glue:text}`zero_110_outcome`: {glue:text}`zero_110` | {glue:text}`c1_110` |
# | 1,004, half as wide | {glue:text}`plain_1004_outcome`: {glue:text}`plain_1004` | {glue:text}`usual_1004_outcome`: {glue:text}`usual_1004` | {glue:text}`zero_1004_outcome`: {glue:text}`zero_1004` | {glue:text}`c1_1004` |
#
# At 56 layers, where the rule does not apply: plain {glue:text}`plain_56_outcome` ({glue:text}`plain_56`), usual start
# {glue:text}`usual_56_outcome` ({glue:text}`usual_56`), zero-γ {glue:text}`zero_56_outcome` ({glue:text}`zero_56`). Of
# {glue:text}`n_runs` runs in this chapter, {glue:text}`n_diverged` diverged.
#
# ## Does the deepest net overfit?
#
# The paper's ResNet-1202 has a training error below 0.1 %, much as its ResNet-110, and a higher test error (7.93 against 6.43 %); the
# authors put that down to overfitting. The rule here, on deep − shallow, paired by seed, in points (lowest to highest seed): a net *overfits* if it is worse
# in validation and not in training; if it is worse in training it *trains less well*, and what it does in
# validation is no overfitting.
#
# | deep − shallow | training | validation | n | |
# |---|---|---|---|---|
# | ResNet-110 − ResNet-56, usual start | {glue:text}`fit_usual_110_training` | {glue:text}`fit_usual_110_validation` | {glue:text}`fit_usual_110_n` | {glue:text}`fit_usual_110` |
# | ResNet-110 − ResNet-56, zero-γ | {glue:text}`fit_zero_110_training` | {glue:text}`fit_zero_110_validation` | {glue:text}`fit_zero_110_n` | {glue:text}`fit_zero_110` |
# | ResNet-1004 − ResNet-110, zero-γ, both of half the width | {glue:text}`fit_zero_1004_training` | {glue:text}`fit_zero_1004_validation` | {glue:text}`fit_zero_1004_n` | {glue:text}`fit_zero_1004` |
#
# One validation image is {glue:text}`one_image` points. Ours see less than a hundredth of the paper's iterations, so they have fewer occasions to overfit.
#
# ## Tiny ImageNet at 32×32
#
# The depths of the paper's section 4.2, on pictures of 32×32 pixels in 200 classes, for as many iterations as there. That wants a GPU.

# %% tags=["remove-input"]
Markdown(experiments.coverage(hundred, "tiny-imagenet-32", folder))

# %% mystnb={"figure": {"caption": "Final errors on Tiny ImageNet at 32\u00d732 pixels against the number of layers; otherwise as above."}, "image": {"alt": "Two panels of error against depth on pictures, training left and validation right, with points for plain nets, ResNets and ResNets with zero-\u03b3. The table below has the numbers."}} tags=["remove-input"]
if len(picture_runs):
    sources.figure(
        depth_figures.errors_by_depth(picture_runs, PICTURES_CHANCE),
        picture_runs[SHOWN],
        pictures,
    )

# %% tags=["remove-input"]
if len(picture_runs):
    sources.table(
        depth_figures.deep_net_table(picture_runs), "Deep nets on Tiny ImageNet", pictures
    )

# %% [markdown]
# At 110 layers: {glue:text}`c1_pictures`.
#
# ## Beside the literature
#
# Test errors on CIFAR-10 as they are published, and our validation errors; parameters are the residual net's.

# %% tags=["hide-input"]
ours = {"digits": one_width(runs), "Tiny ImageNet at 32×32": picture_runs}
sources.table(
    beside_published(ours), "Published errors of deep nets, and ours", [*records, *pictures]
)

# %% [markdown]
# - {cite:t}`he2015deep` report the best of five ResNet-110 at 6.43 %. It starts at a tenth of the rate until its training
#   error is below 80 %; their plain-110 is only said to stay above 60 %.
# - {cite:t}`li2018landscape` train such nets without shortcuts to 16.44 % at 110 layers. Whether a plain net of that depth trains at all
#   depends on how it is trained.
# - {cite:t}`he2016identity` train 1,001 layers, and see their error fall by a third with normalisation and ReLU
#   before each convolution, so that nothing is left on the way of the shortcuts. Our nets have a ReLU after each addition.
# - *nabla0001/resnet* is an independent repeat on GitHub, five trainings of each net.
# - {cite:t}`xiao2018dynamical` train plain nets of 10,000 layers from an orthogonal start, and {cite:t}`zhang2022tat` plain nets of ResNet's depth with
#   activations made for it: shortcuts are one way to depth and not the only one.
# - {cite:t}`zhang2019fixup` and {cite:t}`bachlechner2020rezero` start each branch at zero without normalisation, as zero-γ does with it.
# - {cite:t}`de2020skipinit` train a thousand layers without normalisation, with a learnt factor on each branch that starts at 0,
#   and explain with it what batch normalisation does for ResNets: at the start it shrinks each branch against its shortcut, by about
#   the root of the depth. Zero-γ goes all the way. [The next chapter](objections.ipynb) has both at 34 layers.
#
# ## What could still be wrong
#
# - *The recipe.* One rate, one schedule and {glue:text}`epochs` epochs for all depths. The paper warms up its ResNet-110, which our usual start was
#   not given; and no plain net had a start of its own. Published ways to train deep plain nets, by other initialisations or
#   activations, are not tried.
# - *The task.* Digits of 8×8 pixels end in maps of 2×2. That a net of a thousand layers learns them says nothing of
#   whether so many layers are of use.
# - *The width.* The nets of 1,004 layers are half as wide as the others, so their depth is not all that differs in the first figure.
# - *The threshold.* Between training and failing lies a line at {glue:text}`failure` %. The tables have the errors.
# - *Few seeds.* Three, and one for a thousand layers with the usual start.
#
# **The answer.** On the digits, at 110 layers {glue:text}`c1_110`, and at 1,004 {glue:text}`c1_1004`. There, with training errors in
# brackets, of the plain nets {glue:text}`plain_1004_outcome` ({glue:text}`plain_1004`), of the ResNets with the usual start
# {glue:text}`usual_1004_outcome` ({glue:text}`usual_1004`), and with zero-γ {glue:text}`zero_1004_outcome` ({glue:text}`zero_1004`). On
# Tiny ImageNet at 32×32: {glue:text}`c1_pictures`.
