#!/usr/bin/env python3
"""Reads the published vectors with nothing of Gridtally: an independent implementation of docs/wire-format.md.

What must be accepted is parsed by a CBOR and a COSE library, verified, compared with its decoded fields, held
against docs/wire.cddl, and written anew from those fields to the same bytes. With any bit flipped the COSE library
must not verify it. What must be refused must be
refused here too, in the same layer. Ends with status 1 where anything differs.

    python3 -m venv venv && venv/bin/pip install -r tests/vectors/requirements.txt
    venv/bin/python tests/vectors/check.py
"""

import hashlib
import json
import re
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import cbor2
from cddl_verifier import validate
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pycose.headers import KID, Algorithm, ContentType
from pycose.keys import OKPKey
from pycose.keys.curves import Ed25519
from pycose.messages import Sign1Message

import agreements
import meters

HERE = Path(__file__).resolve().parent
CDDL = (HERE / "../../docs/wire.cddl").read_text()

CONTENT_TYPES = {
    "report": 65101, "instruction": 65102, "acknowledgement": 65103, "receipt": 65104, "resend": 65106,
    "commission": 65107, "statement": 65108, "claim": 65109, "acceptance": 65110, "admission": 65111,
    "revocation": 65112, "rotation": 65113, "transfer": 65114,
    "beacon": 65115,
    "original": 65116,
}
QUANTITIES = {
    "grid_import": 1, "grid_export": 2, "pv_production": 3,
    "battery_discharge": 4, "battery_charge": 5, "state_of_charge": 6,
}
MISSING = {
    "unreachable": 1, "bad_sample": 2, "no_start": 3, "counter_fault": 4, "device_replaced": 5, "counter_reset": 6,
    "not_covered": 7,
}
QUALITIES = {"integrated": 16, "rollover": 17, "float_quantum": 18, "scale_changed": 19, "held_back": 20,
             "power_mismatch": 21}
CLOCKS = {"unknown": 0, "free_running": 1, "synchronised": 2}
STAGES = {
    "opted_in": 1, "opted_out": 2, "written": 3, "read_back": 4, "stopped": 5, "restored": 6, "received": 7,
    "observed": 8, "completed": 9,
}
TARGETS = {"simple": 1, "set_point": 2, "import_limit": 3, "export_limit": 4, "charge_state": 5}
POWER_MAX = 2**63 - 1
TARGET_RANGES = {
    "simple": (0, 3), "set_point": (-POWER_MAX, POWER_MAX), "import_limit": (0, POWER_MAX),
    "export_limit": (0, POWER_MAX), "charge_state": (0, 100_000),
}
DECLINED = {
    "owner_opt_out": 1, "reserve_reached": 2, "no_battery": 3, "expired": 4, "device_fault": 5, "quiet_hours": 6,
    "program_not_opted_in": 7, "price_too_low": 8, "no_meter": 9, "not_commissioned": 10, "unsupported": 11,
    "observed_otherwise": 12, "charge_unknown": 13, "battery_full": 14, "beyond_owner_limits": 15, "superseded": 16,
    "clock_unsure": 17, "gateway_stopping": 18,
}
VERDICTS = {
    "held": 0, "malformed": 1, "unknown_gateway": 2, "bad_signature": 3, "wrong_topic": 4, "equivocation": 5,
    "chain_broken": 6, "from_the_future": 7, "too_late": 8, "unknown_channel": 9, "wrong_interval": 10,
    "already_reported": 11, "beyond_nameplate": 12, "unknown_instruction": 13,
    "not_valid_then": 14, "revoked": 15, "no_sun": 16, "beyond_clear_sky": 17, "not_conserved": 18,
    "beyond_storage": 19, "unknown_beacon": 20, "original_unverified": 21,
}
ZERO_REASONS = {
    "opted_out": 1, "no_answer": 2, "no_baseline": 3, "equivocation": 4, "missing_reading": 5, "not_reduced": 6,
    "zero_price": 7, "rounded_to_zero": 8,
    "paid_as_a_whole": 9, "below_zero": 10, "no_price": 11, "no_bid": 12, "nothing_nominated": 13, "shortfall": 14,
    "excused": 15, "already_paid": 16, "no_event_counts": 17, "ceiling_reached": 18, "no_quality": 19,
    "nothing_else_paid": 20, "control_group": 21,
}
PART_KINDS = {"energy": 1, "capacity": 2, "season_average": 3, "points": 4, "pool": 5, "data_bonus": 6, "fee": 7}
PARTS_MAX = 17
LINES_MAX = 288
TOKEN_AMOUNT_MAX = 10**38 - 1
CONTROLS = {"battery": 1, "production": 2}
STEPS = {
    "measure": 1, "save": 2, "write": 3, "read_back": 4, "observe": 5, "meter": 6, "direction": 7, "revert": 8,
    "return": 9, "restore": 10,
}
NEEDED = ("measure", "save", "write", "read_back", "observe", "revert", "restore")
RESULTS = {
    "passed": 0, "skipped": 1, "refuses_writes": 2, "ignores_writes": 3, "does_not_obey": 4, "meter_does_not_show": 5,
    "wrong_sign": 6, "no_timer": 7, "does_not_revert": 8, "reverts_in_other_unit": 9, "not_restored": 10,
}
ENVELOPE_LEN_MAX = 16 * 1024
SEQUENCE_MAX = 2**63 - 1
LATEST = 253402300799
LENGTHS = {minutes * 60 for minutes in range(1, 61) if 60 % minutes == 0}
FORM, KEY, PURPOSE, SIGNATURE, PAYLOAD = "form", "key", "purpose", "signature", "payload"
LAYER_OF_REASON = {
    "too_long": FORM, "not_cose": FORM, "envelope_not_canonical": FORM, "unsound_key": KEY,
    "wrong_purpose": PURPOSE, "bad_signature": SIGNATURE,
    "malformed": PAYLOAD, "payload_not_canonical": PAYLOAD, "broken_rule": PAYLOAD,
}


