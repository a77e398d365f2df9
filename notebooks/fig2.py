# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Fig. 2: does depth hurt, and do shortcuts help?
#
# **The question.** The post's central figure shows that a plain network of 34 layers has a
# *higher* error than one of 18, in training and in validation (C4), and that for residual
# networks the order turns round (C5), with not one parameter more (C6). The figure is
# Fig. 4 of {cite:t}`he2015deep`, trained on ImageNet.
#
# **What we do here.** We train the same four networks at four scales: a quarter as wide and with a stem for small images, on
# scikit-learn's handwritten digits, 8×8 pixels, {glue:text}`training_images:,d` training and
# {glue:text}`validation_images:,d` validation images, which takes minutes on two cores, so everyone
# can repeat it; for a few epochs on twenty classes of Tiny ImageNet; for longer and with six seeds on
# [fifty classes](pictures.ipynb), which have a chapter of their own; and, as far as a GPU was there, for nearly as
# many epochs as the paper on all of them. None is ImageNet, and we do not pretend that they settle what happens there.

# %% tags=["remove-cell"]
import pandas as pd
from IPython.display import Markdown
from myst_nb import glue

from resnet_study import paths
from resnet_study.figures import fig2, sources, style, tables
from resnet_study.pipeline.frames import load_curves, load_runs
from resnet_study.pipeline.parameters import check_parameters
from resnet_study.pipeline.records import read_record
from resnet_study.questions import experiments, words
from resnet_study.questions.effects import FIG2_EFFECTS
from resnet_study.questions.experiments import EXPERIMENTS, parse_seeds
from resnet_study.questions.paper import (
    CURVES,
    beside_table_2,
    final_paper_errors,
    load_paper_curves,
)

style.use_style()

# %% tags=["parameters", "remove-cell"]
runs_dir: str = "data/runs"  # folder of the records; relative to the repository
seeds: str = "0-4"  # seeds of the records to draw, such as 0-2,7

# %% tags=["remove-cell"]
check_parameters()
records = EXPERIMENTS["fig2"].records(paths.ROOT / runs_dir, "digits", parse_seeds(seeds))
runs, curves = load_runs(records), load_curves(records)

# %% tags=["remove-cell"]
pictures = EXPERIMENTS["fig2"].records(recipe="tiny-imagenet-20")
picture_runs, picture_curves = load_runs(pictures), load_curves(pictures)

# %% tags=["remove-cell"]
full = EXPERIMENTS["fig2"].recorded(recipe="tiny-imagenet")
full_runs = load_runs(full)
paper = load_paper_curves()

# %% [markdown]
# ## Digits: the five-minute version

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-ours", "caption": "Plain and residual nets on the digits data. Thin lines: training error, running over each epoch's augmented batches; bold lines: validation error. Lines are means over seeds, bands reach from the lowest seed to the highest."}, "image": {"alt": "Two panels of error against iteration, plain nets left and residual nets right, with a thin line for training and a bold one for validation error of each depth. The table below has where they end."}}
shown = style.long_curves(curves)
sources.figure(fig2.fig2({"": shown}), shown, records)

# %% [markdown]
# A gap that shows in training error as in validation error is no overfitting: such a net
# does not even fit the images that it is trained on. Most of it goes when each net gets the rate and the length that suit it:
# see [the objections](objections.ipynb).

# %% [markdown]
# ## Final errors
#
# Errors are those of the last epoch, never of the best one: mean ± standard deviation over n
# seeds, without those that diverged. *Training* is the running error of the last epoch, on shifted images, as each batch
# was seen; *training, clean* is measured afterwards on the training images as they are.

# %% tags=["hide-input"]
sources.table(tables.final_errors(runs), "Final errors on the digits", records)

# %% [markdown]
# Networks of the same depth have the same number of parameters, because shortcut A has none;
# with the same seed they even start from the same weights and see the same batches. Only the
# additions differ.
#
# ## The gaps, and what they say
#
# ```{margin}
# *Points* are percentage points: from 10 % to 12 % are two.
# ```
# Each gap is a difference between two networks of the same seed: its mean, and in round brackets the lowest
# and the highest seed. Fewer than six seeds decide nothing; such gaps are *exploratory*. Six and more have Student's 95 %
# interval, in square brackets. The trainings that decide were [registered](../book/registration.md) beforehand,
# and stand with [the claims](claims.ipynb).

# %% tags=["hide-input"]
sources.table(fig2.effect_table(runs), "Gaps on the digits", records)

# %% tags=["hide-cell"]
scales = {"": runs, "pictures_": picture_runs, "full_": full_runs}
for prefix, table in scales.items():
    for effect in FIG2_EFFECTS:
        measured = effect.estimate(table) if len(table) else None
        shown = words.mean_and_interval(measured) if measured else "–"
        glue(f"{prefix}{effect.name}", shown, display=False)
