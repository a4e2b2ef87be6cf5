# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What averaging gains
#
# **Question.** The average of a few networks is better than the networks are by themselves. By how much exactly, what
# is that amount made of, and can one know it without knowing the right answer?
#
# **In the paper.** Its objective is built on the decomposition of an ensemble's loss into individual loss and
# diversity. Here every form of it that the later chapters use is stated, proved, and confirmed by a cell. The
# derivations are this book's own where no source is named; none is quoted from the paper.
#
# ## Three numbers
#
# $M$ base learners give the outputs $f_1, \dots, f_M$ for one example with target $y$; the ensemble's output is $\bar
# f$, some average of theirs. A loss $\mathcal L$ judges both.
#
# :::{prf:definition} Individual loss, ensemble loss, diversity
# :label: def-diversity
#
# $$
# \begin{aligned}
# \text{ind} &= \frac1M \sum_{i=1}^M \mathcal L(f_i, y), \\
# \text{ens} &= \mathcal L(\bar f, y), \\
# \text{DIV} &= \text{ind} - \text{ens}.
# \end{aligned}
# $$
# :::
#
# So diversity *is* what averaging gains, by definition, whatever the loss. The definition says little as it stands.
# It becomes a tool when diversity has a formula of its own: one that shows when it is large, whether it can be
# negative, and whether it depends on the target. Each section below gives such a formula. The library computes
# diversity by these formulas and never as a difference, so that $\text{ens} = \text{ind} - \text{DIV}$ is a fact that
# a test can check. Everything is per example; over a data set, take means.
#
# The statements are tried on random outputs in double precision, as many as the next cell says.

# %% tags=["parameters"]
num_draws = 1000
draws_seed = 0

# %%
# %matplotlib inline
import math

import torch
from torch.func import jacrev, vmap
from torch.nn.functional import cross_entropy, one_hot

import jointens
from jointens import losses, theory
from jointens.reports import theory as figures

jointens.check_parameters(globals())
torch.set_default_dtype(torch.float64)


def cases(loss="cross_entropy", **how):
    """Outputs (M, B, K) and targets, for several M and K; num_draws in all."""
    return theory.draws(loss, count=num_draws, seed=draws_seed, **how)


def pick(values, labels):
    """Each example's own class: (..., K) and classes (...) to (...)."""
    index = labels.expand(values.shape[:-1]).unsqueeze(-1)
    return values.gather(-1, index).squeeze(-1)


# %% [markdown]
# ## Squared error
#
# Outputs are predictions in $\mathbb R^K$, $\mathcal L(f, y) = \lVert f - y \rVert^2$, and $\bar f = \frac1M \sum_i
# f_i$.
#
# :::{prf:theorem} Diversity of squared error is the variance of the learners
# :label: thm-squared-error
#
# $$
# \text{DIV} = \frac1M \sum_{i=1}^M \lVert f_i - \bar f \rVert^2 .
# $$
#
# It is never negative, and it does not depend on the target.
# :::
#
# :::{prf:proof}
# Write $f_i - y = (f_i - \bar f) + (\bar f - y)$ and expand the square:
#
# $$
# \begin{aligned}
# \lVert f_i - y \rVert^2 = {} & \lVert f_i - \bar f \rVert^2 + \lVert \bar f - y \rVert^2 \\
#   & + 2 (f_i - \bar f)^\top (\bar f - y) .
# \end{aligned}
# $$
#
# In the mean over $i$ the last term vanishes, because $\sum_i (f_i - \bar f) = 0$.
# :::
#
# This is the ambiguity decomposition of {cite:t}`krogh1995neural`.
#
# **Check.** The next cell, and {test}`losses/test_decomposition.py::test_squared_error_diversity_is_the_variance`.
#
# **Falsified by** any outputs and target where individual minus ensemble loss is not the variance of the learners.


# %% tags=["nbval-check-output"]
def squared_error(outputs, targets):
    ind = (outputs - targets).square().sum(-1).mean(0)
    ens = (outputs.mean(0) - targets).square().sum(-1)
    return ind - ens, outputs.var(0, correction=0).sum(-1)


