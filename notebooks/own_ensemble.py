# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Is my ensemble colluding?
#
# **A how-to.** You have an ensemble of your own, trained with whatever you like, and outputs of its learners on data that it has
# not seen: an array `(M, N, K)` of $M$ learners, $N$ examples and $K$ outputs. `jointens.diagnose` takes it from there.

# %% tags=["parameters"]
seed = 0

# %% [markdown]
# The data of this page, scikit-learn's diabetes, standardised on the training part. Yours are in the place of `X_test` and
# `y_test`.

# %%
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

inputs, target = load_diabetes(return_X_y=True)
parts = train_test_split(inputs, target[:, None], random_state=seed)
scales = [StandardScaler().fit(part) for part in parts[::2]]
X_train, X_test = (scales[0].transform(part) for part in parts[:2])
y_train, y_test = (scales[1].transform(part)[:, 0] for part in parts[2:])

# %% [markdown]
# ## With scikit-learn
#
# Ten perceptrons, each trained by itself. Their predictions are stacked, and that is all:

# %%
import numpy as np
from sklearn.neural_network import MLPRegressor

import jointens

jointens.check_parameters(globals())
outputs = []
for number in range(10):
    learner = MLPRegressor(
        hidden_layer_sizes=(64, 64),
        max_iter=1000,
        early_stopping=True,
        random_state=number,
    )
    learner.fit(X_train, y_train)
    outputs.append(learner.predict(X_test))
jointens.diagnose(outputs, y_test, loss="squared_error")

# %% [markdown]
# Each line is a number, its 95 % bootstrap interval over the test examples, and what it means. A line with **!** is a sign
# of collusion; there is none here. (In a script, `print(report)` says the same as text.)
#
# ## With PyTorch
#
# Now networks that may collude: all of them trained on one loss, of their average. And the same once more with a single line
# changed, the mean of their own losses, as a **reference**. It should differ in nothing else.

# %%
import torch
from torch import nn

x, y, x_test = (torch.Tensor(part) for part in (X_train, y_train, X_test))


def network():
    return nn.Sequential(nn.Linear(10, 128), nn.ReLU(), nn.Linear(128, 1))


# %%
def trained(objective):
    torch.manual_seed(seed)
    learners = nn.ModuleList(network() for _ in range(10))
    optimiser = torch.optim.Adam(learners.parameters(), lr=1e-2)
    for _ in range(200):
        outputs = torch.stack([learner(x)[:, 0] for learner in learners])
        optimiser.zero_grad()
        objective(outputs).backward()
        optimiser.step()
    return torch.stack([learner(x_test) for learner in learners])  # (M, N, 1)


joint = trained(lambda outputs: (outputs.mean(0) - y).square().mean())
reference = trained(lambda outputs: (outputs - y).square().mean())
jointens.diagnose(joint, y_test, loss="squared_error", reference=reference)

# %% [markdown]
# The learners collude. Part of what separates them is no more than a constant for each. One by itself is far worse than its
# independent twin, by about as much as diversity is larger, and the ensemble
# has nothing from it: the last lines say how much of the extra diversity is **paid back**. Without the reference less can be
# said: large diversity is no sign by itself.
#
# ## Classifiers
#
# For classifiers the outputs are logits, or `outputs_are="probabilities"`, as of `predict_proba` of a scikit-learn classifier. The
# cross-entropy of a probability of zero is infinite; fully grown trees give nothing but zeros and ones, so clip them. A random
# forest averages probabilities:

# %%
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier

images, labels = load_digits(return_X_y=True)
train, test = slice(None, 1000), slice(1000, None)
forest = RandomForestClassifier(20, random_state=seed).fit(
    images[train], labels[train]
)
chances = np.stack(
    [tree.predict_proba(images[test]) for tree in forest.estimators_]
)
report = jointens.diagnose(
    chances.clip(1e-3),
    labels[test],
    loss="cross_entropy",
    average="probabilities",
    outputs_are="probabilities",
)
report

# %% [markdown]
# The trees are far apart, and accuracy falls when some are dropped: both are no sign of collusion, since a tree is weak, and
# says something of its own. There is no constant shift, and no stretch of a common answer. (A tree is often quite sure and wrong;
# what that costs, and with it individual loss and diversity, is set by where zero is clipped.)
#
# ## What is measured, and what is a sign
#
# | finding | a sign if | what it sees |
# |---|---|---|
# | constant shifts | above 15 %, and 5 % of the squared errors | a learner that is too high or too low everywhere ([debiased diversity](debiased_diversity.ipynb)) |
# | systematic drift | above 30 %, and 5 % of the squared errors | a learner that shifts and stretches the common answer |
# | error correlation | below 0 | errors that make up for each other |
# | codependence, accuracy lost | a point more than the reference | learners that do not work without each other ([codependence](codependence.ipynb)) |
# | paid back | above 75 %, of at least doubled diversity | diversity that does not reach the ensemble ([diversity explosion](diversity_explosion.ipynb)) |
#
# It is the end of the interval that has to be beyond the line, not the number. The lines of 15 and 30 % are conventions, set
# between what independent perceptrons and forests came to and what joint training came to. All of it presumes **learners of one
# kind, trained for one purpose**: models of different flexibility, or of different quantiles, differ by shifts and stretches for
# honest reasons. So a reference tells more than any line; the last two signs need one, with as many learners.
#
# The data should be some that none of the learners has seen. On training data joint training looks better than it is.
#
# ## From the command line
#
# An `.npz` file with the arrays `outputs`, `targets` and, if there is one, `reference`, from any program
# ([other files](show-arrays) are read, too):

# %% tags=["nbval-check-output"]
import subprocess
import sys
import tempfile
from pathlib import Path

with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "joint.npz"
    np.savez(
        file, outputs=joint.detach(), targets=y_test, reference=reference.detach()
    )
    command = [sys.executable, "-m", "jointens", "show", file]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
print(done.stdout.splitlines()[0])

# %% [markdown]
# `python -m jointens show FOLDER` does the same for both ends of a sweep in `runs/`, and
# `show FOLDER beta=0.9 seed=3 checkpoint=best` for one of its ensembles.
#
# Was this ensemble colluding? As a check for a rerun:

# %% tags=["nbval-check-output"]
independent = jointens.diagnose(outputs, y_test, loss="squared_error")
against = jointens.diagnose(
    joint, y_test, loss="squared_error", reference=reference
)
print("independent perceptrons:", independent.verdict.split(".")[0])
print("random forest:", report.verdict.split(".")[0])
print("joint perceptrons, paid back is a sign:", "paid back" in against.alarms)
