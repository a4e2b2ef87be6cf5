# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The objective, its other names, and its edges
#
# **Question.** Is $\mathcal L^\beta$ a new objective? What becomes of it outside of $0 \le \beta \le 1$? And when two
# values of β, or two sizes of ensemble, are compared at one learning rate, is that a fair comparison?
#
# **In the paper.** $\mathcal L^\beta$ is what all its experiments train. That it has been proposed several times, and
# what one learning rate means, is collected here; the derivations are ours.
#
# The statements are tried on random outputs, as many as the next cell says. Its other parameters are those of a small
# sweep on scikit-learn's digits, with clean labels, that is trained further below.

# %% tags=["parameters"]
num_draws = 1000
draws_seed = 0
dataset = "digits"
train_size = 400
base_learner = "MLP"
hidden = [64, 64]
num_learners = 5
beta_vals = [-1.0, 0.0, 0.5, 1.0, 1.02, 1.1]
seeds = [0, 1, 2]
optimiser = "SGD"
learning_rate = 0.1
momentum = 0.9
batch_size = 64
num_epochs = 30

# %%
# %matplotlib inline
import copy
import dataclasses
import math

import torch
from torch.nn.functional import cross_entropy
from torch.nn.utils import parameters_to_vector

import jointens
from jointens import theory
from jointens.data import load_data
from jointens.reports import theory as figures

CASES = {  # name: loss and average
    "squared error": {"loss": "squared_error"},
    "scores": {"average": "scores"},
    "probabilities": {"average": "probabilities"},
    "released": {"average": "released"},
}


def cases(kind="cross_entropy", **how):
    """Outputs (M, B, K) and targets, for several M and K; num_draws in all."""
    return theory.draws(kind, **{"count": num_draws, "seed": draws_seed, **how})


def with_each(betas, *kind):
    """A weight β before each case."""
    return ((beta, *case) for beta in betas for case in cases(*kind))


# %% [markdown]
# ## Between individual and ensemble loss
#
# $$
# \mathcal L^\beta = \text{ind} - \beta\, \text{DIV}
# $$
#
# :::{prf:theorem} The objective lies between the two losses
# :label: thm-between
#
# $$
# \mathcal L^\beta = (1 - \beta)\, \text{ind} + \beta\, \text{ens} = \text{ens} + (1 - \beta)\, \text{DIV} .
# $$
#
# Where diversity is not negative, as for squared error and for cross-entropy with each of the three averages,
# $\mathcal L^\beta$ falls as β grows, and for $0 \le \beta \le 1$
#
# $$
# \text{ens} \;\le\; \mathcal L^\beta \;\le\; \text{ind} .
# $$
#
# For every $\beta \le 1$ it is an upper bound of the ensemble loss; so it is never negative.
# :::
#
# :::{prf:proof}
# Put $\text{DIV} = \text{ind} - \text{ens}$ into the definition, once for DIV and once for ind. The rest follows from
# $\text{DIV} \ge 0$.
# :::
#
# **Check.** The next cell, and {test}`theory/test_gradients.py::test_the_objective_lies_between_the_two_losses`.
#
# **Falsified by** outputs and a target where the three forms differ, or where the objective for some β in between
# leaves the interval.


# %% tags=["nbval-check-output"]
def three_forms(how):
    def sides(beta, outputs, targets):
        parts = jointens.decompose(outputs, targets, **how)
        form = parts.ensemble + (1 - beta) * parts.diversity
        other = parts.individual - beta * parts.diversity
        objective = jointens.joint_objective(parts, beta)
        return torch.stack([objective, objective]), torch.stack([form, other])

    return sides


def between(how):
    def sides(beta, outputs, targets):
        parts = jointens.decompose(outputs, targets, **how)
        middle = jointens.joint_objective(parts, beta)
        low, high = parts.ensemble, parts.individual
        return torch.stack([low, middle]), torch.stack([middle, high])

    return sides