theory.confirm("ind − ens is the variance", squared_error, cases("squared_error"))

# %% [markdown]
# ## Cross-entropy, scores averaged
#
# Now outputs are logits, the target is a class, and $p_i = \mathrm{softmax}(f_i)$. **Score averaging** takes the mean
# of the logits, $\bar f = \frac1M \sum_i f_i$, and $\bar p = \mathrm{softmax}(\bar f)$. The ensemble's probabilities
# are then the normalised geometric mean of its learners' probabilities.
#
# :::{prf:theorem} Diversity of averaged scores is a mean divergence from the ensemble
# :label: thm-scores
#
# With $\operatorname{lse}(f) = \log \sum_k e^{f_k}$,
#
# $$
# \begin{aligned}
# \text{DIV} &= \frac1M \sum_{i=1}^M \operatorname{lse}(f_i) - \operatorname{lse}(\bar f) \\
#             &= \frac1M \sum_{i=1}^M \mathrm{KL}(\bar p \,\Vert\, p_i) .
# \end{aligned}
# $$
#
# It is never negative, and it does not depend on the label.
# :::
#
# :::{prf:proof}
# Cross-entropy is $\mathcal L(f, y) = \operatorname{lse}(f) - f_y$. The second term is linear in $f$, so it is the
# same in ind and in ens and cancels; what remains is the first formula. For the second, $\log p_i = f_i -
# \operatorname{lse}(f_i)$ gives
#
# $$
# \begin{aligned}
# \mathrm{KL}(\bar p \,\Vert\, p_i) = {} & \sum_k \bar p_k \bigl( \bar f_k - f_{i,k} \bigr) \\
#   & - \operatorname{lse}(\bar f) + \operatorname{lse}(f_i),
# \end{aligned}
# $$
#
# and in the mean over $i$ the sum vanishes, because $\frac1M \sum_i f_i = \bar f$. A Kullback–Leibler divergence is
# never negative.
# :::
#
# **Check.** The next cell, and
# {test}`losses/test_decomposition.py::test_score_diversity_is_the_mean_kl_from_the_ensemble_and_not_negative`.
#
# **Falsified by** logits and a label where individual minus ensemble loss is not the mean divergence, or where
# another label changes it.


# %% tags=["nbval-check-output"]
def mean_kl(outputs, labels):
    log_p, log_p_bar = outputs.log_softmax(-1), outputs.mean(0).log_softmax(-1)
    kl = (log_p_bar.exp() * (log_p_bar - log_p)).sum(-1)  # (M, B)
    return gain(outputs, labels), kl.mean(0)


def gain(outputs, labels):
    """ind − ens, by torch's own cross-entropy, one learner after the other."""
    ind = torch.stack([cross_entropy(f, labels, reduction="none") for f in outputs])
    return ind.mean(0) - cross_entropy(outputs.mean(0), labels, reduction="none")


def other_label(outputs, labels):
    another = (labels + 1) % outputs.shape[-1]
    return gain(outputs, labels), gain(outputs, another)


theory.confirm("ind − ens is the mean divergence", mean_kl, cases())
theory.confirm("ind − ens does not know the label", other_label, cases())

# %% [markdown]
# ## Cross-entropy, probabilities averaged
#
# **Probability averaging** takes the mean of what comes out of the softmax, $\bar p = \frac1M \sum_i p_i$; the
# ensemble's loss is $-\log \bar p_y$.
#
# :::{prf:theorem} Diversity of averaged probabilities
# :label: thm-probabilities
#
# $$
# \text{DIV} = \frac1M \sum_{i=1}^M \log \frac{\bar p_y}{p_{i,y}} .
# $$
#
# It is never negative. It depends on the label.
# :::
#
# :::{prf:proof}
# The formula is the definition, with $\log \bar p_y$ taken into the mean. It is not negative because the logarithm is
# concave: the logarithm of the mean of $p_{1,y}, \dots, p_{M,y}$ is at least the mean of the logarithms (Jensen).
# That it depends on the label is shown by the example below.
# :::
#
# **Check.** The next two cells, and {test}`losses/test_decomposition.py::test_losses_are_those_of_torch` and
# {test}`theory/test_gradients.py::test_probability_diversity_depends_on_the_label`.
#
# **Falsified by** probabilities and a label where the mean of the log ratios is negative, or is not individual minus
# ensemble loss.


