from __future__ import annotations

import gc
import io
import os
import pickle
import signal
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from yoloslim.boxes.annotation import Annotation
from yoloslim.data import library
from yoloslim.data.augment import AugmentSettings
from yoloslim.data.datafile import load_data_file
from yoloslim.data.dataset import Dataset, load_dataset
from yoloslim.data.loader import Batch, EpochBatches, Item, Share, TrainingSet, collate, to_targets, training_loader
from yoloslim.errors import DataError, OutputError

SIZE = (64, 48)
CACHE = 1 << 20


def write_set(folder: Path, count: int, *, boxes: int = 1) -> Path:
    """Writes ``count`` pictures 80x60, each of one colour, with ``boxes`` boxes."""
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    for number in range(count):
        picture = np.full((60, 80, 3), (number, 2 * number, 100), np.uint8)
        cv2.imwrite(str(folder / f"images/{number:02d}.png"), picture)
        (folder / f"labels/{number:02d}.txt").write_text(f"{number % 2} 0.5 0.5 0.5 0.25\n" * boxes)
    (folder / "data.yaml").write_text("train: images\nnames: [a, b]\n")
    return folder


def load(folder: Path) -> Dataset:
    return load_dataset(load_data_file(folder / "data.yaml"), "train")


def training_set(folder: Path, settings: AugmentSettings | None = None, **options: int) -> TrainingSet:
    return TrainingSet(load(folder), SIZE, "letterbox", settings, **options)


def listed(batches: Iterable[Batch]) -> list[tuple[bytes, list[list[float]]]]:
    return [(batch.images.numpy().tobytes(), batch.targets.tolist()) for batch in batches]


def test_an_item_is_an_rgb_image_with_shares_of_the_input(tmp_path: Path) -> None:
    image, targets, _ = training_set(write_set(tmp_path, 6), AugmentSettings.off())[0, 5]

    assert image.dtype == torch.uint8
    assert image.shape == (3, 48, 64)
    assert image[:, 24, 32].tolist() == [100, 10, 5]
    assert targets.dtype == torch.float32
    np.testing.assert_allclose(targets, [[1, 0.5, 0.5, 0.5, 0.25]], atol=1e-6)


def test_targets_are_shares_of_the_input_borders_included(tmp_path: Path) -> None:
    dataset = load(write_set(tmp_path, 1))

    _, targets, _ = TrainingSet(dataset, (96, 96), "letterbox", AugmentSettings.off())[0, 0]

    np.testing.assert_allclose(targets, [[0, 0.5, 0.5, 0.5, 0.25 * 60 / 80]], atol=1e-6)


def test_objects_are_counted_by_class(tmp_path: Path) -> None:
    assert training_set(write_set(tmp_path, 5, boxes=2)).class_counts() == [6, 4]


def test_difficult_objects_are_no_targets() -> None:
    annotation = Annotation(
        np.array([[0, 0, 32, 48], [0, 0, 64, 48]], np.float32), np.array([3, 4]), np.array([False, True])
    )

    assert to_targets(annotation, SIZE).tolist() == [[3, 0.25, 0.5, 0.5, 1]]


def test_varied_targets_stay_inside_the_input(tmp_path: Path) -> None:
    varied = training_set(write_set(tmp_path, 4), AugmentSettings(rotate=30, shear=10), cache_bytes=CACHE)

    shares = torch.cat([varied[epoch, index][1] for epoch in range(25) for index in range(4)])[:, 1:]

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
    assert len(batch.to("cpu")) == 3


def test_a_batch_of_backgrounds_has_no_targets() -> None:
    item = Item(torch.zeros(3, 4, 5, dtype=torch.uint8), torch.zeros(0, 5), torch.zeros(2, dtype=torch.bool))

    batch = collate([item] * 2)

    assert batch.targets.shape == (0, 6)


