# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What the shortcut changes
#
# **The question.** [Gradients](gradients.ipynb) are one thing that shortcuts change. What else is different in a trained
# net: how much does each layer do, what is a single block worth, and what is the loss like around the weights?
#
# **What we do here.** We look into the trained plain and residual nets that [Gradients at work](gradients.ipynb) watched: the size of each
# layer's response, as in Fig. 7 of the paper {cite}`he2015deep`; the validation error without each block in turn, as in
# {cite:t}`veit2016ensembles`; and the loss on a plane through the weights, as in {cite:t}`li2018landscape`. These are pictures of nets
# that are there; no claim of the post is decided by them.

# %% tags=["remove-cell"]
from IPython.display import Markdown
from myst_nb import glue

from resnet_study import paths
from resnet_study.figures import shortcut, sources, style
from resnet_study.pipeline import measurements
from resnet_study.pipeline.measurements import MEASUREMENTS
from resnet_study.pipeline.parameters import check_parameters
from resnet_study.questions import gradients, words
from resnet_study.questions.effects import sign
from resnet_study.questions.words import network
from resnet_study.statistics import paired_difference

style.use_style()

# %% tags=["parameters", "remove-cell"]
measurements_dir: str = (
    "data/measurements"  # folder of the measurements; relative to the repository
)

# %% tags=["remove-cell"]
check_parameters()
folder = paths.ROOT / measurements_dir
watched = [
    m
    for name, m in MEASUREMENTS.items()
    if name.startswith("anatomy-") and m.settings["normalisation"] == "batch"
]
recorded = [m for m in watched if m.state(folder) == "recorded"]
found = [(m.settings, m.tables(folder)) for m in recorded]
files = [m.path(folder) for m in recorded]
responses, lesions = gradients.load(found, "responses"), gradients.load(found, "lesions")
surveyed = [
    m
    for name, m in MEASUREMENTS.items()
    if name.startswith("relief-") and m.state(folder) == "recorded"
]
reliefs = {network(m.settings["family"], m.settings["depth"]): m.tables(folder) for m in surveyed}
landscapes = {title: measured["landscape"] for title, measured in reliefs.items()}
relief_files = [m.path(folder) for m in surveyed]

# %% tags=["hide-cell"]
mean_response = responses.groupby(["family", "depth", "seed"]).deviation.mean()
for (family, depth), values in mean_response.groupby(["family", "depth"]):
    glue(f"response_{family}_{depth}", words.mean_and_range(values, 3), display=False)
smaller = paired_difference(mean_response["residual", 34], mean_response["plain", 34])
deeper = paired_difference(mean_response["residual", 34], mean_response["residual", 18])
FOUND = {
    "lower": "shows here too",
    "higher": "is turned round here",
    "undecided": "does not show here",
}
glue("response_gap", words.mean_and_interval(smaller), display=False)
glue("response_found", FOUND[sign(smaller)], display=False)
glue("response_depth_found", FOUND[sign(deeper)], display=False)
glue("response_depth_gap", words.mean_and_interval(deeper), display=False)

cost = lesions.assign(
    cost=lesions.error - lesions.whole, cost_recalibrated=lesions.recalibrated - lesions.whole
)
chance = 90.0  # percent: ten classes
for (family, depth), nets in cost.groupby(["family", "depth"]):
    by_seed = nets.groupby("seed")
    glue(f"whole_{family}_{depth}", words.mean_and_range(by_seed.whole.first(), 3), display=False)
    glue(f"median_{family}_{depth}", words.mean_and_range(by_seed.error.median(), 3), display=False)
    glue(
        f"median_recalibrated_{family}_{depth}",
        words.mean_and_range(by_seed.recalibrated.median(), 3),
        display=False,
    )
blocks = cost[(cost.family == "residual") & (cost.depth == 34)].groupby("block", sort=False)
worst = blocks.cost_recalibrated.mean().argmax() + 1  # blocks stay in their order
glue("worst_residual_34", int(worst), display=False)
glue("n", int(cost[cost.depth == 34].seed.nunique()), display=False)
glue("batch", measurements.BATCH, display=False)
sources.numbers(files)

# %% tags=["remove-input"]
missing = [m.name for m in watched if m.state(folder) != "recorded"]
missing += [
    name
    for name, m in MEASUREMENTS.items()
    if name.startswith("relief-") and m.state(folder) != "recorded"
]
command = f" `resnet-study measure` makes the {len(missing)} that are missing." if missing else ""
Markdown(f"**{len(found)} trainings and {len(reliefs)} landscapes are recorded.**{command}")

# %% [markdown]
# ## How much each layer does
#
# The deviation of a layer's response is taken after batch normalisation, before the ReLU or the addition, over
# {glue:text}`batch` images. The paper finds it smaller in ResNets than in plain nets, and smaller still in deeper ones, and takes that as a sign that
# residual functions are small changes.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-responses", "caption": "Standard deviation of each layer's response in trained nets. Lines are means over seeds, bands reach from the lowest to the highest; the axis is logarithmic."}, "image": {"alt": "Two panels of the deviation of the response against the layer: plain nets left, ResNets right, a line for each depth. The text below has the means."}}
sources.figure(shortcut.responses(responses), responses, files)