# %% tags=["nbval-check-output"]
def log_ratios(outputs, labels):
    p_y = pick(outputs.softmax(-1), labels)  # (M, B)
    ind, ens = -p_y.log().mean(0), -p_y.mean(0).log()
    parts = jointens.decompose(outputs, labels, average="probabilities")
    return ind - ens, parts.diversity


def not_negative(outputs, labels):
    return torch.zeros(len(labels)), log_ratios(outputs, labels)[0]


theory.confirm("ind − ens is the mean log ratio", log_ratios, cases())
theory.confirm("0 <= ind − ens", not_negative, cases(), relation="<=")

# %% [markdown]
# *Where the label matters.* Two learners give the first of three classes the same probability, and disagree about the
# other two. If the first class is right, averaging gains nothing; if not, it does. With score averaging the gain is
# the same for all labels.

# %% tags=["nbval-check-output"]
p = torch.tensor([[0.5, 0.4, 0.1], [0.5, 0.1, 0.4]])
for name in ("scores", "probabilities"):
    logits, every_label = (
        p.log().unsqueeze(1).expand(-1, 3, -1),
        torch.arange(3),
    )
    diversity = jointens.decompose(logits, every_label, average=name).diversity
    print(f"{name:14} if class 0, 1, 2 is right: {diversity.numpy().round(4)}")

# %% [markdown]
# *Where the two averages disagree.* One learner is nearly certain of class 0; two others lean towards class 1. The
# mean of the probabilities goes with the two. In the mean of the logits the one outvotes them, because its logit is
# so large. In score averaging, confidence has no upper limit.

# %% tags=["nbval-check-output"]
sure = torch.tensor([[0.9999, 0.0001], [0.2, 0.8], [0.2, 0.8]])
for name in ("scores", "probabilities"):
    output = jointens.ensemble_output(sure.log().unsqueeze(1), average=name)[0]
    print(
        f"{name:14} probability of class 0: {output.softmax(-1)[0]:.3f},",
        f"the ensemble says class {output.argmax()}",
    )

# %% [markdown]
# ## Any twice differentiable loss
#
# Both label-free cases have the shape of a variance. That is no accident.
#
# :::{prf:theorem} Second-order form
# :label: thm-second-order
#
# Let $\mathcal L(\cdot, y)$ be twice continuously differentiable and $\bar f = \frac1M \sum_i f_i$. For each learner
# there is a point $f^*_i$ on the segment from $\bar f$ to $f_i$ such that
#
# $$
# \text{DIV} = \frac1{2M} \sum_{i=1}^M d_i^\top\, \nabla^2 \mathcal L(f^*_i, y)\, d_i, \quad d_i = f_i - \bar f .
# $$
#
# If the loss is convex, diversity is never negative.
# :::
#
# :::{prf:proof}
# Taylor's theorem with Lagrange's remainder, along the segment from $\bar f$ to $f_i$:
#
# $$
# \begin{aligned}
# \mathcal L(f_i, y) = {} & \mathcal L(\bar f, y) + \nabla \mathcal L(\bar f, y)^\top d_i \\
#   & + \tfrac12\, d_i^\top \nabla^2 \mathcal L(f^*_i, y)\, d_i .
# \end{aligned}
# $$
#
# In the mean over $i$ the first-order terms add up to zero, because $\sum_i d_i = 0$. A convex loss has a
# positive semidefinite Hessian.
# :::
#
# Diversity is thus the spread of the learners, measured by the curvature of the loss. For squared error the Hessian
# is $2I$ everywhere, and {prf:ref}`thm-squared-error` is back. For scores it does not depend on the label, and
# neither does diversity. In general the curvature sits at points in between, which depend on $y$.
# {cite:t}`buschjager2020generalized` have this form, too.
#
# The theorem only promises the points $f^*_i$. The check goes and finds them: along each segment `second_order` looks
# for the place where the second-order term is exactly what the first-order expansion leaves over. What is averaged
# must be what the loss is a function of. For scores these are the logits; for averaged probabilities they are the
# probabilities, with $\mathcal L(p, y) = -\log p_y$. ("Released" is a third average; it comes with
# {prf:ref}`thm-released`.)
#
# **Check.** The next cell, and {test}`theory/test_gradients.py::test_second_order_form_holds_at_the_points_found`.
#
# **Falsified by** a twice differentiable loss, outputs and a target where no point of the segment gives the
# remainder.


