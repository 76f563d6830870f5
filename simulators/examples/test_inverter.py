"""Tests of a Modbus client in Python against a simulated inverter.

`pytest test_inverter.py`, or plain `python3 test_inverter.py`; nothing but Python is needed. The
simulator is `gridtally` on the PATH, or what the environment variable GRIDTALLY names.
"""

# [README
import json
import os
import re
import socket
import struct
import subprocess
import urllib.request
from contextlib import contextmanager


class Lab:
    """A simulator on free ports, in stepped time, and its control API."""

    def __init__(self, process):
        # The one line that has to be read: everything else is told by the control API.
        for line in process.stdout:
            if said := re.search(r"Control API on (http://\S+/)", line):
                self.url = said[1]
                return
        raise RuntimeError(f"the simulator ended early, with {process.wait()}")

    def ask(self, path="", method="GET", **body):
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(self.url + path, data, method=method)
        with urllib.request.urlopen(request, timeout=10) as reply:
            return json.load(reply)

    def address(self, device):
        host, port = re.fullmatch(r"tcp://(.+):(\d+)", self.ask(f"devices/{device}")["at"]).groups()
        return host, int(port)

    def point(self, device, model, name):
        points = self.ask(f"devices/{device}/points")
        return next(p for p in points if (p["model"], p["point"]) == (model, name))


@contextmanager
def simulate(*arguments):
    command = [os.environ.get("GRIDTALLY", "gridtally"), "simulate", *arguments, "--port", "0"]
    command += ["--time", "stepped", "--start", "2026-06-21T12:00:00Z", "--control", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Lab(process)
        finally:
            process.terminate()


def read(client, address, count, transaction=1, unit=1):
    """The client under test; yours goes here."""
    client.sendall(struct.pack(">HHHBBHH", transaction, 0, 6, unit, 3, address, count))
    reply = client.recv(7 + 2 + 2 * count, socket.MSG_WAITALL)
    if reply[:2] != struct.pack(">H", transaction):
        raise ValueError("the reply to another request")
    return struct.unpack(f">{count}H", reply[9:])


def test_a_register_says_what_the_physics_say():
    with simulate("inverter", "--seed", "7") as lab:
        power = lab.point("inverter", 103, "W")
        with socket.create_connection(lab.address("inverter"), timeout=10) as client:
            assert read(client, 40000, 2) == (0x5375, 0x6E53)  # "SunS"
            assert read(client, power["address"], 1)[0] == lab.ask()["flow_milliwatts"]["pv"] // 1000


def test_time_passes_only_when_it_is_told_to():
    with simulate("inverter") as lab:
        assert lab.ask()["now"] == "2026-06-21T12:00:00Z"
        before = lab.point("inverter", 103, "WH")["value"]
        assert lab.ask("time", "POST", advance="1h") == {"now": "2026-06-21T13:00:00Z"}
        assert float(lab.point("inverter", 103, "WH")["value"]) > float(before)


def test_a_reply_to_another_request_is_refused():
    with simulate("inverter", "--fault", "wrong-transaction-id") as lab:
        with socket.create_connection(lab.address("inverter"), timeout=10) as client:
            try:
                read(client, 40000, 2)
                raise AssertionError("it was taken for an answer")
            except ValueError:
                pass


def test_a_late_reply_is_not_waited_for_and_goes_when_the_fault_does():
    with simulate("inverter") as lab:
        lab.ask("devices/inverter/faults/late-reply", "PUT", millis=60_000)
        with socket.create_connection(lab.address("inverter"), timeout=0.1) as client:
            try:
                read(client, 40000, 2)
                raise AssertionError("a reply within a tenth of a second")
            except TimeoutError:
                pass
        lab.ask("devices/inverter/faults/late-reply", "DELETE")
        with socket.create_connection(lab.address("inverter"), timeout=10) as client:
            assert read(client, 40000, 2) == (0x5375, 0x6E53)
# README]


if __name__ == "__main__":
    for name, test in list(globals().items()):
        if name.startswith("test_"):
            test()
            print("passed:", name)
