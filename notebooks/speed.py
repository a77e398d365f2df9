# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # How fast
#
# How long a training takes depends on the loop as much as on the network. So we set ours beside two
# that a user might write, in one process on one device, in turns:
#
# - **(a) stock**: the loop of torchvision's reference scripts. The training files go through
#   `ImageFolder`, torchvision's transforms of one image at a time, and a `DataLoader` with a
#   worker on each core; then an eager step, with autocast where the precision is bfloat16, whose
#   loss and right answers are read for the log. The digits have no files: tensors in memory stand in
#   for them.
# - **(b) stock, data resident**: the same step, but the whole data set lies decoded on the device,
#   and our augmentation takes a whole batch at a time.
# - **(c) ours**: the same data path, and our loop: a fused optimiser, errors summed on the device
#   and read once an epoch, and on a GPU one CUDA graph for the forward and backward pass.
#
# From (a) to (b) the data path changes, from (b) to (c) the loop. Network, batch, augmentation and
# optimiser are the recipe's in all three. Each loop computes on one thread of the processor, as all
# trainings of this study do, and the workers of (a) come on top.

# %% tags=["remove-cell"]
from IPython.display import Markdown
from myst_nb import glue

from resnet_study.figures import sources, speed, style
from resnet_study.pipeline.benchmarks import coverage, find_results, load_speeds, title
from resnet_study.pipeline.frames import load_runs
from resnet_study.pipeline.parameters import check_parameters
from resnet_study.pipeline.records import read_record
from resnet_study.questions import effects, words
from resnet_study.questions.experiments import EXPERIMENTS

check_parameters()
style.use_style()

# %% tags=["remove-cell"]
results = find_results()

# %% tags=["remove-input"]
Markdown(coverage(results))

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Training images per second of three loops, for the recipe, the precision and the device in the title, without evaluations. Bars are medians over rounds; thin lines reach from the slowest round to the fastest."}, "image": {"alt": "Horizontal bars of images per second, three for each network: stock loop, stock loop with resident data, and ours. The table of the same title has the numbers."}}
for path in results:
    speeds = load_speeds(path)
    sources.figure(speed.speeds(speeds, title(read_record(path))), speeds, [path])

# %% [markdown]
# ## In numbers
#
# *Ours* is the speed of our loop over that of the row. *Of floor* says how far a loop is from what
# the device could do at best: the time that the counted FLOPs and bytes of a step take at least, over the time that it took. FLOPs are two
# a multiply-add, for one forward and two backward passes. Of the bytes, only those that nobody can
# avoid are counted: weights, gradients and momentum read and written once, and so the images
# and the output of each layer with weights. The device's own two speeds come from one
# large product of matrices in the same precision and one large copy, measured in the same
# process.
#
# On a GPU, *peak memory* is without the data set, and without what a CUDA graph keeps for itself.

# %% tags=["remove-input"]
for path in results:
    sources.table(speed.speed_table(load_speeds(path)), title(read_record(path)), [path])

# %% [markdown]
# ## What was measured where
#
# *Fig. 2 once* is what the four networks of Fig. 2 take together at the speed of our loop, one seed
# of each after the other, without evaluations.

# %% tags=["remove-input"]
sources.table(speed.benchmark_table(results), "Where the three loops were measured", results)

# %% [markdown]
# `make benchmark` measures the digits on your machine, and with `DATA_DIR=` the folder that
# holds `tiny-imagenet-200`, also twenty classes of Tiny ImageNet; results go into
# `data/benchmarks/`.

# %% [markdown]
# ## What bfloat16 changes
#
# In bfloat16, numbers of 16 bits of which 8 carry their digits, a GPU multiplies fastest, and many trainings use it.
# Here it is an option and not what the recipes say, because of the following check: Fig. 2 on digits
# once more with bfloat16, from the same seeds. Final training errors:

# %% tags=["remove-input"]
files = {name: EXPERIMENTS[name].records() for name in ("fig2", "precision")}
exact, rounded = (load_runs(records) for records in files.values())
compared = [path for records in files.values() for path in records]
sources.table(
    speed.precision_table(exact, rounded),
    "Final training errors on digits, two precisions",
    compared,
)

# %% tags=["hide-cell"]
deep, same = (
    effects.gap(
        effects.select(rounded, family, 34), effects.select(exact, family, 34), "training_error"
    )
    for family in ("plain", "residual")
)
for name, value in {"bfloat16_plain": deep, "bfloat16_residual": same}.items():
    glue(name, words.mean_and_interval(value), display=False)
    glue(f"{name}_sign", effects.sign(value), display=False)
sources.numbers(compared)

# %% [markdown]
# At 34 layers the training error in bfloat16, minus that in float32, is {glue:text}`bfloat16_plain`
# points for the plain net ({glue:text}`bfloat16_plain_sign`) and {glue:text}`bfloat16_residual` for the
# ResNet ({glue:text}`bfloat16_residual_sign`). A single bit is known to move a training as far as another seed {cite}`summers2021nondeterminism`. Where the question is how badly a deep plain net
# trains, rounding must not be mixed with the effect of depth. A narrow net on 8×8 pixels is not a
# wide one on photographs, so this does not say that bfloat16 changes Fig. 2 there; it says that the
# opposite would have to be shown first.
