# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Collusion
#
# **Question.** When only the loss of the average counts, what are the base learners free to do? And is there anything
# that makes them do it?
#
# **In the paper.** It calls what happens *learner collusion*. Its code draws a picture of it: four learners of which
# two are pushed apart by opposite arrows while their average stays. This chapter redraws that picture, says what the
# moves cost, what each learner feels, and where the learners end. The formulas are derived here and were not read in
# the paper.
#
# The words are those of [the chapter before](decomposition.ipynb): individual loss ind, ensemble loss ens, diversity
# $\text{DIV} = \text{ind} - \text{ens}$. Training minimises
#
# $$
# \begin{aligned}
# \mathcal L^\beta &= \text{ind} - \beta\, \text{DIV} \\
#   &= (1 - \beta)\, \text{ind} + \beta\, \text{ens}.
# \end{aligned}
# $$
#
# β = 0 is independent, β = 1 is joint training.

# %% tags=["parameters"]
num_draws = 1000
draws_seed = 0
beta_vals = [0.0, 0.9, 1.0, 1.1]  # of the toy

# %%
# %matplotlib inline
import torch
from IPython.display import SVG

import jointens
from jointens import theory
from jointens.common import generator
from jointens.reports import flow_slider
from jointens.reports import theory as figures

jointens.check_parameters(globals())
torch.set_default_dtype(torch.float64)

objective = jointens.joint_objective
CASES = {  # name: loss and average
    "squared error": {"loss": "squared_error"},
    "scores": {"average": "scores"},
    "probabilities": {"average": "probabilities"},
    "released": {"average": "released"},
}
BETAS = (-0.5, 0.0, 0.3, 1.0, 1.5)


def cases(loss="cross_entropy", **how):
    """Outputs (M, B, K) and targets, for several M and K; num_draws in all."""
    return theory.draws(loss, **{"count": num_draws, "seed": draws_seed, **how})


def with_each(betas, name, **how):
    """A β before each case."""
    kind = CASES[name].get("loss", "cross_entropy")
    return ((beta, *case) for beta in betas for case in cases(kind, **how))


# %% [markdown]
# ## Moves that cancel
#
# :::{prf:definition} Zero-sum move
# :label: def-zero-sum
#
# A change of the learners' outputs from $f_i$ to $f_i + \delta_i$ with $\sum_i \delta_i = 0$. The learners
# **collude** when they make such moves and raise their individual loss by it, while the ensemble does not notice.
# :::
#
# Where the ensemble is the mean of the outputs, as for squared error and averaged scores, it does not notice such a
# move.
#
# :::{prf:theorem} The price of a zero-sum move
# :label: thm-zero-sum
#
# Let $\bar f = \frac1M \sum_i f_i$. For any loss, a zero-sum move changes
#
# $$
# \begin{aligned}
# \Delta\, \text{ens} &= 0, \\
# \Delta\, \text{DIV} &= \Delta\, \text{ind}, \\
# \Delta \mathcal L^\beta &= (1 - \beta)\, \Delta\, \text{ind}.
# \end{aligned}
# $$
#
# For squared error, pushing two learners apart, $f_i + \delta$ and $f_j - \delta$, costs
#
# $$
# \Delta\, \text{ind} = \tfrac2M \bigl[\, \delta^\top (f_i - f_j) + \lVert \delta \rVert^2 \,\bigr].
# $$
# :::
#
# :::{prf:proof}
# $\bar f$ stays, and with it ens. The other two follow from $\text{DIV} = \text{ind} - \text{ens}$ and the definition
# of $\mathcal L^\beta$. For squared error expand $\lVert f_i + \delta - y \rVert^2 + \lVert f_j - \delta - y
# \rVert^2$; what is new is $2\delta^\top (f_i - y) - 2 \delta^\top (f_j - y) + 2 \lVert \delta \rVert^2$, and ind has
# a factor $\frac1M$.
# :::
#
# At β = 0 a learner pays for leaving its place. At β = 0.9 it pays a tenth. At β = 1 the move is free, and beyond it
# is rewarded.
#
# **Check.** The next cell, and {test}`theory/test_gradients.py::test_a_zero_sum_move_costs_what_it_takes_from_the_learners`.
#
# **Falsified by** a zero-sum move that changes the ensemble loss, or costs other than $(1-\beta)$ times what it adds
# to the individual loss.

