#!/usr/bin/env python3
"""Writes a first corpus for every fuzz target from the published vectors: fuzz/corpus/<target>/."""

import hashlib
import json
from pathlib import Path

HERE = Path(__file__).resolve().parent
VECTORS = HERE / "../tests/vectors"


def seed(target, data):
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / hashlib.sha1(data).hexdigest()).write_bytes(data)


def vectors(name):
    return json.loads((VECTORS / f"{name}.json").read_text())["vectors"]


for message in ("report", "instruction", "acknowledgement", "receipt", "resend", "commission", "statement", "claim",
                "acceptance", "admission", "revocation", "rotation", "transfer", "beacon", "original"):
    for vector in vectors(message):
        seed(message, bytes.fromhex(vector["payload"]))
        seed("envelope", bytes.fromhex(vector["envelope"]))
for vector in vectors("refused"):
    seed("envelope", bytes.fromhex(vector["envelope"]))
for vector in vectors("identity"):
    seed("identity", bytes.fromhex(vector["public_key"]))
    seed("identity", vector.get("did_key", "did:key:z6Mk").encode())
    for topic in vector.get("topics", []):
        seed("topic", topic.encode())
GOLDENS = HERE / "../log/tests/goldens"
for target, name in (("note", "checkpoint"), ("checkpoint", "checkpoint"), ("log_proof", "leaf-1.tlog-proof")):
    seed(target, (GOLDENS / name).read_bytes())
entries = (GOLDENS / "entries").read_bytes()
seed("tile", b"\x01" + entries)
seed("tile", b"tile/0/x001/234.p/17")
seed("leaf", entries[2 : 2 + int.from_bytes(entries[:2])])
for text in ("0", "-12.345678", "9223372036854.775807", "-9223372036854.775808", "0.000", "9" * 38, "1e3"):
    for decimals in (0, 6, 18):
        seed("quantity", bytes([decimals]) + text.encode())
for day in ("011e0102050301011100010000010102140a1d", "0105", "011e02000100001fffffffffffffffffff01"):
    seed("day", bytes.fromhex(day))
