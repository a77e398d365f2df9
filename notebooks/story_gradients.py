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

# %% tags=["remove-input"] mystnb={"figure": {"name": "fig-story-gradients", "caption": "Length of the gradient with respect to each block's output, as a multiple of that at the last block: plain-34 and ResNet-34 on digits, with batch normalisation. Geometric means over three trainings with the recipe of digits, made for this picture. Iteration 460 is the end of training; grey is a factor of ten either way. Read from right to left, as the gradient runs."}, "image": {"alt": "Two panels of the gradient in powers of ten against the layer. In plain-34 the violet line before the first step climbs steadily towards the input, to more than a hundredfold; after some steps the lines lie flat. In ResNet-34 the violet line climbs far less."}}
moments = [0, 10, 460]
drawn = norms[norms.iteration.isin(moments)]
sources.figure(
    gradients_figures.profiles(drawn, 34, moments), drawn, [step.path(folder) for step in watched]
)

# %% [markdown]
# Look at the violet line of plain-34. It shows the net that fails, before its first step. The gradient
# does not vanish on its way to the input. It *grows*. Why? What leaves a ReLU has a mean. Normalisation takes that away and stretches
# what is left back to its old size, and the gradient with it, layer after layer {cite}`yang2019mean`. In ResNet-34 it grows as well, far
# less. After some steps that is over: the net has moved to where its gradients are in bounds.
#
# Both have been reported. Theory finds that gradients explode at the start, that deep plain nets fail for it, and that a step takes most of it
# away {cite}`yang2019mean`; the paper found healthy ones, and does not say when it looked {cite}`he2015deep`. Here, too, they explode and are soon in bounds.
#
# ## Does it matter?
#
# A cause can be tested: weaken it, and see. Whenever the whole gradient of the failing net was longer than a fixed length, we cut it to that
# length, which leaves the ratio between layers as it is, and trained again with six seeds. Then we tried three other means.

# %% tags=["remove-input"]
Markdown(f"> {line('C2', found)} [Evidence](claim-c2)")

# %% tags=["remove-input"]
Markdown(f"> {answer('cause', found)} [Evidence](claim-c2)")

# %% [markdown]
# That is more than we had expected, and less than the post says. Steps that are too long are a part of it, and not the first ones
# alone. A likely reading, which we have not shown: a step that suits the last layers is too long for the first.
# Vanishing gradients, in this net, are no part.
#
# Where do gradients vanish, then? In nets with sigmoids, as they were built before 2010, by just the factor a layer that the post
# describes. A good [start](multiplication.ipynb) ended that for fully connected nets with ReLU, some months before the shortcut came. And in our
# own plain-34 on digits, whose maps shrink to a pixel, once its normalisation is taken away: [there](gradients.ipynb) the post is right.
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
# Neither: both stay near guessing. The shortcut makes the first layer's gradient longer, and not long enough. For the second, open
# *Other settings* and take ReLU without normalisation and the start called LeCun: its weights are too small for ReLU, so that seven
# tenths of the gradient's length are left a layer.
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