# %% tags=["nbval-check-output"]
chance = generator(draws_seed, "moves")


def price(how):
    def sides(beta, outputs, targets):
        moves = torch.randn(outputs.shape, generator=chance)
        moved = outputs + moves - moves.mean(0)
        before = jointens.decompose(outputs, targets, **how)
        after = jointens.decompose(moved, targets, **how)
        paid = objective(after, beta) - objective(before, beta)
        return paid, (1 - beta) * (after.individual - before.individual)

    return sides


def pushed_apart(outputs, targets):
    delta = torch.randn(outputs.shape[1:], generator=chance)
    moved = outputs.clone()
    moved[0] += delta
    moved[1] -= delta
    before = jointens.decompose(outputs, targets, loss="squared_error")
    after = jointens.decompose(moved, targets, loss="squared_error")
    apart = outputs[0] - outputs[1]
    price = 2 / len(outputs) * (delta * apart + delta.square()).sum(-1)
    return after.individual - before.individual, price


for name in ("squared error", "scores"):
    every_beta = with_each(BETAS, name)
    statement = f"{name}: Δ objective = (1 − β) Δ ind"
    theory.confirm(statement, price(CASES[name]), every_beta)
pairs = cases("squared_error", sizes=[(2, 2), (3, 10), (5, 7)])
theory.confirm("two learners pushed apart", pushed_apart, pairs)

# %% [markdown]
# The paper's picture, drawn from code:

# %% mystnb={"figure": {"caption": "Collusion: two of four base learners move in opposite directions (arrows, from the hollow circles). Their average stays where it was, and with it the loss of the ensemble.", "name": "fig-collusion"}, "image": {"alt": "Four grey points in the plane. Two have been moved away from the middle by arrows of equal length and opposite direction. A blue square between all four marks their average."}}
places = torch.tensor([[-1.0, -0.6], [0.9, -0.8], [-0.7, 0.9], [0.8, 0.7]])
push = torch.tensor([0.7, 0.45])
moves = torch.stack([-push, 0 * push, 0 * push, push])
SVG(figures.svg(figures.collusion(places, moves)))

# %% [markdown]
# With probability averaging the same holds for zero-sum moves of the *probabilities*: $\bar p$ stays, and diversity
# grows by what the individual loss grows.
#
# ## What a learner feels
#
# A move that is free need not be made. What does gradient descent ask each learner to do?
#
# :::{prf:theorem} The gradient of the objective in a learner's output
# :label: thm-gradient
#
# With $p_i = \mathrm{softmax}(f_i)$, $e_y$ the one-hot vector of the label and $\bar p$ the ensemble's probabilities,
# $\partial \mathcal L^\beta / \partial f_i$ is
#
# $$
# \begin{aligned}
# &\text{squared error:} \\ &\quad \tfrac2M \bigl[ (1-\beta)(f_i - y) + \beta (\bar f - y) \bigr] \\
# &\text{scores:} \\ &\quad \tfrac1M \bigl[ (1-\beta)(p_i - e_y) + \beta (\bar p - e_y) \bigr] \\
# &\text{probabilities:} \\ &\quad \tfrac1M \bigl[ (1-\beta) + \beta\, p_{i,y} / \bar p_y \bigr] (p_i - e_y) \\
# &\text{released:} \\ &\quad \tfrac1M J_i \bigl[ (1-\beta)(s(p_i) - e_y) + \beta (s(\bar p) - e_y) \bigr]
# \end{aligned}
# $$
#
# where $s$ is softmax and $J_i = \mathrm{diag}(p_i) - p_i p_i^\top$ its derivative at $f_i$.
# :::
#
# :::{prf:proof}
# The gradient of cross-entropy in the logits is $s(f) - e_y$; of squared error, $2(f - y)$. In ind each learner
# appears in its own term, with weight $\frac1M$. In ens it appears through the mean, and $\partial \bar f / \partial
# f_i = \frac1M I$. For probabilities,
#
# $$
# \begin{aligned}
# \frac{\partial}{\partial f_i} (-\log \bar p_y) &= -\frac1{\bar p_y} \frac1M \frac{\partial p_{i,y}}{\partial f_i} \\
#   &= \frac1M \frac{p_{i,y}}{\bar p_y} (p_i - e_y),
# \end{aligned}
# $$
#
# since $\partial p_{i,y} / \partial f_i = p_{i,y} (e_y - p_i)$. The released average is score averaging with $p_i$ in
# the place of the logits; the chain rule brings $J_i$.
# :::
#
# **Check.** The next cell, automatic differentiation against these formulas, and
# {test}`theory/test_gradients.py::test_gradients_are_the_closed_forms`.
#
# **Falsified by** outputs, a target and a β where automatic differentiation gives another gradient.


