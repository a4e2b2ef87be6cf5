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
saved = (
    None  # in its place a results folder, of any sweep whose outputs were stored
)
released = None  # or a file of the authors' outputs: deep_ensemble_<dataset>….json

# %%
# %matplotlib inline
from myst_nb import glue

import jointens
from jointens import diagnosed, diagnostic_figures, summaries

source = released or saved
if source is None:
    source = jointens.run(jointens.Experiment.from_profile(profile))
stored = jointens.stored_outputs(source)
frame = diagnosed.explosion(stored)

# %% mystnb={"figure": {"caption": "The first diagnostic. Loss of the ensemble on test data (left) and diversity there, on a log axis (right), over $\\beta$; mean ± one standard deviation over runs, as in the authors' notebook.", "name": "fig-explosion"}, "image": {"alt": "Two panels over beta. Left, the ensemble's test loss, almost level, with wide bands. Right, diversity on a logarithmic axis: it grows slowly at first and steeply towards beta 1."}}
diagnostic_figures.explosion(stored, frame)

# %% tags=["remove-input"]
joint = min(stored.betas, key=lambda beta: abs(beta - 1))
last = stored.checkpoints[-1]
means = frame[frame["checkpoint"] == last].groupby("beta")["diversity"].mean()
glue("explosion_joint", f"{joint:g}", display=False)
glue("explosion_ratio", f"{means[joint] / means.iloc[0]:.0f}", display=False)
half = means.iloc[abs(means.index - 0.5).argmin()] / means.iloc[0]
glue("explosion_half", f"{half:.1f}", display=False)

# %% [markdown]
# On the right of {numref}`fig-explosion` diversity at β = {glue:text}`explosion_joint` is {glue:text}`explosion_ratio` times as
# large as at β = 0, and most of that comes on the last stretch: half way it is {glue:text}`explosion_half` times as large. Theory
# says why. The moves that cancel in the average cost $(2/M)(1-\beta)$ in curvature, a price that falls to zero in a straight
# line ({prf:ref}`thm-curvature`); what resists them is divided by less and less.
#
# On the left there is nothing to be seen, and that is half of the message: an ensemble whose learners are many times further
# apart is no better for it. But bands of a standard deviation over runs hide what there is, since runs differ in how hard
# their test data are. Within runs the difference is much more certain:

# %%
paired = summaries.over_beta(frame, "ensemble", paired=True)
paired.pivot(
    index="beta", columns="checkpoint", values=["mean", "half_width"]
).round(4)

# %% [markdown]
# `mean` is the mean difference of the ensemble's test loss to that at the smallest β, `half_width` half of its 95 % t
# interval. (Of ensembles whose runs do not share split and initial weights between β, as those of the authors' code, the
# interval is about as wide as the bands.)
#
# ## Who pays
#
# Diversity is individual minus ensemble loss. So if diversity grows by some amount and the ensemble's loss does not fall,
# the individual loss must have grown by as much: the learners pay for their diversity, each by itself. The share that is
# **paid back**, extra individual loss over extra diversity, says what becomes of it; what is left of 100 % reaches the ensemble.

# %%
signs = diagnosed.signs(stored)
signs.groupby("beta")[["paid_back"]].mean().round(3).T

# %% [markdown]
# More than 100 % means that the ensemble lost, too.
#
# ## Negative control
#
# An alarm is worth something if it keeps quiet where nothing is wrong. Independent learners cannot collude; here half of
# those at β = 0 are diagnosed with the other half as their reference, for each run. (`ratio` is the first half's diversity
# over the second's; the other columns belong to the [next chapter](debiased_diversity.ipynb).)

# %%
control = diagnosed.control(stored)
control.round(3)

# %% tags=["nbval-check-output", "hide-input"]
at_joint = signs[signs["beta"] == joint]
ratios = frame[frame["checkpoint"] == last].pivot(
    index="seed", columns="beta", values="diversity"
)
print("at the largest β, last epoch:")
print(
    "  diversity at least doubled in every run:",
    (ratios[joint] > 2 * ratios.iloc[:, 0]).all(),
)
told = at_joint["alarms"].str.contains("paid back")
print("  alarm in most runs, since it is paid back:", told.mean() > 0.5)
print("independent training, one half against the other:")
print("  diversity doubled in any run:", (control["ratio"] > 2).any())
print("  alarms:", (control["alarms"] != "").sum())

# %% [markdown]
# ## What was shown, and what was not
#
# - **Shown**, for the ensembles above: diversity explodes as β goes to 1; the learners pay for all of it, and the ensemble has
#   nothing from it on test data. Halves of an independent ensemble differ by far less than a factor of two.
# - **Not shown:** that large diversity is bad. It is what joint training does *with* it that is: the diversity of a random forest
#   is larger still, and reaches the ensemble. So the diagnostic needs its reference, independent training on the same data.
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
