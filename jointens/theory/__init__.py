"""Numerical counterparts of the theorems; the theory chapters and their figures are computed with these.

gradients.py        gradient and curvature of L^β in the learners' outputs, diversity as a quadratic form
stop_gradients.py   gradients of learners that take each other for constants
random_weights.py   expected losses of ensembles with random weights, and the β that they are
flow.py             exact gradient flow of a small ensemble under L^β
leaf_values.py      the exact minimum of L^β over the leaf values of a fixed forest
verify.py           random ensembles, and checks that an equation or inequality holds on them
"""

from .flow import gradient_flow, joint_end, responses
from .gradients import SecondOrder, output_curvature, output_gradient, second_order
from .leaf_values import fit_leaf_values, leaf_outputs
from .random_weights import beta_of_dirichlet, beta_of_kept, beta_of_variance, expected_loss, subset_weights
from .stop_gradients import CONSTANTS, stop_gradient
from .verify import SIZES, confirm, draw_batch, draws

__all__ = [
    "CONSTANTS", "SIZES", "SecondOrder", "beta_of_dirichlet", "beta_of_kept", "beta_of_variance", "confirm",
    "draw_batch", "draws", "expected_loss", "fit_leaf_values", "gradient_flow", "joint_end", "leaf_outputs",
    "output_curvature", "output_gradient", "responses", "second_order", "stop_gradient", "subset_weights",
]  # fmt: skip