# %% tags=["nbval-check-output"]
def two_gradients(how):
    def sides(beta, outputs, targets):
        outputs = outputs.clone().requires_grad_()
        parts = jointens.decompose(outputs, targets, **how)
        objective(parts, beta).sum().backward()
        closed_form = theory.output_gradient(outputs.detach(), targets, beta, **how)
        return outputs.grad, closed_form

    return sides


def all_the_same(outputs, targets):
    gradient = two_gradients(CASES["scores"])(1.0, outputs, targets)[0]
    return gradient, gradient[:1].expand_as(gradient)


for name, how in CASES.items():
    theory.confirm(f"{name}: gradient", two_gradients(how), with_each(BETAS, name))
theory.confirm("scores, β = 1: all gradients alike", all_the_same, cases())

# %% [markdown]
# Read the formulas at β = 1.
#
# *Squared error and scores:* every learner receives the *same* gradient, that of the ensemble. A learner that is
# right and one that is wrong are asked for the same step; none feels its own error. Nothing pulls the learners back
# to the target, one by one.
#
# *Probabilities:* learner $i$ receives its own gradient, times its share $p_{i,y} / \bar p_y$ of the credit. A
# learner that gives the right class a tenth of what the ensemble gives it is pulled a tenth as hard. The weak starve,
# and the strong are the ensemble. This is another mechanism with a similar end.
#
# *Released:* whatever the two parts ask for is passed through $J_i$, which vanishes for a learner that is certain of
# anything. Whoever is certain and wrong is hardly pulled, at every β.

# %% mystnb={"figure": {"caption": "How hard the objective pulls each of five learners on one example, over the probability that the learner gives to the right class. With averaged scores or probabilities, at $\\beta = 0$ (circles), the worst learner is pulled hardest. At $\\beta = 1$ (triangles) all are pulled alike if scores are averaged, and the worst least if probabilities are. With the released average the worst are hardly pulled at any $\\beta$.", "name": "fig-gradients"}, "image": {"alt": "Three panels, for score, probability and released averaging, of the length of the gradient over a learner's probability of the right class, with a line for each of beta 0, 0.5 and 1."}}
logits = torch.zeros(5, 4)
logits[:, 0] = torch.tensor([-4.0, -2.0, 0.0, 2.0, 4.0])  # of the right class
logits[:, 1] = 1.0
figures.gradients(logits, target=0)