for name, how in CASES.items():
    kind = how.get("loss", "cross_entropy")
    theory.confirm(
        f"{name}: three forms",
        three_forms(how),
        with_each((-1, 0.3, 1, 2), kind),
    )
    inside = with_each((0, 0.3, 0.9, 1), kind)
    theory.confirm(
        f"{name}: ens <= L^β <= ind", between(how), inside, relation="<="
    )

# %% [markdown]
# ## The same under other names
#
# :::{prf:theorem} Four objectives that are this one
# :label: thm-names
#
# - The *modular loss* of {cite:t}`webb2019joint`, $\lambda\, \text{ens} + (1 - \lambda)\, \text{ind}$, is $\mathcal
#   L^\lambda$. The "upper" form of *generalised negative correlation learning* (GNCL,
#   {cite:t}`buschjager2020generalized`) is the same, with λ the weight of its penalty.
# - GNCL itself is $\text{ind} - \frac\lambda{2M} \sum_i d_i^\top D\, d_i$ with $d_i = f_i - \bar f$ and $D = \nabla^2
#   \mathcal L(\bar f, y)$. For squared error that is $\mathcal L^\lambda$.
# - *Negative correlation learning* (NCL, {cite:t}`liu1999ensemble`): learner $i$ has the loss $\frac12 (f_i - y)^2 +
#   \lambda\, \pi_i$ with the penalty $\pi_i = d_i \sum_{j \ne i} d_j$, and $\bar f$ and all other learners are held
#   fixed when it is differentiated. Its gradient is $\frac M2$ times that of $\mathcal L^\lambda$ for squared error.
# - Written as $\gamma\, \text{ind} + (1 - \gamma)\, \text{ens}$, with a weight on the individual loss, it is
#   $\mathcal L^{1 - \gamma}$; for averaged probabilities, too.
# :::
#
# :::{prf:proof}
# The first and the last are {prf:ref}`thm-between`, read from right to left. For squared error $D = 2I$, so the
# penalty of the second is $\lambda \frac1M \sum_i \lVert d_i \rVert^2 = \lambda\, \text{DIV}$ by
# {prf:ref}`thm-squared-error`.
#
# For the third, $\sum_{j \ne i} d_j = -d_i$. With $\bar f$ and the other learners fixed, the derivative of $\pi_i$ in
# $f_i$ is just that sum, so the gradient of learner $i$'s loss is
#
# $$
# (f_i - y) - \lambda\, d_i = (1 - \lambda)(f_i - y) + \lambda (\bar f - y);
# $$
#
# compare {prf:ref}`thm-gradient`.
# :::
#
# Two remarks. What λ means in NCL hangs on what is held fixed. Add up the learners' penalised losses and
# differentiate, through $\bar f$ too, and the objective is $\mathcal L^{2\lambda}$ up to a factor: λ above one half
# is then beyond joint training. Differentiate each learner's own loss through $\bar f$, and it is $\beta = 2 \lambda
# (1 - \frac1M)$. ({cite:t}`brown2005managing` discuss the choice of λ at length.)
#
# And for cross-entropy GNCL is *not* $\mathcal L^\lambda$: it takes the curvature at $\bar f$, not at the points in
# between of {prf:ref}`thm-second-order`. The cell after the next says how far apart they are.
#
# **Check.** The next cell, and {test}`theory/test_gradients.py::test_the_same_objective_under_other_names`.
#
# **Falsified by** outputs, a target and a weight for which one of these differs from the objective it is said to be.

# %% tags=["nbval-check-output"]
LAMBDAS = (0.0, 0.25, 0.5, 1.0)


def objective(weight, outputs, targets, **how):
    parts = jointens.decompose(outputs, targets, **how)
    return jointens.joint_objective(parts, weight)


def modular(weight, outputs, labels):
    single = [cross_entropy(f, labels, reduction="none") for f in outputs]
    ind = torch.stack(single).mean(0)
    ens = cross_entropy(outputs.mean(0), labels, reduction="none")
    return weight * ens + (1 - weight) * ind, objective(weight, outputs, labels)


