"""Darknet's .weights: read exactly, written byte for byte, and every wrong file named for what it is."""

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoloslim.errors import OutputError, WeightsError
from yoloslim.graph.from_cfg import parse_cfg, read_cfg
from yoloslim.graph.graph import Graph
from yoloslim.weights.darknet import Header, read_weights, write_weights
from yoloslim.weights.heads import with_classes
from yoloslim.weights.layout import layers_with_weights, tensor_shapes

PUBLISHED = {
    "yolov3-tiny": (8858734, Header(0, 2, 0, 32013312)),
    "yolo-fastest-1.1": (346062, Header(0, 2, 5, 14231680)),
    "yolo-fastest-1.1-xl": (923486, Header(0, 2, 5, 16000000)),
    "MobileNetV2-YOLOv3-Nano-coco": (891070, Header(0, 2, 5, 14547712)),
    "yoloface-500k": (130140, Header(0, 2, 5, 1697280)),
}

# The first 29 layers of yolov4-tiny, which yolov4-tiny.conv.29 holds: (filters, size, stride), or what a route reads.
_BLOCK = "[route]\nlayers=-1\ngroups=2\ngroup_id=1\n", "[route]\nlayers=-1,-2\n", "[maxpool]\nsize=2\nstride=2\n"


def conv(filters: int, size: int = 1, stride: int = 1, *, norm: bool = True) -> str:
    options = f"batch_normalize={int(norm)}\nfilters={filters}\nsize={size}\nstride={stride}\npad=1\nactivation=leaky\n"
    return f"[convolutional]\n{options}"


def yolov4_tiny_backbone() -> Graph:
    text = "[net]\nwidth=416\nheight=416\nchannels=3\n" + conv(32, 3, 2) + conv(64, 3, 2)
    for width in (64, 128, 256):
        half = width // 2
        inner = conv(width, 3) + _BLOCK[0] + conv(half, 3) + conv(half, 3) + _BLOCK[1] + conv(width)
        text += inner + f"[route]\nlayers=-6,-1\n{_BLOCK[2]}"
    return parse_cfg(text + conv(512, 3) + conv(256) + conv(512, 3))


def tiny(classes: int = 3) -> Graph:
    """Two heads of two anchors behind two layers with batch-norm; 4 layers up to the first head convolution."""
    yolo = f"[yolo]\nmask=0,1\nanchors=1,1, 2,2\nclasses={classes}\n"
    head = conv(2 * (5 + classes), norm=False) + yolo
    text = "[net]\nwidth=16\nheight=16\nchannels=3\n" + conv(4, 3) + "[maxpool]\nsize=2\nstride=2\n" + conv(6)
    return parse_cfg(text + head + "[route]\nlayers=2\n" + conv(5) + head)


def random_tensors(graph: Graph, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.random(shape, np.float32) for name, shape in tensor_shapes(graph).items()}


def write_floats(path: Path, floats: int, *, tail: bytes = b"") -> Path:
    path.write_bytes(struct.pack("<iiiQ", 0, 2, 5, 0) + np.ones(floats, "<f4").tobytes() + tail)
    return path


def num_floats(graph: Graph, *, below: int = 999) -> int:
    return sum(layer.floats for layer in layers_with_weights(graph) if layer.index < below)


def assert_equal(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


# ---- published files ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_file_is_read_whole_and_written_back_byte_for_byte(
    name: str, weights_dir: Path, tmp_path: Path
) -> None:
    graph = read_cfg(weights_dir / f"{name}.cfg")

    weights = read_weights(weights_dir / f"{name}.weights", graph)
    write_weights(tmp_path / "again.weights", graph, weights.tensors, header=weights.header)

    assert (sum(v.size for v in weights.tensors.values()), weights.header) == PUBLISHED[name]
    assert (weights.covered, weights.missing, weights.notes) == (len(graph), (), ())
    assert (tmp_path / "again.weights").read_bytes() == (weights_dir / f"{name}.weights").read_bytes()


