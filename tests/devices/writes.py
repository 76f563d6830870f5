"""What pysunspec2 writes into models 123, 124 and 704 reads back at once, acts to the milliwatt, counts down and
reverts at its second; and what may not be written is refused with the exception of the standard."""

import tempfile
from contextlib import contextmanager
from pathlib import Path

import physics
from client import check_points, require, scanned
from lab import Lab, write_home
from points import check_truth
from sunspec2.modbus.modbus import ModbusClientException

NAMEPLATE, BATTERY = 2_000, 900  # watts
TABLES = {
    # More roof than inverter: the sun is never what holds it back.
    "": {"seed": 5},
    "pv": {"peak_watts": 9_000, "nameplate_watts": NAMEPLATE},
    "battery": {
        "capacity_watt_hours": 12_000, "power_watts": BATTERY, "reserve_permille": 200, "initial_soc_permille": 600,
        "soc_min_permille": 50, "soc_max_permille": 950,
    },
    "load": {"scale_permille": 1_000},
}
NOON, NIGHT = "2026-06-21T12:00:00Z", "2026-06-21T23:00:00Z"
ILLEGAL_ADDRESS, ILLEGAL_VALUE = 2, 3


class Session:
    """One device, scanned, in a lab whose time stands still unless it is told to go on."""

    def __init__(self, lab, spec, client):
        self.lab, self.spec, self.client, self.agreed = lab, spec, client, 0

    def equal(self, what, found, expected):
        require(found == expected, f"{self.spec['name']}: {what} is", found, "not", expected)
        self.agreed += 1

    def model(self, number):
        return self.client.models[number][0]

    def reads(self, number, **expected):
        """What a client reads now, scaled."""
        model = self.model(number)
        model.read()
        for name, value in expected.items():
            self.equal(f"{number}.{name}", model.points[name].cvalue, value)

    def write(self, number, **values):
        """Writes the points in the order of the model, neighbours in one request, and reads them back at once."""
        model = self.model(number)
        for name, value in values.items():
            model.points[name].cvalue = value
        model.write()
        # A new scan: nothing that the library remembers may pass for what the device says.
        self.client.scan(connect=False)
        self.agreed += check_points(self.spec, self.client, self.lab.points(self.spec["name"]))
        self.reads(number, **values)

    def flows(self, **expected):
        flow = self.lab.flow()
        for name, value in expected.items():
            self.equal(f"the power of {name} in {flow}", flow[name], value)

    def refused(self, number, name, value, exception):
        """A write meets this exception and changes nothing."""
        model = self.model(number)
        model.read()
        point = model.points[name]
        before = point.value
        point.cvalue = value
        try:
            point.write()
        except ModbusClientException as refusal:
            self.equal(f"the refusal of {number}.{name}", str(refusal).split()[-1], str(exception))
        else:
            require(False, f"{self.spec['name']}: {number}.{name} took {value}")
        point.read()
        self.equal(f"{number}.{name} after the refusal", point.value, before)


@contextmanager
def session(program, folder, role, place, start=NOON):
    spec = {"name": f"{role}-{start[11:13]}", "role": role, "generation": "all", "phases": "three", **place}
    file = write_home(folder / f"{spec['name']}.toml", TABLES, [spec])
    with Lab(program, "home", file, start=start) as lab, scanned(lab.device(spec["name"])) as client:
        yield Session(lab, spec, client)


