# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Inside the gates
#
# **The question.** A Highway net usually starts with its gates nearly closed, so that each block passes
# on what it is given. What do they do after training? Do they open, do they look at the image, and is there
# a block that the net could do without?
#
# **What we do here.** Each training of a Highway net recorded its gates on the
# {glue:text}`validation_images` clean validation images, before the first step and after the last: T, its
# spread, the biases, how T differs by class, how much of the input is carried through, and the error
# without each block in turn. Here we only read and draw: nets of 18 and 34 layers, gates of 1×1 and
# 3×3, six biases to start from, all else as in the [recipe](../book/reproduce.md).

# %% tags=["remove-cell"]
import pandas as pd
from IPython.display import Markdown
from myst_nb import glue

from resnet_study import paths
from resnet_study.figures import gates as gates_figures
from resnet_study.figures import sources, style, tables
from resnet_study.figures.gates import summarise
from resnet_study.pipeline.frames import load_gates, load_lesions, load_runs
from resnet_study.pipeline.parameters import check_parameters
from resnet_study.questions import experiments
from resnet_study.questions import words as words_questions
from resnet_study.questions.effects import sign
from resnet_study.questions.experiments import EXPERIMENTS, USUAL_GATES
from resnet_study.questions.highway import gate_labels
from resnet_study.statistics import estimate
from resnet_study.training.recipes import get_recipe

style.use_style()

# %% tags=["parameters", "remove-cell"]
runs_dir: str = "data/runs"  # folder of the records; relative to the repository

# %% tags=["remove-cell"]
check_parameters()
folder = paths.ROOT / runs_dir
records = EXPERIMENTS["highway"].records(folder, "digits")
CLASSES = 10  # of the digits


def usual(table):
    """Highway nets of whole widths at the recipe's rate: those that differ in their gates alone."""
    if table.empty:
        return table
    rate = get_recipe("digits").rate
    return table[(table.family == "highway") & table.match.isna() & (table.rate == rate)]


gates, lesions = usual(load_gates(records)), usual(load_lesions(records))
runs = usual(load_runs(records))
recorded = len(gates) > 0
summary = summarise(gates, lesions) if recorded else pd.DataFrame()
if recorded:
    summary["bias_moved"] = summary.bias_end - summary.bias_start
end = gates[gates.when == "end"] if recorded else gates
files = list(runs.path)


def shown(table, *values):
    """The columns of a table of gates that a figure draws."""
    place = ["depth", "gate_kernel", "gate_bias", "seed", "position"]
    return table[[*place, *values]]


# %% tags=["remove-input"]
Markdown(experiments.coverage(EXPERIMENTS["highway"], "digits", folder, gpu=False))

# %% tags=["hide-cell"]
NOTHING = "not recorded yet"
planned = len(EXPERIMENTS["highway"].grids["digits"].seeds)
counts = summary.groupby(["depth", "gate_kernel", "gate_bias"]).size() if recorded else []
glue("planned", planned, display=False)
glue("n_gates", len(counts), display=False)
few = f"{min(counts)} to {max(counts)}" if recorded and min(counts) != max(counts) else None
glue("n", few or (str(min(counts)) if recorded else "no"), display=False)
images = int(gates.validation_images.iloc[0]) if recorded else None
glue("validation_images", str(images) if recorded else NOTHING, display=False)
glue("one_image", f"{100 / images:.2f}" if recorded else NOTHING, display=False)
glue("chance", f"{(CLASSES - 1) / (images - 1):.3f}" if recorded else NOTHING, display=False)
sources.numbers(files)

# %% [markdown]
# Of these, {glue:text}`n_nets` are shown here: {glue:text}`n_gates` kinds of nets at the recipe's rate and widths, with {glue:text}`n` of {glue:text}`planned` seeds
# each. In every figure lines are means over seeds, bands reach from the lowest seed to the highest, and
# the colour tells the bias that the gates started from.
#
# ## First, which of them trained
#
# What gates do in a net that did not learn tells about the start, not about learning: read the figures
# with these final errors beside them.

