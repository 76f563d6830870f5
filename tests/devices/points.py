"""Every point that pysunspec2 reads is what the physics says: at night, at noon with the battery charging, and in the
evening with it discharging, for all roles, generations and connections, with scale factors and counter widths mixed."""

import itertools
import re
import struct
import tempfile
from pathlib import Path

import physics
from client import Differs, check_discovery, check_points, instances, require, scanned, walk
from discovery import BASES, PHASES, ROLES
from lab import Lab, write_home

GENERATIONS = ["integer", "float", "ieee-1547", "all"]
TABLES = {
    "": {"seed": 5},
    "pv": {"peak_watts": 7_000, "nameplate_watts": 6_000},
    "battery": {
        "capacity_watt_hours": 12_000, "power_watts": 900, "reserve_permille": 200, "initial_soc_permille": 200,
        "soc_min_permille": 50, "soc_max_permille": 950,
    },
    "load": {"scale_permille": 4_000},
    "grid": {"impedance_milliohms": 350, "swing_millihertz": 60},
}
# Night, noon, evening, and a second within a minute some days later.
INSTANTS = ["2026-06-21T02:00:00Z", "2026-06-21T12:00:00Z", "2026-06-21T21:30:00Z", "2026-06-24T12:34:56Z"]


def devices(line):
    """All combinations, each on a port of its own but two on one serial line."""
    combined = itertools.product(ROLES, GENERATIONS, PHASES)
    made = [
        {
            "name": f"{role}-{generation}-{phases}", "role": role, "generation": generation, "phases": phases,
            "base": BASES[n % 3], "listen": "127.0.0.1:0", "unit": 1 + n, "energy_scale": [-1, 0, 1, -3, -2, 3][n % 6],
            "power_scale": [0, 0, -1, 1, -2][n % 5], "soc_scale": [-1, 0, -2][n % 3],
            "counter_bits": [None, None, 24, 16][n // 4 % 4],
        }
        for n, (role, generation, phases) in enumerate(combined)
    ]
    branches = ["grid", "pv", "battery", "load"]
    made.append({
        "name": "branches", "role": "meter", "generation": "all", "phases": "split", "pty": line, "unit": 107,
        "measures": branches,
    })
    made.append({
        "name": "serial", "role": "hybrid", "generation": "all", "phases": "three", "pty": line, "unit": 108,
        "power_scale": -2,
    })
    return made


def scale_of(client_model, path, point):
    """The scale factor in force, read by the point's definition and not by the library's arithmetic."""
    name = point.pdef.get("sf")
    if name is None:
        return 0
    holders = [dict(walk(client_model))[name]] if name in client_model.points else []
    require(holders, "model", client_model.model_id, path, "has its scale factor", name, "elsewhere")
    return holders[0].value


def promised(device, name):
    """The scale factors that a config file decides about."""
    return {
        "W_SF": device.get("power_scale", 0), "TotWh_SF": device.get("energy_scale", -1),
        "WH_SF": device.get("energy_scale", -1), "DCWH_SF": device.get("energy_scale", -1),
        "SoC_SF": device.get("soc_scale", -1), "ChaState_SF": device.get("soc_scale", -1),
    }.get(name)


SCALED_BY_CONFIG = {101, 102, 103, 160, 201, 202, 203, 204, 701, 714, 802, 124}


def check_truth(truth, device, client):
    """Every measured point is what the physics makes of it. Returns how many were computed."""
    computed, meters = 0, 0
    for model, _ in instances(client):
        number = model.model_id
        points = dict(walk(model))
        known = alternatives(physics.expected(truth, device, number, meters), points)
        meters += 201 <= number <= 214
        for path, expected in known.items():
            what = f"{truth.now:%H:%M} {device['name']} model {number} {path}:"
            require(path in points, what, "there is no such point")
            point = points[path]
            kind, scale = point.pdef["type"], scale_of(model, path, point)
            raw = expected.raw(kind, scale, device.get("counter_bits"))
            same = point.value == raw
            if kind == "float32" and raw is not None and point.value is not None:
                same = struct.pack(">f", point.value) == struct.pack(">f", raw)
            require(same, what, "reads", point.value, f"(scale factor {scale}), physics says", raw)
            computed += 1
        check_others(device, number, points, known)
    return computed


def alternatives(known, points):
    """Chooses the name that the model has, where models of one family call a point differently."""
    return {next((name for name in path.split("|") if name in points), path): value for path, value in known.items()}


def check_others(device, number, points, known):
    """Nothing that is measured escapes: what was not computed is not implemented, or known to lie beside."""
    for path, point in points.items():
        kind = point.pdef["type"]
        if number in SCALED_BY_CONFIG and kind == "sunssf" and (scale := promised(device, path)) is not None:
            require(point.value == scale, device["name"], "model", number, path, "is", point.value, "not", scale)
        beside = physics.beside(number)
        if beside is None or kind in ("sunssf", "pad") or path in ("ID", "L") or point.value is None or path in known:
            continue
        general = re.sub(r"\[\d+\]", "[]", path)
        require(general in beside, device["name"], "model", number, path, "is", point.value, "and was not computed")


def look(lab, specs):
    """Reads all devices; returns what the control API told and physics computed alike, and the truth."""
    truth = physics.Truth(lab.overview(), TABLES)
    told, computed = 0, 0
    for device in lab.devices():
        with scanned(device) as client:
            check_discovery(device, client)
            told += check_points(device, client, lab.points(device["name"]))
            computed += check_truth(truth, specs[device["name"]], client)
    print(f"{truth.now:%Y-%m-%d %H:%M}: {told} points as told, {computed} as computed; {truth.flow}")
    return told, computed, truth


# What a device may get wrong so that each of these comparisons has to fail.
LIES = [
    "swapped-sign", "scale-factor-changes", "scale-factor-lies", "counters-at-zero", "counter-backstep",
    "counter-wraps-early", "negative-counter", "duplicate-models", "zero-frame",
]


def catches_lies(program):
    """The comparison is none that cannot fail: it sees each of these faults come and go. Returns how many it saw."""
    with Lab(program, "inverter", "--port", 0, "--generation", "all", start="2026-06-21T12:00:00Z") as lab:
        for fault in LIES:
            lab.ask(f"/devices/inverter/faults/{fault}", "PUT")
            require(not agrees(lab), "nothing was seen of the fault", fault)
            lab.ask(f"/devices/inverter/faults/{fault}", "DELETE")
            require(agrees(lab), "something was left of the fault", fault)
    return len(LIES)


def agrees(lab):
    [device] = lab.devices()
    try:
        with scanned(device) as client:
            check_discovery(device, client)
            return check_points(device, client, lab.points(device["name"])) > 0
    except Differs:
        return False


def check(program):
    print(f"{catches_lies(program)} kinds of lies were seen through")
    with tempfile.TemporaryDirectory(prefix="gridtally-points-") as folder:
        specs = devices(str(Path(folder) / "line"))
        file = write_home(Path(folder) / "home.toml", TABLES, specs)
        with Lab(program, "home", file) as lab:
            looks = []
            for instant in INSTANTS:
                lab.step_to(instant)
                looks.append(look(lab, {spec["name"]: spec for spec in specs}))
    night, noon, evening, _ = (truth.flow for _, _, truth in looks)
    require(night["pv"] == 0 and night["battery"] == 0 and night["grid"] > 0, "at night the grid serves all:", night)
    require(noon["pv"] > 0 > noon["grid"] and noon["battery"] < 0, "at noon the sun serves all:", noon)
    require(evening["battery"] > 0, "in the evening the battery discharges:", evening)
    told, computed = sum(look[0] for look in looks), sum(look[1] for look in looks)
    require(told > 60_000 and computed > 10_000, "too little was compared:", told, "and", computed)
    return told + computed
