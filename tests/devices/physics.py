"""What registers have to say, computed anew from the true flows and energies of a home.

Powers come in milliwatts, energies in milliwatt-seconds. Measured values are cut towards zero, first to thousandths
of their unit, then to their scale factor; counters are floors, modulo their width; a float is the nearest single.
Lines share a power evenly: the n-th of so many has floor((whole + n) / lines).
"""

import struct
from datetime import datetime, timezone

WATT_HOUR = 3_600_000
CELLS, STRING = 51_200, 380_000  # millivolts
LINES = {"single": 1, "split": 2, "three": 3, "delta": 3}
LIMITS = {
    "int16": (-32767, 32767), "uint16": (0, 65534), "enum16": (0, 65534), "bitfield16": (0, 65534), "count": (0, 65534),
    "int32": (-(2**31) + 1, 2**31 - 1), "uint32": (0, 2**32 - 2), "bitfield32": (0, 2**32 - 2),
    "uint64": (0, 2**64 - 2),
}
WIDTHS = {"acc32": 32, "acc64": 63}


def cut(numerator, denominator):
    """The quotient, towards zero."""
    quotient = abs(numerator) // abs(denominator)
    return quotient if (numerator < 0) == (denominator < 0) else -quotient


def single(number):
    return struct.unpack(">f", struct.pack(">f", number))[0]


class Measured:
    """A quantity in thousandths of its unit."""

    def __init__(self, thousandths):
        self.thousandths = thousandths

    def raw(self, kind, scale, bits):
        if kind == "float32":
            return single(self.thousandths / 1000)
        tens = scale + 3
        number = cut(self.thousandths, 10**tens) if tens >= 0 else self.thousandths * 10**-tens
        least, greatest = LIMITS[kind]
        return min(max(number, least), greatest)


