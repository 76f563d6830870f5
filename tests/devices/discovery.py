"""pysunspec2 finds exactly the models that a device has, over TCP and RTU, wherever its map lies."""

import itertools
import socket
import tempfile
from pathlib import Path

from client import check_discovery, check_points, require, scanned
from lab import Lab, LabFailed, write_home

ROLES = ["inverter", "battery", "hybrid", "meter"]
GENERATIONS = ["integer", "float", "ieee1547", "all"]
PHASES = ["single", "split", "three", "delta"]
BASES = [0, 40_000, 50_000]


def look(lab):
    """Scans every device of a lab; returns how many models were found and how many points compared."""
    models, points = 0, 0
    for device in lab.devices():
        with scanned(device) as client:
            models += check_discovery(device, client)
            points += check_points(device, client, lab.points(device["name"]))
    return models, points


def over_tcp(program):
    """Each role in each generation on each kind of connection, with the bases in turn."""
    for n, (role, generation, phases) in enumerate(itertools.product(ROLES, GENERATIONS, PHASES)):
        base = BASES[n % 3]
        options = ["--generation", generation, "--phases", phases, "--base", base, "--unit", 1 + n * 3]
        with Lab(program, role, "--port", 0, "--seed", n, *options) as lab:
            [device] = lab.devices()
            require(device["base"] == base and device["role"] == role, device)
            yield look(lab)


def over_rtu(program, folder):
    """Each role in each generation on a pseudo-terminal of its own; then a whole home on one."""
    for n, (role, generation) in enumerate(itertools.product(ROLES, GENERATIONS)):
        phases, base = PHASES[(n + n // 4) % 4], BASES[n % 3]
        options = ["--generation", generation, "--phases", phases, "--base", base, "--unit", 247 - n]
        with Lab(program, role, "--pty", folder / f"line{n}", *options) as lab:
            yield look(lab)
    with Lab(program, "home", "--pty", folder / "home", "--unit", 11, "--generation", "ieee1547") as lab:
        require([device["unit"] for device in lab.devices()] == [11, 12, 13], "units count up on one line")
        yield look(lab)


def through_gateways(program, folder):
    """Several devices behind one socket and on one line, and several models of one kind in one map."""
    meters = {"role": "meter", "measures": ["grid", "pv"]}
    chain = {"role": "meter", "models": [203, 213, 203, 203, 213], "measures": ["grid", "pv", "battery", "load"]}
    homes = [
        {"name": "two", **meters, "unit": 2},
        {"name": "all", "role": "hybrid", "generation": "all", "unit": 3, "base": 0},
        {"name": "five", **chain, "unit": 200, "base": 50_000},
        {
            "name": "three", "role": "meter", "measures": ["load", "battery", "grid"], "phases": "delta",
            "generation": "float", "unit": 126,
        },
    ]
    with on_one_socket(program, folder, homes) as lab:
        devices = {device["name"]: device for device in lab.devices()}
        require(len({device["at"] for device in devices.values()}) == 1, "one socket for all")
        require(devices["two"]["models"] == [1, 203, 203], devices["two"])
        require(devices["five"]["models"] == [1, *chain["models"]], devices["five"])
        require(devices["three"]["models"] == [1, 214, 214, 214], devices["three"])
        yield look(lab)
    line = str(folder / "gateway")
    file = write_home(folder / "line.toml", {}, [device | {"pty": line} for device in homes])
    with Lab(program, "home", file) as lab:
        require(len({device["at"] for device in lab.devices()}) == 1, "one line for all")
        yield look(lab)


def on_one_socket(program, folder, devices):
    """A lab on a port that was free a moment ago; whoever took it since makes it look for another."""

    class OnOneSocket(Lab):
        def __enter__(self):
            for attempt in range(5):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", 0))
                    listen = "127.0.0.1:%d" % probe.getsockname()[1]
                write_home(folder / "socket.toml", {}, [device | {"listen": listen} for device in devices])
                try:
                    return super().__enter__()
                except LabFailed as failure:
                    if attempt == 4 or "cannot listen" not in str(failure):
                        raise

    return OnOneSocket(program, "home", folder / "socket.toml")


def check(program):
    with tempfile.TemporaryDirectory(prefix="gridtally-discovery-") as folder:
        folder = Path(folder)
        found = [*over_tcp(program), *over_rtu(program, folder), *through_gateways(program, folder)]
    models, points = (sum(numbers) for numbers in zip(*found))
    require(models > 300 and points > 10_000, "too little was found:", models, "models,", points, "points")
    print(f"{len(found)} labs, {models} models found, {points} points as the control API tells them")
    return points
