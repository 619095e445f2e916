"""The layers of a network as a C99 header: what a program needs to know before it reads the binary files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from yoloslim.export.fpga_ops import KINDS

_AS_THEY_ARE = (
    "stride_y",
    "stride_x",
    "size",
    "pad",
    "dilation",
    "groups",
    "group",
    "shift",
)

_HEADER = """\
/* The layers of a network in whole numbers, written by yoloslim with the binary files beside it. */
#ifndef YOLOSLIM_NETWORK_H
#define YOLOSLIM_NETWORK_H

enum {{ {kinds} }};

#define YS_LAYERS {layers}
#define YS_MAX_INPUTS {inputs}

typedef struct {{
    const char *name;             /* of its files: layers/NAME.weight.bin and so on */
    int kind;
    int num_inputs;
    int inputs[YS_MAX_INPUTS];    /* indices of the layers that it reads; 0 is the picture */
    int lifts[YS_MAX_INPUTS];     /* add: input i times 2^lifts[i] */
    int channels, height, width;  /* of its output */
    int exponent, low, high;      /* a code from low to high is worth code * 2^exponent; all 0: sums of 32 bits */
    int sums_low, sums_high;      /* codes that sums become, before the table */
    int half_even;                /* 1: halfway between two codes, the even one; 0: the one away from 0 */
    int has_table;                /* output = table[code - sums_low] */
    int shift;                    /* add: the sum is divided by 2^shift; a convolution has a file of shifts */
    int size, stride_y, stride_x; /* of windows; upsample: each cell becomes stride_y x stride_x */
    int pad;                      /* cells outside of the map, above and left of it */
    int dilation, groups;
    int group;                    /* concatenate: which of `groups` equal parts of each input */
    int tile_outputs, tile_inputs;
}} ys_layer;

static const ys_layer YS_NETWORK[YS_LAYERS] = {{
{rows}
}};

#endif
"""


def header_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Gives the header for the rows of an index."""
    places = {row["name"]: index for index, row in enumerate(rows)}
    return _HEADER.format(
        kinds=", ".join(f"YS_{kind.upper()}" for kind in KINDS),
        layers=len(rows),
        inputs=max(len(row["inputs"]) for row in rows),
        rows="\n".join(f"    {{{', '.join(_fields(row, places))}}}," for row in rows),
    )


def _fields(row: Mapping[str, Any], places: Mapping[str, int]) -> list[str]:
    """The initialisers of a row; what is not named is 0 in C."""
    channels, height, width = row["shape"]
    values: dict[str, Any] = {"name": f'"{row["name"]}"', "kind": f"YS_{row['kind'].upper()}"}
    if row["inputs"]:
        values |= {"num_inputs": len(row["inputs"]), "inputs": _list(places[name] for name in row["inputs"])}
    if "lifts" in row:
        values["lifts"] = _list(row["lifts"])
    values |= {"channels": channels, "height": height, "width": width}
    values |= {key: row["codes"][key] for key in ("exponent", "low", "high")} if row["codes"] else {}
    if row.get("sums"):
        values |= {"sums_low": row["sums"]["low"], "sums_high": row["sums"]["high"]}
        values["half_even"] = int(row["sums"]["rounding"] == "half_even")
    values |= {"has_table": 1} if "table" in row["files"] else {}
    values |= {key: row[key] for key in _AS_THEY_ARE if key in row}
    if "tile" in row:
        values |= dict(zip(("tile_outputs", "tile_inputs"), row["tile"], strict=True))
    return [f".{key} = {value}" for key, value in values.items()]


def _list(numbers: Any) -> str:
    return f"{{{', '.join(map(str, numbers))}}}"
