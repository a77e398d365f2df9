# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Residual learning, reproduced
#
# A net of 34 plain layers could copy one of 18 and pass the rest through unchanged. It should never be worse. It is, on the very
# images that it was trained on: see the grey lines. With shortcuts it is not: see the green ones. Why? A blog post of 2019 says: gradients that vanish or
# explode {cite}`cui2019resnet`. This book turns its nine claims into experiments that anyone can repeat.

# %% tags=["remove-cell"]
from IPython.display import Markdown
from myst_nb import glue

from resnet_study import paths
from resnet_study.figures import claims as claims_figures
from resnet_study.figures import fig2, sources, style
from resnet_study.pipeline.frames import load_curves, load_runs
from resnet_study.pipeline.parameters import check_parameters
from resnet_study.pipeline.records import all_records
from resnet_study.questions import claims
from resnet_study.questions.experiments import EXPERIMENTS
from resnet_study.questions.lines import answer
from resnet_study.questions.paper import CURVES, load_paper_curves

style.use_style()

# %% tags=["parameters", "remove-cell"]
runs_dir: str = "data/runs"  # folder of the records; relative to the repository
measurements_dir: str = (
    "data/measurements"  # folder of the measurements; relative to the repository
)

# %% tags=["remove-cell"]
check_parameters()
folder = paths.ROOT / runs_dir
found = claims.examine(folder, paths.ROOT / measurements_dir)
central = EXPERIMENTS["fig2"].recorded(folder, "tiny-imagenet-50")

# %% tags=["remove-input"]
Markdown(f"**The answer.** {answer('surprise', found)} [Evidence](claims.ipynb)")

# %% tags=["remove-input"] mystnb={"figure": {"name": "fig-front", "caption": "The post's Fig. 2, twice: above ours, on fifty classes of small pictures, six seeds; below the paper's on ImageNet, one training each. Grey: plain nets; green: residual nets; the darker, the deeper. Thin lines: training error; bold lines: validation error. Ours are means over seeds, bands reach from the lowest seed to the highest. What depth does to training error at the end stands at the top of each panel; within a point is alike."}, "image": {"alt": "Four panels of error against iteration, plain nets left and residual nets right, ours above and the paper's below. In both rows the plain net of 34 layers lies above the one of 18 throughout. Of the residual nets the one of 34 layers ends below in training error; in validation error the paper's does too, and ours end level."}}
if central:
    shown = {
        "on fifty classes": style.long_curves(load_curves(central)),
        "on ImageNet": load_paper_curves(),
    }
    sources.figure(fig2.fig2(shown), shown, [*central, CURVES])

# %% [markdown]
# [Train two such nets yourself](../book/try.md), here in the page, in less than a minute. Then read on: [is it vanishing
# gradients?](story_gradients.ipynb) · [what does a shortcut do?](story_shortcut.ipynb) · [is it only the
# shortcut?](../book/objections_live.md) · [a thousand layers](story_depth.ipynb) · [Highways](story_highway.ipynb) ·
# [what nobody knows](story_open.ipynb).
#
# ## The nine claims

# %% tags=["remove-input"]
sources.linked_table(
    claims_figures.front_table(found), "The nine claims", claims.files(found.values())
)

# %% [markdown]
# The verdict is that of [what others have published](claims.ipynb): *established* by several groups, *reported once*, *contested*.
# Where no published training of such nets decides, it is ours, *seen in part*, or *open*. Each number
# leads to the four cells behind it: the claim, the literature, our findings by scale, and whether they count.
#
# ## What we make of it
#
# Vanishing gradients were real in the age of sigmoids {cite}`hochreiter1991untersuchungen,bengio1994learning,glorot2010understanding`.
# [Initialisation](multiplication.ipynb) ended them in nets with ReLU {cite}`he2015delving`; in ours on digits without normalisation [they come
# back](gradients.ipynb), where maps shrink to a pixel. With batch normalisation {cite}`ioffe2015batch` gradients do the opposite: they
# [explode at the start](gradients.ipynb). On digits steps that are too long do harm; that the one makes the other is likely, and not shown. Most of what depth costs there goes
# when each net gets [the rate and length that suit it](objections.ipynb). On [fifty classes](pictures.ipynb), with a rate of its own for each
# family, it stays, and so it did on ImageNet with three times the iterations {cite}`he2015deep`.
#
# A shortcut beside a normalised branch starts close to passing on what it got, and so makes great depth
# trainable {cite}`de2020skipinit`; normalisation itself smooths the
# loss {cite}`santurkar2018how`. All this is about training: the deeper plain net can compute all that the shallower one can. Other things ease it as well: branches that [start at zero](depth.ipynb), or [gates](highway.ipynb) that start mostly shut; others have
# done without normalisation {cite}`zhang2019fixup,brock2021high`, and without shortcuts {cite}`xiao2018dynamical,zhang2022tat`.
# So degradation belongs to a net, its start and its optimiser together.
#
# ## Scope, and what differs from the original
#
# Nine claims of one post. Our scales: digits of 8×8 pixels; twenty and fifty classes of Tiny ImageNet; and, as far as a GPU was
# there, all of it. Smaller pictures, fewer classes, narrower nets and shorter trainings than the paper's: none of this is
# ImageNet, and nothing here settles what happens there. But nearly every net has several seeds, where the paper's has one, and what
# decides has six, with rules [committed beforehand](../book/registration.md).
#
# Plain, residual and Highway nets come from one builder and are trained by one loop, with the paper's optimiser. The rate drops
# tenfold twice, at a half and at three quarters, later than in the paper. Errors are those of the last epoch; nothing was chosen on validation images. The
# {glue:text}`n_runs:d` trainings on record took {glue:text}`core_hours` core hours by the clock, pauses included; {glue:text}`n_diverged:d` of them diverged.

# %% tags=["hide-cell"]
records = all_records(folder)
runs = load_runs(records)
facts = {
    "n_runs": len(runs),
    "core_hours": f"{runs.seconds.sum() / 3600:.0f}",
    "n_diverged": int(runs.diverged.sum()),
}
for name, value in facts.items():
    glue(name, value, display=False)
sources.numbers(records)

# %% [markdown]
# ## Check one number
#
# The line below a figure names the records it was drawn from, with downloads of data and figure. [All runs](../book/runs.md) lists each
# training with its curve and its commit. To train one of them again, in a copy of this study, on any computer with Linux and Python:
#
# ```bash
# make setup
# .venv/bin/resnet-study run --family plain --depth 34 --seed 0 \
#   --runs-dir again
# ```
#
# It prints its errors; on the same model of processor they are the record's to the last digit, on another one close to them. `make reproduce` trains all nets
# of Fig. 2 with seeds that are not ours and renders this book from them: see [Reproduce it](../book/reproduce.md).
#
# Where to begin? With two nets that train before your eyes, [on the next page](../book/try.md).
