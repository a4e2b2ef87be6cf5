"""A data set by name, as tensors or files, split by seed, and the loaders that batches come from.

registry.py           each data set by name: sizes, loss, shapes
splits.py             load a data set as one seed sees it
loaders.py            batches for training and evaluation
augmentation.py       random crop, flip and rotation on the device
torchvision_sets.py   CIFAR and SVHN
uci.py                the paper's regression sets
csv_table.py          a table of the user's own
table_columns.py      its columns as features
table_preparation.py  its rows as inputs, and outputs in its units
scaling.py            means and standard deviations of a training part
own_data.py           data that a function of the user's own returns
imagenet.py           ImageNet in folders
image_files.py        batches of images from files
toy_imagenet.py       a small ImageNet that is drawn
"""

from .augmentation import Augmentation, Pixels
from .csv_table import read_table
from .image_files import ReadOptions, SeededBatchSampler, batches, evaluation_transform, training_transform
from .imagenet import ImageFiles, read_folders
from .loaders import FileLoader, MemoryLoader, TorchLoader
from .registry import AUGMENTATIONS, DATASETS, Dataset, known_dataset, remember_table
from .scaling import Scaling
from .splits import Data, Request, Split, load_data
from .table_columns import Column
from .table_preparation import TablePreparation, prepare_table
from .toy_imagenet import read_toy_imagenet
from .uci import TABULAR_SETS, read_tabular

__all__ = [
    "AUGMENTATIONS", "DATASETS", "TABULAR_SETS", "Augmentation", "Column", "Data", "Dataset", "FileLoader",
    "ImageFiles", "MemoryLoader", "Pixels", "ReadOptions", "Request", "Scaling", "SeededBatchSampler", "Split",
    "TablePreparation", "TorchLoader", "batches", "evaluation_transform", "known_dataset", "load_data", "prepare_table",
    "read_folders", "read_table", "read_tabular", "read_toy_imagenet", "remember_table", "training_transform",
]  # fmt: skip
