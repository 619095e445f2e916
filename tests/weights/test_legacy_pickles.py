"""The originals' .pt files: read by layer and role, never trusted."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from yoloslim.errors import WeightsError
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.graph import Graph
from yoloslim.weights.layout import tensor_shapes
from yoloslim.weights.legacy import read_legacy

OLD_FORMAT = {"_use_new_zipfile_serialization": False}
_THEIRS = {
    "conv": "Conv2d",
    "norm": "BatchNorm2d",
    "squeeze": "se.fc.0",
    "excite": "se.fc.2",
}


def graph(classes: int = 2) -> Graph:
    """Convolution, depthwise, [se], pool, head without batch-norm, [yolo]."""
    return parse_cfg(
        "[net]\nwidth=16\nheight=16\nchannels=3\n"
        "[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\npad=1\nactivation=h_swish\n"
        "[depthwise]\nbatch_normalize=1\nsize=3\npad=1\nactivation=relu6\n"
        "[se]\nreduction=4\n[maxpool]\nsize=2\nstride=2\n"
        f"[convolutional]\nfilters={2 * (5 + classes)}\nactivation=linear\n"
        f"[yolo]\nmask=0,1\nanchors=1,1, 2,2\nclasses={classes}\n"
    )


def random_tensors(of: Graph) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {name: torch.rand(shape) for name, shape in tensor_shapes(of).items()}


def their_state(of: Graph, prefix: str = "") -> dict[str, torch.Tensor]:
    """The same tensors under the originals' names: dense layers in two dimensions, and what they store besides."""
    state = {}
    for name, values in random_tensors(of).items():
        node, role, tensor = name.split(".")
        module = _THEIRS[role].replace("Conv2d", "DepthWise2d") if "depthwise" in node else _THEIRS[role]
        shaped = values[:, :, 0, 0] if role in ("squeeze", "excite") else values
        state[f"{prefix}module_list.{int(node[:3])}.{module}.{tensor}"] = shaped
        if tensor == "running_var":
            state[f"{prefix}module_list.{int(node[:3])}.{module}.num_batches_tracked"] = torch.tensor(7)
    return state


def as_darknet(of: Graph, bn_eps: float) -> dict[str, np.ndarray]:
    return {
        name: (values + (bn_eps - 1e-6) if name.endswith("running_var") else values).numpy()
        for name, values in random_tensors(of).items()
    }


def saved(content: object, path: Path, **options: bool) -> Path:
    torch.save(content, path, **options)
    return path


def assert_equal(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name].dtype == np.float32
        np.testing.assert_allclose(found[name], values, rtol=0, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("new_format", [True, False])
def test_a_checkpoint_of_the_originals_is_read_by_layer_and_role(new_format: bool, tmp_path: Path) -> None:
    checkpoint = {
        "epoch": 272,
        "best_fitness": np.array([0.806])[0],
        "training_results": "0/272 3.1G",
        "model": their_state(graph()),
        "optimizer": {"state": {0: {"momentum_buffer": torch.zeros(2)}}, "param_groups": [{"lr": 0.01}]},
    }
    path = saved(checkpoint, tmp_path / "last.pt", _use_new_zipfile_serialization=new_format)

    weights = read_legacy(path, graph())

    assert_equal(weights.tensors, as_darknet(graph(), 1e-5))
    assert (weights.covered, weights.missing, weights.notes) == (6, (), ())


@pytest.mark.parametrize(
    "best_fitness",
    [np.float32(0.5), np.float64(0.5), np.int64(3), np.array([0.5]), np.zeros((2, 3), np.float32), np.bool_(True)],
    ids=repr,
)
def test_numbers_of_numpy_beside_the_weights_are_read(best_fitness: object, tmp_path: Path) -> None:
    path = saved({"best_fitness": best_fitness, "model": their_state(graph())}, tmp_path / "best.pt")

    assert read_legacy(path, graph()).missing == ()


def test_numbers_pickled_by_numpy_1_are_read(tmp_path: Path) -> None:
    path = saved({"best_fitness": np.float64(0.5), "model": their_state(graph())}, tmp_path / "a.pt", **OLD_FORMAT)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))

    assert b"numpy._core" in content
    assert read_legacy(path, graph()).missing == ()


def test_a_bare_state_dict_of_a_parallel_run_is_read(tmp_path: Path) -> None:
    path = saved(their_state(graph(), prefix="module."), tmp_path / "a.pt")

    assert_equal(read_legacy(path, graph()).tensors, as_darknet(graph(), 1e-5))


