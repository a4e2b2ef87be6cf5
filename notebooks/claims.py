# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Claims and their checks
#
# **Question.** What does the paper claim, what do we claim, and which of it stands up to a check?
#
# Of {glue:text}`claims_all` claims {glue:text}`claims_proved` are proved and checked, {glue:text}`claims_reproduced` are
# reproduced on data of their own scale, {glue:text}`claims_direction` have the claimed direction on smaller data,
# {glue:text}`claims_refuted` are not reproduced here, and {glue:text}`claims_not_run` need runs at the paper's scale. The
# verdicts were computed when this page was made, from the published results in `results/`.

# %% tags=["parameters"]
num_draws = 1000  # random examples on which an algebraic statement is tried
draws_seed = 0

# %% tags=["hide-input"]
from IPython.display import Markdown
from myst_nb import glue

import jointens
from jointens.reports import claims, claims_page

jointens.check_parameters(globals())
judged = claims.judge_all(count=num_draws, seed=draws_seed)

# %% tags=["remove-input"]
glue("claims_all", str(len(judged)), display=False)
names = ("proved", "reproduced", "direction", "refuted", "not_run")
counts = claims_page.counts(judged)
for name, number in zip(names, counts.values(), strict=True):
    glue(f"claims_{name}", str(number), display=False)

# %% mystnb={"markdown_format": "myst"} tags=["remove-input", "ledger"]
Markdown(claims_page.verdicts(judged))

# %% [markdown]
# Each claim has a check, which gives an effect: the mean difference between joint training (β = 1) and independent training
# (β = 0) within seeds, ± the half-width of its 95 % t interval, or the residual of an equation. Where a check gives several
# effects, as at two checkpoints or on four data sets, all of them have to be on the claimed side, and the table shows the
# weakest. Each check has a **negative control**, on which it must fail; and for no claim may its opposite hold, too.
# "Ours" are claims of this companion. A derived formula counts as the paper's where the paper builds on it; its own
# derivation may be another one.
#
# ## Theory

# %% mystnb={"markdown_format": "myst"} tags=["remove-input", "ledger"]
Markdown(claims_page.ledger(judged, "theory"))

# %% [markdown]
# ## CIFAR
#
# Data go by the names of their folders in `results/`. Losses are in nats, accuracies in percentage points. The paper's
# networks are ResNet18 and ResNet34 on all of CIFAR: where runs of them are published, a check takes these, otherwise the
# smaller ones of [the β sweep](beta_sweep.ipynb).

# %% mystnb={"markdown_format": "myst"} tags=["remove-input", "ledger"]
Markdown(claims_page.ledger(judged, "images"))

# %% [markdown]
# ## ImageNet

# %% mystnb={"markdown_format": "myst"} tags=["remove-input", "ledger"]
Markdown(claims_page.ledger(judged, "ImageNet"))

# %% [markdown]
# ## Regression
#
# Losses and diversity are in units of the standardised target. The four sets are the paper's; how it chose hyperparameters
# is not public ([decisions](../book/decisions.md)).

# %% mystnb={"markdown_format": "myst"} tags=["remove-input", "ledger"]
Markdown(claims_page.ledger(judged, "regression"))

# %% [markdown]
# ## Challenges
#
# A verdict is overturned by data, not by argument. The details of each claim say what would do it. In general:
#
# - **proved and checked**: a case where the two sides differ. `num_draws` and `draws_seed` choose the draws.
# - **reproduced** and **direction only**: more seeds of the same setting, published with `results/publish.py`. This page,
#   made anew, then has another verdict.
# - **not reproduced here** is no proof of the opposite: an interval that holds zero leaves a claim open. What would settle
#   it stands in the details, and the claim stays in the ledger, refuted or not.
# - **not run at the paper's scale**: the profiles are there, and `python results/publish.py --missing` trains them on a GPU
#   ([how](../book/reproduce.md)). A smaller run never fills this place.
#
# Claims about digits and diabetes, which the reader trains, are checked by cells of their chapters and do not appear here.
# A new claim is an entry in `book/claims.yml`: without a check, a negative control and a challenge it is refused.

# %% tags=["nbval-check-output", "hide-input"]
opposites = claims.judge_all(
    [of.claim.reversed() for of in judged if of.verdict.holds],
    count=num_draws,
    seed=draws_seed,
)
print(
    "claims that hold and whose opposite holds:",
    sum(of.verdict.holds for of in opposites),
)
print("negative controls that hold:", sum(of.control.holds for of in judged))

# %% [markdown]
# ## From the paper to this companion
#
# The paper's places as far as they are known here, and where each is taken up. Section numbers are not.

# %% mystnb={"markdown_format": "myst"} tags=["remove-input", "ledger"]
Markdown(claims_page.index(judged))

# %% [markdown]
# ## What was shown, and what was not
#
# - **Shown:** which claims are supported by published data and by algebra, by rules that are the same for all of them, and
#   that each check can fail.
# - **Not shown:** what the paper's own networks do, wherever a verdict says that the data are smaller or missing.
# - Nothing is corrected for the number of claims: of twenty intervals of 95 % one is expected to miss.
# - Claims and thresholds were written with results in view. Whoever doubts one should look at new seeds.
