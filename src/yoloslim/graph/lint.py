"""Every problem of a cfg at once: what stops it from being read, and what is surely not meant.

``from_cfg`` stops at the first mistake. Here a mistake is noted and stepped over: a key that cannot be read counts as
left out, and what it leaves unsure of a layer's shape is blamed on no layer behind it.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from yoloslim.cfg.options import kind_of, unknown_keys, wrong_values
from yoloslim.cfg.schema import SCHEMA
from yoloslim.cfg.sections import Section, parse_sections
from yoloslim.errors import CfgError
from yoloslim.graph.from_cfg import check_shared, read_net, reads_boxes, references, shared_index, without_tail
from yoloslim.graph.graph import Node, node_name
from yoloslim.graph.ops import Contrastive, Convolution, Op, Shape, Shortcut, Yolo
from yoloslim.graph.read_op import read_op
from yoloslim.graph.shapes import node_shape

T = TypeVar("T")

_HEADER = re.compile(r"\[\s*(\w+)")
_OFTEN_TWICE = ("batch", "subdivisions")  # published files keep those of testing beside those of training
_LIKE = 0.75  # how alike a misspelt key must be to a known one


@dataclass(frozen=True, slots=True)
class Fix:
    """The one right answer to a problem: a line of the file as it should read; None where it should go."""

    line: int
    text: str | None


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem.

    Attributes:
        line: in the file, from 1; 0 for the file as a whole.
        section: name of the section; empty for none.
        key: the key that is wrong; empty for none.
        message: what was found, what was expected, what to do.
        severity: ``error`` where the network cannot be read, ``warning`` where it can but is hardly meant so.
    """

    line: int
    section: str
    key: str
    message: str
    severity: Literal["error", "warning"]
    fix: Fix | None = None


@dataclass(frozen=True, slots=True)
class _Map:
    """A feature map as far as it could be understood; ``unsure`` says which sides of ``shape`` are guesses."""

    shape: Shape
    unsure: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Layer:
    """What could be understood of a layer.

    Attributes:
        output: the map that it gives.
        read: shape of its first input.
        owner: the layer whose weights it uses, None for its own.
    """

    section: Section
    op: Op | None
    inputs: tuple[int, ...]
    output: _Map
    read: Shape | None = None
    owner: int | None = None


_ALL = frozenset({"channels", "size"})
_SIDES = {
    **dict.fromkeys(("channels", "filters"), "channels"),
    **dict.fromkeys("width height size stride stride_x stride_y pad padding dilation".split(), "size"),
}
"""Which side of a shape a key that cannot be read leaves unsure."""
_GUESS = Shape(3, 416, 416)


def lint(text: str, path: str = "") -> tuple[Finding, ...]:
    """Gives every problem of a cfg text, in the order of the lines; ``path`` is only for messages."""
    sections, findings = _sections(text, path)
    if not sections or _kind(sections[0]) != "net":
        line = sections[0].line if sections else 0
        return (*findings, Finding(line, "", "", "expected [net] as the first section", "error"))
    behind_net, tail = without_tail(sections[1:])
    for section in (sections[0], *behind_net):
        findings += _key_findings(section)
    findings += _net_findings(sections[0])
    image = _read_image(sections[0], findings)
    layers: list[_Layer] = []
    for section in behind_net:
        layers.append(_read_layer(section, layers, image, findings))
    if not layers:
        findings.append(_finding(sections[0].error("has no layers after it"), sections[0]))
    findings += _layer_findings(layers)
    if tail:
        findings.append(_warning(tail[0], "", "(and what follows) is a classifier's and takes no part here"))
    return tuple(sorted(findings, key=lambda finding: finding.line))


def fixed(text: str, findings: Sequence[Finding]) -> str:
    """Gives the text with every problem mended that has one right answer; all else stays, comments included."""
    lines: list[str | None] = list(text.splitlines())
    for fix in (finding.fix for finding in findings if finding.fix):
        lines[fix.line - 1] = fix.text
    return "".join(f"{line}\n" for line in lines if line is not None)


def _sections(text: str, path: str) -> tuple[tuple[Section, ...], list[Finding]]:
    """Sections of a text, and the lines that are neither sections nor keys, which are passed over."""
    lines, findings = text.splitlines(), list[Finding]()
    while True:
        try:
            return parse_sections("\n".join(lines), path), findings
        except CfgError as error:
            findings.append(Finding(error.line, "", "", error.message, "error"))
            header = _HEADER.search(lines[error.line - 1])
            lines[error.line - 1] = f"[{header[1]}]" if header else ""


def _kind(section: Section) -> str:
    try:
        return kind_of(section)
    except CfgError:
        return ""


def _finding(error: CfgError, section: Section, fix: Fix | None = None) -> Finding:
    return Finding(error.line or section.line, section.name, error.key, error.message, "error", fix)


def _warning(section: Section, key: str, message: str, fix: Fix | None = None) -> Finding:
    error = section.error(message, key=key)
    return Finding(error.line, section.name, key, error.message, "warning", fix)