def generalised(weight, outputs, targets):
    d = outputs - outputs.mean(0)
    penalty = (d * 2 * d).sum(-1).mean(0) / 2  # D = 2 I
    ind = (outputs - targets).square().sum(-1).mean(0)
    ours = objective(weight, outputs, targets, loss="squared_error")
    return ind - weight * penalty, ours


def negative_correlation(weight, outputs, targets):
    f, mean = (
        outputs.clone().requires_grad_(),
        outputs.mean(0),
    )  # the mean: a constant
    others = (outputs - mean).sum(0) - (outputs - mean)
    (((f - targets) ** 2 / 2) + weight * (f - mean) * others).sum().backward()
    ours = theory.output_gradient(outputs, targets, weight, loss="squared_error")
    return f.grad, len(outputs) / 2 * ours


def through_the_mean(weight, outputs, targets):
    """Twice the mean of all penalised losses."""
    d = outputs - outputs.mean(0)
    penalties = d * (d.sum(0) - d)
    summed = ((outputs - targets) ** 2 / 2 + weight * penalties).sum(-1).mean(0)
    return 2 * summed, objective(2 * weight, outputs, targets, loss="squared_error")


def learner_by_learner(weight, outputs, targets):
    """Each learner's own penalised loss, differentiated through the mean."""
    M, gradients = len(outputs), []
    for i in range(M):
        f = outputs.clone().requires_grad_()
        d = f - f.mean(0)
        own = (f[i] - targets) ** 2 / 2 + weight * d[i] * (d.sum(0) - d[i])
        gradients.append(torch.autograd.grad(own.sum(), f)[0][i])
    weight = 2 * weight * (1 - 1 / M)
    ours = theory.output_gradient(outputs, targets, weight, loss="squared_error")
    return torch.stack(gradients), M / 2 * ours


def weight_on_ind(gamma, outputs, labels):
    p_y = outputs.softmax(-1)[:, torch.arange(len(labels)), labels]  # (M, B)
    form = gamma * -p_y.log().mean(0) + (1 - gamma) * -p_y.mean(0).log()
    return form, objective(1 - gamma, outputs, labels, average="probabilities")


values = list(with_each(LAMBDAS, "squared_error"))
theory.confirm("modular loss, β = λ", modular, with_each(LAMBDAS))
theory.confirm("GNCL, squared error, β = λ", generalised, values)
theory.confirm("gradient of NCL, β = λ", negative_correlation, values)
theory.confirm("NCL, through the mean, summed, β = 2 λ", through_the_mean, values)
theory.confirm("NCL, through the mean, each its own", learner_by_learner, values)
theory.confirm("1 − γ, averaged probabilities", weight_on_ind, with_each(LAMBDAS))

# %% tags=["nbval-check-output"]
(outputs, labels), *_ = cases(sizes=[(5, 7)])
p_bar, d = outputs.mean(0).softmax(-1), outputs - outputs.mean(0)
hessian = torch.diag_embed(p_bar) - p_bar.unsqueeze(-1) * p_bar.unsqueeze(-2)
at_the_mean = torch.einsum("mbk,bkl,mbl->b", d, hessian, d) / (2 * len(outputs))
diversity = jointens.decompose(outputs, labels).diversity
ratio = (at_the_mean.mean() / diversity.mean()).item()
print(f"cross-entropy: GNCL's penalty is {ratio:.2f} times diversity, on average")

