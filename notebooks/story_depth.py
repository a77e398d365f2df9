# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A thousand layers
#
# How far does it go? The post says: to hundreds of layers, even thousands. We built plain and residual nets of 110 layers and of more
# than a thousand, and trained them from scratch on handwritten digits, one processor core each. Nobody needs a
# thousand layers to read digits. The question is whether they can be trained at all.

# %% tags=["remove-cell"]
from IPython.display import Markdown

from resnet_study import paths
from resnet_study.figures import depth as depth_figures
from resnet_study.figures import sources, style
from resnet_study.pipeline.frames import load_curves, load_runs
from resnet_study.pipeline.parameters import check_parameters
from resnet_study.questions import claims
from resnet_study.questions.depth import DEEP
from resnet_study.questions.experiments import EXPERIMENTS
from resnet_study.questions.lines import answer, line

style.use_style()

# %% tags=["parameters", "remove-cell"]
runs_dir: str = "data/runs"  # folder of the records; relative to the repository
measurements_dir: str = (
    "data/measurements"  # folder of the measurements; relative to the repository
)

# %% tags=["remove-cell"]
check_parameters()
folder = paths.ROOT / runs_dir
found = claims.examine(folder, paths.ROOT / measurements_dir)
narrow = "digits-narrow"
records = [
    *EXPERIMENTS["depth"].records(folder, "digits"),
    *EXPERIMENTS["thousand-layers"].records(folder, narrow),
]
runs = load_runs(records)
deepest = runs.depth.max()


def one_width(table):
    """Of the depths that the page shows: the narrow nets only where there are no others."""
    return table[(table.depth >= DEEP) & ((table.recipe != narrow) | (table.depth == deepest))]


deep = one_width(load_curves(records))

# %% tags=["remove-input"]
Markdown(f"**The answer.** {answer('depth', found)} [Evidence](claim-c1)")

# %% tags=["remove-input"] mystnb={"figure": {"name": "fig-story-depth", "caption": "Nets of 110 layers and, half as wide, of 1,004 layers on digits. Thin lines: training error; bold lines: validation error. Means over three seeds, bands from the lowest to the highest; dotted: guessing. The deepest ResNet with the usual start is a single training."}, "image": {"alt": "Two panels of error against iteration, 110 layers left and 1,004 layers right. Plain nets stay at the dotted line of guessing at 110 layers and have no line at 1,004, where they diverged. Residual nets whose branches start at zero fall to a few per cent in both. Residual nets with the usual start come down late and unevenly at 110 layers, and hardly at all at 1,004."}}
chance = 90.0  # percent: ten classes
shown = deep[["recipe", "family", "normalisation", "depth", "seed", "iteration", "training_error"]]
sources.figure(depth_figures.depth_curves(deep, one_width(runs), chance), shown, records)

# %% [markdown]
# The plain nets learn nothing: those of 110 layers stay at guessing, and the deepest diverge at once. That is one recipe; with
# another, plain nets of 110 layers have been trained {cite}`li2018landscape`. The residual nets with the usual start, every branch at full
# strength, end far apart at 110 layers, one seed well and one hardly trained, and the deepest does not train. The paper's authors met a trace of
# this: at the full rate their net of 110 layers was slow to start, and ended as well. They warmed it up, and with many more iterations than ours they
# trained one of over a thousand layers from the same start {cite}`he2015deep`.
#
# Then a change so small that it is easy to miss: the last scale of each branch starts at *zero* instead of
# one {cite}`goyal2017accurate`. Nothing else is
# different. At the first step every block is its shortcut alone, and the net, whatever its depth, computes what a net of a few layers
# computes. It then learns how much of each branch to let in.

# %% tags=["remove-input"]
Markdown(f"> {line('C1', found)} [Evidence](claim-c1)")

# %% [markdown]
# So the post is right that residual learning makes such depth trainable, here with a start that was found two years later. And it would be
# wrong to say *only*. With tanh, and convolutions that start by turning what passes through them without stretching it, ten
# thousand plain layers train {cite}`xiao2018dynamical`. With activations shaped for depth besides, plain nets come close to ResNets on
# ImageNet {cite}`zhang2022tat`. Depth needs a good start. Shortcuts with branches that start at zero are the easiest that we tried.
# They have a price where the rate was chosen for another start: on [fifty classes](pictures.ipynb) such nets end far behind the usual ones.
#
# ## Exercises
#
# 1. With every last scale at zero, what does a residual net compute at the first step, and which weights get a gradient?
#
# ```{dropdown} Solution
# Stem, shortcuts and classifier alone, and these get a gradient as always. In a branch only the last scale and shift get one, since all before is multiplied by that zero. After the
# first step the scale is no longer zero, and the rest begins to learn.
# ```
#
# 2. A net of a thousand layers trains as well as one of a hundred, and takes ten times as long. Who needs it?
#
# ```{dropdown} Solution
# Nobody who reads digits. It shows that depth as such is no obstacle, so that what stops a plain net must be something else.
# ```
#
# 3. Three seeds of most nets are shown. What could six show that three cannot?
#
# ```{dropdown} Solution
# If two nets were alike, all three seeds of one that was named beforehand would end below all three of the other once in twenty times by luck,
# and all six below all six once in nearly a thousand.
# ```
#
# *The evidence:* [the claim, C1](claim-c1) · [to a thousand layers](depth.ipynb) · [what was trained](../book/runs.md)
#
# If damping the branches is what counts, then a network that came before the ResNet had it already. [Read on](story_highway.ipynb).