def _key_findings(section: Section) -> Iterator[Finding]:
    """Keys that stand twice, and keys that are no keys but look like one."""
    kind = _kind(section)
    if not kind:
        return
    counts = Counter(option.key for option in section.options)
    for key in (key for key, count in counts.items() if count > 1 and key not in _OFTEN_TWICE):
        first, *others = (option for option in section.options if option.key == key)
        for option in others:
            text = f"[{section.name}] {key}= stands twice; the first counts (line {first.line}): remove this one"
            yield Finding(option.line, section.name, key, text, "warning", Fix(option.line, None))
    for key in dict.fromkeys(unknown_keys(section)):
        near = difflib.get_close_matches(key, SCHEMA[kind].keys() - counts.keys(), n=1, cutoff=_LIKE)
        found = section.find(key)
        if near and found is not None:
            fix = Fix(found.line, f"{near[0]}={found.value}")
            yield _warning(section, key, f"{key}= is no key of this section; did you mean {near[0]}=?", fix)


def _net_findings(net: Section) -> Iterator[Finding]:
    """What only shows in training with Darknet."""
    numbers = {option.key: _numbers(option.value) for option in net.options}
    batch, parts = numbers.get("batch"), numbers.get("subdivisions")
    if batch and parts and parts[0] and batch[0] % parts[0]:
        text = f"subdivisions={parts[0]:g} does not divide batch={batch[0]:g}"
        yield _warning(net, "subdivisions", text)
    steps, scales = numbers.get("steps"), numbers.get("scales")
    if steps and scales and len(steps) != len(scales):
        yield _warning(net, "scales", f"has {len(scales)} scales for {len(steps)} steps; each step needs one")
    last = numbers.get("max_batches")
    if steps and last and max(steps) > last[0]:
        yield _warning(net, "steps", f"steps={max(steps):g} lies behind max_batches={last[0]:g} and is never reached")


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        return []


def _wrong_keys(section: Section, findings: list[Finding]) -> frozenset[str]:
    """The keys of a section whose values are wrong by themselves."""
    errors = wrong_values(section) if _kind(section) else []
    findings += [_finding(error, section) for error in errors]
    return frozenset(error.key for error in errors)


def _understood(
    section: Section, read: Callable[[Section], T], wrong: frozenset[str], findings: list[Finding]
) -> tuple[T | None, frozenset[str]]:
    """What ``read`` makes of a section without the keys that are wrong, None where it needs one; and these keys."""
    while True:
        try:
            return read(section.without(wrong)), wrong
        except CfgError as error:
            if error.key not in wrong:  # else it is missed now, and was told
                findings.append(_finding(error, section))
            if error.key in wrong or section.find(error.key) is None:
                return None, wrong
            wrong |= {error.key}


def _read_image(net: Section, findings: list[Finding]) -> _Map:
    missing = [key for key in ("width", "height") if net.find(key) is None]
    findings += [_finding(net.error(f"needs {key}=", key=key), net) for key in missing]
    shape, wrong = _understood(net, read_net, _wrong_keys(net, findings).union(missing), findings)
    return _Map(shape, _sides(wrong)) if shape else _Map(_GUESS, _ALL)


def _sides(keys: Iterable[str]) -> frozenset[str]:
    return frozenset(_SIDES[key] for key in keys if key in _SIDES)


def _read_layer(section: Section, layers: Sequence[_Layer], image: _Map, findings: list[Finding]) -> _Layer:
    """One layer, as far as it can be understood."""
    index, kind = len(layers), _kind(section)
    inputs, wrong = _understood(
        section, lambda cleaned: references(cleaned, index), _wrong_keys(section, findings), findings
    )
    places = inputs or (index - 1,)
    maps = [image if place < 0 else layers[place].output for place in places]
    if kind == "net":
        findings.append(_finding(section.error("is not a layer; expected it once, as the first section"), section))
    if kind in ("", "net") or inputs is None:
        return _Layer(section, None, places, _Map(maps[0].shape, _ALL))
    for place in inputs:
        if place >= 0 and isinstance(layers[place].op, Yolo):
            head = node_name(place, kind_of(layers[place].section))
            findings.append(_finding(reads_boxes(section, index, head), section))
    op, wrong = _understood(section, lambda cleaned: read_op(cleaned, [m.shape for m in maps]), wrong, findings)
    if op is None:
        return _Layer(section, None, places, _Map(maps[0].shape, _ALL))
    unsure = frozenset[str]().union(*(found.unsure for found in maps))
    shape = _shape(section, op, maps, layers, findings if unsure.isdisjoint(_matters(op)) else [])
    kept = unsure - {"channels"} if isinstance(op, Convolution) else unsure
    output = _Map(shape, kept | _sides(wrong)) if shape else _Map(maps[0].shape, _ALL)
    owner = _owner(section, op, maps[0].shape, layers, findings)
    return _Layer(section, op, places, output, maps[0].shape, owner)


