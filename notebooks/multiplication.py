# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Repeated multiplication
#
# **The question.** The post says that depth fails because gradients are multiplied layer by layer: factors
# below 1 make them vanish, factors above 1 make them explode (C2). Is that so, in the simplest nets
# there are, and in which of them?
#
# **What we do here.** We take fully connected nets of {glue:text}`width` units a layer, untrained, and measure
# the gradient of the cross-entropy at every layer, on {glue:text}`images` normal inputs and for {glue:text}`draws`
# draws of the weights. Activation, initialisation, batch normalisation and shortcuts make
# {glue:text}`n_nets` kinds of nets, at each of {glue:text}`n_depths` depths. Nothing is trained here, so this chapter tells of the
# start alone.

# %% tags=["remove-cell"]
import pandas as pd
from myst_nb import glue

from resnet_study import paths
from resnet_study.figures import multiplication, sources, style
from resnet_study.pipeline.measurements import MULTIPLICATION, get_measurement
from resnet_study.pipeline.multiplication import KNOBS
from resnet_study.pipeline.parameters import check_parameters
from resnet_study.pipeline.records import read_record
from resnet_study.questions import words
from resnet_study.questions.gradients import distinct_nets, with_readings

style.use_style()

# %% tags=["parameters", "remove-cell"]
measurements_dir: str = (
    "data/measurements"  # folder of the measurements; relative to the repository
)

# %% tags=["remove-cell"]
check_parameters()
measurement = get_measurement("multiplication")
files = [measurement.path(paths.ROOT / measurements_dir)]
measured = measurement.tables(paths.ROOT / measurements_dir)
record = read_record(files[0])
profiles, growth = measured["profiles"], with_readings(measured["growth"])
deepest = growth[growth.depth == growth.depth.max()]


# %% tags=["hide-cell"]
def kind(activation, initialisation, normalised=False, shortcut=False):
    """The row of ``growth`` of a net at the largest depth."""
    wanted = dict(zip(KNOBS, (activation, initialisation, normalised, shortcut), strict=True))
    return deepest[(deepest[list(wanted)] == pd.Series(wanted)).all(axis=1)].iloc[0]


NAMED = {
    "sigmoid": ("sigmoid", "lecun"),
    "tanh": ("tanh", "lecun"),
    "relu_lecun": ("relu", "lecun"),
    "relu_he": ("relu", "he"),
    "plain_bn": ("relu", "he", True),
    "residual": ("relu", "he", False, True),
    "residual_bn": ("relu", "he", True, True),
}
for name, choice in NAMED.items():
    net = kind(*choice)
    glue(f"factor_{name}", f"{net.factor_mean:.3f}", display=False)
    glue(f"total_{name}", words.scientific(10**net.decades_mean), display=False)
    glue(f"reading_{name}", net.reading, display=False)
for name in ("width", "images", "draws"):
    glue(name, MULTIPLICATION[name], display=False)
glue("n_depths", len(MULTIPLICATION["depths"]), display=False)
glue("deepest", int(growth.depth.max()), display=False)
distinct = distinct_nets(deepest)
glue("n_nets", len(distinct), display=False)
for name in ("vanishes", "explodes", "stays in bounds", "not decided"):
    glue(f"n_{name.replace(' ', '_')}", int((distinct.reading == name).sum()), display=False)
glue("n_fits", int(distinct.fits.sum()), display=False)
with_bn = distinct[distinct.normalised]
glue("n_bn", len(with_bn), display=False)
glue("n_bn_vanishes", int((with_bn.reading == "vanishes").sum()), display=False)
glue("n_bn_explodes", int((with_bn.reading == "explodes").sum()), display=False)
shortcut = deepest[deepest.shortcut & ~deepest.normalised]
glue("n_shortcut", len(shortcut), display=False)
glue("n_shortcut_bounds", int((shortcut.reading == "stays in bounds").sum()), display=False)
bare = deepest[~deepest.shortcut & ~deepest.normalised]
glue("n_bare", len(bare), display=False)
glue("n_bare_vanishes", int((bare.reading == "vanishes").sum()), display=False)
glue("measured_seconds", f"{record['seconds']:.0f}", display=False)
glue("device", record["provenance"]["device"]["name"], display=False)
sources.numbers(files)

