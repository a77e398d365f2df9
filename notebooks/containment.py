# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Does a Highway net contain a ResNet? (C7)
#
# **The question.** The post says that the solution space of a Highway network contains that of a
# ResNet, so it should be at least as good (C7). That is two claims. The first is about functions:
# is each function that a ResNet computes also computed by some Highway net? The second is about
# training: does training find one at least as good?
#
# **What we do here.** We prove the first, in a form that has to be stated with care, and run the
# proof as code. Then we train Highway nets that *start* as a ResNet's function, beside ones that
# start as usual and beside the ResNets themselves.

# %% tags=["remove-cell"]
import math
from pathlib import Path

import pandas as pd
import torch
from IPython.display import Markdown
from myst_nb import glue
from torch import nn
from torch.nn import functional as F

from resnet_study import paths
from resnet_study.data.datasets import load_data
from resnet_study.figures import containment, sources, style, tables
from resnet_study.figures.gates import summarise
from resnet_study.models.options import Gates
from resnet_study.pipeline.frames import load_curves, load_gates, load_lesions, load_runs
from resnet_study.pipeline.parameters import check_parameters
from resnet_study.questions import experiments, words
from resnet_study.questions.containment import containment_gaps
from resnet_study.questions.effects import gap, select, sign
from resnet_study.questions.experiments import EXPERIMENTS, USUAL_GATES
from resnet_study.questions.highway import gate_labels, highway_answer
from resnet_study.training.recipes import get_recipe

style.use_style()
torch.set_num_threads(1)  # the same arithmetic on any number of cores

# %% tags=["parameters", "remove-cell"]
runs_dir: str = "data/runs"  # folder of the records; relative to the repository

# %% tags=["remove-cell"]
check_parameters()