# %% [markdown]
# The mean over the layers is {glue:text}`response_plain_34` in plain-34 and {glue:text}`response_residual_34` in ResNet-34 (mean over seeds
# [lowest, highest]), {glue:text}`response_gap` apart, paired by seed (lowest to highest): what the paper finds
# {glue:text}`response_found`. ResNet-34 less ResNet-18 is {glue:text}`response_depth_gap`: that deeper ones have smaller responses
# {glue:text}`response_depth_found`. In plain-56, which hardly trains, the layers near the image respond the most; its mean is
# {glue:text}`response_plain_56`, that of ResNet-56 {glue:text}`response_residual_56`. The digits recipe has few iterations, and the scales that
# decide these deviations start at 1 and may not have moved far.
#
# ## What a block is worth
#
# A lesion takes one block out: what follows gets its shortcut alone. A plain block has none, so the images pass as
# they are, at the right size. The running statistics of all layers are then measured again on training images
# (*recalibrated*), since what follows may fail only for seeing inputs of another size.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-shortcut-lesions", "caption": "Validation error without each block in turn, for nets of 34 layers: as it is (dashed) and recalibrated (solid); dotted across: the whole net. Lines are means over seeds, bands reach from the lowest to the highest. Dotted verticals: blocks that halve the resolution."}, "image": {"alt": "Two panels of the validation error against the block taken out. In plain-34 both lines lie far above the whole net for most blocks. In ResNet-34 the recalibrated line stays near the whole net for most blocks. The table below has the medians."}}
drawn = lesions[lesions.depth == 34]
of_34 = [path for path in files if "-34-" in path.name]
sources.figure(shortcut.lesions(drawn, 34), drawn, of_34)

# %% [markdown]
# Validation errors in percent, mean over {glue:text}`n` seeds [lowest, highest]; the median is over the blocks of a net:
#
# | | whole net | median lesion | recalibrated |
# |---|---|---|---|
# | plain-18 | {glue:text}`whole_plain_18` | {glue:text}`median_plain_18` | {glue:text}`median_recalibrated_plain_18` |
# | ResNet-18 | {glue:text}`whole_residual_18` | {glue:text}`median_residual_18` | {glue:text}`median_recalibrated_residual_18` |
# | plain-34 | {glue:text}`whole_plain_34` | {glue:text}`median_plain_34` | {glue:text}`median_recalibrated_plain_34` |
# | ResNet-34 | {glue:text}`whole_residual_34` | {glue:text}`median_residual_34` | {glue:text}`median_recalibrated_residual_34` |
#
# The worst lesion of ResNet-34, recalibrated, is that of block {glue:text}`worst_residual_34`, counted from the image.
#
# ## The loss around the weights
#
# Two random directions in the space of all weights, each filter as long as the filter of the net, and none along
# biases and normalisations {cite}`li2018landscape`. The middle is the trained net; a step of 1 adds noise to each
# filter that is as long as the filter itself.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-contours", "caption": "Loss (mean cross-entropy in nats on the clean training images) around trained nets of 34 layers, seed 0, along two random filter-normalised directions; the cross is the net. Levels are the same left and right, four to a decade."}, "image": {"alt": "Two maps of contour lines of the loss around plain-34 and ResNet-34 on one scale. The relief below shows the same as surfaces."}}
sources.figure(shortcut.contours(landscapes), landscapes, relief_files)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-relief", "caption": "The same loss as surfaces, logarithmic, on one scale."}, "image": {"alt": "Two surfaces of the logarithm of the loss over the plane of the two directions, plain-34 and ResNet-34, each with its lowest point near the middle."}}
sources.figure(shortcut.relief(landscapes), landscapes, relief_files)

# %% tags=["hide-cell"]
for title, measured in reliefs.items():
    name, landscape = title.replace("-", "_").lower(), measured["landscape"]
    centre = landscape[(landscape.a == 0) & (landscape.b == 0)].loss.iloc[0]
    near = landscape[(landscape.a.abs() <= 0.25) & (landscape.b.abs() <= 0.25)]
    glue(f"centre_{name}", f"{centre:.2g}", display=False)
    glue(f"near_{name}", f"{near.loss.max():.2g}", display=False)
    glue(f"learnt_{name}", f"{100 * (landscape.error < 50).mean():.0f}", display=False)
    glue(f"final_{name}", f"{measured['final'].clean_training_error.iloc[0]:.1f}", display=False)
sources.numbers(relief_files)

# %% [markdown]
# | net, seed 0 | clean training error, % | loss in the middle | highest within ¼ | share of the plane with less than 50 % error, % |
# |---|---|---|---|---|
# | plain-34 | {glue:text}`final_plain_34` | {glue:text}`centre_plain_34` | {glue:text}`near_plain_34` | {glue:text}`learnt_plain_34` |
# | ResNet-34 | {glue:text}`final_resnet_34` | {glue:text}`centre_resnet_34` | {glue:text}`near_resnet_34` | {glue:text}`learnt_resnet_34` |
#
# ## What others make of it
#
# {cite:t}`hardt2017identity` show for linear nets that weights near the identity leave no bad minimum; {cite:t}`orhan2018skip` that
# shortcuts take away singularities, at which units cannot be told apart; {cite:t}`zaeemzadeh2020norm` that they keep the norm of what passes, the
# more so the deeper the net. All three are theories of why, and none says that a plain net cannot do the same from another start.
#
# ## What could still be wrong
#
# - A plain net that ended badly and a ResNet that ended well differ in more than their shapes: these are comparisons of
#   nets as trained, n = {glue:text}`n` seeds, and n = 1 for the landscapes.
# - Two random directions of a million show little of a landscape, and a net at a lower loss looks steeper on a
#   logarithmic scale.
# - A plain block that is taken out is replaced by something that a plain net was never trained with.
# - The digits are an easy task for nets of 34 layers.
#
# **The answer.** In nets of 34 layers the responses of a ResNet differ from those of a plain net by {glue:text}`response_gap` in the
# mean. With one block taken out, recalibrated, the median validation error is
# {glue:text}`median_recalibrated_residual_34` % in ResNet-34 and {glue:text}`median_recalibrated_plain_34` % in plain-34: most
# blocks are a part in the first, and a link of a chain in the second.