# %% [markdown]
# ## Flat directions
#
# The second derivative says what it costs to be elsewhere. Take the outputs of all learners on one example as one
# vector of $MK$ numbers.
#
# :::{prf:theorem} Curvature of the objective
# :label: thm-curvature
#
# *Squared error.* The Hessian of $\mathcal L^\beta$ has the eigenvalue $\frac2M$ in the $K$ directions where all
# learners move alike, and $\frac2M (1-\beta)$ in the $(M-1)K$ zero-sum directions.
#
# *Cross-entropy, averaged scores.* At β = 1 all $(M-1)K$ zero-sum directions are flat; the eigenvalues are $\frac1M$
# times those of $\bar H = \mathrm{diag}(\bar p) - \bar p \bar p^\top$, and zeros: $MK - (K-1)$ in all. For $0 \le
# \beta < 1$ exactly $M$ directions are flat: those that add a constant to all logits of a learner and change no
# probability.
# :::
#
# :::{prf:proof}
# The Hessian of ind is block diagonal, with blocks $\frac1M H_i$, $H_i = \nabla^2 \mathcal L(f_i, y)$. That of ens
# has the block $\frac1{M^2} \bar H$ in every place, $\bar H = \nabla^2 \mathcal L(\bar f, y)$. So for a direction $v
# = (v_1, \dots, v_M)$
#
# $$
# \begin{aligned}
# v^\top \nabla^2 \mathcal L^\beta\, v &= \frac{1-\beta}M \sum_i v_i^\top H_i v_i + \beta\, \bar v^\top \bar H \bar v, \\
# \bar v &= \frac1M \sum_i v_i .
# \end{aligned}
# $$
#
# For squared error all $H_i = \bar H = 2I$. A direction where all move alike, $v_i = \bar v$, has the eigenvalue
# $\frac2M (1 - \beta) + \frac2M \beta$; a zero-sum direction, $\bar v = 0$, only the first part.
#
# For scores, $H_i = \mathrm{diag}(p_i) - p_i p_i^\top$ is positive semidefinite, and since every $p_{i,k} > 0$ it
# vanishes on $\mathbf 1$ alone. At β = 1 only $\bar v^\top \bar H \bar v$ is left: the eigenvectors $v_i = u$ with
# $\bar H u = h u$ have eigenvalue $\frac hM$, one of them zero, and zero-sum directions add $(M-1)K$ zeros. For $0
# \le \beta < 1$ both parts are non-negative, so a flat direction needs $v_i^\top H_i v_i = 0$ for each $i$, that is
# $v_i \in \operatorname{span}(\mathbf 1)$; and on those the second part vanishes, too.
# :::
#
# **Check.** The next cell, and {test}`theory/test_gradients.py::test_curvature_of_squared_error` and
# {test}`theory/test_gradients.py::test_curvature_of_averaged_scores`.
#
# **Falsified by** outputs at which the Hessian has other eigenvalues than these, or another number of zeros.


# %% tags=["nbval-check-output"]
def of_squared_error(beta, outputs, targets):
    num_learners, _, num_outputs = outputs.shape
    alike, zero_sum = 2 / num_learners, 2 / num_learners * (1 - beta)
    expected = [zero_sum] * (num_learners - 1) * num_outputs + [alike] * num_outputs
    found = theory.output_curvature(outputs, targets, beta, loss="squared_error")
    return found, torch.tensor(sorted(expected)).expand_as(found)


def of_joint_scores(outputs, labels):
    p_bar = outputs.mean(0).softmax(-1)
    h_bar = torch.diag_embed(p_bar) - p_bar.unsqueeze(-1) * p_bar.unsqueeze(-2)
    expected = torch.linalg.eigvalsh(h_bar) / len(
        outputs
    )  # (B, K), ascending from 0
    zeros = torch.zeros(len(p_bar), (len(outputs) - 1) * outputs.shape[-1])
    found = theory.output_curvature(outputs, labels, 1.0)
    return found, torch.cat([zeros, expected], -1)


few = {"sizes": [(2, 3), (3, 4), (5, 7)], "count": 30, "scale": 1.0}
every_beta = with_each(BETAS, "squared error", **few)
theory.confirm("squared error: eigenvalues", of_squared_error, every_beta)
theory.confirm("scores, β = 1: eigenvalues", of_joint_scores, cases(**few))

# %% [markdown]
# Counted for five learners and seven classes, at random outputs:

# %% tags=["nbval-check-output"]
(outputs, labels), *_ = cases(sizes=[(5, 7)], count=20, scale=1.0)
for beta in (0.0, 0.5, 0.9, 1.0, 1.1):
    eigenvalues = theory.output_curvature(outputs, labels, beta)
    (flat,) = (eigenvalues.abs() < 1e-10).sum(-1).unique().tolist()  # in every draw
    (falling,) = (eigenvalues <= -1e-10).sum(-1).unique().tolist()
    size = eigenvalues.shape[-1]
    print(f"β = {beta}: of {size} directions {flat:2} flat, {falling:2} downwards")

