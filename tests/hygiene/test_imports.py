"""Imports go one way, light packages stay light, and files stay small and well named."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "yoloslim"
FILES = sorted(PACKAGE.rglob("*.py"))

# A line may import only from lines above it. Those on one line are siblings: none imports another.
# Each package of compress/ is a part of its own on the line of "compress".
LINES = (
    {"errors"},
    {"files"},
    {"downloads"},
    {"cfg"},
    {"graph"},
    {"zoo", "boxes"},
    {"nn", "weights", "data"},
    {"losses", "metrics"},
    {"compress", "engine"},
    {"export", "runtime"},
    {"report"},
    {"recipes"},
    {"cli"},
    {"compat"},
    {"__main__"},
)
RANK = {part: rank for rank, parts in enumerate(LINES) for part in parts}
ROOT = "__init__"  # yoloslim itself: everything imports it first, so it may import nothing of the package

TORCH_FREE = ["errors", "files", "downloads", "cfg", "graph", "zoo", "boxes", "data", "metrics", "engine.evaluate"]
NEEDS_TORCH = {"yoloslim.data.loader"}  # what of these parts is there for training only
MAX_LINES = 450


def imported_modules(tree: ast.Module, module: str, *, is_package: bool) -> Iterator[tuple[int, str]]:
    """Yields (line, dotted name) of every import in a module, wherever it stands; relative ones made absolute.

    ``from a import b`` gives ``a.b``: whether ``b`` is a module or a name in one, the part it belongs to is the same.
    """
    package = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, name.name) for name in names)
            case ast.ImportFrom(module=source, names=names, level=level):
                above = package[: len(package) - level + 1] if level else []
                base = ".".join([*above, *([source] if source else [])])
                yield from ((node.lineno, f"{base}.{name.name}") for name in names)
            case ast.Call(
                func=ast.Attribute(attr="import_module") | ast.Name(id="import_module" | "__import__"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield node.lineno, name


def part_of(module: str) -> str | None:
    """Gives the part a dotted name belongs to (``graph``, ``compress/pruning``), None outside the package."""
    match module.split("."):
        case ["yoloslim", "compress", child, *_]:
            return f"compress/{child}"
        case ["yoloslim"] | ["yoloslim", "__init__" | "__version__"]:
            return ROOT
        case ["yoloslim", part, *_]:
            return part
    return None


def module_name(path: Path) -> str:
    """Gives the dotted name of a file of the package."""
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


def import_violations(source: str, path: Path) -> list[str]:
    """Lists, as ``file:line: message``, the imports of one file that go against the order of LINES."""
    module = module_name(path)
    own = part_of(module)
    problems = []
    for line, imported in imported_modules(ast.parse(source), module, is_package=path.name == "__init__.py"):
        other = part_of(imported)
        if other in (None, ROOT, own):
            continue
        place = f"src/{path.relative_to(PACKAGE.parent).as_posix()}:{line}"
        ranks = [RANK.get(part.partition("/")[0]) for part in (own, other)]
        if own == ROOT:
            problems.append(f"{place}: yoloslim/__init__.py imports {other}, but may import no part of the package")
        elif None in ranks:
            unknown = [part for part, rank in zip((own, other), ranks, strict=True) if rank is None]
            problems.append(f"{place}: {unknown[0]} has no place in the import order: add it to LINES")
        elif ranks[1] == ranks[0]:
            problems.append(f"{place}: {own} imports its sibling {other}")
        elif ranks[1] > ranks[0]:
            problems.append(f"{place}: {own} imports {other}, which stands below it")
    return problems


def star_imports(source: str) -> list[int]:
    """Lists the lines that import everything from a module."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
    return [node.lineno for node in nodes if any(name.name == "*" for name in node.names)]


def loaded_modules(code: str) -> list[str]:
    """Runs code in a fresh Python and lists the top-level modules that are loaded afterwards."""
    report = "\nimport json, sys\nprint(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    run = subprocess.run([sys.executable, "-c", code + report], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


