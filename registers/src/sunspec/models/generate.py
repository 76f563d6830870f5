#!/usr/bin/env python3
"""Writes the model tables of this folder from the model definitions of the SunSpec Alliance.

    pip download --no-deps pysunspec2 && unzip pysunspec2-*.whl
    python3 generate.py sunspec2/models/json . && cargo fmt -p gridtally-registers

Facts only: numbers, names, types, scale factors, units, access and presence of points.
"""
import json
import pathlib
import sys

FILES = {
    "common": (1,),
    "inverter": (101, 102, 103, 111, 112, 113),
    "information": (120, 121, 122, 123, 124),
    "mppt": (160,),
    "meter": (201, 202, 203, 204, 211, 212, 213, 214),
    "der": (701, 702, 703, 704, 713, 714, 715),
    "der_curves": (705, 706, 707, 708, 709, 710, 711, 712),
    "battery": (802,),
}
KINDS = {
    "int16": "Int16", "int32": "Int32", "int64": "Int64", "uint16": "Uint16", "uint32": "Uint32",
    "uint64": "Uint64", "acc16": "Acc16", "acc32": "Acc32", "acc64": "Acc64", "count": "Count",
    "enum16": "Enum16", "enum32": "Enum32", "bitfield16": "Bitfield16", "bitfield32": "Bitfield32",
    "bitfield64": "Bitfield64", "float32": "Float32", "float64": "Float64", "sunssf": "ScaleFactor",
    "pad": "Pad",
}


def point(p):
    kind = f"Text({p['size']})" if p["type"] == "string" else KINDS[p["type"]]
    text = f'P::new("{p["name"]}", {kind})'
    scale = p.get("sf")
    if scale:  # by a point; none of these models fixes a power of ten
        text += f'.scaled("{scale}")'
    if p.get("units"):
        text += f'.unit("{p["units"]}")'
    if p.get("access") == "RW":
        text += ".writable()"
    if p.get("mandatory") == "M":
        text += ".mandatory()"
    return text + ","


def group(g, root):
    count = g.get("count", 1)
    if count == 0:  # as many as the length leaves room for; model 160 counts them in N
        count = "N"
    count = "Count::One" if count == 1 else f'Count::Point("{count}")'
    points = [p for p in g["points"] if not (root and p["name"] in ("ID", "L"))]
    return (f'Group {{ name: "{g["name"]}", count: {count}, points: &[\n'
            + "\n".join(point(p) for p in points)
            + "\n], groups: &[" + ",\n".join(group(s, False) for s in g.get("groups", [])) + "] }")


def main(source, target):
    for name, ids in FILES.items():
        out = ["// Made by generate.py from the SunSpec model definitions. Do not edit.\n",
               "use crate::sunspec::Kind::*;\nuse crate::sunspec::{Count, Group, Model, PointDefinition as P};\n"]
        for number in ids:
            model = json.loads((source / f"model_{number}.json").read_text())
            label = model["group"].get("label", "").strip()
            out.append(f"pub(super) const M{number}: Model = Model {{ id: {number}, label: \"{label}\", root: "
                       + group(model["group"], True) + " };\n")
        (target / f"{name}.rs").write_text("\n".join(out))


main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
