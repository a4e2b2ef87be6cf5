# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Diversity explosion
#
# **Question.** The first of the paper's three diagnostics asks what anybody would ask: as β goes to 1, what becomes of
# diversity, and what does the ensemble have from it?
#
# **In the paper.** The first diagnostic of the experiments on regression: test error and diversity over β. Words and symbols
# are in the [glossary](../book/glossary.md) and under [notation](../book/notation.md).
#
# The ensembles are those of the chapter on [tabular ensembles](tabular.ipynb), of which this chapter needs the learners'
# outputs on test data and nothing else. Any other can stand in their place: a results folder (`-p saved FOLDER`), or a
# file of outputs that the authors offer for download (`-p released FILE`).

# %% tags=["parameters"]
profile = "profiles/diabetes_ensembles.yml"  # trained if it is not there yet
saved = None  # or a results folder in which outputs were stored
released = None  # or a file of the authors' outputs

# %%
# %matplotlib inline
from myst_nb import glue

import jointens
from jointens.analysis import sweep_diagnostics
from jointens.reports import diagnostics as figures
from jointens.reports import tables

jointens.check_parameters(globals())
source = released or saved
if source is None:
    source = jointens.run(jointens.Experiment.from_profile(profile))
stored = jointens.stored_outputs(source).need(learners=2)
independent, joint = stored.independent, stored.joint
frame = sweep_diagnostics.explosion(stored)

# %% mystnb={"figure": {"caption": "The first diagnostic. Loss of the ensemble on test data (left) and diversity there, on a log axis (right), over $\\beta$; means over runs, bands are one standard deviation, as in the authors' notebook.", "name": "fig-explosion"}, "image": {"alt": "Two panels over beta. Left, the ensemble's test loss, almost level, with wide bands. Right, diversity on a logarithmic axis: it grows slowly at first and steeply towards beta 1."}}
figures.explosion(stored, frame)

# %% tags=["remove-input"]
last = stored.checkpoints[-1]
means = frame[frame["checkpoint"] == last].groupby("beta")["diversity"].mean()
between = min(stored.betas, key=lambda beta: abs(beta - 0.5))
glue("explosion_independent", f"{independent:g}", display=False)
glue("explosion_joint", f"{joint:g}", display=False)
glue("explosion_between", f"{between:g}", display=False)
glue("explosion_ratio", f"{means[joint] / means[independent]:.0f}", display=False)
glue("explosion_half", f"{means[between] / means[independent]:.1f}", display=False)

# %% [markdown]
# On the right of {numref}`fig-explosion` diversity at β = {glue:text}`explosion_joint` is {glue:text}`explosion_ratio` times as
# large as at β = {glue:text}`explosion_independent`, and most of that comes on the last stretch: at β =
# {glue:text}`explosion_between` it is {glue:text}`explosion_half` times as large. Theory
# says why. The moves that cancel in the average cost $(2/M)(1-\beta)$ in curvature, a price that falls to zero in a straight
# line ({prf:ref}`thm-curvature`); what resists them is divided by less and less.
#
# On the left there is nothing to be seen, and that is half of the message: an ensemble whose learners are many times further
# apart is no better for it. But bands of a standard deviation over runs hide what there is, since runs differ in how hard
# their test data are. Within runs the difference is much more certain:

# %%
tables.table(frame)

# %% [markdown]
# Δ is the mean difference to β = {glue:text}`explosion_independent` of the same run, with its 95 % t interval. (Of ensembles whose
# runs do not share split and initial weights between β, as those of the authors' code, the interval is about as wide as the bands.)
#
# ## Who pays
#
# Diversity is individual minus ensemble loss. So if diversity grows by some amount and the ensemble's loss does not fall,
# the individual loss must have grown by as much: the learners pay for their diversity, each by itself. The share that is
# **paid back**, extra individual loss over extra diversity, says what becomes of it; what is left of 100 % reaches the ensemble.

# %%
over = frame.groupby(["checkpoint", "beta"])[["individual", "diversity"]].mean()
extra = over - over.xs(independent, level="beta").reindex(
    over.index, level="checkpoint"
)
paid = (100 * extra["individual"] / extra["diversity"]).drop(
    independent, level="beta"
)
paid.round(0).unstack("checkpoint").rename(
    columns=lambda name: f"paid back, %, {name}"
)

# %% [markdown]
# (Of means over runs.) More than 100 % means that the ensemble lost, too. Where diversity is hardly larger, at small β, the share
# is one of two small numbers and says little.
#
# ## Negative control
#
# An alarm is worth something if it keeps quiet where nothing is wrong. Independent learners cannot collude; here half of
# those at β = {glue:text}`explosion_independent` are diagnosed with the other half as their reference, for each run. (`ratio` is the first half's diversity
# over the second's; the other columns belong to the [next chapter](debiased_diversity.ipynb).)

# %%
control = sweep_diagnostics.control(stored)
control.round(3)

# %% tags=["nbval-check-output", "hide-input"]
signs = sweep_diagnostics.signs(stored)
ratios = frame[frame["checkpoint"] == last].pivot(
    index="seed", columns="beta", values="diversity"
)
doubled = ratios[joint] > 2 * ratios[independent]
told = signs[signs["beta"] == joint]["alarms"].str.contains("paid back")
print("joint training, last epoch:")
print("  diversity at least doubled in every run:", doubled.all())
print("  alarm in most runs, since it is paid back:", told.mean() > 0.5)
print("independent training, one half against the other:")
print("  diversity doubled in any run:", (control["ratio"] > 2).any())
print("  alarms:", (control["alarms"] != "").sum())

# %% [markdown]
# ## What was shown, and what was not
#
# - **Shown**, for the ensembles above: diversity explodes as β goes to 1, and the learners pay for nearly all of it, at the last
#   epoch for more than there is. Halves of an independent ensemble differ by far less than a factor of two.
# - **Not shown:** that large diversity is bad. Of a random forest it is large, too, and its trees are worth averaging. So the
#   diagnostic needs its reference: independent training, with the same learners on the same data.
# - Nor is diversity at β = 1 a number that means much: nothing holds it, so it depends on how long and how fast
#   the learners were trained ({prf:ref}`thm-flow`).
#
# **Next.** The same of the authors' files, or of any sweep with stored outputs:
#
# ```bash
# papermill notebooks/diversity_explosion.ipynb runs/theirs.ipynb --cwd notebooks \
#     -p released "$PWD/deep_ensemble_weather.json"
# papermill notebooks/diversity_explosion.ipynb runs/mine.ipynb --cwd notebooks \
#     -p saved "$PWD/runs/FOLDER"
# ```
