# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The claims, and what is known of each
#
# **The question.** What does the post claim, exactly, and what may be said of it?
#
# The post {cite}`cui2019resnet` explains residual networks {cite}`he2015deep` to a wide audience: why deep networks would not
# train, what a shortcut changes, and how the result compares with Highway networks
# {cite}`srivastava2015highway,srivastava2015training`. We number what it claims C1 to C9 and keep the numbers throughout
# the book. Its Fig. 1 is Fig. 2 of the paper, the building block, and its **Fig. 2 is Fig. 4 of the paper**; wherever
# this book says Fig. 2, it means the post's.
#
# ## How a verdict comes about
#
# Four things stand beside each claim: what it is about; what others have published on it; what our records say, scale by scale; and
# whether that bears on the claim at all.
#
# - *Others.* Published trainings are [data](../book/records.md) here, and graded by how many independent groups
#   agree: *established* by five or more, *reported by few*, *reported once*, *contested* if one disagrees.
# - *Ours.* Each claim has one measure, named beforehand. A difference is real if a t test, paired by seed and corrected for all
#   measures of its scale by Holm's method, says so. *No difference larger than 1 point* takes a test of its own. Fewer than six
#   seeds decide nothing: they are *exploratory*, and show their range.
# - *Bearing.* Our nets are small. What they do *bears directly* on a claim about ImageNet only if they are trained on it, and *bears
#   in kind* if all else fits: long enough, limited by capacity and not by memory, sizes matched, rates and starts
#   tried on both sides. Else it *does not bear*.
#
# The verdict is the literature's grade. What we found changes it only where it bears directly and disagrees. Where no published training of such nets
# decides, ours that bears in kind gives the word: *seen in kind*, *in part*, *not seen*.
#
# Measures and rules for the fifty classes and for the fresh seeds on digits were
# [committed before their trainings](../book/registration.md). What came earlier, on other scales, is listed as exploratory, and
# its rules are post hoc.

# %% tags=["remove-cell"]
from IPython.display import Markdown, display

from resnet_study import paths
from resnet_study.figures import claims as claims_figures
from resnet_study.figures import literature as literature_figures
from resnet_study.figures import sources, style
from resnet_study.pipeline.measurements import get_measurement
from resnet_study.pipeline.parameters import check_parameters
from resnet_study.questions import claims, lines, literature, registered

style.use_style()

# %% tags=["parameters", "remove-cell"]
runs_dir: str = "data/runs"  # folder of the records; relative to the repository
measurements_dir: str = (
    "data/measurements"  # folder of the measurements; relative to the repository
)

# %% tags=["remove-cell"]
check_parameters()
runs, measurements = paths.ROOT / runs_dir, paths.ROOT / measurements_dir
found = claims.examine(runs, measurements)


def tell(number):
    """A claim with its verdict, its four cells, and the chapter that tells of it."""
    one = found[number]
    text = (
        f"> {one.claim.text}\n\n**{one.verdict}.** {lines.line(number, found)}\n\n"
        f"*About:* {one.claim.about} *Measured:* {one.claim.primary} "
        f"*More in* [its chapter]({one.claim.chapter}.ipynb)."
    )
    display(Markdown(text))
    published = sorted(paths.LITERATURE.glob("*.csv"))
    sources.linked_table(
        claims_figures.literature_table(number), f"{number}: what others published", published
    )
    sources.linked_table(
        claims_figures.findings_table(one.findings),
        f"{number}: what we found",
        claims.files([one]),
    )


# %% [markdown]
# (claim-c1)=
# ## C1: A thousand layers

# %% tags=["remove-input"]
tell("C1")

# %% [markdown]
# (claim-c2)=
# ## C2: Vanishing and exploding gradients

# %% tags=["remove-input"]
tell("C2")

# %% [markdown]
# Only published trainings of plain-34 or its like are counted. What theory says of the cause, and what the paper argues, stands in
# [Gradients at work](gradients.ipynb).
#
# (claim-c3)=
# ## C3: What shortcuts solve

