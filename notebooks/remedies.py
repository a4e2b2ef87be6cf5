# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Remedies
#
# **Question.** Joint training fits training data better and test data worse. Is there a way of training that keeps the
# gain without the loss: dropping learners at random, starting apart, a limit on diversity, learners that ignore each
# other's gradients, or just a smaller β?
#
# **Answer.** Learner dropout does, in this setting and at the last epoch: with one of five learners dropped at random in each
# step, training loss stays below that of independent training
# (Δ {glue:text}`remedies_kept4_train_ensemble_last_difference` nats) and test loss falls below it, too
# (Δ {glue:text}`remedies_kept4_ensemble_last_difference`). It is not the objective that does it, which is that of a smaller
# β, but the noise of the draws; the other remedies do no better than a smaller β, and stop-gradients change nothing at all.
#
# **In the paper.** It explains the failure and does not look for a cure; theorems and experiments of this chapter are
# ours. Words and symbols are in the [glossary](../book/glossary.md) and under [notation](../book/notation.md).
#
# The setting is that of "Train it yourself" in [the β sweep](beta_sweep.ipynb): 400 images of digits, a fifth of the
# training and validation labels drawn anew, five perceptrons, ten seeds. These are **quick results**. Every remedy has
# the same data, initial weights, order of images, rates and epochs as its counterpart at β = 0.

# %% tags=["parameters"]
dataset = "digits"
train_size = 400
label_noise = 0.2
base_learner = "MLP"
hidden = [64, 64]
num_learners = 5
average = "scores"
beta_vals = [0.0, 1.0]  # and those that dropout is equal to
seeds = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
optimiser = "SGD"
learning_rate = 0.1
momentum = 0.9
scheduler = "ExponentialLR"
gamma = 0.2
batch_size = 64
num_epochs = 60
kept = [1, 2, 3, 4]  # learners that dropout keeps
clean_kept = [3]  # and with clean labels
counted = [2, 3]  # and in the mean over all subsets, without draws
caps = [0.1, 0.3, 1.0]  # of diversity, in nats
apart = [0.25, 0.5]  # shares of the epochs that a warm start takes
num_draws = 300  # random outputs on which statements are tried
draws_seed = 0

# %%
# %matplotlib inline
import dataclasses
import itertools
import math

import torch
from myst_nb import glue

import jointens
from jointens import theory
from jointens.analysis import (
    at_betas,
    choose_betas,
    compare,
    side_by_side,
    stored_outputs,
    train_on_expectation,
)
from jointens.reports import remedies as figures
from jointens.reports import tables

experiment = jointens.Experiment.from_namespace(globals())
M = experiment.num_learners
sizes = [size for size in kept if size < M]
equal = {size: round(theory.beta_of_kept(size, M), 12) for size in sizes}
grid = sorted({0.0, 1.0, *experiment.beta_vals, *equal.values()})


def train(name, **keys):
    """Train what is not there yet."""
    folder = f"{experiment.tag}-{name}" if experiment.tag else None
    return jointens.run(dataclasses.replace(experiment, tag=folder, **keys))


def jointly(name, **keys):
    return train(name, beta_vals=[1.0], **keys)


plain = train("plain", beta_vals=grid)
waits = [int(share * experiment.num_epochs) for share in apart]
dropout = {k: jointly(f"kept{k}", kept_learners=k) for k in sizes}
capped = {cap: jointly(f"cap{cap:g}", diversity_cap=cap) for cap in caps}
warm = {n: jointly(f"warm{n}", warm_start=n) for n in waits}

# %%
tests = plain.tests()


def at(beta):
    return tests[tests["beta"] == beta]


def against_zero(rows):
    return side_by_side(at(0.0), rows)