# %% [markdown]
# ## What to expect
#
# Let layer $l$ put out $h_l = \phi(W_l h_{l-1})$, with $N$ units and independent weights of mean 0 and variance
# $\sigma^2$. On the way back the gradient $g_l = \partial E / \partial (W_l h_{l-1})$ obeys
#
# $$
# \begin{split}
# g_{l-1} &= \phi'(W_{l-1} h_{l-2}) \odot W_l^\top g_l , \\
# \frac{\mathbb{E}\,\lVert g_{l-1} \rVert^2}{\mathbb{E}\,\lVert g_l \rVert^2} &\approx N \sigma^2 \; \mathbb{E}\,[\phi'^2] .
# \end{split}
# $$ (eq-factor)
#
# The right-hand side of {eq}`eq-factor` is the square of the factor a layer. A sigmoid's derivative is at most ¼, so with $\sigma^2 = 1/N$ its
# factor stays below ¼. A ReLU lets half of the gradient pass: $\sqrt{1/2} = 0.71$ with $1/N$, and 1 with the $2/N$ of He
# initialisation, which was made for that. Batch normalisation divides by the deviation that it finds, and with
# ReLU the factor becomes $\sqrt{\pi/(\pi-1)} = 1.21$ {cite}`yang2019mean`. A shortcut adds
# the gradient that comes in to the one that a branch gives.
#
# ## All of them at a glance

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-multiplication", "caption": "Gradient at each layer over that of the last layer, in powers of ten (decades), at the largest depth; untrained fully connected nets. Lines are means over draws of the weights, bands reach from the lowest draw to the highest. Grey: within a factor of ten either way. Each panel has an axis of its own. With batch normalisation both initialisations give the same line."}, "image": {"alt": "Six panels of the gradient in decades against the layer: rows sigmoid, tanh, ReLU; left without shortcuts, right with them. Lines for variance 1/N, variance 2/N and batch normalisation. Without shortcuts, sigmoid falls steeply towards the input at both variances, ReLU with variance 1/N falls too, with 2/N it is flat, and with batch normalisation ReLU rises towards the input. The table below has the factors."}}
drawn = profiles[profiles.depth == profiles.depth.max()]
sources.figure(multiplication.at_a_glance(drawn), drawn, files)

# %% [markdown]
# {numref}`fig-multiplication` is read from right to left, as the gradient runs. A straight line is the post's mechanism: the
# same factor at each layer. A sigmoid net has it in full: the factor {glue:text}`factor_sigmoid` leaves
# {glue:text}`total_sigmoid` of the gradient over {glue:text}`deepest` layers. With He initialisation and ReLU the factor is
# {glue:text}`factor_relu_he`, and {glue:text}`total_relu_he` of the gradient is left: at the start nothing vanishes and
# nothing explodes, at the depths measured.
#
# ## Choose a net

# %% tags=["remove-input"]
chart = sources.interactive_figure(
    multiplication.to_choose(profiles),
    "fig-multiplication-choose",
    "To play with: choose depth, activation, initialisation, normalisation and shortcut; the line is "
    "the gradient at each layer over that of the last one, in decades, the band reaches from the "
    "lowest draw to the highest, grey is a factor of ten either way. Point at a layer for its numbers. "
    "The figure above has all nets of the largest depth, the table below their factors.",
    "Line chart of the gradient in decades against the layer for one net, which five menus choose. "
    "The figure before it and the table after it have the same numbers.",
)
sources.figure(chart, profiles, files)

# %% [markdown]
# ## In numbers
#
# The rule, written before the measurement: over the layers of a net the gradient *vanishes* if it shrinks to less than a tenth, and
# *explodes* if it grows to more than ten times, in the whole 95 % interval over draws; it *stays in bounds* if the interval
# stays within a tenth and ten times. The post's story *fits* a net whose gradient vanishes or
# explodes by a factor a layer, so that a straight line describes its logarithm better than √l or log l.