# %% tags=["nbval-check-output"]
def nll_of_scores(f, labels):
    return f.logsumexp(-1) - pick(f, labels)


def nll_of_probabilities(p, labels):
    return -pick(p, labels).log()


def log_cosh(f, y):
    return (f - y).cosh().log().sum(-1)


def quadratic_form(loss, transform=torch.clone):
    hessian_of_all = vmap(vmap(jacrev(jacrev(loss))), in_dims=(0, None))

    def sides(outputs, targets):
        f = transform(outputs)  # what is averaged
        mean, found = f.mean(0), theory.second_order(loss, f, targets)
        assert ((found.positions >= 0) & (found.positions <= 1)).all()
        hessians = hessian_of_all(found.points, targets)  # at f*: (M, B, K, K)
        d = f - mean
        form = torch.einsum("mbk,mbkl,mbl->b", d, hessians, d) / (2 * len(f))
        return loss(f, targets).mean(0) - loss(mean, targets), form

    return sides


softmax = torch.nn.Softmax(-1)
theory.confirm("scores", quadratic_form(nll_of_scores), cases())
theory.confirm(
    "probabilities", quadratic_form(nll_of_probabilities, softmax), cases()
)
theory.confirm("released", quadratic_form(nll_of_scores, softmax), cases())
theory.confirm("log-cosh", quadratic_form(log_cosh), cases("squared_error"))

# %% [markdown]
# ## Bregman losses and the average that fits
#
# Why is diversity label-free for averaged scores and not for averaged probabilities, although the loss is the same?
# {cite:t}`wood2023unified` give the answer: each of these losses has *one* average that fits it. Let $\varphi$ be
# differentiable and strictly convex on a convex set, and
#
# $$
# D(y, q) = \varphi(y) - \varphi(q) - \nabla\varphi(q)^\top (y - q)
# $$
#
# its Bregman divergence, used as a loss of the prediction $q$ for the target $y$. Squared error is one ($\varphi(q) =
# \lVert q \rVert^2$); Kullback and Leibler's divergence another (negative entropy; for a one-hot $y$ it *is*
# cross-entropy); so are the deviances of Poisson and gamma regression.
#
# :::{prf:theorem} The right combiner of a Bregman loss
# :label: thm-bregman
#
# Let $\bar q$ be a prediction with $\nabla\varphi(\bar q) = \frac1M \sum_i \nabla\varphi(q_i)$; where targets and
# predictions are probabilities, up to the same constant in every coordinate. Then
#
# $$
# \text{DIV} = \frac1M \sum_{i=1}^M D(\bar q, q_i),
# $$
#
# which is never negative and does not depend on the target.
# :::
#
# :::{prf:proof}
# For any three points,
#
# $$
# \begin{aligned}
# &D(y, q_i) - D(y, \bar q) - D(\bar q, q_i) \\
# &\quad = \bigl( \nabla\varphi(\bar q) - \nabla\varphi(q_i) \bigr)^\top (y - \bar q),
# \end{aligned}
# $$
#
# as one sees by writing out the left side. In the mean over $i$ the right side is zero, by the definition of $\bar
# q$. For probabilities it is a constant times the sum of the coordinates of $y - \bar q$, which is zero. A Bregman
# divergence of a convex $\varphi$ is never negative.
# :::
#
# Each divergence has its own average, which `jointens.bregman_mean` computes; `jointens.decompose_bregman` gives the
# three parts:
#
# | loss | $D(y, q)$, summed over the outputs | $\nabla\varphi(q)$ | average that fits |
# |---|---|---|---|
# | squared error | $(y - q)^2$ | $2q$ | arithmetic mean |
# | Kullback–Leibler, of probabilities | $y \log \frac yq$ | $1 + \log q$ | normalised geometric mean: score averaging |
# | Poisson, of rates | $y \log \frac yq - y + q$ | $\log q$ | geometric mean |
# | Itakura–Saito (gamma) | $\frac yq - \log \frac yq - 1$ | $-\frac1q$ | harmonic mean |
#
# **Check.** The next cell, {test}`losses/test_bregman.py::test_bregman_ensemble_is_individual_minus_diversity` and
# {test}`losses/test_bregman.py::test_each_divergence_has_its_mean`.
#
# **Falsified by** a Bregman loss, predictions and a target where the identity fails although the combiner is the
# right one.