own, common = choose_betas(tests), choose_betas(tests, per_seed=False)
remedies = {
    "joint training": {"β = 1": against_zero(at(1.0))},
    "smaller β": {f"{b:.3g}": against_zero(at(b)) for b in grid if 0 < b < 1},
    "learner dropout": {
        f"{k} of {M}": against_zero(run.tests()) for k, run in dropout.items()
    },
    "cap on diversity": {
        f"cap {cap:g}": against_zero(run.tests()) for cap, run in capped.items()
    },
    "warm start": {
        f"{n} epochs": against_zero(run.tests()) for n, run in warm.items()
    },
    "chosen β": {
        "for each seed": at_betas(tests, own),
        "for all": at_betas(tests, common),
    },
}

# %% mystnb={"figure": {"caption": "What each remedy keeps and what it costs: the ensemble's loss on training data against that on test data, as paired differences to $\\beta = 0$. A marker for each strength, with 95 % t intervals over ten seeds; above the last epoch, below the best checkpoint. Left of the vertical line training data are fitted better than by independent training; above the horizontal line test data are predicted worse. Dropout to one learner lies outside and is in the table at the end.", "name": "fig-remedies"}, "image": {"alt": "Two scatter plots of the difference in test loss over the difference in training loss. At the last epoch joint training is at the upper left. Smaller beta and the cap on diversity lie on a flat curve from there to the origin, warm start lies above it. Learner dropout to three and four of five is at the lower left, to two of five at the lower right. At the best checkpoint nearly all intervals hold zero."}}
every = [plain, *dropout.values(), *capped.values(), *warm.values()]
drawn = {
    name: {key: frame for key, frame in group.items() if key != f"1 of {M}"}
    for name, group in remedies.items()
}
figures.trade_off(drawn, every)

# %% tags=["remove-input"]
for slug, frame in {
    "joint": remedies["joint training"]["β = 1"],
    **{f"kept{k}": remedies["learner dropout"][f"{k} of {M}"] for k in sizes},
}.items():
    for name, text in tables.texts(frame, 1).items():
        glue(f"remedies_{slug}_{name}", text, display=False)
glue("remedies_chosen", f"{common[experiment.seeds[0]]:.3g}", display=False)
low, high = (f"{edge(own.values()):g}" for edge in (min, max))
glue("remedies_chosen_range", f"{low} to {high}", display=False)