# %% tags=["hide-input"]
sources.table(
    multiplication.growth_table(deepest), "Gradients at the largest depth, net by net", files
)

# %% [markdown]
# With batch normalisation the variance of the weights has no effect: those nets are counted once. Of the
# {glue:text}`n_nets` nets of {glue:text}`deepest` layers, {glue:text}`n_vanishes` have gradients that vanish,
# {glue:text}`n_explodes` have gradients that explode, {glue:text}`n_stays_in_bounds` stay in bounds, and
# {glue:text}`n_not_decided` are not decided; the post's story fits {glue:text}`n_fits` of them.
#
# - **Without normalisation and shortcuts**, gradients vanish in {glue:text}`n_bare_vanishes` of {glue:text}`n_bare` nets.
#   Which ones is a matter of activation and initialisation, not of depth alone.
# - **With batch normalisation**, they vanish in {glue:text}`n_bn_vanishes` of {glue:text}`n_bn` nets and explode in
#   {glue:text}`n_bn_explodes`: with ReLU by {glue:text}`factor_plain_bn` a layer, {glue:text}`total_plain_bn`-fold over
#   {glue:text}`deepest` layers without shortcuts, against {glue:text}`total_residual_bn`-fold with them.
# - **Shortcuts alone do not keep gradients in bounds.** Without normalisation they do so in
#   {glue:text}`n_shortcut_bounds` of {glue:text}`n_shortcut` nets; ReLU with He initialisation, which needs no help,
#   {glue:text}`reading_residual` with shortcuts, by {glue:text}`factor_residual` a layer, as each block adds the gradient of its branch
#   to the one it was given.
#
# ## Beside the literature
#
# | net | others | ours, a layer |
# |---|---|---|
# | ReLU, He initialisation | {cite:t}`he2015delving`: 1, by design | {glue:text}`factor_relu_he` |
# | ReLU, batch normalisation | {cite:t}`yang2019mean`: $\sqrt{\pi/(\pi-1)} = 1.21$ for large batches | {glue:text}`factor_plain_bn` |
# | sigmoid, variance 1/N | below ¼, as its derivative | {glue:text}`factor_sigmoid` |
#
# The mechanism was found in recurrent nets {cite}`hochreiter1991untersuchungen,bengio1994learning` and measured layer by layer in deep
# ones by {cite:t}`glorot2010understanding`. {cite:t}`hanin2018which` and {cite:t}`hanin2018start` say for ReLU nets which widths and starts
# keep gradients in bounds, and {cite:t}`yang2017meanfield` why with shortcuts they need not grow exponentially: hence the laws √l and log l.
#
# n = {glue:text}`draws` draws each; the intervals are in the table above. Measured in {glue:text}`measured_seconds` s on {glue:text}`device`,
# beside other work.
#
# ## What could still be wrong
#
# - These are fully connected nets on random inputs before the first step. What batch normalisation does at the start it
#   need not do later: [gradients relax](gradients.ipynb) after the first steps.
# - Totals with batch normalisation depend on the size of the batch, here {glue:text}`images`.
# - The size of a gradient is not all that training needs; directions matter as well.
# - Sigmoid and tanh nets without normalisation are at work near one point of their curve; other variances than the two here give other factors.
#
# **The answer.** The mechanism is real: in sigmoid nets, and in ReLU nets with too small an initialisation, gradients vanish by a
# factor a layer, {glue:text}`factor_sigmoid` and {glue:text}`factor_relu_lecun`. It is absent with ReLU and He initialisation
# ({glue:text}`factor_relu_he`), and the nets of the post's Fig. 2, with batch normalisation, are of the kind in which gradients
# do not vanish at the start but grow, {glue:text}`factor_plain_bn`-fold a layer here. Whatever makes deep plain nets fail, repeated
# multiplication by factors below 1 at the start is not it, as far as fully connected nets can tell.