# ---- the checkers find what they look for --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "source", "message"),
    [
        ("graph/ops.py", "import yoloslim.nn.build", "graph imports nn, which stands below it"),
        ("graph/ops.py", "from yoloslim import nn", "graph imports nn, which stands below it"),
        ("graph/ops.py", "from ..nn import build", "graph imports nn, which stands below it"),
        ("graph/__init__.py", "from ..nn import build", "graph imports nn, which stands below it"),
        ("nn/build.py", "from yoloslim.weights.darknet import load", "nn imports its sibling weights"),
        ("boxes/nms.py", "from yoloslim.zoo import yolov3", "boxes imports its sibling zoo"),
        ("engine/train.py", "import yoloslim.compress.pruning", "engine imports its sibling compress/pruning"),
        ("cfg/schema.py", "def f():\n    import yoloslim.graph", "cfg imports graph, which stands below it"),
        ("cfg/schema.py", "if TYPE_CHECKING:\n    from yoloslim.graph import ops", "cfg imports graph"),
        ("cfg/schema.py", "importlib.import_module('yoloslim.graph')", "cfg imports graph, which stands below it"),
        (
            "compress/pruning/mask.py",
            "from yoloslim.compress.quantization import spec",
            "compress/pruning imports its sibling compress/quantization",
        ),
        (
            "compress/pruning/mask.py",
            "from yoloslim.compress import quantization",
            "compress/pruning imports its sibling compress/quantization",
        ),
        ("compress/__init__.py", "from . import pruning", "compress imports its sibling compress/pruning"),
        ("__init__.py", "from yoloslim.cfg import sections", "may import no part of the package"),
        ("plumbing/pipe.py", "import yoloslim.cfg", "plumbing has no place in the import order"),
    ],
)
def test_an_import_against_the_order_is_found(path: str, source: str, message: str) -> None:
    problems = import_violations(source, PACKAGE / path)

    assert len(problems) == 1
    assert message in problems[0]
    assert problems[0].startswith(f"src/yoloslim/{path}:{source.count(chr(10)) + 1}: ")


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("graph/ops.py", "from yoloslim.errors import CfgError\nfrom yoloslim.cfg import sections"),
        ("graph/ops.py", "from .graph import Graph\nfrom yoloslim.graph import shapes"),
        ("compress/pruning/mask.py", "from yoloslim.compress.pruning.plan import PruningPlan\nimport yoloslim.nn"),
        ("compress/pruning/mask.py", "from .plan import PruningPlan"),
        ("cli/info.py", "from yoloslim import __version__, runtime\nfrom yoloslim.compress import pruning"),
        ("__main__.py", "from yoloslim.cli import main"),
        ("cfg/schema.py", "import graph, nn.build\nfrom dataclasses import dataclass"),
    ],
)
def test_an_import_along_the_order_is_accepted(path: str, source: str) -> None:
    assert import_violations(source, PACKAGE / path) == []


def test_a_star_import_is_found() -> None:
    assert star_imports("import os\n\ndef f():\n    from os.path import *") == [4]


def test_a_loaded_module_is_found() -> None:
    assert "decimal" in loaded_modules("import decimal")


# ---- the package passes them -----------------------------------------------------------------------------------------


def test_imports_go_one_way() -> None:
    problems = [problem for path in FILES for problem in import_violations(path.read_text("utf-8"), path)]
    assert not problems, "\n".join(["imports against the order:", *problems])


def test_every_part_has_a_place_in_the_import_order() -> None:
    parts = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in FILES} - {ROOT}
    assert parts <= RANK.keys()


def test_no_star_imports() -> None:
    assert {path.name: lines for path in FILES if (lines := star_imports(path.read_text("utf-8")))} == {}


def test_cfg_imports_only_the_standard_library() -> None:
    allowed = sys.stdlib_module_names | {"yoloslim"}
    foreign = [
        f"{path.name}:{line}: {imported}"
        for path in FILES
        if part_of(module_name(path)) == "cfg"
        for line, imported in imported_modules(ast.parse(path.read_text("utf-8")), module_name(path), is_package=False)
        if imported.partition(".")[0] not in allowed
    ]
    assert foreign == []


@pytest.mark.parametrize("part", TORCH_FREE)
def test_importing_it_does_not_import_torch(part: str) -> None:
    below = f"yoloslim.{part}"
    modules = [name for name in map(module_name, FILES) if name == below or name.startswith(f"{below}.")]
    modules = [name for name in modules if name not in NEEDS_TORCH]
    assert modules, f"{below} does not exist"

    assert "torch" not in loaded_modules("import " + ", ".join(modules))


def test_importing_the_package_imports_neither_torch_nor_numpy() -> None:
    assert {"torch", "numpy"}.isdisjoint(loaded_modules("import yoloslim"))


def test_help_answers_without_the_heavy_packages() -> None:
    loaded = loaded_modules(
        "import runpy, sys\n"
        "sys.argv = ['yoloslim', '--help']\n"
        "try:\n"
        "    runpy.run_module('yoloslim', run_name='__main__')\n"
        "except SystemExit as stop:\n"
        "    assert not stop.code, stop.code\n"
    )
    assert "yoloslim" in loaded
    assert {"torch", "numpy", "cv2"}.isdisjoint(loaded)


def test_no_file_is_named_for_nothing_in_particular() -> None:
    assert [path for path in FILES if path.stem in {"utils", "helpers", "common"}] == []


def test_no_file_is_too_long() -> None:
    lengths = {str(path.relative_to(PACKAGE)): len(path.read_text("utf-8").splitlines()) for path in FILES}
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}