# %% [markdown]
# At the last epoch ({numref}`fig-remedies`, above) joint training changes the training loss by
# {glue:text}`remedies_joint_train_ensemble_last_difference` nats and the test loss by {glue:text}`remedies_joint_ensemble_last_difference`.
#
# - A **smaller β** and a **cap on diversity** give up a part of the gain and with it most of the cost. At the same gain the cap
#   has the higher test loss.
# - A **warm start** costs more than it gains: independent learners that are trained jointly afterwards overfit, too.
# - **Learner dropout** to four or three of five keeps a part of the gain and has a *lower* test loss than independent
#   training. To two of five it gives the gain away, for a test loss lower still. Its learners collude less, but they
#   do: the accuracy of single learners changes by {glue:text}`remedies_kept4_individual_accuracy_last_difference` points with four
#   of five, and by {glue:text}`remedies_joint_individual_accuracy_last_difference` in joint training.
#
# At the best checkpoint (below) there is next to nothing to cure, and hardly any remedy can be told from independent
# training. That of a warm start mostly lies in the first epochs, and then it *is* that of independent training.
#
# ## Stop-gradients change nothing
#
# Collusion looks like an agreement: learner 1 moves so that learner 2 can move the other way. Would it end if no
# learner saw what it does to the gradients of the others?
#
# :::{prf:theorem} Learners that take each other for constants have the same gradient
# :label: thm-stop-gradient
#
# Let $\mathrm{sg}(\cdot)$ be constant when it is differentiated, and let learner $i$ minimise an objective $\ell_i$ of
# its own.
#
# 1. *The others are constant:* $\ell_i = \frac{1 - \beta}M \mathcal L(f_i, y) + \beta\, \mathcal L\bigl(\frac1M (f_i +
#    \sum_{j \ne i} \mathrm{sg}(f_j)), y\bigr)$; for averaged probabilities the second term averages
#    the $p_j$. For every loss and every average
#
#    $$
#    \frac{\partial \ell_i}{\partial f_i} = \frac{\partial \mathcal L^\beta}{\partial f_i} .
#    $$
#
# 2. *The average is constant:* $\ell_i = \mathcal L(f_i, y) - \beta D_i$ with $D_i = \lVert f_i - \mathrm{sg}(\bar f)
#    \rVert^2$ for squared error, and $D_i = \mathrm{KL}(\mathrm{softmax}\, \mathrm{sg}(\bar f) \,\Vert\, p_i)$ for
#    cross-entropy of averaged scores (and of the released average, with $p_i$ in the place of $f_i$). Then
#
#    $$
#    \frac{\partial \ell_i}{\partial f_i} = M\, \frac{\partial \mathcal L^\beta}{\partial f_i} .
#    $$
#
# 3. For averaged probabilities and $D_i = \log (\mathrm{sg}(\bar p_y) / p_{i,y})$ it is another gradient, $(1 - \beta)\,
#    \partial \mathcal L(f_i, y) / \partial f_i$: independent training at a rate that falls with β; at β = 1 nothing is
#    learned.
# :::
#
# :::{prf:proof}
# *1.* A partial derivative in $f_i$ holds the other outputs fixed, and that is all that sg does.
#
# *2.* For squared error the gradient is
#
# $$
# 2 (f_i - y) - 2 \beta (f_i - \bar f) = 2 \bigl[(1 - \beta)(f_i - y) + \beta (\bar f - y)\bigr] .
# $$
#
# For scores that of $D_i$ is $p_i - \bar p$ with $\bar p = \mathrm{softmax}(\bar f)$, so that of $\ell_i$ is
#
# $$
# (p_i - e_y) - \beta (p_i - \bar p) = (1 - \beta)(p_i - e_y) + \beta (\bar p - e_y) .
# $$
#
# Both are $M$ times the gradient in {prf:ref}`thm-gradient`. The reason is the same for both: as a function of $q$, the mean
# of the divergences $D(q, q_i)$ is smallest at the average ({prf:ref}`thm-bregman`), so its derivative in $q$ is zero
# there, and nothing is lost by holding the average fixed.
#
# *3.* With $\bar p_y$ fixed, $D_i$ is $\mathcal L(f_i, y)$ and a constant. (The mean of $\log (q / p_{i,y})$ has no
# smallest value in $q$, so here holding the average fixed does lose something: the ensemble loss.)
# :::
#
# Each learner has weights of its own, so what holds for the gradients in the outputs holds for those in the weights.
# Learners need not cooperate through one another's gradients to collude. Each of them, selfishly, goes where the
# *present* average is wrong, and that is enough. The factor $M$ is that of `rate_per_learner`
# ({prf:ref}`thm-rates`).
#
# **Check.** The next cell, with automatic differentiation;
# {test}`theory/test_stop_gradients.py::test_with_the_others_as_constants_the_gradient_is_that_of_the_objective`,
# {test}`theory/test_stop_gradients.py::test_with_the_average_as_a_constant_the_gradient_is_m_times_that_of_the_objective`
# and {test}`theory/test_stop_gradients.py::test_with_averaged_probabilities_as_a_constant_learners_train_independently`.
#
# **Falsified by** outputs, a target and a β for which a gradient with constants differs from the one that is claimed.


# %% tags=["nbval-check-output"]
CASES = {  # name: loss and average
    "squared error": {"loss": "squared_error"},
    "scores": {"average": "scores"},
    "probabilities": {"average": "probabilities"},
    "released": {"average": "released"},
}
SIZES = ((2, 2), (3, 10), (5, 7))  # M and the number of outputs


