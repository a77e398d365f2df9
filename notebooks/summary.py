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
# In 2019 a blog post told a wide audience why deep networks would not train, how residual networks cured that, and why
# they beat Highway networks {cite}`cui2019resnet`. This book turns its nine claims into experiments that
# anyone can repeat, and says what came out, also where the post is wrong.

# %% tags=["remove-cell"]
from myst_nb import glue

from resnet_study import paths
from resnet_study.figures import sources
from resnet_study.pipeline.frames import load_runs
from resnet_study.pipeline.parameters import check_parameters
from resnet_study.pipeline.records import find_records
from resnet_study.questions import claims
from resnet_study.questions.experiments import EXPERIMENTS

# %% tags=["parameters", "remove-cell"]
runs_dir: str = "data/runs"  # folder of the records; relative to the repository
measurements_dir: str = (
    "data/measurements"  # folder of the measurements; relative to the repository
)

# %% tags=["hide-cell"]
check_parameters()
examined = claims.examine(paths.ROOT / runs_dir, paths.ROOT / measurements_dir)
runs = load_runs(find_records(paths.ROOT / runs_dir))
verdicts = [claims.conclude(findings) for findings in examined.values()]
full = EXPERIMENTS["fig2"]
facts = {
    "n_claims": len(examined),
    **{
        f"n_{verdict.replace(' ', '_')}": verdicts.count(verdict)
        for verdict in ("supported", "refuted", "supported under conditions", "not decided")
    },
    "n_runs": len(runs),
    "core_hours": f"{runs.seconds.sum() / 3600:.0f}",
    "n_diverged": int(runs.diverged.sum()),
    "n_full": len(full.recorded(paths.ROOT / runs_dir, "tiny-imagenet")),
    "n_full_planned": len(full.runs("tiny-imagenet")),
}
for name, value in facts.items():
    glue(name, value, display=False)
for claim, findings in examined.items():
    glue(claim.number.lower(), claims.conclude(findings), display=False)
sources.numbers([*find_records(paths.ROOT / runs_dir), *claims.files(examined)])

# %% [markdown]
# ## The verdicts
#
# Of {glue:text}`n_claims:d` claims {glue:text}`n_supported:d` are supported, {glue:text}`n_refuted:d` refuted,
# {glue:text}`n_supported_under_conditions:d` supported under conditions, and {glue:text}`n_not_decided:d` not decided, at the scales that are
# recorded. Differences of errors are in percentage points, with 95 % intervals over n seeds.

# %% tags=["remove-input"]
sources.linked_table(
    claims.verdict_table(examined), "The nine claims and their verdicts", claims.files(examined)
)