@pytest.fixture(scope="module")
def seven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of seven pictures."""
    return write_set(tmp_path_factory.mktemp("seven"), 7)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("cache", [0, CACHE])
def test_batches_depend_on_neither_workers_nor_cache(seven: Path, workers: int, cache: int) -> None:
    here = training_loader(training_set(seven, seed=3), 3)
    there = training_loader(training_set(seven, seed=3, cache_bytes=cache), 3, workers=workers)

    for epoch in range(3):
        assert listed(there.batches(epoch)) == listed(here.batches(epoch))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_run_that_resumes_sees_the_batches_of_one_that_never_stopped(seven: Path, workers: int) -> None:
    whole = training_loader(training_set(seven), 3, workers=workers)
    uninterrupted = [listed(whole.batches(epoch)) for epoch in range(3)]

    resumed = training_loader(training_set(seven), 3, workers=workers)

    assert listed(resumed.batches(2)) == uninterrupted[2]
    assert len({str(batches) for batches in uninterrupted}) == 3


def test_workers_also_serve_an_epoch_after_one_that_was_left_early(seven: Path) -> None:
    expected = listed(training_loader(training_set(seven), 2).batches(1))
    loader = training_loader(training_set(seven), 2, workers=2)
    next(loader.batches(0))

    assert listed(loader.batches(1)) == expected


def test_workers_start_after_this_process_used_the_threads_of_opencv(tmp_path: Path) -> None:
    def use_threads() -> None:
        cv2.warpAffine(np.zeros((2000, 2000, 3), np.uint8), np.eye(2, 3), (2000, 2000))

    cv2.setNumThreads(2)
    use_threads()
    large = TrainingSet(load(write_set(tmp_path, 2)), (1024, 1024))
    loader = training_loader(large, 2, workers=1)
    loader._batches.timeout = 60  # would wait for ever

    assert len(list(loader.batches(0))) == 1
    assert cv2.getNumThreads() == 2
    use_threads()


def test_another_seed_gives_another_order_and_other_samples(seven: Path) -> None:
    first, second = (training_set(seven, seed=seed) for seed in (0, 1))

    assert list(EpochBatches(7, 3, 0)) != list(EpochBatches(7, 3, 1))
    assert not torch.equal(first[0, 0][0], second[0, 0][0])


def test_loading_leaves_the_global_generators_alone(seven: Path) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()

    list(training_loader(training_set(seven), 3, workers=1).batches(0))

    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("count", "batch", "sizes"),
    [(7, 3, [3, 3]), (8, 3, [3, 3, 2]), (6, 3, [3, 3]), (2, 16, [2]), (1, 16, [1]), (3, 1, [1, 1, 1])],
)
def test_the_last_batch_is_kept_unless_it_has_a_single_picture(count: int, batch: int, sizes: list[int]) -> None:
    batches = EpochBatches(count, batch, seed=0)

    keys = list(batches)

    assert [len(found) for found in keys] == sizes
    assert len(batches) == len(sizes)
    assert len({index for found in keys for _, index in found}) == sum(sizes)


@pytest.mark.parametrize("num_samples", [1, 6, 11])
def test_processes_that_share_an_epoch_get_as_many_batches_and_all_pictures(num_samples: int) -> None:
    shares = [list(EpochBatches(num_samples, 2, 0, Share(rank, 3))) for rank in range(3)]

    assert len({len(batches) for batches in shares}) == 1
    seen = {index for batches in shares for keys in batches for _, index in keys}
    assert seen == set(range(num_samples))


def test_a_set_of_a_single_picture_can_be_trained_on(tmp_path: Path) -> None:
    loader = training_loader(training_set(write_set(tmp_path, 1), AugmentSettings(mosaic=1)), 16)

    assert [len(batch) for batch in loader.batches(0)] == [1]


def test_background_is_trained_on(tmp_path: Path) -> None:
    folder = write_set(tmp_path, 2)
    (folder / "labels/01.txt").unlink()

    found = training_set(folder, AugmentSettings.off())

    assert found.problems == ()
    assert [len(found[0, index][1]) for index in range(2)] == [1, 0]


@pytest.mark.parametrize("cache", [0, CACHE])
def test_what_cannot_be_read_is_left_out_and_told(tmp_path: Path, cache: int) -> None:
    folder = write_set(tmp_path, 5)
    (folder / "images/01.png").write_bytes((folder / "images/01.png").read_bytes()[:-20])
    (folder / "labels/02.txt").write_bytes(b"\xff\xfe\x00")
    (folder / "labels/03.txt").write_text("7 0.5 0.5 0.1 0.1\n0 0.5 0.5 0.1 0.1\n")

    found = training_set(folder, AugmentSettings.off(), cache_bytes=cache)

    assert len(found) == 3
    assert [found[0, index][0][2, 24, 32].item() for index in range(3)] == [0, 3, 4]
    told = [str(problem).removeprefix(f"{folder}/") for problem in found.problems]
    assert [text.split(": ")[0] for text in told] == ["images/01.png", "labels/02.txt", "labels/03.txt:1"]


def test_a_picture_that_vanishes_later_is_replaced_by_the_next_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_set(tmp_path, 3)
    found = training_set(folder, AugmentSettings.off())
    (folder / "images/02.png").unlink()

    image = found[0, 2].image

    assert image[2, 24, 32] == 0
    assert "02.png: no such picture; it could be read when training began" in caplog.text


def test_a_set_that_vanishes_is_an_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write_set(tmp_path, 2)
    found = training_set(folder)
    for path in (folder / "images").iterdir():
        path.unlink()

    with pytest.raises(DataError, match="neither this nor any other picture"):
        found[0, 0]


def test_a_set_without_readable_pictures_is_an_error(tmp_path: Path) -> None:
    folder = write_set(tmp_path, 1)
    (folder / "images/00.png").write_bytes(b"no picture")

    with pytest.raises(DataError, match=r"expected pictures to train on, found none among 1 .*00\.png"):
        training_set(folder)


def test_a_set_without_boxes_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected boxes to train on, found none in 2 pictures: .*00\.txt"):
        training_set(write_set(tmp_path, 2, boxes=0))


def test_progress_counts_every_sample(tmp_path: Path) -> None:
    seen: list[int] = []

    TrainingSet(load(write_set(tmp_path, 3)), SIZE, progress=seen.append)

    assert seen == [1, 2, 3]


# ---- pictures that are kept ------------------------------------------------------------------------------------------


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on systems other than Linux, where files need names."""
    monkeypatch.setattr(library, "OPEN_FILES", Path("/nowhere"))


