# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # ImageNet
#
# **Question.** Does joint training also fail where networks are large, classes many and images real? And how do the base
# learners behave on the way: does each of them learn, or only their average?
#
# **In the paper.** Table 1 sets independent training (β = 0) beside joint training (β = 1) on ImageNet, for seven
# architectures; Figure 6, right, shows the accuracy of the ensemble and of each base learner over training.
#
# **Here.** One run of ImageNet takes hours on a large GPU, so this page was made with *quick* data: images that the project
# draws itself, in the folders, with the protocol and through the code that ImageNet goes through. What it shows is how the
# experiment works and what to look for, not the paper's result. The [last section](sec-imagenet-scale) says what to run for
# that, and fills in by itself what has been trained. Words and symbols are in the [glossary](../book/glossary.md) and
# under [notation](../book/notation.md).
#
# ## What is trained
#
# Three base learners, on the objective of the [β sweep](beta_sweep.ipynb),
#
# $$\mathcal L^\beta = \text{individual loss} - \beta \cdot \text{diversity},$$
#
# with **probability averaging**: the ensemble predicts the mean of the learners' softmax outputs, as the authors' ImageNet
# code has it. At β = 1 a learner then receives its own gradient, weighted by the share that it has in the ensemble's
# probability of the right class ([the objective](objective.ipynb)): who is behind, learns little.
#
# The **protocol** is the authors':
#
# - a training image is cropped at random, 8 to 100 % of its area, scaled to a square, and flipped with even chances; a
#   validation image is scaled and cropped at its centre;
# - there is a validation every so many steps, counted anew in each epoch. A counter is 1 when the ensemble's validation
#   loss is the lowest so far, and goes up by one otherwise; the learning rate falls to a fifth whenever it is a multiple of
#   `lr_switch`, and training stops when it passes `max_patience`;
# - the best checkpoint is the one with the lowest *ensemble* loss, at β = 0, too;
# - ImageNet's test labels are not public. All numbers below are of validation images, those that chose the checkpoint and
#   the learning rate as well: this flatters every run a little, whatever its β.
#
# The quick data are twelve classes, shapes and textures in red, green and blue: 960 training and 240 validation images.

# %% tags=["parameters"]
dataset = "toy-imagenet"
base_learner = "ShuffleNet_IN"
image_size = 64
num_learners = 3
average = "probabilities"
beta_vals = [0.0, 1.0]
seeds = [0]
optimiser = "SGD"
learning_rate = 0.05
momentum = 0.9
weight_decay = 1e-7
scheduler = "ExponentialLR"
gamma = 0.2
lr_switch = 6
max_patience = 15
validate_every = 15
measured_size = 96
batch_size = 32
num_epochs = 5
precision = "float32"
data_root = None  # the folder of ImageNet; None: $JOINTENS_DATA or data/ here
saved = None  # a results folder: show what is there, and train nothing

# %%
# %matplotlib inline
import dataclasses

from myst_nb import glue

import jointens
from jointens.reports import beta_sweep, imagenet, published, table1

asked = jointens.Experiment.from_namespace(globals())
results = jointens.Results.at(saved) if saved else jointens.run(asked)
experiment = dataclasses.replace(results.experiment, data_root=data_root)

# %% [markdown]
# Training can be stopped at any moment: at each validation a checkpoint is written, and the same cell, or the same command,
# goes on from there.

# %% mystnb={"figure": {"caption": "Images as the learners see them. Above, validation images of some classes; below, training images, each a random part of its original.", "name": "fig-imagenet-images"}, "image": {"alt": "Two rows of six small square pictures with noise: discs, crosses, stripes and chequerboards in shades of red, green and blue; in the lower row some are cut off or enlarged."}}
imagenet.pictures(experiment)

# %% [markdown]
# ## Training dynamics
#
# Numbers in the text are those of the run that this page was made with. What is *said* about them was written of the quick
# run; whoever makes this page of another run should look anew.

# %% mystnb={"figure": {"caption": "Validation accuracy over training: the ensemble (blue) and each of its base learners (grey), independent training beside joint training. The counterpart of the paper's Figure 6, right.", "name": "fig-imagenet-dynamics"}, "image": {"alt": "Two panels of validation accuracy over training steps with the same axis. Left, independent training: a line for the ensemble just above three lines of its learners. Right, joint training: the ensemble's line with its three learners' lines further below it."}} tags=["picture"]
beta_sweep.training_curves(results, seed=experiment.seeds[0])

