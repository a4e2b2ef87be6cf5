# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Debiased diversity
#
# **Question.** If diversity is inflated, what is it inflated with? The simplest thing that cancels in an average is a constant:
# one learner predicts too much everywhere, another too little. How much of diversity is no more than that?
#
# **In the paper.** The second of the three diagnostics: each learner's constant shift is taken away, and the fall of diversity
# plotted over β. Words and symbols are in the [glossary](../book/glossary.md) and under [notation](../book/notation.md);
# the ensembles are those of the chapter on [tabular ensembles](tabular.ipynb), or others, as in the
# [chapter before](diversity_explosion.ipynb).

# %% tags=["parameters"]
profile = "profiles/diabetes_ensembles.yml"  # trained if it is not there yet
saved = None  # or a results folder in which outputs were stored
released = None  # or a file of the authors' outputs

# %%
# %matplotlib inline
import torch
from myst_nb import glue

import jointens
from jointens import theory
from jointens.analysis import sweep_diagnostics
from jointens.reports import diagnostics as figures

jointens.check_parameters(globals())
source = released or saved
if source is None:
    source = jointens.run(jointens.Experiment.from_profile(profile))
stored = jointens.stored_outputs(source).need(learners=2)
independent, joint = stored.independent, stored.joint

# %% [markdown]
# ## What is taken away
#
# On $N$ test examples learner $i$ has the mean output $\frac1N \sum_n f_i(x_n)$. Its **shift** $b_i$ is this minus the mean of it
# over the learners; the shifts sum to zero. `jointens.debias` subtracts $b_i$ from learner $i$.
#
# :::{prf:theorem} Debiasing lowers diversity by the mean squared shift
# :label: thm-debias
#
# For squared error the ensemble does not change, on any example. In the mean over the examples from which the shifts
# were taken, diversity and individual loss both fall by exactly
#
# $$
# \frac1M \sum_{i=1}^M \lVert b_i \rVert^2 .
# $$
# :::
#
# :::{prf:proof}
# The shifts sum to zero, so $\bar f$ stays. Let $d_i = f_i - \bar f$ be the deviation of learner $i$ on an example; $b_i$ is its
# mean over the examples, and the variance of $d_i$ over them is
#
# $$
# \frac1N \sum_n \lVert d_i(x_n) - b_i \rVert^2 = \frac1N \sum_n \lVert d_i(x_n) \rVert^2 - \lVert b_i \rVert^2 .
# $$
#
# In the mean over $i$ the left side is the diversity after, the first term on the right the diversity before
# ({prf:ref}`thm-squared-error`). The ensemble loss has not changed, so the individual loss falls by the same.
# :::
#
# **Check.** The next cell, and
# {test}`diagnostics/test_diagnosis.py::test_debiasing_lowers_diversity_by_the_mean_squared_shift`.
#
# **Falsified by** any outputs whose diversity, in the mean over the examples, falls by anything else.


# %% tags=["nbval-check-output"]
def fall(outputs, targets):
    before = jointens.decompose(outputs, targets, loss="squared_error")
    after = jointens.decompose(
        jointens.debias(outputs), targets, loss="squared_error"
    )
    deviations = outputs - outputs.mean(0)
    squares = deviations.mean(1).square().sum(-1).mean()  # mean over i of ‖b_i‖²
    falls = [
        (before.diversity - after.diversity).mean(),
        (before.individual - after.individual).mean(),
    ]
    unchanged = (before.ensemble - after.ensemble).abs().max()
    return torch.stack([*falls, unchanged]), torch.stack(
        [squares, squares, 0 * squares]
    )


theory.confirm("the fall is mean ‖b‖²", fall, theory.draws("squared_error"))

# %% [markdown]
# ## The result

# %% mystnb={"figure": {"caption": "The second diagnostic. By how many per cent diversity on test data falls when each learner's constant shift is taken away, over $\\beta$; means over runs, bands are one standard deviation.", "name": "fig-debiased"}, "image": {"alt": "Fall of diversity over beta, a line for the best checkpoint and one for the last epoch. At the last epoch it stays at a few per cent until close to beta 1 and then jumps up; at the best checkpoint it grows earlier, with wide bands."}}
frame = sweep_diagnostics.debiased(stored)
figures.debiased(stored, frame)