# %% tags=["nbval-check-output"]
DOMAIN = {  # from any numbers to where the divergence is defined
    "squared_error": torch.clone,
    "kl": torch.nn.Softmax(-1),
    "poisson": torch.exp,
    "itakura_saito": torch.exp,
}


def identity(name):
    def sides(outputs, values):
        q, y = DOMAIN[name](outputs), DOMAIN[name](values)
        parts = jointens.decompose_bregman(q, y, divergence=name)
        return parts.ensemble, parts.individual - parts.diversity

    return sides


def kl_is_cross_entropy(outputs, labels):
    one_hot_labels = one_hot(labels, outputs.shape[-1])
    parts = jointens.decompose_bregman(outputs.softmax(-1), one_hot_labels)
    scores = jointens.decompose(outputs, labels, average="scores")
    return torch.stack(parts), torch.stack(scores)


for name in losses.DIVERGENCES:
    theory.confirm(name, identity(name), cases("squared_error", scale=1.0))
theory.confirm("kl is cross-entropy of scores", kl_is_cross_entropy, cases())

# %% [markdown]
# *With the wrong average* the identity keeps a term with the target in it, and diversity may even be negative:
# averaging makes things *worse* than the learners are in the mean. Two learners predict the positive numbers 1 and 9,
# and the loss is Itakura and Saito's:

# %% tags=["nbval-check-output"]
divergence = losses.DIVERGENCES["itakura_saito"]
q = torch.tensor([1.0, 9.0]).view(2, 1, 1)
means = {
    "arithmetic": q.mean(0),
    "harmonic": jointens.bregman_mean(q, divergence="itakura_saito"),
}
for target in (0.5, 5.0):
    y = torch.tensor([[target]])
    for name, mean in means.items():
        gained = divergence(y, q).mean() - divergence(y, mean)[0]
        told = f"the {name} mean, {mean.item():.1f}, gains {gained:+.3f}"
        print(f"target {target}: {told}")

# %% [markdown]
# ## The average of the published sweep
#
# Whoever runs the authors' code for the β sweep gets a third average, whatever its configuration says
# ([decisions](../book/decisions.md)): the softmax outputs are averaged, and the result goes into cross-entropy *as if
# it were a vector of logits*. Softmax is taken twice. A learner's own loss goes the same way. This book calls it
# `released`, and offers it so that numbers from that code can be reproduced.
#
# A vector of probabilities makes poor logits: its entries differ by at most 1. That limits everything.
#
# :::{prf:theorem} Limits of the released loss
# :label: thm-released
#
# Let $q$ be a vector of $K \ge 2$ probabilities and $\mathcal L(q, y) = \operatorname{lse}(q) - q_y$. Then
#
# $$
# \log(e + K - 1) - 1 \;\le\; \mathcal L(q, y) \;\le\; \log(e + K - 1),
# $$
#
# for learners and for the ensemble. And for any learners,
#
# $$
# 0 \;\le\; \text{DIV} \;\le\; \log(e + K - 1) - \log K - \tfrac1K .
# $$
#
# The bounds of the loss are attained at vertices of the simplex, that of diversity if $M$ is a multiple of $K$. (A
# softmax comes as near to a vertex as one likes.)
# :::
#
# :::{prf:proof}
# $\operatorname{lse}$ is convex and symmetric. On the simplex it is therefore largest at a vertex,
# $\operatorname{lse}(e_k) = \log(e + K - 1)$, and smallest at the centre, $\operatorname{lse}(\mathbf 1/K) = \log K +
# \frac1K$.
#
# *Loss.* From above: $\mathcal L \le \operatorname{lse}(q) \le \log(e + K - 1)$, attained at any wrong vertex. From
# below: $\mathcal L$ is convex in $q$ with gradient $\mathrm{softmax}(q) - e_y$. At $q = e_y$ the gradient's entry
# $y$ is negative, all others are equal and positive; so moving from $e_y$ into the simplex, which lowers entry $y$
# and raises others by as much, raises $\mathcal L$ to first order, and by convexity altogether. Its minimum is
# $\mathcal L(e_y, y) = \log(e + K - 1) - 1$.
#
# *Diversity.* As in {prf:ref}`thm-scores`, with $q_i$ in the place of the logits, $\text{DIV} = \frac1M \sum_i
# \operatorname{lse}(q_i) - \operatorname{lse}(\bar q)$: at most the largest value of $\operatorname{lse}$ minus its
# smallest. Learners that are certain, as many of each class, attain it.
# :::
#
# **Check.** The next cell, and {test}`theory/test_gradients.py::test_released_loss_and_diversity_stay_within_their_limits`.
#
# **Falsified by** logits and a label where the released loss or its diversity leaves the interval, or by extremes
# that do not reach its ends.


