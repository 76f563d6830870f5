"""A log, its checkpoints and its witnesses once more, written from the specifications and not from our code.

    independent.py write DIR NAME SECRET SIZES ENTRIES   writes a log in tiles with a checkpoint at every size
    independent.py check DIR LOG_KEY WITNESS_KEY OLD [PROOF...]
                                                         recomputes a log, and everything signed about it
    independent.py prove DIR SIZE OLD INDEX              prints the consistency and the inclusion proof, in hexadecimal
    independent.py cosign CHECKPOINT NAME SECRET SECONDS prints the key and the line of a cosignature

SECRET is 32 bytes in hexadecimal; ENTRIES is a file with an entry on every line. What does not hold is said in a
sentence, with exit code 1. Specifications: RFC 9162 section 2.1, c2sp.org/signed-note, /tlog-checkpoint,
/tlog-cosignature, /tlog-tiles and /tlog-proof. Of others it uses the signatures of `cryptography`.
"""

import base64
import hashlib
import struct
import sys
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

LOG, WITNESS = 1, 4


def fail(sentence):
    raise SystemExit(f"independent.py: {sentence}")


# RFC 9162 section 2.1, as it is defined there, by recursion over all leaves.


def leaf_hash(entry):
    return hashlib.sha256(b"\x00" + entry).digest()


def split(n):
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def mth(leaves):
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return hashlib.sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def inclusion(m, leaves):
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return inclusion(m, leaves[:k]) + [mth(leaves[k:])]
    return inclusion(m - k, leaves[k:]) + [mth(leaves[:k])]


def consistency(m, leaves, known=True):
    if m == len(leaves):
        return [] if known else [mth(leaves)]
    k = split(len(leaves))
    if m <= k:
        return consistency(m, leaves[:k], known) + [mth(leaves[k:])]
    return consistency(m - k, leaves[k:], False) + [mth(leaves[:k])]


def root_by_path(index, size, leaf, path):
    """Folds a path upwards: what remains of it belongs to the larger tree."""
    if size == 1:
        if path:
            fail("an inclusion proof is too long")
        return leaf
    if not path:
        fail("an inclusion proof is too short")
    k = split(size)
    if index < k:
        left, right = root_by_path(index, k, leaf, path[:-1]), path[-1]
    else:
        left, right = path[-1], root_by_path(index - k, size - k, leaf, path[:-1])
    return hashlib.sha256(b"\x01" + left + right).digest()


# Signed notes.


def key_id(name, kind, public):
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


def vkey(name, kind, public):
    return f"{name}+{key_id(name, kind, public).hex()}+{base64.b64encode(bytes([kind]) + public).decode()}"


def read_vkey(text, kind):
    name, hash_hex, encoded = text.split("+", 2)
    data = base64.b64decode(encoded, validate=True)
    if data[0] != kind or key_id(name, kind, data[1:]).hex() != hash_hex:
        fail(f"{text} is not a key of type {kind}")
    return name, bytes.fromhex(hash_hex), Ed25519PublicKey.from_public_bytes(data[1:])


def cosigned(seconds, text):
    return b"cosignature/v1\ntime %d\n" % seconds + text


def signature_line(name, kind, secret, text, seconds=None):
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret))
    public = key.public_key().public_bytes_raw()
    signature = key.sign(text)
    if kind == WITNESS:
        signature = struct.pack(">Q", seconds) + key.sign(cosigned(seconds, text))
    encoded = base64.b64encode(key_id(name, kind, public) + signature).decode()
    return vkey(name, kind, public), f"\u2014 {name} {encoded}\n"


def read_note(data):
    text, _, lines = data.rpartition(b"\n\n")
    signatures = []
    for line in lines.decode().splitlines():
        dash, name, encoded = line.split(" ")
        if dash != "\u2014":
            fail("a signature line does not begin with a dash")
        raw = base64.b64decode(encoded, validate=True)
        signatures.append((name, raw[:4], raw[4:]))
    return text + b"\n", signatures


def must_be_signed(data, key_text, kind):
    text, signatures = read_note(data)
    name, id_, key = read_vkey(key_text, kind)
    mine = [signature for who, which, signature in signatures if (who, which) == (name, id_)]
    if not mine:
        fail(f"{name} has not signed")
    for signature in mine:
        message = text
        if kind == WITNESS:
            (seconds,) = struct.unpack(">Q", signature[:8])
            message, signature = cosigned(seconds, text), signature[8:]
        try:
            key.verify(signature, message)
        except InvalidSignature:
            fail(f"the signature of {name} does not hold")
    return text


def read_checkpoint(text):
    origin, size, root = text.decode().splitlines()[:3]
    if str(int(size)) != size:
        fail("the size is not plain decimal")
    return origin, int(size), base64.b64decode(root, validate=True)


# Tiles.


def tile_path(kind, index, width):
    digits = f"{index % 1000:03}"
    rest = index // 1000
    while rest:
        digits = f"x{rest % 1000:03}/{digits}"
        rest //= 1000
    return f"tile/{kind}/{digits}" + ("" if width == 256 else f".p/{width}")


