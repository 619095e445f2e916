"""The table of operator times: measured once a shape, kept in a file, added up to a network."""

import json
from pathlib import Path

import numpy as np
import pytest

from yoloslim.errors import RecipeError
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.graph import Graph
from yoloslim.graph.ops import Convolution, Op, Shape
from yoloslim.nn.network import Network
from yoloslim.recipes import latency
from yoloslim.recipes.latency import OPERATOR_MS, OperatorTable, cache_folder, network_ms, predicted_ms
from yoloslim.zoo.catalog import find, networks

HEAD = "[convolutional]\nfilters=6\nactivation=linear\n[yolo]\nmask=0\nclasses=1\nanchors=4,4\n"


def graph_of(*filters: int) -> Graph:
    layers = "".join(f"[convolutional]\nfilters={count}\nsize=3\npad=1\nactivation=leaky\n" for count in filters)
    return parse_cfg("[net]\nwidth=32\nheight=32\nchannels=3\n" + layers + HEAD)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Op, Shape]]:
    """The operators that were measured; each takes a millisecond a filter."""
    seen: list[tuple[Op, Shape]] = []

    def measure(op: Op, shape: Shape) -> float:
        seen.append((op, shape))
        return float(op.filters) if isinstance(op, Convolution) else 0.5

    monkeypatch.setattr(latency, "OPERATOR_MS", {"torch": measure, "onnxruntime": measure})
    return seen


def test_every_operator_shape_is_measured_once(asked: list[tuple[Op, Shape]], tmp_path: Path) -> None:
    table = OperatorTable("torch", tmp_path)
    assert table.graph_ms(graph_of(16, 16, 16, 16)) == 4 * 16 + 6
    assert len(asked) == 3  # the first layer reads the picture, the last gives the head map
    table.graph_ms(graph_of(16, 16))
    assert len(asked) == 3


def test_channels_are_counted_in_blocks_above_eight(asked: list[tuple[Op, Shape]], tmp_path: Path) -> None:
    table = OperatorTable("torch", tmp_path)
    assert table.graph_ms(graph_of(17)) == table.graph_ms(graph_of(24)) == 24 + 6
    assert table.graph_ms(graph_of(5)) == 5 + 6


def test_a_table_is_kept_for_the_next_run(asked: list[tuple[Op, Shape]], tmp_path: Path) -> None:
    first = OperatorTable("torch", tmp_path).graph_ms(graph_of(16))
    measured = len(asked)
    assert OperatorTable("torch", tmp_path).graph_ms(graph_of(16)) == first
    assert len(asked) == measured
    OperatorTable("onnxruntime", tmp_path).graph_ms(graph_of(16))
    assert len(asked) == 2 * measured


def test_another_machine_measures_for_itself(
    asked: list[tuple[Op, Shape]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    OperatorTable("torch", tmp_path).graph_ms(graph_of(16))
    monkeypatch.setattr(latency.platform, "node", lambda: "elsewhere")
    OperatorTable("torch", tmp_path).graph_ms(graph_of(16))
    (path,) = tmp_path.iterdir()
    assert len(json.loads(path.read_text())) == 2


def test_a_damaged_table_is_measured_anew(asked: list[tuple[Op, Shape]], tmp_path: Path) -> None:
    (tmp_path / "latency-torch.json").write_text("{half")
    assert OperatorTable("torch", tmp_path).graph_ms(graph_of(16)) == 16 + 6


def test_a_prediction_starts_from_the_measured_whole(
    asked: list[tuple[Op, Shape]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latency, "network_ms", lambda network, backend: 44.0)
    predict = predicted_ms(Network(graph_of(16)), "torch", OperatorTable("torch", tmp_path))
    assert predict(graph_of(16)) == pytest.approx(44.0)
    assert predict(graph_of(5)) == pytest.approx(44.0 * 11 / 22)


@pytest.mark.parametrize("backend", list(OPERATOR_MS))
def test_a_network_takes_longer_than_a_quarter_of_it(backend: str, tmp_path: Path) -> None:
    wide, narrow = (Network(find("yolov3-tiny", size=(160, 160), width=width)).eval() for width in (0.5, 0.0625))
    assert network_ms(wide, backend) > network_ms(narrow, backend) > 0
    predict = predicted_ms(wide, backend, OperatorTable(backend, tmp_path))
    assert predict(wide.graph) > predict(narrow.graph) > 0


@pytest.mark.medium
@pytest.mark.parametrize("backend", list(OPERATOR_MS))
@pytest.mark.parametrize("name", sorted(networks()))
def test_every_network_of_the_zoo_can_be_added_up(name: str, backend: str, tmp_path: Path) -> None:
    table = OperatorTable(backend, tmp_path)
    assert np.isfinite(table.graph_ms(find(name, size=(64, 64), width=0.125)))


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(RecipeError, match="latency by 'abacus': expected one of torch, onnxruntime, openvino"):
        OperatorTable("abacus")


def test_the_cache_lies_where_the_user_wants_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "yoloslim"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "yoloslim"
