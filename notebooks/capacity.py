# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # When does joint training fail? A map
#
# **Question.** In some settings joint training costs accuracy, in others it gains some ([the β sweep](beta_sweep.ipynb)). What decides?
# The hypothesis: it hurts where training data are **fitted** already at β = 0, and helps where they are not.
#
# **Answer.** At the last epoch of {glue:text}`capacity_settings` settings of handwritten digits it is so, if "fitted" means the gap
# between validation and training loss: it tells the sign of the change in accuracy in {glue:text}`capacity_accuracy_left_out`
# settings, each left out of the fit, where guessing gets {glue:text}`capacity_accuracy_commonest`. At the best checkpoint it tells no
# more than guessing, and among photographs one setting goes against it.
#
# ## The settings
#
# Everything is trained at β = 0 and at β = 1 from the same weights, on the same data, in the same order. A setting is a width of
# the perceptrons' two hidden layers, a number of training images, a share of training and validation labels that are drawn anew,
# and a number of epochs. Each learner has the learning rate that it would have alone, for both β. Test labels are always clean.
# These are **quick results**, trained by the reader in one to two minutes.

# %% tags=["parameters"]
profile = "profiles/digits_map.yml"  # what all settings have in common
widths = [4, 16, 64]
sizes = [100, 400, 1000]  # training images
noises = [0.0, 0.2, 0.4]  # shares of labels drawn anew
lengths = [10, 40]  # epochs

# %%
# %matplotlib inline
import dataclasses
import itertools

import pandas as pd
from myst_nb import glue

import jointens
from jointens.analysis import fit_line, leave_one_out, map_settings, predict_signs
from jointens.reports import published, published_tables, tables
from jointens.reports import settings_map as figures
from jointens.reports.style import stamp_of_many

jointens.check_parameters(globals())
common = jointens.Experiment.from_profile(profile)
runs, grid = {}, {}
for epochs, width, size, noise in itertools.product(lengths, widths, sizes, noises):
    keys = {"train_size": size, "label_noise": noise, "num_epochs": epochs}
    experiment = dataclasses.replace(common, hidden=[width, width], **keys)
    name = f"{width} wide, {size} images, {noise:.0%} noise, {epochs} epochs"
    runs[name] = jointens.run(experiment, progress=False)
    grid[name] = {"width": width, "noise": 100 * noise, **keys}
digits = map_settings({name: run.tests() for name, run in runs.items()})
keys = pd.DataFrame.from_dict(grid, orient="index")
last, best = (
    digits.xs(checkpoint, level="checkpoint").join(keys)
    for checkpoint in ("last", "best")
)

# %% tags=["remove-input"]
axes = {
    "x": "train_size", "y": "width", "across": "num_epochs", "down": "noise",
    "names": {"train_size": "training images", "width": "width", "num_epochs": "epochs", "noise": "% noise"},
    "footer": stamp_of_many(list(runs.values()), common.seeds),
}  # fmt: skip

# %% mystnb={"figure": {"caption": "The map. Test accuracy of the ensemble at $\\beta = 1$ minus that at $\\beta = 0$, in points, at the last epoch. Blue: joint training is better. Bold numbers in a frame have a 95 % t interval over paired seeds that leaves out zero.", "name": "fig-capacity-map"}, "image": {"alt": "Six heat maps of width by training images, for two numbers of epochs and three shares of label noise. After ten epochs narrow networks gain up to twenty points at beta 1. After forty epochs networks of width 16 and 64 lose, up to twelve points, the more the noisier the labels are."}}
figures.heat_maps(last, **axes, limit=12)

# %% [markdown]
# Two kinds of settings stand out. After few epochs narrow learners **gain**, up to {glue:text}`capacity_best_gain` points: each of
# them is too weak or not trained yet, and five that work as one network are stronger. After more epochs all but the narrowest
# **lose**, up to {glue:text}`capacity_worst_loss` points, and more where more labels are wrong. Clean labels and many images
# leave little to lose: an interval that holds zero is frequent there.
#
# ## What decides
#
# Three numbers say how far the data are fitted at β = 0: the **training loss**; the **gap**, validation minus training loss; and the
# **relative gap**, the share of the validation loss that is absent on training data, 0 where nothing is fitted more than it
# generalises, and 1 where the training loss is zero. (Validation labels have the noise of the training labels. Against clean test labels
# a noisy setting would have a negative gap.) A straight line is fitted over each.