# %% [markdown]
# ## What contains what
#
# Number the blocks of a net by $l = 0, \dots, L - 1$. The residual block {eq}`eq-residual-block`, with shortcut $s_l$ and
# branch $F_l$, is
#
# ```{math}
# :label: eq-residual
# x_{l+1} = \mathrm{ReLU}\bigl(F_l(x_l) + s_l(x_l)\bigr).
# ```
#
# A Highway block {cite}`srivastava2015highway,srivastava2015training` has gates $T_l$ and $C_l$ with values between 0
# and 1, sigmoids of a convolution of its input. With branch $H_l$ and shortcut $r_l$ it is
#
# ```{math}
# :label: eq-highway
# y_{l+1} = \mathrm{ReLU}\bigl(T_l(y_l) \odot H_l(y_l) + C_l(y_l) \odot r_l(y_l)\bigr),
# ```
#
# and *coupled* if $C_l = 1 - T_l$, as in {eq}`eq-highway-block`. Setting $T_l = C_l = 1$ would make it the residual block, but
# that is not available: coupled gates cannot both be 1, and a sigmoid is never 1 at all. What is
# true instead is this.
#
# ```{prf:theorem} Containment
# :label: thm-containment
#
# Let a ResNet of blocks {eq}`eq-residual` be given, in which each branch is a convolution, BN, ReLU, a convolution
# and BN, as in {eq}`eq-branch` and {eq}`eq-bn`, and each shortcut is the identity, sub-sampling with padding by zeros (A), or a
# convolution and BN (B, C). Then the coupled Highway net with the same stem, with $T_l = \tfrac12$ for all $l$, and with
#
# $$
# H_l(y) = 2^{-l} F_l(2^l y), \qquad r_l(y) = 2^{-l} s_l(2^l y), \qquad l = 0, \dots, L - 1,
# $$ (eq-contained)
#
# computes the same logits from every image, if the weights of its classifier are $2^L$ times those of the
# ResNet's and the biases are equal. Its branches and shortcuts have the form of the ResNet's, with other running
# statistics, $\varepsilon$, $\gamma$ and $\beta$ in their BN.
# ```
#
# ```{prf:proof}
# *The outputs of blocks are proportional:* $y_l = 2^{-l} x_l$ for $l = 0, \dots, L$. The stem is the same, so $y_0 = x_0$. If it holds for
# $l$, then by {eq}`eq-contained`, and as $\mathrm{ReLU}(cz) = c\,\mathrm{ReLU}(z)$ for every $c > 0$,
#
# $$
# \begin{split}
# y_{l+1} &= \mathrm{ReLU}\bigl(\tfrac12 2^{-l} F_l(x_l) + \tfrac12 2^{-l} s_l(x_l)\bigr) \\
#         &= 2^{-(l+1)}\, \mathrm{ReLU}\bigl(F_l(x_l) + s_l(x_l)\bigr) = 2^{-(l+1)} x_{l+1}.
# \end{split}
# $$ (eq-induction)
#
# *The logits are equal.* The mean over pixels is linear, so the classifier gets $2^{-L}$ times what the ResNet's gets, and its
# weights make up for it.
#
# *$H_l$ and $r_l$ have the form of $F_l$ and $s_l$.* Identity, sub-sampling and padding with zeros are linear, so there $r_l = s_l$.
# In a branch, the first convolution is linear too: from $2^{-l} x_l$ it makes $2^{-l} z$, where $z$ is what it makes
# in the ResNet. With $2^{-l}\mu$ for $\mu$, $4^{-l}\sigma^2$ for $\sigma^2$ and $4^{-l}\varepsilon$ for $\varepsilon$ the normalised value is what it
# was,
#
# $$
# \frac{2^{-l} z - 2^{-l} \mu}{\sqrt{4^{-l} \sigma^2 + 4^{-l} \varepsilon}} = \frac{z - \mu}{\sqrt{\sigma^2 + \varepsilon}},
# $$ (eq-blind)
#
# and so is everything up to the last BN. There $2^{-l}\gamma$ for $\gamma$ and $2^{-l}\beta$ for $\beta$ give $2^{-l} F_l(x_l)$. A
# projection has a single BN, which gets both changes. And $T_l = \tfrac12$ is the sigmoid of a convolution, of
# weights and biases 0.
# ```
#
# In training mode $\mu$ and $\sigma^2$ are those of the batch and scale by themselves, so the two nets are equal there
# too. $\varepsilon$ is no learnt parameter: strictly, {prf:ref}`thm-containment` is about nets in which it may be chosen, or is 0.
#
# ## The proof as code
#
# We take residual nets of 18 and 34 layers with shortcuts A (padding) and B (projection), and train
# each for a few steps on digits in double precision, so that no weight and no running statistic is
# trivial any more.

# %%
from resnet_study.models.containment import approach, contain, negative_part, relative_error
from resnet_study.models.highway import highway_blocks, watch_gates
from resnet_study.models.networks import build_model

# %% tags=["hide-input"]
data, augmentation = load_data("digits", held_out=360), get_recipe("digits").augmentation


def batches(steps):
    generator = torch.Generator().manual_seed(0)
    order = data.draw_order(generator)[: 64 * steps]
    for images, labels in data.training_batches(order, 64, augmentation, generator):
        yield images.double(), labels


def at_one_rate(network):
    return [{"params": network.parameters(), "lr": 0.05}]


def train_on(network, rates=at_one_rate, steps=8):
    """The network in evaluation mode after some steps of plain gradient descent."""
    optimiser = torch.optim.SGD(rates(network))
    network.train()
    for images, labels in batches(steps):
        optimiser.zero_grad()
        F.cross_entropy(network(images), labels).backward()
        optimiser.step()
    return network.eval()


def small_resnet(depth, shortcut="A"):
    """An untrained net, the same every time."""
    torch.manual_seed(0)
    options = {"classes": 10, "channels": 1, "stem": "small", "width": 8, "shortcut": shortcut}
    return build_model("residual", depth, **options).double()


images = next(data.evaluation_batches("validation", augmentation))[0][:100].double()

# %%
resnets = {
    (depth, shortcut): train_on(small_resnet(depth, shortcut))
    for depth in (18, 34)
    for shortcut in ("A", "B")
}