def read_tiles(directory, kind, count):
    """The bytes of all tiles of a level, one after another with their widths."""
    for index in range(-(-count // 256)):
        width = min(256, count - 256 * index)
        path = directory / tile_path(kind, index, width)
        if not path.is_file() and width < 256:
            path = directory / tile_path(kind, index, 256)
        if not path.is_file():
            fail(f"{path} is missing")
        yield width, path.read_bytes()


def read_entries(directory, size):
    entries = []
    for width, data in read_tiles(directory, "entries", size):
        here = []
        while data:
            (length,) = struct.unpack(">H", data[:2])
            here.append(data[2 : 2 + length])
            if len(here[-1]) != length:
                fail("a bundle of entries is cut")
            data = data[2 + length :]
        if len(here) < width:
            fail("a bundle has too few entries")
        entries += here[:width]
    return entries


def check_tiles(directory, hashes):
    """Every level of tiles against the hashes of the entries; how many tiles there are."""
    level, tiles = 0, 0
    while hashes:
        place = 0
        for width, data in read_tiles(directory, level, len(hashes)):
            if data[: 32 * width] != b"".join(hashes[place : place + width]):
                fail(f"a tile of level {level} has other hashes than those of the entries")
            place, tiles = place + width, tiles + 1
        hashes = [mth(hashes[i : i + 256]) for i in range(0, len(hashes) - 255, 256)]
        level += 1
    return tiles


def check(directory, log_key, witness_key, old, *proofs):
    directory = Path(directory)
    data = (directory / "checkpoint").read_bytes()
    text = must_be_signed(data, log_key, LOG)
    must_be_signed(data, witness_key, WITNESS)
    origin, size, root = read_checkpoint(text)
    if origin != log_key.split("+")[0]:
        fail(f"the log is called {origin}")
    entries = read_entries(directory, size)
    hashes = [leaf_hash(entry) for entry in entries]
    tiles = check_tiles(directory, hashes)
    if mth(hashes) != root:
        fail("the entries lead to another root")
    _, old_size, old_root = read_checkpoint(must_be_signed(Path(old).read_bytes(), log_key, LOG))
    if mth(hashes[:old_size]) != old_root:
        fail("the log does not begin with the older one")
    for proof in proofs:
        check_proof(Path(proof).read_bytes(), entries, log_key)
    print(f"{size} entries, {tiles} tiles, {len(proofs)} proofs, continues {old_size}")


def check_proof(data, entries, log_key):
    head, _, checkpoint = data.partition(b"\n\n")
    first, index, *path = head.decode().splitlines()
    if first != "c2sp.org/tlog-proof@v1" or not index.startswith("index "):
        fail("a proof is none")
    index = int(index.removeprefix("index "))
    _, size, root = read_checkpoint(must_be_signed(checkpoint, log_key, LOG))
    path = [base64.b64decode(line, validate=True) for line in path]
    if root_by_path(index, size, leaf_hash(entries[index]), path) != root:
        fail(f"the proof of leaf {index} leads to another root")


def prove(directory, size, old, index):
    hashes = [leaf_hash(entry) for entry in read_entries(Path(directory), int(size))]
    print(" ".join(hash.hex() for hash in consistency(int(old), hashes)))
    print(" ".join(hash.hex() for hash in inclusion(int(index), hashes)))


def write(directory, name, secret, sizes, entries_file):
    directory = Path(directory)
    entries = Path(entries_file).read_bytes().splitlines()
    for size in map(int, sizes.split(",")):
        part = entries[:size]
        for index in range(-(-size // 256)):
            some = part[256 * index : 256 * index + 256]
            bundle = b"".join(struct.pack(">H", len(entry)) + entry for entry in some)
            put(directory / tile_path("entries", index, len(some)), bundle)
        level, hashes = 0, [leaf_hash(entry) for entry in part]
        root = mth(hashes)
        while hashes:
            for index in range(-(-len(hashes) // 256)):
                some = hashes[256 * index : 256 * index + 256]
                put(directory / tile_path(level, index, len(some)), b"".join(some))
            hashes = [mth(hashes[i : i + 256]) for i in range(0, len(hashes) - 255, 256)]
            level += 1
        text = f"{name}\n{size}\n{base64.b64encode(root).decode()}\n"
        key, line = signature_line(name, LOG, secret, text.encode())
        put(directory / "checkpoint", f"{text}\n{line}".encode())
    print(key)


def put(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def cosign(checkpoint, name, secret, seconds):
    text, _ = read_note(Path(checkpoint).read_bytes())
    key, line = signature_line(name, WITNESS, secret, text, int(seconds))
    print(key)
    print(line, end="")


if __name__ == "__main__":
    commands = {"write": write, "check": check, "prove": prove, "cosign": cosign}
    commands[sys.argv[1]](*sys.argv[2:])