# %% [markdown]
# Each verdict follows from the records by a [written rule](claims.ipynb), and holds for the data it was found on. The first column
# leads to the chapter.
#
# ## Scope
#
# Nine claims of one post, C1 to C9. Its Fig. 2 is Fig. 4 of {cite:t}`he2015deep`; the Highway networks are those of
# {cite:t}`srivastava2015training`. We test them on three scales: digits of 8×8 pixels, twenty classes of Tiny ImageNet, and all of
# Tiny ImageNet. None of them is ImageNet, and nothing here settles what happens there.
#
# ## Methodology
#
# Plain, residual and Highway nets come from one builder, and differ in nothing but their blocks. They are trained by one
# loop, in the same order of the data, with the paper's optimiser and its schedule scaled to the length of the training. Each network is
# trained with several seeds, but for one of 1,004 layers, and effects are paired by seed. Errors are those of the last epoch. Nothing was chosen on the images that
# validate. Every training leaves a [record](../book/records.md) that names configuration, seed, commit, packages and machine;
# chapters read records, and no number of ours is typed in. There are {glue:text}`n_runs:d` records, which took
# {glue:text}`core_hours` core hours; {glue:text}`n_diverged:d` trainings diverged.
#
# ## Results
#
# - **Hundreds and thousands of layers** (C1 {glue:text}`c1`): on digits {glue:text}`depth.ipynb::c1_110:s` at 110 layers and
#   {glue:text}`depth.ipynb::c1_1004:s` at 1,004. Of the plain nets of 110 layers {glue:text}`depth.ipynb::plain_110_outcome:s`.
# - **Depth hurts plain nets** (C4 {glue:text}`c4`). From 18 to 34 layers the training error of a plain net changes by
#   {glue:text}`fig2.ipynb::plain_gap_training:s` points on digits and by {glue:text}`fig2.ipynb::pictures_plain_gap_training:s` on
#   pictures: it does not fit even what it is trained on.
# - **Shortcuts help without a parameter** (C6 {glue:text}`c6`): at 34 layers {glue:text}`fig2.ipynb::shortcut_training:s` points
#   on digits, {glue:text}`fig2.ipynb::pictures_shortcut_training:s` on pictures.
# - **Is it only the shortcut?** With other rates, longer trainings, more channels or no normalisation, the degradation
#   {glue:text}`objections.ipynb::degradation:s`, and the shortcut's worth {glue:text}`objections.ipynb::shortcut:s`. But how large they
#   are hangs on the training: with each net at its best rate and length the degradation on digits is
#   {glue:text}`objections.ipynb::degradation_best:s` points, and the shortcut's worth {glue:text}`objections.ipynb::shortcut_best:s`.
# - **That the deeper ResNet is the better one** (C5 {glue:text}`c5`) does not show in our trainings, which are easy or short: the gap
#   in training error is {glue:text}`fig2.ipynb::residual_gap_training:s` points on digits and
#   {glue:text}`fig2.ipynb::pictures_residual_gap_training:s` on pictures.
# - **The post's reason** (C2 {glue:text}`c2`) fits {glue:text}`multiplication.ipynb::n_fits:d` of
#   {glue:text}`multiplication.ipynb::n_nets:d` kinds of untrained fully connected nets. In plain-34, which has batch
#   normalisation, the gradient {glue:text}`gradients.ipynb::plain_34_start_reading:s` before the first step and
#   {glue:text}`gradients.ipynb::plain_34_end_reading:s` at the end. Shortcuts bring gradients nearer to balance at the start (C3
#   {glue:text}`c3`), where that of ResNet-34 still {glue:text}`gradients.ipynb::residual_34_start_reading:s`.
# - **Highway nets contain ResNets** (C7 {glue:text}`c7`): that is a theorem, with a construction that runs. That they are therefore
#   at least as good is another matter: the training error differs by {glue:text}`containment.ipynb::c7_18:s` at 18 layers
#   and {glue:text}`containment.ipynb::c7_34:s` at 34, on digits.
# - **That ResNets outperform them** (C8 {glue:text}`c8`): with the published gate, the Highway net's validation error on pictures differs from
#   the ResNet's by {glue:text}`highway.ipynb::pictures_c8_validation_18:s` points at 18 layers and
#   {glue:text}`highway.ipynb::pictures_c8_validation_34:s` at 34, with more parameters. On digits it is a matter of the gate: over
#   {glue:text}`highway.ipynb::n_gates:d` nets that differ in gate or depth, the validation error against the ResNet's is
#   {glue:text}`highway.ipynb::validation_outcomes:s`. More data as the reason (C9) is {glue:text}`c9`.
#
# ## What was easy
#
# The networks are described to the last layer, and one builder makes all of them. The effect of the central figure is
# large: it shows on a task that a laptop trains in seconds a net, so our Fig. 2 can be repeated in minutes.
#
# ## What was difficult
#
# The post names no training details; the paper's curves exist as a picture only, and its single trainings have no spread.
# Published comparisons with Highway nets change depth, size, normalisation and training at once. The end of plain-34 is
# sensitive to [rounding](speed.ipynb), so its curves hold for one kind of processor. And the full scale wants a GPU:
# {glue:text}`n_full:d` of {glue:text}`n_full_planned:d` trainings of Fig. 2 on all of Tiny ImageNet are recorded.
#
# ## What differs from the original
#
# Smaller pictures, fewer of them, fewer classes, shorter trainings; narrower nets on the two smaller scales. The paper trained each net
# once, as far as it tells; here nearly all have several seeds. Table 2 of the paper averages ten crops, its figure has
# one: we keep them apart.
#
# ## Check one number
#
# Take the first verdict of Fig. 2. A click on a number leads to the lines that compute it. The line below a figure names the
# records it was drawn from, with downloads of data and figure. [All runs](../book/runs.md) lists each training with its curve and its commit.
# To train one of them again, on any computer with Linux and Python:
#
# ```bash
# make setup
# .venv/bin/resnet-study run --family plain --depth 34 --seed 0 \
#   --runs-dir again
# ```
#
# The second prints its errors; on a processor with the same instructions they are the record's to the last digit. `make reproduce` does it for all nets
# of Fig. 2 and renders this book from them: see [Reproduce it](../book/reproduce.md).
#
# **The answer.** C1 to C9 are, in this order: {glue:text}`c1`; {glue:text}`c2`; {glue:text}`c3`; {glue:text}`c4`; {glue:text}`c5`;
# {glue:text}`c6`; {glue:text}`c7`; {glue:text}`c8`; {glue:text}`c9`. At 34 layers a residual
# net ends lower than a plain one with as many parameters; at 110 and 1,004 layers it trains where the plain net does not, if its branches
# start at 0. The reason the post gives is at most a part of it.