first = read_record(records[0])
facts = {
    "training_images": first["training_images"],
    "validation_images": first["validation_images"],
    "iterations": first["curve"]["iteration"][-1],
    "epochs": first["curve"]["epoch"][-1],
    "n_records": len(records),
    "n_seeds": runs.seed.nunique(),
    "n_diverged": int(runs.diverged.sum()),
    "shortest_run": float(runs.seconds.min()),
    "longest_run": float(runs.seconds.max()),
    "data_fingerprint": runs.data_fingerprint.iloc[0][:12],
    "pictures_training_images": read_record(pictures[0])["training_images"],
    "pictures_validation_images": read_record(pictures[0])["validation_images"],
    "pictures_epochs": read_record(pictures[0])["curve"]["epoch"][-1],
    "pictures_iterations": read_record(pictures[0])["curve"]["iteration"][-1],
    "paper_first_iteration": int(load_paper_curves().query("family == 'residual'").iteration.min()),
    "pictures_n_records": len(pictures),
    "pictures_n_seeds": picture_runs.seed.nunique(),
}
for name, value in facts.items():
    glue(name, value, display=False)
sources.numbers([*records, *pictures, *full, CURVES])

# %% [markdown]
# - **C4, the plain gap**: {glue:text}`plain_gap_training` points in training error and {glue:text}`plain_gap_validation` in validation
#   error.
# - **C5, the residual gap**: {glue:text}`residual_gap_training` points in training error and {glue:text}`residual_gap_validation` in
#   validation error. The claim is that the deeper
#   ResNet is *better*. Here both depths learn nearly everything, so there is next to nothing left
#   for more layers to gain: whether depth helps a residual net cannot be seen on this task,
#   only that it does no harm comparable to the plain net's.
# - **C6, the shortcut alone** (C6 says that C4 and C5 need no extra parameter; the numbers of
#   parameters are equal by construction, C5 is as above, and this is what is left): the same 34 layers with the same parameters differ by
#   {glue:text}`shortcut_training` points in training error and {glue:text}`shortcut_validation` in validation
#   error.

# %% [markdown]
# ## Twenty classes of Tiny ImageNet
#
# Digits of 8×8 pixels are far from photographs. So we take every tenth class of Tiny ImageNet
# ({glue:text}`pictures_training_images:,d` training and {glue:text}`pictures_validation_images:,d`
# validation images) and the recipe of the full training, random scale, crop, flip and colour, the
# stem with its pooling, but half the width, half the batch and {glue:text}`pictures_epochs` epochs.
# These records are ours, in every copy of the book: `make reproduce` does not train them.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-pictures", "caption": "Plain and residual nets on twenty classes of Tiny ImageNet. Thin lines: training error on augmented pictures; bold lines: validation error on centre crops. Lines are means over seeds, bands reach from the lowest seed to the highest."}, "image": {"alt": "Two panels of error against iteration on pictures. Left, plain nets: the 34-layer net learns far more slowly than the 18-layer net and ends far above it, in training as in validation. Right, residual nets: both depths fall together, and end much lower than the plain nets of their depth."}}
shown = style.long_curves(picture_curves)
sources.figure(fig2.fig2({"": shown}), shown, pictures)

# %% tags=["hide-input"]
sources.table(tables.final_errors(picture_runs), "Final errors on twenty classes", pictures)

# %% tags=["hide-input"]
sources.table(fig2.effect_table(picture_runs), "Gaps on twenty classes", pictures)

# %% [markdown]
# - **C4**: the plain gap is {glue:text}`pictures_plain_gap_training` points in training error and
#   {glue:text}`pictures_plain_gap_validation` in validation error.
# - **C5**: the residual gap is {glue:text}`pictures_residual_gap_training` points in training error and
#   {glue:text}`pictures_residual_gap_validation` in validation error. These nets were trained for
#   {glue:text}`pictures_iterations:,d` iterations. The paper's curves begin after
#   {glue:text}`paper_first_iteration:,d`, where its deeper ResNet is ahead; how the two depths
#   compare before, it does not show. Short trainings cannot decide the claim for long ones.
# - **C6**: at 34 layers the shortcut is worth {glue:text}`pictures_shortcut_training` points in
#   training error and
#   {glue:text}`pictures_shortcut_validation` in validation error.
#
# There are {glue:text}`pictures_n_seeds` seeds of each net, which decide nothing. The
# networks are far from converged; the recipe's rate is the
# paper's, halved with the batch, and its drops come later than the paper's, since in a trial with
# those the training error fell but slowly after the first.

# %% [markdown]
# ## All of Tiny ImageNet
#
# Tiny ImageNet has 200 of ImageNet's classes, 500 training and 50 validation images of each, at
# 64×64 pixels. The recipe is the paper's at a quarter of its resolution: the same stem and widths,
# the same optimiser, scales of [64, 120] for [256, 480], crops of 56 for 224. 90 epochs of it are
# less than a tenth of the paper's iterations.