def test_the_moving_average_is_preferred(tmp_path: Path) -> None:
    zeros = {name: torch.zeros_like(values) for name, values in their_state(graph()).items()}

    path = saved({"model": zeros, "ema": their_state(graph())}, tmp_path / "a.pt")
    without = saved({"model": their_state(graph()), "ema": None}, tmp_path / "b.pt")

    assert_equal(read_legacy(path, graph()).tensors, as_darknet(graph(), 1e-5))
    assert_equal(read_legacy(without, graph()).tensors, as_darknet(graph(), 1e-5))


def test_counts_of_thop_are_ignored(tmp_path: Path) -> None:
    counts = {
        "total_ops": torch.zeros(1),
        "module_list.0.Conv2d.total_params": torch.zeros(1),
        "module_list.5.total_ops": torch.zeros(1),
    }

    path = saved(their_state(graph()) | counts, tmp_path / "a.pt")

    assert_equal(read_legacy(path, graph()).tensors, as_darknet(graph(), 1e-5))


def test_half_precision_becomes_float32(tmp_path: Path) -> None:
    path = saved({name: values.half() for name, values in their_state(graph()).items()}, tmp_path / "a.pt")

    found = read_legacy(path, graph()).tensors["000_convolutional.conv.weight"]

    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, random_tensors(graph())["000_convolutional.conv.weight"].half().float())


@pytest.mark.parametrize("bn_eps", [1e-4, 1e-6])
def test_another_batch_norm_epsilon_is_made_equal(bn_eps: float, tmp_path: Path) -> None:
    variance = random_tensors(graph())["000_convolutional.norm.running_var"].double()

    found = read_legacy(saved(their_state(graph()), tmp_path / "a.pt"), graph(), bn_eps=bn_eps)

    darknets = torch.from_numpy(found.tensors["000_convolutional.norm.running_var"]).double() + 1e-6
    torch.testing.assert_close(darknets, variance + bn_eps, rtol=1e-6, atol=0)


def test_weights_with_batch_norm_in_the_convolution_are_read(tmp_path: Path) -> None:
    gammas = {"weight": "gamma", "bias": "beta"}
    state = {}
    for name, values in their_state(graph()).items():
        module, _, tensor = name.rpartition(".")
        folded = module.endswith("BatchNorm2d") and module.replace("BatchNorm2d", "Conv2d")
        state[f"{folded}.{gammas.get(tensor, tensor)}" if folded else name] = values

    assert_equal(read_legacy(saved(state, tmp_path / "a.pt"), graph()).tensors, as_darknet(graph(), 1e-5))


def test_quantizers_are_left_out_and_said(tmp_path: Path) -> None:
    extra = {
        "module_list.0.Conv2d.weight_quantizer.scale": torch.ones(1),
        "module_list.0.Conv2d.activation_quantizer.observer.max_val": torch.ones(1),
    }

    weights = read_legacy(saved(their_state(graph()) | extra, tmp_path / "a.pt"), graph())

    assert_equal(weights.tensors, as_darknet(graph(), 1e-5))
    assert weights.notes == (
        "2 tensors of quantizers are left out: the weights are loaded as the floats that they were trained as",
    )


@pytest.mark.parametrize(("found", "wanted"), [(80, 1), (1, 80)])
def test_heads_of_another_class_count_are_left_out(found: int, wanted: int, tmp_path: Path) -> None:
    weights = read_legacy(saved(their_state(graph(found)), tmp_path / "a.pt"), graph(wanted))

    assert weights.missing == ("004_convolutional",)
    expected = as_darknet(graph(found), 1e-5)
    assert_equal(weights.tensors, {n: v for n, v in expected.items() if not n.startswith("004")})
    assert f"the class count is {found} in the weights and {wanted} in the cfg" in weights.notes[0]


def test_heads_of_different_class_counts_are_read_as_the_cfg_has_them(tmp_path: Path) -> None:
    heads = [f"[convolutional]\nfilters={5 + n}\nactivation=linear\n[yolo]\nanchors=1,1\nclasses={n}\n" for n in (1, 2)]
    two = parse_cfg(f"[net]\nwidth=8\nheight=8\n{heads[0]}[route]\nlayers=0\n[maxpool]\nsize=2\n{heads[1]}")

    weights = read_legacy(saved(their_state(two), tmp_path / "a.pt"), two)

    assert_equal(weights.tensors, as_darknet(two, 1e-5))


def test_a_number_in_place_of_a_tensor_is_refused(tmp_path: Path) -> None:
    state = their_state(graph()) | {"module_list.4.Conv2d.weight": torch.tensor(1.0)}

    with pytest.raises(WeightsError, match="expected 14x8x1x1, found a single number"):
        read_legacy(saved(state, tmp_path / "a.pt"), graph())


def test_leading_layers_alone_are_read_and_said(tmp_path: Path) -> None:
    first = {name: v for name, v in their_state(graph()).items() if name.startswith(("module_list.0", "module_list.1"))}

    weights = read_legacy(saved(first, tmp_path / "a.pt"), graph())

    assert weights.covered == 2
    assert weights.missing == ("002_se", "004_convolutional")
    assert weights.notes[0].startswith("weights for layers 0 to 1 of 6 are loaded; the other 2 layers")