# %% [markdown]
# {py:func}`~resnet_study.models.containment.contain` builds the Highway net of {prf:ref}`thm-containment`, with real gates whose weights and biases are zero.

# %%
highways = {net: contain(resnet) for net, resnet in resnets.items()}
errors = {net: relative_error(highways[net], resnets[net], images) for net in resnets}

# %% [markdown]
# The relative error is the largest difference of two logits, over the largest logit. It is rounding,
# and how much of it there is depends on the machine, so the table gives a bound.

# %% tags=["hide-input"]
BOUNDS = (1e-12, 1e-9, 1e-6, 1e-3, 1)


def bound(error):
    return next((f"below {limit:.0e}" for limit in BOUNDS if error < limit), "above 1")


def values_of_gates(highway):
    with watch_gates(highway) as values:
        highway(images)
    return {value for t in values.values() for value in t.unique().tolist()}


proof = pd.DataFrame(
    {
        "layers": depth,
        "shortcut": shortcut,
        "blocks": len(highway_blocks(highways[depth, shortcut])),
        "T": ", ".join(f"{value:g}" for value in values_of_gates(highways[depth, shortcut])),
        "relative error": bound(error),
        "equal (1e-9)": "yes" if error < 1e-9 else "no",
    }
    for (depth, shortcut), error in errors.items()
)
sources.table(proof, "Logits of the Highway net that is made, against the ResNet's", [])

# %% [markdown]
# Each ½ matters. If the gate of a single block of the 34-layer net opens from ½ to 0.51, the function
# is another one.


# %%
def error_without_half(block, transform=0.51):
    altered = contain(resnets[34, "A"])
    gate = highway_blocks(altered)[block].transform
    nn.init.constant_(gate.shift, math.log(transform / (1 - transform)))
    return relative_error(altered, resnets[34, "A"], images)


altered = {block: error_without_half(block) for block in ("stage1.1", "stage2.1", "stage4.3")}
changed = pd.DataFrame([{block: f"{error:.1g}" for block, error in altered.items()}])
sources.table(changed, "Relative error with the gate of one block at 0.51", [])

# %% [markdown]
# ## Gates of their own come close, and never arrive
#
# The general block {eq}`eq-highway` has a carry gate of its own. There $T = C = 1$ is a limit:
# with both biases at $b$ the factors are $\sigma(b) = 1 - e^{-b} + \dots$, so the error should shrink
# by a factor of $e$ for each unit of bias. {numref}`fig-limit` measures it.


# %%
def error_at(depth, bias):
    resnet = resnets[depth, "A"]
    return relative_error(approach(resnet, bias), resnet, images)


limits = pd.DataFrame(
    {"depth": depth, "bias": bias, "error": error_at(depth, bias)}
    for depth in (18, 34)
    for bias in range(0, 21, 4)
)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-limit", "caption": "Relative error of uncoupled Highway nets with T = C = \u03c3(b) on the weights of a residual net, against the bias b; logarithmic. Dotted: e\u207b\u1d47."}, "image": {"alt": "Relative error against gate bias from 0 to 20, on a logarithmic axis. The lines of the 18- and the 34-layer net are straight from a bias of about 4 on and run parallel to the dotted line of e to the power of minus b."}}
drawn = limits.assign(error=limits.error.map("{:.3g}".format).astype(float))  # no rounding noise
sources.figure(containment.limit(drawn), drawn, [])

# %% tags=["hide-cell"]
for depth, points in limits[limits.bias >= 8].groupby("depth"):
    steps = points.error.map(math.log).diff() / points.bias.diff()
    glue(f"rate_{depth}", f"{steps.mean():.2f}".replace("-", "−"), display=False)
equal = all(error < 1e-9 for error in errors.values())
glue("equal_everywhere", "all equal" if equal else "not all equal", display=False)
glue("worst_proof", bound(max(errors.values())), display=False)
sources.numbers([])

