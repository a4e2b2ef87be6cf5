"""toy-imagenet: drawn once, whole or not at all, into the layout of ImageNet; its classes can be seen."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from jointens import InputError
from jointens.common.seeding import generator
from jointens.data import toy_imagenet
from jointens.data.imagenet import IMAGES, INDEX, LABELS
from jointens.data.registry import DATASETS
from jointens.data.splits import load_data
from jointens.data.toy_imagenet import CLASSES, COLOURS, NUM_TRAIN, NUM_VAL, SIDE, draw, read_toy_imagenet


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    read_toy_imagenet(root)
    return root


def test_both_parts_have_all_classes_evenly_in_the_sizes_that_are_told(root):
    data = load_data("toy-imagenet", seed=0, data_root=root)
    assert (len(data.train), len(data.val)) == (NUM_TRAIN, NUM_VAL) == DATASETS["toy-imagenet"].sizes[:2]
    assert data.test is data.val and len(CLASSES) == 12
    for part in (data.train, data.val):
        assert part.targets.bincount().tolist() == [len(part) // 12] * 12


def test_it_has_kaggles_layout(root):
    folder = root / "toy-imagenet"
    index, labels = (json.loads((folder / name).read_text()) for name in (INDEX, LABELS))
    assert [index[str(number)][1] for number in range(12)] == list(CLASSES)
    folders = sorted(path.name for path in (folder / IMAGES / "train").iterdir())
    assert folders == sorted(wnid for wnid, _ in index.values())
    assert {path.name for path in (folder / IMAGES / "val").iterdir()} == labels.keys()
    assert sorted(path.name for path in root.iterdir()) == ["toy-imagenet"]


def test_what_is_there_is_not_drawn_again(root, monkeypatch):
    def refuse(*_):
        raise AssertionError("drawn again")

    monkeypatch.setattr(toy_imagenet, "_draw_all", refuse)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    toy_imagenet.read_folders.cache_clear()
    load_data("toy-imagenet", seed=1, data_root=root)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_the_files_are_what_the_one_stream_draws_for_their_classes(root):
    train, _ = read_toy_imagenet(root)
    chance = generator(0, "toy-imagenet")
    drawn = [draw(number % 12, chance) for number in range(14)]
    paths = [train.path(row) for row in range(len(train))]
    for number, image in enumerate(drawn):
        (row,) = (row for row, path in enumerate(paths) if path.stem.endswith(f"_{number:04}"))
        assert train.targets[row] == number % 12
        with Image.open(paths[row]) as file:
            kept = torch.from_numpy(np.array(file)).permute(2, 0, 1)
        one, other = (torch.nn.functional.avg_pool2d(of.float(), 8) for of in (kept, image))
        assert (one - other).abs().mean() < 4  # of 255: JPEG keeps all but some of the noise


@pytest.mark.parametrize("kind", [0, 4, 8, 11])
def test_an_image_is_the_same_for_the_same_generator_and_another_for_the_next_draw(kind):
    one, other = generator(5, "x"), generator(5, "x")
    image = draw(kind, one)
    assert image.dtype == torch.uint8 and image.shape == (3, SIDE, SIDE)
    assert torch.equal(image, draw(kind, other)) and not torch.equal(image, draw(kind, one))


def test_the_global_random_numbers_are_left_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    draw(0, generator(0, "x"))
    assert torch.equal(torch.get_rng_state(), before)


def test_an_image_is_brightest_in_the_colour_of_its_class():
    chance = generator(0, "test")
    right = torch.tensor(
        [
            [draw(kind, chance).float().mean((1, 2)).argmax() == COLOURS.index(name.split("_")[0]) for _ in range(40)]
            for kind, name in enumerate(CLASSES)
        ]
    ).float()
    assert (right.mean(1) > 0.5).all() and right.mean() > 0.75


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()  # permissions would not stop root
    with pytest.raises(InputError, match=r"cannot draw toy-imagenet in .*/file/toy-imagenet: Not a directory$"):
        load_data("toy-imagenet", seed=0, data_root=tmp_path / "file")


@pytest.mark.parametrize(("error", "told"), [(KeyboardInterrupt, KeyboardInterrupt), (OSError(28, "full"), InputError)])
def test_of_what_was_not_drawn_to_the_end_nothing_stays(error, told, tmp_path, monkeypatch):
    whole, number = toy_imagenet.draw, iter(range(20))

    def breaks_off(*of):
        if next(number, None) is None:
            raise error
        return whole(*of)

    monkeypatch.setattr(toy_imagenet, "draw", breaks_off)
    with pytest.raises(told):
        read_toy_imagenet(tmp_path)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(toy_imagenet, "draw", lambda *_: torch.zeros(3, 2, 2, dtype=torch.uint8))  # soon done
    assert len(read_toy_imagenet(tmp_path)[0]) == NUM_TRAIN


def test_two_who_draw_at_once_both_get_it(tmp_path, monkeypatch):
    """Another process is faster: then its drawing is taken."""
    monkeypatch.setattr(toy_imagenet, "draw", lambda *_: torch.zeros(3, 2, 2, dtype=torch.uint8))
    folder, slowly = tmp_path / "toy-imagenet", toy_imagenet._draw_all

    def while_another_does(place):
        slowly(place)
        folder.mkdir()
        slowly(folder)

    monkeypatch.setattr(toy_imagenet, "_draw_all", while_another_does)
    assert len(read_toy_imagenet(tmp_path)[1]) == NUM_VAL
    assert list(tmp_path.iterdir()) == [folder]


def test_what_is_there_but_was_not_drawn_is_told(tmp_path):
    (tmp_path / "toy-imagenet").mkdir()
    (tmp_path / "toy-imagenet" / "notes.txt").touch()
    with pytest.raises(InputError, match=r"no ImageNet in .*/toy-imagenet: it holds notes\.txt; "):
        load_data("toy-imagenet", seed=0, data_root=tmp_path)