# %% tags=["hide-input"]
if len(runs):
    sources.table(tables.arms(runs), "Final errors of the nets whose gates are shown", files)

# %% [markdown]
# ## How far gates open
#
# T is the weight of what a block computes, 1 − T that of what it was given. {numref}`fig-gates` has its
# mean over images, channels and positions, block by block.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-gates", "caption": "Mean of the transform gate T in each block, after training (solid) and before (dashed). 18 layers above, 34 below; gates of 1×1 left, 3×3 right. Dotted verticals: blocks that change shape."}, "image": {"alt": "Four panels of the mean of T against the block on a logarithmic axis, a line for each starting bias from 0 to minus 6. The dashed lines of the start lie in the order of the biases; the solid lines show where each block's gate ended. The table below has their means."}}
if recorded:
    both = gates_figures.before_and_after(gates)
    figure = gates_figures.profiles(both, "transform", "mean of T", log=True)
    sources.figure(figure, shown(both, "when", "transform"), files)

# %% [markdown]
# A mean hides whether a gate is the same for all that it sees. {numref}`fig-gate-spread` has the standard
# deviation of T over images, channels and positions: 0 would be a constant, as good as a scale.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-gate-spread", "caption": "Standard deviation of T in each block over images, channels and positions, after training. Panels as above."}, "image": {"alt": "Four panels of the standard deviation of T after training against the block, a line for each starting bias. The table below has their means over the blocks."}}
if recorded:
    figure = gates_figures.profiles(end, "deviation", "deviation of T")
    sources.figure(figure, shown(end, "deviation"), files)

# %% [markdown]
# In numbers, as means over the blocks of a net: mean over seeds [lowest, highest]. *Bias moved* is the
# mean over channels and blocks of the gates' biases after training less those before; below zero they went down.

# %% tags=["hide-input"]
columns = {
    "transform_start": "T before",
    "transform_end": "T after",
    "deviation_end": "deviation after",
    "bias_moved": "bias moved",
}
if recorded:
    sources.table(
        gates_figures.gate_table(summary, columns),
        "How far gates open: mean T over the blocks",
        files,
    )

# %% [markdown]
# ## Do they look at the class?
#
# For each channel we take the mean of T over an image, and ask which share of its variance over images
# lies between classes rather than within them. Chance alone gives about
# (classes − 1) / (images − 1), {glue:text}`chance` here. Untrained gates are above it as well, since
# images of two classes differ in their pixels: what training adds is the step from dashed to solid.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-gate-classes", "caption": "Share of the variance of T over images that lies between classes, after training (solid) and before (dashed). Panels as above."}, "image": {"alt": "Four panels of the share of T's variance between classes against the block, from 0 to 1, a solid line after training and a dashed one before for each starting bias. The table below has their means over the blocks."}}
if recorded:
    figure = gates_figures.profiles(both, "class_share", "share between classes")
    sources.figure(figure, shown(both, "when", "class_share"), files)

# %% tags=["hide-input"]
columns = {"class_share_start": "share before", "class_share_end": "share after"}
if recorded:
    sources.table(
        gates_figures.gate_table(summary, columns),
        "Share of the variance of T between classes",
        files,
    )

# %% [markdown]
# ## How much is carried through
#
# The input of the first block reaches the end of block $l$ by its shortcuts with the factor
# $\prod_{k \le l} (1 - T_k),$ the carry product. Gates that do not look at their input would start with
# $(1 - \sigma(b))^l$. We multiply geometric means over units, so {numref}`fig-carry` shows the geometric mean
# of the product.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-carry", "caption": "Carry product up to each block, after training (solid) and before (dashed); logarithmic. Crosses: (1 − σ(b)) to the power of the number of blocks, of constant gates. Panels as above."}, "image": {"alt": "Four panels of the carry product against the block on a logarithmic axis. All lines fall from left to right, the steeper the higher the starting bias; crosses at the right mark what constant gates would give. The table below has the products of all blocks."}}
if recorded:
    figure = gates_figures.carry_products(gates)
    sources.figure(figure, shown(gates, "when", "carry_product"), files)