# %% mystnb={"figure": {"caption": "All eigenvalues of the Hessian over $\\beta$, for one random example. Left: the curvature of the zero-sum directions falls as $1 - \\beta$, that of the directions in which all move alike stays. Right: most eigenvalues meet at zero at $\\beta = 1$ (dotted), where all zero-sum directions are flat, and are negative beyond; $M$ of them are zero for every $\\beta$.", "name": "fig-curvature"}, "image": {"alt": "Two panels of eigenvalues over beta from minus 0.5 to 1.5. For squared error two straight lines, one constant and one falling through zero at beta 1. For averaged scores many lines, most of which meet at zero at beta 1 and become negative beyond."}}
example, label = outputs[:, :1], labels[:1]
grid = torch.linspace(-0.5, 1.5, 41).tolist()
centre = {"squared_error": torch.zeros_like(example[0]), "cross_entropy": label}
figures.curvature(example, centre, grid)

# %% [markdown]
# The *number* of flat directions jumps at β = 1, from $M$ to $(M-1)K + 1$: below, any share of its own loss gives a
# learner some curvature to come back along. The *size* of that curvature falls with $1 - \beta$ and has no jump, and
# it is the size that counts in a training of finite length. [The β sweep](beta_sweep.ipynb) on digits, in steps
# of 0.2, finds nearly all of the damage to the learners in the last step.
#
# Probability averaging is not convex in the logits. Its number of flat directions does not jump; instead some
# directions curve downwards well before β = 1. At the same outputs:

# %%
for beta in (0.0, 0.5, 1.0, 1.1):
    eigenvalues = theory.output_curvature(
        outputs, labels, beta, average="probabilities"
    )
    flat = (eigenvalues.abs() < 1e-6).sum(-1).double().mean()
    falling = (eigenvalues <= -1e-6).sum(-1).double().mean()
    print(f"β = {beta}: {flat:.1f} flat, {falling:.1f} downwards, on average")

# %% [markdown]
# ## What makes them move
#
# Flatness permits drift; it does not cause it. If every learner moved its output exactly as it is asked to, learners
# at β = 1 would all make the same steps and keep their distances for ever. But a network does not move its output at
# will. It moves its weights, against the gradient in the weights, which is $G_i^\top\, \partial \mathcal L^\beta /
# \partial f_i$ with $G_i$ the Jacobian of the output; and the output follows by $G_i$ times that. In the limit of
# small steps, with $A_i = G_i G_i^\top$,
#
# $$
# \frac{d f_i}{dt} = -M A_i\, \frac{\partial \mathcal L^\beta}{\partial f_i}.
# $$
#
# $A_i$, the learner's *response* (its neural tangent kernel, on this example), differs from learner to learner, since
# their weights do. (The factor $M$ gives every learner the speed of a run by itself; [the next
# chapter](objective.ipynb) says why one wants it.) The same request then moves two learners differently; at β = 0
# each goes on until its own error is gone, at β = 1 all stop when the error of the *average* is gone, wherever they
# are.
#
# :::{prf:theorem} Where the flow ends
# :label: thm-flow
#
# Squared error on one example, with constant, symmetric and positive definite responses $A_i$, $\bar A = \frac1M
# \sum_i A_i$.
#
# - For $0 \le \beta < 1$ every learner reaches the target, $f_i \to y$.
# - For β = 1 the ensemble reaches the target, $\bar f \to y$, and the learners end at
#
#   $$
#   f_i(\infty) = f_i(0) - A_i \bar A^{-1} \bigl( \bar f(0) - y \bigr).
#   $$
#
# - For β > 1 and $M \ge 2$ they diverge, from almost every start.
# :::
#
# :::{prf:proof}
# By {prf:ref}`thm-gradient`, $\dot f_i = -2 A_i [(1-\beta)(f_i - y) + \beta (\bar f - y)]$.
#
# The errors $f_i - y$, taken together, follow a linear flow with the matrix $-M \mathcal A H$, where $\mathcal A$ is
# block diagonal with blocks $A_i$ and $H$ is the Hessian of {prf:ref}`thm-curvature`. $\mathcal A H$ is similar to
# the symmetric $\mathcal A^{1/2} H \mathcal A^{1/2}$, which has as many positive, zero and negative eigenvalues as
# $H$ (Sylvester).
#
# *β < 1.* All eigenvalues of $H$ are positive; so all errors fall exponentially.
#
# *β = 1.* In the mean, $\dot{\bar f} = -2 \bar A (\bar f - y)$: the ensemble converges to $y$, and $2 \int_0^\infty
# (\bar f - y)\, dt = \bar A^{-1} (\bar f(0) - y)$. Learner $i$ moves by $-A_i$ times that integral.
#
# *β > 1.* $(M-1)K$ eigenvalues of $H$ are negative: in as many directions errors grow exponentially, unless the start
# has no part in them.
# :::
#
# Learners that start at one and the same point, with no diversity at all, therefore end apart, unless their responses
# happen to act alike on the error. Nothing in the objective rewards their being apart; nothing undoes it either.
#
# **Check.** The next cell, {test}`theory/test_flow.py::test_joint_flow_ends_where_the_responses_take_it`,
# {test}`theory/test_flow.py::test_below_one_every_learner_reaches_the_target` and
# {test}`theory/test_flow.py::test_above_beta_one_deviations_grow_while_the_mean_arrives`.
#
# **Falsified by** starts and responses from which the flow ends elsewhere, or stays bounded at β > 1 from a random
# start.


