"""The table of published weights agrees with the networks of the zoo and with the files themselves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from yoloslim.errors import DownloadError, WeightsError
from yoloslim.weights.layout import layers_with_weights
from yoloslim.weights.published import PUBLISHED, find_published, weights_file
from yoloslim.zoo.catalog import find

HASHED = [name for name, weights in PUBLISHED.items() if weights.remote.sha256]
SIZED = [weights for weights in PUBLISHED.values() if weights.remote.size]
FIRST_LAYERS = {"darknet53.conv.74": "yolov3", "yolov4.conv.137": "yolov4", "yolov4-tiny.conv.29": "yolov4-tiny"}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YOLOSLIM_CACHE", str(tmp_path / "cache"))


def test_every_file_has_a_name_of_its_own() -> None:
    names = [weights.remote.name for weights in PUBLISHED.values()]
    assert len(set(names)) == len(names)


def test_addresses_and_hashes_have_their_form() -> None:
    for weights in PUBLISHED.values():
        assert weights.remote.url.startswith("https://")
        assert re.fullmatch(r"([0-9a-f]{64})?", weights.remote.sha256)


@pytest.mark.parametrize("weights", [w for w in SIZED if w.network], ids=lambda w: w.name)
def test_a_stated_size_is_that_of_the_network_of_the_zoo(weights) -> None:  # type: ignore[no-untyped-def]
    floats = sum(layer.floats for layer in layers_with_weights(find(weights.network)))

    assert weights.remote.size - 4 * floats in (16, 20)  # the header before and since version 0.2
    assert len(weights.class_names) == find(weights.network).classes


@pytest.mark.parametrize(("name", "network"), FIRST_LAYERS.items())
def test_a_stated_size_is_that_of_the_first_layers(name: str, network: str) -> None:
    count = int(name.rpartition(".")[2])
    floats = sum(layer.floats for layer in layers_with_weights(find(network)) if layer.index < count)

    assert PUBLISHED[name].remote.size == 4 * floats + 20
    assert PUBLISHED[name].network == ""


@pytest.mark.parametrize("name", HASHED)
def test_a_stated_hash_is_that_of_the_file(name: str, weights_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YOLOSLIM_MIRROR", str(weights_dir))

    path = weights_file(name)

    assert path.stat().st_size == PUBLISHED[name].remote.size


def test_a_damaged_published_file_is_refused(
    weights_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "yolo-fastest-1.1.weights"
    content = bytearray((weights_dir / name).read_bytes())
    content[1000] ^= 1
    (tmp_path / name).write_bytes(content)
    monkeypatch.setenv("YOLOSLIM_MIRROR", str(tmp_path))

    with pytest.raises(DownloadError, match="expected SHA-256 1c445c42"):
        weights_file("yolo-fastest-1.1")


def test_a_file_goes_before_a_name_and_a_name_before_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("yolov3").write_text("")
    Path("yolov4").mkdir()

    assert find_published("yolov3") is None
    assert find_published("yolov4") is PUBLISHED["yolov4"]
    assert find_published("nets/yolov4-tiny.weights") is None
    assert weights_file("some/yolov4") == Path("some/yolov4")


@pytest.mark.parametrize("text", ["yolov4-tinny", "yolov4_tiny", "yolov4-tiny.weights"])
def test_a_name_that_is_nearly_known_is_told(text: str) -> None:
    with pytest.raises(WeightsError, match=f"{text}: no such file; .*: did you mean yolov4-tiny?"):
        find_published(text)


def test_a_name_that_is_nothing_like_a_known_one_is_a_file_to_be_missed() -> None:
    assert find_published("best.weights") is None


def test_the_documented_table_is_this_one() -> None:
    page = Path(__file__).parents[2] / "docs" / "weights.md"
    rows = [line.split("|")[1:-1] for line in page.read_text("utf-8").splitlines() if line.startswith("| `")]
    found = {cells[0].strip(" `"): (cells[3].strip(), cells[4].strip()) for cells in rows if len(cells) == 5}

    stated = {name: weights.remote for name, weights in PUBLISHED.items()}
    assert found == {
        name: (f"{remote.size:,}" if remote.size else "", "yes" if remote.sha256 else "")
        for name, remote in stated.items()
    }