def test_a_backbone_of_57_layers_says_that_it_covers_layers_0_to_56(weights_dir: Path, tmp_path: Path) -> None:
    graph = read_cfg(weights_dir / "MobileNetV2-YOLOv3-Nano-coco.cfg")

    weights = read_weights(weights_dir / "MobileNetV2-Nano.57", graph)
    write_weights(tmp_path / "again.57", graph, weights.tensors, cutoff=weights.covered)

    assert weights.covered == 57
    assert sum(v.size for v in weights.tensors.values()) == 368864
    assert weights.missing == tuple(layer.name for layer in layers_with_weights(graph) if layer.index >= 57)
    assert weights.notes == (
        "weights for layers 0 to 56 of 80 are loaded; "
        f"the other {len(weights.missing)} layers with weights start from their initial values",
    )
    assert (tmp_path / "again.57").read_bytes() == (weights_dir / "MobileNetV2-Nano.57").read_bytes()


def test_a_file_cut_off_in_the_middle_names_the_layer_and_what_can_be_done(data_dir: Path) -> None:
    path, graph = data_dir / "broken" / "yolov4-tiny.conv.29.truncated", yolov4_tiny_backbone()

    with pytest.raises(WeightsError) as caught:
        read_weights(path, graph)
    rescued = read_weights(path, graph, cutoff=2)

    assert len(graph) == 29
    assert str(caught.value) == (
        f"{path}: ends inside layer 002_convolutional: expected 37,120 floats, found 23,725 and 1 byte; it is cut off "
        "(download or copy it again) or belongs to another cfg; cutoff=2 loads the layers before it"
    )
    assert rescued.covered == 2
    assert rescued.missing[0] == "002_convolutional"


def test_weights_of_one_network_are_refused_for_another(weights_dir: Path) -> None:
    nano = read_cfg(weights_dir / "MobileNetV2-YOLOv3-Nano-coco.cfg")

    with pytest.raises(
        WeightsError, match=r"the cfg wants 891,070 floats, the file has 8,858,734: 7,967,664 floats are"
    ):
        read_weights(weights_dir / "yolov3-tiny.weights", nano)


@pytest.mark.parametrize("classes", [1, 20])
def test_coco_weights_load_into_a_cfg_of_other_classes_but_for_the_heads(classes: int, weights_dir: Path) -> None:
    graph = with_classes(read_cfg(weights_dir / "yolov3-tiny.cfg"), classes)

    weights = read_weights(weights_dir / "yolov3-tiny.weights", graph)
    exact = read_weights(weights_dir / "yolov3-tiny.weights", with_classes(graph, 80))

    assert weights.missing == ("015_convolutional", "022_convolutional")
    assert_equal(weights.tensors, {n: v for n, v in exact.tensors.items() if not n.startswith(weights.missing)})
    assert weights.notes == (
        f"the class count is 80 in the weights and {classes} in the cfg: all layers are loaded but 015_convolutional, "
        "022_convolutional, which start from their initial values",
    )


def test_weights_of_one_class_load_into_a_cfg_of_eighty(weights_dir: Path) -> None:
    face = read_cfg(weights_dir / "yoloface-500k.cfg")

    weights = read_weights(weights_dir / "yoloface-500k.weights", with_classes(face, 80))

    assert "the class count is 1 in the weights and 80 in the cfg" in weights.notes[0]
    assert len(weights.missing) == len(face.heads)


# ---- what is written is what is read -------------------------------------------------------------------------------


@given(seed=st.integers(0, 2**32), seen=st.integers(0, 2**64 - 1), cutoff=st.integers(1, 8) | st.none())
def test_reading_gives_what_was_written(tmp_path_factory, seed: int, seen: int, cutoff: int | None) -> None:
    path, graph = tmp_path_factory.mktemp("written") / "a.weights", tiny()
    tensors = random_tensors(graph, seed)
    layers = [layer for layer in layers_with_weights(graph) if cutoff is None or layer.index < cutoff]

    write_weights(path, graph, tensors, header=Header(seen=seen), cutoff=cutoff)
    weights = read_weights(path, graph, cutoff=cutoff)

    assert weights.header == Header(0, 2, 5, seen)
    assert_equal(weights.tensors, {name: tensors[name] for layer in layers for name in layer.shapes})
    assert weights.covered == (cutoff or len(graph))
    assert list(path.parent.iterdir()) == [path]


