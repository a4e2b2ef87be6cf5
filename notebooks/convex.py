# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A convex case
#
# **Question.** Networks that are trained jointly can end worse on test data. Is that the objective, or the way in which a network is
# trained on it?
#
# **Answer.** The objective is enough: where every minimum is global and computed exactly, diversity still explodes at β = 1, and the
# test loss can rise. But there a single number, a ridge chosen on validation data for each β, takes most of the cost away, and
# shallow trees then gain from joint fitting.
#
# ## Forests with joint leaf values
#
# A random forest is an ensemble whose learners are trained one by one. Here its trees keep their splits, and the values in
# their leaves are fitted anew. Learner $i$ predicts $f_i(x) = w_i[\text{leaf of } x \text{ in tree } i]$, which is linear in its
# values $w_i$. For squared error $\mathcal L^\beta$ is then a quadratic in all values together, and it is convex for β ≤ 1
# ({prf:ref}`thm-curvature`). Over $N$ training examples and $M$ trees what is minimised is
#
# $$
# \frac1N \sum_n \mathcal L^\beta(n) + \frac\lambda M \sum_i \lVert w_i - w_i^0 \rVert^2 ,
# $$
#
# where $w_i^0$ are the forest's own values. The ridge λ is the only hyperparameter. At β = 1 many values have the same loss;
# a small ridge picks those nearest to $w_i^0$, so that what the loss leaves free stays where it was.
#
# The data are scikit-learn's **diabetes**, and its **digits** with a fifth of the labels drawn anew. Classes are predicted one-hot; their
# squared error is the Brier score of the averaged shares. Each seed draws its own split and its own forest.

# %% tags=["parameters"]
regression = "diabetes"
classification = "digits"
images = 400  # of the digits, for training
noise = 0.2  # share of their labels that are drawn anew
data_root = None  # of the paper's regression sets: the folder that holds tabular/
num_trees = 20
depths = [2, 4, None]  # None: trees grow until their leaves are pure
beta_vals = [-1.0, -0.5, 0.0, 0.5, 0.9, 0.98, 1.0]  # below 0 disagreement costs
ridges = [1e-6, 1e-3, 1e-2, 1e-1, 1.0]
seeds = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]

# %%
# %matplotlib inline
import pandas as pd
import torch
from myst_nb import glue

import jointens
from jointens import theory
from jointens.analysis import at_ridges, compare, fit_forest
from jointens.data import load_data
from jointens.reports import forests as figures

jointens.check_parameters(globals())


def fitted(depth, name, **how):
    """Rows for each β, ridge and seed, with the smallest and the chosen ridge."""
    parts = [
        load_data(name, seed=seed, data_root=data_root, **how) for seed in seeds
    ]
    setting = {"num_trees": num_trees, "max_depth": depth, "ridges": ridges}
    rows = [
        fit_forest(data, seed=seed, beta_vals=beta_vals, **setting)
        for seed, data in zip(seeds, parts, strict=True)
    ]
    return at_ridges(pd.concat(rows), min(ridges))


titles = {depth: f"depth {depth}" if depth else "fully grown" for depth in depths}
values = {titles[depth]: fitted(depth, regression) for depth in depths}
how = {"train_size": images, "label_noise": noise}
classes = {titles[depth]: fitted(depth, classification, **how) for depth in depths}

# %% tags=["remove-input"]
about = f"{num_trees} trees · {len(seeds)} seeds · exact minimum in float64"
footers = {
    "values": f"quick results · {regression} · {about}",
    "classes": f"quick results · {classification}, {images} training examples, "
    f"{noise:.0%} label noise · {about}",
}

# %% mystnb={"figure": {"caption": "Leaf values fitted to $\\mathcal L^\\beta$, a column for each depth of the trees. Training loss and test loss of the ensemble as paired differences to $\\beta = 0$, and diversity. Red, dashed: the smallest ridge, which is as good as none. Blue: for each $\\beta$ the ridge with the lowest validation loss. Bars are 95 % t intervals over seeds.", "name": "fig-convex"}, "image": {"alt": "Three columns of three panels over beta. Training loss falls with beta. With the smallest ridge test loss rises steeply near beta 1 and diversity grows a hundredfold for trees of depth 2 and 4. With chosen ridges test loss falls for depth 2, hardly changes for depth 4, and is undecided for fully grown trees."}}
figures.sweep(values, footers["values"])