def cases(how):
    kind = how.get("loss", "cross_entropy")
    options = {"count": num_draws, "seed": draws_seed, "sizes": SIZES}
    return theory.draws(kind, **options)


def with_constant(constant, how):
    def sides(outputs, targets, beta=0.7):
        found = theory.stop_gradient(
            outputs, targets, beta, constant=constant, **how
        )
        times = 1 if constant == "others" else len(outputs)
        if constant == "average" and how.get("average") == "probabilities":
            times, beta = times * (1 - beta), 0.0
        return found, times * theory.output_gradient(outputs, targets, beta, **how)

    return sides


for name, how in CASES.items():
    for constant in theory.CONSTANTS:
        sides = with_constant(constant, how)
        theory.confirm(f"{name}, constant {constant}", sides, cases(how))

# %% [markdown]
# ## Random weights are a smaller β
#
# Learner dropout trains the mean of $K$ of the $M$ learners, drawn anew in each step (`kept_learners`). None of them can
# rely on being corrected by the others. But for squared error this is nothing new:
#
# :::{prf:theorem} With random weights the expected squared error is $\mathcal L^\beta$
# :label: thm-random-weights
#
# Let the learners' weights $\alpha_1, \dots, \alpha_M$ be random with sum 1 and finite variance, and *exchangeable*: all
# orders of them are equally likely. For squared error
#
# $$
# \mathbb E\, \Bigl\lVert \sum_i \alpha_i f_i - y \Bigr\rVert^2 = \mathcal L^\beta
# \quad\text{with}\quad 1 - \beta = \frac{M^2}{M - 1} \operatorname{Var}(\alpha_1) .
# $$
#
# - For the mean of $K$ random learners, $1 - \beta = \frac{M - K}{K (M - 1)}$: β = 0 at $K = 1$, β = 1 at $K = M$.
# - For weights from a symmetric Dirichlet distribution with concentration $a$, $1 - \beta = \frac1{M a + 1}$.
# - Training $(1 - b)\, \text{ind} + b$ times the loss of a random average is, in expectation, training $\mathcal L^{b
#   \beta}$.
# :::
#
# :::{prf:proof}
# Put $d_i = f_i - \bar f$, so that $\sum_i \alpha_i f_i - y = (\bar f - y) + \sum_i \alpha_i d_i$. By exchangeability all
# $\alpha_i$ have the same mean, $\frac1M$, so the sum of the $\alpha_i d_i$ has mean $\frac1M \sum_i d_i = 0$, and the
# expected loss is
#
# $$
# \text{ens} + \mathbb E\, \Bigl\lVert \sum_i \alpha_i d_i \Bigr\rVert^2
# = \text{ens} + \sum_{i,j} \operatorname{Cov}(\alpha_i, \alpha_j)\, d_i^\top d_j .
# $$
#
# Let $v = \operatorname{Var}(\alpha_1)$. All covariances of two learners are equal, and since $\sum_j \alpha_j$ is constant,
# $v + (M - 1) \operatorname{Cov}(\alpha_1, \alpha_2) = 0$. With $\sum_{i \ne j} d_i^\top d_j = - \sum_i \lVert d_i
# \rVert^2$ the sum is
#
# $$
# \Bigl(v + \frac v{M - 1}\Bigr) \sum_i \lVert d_i \rVert^2 = \frac{M^2 v}{M - 1}\, \text{DIV} ,
# $$
#
# and $\text{ens} + (1 - \beta)\, \text{DIV}$ is $\mathcal L^\beta$ ({prf:ref}`thm-between`).
#
# For $K$ of $M$, $\alpha_1$ is $\frac1K$ with probability $\frac KM$ and otherwise 0: $v = \frac{M - K}{K M^2}$. For the
# Dirichlet distribution $v = \frac{M - 1}{M^2 (M a + 1)}$. In the last case the expectation is $(1 - b)\, \text{ind} + b
# \bigl[(1 - \beta)\, \text{ind} + \beta\, \text{ens}\bigr]$.
# :::
#
# {prf:ref}`thm-codependence` is the same calculation on test data: what dropping learners reveals afterwards is what
# dropping them in training would have charged.
#
# **Check.** The next cell enumerates all subsets, and all orders of a list of weights; also
# {test}`theory/test_random_weights.py::test_the_expected_squared_error_is_the_objective_of_the_equivalent_beta`,
# {test}`theory/test_random_weights.py::test_keeping_k_of_m_is_the_objective_of_its_beta` and
# {test}`theory/test_random_weights.py::test_dirichlet_weights_are_the_objective_of_their_beta`.
#
# **Falsified by** outputs, a target and exchangeable weights whose expected squared error is not that $\mathcal L^\beta$.


