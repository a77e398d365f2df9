# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What nobody knows
#
# A study should end with what it could not find out. Here are questions that this one leaves open. Four have a price, from our records of
# what such trainings take, and a command that begins.

# %% tags=["remove-cell"]
from resnet_study import paths
from resnet_study.figures import sources, style
from resnet_study.figures.open_questions import open_questions
from resnet_study.pipeline.frames import load_runs
from resnet_study.pipeline.parameters import check_parameters
from resnet_study.pipeline.records import all_records

style.use_style()

# %% tags=["parameters", "remove-cell"]
runs_dir: str = "data/runs"  # folder of the records; relative to the repository

# %% tags=["remove-cell"]
check_parameters()
records = all_records(paths.ROOT / runs_dir)
runs = load_runs(records)

# %% tags=["remove-input"]
sources.linked_table(open_questions(runs), "Open questions, with price and command", records)

# %% [markdown]
# **Does the deeper ResNet win once both are wider?** On [fifty classes](pictures.ipynb) it fits more, and whether it generalises better we cannot
# tell, in nets an eighth as wide as the paper's. At twice the width, it may do both. The trainings are registered, and the first of them recorded.
#
# **Is clipping more than a smaller step?** Clipped gradients [helped](story_gradients.ipynb) the plain net on digits. A clip shortens only
# the long steps, a lower rate all of them. Which of the two matters, a grid of both would tell.
#
# **Does Fig. 2 hold on all of Tiny ImageNet?** The central figure at the paper's widths wants a GPU.
#
# **Do Highway nets of today's design win at equal size?** Gates of two normalised layers, all but shut at first (which fails in ours without that
# normalisation), ended level with the ResNet in one training, with half as many parameters again {cite}`srivastava2025comparison`.
# In [ours](pictures.ipynb), of equal size, they end below it in training error, with each of three seeds; three seeds decide nothing.
#
# **Can one tell beforehand?** For nets without batch normalisation theory tells from the start how deep they
# train {cite}`schoenholz2017deep,yang2017meanfield,xiao2018dynamical`. With it, theory says that deep plain nets do not, for the explosion at the
# start, and its authors tested that on fully connected nets {cite}`yang2019mean`. Whether the balance at the start tells convolutional nets, rates
# and lengths apart, we have not seen tested.
#
# ## For a class
#
# Each of the first three is a project for a group of students: two weeks, one machine, a figure at the end. There is [a plan for ninety minutes](../book/teaching.md) as well. The
# [guide](../book/reproduce.md) has the commands, [the registration](../book/registration.md) shows how to say beforehand what would count.
#
# *The evidence:* [the nine claims](claims.ipynb) · [all runs](../book/runs.md) · [what is recorded](../book/status.md)