def test_every_kind_of_layer_with_weights_is_read_as_written(tmp_path: Path) -> None:
    layers = conv(8, 3) + "[depthwise]\nsize=3\npad=1\nbatch_normalize=1\nactivation=relu6\n[se]\nreduction=4\n"
    grouped = "[convolutional]\nfilters=4\nsize=3\npad=1\ngroups=2\nactivation=linear\n"
    graph = parse_cfg("[net]\nwidth=16\nheight=16\nchannels=3\n" + layers + grouped)
    tensors = random_tensors(graph)

    write_weights(tmp_path / "a.weights", graph, tensors)

    assert_equal(read_weights(tmp_path / "a.weights", graph).tensors, tensors)


def test_the_weights_of_a_shortcut_stand_where_it_stands_and_shared_ones_nowhere(tmp_path: Path) -> None:
    plain = "[convolutional]\nfilters=2\nactivation=linear\n"
    weighted = "[shortcut]\nfrom=0\nweights_type=per_channel\nweights_normalization=relu\n"
    graph = parse_cfg("[net]\nwidth=4\nheight=4\nchannels=2\n" + plain + f"{plain}share_index=0\n" + weighted + plain)
    path = tmp_path / "a.weights"
    path.write_bytes(struct.pack("<iiiQ", 0, 2, 5, 0) + np.arange(16, dtype="<f4").tobytes())

    weights = read_weights(path, graph)
    write_weights(tmp_path / "b.weights", graph, weights.tensors)

    assert {name: values.ravel().tolist() for name, values in weights.tensors.items()} == {
        "000_convolutional.conv.bias": [0, 1],
        "000_convolutional.conv.weight": [2, 3, 4, 5],
        "002_shortcut.weights": [6, 7, 8, 9],  # first those of layer 1, then those of layer 0
        "003_convolutional.conv.bias": [10, 11],
        "003_convolutional.conv.weight": [12, 13, 14, 15],
    }
    assert weights.tensors["002_shortcut.weights"].shape == (2, 2)
    assert (tmp_path / "b.weights").read_bytes() == path.read_bytes()


def test_a_file_may_end_behind_the_weights_of_a_shortcut(tmp_path: Path) -> None:
    weighted = "[shortcut]\nfrom=0\nweights_type=per_feature\n"
    graph = parse_cfg("[net]\nwidth=4\nheight=4\nchannels=4\n" + conv(4) * 2 + weighted + conv(5))
    tensors = random_tensors(graph)
    write_weights(tmp_path / "a.weights", graph, tensors, cutoff=3)

    weights = read_weights(tmp_path / "a.weights", graph)

    assert (weights.covered, weights.missing) == (3, ("003_convolutional",))
    np.testing.assert_array_equal(weights.tensors["002_shortcut.weights"], tensors["002_shortcut.weights"])


# ---- classifiers -----------------------------------------------------------------------------------------------------

BACKBONE = "[net]\nwidth=32\nheight=32\nchannels=3\n" + conv(8, 3) + "[maxpool]\nsize=2\nstride=2\n" + conv(6, 3)
CLASSIFIER = f"{BACKBONE}[avgpool]\n[convolutional]\nfilters=1000\nactivation=linear\n[softmax]\ngroups=1\n"


def detector() -> Graph:
    head = conv(16, norm=False) + "[yolo]\nmask=0,1\nanchors=1,1, 2,2\nclasses=3\n"
    return parse_cfg(BACKBONE + conv(64, 3) + head)


def test_the_file_of_a_classifier_loads_into_a_detector_with_its_backbone(tmp_path: Path) -> None:
    classifier = parse_cfg(CLASSIFIER)
    tensors = random_tensors(classifier)
    write_weights(tmp_path / "classifier.weights", classifier, tensors)

    weights = read_weights(tmp_path / "classifier.weights", detector())

    assert (weights.covered, weights.missing) == (3, ("003_convolutional", "004_convolutional"))
    assert_equal(weights.tensors, {name: tensors[name] for name in tensors if name[:3] < "003"})
    assert weights.notes[0].startswith("weights for layers 0 to 2 of 6 are loaded")


