# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Learners that share their weights
#
# **Question.** The learners of TabM {cite}`gorishniy2025tabm` share nearly all of their weights. Does it still matter
# whether one trains the mean of their losses or the loss of their mean?
#
# **Answer.** It does. The loss of the mean gives weak learners whose errors cancel: they collude, though they are almost
# one network. At the end of training the ensemble is better on training data and worse on test data.

# %% tags=["parameters"]
dataset = "diabetes"
data_root = None  # of the paper's sets: the folder that holds tabular/
base_learner = "TabM"
hidden = [64, 64]
num_learners = 32
beta_vals = [0.0, 0.5, 0.9, 1.0]
seeds = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
optimiser = "Adam"
learning_rate = 1e-3
scheduler = "none"
batch_size = 64
num_epochs = 60
measured_size = 1000  # training examples whose losses are measured: all there are
measure_test = True  # after each epoch, for the figures; it decides nothing

# %% mystnb={"figure": {"caption": "32 learners with shared weights on diabetes: ensemble loss on training data against ensemble loss on test data, both as differences to $\\beta = 0$ of the same seed. Small dots are runs, ringed dots are means with 95 % t intervals. Left of the vertical line training data are fitted better than by the mean of losses; above the horizontal line test data are predicted worse.", "name": "fig-shared-weights-gap"}, "image": {"alt": "Two scatter plots, best checkpoint and last epoch, one colour for each beta. At the last epoch the means move to the upper left as beta grows. At the best checkpoint they lie around zero."}}
# %matplotlib inline
from myst_nb import glue

import jointens
from jointens.analysis import compare, stored_outputs, sweep_diagnostics
from jointens.reports import beta_sweep, published_tables, tables

experiment = jointens.Experiment.from_namespace(globals())
results = jointens.run(experiment)  # trains what is not there yet
tests = results.tests()
beta_sweep.train_against_test(results)

# %% [markdown]
# ## The setting
#
# All learners use the same weight matrix $W$ in a hidden layer. Learner $i$ has its own scalings $r_i$, $s_i$ and bias
# $b_i$, as in BatchEnsemble {cite}`wen2020batchensemble`, and its own output layer:
#
# $$
# h_i = \mathrm{ReLU}\bigl(s_i \odot W (r_i \odot x) + b_i\bigr).
# $$
#
# The $r_i$ of the first layer start as random signs, the other scalings as ones. With $M = 32$ learners of two hidden layers
# of 64 units the ensemble has
# {glue:text}`shared_weights_number` weights; 32 separate perceptrons have {glue:text}`shared_weights_separate`. Data, optimiser and
# epochs are those of [the chapter on tabular ensembles](tabular.ipynb): 264 patients for training, ten seeds. These are
# **quick results**.

# %% tags=["remove-input"]
import dataclasses

from jointens.sweeps import num_parameters

separate = dataclasses.replace(experiment, base_learner="MLP")
glue("shared_weights_number", f"{num_parameters(experiment):,}", display=False)
glue("shared_weights_separate", f"{num_parameters(separate):,}", display=False)
joint = max(experiment.beta_vals)
for name, text in tables.texts(tests, joint).items():
    glue(f"shared_weights_{name}", text, display=False)

# %%
tables.generalisation(tests, [min(experiment.beta_vals), joint])

# %% [markdown]
# At the last epoch the loss of the mean (β = 1) changes the training loss by
# {glue:text}`shared_weights_train_ensemble_last_difference` and the test loss by
# {glue:text}`shared_weights_ensemble_last_difference`. One learner by itself has a test loss of
# {glue:text}`shared_weights_individual_last`, which is no better than always predicting the mean (a loss of 1);
# with the mean of losses it has {glue:text}`shared_weights_individual_last_reference`. Early stopping hides the cost to the
# ensemble, and not that to its learners, as for [separate perceptrons](tabular.ipynb).
#
# ## Weak, or colluding?
#
# Weak learners alone are no sign of collusion: a tree of a random forest is weak, too. The signs are shifts and stretches
# that cancel in the average ([Is my ensemble colluding?](own_ensemble.ipynb)). Their means over seeds, at the last epoch:

# %%
stored = stored_outputs(results)
signs = sweep_diagnostics.signs(stored, "last")
columns = {
    "constant_shifts": "constant shifts, %",
    "systematic_drift": "systematic drift, %",
    "error_correlation": "error correlation",
}
shown = signs.groupby("beta")[[*columns]].mean().rename(columns=columns)
(shown * [100, 100, 1]).round(2).rename_axis("β")

# %% tags=["remove-input"]
for column in ("constant_shifts", "systematic_drift"):
    percent = 100 * signs.groupby("beta")[column].mean()[joint]
    glue(f"shared_weights_{column}", f"{percent:.0f}", display=False)

# %% [markdown]
# At β = 1 constant shifts make up {glue:text}`shared_weights_constant_shifts` % of diversity, shifts and stretches of the
# common answer {glue:text}`shared_weights_systematic_drift` %, and the learners' errors make up for each other. Up to
# β = 0.9 there is next to nothing of the kind. `jointens.diagnose` sees it in the outputs of a single seed:

# %%
of_one_seed = stored.read(joint, stored.runs[0], "last")
jointens.diagnose(*of_one_seed, loss="squared_error")

# %% [markdown]
# ## The paper's four sets
#
# The same on the sets of the paper's diagnostics, prepared and trained as in [Tabular ensembles](tabular.ipynb). These runs
# are **published** with the repository.

# %%
sets = published_tables.read_tables(published_tables.SHARED)
on_sets = {name.removeprefix("tabm_"): table for name, table in sets.items()}
tables.changes(on_sets, beta=1)

# %% tags=["remove-input"]
abalone = compare(on_sets["abalone"], 1)["beta"]
alone = f"{abalone['individual', 'last']:.0f}"
glue("shared_weights_abalone", alone, display=False)

# %% [markdown]
# On three sets joint training has the lower training loss at the last epoch, and the higher test loss at **both**
# checkpoints: here early stopping does not hide the cost. On facebook, where a few posts have most of the impressions,
# nothing can be told. One learner of abalone by itself has a test loss of {glue:text}`shared_weights_abalone` at β = 1.
#
# ## What was shown, and what was not

# %% tags=["nbval-check-output", "hide-input"]
last = compare(tests, joint).xs("last", level="checkpoint")
of_joint = signs[signs["beta"] == joint]
print("last epoch: training loss is", last.loc["train_ensemble", "verdict"])
print("last epoch: test loss is", last.loc["ensemble", "verdict"])
print(
    "constant shifts above 15 % in every seed:",
    (of_joint["constant_shifts"] > 0.15).all(),
)
on_others = signs[signs["beta"] == min(experiment.beta_vals)]
print(
    "at the lowest β below 15 % in every seed:",
    (on_others["constant_shifts"] < 0.15).all(),
)

# %% [markdown]
# - **Shown.** Sharing the weights does not keep learners from colluding. Their scalings, biases and output layers are enough.
# - The advice of TabM's documentation, the mean of the losses, holds on these data.
# - **Not shown:** TabM itself. Its optimiser, embeddings of numbers and hyperparameters are others, and so are its data sets,
#   which are larger.
#
# **Next.** The same on one of the paper's sets, or on a table of your own:
#
# ```bash
# papermill notebooks/shared_weights.ipynb runs/abalone.ipynb --cwd notebooks \
#     -f notebooks/profiles/tabm_abalone.yml
# ```
