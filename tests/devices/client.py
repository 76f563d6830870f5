"""Devices as pysunspec2 finds and reads them, beside what the control API says of the same registers."""

import struct
from contextlib import contextmanager
from decimal import Decimal

from lab import address
from sunspec2.modbus.client import SunSpecModbusClientDeviceRTU, SunSpecModbusClientDeviceTCP

TIMEOUT_SECONDS = 5


class Differs(AssertionError):
    """Two that should agree do not."""


def require(holds, *complaint):
    if not holds:
        raise Differs(" ".join(map(str, complaint)))


@contextmanager
def scanned(device):
    """The device after a scan, with its connection or line open."""
    kind, *place = address(device)
    if kind == "tcp":
        client = SunSpecModbusClientDeviceTCP(device["unit"], place[0], place[1], timeout=TIMEOUT_SECONDS)
    else:
        client = SunSpecModbusClientDeviceRTU(device["unit"], place[0], baudrate=115200, timeout=TIMEOUT_SECONDS)
    try:
        client.connect()
        client.scan(connect=False)
        yield client
    finally:
        client.disconnect()
        client.close()


def check_discovery(device, client):
    """The scan found the chain that the device has, where it has it. Returns how many models that are."""
    what = f"{device['name']} at {device['at']}, unit {device['unit']}"
    require(client.base_addr == device["base"], what, "has its map at", device["base"], "not", client.base_addr)
    found = [model.model_id for model in client.model_list]
    require(found == device["models"], what, "has", device["models"], "and shows", found)
    for model in client.model_list:
        require(not model.error_info, what, "model", model.model_id, model.error_info)
        header = (model.ID.value, model.L.value)
        require(header == (model.model_id, model.model_len), what, "model", model.model_id, "reads as", header)
    return len(found)


def walk(group, prefix=""):
    """All points of a model with their paths: `Prt[0].DCW`."""
    for name, point in group.points.items():
        yield prefix + name, point
    for name, inner in group.groups.items():
        if isinstance(inner, list):
            for n, one in enumerate(inner):
                yield from walk(one, f"{prefix}{name}[{n}].")
        else:
            yield from walk(inner, f"{prefix}{name}.")


def instances(client):
    """Each model of the chain with its number among those of its kind."""
    seen = {}
    for model in client.model_list:
        seen[model.model_id] = seen.get(model.model_id, -1) + 1
        yield model, seen[model.model_id]


def check_points(device, client, told):
    """Every point, raw and scaled, is what the control API tells. Returns how many points that are."""
    told = {point["address"]: point for point in told}
    compared = 0
    for model, instance in instances(client):
        for path, point in walk(model):
            # Model number and length are the discovery's; a pad says nothing.
            if path in ("ID", "L") or point.pdef["type"] == "pad":
                continue
            here = model.model_addr + point.offset
            other = told.pop(here, None)
            what = f"{device['name']} model {model.model_id} ({instance}) {path} at {here}:"
            require(other, what, "the control API tells of no such point")
            name = (other["model"], other["instance"], other["point"])
            require(name == (model.model_id, instance, path), what, "is called", name)
            check_value(what, point, other)
            compared += 1
    require(not told, device["name"], "has points that pysunspec2 does not know:", list(told.values())[:5])
    return compared


def check_value(what, point, told):
    kind, words = point.pdef["type"], told["registers"]
    require(point.len == len(words), what, point.len, "registers, not", len(words))
    data = struct.pack(f">{len(words)}H", *words)
    raw, scaled, expected = point.value, point.cvalue, told["value"]
    if kind.startswith("acc") and not any(data):
        # A counter at 0 counts nothing yet: the library calls it not implemented (as the standard does), the API 0.
        expected = None
    if raw is None or expected is None:
        require(raw is None and scaled is None and expected is None, what, raw, "and", expected)
        return
    require(point.info.to_data(raw, len(data)) == data, what, "is", raw, "raw, not", words)
    if kind == "string":
        same = scaled == expected
    elif kind == "float32":
        same = struct.pack(">f", scaled) == struct.pack(">f", float(expected))
    else:
        same = Decimal(repr(scaled)) == Decimal(expected)
    require(same, what, "is", scaled, "not", expected)