def test_the_backbone_of_a_classifier_written_by_itself_loads_too(tmp_path: Path) -> None:
    classifier = parse_cfg(CLASSIFIER)
    write_weights(tmp_path / "backbone.3", classifier, random_tensors(classifier), cutoff=3)

    assert read_weights(tmp_path / "backbone.3", detector()).covered == 3


def test_what_a_file_has_for_the_tail_of_a_classifier_is_left_alone(tmp_path: Path) -> None:
    graph = parse_cfg(f"{BACKBONE}[avgpool]\n[connected]\noutput=10\n[softmax]\n")
    path = write_floats(tmp_path / "a.weights", num_floats(graph) + 10 * 6 + 10)

    weights = read_weights(path, graph)

    assert (weights.covered, weights.missing, weights.notes) == (len(graph), (), ())


def test_a_file_of_one_float_more_is_no_classifier(tmp_path: Path) -> None:
    path = write_floats(tmp_path / "a.weights", num_floats(parse_cfg(CLASSIFIER)) + 1)

    with pytest.raises(WeightsError, match="2,249 floats are left over and no other number of classes"):
        read_weights(path, detector())


def test_tensors_can_be_written_to(tmp_path: Path) -> None:
    write_weights(tmp_path / "a.weights", tiny(), random_tensors(tiny()))

    assert all(v.flags.writeable for v in read_weights(tmp_path / "a.weights", tiny()).tensors.values())


@pytest.mark.parametrize("header", [Header(0, 1, 0, 2**32 - 1), Header(0, 0, 7, 5)])
def test_a_header_before_0_2_has_a_32_bit_seen(header: Header, tmp_path: Path) -> None:
    graph, path = tiny(), tmp_path / "old.weights"

    write_weights(path, graph, random_tensors(graph), header=header)

    assert path.stat().st_size == 16 + 4 * num_floats(graph)
    assert read_weights(path, graph).header == header
    assert_equal(read_weights(path, graph).tensors, random_tensors(graph))


@pytest.mark.parametrize("header", [Header(0, 1, 0, 2**32), Header(seen=-1), Header(seen=2**64)])
def test_a_seen_that_does_not_fit_its_header_is_refused(header: Header, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="does not fit a Darknet file"):
        write_weights(tmp_path / "a.weights", tiny(), random_tensors(tiny()), header=header)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("found", "wanted"), [(3, 1), (1, 3), (80, 2), (2, 80)])
def test_heads_of_another_class_count_are_left_out(found: int, wanted: int, tmp_path: Path) -> None:
    tensors = random_tensors(tiny(found))
    write_weights(tmp_path / "a.weights", tiny(found), tensors)

    weights = read_weights(tmp_path / "a.weights", tiny(wanted))

    assert weights.missing == ("003_convolutional", "007_convolutional")
    assert_equal(weights.tensors, {n: v for n, v in tensors.items() if not n.startswith(weights.missing)})
    assert weights.covered == len(tiny())


@pytest.mark.parametrize("layers", [1, 3, 7])
def test_a_file_that_ends_after_a_layer_gives_the_layers_before_it(layers: int, tmp_path: Path) -> None:
    graph = tiny()
    path = write_floats(tmp_path / "a.weights", num_floats(graph, below=layers))

    weights = read_weights(path, graph)

    assert weights.covered == (6 + 1 if layers == 7 else layers)
    assert [name for name in tensor_shapes(graph) if int(name[:3]) < layers] == list(weights.tensors)


def test_a_cutoff_reads_the_first_layers_of_any_longer_file(tmp_path: Path) -> None:
    path = write_floats(tmp_path / "a.weights", num_floats(tiny()) + 12345, tail=b"x")

    weights = read_weights(path, tiny(), cutoff=3)

    assert weights.covered == 3
    assert weights.missing == ("003_convolutional", "006_convolutional", "007_convolutional")


