#!/usr/bin/env python3
"""The baselines a second time, from docs/rules-baseline.md alone, in exact fractions.

    python3 oracle.py cases 0 1000 > cases.jsonl      # the cases of the seeds 0 to 999
    python3 oracle.py answers < cases.jsonl           # what must come out of each

Cases are what `gridtally rules baseline --batch` reads; an answer has the parts of what it prints that are reckoned.
Nothing but Python's standard library is used.
"""

import json
import pathlib
import random
import sys
import tomllib
from datetime import date, datetime, timedelta, timezone
from fractions import Fraction
from functools import lru_cache
from zoneinfo import ZoneInfo

PRESETS = pathlib.Path(__file__).parents[2] / "config/programs/baselines"
WEEK = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
DAY = timedelta(days=1)
UTC = timezone.utc


class NoBaseline(Exception):
    def __init__(self, lacking, found=0, needed=1):
        super().__init__(lacking)
        self.lacking, self.found, self.needed = lacking, found, needed


# Time ------------------------------------------------------------------------------------------------------


@lru_cache(None)
def zone_of(name):
    return ZoneInfo(name)


@lru_cache(None)
def slots_of_day(zone, minutes, day):
    """The intervals that begin on a local day: [(instant in minutes, minute of the clock)]."""
    first = datetime(day.year, day.month, day.day, tzinfo=UTC) - DAY
    start = int(first.timestamp()) // 60
    slots = []
    for at in range(start - start % minutes, start + 3 * 24 * 60, minutes):
        local = datetime.fromtimestamp(at * 60, zone_of(zone))
        if local.date() == day:
            slots.append((at, local.hour * 60 + local.minute))
    return slots


def local(zone, at):
    moment = datetime.fromtimestamp(at * 60, zone_of(zone))
    return moment.date(), moment.hour * 60 + moment.minute


def minutes_of(text):
    return int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()) // 60


# Rules -----------------------------------------------------------------------------------------------------


@lru_cache(None)
def preset(name):
    return tomllib.loads((PRESETS / f"{name}.toml").read_text())


def day_types(rule):
    if "day_types" in rule:
        return rule["day_types"]
    working, rest = WEEK[:5], WEEK[5:] + ["holiday"]
    return [{"name": "weekday", "on": working, **rule["weekday"]}, {"name": "other", "on": rest, **rule["other"]}]


def half_even(value):
    return round(value)


class Run:
    """Consecutive readings, read when they are used."""

    def __init__(self, run, minutes):
        self.start, self.minutes, self.kwh = minutes_of(run["start"]), minutes, run["kwh"]

    def at(self, instant):
        place, rest = divmod(instant - self.start, self.minutes)
        if rest or not 0 <= place < len(self.kwh) or self.kwh[place] is None:
            return None
        return Fraction(self.kwh[place])