def test_layers_of_another_network_are_counted_and_named(tmp_path: Path) -> None:
    state = their_state(graph())
    del state["module_list.1.BatchNorm2d.bias"]
    state["module_list.0.Conv2d.weight"] = torch.zeros(8, 3, 1, 1)
    state["module_list.3.Conv2d.weight"] = torch.zeros(9)

    with pytest.raises(WeightsError) as caught:
        read_legacy(saved(state, tmp_path / "a.pt"), graph())

    assert str(caught.value) == (
        f"{tmp_path / 'a.pt'}: the tensors do not fit the cfg: 1 missing (001_depthwise.norm.bias), "
        "1 unexpected (module_list.3.Conv2d.weight), 1 of another shape (000_convolutional.conv.weight: expected "
        "8x3x3x3, found 8x3x1x1); are cfg and weights of the same network?"
    )


def test_a_bias_in_a_layer_of_se_is_refused(tmp_path: Path) -> None:
    state = their_state(graph()) | {"module_list.2.se.fc.2.bias": torch.zeros(8)}

    with pytest.raises(WeightsError, match=r"1 unexpected \(002_se.se.fc.2.bias\)"):
        read_legacy(saved(state, tmp_path / "a.pt"), graph())


# ---- pickles that are not trusted ------------------------------------------------------------------------------------


class Malicious:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.trace),)


class Model:
    """Stands for a whole module in a pickle."""


@pytest.mark.parametrize("new_format", [True, False])
def test_a_pickle_that_wants_to_run_code_is_refused_and_does_not_run(new_format: bool, tmp_path: Path) -> None:
    content = {"model": their_state(graph()), "best_fitness": Malicious(tmp_path / "trace")}
    path = saved(content, tmp_path / "a.pt", _use_new_zipfile_serialization=new_format)

    with pytest.raises(WeightsError, match=r"asks to run (posix|nt).mkdir when it is opened, which is never done here"):
        read_legacy(path, graph())
    assert not (tmp_path / "trace").exists()


def test_a_pickle_of_a_whole_model_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Model, "__module__", "collections")
    monkeypatch.setattr("collections.Model", Model, raising=False)
    path = saved({"model": Model()}, tmp_path / "a.pt")

    with pytest.raises(WeightsError, match=r"asks to run collections.Model .*; where you trust it, save its"):
        read_legacy(path, graph())


@pytest.mark.parametrize("allowed", [np.array(["a"], object), np.array(["text"]), np.datetime64("2020-01-01")], ids=str)
def test_arrays_that_are_no_numbers_are_refused(allowed: object, tmp_path: Path) -> None:
    path = saved({"best_fitness": allowed, "model": their_state(graph())}, tmp_path / "a.pt")

    with pytest.raises(WeightsError, match="damaged, or holds something else than tensors"):
        read_legacy(path, graph())


def test_a_plain_pickle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(pickle.dumps({"model": {}}))

    with pytest.raises(WeightsError, match=r"a.pt: this PyTorch file is damaged, or holds something else than tensors"):
        read_legacy(tmp_path / "a.pt", graph())


@pytest.mark.parametrize("new_format", [True, False])
@pytest.mark.parametrize("share", [0.1, 0.6, 0.9])
def test_a_file_that_is_cut_off_is_refused(share: float, new_format: bool, tmp_path: Path) -> None:
    path = saved(their_state(graph()), tmp_path / "a.pt", _use_new_zipfile_serialization=new_format)
    os.truncate(path, int(share * path.stat().st_size))

    with pytest.raises(WeightsError, match="this PyTorch file is damaged"):
        read_legacy(path, graph())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "expected a dict of tensors, found list"),
        ({"epoch": 3, "model": None}, "expected tensors such as module_list.0.Conv2d.weight, found no tensors"),
        ({"model.0.conv.weight": torch.zeros(1)}, "found model.0.conv.weight"),
    ],
)
def test_content_of_another_kind_is_named(content: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=f"a.pt: .*{message}"):
        read_legacy(saved(content, tmp_path / "a.pt"), graph())


def test_a_file_of_another_kind_a_folder_and_none_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(b"[net]\n")

    with pytest.raises(WeightsError, match=r"a.pt: expected a PyTorch checkpoint, found something else"):
        read_legacy(tmp_path / "a.pt", graph())
    with pytest.raises(WeightsError, match="expected a PyTorch checkpoint, found a folder"):
        read_legacy(tmp_path, graph())
    with pytest.raises(WeightsError, match=r"none.pt: cannot read this file: No such file or directory"):
        read_legacy(tmp_path / "none.pt", graph())
