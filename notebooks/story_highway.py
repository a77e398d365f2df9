# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What is a Highway network?
#
# Half a year before the ResNet there was the Highway network {cite}`srivastava2015highway`. It has the same two paths, and a *gate* that decides,
# for each unit and each image, how much of either to take: $T \cdot F(x) + (1 - T) \cdot x$. The gate is a sigmoid, $T = \sigma(w x + b)$, and
# its bias $b$ says where it starts. A ResNet is what is left when the gates are thrown out. The post finds it odd that the simpler net should win, since the gated one can do all that it does. Perhaps,
# it says, gates need more data.

# %% tags=["remove-cell"]
from IPython.display import Markdown

from resnet_study import paths
from resnet_study.figures import highway, sources, style
from resnet_study.pipeline.frames import load_runs
from resnet_study.pipeline.parameters import check_parameters
from resnet_study.questions import claims
from resnet_study.questions.experiments import EXPERIMENTS
from resnet_study.questions.highway import usual
from resnet_study.questions.lines import answer, line
from resnet_study.training.recipes import get_recipe

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
records = EXPERIMENTS["highway"].records(folder, "digits")
runs = load_runs(records)

# %% tags=["remove-input"]
Markdown(f"**The answer.** {answer('highway', found)} [Evidence: C7](claim-c7), [C8](claim-c8)")

# %% tags=["remove-input"] mystnb={"figure": {"name": "fig-story-highway", "caption": "Training error on digits of Highway nets, against the bias that their gates start with: the further left, the further shut. Points are means over five seeds, bars from the lowest seed to the highest. Plain and residual nets have no gate and lie across. Gates look at one pixel (1×1) or at its neighbours too (3×3); with these the nets are nearly half as large again. All have one rate. The axis is logarithmic above 1."}, "image": {"alt": "Two panels of training error against gate bias, 18 layers left and 34 right. With a bias of zero the deeper Highway nets lie near the plain net's band, with the lowest bias all fail; around minus two they lie on the band of the residual net."}}
at_rate = usual(runs, get_recipe("digits").rate)
sources.figure(
    highway.errors_by_bias(at_rate, ["training_error"]), sources.ends(at_rate), at_rate.path
)

# %% [markdown]
# How good is a Highway net? Ask *which*. The figure has two dozen, of two depths, with two kinds of gate and six starts. With gates
# half open, at zero, each block passes on half of what it got, and after sixteen blocks next to nothing is left of it: at 34 layers
# most such nets fail, at 18 none. With gates all but shut, at the left end, next to nothing of a branch gets out, and in twenty epochs all fail.
# In between lies a start from which a Highway net does as well as the ResNet. The same net, the same functions, another first step.
#
# ## Can do, and does
#
# A Highway net around residual branches contains the ResNet of its width: we [prove it](containment.ipynb), and build the very net. (For that
# of 2015, whose branch ends in a ReLU, the proof does not hold.) But to contain is not to find. Training starts somewhere
# and goes downhill; what lies elsewhere, it never sees.

# %% tags=["remove-input"]
Markdown(f"> {line('C7', found)} [Evidence](claim-c7)")

# %% [markdown]
# Who wins, then? The first comparison changed depth, size and normalisation at once {cite}`he2015deep`. Gates put into one and the same ResNet
# made it worse {cite}`he2016identity`; other gates did not {cite}`srivastava2025comparison`. Our registered ones keep the size equal
# and give each family a rate of its own; the figure above does neither. A fair match has its price: gates are weights, and what they take the branches lack.

# %% tags=["remove-input"]
Markdown(f"> {line('C8', found)} [Evidence](claim-c8)")

# %% [markdown]
# And the data? A reason is wanted only where there is something to explain.

# %% tags=["remove-input"]
Markdown(f"> {line('C9', found)} [Evidence](claim-c9)")

# %% [markdown]
# ## Exercises
#
# 1. A gate starts with a bias of minus two. How much of the branch comes through, and how much of the shortcut?
#
# ```{dropdown} Solution
# The sigmoid of minus two is 0.12; so an eighth of the branch, and the rest of the shortcut.
# ```
#
# 2. Choose gates so that a Highway net computes just what a ResNet does, up to a factor. What becomes of the factor over many
#    blocks?
#
# ```{dropdown} Solution
# All gates at one half, and the last scale and shift of block number $l$, counted from nought, times $2^{-l}$; the
# normalisation within undoes the factor on its input. Then $l$ blocks give
# $2^{-l}$ times what the ResNet's give, and the classifier makes up for it. Without the second step a branch keeps its size while the shortcut
# is halved each time: that is the net that fails at bias zero.
# ```
#
# 3. Somebody reports that Highway nets beat ResNets, with a gate of one 3×3 convolution beside each branch of two. What do you ask first?
#
# ```{dropdown} Solution
# How large the two nets are. Such gates add nearly half as many parameters again; a wider ResNet of that size is the fair opponent.
# ```
#
# *The evidence:* [C7](claim-c7), [C8](claim-c8), [C9](claim-c9) · [Highway nets beside ResNets](highway.ipynb) ·
# [containment](containment.ipynb) · [amounts of data](data_size.ipynb) · [what gates learn](gates.ipynb) ·
# [fifty classes](pictures.ipynb)
#
# That leaves questions that nobody has answered. One costs less than an hour of a processor core. [They are here](story_open.ipynb).
