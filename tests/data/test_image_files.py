"""Images from files: the same pixels and the same chance whoever reads them; damaged files are named."""

import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from jointens import InputError
from jointens.data.image_files import (
    ReadOptions,
    SeededBatchSampler,
    SeededIndex,
    batches,
    evaluation_transform,
    training_transform,
)
from jointens.data.imagenet import ImageFiles

WIDTH, HEIGHT = 40, 32
READINGS = [ReadOptions(workers, decode=decode) for decode in ("cpu", "gpu") for workers in (0, 2)]
NAMES = [f"{reading.decode}-{reading.workers}" for reading in READINGS]
every_reading = pytest.mark.parametrize("reading", READINGS, ids=NAMES)


def same(image):
    return image


def picture(number):
    chance = np.random.default_rng(number)
    return Image.fromarray(chance.integers(256, size=(8, 10, 3), dtype=np.uint8)).resize((WIDTH, HEIGHT))


def images_in(folder, names):
    return ImageFiles(folder, np.array([name.encode() for name in names]), torch.arange(len(names)))


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    """Files of every kind that ImageNet has."""
    folder = tmp_path_factory.mktemp("kinds")
    turned = Image.Exif()
    turned[0x0112] = 6  # orientation, which nobody heeds who trains on ImageNet
    picture(0).save(folder / "rgb.JPEG")
    picture(1).convert("L").save(folder / "grey.JPEG")
    picture(2).convert("CMYK").save(folder / "cmyk.JPEG")
    picture(3).save(folder / "png.JPEG", format="PNG")
    picture(4).save(folder / "progressive.JPEG", progressive=True)
    picture(5).save(folder / "turned.JPEG", exif=turned)
    picture(6).convert("P").save(folder / "palette.png")
    return images_in(folder, sorted(path.name for path in folder.iterdir()))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Ten JPEG files."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(10):
        picture(number).save(folder / f"{number}.JPEG")
    return images_in(folder, [f"{number}.JPEG" for number in range(10)])


def read(files, places, transform, reading=READINGS[0]):
    return list(batches(files, places, transform, reading))


def assert_same(ours, expected):
    assert len(ours) == len(expected) > 0
    for one, other in zip(ours, expected, strict=True):
        assert all(map(torch.equal, one, other))


@every_reading
def test_an_image_is_decoded_as_pillow_does(reading, kinds):
    for row in range(len(kinds)):  # each by itself, too: a batch with one PNG is decoded another way
        ((images, targets),) = read(kinds, [[SeededIndex(row, 0)]], same, reading)
        with Image.open(kinds.path(row)) as file:
            expected = np.array(file.convert("RGB"))
        assert images.dtype == torch.uint8 and images.shape == (1, 3, HEIGHT, WIDTH)
        assert np.array_equal(images[0].permute(1, 2, 0).numpy(), expected), kinds.path(row).name
        assert targets.tolist() == [row]


@pytest.mark.parametrize("reading", READINGS[1:], ids=NAMES[1:])
@pytest.mark.parametrize("files", ["kinds", "pictures"])
def test_batches_are_the_same_whoever_reads_them(reading, files, request):
    files = request.getfixturevalue(files)
    rows = torch.randperm(len(files), generator=torch.Generator().manual_seed(1))
    places = SeededBatchSampler(rows, 2**61 + torch.arange(len(files)), 3)
    expected = read(files, places, training_transform(16))
    assert_same(read(files, places, training_transform(16), reading), expected)
    assert torch.cat([targets for _, targets in expected]).tolist() == rows.tolist()


@every_reading
def test_what_chance_does_to_an_image_follows_from_its_draw_alone(reading, pictures):
    transform = training_transform(16)
    ((alone, _),) = read(pictures, [[SeededIndex(3, 7)]], transform, reading)
    ((among, _),) = read(
        pictures,
        [[SeededIndex(1, 5), SeededIndex(2, 6), SeededIndex(3, 7), SeededIndex(3, 8), SeededIndex(3, 7)]],
        transform,
        reading,
    )
    assert torch.equal(among[2], alone[0]) and torch.equal(among[4], alone[0])
    assert not torch.equal(among[3], alone[0])
    late = read(pictures, [[SeededIndex(0, 0)], [SeededIndex(1, 1), SeededIndex(3, 7)]], transform, reading)
    assert torch.equal(late[1][0][1], alone[0])


@every_reading
def test_the_stream_of_dropout_masks_is_left_as_it_was(reading, pictures):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    for _ in batches(
        pictures, SeededBatchSampler(torch.arange(10), torch.arange(10), 4), training_transform(16), reading
    ):
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(torch.get_rng_state(), before)


def test_batches_do_not_depend_on_that_stream(pictures):
    places = SeededBatchSampler(torch.arange(4), torch.arange(4), 4)
    torch.manual_seed(1)
    first = read(pictures, places, training_transform(16))
    torch.manual_seed(2)
    assert_same(read(pictures, places, training_transform(16)), first)


