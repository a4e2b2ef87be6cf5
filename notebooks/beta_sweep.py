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
# **Question.** An ensemble is judged by the loss of its averaged output. Why not train exactly that? Five small residual
# networks were trained on photographs, from each by itself (β = 0, *independent* training) to their average alone
# (β = 1, *joint* training):

# %% mystnb={"figure": {"caption": "Accuracy on CIFAR-10's 10,000 test images over $\\beta$: of the ensemble (top) and of its learners by themselves (bottom), each on a scale of its own. Thin lines are seeds; bars are 95 % t intervals of the paired difference to $\\beta = 0$. Dotted: a single network with as many weights as the five learners together.", "name": "fig-beta-sweep-photographs"}, "image": {"alt": "Two panels over beta from 0 to 1. The ensemble's accuracy falls by a few points, to that of a single network; the accuracy of its learners falls to half of what it was."}} tags=["picture", "hide-input"]
# %matplotlib inline
from myst_nb import glue

import jointens
from jointens.analysis import at_rates, choose_rates, compare, over_rates
from jointens.reports import beta_sweep, learning_rates, published, tables

photographs = published.RESNET8.whole
one_network = published.Setting("cifar10_resnet8_wide", "scores").results
on_photographs = photographs.tests()
beta_sweep.accuracies(photographs, alone=one_network)

# %% tags=["remove-input"]
for name, text in tables.texts(on_photographs, 1).items():
    glue(f"beta_sweep_photographs_{name}", text, display=False)

# %% [markdown]
# Joint training changes the accuracy of the ensemble by
# {glue:text}`beta_sweep_photographs_accuracy_best_difference` points, to what one network of the same size reaches.
# Its learners *collude*: by itself, one is right on
# {glue:text}`beta_sweep_photographs_individual_accuracy_best` % of the images, not on
# {glue:text}`beta_sweep_photographs_individual_accuracy_best_reference` %. This is the paper's claim (Figure 6, left, for
# larger networks) on a scale that two CPU cores can train. Words and symbols are in the
# [glossary](../book/glossary.md) and under [notation](../book/notation.md).
#
# ## What is trained
#
# The learners $f_1, \dots, f_M$ give logits, and the ensemble's output $\bar f$ is their mean (**score averaging**). The
# **individual loss** is the mean of their losses, the **ensemble loss** that of $\bar f$, and **diversity** the difference
# of the two. The sweep trains
#
# $$
# \begin{aligned}
# \mathcal L^\beta &= \text{individual loss} - \beta \cdot \text{diversity} \\
#                   &= (1-\beta) \cdot \text{individual loss} + \beta \cdot \text{ensemble loss}.
# \end{aligned}
# $$
#
# **The setting.** $M = 5$ residual networks of 78,042 weights (`ResNet8`, stride 2 in its first layer); 8,000 of
# CIFAR-10's 40,000 training images, not augmented; 10,000 validation and 10,000 test images; 24 epochs in batches of 128;
# SGD at rate 0.1 for each learner (M × the loss), momentum 0.9, decay 5e-4, the rate divided by five after 40, 65 and
# 90 % of the epochs. These are **small-scale results** on real photographs, trained before this page was made and
# published in `results/` with their provenance.
#
# Initial weights and the order of the images come from a run's seed and never from β. So every comparison is made within
# seeds: Δ is the mean paired difference to β = 0, with its 95 % t interval.
#
# ## The result
#
# The **best checkpoint** of a run is the epoch with the lowest ensemble loss on validation data, which is the paper's
# protocol. The **last epoch** shows where the training objective was heading.

# %% mystnb={"figure": {"caption": "The sweep of {numref}`fig-beta-sweep-photographs` at the best checkpoint and at the last epoch. Top: ensemble accuracy and ensemble loss (NLL, the negative log-likelihood in nats) on test data, as paired differences to $\\beta = 0$. Bottom: the mean accuracy of the learners by themselves, and diversity on a log axis. Bars are 95 % t intervals over seeds.", "name": "fig-beta-sweep-panels"}, "image": {"alt": "Four panels over beta from 0 to 1, each with a line for the best checkpoint and a dashed line for the last epoch: differences in test accuracy and in test loss to beta 0, individual accuracy in per cent, and diversity on a logarithmic axis."}}
beta_sweep.sweep(photographs, *published.panels())

# %%
tables.table(on_photographs)