# %% tags=["hide-input"]
columns = {
    "carry_product_constant": "constant gates",
    "carry_product_start": "before",
    "carry_product_end": "after",
}
if recorded:
    sources.table(gates_figures.gate_table(summary, columns), "Carry product of all blocks", files)

# %% [markdown]
# A residual net has the factor 1 at every depth. The product is no measure of how well a net trains,
# though: what arrives at the end by shortcuts alone is one path of many.
#
# ## What each block is worth
#
# A lesion takes one block out of the trained net: T is set to 0 there, and the block passes on its
# shortcut. What follows then sees inputs of another size, and batch normalisation may fail for that alone;
# so the error is measured a second time after the running statistics were measured again on training
# images (*recalibrated*).

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-lesions", "caption": "What a lesion of each block costs, in points of validation error; recalibrated (solid) and as it is (dashed). Panels as above."}, "image": {"alt": "Four panels of the cost of a lesion in points of validation error against the block taken out, a solid line with recalibration and a dashed one without for each starting bias. The table below has the worst lesions."}}
if recorded:
    parts = {"cost_recalibrated": "recalibrated", "cost": "as it is"}
    cost = lesions.melt(
        ["depth", "gate_kernel", "gate_bias", "seed", "block", "position"],
        list(parts),
        value_name="points",
    )
    cost["line"] = pd.Categorical(cost.variable.map(parts), list(parts.values()))
    figure = gates_figures.profiles(cost, "points", "cost of a lesion (points)")
    sources.figure(figure, shown(lesions, *parts), files)

# %% [markdown]
# The worst lesion of each net, in points of validation error, and the share of its blocks that cost nothing
# once recalibrated. A net that did not train has nothing to lose by a lesion.

# %% tags=["hide-input"]
columns = {
    "worst_cost": "worst, as it is",
    "worst_recalibrated": "the same, recalibrated",
    "harmless": "share of blocks without cost",
}
if recorded:
    sources.table(gates_figures.gate_table(summary, columns), "The worst lesion of each net", files)

# %% tags=["hide-cell"]
WORDS = {"higher": "opened", "lower": "closed", "undecided": "did not decidedly move"}
CARRIES = {"higher": "rose", "lower": "fell", "undecided": "did not decidedly change"}
READS = {"higher": "more", "lower": "less", "undecided": "not decidedly more or less"}


def change(nets, name, words):
    """What became of a quantity, in words, by the sign of its paired change over seeds."""
    return words[sign(estimate(nets[f"{name}_end"] - nets[f"{name}_start"]))]


for depth in (18, 34):
    nets = summary
    for name, value in {"depth": depth, **gate_labels(USUAL_GATES)}.items() if recorded else ():
        nets = nets[nets[name] == value]
    known = len(nets) > 0
    texts = {
        name: words_questions.mean_and_range(nets[name]) if known else NOTHING
        for name in (
            "transform_start",
            "transform_end",
            "bias_moved",
            "class_share_start",
            "class_share_end",
            "carry_product_start",
            "carry_product_end",
            "worst_cost",
            "worst_recalibrated",
            "harmless",
        )
    }
    texts |= {
        "opened": change(nets, "transform", WORDS) if known else NOTHING,
        "carried": change(nets, "carry_product", CARRIES) if known else NOTHING,
        "selective": change(nets, "class_share", READS) if known else NOTHING,
        "worst": ", ".join(sorted(set(nets.worst))) if known else NOTHING,
        "seeds": str(len(nets)) if known else "0",
    }
    for name, text in texts.items():
        glue(f"{name}_{depth}", text, display=False)
reshaping = summary.worst.isin(["stage2.1", "stage3.1", "stage4.1"]) if recorded else []
glue("worst_reshaping", int(sum(reshaping)), display=False)
glue("n_nets", len(summary), display=False)
sources.numbers(files)

