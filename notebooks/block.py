# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The block
#
# **The question.** Plain, residual and Highway nets are the same chain of blocks, and differ in nothing
# but the block. What does each kind of block compute, and what does it cost? The post says that
# a ResNet outdoes its plain counterpart with no extra parameter (C6).

# %% tags=["remove-cell"]
import pandas as pd
from myst_nb import glue

from resnet_study.figures import block, sources, style
from resnet_study.pipeline.parameters import check_parameters

check_parameters()
style.use_style()

# %% [markdown]
# ## What it computes
#
# All three are built around the same *branch* $F$: two 3×3 convolutions with weights $W_1$ and $W_2$,
# each followed by batch normalisation (BN) {cite}`ioffe2015batch`, with a ReLU between them,
#
# ```{math}
# :label: eq-branch
# F(x) = \mathrm{BN}_2\bigl(W_2 * \mathrm{ReLU}(\mathrm{BN}_1(W_1 * x))\bigr),
# ```
#
# where BN is, channel by channel,
#
# ```{math}
# :label: eq-bn
# \mathrm{BN}(z) = \gamma\, \frac{z - \mu}{\sqrt{\sigma^2 + \varepsilon}} + \beta .
# ```
#
# $\mu$ and $\sigma^2$ are the channel's mean and variance: over the batch in training, running averages
# afterwards. $\gamma$ and $\beta$ are learnt, $\varepsilon$ is a small constant. A **plain** block outputs
#
# ```{math}
# :label: eq-plain-block
# y = \mathrm{ReLU}\bigl(F(x)\bigr),
# ```
#
# a **residual** block {cite}`he2015deep` adds its input, by way of a *shortcut* $s$,
#
# ```{math}
# :label: eq-residual-block
# y = \mathrm{ReLU}\bigl(F(x) + s(x)\bigr),
# ```
#
# and a **Highway** block {cite}`srivastava2015highway` mixes the two by a *gate* $T$, which has a value between 0 and 1 for each
# unit of the output,
#
# ```{math}
# :label: eq-highway-block
# y = \mathrm{ReLU}\bigl(T(x) \odot F(x) + (1 - T(x)) \odot s(x)\bigr),
# ```
#
# computed from its input as well:
#
# ```{math}
# :label: eq-gate
# T(x) = \sigma(W_T * x + b)
# ```
#
# with the sigmoid $\sigma(z) = 1 / (1 + e^{-z})$.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-blocks", "caption": "A plain, a residual and a Highway block of 64 channels, drawn from the blocks of the library. Blue: the branch F; green: the shortcut, here the identity; violet: the gate T."}, "image": {"alt": "Three diagrams from input x at the top to output y at the bottom. Plain: 3×3 convolution, BN, ReLU, 3×3 convolution, BN, ReLU. Residual: the same, and a line from x around these layers to an addition before the last ReLU. Highway: in addition a gate, a 3×3 convolution with bias and a sigmoid, whose value T multiplies the branch and 1 − T the line, before the two are added."}}
sources.figure(block.same_shape(), None, [])

# %% [markdown]
# While the shape stays the same, $s(x) = x$. The three then differ in what they do when $F$ outputs 0: a plain block
# forgets its input, a residual block passes it on (it follows a ReLU, so no entry is negative), and a Highway block passes on
# $(1 - T)\,x$. Passing on unchanged is what a layer too many should do, and a plain block has to learn
# weights for it; this is the argument of {cite:t}`he2015deep` for their block. The gate of a Highway block
# starts with a negative bias $b$, so that $T$ is small and the block begins by carrying.
#
# These Highway blocks have the branch of the others, so that the gate is the only difference. In those of
# {cite:t}`srivastava2015highway` one convolution and a ReLU stand in its place, without batch normalisation:
# see [Containment](containment.ipynb).
#
# ## Where the shape changes
#
# Three times, from stage to stage, a net halves the resolution and doubles the channels. There
# $s$ cannot be the identity. {cite:t}`he2015deep` try three shortcuts: **A** takes every second pixel and
# fills the new channels with zeros; **B** is a 1×1 convolution of stride 2 with BN, a *projection*, in these three
# places; **C** is a projection in every block. This book has A unless it says otherwise: it alone has no parameters.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-shortcuts", "caption": "Residual blocks that make 128 channels of half the resolution out of 64, with shortcut A and with shortcut B; colours as above."}, "image": {"alt": "Two diagrams of residual blocks whose first convolution has stride 2. On the line around the branch stands, left, one box: stride 2, pad with zeros; right, two boxes: 1×1 convolution with 128 channels and stride 2, and BN."}}
sources.figure(block.new_shape(), None, [])