# %% tags=["nbval-check-output"]
def limits(num_classes):
    """The lowest and the highest loss, and the largest diversity."""
    top = math.log(math.e + num_classes - 1)
    return top - 1, top, top - math.log(num_classes) - 1 / num_classes


def within(outputs, labels):
    ind, ens, div = released(outputs, labels)
    low, high, most = limits(outputs.shape[-1])
    found = torch.stack([-ind, -ens, ind, ens, -div, div])
    allowed = torch.tensor([-low, -low, high, high, 0.0, most])
    return found, allowed.unsqueeze(-1).expand_as(found)


def released(outputs, labels):
    return jointens.decompose(outputs, labels, average="released")


def attained(num_classes):
    """A certain learner, right and wrong; K learners, each certain of its class."""
    certain = 1e3 * torch.eye(num_classes).unsqueeze(1)
    right, wrong = torch.tensor([0]), torch.tensor([1])
    lowest = released(certain[:1], right).ensemble
    highest = released(certain[:1], wrong).ensemble
    most = released(certain, right).diversity
    return torch.cat([lowest, highest, most]), torch.tensor(limits(num_classes))


theory.confirm("released: within the limits", within, cases(), relation="<=")
theory.confirm("released: limits attained", attained, [(2,), (10,), (100,)])

# %% tags=["nbval-check-output"]
for num_classes in (10, 100):
    low, high, most = limits(num_classes)
    print(f"{num_classes:3} classes: loss from {low:.3f} to {high:.3f},", end=" ")
    print(f"diversity at most {most:.4f}")

# %% [markdown]
# With this average diversity cannot explode: there is no room for it. Individual and ensemble loss are never further
# apart than the diversity bound above, so $\mathcal L^\beta$ is nearly the same function for every β between 0 and 1.
# It does not follow that training with it is the same for every β: gradients can differ where values hardly do, and
# accuracy has no such limit. Whether the paper's published figures come from this code is not known.
#
# {numref}`fig-three-averages` sets the three side by side: two learners that disagree more and more.

# %% mystnb={"figure": {"caption": "Diversity of two learners that are ever more certain of two different classes. Left: the label is one of the two. Right: the label is a third class, about which they agree. Diversity of averaged scores grows without limit and does not see the label; that of averaged probabilities does see it; the released average has next to none.", "name": "fig-three-averages"}, "image": {"alt": "Two panels of diversity over the logit d. Left: the lines for score and probability averaging rise together, the one for the released average stays near zero. Right: the line for scores is the same, that for probabilities is zero."}}
figures.diversity_over_distance()