# %% [markdown]
# Of the {glue:text}`n_nets` nets {glue:text}`worst_reshaping` have their worst lesion in a block that
# changes shape; three of 8 blocks (18 layers) or of 16 (34 layers) do. Nets that did not train are among them.
#
# ## Beside the literature
#
# Ours are 3×3 gates with a bias of −2; mean over seeds
# [lowest, highest].
#
# | | others | Highway-18, n = {glue:text}`seeds_18` | Highway-34, n = {glue:text}`seeds_34` |
# |---|---|---|---|
# | mean of T, before | – | {glue:text}`transform_start_18` | {glue:text}`transform_start_34` |
# | mean of T, after | – | {glue:text}`transform_end_18` | {glue:text}`transform_end_34` |
# | biases moved by | {cite:t}`srivastava2015training`: most went further down; 50 fully connected layers, MNIST from −2 and CIFAR-100 from −4, the best net of each | {glue:text}`bias_moved_18` | {glue:text}`bias_moved_34` |
# | share of T's variance between classes, before | – | {glue:text}`class_share_start_18` | {glue:text}`class_share_start_34` |
# | after | {cite:t}`srivastava2015training`, the same nets: the mean pattern of T differs between classes | {glue:text}`class_share_end_18` | {glue:text}`class_share_end_34` |
# | carry product, before | {cite:t}`he2016identity`: a factor below 1 on every shortcut multiplies up; with gates 1 − g and g, ResNet-110 on CIFAR-10 failed from biases of 0 to −5 (median of 5) | {glue:text}`carry_product_start_18` | {glue:text}`carry_product_start_34` |
# | after | – | {glue:text}`carry_product_end_18` | {glue:text}`carry_product_end_34` |
# | worst lesion as it is, points | {cite:t}`veit2016ensembles`: a ResNet barely changes, but for blocks that reduce the resolution; a plain net falls to chance | {glue:text}`worst_cost_18` ({glue:text}`worst_18`) | {glue:text}`worst_cost_34` ({glue:text}`worst_34`) |
# | share of blocks without cost, recalibrated | {cite:t}`srivastava2015training`: about 60 % of the layers on MNIST; on CIFAR-100 the first 40 or so all matter | {glue:text}`harmless_18` | {glue:text}`harmless_34` |
#
# {cite:t}`srivastava2025comparison` publishes code and errors of one training, and no gates.
#
# ## What could still be wrong
#
# - T alone does not say how much a block contributes: the last normalisation of a branch can make H larger
#   as T gets smaller. The [theorem](containment.ipynb) with T = ½ is an example.
# - Lesions are counted on {glue:text}`validation_images` images, so one image is worth
#   {glue:text}`one_image` points, and a cost of a point is a few images.
# - The share between classes says that T goes along with the class, not that the net makes use of it; a gate may
#   follow brightness or stroke width, which classes differ in too.
# - Running statistics were measured again on 500 training images at most, and the weights that follow a
#   lesion stayed as they were.
# - Everything here is digits of 8×8 pixels. They ask little of a deep net, so what its gates
#   could do may not show.
#
# **The answer.** In the nets with 3×3 gates of bias −2, gates {glue:text}`opened_18` over the training at 18 layers
# (mean T {glue:text}`transform_start_18` before, {glue:text}`transform_end_18` after) and {glue:text}`opened_34` at 34
# ({glue:text}`transform_start_34` before, {glue:text}`transform_end_34` after), and they followed
# the class {glue:text}`selective_18` closely than before at 18 layers and {glue:text}`selective_34` closely at 34. The carry product
# {glue:text}`carried_18` at 18 and {glue:text}`carried_34` at 34 layers, and the worst single block to lose cost
# {glue:text}`worst_cost_18` and {glue:text}`worst_cost_34` points of validation error, and {glue:text}`worst_recalibrated_18` and
# {glue:text}`worst_recalibrated_34` once recalibrated (means over {glue:text}`seeds_18` and {glue:text}`seeds_34` seeds [lowest, highest]).
