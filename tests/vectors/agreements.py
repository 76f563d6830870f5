"""Claims, acceptances, admissions and what changes them: read and written from docs/wire-format.md alone."""

import re

QUANTITIES = {
    "grid_import": 1, "grid_export": 2, "pv_production": 3,
    "battery_discharge": 4, "battery_charge": 5, "state_of_charge": 6,
}
LENGTHS = {minutes * 60 for minutes in range(1, 61) if 60 % minutes == 0}
HOLDERS = {"gateway": 1, "owner": 2}
REASONS = {"ended": 1, "compromised": 2, "vetoed": 3}
VISIBLE = re.compile(r"[!-~]{1,128}")
OF_A_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
MOST = 2**63 - 1


def codecs(tools):
    """The readers and writers by purpose; `tools` is the module with what all messages share."""
    need, row, whole, octets, name_of = tools.need, tools.row, tools.whole, tools.octets, tools.name_of
    shown_instant, unix, layer = tools.shown_instant, tools.unix, tools.PAYLOAD

    def begin(payload, length, what):
        fields = row(payload, length, what)
        whole(fields[0], 1, 1, "version")
        return fields[1:]

    def text(value, pattern, what):
        need(type(value) is str and pattern.fullmatch(value), layer, f"{what}: {value!r}")
        return value

    def digest(value):
        return octets(value, 32, "a digest").hex()

    def maybe(value, read):
        return None if value is None else read(value)

    def amount(value, low, what):
        return str(whole(value, low, MOST, what))

    def label(value):
        pattern = re.compile(r"[!-~](?:[ -~]{0,62}[!-~])?")
        need(re.search("[A-Za-z0-9]", text(value, pattern, "a label")), layer, "a label without a letter or digit")
        return value

    def normal(value):
        return re.sub("[^A-Z0-9]", "", value.upper())

    def key(value):
        tools.read_key(value)
        return tools.did_key(value)

    def device(item):
        number, make, model, serial, power, energy, codes = row(item, 7, "a device")
        whole(number, 0, 255, "a device")
        need(type(codes) is list and codes and codes == sorted(set(codes)), layer, "quantities in order, each once")
        return {
            "number": number, "make": label(make), "model": label(model), "serial": label(serial),
            "nameplate_milliwatts": amount(power, 1, "a nameplate"),
            "capacity_milliwatt_hours": maybe(energy, lambda e: amount(e, 1, "an energy")),
            "quantities": [name_of(QUANTITIES, code, "quantity") for code in codes],
            "physical": "/".join(normal(part) for part in (make, model, serial)),
        }

    def read_claim(payload):
        nonce, issued, seconds, replaces, items = begin(payload, 6, "a claim")
        need(seconds in LENGTHS, layer, "an interval's length")
        need(type(items) is list and 1 <= len(items) <= 32, layer, "1 to 32 devices")
        devices = [device(item) for item in items]
        numbers = [one["number"] for one in devices]
        need(numbers == sorted(set(numbers)), layer, "devices in order, each once")
        measured = [(one["physical"], quantity) for one in devices for quantity in one["quantities"]]
        need(len(measured) == len(set(measured)), layer, "a device twice for one quantity")
        return {
            "nonce": octets(nonce, 16, "a nonce").hex(), "issued_at": shown_instant(issued),
            "interval_seconds": seconds, "replaces": maybe(replaces, digest), "devices": devices,
        }

    def write_claim(shown):
        number = lambda value: None if value is None else int(value)
        devices = [
            [one["number"], one["make"], one["model"], one["serial"], int(one["nameplate_milliwatts"]),
             number(one["capacity_milliwatt_hours"]), [QUANTITIES[name] for name in one["quantities"]]]
            for one in shown["devices"]
        ]
        replaces = maybe(shown["replaces"], bytes.fromhex)
        return [1, bytes.fromhex(shown["nonce"]), unix(shown["issued_at"]), shown["interval_seconds"], replaces, devices]

    def tenths(value, most, what):
        whole(value, -most, most, what)
        return f"{'-' if value < 0 else ''}{abs(value) // 10}.{abs(value) % 10}"

    def read_acceptance(payload):
        claim, issued, site, place, paid, program, rules, power, bid, start, end = begin(payload, 12, "an acceptance")
        north, east = row(place, 2, "a location")
        need(east != 1800, layer, "180.0 east is written as west")
        text(program, re.compile("[a-z0-9_-]{1,64}"), "a program")
        whole(rules, 1, 2**32 - 1, "a version of rules")
        shown = {
            "claim": digest(claim), "issued_at": shown_instant(issued), "site": text(site, VISIBLE, "a site"),
            "location": f"{tenths(north, 900, 'north')},{tenths(east, 1800, 'east')}",
            "beneficiary": text(paid, VISIBLE, "a beneficiary"), "program": program, "rules_version": rules,
            "nominated_milliwatts": maybe(power, lambda p: amount(p, 0, "a power")),
            "bid_per_kwh": tools.read_price(bid), "valid_from": shown_instant(start), "expires_at": shown_instant(end),
        }
        need(start < end, layer, "it expires after it begins to hold")
        return shown

    def write_acceptance(shown):
        place = [int(part.replace(".", "")) for part in shown["location"].split(",")]
        power = maybe(shown["nominated_milliwatts"], int)
        return [
            1, bytes.fromhex(shown["claim"]), unix(shown["issued_at"]), shown["site"], place, shown["beneficiary"],
            shown["program"], shown["rules_version"], power, tools.write_price(shown["bid_per_kwh"]),
            unix(shown["valid_from"]), unix(shown["expires_at"]),
        ]

    def read_admission(payload):
        acceptance, at, zone, groups = begin(payload, 5, "an admission")
        name = lambda value: text(value, OF_A_NAME, "a zone or a group")
        need(type(groups) is list and len(groups) <= 64, layer, "at most 64 groups")
        names = [name(group) for group in groups]
        need(names == sorted(set(names)), layer, "groups in order, each once")
        return {
            "acceptance": digest(acceptance), "admitted_at": shown_instant(at), "zone": maybe(zone, name),
            "groups": names,
        }

    def write_admission(shown):
        return [1, bytes.fromhex(shown["acceptance"]), unix(shown["admitted_at"]), shown["zone"], shown["groups"]]

    def times(issued, effective, least):
        shown = {"issued_at": shown_instant(issued), "effective_at": shown_instant(effective)}
        need(effective - issued >= least, layer, "it takes effect after it was signed")
        return shown

    def read_revocation(payload):
        subject, reason, issued, effective = begin(payload, 5, "a revocation")
        return {"subject": digest(subject), "reason": name_of(REASONS, reason, "reason"), **times(issued, effective, 0)}

    def write_revocation(shown):
        return [1, bytes.fromhex(shown["subject"]), REASONS[shown["reason"]], *written_times(shown)]

    def written_times(shown):
        return unix(shown["issued_at"]), unix(shown["effective_at"])

    def read_rotation(payload):
        agreement, holder, old, new, issued, effective = begin(payload, 7, "a rotation")
        need(old != new, layer, "another key")
        return {
            "agreement": digest(agreement), "holder": name_of(HOLDERS, holder, "holder"), "old": key(old),
            "new": key(new), **times(issued, effective, 1),
        }

    def write_rotation(shown):
        keys = tools.key_of(shown["old"]), tools.key_of(shown["new"])
        return [1, bytes.fromhex(shown["agreement"]), HOLDERS[shown["holder"]], *keys, *written_times(shown)]

    def read_transfer(payload):
        agreement, old, new, paid, issued, effective = begin(payload, 7, "a transfer")
        need(old != new, layer, "another owner")
        return {
            "agreement": digest(agreement), "from": key(old), "to": key(new),
            "beneficiary": text(paid, VISIBLE, "a beneficiary"), **times(issued, effective, 0),
        }

    def write_transfer(shown):
        keys = tools.key_of(shown["from"]), tools.key_of(shown["to"])
        return [1, bytes.fromhex(shown["agreement"]), *keys, shown["beneficiary"], *written_times(shown)]

    read = {
        "claim": read_claim, "acceptance": read_acceptance, "admission": read_admission,
        "revocation": read_revocation, "rotation": read_rotation, "transfer": read_transfer,
    }
    write = {
        "claim": write_claim, "acceptance": write_acceptance, "admission": write_admission,
        "revocation": write_revocation, "rotation": write_rotation, "transfer": write_transfer,
    }
    return read, write