# %% [markdown]
# ## What was shown, and what was not
#
# **Shown**, proved and confirmed to $10^{-10}$: what averaging gains is the learners' variance for squared error, a
# mean divergence from the ensemble for averaged scores, a mean log ratio for averaged probabilities; in general their
# spread measured by the loss's curvature. It is label-free for every Bregman loss with the average that fits it. The
# released average has a loss that cannot fall below 1.461 for ten classes or 3.622 for a hundred, and next to no
# diversity.
#
# **Not shown:** that diversity is good. It is what averaging gains *given* the learners; it says nothing about what
# the learners paid for it. Both sides of $\text{ens} = \text{ind} - \text{DIV}$ can grow together, and that is the
# matter of [the next chapter](collusion.ipynb).
#
# ## Exercises
#
# ::::{exercise}
# :label: ex-two-learners
#
# Two learners predict 0 and 2 for a number. For which targets is the ensemble better than *both* of its learners? How
# large is diversity there, and elsewhere?
# ::::
#
# :::{solution-start} ex-two-learners
# :class: dropdown
# :::
#
# The ensemble predicts 1, and diversity is the variance, 1, for every target. The ensemble beats the better learner
# when $(1 - y)^2 < \min(y^2, (2-y)^2)$, that is for $\frac12 < y < \frac32$. So diversity says what averaging gains
# over the *mean* learner, never over the best one.

# %% tags=["nbval-check-output"]
y = torch.linspace(-1, 3, 401)
two = torch.tensor([0.0, 2.0]).view(2, 1, 1).expand(2, len(y), 1)
parts = jointens.decompose(two, y, loss="squared_error")
best = (two[..., 0] - y).square().min(0).values
better = y[parts.ensemble < best - 1e-12]
print(
    f"better than both from {better.min():.2f} to {better.max():.2f},",
    "in steps of 0.01",
)
print(f"diversity from {parts.diversity.min():.2f} to {parts.diversity.max():.2f}")

# %% [markdown]
# :::{solution-end}
# :::
#
# ::::{exercise}
# :label: ex-geometric
#
# Show that no average of probabilities other than the normalised geometric mean makes diversity of cross-entropy
# label-free. Try it: search for the best label-free average of two learners numerically.
# ::::
#
# :::{solution-start} ex-geometric
# :class: dropdown
# :::
#
# Individual minus ensemble loss is $\log \bar p_y - \frac1M \sum_i \log p_{i,y}$. It is the same number $c$ for each
# $y$ if and only if $\bar p_y = e^c \prod_i p_{i,y}^{1/M}$, and since the $\bar p_y$ add up to 1, $e^c$ is the
# constant that normalises. The search below minimises how much diversity varies over the labels, and ends there.

# %% tags=["nbval-check-output"]
p = torch.tensor([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]])
free = torch.zeros(3, requires_grad=True)
search = torch.optim.LBFGS(
    [free], max_iter=200, tolerance_grad=1e-14, tolerance_change=1e-16
)


def variation():
    search.zero_grad()
    gains = free.log_softmax(-1) - p.log().mean(0)  # for each label
    gains.var().backward()
    return gains.var()


search.step(variation)
print("found:         ", free.softmax(-1).detach().numpy().round(4))
print("geometric mean:", p.log().mean(0).softmax(-1).numpy().round(4))

# %% [markdown]
# :::{solution-end}
# :::
#
# ::::{exercise}
# :label: ex-certain
#
# How many learners does it take to reach the limit of {prf:ref}`thm-released` for ten classes? How close do five
# learners come, as in the published sweep?
# ::::
#
# :::{solution-start} ex-certain
# :class: dropdown
# :::
#
# The limit needs $\bar q$ to be the centre and every $q_i$ a vertex, so a multiple of ten learners. With five, each
# certain of a class of its own, $\bar q$ has one fifth on each of five classes, and diversity is $\log(e + 9) -
# \operatorname{lse}(\bar q)$: nine tenths of the limit.

# %% tags=["nbval-check-output"]
for num_learners in (2, 5, 10):
    certain = 1e3 * torch.eye(10)[:num_learners].unsqueeze(1)
    reached = released(certain, torch.tensor([0])).diversity
    print(f"{num_learners:2} learners: {reached.item():.4f}")

# %% [markdown]
# :::{solution-end}
# :::
