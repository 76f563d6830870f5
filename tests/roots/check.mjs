// Checks payout roots with OpenZeppelin's own package. Reads from standard input what Gridtally made:
// {"trees": [{"leaves": [[address, amount], ...], "root": ..., "dump": {...}, "proofs": {address: [...]}}, ...]}
// Run: node check.mjs DIRECTORY, where DIRECTORY holds the node_modules of the package.json beside this file.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const require = createRequire(join(resolve(process.argv[2]), "package.json"));
const { StandardMerkleTree } = require("@openzeppelin/merkle-tree");

const encoding = ["address", "uint256"];
let proofs = 0;

// The last hexadecimal digit of a text, changed.
const spoilt = (text) => text.slice(0, -1) + (text.endsWith("0") ? "1" : "0");

function check({ leaves, root, dump, proofs: given }) {
    const own = StandardMerkleTree.of(leaves, encoding);
    assert.equal(root, own.root, "root");
    assert.deepEqual(dump.tree, own.dump().tree, "nodes");

    const loaded = StandardMerkleTree.load(dump);
    loaded.validate();
    assert.equal(loaded.root, root, "root of the dump");
    assert.equal(Object.keys(given).length, leaves.length, "a proof for each leaf");

    for (const [index, leaf] of own.entries()) {
        const proof = given[leaf[0]];
        assert.deepEqual(proof, own.getProof(index), `proof of ${leaf[0]}`);
        assert.ok(StandardMerkleTree.verify(root, encoding, leaf, proof), `claim of ${leaf[0]}`);
        assert.ok(!StandardMerkleTree.verify(spoilt(root), encoding, leaf, proof), "a spoilt root");
        const more = [leaf[0], (BigInt(leaf[1]) + 1n).toString()];
        assert.ok(!StandardMerkleTree.verify(root, encoding, more, proof), "a base unit more");
        if (proof.length > 0) {
            const other = [spoilt(proof[0]), ...proof.slice(1)];
            assert.ok(!StandardMerkleTree.verify(root, encoding, leaf, other), "a spoilt proof");
        }
        proofs += 1;
    }
    for (const [index, leaf] of loaded.entries()) {
        assert.deepEqual(loaded.getProof(index), given[leaf[0]], "proof by the dump");
    }
}

const { trees } = JSON.parse(readFileSync(0, "utf8"));
assert.ok(trees.length > 0, "there are trees to check");
trees.forEach(check);
console.log(`checked ${trees.length} trees and ${proofs} proofs`);
