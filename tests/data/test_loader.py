"""Items, batches and worker processes."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from yoloslim.boxes.annotation import Annotation
from yoloslim.boxes.placement import GREY
from yoloslim.data.augment import AugmentSettings
from yoloslim.data.batches import Key, LoaderSettings
from yoloslim.data.datafile import load_data_file
from yoloslim.data.dataset import Dataset, load_dataset
from yoloslim.data.joint import joint
from yoloslim.data.layout import Layout
from yoloslim.data.loader import Batch, Item, TrainingSet, collate, to_targets, training_loader
from yoloslim.data.sampling import SamplingSettings
from yoloslim.errors import RecipeError

WriteSet = Callable[..., Path]

SIZE = (64, 48)
LAYOUT = Layout(SIZE, "letterbox", stride=16)
UNCACHED = LoaderSettings(cache="off")


def load(folder: Path) -> Dataset:
    return load_dataset(load_data_file(folder / "data.yaml"), "train")


def item(training_set: TrainingSet, draw: int, epoch: int = 0, size: tuple[int, int] = SIZE) -> Item:
    return training_set[Key(epoch, draw, size)]


def listed(batches: Iterable[Batch]) -> list[tuple[bytes, list[list[float]], list[list[bool]]]]:
    return [(b.images.numpy().tobytes(), b.targets.tolist(), b.unlabelled.tolist()) for b in batches]


def test_an_item_is_an_rgb_image_with_shares_of_the_input(tmp_path: Path, write_set: WriteSet) -> None:
    image, targets, unlabelled = item(TrainingSet(load(write_set(tmp_path, 6)), LAYOUT, AugmentSettings.off()), 5)

    assert image.dtype == torch.uint8
    assert image.shape == (3, 48, 64)
    assert image[:, 24, 32].tolist() == [100, 10, 5]
    assert targets.dtype == torch.float32
    np.testing.assert_allclose(targets, [[1, 0.5, 0.5, 0.5, 0.25]], atol=1e-6)
    assert unlabelled.tolist() == [False, False]


def test_a_network_with_one_channel_gets_grey_pictures(tmp_path: Path, write_set: WriteSet) -> None:
    grey = TrainingSet(load(write_set(tmp_path, 6)), replace(LAYOUT, channels=1), AugmentSettings.off())

    image = item(grey, 5).image

    assert image.shape == (1, 48, 64)
    assert image[0, 24, 32] == round(0.299 * 100 + 0.587 * 10 + 0.114 * 5)


def test_a_network_with_two_channels_reads_no_pictures(tmp_path: Path, write_set: WriteSet) -> None:
    with pytest.raises(RecipeError, match="this network reads 2: set channels= in its cfg"):
        TrainingSet(load(write_set(tmp_path, 1)), replace(LAYOUT, channels=2))


def test_targets_are_shares_of_the_input_borders_included(tmp_path: Path, write_set: WriteSet) -> None:
    square = TrainingSet(load(write_set(tmp_path, 1)), Layout((96, 96), "letterbox"), AugmentSettings.off())

    targets = item(square, 0, size=(96, 96)).targets

    np.testing.assert_allclose(targets, [[0, 0.5, 0.5, 0.5, 0.25 * 60 / 80]], atol=1e-6)


def test_objects_are_counted_by_class(tmp_path: Path, write_set: WriteSet) -> None:
    assert TrainingSet(load(write_set(tmp_path, 5, boxes=2)), LAYOUT).class_counts() == [6, 4]


def test_difficult_objects_are_no_targets() -> None:
    annotation = Annotation(
        np.array([[0, 0, 32, 48], [0, 0, 64, 48]], np.float32), np.array([3, 4]), np.array([False, True])
    )

    assert to_targets(annotation, SIZE).tolist() == [[3, 0.25, 0.5, 0.5, 1]]


def test_varied_targets_stay_inside_the_input(tmp_path: Path, write_set: WriteSet) -> None:
    strong = AugmentSettings(rotate=30, shear=10, mixup=0.5, cutout=0.5)
    varied = TrainingSet(load(write_set(tmp_path, 4)), LAYOUT, strong)

    shares = torch.cat([item(varied, draw, epoch).targets for epoch in range(25) for draw in range(4)])[:, 1:]

    low, high = shares[:, :2] - shares[:, 2:] / 2, shares[:, :2] + shares[:, 2:] / 2
    assert len(shares) > 50
    assert low.min() > -1e-6
    assert high.max() < 1 + 1e-6
    assert shares[:, 2:].min() > 0


def test_a_batch_numbers_its_pictures_background_included() -> None:
    image = torch.zeros(3, 4, 5, dtype=torch.uint8)
    target = torch.tensor([[1, 0.5, 0.5, 0.1, 0.2]])
    labelled = torch.zeros(2, dtype=torch.bool)

    batch = collate([Item(image, found, labelled) for found in (target, target[:0], torch.cat([target, target]))])

    assert batch.images.shape == (3, 3, 4, 5)
    assert batch.targets[:, 0].tolist() == [0, 2, 2]
    assert batch.targets.dtype == torch.float32
    np.testing.assert_allclose(batch.targets[:, 1:], target.repeat(3, 1))
    assert batch.unlabelled.shape == (3, 2)
    assert len(batch.to("cpu")) == 3


def test_a_batch_of_backgrounds_has_no_targets() -> None:
    background = Item(torch.zeros(3, 4, 5, dtype=torch.uint8), torch.zeros(0, 5), torch.zeros(2, dtype=torch.bool))

    batch = collate([background] * 2)

    assert batch.targets.shape == (0, 6)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory, write_set: WriteSet) -> Path:
    """A set of eleven pictures of three sizes."""
    return write_set(tmp_path_factory.mktemp("mixed"), 11, sizes=((80, 60), (50, 70), (90, 40)))


@pytest.fixture(scope="module")
def joined(mixed: Path, tmp_path_factory: pytest.TempPathFactory, write_set: WriteSet) -> list[Dataset]:
    """That set, and one with a class in common and one of its own."""
    return [load(mixed), load(write_set(tmp_path_factory.mktemp("other"), 4, names=("b", "c")))]


FEATURES = {
    "default": {},
    "mixup": {"augment": AugmentSettings(mixup=0.7)},
    "cutout": {"augment": AugmentSettings(cutout=0.7)},
    "rect": {"loader": LoaderSettings(shape="rect")},
    "multi-scale": {"loader": LoaderSettings(multi_scale=0.6, multi_scale_every=2)},
    "rect-multi-scale": {"loader": LoaderSettings(shape="rect", multi_scale=0.5, multi_scale_every=1)},
    "uncached": {"loader": UNCACHED},
    "in-memory": {"loader": LoaderSettings(cache="memory")},
    "weights": {"sampling": SamplingSettings(weights=(0.4, 2.5))},
    "balanced": {"sampling": SamplingSettings(repeat_threshold=1.0)},
}


@pytest.mark.parametrize("feature", FEATURES)
def test_batches_depend_on_the_seed_but_not_on_workers(joined: list[Dataset], feature: str) -> None:
    dataset = joint(joined, [{}, {}])

    def made(seed: int, workers: int) -> list[object]:
        training_set = TrainingSet(dataset, LAYOUT, seed=seed, **FEATURES[feature])
        loader = training_loader(training_set, 3, workers=workers)
        batches = [listed(loader.batches(epoch)) for epoch in range(2)]
        assert [len(epoch) for epoch in batches] == [len(loader)] * 2
        return [batch for epoch in batches for batch in epoch]

    here = made(3, 0)

    assert made(3, 2) == here
    assert made(4, 0) != here


def test_batches_do_not_depend_on_what_is_kept(joined: list[Dataset]) -> None:
    def made(settings: LoaderSettings) -> list[object]:
        return listed(training_loader(TrainingSet(joined[0], LAYOUT, loader=settings), 3).batches(1))

    everything = made(LoaderSettings())

    assert made(LoaderSettings(cache_gb=2e-5)) == everything  # two of the pictures
    assert made(UNCACHED) == everything


@pytest.mark.parametrize("workers", [0, 1])
def test_a_run_that_resumes_sees_the_batches_of_one_that_never_stopped(mixed: Path, workers: int) -> None:
    def loader() -> object:
        return training_loader(TrainingSet(load(mixed), LAYOUT), 3, workers=workers)

    whole = loader()
    uninterrupted = [listed(whole.batches(epoch)) for epoch in range(3)]

    resumed = loader()

    assert listed(resumed.batches(1, first=2)) == uninterrupted[1][2:]
    assert listed(resumed.batches(2)) == uninterrupted[2]
    assert len({str(batches) for batches in uninterrupted}) == 3


def test_a_batch_names_its_pictures(mixed: Path) -> None:
    loader = training_loader(TrainingSet(load(mixed), LAYOUT, AugmentSettings.off()), 3)
    batch = list(loader.batches(4))[1]

    names = loader.names(4, 1)

    blue = batch.images[:, 2, 24, 32].tolist()  # the number of each picture
    assert [Path(name).stem for name in names] == [f"{number:02d}" for number in blue]


def test_workers_also_serve_an_epoch_after_one_that_was_left_early(mixed: Path) -> None:
    expected = listed(training_loader(TrainingSet(load(mixed), LAYOUT), 2).batches(1))
    loader = training_loader(TrainingSet(load(mixed), LAYOUT), 2, workers=2)
    next(loader.batches(0))

    assert listed(loader.batches(1)) == expected


def test_workers_start_after_this_process_used_the_threads_of_opencv(tmp_path: Path, write_set: WriteSet) -> None:
    def use_threads() -> None:
        cv2.warpAffine(np.zeros((2000, 2000, 3), np.uint8), np.eye(2, 3), (2000, 2000))

    cv2.setNumThreads(2)
    use_threads()
    large = TrainingSet(load(write_set(tmp_path, 2)), Layout((1024, 1024), "letterbox"))
    loader = training_loader(large, 2, workers=1)
    loader._batches.timeout = 60  # would wait for ever

    assert len(list(loader.batches(0))) == 1
    assert cv2.getNumThreads() == 2
    use_threads()


class ThreadCounts(TrainingSet):
    """Tells with how many threads OpenCV and torch work."""

    def __getitem__(self, key: Key) -> Item:
        numbers = torch.tensor([[cv2.getNumThreads(), torch.get_num_threads()]], dtype=torch.uint8)
        return Item(numbers, torch.zeros(0, 5), torch.zeros(1, dtype=torch.bool))


def test_a_worker_works_with_one_thread(mixed: Path) -> None:
    loader = training_loader(ThreadCounts(load(mixed), LAYOUT), 3, workers=2)

    found = torch.cat([batch.images for batch in loader.batches(0)])

    assert found.unique().tolist() == [1]


def test_loading_leaves_the_global_generators_alone(mixed: Path) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()

    list(training_loader(TrainingSet(load(mixed), LAYOUT), 3, workers=1).batches(0))

    assert torch.equal(torch.get_rng_state(), before)


def test_a_set_of_a_single_picture_can_be_trained_on(tmp_path: Path, write_set: WriteSet) -> None:
    one = TrainingSet(load(write_set(tmp_path, 1)), LAYOUT, AugmentSettings(mosaic=1, mixup=1))

    assert [len(batch) for batch in training_loader(one, 16).batches(0)] == [1]


def test_rectangular_batches_hold_their_pictures_with_little_border(mixed: Path) -> None:
    fine = replace(LAYOUT, stride=8)
    rect = TrainingSet(load(mixed), fine, AugmentSettings.off(), loader=LoaderSettings(shape="rect"))
    whole = TrainingSet(load(mixed), LAYOUT, AugmentSettings.off())

    def borders(training_set: TrainingSet) -> tuple[float, set[tuple[int, ...]]]:
        batches = list(training_loader(training_set, 2).batches(0))
        grey = sum(int((batch.images == GREY).all(1).sum()) for batch in batches)
        return grey / sum(batch.images[:, 0].numel() for batch in batches), {b.images.shape[2:] for b in batches}

    (share, shapes), (share_of_whole, _) = borders(rect), borders(whole)

    assert share < 0.6 * share_of_whole
    assert {side % 8 for shape in shapes for side in shape} == {0}
    assert len(shapes) > 1


def test_with_larger_batches_pictures_are_kept_larger(tmp_path: Path, write_set: WriteSet) -> None:
    dataset = load(write_set(tmp_path, 3, sizes=((640, 480),)))

    scaled = TrainingSet(dataset, LAYOUT, loader=LoaderSettings(multi_scale=0.5))

    assert TrainingSet(dataset, LAYOUT).picture_sizes[0].tolist() == [64, 48]
    assert scaled.picture_sizes[0].tolist() == [85, 64]  # of batches up to 96 x 64, the multiples of the stride


def test_an_item_of_several_sets_tells_which_classes_its_own_lacks(joined: list[Dataset]) -> None:
    both = TrainingSet(joint(joined, [{}, {}]), LAYOUT, AugmentSettings.off())  # classes a, b, c

    assert item(both, 0).unlabelled.tolist() == [False, False, True]
    assert item(both, 11).unlabelled.tolist() == [True, False, False]
    assert item(both, 12).targets[:, 0].tolist() == [2]


def test_a_mosaic_of_two_sets_lacks_what_either_lacks(joined: list[Dataset]) -> None:
    both = TrainingSet(joint(joined, [{}, {}]), LAYOUT, AugmentSettings(mosaic=1))

    rows = [item(both, 0, epoch).unlabelled.tolist() for epoch in range(30)]

    assert [True, False, True] in rows
    assert [False, False, True] in rows
    assert all(row[2] for row in rows)  # the first of the four is of the first set


def test_partners_in_mosaics_are_drawn_as_often_as_pictures(tmp_path: Path, write_set: WriteSet) -> None:
    folder = write_set(tmp_path, 6)
    for number in range(1, 6):
        (folder / f"labels/{number:02d}.txt").write_text("")
    settings = replace(AugmentSettings.off(), mosaic=1.0)

    def most_objects(sampling: SamplingSettings) -> int:
        found = TrainingSet(load(folder), LAYOUT, settings, sampling=sampling)
        return max(len(item(found, 0, epoch).targets) for epoch in range(12))

    assert most_objects(SamplingSettings(background=0.0)) == 4  # the one picture with an object, four times
    assert most_objects(SamplingSettings()) < 4


def test_a_real_set_is_read_without_a_crash(data_dir: Path) -> None:
    data_file = load_data_file(Path(__file__).parents[2] / "examples/coco128.yaml")
    found = TrainingSet(load_dataset(data_file, "train"), Layout((160, 160), "letterbox"))

    batches = list(training_loader(found, 32).batches(0))

    assert sum(len(batch) for batch in batches) == len(found) == 128
    assert sum(len(batch.targets) for batch in batches) > 500


@pytest.fixture
def heeds_ctrl_c() -> Iterator[None]:
    """A process that heeds Ctrl-C, as one that a shell starts in the background does not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeds_ctrl_c")
def test_ctrl_c_while_workers_start_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_set: WriteSet
) -> None:
    made = training_loader(TrainingSet(load(write_set(tmp_path, 4)), LAYOUT), batch=2, workers=1)

    def starting(self: object) -> Iterator[Batch]:
        signal.raise_signal(signal.SIGINT)
        return iter(())

    monkeypatch.setattr(torch.utils.data.DataLoader, "__iter__", starting)

    with pytest.raises(KeyboardInterrupt):
        made.batches(0)

    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