# %% [markdown]
# From a bias of 8 on the logarithm of the error changes by {glue:text}`rate_18` (18 layers) and
# {glue:text}`rate_34` (34 layers) for each unit of bias: the rate of $e^{-b}$. No finite bias makes
# the error zero.
#
# ## The original H is not F
#
# In {cite:t}`srivastava2015highway` $H$ is one affine map and a nonlinearity, in their convolutional nets
# a ReLU: it is never negative. A residual branch has two convolutions and ends without a ReLU, so that
# it can subtract from its input. The theorem therefore needs an $H$ that is built like $F$. How far is
# the branch of the 18-layer net above, after its few steps, from *every* function that is never negative? The nearest is
# $\max(F, 0)$, at a relative distance of $\lVert\min(F, 0)\rVert / \lVert F \rVert$; 0 would mean that
# $F$ could be such an $H$, and where $F$ is symmetric about zero it is $\sqrt{1/2} \approx 0.71$.

# %%
distances = negative_part(resnets[18, "A"], images)
shown = pd.DataFrame([{name: f"{value:.2f}" for name, value in distances.items()}])
sources.table(shown, "Relative distance of each block's branch from any that is never negative", [])

# %% tags=["hide-cell"]
nearest, *_, farthest = sorted(
    round(value, 3) for value in distances.values()
)  # the last bits are the machine's
glue("nearest", nearest, display=False)
glue("farthest", farthest, display=False)
sources.numbers([])

# %% [markdown]
# Every block is {glue:text}`nearest:.2f` to {glue:text}`farthest:.2f` of its own size away from the
# original form. "Highway networks contain ResNets" is true of Highway blocks around residual branches,
# as those of {cite:t}`he2016identity` are, and not of the Highway networks of 2015.
#
# ## The same function is not the same training
#
# Nothing above speaks of learning. {cite:t}`he2016identity` trained a 110-layer net with both factors
# frozen at ½, the very gates of the theorem: it ended at 12.35 % error on CIFAR-10 where their ResNet has
# 6.61 % (median of five). The representation was there; the training did not find it.
#
# One reason can be read off the construction. Write $\gamma' = 2^{-l}\gamma$ for the last scale of block
# $l$ and $W' = 2^L W$ for the classifier. The chain rule gives
#
# ```{math}
# :label: eq-gradients
# \frac{\partial\,\text{loss}}{\partial \gamma'} = 2^{l}\, \frac{\partial\,\text{loss}}{\partial \gamma},
# \qquad
# \frac{\partial\,\text{loss}}{\partial W'} = 2^{-L}\, \frac{\partial\,\text{loss}}{\partial W}:
# ```
#
# parameters that became smaller get larger gradients. Against its own size, a step of gradient descent
# is $4^l$ times too long for $\gamma'$ and $4^L$ times too short for $W'$. Gradient descent is not
# blind to how a function is written down. Measured on one batch of the untrained 34-layer net:


# %%
def gradients(network):
    """Norms of the gradients: of the last scale of each block, and of the classifier."""
    batch, labels = next(batches(1))
    F.cross_entropy(network.train()(batch), labels).backward()
    blocks = [block for stage in network.stages for block in stage]
    weights = [block.branch.bn2.weight for block in blocks] + [network.classifier.weight]
    return torch.stack([weight.grad.norm() for weight in weights])


ratios = gradients(contain(small_resnet(34))) / gradients(small_resnet(34))

# %% tags=["hide-input"]
parts = [*highway_blocks(highways[34, "A"]), "classifier"]
powers = [words.signed(power) for power in ratios.log2().tolist()]
shown = pd.DataFrame({"part": parts, "log₂ of gradient, contained / residual": powers})
sources.table(shown[::4], "Gradients of the contained net over the ResNet's, every fourth", [])

# %% [markdown]
# So with rates that undo this, $4^{-l}$ times the usual one for $\gamma'$ and $\beta'$, $4^L$ times for
# $W'$, and 0 for the gates, the contained net should train exactly as the ResNet does.


