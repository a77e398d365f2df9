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

# %% tags=["remove-input"] mystnb={"figure": {"name": "fig-story-lesions", "caption": "What it costs to take one block out of a trained net: validation error on digits, block by block. Dashed: the rest of the net as it is; solid (*recalibrated*): after its normalisation has been measured anew. Dotted: the whole net. Vertical lines: the maps change shape. Means over three seeds, bands from the lowest to the highest."}, "image": {"alt": "The error of a net without one of its blocks, against which block is missing. As it is, the plain net guesses without any of its blocks; recalibrated, it is little worse without some in its middle. The residual net, recalibrated, mostly stays where it was, but for its first block and one in the last stage."}}
sources.figure(shortcut.lesions(lesions, 34), lesions, [step.path(folder) for step in watched])

# %% [markdown]
# Take a trained net and remove one block. As it is, a plain net breaks, whichever block it is: each layer understands only the language of the one
# before it. With its normalisation measured anew it can do without a few, and is worse without the others. A residual net then hardly notices, but for its first
# block and one where the maps change shape. (The plain net was the worse one to begin with.) Residual blocks are not links
# of a chain but hands that add to a shared sheet. Most paths go through about half of the branches, and most of the gradient comes along
# shorter ones {cite}`veit2016ensembles`.
#
# ## Before the first step
#
# The addition has a second effect, and it needs a partner. Each branch ends in a normalisation, so each adds about as much as the
# one before. After many blocks the sum is long, and what one more branch adds is small beside it: the tenth branch brings about a tenth of the
# variance, the hundredth about a hundredth. The branches are *damped*, the more the deeper the net. Each late block, not the whole net, begins close
# to passing on what it got {cite}`de2020skipinit`. A likely reading, which we have not tested: a large step then moves it only a little.
#
# Without normalisation the branches add up to more and more: in theory signal and gradient double, in mean square, with each
# block {cite}`zhang2019fixup`. In the small nets that [train in the page](../book/try.md) the residual one then diverges. In our
# convolutional ones on digits, where padding shortens the branches, the gradient grows far less. There the plain net's vanishes, and the bare
# shortcut [keeps it](gradients.ipynb).

# %% tags=["remove-input"]
Markdown(f"> {line('C3', found)} [Evidence](claim-c3)")

# %% [markdown]
# So a shortcut beside normalisation buys ease: on digits the residual net bears the rate at which the plain one fails. Whatever
# else damps the branches may buy the same, and more of it, for in the deepest nets this much damping is not enough. Start each branch at zero, and a net a thousand layers deep
# [trains](story_depth.ipynb). Put a gate on it that starts mostly shut, and you have a [Highway network](story_highway.ipynb),
# which came half a year earlier.
#
# ## Exercises
#
# 1. Write down the derivative of $F(x) + x$ with respect to $x$. Why does it not follow that the gradient of the whole net
#    is about one?
#
# ```{dropdown} Solution
# It is $F'(x) + 1$. The net multiplies such sums, one per block, and $F'$ need not be small: if it is one as well, the
# product doubles with each block.
# ```
#
# 2. How many paths lead through a net of sixteen blocks, if each can be passed by branch or by shortcut? How long is a path
#    on average?
#
# ```{dropdown} Solution
# Two to the sixteenth, 65,536. Half of the branches are taken on average, eight; hardly any path takes all.
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