class Refused(Exception):
    """Bytes that must not be accepted, and the layer where that shows."""

    def __init__(self, layer, why):
        super().__init__(f"{layer}: {why}")
        self.layer = layer


def need(holds, layer, why):
    if not holds:
        raise Refused(layer, why)


# --- CBOR -------------------------------------------------------------------------------------------------

def canonical(item):
    return cbor2.dumps(item, canonical=True)


def load(data, layer):
    """One CBOR item that a canonical writer would have written in the same bytes."""
    try:
        item = cbor2.loads(data)
        again = canonical(item)
    except Exception as error:
        raise Refused(layer, f"no CBOR: {error}") from error
    need(again == data, layer, "not canonical")
    return item


def whole(value, low, high, what):
    need(type(value) is int and low <= value <= high, PAYLOAD, f"{what}: {value!r}")
    return value


def row(value, length, what):
    need(type(value) is list and len(value) == length, PAYLOAD, f"{what} is no array of {length}")
    return value


def octets(value, length, what):
    need(type(value) is bytes and len(value) == length, PAYLOAD, f"{what} is not of {length} bytes")
    return value


def name_of(table, code, what):
    names = [name for name, number in table.items() if number == code and type(code) is int]
    need(names, PAYLOAD, f"{what} {code!r} is unknown")
    return names[0]


# --- ed25519 and did:key ----------------------------------------------------------------------------------

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P


def point_of(key):
    """The point of 32 canonical bytes (RFC 8032 section 5.1.3), or a refusal."""
    y = int.from_bytes(key, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    need(y < P, KEY, "y is not reduced")
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    need((x * x - square) % P == 0, KEY, "no point of the curve")
    need(x or not sign, KEY, "a sign on zero")
    return (P - x if x & 1 != sign else x, y)


def add(a, b):
    (x1, y1), (x2, y2) = a, b
    product = D * x1 * x2 * y1 * y2
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, P)
    y = (y1 * y2 + x1 * x2) * pow(1 - product, -1, P)
    return (x % P, y % P)


def of_small_order(point):
    for _ in range(3):
        point = add(point, point)
    return point == (0, 1)


def check_key(key):
    need(not of_small_order(point_of(key)), KEY, "of small order")


def nonce_is_of_small_order(signature):
    try:
        return of_small_order(point_of(signature[:32]))
    except Refused:
        return False  # no point at all: no equation holds


BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def multibase(key):
    number = int.from_bytes(b"\xed\x01" + key, "big")
    digits = ""
    while number:
        number, digit = divmod(number, 58)
        digits = BASE58[digit] + digits
    return "z" + digits


def did_key(key):
    return "did:key:" + multibase(key)


def key_of(did):
    number = 0
    for digit in did.removeprefix("did:key:z"):
        number = number * 58 + BASE58.index(digit)
    return number.to_bytes(34, "big")[2:]


# --- the envelope -----------------------------------------------------------------------------------------

def to_be_signed(protected, payload):
    return canonical(["Signature1", protected, b"", payload])