# %%
def at_matched_rates(highway, rate=0.05):
    blocks = list(highway_blocks(highway).values())
    rates = dict.fromkeys(highway.parameters(), rate)
    for number, block in enumerate(blocks):
        rates |= dict.fromkeys(block.branch.bn2.parameters(), rate * 4.0**-number)
        rates |= dict.fromkeys(block.transform.parameters(), 0.0)
    rates[highway.classifier.weight] = rate * 4.0 ** len(blocks)
    return [{"params": [parameter], "lr": own} for parameter, own in rates.items()]


# %% tags=["hide-input"]
rows = []
for depth in (18, 34):
    resnet = train_on(small_resnet(depth), steps=5)
    for title, rates in (("one for all", at_one_rate), ("matched", at_matched_rates)):
        highway = train_on(contain(small_resnet(depth)), rates, steps=5)
        error = relative_error(highway, resnet, images)
        rows.append({"layers": depth, "rates": title, "error": error})
trained = pd.DataFrame(rows)
shown = trained.error.map(bound)
shown = trained.drop(columns="error").assign(**{"relative error after 5 steps": shown})
sources.table(shown, "Trained with one rate for all, and with matched rates", [])

# %% tags=["hide-cell"]
same = (trained[trained.rates == "matched"].error < 1e-9).all()
glue("matched_training", "the same" if same else "not the same", display=False)
sources.numbers([])

# %% [markdown]
# With matched rates the two trainings are {glue:text}`matched_training`, to rounding. What separates
# them at one rate is not the function that they start from, but the steps.
#
# ## Trained from the contained point, and from scratch
#
# The recorded experiment `containment` asks what happens at one rate for all, as everywhere else in
# this book. Each seed trains a ResNet, a Highway net with 1×1 gates of bias 0 (T around ½) and all
# weights drawn as usual, and a Highway net with such gates that starts as the very function that the
# seed's untrained ResNet is (T = ½); with the same batches, and the gates free to learn.

# %% tags=["remove-cell"]
folder = paths.ROOT / runs_dir
half = Gates(kernel=1, bias=0)
records = EXPERIMENTS["containment"].records(folder, "digits")
runs, curves = load_runs(records), load_curves(records)
arms = {("residual", "drawn"): "ResNet", ("highway", "drawn"): "Highway, drawn"}
arms["highway", "contained"] = "Highway, contained"
curves["arm"] = [arms[pair] for pair in zip(curves.family, curves.start, strict=True)]

# %% tags=["remove-input"]
Markdown(experiments.coverage(EXPERIMENTS["containment"], "digits", folder, gpu=False))

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-contained", "caption": "ResNets, Highway nets with gates of bias 0 and drawn weights, and Highway nets that start as the ResNet's function. Thin lines: training error; bold lines: validation error. Lines are means over seeds, bands reach from the lowest seed to the highest; the axis is logarithmic and shows no error of 0."}, "image": {"alt": "Error against iteration on a logarithmic axis, 18 layers left and 34 layers right, with lines of a ResNet, of a Highway net with drawn weights and of a Highway net that started as the ResNet's function. The table below has where they end."}}
columns = ["arm", "depth", "seed", "iteration", "training_error", "validation_error"]
sources.figure(containment.contained_curves(curves), curves[columns], records)

# %% tags=["hide-input"]
sources.table(tables.arms(runs), "Final errors, all of them", records)

# %% [markdown]
# Final errors are those of the last epoch: mean ± standard deviation over n seeds. The gaps are paired
# by seed, in points; first in training error, then in validation error. Five seeds decide nothing: beside a mean stands
# the range in round brackets, and a sign is told where every seed has it.

# %% tags=["hide-input"]
gaps = {name: containment_gaps(runs, half, f"{name}_error") for name in ("training", "validation")}
sources.table(containment.containment_table(gaps["training"]), "Gaps in training error", records)

# %% tags=["hide-input"]
sources.table(
    containment.containment_table(gaps["validation"]), "Gaps in validation error", records
)

# %% tags=["hide-cell"]
WORDS = {
    "higher": "higher than",
    "lower": "lower than",
    "undecided": "with some seeds higher and with some lower than",
}