# %% tags=["nbval-check-output"]
def random_flows(count=20, M=4, K=3):
    """Starts, target, responses with eigenvalues from 0.5 to 2."""
    for _ in range(count):
        starts, target = torch.randn(M + 1, K, generator=chance).split([M, 1])
        turns = torch.linalg.qr(torch.randn(M, K, K, generator=chance)).Q
        speeds = torch.diag_embed(0.5 + 1.5 * torch.rand(M, K, generator=chance))
        yield starts, target[0], turns @ speeds @ turns.mT


def late(beta, starts, target, responses):
    """Where the flow is at time 300: (M, K)."""
    times = torch.tensor([300.0])
    return theory.gradient_flow(
        starts, target, beta=beta, times=times, responses=responses
    )[0]


def all_at_target(beta, starts, target, responses):
    return late(beta, starts, target, responses), target.expand_as(starts)


def joint_end(*flow):
    return late(1.0, *flow), theory.joint_end(*flow)


def grown(*flow):
    return torch.tensor(1e6), late(1.1, *flow).abs().max()


below_one = ((b, *flow) for b in (0.0, 0.5, 0.9) for flow in random_flows())
theory.confirm("β < 1: all end at the target", all_at_target, below_one)
theory.confirm("β = 1: as the formula says", joint_end, random_flows())
theory.confirm("β = 1.1: far away", grown, random_flows(), relation="<=")

# %% [markdown]
# {numref}`fig-flow` shows it in the plane. Four learners start close to each other; each is quick along one direction
# and slow across it. Move the slider. First the average goes to the target, the faster the larger β, and the learners
# part on the way. Then, at β = 0.9, they come slowly back; at β = 1 they stay where they are.

# %% mystnb={"figure": {"caption": "Gradient flow of four learners towards one target, squared error, for several $\\beta$. At $\\beta = 1$ the ensemble reaches the target and its learners never do. At $\\beta = 0.9$ they drift apart nearly as far at first, and come back slowly. At $\\beta = 1.1$ they leave the picture.", "name": "fig-flow"}}
target = torch.tensor([0.3, 0.2])
starts = torch.tensor([[-0.85, -0.6], [-0.7, -0.5], [-0.8, -0.4], [-0.65, -0.65]])
directions = theory.responses([0, 45, 90, 135])
times = 20 * torch.linspace(0, 1, 61) ** 2  # finer at the beginning

how = {"times": times, "responses": directions}
betas = jointens.Experiment(beta_vals=beta_vals).beta_vals  # reads and checks
paths = {
    f"β = {b:.12g}": theory.gradient_flow(starts, target, beta=b, **how)
    for b in betas
}
title = "Four learners, their average and one target in the plane, over time."
flow_slider.FlowSlider(paths, target, times, name="flow", title=title)