# %% [markdown]
# ## Beyond the edges
#
# :::{prf:theorem} Above 1 the objective has no lower bound, below 0 it has
# :label: thm-unbounded
#
# Let $M \ge 2$, and for cross-entropy $K \ge 2$.
#
# - For β > 1, $\mathcal L^\beta$ has no lower bound for squared error and for cross-entropy of averaged scores or
#   probabilities: there are outputs along which it falls for ever, while the ensemble loss stays bounded.
# - With the released average it is bounded for every β; for β > 1, by {prf:ref}`thm-released` and with
#   $\Lambda = \log(e + K - 1)$,
#
#   $$
#   \mathcal L^\beta \ge \Lambda - 1 - (\beta - 1) \bigl( \Lambda - \log K - \tfrac1K \bigr).
#   $$
#
# - For $\beta \le 1$, and so for negative β, it is at least zero. Below 0 disagreement is penalised.
# :::
#
# :::{prf:proof}
# $\mathcal L^\beta = \text{ens} - (\beta - 1)\, \text{DIV}$, so it is enough to let DIV grow while ens stays bounded.
# Let $c \to \infty$.
#
# *Squared error:* $f_1 = y + c\,u$ and $f_2 = y - c\,u$ with $\lVert u \rVert = 1$, all others $y$. Then ens = 0 and
# $\text{DIV} = \frac2M c^2$.
#
# *Scores:* $f_1 = c\, e_1$ and $f_2 = -c\, e_1$, all others 0. Then $\bar f = 0$, $\text{ens} = \log K$ and
#
# $$
# \begin{aligned}
# M \cdot \text{DIV} = {} & \log(e^c + K - 1) + \log(e^{-c} + K - 1) \\
#   & - 2 \log K,
# \end{aligned}
# $$
#
# which grows as $c$.
#
# *Probabilities:* $f_1 = -c\, e_y$, all others 0. Then $p_{1,y} = e^{-c} / (e^{-c} + K - 1)$ and all other learners
# are uniform; so $\bar p_y \ge \frac{M-1}{MK}$ and ens is bounded, while $-\frac1M \log p_{1,y}$, a part of ind,
# grows as $\frac cM$.
#
# *Released,* and β ≤ 1: {prf:ref}`thm-released` and {prf:ref}`thm-between`.
# :::
#
# **Check.** The next cell follows the three sequences and compares with their closed forms; also
# {test}`theory/test_gradients.py::test_beyond_one_there_is_no_lower_bound` and
# {test}`theory/test_gradients.py::test_the_released_objective_is_bounded_for_every_beta`.
#
# **Falsified by** a number that the objective never falls below along one of the three sequences, for some β > 1; or
# outputs for which the released objective falls below its limit.


# %% tags=["nbval-check-output"]
def sequences(M, K, c):
    """Outputs (M, B, K) and targets at each c; in closed form ens and DIV."""

    def outputs(*firsts):  # output 0 of the first learners; all else is 0
        of = torch.zeros(M, len(c), K, dtype=torch.float64)
        for learner, first in enumerate(firsts):
            of[learner, :, 0] = first
        return of

    value, label = torch.zeros(len(c), K).double(), torch.zeros(len(c)).long()
    lse_up = c + torch.log1p((K - 1) * torch.exp(-c))  # of logits (c, 0, …, 0)
    lse_down = torch.log(torch.exp(-c) + K - 1)  # and of (−c, 0, …, 0)
    log_mean = torch.log((torch.exp(-c - lse_down) + (M - 1) / K) / M)  # log p̄_y
    return {
        "squared error": (outputs(c, -c), value, 0 * c, 2 / M * c**2),
        "scores": (
            outputs(c, -c),
            label,
            math.log(K) + 0 * c,
            (lse_up + lse_down - 2 * math.log(K)) / M,
        ),
        "probabilities": (
            outputs(-c),
            label,
            -log_mean,
            log_mean + (c + lse_down + (M - 1) * math.log(K)) / M,
        ),
    }


def along(name):
    def sides(weight, M, K, c):
        outputs, values, ens, div = sequences(M, K, c)[name]
        expected = ens - (weight - 1) * div
        return objective(weight, outputs, values, **CASES[name]), expected

    return sides


def released_limit(weight, outputs, labels):
    classes = outputs.shape[-1]
    top = math.log(math.e + classes - 1)
    lowest = top - 1 - (weight - 1) * (top - math.log(classes) - 1 / classes)
    found = objective(weight, outputs, labels, average="released")
    return torch.full_like(found, lowest), found


chance = torch.Generator().manual_seed(draws_seed)
c = 100 * torch.rand(num_draws, generator=chance, dtype=torch.float64)
for name in ("squared error", "scores", "probabilities"):
    sizes = ((2, 2), (3, 10), (5, 7))
    beyond = [(weight, M, K, c) for weight in (1.1, 2) for M, K in sizes]
    theory.confirm(f"{name}: closed form", along(name), beyond)