def open_envelope(data, purpose):
    """The signer's key and the payload of an acceptable envelope."""
    need(len(data) <= ENVELOPE_LEN_MAX, FORM, "too long")
    envelope = load(data, FORM)
    need(type(envelope) is cbor2.CBORTag and envelope.tag == 18, FORM, "not tagged as COSE_Sign1")
    need(type(envelope.value) is list and len(envelope.value) == 4, FORM, "not an array of four")
    protected, unprotected, payload, signature = envelope.value
    need(all(type(part) is bytes for part in (protected, payload, signature)), FORM, "a part is no byte string")
    need(unprotected == {} and type(unprotected) is dict, FORM, "an unprotected header")
    need(len(signature) == 64, FORM, "the signature is not of 64 bytes")
    header = load(protected, FORM)
    need(type(header) is dict and list(header) == [1, 3, 4], FORM, "not the three protected headers")
    need(header[1] == -8, FORM, "not EdDSA")
    need(type(header[3]) is int and 0 <= header[3] < 2**16, FORM, "no content type")
    need(type(header[4]) is bytes and len(header[4]) == 32, FORM, "no key id")
    check_key(header[4])
    need(header[3] == CONTENT_TYPES[purpose], PURPOSE, f"content type {header[3]}")
    try:
        Ed25519PublicKey.from_public_bytes(header[4]).verify(signature, to_be_signed(protected, payload))
    except InvalidSignature as error:
        raise Refused(SIGNATURE, "does not verify") from error
    # The library checks S < L and the equation, but not this.
    need(not nonce_is_of_small_order(signature), SIGNATURE, "R is of small order")
    return header[4], payload


def cose_library_verifies(data):
    message = Sign1Message.decode(data)
    message.key = OKPKey(crv=Ed25519, x=message.phdr[KID])
    return message.phdr[Algorithm].identifier == -8 and message.verify_signature(), message.phdr[ContentType]


def cose_library_takes(data, key):
    """Whether pycose takes bytes as signed by a key that is known beforehand, external data being empty."""
    try:
        message = Sign1Message.decode(data)
        message.key, message.external_aad = OKPKey(crv=Ed25519, x=key), b""
        return message.verify_signature()
    except Exception:  # Whatever it is that the library does not like.
        return False


def flipped(data, every):
    """The bytes with one bit flipped: every bit in turn, or one in each byte."""
    for place in range(len(data)):
        for bit in range(8) if every else [place % 8]:
            yield 8 * place + bit, data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1:]


# --- times ------------------------------------------------------------------------------------------------

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def shown_instant(seconds):
    whole(seconds, 0, LATEST, "an instant")
    return (EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def unix(text):
    return (datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc) - EPOCH) // timedelta(seconds=1)


# --- reports ----------------------------------------------------------------------------------------------

def signed_64(value):
    return (value + 2**63) % 2**64 - 2**63


def unpack(data, count):
    """Base-128 varints, lowest bits first; zigzag; differences that wrap in 64 bits."""
    steps, at, before = [], 0, 0
    for _ in range(count):
        value, shift = 0, 0
        while True:
            need(at < len(data), PAYLOAD, "fewer samples than intervals")
            byte, at = data[at], at + 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        need(byte or shift == 7, PAYLOAD, "a varint in a longer form")
        need(value < 2**64, PAYLOAD, "a varint beyond 64 bits")
        difference = value // 2 if value % 2 == 0 else -(value + 1) // 2
        before = signed_64(before + difference)
        steps.append((difference, before))
    need(at == len(data), PAYLOAD, "more samples than intervals")
    return steps


def pack(steps):
    data, before = bytearray(), 0
    for step in steps:
        step = before if step is None else step
        difference = signed_64(step - before)
        value = 2 * difference if difference >= 0 else -2 * difference - 1
        while value >= 0x80:
            data.append(value & 0x7F | 0x80)
            value >>= 7
        data.append(value)
        before = step
    return bytes(data)


def read_marks(marks, steps):
    """By interval: the reason why a sample is missing, or the quality of its value."""
    need(type(marks) is list and 1 <= len(marks) <= len(steps), PAYLOAD, "1 to 288 marks")
    names, last = [None] * len(steps), None
    for mark in marks:
        first, run, code = row(mark, 3, "a mark")
        whole(first, 0, len(steps) - 1, "first")
        whole(run, 1, len(steps) - first, "run")
        name = name_of(MISSING | QUALITIES, code, "reason or quality")
        if last is not None:
            need(first > last[0] or (first == last[0] and name != last[1]), PAYLOAD, "marks out of order or not merged")
        for index in range(first, first + run):
            need(name in QUALITIES or steps[index][0] == 0, PAYLOAD, "a value under a mark of a missing sample")
            names[index] = name
        last = (first + run, name)
    return names


