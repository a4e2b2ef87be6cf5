"""Numerical counterparts of the theorems; the theory chapters and their figures are computed with these.

gradients.py    gradient and curvature of L^β in the learners' outputs, diversity as a quadratic form
flow.py         exact gradient flow of a small ensemble under L^β
leaf_values.py  the exact minimum of L^β over the leaf values of a fixed forest
verify.py       random ensembles, and checks that an equation or inequality holds on them
"""

from .flow import gradient_flow, joint_end, responses
from .gradients import SecondOrder, output_curvature, output_gradient, second_order
from .leaf_values import fit_leaf_values, leaf_outputs
from .verify import SIZES, confirm, draw_batch, draws

__all__ = [
    "SIZES", "SecondOrder", "confirm", "draw_batch", "draws", "fit_leaf_values", "gradient_flow", "joint_end",
    "leaf_outputs", "output_curvature", "output_gradient", "responses", "second_order",
]  # fmt: skip
