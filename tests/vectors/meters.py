"""What meters sign themselves, made and verified with nothing of Gridtally: by `cryptography` and Python's exact decimals.

    python meters.py          # writes meters.json anew; ECDSA signatures differ each time

check.py verifies what is in the file. The keys are of no meter: secret 0x17 (secp256r1) and 0x29 (secp256k1).
"""

import base64
import json
import sys
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

FILE = Path(__file__).resolve().parent / "meters.json"
P256 = ec.derive_private_key(0x17, ec.SECP256R1())
K256 = ec.derive_private_key(0x29, ec.SECP256K1())
CURVES = {"ECDSA-secp256r1-SHA256": "secp256r1", "ECDSA-secp256k1-SHA256": "secp256k1"}
REGISTERS = {
    "1.8.0": "import", "01.08.00": "import", "B0.08.00": "import", "B1.08.00": "import",
    "2.8.0": "export", "02.08.00": "export", "C0.08.00": "export", "C1.08.00": "export",
}
MILLIWATT_HOURS = {"kWh": 6, "Wh": 3}


def spki(private):
    return private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def readings_of(payload):
    """As settlement/src/ingest/originals reads them, written a second time."""
    shown = []
    for reading in json.loads(payload, parse_float=str, parse_int=str)["RD"]:
        time, state = reading["TM"].split(" ")
        at = datetime.strptime(time.replace(",", "."), "%Y-%m-%dT%H:%M:%S.%f%z").astimezone(timezone.utc)
        epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
        millis = (at - epoch) // (datetime.resolution * 1000)
        decimals = MILLIWATT_HOURS.get(reading.get("RU"))
        identifier = reading.get("RI", "")
        prefix, _, rest = identifier.partition(":")
        known = prefix in ("1-0", "1-b", "01-00")
        total = None
        if decimals is not None and "RV" in reading:
            value = Decimal(reading["RV"])
            given = -value.as_tuple().exponent
            total = {
                "energy": str(int(value.scaleb(decimals))), "resolution": str(10 ** max(decimals - given, 0)),
            }
        shown.append({
            "at_millis": str(millis), "synchronised": state == "S",
            "register": REGISTERS.get(rest.partition("*")[0]) if known else None, "total": total,
            "sound": reading.get("ST") == "G" and reading.get("EF", "") == "",
        })
    return shown


def ocmf(payload, private, algorithm=None, encoding=None):
    der = private.sign(payload.encode(), ec.ECDSA(SHA256()))
    signature = {}
    if algorithm:
        signature["SA"] = algorithm
    if encoding:
        signature["SE"] = encoding

    signature["SD"] = base64.b64encode(der).decode() if encoding == "base64" else der.hex()
    return f"OCMF|{payload}|{json.dumps(signature)}".encode()


def reading(time, value, **more):
    fields = {"TM": f'"{time}"', "RV": value, "RI": '"1-0:1.8.0"', "RU": '"kWh"', "RT": '"AC"', "EF": '""', "ST": '"G"'}
    fields |= {name: f'"{text}"' for name, text in more.items()}
    return "{" + ",".join(f'"{name}":{text}' for name, text in fields.items()) + "}"


def payload(*readings, serial="BQ27400330016"):
    return (
        '{"FV":"1.0","GI":"A meter","GS":"7","PG":"F12","MV":"Maker","MM":"Model","MS":"' + serial + '","RD":['
        + ",".join(readings) + "]}"
    )


def vectors():
    def vector(name, data, private, verdict="verified"):
        key = private if isinstance(private, str) else spki(private).hex()
        shown = readings_of(data.decode().split("|")[1]) if verdict != "form" else []
        return {"name": name, "format": "ocmf", "key": key, "bytes": data.hex(), "verdict": verdict, "readings": shown}

    start = reading("2026-04-23T17:00:00,000+0200 S", "2935.600")
    end = reading("2026-04-23T17:05:00,250+0200 S", "2935.7125")
    both = payload(start, end)
    good = ocmf(both, P256, "ECDSA-secp256r1-SHA256")
    spaced = both.replace(",", ",\n  ").replace("17:00:00,\n  000", "17:00:00,000")
    spaced = spaced.replace("17:05:00,\n  250", "17:05:00,250")
    export = reading("2026-04-23T15:00:00,000-0030 R", "12", RI="01-00:C0.08.00*FF", RU="Wh", EF="E")
    # Published with its key in the examples of the OCMF implementation road-labs/ocmf-js.
    published = Path(FILE.parent / "published-ocmf.txt").read_text().splitlines()
    return [
        vector("a start and an end", good, P256),
        vector("no algorithm named: the default", ocmf(both, P256), P256),
        vector("secp256k1", ocmf(both, K256, "ECDSA-secp256k1-SHA256"), K256),
        vector("base64", ocmf(both, P256, encoding="base64"), P256),
        vector("white space within the payload is signed as it stands", ocmf(spaced, P256), P256),
        vector("an export in Wh, with an error", ocmf(payload(export), P256), P256),
        vector("another quantity", ocmf(payload(reading("2026-04-23T15:00:00,000+0000 U", "3.1", RU="mOhm")), P256), P256),
        vector("published elsewhere", published[1].encode(), published[0]),
        vector("one digit changed", good.replace(b"2935.7125", b"2935.7126"), P256, "false"),
        vector("white space added", good.replace(b'"RV":', b'"RV": '), P256, "false"),
        vector("another key of the curve", good, ec.derive_private_key(0x18, ec.SECP256R1()), "false"),
        vector("a key of another curve", good, K256, "curve"),
        vector("an algorithm that is not supported", ocmf(both, P256, "ECDSA-secp192r1-SHA256"), P256, "algorithm"),
        vector("two sections", good.rsplit(b"|", 1)[0], P256, "form"),
        vector("an exponent", ocmf(payload(reading("2026-04-23T15:00:00,000+0000 S", "3e2")), P256), P256, "form"),
        vector("finer than a mWh", ocmf(payload(reading("2026-04-23T15:00:00,000+0000 S", "3.0000001")), P256), P256, "form"),
        vector("no such day", ocmf(payload(reading("2026-02-30T15:00:00,000+0000 S", "3.0")), P256), P256, "form"),
    ]


def check(vector):
    """Yields what is not as it should be. A text that has not the form is for the reader to refuse: there are many."""

    if vector["verdict"] == "form":
        return
    header, said, signature = bytes.fromhex(vector["bytes"]).decode().split("|")
    if header != "OCMF":
        yield f"begins with {header}"
    signature = json.loads(signature)
    algorithm = signature.get("SA", "ECDSA-secp256r1-SHA256")
    decode = base64.b64decode if signature.get("SE") == "base64" else bytes.fromhex
    key = load_der_public_key(bytes.fromhex(vector["key"]))
    if algorithm not in CURVES:
        verdict = "algorithm"
    elif CURVES[algorithm] != key.curve.name:
        verdict = "curve"
    else:
        try:
            key.verify(decode(signature["SD"]), said.encode(), ec.ECDSA(SHA256()))
            verdict = "verified"
        except InvalidSignature:
            verdict = "false"
    if verdict != vector["verdict"]:
        yield f"is {verdict} here"
    if readings_of(said) != vector["readings"]:
        yield f"says {readings_of(said)}"


if __name__ == "__main__":
    comment = "What meters sign, made by meters.py. The key is a SubjectPublicKeyInfo; energies are in mWh."
    FILE.write_text(json.dumps({"comment": comment, "vectors": vectors()}, indent=2) + "\n")
    sys.exit(any(fault for vector in vectors() for fault in check(vector)))