def test_pictures_are_kept_at_the_size_of_the_input_up_to_the_budget(tmp_path: Path) -> None:
    folder = write_set(tmp_path, 5)
    picture_bytes = SIZE[0] * SIZE[1] * 3

    counts = [training_set(folder, cache_bytes=budget).num_cached for budget in (0, 3 * picture_bytes + 10, CACHE)]

    assert counts == [0, 3, 5]


@pytest.mark.skipif(not library.OPEN_FILES.is_dir(), reason="Linux only")
def test_kept_pictures_have_no_name_that_could_stay_behind(tmp_path: Path, temporary: Path) -> None:
    found = training_set(write_set(tmp_path / "set", 2), cache_bytes=CACHE)

    assert found.num_cached == 2
    assert list(temporary.iterdir()) == []


@pytest.mark.usefixtures("elsewhere")
def test_kept_pictures_with_a_name_go_with_the_training_set_but_not_with_a_copy(
    tmp_path: Path, temporary: Path
) -> None:
    found = training_set(write_set(tmp_path / "set", 2), cache_bytes=CACHE)
    copy = pickle.loads(pickle.dumps(found))

    del copy
    gc.collect()
    assert len(list(temporary.iterdir())) == 1
    del found
    gc.collect()
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("system", ["linux", "elsewhere"])
def test_a_worker_that_is_not_forked_reads_the_same_kept_pictures(
    tmp_path: Path, system: str, request: pytest.FixtureRequest
) -> None:
    if system == "elsewhere":
        request.getfixturevalue("elsewhere")
    folder = write_set(tmp_path, 2)
    found = training_set(folder, cache_bytes=CACHE)
    expected = found[0, 0][0]
    for path in (folder / "images").iterdir():
        path.unlink()

    pickled = pickle.dumps(found)

    assert len(pickled) < 2 * SIZE[0] * SIZE[1]
    assert torch.equal(pickle.loads(pickled)[0, 0][0], expected)


@pytest.mark.usefixtures("elsewhere")
def test_workers_do_not_take_the_kept_pictures_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as changed:  # undone before workers start: their sockets need short names
        changed.setattr(tempfile, "tempdir", str(tmp_path))
        found = training_set(write_set(tmp_path / "set", 2), cache_bytes=CACHE)

    loader = training_loader(found, 2, workers=1)
    list(loader.batches(0))
    del loader
    gc.collect()

    assert len(list(tmp_path.glob("yoloslim-pictures-*"))) == 1


def test_a_full_disk_is_told_and_nothing_is_left(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = load(write_set(tmp_path / "set", 2))
    real_fdopen = os.fdopen

    def fdopen(handle: int, mode: str) -> io.BufferedWriter:
        os.close(handle)
        return real_fdopen(os.open("/dev/full", os.O_WRONLY), mode)

    monkeypatch.setattr(library.os, "fdopen", fdopen)

    with pytest.raises(OutputError, match=r"cannot keep pictures here \(No space left on device\): set TMPDIR"):
        TrainingSet(dataset, SIZE, cache_bytes=CACHE)

    assert list(temporary.iterdir()) == []


def test_nothing_is_left_when_reading_fails(tmp_path: Path, temporary: Path) -> None:
    def stop(_count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        TrainingSet(load(write_set(tmp_path / "set", 2)), SIZE, cache_bytes=CACHE, progress=stop)

    assert list(temporary.iterdir()) == []


def test_a_real_set_is_read_without_a_crash(data_dir: Path) -> None:
    data_file = load_data_file(Path(__file__).parents[2] / "examples/coco128.yaml")
    found = TrainingSet(load_dataset(data_file, "train"), (160, 160), cache_bytes=1 << 25)

    batches = list(training_loader(found, 32).batches(0))

    assert sum(len(batch) for batch in batches) == len(found) == 128
    assert sum(len(batch.targets) for batch in batches) > 500


def test_ctrl_c_while_workers_start_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = training_loader(training_set(write_set(tmp_path, 4)), batch=2, workers=1)

    def starting(self: object) -> Iterator[Batch]:
        os.kill(os.getpid(), signal.SIGINT)
        return iter(())

    monkeypatch.setattr(torch.utils.data.DataLoader, "__iter__", starting)

    with pytest.raises(KeyboardInterrupt):
        made.batches(0)

    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
