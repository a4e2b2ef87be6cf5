"""ImageNet as Kaggle hands it out: LOC_synset_mapping.txt, LOC_val_solution.csv, validation images in one folder."""

import pytest
from PIL import Image

from jointens import InputError
from jointens.data.imagenet import IMAGES, MAPPING, SOLUTION, read_folders

CLASSES = {"n03": 0, "n01": 1, "n02": 2}  # not in the order of their names
VAL = {"val_1": "n02", "val_2": "n03", "val_3": "n01"}


def write_solution(root, labels=VAL, header="ImageId,PredictionString"):
    """As Kaggle writes it: of each object in the image the class and four numbers."""
    rows = [f"{name},{wnid} 111 108 431 357 {wnid} 1 2 3 4 " for name, wnid in labels.items()]
    (root / SOLUTION).write_text("\n".join([header, *rows]) + "\n")


@pytest.fixture(params=[IMAGES, "."], ids=["Kaggle's folders", "torchvision's folders"])
def root(request, tmp_path):
    images = tmp_path / request.param
    for name in (*(f"train/{wnid}/{wnid}_1.JPEG" for wnid in CLASSES), *(f"val/{name}.JPEG" for name in VAL)):
        (images / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 3)).save(images / name, format="JPEG")
    (tmp_path / MAPPING).write_text("".join(f"{wnid} tench, Tinca tinca\n" for wnid in CLASSES))
    write_solution(tmp_path)
    return tmp_path


def told(files):
    return {files.path(row).stem: target for row, target in enumerate(files.targets.tolist())}


def test_the_mapping_numbers_the_classes_and_the_solution_has_the_labels(root):
    train, val = read_folders(root, 3)
    assert told(train) == {"n01_1": 1, "n02_1": 2, "n03_1": 0}
    assert told(val) == {"val_1": 2, "val_2": 0, "val_3": 1}


def test_without_a_mapping_torchvisions_folders_are_counted_and_kaggles_are_refused(root):
    (root / MAPPING).unlink()
    if (root / "train").exists():
        assert told(read_folders(root, 3)[1]) == {"val_1": 1, "val_2": 2, "val_3": 0}
    else:
        with pytest.raises(InputError, match=r"index\.json is missing; expected is .*LOC_synset_mapping\.txt"):
            read_folders(root, 3)


def solution(text):
    return lambda root: (root / SOLUTION).write_text(f"ImageId,PredictionString\n{text}\n")


BROKEN = {
    "no labels": (
        lambda root: (root / SOLUTION).unlink(), r"labels\.json is missing; expected is .*LOC_val_solution\.csv"
    ),
    "labels of one": (solution("val_2,n01 1 2 3 4"), r"no label for 2 of 3 images in .*val, the first is val_1"),
    "an empty label": (solution("val_2,"), r"no label for 3 of 3 images in .*val, the first is val_1"),
    "a box without a class": (
        lambda root: write_solution(root, VAL | {"val_2": ""}), r"names 111, which .*mapping\.txt does not list"
    ),
    "an unknown label": (
        lambda root: write_solution(root, VAL | {"val_2": "n99"}), r"solution\.csv names n99, which .*mapping\.txt does"
    ),
    "other columns": (
        lambda root: write_solution(root, header="a,b"), r"solution\.csv has the columns a, b; allowed are ImageId and"
    ),
    "no text": (lambda root: (root / SOLUTION).write_bytes(b"\xff\xfe"), r"solution\.csv is no UTF-8 text"),
    "two classes": (
        lambda root: (root / MAPPING).write_text("n01 a\nn02 b\n"), r"mapping\.txt lists 2 classes; allowed are 3, as"
    ),
    "a class twice": (
        lambda root: (root / MAPPING).write_text("n01 a\n" * 3), r"mapping\.txt lists 3 classes; allowed are 3, as"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("breaking", "message"), BROKEN.values(), ids=BROKEN)
def test_what_does_not_fit_is_one_line(root, breaking, message):
    breaking(root)
    with pytest.raises(InputError, match=message) as caught:
        read_folders(root, 3)
    assert "\n" not in str(caught.value) and str(root) in str(caught.value)
