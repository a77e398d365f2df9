# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Is it vanishing gradients?
#
# A net learns by asking, for each weight, which way the error falls. The answer travels backwards, from the last layer to
# the first, and every layer multiplies it. Factors below one make it vanish, factors above one make it explode, and a
# hundred of them make much of little. That is the reason the post gives for the surprise on the
# [first page](summary.ipynb). It is a good reason. Is it the right one?

# %% tags=["remove-cell"]
from IPython.display import Markdown

from resnet_study import paths
from resnet_study.figures import gradients as gradients_figures
from resnet_study.figures import sources, style
from resnet_study.pipeline.measurements import MEASUREMENTS
from resnet_study.pipeline.parameters import check_parameters
from resnet_study.questions import claims, gradients
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
norms = gradients.load([(step.settings, step.tables(folder)) for step in watched], "norms")

# %% tags=["remove-input"]
Markdown(f"**The answer.** {answer('gradients', found)} [Evidence](gradients.ipynb)")

# %% tags=["remove-input"] mystnb={"figure": {"name": "fig-story-gradients", "caption": "The gradient at each layer, as a multiple of that of the last block: plain-34 and ResNet-34 on digits, with batch normalisation. Iteration 460 is the end of training; grey is a factor of ten either way. Read from right to left, as the gradient runs."}, "image": {"alt": "Two panels of the gradient in powers of ten against the layer. In plain-34 the violet line before the first step climbs steadily towards the input, to more than a hundredfold; after some steps the lines lie flat. In ResNet-34 the violet line climbs far less."}}
moments = [0, 10, 460]
drawn = norms[norms.iteration.isin(moments)]
sources.figure(
    gradients_figures.profiles(drawn, 34, moments), drawn, [step.path(folder) for step in watched]
)

# %% [markdown]
# Look at the violet line of plain-34. It is the net that fails, before its first step. The gradient
# does not vanish on its way to the input. It *grows*. Every layer, with its normalisation, hands on a little more
# than it got. After some steps that is over: the net has moved to where its gradients are healthy.
#
# So both camps of the old quarrel are right, at different moments. Gradients explode when training starts. They are healthy
# when anybody looks later, which is when the paper's authors looked.
#
# ## Does it matter?
#
# A cause can be tested: take it away, and see. We cut the gradient of the failing net to a fixed length wherever it was longer, and
# trained it again with six seeds.

# %% tags=["remove-input"]
Markdown(f"> {line('C2', found)} [Evidence](claim-c2)")

# %% [markdown]
# That is more than we had expected, and less than the post says. Clipping helps a net whose first steps are too long; so does
# a lower rate, which leaves the gradient's growth as it is. What harms the plain net is a landscape
# in which a step that suits the last layers is far too long for the first. Exploding gradients are one face of it. Vanishing ones,
# in this net, are not.
#
# Where do gradients vanish, then? In nets with sigmoids, as they were built before 2010, and by exactly the factor a layer that the post
# describes. A good [start](multiplication.ipynb) for nets with ReLU ended that, some months before the shortcut came.
#
# ## Exercises
#
# 1. A layer multiplies the gradient by a half. After how many layers is less than a thousandth left? And with a factor of
#    nine tenths?
#
# ```{dropdown} Solution
# Ten layers: two to the tenth is 1,024. With nine tenths it takes 66, for 0.9 to the power of 66 is just below a thousandth. Depth
# matters, and the factor matters more.
# ```
#
# 2. [Train both, here](../book/try.md), with sigmoids. Which of the two nets learns? Now make the gradient vanish without
#    sigmoids.
#
# ```{dropdown} Solution
# Open *Other settings* and take ReLU without normalisation and the start called LeCun: its weights are too small for ReLU, which
# lets half of the gradient pass.
# ```
#
# 3. A lower rate leaves the ratio of first to last gradient as it is. Why may it help the plain net all the same?
#
# ```{dropdown} Solution
# The step is gradient times rate. With a ratio of a hundred, a rate that suits the last layers makes the first ones jump. A tenth of the
# rate makes all steps shorter; the first layers then stay where their gradient still holds.
# ```
#
# *The evidence:* [the claim, C2](claim-c2) · [gradients at work](gradients.ipynb) · [repeated multiplication](multiplication.ipynb) ·
# [the film, to drag](../book/film.md)
#
# If the gradient's length is not the whole trouble, what is it that a shortcut mends? [Read on](story_shortcut.ipynb).