# %% tags=["nbval-check-output"]
SQUARED = {"loss": "squared_error"}


def objective(beta, outputs, targets, **how):
    parts = jointens.decompose(outputs, targets, **how)
    return jointens.joint_objective(parts, beta)


def subsets_of(outputs, targets, how=SQUARED):
    """The expected losses of the mean of K learners, for K from 1 to M: (M, B)."""
    num = len(outputs)
    every = [theory.subset_weights(k, num) for k in range(1, num + 1)]
    return torch.stack(
        [theory.expected_loss(outputs, targets, rows, **how) for rows in every]
    )


def equivalents(outputs, targets, how=SQUARED):
    num = len(outputs)
    betas = [theory.beta_of_kept(k, num) for k in range(1, num + 1)]
    return torch.stack([objective(b, outputs, targets, **how) for b in betas])


def keeping(outputs, targets):
    return subsets_of(outputs, targets), equivalents(outputs, targets)


def every_order(outputs, targets):
    """Weights 1, 2, 4, … divided by their sum, in all orders."""
    num = len(outputs)
    weights = 2.0 ** torch.arange(num, dtype=torch.float64)
    weights /= weights.sum()
    permuted = torch.stack(
        [weights[list(order)] for order in itertools.permutations(range(num))]
    )
    beta = theory.beta_of_variance(weights.var(correction=0).item(), num)
    found = theory.expected_loss(outputs, targets, permuted, **SQUARED)
    return found, objective(beta, outputs, targets, **SQUARED)


def dirichlet(outputs, targets, a=0.8):
    """From the second moments, a (a + [i = j]) / (M a (M a + 1))."""
    num, residuals = len(outputs), outputs - targets
    second = a * (a + torch.eye(num, dtype=torch.float64))
    second /= num * a * (num * a + 1)
    found = torch.einsum("ij,ibk,jbk->b", second, residuals, residuals)
    beta = theory.beta_of_dirichlet(a, num)
    return found, objective(beta, outputs, targets, **SQUARED)


theory.confirm("the mean of K of M, for every K", keeping, cases(SQUARED))
theory.confirm("all orders of one list of weights", every_order, cases(SQUARED))
theory.confirm("Dirichlet weights", dirichlet, cases(SQUARED))