# %% [markdown]
# At the end, at β = 1, the individual loss *is* the diversity, and the ensemble loss is zero. Judged by its training
# loss this ensemble is perfect. Each of its learners is far off, in a direction that depends on the other three. Two
# things happened on the way: a common move towards the target, which took individual loss down, and zero-sum moves,
# the collusion of {prf:ref}`def-zero-sum`, which brought it up again.
#
# ## What was shown, and what was not
#
# **Shown**, proved and confirmed to $10^{-10}$ in output space: zero-sum moves cost $1-\beta$ times what they take
# from the learners. At β = 1 they are free in all $(M-1)K$ directions. With averaged scores every learner then gets
# the same gradient; with averaged probabilities the weak ones are hardly pulled. Learners that respond differently to
# the same request end apart, although nothing rewards it.
#
# **Not shown:**
#
# - That real networks follow the flow with constant responses. Theirs change while they train, and examples share
#   weights. That the learners drift apart in practice is shown in [the β sweep](beta_sweep.ipynb).
# - That the drift *hurts* the ensemble. On the example itself it does not, by construction. The paper's claim is that
#   what cancels on training data does not cancel on new data; output space has no new data, so it takes an
#   experiment.
# - Anything about the choice of β between 0 and 1. The curvature falls in proportion; where the price is worth paying
#   is not a matter of algebra.
#
# ## Exercises
#
# ::::{exercise}
# :label: ex-same-response
#
# All learners have the *same* response, $A_i = A$. What happens to their diversity at β = 1? What then would cause
# collusion in practice?
# ::::
#
# :::{solution-start} ex-same-response
# :class: dropdown
# :::
#
# By {prf:ref}`thm-flow` every learner moves by the same vector: diversity stays what it was. It takes different
# responses, and for networks different initial weights are enough.

# %% tags=["nbval-check-output"]
same = directions[:1].expand(4, -1, -1)
flow = theory.gradient_flow(starts, target, beta=1.0, times=times, responses=same)
spread = flow.var(1, correction=0).sum(-1)  # diversity at each time
print(
    "largest change of diversity below 1e-12:",
    ((spread - spread[0]).abs().max() < 1e-12).item(),
)

# %% [markdown]
# :::{solution-end}
# :::
#
# ::::{exercise}
# :label: ex-way-back
#
# How long do the learners of {numref}`fig-flow` need to come within 0.05 of the target, for β = 0, 0.9, 0.99? Which
# eigenvalue says so?
# ::::
#
# :::{solution-start} ex-way-back
# :class: dropdown
# :::
#
# Along a direction in which all learners respond with speed $a$, a zero-sum deviation falls as $e^{-2 (1-\beta) a
# t}$: the zero-sum eigenvalue $\frac2M (1 - \beta)$ of {prf:ref}`thm-curvature`, times $M a$. Here $a$ lies between
# 0.15, across a learner's quick direction (the default of `theory.responses`), and 1, along it. As β approaches 1 the
# time grows as $\frac1{1-\beta}$: ten times as long at 0.99 as at 0.9. With a fixed number of epochs, β close to 1 is
# β = 1.

# %% tags=["nbval-check-output"]
for beta in (0.0, 0.9, 0.99):
    dense = torch.linspace(0, 20 / (1 - beta), 2001)
    flow = theory.gradient_flow(
        starts, target, beta=beta, times=dense, responses=directions
    )
    away = (flow - target).norm(dim=-1).max(-1).values > 0.05
    print(f"β = {beta}: all within 0.05 after time {dense[away.sum()]:.0f}")

# %% [markdown]
# :::{solution-end}
# :::
#
# ::::{exercise}
# :label: ex-probability-move
#
# Two learners both give the right class the probability 0.6. Move one up and the other down by $\epsilon$. What
# happens to ens, ind and DIV with probability averaging, and what with score averaging, if the rest goes to one other
# class?
# ::::
#
# :::{solution-start} ex-probability-move
# :class: dropdown
# :::
#
# Their mean probability stays 0.6, so with probability averaging ens stays, and ind and DIV grow by the same amount;
# not without limit, since the weaker learner keeps 0.2. With score averaging the same move is not zero-sum in the
# logits: the geometric mean moves, towards the learner that has become nearly certain.

# %% tags=["nbval-check-output"]
for step in (0.1, 0.3, 0.39, 0.3999):
    right = torch.tensor([0.6 + step, 0.6 - step])
    logits = torch.stack([right, 1 - right], -1).log().unsqueeze(1)  # (M, 1, K)
    for name in ("probabilities", "scores"):
        parts = jointens.decompose(logits, torch.tensor([0]), average=name)
        ind, ens, div = (part.item() for part in parts)
        print(
            f"ε = {step:<6} {name:13}: ind {ind:.3f}, ens {ens:.3f}, DIV {div:.3f}"
        )

# %% [markdown]
# :::{solution-end}
# :::
