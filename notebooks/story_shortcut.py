# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What does a shortcut do?
#
# It adds. A block of two layers computes something, $F(x)$, and the shortcut adds what went in: $F(x) + x$. If the block has nothing
# to say, it can learn to say nothing, and the net is as good as a shallower one. That is the argument
# from copying. But a plain net can copy as well. What does the addition change?

# %% tags=["remove-cell"]
from IPython.display import Markdown

from resnet_study import paths
from resnet_study.figures import shortcut, sources, style
from resnet_study.pipeline.measurements import MEASUREMENTS
from resnet_study.pipeline.parameters import check_parameters
from resnet_study.questions import claims
from resnet_study.questions.gradients import load
from resnet_study.questions.lines import answer, line

style.use_style()

# %% tags=["parameters", "remove-cell"]
runs_dir: str = "data/runs"  # folder of the records; relative to the repository
measurements_dir: str = (
    "data/measurements"  # folder of the measurements; relative to the repository
)

# %% tags=["remove-cell"]
check_parameters()
folder = paths.ROOT / measurements_dir
found = claims.examine(paths.ROOT / runs_dir, folder)
watched = [
    MEASUREMENTS[f"anatomy-{family}-34-seed-{seed}"]
    for family in ("plain", "residual")
    for seed in range(3)
]
lesions = load([(step.settings, step.tables(folder)) for step in watched], "lesions")

# %% tags=["remove-input"]
Markdown(f"**The answer.** {answer('shortcut', found)} [Evidence](claim-c3)")

# %% tags=["remove-input"] mystnb={"figure": {"name": "fig-story-lesions", "caption": "What it costs to take one block out of a trained net: validation error on digits, block by block. Dashed: the rest of the net as it is; solid: after its normalisation has been measured anew. Vertical lines: the maps change shape. Means over three seeds, bands from the lowest to the highest."}, "image": {"alt": "The error of a net without one of its blocks, against which block is missing. Without a block, the plain net's error jumps to that of guessing wherever the block was; the residual net's mostly stays where it was, but for its first blocks and one in the last stage."}}
sources.figure(shortcut.lesions(lesions, 34), lesions, [step.path(folder) for step in watched])

# %% [markdown]
# Take a trained net and remove one block. A plain net breaks, whichever block it is: each layer speaks the language of the one
# before. A residual net notices little, but for its first blocks and one that changes the shape of the maps. Its blocks are not links
# of a chain but hands that add to a shared sheet {cite}`veit2016ensembles`. Most paths through it are short, even if the longest one is not.
#
# ## Before the first step
#
# The addition has a second effect, and it needs a partner. Each branch ends in a normalisation, so each adds about as much as the
# one before. After many blocks the sum is long, and what one more branch adds is small beside it: a tenth block changes a tenth, a
# hundredth a hundredth. The branches are *damped*, the more the deeper the net. The whole begins close to doing nothing, and a
# large step moves it only a little in each place.
#
# Without normalisation the branches add up to more and more, and the shortcut keeps nothing in balance.

# %% tags=["remove-input"]
Markdown(f"> {line('C3', found)} [Evidence](claim-c3)")

# %% [markdown]
# So a shortcut buys *conditioning*: steps may be long, and long steps make short work. It is no new kind of function. Whatever
# else damps the branches should buy the same. Start each branch at zero, and a net a thousand layers deep
# [trains](story_depth.ipynb). Put a gate on it that starts mostly shut, and you have a [Highway network](story_highway.ipynb),
# which came half a year earlier.
#
# ## Exercises
#
# 1. Write down the derivative of $F(x) + x$ with respect to $x$. Why does it not follow that the gradient of the whole net
#    is about one?
#
# ```{dropdown} Solution
# It is $F'(x) + 1$. The net multiplies such sums, one a block, and $F'$ need not be small: if each block adds as much as it is given, the
# product doubles with each.
# ```
#
# 2. How many paths lead through a net of sixteen blocks, if each can be passed by branch or by shortcut? How long is a path
#    in the mean?
#
# ```{dropdown} Solution
# Two to the sixteenth, 65,536. Half of the branches are taken in the mean, eight; hardly any path takes all.
# ```
#
# 3. Every branch adds the same variance. What share of the variance after block number $n$ is the last branch's?
#
# ```{dropdown} Solution
# One in $n + 1$, counting what came in. Its size, the root, falls as $1/\sqrt{n}$: that is the damping.
# ```
#
# *The evidence:* [the claim, C3](claim-c3) · [inside trained nets](shortcut.ipynb) · [the blocks, drawn](block.ipynb)
#
# A careful reader objects. Perhaps the plain net only wanted a lower rate, or more time. We
# [tried each of these](../book/objections_live.md).