# %% tags=["remove-input"]
tell("C3")

# %% [markdown]
# (claim-c4)=
# ## C4: Depth hurts plain nets

# %% tags=["remove-input"]
tell("C4")

# %% [markdown]
# (claim-c5)=
# ## C5: Depth helps residual nets

# %% tags=["remove-input"]
tell("C5")

# %% [markdown]
# All public pairs of trainings that we found, on ImageNet's validation images and on five more test sets:

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-public-pairs", "caption": "ResNet-18 against ResNet-34 in public trainings on ImageNet. Left: both errors on the validation images, a row a pair. Right: the difference ResNet-34 − ResNet-18 on six test sets, a point a pair, the line through their medians."}, "image": {"alt": "Left, a row for each public pair of trainings with the error of ResNet-18 and, lower in every row, that of ResNet-34. Right, the differences on six test sets, all below zero."}}
pairs = literature.resnet_pairs(literature.load_literature())
sources.figure(
    literature_figures.resnet_pairs(pairs), pairs, sorted(paths.LITERATURE.glob("*.csv"))
)

# %% [markdown]
# (claim-c6)=
# ## C6: No extra parameter

# %% tags=["remove-input"]
tell("C6")

# %% [markdown]
# (claim-c7)=
# ## C7: Highway nets contain ResNets

# %% tags=["remove-input"]
tell("C7")

# %% [markdown]
# (claim-c8)=
# ## C8: ResNets outperform Highway nets

# %% tags=["remove-input"]
tell("C8")

# %% [markdown]
# (claim-c9)=
# ## C9: Highway nets need more data

# %% tags=["remove-input"]
tell("C9")

# %% [markdown]
# ## The registered measures
#
# All of them, with their tests. *p, Holm* is of the difference after correction (for C7, of being worse by a point or more);
# *equivalence* of the difference being smaller than a point either way.

# %% tags=["remove-input"]
for recipe in registered.SCALES:
    readings = registered.readings(recipe, runs)
    sources.table(
        claims_figures.registered_table(readings),
        f"Registered measures, recipe {recipe}",
        sorted({path for reading in readings.values() for path in reading.files}),
    )

# %% [markdown]
# ## How often these rules are wrong
#
# Each rule as a whole was given differences drawn at random, with nothing behind them, or with just as much as it must not
# overlook: how often does it say what is false? All other measures of its scale had large effects, which leaves the
# correction least strict. And how often does a 95 % interval hold the mean? The bootstrap of earlier editions of this
# book did not.

# %% tags=["remove-input"]
rules = get_measurement("rules")
tables = rules.tables(measurements)
drawn = f"{rules.settings['draws']:,} draws"
path = [rules.path(measurements)]
sources.table(
    claims_figures.rules_table(tables["false_decisions"]), f"False decisions, {drawn}", path
)
sources.table(
    claims_figures.coverage_table(tables["coverage"]), f"95 % intervals that hold, {drawn}", path
)

# %% [markdown]
# ## What could still be wrong
#
# - *The measures.* Another measure may say otherwise. They are few and were named beforehand, so that nobody could choose among
#   them afterwards.
# - *The literature.* Most published errors are of one training. That many agree in sign says nothing of the size.
# - *Few seeds.* Seeds move a test error by more than many a difference that is published {cite}`picard2021seed,bouthillier2021accounting`; most
#   of that is chance of the test set and not of the net {cite}`jordan2023variance`. Six seeds find large effects only, and intervals over them say
#   so {cite}`agarwal2021precipice`.
# - *Bearing in kind.* Narrow nets on small pictures are not the paper's. That something holds there too, or does not, is worth
#   knowing, and is no verdict on ImageNet.
#
# **The answer.** The claims are nine sentences, and each stands here with what others found, what we found, and whether ours counts. The
# nine lines in short are on the [front page](summary.ipynb); they change with the records, not with our hopes.