def test_places_are_as_many_batches_as_they_say_and_the_last_is_smaller():
    places = SeededBatchSampler(torch.arange(7) * 10, torch.arange(7), 3)
    told = [[(at.row, at.seed) for at in batch] for batch in places]
    assert told == [[(0, 0), (10, 1), (20, 2)], [(30, 3), (40, 4), (50, 5)], [(60, 6)]]
    assert len(places) == 3 and len(SeededBatchSampler(torch.arange(6), torch.arange(6), 3)) == 2


# ---- damaged files


def text(path, whole):
    path.write_text("<html>404 not found</html>")


def truncated(path, whole):
    path.write_bytes(whole[: len(whole) // 2])


def empty(path, whole):
    path.write_bytes(b"")


def missing(path, whole):
    path.unlink()


DAMAGES = {text: "Unsupported image file", truncated: "incomplete or truncated", empty: "", missing: "No such file"}


@pytest.fixture
def damaged(tmp_path):
    """Ten JPEG files; those of the rows that are given can be damaged."""
    for number in range(10):
        picture(number).save(tmp_path / f"{number}.JPEG")

    def damage(rows):
        for row, how in rows.items():
            path = tmp_path / f"{row}.JPEG"
            how(path, path.read_bytes())
        return images_in(tmp_path, [f"{number}.JPEG" for number in range(10)])

    return damage


@every_reading
@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_file_is_named_with_what_to_do(how, reading, damaged):
    files = damaged({4: how})
    found = batches(files, SeededBatchSampler(torch.arange(10), torch.arange(10), 3), same, reading)
    assert next(found)[1].tolist() == [0, 1, 2]
    with pytest.raises(InputError, match=r"/4\.JPEG is damaged .*skip_damaged=true") as caught:
        next(found)
    told = str(caught.value)
    assert DAMAGES[how] in told and "\n" not in told and ".cpp" not in told and len(told) < 400


@every_reading
def test_damaged_files_are_left_out_and_the_targets_are_those_of_the_others(reading, damaged):
    rows, draws = torch.tensor([3, 1, 5, 0, 6, 4, 7, 9, 8, 2]), torch.arange(10)
    expected = dict(zip(rows.tolist(), torch.cat([of for of, _ in read(
        damaged({}), SeededBatchSampler(rows, draws, 10), training_transform(16)
    )]), strict=True))  # fmt: skip
    files = damaged({1: text, 0: empty, 6: missing, 4: truncated, 2: empty})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        skipping = reading._replace(skip_damaged=True)
        found = read(files, SeededBatchSampler(rows, draws, 3), training_transform(16), skipping)
    assert [targets.tolist() for _, targets in found] == [[3, 5], [], [7, 9, 8], []]
    assert [len(images) for images, _ in found] == [2, 0, 3, 0]
    for images, targets in found:
        assert targets.dtype == torch.int64
        assert all(torch.equal(image, expected[row]) for image, row in zip(images, targets.tolist(), strict=True))
    warned = sorted(str(warning.message).partition(" is damaged")[0] for warning in caught)
    assert warned == [f"skipped: {files.path(row)}" for row in (0, 1, 2, 4, 6)]


# ---- transforms


@pytest.mark.parametrize(("size", "shorter"), [(224, 256), (256, 256), (64, 73), (112, 128), (288, 288), (32, 37)])
@pytest.mark.parametrize("shape", [(300, 410), (333, 301), (50, 60)])
def test_evaluation_sees_the_centre_as_torchvision_cuts_it(size, shorter, shape):
    image = torch.randint(256, (3, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    expected = v2.CenterCrop(size)(v2.Resize(shorter, antialias=True)(image))
    assert torch.equal(evaluation_transform(size)(image), expected)
    assert expected.shape == (3, size, size) and expected.dtype == torch.uint8


@pytest.mark.parametrize("shape", [(300, 410), (40, 20), (1, 1)])
def test_a_training_image_has_the_size_that_is_asked_for(shape):
    image = training_transform(64)(torch.full((3, *shape), 9, dtype=torch.uint8))
    assert image.dtype == torch.uint8 and image.shape == (3, 64, 64) and (image == 9).all()


def test_training_sees_parts_of_all_sizes_and_half_of_them_flipped(tmp_path):
    ramp = np.repeat(np.linspace(0, 255, 256, dtype=np.uint8)[None, :, None], 256, axis=0).repeat(3, axis=2)
    Image.fromarray(ramp).save(tmp_path / "ramp.png")  # dark on the left, bright on the right
    places = SeededBatchSampler(torch.zeros(300, dtype=torch.int64), torch.arange(300), 300)
    ((images, _),) = read(images_in(tmp_path, ["ramp.png"]), places, training_transform(16))
    columns = images.float().mean((1, 2))  # (N, 16)
    flipped = (columns[:, 0] > columns[:, -1]).float().mean()
    assert 0.4 < flipped < 0.6
    share = (columns[:, 0] - columns[:, -1]).abs() / 255  # of the whole width, about
    assert share.min() < 0.35 and share.max() > 0.85