# %% [markdown]
# ## In the library
#
# The blocks of this book, from their files. `self.branch` is {eq}`eq-branch`
# ({py:class}`~resnet_study.models.blocks.Branch`); `h`, `s` and `t` are $F(x)$, $s(x)$ and $T(x)$.
#
# ```{literalinclude} ../resnet_study/models/blocks.py
# :language: python
# :pyobject: PlainBlock.forward
# :dedent:
# :caption: Plain, resnet_study/models/blocks.py
# ```
# ```{literalinclude} ../resnet_study/models/blocks.py
# :language: python
# :pyobject: ResidualBlock.forward
# :dedent:
# :caption: Residual, resnet_study/models/blocks.py
# ```
# ```{literalinclude} ../resnet_study/models/highway.py
# :language: python
# :pyobject: HighwayBlock.forward
# :dedent:
# :caption: Highway, with the variants that later chapters try, resnet_study/models/highway.py
# ```
# ```{literalinclude} ../resnet_study/models/blocks.py
# :language: python
# :pyobject: make_shortcut
# :caption: Shortcuts, resnet_study/models/blocks.py
# ```
#
# ## From blocks to nets
#
# The nets of Fig. 2 have four stages of blocks between a stem and a classifier {cite}`he2015deep`. This is their
# layout for ImageNet, 1,000 classes at 224×224 pixels; smaller images get a smaller stem, and narrower stages.

# %% tags=["hide-input"]
sources.table(block.layout(), "Layers of the nets of Fig. 2, for ImageNet", [])

# %% [markdown]
# A net is named for the number of its layers with weights, one each in stem and classifier and two in a block;
# projections and gates do not count.
#
# ## What it costs
#
# Parameters, and multiply-adds for one image, both counted on the nets that the
# library builds. The additions of {eq}`eq-residual-block` and the products of {eq}`eq-highway-block` are one operation for each unit,
# and not counted, nor is BN. *Extra* is beside the plain net of the same depth.

# %% tags=["hide-input"]
costs = block.costs()
sources.table(
    pd.DataFrame(
        {
            "network": costs.network,
            "variant": costs.variant,
            "parameters": costs.parameters.map("{:,}".format),
            "extra": costs.extra_parameters.map("{:+.1f} %".format),
            "multiply-adds": costs.multiply_adds.map("{:,}".format),
            "extra ": costs.extra_multiply_adds.map("{:+.1f} %".format),
        }
    ),
    "Size and cost of the nets, for ImageNet",
    [],
)

# %% tags=["hide-cell"]
for depth in block.DEPTHS:
    nets = costs[costs.depth == depth].set_index(["family", "variant"])
    plain, shortcut_a = nets.loc[("plain", "")], nets.loc[("residual", "shortcut A")]
    same = (plain.parameters, plain.multiply_adds) == (
        shortcut_a.parameters,
        shortcut_a.multiply_adds,
    )
    glue(f"same_{depth}", "the same" if same else "not the same", display=False)
    glue(f"parameters_{depth}", f"{shortcut_a.parameters:,}", display=False)
    projections = float(nets.loc[("residual", "shortcut B")].extra_parameters)
    glue(f"extra_b_{depth}", projections, display=False)
    for kernel in (1, 3):
        gated = nets.loc[("highway", f"shortcut A, {kernel}×{kernel} gates")]
        glue(f"extra_gates_{kernel}_{depth}", float(gated.extra_parameters), display=False)
sources.numbers([])

# %% [markdown]
# Plain-18 and ResNet-18 with shortcut A have {glue:text}`same_18` number of parameters and of multiply-adds;
# plain-34 and ResNet-34 have {glue:text}`same_34`. What C6 says of size holds by construction: whatever
# [Fig. 2](fig2.ipynb) shows of them, size is not the reason. Projections add {glue:text}`extra_b_18:.1f` %
# and {glue:text}`extra_b_34:.1f` % where they are needed (B). Gates cost more, {glue:text}`extra_gates_3_34:.0f` % of the
# parameters at 34 layers with kernels of 3×3, so the chapter on [Highway nets](highway.ipynb) also has
# narrower ones of the same size.
#
# **The answer.** A residual block computes what a plain block does and adds its input before the last ReLU,
# which costs nothing: both nets have {glue:text}`parameters_18` parameters at 18 layers and
# {glue:text}`parameters_34` at 34, so what C6 says of size holds for shortcut A. A Highway block weighs branch and shortcut
# by a gate that it computes from its input, and pays for it with {glue:text}`extra_gates_1_34:.0f` % (1×1) to
# {glue:text}`extra_gates_3_34:.0f` % (3×3) more parameters at 34 layers.