weights = with_each((1.5, 10, 100))
theory.confirm(
    "released: its limit <= objective", released_limit, weights, relation="<="
)

c = torch.tensor([1.0, 10.0, 100.0, 1000.0], dtype=torch.float64)
print("\nβ = 1.1, M = 5, K = 7, at c = 1, 10, 100, 1000:")
for name in ("squared error", "scores", "probabilities"):
    falling = along(name)(1.1, 5, 7, c)[0]
    print(f"{name:14}", ", ".join(f"{value:.2f}" for value in falling.tolist()))

# %% [markdown]
# Does training find its way down? Here are runs like those of [the β sweep](beta_sweep.ipynb), with clean labels,
# half as long, and beyond both edges. The learning rate falls to a fifth after 40, 65 and 90 % of the epochs.

# %%
experiment = jointens.Experiment.from_namespace(globals())
results = jointens.run(experiment)  # trains what is not there yet

# %% mystnb={"figure": {"caption": "The objective and diversity on training data over the epochs, for $\\beta$ inside and outside of the interval from 0 to 1. A line for each run; three seeds. Just beyond 1 the objective falls below zero and diversity grows by orders of magnitude, slowed only by the falling learning rate. Further beyond, training breaks down.", "name": "fig-beyond"}, "image": {"alt": "Two panels over epochs with lines for each beta. Left, the objective on a symmetric logarithmic axis: for beta up to 1 it falls towards zero, for 1.02 far below zero, for 1.1 it swings between large values of either sign. Right, diversity on a logarithmic axis: it grows with beta, by orders of magnitude from 0.5 to 1 and from 1 to 1.02; at 1.1 it rises, falls and rises again."}}
figures.over_epochs(results)

# %%
history = (
    results.history().query("split == 'train'").drop(columns=["seed", "split"])
)
last = history[history.pop("epoch") == experiment.num_epochs].groupby("beta").mean()
last.round(3)

# %% [markdown]
# The table shows the last epoch, on training data. Just beyond 1 the ensemble is still right on nearly all of them,
# while each of its learners by itself does no better than guessing: collusion in its purest form, and the objective
# rewards it. With β a little larger the losses swing by powers of ten and training breaks down. A negative β does
# little harm: it asks the learners to agree, and takes away some of the little diversity that independent training
# has.

# %% tags=["nbval-check-output", "hide-input"]
for b in experiment.beta_vals:
    if b > 1 and 1 in last.index:
        explodes = not last.diversity[b] < 10 * last.diversity[1]  # or not finite
        print(f"β = {b:g}: diversity more than tenfold that of β = 1:", explodes)
    if b < 0 and 0 in last.index:
        shrinks = last.diversity[b] < last.diversity[0]
        print(f"β = {b:g}: less diversity than at β = 0:", shrinks)
if 1.02 in last.index and "accuracy" in last:
    print("β = 1.02: accuracy above 90 %:", last.accuracy[1.02] > 0.9)
    alone = last.individual_accuracy[1.02]
    print("β = 1.02: individual accuracy below 20 %:", alone < 0.2)