def test_a_cutoff_behind_a_head_still_finds_the_class_count_of_the_file(tmp_path: Path) -> None:
    tensors = random_tensors(tiny(80))
    write_weights(tmp_path / "a.weights", tiny(80), tensors)

    weights = read_weights(tmp_path / "a.weights", tiny(1), cutoff=7)

    assert weights.missing == ("003_convolutional", "007_convolutional")
    assert weights.covered == 7
    np.testing.assert_array_equal(
        weights.tensors["006_convolutional.conv.weight"], tensors["006_convolutional.conv.weight"]
    )


def test_a_cutoff_behind_the_end_of_a_prefix_gives_the_prefix(tmp_path: Path) -> None:
    path = write_floats(tmp_path / "a.weights", num_floats(tiny(), below=3))

    assert read_weights(path, tiny(), cutoff=7).covered == 3


def test_numbers_that_are_not_finite_are_said(tmp_path: Path) -> None:
    tensors = random_tensors(tiny())
    tensors["000_convolutional.conv.weight"][0, 0, 0, 0] = np.nan
    write_weights(tmp_path / "one.weights", tiny(), tensors)
    tensors["002_convolutional.norm.running_var"][0] = np.inf
    write_weights(tmp_path / "two.weights", tiny(), tensors)

    assert read_weights(tmp_path / "one.weights", tiny()).notes == (
        "000_convolutional.conv.weight has numbers that are not finite; did training diverge?",
    )
    assert "002_convolutional.norm.running_var have numbers" in read_weights(tmp_path / "two.weights", tiny()).notes[0]


# ---- files that are wrong --------------------------------------------------------------------------------------------


def test_left_over_floats_are_counted(tmp_path: Path) -> None:
    wanted = num_floats(tiny())
    path = write_floats(tmp_path / "a.weights", wanted + 1, tail=b"xy")

    with pytest.raises(WeightsError) as caught:
        read_weights(path, tiny())

    assert str(caught.value) == (
        f"{path}: the cfg wants {wanted} floats, the file has {wanted + 1} and 2 bytes: 1 floats and 2 bytes "
        "are left over and no other number of classes explains it; are cfg and weights of the same network?"
    )


def test_a_file_cut_off_in_its_first_layer_offers_no_cutoff(tmp_path: Path) -> None:
    path = write_floats(tmp_path / "a.weights", 5)

    with pytest.raises(WeightsError, match="000_convolutional: expected 124 floats, found 5; it") as caught:
        read_weights(path, tiny())
    assert "cutoff" not in str(caught.value)


def test_a_length_that_has_two_explanations_is_not_guessed(tmp_path: Path) -> None:
    head = conv(2 * 21, norm=False) + "[yolo]\nmask=0,1\nanchors=1,1, 2,2\nclasses=16\n"
    net = "[net]\nwidth=16\nheight=16\nchannels=3\n" + conv(4)
    graph = parse_cfg(net + head + "[route]\nlayers=0\n" + head + "[route]\nlayers=0\n" + head)
    before_last, for_nine = num_floats(graph, below=7), num_floats(with_classes(graph, 9))
    path = write_floats(tmp_path / "a.weights", before_last)

    with pytest.raises(WeightsError, match="its first 5 layers, or all layers for 9 classes; say which with cutoff=1"):
        read_weights(path, graph)
    assert before_last == for_nine
    assert read_weights(path, graph, cutoff=1).covered == 1


def test_numbers_that_cannot_be_variances_are_refused(tmp_path: Path) -> None:
    tensors = random_tensors(tiny())
    tensors["002_convolutional.norm.running_var"][:2] = -1
    write_weights(tmp_path / "a.weights", tiny(), tensors)

    with pytest.raises(WeightsError, match=r"002_convolutional.norm.running_var has 2 negative numbers"):
        read_weights(tmp_path / "a.weights", tiny())