def read_series(series, count):
    need(type(series) is list and len(series) in (4, 5), PAYLOAD, "a series is an array of four or five")
    device, quantity, resolution, samples = series[:4]
    whole(device, 0, 255, "device")
    whole(resolution, 0, 9, "resolution")
    need(type(samples) is bytes, PAYLOAD, "samples")
    steps = unpack(samples, count)
    marks = read_marks(series[4], steps) if len(series) == 5 else [None] * count
    values = []
    for (_, step), mark in zip(steps, marks):
        value = step * 10**resolution
        need(mark in MISSING or -(2**63) <= value < 2**63, PAYLOAD, "a value beyond 64 bits")
        if mark in MISSING:
            values.append({"missing": mark})
        else:
            values.append({"value": str(value)} | ({"quality": mark} if mark else {}))
    return {
        "device": device, "quantity": name_of(QUANTITIES, quantity, "quantity"), "resolution": resolution,
        "samples": values,
    }


def read_report(payload):
    beacon = None
    if type(payload) is list and len(payload) == 10:
        payload, beacon = payload[:9], octets(payload[9], 32, "beacon")
        need(beacon != bytes(32), PAYLOAD, "a beacon is named by its digest, or not at all")
    version, sequence, previous, issued, clock, start, length, count, series = row(payload, 9, "a report")
    whole(version, 1, 1, "version")
    whole(sequence, 1, SEQUENCE_MAX, "sequence")
    octets(previous, 32, "previous")
    need((sequence == 1) == (previous == bytes(32)), PAYLOAD, "the first report, and only it, names none before")
    need(type(length) is int and length in LENGTHS, PAYLOAD, f"an interval of {length}")
    whole(count, 1, 288, "the number of intervals")
    need(type(series) is list and 1 <= len(series) <= 32, PAYLOAD, "1 to 32 channels")
    shown = {
        "sequence": str(sequence), "previous": previous.hex(), "issued_at": shown_instant(issued),
        "clock": name_of(CLOCKS, clock, "clock"), "start": shown_instant(start), "interval_seconds": length,
        "interval_count": count, "series": [read_series(one, count) for one in series],
    }
    if beacon is not None:
        shown["beacon"] = beacon.hex()
    need(start % length == 0, PAYLOAD, "a start between two intervals")
    need(start + count * length <= issued, PAYLOAD, "an interval ends after the report was issued")
    channels = [(one[0], one[1]) for one in series]
    need(all(a < b for a, b in zip(channels, channels[1:])), PAYLOAD, "channels in order, each once")
    return shown