# %% [markdown]
# ## What one learning rate means
#
# The individual loss is a *mean* over learners. In the gradient of a learner's weights it leaves a factor $\frac1M$,
# and nothing makes up for it.
#
# :::{prf:theorem} A learner of M trains as if alone, at other rates
# :label: thm-rates
#
# Train $M$ learners on $\mathcal L^0 = \text{ind}$ by stochastic gradient descent with learning rate $\eta$, momentum
# $\mu$ and weight decay $w$. Each learner then takes the very steps that it would take alone, from the same initial
# weights on the same batches, with learning rate $\eta / M$ and weight decay $M w$.
#
# Trained on $M \cdot \text{ind}$, it takes those of learning rate $\eta$ and weight decay $w$, whatever $M$.
# :::
#
# :::{prf:proof}
# Let $g$ be the gradient of the learner's own loss at its weights $\theta$. In the ensemble the velocity is $v
# \leftarrow \mu v + \frac1M g + w\, \theta$, and $\theta \leftarrow \theta - \eta v$. With $V = M v$ this reads $V
# \leftarrow \mu V + g + M w\, \theta$ and $\theta \leftarrow \theta - \frac\eta M V$: a run alone at $\eta / M$ and
# $M w$. For $M \cdot \text{ind}$ the factor $\frac1M$ is gone.
# :::
#
# With five learners, rate 0.1 and decay 0.0005, the setting of the authors' sweep, the run at β = 0 *is* five solo
# runs at rate 0.02 and decay 0.0025.
#
# **Check.** The next cell trains both, in double precision, on digits; also
# {test}`training/test_trainer.py::test_a_learner_of_m_trains_as_if_alone_at_other_rates`.
#
# **Falsified by** initial weights and batches for which the two end at different weights.

# %% tags=["nbval-check-output"]
data = load_data("digits", seed=0, train_size=400).train
inputs, labels = data.inputs.double(), data.targets
batches = list(zip(inputs.split(64), labels.split(64), strict=True)) * 5
M = experiment.num_learners


def train(learners, rate, decay, factor=1.0, method=torch.optim.SGD, **how):
    """Train copies of the learners on factor · ind; gives weights (M, P)."""
    copies = copy.deepcopy(torch.nn.ModuleList(learners))
    steps = method(copies.parameters(), lr=rate, weight_decay=decay, **how)
    for inputs, classes in batches:
        ind = sum(cross_entropy(f(inputs), classes) for f in copies) / len(copies)
        steps.zero_grad()
        (factor * ind).backward()
        steps.step()
    return torch.stack(
        [parameters_to_vector(f.parameters()).detach() for f in copies]
    )


with torch.random.fork_rng():
    torch.manual_seed(draws_seed)
    fresh = [
        jointens.make_learner("MLP", (1, 8, 8), 10, hidden=[64, 64]).double()
        for _ in range(M)
    ]


def solo(rate, decay, **how):
    return torch.cat([train([learner], rate, decay, **how) for learner in fresh])


def on_ind():
    together = train(fresh, 0.1, 5e-4, momentum=0.9)
    return together, solo(0.1 / M, 5e-4 * M, momentum=0.9)


def on_m_times_ind():
    together = train(fresh, 0.1, 5e-4, factor=M, momentum=0.9)
    return together, solo(0.1, 5e-4, momentum=0.9)


theory.confirm("M together on ind, and alone at η/M and M w", on_ind, [()])
theory.confirm("M together on M · ind, and alone at η and w", on_m_times_ind, [()])

# %% [markdown]
# So a study over $M$ at one learning rate changes two things at once. The key `rate_per_learner: true` trains $M$
# times the objective, for every β, and makes sizes comparable. How much does it matter? β = 0, half the rate from
# above, a little weight decay, 20 epochs:

# %%
sizes = (1, 2, 5, 10)
keys = {"beta_vals": [0.0], "num_epochs": 20, "weight_decay": 5e-4, "tag": None}
keys["learning_rate"] = experiment.learning_rate / 2
setting = dataclasses.replace(experiment, **keys)


def trained(size, fair):
    keys = {"num_learners": size, "rate_per_learner": fair}
    return jointens.run(dataclasses.replace(setting, **keys))


comparison = {
    "same rate for every M": {size: trained(size, fair=False) for size in sizes},
    "rate_per_learner: true (M × the loss)": {
        size: trained(size, fair=True) for size in sizes
    },
}

# %% mystnb={"figure": {"caption": "Independent learners never meet, so how many of them train side by side should not matter to any of them. At the same learning rate for every $M$ (dashed) it does: the more they are, the slower each learns. With M times the loss (solid) it does not. Means over three seeds with 95 % t intervals.", "name": "fig-rates"}, "image": {"alt": "Individual test loss over the number of learners, 1 to 10. The dashed line for one rate rises steeply, the solid line for a rate per learner is flat."}}
figures.learners_alone(comparison)