class Case:
    def __init__(self, case, rule):
        self.case, self.rule = case, rule
        self.zone, self.minutes = case["zone"], case["interval_minutes"]
        event = case["event"]
        self.start, self.end = minutes_of(event["start"]), minutes_of(event["end"])
        self.notified = minutes_of(event["notified"]) if event.get("notified") else None
        self.holidays = {date.fromisoformat(d) for d in case.get("holidays", [])}
        self.event = list(range(self.start, self.end, self.minutes))
        self.day = local(self.zone, self.start)[0]
        self.own_days = {local(self.zone, at)[0] for at in self.event}
        self.event_days = {date.fromisoformat(d) for d in case.get("event_days", [])} | self.own_days
        self.outages = {date.fromisoformat(d) for d in case.get("outage_days", [])}
        self.temperatures = {
            date.fromisoformat(d): Fraction(t) for d, t in (case.get("temperatures") or {}).items()
        }
        self.readings = Run(case["readings"], self.minutes)
        self.site_meter = Run(case["site_meter"], self.minutes) if case.get("site_meter") else None
        self.others = [Run(run, self.minutes) for run in case.get("others", [])]
        self.method = rule.get("method", "day_matching")
        self.adjustment = rule.get("adjustment", {"kind": "none"})
        windows = rule["windows"] if self.method == "same_day" else self.adjustment.get("windows", [])
        self.windows = [at for window in windows for at in self.window(window)]
        self.memory = {}
        self.chosen_days = None
        self.factor = None
        self.verdicts = {}

    def window(self, window):
        anchor, first, last = window["anchor"], window["from_minutes"], window["to_minutes"]
        if anchor == "after_end":
            span = self.end + first, self.end + last
        else:
            point = self.start if anchor == "before_start" else self.notified - self.notified % self.minutes
            span = point - first, point - last
        return range(*span, self.minutes)

    # The series, section 0 ---------------------------------------------------------------------------------

    def series(self, at):
        if at not in self.memory:
            self.memory[at] = self.look(at)
        return self.memory[at]

    def look(self, at):
        value = self.readings.at(at)
        if self.method == "generator_output":
            if value is None:
                return None
            if self.rule["charging"] == "zero" and value >= 0:
                value = Fraction(0)
            if self.rule["exports"] == "excluded" and value < 0:
                meter = self.site_meter.at(at)
                if meter is None:
                    return None
                value = min(value - min(meter, 0), Fraction(0))
            return value
        if value is None and "sample_minimum" in self.rule:
            sample = [v for v in (other.at(at) for other in self.others) if v is not None]
            if len(sample) >= self.rule["sample_minimum"]:
                return sum(sample) / len(sample)
        return value

    # Days, section 1 ---------------------------------------------------------------------------------------

    def kind(self, day):
        return "holiday" if day in self.holidays else WEEK[day.weekday()]

    def type_of(self, day):
        for day_type in day_types(self.rule):
            if self.kind(day) in day_type["on"]:
                return day_type
        return None

    def places(self, instants):
        """Where intervals lie: days from the event's, and the time of the clock."""
        located = (local(self.zone, at) for at in instants)
        return [((day - self.day).days, clock) for day, clock in located]

    def slots(self, day):
        return slots_of_day(self.zone, self.minutes, day)

    def there(self, day, place):
        offset, clock = place
        return [at for at, shown in self.slots(day + offset * DAY) if shown == clock]

    def values(self, day, place):
        found = (self.series(at) for at in self.there(day, place))
        return [value for value in found if value is not None]

    def required(self, day):
        if self.rule.get("completeness", "whole_day") == "whole_day":
            return [at for offset in self.offsets for at, _ in self.slots(day + offset * DAY)]
        return [at for place in self.used for at in self.there(day, place)]

    def missing(self, day):
        return sum(self.series(at) is None for at in self.required(day))

    def mean(self, day):
        values = [v for place in self.event_places for v in self.values(day, place)]
        return sum(values) / len(values)

    def total(self, day):
        return sum(self.series(at) for at in self.required(day))

    def unfit(self, day):
        """Reasons 3 to 6."""
        near = {day + offset * DAY for offset in self.offsets}
        if near & self.outages:
            return "outage_day"
        missing = self.missing(day)
        if missing:
            return {"incomplete": {"missing": missing}}
        if not any(self.there(day, place) for place in self.event_places):
            return "no_such_hours"
        if self.rule["select"] == "closest_temperature" and day not in self.temperatures:
            return "no_temperature"
        return None

    def similar(self):
        """The intervals of the event's day that similar days are known by."""
        if self.rule["select"] != "most_similar":
            return []
        gap = self.rule.get("similar_gap_minutes", 0)
        return [at for at, _ in self.slots(self.day) if not self.start - gap <= at < self.end + gap]

    def check_similar(self):
        known = [at for at in self.similar() if self.series(at) is not None]
        if not known or len(known) < len(self.similar()):
            raise NoBaseline("window_readings", len(known), max(1, len(self.similar())))

    def difference(self, day):
        """Of a day, from the event's; a day that has none of these hours is the least alike."""
        pairs = [
            abs(self.series(at) - there)
            for at, place in zip(self.similar(), self.places(self.similar()))
            for there in self.values(day, place)
        ]
        return (not pairs, sum(pairs) / len(pairs) if pairs else 0)

    def days(self):
        rule = self.rule
        day_type = self.type_of(self.day)
        if day_type is None:
            raise NoBaseline("day_type")
        if "sufficiency" in rule:
            enough = 0
            for back in range(1, rule["sufficiency"]["of"] + 1):
                slots = self.slots(self.day - back * DAY)
                known = sum(self.series(at) is not None for at, _ in slots)
                enough += bool(slots) and known >= Fraction(rule["sufficiency"]["share"]) * len(slots)
            if enough < rule["sufficiency"]["days"]:
                raise NoBaseline("recent_days", enough, rule["sufficiency"]["days"])
        if rule["select"] == "closest_temperature" and self.day not in self.temperatures:
            raise NoBaseline("temperature")
        if rule["select"] == "most_similar":
            self.check_similar()
        self.event_places, window_places = self.places(self.event), self.places(self.windows)
        self.used = self.event_places + window_places + self.places(self.similar())
        self.offsets = sorted({offset for offset, _ in self.used})
        look_for, minimum = day_type["look_for"], day_type["minimum"]
        found, dispatched = [], []
        for back in range(1, rule["lookback_days"] + 1):
            if len(found) == look_for:
                break
            day = self.day - back * DAY
            if self.type_of(day) != day_type:
                self.verdicts[day] = "other_day_type"
                continue
            near = {day + offset * DAY for offset in self.offsets}
            if near & self.event_days:
                self.verdicts[day] = "event_day"
                if not near & self.own_days:
                    dispatched.append(day)
                continue
            why = self.unfit(day)
            self.verdicts[day] = why or "chosen"
            if why:
                continue
            found.append(day)
            if "low_use_below" in rule and len(found) == look_for:
                means = [self.mean(d) for d in found]
                bound = Fraction(rule["low_use_below"]) * (sum(means) / len(means))
                self.verdicts |= {d: "low_use" for d, mean in zip(found, means) if mean < bound}
                found = [d for d, mean in zip(found, means) if mean >= bound]
        shortfall = rule.get("shortfall", "use_fewer")
        if shortfall == "fill_from_event_days_highest" and len(found) < minimum:
            fit = [d for d in dispatched if not self.unfit(d)]
            fit.sort(key=lambda d: (self.mean(d), d), reverse=True)
            filled = fit[: minimum - len(found)]
            self.verdicts |= {d: "filled_from_event_days" for d in filled}
            found += filled
            found.sort(reverse=True)
        needed = max(look_for, minimum) if shortfall == "none" else minimum
        if len(found) < needed:
            raise NoBaseline("days", len(found), needed)
        chosen = self.select(found, day_type)
        passed = {
            "highest": "not_among_highest",
            "closest_temperature": "not_among_closest",
            "most_similar": "not_among_similar",
        }.get(rule["select"])
        self.verdicts |= {d: passed for d in found if d not in chosen and passed}
        return chosen

    # Sections 2 and 3 --------------------------------------------------------------------------------------

    def select(self, found, day_type):
        select, keep = self.rule["select"], day_type["keep"]
        if select == "all":
            return found
        if select == "highest":
            return sorted(found, key=lambda d: (self.mean(d), d), reverse=True)[:keep]
        if select == "closest_temperature":
            own = self.temperatures[self.day]
            return sorted(found, key=lambda d: (abs(self.temperatures[d] - own), self.day - d))[:keep]
        if select == "most_similar":
            return sorted(found, key=lambda d: (self.difference(d), self.day - d))[:keep]
        in_order = sorted(found, key=lambda d: (self.total(d), d))
        self.verdicts |= {in_order[0]: "lowest_total", in_order[-1]: "highest_total"}
        return [d for d in found if d in in_order[1:-1]]

    def average(self, chosen, weights, place):
        values = [self.values(day, place) for day in chosen]
        if not any(values):
            raise NoBaseline("readings")
        if weights is None:
            return Fraction(sum(map(sum, values)), 1) / sum(map(len, values)), sum(map(len, values))
        pairs = [(Fraction(w), vs) for w, vs in zip(weights, values) if vs]
        sum_of_weights = sum(w for w, _ in pairs)
        return sum(w * sum(vs) / len(vs) for w, vs in pairs) / sum_of_weights, sum(map(len, values))

    def hours(self):
        return Fraction(self.minutes, 60)

    def raw(self):
        """Of the event's and of the windows' intervals."""
        rule = self.rule
        if self.adjustment["kind"] == "ratio" and "cap" not in self.adjustment and self.case.get("net_metered"):
            raise NoBaseline("ratio_cap")
        if self.method == "same_day":
            metered = self.metered()
            mean = sum(metered) / len(metered)
            return [(mean, len(metered))] * len(self.event), []
        if self.method == "firm_level":
            level = self.case.get("level_kw") or rule.get("level_kw")
            if level is None:
                raise NoBaseline("firm_level")
            return [(Fraction(level) * self.hours(), 0)] * len(self.event), []
        if self.method == "control_group":
            places = self.event + self.windows
            complete = [o for o in self.others if all(o.at(at) is not None for at in places)]
            if len(complete) < rule["controls_minimum"]:
                raise NoBaseline("controls", len(complete), rule["controls_minimum"])
            mean = lambda at: (sum(o.at(at) for o in complete) / len(complete), len(complete))
            return [mean(at) for at in self.event], [mean(at) for at in self.windows]
        if self.method == "generator_output" and rule["exports"] == "excluded" and self.site_meter is None:
            raise NoBaseline("site_meter")
        chosen = self.days()
        self.chosen_days = sorted(d.isoformat() for d in chosen)
        weights = self.type_of(self.day).get("weights")
        event = [self.average(chosen, weights, place) for place in self.event_places]
        return event, [self.average(chosen, weights, place) for place in self.places(self.windows)]

    def metered(self):
        values = [self.series(at) for at in self.windows]
        known = [v for v in values if v is not None]
        if len(known) < len(values):
            raise NoBaseline("window_readings", len(known), len(values))
        return known

    # Section 4 ---------------------------------------------------------------------------------------------

    def adjusted(self):
        raw, windows = self.raw()
        kind = self.adjustment["kind"]
        if kind == "none" or self.method in ("same_day", "firm_level"):
            return [(r, n, r) for r, n in raw]
        metered, average = sum(self.metered()), sum(r for r, _ in windows)
        count = len(windows)
        if kind == "ratio":
            cap = self.adjustment.get("cap")
            if average <= 0 or (cap is None and metered / average < 0):
                factor = Fraction(1)
            else:
                factor = metered / average
                if cap is not None:
                    factor = max(min(factor, Fraction(cap[1])), Fraction(cap[0]))
            self.factor = factor
            return [(r, n, r * factor) for r, n in raw]
        addend = (metered - average) / count
        low = high = None
        if "cap_kw" in self.adjustment:
            low, high = (Fraction(kw) * self.hours() for kw in self.adjustment["cap_kw"])
        elif "cap_share" in self.adjustment:
            high = Fraction(self.adjustment["cap_share"]) * max(average, 0) / count
            low = -high
        if low is not None:
            addend = max(min(addend, high), low)
        self.factor = addend
        return [(r, n, r + addend) for r, n in raw]


