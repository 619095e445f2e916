"""``lint`` tells every mistake of a cfg at once, with its line, and has nothing to say of a sound one."""

from pathlib import Path

import pytest

from yoloslim.errors import CfgError
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.lint import Finding, fixed, lint
from yoloslim.graph.to_cfg import to_cfg
from yoloslim.zoo.catalog import find, networks

SOUND = """[net]
# Testing
batch=64
subdivisions=16
width=64
height=64
channels=3
max_batches=1000
steps=800,900
scales=.1,.1

[convolutional]
batch_normalize=1
filters=8
size=3
stride=2
pad=1
activation=leaky

[convolutional]
batch_normalize=1
filters=8
size=3
stride=1
pad=1
activation=leaky

[shortcut]
from=-2
activation=linear

[maxpool]
size=2
stride=2

[convolutional]
batch_normalize=1
filters=16
size=3
stride=1
pad=1
activation=leaky

[convolutional]
filters=21
size=1
stride=1
pad=1
activation=linear

[yolo]
mask=0,1,2
anchors=4,4, 8,8, 16,16
classes=2
num=3

[route]
layers=-3

[upsample]
stride=2

[route]
layers=-1,2

[convolutional]
filters=21
size=1
stride=1
pad=1
activation=linear

[yolo]
mask=0,1,2
anchors=4,4, 8,8, 16,16
classes=2
num=3
"""
HEADER, FIRST, SECOND, SHORTCUT, POOL = 1, 12, 20, 28, 32
BEFORE_HEAD, YOLO, ROUTE, UPSAMPLE, JOIN = 44, 51, 57, 60, 63

MISTAKES = [
    ("a line that says nothing", "max_batches=1000", "max_batches 1000", 8, "expected key=value"),
    ("a header without its end", "[maxpool]", "[maxpool", POOL, "expected [section]"),
    ("no [net]", "[net]", "[convolutional]", HEADER, "expected [net] as the first section"),
    ("no width", "width=64\n", "", HEADER, "needs width="),
    ("a width that is no number", "width=64", "width=wide", 5, "expected a whole number"),
    ("a width of nothing", "width=64", "width=0", 5, "out of range"),
    ("a second [net]", "[shortcut]\nfrom=-2\nactivation=linear", "[net]\nwidth=3\nheight=3\n", SHORTCUT, "not a layer"),
    ("an unknown section", "[maxpool]", "[maxpol]", POOL, "did you mean [maxpool]"),
    ("an unknown activation", "activation=leaky", "activation=leeky", 18, "did you mean leaky"),
    ("filters that are no number", "filters=16", "filters=many", 38, "expected a whole number"),
    ("no filters at all", "filters=8\nsize=3\nstride=2", "filters=0\nsize=3\nstride=2", 14, "out of range"),
    ("a misspelt key", "stride=2\npad=1", "strid=2\npad=1", 16, "did you mean stride="),
    (
        "a key that stands twice",
        "pad=1\nactivation=leaky\n\n[shortcut]",
        "pad=1\npad=0\n\n[shortcut]",
        26,
        "stands twice",
    ),
    ("groups that do not divide", "filters=16", "filters=16\ngroups=3", 36, "groups=3 does not divide"),
    ("a shortcut before the first layer", "from=-2", "from=-3", 29, "points before the first layer"),
    ("a shortcut to what comes later", "from=-2", "from=7", 29, "not before this one"),
    ("a shortcut of two sizes", "from=-2", "from=-1", 0, ""),
    ("a route to maps of two sizes", "layers=-1,2", "layers=-1,3", JOIN, "joins maps of different sizes"),
    ("a layer that reads boxes", "[route]\nlayers=-3\n\n[upsample]", "[upsample]", ROUTE, "which gives boxes"),
    ("filters that do not fit the head", "filters=21", "filters=18", YOLO, "needs 3 anchors x (5 + 2 classes) = 21"),
    ("an odd number of anchor sides", "anchors=4,4, 8,8, 16,16", "anchors=4,4, 8,8, 16", 53, "pairs"),
    ("a mask beyond the anchors", "mask=0,1,2", "mask=0,1,3", 52, "points beyond"),
    ("an anchor without area", "anchors=4,4, 8,8, 16,16", "anchors=4,4, 8,0, 16,16", 53, "without area"),
    ("a num that is wrong", "num=3", "num=6", 55, "there are 3 anchors"),
    ("a mask that names an anchor twice", "mask=0,1,2", "mask=0,1,1", 52, "names an anchor twice"),
    ("heads of other classes", "classes=2", "classes=2.5", 54, "expected a whole number"),
    ("an activation before a head", "pad=1\nactivation=linear", "pad=1\nactivation=leaky", 49, "before a head"),
    ("batch-norm before a head", "filters=21", "batch_normalize=1\nfilters=21", 45, "before a head"),
    (
        "a convolution without pad",
        "stride=1\npad=1\nactivation=leaky\n\n[shortcut]",
        "stride=1\nactivation=leaky\n\n[shortcut]",
        SECOND,
        "without pad=1",
    ),
    ("subdivisions that do not divide", "subdivisions=16", "subdivisions=48", 4, "does not divide batch=64"),
    ("a scale too few", "scales=.1,.1", "scales=.1", 10, "each step needs one"),
    ("a step that is never reached", "steps=800,900", "steps=800,9000", 9, "never reached"),
    ("a layer that nothing reads", "layers=-1,2", "layers=2", UPSAMPLE, "read by nothing"),
    ("a binary layer", "filters=16", "filters=16\nxnor=1", 39, "binary weights are not supported"),
    ("weights of another shape", "filters=16", "filters=16\nshare_index=0", 39, "filters is 16 here and 8"),
    ("weights of a pool", "filters=16", "filters=16\nshare_index=-1", 39, "share_index=-1 names no [convolutional]"),
    ("weights of a later layer", "filters=16", "filters=16\nshare_index=7", 39, "not before this one"),
    ("a recurrent layer", "[upsample]", "[crnn]", UPSAMPLE, "layers that remember earlier pictures"),
    ("a layer of classifiers", "[upsample]", "[softmax]", UPSAMPLE, "is a layer of classifiers"),
]


