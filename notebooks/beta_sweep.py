# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The β sweep
#
# **Question.** An ensemble is judged by the loss of its averaged output. Why not train exactly that? And what happens
# on the way there, between training every learner by itself and training the average?
#
# **In the paper.** This is the experiment of Figure 6, left: test performance of the ensemble as β goes from 0 to 1.
# There it is run with ResNets on CIFAR; here, first, with small networks on small images, in under a minute.
#
# ## What is trained
#
# An ensemble of $M$ base learners $f_1, \dots, f_M$ has the averaged output $\bar f$. Three numbers describe its loss
# $\mathcal L$ on an example:
#
# - the **individual** loss $\frac1M \sum_i \mathcal L(f_i, y)$: how good the learners are by themselves,
# - the **ensemble** loss $\mathcal L(\bar f, y)$: how good their average is,
# - the **diversity**, individual minus ensemble: what averaging gains.
#
# The sweep trains
#
# $$
# \begin{aligned}
# \mathcal L^\beta &= \text{individual} - \beta \cdot \text{diversity} \\
#                   &= (1-\beta) \cdot \text{individual} + \beta \cdot \text{ensemble}.
# \end{aligned}
# $$
#
# At β = 0 every learner minimises its own loss: **independent** training, the usual deep ensemble. At β = 1 only the
# loss of the average counts: **joint** training, which sounds right and is what the paper warns of.
#
# ## The setting
#
# The cell below holds every parameter. Its defaults are the *quick* setting: scikit-learn's handwritten digits, few
# training images, a fifth of the training and validation labels drawn anew at random, so that there is something to
# overfit. Test labels are clean. Change a value and run all cells, or hand over a profile
# (`papermill -f notebooks/profiles/digits.yml`); what is already trained is loaded.

# %% tags=["parameters"]
dataset = "digits"
train_size = 400
label_noise = 0.2
base_learner = "MLP"
hidden = [64, 64]
num_learners = 5
average = "scores"
beta_vals = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
seeds = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
optimiser = "SGD"
learning_rate = 0.1
momentum = 0.9
weight_decay = 0.0
scheduler = "ExponentialLR"
gamma = 0.2
batch_size = 64
num_epochs = 60

# %%
# %matplotlib inline
import dataclasses

from myst_nb import glue

import jointens
from jointens import figures, summaries

experiment = jointens.Experiment.from_namespace(globals())
results = jointens.run(experiment)
tests = results.tests()

# %% [markdown]
# All randomness of a run (split, initial weights, order of the images) comes from its seed and never from β. The runs
# of one seed therefore differ in β alone, and every comparison below is made *within* seeds: a mean paired difference
# with its 95 % t interval.
#
# Each run is looked at twice. At the **best checkpoint**, the epoch with the lowest validation ensemble loss, which is
# the paper's protocol; and at the **last epoch**, which is where the training objective was heading.
#
# ## The result

# %% mystnb={"figure": {"caption": "The $\\beta$ sweep on test data, at the best checkpoint and at the last epoch. Top: ensemble accuracy and loss, as paired differences to $\\beta = 0$. Bottom: the mean accuracy of the learners by themselves, and their diversity on a log axis. Bars are 95 % t intervals over seeds.", "name": "fig-beta-sweep"}, "image": {"alt": "Panels over beta from 0 to 1, each with a line for the best checkpoint and a dashed line for the last epoch: differences in test accuracy and in test loss to beta 0, individual accuracy in per cent, and diversity on a logarithmic axis."}} tags=["picture"]
figures.sweep(results)

# %%
summaries.table(tests)

# %% [markdown]
# The same in numbers: ensemble accuracy, individual accuracy, the ensemble's loss (negative log-likelihood in nats; squared
# error for a regression profile) and diversity. Δ is the paired difference to β = 0 in the column before, ± the half-width
# of its 95 % interval.

# %% tags=["remove-input"]
joint = min(experiment.beta_vals, key=lambda beta: abs(beta - 1))
against = summaries.compare(tests, joint)


def told(metric, checkpoint, scale=1, digits=2):
    """A paired difference as text: mean ± half-width, or the mean alone if there is one seed."""
    row = against.loc[(metric, checkpoint)]
    mean, half_width = row["difference"] * scale, row["half_width"] * scale
    text = f"{mean:+.{digits}f}" + (f" ± {half_width:.{digits}f}" if half_width == half_width else "")
    return text.replace("-", "−")


glue("beta_sweep_joint", f"{joint:g}", display=False)
for checkpoint in ("best", "last"):
    spread = against.loc[("diversity", checkpoint)]
    glue(f"beta_sweep_diversity_{checkpoint}", f"{spread['beta'] / spread['reference']:.0f}", display=False)
    glue(f"beta_sweep_loss_{checkpoint}", told("ensemble", checkpoint, digits=4), display=False)
    glue(f"beta_sweep_train_{checkpoint}", told("train_ensemble", checkpoint, digits=4), display=False)
    if "accuracy" in tests:
        single = against.loc[("individual_accuracy", checkpoint)]
        glue(f"beta_sweep_accuracy_{checkpoint}", told("accuracy", checkpoint, 100), display=False)
        glue(f"beta_sweep_single_{checkpoint}", f"{100 * single['beta']:.0f} %", display=False)
        glue(f"beta_sweep_single_reference_{checkpoint}", f"{100 * single['reference']:.0f} %", display=False)

