# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Learner codependence
#
# **Question.** Independent learners do not know of each other: drop a few, and the rest goes on. Learners whose errors cancel need
# each other. Does dropping learners tell the two apart?
#
# **In the paper.** The third of the three diagnostics: a share of the learners is dropped at random, and the increase in test
# error is plotted over β. Words and symbols are in the [glossary](../book/glossary.md) and under
# [notation](../book/notation.md); the ensembles are those of the chapter on [tabular ensembles](tabular.ipynb), or
# others, as in the [chapter on diversity explosion](diversity_explosion.ipynb), and a classifier's besides.

# %% tags=["parameters"]
profile = "profiles/diabetes_ensembles.yml"  # trained if it is not there yet
saved = None  # or a results folder in which outputs were stored
released = None  # or a file of the authors' outputs
classifier = "profiles/digits.yml"  # of the second part
saved_classifier = None  # or a results folder, of any run on images
shares = [0.2, 0.4, 0.6]  # of the learners that are dropped
repeats = 100  # subsets that are drawn for each test example

# %%
# %matplotlib inline
import itertools

import torch
from myst_nb import glue

import jointens
from jointens import diagnostics, theory
from jointens.analysis import over_beta, sweep_diagnostics
from jointens.reports import diagnostics as figures

jointens.check_parameters(globals())
source = released or saved
if source is None:
    source = jointens.run(jointens.Experiment.from_profile(profile))
stored = jointens.stored_outputs(source).need(loss="squared_error")

# %% [markdown]
# ## Regression
#
# As in the authors' code, $M p$ of $M$ learners are dropped, rounded down, for shares $p$ of 20, 40 and 60 %; which ones is
# drawn anew for each test example and each of a hundred repeats.

# %% mystnb={"figure": {"caption": "The third diagnostic. By how much the ensemble's test loss rises when a share of its learners is dropped at random, over $\\beta$; means over runs, bands are one standard deviation, last checkpoint. Circles: what {prf:ref}`thm-codependence` says without dropping anything.", "name": "fig-codependence"}, "image": {"alt": "Three lines over beta, for 20, 40 and 60 per cent of the learners dropped. All are near zero until close to beta 1 and then rise steeply, the more the more is dropped. Circles lie on the lines."}}
how = {"shares": shares, "repeats": repeats}
frame = sweep_diagnostics.dropped(
    stored, checkpoints=stored.checkpoints[-1:], **how
)
figures.codependence(stored, frame)

# %% [markdown]
# It looks like strong evidence: near β = 1 the ensemble depends on all of its learners. But the circles were computed from
# diversity alone.
#
# :::{prf:theorem} For squared error codependence is a multiple of diversity
# :label: thm-codependence
#
# Let $1 \le K \le M$ of $M \ge 2$ learners be averaged, all subsets being equally likely. The expected squared error rises by
#
# $$
# \text{DIV} \cdot \frac{M - K}{K (M - 1)} ,
# $$
#
# on every example, whatever the target.
# :::
#
# :::{prf:proof}
# With $d_i = f_i - \bar f$ the mean of a subset $S$ is $\bar f + \frac1K \sum_{i \in S} d_i$. Its expectation is $\bar f$,
# because the $d_i$ sum to zero, so the squared error rises by the variance of the second term, and the target
# drops out:
#
# $$
# \begin{aligned}
# \mathbb E \Bigl\lVert \frac1K \sum_{i \in S} d_i \Bigr\rVert^2
#  = \frac1{K^2} \Bigl( & \frac KM \sum_i \lVert d_i \rVert^2 \\
#   & + \frac{K (K-1)}{M (M-1)} \sum_{i \neq j} d_i^\top d_j \Bigr) .
# \end{aligned}
# $$
#
# Since $\sum_{i \neq j} d_i^\top d_j = - \sum_i \lVert d_i \rVert^2 = - M\, \text{DIV}$, this is
# $\frac{\text{DIV}}K \bigl( 1 - \frac{K-1}{M-1} \bigr)$.
# :::
#
# **Check.** The next cell, over all subsets, and
# {test}`diagnostics/test_codependence.py::test_the_expected_increase_is_a_multiple_of_diversity`.
#
# **Falsified by** outputs and a target whose mean over all subsets rises by anything else.


# %% tags=["nbval-check-output"]
def over_all_subsets(outputs, targets):
    """The mean increase, by averaging every subset, and by the formula: (M − 1, B)."""
    parts = jointens.decompose(outputs, targets, loss="squared_error")
    drawn, formula = [], []
    for keep in range(1, len(outputs)):
        subsets = itertools.combinations(range(len(outputs)), keep)
        means = torch.stack([outputs[list(subset)].mean(0) for subset in subsets])
        drawn.append((means - targets).square().sum(-1).mean(0) - parts.ensemble)
        formula.append(
            diagnostics.expected_increase(parts.diversity, len(outputs), keep)
        )
    return torch.stack(drawn), torch.stack(formula)


cases = theory.draws("squared_error", sizes=((2, 2), (3, 5), (6, 1), (8, 3)))
theory.confirm("the increase is a multiple of diversity", over_all_subsets, cases)