# %% [markdown]
# ### Where it ends: cross-entropy
#
# :::{prf:theorem} For averaged scores it lies between the two losses and agrees to second order
# :label: thm-kept-scores
#
# Let $E_K$ be the expected ensemble loss of $K$ random learners of $M$, and $\beta_K$ the equivalent β of
# {prf:ref}`thm-random-weights`.
#
# 1. For every loss that is convex in what is averaged, and so for each of the four cases of this book,
#
#    $$
#    \text{ens} = E_M \le E_{M - 1} \le \dots \le E_1 = \text{ind} .
#    $$
#
# 2. For cross-entropy of averaged scores let $r(v)$ be the largest minus the smallest entry of $v$, $d_i = f_i - \bar f$,
#    and $d_S$ the mean of the $d_i$ over a random subset $S$ of $K$ learners. Then
#
#    $$
#    \bigl| E_K - \mathcal L^{\beta_K} \bigr| \le \frac1{36 \sqrt 3} \Bigl( \mathbb E\, r(d_S)^3 +
#    (1 - \beta_K)\, \frac1M \sum_i r(d_i)^3 \Bigr) ,
#    $$
#
#    which is of third order in the learners' deviations, while diversity is of second.
#
# 3. For $1 < K < M$ the two are not equal in general. With two classes, one learner whose logit of the wrong class is
#    $c$ and all else 0, $E_K - \mathcal L^{\beta_K}$ tends to $\frac{(M - K)(K - 1)}{K M} \log 2$ as $c \to \infty$.
# :::
#
# :::{prf:proof}
# *1.* The average of $K + 1$ learners is the mean of the averages of its subsets of $K$. By convexity its loss is at most
# the mean of theirs; and a random subset of a random subset is a random subset.
#
# *2.* $\mathcal L(\cdot, y)$ is log-sum-exp minus a linear function. Along a direction $v$ its third derivative is the third
# central moment of the entries of $v$ under some softmax. On an interval of length $r$ such a moment is at most
# $r^3 / (6 \sqrt 3)$: for a given mean it is largest for two points, where it is $p (1 - p)(1 - 2p)\, r^3$. So
# $\mathcal L(\bar f + v, y)$ differs from its expansion up to second order by at most $\frac16 \cdot r(v)^3 / (6 \sqrt 3)$.
#
# Use this with $v = d_S$ in $E_K$, and with $v = d_i$ in $\mathcal L^{\beta_K} = \text{ens} + (1 - \beta_K)\, \text{DIV}$.
# Constant terms are ens in both, and linear terms have mean zero. The quadratic ones are
# $\frac12 \mathbb E\, d_S^\top H d_S$ and $(1 - \beta_K) \frac1{2M} \sum_i d_i^\top H d_i$ with
# $H = \nabla^2 \mathcal L(\bar f, y)$. They are equal: that is {prf:ref}`thm-random-weights` for the norm of $H$ and
# $y = \bar f$.
#
# *3.* With $s(c) = \log(1 + e^c)$, $E_K = \frac KM s(\frac cK) + (1 - \frac KM) \log 2$, $\text{ind} = \frac1M s(c) + (1 -
# \frac1M) \log 2$ and $\text{ens} = s(\frac cM)$; and $s(c) - c \to 0$.
# :::
#
# **Check.** The next cell; also
# {test}`theory/test_random_weights.py::test_the_expected_loss_lies_between_ensemble_and_individual_loss_and_falls_with_k`,
# {test}`theory/test_random_weights.py::test_for_scores_the_difference_is_of_third_order` and
# {test}`theory/test_random_weights.py::test_for_scores_in_between_it_is_another_loss`.
#
# **Falsified by** outputs for which the expected loss rises with $K$, leaves the bound, or differs at $K = 1$ or $M$.


# %% tags=["nbval-check-output"]
def falling(how):
    def sides(outputs, targets):
        found = subsets_of(outputs, targets, how)
        return found[1:], found[:-1]

    return sides


def both_ends(how):
    def sides(outputs, targets):
        found = subsets_of(outputs, targets, how)
        parts = jointens.decompose(outputs, targets, **how)
        ends = torch.stack([parts.individual, parts.ensemble])
        return found[[0, -1]], ends

    return sides


def cubed_range(v):
    return (v.amax(-1) - v.amin(-1)) ** 3


def third_order(outputs, targets):
    num, d = len(outputs), outputs - outputs.mean(0)
    gap = subsets_of(outputs, targets, {}) - equivalents(outputs, targets, {})
    bounds = []
    for size in range(1, num + 1):
        weights, b = (
            theory.subset_weights(size, num),
            theory.beta_of_kept(size, num),
        )
        of_subsets = cubed_range(torch.einsum("cm,mbk->cbk", weights, d)).mean(0)
        bounds.append(of_subsets + (1 - b) * cubed_range(d).mean(0))
    return gap.abs(), torch.stack(bounds) / (36 * math.sqrt(3))