# %% tags=["remove-input"]
Markdown(experiments.coverage(EXPERIMENTS["fig2"], "tiny-imagenet"))

# %% tags=["remove-input"] mystnb={"figure": {"name": "fig-full", "caption": "Above, plain and residual nets on Tiny ImageNet; below, the paper's on ImageNet, digitised. Thin lines: training error on augmented images; bold lines: validation error on centre crops. Ours are means over seeds, bands reach from the lowest seed to the highest."}, "image": {"alt": "Four panels of error against iteration, plain nets left and residual nets right, ours on Tiny ImageNet above and the paper's on ImageNet below."}}
if full:
    shown = {"on Tiny ImageNet": style.long_curves(load_curves(full)), "on ImageNet": paper}
    sources.figure(fig2.fig2(shown), shown, [*full, CURVES])

# %% tags=["remove-input"]
if full:
    sources.table(tables.final_errors(full_runs), "Final errors on Tiny ImageNet", full)

# %% tags=["remove-input"]
if full:
    sources.table(fig2.effect_table(full_runs), "Gaps on Tiny ImageNet", full)

# %% [markdown]
# ## The paper's own curves
#
# The paper publishes its curves as an image only. {numref}`fig-paper` shows them digitised
# from it, to about ±0.3 points, without the points at the two drops of the learning rate.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-paper", "caption": "The original on ImageNet: Fig. 4 of He et al. 2015, which is Fig. 2 of the post, digitised. Thin lines: training error; bold lines: validation error, centre crop. One training each, as far as the paper tells."}, "image": {"alt": "Two panels of ImageNet error against iteration, with three plateaus between two drops of the learning rate. Left, plain nets: the 34-layer lines lie above the 18-layer lines throughout, by less after each drop. Right, residual nets: the 34-layer lines lie below the 18-layer lines throughout."}}
sources.figure(fig2.fig2({"": paper}), paper, [CURVES])

# %% [markdown]
# On ImageNet the plain gap is one of a few points, not of tens, and it shrinks as the learning
# rate drops. Each number below is the mean over a stretch of the curve: the last iterations before
# each drop, and the last of all.

# %% tags=["hide-input"]
sources.table(final_paper_errors(paper), "Errors of the paper on its plateaus", [CURVES])

# %% [markdown]
# These are centre-crop errors of what seem to be single trainings. They must not be set against the
# paper's Table 2, which averages ten crops of each image.
#
# ## Our final errors beside Table 2
#
# The paper's Table 2 has the final errors of the four networks on ImageNet. Ours stand beside them,
# means over {glue:text}`n_seeds` seeds on digits and {glue:text}`pictures_n_seeds` on pictures, with their spread in the
# tables above: ten-crop errors too where the training was a full one, else the last
# validation errors of the curves.

# %% tags=["hide-input"]
titles = {"": "digits", "pictures_": "20 classes of Tiny ImageNet", "full_": "Tiny ImageNet"}
sources.table(
    beside_table_2({titles[prefix]: table for prefix, table in scales.items()}),
    "Our final errors beside Table 2 of the paper",
    [*records, *pictures, *full],
)

# %% [markdown]
# What differs between the columns, besides the seeds (the paper seems to have trained each network
# once):
#
# - *the data*: 1.28 million images of 1,000 classes at 224×224 pixels in the paper; 100,000 of 200
#   classes at 56×56, 10,000 of 20 classes at 56×56, and {glue:text}`training_images:,d` of 10 classes at
#   8×8 here. The number of classes alone moves an error: guessing is wrong 99.9, 99.5, 95 and 90 % of
#   the time. Only signs and orders of gaps can be compared, not errors.
# - *the crops*: ten of each image in Table 2, worth about two points on ImageNet, where its Fig. 4
#   has the centre crop; ten in a full training here, after the statistics of batch
#   normalisation were averaged over an epoch with the weights fixed; one in the others.
# - *the length*: 120 epochs in the paper, 90, {glue:text}`pictures_epochs` and {glue:text}`epochs` here.
#
# ## What the runs cost
#
# Minutes and images per second of each run, with its evaluations. Runs on the CPU use one core each.
# Ours shared the machine with others, those on pictures at low priority: their times say what to
# expect at worst. [How fast](speed.ipynb) has measurements on an idle machine.

# %% tags=["hide-input"]
sources.table(
    tables.costs(pd.concat([full_runs, picture_runs, runs])),
    "What the runs of this chapter cost",
    [*full, *pictures, *records],
)

# %% [markdown]
# **The answer.** On digits and on twenty classes the degradation of plain nets is plain to see
# ({glue:text}`plain_gap_training` and {glue:text}`pictures_plain_gap_training` points of training error), and shortcuts lower the
# error of 34 layers without a parameter ({glue:text}`shortcut_training` and {glue:text}`pictures_shortcut_training`
# points). Whether the deeper ResNet is also the better one (C5) these trainings cannot say: the one task is too easy and the
# other training too short.