def with_mistake(right: str, wrong: str) -> str:
    assert right in SOUND
    return SOUND.replace(right, wrong, 1)


def first_error(text: str) -> str:
    """What reading the cfg stops with; empty where it does not."""
    try:
        parse_cfg(text)
    except CfgError as error:
        return error.message
    return ""


def test_there_is_nothing_to_say_of_a_sound_cfg() -> None:
    assert lint(SOUND) == ()
    parse_cfg(SOUND)


@pytest.mark.parametrize("name", networks())
def test_there_is_nothing_to_say_of_a_network_of_the_zoo(name: str) -> None:
    assert lint(to_cfg(find(name))) == ()


@pytest.mark.parametrize("path", sorted(Path("/usr/share/darknet/cfg").glob("*.cfg")), ids=lambda path: path.stem)
def test_there_is_nothing_to_say_of_a_detector_of_debian(path: Path) -> None:
    text = path.read_text(errors="replace")
    if "[yolo]" in text or "[region]" in text:
        assert lint(text) == ()


@pytest.mark.parametrize(
    ("right", "wrong", "line", "words"), [m[1:] for m in MISTAKES if m[4]], ids=[m[0] for m in MISTAKES if m[4]]
)
def test_a_mistake_is_found_at_its_line(right: str, wrong: str, line: int, words: str) -> None:
    found = lint(with_mistake(right, wrong))

    assert [f.line for f in found if words in f.message] == [line], [(f.line, f.message) for f in found]


def test_all_mistakes_of_a_file_are_found_in_one_pass() -> None:
    text = SOUND
    chosen = ["subdivisions=16", "activation=leaky", "from=-2", "filters=16", "filters=21", "num=3"]
    wrong = {right: (bad, words) for _, right, bad, _, words in MISTAKES if right in chosen}
    for right, (bad, _) in wrong.items():
        text = text.replace(right, bad, 1)

    messages = "\n".join(finding.message for finding in lint(text))

    assert [words for _, words in wrong.values() if words not in messages] == []


@pytest.mark.parametrize(("right", "wrong"), [m[1:3] for m in MISTAKES], ids=[m[0] for m in MISTAKES])
def test_what_cannot_be_read_is_an_error_and_what_can_is_none(right: str, wrong: str) -> None:
    text = with_mistake(right, wrong)

    told, errors = first_error(text), [f.message for f in lint(text) if f.severity == "error"]

    assert bool(told) == bool(errors)
    assert not told or told in errors


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("filters=21", "filters=18  # six anchors"),
        ("num=3", "num=6"),
        ("stride=2\npad=1", "strid=2\npad=1"),
        ("pad=1\nactivation=leaky", "pad=1\npad=1\nactivation=leaky"),
    ],
)
def test_what_has_one_right_answer_is_mended_and_comments_stay(right: str, wrong: str) -> None:
    text = with_mistake(right, wrong)

    mended = fixed(text, lint(text))

    assert mended == SOUND
    assert "# Testing" in mended


def test_what_has_no_single_answer_is_left() -> None:
    text = with_mistake("from=-2", "from=-3")

    assert fixed(text, lint(text)) == text


def test_a_finding_is_data() -> None:
    (finding,) = lint(with_mistake("num=3", "num=6"))

    assert (finding.section, finding.key, finding.severity) == ("yolo", "num", "warning")
    assert isinstance(finding, Finding)


def test_a_classifier_is_told_where_its_backbone_ends() -> None:
    text = "[net]\nwidth=8\nheight=8\n[convolutional]\nfilters=4\n[softmax]\n[cost]\ncolour=red\n"

    assert [(finding.line, finding.severity, finding.message) for finding in lint(text)] == [
        (0, "warning", "there is no [yolo] or [region]: this network detects nothing"),
        (6, "warning", "[softmax] (and what follows) is a classifier's and takes no part here"),
    ]


def test_a_layer_read_only_for_its_weights_is_read() -> None:
    convolution = "[convolutional]\nfilters=3\n"
    text = "[net]\nwidth=8\nheight=8\n" + convolution * 2 + "[route]\nlayers=0\n" + convolution

    def unread(cfg: str) -> list[str]:
        return [finding.message for finding in lint(cfg) if "read by nothing" in finding.message]

    assert unread(text) == ["[convolutional] (layer 1) is read by nothing; remove it, or route to it"]
    assert unread(f"{text}share_index=1\n") == []


def test_a_shortcut_to_a_larger_map_is_told_what_it_does() -> None:
    text = "[net]\nwidth=8\nheight=8\n[convolutional]\nfilters=3\n[maxpool]\nsize=2\nstride=2\n[shortcut]\nfrom=0\n"

    messages = [(finding.line, finding.message) for finding in lint(text) if finding.key == "from"]

    assert messages == [(10, "[shortcut] adds one of each 2x2 cells of layer 0")]