# %% tags=["remove-input"]
photographs = map_settings(
    {name: of.tests() for name, of in published.of_photographs().items()}
)
regression = map_settings(published_tables.read_tables())
families = {"digits": digits, "photographs": photographs}
with_tables = {**families, "regression": regression}


def lines(predictor, outcome):
    frames = {"best": best, "last": last}
    return {name: fit_line(of, predictor, outcome) for name, of in frames.items()}


stamp = f"digits: {axes['footer']}\nphotographs and regression: published results, results/README.md"

# %% mystnb={"figure": {"caption": "Change in test accuracy from $\\beta = 0$ to $\\beta = 1$ over the gap between validation and training loss at $\\beta = 0$. A dot is a setting; it is filled if its 95 % interval (bars) leaves out zero. The line and its 95 % band are fitted on digits alone. Photographs are numbered as in the table below.", "name": "fig-capacity-accuracy"}, "image": {"alt": "Two scatter plots, best checkpoint and last epoch. At the last epoch settings with a gap near zero lie above zero and those with a large gap below; the line falls. Photographs lie at the line, but for one far below it at a gap of zero."}}
figures.scatter(
    families,
    lines("gap", "accuracy"),
    predictor="gap",
    outcome="accuracy",
    footer=stamp,
    limits=(-15, 15),
)

# %% mystnb={"figure": {"caption": "Change in test loss, in per cent of the loss at $\\beta = 0$, over the relative gap. It has no unit, so that regression sets can be among them. As in {numref}`fig-capacity-accuracy`.", "name": "fig-capacity-loss"}, "image": {"alt": "Two scatter plots. At both checkpoints the line rises, steeply at the last epoch: loss falls at beta 1 where the relative gap is near zero and rises where it is near one."}}
figures.scatter(
    with_tables,
    lines("relative_gap", "relative_loss"),
    predictor="relative_gap",
    outcome="relative_loss",
    footer=stamp,
    limits=(-70, 75),
)

# %%
outcomes = {"accuracy": "accuracy", "relative_loss": "loss, relative"}
others = {"photographs": photographs, "regression": regression}
figures.predictions(digits, others, outcomes)

# %% tags=["remove-input"]
accuracy, loss = (
    (frame, predictor, outcome)
    for frame, predictor, outcome in (
        (last, "gap", "accuracy"),
        (last, "relative_gap", "relative_loss"),
    )
)
line, line_of_loss = fit_line(*accuracy), fit_line(*loss)
photographs_last, regression_last = (
    of.xs("last", level="checkpoint") for of in (photographs, regression)
)
told = {
    "settings": str(len(runs)),
    "accuracy_left_out": str(leave_one_out(*accuracy)),
    "accuracy_commonest": str(leave_one_out(*accuracy).commonest),
    "accuracy_by_training_loss": str(leave_one_out(last, "train_loss", "accuracy")),
    "accuracy_slope": tables.number_text(line.slope, "+.1f", line.slope_half_width, scale=100),
    "accuracy_crossing": tables.number_text(line.crossing, ".2f"),
    "accuracy_photographs": str(predict_signs(line, photographs_last, *accuracy[1:])),
    "accuracy_best": str(leave_one_out(best, *accuracy[1:])),
    "accuracy_best_commonest": str(leave_one_out(best, *accuracy[1:]).commonest),
    "loss_left_out": str(leave_one_out(*loss)),
    "loss_commonest": str(leave_one_out(*loss).commonest),
    "loss_by_training_loss": str(leave_one_out(last, "train_loss", "relative_loss")),
    "loss_crossing": tables.number_text(line_of_loss.crossing, ".2f"),
    "loss_photographs": str(predict_signs(line_of_loss, photographs_last, *loss[1:])),
    "loss_regression": str(predict_signs(line_of_loss, regression_last, *loss[1:])),
    "best_gain": tables.number_text(last["accuracy"].max(), ".0f", scale=100),
    "worst_loss": tables.number_text(-last["accuracy"].min(), ".0f", scale=100),
    "photographs": str(len(photographs_last)),
}  # fmt: skip
for name, text in told.items():
    glue(f"capacity_{name}", text, display=False)