# %% [markdown]
# Up to β = 0.8 no change in accuracy is seen. From 0.9 on the test loss is higher at both checkpoints, and the accuracy lower
# at the last epoch.
#
# ## Training data against test data
#
# At β = 1 the objective is the ensemble loss on training data. Does what joint training gains there carry over?

# %% mystnb={"figure": {"caption": "Ensemble loss on 2,000 training images, in evaluation mode, against ensemble loss on test images, both as differences to $\\beta = 0$ of the same seed. Small dots are runs, ringed dots are means with 95 % t intervals. Left of the vertical line the training images are fitted better than by independent training; above the horizontal line the test images are predicted worse.", "name": "fig-beta-sweep-gap"}, "image": {"alt": "Two scatter plots, best checkpoint and last epoch, of the difference in test loss over the difference in training loss, one colour for each beta."}}
beta_sweep.train_against_test(photographs)

# %% [markdown]
# It does not. At the last epoch joint training changes the training loss by
# {glue:text}`beta_sweep_photographs_train_ensemble_last_difference` nats, and the test loss by
# {glue:text}`beta_sweep_photographs_ensemble_last_difference`. The parts of the loss say where the gain goes:

# %%
tables.generalisation(on_photographs, [0, 1])

# %% [markdown]
# At β = 1 diversity cancels nearly all of the individual loss on training data. On test data more is left than at β = 0.
#
# ## Inside a run

# %% mystnb={"figure": {"caption": "Validation accuracy over training for the first seed: the ensemble (blue) and each of its learners (grey), independent training beside joint training.", "name": "fig-beta-sweep-curves"}, "image": {"alt": "Two panels of accuracy over epochs. Each shows a line for the ensemble and thin lines for its base learners, independent training on the left and joint training on the right."}}
beta_sweep.training_curves(photographs, seed=photographs.experiment.seeds[0])

# %% [markdown]
# Independent learners stay close to their ensemble. Joint learners are parts of a model whose output happens to be an
# average: from the first epoch on, none of them works alone.
#
# ## Is it the size?
#
# A jointly trained ensemble should be compared with one network: a ResNet8 of 2.25 times the width has as many weights as
# five, and takes as many multiplications, to 1 %. By the same recipe, at the best checkpoint (± the interval of the mean):

# %%
alone = {"one network, 2.25 times the width": one_network}
tables.baselines(photographs, alone, betas=[0, 1])

# %% [markdown]
# Five learners are worth more than one network of their size only if they are trained apart.
#
# ## Is it the learning rate?
#
# One rate for all β may be unfair to joint training. So both ends were trained at several, with three seeds, and each gets the
# rate with the lowest *validation* loss. (In bfloat16, which takes two thirds of the time. At 0.1 this repeats the sweep above.)

# %% mystnb={"figure": {"caption": "Both ends of $\\beta$ at several learning rates, at the best checkpoint. Dots are seeds, lines their means, rings the rate that is chosen.", "name": "fig-beta-sweep-rates"}, "image": {"alt": "Three panels over the learning rate on a log axis, each with a line for beta 0 and one for beta 1: validation loss, test loss and test accuracy. A ring marks the lowest validation loss of each."}}
by_rate = published.by_rate()
learning_rates.rates(by_rate)

# %%
at_every_rate = over_rates({rate: of.tests() for rate, of in by_rate.items()})
chosen = choose_rates(at_every_rate)
own_rates = at_rates(at_every_rate, chosen)
fair = {"both at 0.1": by_rate[0.1].tests(), "each at its own": own_rates}
tables.changes(fair, 1).rename_axis(index={"data": "rate"})

# %% [markdown]
# Joint training is still behind when each end has its own rate.
#
# ## Is it the average?
#
# So far the ensemble averages logits. It may average probabilities; the authors' published sweep hands averaged probabilities
# to the loss as if they were logits (`released`, [decisions](../book/decisions.md)):

# %%
with_each_average = {
    name: of.tests() for name, of in published.by_average().items()
}
tables.changes(with_each_average, 1).rename_axis(index={"data": "average"})

# %% [markdown]
# Joint training loses with every average. Where probabilities are averaged it is worse on training data, too. This is not
# overfitting: a learner that gives the right class a small probability gets a small gradient ({prf:ref}`thm-gradient`). The
# weak stay weak.
#
# ## Where joint training wins
#
# The effect needs training images that are fitted. A CNN of 31,340 weights, the smallest learner of the authors' code, was
# trained on 10,000 images for eight epochs, with the protocol's augmentation. It predicts training images hardly better
# than test images, and what lowers the one loss lowers the other:

# %% mystnb={"figure": {"caption": "CNNs that do not fit their training images. In the first block each learner trains at $\\beta = 0$ as if alone with a fifth of the learning rate, which is the authors' convention; in the second, with five times the loss, at the whole rate; the weight decay changes the other way.", "name": "fig-beta-sweep-cnn"}, "image": {"alt": "Two blocks of four panels over beta: differences in test accuracy and in test loss to beta 0, individual accuracy in per cent, and diversity on a logarithmic axis."}}
cnn = {
    "authors' rate": published.Setting("cifar10_cnn", "scores").results,
    "five times that": published.Setting("cifar10_cnn_fair", "scores").results,
}
beta_sweep.sweep(*cnn.values())

# %% tags=["remove-input"]
for kind, of_cnn in zip(("cnn", "fair"), cnn.values(), strict=True):
    for name, text in tables.texts(of_cnn.tests(), 1).items():
        glue(f"beta_sweep_{kind}_{name}", text, display=False)

# %% [markdown]
# At the authors' rate joint training **wins**, by {glue:text}`beta_sweep_cnn_accuracy_best_difference` points; at five times
# that it changes the accuracy by {glue:text}`beta_sweep_fair_accuracy_best_difference` points. The learners collude all the
# same: diversity is {glue:text}`beta_sweep_cnn_diversity_best_ratio` and
# {glue:text}`beta_sweep_fair_diversity_best_ratio` times that at β = 0. {cite:t}`abe2024pathologies` report such a divide
# between small and large networks. One network of five times the width, larger than all five together, is at least as
# good as every ensemble here:

# %%
single, wide = (
    published.Setting(f"cifar10_cnn_{kind}", "scores").results
    for kind in ("single", "wide")
)
alone = {"one learner alone": single, "one, five times as wide": wide}
tables.baselines(cnn["authors' rate"], alone)

# %% [markdown]
# ## Train it yourself
#
# The rest is trained by the reader, in about a minute: perceptrons on scikit-learn's handwritten digits of 8×8 pixels. A
# fifth of the training and validation labels are drawn anew at random, so that fitting them costs accuracy. Each seed
# draws its own 400 training, 300 validation and 497 test images. These are **quick results**. The
# [API](../book/api.md) lists all parameters.

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
import dataclasses

experiment = jointens.Experiment.from_namespace(globals())
runs = {"this run": jointens.run(experiment)}  # trains what is not there yet
if experiment.label_noise:  # the same with clean labels
    folder = f"{experiment.tag}-clean" if experiment.tag else None
    setting = dataclasses.replace(experiment, label_noise=0.0, tag=folder)
    runs = {"noisy": runs["this run"], "clean": jointens.run(setting)}
tests = {name: run.tests() for name, run in runs.items()}

# %% mystnb={"figure": {"caption": "The sweep on digits: with noisy labels and, below, with clean ones. Panels as in {numref}`fig-beta-sweep-panels`.", "name": "fig-beta-sweep-digits"}, "image": {"alt": "Two blocks of four panels over beta: differences in test accuracy and in test loss to beta 0, individual accuracy in per cent, and diversity on a logarithmic axis."}}
beta_sweep.sweep(*runs.values())

# %% [markdown]
# "Higher" and "lower" mean that the 95 % interval of the paired difference leaves out zero, a dash that it does not.
# Nothing is corrected for the number of comparisons.

# %%
betas = sorted(experiment.beta_vals, key=lambda beta: abs(beta - 1))[:2]
tables.verdicts(tests, sorted(betas))

# %% [markdown]
# With both kinds of labels the learners collapse, and the training loss falls. A cost to the ensemble is seen with noisy
# labels at the last epoch; choosing the epoch by validation loss prevents most of it. As checks that a rerun on another
# machine has to pass:

# %% tags=["nbval-check-output", "hide-input"]
for name, of_run in tests.items():
    of = compare(of_run, betas[0])
    diversity, individual = of.loc["diversity"], of.loc["individual"]
    lower = of.loc[("train_ensemble", "last"), "verdict"] == "lower"
    tenfold = (diversity["beta"] > 10 * diversity["reference"]).all()
    doubled = (individual["beta"] > 2 * individual["reference"]).all()
    print(f"{name}: diversity more than tenfold:", tenfold)
    print(f"{name}: individual loss more than doubled:", doubled)
    print(f"{name}: lower ensemble loss on training data, last epoch:", lower)

