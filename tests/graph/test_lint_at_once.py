"""One cfg with a mistake of every kind: all are told in one pass, each at its line, and nothing that only follows."""

import re

import pytest

from yoloslim.graph.lint import lint

# What stands behind ``<-`` must be told of its line, and nothing must be told of any other.
TEXT = """[net]
batch=64
subdivisions=48  # <- does not divide batch=64
width=64
height=64
max_batches 1000  # <- expected key=value
max_batches=1000
steps=800,9000  # <- never reached
scales=.1  # <- each step needs one
momentom=0.9  # <- did you mean momentum=

[convolutional]
batch_normalize=1
filters=8
size=3
stride=2
pad=1
activation=leeky  # <- did you mean leaky

[convolutional]
batch_normalize=yes  # <- expected a whole number
filters=many  # <- expected a whole number
size=3
strid=1  # <- did you mean stride=
pad=1
pad=0  # <- stands twice
activation=leaky

[convolutional]
filters=0  # <- out of range
size=3
pad=1
activation=linear
xnor=1  # <- binary weights are not supported

[convolutional]  # <- without pad=1
filters=8
size=3
activation=linear

[convolutional]
filters=16
size=1
activation=linear

[convolutional]  # <- groups=3 does not divide
filters=16
groups=3
size=1
activation=linear

[shortcut]
from=-99  # <- points before the first layer
activation=linear

[maxpol]  # <- did you mean [maxpool]
size=2

[shortcut]
from=50  # <- not before this one

[route]
layers=0

[maxpool  # <- expected [section]
size=2
stride=2

[route]  # <- joins maps of different sizes
layers=0,-1

[net]  # <- is not a layer

[convolutional]  # <- read by nothing
filters=8
activation=linear

[route]  # <- read by nothing
layers=0
groups=2
group_id=2  # <- is not below groups=2

[route]
layers=0

[upsample]
stride=2
stride=4  # <- stands twice

[convolutional]
batch_normalize=1  # <- before a head
filters=21
activation=leaky  # <- before a head

[yolo]
mask=0,1,1  # <- names an anchor twice
anchors=4,4, 8,0, 16,16  # <- without area
classes=2
num=6  # <- there are 3 anchors

[dropout]  # <- which gives boxes | read by nothing
probability=2  # <- out of range

[route]
layers=0

[convolutional]
filters=18
activation=linear

[yolo]  # <- needs 3 anchors x (5 + 3 classes) = 24
mask=0,1,2
anchors=4,4, 8,8, 16,16  # <- differ from those of the first head
classes=3  # <- the first head has 2
num=3

[route]
layers=0,x  # <- expected a whole number

[convolutional]
filters=21
activation=linear

[yolo]
mask=0,1,7  # <- points beyond
anchors=4,4, 8,0, 16,16  # <- without area
classes=2

[route]
layers=0

[convolutional]
filters=21
activation=linear

[yolo]
mask=0,1,2
anchors=4,4, 8,8, 16  # <- pairs
classes=2.5  # <- expected a whole number
"""

SOUND = """[net]
width=64
height=64
[convolutional]
filters=8
size=3
pad=1
[convolutional]
filters=8
[shortcut]
from=0
[maxpool]
size=2
stride=2
[route]
layers=-1
[upsample]
stride=2
[route]
layers=-1,2
[convolutional]
filters=24
activation=linear
[yolo]
mask=0,1,2
anchors=4,4, 8,8, 16,16
classes=3
"""


def planted() -> list[tuple[int, str]]:
    """Gives the lines of the mistakes, with words that must be told of each."""
    marks = ((number, re.search("# <- (.+)", line)) for number, line in enumerate(TEXT.splitlines(), start=1))
    return [(number, words) for number, mark in marks if mark for words in mark[1].split(" | ")]


def test_every_mistake_is_told_at_its_line_and_nothing_else() -> None:
    findings = lint(TEXT)

    assert len(planted()) >= 35
    for (line, words), finding in zip(planted(), findings, strict=True):
        assert finding.line == line
        assert words in finding.message


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("filters=8", "filters=eight"),
        ("size=3", "size=0"),
        ("[maxpool]", "[maxpol]"),
        ("layers=-1", "layers=first"),
        ("width=64", "width=0"),
        ("from=0", "from=9"),
    ],
)
def test_one_mistake_early_in_the_file_is_blamed_on_no_layer_behind_it(right: str, wrong: str) -> None:
    assert lint(SOUND) == ()
    assert len(lint(SOUND.replace(right, wrong, 1))) == 1


def test_all_that_a_net_lacks_is_told() -> None:
    assert [finding.message for finding in lint("[net]\n")] == [
        "[net] needs width=",
        "[net] needs height=",
        "[net] has no layers after it",
    ]
