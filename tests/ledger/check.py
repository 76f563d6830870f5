"""Reads an export of the ledger with beancount and compares the balances with those that it is told.

check.py EXPORT.beancount BALANCES.json

BALANCES.json is what `gridtally engine ledger balances --json` prints. Exits with 1 and a sentence where beancount
finds an error or another balance.
"""

import decimal
import json
import sys
from collections import defaultdict

decimal.getcontext().prec = 60
decimal.getcontext().traps[decimal.Inexact] = True

from beancount import loader  # noqa: E402  (after the context is set)
from beancount.core import data  # noqa: E402


def main(export, balances_file):
    entries, errors, _ = loader.load_file(export)
    for error in errors:
        print(f"beancount: {error.message}", file=sys.stderr)
    if errors:
        return 1

    names = {e.account: e.meta["name"] for e in entries if isinstance(e, data.Open)}
    codes = {e.currency: e.meta["code"] for e in entries if isinstance(e, data.Commodity)}
    sums = defaultdict(decimal.Decimal)
    transactions = [e for e in entries if isinstance(e, data.Transaction)]
    for transaction in transactions:
        residual = defaultdict(decimal.Decimal)
        for posting in transaction.postings:
            residual[posting.units.currency] += posting.units.number
            sums[names[posting.account], codes[posting.units.currency]] += posting.units.number
        if any(residual.values()):
            print(f"{transaction.narration} is off by {dict(residual)}", file=sys.stderr)
            return 1
    asserted = sum(isinstance(e, data.Balance) for e in entries)

    with open(balances_file, encoding="utf-8") as file:
        expected = {
            (b["account"], b["asset"]["code"]): decimal.Decimal(b["amount"]).scaleb(-b["asset"]["decimals"])
            for b in json.load(file)["balances"]
        }
    for name, balance in expected.items():
        if sums.pop(name, 0) != balance:
            print(f"{name} holds {balance} in the ledger, but not in beancount", file=sys.stderr)
            return 1
    if sums:
        print(f"beancount knows accounts that the ledger does not: {list(sums)}", file=sys.stderr)
        return 1
    print(f"{len(transactions)} transactions, {len(expected)} balances, {asserted} assertions")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
