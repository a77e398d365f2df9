# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Train one network
#
# This notebook is the pipeline: it trains one network and writes one record. papermill
# sets its parameters, for instance
#
# ```bash
# papermill notebooks/train.ipynb out.ipynb \
#   -p family plain -p depth 34 -p seed 7
# ```
#
# A misspelt parameter, or a value of another type than the one below, is refused before anything
# is trained; `resnet-study execute`, with the same arguments, refuses it before a kernel is
# started. What is recorded already is shown and not trained again, unless `overwrite` is set. The
# [guide](../book/reproduce.md) says more.

# %%
from typing import Optional

# %% tags=["parameters"]
recipe: str = "digits"  # how to train; `resnet-study list` shows all
family: str = "residual"  # which blocks: plain, residual, highway, scaled
depth: int = 18  # weighted layers: 18, 34, or 6n+2
seed: int = 0  # of weights, data order and augmentation
shortcut: str = "A"  # of a net that has shortcuts: A, B, C
gate_kernel: Optional[int] = None  # of a Highway net: 1, 3; its default is 3
gate_bias: Optional[float] = None  # where it starts; −2
gate_form: Optional[str] = None  # coupled, uncoupled, shortcut; coupled
gate_reshaping: Optional[str] = None  # blocks that change shape: gated, plain; gated
gate_normalised: Optional[bool] = None  # normalise before the sigmoid; no
gate_relu: Optional[str] = None  # after the mix, or inside of H; after
gate_layers: Optional[int] = None  # convolutions of a gate: 1, 2; 1
match: Optional[str] = None  # be as large as a residual net in: parameters, multiply_adds
start: Optional[str] = None  # of a Highway net: drawn, or contained, as a residual net; drawn
normalisation: Optional[str] = None  # `resnet-study list` shows all; batch
shortcut_scale: Optional[float] = None  # of a scaled net; 0.5
branch_scale: Optional[float] = None  # of a scaled net; 0.5
data: Optional[str] = None  # data set, instead of the recipe's, as all that follow
held_out: Optional[int] = None  # training images that validate
stem: Optional[str] = None  # imagenet, small
width: Optional[int] = None  # channels of the first stage
batch: Optional[int] = None  # images a step
epochs: Optional[int] = None  # passes over the training images
rate: Optional[float] = None  # learning rate before the first drop
drops: Optional[str] = None  # shares of the run at which the rate is divided by 10: "0.5, 0.75"
momentum: Optional[float] = None  # of stochastic gradient descent
nesterov: Optional[bool] = None  # momentum that looks a step ahead
weight_decay: Optional[float] = None  # of all weights
warmup: Optional[int] = None  # steps at a tenth of the rate, before the others
patience: Optional[int] = None  # epochs of a plateau, instead of drops at fixed times
precision: Optional[str] = None  # float32, tensorfloat32, bfloat16
ten_crop: Optional[bool] = None  # at the end, the validation error over ten crops
fraction: Optional[float] = None  # of the training images, for as many steps
own_subset: Optional[bool] = None  # whether each seed draws that fraction anew
clip: Optional[float] = None  # largest norm of the gradient of a step
crop_padding: Optional[int] = None  # pixels of zero padding before a random crop
scales: Optional[str] = None  # shorter side drawn between these: "64, 120"
crop: Optional[int] = None  # side of the crop
flip: Optional[bool] = None  # mirror left to right at random
colour: Optional[bool] = None  # shift along the principal axes of colour
device: str = "auto"  # auto, cpu, cuda, cuda:1, …
runs_dir: str = "data/runs"  # folder of the records; relative to the repository
data_dir: str = "data/downloads"  # folder of the data sets; relative to the repository
overwrite: bool = False  # train again what is recorded already
keep_weights: bool = False  # a file of safetensors beside the record
tensorboard: Optional[str] = None  # folder for TensorBoard's curves; relative to the repository
checkpoint_seconds: float = 60.0  # least time between two checkpoints
deadline: Optional[float] = None  # Unix time at which to save and stop; run again to go on

# %% [markdown]
# The parameters make a run; an impossible one stops here, with the accepted values.

# %%
from resnet_study import paths
from resnet_study.errors import OutOfTime
from resnet_study.figures import fig2, sources, style
from resnet_study.pipeline.frames import load_curves, load_runs
from resnet_study.pipeline.parameters import check_parameters
from resnet_study.pipeline.perform import is_recorded, perform
from resnet_study.pipeline.run import SETTINGS, make_run
from resnet_study.training import progress

check_parameters()
style.use_style()
run = make_run(recipe, **{name: globals()[name] for name in SETTINGS})

# %% [markdown]
# The training, unless it is recorded. One that was interrupted goes on from its last checkpoint.

# %%
if overwrite or not is_recorded(run, paths.ROOT / runs_dir, paths.ROOT / data_dir, keep_weights):
    try:
        with progress.bar() as report:
            perform(
                run,
                device=device,
                runs_dir=paths.ROOT / runs_dir,
                data_dir=paths.ROOT / data_dir,
                checkpoint_seconds=checkpoint_seconds,
                deadline=deadline,
                report=report,
                keep_weights=keep_weights,
                tensorboard=tensorboard and paths.ROOT / tensorboard,
            )
    except OutOfTime as stop:
        print(stop)

# %% [markdown]
# What the record holds: errors in percent, at the last epoch.

# %%
record = run.recorded_at(paths.ROOT / runs_dir)
recorded = [record] if run.state(paths.ROOT / runs_dir) == "recorded" else []
columns = ["recipe", "family", "depth", "seed", "diverged", "training_error"]
columns += ["clean_training_error", "validation_error", "parameters"]
if recorded:
    held = load_runs(recorded).reindex(columns=columns).T.set_axis(["value"], axis=1)
    table = held.rename_axis("key").reset_index().astype(str)
    sources.table(table, "What the record holds", recorded)

# %% mystnb={"figure": {"caption": "Training error (thin) and validation error (bold) of the run above.", "name": "fig-train"}, "image": {"alt": "Error in percent against iteration for a single run, a thin line for training and a bold one for validation error. The table above has where they end."}} tags=[]
if recorded:
    curves = load_curves(recorded)
    sources.figure(fig2.curve(curves, run.name), style.long_curves(curves), recorded)