# %% tags=["remove-input"]
evaluated = table1.evaluated([results], data_root=data_root)
for name, beta in {"independent": 0.0, "joint": 1.0}.items():
    for metric, text in table1.texts(evaluated, beta).items():
        glue(f"imagenet_{name}_{metric}", text, display=False)

# %% [markdown]
# Look at the distance between the blue line and the grey ones in {numref}`fig-imagenet-dynamics`. Independent learners are
# nearly as good as their ensemble; joint ones fall behind theirs. At the best checkpoint, which is the one with the lowest
# ensemble *loss*, a joint learner by itself is right on {glue:text}`imagenet_joint_individual_accuracy` % of the validation
# images and its ensemble on {glue:text}`imagenet_joint_accuracy` %; at β = 0 it is
# {glue:text}`imagenet_independent_individual_accuracy` % and {glue:text}`imagenet_independent_accuracy` %. One independent learner
# is better than three joint ones together.

# %% mystnb={"figure": {"caption": "Individual loss, ensemble loss and their difference, diversity, over training; continuous lines are of validation images, dashed ones of training images, both in evaluation mode.", "name": "fig-imagenet-losses"}, "image": {"alt": "Two panels of losses over training steps with a logarithmic axis, independent and joint training. Under joint training individual loss and diversity lie on top of each other, far above the ensemble loss; under independent training diversity is far below both losses."}}
imagenet.losses(results, seed=experiment.seeds[0])

# %% [markdown]
# {numref}`fig-imagenet-losses` shows where that comes from. Under joint training most of a learner's loss is matched by
# diversity: {glue:text}`imagenet_joint_diversity` of {glue:text}`imagenet_joint_individual` nats at the best checkpoint, at β = 0
# {glue:text}`imagenet_independent_diversity` of {glue:text}`imagenet_independent_individual`. The learners pay for it one by one,
# and the ensemble has nothing from it: its loss is {glue:text}`imagenet_joint_ensemble` nats, that of independent training
# {glue:text}`imagenet_independent_ensemble` nats.
# Training and validation images hardly differ here, in so short a training: what is seen is slow and dependent learning, not
# yet overfitting.
#
# ## Table 1, of this run
#
# Each at its best checkpoint. **Top-5** counts an image as right if its class is among the five most probable ones; **NLL** is
# the ensemble's loss; the **calibration error** is the mean distance between how sure the ensemble is and how often it is
# right, over fifteen bins of confidence {cite:p}`guo2017calibration`.

# %%
table1.table(evaluated)

# %% [markdown]
# The numbers are of one seed, which sets no interval. Two β of one seed share initial weights, order and crops, and yet
# rounding alone moves them: on another processor the same joint run was right on twelve points more of the validation
# images. On both it was behind independent training; how far behind, one seed cannot tell.
#
# (sec-imagenet-scale)=
# ## At full scale
#
# For each architecture there is a profile with the paper's setting. The authors ship one file of hyperparameters, that of
# MobileViT; whether the others had the same is not known, and their profiles assume it. `data_root` is a folder with the
# Kaggle or the torchvision layout of ImageNet:
#
# ```bash
# python -m jointens run notebooks/profiles/imagenet_resnet18.yml \
#     data_root=/data/imagenet
# papermill notebooks/imagenet.ipynb runs/imagenet.ipynb --cwd notebooks \
#     -f notebooks/profiles/imagenet_resnet18.yml -p data_root /data/imagenet
# ```
#
# The second makes this page of the run that the first has trained. With `-p saved FOLDER` in place of the profile it trains
# nothing and shows what is there, of a run that is still going on as well. What has been published with the repository so far, top-1
# accuracy in per cent, beside the paper (the script `python results/publish.py FOLDER` adds a finished run):

# %%
table1.beside_the_paper(table1.evaluated(published.on_imagenet()))

# %% [markdown]
# No number of the paper is typed here by heart: its columns stay as they are until somebody has read them off the paper into
# `book/paper_values.yml`.
#
# ## What was shown, and what was not
#
# - **Shown**, on quick data: the protocol as the authors' code has it, from files to the table, for both β; that joint learners
#   fall behind their own ensemble while it trains, and both behind independent training.
# - **Not shown**: anything about ImageNet. Twelve classes of drawn shapes and some hundred steps are no test of the paper's
#   claim about large networks; neither is one seed.
# - The other half of the claim, that the diversity of joint training does not generalise, needs runs that fit their training
#   data, as in the [β sweep](beta_sweep.ipynb).
