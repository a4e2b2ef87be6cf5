"""The bridge to the authors' repository (alanjeffares/joint-ensembles).

config.py     experiments from its configurations
results.py    results folders, both ways
table.py      its results.csv
imagenet.py   its results on ImageNet
outputs.py    its files of trained regression ensembles
"""

from .config import read_experiment
from .outputs import read_outputs
from .results import convert

__all__ = ["convert", "read_experiment", "read_outputs"]
