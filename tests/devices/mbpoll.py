"""mbpoll reads the marker and a block of registers, and its writes act, over TCP and over RTU."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from client import require
from lab import DEADLINE_SECONDS, Lab, LabFailed, address, write_home
from writes import NAMEPLATE, NOON, TABLES

MARKER = [0x5375, 0x6E53]
BASES = [0, 40_000, 50_000]
BLOCK = 20


def mbpoll(device, register, *arguments, count=None):
    """One poll, as a person would type it; its exit status and what it printed."""
    kind, *place = address(device)
    way = ["-m", "tcp", "-p", place[1]] if kind == "tcp" else ["-m", "rtu", "-b", 9600, "-P", "none"]
    how_many = [] if count is None else ["-c", count]
    command = ["mbpoll", *way, "-a", device["unit"], "-0", "-r", register, "-t", "4:hex", *how_many, "-o", 5, "-1"]
    done = subprocess.run(
        [str(word) for word in [*command, place[0], *arguments]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=DEADLINE_SECONDS,
    )
    return done.returncode, done.stdout


def read(device, register, count):
    status, text = mbpoll(device, register, count=count)
    require(status == 0, "mbpoll did not read", count, "registers at", register, "of", device["name"], text)
    lines = re.findall(r"^\[(\d+)\]:\s+0x([0-9A-F]{4})\s*$", text, re.MULTILINE)
    require([int(at) for at, _ in lines] == list(range(register, register + count)), "other registers:", text)
    return [int(word, 16) for _, word in lines]


def registers(lab, device):
    """Registers by address, as the control API tells them; model numbers, lengths and pads are not among them."""
    points = lab.points(device["name"])
    return {point["address"] + n: word for point in points for n, word in enumerate(point["registers"])}


def point(lab, device, model, name):
    return next(p for p in lab.points(device["name"]) if (p["model"], p["point"]) == (model, name))


def check_reads(lab, device):
    require(read(device, device["base"], 2) == MARKER, device["name"], "has no marker")
    told = registers(lab, device)
    require(read(device, device["base"] + 2, 2) == [1, 66], "model 1 comes first, 66 registers long")
    agreed = len(MARKER) + 2
    last = max(told)
    for start in (device["base"] + 4, last - BLOCK + 1):
        for n, word in enumerate(read(device, start, BLOCK)):
            if start + n in told:
                require(word == told[start + n], device["name"], start + n, "is", word, "not", told[start + n])
                agreed += 1
    status, text = mbpoll(device, last + 100, count=1)
    require(status != 0 and "Illegal data address" in text, "a register behind the map was read:", text)
    return agreed


def check_writes(lab, device):
    """The five registers of model 123's limit in one request, then its switch alone."""
    require(lab.flow()["pv"] == NAMEPLATE * 1000, "the sun is beyond the nameplate", lab.flow())
    limit, switch = (point(lab, device, 123, name)["address"] for name in ("WMaxLimPct", "WMaxLim_Ena"))
    words = [4_000, 0, 600, 0, 1]
    status, text = mbpoll(device, limit, *words)
    require(status == 0 and "Written 5 references" in text, "mbpoll did not write:", text)
    require(read(device, limit, 5) == words, "the limit does not read back")
    lab.advance(1)
    require(lab.flow()["pv"] == NAMEPLATE * 400, "the limit does not act", lab.flow())
    status, text = mbpoll(device, switch, 0)
    require(status == 0 and "Written 1 references" in text, "mbpoll did not write:", text)
    lab.advance(1)
    require(lab.flow()["pv"] == NAMEPLATE * 1000, "the limit goes on", lab.flow())
    status, text = mbpoll(device, point(lab, device, 103, "W")["address"], 1)
    require(status != 0 and "Illegal data address" in text, "a measured value was written:", text)
    return len(words) + 4


def check(program):
    if shutil.which("mbpoll") is None:
        raise LabFailed("mbpoll is not installed: apt-get install mbpoll, or ./test, which does that")
    agreed = 0
    with tempfile.TemporaryDirectory(prefix="gridtally-mbpoll-") as folder:
        folder = Path(folder)
        for place in ({"listen": "127.0.0.1:0"}, {"pty": str(folder / "line")}):
            specs = [
                {"name": f"{role}-{base}", "role": role, "base": base, "unit": 1 + 3 * n + m, **place}
                for n, role in enumerate(["inverter", "battery", "hybrid", "meter"]) for m, base in enumerate(BASES)
            ]
            # One inverter has the sun for itself when its limit is tried.
            alone = [{"name": "alone", "role": "inverter", "unit": 33, **place}]
            with Lab(program, "home", write_home(folder / "home.toml", TABLES, specs), start=NOON) as lab:
                agreed += sum(check_reads(lab, device) for device in lab.devices())
            with Lab(program, "home", write_home(folder / "home.toml", TABLES, alone), start=NOON) as lab:
                [device] = lab.devices()
                agreed += check_reads(lab, device) + check_writes(lab, device)
    return agreed