def header_bytes(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}i", *numbers)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a Darknet header of 16 or 20 bytes, found an empty file; download or copy it again"),
        (header_bytes(0, 2), "expected a Darknet header of 16 or 20 bytes, found 8 bytes"),
        (header_bytes(0, 2, 5, 0), "expected a Darknet header of 16 or 20 bytes, found 16 bytes"),
        (header_bytes(0, 1, 0), "expected a Darknet header of 16 or 20 bytes, found 12 bytes"),
        (header_bytes(0, 2, 5, 0, 0), "holds a header and no weights"),
        (
            header_bytes(0, 2, 5, 0, 0) + b"abc",
            "ends inside layer 000_convolutional: expected 124 floats, found 0 and 3",
        ),
        (header_bytes(-7, 2, 5, 0, 0), r"expected a Darknet header such as 0.2.5, found -7.2.5"),
        (header_bytes(0, 1000, 5, 0, 0), r"expected a Darknet header such as 0.2.5, found 0.1000.5"),
        (b"[net]\nwidth=416\nheight=416\n", r"found text that begins with '\[net\]': this is a cfg file"),
        (b"# yolov3\n[net]\nwidth=416\n", "found text that begins with '# yolov3': this is a cfg file"),
        (b"<!DOCTYPE html><html lang=en>", "'<!DOCTYPE html><html': this is a web page saved in place of a download"),
        (b"person\nbicycle\ncar\nmotorbike", "expected Darknet weights, found text that begins with 'person'$"),
        (b"PK\x03\x04" + bytes(40), "expected Darknet weights, found a PyTorch file"),
        (b"\x80\x02\x8a\x0a" + bytes(40), "expected Darknet weights, found a PyTorch file"),
        (struct.pack("<Q", 40) + b'{"a":' + bytes(40), "expected Darknet weights, found a safetensors checkpoint"),
    ],
)
def test_a_file_of_another_kind_is_named(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.weights").write_bytes(content)

    with pytest.raises(WeightsError, match=rf"^{tmp_path / 'a.weights'}: .*{message}"):
        read_weights(tmp_path / "a.weights", tiny())


def test_a_file_that_is_not_there_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"none.weights: cannot read this file: No such file or directory"):
        read_weights(tmp_path / "none.weights", tiny())
    with pytest.raises(WeightsError, match="expected a weights file, found a folder"):
        read_weights(tmp_path, tiny())


@pytest.mark.parametrize("cutoff", [0, -1, 10])
def test_a_cutoff_beyond_the_network_is_refused(cutoff: int, tmp_path: Path) -> None:
    message = f"cutoff={cutoff}: expected 1 to 9, the number of layers of the cfg"

    with pytest.raises(WeightsError, match=message):
        read_weights(write_floats(tmp_path / "a.weights", 1), tiny(), cutoff=cutoff)
    with pytest.raises(WeightsError, match=message):
        write_weights(tmp_path / "b.weights", tiny(), random_tensors(tiny()), cutoff=cutoff)


@pytest.mark.parametrize("cutoff", [None, 3])
def test_tensors_that_do_not_fit_are_not_written_and_the_old_file_stays(cutoff: int | None, tmp_path: Path) -> None:
    path, tensors = tmp_path / "a.weights", random_tensors(tiny())
    path.write_text("old")
    tensors["000_convolutional.norm.num_batches_tracked"] = np.zeros(())
    del tensors["000_convolutional.norm.bias"]
    tensors["002_convolutional.conv.weight"] = np.zeros((6, 5, 1, 1))

    with pytest.raises(WeightsError, match=r"1 missing \(0.*bias\), 1 unexpected \(0.*tracked\), 1 of another shape"):
        write_weights(path, tiny(), tensors, cutoff=cutoff)
    assert path.read_text() == "old"


def test_a_failure_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.weights"
    path.write_text("old")
    tensors = random_tensors(tiny()) | {"007_convolutional.conv.bias": np.array(["x"] * 16)}

    with pytest.raises(ValueError, match="could not convert string to float"):
        write_weights(path, tiny(), tensors)

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_made_on_writing(tmp_path: Path) -> None:
    write_weights(tmp_path / "none" / "a.weights", tiny(), random_tensors(tiny()))

    assert (tmp_path / "none" / "a.weights").is_file()


def test_a_folder_that_cannot_be_made_is_named_on_writing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(OutputError, match=r"file/a\.weights: cannot write this file: (File exists|Not a directory)"):
        write_weights(tmp_path / "file" / "a.weights", tiny(), random_tensors(tiny()))
