# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Fifty classes of pictures, six seeds
#
# **The question.** Digits are easy, and twenty epochs are short. What becomes of Fig. 2 in nets that are trained for long, on
# pictures that they cannot learn by heart?
#
# **What we do here.** Every fourth class of Tiny ImageNet, 25,000 pictures to train on; nets an eighth as wide as the paper's, so
# that their size limits them and not their memory; 100 epochs; each family at the rate that [pilots](../book/registration.md)
# chose for it. Six seeds of each net. Measures, tests and readings were [committed](../book/registration.md) before the
# first of these trainings.

# %% tags=["remove-cell"]
import pandas as pd
from IPython.display import Markdown
from myst_nb import glue

from resnet_study import paths
from resnet_study.figures import claims as claims_figures
from resnet_study.figures import fig2, sources, style, tables
from resnet_study.figures import pictures as pictures_figures
from resnet_study.pipeline.frames import load_curves, load_runs
from resnet_study.pipeline.parameters import check_parameters
from resnet_study.pipeline.records import read_record
from resnet_study.questions import experiments, pictures, registered, words
from resnet_study.questions.experiments import EXPERIMENTS
from resnet_study.questions.paper import CURVES, load_paper_curves
from resnet_study.statistics import drawn_again

style.use_style()

# %% tags=["parameters", "remove-cell"]
runs_dir: str = "data/runs"  # folder of the records; relative to the repository

# %% tags=["remove-cell"]
check_parameters()
folder, recipe = paths.ROOT / runs_dir, "tiny-imagenet-50"
central = EXPERIMENTS["fig2"].records(folder, recipe)
starts = EXPERIMENTS["start"].recorded(folder, recipe)
highways = EXPERIMENTS["highway"].recorded(folder, recipe)
by_data = EXPERIMENTS["data-size"].recorded(folder, recipe)
curves = load_curves(central)
SPLITS = {"training": "clean_training_error", "validation": "validation_error"}

# %% [markdown]
# ## Fig. 2

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-fifty", "caption": "Plain and residual nets on fifty classes of Tiny ImageNet. Thin lines: training error, running over each epoch's augmented batches; bold lines: validation error. Means over six seeds, bands from the lowest seed to the highest. The rate drops after half and after three quarters."}, "image": {"alt": "Two panels of error against iteration. Left, plain nets: the 34-layer lines lie some ten points above the 18-layer lines from early on to the end, in training as in validation. Right, residual nets: both depths fall together, far below the plain nets; at the end the 34-layer net is below in training error and level in validation error."}}
shown = style.long_curves(curves)
sources.figure(fig2.fig2({"": shown}), shown, central)

# %% tags=["hide-input"]
sources.table(tables.final_errors(load_runs(central)), "Final errors on fifty classes", central)

# %% [markdown]
# ## How the gaps come about
#
# Each line below is the net of 34 layers less that of 18, of the same seed.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-fifty-gaps", "caption": "34 − 18 layers on fifty classes against the iteration, paired by seed: training error on clean images left, validation error right. Lines are means over six seeds with Student's 95 % interval; below zero the deeper net is ahead."}, "image": {"alt": "Two panels of a difference against the iteration. The line of plain nets rises to about ten points within the first tenth and stays. The line of residual nets starts above zero and sinks below it in training error; in validation error it ends at zero."}}
gaps = {
    (family, split): pictures.gap_by_iteration(
        curves, {"family": family, "depth": 34}, {"family": family, "depth": 18}, metric
    )
    for family in ("plain", "residual")
    for split, metric in SPLITS.items()
}
sources.figure(
    pictures_figures.depth_gaps(gaps), {", ".join(name): gap for name, gap in gaps.items()}, central
)

