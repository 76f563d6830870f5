#!/usr/bin/env python3
"""An independent settlement, from docs/rules-baseline.md alone, in exact fractions.

    python3 settle.py < inputs.jsonl > expected.jsonl

Each line of the input is one settlement, as `SettlementInputs` serialises:

    {"program": {"zone": "Europe/London", "interval_seconds": 1800, "price_per_kwh": "850000",
                 "rounding": "half_even" | "down", "holidays": ["2026-04-03", ...],
                 "baseline": {"weekday": {"look_for", "keep", "minimum"}, "other": {...}, "lookback_days": 45,
                              "completeness": "whole_day" | "used_intervals", "low_use_below": "1/4" | null,
                              "select": "all" | "highest" | "middle",
                              "adjustment": {"kind": "none" | "ratio" | "additive",
                                             "windows": [{"anchor", "from_minutes", "to_minutes"}],
                                             "cap": {"low": "4/5", "high": "6/5"} | null}}, ...},
     "event": {"start": "2026-06-18T16:00:00Z", "end": ..., ...},
     "event_days": ["2026-06-11"], "carry_in": 0,
     "sites": [{"site": "home-01", "participation": "opted_in" | "no_answer" | {"opted_out": {...}},
                "outage_days": [...],
                "readings": [{"interval": {"start": "...Z", "length": 1800},
                              "net": {"energy": 123} | {"missing": "not_received" | ...}}]}]}

Each line of the output is what must come out of it:

    {"sites": [{"site", "days": [chosen, oldest first] | null, "factor": fraction or addend in mWh | null,
                "lines": [[start, raw, exact baseline, baseline, metered, credited, amount, reason]], "amount"}],
     "amount", "remainder", "posted", "carry_out", "escrow_debit"}

with fractions and amounts as strings. Nothing but Python's standard library is used.
"""

import json
import sys
from collections import defaultdict
from datetime import date, datetime, timedelta, timezone
from fractions import Fraction
from zoneinfo import ZoneInfo

MICRO = 1_000_000


class NoBaseline(Exception):
    pass