class Counted:
    """An energy that a counter shows."""

    def __init__(self, milliwatt_seconds):
        self.energy = milliwatt_seconds

    def raw(self, kind, scale, bits):
        if kind == "float32":
            return single(self.energy // 3600 / 1000)
        count = self.energy * 10 ** max(-scale, 0) // (WATT_HOUR * 10 ** max(scale, 0))
        if bits is not None:
            count %= 2**bits
        if kind in WIDTHS:
            count %= 2 ** WIDTHS[kind]
        return None if count == 0 and kind in WIDTHS else count


class Exactly:
    """A number or a text that stands there as it is."""

    def __init__(self, value):
        self.value = value

    def raw(self, kind, scale, bits):
        return self.value


def part(whole, lines, n):
    return (whole + n) // lines


class Truth:
    """A home at an instant, as the control API tells it, and how it was built."""

    def __init__(self, overview, tables):
        self.flow, self.energy = overview["flow_milliwatts"], overview["energy_milliwatt_seconds"]
        self.millivolts, self.millihertz = overview["grid"]["millivolts"], overview["grid"]["millihertz"]
        self.soc, self.stored = overview["soc_basis_points"], overview["stored_milliwatt_seconds"]
        self.now = datetime.fromisoformat(overview["now"].replace("Z", "+00:00"))
        self.pv, self.battery = tables["pv"], tables["battery"]
        flow = self.flow
        assert flow["grid"] == flow["load"] - flow["pv"] - flow["battery"], flow

    def current(self, power):
        return cut(power * 1000, self.millivolts)

    def inverter(self, role):
        """AC power, energy given, energy taken, and the DC inputs: power, voltage, energy given and taken."""
        flow, energy = self.flow, self.energy
        pv = (flow["pv_dc"], STRING if flow["pv_dc"] else 0, energy["pv_dc"], 0)
        cells = (flow["battery_dc"], CELLS, energy["battery_dc_discharge"], energy["battery_dc_charge"])
        return {
            "inverter": (flow["pv"], energy["pv"], 0, [pv]),
            "battery": (flow["battery"], energy["battery_discharge"], energy["battery_charge"], [cells]),
            "hybrid": (
                flow["pv"] + flow["battery"], energy["inverter_injected"], energy["inverter_absorbed"], [pv, cells],
            ),
        }[role]

    def metered(self, branch):
        """Power drawn, energy drawn, energy given."""
        flow, energy = self.flow, self.energy
        return {
            "grid": (flow["grid"], energy["grid_import"], energy["grid_export"]),
            "pv": (-flow["pv"], 0, energy["pv"]),
            "battery": (-flow["battery"], energy["battery_charge"], energy["battery_discharge"]),
            "load": (flow["load"], energy["load"], 0),
        }[branch]

    def charge_status(self):
        power = self.flow["battery"]
        if power:
            return 3 if power > 0 else 4
        if self.soc >= self.battery["soc_max_permille"] * 10:
            return 5
        return 2 if self.soc <= self.battery["soc_min_permille"] * 10 else 6


def expected(truth, device, model, nth):
    """Paths and what they have to say, for the nth meter or for an inverter; empty where nothing is measured."""
    if device["role"] == "meter":
        return meter(truth, device, nth) if 201 <= model <= 214 else {}
    watts = nameplate(truth, device["role"])
    power, injected, absorbed, ports = truth.inverter(device["role"])
    match model:
        case _ if 101 <= model <= 113:
            return legacy(truth, device, power, injected, ports)
        case 120:
            battery = truth.battery
            storage = {
                "WHRtg": Exactly(battery["capacity_watt_hours"]), "MaxChaRte": Exactly(battery["power_watts"]),
                "MaxDisChaRte": Exactly(battery["power_watts"]),
            }
            return {"WRtg": Exactly(watts)} | (storage if device["role"] != "inverter" else {})
        case 121:
            return {"WMax": Exactly(watts)}
        case 122:
            since = datetime(2000, 1, 1, tzinfo=timezone.utc)
            return {"ActWh": Counted(injected), "Tms": Exactly(int((truth.now - since).total_seconds()))}
        case 124:
            return {
                "WChaMax": Exactly(truth.battery["power_watts"]), "ChaState": Measured(truth.soc * 10),
                "InBatV": Measured(CELLS), "ChaSt": Exactly(truth.charge_status()),
            }
        case 160:
            return inputs(device, power, ports)
        case 701:
            return der(truth, device, power, injected, absorbed)
        case 702:
            return {"WMaxRtg": Exactly(watts), "WMax": Exactly(watts)}
        case 713:
            return {
                "SoC": Measured(truth.soc * 10), "WHAvail": Measured(truth.stored // 3600),
                "WHRtg": Exactly(truth.battery["capacity_watt_hours"]),
            }
        case 714:
            return der_ports(ports)
        case 715:
            return {"DERHb": Exactly(int(truth.now.timestamp()) % 86_400)}
        case 802:
            dc = truth.flow["battery_dc"]
            return {
                "SoC": Measured(truth.soc * 10), "W": Measured(dc), "A": Measured(cut(dc * 1000, CELLS)),
                "V": Measured(CELLS), "ChaSt": Exactly(truth.charge_status()),
                "WHRtg": Exactly(truth.battery["capacity_watt_hours"]),
            }
    return {}


# What these models show beside: events, states of alarm, texts, and the temperature, of which the control API tells
# nothing. Every other point that is implemented has to be among those that are computed here.
BESIDE = {
    101: {"Evt1", "Evt2", "TmpCab"}, 111: {"Evt1", "Evt2", "TmpCab"}, 201: {"Evt"}, 211: {"Evt"},
    160: {"Evt", "module[].DCEvt"},
    701: {"Alrm", "DERMode", "TmpAmb", "TmpCab"},
    713: {"SoH", "Sta"},
    714: {"PrtAlrms", "Prt[].DCAlrm"},
}


def beside(model):
    family = {**dict.fromkeys((102, 103), 101), **dict.fromkeys((112, 113), 111)}
    family |= {**dict.fromkeys((202, 203, 204), 201), **dict.fromkeys((212, 213, 214), 211)}
    return BESIDE.get(family.get(model, model))


def nameplate(truth, role):
    pv, battery = truth.pv["nameplate_watts"], truth.battery["power_watts"]
    return {"inverter": pv, "battery": battery, "hybrid": max(pv, battery)}[role]


def state(role, power, off_or_on):
    """An inverter that nobody holds back: what it says when it gives nothing, and when it works."""
    idle, sleeping, running = off_or_on
    if power:
        return Exactly(running)
    return Exactly(sleeping if role == "inverter" else idle)


def between_lines(phases, millivolts):
    return 2 * millivolts if phases == "split" else millivolts * 1732 // 1000


def pairs(phases, names):
    return names[: {"single": 0, "split": 1}.get(phases, 3)]


def legacy(truth, device, power, injected, ports):
    """Models 101 to 103 and 111 to 113."""
    lines, phases = LINES[device["phases"]], device["phases"]
    dc = sum(port[0] for port in ports)
    points = {
        "A": Measured(abs(truth.current(power))), "W": Measured(power), "VA": Measured(abs(power)), "VAr": Measured(0),
        "PF": Measured(100_000 if power else 0), "Hz": Measured(truth.millihertz), "WH": Counted(injected),
        "DCW": Measured(dc), "St": state(device["role"], power, (8, 2, 4)),
    }
    for n, line in enumerate("ABC"[:lines]):
        points[f"Aph{line}"] = Measured(abs(truth.current(part(power, lines, n))))
        points[f"PhVph{line}"] = Measured(truth.millivolts)
    for name in pairs(phases, ["PPVphAB", "PPVphBC", "PPVphCA"]):
        points[name] = Measured(between_lines(phases, truth.millivolts))
    if len(ports) == 1:
        _, volts, _, _ = ports[0]
        points["DCV"] = Measured(volts)
        points["DCA"] = Measured(abs(dc) * 1000 // volts if volts else 0)
    return points


def inputs(device, power, ports):
    """Model 160, which is unsigned: of a battery it shows the discharge."""
    points = {"N": Exactly(len(ports))}
    names = {"inverter": ["String"], "battery": ["Battery"], "hybrid": ["String", "Battery"]}[device["role"]]
    for n, ((dc, volts, given, _), name) in enumerate(zip(ports, names)):
        dc = max(dc, 0)
        values = {
            "ID": Exactly(n + 1), "IDStr": Exactly(name), "DCW": Measured(dc), "DCV": Measured(volts),
            "DCA": Measured(dc * 1000 // volts if volts else 0), "DCWH": Counted(given),
            "DCSt": state(device["role"], power, (8, 2, 4)),
        }
        points |= {f"module[{n}].{point}": value for point, value in values.items()}
    return points


def meter(truth, device, nth):
    """Models 201 to 204 and 211 to 214: import is positive."""
    phases, lines = device["phases"], LINES[device["phases"]]
    measures = device.get("measures") or ["grid"]
    power, imported, exported = truth.metered(measures[min(nth, len(measures) - 1)])
    factor = lambda watts: Measured(100_000 if watts else 0)
    points = {
        "A": Measured(truth.current(power)), "W": Measured(power), "VA": Measured(abs(power)), "VAR": Measured(0),
        "PF": factor(power), "Hz": Measured(truth.millihertz),
        "TotWhImp": Counted(imported), "TotWhExp": Counted(exported),
    }
    for n, line in enumerate("ABC"[:lines]):
        own = part(power, lines, n)
        values = {
            "A": Measured(truth.current(own)), "W": Measured(own), "VA": Measured(abs(own)), "VAR": Measured(0),
            "PF": factor(own),
        }
        points |= {f"{name}ph{line}": value for name, value in values.items()}
        points[f"TotWhImpPh{line}"] = Counted(part(imported, lines, n))
        points[f"TotWhExpPh{line}"] = Counted(part(exported, lines, n))
        if phases != "delta":
            points[f"PhVph{line}"] = Measured(truth.millivolts)
    if phases != "delta":
        points["PhV"] = Measured(truth.millivolts)
    between = Measured(between_lines(phases, truth.millivolts))
    if phases != "single":
        points["PPV"] = between
    # 204 calls them PPVph.., its sisters PhVph..: whichever there are.
    for pair in pairs(phases, ["AB", "BC", "CA"]):
        points[f"PhVph{pair}|PPVph{pair}"] = between
    return points


def der(truth, device, power, injected, absorbed):
    """Model 701: what goes into the grid is positive."""
    phases, lines = device["phases"], LINES[device["phases"]]
    factor = lambda watts: Measured(1000 if watts else 0)
    points = {
        "ACType": Exactly({"single": 0, "split": 1}.get(phases, 2)), "St": Exactly(1), "ConnSt": Exactly(1),
        "InvSt": state(device["role"], power, (7, 1, 3)), "W": Measured(power), "VA": Measured(abs(power)),
        "Var": Measured(0), "PF": factor(power), "A": Measured(truth.current(power)), "LNV": Measured(truth.millivolts),
        "Hz": Measured(truth.millihertz), "TotWhInj": Counted(injected), "TotWhAbs": Counted(absorbed),
        "ThrotPct": Exactly(0), "ThrotSrc": Exactly(0),
    }
    for n in range(lines):
        own, line = part(power, lines, n), f"L{n + 1}"
        values = {
            "W": Measured(own), "VA": Measured(abs(own)), "Var": Measured(0), "PF": factor(own),
            "A": Measured(truth.current(own)), "V": Measured(truth.millivolts),
            "TotWhInj": Counted(part(injected, lines, n)), "TotWhAbs": Counted(part(absorbed, lines, n)),
        }
        points |= {name + line: value for name, value in values.items()}
    for name in pairs(phases, ["VL1L2", "VL2L3", "VL3L1"]):
        points[name] = points["LLV"] = Measured(between_lines(phases, truth.millivolts))
    return points


def der_ports(ports):
    """Model 714: what goes into the inverter is positive."""
    amperes = [cut(dc * 1000, volts) if volts else 0 for dc, volts, _, _ in ports]
    points = {
        "NPrt": Exactly(len(ports)), "DCW": Measured(sum(port[0] for port in ports)), "DCA": Measured(sum(amperes)),
        "DCWhInj": Counted(sum(port[2] for port in ports)), "DCWhAbs": Counted(sum(port[3] for port in ports)),
    }
    for n, ((dc, volts, given, taken), current) in enumerate(zip(ports, amperes)):
        stores = volts == CELLS
        values = {
            "PrtTyp": Exactly(1 if stores else 0), "ID": Exactly(n + 1),
            "IDStr": Exactly("Battery" if stores else "String"), "DCA": Measured(current),
            "DCV": Measured(volts), "DCW": Measured(dc), "DCWhInj": Counted(given), "DCWhAbs": Counted(taken),
            "DCSta": Exactly(1),
        }
        points |= {f"Prt[{n}].{point}": value for point, value in values.items()}
    return points