# %% [markdown]
# What does that mean for the strength of the evidence? The curves of {numref}`fig-codependence` are those of diversity in
# {numref}`fig-explosion` times a constant, of ten learners 1/36, 2/27 and 1/6. They are the same observation a second time.
# It also means that dropping cannot tell useful diversity from collusion, only how much of either there is. (The authors'
# notebook even pairs each prediction with every target here: shapes `(N, 1)` and `(N,)` meet in a difference. Since the target
# drops out, the increase is the same in expectation.)
#
# ## Classification
#
# For cross-entropy no such law holds, and accuracy least of all follows from diversity: here dropping learners is evidence of
# its own. The ensembles are those of the [β sweep](beta_sweep.ipynb) on handwritten digits with label noise.

# %%
digits = saved_classifier
if digits is None:
    digits = jointens.run(jointens.Experiment.from_profile(classifier))
images = jointens.stored_outputs(digits).need(loss="cross_entropy")
independent, joint = images.independent, images.joint
lost = sweep_diagnostics.dropped(images, checkpoints=images.checkpoints[-1:], **how)

# %% mystnb={"figure": {"caption": "Learner codependence of classifiers. By how much the ensemble's negative log-likelihood rises (left) and its accuracy falls (right) on test data when a share of its learners is dropped at random; means over runs, bands are one standard deviation, last epoch.", "name": "fig-codependence-digits"}, "image": {"alt": "Two panels over beta, a line for each share of dropped learners. Both losses are near zero up to beta 0.8 and rise steeply at beta 1."}}
figures.codependence(images, lost)

# %% tags=["remove-input"]
most = lost[lost["drop"] == lost["drop"].max()]
points = 100 * most.groupby("beta")["accuracy_lost"].mean()
drop, keep = most[["drop", "keep"]].iloc[0]
glue("codependence_joint", f"{joint:g}", display=False)
glue("codependence_points", f"{points[joint]:.1f}", display=False)
alone = f"{points[independent]:.1f}".replace("-", "−")
glue("codependence_independent", alone, display=False)
glue("codependence_drop", f"{drop} of {drop + keep} learners", display=False)

# %% [markdown]
# Without {glue:text}`codependence_drop` the ensemble trained at β = {glue:text}`codependence_joint` loses
# {glue:text}`codependence_points` points of accuracy, the independent one {glue:text}`codependence_independent`. That is not
# diversity told once more. All learners together, the two ensembles differ little in accuracy ([the β sweep](beta_sweep.ipynb));
# but of the independent one any two learners are nearly as good as all five, of the joint one they are not. As paired differences
# to independent training, in points:

# %%
dropped_most = most.assign(points=100 * most["accuracy_lost"])
paired = over_beta(dropped_most, "points", paired=True)
paired[["beta", "mean", "half_width"]].dropna().round(2)

# %% [markdown]
# How two learners' errors go together shows the same from another side. An error is a learner's probabilities minus the
# one-hot class; independent learners make the same ones, for they have seen the same data.

# %% mystnb={"figure": {"caption": "Correlation, about zero, of the errors of every two learners on test data, at both ends of the sweep on digits; first seed, last epoch.", "name": "fig-codependence-errors"}, "image": {"alt": "Two squares of coloured cells, learner by learner. Left, independent training: dark red everywhere, correlations near one. Right, joint training: pale cells off the diagonal."}}
judged = {"loss": images.loss, "average": images.average}
pairs = {
    beta: jointens.diagnose(
        *images.read(beta, images.runs[0]), **judged
    ).error_correlations
    for beta in dict.fromkeys([independent, joint])
}
figures.correlations(pairs, figures.stamp_of(images))

# %% [markdown]
# ## Negative control
#
# Codependence is an alarm only beside a reference: an honest ensemble of few, weak learners loses much as well when some are
# dropped ([the how-to](own_ensemble.ipynb) shows a forest). So each ensemble is compared with the independent one of its
# seed, at 40 %; and for the control, half of the independent learners with the other half, where there are four or more.

# %%
signs = sweep_diagnostics.signs(images)
signs.groupby("beta")["alarms"].value_counts().rename("runs").reset_index()

# %% tags=["nbval-check-output", "hide-input"]
control = sweep_diagnostics.control(images)
print("halves: alarms in any run:", (control["alarms"] != "").any())
print(
    "independent: alarms in any run:",
    (signs[signs["beta"] == independent]["alarms"] != "").any(),
)
told = signs[signs["beta"] == joint]["alarms"]
print("joint: an alarm in every run:", (told != "").all())
print(
    "joint: accuracy lost, in most:",
    told.str.contains("accuracy lost").mean() > 0.5,
)
print(
    "independent: less than half a point is lost:",
    abs(points[independent]) < 0.5,
)
print("joint: more than two points are lost:", points[joint] > 2)

# %% [markdown]
# ## What was shown, and what was not
#
# - **Shown**: for squared error learner codependence is diversity times a constant, exactly, and so adds nothing to the first
#   diagnostic, neither in the paper's figure nor in ours. For classification it does add something: joint learners of
#   handwritten digits lose accuracy when some are dropped, independent ones do not.
# - {cite:t}`webb2019joint` report that jointly trained modules degrade heavily when some are dropped.
# - **Not shown:** how large the effect is for the paper's networks. These are quick results; a run on CIFAR with stored outputs can
#   be given with `-p saved_classifier FOLDER`.