# %% tags=["hide-cell"]
residual = gaps["residual", "training"]
crossed = pictures.crossing(residual)
paper = load_paper_curves()
theirs = {
    (family, "training"): pictures.paper_gap(paper, family, "training")
    for family in ("plain", "residual")
}
readings = registered.readings(recipe, folder)
facts = {
    "crossing": f"{crossed:,}" if crossed else "none",
    "crossing_share": words.percent(crossed / residual.iteration.max()) if crossed else "–",
    "one_image": f"{100 / read_record(central[0])['validation_images']:.2f}",
    "iterations": f"{residual.iteration.max():,}",
    "plain": words.mean_and_interval(readings["C4"].effect),
    "deeper": words.mean_and_interval(readings["C5"].effect),
    "deeper_training": words.mean_and_interval(readings["C5"].other),
    "deeper_drawn_again": "[{}, {}]".format(
        *map(words.signed, drawn_again(registered.image_differences(recipe, "C5", folder)))
    ),
    "zero_gamma": words.mean_and_interval(readings["C5"].variants["zero-γ"]),
    "small_gamma": words.mean_and_interval(readings["C5"].variants["small γ"]),
    "gated": words.mean_and_interval(readings["C8"].effect),
    "gated_training": words.mean_and_interval(readings["C7"].effect),
    "gated_small_gamma": words.mean_and_interval(readings["C8"].variants["small γ"]),
    "gated_2025": words.mean_and_interval(readings["C8"].variants["the block of 2025"]),
    "gated_2025_training": words.mean_and_interval(readings["C7"].variants["the block of 2025"]),
    "gated_2025_n": readings["C7"].variants["the block of 2025"].n,
    "less_data": words.mean_and_interval(readings["C9"].effect),
    "c4": readings["C4"].answer,
    "c5": readings["C5"].answer,
    "c7": readings["C7"].answer,
    "c8": readings["C8"].answer,
    "c9": readings["C9"].answer,
}
for name, value in facts.items():
    glue(name, value, display=False)
sources.numbers([*central, CURVES])

# %% [markdown]
# - **Plain nets.** The deeper one ends {glue:text}`plain` points higher in training error. That is the sign that C4 claims, and by the
#   registered test it is *{glue:text}`c4`*. The gap opens within the first epochs and does not close when the rate drops: the net is no
#   late starter.
# - **Residual nets.** At first the deeper one is behind here too. From iteration {glue:text}`crossing` of {glue:text}`iterations` on
#   ({glue:text}`crossing_share`) it is ahead in training error, and ends {glue:text}`deeper_training` points lower. In
#   validation error, which C5 is read from, the difference is {glue:text}`deeper`: *{glue:text}`c5`*. It fits more of what it was
#   shown and does no better on what it was not.
#
# ## Beside the paper
#
# The paper's nets saw ImageNet for thirty times as many iterations. On a common axis, the share of the training, the two stories are
# alike in training error, in sign though not in size.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-fifty-paper", "caption": "34 − 18 layers in training error against the share of the training: ours on fifty classes, clean images, with a 95 % interval over six seeds; dashed, the paper's on ImageNet, one training each, digitised, as far as its figure shows them. The axes of the panels differ."}, "image": {"alt": "Two panels of the gap against the share of the training. Plain nets: both lines lie above zero throughout, ours at about twelve points, the paper's at about two. Residual nets: both end below zero, ours at about two points, the paper's at about five."}}
sources.figure(
    pictures_figures.beside_paper(gaps, theirs),
    {"ours, " + family: gaps[family, "training"] for family in ("plain", "residual")}
    | {"the paper, " + family: theirs[family, "training"] for family in ("plain", "residual")},
    [*central, CURVES],
)

# %% [markdown]
# ## Is it the start?
#
# A residual net can begin with each branch at full strength, at a tenth of it (γ = 0.12, the damping that a gate of bias −2 has), or at zero.
# The curves of all three show ResNet-34 less ResNet-18.

# %% tags=["remove-input"]
Markdown(experiments.coverage(EXPERIMENTS["start"], recipe, folder, gpu=False))

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-fifty-starts", "caption": "ResNet-34 − ResNet-18 on fifty classes by the start of the branches, against the iteration: training error on clean images left, validation error right. Means over the seeds that are recorded; Student's 95 % interval where there are six."}, "image": {"alt": "Two panels of the gap between the deeper and the shallower ResNet against the iteration, with a line for each of three starts. All end below zero in training error. In validation error the usual start ends at zero and the others below."}}
started = load_curves(starts)
by_start = {
    (start, split): pictures.gap_by_iteration(
        started,
        {"family": "residual", "depth": 34, "normalisation": start},
        {"family": "residual", "depth": 18, "normalisation": start},
        metric,
    )
    for start in pictures_figures.START_WORDS
    if start in set(started.normalisation)
    for split, metric in SPLITS.items()
}
sources.figure(
    pictures_figures.start_gaps(by_start),
    {", ".join(name): gap for name, gap in by_start.items()},
    starts,
)

# %% tags=["hide-input"]
runs = load_runs(starts)
sources.table(
    pd.concat(
        [
            tables.final_errors(group).assign(
                network=lambda table, start=start: [
                    words.kind(name, start) for name in table.network
                ]
            )
            for start, group in runs.groupby("normalisation")
        ]
    ),
    "ResNets on fifty classes by their start",
    starts,
)