# %% tags=["remove-input"]
ends = depths[0], depths[len(depths) // 2], depths[-1]
kinds = dict(
    zip(("shallow", "middle", "grown"), map(titles.get, ends), strict=True)
)
for data, of_data in {"values": values, "classes": classes}.items():
    for kind, title in kinds.items():
        for ridge in ("one", "chosen"):
            told = of_data[title], f"{ridge} ridge"
            name = f"convex_{data}_{kind}_{ridge}"
            glue(name, figures.difference_text(*told), display=False)
            glue(f"{name}_ratio", f"{figures.ratio(*told):.0f}", display=False)
            if data == "classes":
                text = figures.difference_text(*told, metric="accuracy")
                glue(f"{name}_accuracy", text, display=False)

# %% [markdown]
# ## Regression
#
# **The exact minimum** (red in {numref}`fig-convex`). Joint fitting has the lowest training loss, by definition. On test data it loses at every depth:
# the loss changes from β = 0 to β = 1 by {glue:text}`convex_values_shallow_one` for the shallowest trees, by
# {glue:text}`convex_values_middle_one` for the next, and by {glue:text}`convex_values_grown_one` for fully grown ones. In the middle
# there are about as many leaf values as training examples, which is where least squares is at its worst. Diversity on test data is
# {glue:text}`convex_values_shallow_one_ratio`, {glue:text}`convex_values_middle_one_ratio` and
# {glue:text}`convex_values_grown_one_ratio` times that at β = 0. No step of a gradient is involved: the learners
# collude because the minimum is there.
#
# **A ridge for each β** (blue). Now the difference is {glue:text}`convex_values_shallow_chosen`,
# {glue:text}`convex_values_middle_chosen` and {glue:text}`convex_values_grown_chosen`: joint fitting wins where a tree is
# too shallow to fit the data, and for fully grown trees no difference is seen. There the lowest test loss lies at the
# *other* end, where disagreement costs something. The learners are
# {glue:text}`convex_values_shallow_chosen_ratio` times as diverse as at β = 0 for the shallowest trees, and that is of use.

# %%
figures.table(values)

# %% [markdown]
# Left and right of each arrow: β = 0 and β = 1.
#
# ## Classification

# %% mystnb={"figure": {"caption": "The same on handwritten digits with label noise; the loss is the Brier score.", "name": "fig-convex-classes"}, "image": {"alt": "Three columns of three panels over beta, as in the figure before. With chosen ridges test loss falls with beta at every depth."}}
figures.sweep(classes, footers["classes"])

# %%
figures.table(classes)

# %% [markdown]
# With a ridge for each β the Brier score changes by {glue:text}`convex_classes_shallow_chosen`,
# {glue:text}`convex_classes_middle_chosen` and {glue:text}`convex_classes_grown_chosen`: it is better at β = 1 at every depth. Accuracy
# changes by {glue:text}`convex_classes_shallow_chosen_accuracy`, {glue:text}`convex_classes_middle_chosen_accuracy` and
# {glue:text}`convex_classes_grown_chosen_accuracy` points: shallow trees gain, and for fully grown ones
# the two measures disagree.
#
# ## What joint fitting does to the leaves
#
# :::{prf:theorem} Joint leaf values are kernel regression with the forest's kernel
# :label: thm-forest-kernel
#
# Let $k(x, x')$ be the share of trees in which $x$ and $x'$ have the same leaf, $K$ its matrix on the training data, and $\bar f^0$ the
# ensemble at the start. At β = 1 and λ > 0 the minimum is
#
# $$
# \bar f(x) = \bar f^0(x) + \sum_n k(x, x_n)\, \alpha_n , \qquad (K + \lambda N I)\, \alpha = y - \bar f^0 ,
# $$
#
# and every tree adds to the value of a leaf the sum of the same $\alpha_n$ over the examples in it.
# :::
#
# :::{prf:proof}
# Let $Z_i$ be the membership of examples in the leaves of tree $i$. The gradient in $w_i$ is zero where
# $\frac2{MN} Z_i^\top (\bar f - y) + \frac{2 \lambda}M (w_i - w_i^0) = 0$, so $w_i - w_i^0 = Z_i^\top \alpha$ with
# $\alpha = (y - \bar f) / (\lambda N)$, which is the same for all trees. Averaged over the trees at any $x$ this is the first
# equation. On the training data it says $\lambda N \alpha = y - \bar f = y - \bar f^0 - K \alpha$.
# :::
#
# **Check.** The next cell, and
# {test}`theory/test_leaf_values.py::test_joint_training_is_kernel_regression_with_the_forests_kernel`.
#
# **Falsified by** leaves, targets, starting values and a ridge at which the minimum is another one.


# %% tags=["nbval-check-output"]
def drawn(num_learners, num_examples, seed):
    """Random leaves (M, N) and targets (N, 1), starting values (M, P, 1), a ridge."""
    chance = torch.Generator().manual_seed(seed)
    leaves = torch.randint(6, (num_learners, num_examples), generator=chance)
    shapes = (num_examples, 1), (num_learners, 6, 1)
    numbers = (torch.randn(shape, generator=chance).double() for shape in shapes)
    return leaves, *numbers, 0.05


def two_ways(leaves, targets, start, ridge):
    joint = theory.fit_leaf_values(leaves, targets, start, beta=1, ridge=ridge)
    kernel = (leaves.unsqueeze(2) == leaves.unsqueeze(1)).double().mean(0)
    before = theory.leaf_outputs(start, leaves).mean(0)
    size = len(targets)
    dual = torch.linalg.solve(
        kernel + ridge * size * torch.eye(size).double(), targets - before
    )
    return theory.leaf_outputs(joint, leaves).mean(0), before + kernel @ dual


cases = [drawn(*sizes) for sizes in ((1, 20, 0), (3, 40, 1), (10, 60, 2))]
theory.confirm("joint leaf values are kernel regression", two_ways, cases)

# %% [markdown]
# So a tree never sees an error of its own: at β = 1 all of them write the ensemble's remaining error into their leaves. The ensemble is one
# kernel machine with as many parameters as its kernel has rank, and the ridge regularises that machine. At β = 0 each tree is regularised
# by its own leaves, which hold means.
#
# ## What was shown, and what was not

# %% tags=["nbval-check-output", "hide-input"]
judged = {
    (data, title): compare(tests, max(beta_vals))
    for data, of_data in {"values": values, "classes": classes}.items()
    for title, tests in of_data.items()
}
one = {key: of.xs("one ridge", level="checkpoint") for key, of in judged.items()}
chosen = {
    key: of.xs("chosen ridge", level="checkpoint") for key, of in judged.items()
}
grows = [
    of.loc["diversity", "beta"] > 2 * of.loc["diversity", "reference"]
    for of in one.values()
]
claims = {
    "smallest ridge: training loss is lower everywhere": all(
        of.loc["train_ensemble", "verdict"] == "lower" for of in one.values()
    ),
    "smallest ridge: test loss is higher at every depth, regression": all(
        of.loc["ensemble", "verdict"] == "higher"
        for (data, _), of in one.items()
        if data == "values"
    ),
    "smallest ridge: diversity more than doubles everywhere": all(grows),
    "chosen ridges: test loss is lower for the shallowest trees": all(
        chosen[data, kinds["shallow"]].loc["ensemble", "verdict"] == "lower"
        for data in ("values", "classes")
    ),
    "chosen ridges: test loss is higher nowhere": all(
        of.loc["ensemble", "verdict"] != "higher" for of in chosen.values()
    ),
}
for claim, holds in claims.items():
    print(f"{claim}: {holds}")

# %% [markdown]
# - **Shown**: collusion needs no non-convexity. At the exact minimum of a convex objective diversity explodes at β = 1 and, for
#   regression, test loss rises at every depth.
# - With one hyperparameter chosen on validation data for each β, joint fitting is worse on test loss nowhere here, and better where trees are
#   shallow. So β = 1 at the same hyperparameters as β = 0 exaggerates the cost. For networks, a learning rate of its own
#   [does not remove it](beta_sweep.ipynb).
# - Shallow trees gain most from joint fitting. Fully grown ones, whose training loss is low at β = 0, gain nothing for
#   regression, and lose accuracy on digits. That is the order of the [map of settings](capacity.ipynb), too.
# - **Not shown:** that a network is like this. Splits are fixed here, as features are in a network that is trained in its last layer
#   alone; and weight decay is no ridge around a good start.
#
# **Next.** One of the paper's regression sets, where they are ([how](../book/reproduce.md)):
#
# ```bash
# papermill notebooks/convex.ipynb runs/convex.ipynb --cwd notebooks -p regression abalone
# ```
