"""How long a run on ImageNet would take: an estimate from arithmetic and reading, for each learner of Table 1.

A run ends when its patience does, which nobody knows beforehand; counted are as many validations as the paper's figure
shows. Nothing is trained here. Arithmetic is counted, three times a forward for a training step, and divided by an
assumed share of the card's rate, for the small operations between the products; reading is measured on this machine,
on one core, and divided by the number of cores. Training and reading go side by side, so the longer one is the time.

python benchmarks/imagenet_hours.py --data-root FOLDER     (without: two photographs of scikit-learn)
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

import jointens
from jointens.common import profiles_root
from jointens.data.image_files import ReadOptions, SeededBatchSampler, batches, training_transform
from jointens.data.imagenet import ImageFiles, read_folders
from jointens.reports.published import IMAGENET
from jointens.sweeps import make_learner

IMAGES = 200  # that are read to measure


class Row(NamedTuple):
    learner: str
    forward: float  # GFLOP an image, of one learner
    exaflop: float  # of the whole run of all learners
    computing: float  # hours
    reading: float  # hours


def forward_gflop(experiment: jointens.Experiment) -> float:
    """Of one learner for one image: twice the multiplications."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        make_learner(experiment)(torch.zeros(2, *experiment.input_shape))
    return counter.get_total_flops() / 2 / 1e9


def estimated(experiment: jointens.Experiment, told: argparse.Namespace, images_per_second: float) -> Row:
    """images_per_second: that one core reads."""
    trained = told.validations * experiment.validate_every * experiment.batch_size
    evaluated = told.validations * (experiment.sizes[1] + experiment.measured_size)
    forward = forward_gflop(experiment)
    flop = experiment.num_learners * forward * 1e9 * (3 * trained + evaluated)
    computing = flop / (told.share * told.tflops * 1e12) / 3600
    reading = (trained + evaluated) / (told.cores * images_per_second) / 3600
    return Row(experiment.base_learner, forward, flop / 1e18, computing, reading)


def reading_rate(files: ImageFiles) -> float:
    """Images a second that one core reads, decodes and crops to 224 pixels."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in a worker
    rows = torch.arange(IMAGES) % len(files)
    try:
        for _ in range(2):  # the first time is not counted
            start = time.perf_counter()
            for _ in batches(
                files, SeededBatchSampler(rows, torch.arange(IMAGES), 50), training_transform(224), ReadOptions()
            ):
                pass
        return IMAGES / (time.perf_counter() - start)
    finally:
        torch.set_num_threads(threads)


def photographs(folder: Path) -> ImageFiles:
    """Two photographs in the usual size of ImageNet's, 500×375 pixels."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_sample_images

    for number, image in enumerate(load_sample_images().images):
        Image.fromarray(image).resize((500, 375)).save(folder / f"{number}.JPEG", quality=95)
    return ImageFiles(folder, np.array([b"0.JPEG", b"1.JPEG"]), torch.zeros(2, dtype=torch.int64))


def main(arguments: list[str] | None = None) -> list[Row]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, help="the folder of ImageNet; none: two photographs of scikit-learn")
    parser.add_argument("--validations", type=int, default=275, help="in a run")
    parser.add_argument("--tflops", type=float, default=790, help="the card's rate of bfloat16 products, 1e12 a second")
    parser.add_argument("--share", type=float, default=0.2, help="of that rate, assumed")
    parser.add_argument("--cores", type=int, default=16, help="that read images")
    told = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        files = read_folders(told.data_root, 1000)[0] if told.data_root else photographs(Path(folder))
        rate = reading_rate(files)
    experiments = [jointens.Experiment.from_profile(profiles_root() / f"{name}.yml") for name in IMAGENET]
    rows = [estimated(experiment, told, rate) for experiment in experiments]
    print(f"{told.validations} validations; one core reads {rate:.0f} images/s, {told.cores} are assumed;")
    print(f"computing at {told.share:.0%} of {told.tflops:.0f} TFLOP/s: estimates, nothing was trained\n")
    print("learner          GFLOP/image    EFLOP   computing, h   reading, h   estimate, h")
    for row in rows:
        longer = max(row.computing, row.reading)
        print(
            f"{row.learner:16} {row.forward:11.2f} {row.exaflop:8.2f} {row.computing:14.1f} {row.reading:12.1f} "
            f"{longer:14.1f}"
        )
    return rows


if __name__ == "__main__":
    main()