# %% [markdown]
# In training error the deeper net is ahead from every start. In validation error, at the last epoch, it is from zero
# ({glue:text}`zero_gamma`); from a tenth the difference is {glue:text}`small_gamma`, from full strength
# {glue:text}`deeper`. So by the registered reading C5 depends on the start. But mind the table: with zero-γ both depths are far worse than
# with the others, at a rate that was chosen for branches of full strength.
#
# ## Highway nets of equal size
#
# With as many parameters as the ResNet, gates of bias −2, and a rate of their own. Gates are weights too: at equal size
# the branches between them are narrower.

# %% tags=["remove-input"]
Markdown(experiments.coverage(EXPERIMENTS["highway"], recipe, folder, gpu=False))

# %% tags=["remove-input"] mystnb={"figure": {"name": "fig-fifty-highway", "caption": "Highway − ResNet of equal size on fifty classes against the iteration, paired by seed: training error on clean images left, validation error right. Means over the seeds that are recorded; Student's 95 % interval where there are six."}, "image": {"alt": "Two panels of the gap between Highway net and ResNet against the iteration, with a line for 18 and one for 34 layers. Both lines rise from zero to about five points at half of the training, step down at each drop of the rate, and end at about three."}}
gated = load_curves(highways)
if "highway" in set(gated.family):
    by_depth = {
        (depth, split): pictures.gap_by_iteration(
            gated,
            {"family": "highway", "depth": depth},
            {"family": "residual", "depth": depth},
            metric,
        )
        for depth in (18, 34)
        if depth in set(gated[gated.family == "highway"].depth)
        for split, metric in SPLITS.items()
    }
    sources.figure(
        pictures_figures.highway_gaps(by_depth),
        {f"{depth} layers, {split}": gap for (depth, split), gap in by_depth.items()},
        highways,
    )

# %% [markdown]
# The Highway net falls behind while the rate is high, at both depths alike, and makes up a part of it at each drop.
# Over both depths it ends {glue:text}`gated_training` points above in training error (C7 reads *{glue:text}`c7`*) and
# {glue:text}`gated` in validation error (C8 reads *{glue:text}`c8`*). It is not
# the damping: beside a ResNet whose branches start as damped as the gates make them, the Highway net is further behind
# ({glue:text}`gated_small_gamma`).
#
# It may be the block. That of {cite:t}`srivastava2025comparison` has gates of two layers, normalised and all but shut at first,
# and a ReLU inside. At equal size it ends {glue:text}`gated_2025_training` points from the ResNet in training error and
# {glue:text}`gated_2025` in validation error, n = {glue:text}`gated_2025_n`: exploratory, as registered, but no sign of a
# deficit.
#
# ## A tenth of the pictures
#
# If the Highway net is behind because it needs more data, it should be further behind with less. So ResNet-18 and Highway-18 were
# trained on a tenth of the pictures too, for as many iterations. Each seed draws its own tenth.

# %% tags=["remove-input"]
Markdown(experiments.coverage(EXPERIMENTS["data-size"], recipe, folder, gpu=False))

# %% tags=["remove-input"]
runs = load_runs(by_data)
sources.table(tables.arms(runs), "ResNet-18 and Highway-18 by the amount of data", by_data)

# %% [markdown]
# On a tenth both nets know their pictures by heart, and are wrong on four of five new ones. A training error that is almost zero has no
# room for a gap, so read the validation error: from all pictures to a tenth the gap changes by {glue:text}`less_data` points.
# C9 wants it to grow, and reads *{glue:text}`c9`*.
#
# ## The measures

# %% tags=["remove-input"]
sources.table(
    claims_figures.registered_table(readings),
    "Registered measures on fifty classes",
    sorted({path for reading in readings.values() for path in reading.files}),
)

# %% [markdown]
# ## What could still be wrong
#
# - *The width.* Nets an eighth as wide as the paper's are limited by it, and width can be worth more than depth
#   {cite}`zagoruyko2016wide`. A wider deep net may gain on new pictures what these
#   do not.
# - *The rates.* Each family has the best of a grid of rates a factor of three apart, from pilots of one seed and thirty epochs.
# - *Sampling.* One validation picture is {glue:text}`one_image` points. The intervals are over seeds; they say how these nets differ on these
#   pictures. With seeds and validation pictures both drawn again, the difference between the two ResNets lies in
#   {glue:text}`deeper_drawn_again`.
#
# **The answer.** Of Fig. 2 the left half shows on fifty classes as on ImageNet: depth makes a plain net worse, by
# {glue:text}`plain` points, on the pictures it was trained on. The right half shows in training error, where the deeper ResNet overtakes the other
# one, and not in validation error ({glue:text}`deeper`). A Highway net of equal size with the usual gates ends behind the ResNet, in both;
# with the block of 2025, in three seeds, it does not.