def work_out(case, rule):
    one = Case(case, rule)
    looked_at = lambda: [[day.isoformat(), one.verdicts[day]] for day in sorted(one.verdicts, reverse=True)]
    try:
        intervals = one.adjusted()
    except NoBaseline as refused:
        why = [rule["id"], refused.lacking, refused.found, refused.needed]
        return {"no_baseline": why, "candidates": looked_at()}
    text = lambda value: str(value)
    return {
        "rule": rule["id"],
        "candidates": looked_at(),
        "days": one.chosen_days or [],
        "applied": None if one.factor is None else text(one.factor),
        "intervals": [
            [n, text(raw), text(exact), half_even(exact * 1_000_000), nullable(one.series(at))]
            for at, (raw, n, exact) in zip(one.event, intervals)
        ],
    }


def nullable(value):
    return None if value is None else str(value)


def answer(case):
    rule = case.get("rule") or preset(case["preset"])
    first = work_out(case, rule)
    fallback = case.get("fallback")
    if "no_baseline" in first and fallback:
        second = work_out(case, preset(fallback) if isinstance(fallback, str) else fallback)
        key = "fallback" if "no_baseline" in second else "instead_of"
        if key == "fallback":
            first["fallback"] = second["no_baseline"]
        else:
            first = {**second, "instead_of": first["no_baseline"]}
    return {"id": case["id"], **first}


