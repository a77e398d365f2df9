# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The claims, and the rules that decide them
#
# **The question.** What does the post claim, exactly, and when do we call a claim true?
#
# The post {cite}`cui2019resnet` explains residual networks {cite}`he2015deep` to a wide audience: why deep networks would not
# train, what a shortcut changes, and how the result compares with Highway networks
# {cite}`srivastava2015highway,srivastava2015training`. We number what it claims C1 to C9 and keep the numbers throughout
# the book. Its Fig. 1 is Fig. 2 of the paper, the building block, and its **Fig. 2 is Fig. 4 of the paper**; wherever
# this book says Fig. 2, it means the post's.
#
# ## How a claim is decided
#
# Each claim has a rule, in words here and as code in the library, which was written down before the trainings that
# it judges, except where a chapter says otherwise. A rule is applied at each scale that has records: digits of 8×8 pixels, twenty
# classes of Tiny ImageNet, all of Tiny ImageNet. Most rest on an *effect*: the difference of two networks' final
# errors in percentage points, at the last epoch, paired by seed, with a bootstrap interval.
#
# From the scales follows one verdict. A scale that decides nothing has no say. If all others support the claim it is
# **supported**; if all refute it, **refuted**; if some support it, or in part, and others do not, **supported under conditions**;
# and if none decides, **not decided**. "Not decided" never means "equal". Where a finding is
# undecided, the last column has the command that makes what is missing. If everything planned is recorded, it asks for as many
# more seeds as would do if means and spreads stay as they are.

# %% tags=["remove-cell"]
from IPython.display import Markdown, display

from resnet_study import paths
from resnet_study.figures import sources
from resnet_study.pipeline.parameters import check_parameters
from resnet_study.questions import claims

# %% tags=["parameters", "remove-cell"]
runs_dir: str = "data/runs"  # folder of the records; relative to the repository
measurements_dir: str = (
    "data/measurements"  # folder of the measurements; relative to the repository
)

# %% tags=["remove-cell"]
check_parameters()
examined = {
    claim.number: (claim, findings)
    for claim, findings in claims.examine(
        paths.ROOT / runs_dir, paths.ROOT / measurements_dir
    ).items()
}


def tell(number):
    """A claim, its rule, and what was found."""
    claim, findings = examined[number]
    verdict, chapter = claims.conclude(findings), f"[the chapter]({claim.chapter}.ipynb)"
    text = f"> {claim.text}\n\n**Rule.** {claim.rule}\n\n**Verdict: {verdict}**; see {chapter}."
    display(Markdown(text))
    records = claims.files({claim: findings})
    sources.linked_table(claims.findings_table(findings), f"{number} by scale", records)


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
# ## What could still be wrong
#
# - *The interval.* A bootstrap interval on three to five seeds is too narrow: it cannot reach beyond the lowest and the highest
#   of them. A verdict on an effect close to zero is a weak one.
# - *Many verdicts.* Nine claims at several scales are dozens of intervals. At least one in twenty misses by luck.
# - *The rules.* Another rule may decide otherwise. They are here so that it can be tried.
#
# **The answer.** The claims are nine sentences that an experiment can contradict, each with a rule that was fixed in code. What the
# rules say is in the [summary](summary.ipynb); it changes with the records, not with our hopes.