# %% [markdown]
# ## What was shown, and what was not
#
# **Shown.** Where the training images are fitted, joint training ends with the lower training loss, and has the higher test
# loss and the lower accuracy at both checkpoints. Where they are not fitted, the ensemble can gain. Its learners are taken
# apart in both cases. The checks behind these sentences, on the published runs:

# %% tags=["nbval-check-output", "hide-input", "claims"]
joint = compare(on_photographs, 1)
verdict, at_0, at_1 = (joint[name] for name in ("verdict", "reference", "beta"))
best = on_photographs[on_photographs["checkpoint"] == "best"]
best = best.pivot(index="seed", columns="beta", values="accuracy")
one = (
    one_network.tests().query("checkpoint == 'best'").set_index("seed")["accuracy"]
)
of_cnn = {
    name: compare(of.tests(), 1).loc[:, "best", :] for name, of in cnn.items()
}

claims = {}
claims["fitted: training loss lower at the last epoch"] = (
    verdict["train_ensemble", "last"] == "lower"
)
claims["fitted: test loss higher"] = (verdict["ensemble"] == "higher").all()
claims["fitted: accuracy lower"] = (verdict["accuracy"] == "lower").all()
inside = [compare(on_photographs, beta)["verdict"] for beta in (0.9, 0.95)]
claims["fitted: test loss higher, last accuracy lower from β = 0.9 on"] = all(
    (of["ensemble"] == "higher").all() and of["accuracy", "last"] == "lower"
    for of in inside
)
claims["fitted: learners lose a third of their accuracy and more"] = (
    at_1["individual_accuracy"] < 2 / 3 * at_0["individual_accuracy"]
).all()
claims["fitted: one network is below independent training"] = (
    one < best[0].loc[one.index]
).all()
claims["fitted: joint training is within a point of one network"] = (
    abs((one - best[1].loc[one.index]).mean()) < 0.01
)
own_rates_best = compare(own_rates, 1).loc[:, "best", :]["verdict"]
claims["fitted, each at its own rate: test loss higher, accuracy lower"] = (
    own_rates_best[["ensemble", "accuracy"]].to_list() == ["higher", "lower"]
)
verdict_of = {
    name: compare(of, 1)["verdict"] for name, of in with_each_average.items()
}
claims["fitted, every average: test loss higher, last accuracy lower"] = all(
    (of["ensemble"] == "higher").all() and of["accuracy", "last"] == "lower"
    for of in verdict_of.values()
)
claims["fitted, averaged probabilities: training loss higher"] = all(
    (verdict_of[name]["train_ensemble"] == "higher").all()
    for name in ("probabilities", "released")
)
claims["not fitted: accuracy higher at the authors' rate"] = (
    of_cnn["authors' rate"].loc["accuracy", "verdict"] == "higher"
)
claims["not fitted: diversity more than tenfold"] = all(
    of.loc["diversity", "beta"] > 10 * of.loc["diversity", "reference"]
    for of in of_cnn.values()
)
for claim, holds in claims.items():
    print(f"{claim}: {holds}")
assert all(claims.values())

# %% [markdown]
# **Not shown.**
#
# - The size of the effect in the paper. ResNet18 and ResNet34 on all of CIFAR-10 and CIFAR-100, for 80 epochs, need a GPU;
#   `results/README.md` says what is published, and {numref}`fig-beta-sweep-panels` draws it.
# - Augmentation, and rates and β beside those above: these runs are not finished.
# - That the 8,000 images do not matter. They are the same for all seeds; the intervals cover initial weights and order.
# - Truly independent selection: even at β = 0 one epoch, chosen by the ensemble's validation loss, serves all learners.
# - *Why* the learners drift apart when nothing rewards it: see [Collusion](collusion.ipynb) and the diagnostics.
#
# **Next.** The photographs with half of the images and one seed, in minutes on two cores; and β close to 1 on the digits:
#
# ```bash
# jointens run notebooks/profiles/cifar10_resnet8_quick.yml download=true
# papermill notebooks/beta_sweep.ipynb runs/near.ipynb --cwd notebooks \
#     -p beta_vals "[0, 0.8, 0.9, 0.95, 0.99, 1]"
# ```