def glue_gap(name, measured):
    points = f"{words.mean_and_interval(measured)} points" if measured.n else "not recorded yet"
    glue(name, points, display=False)
    glue(f"{name}_n", measured.n, display=False)
    glue(f"{name}_words", WORDS[sign(measured)], display=False)


for start in ("drawn", "contained"):
    for depth in (18, 34):
        nets = select(runs, "highway", depth, start=start, **gate_labels(half))
        glue_gap(f"{start}_{depth}", gap(nets, select(runs, "residual", depth), "training_error"))
counts = runs.groupby(["family", "depth", "start"]).size()
n = str(counts.min()) if counts.min() == counts.max() else f"{counts.min()} to {counts.max()}"
glue("n", n, display=False)
glue("planned", len(EXPERIMENTS["containment"].grids["digits"].seeds), display=False)
contained = runs[runs.start == "contained"]
glue("diverged", int(contained.diverged.sum()), display=False)
glue("n_contained", len(contained), display=False)
inside = load_gates(map(Path, contained.path))
if len(inside):
    ends = summarise(inside, load_lesions(map(Path, contained.path))).transform_end
    glue("transform_end", f"{ends.min():.2f} to {ends.max():.2f}", display=False)
else:
    glue("transform_end", "not recorded yet", display=False)
sources.numbers(records)

# %% [markdown]
# With {glue:text}`n` of {glue:text}`planned` seeds in each arm: the training error of the Highway net that
# starts as the ResNet's function is {glue:text}`contained_18_words` the ResNet's at 18 layers
# ({glue:text}`contained_18`, n = {glue:text}`contained_18_n`) and {glue:text}`contained_34_words` it at 34 layers
# ({glue:text}`contained_34`, n = {glue:text}`contained_34_n`). With the same gates and drawn weights it is
# {glue:text}`drawn_18_words` the ResNet's at 18 layers ({glue:text}`drawn_18`, n = {glue:text}`drawn_18_n`) and
# {glue:text}`drawn_34_words` it at 34 layers ({glue:text}`drawn_34`, n = {glue:text}`drawn_34_n`). Of the
# {glue:text}`n_contained` trainings from the contained point {glue:text}`diverged` ended with a loss
# that is not finite; in the others the mean of T over a net ended at {glue:text}`transform_end`.
#
# The contained point and its ResNet are one function before the first step, and with one rate their
# trainings part at once, by the factors of {eq}`eq-gradients`. Whatever the curves show, it is no
# lack of representation. Nor does it speak of Highway nets as they are used, with weights drawn at
# random and gates that start closed: the next section does.
#
# ## What these nets say of C7
#
# *That the functions of Highway nets contain those of ResNets* is decided by the proof and its test; no record
# can. *That they should therefore be at least as good* is a claim about training. Below are the gaps in
# training error, each family at its best rate of those trained (3×3 gates of bias −2, as in all our experiments with
# one gate). These trainings explore: five seeds, rates chosen on the same runs, and Highway nets that are larger.
# What decides at equal size was [registered](../book/registration.md), and stands with [the claims](claims.ipynb).

# %% tags=["hide-cell"]
published = EXPERIMENTS["highway"].records(folder, "digits")
compared = {
    USUAL_GATES: load_runs(published),
    half: runs,
}
rows = []
for gates, table in compared.items():
    _, measured = highway_answer(table, gates, "training_error", claimed="lower")
    for depth, value in measured.items():
        nets = select(table, "highway", depth, match=None, start="drawn", **gate_labels(gates))
        rows.append(
            {
                "network": words.network("highway", depth),
                "gate": words.gate(gates.kernel, gates.bias),
                "Highway − ResNet, training error": words.mean_and_interval(value),
                "n": value.n,
                "sign": sign(value),
                "parameters": f"{nets.parameters.iloc[0]:,}" if len(nets) else "–",
                "multiply-adds": f"{nets.multiply_adds.iloc[0]:,}" if len(nets) else "–",
            }
        )
        if gates == USUAL_GATES:
            glue_gap(f"c7_{depth}", value)
sources.numbers([*published, *records])

