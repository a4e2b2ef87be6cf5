"""Numerical counterparts of the theorems; the theory chapters and their figures are computed with these.

gradients.py   gradient and curvature of L^β in the learners' outputs, diversity as a quadratic form
flow.py        exact gradient flow of a small ensemble under L^β
verify.py      random ensembles, and checks that an equation or inequality holds on them
"""

from .flow import gradient_flow, joint_end, responses
from .gradients import SecondOrder, output_curvature, output_gradient, second_order
from .verify import SIZES, confirm, draw_batch, draws

__all__ = [
    "SIZES", "SecondOrder", "confirm", "draw_batch", "draws", "gradient_flow", "joint_end", "output_curvature",
    "output_gradient", "responses", "second_order",
]  # fmt: skip