# %% tags=["remove-input"]
glue("debiased_joint", f"{joint:g}", display=False)
glue("debiased_independent", f"{independent:g}", display=False)
means = 100 * frame.groupby(["checkpoint", "beta"])["fall"].mean()
for checkpoint in ("best", "last"):
    of = means[checkpoint if checkpoint in means.index else stored.checkpoints[-1]]
    glue(f"debiased_{checkpoint}", f"{of[joint]:.0f}", display=False)
    glue(
        f"debiased_{checkpoint}_independent",
        f"{of[independent]:.0f}",
        display=False,
    )

# %% [markdown]
# At β = {glue:text}`debiased_independent` a few per cent of the learners' diversity are constant shifts: {glue:text}`debiased_best_independent` % at the best
# checkpoint, {glue:text}`debiased_last_independent` % at the last epoch. At β = {glue:text}`debiased_joint` it is
# {glue:text}`debiased_best` % and {glue:text}`debiased_last` %. A shift that is the same for all examples cannot know anything
# about any of them; it is diversity in name alone. And by {prf:ref}`thm-debias`, for squared error every per cent of it is paid
# for in full, by individual loss.
#
# A small share is there without collusion: networks that start from other weights end at other constants. And from a few dozen
# examples the shifts can only be estimated, which adds a share of about $1/N$ to the figure. (`diagnose`, in the table below and
# on the command line, takes that off.)
#
# ## Beyond constants
#
# Debiasing sees constant shifts only. A learner that *stretches* the ensemble's prediction, $f_i = (1 + s_i) \bar f$, with
# stretches that sum to zero, says nothing of its own either, and where $\bar f$ has mean zero it has no shift at all. **Systematic drift** is the share of the
# deviations that an affine function of $\bar f$, one for each learner, explains: shift and stretch together. It is
# fitted on one half of the test examples and scored on the other, so that no share comes from fitting alone; where there is
# nothing to explain it comes out below zero.

# %%
signs = sweep_diagnostics.signs(stored)
shares = signs.groupby("beta")[["constant_shifts", "systematic_drift"]]
(100 * shares.mean()).round(1).add_suffix(", %").T

# %% [markdown]
# (At the last checkpoint; means over runs.) Stretching adds to shifting where there is some, and independent learners
# show neither. For classification, where there is one output for each class, the same is done with the
# class probabilities: logits of independent networks differ by stretches as a matter of course.
#
# ## Negative control
#
# One half of the independent learners, diagnosed against the other; and every independent ensemble by itself.

# %%
control = sweep_diagnostics.control(stored)
control[["seed", "constant_shifts", "systematic_drift", "alarms"]].round(3)

# %% tags=["nbval-check-output", "hide-input"]
for name, beta in {"independent": independent, "joint": joint}.items():
    alarms = signs[signs["beta"] == beta]["alarms"]
    for sign in ("constant shifts", "systematic drift"):
        print(
            f"{name}: {sign} is a sign in most runs:",
            alarms.str.contains(sign).mean() > 0.5,
        )
alone = signs[signs["beta"] == independent]["alarms"]
print("independent: alarms in any run:", (alone != "").any())
print("halves: alarms in any run:", (control["alarms"] != "").any())

# %% [markdown]
# ## What was shown, and what was not
#
# - **Shown**: of the diversity that joint training makes on these data, a third or more is a constant for each learner, and
#   more can be read off the ensemble's own prediction. Of that of independent training, a few per cent and nothing.
# - **Not shown:** that what is left is of use. Debiasing takes away what is surely useless; the rest may know something about the
#   examples, or may cancel in a way that neither constants nor stretches describe. At the last epoch β between 0.8 and 0.95
#   raises diversity severalfold without shifts or drift, and pays for it all the same
#   ([diversity explosion](diversity_explosion.ipynb)).
# - Where a share becomes an alarm, 15 % of constant shifts and 30 % of drift, is a convention: the lines lie between what
#   independent and joint training came to in the runs that we tried ([is my ensemble colluding?](own_ensemble.ipynb)).