# %% [markdown]
# Read {numref}`fig-beta-sweep` from the bottom up. At β = {glue:text}`beta_sweep_joint` a learner by itself is right on
# {glue:text}`beta_sweep_single_last` of the test images at the last epoch, against
# {glue:text}`beta_sweep_single_reference_last` at β = 0, while diversity is {glue:text}`beta_sweep_diversity_last` times
# as large: the learners have become bad in ways that cancel. The question is what that does to their average. Its
# accuracy changes by {glue:text}`beta_sweep_accuracy_last` points at the last epoch, and by
# {glue:text}`beta_sweep_accuracy_best` points at the best checkpoint, where early stopping has cut training short.
#
# Nearly all of the change in the learners happens between the last two values of β. As long as a small share of each
# learner's own loss stays in the objective, drifting apart costs something; at β = 1 it costs nothing at all.
#
# ## Inside a run

# %% mystnb={"figure": {"caption": "Validation accuracy over training for one seed: the ensemble (blue) and each of its base learners (grey), independent training beside joint training. Validation labels carry the same label noise as training labels, so no model can reach 100 %.", "name": "fig-beta-sweep-curves"}, "image": {"alt": "Two panels of accuracy over epochs. Each shows a line for the ensemble and thin lines for its base learners, independent training on the left and joint training on the right."}}
figures.training_curves(results, seed=experiment.seeds[0])

# %% [markdown]
# Independent learners stay close to their ensemble. Joint learners depend on each other: each is only a part of a
# model whose output happens to be an average, and no part is asked to work alone.
#
# ## Training data against test data
#
# The objective at β = 1 is the ensemble's training loss itself, so a lower training loss is what joint training is
# good at. Does it carry over?

# %% mystnb={"figure": {"caption": "The ensemble's loss on training data against its loss on test data, both as differences to $\\beta = 0$ of the same seed. Small dots are runs, ringed dots are means. Left of the vertical line the training data are fitted better than by independent training; above the horizontal line the test data are predicted worse.", "name": "fig-beta-sweep-gap"}, "image": {"alt": "Two scatter plots, best checkpoint and last epoch, of the difference in test loss over the difference in training loss, one colour for each beta."}}
figures.train_against_test(results)

# %% [markdown]
# At the last epoch the joint ensemble's training loss differs from the independent one's by
# {glue:text}`beta_sweep_train_last` nats, its test loss by {glue:text}`beta_sweep_loss_last`
# ({numref}`fig-beta-sweep-gap`, right). At the best checkpoint the same two differences are
# {glue:text}`beta_sweep_train_best` and {glue:text}`beta_sweep_loss_best`.
#
# ## Without label noise
#
# How much of this needs noisy labels? The same sweep with clean ones:

# %%
clean = None
if experiment.label_noise:
    folder = f"{experiment.tag}-clean" if experiment.tag else None
    setting = dataclasses.replace(experiment, label_noise=0.0, tag=folder)
    clean = jointens.run(setting)
else:
    print("This profile has no label noise: its results are above.")

# %% mystnb={"figure": {"caption": "The sweep of {numref}`fig-beta-sweep` with clean labels, everything else the same.", "name": "fig-beta-sweep-clean"}, "image": {"alt": "The same panels as in the first figure, for training and validation data with clean labels."}}
figures.sweep(clean or results)

# %%
summaries.table((clean or results).tests())

# %% [markdown]
# ## What was shown, and what was not
#
# What do the intervals allow to say about β = {glue:text}`beta_sweep_joint` against β = 0, in this run? "Higher" and
# "lower" mean that the 95 % interval of the paired difference leaves out zero. Many comparisons are made here; one in
# twenty would leave out zero by chance.

# %%
runs = {"this run": results}
if clean:
    runs = {"noisy labels": results, "clean labels": clean}
summaries.verdicts({name: run.tests() for name, run in runs.items()}, joint)

# %% [markdown]
# What the chapter claims about the learners, as checks that a rerun on another machine has to pass:

# %% tags=["nbval-check-output", "hide-input"]
for name, run in runs.items():
    of = summaries.compare(run.tests(), joint)
    diversity, individual = of.loc["diversity"], of.loc["individual"]
    lower = of.loc[("train_ensemble", "last"), "verdict"] == "lower"
    print(f"{name}: diversity more than tenfold:", (diversity["beta"] > 10 * diversity["reference"]).all())
    print(f"{name}: individual loss more than doubled:", (individual["beta"] > 2 * individual["reference"]).all())
    print(f"{name}: lower ensemble loss on training data at the last epoch:", lower)

# %% [markdown]
# **Shown**, on small networks and small images:
#
# - Joint training takes the learners apart. At β = 1 individual accuracy collapses and diversity explodes, with noisy
#   labels and with clean ones, at the best checkpoint and at the last epoch.
# - It does what it is asked for: at the last epoch the ensemble's *training* loss is lower than that of independent
#   training. On *test* data nothing is gained there, and with noisy labels accuracy and loss get worse.
# - The two checkpoints do not agree about the test data. Choosing the epoch by validation ensemble loss, as the paper's
#   protocol does, hides most of what training on would do.
# - Values of β between 0 and 1 change far less than the last step to 1 does.
#
# **Not shown:**
#
# - Anything about the size of the effect in the paper. These are quick results: a small network, a few hundred 8×8
#   images, label noise that the paper does not use. With clean labels the cost of joint training is not visible here.
# - That some β between 0 and 1 is better than 0. Where an interior value looks better, the gain is small, picked after
#   the fact from several, and not tested on fresh seeds.
# - *Why* the learners drift apart, and whether the drift is systematic. That is the matter of the theory and of the
#   diagnostics.
#
# **Next.** Take away the label noise, give it all 1,000 images, or three learners instead of five:
#
# ```bash
# papermill notebooks/beta_sweep.ipynb runs/out.ipynb --cwd notebooks \
#     -p num_learners 3 -p beta_vals "[0.0, 1.0]"
# ```