# %% [markdown]
# *And across β?* For squared error, and in output space, the largest curvature is $\frac2M$ for all β from 0 to 1
# ({prf:ref}`thm-curvature`), so the largest stable rate is the same for all of them. In this sense, and if all
# learners respond alike, one rate treats all β alike. What differs is the curvature that brings a learner back to the
# others, $\frac2M (1 - \beta)$. Learners with responses of their own, as in {numref}`fig-flow`, change that, too:
# there a larger β allows a larger step. Whether the *best* rate is the same for all β is an empirical question, for
# networks and cross-entropy all the more, and a rate tuned at β = 0 cannot answer it; {cite:t}`webb2019joint` lowered
# theirs near the joint end.
#
# ## What was shown, and what was not
#
# **Shown:** $\mathcal L^\beta$ is an upper bound of the ensemble loss for β up to 1, and the same as older objectives
# under other names, with one exception that is easily overlooked (a penalty differentiated through the mean counts
# double). Above 1 it has no lower bound, and training finds its way down; except with the released average. An
# independent learner among $M$ trains as if alone, at a rate divided and a weight decay multiplied by $M$.
#
# **Not shown:** which β is best, or at which rate. The runs of this chapter are quick results, three seeds of small
# networks, and only illustrate what is proved. The names under which others use the objective were compared by their
# formulas; their experiments are their own.
#
# ## Exercises
#
# ::::{exercise}
# :label: ex-adam
#
# Adam divides the gradient by an estimate of its size. What are the solo runs that five learners at β = 0 are equal
# to, if trained by Adam with rate $\eta$, decay $w$ (added to the gradient) and stabiliser $\epsilon$?
# ::::
#
# :::{solution-start} ex-adam
# :class: dropdown
# :::
#
# The factor $\frac1M$ cancels in the ratio: the rate stays $\eta$. The decay still becomes $M w$, since it is added
# before the division, and $\epsilon$ becomes $M \epsilon$.


# %% tags=["nbval-check-output"]
def by_adam():
    together = train(fresh, 1e-3, 5e-4, method=torch.optim.Adam, eps=1e-8)
    how = {"method": torch.optim.Adam, "eps": 1e-8 * M}
    return together, solo(1e-3, 5e-4 * M, **how)


theory.confirm("Adam: alone at η, M w and M ε", by_adam, [()])

# %% [markdown]
# :::{solution-end}
# :::
#
# ::::{exercise}
# :label: ex-ncl
#
# Someone trains negative correlation learning with λ = 0.6 by summing the learners' penalised losses and calling
# `backward()`. What is being trained?
# ::::
#
# :::{solution-start} ex-ncl
# :class: dropdown
# :::
#
# Autograd differentiates through the mean, so this is β = 1.2, beyond joint training (the first remark after
# {prf:ref}`thm-names`). The loss falls for ever along the sequence of {prf:ref}`thm-unbounded`. It takes a `detach()`
# on the mean to get β = 0.6.

# %% tags=["nbval-check-output"]
outputs, values, *_ = sequences(5, 7, c)["squared error"]
summed = len(outputs) / 2 * through_the_mean(0.6, outputs, values)[0]
print("summed loss along the sequence:", summed.numpy().round(1))

# %% [markdown]
# :::{solution-end}
# :::
#
# ::::{exercise}
# :label: ex-released-beta
#
# With the released average and ten classes: for which β could the objective become negative at all?
# ::::
#
# :::{solution-start} ex-released-beta
# :class: dropdown
# :::
#
# Put the limit of {prf:ref}`thm-unbounded` to zero: at least that β is necessary. (The lowest loss and the largest
# diversity exclude each other, so it takes more.) It is far beyond what anyone would train with; next to nothing can
# be gained by diversity.

# %% tags=["nbval-check-output"]
top = math.log(math.e + 9)
print(f"only for β > {1 + (top - 1) / (top - math.log(10) - 0.1):.1f}")

# %% [markdown]
# :::{solution-end}
# :::
