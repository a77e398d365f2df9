# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Your reproduction
#
# `make reproduce` trains the networks of Fig. 2 and Highway nets with one gate afresh on your machine,
# and renders the book from your records. This page then sets them beside ours.

# %% tags=["remove-cell"]
from IPython.display import Markdown

from resnet_study import paths, reproduction
from resnet_study.figures import fig2, sources, style
from resnet_study.pipeline.frames import load_curves, load_runs
from resnet_study.pipeline.parameters import check_parameters
from resnet_study.questions.experiments import EXPERIMENTS, parse_seeds
from resnet_study.reproduction import OUR_SEED, compare, identical_curves, reproduced

style.use_style()

# %% tags=["parameters", "remove-cell"]
runs_dir: str = ""  # folder of your records; none: there are none yet
seeds: str = "20-22"  # seeds of your records, such as 20-22,27

# %% tags=["hide-input"]
check_parameters()
if runs_dir:
    ours = EXPERIMENTS["reproduction"].records()
    yours = EXPERIMENTS["reproduction"].records(paths.ROOT / runs_dir, seeds=parse_seeds(seeds))
    comparison = compare(load_runs(ours), load_runs(yours))
    again = EXPERIMENTS["reproduction"].records(paths.ROOT / runs_dir, seeds=[OUR_SEED])
    same, shared = identical_curves(load_curves(ours), load_curves(again))
    verdict = "**reproduced**" if reproduced(comparison) else "**not reproduced**"
    text = f"""The study is {verdict}: {len(yours)} runs of yours against {len(ours)} of ours.
{same} of your {shared} curves with our seed {OUR_SEED} equal ours to the bit. (They do on a machine
and packages like ours; on another, rounding differs, and the effects are what to compare.)"""
else:
    text = """This copy of the book was rendered from the committed records: nothing was
trained for it. Type `make reproduce` in a clone of the repository to fill this page."""
Markdown(text)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-reproduction", "caption": "Our curves above, yours below, on the same axes. Thin lines: training error; bold lines: validation error; means over seeds, with bands from the lowest seed to the highest."}, "image": {"alt": "Four panels of error against iteration. Upper row: our plain nets and ResNets; lower row: yours."}}
if runs_dir:
    shown = {
        "(ours)": style.long_curves(load_curves(ours)),
        "(yours)": style.long_curves(load_curves(yours)),
    }
    sources.figure(fig2.fig2(shown), shown, [*ours, *yours])

# %% [markdown]
# ## The rule
#
# Your seeds are none of ours, so that the effects are tested and not our arithmetic. For each effect of [Fig. 2](fig2.ipynb)
# and for the Highway nets' gap to the ResNets, the difference of final errors is estimated from our seeds and from yours, in points.
# The two agree unless Welch's t test tells their means apart at 5 %, after Holm's correction for all effects in the table. The study
# is reproduced if all agree. One seed of ours is trained again beside yours, to compare curves to the bit.

# %% tags=["hide-input"]
if runs_dir:
    sources.table(
        reproduction.comparison_table(comparison), "Our effects and yours", [*ours, *yours]
    )
