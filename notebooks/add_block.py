# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Add a block
#
# **The question.** You have an idea for a block. What does it take to train it like ours, and to see it beside them?
#
# One file. Put `mine.py` into the folder `blocks` of your checkout, or of the folder that you work in, and `mine` is a family
# like the others: `resnet-study run --family mine --depth 34`. It trains by the same recipes, its runs are recorded and resumed in the
# same way, and tables and figures know its name and its colour.
#
# ## An example
#
# {cite:t}`he2016identity` move the normalisation and the ReLU of a residual block to the front of each convolution. What the addition puts
# out then goes on as it is. This is the whole file:
#
# ```{literalinclude} ../resnet_study/models/families/preactivation.py
# :language: python
# ```
#
# `Block` is called with channels in and out, stride, shortcut and normalisation. `LABEL` and `COLOUR` are for tables and figures.
# `finish`, which most blocks do without, gets the whole net once it is built. Here it sees to both ends: the first block shares
# the activation of the stem, and the last one ends in one of its own.
#
# Start the weights as the others do, with `convolution` of {py:mod}`resnet_study.models.blocks`: else you compare starts, and not
# blocks.

# %% tags=["remove-cell"]
from myst_nb import glue

from resnet_study import paths
from resnet_study.figures import families, sources, style, tables
from resnet_study.pipeline.frames import load_curves, load_runs
from resnet_study.pipeline.parameters import check_parameters
from resnet_study.pipeline.run import make_run
from resnet_study.questions import words
from resnet_study.questions.effects import select
from resnet_study.statistics import paired_difference

style.use_style()

# %% tags=["parameters", "remove-cell"]
runs_dir: str = "data/runs"  # folder of the records; relative to the repository
family: str = "preactivation"  # the block that is set beside the residual one

# %% tags=["remove-cell"]
check_parameters()
folder = paths.ROOT / runs_dir
asked = [
    make_run("digits", family=name, depth=depth, seed=seed)
    for name in ("residual", family)
    for depth in (18, 34)
    for seed in range(5)
]
records = [run.recorded_at(folder) for run in asked if run.state(folder) == "recorded"]
runs, curves = load_runs(records), load_curves(records)

# %% [markdown]
# ## Beside the residual block
#
# Both with the recipe of the digits, and with the same seeds.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-own-block", "caption": "Nets of residual blocks and of the other kind of block on digits. Thin lines: training error, running over each epoch's augmented batches; bold lines: validation error. Means over five seeds, bands from the lowest seed to the highest."}, "image": {"alt": "Two panels of error against iteration, 18 layers left and 34 right. In each, a thin and a bold line with bands for the residual block and for the other one; the table below says where they end."}}
sources.figure(families.curves(curves), style.long_curves(curves), records)

# %% tags=["hide-input"]
sources.table(tables.final_errors(runs), "Final errors on digits by the kind of block", records)

# %% tags=["hide-cell"]
for depth in (18, 34):
    first, second = (
        select(runs, name, depth).set_index("seed").validation_error.astype(float)
        for name in (family, "residual")
    )
    difference = paired_difference(first, second)
    glue(f"gap_{depth}", words.with_n(difference), display=False)
sources.numbers(records)

# %% [markdown]
# **The answer.** Validation error of the other block less that of the residual one: {glue:text}`gap_18` points at 18 layers, {glue:text}`gap_34`
# at 34. The paper sees the gain of pre-activation in far deeper nets; this is an example, and not a test of that.
#
# Your own, beside the residual block, with the same figure, table and numbers:
#
# ```bash
# resnet-study run --family mine --depth 18,34 --seeds 0-4
# papermill notebooks/add_block.ipynb out.ipynb -p family mine
# ```