def _matters(op: Op) -> frozenset[str]:
    """The sides of its inputs that decide whether an op can be."""
    return frozenset({"channels"}) if isinstance(op, Yolo) else _ALL


def _owner(section: Section, op: Op, read: Shape, layers: Sequence[_Layer], findings: list[Finding]) -> int | None:
    try:
        place = shared_index(section, len(layers))
        if place is not None and layers[place].op is not None:
            owner = layers[place]
            check_shared(section, op, read.channels, owner.op, (owner.read or read).channels)
    except CfgError as error:
        if error.key == "share_index":  # others were found before
            findings.append(_finding(error, section))
        return None
    return place


def _shape(
    section: Section, op: Op, inputs: Sequence[_Map], layers: Sequence[_Layer], findings: list[Finding]
) -> Shape | None:
    node = Node(node_name(len(layers), kind_of(section)), op, (), section)
    shapes = [found.shape for found in inputs]
    try:
        return node_shape(node, shapes)
    except CfgError as error:
        fix = _filters_fix(op, layers) if isinstance(op, Yolo) else None
        findings.append(_finding(error, section, fix))
        return shapes[0] if isinstance(op, Yolo) else None


def _filters_fix(yolo: Yolo, layers: Sequence[_Layer]) -> Fix | None:
    """The ``filters`` that a head needs, where the layer before it is a convolution that says how many it has."""
    option = layers[-1].section.find("filters") if layers and isinstance(layers[-1].op, Convolution) else None
    return Fix(option.line, f"filters={yolo.channels}") if option else None


def _layer_findings(layers: Sequence[_Layer]) -> Iterator[Finding]:
    read = {place for layer in layers for place in (*layer.inputs, layer.owner)}
    heads = [layer for layer in layers if isinstance(layer.op, Yolo)]
    if layers and not heads and all(layer.op for layer in layers):
        yield Finding(0, "", "", "there is no [yolo] or [region]: this network detects nothing", "warning")
    for index, layer in enumerate(layers):
        is_end = isinstance(layer.op, Contrastive | Yolo)
        if index not in read and layer.op and not is_end and index + 1 < len(layers):
            yield _warning(layer.section, "", f"(layer {index}) is read by nothing; remove it, or route to it")
        if isinstance(layer.op, Shortcut) and not layer.output.unsure:
            yield from _shortcut_findings(layer, layers)
        if isinstance(layer.op, Convolution):
            yield from _convolution_findings(layer.section, layer.op)
        if isinstance(layer.op, Yolo):
            before = layers[index - 1] if index else None
            yield from _head_findings(layer.section, layer.op, before)
    yield from _disagreements(heads)


def _shortcut_findings(layer: _Layer, layers: Sequence[_Layer]) -> Iterator[Finding]:
    height = layer.output.shape.height
    for place in (place for place in layer.inputs[1:] if place >= 0):
        step = layers[place].output.shape.height // height
        if step > 1:
            yield _warning(layer.section, "from", f"adds one of each {step}x{step} cells of layer {place}")


def _convolution_findings(section: Section, op: Convolution) -> Iterator[Finding]:
    if op.size > 1 and op.size % 2 and op.pad == 0 and op.stride_x == op.stride_y == 1:
        yield _warning(section, "pad", f"size={op.size} without pad=1 makes the map smaller by {op.size - 1}")


def _head_findings(section: Section, yolo: Yolo, before: _Layer | None) -> Iterator[Finding]:
    for width, height in yolo.anchors:
        if not width or not height:
            yield _warning(section, "anchors", f"anchors has {width:g},{height:g}: a box without area fits nothing")
    count = section.find("num")
    if count and _numbers(count.value) != [len(yolo.anchors)]:
        fix = Fix(count.line, f"num={len(yolo.anchors)}")
        yield _warning(section, "num", f"num={count.value} but there are {len(yolo.anchors)} anchors", fix)
    if len(set(yolo.mask)) < len(yolo.mask):
        yield _warning(section, "mask", "mask names an anchor twice")
    if before is None or not isinstance(before.op, Convolution):
        return
    expected = ("logistic", "linear") if yolo.new_coords else ("linear",)
    if before.op.activation not in expected:
        text = f"activation={before.op.activation} before a head; it needs {expected[0]}"
        yield _warning(before.section, "activation", text)
    if before.op.batch_norm:
        yield _warning(before.section, "batch_normalize", "batch_normalize=1 before a head; its values must be free")


def _disagreements(heads: Sequence[_Layer]) -> Iterator[Finding]:
    """Heads of one network that say different things."""
    for layer in heads[1:]:
        first, other = heads[0].op, layer.op
        assert isinstance(first, Yolo)
        assert isinstance(other, Yolo)
        if other.classes != first.classes:
            text = f"classes={other.classes}, the first head has {first.classes}"
            yield _warning(layer.section, "classes", text)
        if other.anchors != first.anchors:
            yield _warning(layer.section, "anchors", "anchors differ from those of the first head")