def one_wrong_learner(num, size, c=200.0):
    outputs = torch.zeros(num, 1, 2, dtype=torch.float64)
    outputs[0, 0, 1] = c
    label = torch.tensor([0])
    gap = subsets_of(outputs, label, {}) - equivalents(outputs, label, {})
    limit = (num - size) * (size - 1) / (size * num) * math.log(2)
    return gap[size - 1], torch.full_like(gap[size - 1], limit)


for name, how in CASES.items():
    theory.confirm(f"{name}: falls with K", falling(how), cases(how), relation="<=")
    theory.confirm(f"{name}: both ends", both_ends(how), cases(how))
theory.confirm("scores: third order", third_order, cases({}), relation="<=")
examples = [(num, size) for num in (3, 5, 7) for size in range(1, num + 1)]
theory.confirm("scores: one wrong learner", one_wrong_learner, examples)

# %% [markdown]
# How far apart are the two where learners collude? Random outputs, and the test outputs of the first seed at the last epoch:

# %% mystnb={"figure": {"caption": "The expected cross-entropy of the mean of $K$ random learners of $M$ (circles) and $\\mathcal L^\\beta$ with the equivalent $\\beta$ (squares), for averaged scores: random outputs of standard deviation 3, and trained learners on test images.", "name": "fig-kept"}, "image": {"alt": "Three panels of cross-entropy over the number of learners kept. Both lines fall from the individual loss at one learner to the ensemble loss at all.They agree for learners trained independently. For random outputs and for jointly trained learners the expected loss is a little higher in between."}}
(random,) = theory.draws(count=num_draws, seed=draws_seed, sizes=[(M, 10)])
stored, first = stored_outputs(plain), experiment.seeds[0]
outputs = {"random outputs": random} | {
    f"trained, β = {b:g}": stored.read(b, first, "last") for b in (0.0, 1.0)
}
footer = f"random outputs, and experiment {plain.experiment.hash}, seed {first}"
figures.loss_over_kept(outputs, footer=footer)

# %% [markdown]
# Independent learners are so close to each other that third order does not count. Where diversity is large, the expected
# loss is above the $\mathcal L^\beta$ that it agrees with to second order (on average; single examples go either way):
# dropping learners then charges more for diversity than the equivalent β does.
#
# ### The theorem in training
#
# Learners that are dropped to $K$, at β = 1, beside runs of all learners at the β that it equals. Differences are paired,
# dropout minus its β:

# %%
beside = {
    f"{k} of {M}, and β = {equal[k]:.4g}": side_by_side(
        at(equal[k]), dropout[k].tests()
    )
    for k in sizes
}
tables.changes(beside, 1)

# %% [markdown]
# They differ: for $K$ from 2 to 4 dropout ends with the higher training loss and the lower test loss at the last epoch.
# Is that the difference of third order, or the noise of the draws? Here the same is trained on the *mean* over all
# subsets in each step, without draws, and again the β that it equals is taken off:

# %%
enumerated = {}
for k in (k for k in counted if k in sizes):
    setting = dataclasses.replace(
        experiment, beta_vals=[1.0], kept_learners=k, tag=None
    )
    of_k = train_on_expectation(setting)
    enumerated[f"mean over {k} of {M}"] = side_by_side(at(equal[k]), of_k)
tables.changes(enumerated, 1)

# %% [markdown]
# Now next to nothing is left of it at the last epoch: the theorem, which is exact for squared error only, describes training on
# cross-entropy as well. So what learner dropout has over a smaller β is the noise of its draws. As with the dropout of units, that is
# regularisation, and not a better objective. $K = 1$, in the table before, is noise alone: independent training in expectation, in
# which all of the gradient goes to one learner at a time.
#
# ### With clean labels
#
# Is it only the noisy labels that are fitted less? The same without them:

# %%
clean = train("clean", beta_vals=[0.0, 1.0], label_noise=0.0).tests()
start = clean[clean["beta"] == 0]
on_clean = {"joint training": side_by_side(start, clean[clean["beta"] == 1])}
for k in clean_kept:
    of_k = jointly(f"clean-kept{k}", label_noise=0.0, kept_learners=k)
    on_clean[f"dropout, {k} of {M}"] = side_by_side(start, of_k.tests())
tables.changes(on_clean, 1)

# %% [markdown]
# Test loss is lower with clean labels as well.
#
# ## Each remedy at each strength
#
# - **Learner dropout** (`kept_learners`): the ensemble loss of each step is that of a random subset; see above.
# - **Cap on diversity** (`diversity_cap`): per example the objective is $\text{ind} - \beta \min(\text{DIV}, c)$. What is
#   above $c$ nats earns nothing.
# - **Warm start** (`warm_start`): β = 0 at first, then β = 1.
# - **Chosen β**: of all β of the sweep, the one with the lowest validation loss, for each seed or for all of them.
#
# All but the last are trained at β = 1. Differences to β = 0 are paired, ± the half-width of their 95 % t intervals:

# %%
strengths = {
    f"{name}, {strength}": frame
    for name, group in remedies.items()
    for strength, frame in group.items()
}
tables.changes(strengths, 1)

# %% [markdown]
# Dropout to two or to one of five changes the accuracy at the last epoch by {glue:text}`remedies_kept2_accuracy_last_difference` and
# {glue:text}`remedies_kept1_accuracy_last_difference` points, and raises the training loss: this is what regularisation does on labels of
# which a fifth are wrong. Validation chose β = {glue:text}`remedies_chosen` for all seeds, and from {glue:text}`remedies_chosen_range` for single ones. A
# choice among loss values that differ by less than their noise is no remedy, and no harm.
#
# ## What was shown, and what was not


# %% tags=["nbval-check-output", "hide-input"]
def verdicts(frame):
    found = compare(frame, 1).xs("last", level="checkpoint")["verdict"]
    return found["train_ensemble"], found["ensemble"]


print("last epoch, training loss and test loss against β = 0:")
print("joint training, training loss:", verdicts(against_zero(at(1.0)))[0])
for k in (k for k in (3, 4) if k in dropout):
    print(f"dropout to {k}:", *verdicts(against_zero(dropout[k].tests())))
for n, run in warm.items():
    print(f"warm start of {n} epochs:", *verdicts(against_zero(run.tests())))
print("last epoch, test loss against the equivalent β:")
for (name, frame), k in zip(beside.items(), sizes, strict=True):
    if k > 1:
        print(f"dropout to {name}:", verdicts(frame)[1])
print("the same without draws, differences below 0.005 nats:")
for name, frame in enumerated.items():
    found = compare(frame, 1).xs("last", level="checkpoint")["difference"]
    print(f"{name}:", found[["train_ensemble", "ensemble"]].abs().max() < 0.005)

# %% [markdown]
# The rest was written for the parameters as they stand; after a change, believe the tables.
#
# - **Shown:** stop-gradients do not change the gradient of squared error and averaged scores. Random weights of the learners
#   are a smaller β for squared error, and to second order for averaged scores.
# - **Shown**, on 400 images of digits: at the last epoch learner dropout keeps a part of joint training's gain on training
#   data without its loss on test data, where no other remedy here does better than a smaller β. What it has over the β that
#   it equals in expectation is noise.
# - At the best checkpoint joint training costs little in this setting, so there is little for a remedy to win.
# - **Not shown:** that learner dropout is better than other regularisation of independent learners, such as weight decay or
#   the dropout of units; nor any of this on larger networks and photographs. Each strength is shown, none was chosen: to
#   take the best of the table would be choosing on test data. Nothing is corrected for the number of comparisons.