def write_series(shown):
    steps = [int(s["value"]) // 10 ** shown["resolution"] if "value" in s else None for s in shown["samples"]]
    marks = []
    for index, sample in enumerate(shown["samples"]):
        code = MISSING.get(sample.get("missing")) or QUALITIES.get(sample.get("quality"))
        if code is None:
            continue
        if marks and sum(marks[-1][:2]) == index and marks[-1][2] == code:
            marks[-1][1] += 1
        else:
            marks.append([index, 1, code])
    series = [shown["device"], QUANTITIES[shown["quantity"]], shown["resolution"], pack(steps)]
    return series + [marks] if marks else series


def write_report(shown):
    return [
        1, int(shown["sequence"]), bytes.fromhex(shown["previous"]), unix(shown["issued_at"]), CLOCKS[shown["clock"]],
        unix(shown["start"]), shown["interval_seconds"], shown["interval_count"],
        [write_series(series) for series in shown["series"]],
        *([bytes.fromhex(shown["beacon"])] if "beacon" in shown else []),
    ]


# --- instructions, acknowledgements, receipts, resend requests, commissioning records, statements -------------------------------------------------------------

def read_instruction(payload):
    version, sequence, gateway, event, issued, expires, start, end, target, program, price = row(
        payload, 11, "an instruction"
    )
    whole(version, 1, 1, "version")
    whole(sequence, 1, SEQUENCE_MAX, "sequence")
    read_key(gateway)
    need(type(event) is str and re.fullmatch("[a-z0-9-]{1,64}", event), PAYLOAD, "the event's name")
    shown = {
        "sequence": str(sequence), "gateway": did_key(gateway), "event": event,
        "issued_at": shown_instant(issued), "expires_at": shown_instant(expires),
        "start": shown_instant(start), "end": shown_instant(end), "target": read_target(target),
        "program": read_program(program), "price": read_price(price),
    }
    need(start < end <= start + 86400, PAYLOAD, "an event ends after its start, within a day")
    need(issued < expires <= end, PAYLOAD, "an instruction expires after it was issued, not after the end")
    return shown


def read_target(target):
    code, value = row(target, 2, "a target")
    kind = name_of(TARGETS, code, "kind of target")
    return {"kind": kind, "value": str(whole(value, *TARGET_RANGES[kind], "a target's value"))}


def read_program(program):
    if program is not None:
        need(type(program) is str and re.fullmatch("[a-z0-9_-]{1,64}", program), PAYLOAD, "the program's name")
    return program


def read_price(price):
    """As a decimal text with all its decimals."""
    if price is None:
        return None
    coefficient, decimals = row(price, 2, "a price")
    whole(coefficient, 0, 2**63 - 1, "a price's digits")
    whole(decimals, 0, 18, "a price's decimals")
    need(decimals == 0 or coefficient % 10, PAYLOAD, "a price that ends in a zero")
    digits = str(coefficient).rjust(decimals + 1, "0")
    return f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits


def write_price(text):
    if text is None:
        return None
    whole_part, _, decimals = text.partition(".")
    return [int(whole_part + decimals), len(decimals)]


def read_key(key):
    octets(key, 32, "a key")
    try:
        check_key(key)
    except Refused as error:
        raise Refused(PAYLOAD, str(error)) from error


def write_instruction(shown):
    times = [unix(shown[name]) for name in ("issued_at", "expires_at", "start", "end")]
    target = [TARGETS[shown["target"]["kind"]], int(shown["target"]["value"])]
    offer = [shown["program"], write_price(shown["price"])]
    return [1, int(shown["sequence"]), key_of(shown["gateway"]), shown["event"], *times, target, *offer]


def read_acknowledgement(payload):
    is_observed = type(payload) is list and len(payload) == 6
    fields = row(payload, 6 if is_observed else 5, "an acknowledgement")
    version, instruction, at, code, argument = fields[:5]
    whole(version, 1, 1, "version")
    stage = name_of(STAGES, code, "stage")
    need((stage == "observed") == is_observed, PAYLOAD, "observed, and only it, has the seconds")
    shown = {"instruction": octets(instruction, 32, "digest").hex(), "at": shown_instant(at), "stage": stage}
    if stage in ("opted_in", "written", "read_back", "observed"):
        shown["milliwatts"] = str(whole(argument, -POWER_MAX, POWER_MAX, "the power"))
        if is_observed:
            shown["after_seconds"] = whole(fields[5], 0, 2**32 - 1, "the seconds")
    elif stage in ("opted_out", "stopped"):
        shown["why"] = name_of(DECLINED, argument, "reason")
    else:
        whole(argument, 0, 0, f"the argument of {stage}")
    return shown


def write_acknowledgement(shown):
    argument = DECLINED[shown["why"]] if "why" in shown else int(shown.get("milliwatts", 0))
    seconds = [shown["after_seconds"]] if "after_seconds" in shown else []
    return [1, bytes.fromhex(shown["instruction"]), unix(shown["at"]), STAGES[shown["stage"]], argument, *seconds]


def read_receipt(payload):
    version, gateway, issued, entries = row(payload, 4, "a receipt")
    whole(version, 1, 1, "version")
    read_key(gateway)
    need(type(entries) is list and 1 <= len(entries) <= 256, PAYLOAD, "1 to 256 entries")
    digests = [octets(row(entry, 2, "an entry")[0], 32, "digest") for entry in entries]
    need(all(a < b for a, b in zip(digests, digests[1:])), PAYLOAD, "digests in order, each once")
    verdicts = [name_of(VERDICTS, entry[1], "verdict") for entry in entries]
    return {
        "gateway": did_key(gateway), "issued_at": shown_instant(issued),
        "entries": [{"envelope": d.hex(), "verdict": v} for d, v in zip(digests, verdicts)],
    }


def write_receipt(shown):
    entries = [[bytes.fromhex(entry["envelope"]), VERDICTS[entry["verdict"]]] for entry in shown["entries"]]
    return [1, key_of(shown["gateway"]), unix(shown["issued_at"]), entries]


def read_resend(payload):
    version, gateway, issued, first, bitmap = row(payload, 5, "a resend request")
    whole(version, 1, 1, "version")
    read_key(gateway)
    whole(first, 1, SEQUENCE_MAX, "the first number")
    need(type(bitmap) is bytes and 1 <= len(bitmap) <= 64, PAYLOAD, "a bitmap of 1 to 64 bytes")
    need(bitmap[0] & 1 and bitmap[-1], PAYLOAD, "a bitmap from its first number to its last")
    bits = int.from_bytes(bitmap, "little")
    missed = [first + offset for offset in range(bits.bit_length()) if bits >> offset & 1]
    whole(missed[-1], 1, SEQUENCE_MAX, "the last number")
    return {
        "gateway": did_key(gateway), "issued_at": shown_instant(issued), "sequences": [str(n) for n in missed],
    }


def write_resend(shown):
    missed = [int(number) for number in shown["sequences"]]
    bits = sum(1 << number - missed[0] for number in missed)
    bitmap = bits.to_bytes((bits.bit_length() + 7) // 8, "little")
    return [1, key_of(shown["gateway"]), unix(shown["issued_at"]), missed[0], bitmap]


def read_beacon(payload):
    version, number, nonce, issued = row(payload, 4, "a beacon")
    whole(version, 1, 1, "version")
    whole(number, 1, SEQUENCE_MAX, "the number")
    return {"number": str(number), "nonce": octets(nonce, 32, "nonce").hex(), "issued_at": shown_instant(issued)}


def write_beacon(shown):
    return [1, int(shown["number"]), bytes.fromhex(shown["nonce"]), unix(shown["issued_at"])]


FORMATS = {"ocmf": 1, "sunspec_220": 2, "sunspec_4": 3}


def read_original(payload):
    version, device, form, taken, data = row(payload, 5, "an original")
    whole(version, 1, 1, "version")
    whole(device, 0, 255, "the device")
    need(type(data) is bytes and 1 <= len(data) <= 8192, PAYLOAD, "1 to 8192 bytes")
    return {
        "device": device, "format": name_of(FORMATS, form, "format"), "taken_at": shown_instant(taken),
        "bytes": data.hex(),
    }


def write_original(shown):
    return [1, shown["device"], FORMATS[shown["format"]], unix(shown["taken_at"]), bytes.fromhex(shown["bytes"])]


def read_commission(payload):
    version, device, fingerprint, control, agent, told, seconds, taken = row(payload, 8, "a commissioning record")
    whole(version, 1, 1, "version")
    whole(device, 0, 255, "the device")
    need(fingerprint is None or whole(fingerprint, 0, 2**64 - 1, "the fingerprint") >= 0, PAYLOAD, "a fingerprint")
    need(type(agent) is str and re.fullmatch(r"[0-9A-Za-z.+-]{1,32}", agent), PAYLOAD, f"the version {agent!r}")
    whole(told, -POWER_MAX, POWER_MAX, "the command")
    whole(seconds, 0, 2**32 - 1, "the seconds")
    need(type(taken) is list and 1 <= len(taken) <= len(STEPS), PAYLOAD, "1 to 10 steps")
    steps, codes, times = [], [], []
    for entry in taken:
        code, at, result, power = row(entry, 4, "a step")
        need(power is None or type(whole(power, -POWER_MAX, POWER_MAX, "a power")) is int, PAYLOAD, "a power")
        steps.append({
            "step": name_of(STEPS, code, "step"), "at": shown_instant(at), "result": name_of(RESULTS, result, "result"),
            "power": None if power is None else str(power),
        })
        codes.append(code)
        times.append(at)
    need(codes == sorted(set(codes)), PAYLOAD, "steps in their order, each once")
    need(times == sorted(times), PAYLOAD, "no step before the one before")
    results = {step["step"]: step["result"] for step in steps}
    passed = all(results.get(step) == "passed" for step in NEEDED)
    return {
        "device": device, "fingerprint": None if fingerprint is None else str(fingerprint),
        "control": name_of(CONTROLS, control, "control"), "agent": agent, "told": str(told),
        "reversion_seconds": seconds, "steps": steps,
        "passed": passed and all(result in ("passed", "skipped") for result in results.values()),
    }


def write_commission(shown):
    number = lambda text: None if text is None else int(text)
    steps = [
        [STEPS[step["step"]], unix(step["at"]), RESULTS[step["result"]], number(step["power"])]
        for step in shown["steps"]
    ]
    return [
        1, shown["device"], number(shown["fingerprint"]), CONTROLS[shown["control"]], shown["agent"],
        int(shown["told"]), shown["reversion_seconds"], steps,
    ]


def read_line(line):
    """The numbers of a line: baseline, metered, credited, amount, and the name of its reason."""
    baseline, metered, credited, amount, reason = row(line, 5, "a line")
    for energy in (baseline, metered):
        need(energy is None or type(whole(energy, -2**63, 2**63 - 1, "an energy")) is int, PAYLOAD, "an energy")
    whole(credited, -2**63, 2**63 - 1, "what is credited")
    return baseline, metered, credited, *read_earned(amount, reason)


def read_earned(amount, reason):
    whole(amount, -TOKEN_AMOUNT_MAX, TOKEN_AMOUNT_MAX, "an amount")
    need((amount == 0) == (reason is not None), PAYLOAD, "a reason exactly where the amount is zero")
    return amount, None if reason is None else name_of(ZERO_REASONS, reason, "reason")


def read_part(item):
    kind, amount, reason = row(item, 3, "a part")
    if amount is not None:
        whole(amount, -TOKEN_AMOUNT_MAX, TOKEN_AMOUNT_MAX, "an amount")
    need((not amount) == (reason is not None), PAYLOAD, "a reason exactly where a part is zero or not known")
    return {
        "kind": name_of(PART_KINDS, kind, "kind of part"), "amount": None if amount is None else str(amount),
        "reason": None if reason is None else name_of(ZERO_REASONS, reason, "reason"),
    }


def read_statement(payload):
    parts = []
    if type(payload) is list and len(payload) == 18:
        payload, items = payload[:17], payload[17]
        need(type(items) is list and 1 <= len(items) <= PARTS_MAX, PAYLOAD, "1 to 17 parts")
        parts = [read_part(item) for item in items]
    (version, gateway, site, program, program_version, program_hash, event, number, statement, settled, asset,
     start, end, seconds, totals, reason, lines) = row(payload, 17, "a statement")
    whole(version, 1, 1, "version")
    read_key(gateway)
    need(type(site) is str and re.fullmatch("[!-~]{1,128}", site), PAYLOAD, "the site's name")
    need(program is not None, PAYLOAD, "a program")
    need(type(event) is str and re.fullmatch("[a-z0-9-]{1,64}", event), PAYLOAD, "the event's name")
    for which in (program_version, number):
        whole(which, 1, 2**32 - 1, "a version")
    code, decimals = row(asset, 2, "an asset")
    need(type(code) is str and re.fullmatch("[A-Z0-9]{2,12}", code), PAYLOAD, "the asset's code")
    whole(decimals, 0, 18, "decimals")
    need(seconds in LENGTHS and type(seconds) is int, PAYLOAD, "an interval's length")
    times = [shown_instant(at) for at in (settled, start, end)]
    need(start < end <= start + 86400 and end <= settled, PAYLOAD, "an event within a day, settled after it")
    need(start % seconds == 0 and end % seconds == 0, PAYLOAD, "whole intervals")
    count = (end - start) // seconds
    need(type(lines) is list and len(lines) == (count if count <= LINES_MAX else 0), PAYLOAD, "a line for each interval")
    rows = [read_line(line) for line in lines]
    baseline, metered, credited, amount, why = read_line(row(totals, 4, "totals") + [reason])
    need((baseline is None) == (metered is None), PAYLOAD, "sums over the same intervals")
    if parts:
        known = sum(int(part["amount"]) for part in parts if part["amount"] is not None)
        need(known == amount, PAYLOAD, "an amount that is the sum of the parts")
    if rows:
        both = [line for line in rows if line[0] is not None and line[1] is not None]
        over = lambda index, of: sum(line[index] for line in of)
        sums = (over(0, both) if both else None, over(1, both) if both else None, over(2, rows), over(3, rows))
        sums = sums[:3] + (amount,) if parts else sums
        need(sums == (baseline, metered, credited, amount), PAYLOAD, "totals that are the sums")
    text = lambda number: None if number is None else str(number)
    named = lambda line: {
        "baseline": text(line[0]), "metered": text(line[1]), "credited": str(line[2]), "amount": str(line[3]),
        "reason": line[4],
    }
    return {
        "gateway": did_key(gateway), "site": site, "program": read_program(program),
        "program_version": program_version, "program_hash": octets(program_hash, 32, "the program's hash").hex(),
        "event": event, "version": number, "statement": octets(statement, 32, "the statement's hash").hex(),
        "settled_at": times[0], "asset": {"code": code, "decimals": decimals}, "start": times[1], "end": times[2],
        "interval_seconds": seconds, **named((baseline, metered, credited, amount, why)),
        "lines": [{"start": shown_instant(start + n * seconds), **named(line)} for n, line in enumerate(rows)],
        "parts": parts,
    }


def write_statement(shown):
    number = lambda text: None if text is None else int(text)
    reason = lambda line: None if line["reason"] is None else ZERO_REASONS[line["reason"]]
    numbers = lambda line: [
        number(line["baseline"]), number(line["metered"]), int(line["credited"]), int(line["amount"]),
    ]
    part = lambda part: [PART_KINDS[part["kind"]], number(part["amount"]), reason(part)]
    parts = [[part(item) for item in shown["parts"]]] if shown["parts"] else []
    return [
        1, key_of(shown["gateway"]), shown["site"], shown["program"], shown["program_version"],
        bytes.fromhex(shown["program_hash"]), shown["event"], shown["version"], bytes.fromhex(shown["statement"]),
        unix(shown["settled_at"]), [shown["asset"]["code"], shown["asset"]["decimals"]], unix(shown["start"]),
        unix(shown["end"]), shown["interval_seconds"], numbers(shown), reason(shown),
        [numbers(line) + [reason(line)] for line in shown["lines"]], *parts,
    ]


READ = {
    "report": read_report, "instruction": read_instruction,
    "acknowledgement": read_acknowledgement, "receipt": read_receipt, "resend": read_resend,
    "beacon": read_beacon, "original": read_original,
    "commission": read_commission, "statement": read_statement,
}
WRITE = {
    "report": write_report, "instruction": write_instruction,
    "acknowledgement": write_acknowledgement, "receipt": write_receipt, "resend": write_resend,
    "beacon": write_beacon, "original": write_original,
    "commission": write_commission, "statement": write_statement,
}
for table, more in zip((READ, WRITE), agreements.codecs(sys.modules[__name__])):
    table.update(more)


def open_message(data, purpose):
    key, payload = open_envelope(data, purpose)
    return key, READ[purpose](load(payload, PAYLOAD))


# --- the vectors ------------------------------------------------------------------------------------------

def check_accepted(vector, purpose):
    """Yields what is not as it should be."""
    data, payload = bytes.fromhex(vector["envelope"]), bytes.fromhex(vector["payload"])
    try:
        key, message = open_message(data, purpose)
    except Refused as error:
        yield f"was refused here: {error}"
        return
    if message != vector["message"]:
        yield f"says {message}, not {vector['message']}"
    if did_key(key) != vector["signer"]:
        yield f"the signer is {did_key(key)}"
    if hashlib.sha256(data).hexdigest() != vector["digest"]:
        yield "the digest differs"
    if cose_library_verifies(data) != (True, vector["content_type"]):
        yield "pycose does not verify it"
    if not cose_library_takes(data, key):
        yield "pycose does not verify it with the signer's key"
    for bit, other in flipped(data, every=purpose == "report" and len(data) < 250):
        if cose_library_takes(other, key):
            yield f"pycose verifies it with bit {bit} flipped"
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(vector["seed"]))
    protected = canonical({1: -8, 3: CONTENT_TYPES[purpose], 4: private.public_key().public_bytes_raw()})
    written = canonical(WRITE[purpose](vector["message"]))
    if written != payload:
        yield f"its fields are written here as {written.hex()}"
    signed = to_be_signed(protected, written)
    if signed.hex() != vector["sig_structure"]:
        yield "the Sig_structure differs"
    if canonical(cbor2.CBORTag(18, [protected, {}, written, private.sign(signed)])) != data:
        yield "sealed here, the envelope differs"
    for other in READ:
        for root, part in ((other, payload), (f"{other}-envelope", data)):
            if validate(CDDL, part, root_type=root).valid != (other == purpose):
                yield f"docs/wire.cddl: {root} {'refuses' if other == purpose else 'takes'} it"


def check_refused(vector):
    data, layer = bytes.fromhex(vector["envelope"]), LAYER_OF_REASON[vector["reason"]]
    try:
        open_message(data, vector["purpose"])
        yield "was accepted here"
    except Refused as error:
        if error.layer != layer:
            yield f"was refused for another layer than {layer}: {error}"
    if layer == SIGNATURE and not nonce_is_of_small_order(data[-64:]) and cose_library_verifies(data)[0]:
        yield "pycose verifies it"


def check_identity(vector):
    key = bytes.fromhex(vector["public_key"])
    if "refused" in vector:
        try:
            check_key(key)
            yield "was accepted here"
        except Refused:
            pass
        return
    check_key(key)
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(vector["seed"]))
    if private.public_key().public_bytes_raw() != key:
        yield "the public key differs"
    if did_key(key) != vector["did_key"] or key_of(vector["did_key"]) != key:
        yield "the did:key differs"
    kinds = ("report", "status", "instruction", "ack", "receipt", "resend", "statement", "original")
    if vector["topics"] != [f"gridtally/v1/{multibase(key)}/{kind}" for kind in kinds]:
        yield "the topics differ"


def main():
    checks = {purpose: lambda v, purpose=purpose: check_accepted(v, purpose) for purpose in READ}
    checks |= {"refused": check_refused, "identity": check_identity, "meters": meters.check}
    faults = 0
    for name, check in checks.items():
        vectors = json.loads((HERE / f"{name}.json").read_text())["vectors"]
        need(vectors, FORM, f"{name}.json is empty")
        for vector in vectors:
            for fault in check(vector):
                faults += 1
                print(f"{name}.json, {vector.get('name', vector.get('did_key'))}: {fault}", file=sys.stderr)
        print(f"{name}.json: {len(vectors)} vectors")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
