"""Images and an index of classes in the layouts of ImageNet."""

import json

from PIL import Image

from jointens.data.imagenet import INDEX

INDEXED = {0: "n03", 1: "n01", 2: "n02"}  # not in the order of the folders
TRAIN = ["n01/n01_1.JPEG", "n01/n01_2.JPEG", "n02/n02_1.jpg", "n03/n03_1.JPEG"]


def write_index(root, indexed=INDEXED):
    (root / INDEX).write_text(json.dumps({str(number): [wnid, f"word {number}"] for number, wnid in indexed.items()}))


def add_images(folder, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 3)).save(folder / name, format="JPEG")