def limits_123(s):
    """Half the nameplate for two minutes, from the moment it is written; then the sun again."""
    s.flows(pv=NAMEPLATE * 1000)
    s.write(123, WMaxLimPct=50.0, WMaxLimPct_WinTms=0, WMaxLimPct_RvrtTms=120, WMaxLimPct_RmpTms=0, WMaxLim_Ena=1)
    s.lab.advance(1)
    s.flows(pv=NAMEPLATE * 500)
    s.reads(103, W=NAMEPLATE // 2, St=5)
    s.reads(113, W=NAMEPLATE / 2)
    s.lab.advance(118)
    s.flows(pv=NAMEPLATE * 500)
    s.reads(123, WMaxLimPct=50.0, WMaxLim_Ena=1, WMaxLimPct_RvrtTms=120)
    s.lab.advance(1)
    s.reads(123, WMaxLimPct=100.0, WMaxLim_Ena=0)
    s.lab.advance(1)
    s.flows(pv=NAMEPLATE * 1000)
    s.reads(103, W=NAMEPLATE)
    # Another write starts the timer anew.
    s.write(123, WMaxLimPct=30.0, WMaxLimPct_RvrtTms=60, WMaxLim_Ena=1)
    s.lab.advance(40)
    s.write(123, WMaxLimPct=20.0)
    s.lab.advance(59)
    s.flows(pv=NAMEPLATE * 200)
    s.lab.advance(2)
    s.flows(pv=NAMEPLATE * 1000)
    # Off the grid, and on again by its own timer.
    s.write(123, Conn_RvrtTms=30, Conn=0)
    s.lab.advance(29)
    s.flows(pv=0)
    s.reads(103, W=0, St=1)
    s.lab.advance(2)
    s.reads(123, Conn=1)
    s.flows(pv=NAMEPLATE * 1000)


def limits_704(s):
    s.write(704, WMaxLimPctEna=1, WMaxLimPct=40.0, WMaxLimPctRvrtTms=100)
    s.reads(704, WMaxLimPctRvrtRem=100)
    for gone in (1, 30, 99):
        s.lab.advance(gone - (100 - s.model(704).WMaxLimPctRvrtRem.value))
        s.reads(704, WMaxLimPctRvrtRem=100 - gone, WMaxLimPctEna=1)
        s.flows(pv=NAMEPLATE * 400)
    s.lab.advance(1)
    s.reads(704, WMaxLimPctRvrtRem=0, WMaxLimPctEna=0, WMaxLimPct=100.0)
    s.lab.advance(1)
    s.flows(pv=NAMEPLATE * 1000)
    # A reversion to another limit, for longer than 16 bits of seconds.
    s.write(
        704, WMaxLimPctEna=1, WMaxLimPct=60.0, WMaxLimPctRvrt=25.0, WMaxLimPctEnaRvrt=1, WMaxLimPctRvrtTms=70_000,
    )
    s.lab.advance(1)
    s.reads(704, WMaxLimPctRvrtRem=69_999)
    s.flows(pv=NAMEPLATE * 600)
    s.write(704, WMaxLimPctRvrtTms=10)
    s.lab.advance(11)
    s.reads(704, WMaxLimPctEna=1, WMaxLimPct=25.0, WMaxLimPctRvrtRem=0)
    s.flows(pv=NAMEPLATE * 250)
    s.write(704, WMaxLimPctEna=0)
    # A set-point holds an inverter as a limit does.
    s.write(704, WSetEna=1, WSetMod=1, WSet=777)
    s.lab.advance(1)
    s.flows(pv=777_000)
    s.write(704, WSetEna=0)
    s.lab.advance(1)
    s.flows(pv=NAMEPLATE * 1000)


def rates_124(s):
    """Discharge and charge at a part of `WChaMax`, in spite of sun and household."""
    free = s.lab.flow()["battery"]
    s.write(124, StorCtl_Mod=3, OutWRte=50.0, InWRte=-50.0, InOutWRte_RvrtTms=90)
    s.lab.advance(1)
    s.flows(battery=BATTERY * 500)
    s.reads(103, W=BATTERY // 2)
    s.reads(124, ChaSt=3)
    measured(s)
    s.lab.advance(88)
    s.flows(battery=BATTERY * 500)
    s.lab.advance(1)
    s.reads(124, StorCtl_Mod=0, OutWRte=100.0, InWRte=100.0)
    s.lab.advance(1)
    require(free < 0 and s.lab.flow()["battery"] < 0, "at noon a battery that is free charges", free, s.lab.flow())
    s.write(124, StorCtl_Mod=3, OutWRte=-40.0, InWRte=40.0, InOutWRte_RvrtTms=0)
    s.lab.advance(1)
    s.flows(battery=-BATTERY * 400)
    s.reads(103, W=-BATTERY * 4 // 10)
    s.reads(124, ChaSt=4)
    measured(s)
    # At night the sun charges nothing; the grid does, where it is allowed to.
    s.lab.step_to(NIGHT)
    s.flows(battery=0, pv=0)
    s.write(124, ChaGriSet=1)
    s.lab.advance(1)
    s.flows(battery=-BATTERY * 400, grid=s.lab.flow()["load"] + BATTERY * 400)
    measured(s)
    s.write(124, StorCtl_Mod=0)


def set_points_704(s):
    s.write(704, WSetEna=1, WSetMod=1, WSet=700, WSetRvrtTms=50)
    s.reads(704, WSetRvrtRem=50)
    s.lab.advance(1)
    s.reads(704, WSetRvrtRem=49)
    s.flows(battery=700_000)
    measured(s)
    s.write(704, WSet=-300)
    s.reads(704, WSetRvrtRem=50)
    s.lab.advance(1)
    s.flows(battery=-300_000)
    s.reads(701, W=-300)
    s.write(704, WSetMod=0, WSetPct=25.0)
    s.lab.advance(1)
    s.flows(battery=BATTERY * 250)
    s.write(704, WSetPct=-12.5)
    s.lab.advance(1)
    s.flows(battery=-BATTERY * 125)
    measured(s)
    s.lab.advance(49)
    s.reads(704, WSetEna=0, WSetRvrtRem=0)


def together(s):
    """A hybrid's limit and set-point are of its AC side: the battery takes what is beyond, then the sun is held."""
    s.write(123, WMaxLimPct=50.0, WMaxLimPct_RvrtTms=40, WMaxLim_Ena=1)
    s.lab.advance(1)
    s.flows(pv=NAMEPLATE * 500 + BATTERY * 1000, battery=-BATTERY * 1000)
    s.reads(103, W=NAMEPLATE // 2)
    s.lab.advance(39)
    s.reads(123, WMaxLim_Ena=0)
    s.write(704, WMaxLimPctEna=1, WMaxLimPct=20.0, WMaxLimPctRvrtTms=40)
    s.lab.advance(1)
    s.flows(pv=NAMEPLATE * 200 + BATTERY * 1000, battery=-BATTERY * 1000)
    s.lab.advance(39)
    s.reads(704, WMaxLimPctEna=0)
    s.write(704, WSetEna=1, WSetMod=1, WSet=1_700)
    s.lab.advance(1)
    s.flows(pv=NAMEPLATE * 1000, battery=-300_000)
    s.reads(701, W=1_700)
    s.write(704, WSetMod=0, WSetPct=100.0)
    s.lab.advance(1)
    s.flows(pv=NAMEPLATE * 1000, battery=0)
    s.write(704, WSetEna=0)
    s.write(124, StorCtl_Mod=3, OutWRte=-50.0, InWRte=50.0)
    s.lab.advance(1)
    s.flows(battery=-BATTERY * 500)
    s.write(124, StorCtl_Mod=0)


def measured(s):
    """What the battery's models measure under that control is what the physics says."""
    truth = physics.Truth(s.lab.overview(), TABLES)
    s.client.scan(connect=False)
    s.agreed += check_truth(truth, s.spec, s.client)


def refusals(s):
    s.refused(1, "DA", 9, ILLEGAL_ADDRESS)
    s.refused(103, "W", 5, ILLEGAL_ADDRESS)
    s.refused(103, "WH", 5, ILLEGAL_ADDRESS)
    s.refused(701, "TotWhInj", 5, ILLEGAL_ADDRESS)
    s.refused(704, "WMaxLimPctRvrtRem", 5, ILLEGAL_ADDRESS)
    s.refused(123, "WMaxLimPct", 100.01, ILLEGAL_VALUE)
    s.refused(123, "WMaxLim_Ena", 2, ILLEGAL_VALUE)
    s.refused(704, "WMaxLimPct", 101.0, ILLEGAL_VALUE)


def check(program):
    agreed = 0
    with tempfile.TemporaryDirectory(prefix="gridtally-writes-") as folder:
        folder = Path(folder)
        tcp, rtu = {"listen": "127.0.0.1:0"}, {"pty": str(folder / "line"), "unit": 9}
        for role, place, controls in [
            ("inverter", tcp, [limits_123, limits_704, refusals]),
            ("inverter", rtu, [limits_123, limits_704, refusals]),
            ("battery", tcp, [set_points_704, rates_124, refusals]),
            ("battery", rtu, [set_points_704, rates_124, refusals]),
            ("hybrid", tcp, [together, refusals]),
            ("hybrid", rtu, [together, refusals]),
        ]:
            with session(program, folder, role, place) as device:
                for control in controls:
                    control(device)
                agreed += device.agreed
    return agreed