# %% [markdown]
# In the table, *left out* counts the settings whose sign is predicted right by a line through all other digits; only those count whose
# own interval leaves out zero. The number in brackets is what guessing the commonest sign gets right.
#
# - **Last epoch, accuracy.** The gap tells the sign in {glue:text}`capacity_accuracy_left_out`, against
#   {glue:text}`capacity_accuracy_commonest` by guessing. Accuracy changes by {glue:text}`capacity_accuracy_slope` points for each nat of
#   gap; the sign turns at a gap of {glue:text}`capacity_accuracy_crossing`. **Training loss alone tells hardly more than guessing**
#   ({glue:text}`capacity_accuracy_by_training_loss`): with noisy labels a high training loss can be fitted further than it should be.
# - **Last epoch, loss.** The relative gap tells the sign in {glue:text}`capacity_loss_left_out`, against
#   {glue:text}`capacity_loss_commonest`; the sign turns at {glue:text}`capacity_loss_crossing`.
# - **Best checkpoint.** For accuracy no predictor is better than guessing: {glue:text}`capacity_accuracy_best` against
#   {glue:text}`capacity_accuracy_best_commonest`, and few settings have an effect at all. Early stopping ends training before
#   there is much of a gap.
#
# The line describes a sign, not a size: many dots lie far from it. And the two predictors of the figures are the better ones of the
# three in the table, chosen after they were seen.
#
# ## Photographs
#
# The line was fitted on digits. The {glue:text}`capacity_photographs` settings on CIFAR-10 that are published
# are other data and other networks, and played no part in it. Those of ResNet8 that only differ in precision, seeds or
# learning rate are hardly more than one observation.

# %%
figures.table(photographs)

# %% [markdown]
# At the last epoch the line has the sign of the change in accuracy in {glue:text}`capacity_accuracy_photographs` of those with an effect, and
# that of the change in loss in {glue:text}`capacity_loss_photographs`. The exception of the settings that are there now is
# `cifar10_cnn_fair`: a small network whose gap is about zero, and which **loses** at β = 1. It differs from `cifar10_cnn`, which
# gains, by five times the loss, that is, by larger steps, and by nothing else. So joint training can fail in a way that the gap
# does not see.
#
# The profile `cifar10_resnet8_map` has more settings, ResNet8 at other widths, numbers of images, augmentations and epochs;
# `results/README.md` says how many of them are trained. Each that is published whole stands in the table and in the figures.
#
# ## Regression

# %%
figures.table(regression, outcomes=["relative_loss"])

# %% [markdown]
# The paper's four sets have no accuracy. Where the relative change in loss has a sign at the last epoch, the line has it in
# {glue:text}`capacity_loss_regression`. Their tables hold no validation loss, so the gap is that of test and training loss.
#
# ## What was shown, and what was not

# %% tags=["nbval-check-output", "hide-input"]
claims = {}
hits, hits_of_loss = leave_one_out(*accuracy), leave_one_out(*loss)
claims["both signs occur"] = {"higher", "lower"} <= set(last["accuracy_verdict"])
claims["accuracy falls with the gap"] = line.slope < -line.slope_half_width
claims["loss rises with the relative gap"] = (
    line_of_loss.slope > line_of_loss.slope_half_width
)
claims["the gap tells the sign of accuracy better than guessing"] = (
    hits.right > hits.commonest
)
claims["the relative gap tells the sign of loss better than guessing"] = (
    hits_of_loss.right > hits_of_loss.commonest
)
exception = photographs_last.loc["cifar10_cnn_fair-scores"]
claims["not fitted, and yet it loses: cifar10_cnn_fair"] = (
    exception["gap"] < 0.1 and exception["accuracy_verdict"] == "lower"
)
for claim, holds in claims.items():
    print(f"{claim}: {holds}")

# %% [markdown]
# - **Shown**, on handwritten digits and at the last epoch: joint training hurts where the gap between validation and training loss is large
#   at β = 0, and helps where there is none. Width, images, noise and epochs matter as far as they change that.
# - **Refuted**: that training loss decides. For accuracy it tells hardly more than guessing; for loss it is right in
#   {glue:text}`capacity_loss_by_training_loss`, nearly as often as the relative gap.
# - **Refuted** as a law: one published setting without a gap loses.
# - **Not shown:** which of gap, width and training time is the cause. They move together in this grid. Nothing is corrected for the
#   number of comparisons, and neighbouring settings share their data.
# - The best checkpoint is chosen by validation loss, at each β for itself; with it, few effects are left on digits.
# - {cite:t}`abe2024pathologies` report a like divide between small and large networks.
#
# **Next.** Does this need networks? [A convex case](convex.ipynb) has no training at all. Another map, with wider learners:
#
# ```bash
# papermill notebooks/capacity.ipynb runs/capacity.ipynb --cwd notebooks \
#     -p widths "[16, 64, 256]" -p lengths "[60]"
# ```