# %% tags=["hide-input"]
sources.table(
    pd.DataFrame(rows), "Highway nets against ResNets in training error", [*published, *records]
)

# %% [markdown]
# ## Beside the literature
#
# | | net and data | n | result |
# |---|---|---|---|
# | {cite:t}`srivastava2015training`, as cited by {cite:t}`he2015deep` | Highway-19, CIFAR-10; one-convolution H, no BN | – | 7.54 % best, 7.72 ± 0.16 |
# | {cite:t}`he2016identity`, Table 1 | ResNet-110, CIFAR-10, factors 1 and 1 | 5, median | 6.61 % |
# | | factors frozen at ½ and ½ | 5, median | 12.35 % |
# | | gates 1 − g and g, bias 0 to −5 | 5, median | fail (above 20 %) |
# | | gates 1 − g and g, bias −6; −7 | 5, median | 8.70 %; 9.81 % |
# | {cite:t}`srivastava2025comparison` | Highway-110 of 2.65M parameters and ResNet-110 of 1.73M, CIFAR-10; normalised gates, bias −6 | 1 | 6.04 % and 6.25 % |
# | we | function of a ResNet as a Highway net with T = ½, 18 and 34 layers, A and B | proof | {glue:text}`equal_everywhere` ({glue:text}`worst_proof`) |
# | we | Highway-18 − ResNet-18, bias 0, weights drawn | {glue:text}`drawn_18_n` | {glue:text}`drawn_18` of training error |
# | we | Highway-34 − ResNet-34, bias 0, weights drawn | {glue:text}`drawn_34_n` | {glue:text}`drawn_34` of training error |
# | we | Highway-18 − ResNet-18, started as the ResNet's function | {glue:text}`contained_18_n` | {glue:text}`contained_18` of training error |
# | we | Highway-34 − ResNet-34, started as the ResNet's function | {glue:text}`contained_34_n` | {glue:text}`contained_34` of training error |
# | we | Highway-18 − ResNet-18, 3×3 gates of bias −2, best rates | {glue:text}`c7_18_n` | {glue:text}`c7_18` of training error |
# | we | Highway-34 − ResNet-34, 3×3 gates of bias −2, best rates | {glue:text}`c7_34_n` | {glue:text}`c7_34` of training error |
#
# He et al. read the higher *training* error of their gated nets as a matter of optimisation, not of
# representation; for factors of ½ the theorem says the same.
#
# ## What could still be wrong
#
# - The theorem is about branches with batch normalisation, as all here are. Two convolutions and a ReLU without it are
#   simpler: a factor passes through them, and $H_l$ is $F_l$ with biases $2^{-l}$ times as large. For branches
#   with other activations, sigmoids say, nothing is proved.
# - $2^{-l}$ runs out of single precision after some hundred blocks, and $4^{-l}\varepsilon$ earlier.
# - The trainings are of digits, 8×8 pixels, and of one length: a net that is only slow looks like one
#   that cannot learn.
# - The contained point was tried at the recipe's rate alone. A lower rate, or an optimiser that adapts its
#   rate to each parameter, may do better there, as the matched rates do by construction.
# - The frozen ½ of He et al. and ours differ: theirs stay at ½ and have weights drawn for factors of 1; ours learn.
# - *Two processors.* Our Highway nets with gates of bias −2, of seeds 3 and 4 were trained on a processor with other instructions
#   than their ResNets; [the comparison](highway.ipynb) says what that does.
#
# **The answer.** As a statement about functions C7 is true, in a form that takes some care: with residual
# branches, batch normalisation and T = ½, a Highway net computes what any ResNet computes
# ({glue:text}`equal_everywhere`, relative error {glue:text}`worst_proof`). That it should therefore be at least as good
# does not follow. In these trainings, which explore, the training error of Highway-18 is
# {glue:text}`c7_18_words` that of ResNet-18 ({glue:text}`c7_18`, n = {glue:text}`c7_18_n`) and that of Highway-34
# {glue:text}`c7_34_words` that of ResNet-34 ({glue:text}`c7_34`, n = {glue:text}`c7_34_n`).
