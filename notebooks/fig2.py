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
# **What we do here.** We train the same four networks, a quarter as wide and with a stem for
# small images, on scikit-learn's handwritten digits: 8×8 pixels, {glue:text}`training_images`
# training and {glue:text}`validation_images` validation images. That takes minutes on two
# cores, so everyone can repeat it. It is not ImageNet, and we do not pretend that it settles
# what happens there.

# %% tags=["remove-cell"]
from myst_nb import glue

from resnet_study import paths, plots, tables
from resnet_study.effects import FIG2_EFFECTS, verdict
from resnet_study.experiments import EXPERIMENTS, parse_seeds
from resnet_study.paper import final_paper_errors, load_paper_curves
from resnet_study.records import load_curves, load_runs, read_record

plots.use_style()

# %% tags=["parameters", "remove-cell"]
recipe: str = "digits"  # recipe of the records to draw
runs_dir: str = "data/runs"  # folder of the records; relative to the repository
seeds: str = "0-4"  # seeds of the records to draw, such as 0-2,7

# %% tags=["remove-cell"]
records = EXPERIMENTS["fig2"].records(paths.ROOT / runs_dir, recipe, parse_seeds(seeds))
runs, curves = load_runs(records), load_curves(records)

# %% [markdown]
# ## The curves

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-ours", "caption": "Plain and residual nets on the digits data. Thin lines: training error, running over each epoch's augmented batches; bold lines: validation error. Lines are means over seeds, bands reach from the lowest seed to the highest."}, "image": {"alt": "Two panels of error against iteration. Left, plain nets: the 18-layer net falls to a few percent, the 34-layer net stays around half of all images wrong, in training as in validation. Right, residual nets: both depths fall to a few percent and lie almost on each other."}}
plots.fig2({"": plots.long_curves(curves)})
plots.plt.show()

# %% [markdown]
# The plain net of 34 layers cannot even fit the images that it is trained on: this is no
# overfitting. The residual nets of both depths learn the task.

# %% [markdown]
# ## Final errors
#
# Errors are those of the last epoch, never of the best one: mean ± standard deviation over n
# seeds. *Training* is the running error of the last epoch, on shifted images, as each batch
# was seen; *training, clean* is measured afterwards on the training images as they are.

# %% tags=["hide-input"]
tables.show(tables.final_errors(runs))

# %% [markdown]
# Networks of the same depth have the same number of parameters, because shortcut A has none;
# with one seed they even start from the same weights and see the same batches. Only the
# additions differ.
#
# ## The gaps, and what they say
#
# Each gap is a difference between two networks of the same seed, with the 95 % bootstrap
# interval of its mean. The rule: if the interval leaves out zero, the sign of the gap
# supports or refutes the claim; if not, the claim is not decided.

# %% tags=["hide-input"]
tables.show(tables.effects(runs))

# %% tags=["remove-cell"]
for effect in FIG2_EFFECTS:
    measured = effect.estimate(runs)
    glue(effect.name, tables.mean_and_interval(measured), display=False)
    glue(f"{effect.name}_verdict", verdict(effect, measured), display=False)
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
}
for name, value in facts.items():
    glue(name, value, display=False)

# %% [markdown]
# - **C4, the plain gap**: {glue:text}`plain_gap_training` points in training error and
#   {glue:text}`plain_gap_validation` in validation error: {glue:text}`plain_gap_training_verdict`
#   on these data.
# - **C5, the residual gap**: {glue:text}`residual_gap_training` points in training error,
#   {glue:text}`residual_gap_training_verdict`; {glue:text}`residual_gap_validation` in
#   validation error, {glue:text}`residual_gap_validation_verdict`. The claim is that the deeper
#   ResNet is *better*. Here both depths learn nearly everything, so there is next to nothing left
#   for more layers to gain: whether depth helps a residual net cannot be seen on this task,
#   only that it does no harm comparable to the plain net's.
# - **C6, the shortcut alone**: the same 34 layers with the same parameters differ by
#   {glue:text}`shortcut_training` points in training error and
#   {glue:text}`shortcut_validation` in validation error:
#   {glue:text}`shortcut_training_verdict`.

# %% [markdown]
# ## The paper's own curves
#
# The paper publishes its curves as an image only. {numref}`fig-paper` shows them digitised
# from it, to about ±0.3 points, without the points at the two drops of the learning rate.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-paper", "caption": "The original on ImageNet: Fig. 4 of He et al. 2015, which is Fig. 2 of the post, digitised. Thin lines: training error; bold lines: validation error, centre crop. One training each."}, "image": {"alt": "Two panels of ImageNet error against iteration, with three plateaus between two drops of the learning rate. Left, plain nets: the 34-layer lines lie above the 18-layer lines throughout, by less after each drop. Right, residual nets: the 34-layer lines lie below the 18-layer lines, and the distance grows."}}
paper = load_paper_curves()
plots.fig2({"": paper})
plots.plt.show()

# %% [markdown]
# On ImageNet the plain gap is one of a point or two, not of tens, and it shrinks as the
# learning rate drops:

# %% tags=["hide-input"]
tables.show(final_paper_errors(paper))

# %% [markdown]
# These are centre-crop errors of single trainings. They must not be set against the
# paper's Table 2, which averages ten crops of each image.
#
# **The answer.** On the digits the degradation of plain nets is plain to see
# ({glue:text}`plain_gap_training` points of training error, C4
# {glue:text}`plain_gap_training_verdict`) and shortcuts remove it without a parameter
# ({glue:text}`shortcut_training` points, C6 {glue:text}`shortcut_training_verdict`). Whether the
# deeper ResNet is also the better one (C5) is, in training error,
# {glue:text}`residual_gap_training_verdict` here; that question takes a harder task than this.