# Cases -----------------------------------------------------------------------------------------------------


class Maker:
    ZONES = [
        "Europe/London", "America/Los_Angeles", "Australia/Sydney", "Asia/Kolkata", "Australia/Lord_Howe", "UTC",
    ]
    CHANGES = {
        "Europe/London": ["2026-03-29", "2026-10-25"],
        "America/Los_Angeles": ["2026-03-08", "2026-11-01"],
        "Australia/Sydney": ["2026-04-05", "2026-10-04"],
        "Australia/Lord_Howe": ["2026-04-05", "2026-10-04"],
    }

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.seed = seed

    def one_in(self, n):
        return self.random.randrange(n) == 0

    def make(self):
        r = self.random
        names = sorted(path.stem for path in PRESETS.glob("*.toml"))
        case = {"id": self.seed}
        if self.seed % 2:
            case["preset"] = names[self.seed // 2 % len(names)]
            rule = preset(case["preset"])
        else:
            rule = case["rule"] = self.rule()
        if self.one_in(6):
            case["fallback"] = r.choice(names) if self.one_in(2) else self.rule()
        zone = case["zone"] = r.choice(self.ZONES)
        # Lord Howe's clock changes by half an hour, which longer intervals cannot follow.
        lengths = [30, 30, 15, 10] if zone == "Australia/Lord_Howe" else [60, 60, 60, 30, 20, 15]
        minutes = case["interval_minutes"] = r.choice(lengths)
        day = self.day_for(zone)
        # Those of the night are where clocks jump, in one zone or another.
        hour = r.choice([0, 1, 2, 6, 9, 10, 15, 16, 17, 17, 18, 23]) * 60 + r.randrange(60)
        start = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) // 60 + hour
        start -= start % minutes
        end = start + minutes * r.randint(1, max(1, r.choice([60, 120, 180, 600]) // minutes))
        event = case["event"] = {"start": stamp(start), "end": stamp(end)}
        event["notified"] = stamp(start - r.choice([0, 10, 60, 121, 600, 1440, 3000]))
        around = lambda n: [(day - DAY * r.randint(-1, 60)).isoformat() for _ in range(n)]
        case["holidays"] = sorted(set(around(r.choice([0, 0, 1, 4]))))
        case["event_days"] = sorted(set(around(r.choice([0, 1, 5, 30]))))
        case["outage_days"] = sorted(set(around(r.choice([0, 0, 1, 3]))))
        uses = [rule] + [preset(f) if isinstance(f, str) else f for f in [case.get("fallback")] if f]
        back = max(u.get("lookback_days", 2) for u in uses)
        back = min(back, r.choice([8, 12, 20, 35, 70]))
        first = start - (back + 3) * 24 * 60
        first -= first % minutes
        count = (end + 1440 - first) // minutes
        case["readings"] = {"start": stamp(first), "kwh": self.readings(count)}
        methods = {u.get("method", "day_matching") for u in uses}
        if "generator_output" in methods and not self.one_in(12):
            case["site_meter"] = {"start": stamp(first), "kwh": self.readings(count)}
        sampled = any("sample_minimum" in u for u in uses)
        if "control_group" in methods or sampled:
            from_there = first if sampled else start - start % minutes - 24 * 60
            near = (end + 1440 - from_there) // minutes
            number = r.choice([0, 3, 8, 30, 160]) if "control_group" in methods else r.randint(2, 7)
            others = [{"start": stamp(from_there), "kwh": self.readings(near, gaps=400)} for _ in range(number)]
            case["others"] = others
        if any(u.get("select") == "closest_temperature" for u in uses):
            days = [day - DAY * n for n in range(back + 2)]
            case["temperatures"] = {
                d.isoformat(): str(r.randint(-5, 35)) + r.choice(["", ".5", ".25"])
                for d in days
                if not self.one_in(15)
            }
        if self.one_in(4):
            case["net_metered"] = self.one_in(2)
        if self.one_in(3):
            case["level_kw"] = f"{r.randint(0, 9)}.{r.randint(0, 999):03}"
        return case

    def day_for(self, zone):
        change = self.CHANGES.get(zone)
        if change and self.one_in(2):
            return date.fromisoformat(self.random.choice(change)) + DAY * self.random.choice([0, 0, 1, 1, 2, 5, 8])
        return date(2026, 1, 1) + DAY * self.random.randrange(365)

    def readings(self, count, gaps=None):
        r = self.random
        # Of many sites at once: of one size, so that their sum fits 128 bits.
        scale = 3_000 if gaps else r.choice([1, 100, 3_000, 3_000, 3_000, 10**9])
        # Very large values with very many decimals leave 128 bits where a ratio is taken.
        decimals = 3 if gaps else min(r.choice([3, 3, 3, 6, 12]), 6 if scale == 10**9 else 12)
        gaps = gaps or r.choice([0, 0, 0, 400, 60, 10])
        low = -scale if self.one_in(3) else 0
        few = self.one_in(4)

        def value():
            if gaps and r.randrange(gaps) == 0:
                return None
            number = r.randint(low, scale) if not few else r.choice([low, 0, scale])
            sign, number = ("-" if number < 0 else ""), abs(number)
            return f"{sign}{number // 1000}.{number % 1000:03}" + "".join(
                str(r.randrange(10)) for _ in range(decimals - 3)
            )

        return [value() for _ in range(count)]

    def rule(self):
        r = self.random
        method = r.choice(["day_matching"] * 6 + ["generator_output", "same_day", "firm_level", "control_group"])
        rule = {"id": f"rule_{self.seed}", "method": method}
        if method in ("day_matching", "generator_output"):
            self.of_days(rule)
        if method == "generator_output":
            rule["exports"] = r.choice(["counted", "excluded"])
            rule["charging"] = r.choice(["counted", "zero"])
        if method == "same_day":
            rule["windows"] = self.windows()
        if method == "firm_level" and self.one_in(2):
            rule["level_kw"] = f"{r.randint(0, 5)}.{r.randint(0, 99):02}"
        if method == "control_group":
            rule["controls_minimum"] = r.randint(1, 8)
        if method not in ("same_day", "firm_level"):
            rule["adjustment"] = self.adjustment()
        return rule

    def of_days(self, rule):
        r = self.random
        rule["lookback_days"] = r.choice([2, 5, 9, 14, 20, 30, 45])
        rule["completeness"] = r.choice(["whole_day", "used_intervals"])
        selects = ["all", "all", "highest", "highest", "middle", "closest_temperature", "most_similar"]
        select = rule["select"] = r.choice(selects)
        if select == "most_similar" and self.one_in(2):
            rule["similar_gap_minutes"] = r.choice([0, 30, 60, 180, 1440])
        rule["shortfall"] = r.choice(["use_fewer", "use_fewer", "none", "fill_from_event_days_highest"])
        if self.one_in(4):
            rule["low_use_below"] = r.choice(["0.1", "0.25", "0.5", "0.9", "0.99"])
        if self.one_in(6):
            of = r.randint(1, min(20, rule["lookback_days"]))
            share = r.choice(["0.5", "0.8", "1"])
            rule["sufficiency"] = {"days": r.randint(1, of), "of": of, "share": share}
        if rule["method"] == "day_matching" and self.one_in(8):
            rule["sample_minimum"] = r.randint(1, 5)
        if self.one_in(2):
            rule["weekday"], rule["other"] = self.counts(select), self.counts(select)
        else:
            kinds = WEEK + ["holiday"]
            r.shuffle(kinds)
            cuts = sorted(r.sample(range(1, 8), r.randint(1, 3)))
            groups = [kinds[a:b] for a, b in zip([0] + cuts, cuts + [8])]
            if self.one_in(3):
                groups.pop()
            rule["day_types"] = [
                {"name": f"type_{n}", "on": on, **self.counts(select)} for n, on in enumerate(groups)
            ]

    def counts(self, select):
        r = self.random
        look_for = r.randint(3, 12) if select == "middle" else r.choice([1, 2, 3, 5, 8, 12])
        least = 3 if select == "middle" else 1
        minimum = r.choice([least, r.randint(least, look_for)])
        keep = {"all": look_for, "middle": look_for - 2}.get(select) or r.randint(1, look_for)
        counts = {"look_for": look_for, "keep": keep, "minimum": minimum}
        if self.one_in(4):
            parts = [r.randint(1, 9) for _ in range(keep)]
            cut = [10_000 * part // sum(parts) for part in parts]
            cut[0] += 10_000 - sum(cut)
            counts["weights"] = [f"{part // 10_000}.{part % 10_000:04}" for part in cut]
        return counts

    def windows(self):
        r = self.random
        windows = []
        for _ in range(r.randint(1, 3)):
            anchor = r.choice(["before_start", "before_start", "before_notification", "after_end"])
            near, length = r.choice([0, 60, 120, 240]), r.choice([60, 120, 180])
            ends = {"from_minutes": near, "to_minutes": near + length}
            if anchor != "after_end":
                ends = {"from_minutes": near + length, "to_minutes": near}
            windows.append({"anchor": anchor, **ends})
        return windows

    def adjustment(self):
        r = self.random
        kind = r.choice(["none", "ratio", "additive"])
        adjustment = {"kind": kind}
        if kind != "none":
            adjustment["windows"] = self.windows()
        if kind == "ratio" and not self.one_in(3):
            adjustment["cap"] = [r.choice(["0", "0.5", "0.8"]), r.choice(["1", "1.2", "2"])]
        if kind == "additive" and self.one_in(2):
            adjustment["cap_kw"] = [r.choice(["-2", "-0.5", "0"]), r.choice(["0", "0.25", "3"])]
        elif kind == "additive" and self.one_in(2):
            adjustment["cap_share"] = r.choice(["0.2", "0.5", "1"])
        return adjustment


def stamp(minutes):
    return datetime.fromtimestamp(minutes * 60, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def main():
    if sys.argv[1] == "cases":
        for seed in range(int(sys.argv[2]), int(sys.argv[3])):
            print(json.dumps(Maker(seed).make(), separators=(",", ":")))
    else:
        for line in sys.stdin:
            print(json.dumps(answer(json.loads(line)), separators=(",", ":")))


if __name__ == "__main__":
    main()