def nearest(value: Fraction) -> int:
    """To the nearest whole number; `round` of a Fraction goes to the even one on a tie."""
    return round(value)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def stamp(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Calendar:
    """Every interval around the event, filed under its local day and the time of the clock."""

    def __init__(self, inputs):
        program = inputs["program"]
        self.rule = program["baseline"]
        self.zone = ZoneInfo(program["zone"])
        self.step = timedelta(seconds=program["interval_seconds"])
        self.start, self.end = instant(inputs["event"]["start"]), instant(inputs["event"]["end"])
        self.event = self.between(self.start, self.end)
        self.windows = []
        for window in self.rule["adjustment"].get("windows", []):
            first, last = (timedelta(minutes=window[k]) for k in ("from_minutes", "to_minutes"))
            if window["anchor"] == "before_start":
                self.windows += self.between(self.start - first, self.start - last)
            else:
                self.windows += self.between(self.end + first, self.end + last)
        self.day = self.local(self.start)[0]
        self.holidays = {date.fromisoformat(d) for d in program["holidays"]}
        self.event_days = {date.fromisoformat(d) for d in inputs["event_days"]}
        self.event_days |= {self.local(i)[0] for i in self.event}
        self.of_day = defaultdict(list)
        self.of_clock = defaultdict(list)
        around = timedelta(days=self.rule["lookback_days"] + 4)
        for i in self.between(self.midnight() - around, self.midnight() + timedelta(days=5)):
            self.of_day[self.local(i)[0]].append(i)
            self.of_clock[self.local(i)].append(i)

    def midnight(self):
        return datetime(self.day.year, self.day.month, self.day.day, tzinfo=timezone.utc)

    def between(self, first, end):
        count = (end - first) // self.step
        return [first + n * self.step for n in range(count)]

    def local(self, moment):
        there = moment.astimezone(self.zone)
        return there.date(), there.time()

    def is_weekday(self, day):
        return day.weekday() < 5 and day not in self.holidays

    def offset(self, moment):
        """How many days after the event's day it is: where midnight is crossed, not zero."""
        return self.local(moment)[0] - self.day

    def alike(self, moment, day):
        """The intervals of a candidate day that show the same time of the clock as `moment`."""
        return self.of_clock[(day + self.offset(moment), self.local(moment)[1])]

    def touched(self, day):
        return {day} | {day + self.offset(i) for i in self.event + self.windows}

    def required(self, day):
        if self.rule["completeness"] == "used_intervals":
            return [j for i in self.event + self.windows for j in self.alike(i, day)]
        return [j for d in self.touched(day) for j in self.of_day[d]]


class Site:
    def __init__(self, calendar, site):
        self.calendar = calendar
        self.energy, self.missing = {}, {}
        for reading in site["readings"]:
            start = instant(reading["interval"]["start"])
            if "energy" in reading["net"]:
                self.energy[start] = reading["net"]["energy"]
            else:
                self.missing[start] = reading["net"]["missing"]
        self.outages = {date.fromisoformat(d) for d in site["outage_days"]}

    def at(self, moments):
        return [self.energy[m] for m in moments if m in self.energy]

    def event_mean(self, day):
        values = self.at(j for i in self.calendar.event for j in self.calendar.alike(i, day))
        return Fraction(sum(values), len(values)) if values else None

    def eligible(self, day):
        calendar = self.calendar
        touched = calendar.touched(day)
        return (
            calendar.is_weekday(day) == calendar.is_weekday(calendar.day)
            and not touched & calendar.event_days
            and not touched & self.outages
            and all(j in self.energy for j in calendar.required(day))
            and self.event_mean(day) is not None
        )

    def find(self, counts):
        """The eligible days, newest first."""
        rule, found = self.calendar.rule, []
        for back in range(1, rule["lookback_days"] + 1):
            if len(found) >= counts["look_for"]:
                break
            day = self.calendar.day - timedelta(days=back)
            if not self.eligible(day):
                continue
            found.append(day)
            if len(found) == counts["look_for"] and rule["low_use_below"] is not None:
                means = [self.event_mean(d) for d in found]
                least = Fraction(rule["low_use_below"]) * sum(means) / len(means)
                found = [d for d, mean in zip(found, means) if not mean < least]
        if len(found) < counts["minimum"]:
            raise NoBaseline
        return found

    def select(self, found, counts):
        select = self.calendar.rule["select"]
        if select == "highest":
            return sorted(found, key=lambda d: (self.event_mean(d), d), reverse=True)[: counts["keep"]]
        if select == "middle":
            by_total = sorted(found, key=lambda d: (sum(self.at(self.calendar.required(d))), d))
            return by_total[1:-1]
        return found

    def raw(self, moment, days):
        values = self.at(j for d in days for j in self.calendar.alike(moment, d))
        if not values:
            raise NoBaseline
        return Fraction(sum(values), len(values))

    def baseline(self):
        """(days, factor or addend, [(raw, exact)])"""
        calendar = self.calendar
        counts = calendar.rule["weekday" if calendar.is_weekday(calendar.day) else "other"]
        days = self.select(self.find(counts), counts)
        raw = [self.raw(i, days) for i in calendar.event]
        average = sum((self.raw(i, days) for i in calendar.windows), Fraction(0))
        metered = self.at(calendar.windows)
        if len(metered) < len(calendar.windows):
            raise NoBaseline
        adjustment = calendar.rule["adjustment"]
        if adjustment["kind"] == "none":
            return sorted(days), None, [(r, r) for r in raw]
        if adjustment["kind"] == "additive":
            addend = (sum(metered) - average) / len(calendar.windows)
            return sorted(days), addend, [(r, r + addend) for r in raw]
        factor = self.factor(sum(metered), average, adjustment["cap"])
        return sorted(days), factor, [(r, r * factor) for r in raw]

    @staticmethod
    def factor(metered, average, cap):
        if average <= 0 or (metered < 0 and cap is None):
            return Fraction(1)
        factor = metered / average
        if cap is None:
            return factor
        return min(max(factor, Fraction(cap["low"])), Fraction(cap["high"]))


def why_nothing(participation, missing, baseline, metered):
    if participation == "no_answer":
        return "no_answer"
    if participation != "opted_in":
        return "opted_out"
    if missing == "equivocation":
        return "equivocation"
    if baseline is None:
        return "no_baseline"
    if metered is None:
        return "missing_reading"
    if baseline <= metered:
        return "not_reduced"
    return None


def settle(inputs):
    calendar = Calendar(inputs)
    price = int(inputs["program"]["price_per_kwh"])
    whole = nearest if inputs["program"]["rounding"] == "half_even" else lambda value: value // 1
    total, remainder, sites = 0, Fraction(0), []
    for given in sorted(inputs["sites"], key=lambda s: s["site"]):
        site = Site(calendar, given)
        try:
            days, factor, values = site.baseline()
        except NoBaseline:
            days, factor, values = None, None, [(None, None)] * len(calendar.event)
        lines, earned = [], 0
        for start, (raw, exact) in zip(calendar.event, values):
            baseline = None if exact is None else nearest(exact)
            metered = site.energy.get(start)
            reason = why_nothing(given["participation"], site.missing.get(start), baseline, metered)
            credited = 0 if reason else baseline - metered
            worth = Fraction(credited * price, MICRO)
            amount = whole(worth)
            if not reason and amount == 0:
                reason = "zero_price" if price == 0 else "rounded_to_zero"
            remainder += worth - amount
            earned += amount
            shown = [None if v is None else str(v) for v in (raw, exact)]
            lines.append([stamp(start), *shown, baseline, metered, credited, str(amount), reason])
        total += earned
        sites.append(
            {
                "site": given["site"],
                "days": None if days is None else [d.isoformat() for d in days],
                "factor": None if factor is None else str(factor),
                "lines": lines,
                "amount": str(earned),
            }
        )
    millionths = remainder * MICRO
    assert millionths.denominator == 1
    posted, carry_out = divmod(int(millionths) + inputs["carry_in"], MICRO)
    return {
        "sites": sites,
        "amount": str(total),
        "remainder": int(millionths),
        "posted": str(posted),
        "carry_out": carry_out,
        "escrow_debit": str(total + posted),
    }


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(settle(json.loads(line))), flush=True)
