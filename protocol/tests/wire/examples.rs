//! The messages that sizes are measured on, vectors are made of and forgers work with.

use std::collections::BTreeMap;

use gridtally_protocol::acknowledgement::{Acknowledgement, Declined, Stage};
use gridtally_protocol::beacon::Beacon;
use gridtally_protocol::channel::{Channel, DeviceNumber, Missing, Quality, Quantity};
use gridtally_protocol::commission::{CommissionRecord, Control, Failure, Step, StepRecord, StepResult};
use gridtally_protocol::identity::{Digest, SigningIdentity};
use gridtally_protocol::instruction::{Charge, Instruction, Level, Target};
use gridtally_protocol::message::SEQUENCE_MAX;
use gridtally_protocol::original::{Original, OriginalFormat};
use gridtally_protocol::quantity::{Asset, MilliwattHours, Milliwatts, TOKEN_AMOUNT_MAX, TokenAmount};
use gridtally_protocol::receipt::Receipt;
use gridtally_protocol::refusal::Refusal;
use gridtally_protocol::report::{ClockState, RESOLUTION_MAX, Report, Sample, Series};
use gridtally_protocol::resend::ResendRequest;
use gridtally_protocol::statement::{
    LINES_MAX, PartKind, SiteStatement, StatementLine, StatementPart, StatementTotals, ZeroReason,
};
use gridtally_protocol::time::{IntervalLength, Timestamp};

pub const GATEWAY_SEED: [u8; 32] = [0x11; 32];
pub const ENGINE_SEED: [u8; 32] = [0x22; 32];

pub fn gateway() -> SigningIdentity {
    SigningIdentity::from_secret(&GATEWAY_SEED).expect("a sound key")
}

pub fn engine() -> SigningIdentity {
    SigningIdentity::from_secret(&ENGINE_SEED).expect("a sound key")
}

pub fn instant(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

/// The five channels of a home: a meter (device 1), a PV inverter (2) and a battery inverter (3).
pub const HOME: [(u8, Quantity, u8); 5] = [
    (1, Quantity::GridImport, 2),
    (1, Quantity::GridExport, 2),
    (2, Quantity::PvProduction, 2),
    (3, Quantity::BatteryDischarge, 2),
    (3, Quantity::StateOfCharge, 2),
];

/// A report of the home's five channels: energies in steps of 0.1 Wh, the state of charge in steps of 0.1 %.
pub fn home_report(intervals: usize, sample: impl Fn(Quantity, usize) -> Sample) -> Report {
    let start = instant("2026-04-09T00:00:00Z");
    let span = 300 * i64::try_from(intervals).expect("small");
    let series = |(device, quantity, resolution)| Series {
        channel: Channel {
            device: DeviceNumber(device),
            quantity,
        },
        resolution,
        samples: (0..intervals).map(|index| sample(quantity, index)).collect(),
        qualities: BTreeMap::new(),
    };
    Report {
        sequence: 4321,
        previous: Digest::of(b"the report before"),
        issued_at: start.checked_add(span + 2).expect("in range"),
        clock: ClockState::Synchronised,
        start,
        interval: IntervalLength::FIVE_MINUTES,
        series: HOME.map(series).to_vec(),
        beacon: None,
    }
}

/// A spring day in a home with 8 kW of PV and a battery, in steps of 0.1 Wh per five minutes and of 0.1 %.
pub fn realistic(quantity: Quantity, index: usize) -> Sample {
    let at = i64::try_from(index).expect("small");
    let minute = at * 5 % 1440;
    let noon_distance = (minute - 765).abs();
    let cloud = (at * 2654 + 97) % 61;
    let sun = (400 - noon_distance).max(0);
    let pv = sun * sun / 40 + if sun > 0 { cloud } else { 0 };
    let load = 300 + (at * 7919) % 211 + if (1080..1320).contains(&minute) { 1400 } else { 0 };
    let evening = if (1080..1320).contains(&minute) { 1500 } else { 0 };
    let net = load - pv - evening;
    Ok(match quantity {
        Quantity::GridImport => net.max(0),
        Quantity::GridExport => (-net).max(0),
        Quantity::PvProduction => pv,
        Quantity::BatteryDischarge => evening,
        Quantity::BatteryCharge => 0,
        Quantity::StateOfCharge => {
            if minute < 1080 {
                250 + minute * 650 / 1080
            } else {
                (900 - (minute - 1080) * 3).max(200)
            }
        }
    })
}

pub fn instruction() -> Instruction {
    Instruction {
        sequence: 7,
        gateway: gateway().identity(),
        event: "2026-04-23-evening".parse().expect("an event's name"),
        issued_at: instant("2026-04-23T15:00:00Z"),
        expires_at: instant("2026-04-23T17:30:00Z"),
        start: instant("2026-04-23T17:00:00Z"),
        end: instant("2026-04-23T19:00:00Z"),
        target: Target::SetPoint(Milliwatts::new(3_000_000)),
        program: Some("evening-flex".parse().expect("a program's name")),
        price: Some("0.85".parse().expect("a price")),
    }
}

pub fn acknowledgement(stage: Stage) -> Acknowledgement {
    let instruction = Digest::of(b"the instruction's envelope");
    Acknowledgement {
        instruction,
        at: instant("2026-04-23T15:00:04Z"),
        stage,
    }
}

pub fn receipt() -> Receipt {
    let mut entries = vec![
        (Digest::of(b"a report that is held"), Ok(())),
        (Digest::of(b"a report that came too late"), Err(Refusal::TooLate)),
        (Digest::of(b"an acknowledgement that is held"), Ok(())),
    ];
    entries.sort();
    Receipt {
        gateway: gateway().identity(),
        issued_at: instant("2026-04-23T15:05:01Z"),
        entries,
    }
}

/// Reports that show every feature of the format, with their names.
pub fn reports() -> Vec<(&'static str, Report)> {
    let mut first = home_report(1, realistic);
    (first.sequence, first.previous, first.clock) = (1, Digest::NONE, ClockState::Unknown);
    let mut with_gaps = home_report(8, |quantity, index| match (quantity, index) {
        (Quantity::GridImport | Quantity::GridExport, 2..=4) => Err(Missing::Unreachable),
        (Quantity::PvProduction, 0) => Err(Missing::NoStart),
        (Quantity::PvProduction, 5) => Err(Missing::BadSample),
        (Quantity::PvProduction, 6) => Err(Missing::CounterFault),
        (Quantity::StateOfCharge, _) => Err(Missing::Unreachable),
        _ => Ok(i64::try_from(index).expect("small") * 37),
    });
    with_gaps.clock = ClockState::FreeRunning;
    let mut with_qualities = home_report(8, |quantity, index| match (quantity, index) {
        (Quantity::GridImport, 4) => Err(Missing::CounterReset),
        (Quantity::GridExport, 2) => Err(Missing::DeviceReplaced),
        (Quantity::PvProduction, 3 | 4) => Err(Missing::NotCovered),
        _ => Ok(i64::try_from(index).expect("small") * 37),
    });
    for (series, qualities) in with_qualities.series.iter_mut().zip([
        vec![
            (2, Quality::HeldBack),
            (3, Quality::HeldBack),
            (5, Quality::HeldBack),
        ],
        vec![(0, Quality::Rollover), (1, Quality::ScaleChanged)],
        [0, 1, 2, 5, 6, 7]
            .map(|index| (index, Quality::Integrated))
            .to_vec(),
        (0..8).map(|index| (index, Quality::FloatQuantum)).collect(),
    ]) {
        series.qualities = qualities.into_iter().collect();
    }
    let mut extremes = home_report(6, |_, index| {
        Ok([i64::MAX, i64::MIN, 0, -1, i64::MIN, i64::MAX][index])
    });
    extremes.sequence = SEQUENCE_MAX;
    extremes
        .series
        .iter_mut()
        .for_each(|series| series.resolution = 0);
    let mut coarse = home_report(2, |_, index| Ok([9_223_372_036, -9_223_372_036][index]));
    coarse
        .series
        .iter_mut()
        .for_each(|series| series.resolution = RESOLUTION_MAX);
    let mut hours = home_report(24, realistic);
    hours.interval = IntervalLength::from_seconds(3600).expect("an hour");
    hours.issued_at = hours.start.checked_add(24 * 3600).expect("in range");
    let mut latest = home_report(1, realistic);
    (latest.start, latest.issued_at) = (instant("9999-12-31T23:50:00Z"), instant("9999-12-31T23:59:59Z"));
    let mut earliest = home_report(1, realistic);
    (earliest.start, earliest.issued_at) = (Timestamp::EPOCH, instant("1970-01-01T00:05:00Z"));
    let mut wide = home_report(1, realistic);
    wide.series = (0_u8..32)
        .map(|n| Series {
            channel: Channel {
                device: DeviceNumber(n * 8),
                quantity: Quantity::ALL[usize::from(n) % 6],
            },
            resolution: n % 10,
            samples: vec![Ok(i64::from(n) - 16)],
            qualities: BTreeMap::new(),
        })
        .collect();
    let mut fresh = home_report(12, realistic);
    fresh.beacon = Some(Digest::of(b"the beacon's envelope"));
    let mut contradicted = home_report(3, realistic);
    contradicted.series[0].qualities = [(1, Quality::PowerMismatch), (2, Quality::PowerMismatch)].into();
    vec![
        ("one interval of a home", home_report(1, realistic)),
        ("twelve intervals of a home", home_report(12, realistic)),
        ("a day of a home", home_report(288, realistic)),
        (
            "swings of 9.8 kW",
            home_report(12, |_, index| Ok(if index % 2 == 0 { 8166 } else { 0 })),
        ),
        ("the first of a chain", first),
        ("missing samples", with_gaps),
        ("values to be taken with care", with_qualities),
        ("the ends of 64 bits", extremes),
        ("the coarsest resolution", coarse),
        ("intervals of an hour", hours),
        ("the latest instant", latest),
        ("the earliest instant", earliest),
        ("thirty-two channels", wide),
        ("with a beacon", fresh),
        ("a counter that its power contradicts", contradicted),
    ]
}

/// Instructions with their names.
pub fn instructions() -> Vec<(&'static str, Instruction)> {
    let extremes = Instruction {
        sequence: SEQUENCE_MAX,
        event: "z".repeat(64).parse().expect("an event's name"),
        issued_at: Timestamp::EPOCH,
        expires_at: instant("9999-12-31T23:59:59Z"),
        start: instant("9999-12-30T23:59:59Z"),
        end: instant("9999-12-31T23:59:59Z"),
        target: Target::SetPoint(Milliwatts::new(i64::MAX)),
        program: Some("_".repeat(64).parse().expect("a program's name")),
        price: Some("9.223372036854775807".parse().expect("a price")),
        ..instruction()
    };
    let least = Instruction {
        sequence: 1,
        event: "0".parse().expect("an event's name"),
        expires_at: instant("2026-04-23T15:00:01Z"),
        end: instant("2026-04-23T17:00:01Z"),
        target: Target::Simple(Level::Normal),
        program: None,
        price: None,
        ..instruction()
    };
    let with = |target| Instruction {
        target,
        ..instruction()
    };
    let full = Charge::from_thousandths(87_500).expect("a state of charge");
    let free = Instruction {
        program: None,
        price: Some("0".parse().expect("a price")),
        ..instruction()
    };
    vec![
        ("three kilowatts for two hours", instruction()),
        ("the largest of all", extremes),
        ("the least of all", least),
        ("charging", with(Target::SetPoint(Milliwatts::new(-2_500_000)))),
        (
            "the fastest charging",
            with(Target::SetPoint(Milliwatts::new(-i64::MAX))),
        ),
        ("idle", with(Target::SetPoint(Milliwatts::ZERO))),
        ("the special level", with(Target::Simple(Level::Special))),
        ("no import", with(Target::ImportLimit(Milliwatts::ZERO))),
        (
            "an export limit",
            with(Target::ExportLimit(Milliwatts::new(1_500_000))),
        ),
        ("a state of charge", with(Target::ChargeState(full))),
        ("a price of nothing, and no program", free),
    ]
}

/// An acknowledgement of every stage, and of every reason to opt out, with their names.
pub fn acknowledgements() -> Vec<(&'static str, Acknowledgement)> {
    let power = Milliwatts::new(2_500_000);
    let stages = [
        ("opted in", Stage::OptedIn(power)),
        ("opted in with nothing to give", Stage::OptedIn(Milliwatts::ZERO)),
        ("received", Stage::Received),
        (
            "opted in to charging",
            Stage::OptedIn(Milliwatts::new(-2_500_000)),
        ),
        ("written", Stage::Written(power)),
        ("read back", Stage::ReadBack(Milliwatts::new(i64::MAX))),
        (
            "observed four seconds later",
            Stage::Observed {
                power: Milliwatts::new(2_487_000),
                after_seconds: 4,
            },
        ),
        (
            "observed as late as can be, charging",
            Stage::Observed {
                power: Milliwatts::new(-i64::MAX),
                after_seconds: u32::MAX,
            },
        ),
        ("completed", Stage::Completed),
        ("stopped at the reserve", Stage::Stopped(Declined::ReserveReached)),
        ("stopped by a fault", Stage::Stopped(Declined::DeviceFault)),
        ("restored", Stage::Restored),
    ];
    let reasons = Declined::ALL.map(|why| (why.name(), Stage::OptedOut(why)));
    stages
        .into_iter()
        .chain(reasons)
        .map(|(name, stage)| (name, acknowledgement(stage)))
        .collect()
}

/// Resend requests with their names.
pub fn resends() -> Vec<(&'static str, ResendRequest)> {
    let request = |missed: &[u64]| {
        ResendRequest::of(
            gateway().identity(),
            instant("2026-04-23T15:10:00Z"),
            missed.iter().copied(),
        )
        .expect("something is missed")
    };
    let whole: Vec<u64> = (4_321..4_321 + 512).collect();
    vec![
        ("one report", request(&[17])),
        ("reports here and there", request(&[1, 2, 9, 30])),
        ("as many as one request holds", request(&whole)),
        (
            "the last number there is",
            request(&[SEQUENCE_MAX - 1, SEQUENCE_MAX]),
        ),
    ]
}

/// Beacons with their names.
pub fn beacons() -> Vec<(&'static str, Beacon)> {
    let beacon = |number, nonce, at| Beacon {
        number,
        nonce,
        issued_at: instant(at),
    };
    vec![
        (
            "an hour's beacon",
            beacon(
                2_712,
                *b"thirty-two bytes of no meaning..",
                "2026-04-23T17:00:00Z",
            ),
        ),
        ("the first of all", beacon(1, [0; 32], "1970-01-01T00:00:00Z")),
        (
            "the last number there is",
            beacon(SEQUENCE_MAX, [0xff; 32], "9999-12-31T23:59:59Z"),
        ),
    ]
}

/// Originals with their names: what is inside is for another reader to judge.
pub fn originals() -> Vec<(&'static str, Original)> {
    let original = |format, bytes: &[u8]| Original {
        device: DeviceNumber(1),
        format,
        taken_at: instant("2026-04-23T15:05:01Z"),
        bytes: bytes.to_vec(),
    };
    let text = br#"OCMF|{"RD":[{"TM":"2026-04-23T17:05:00,000+0200 S","RV":2935.712}]}|{"SD":"3006"}"#;
    vec![
        ("a text", original(OriginalFormat::Ocmf, &text[..])),
        (
            "registers",
            original(OriginalFormat::SunSpec220, &[0, 220, 0, 46]),
        ),
        (
            "chosen registers",
            original(OriginalFormat::SunSpec4, &[0, 4, 0, 64]),
        ),
        ("any bytes", original(OriginalFormat::Ocmf, &[0, 0x7c, 0xff])),
    ]
}

/// Commissioning records with their names: one that passed, and one for every way to fail.
pub fn commissions() -> Vec<(&'static str, CommissionRecord)> {
    let record = |results: &[(Step, StepResult)]| {
        let steps = results.iter().map(|(step, result)| StepRecord {
            step: *step,
            at: instant("2026-04-09T12:00:00Z")
                .checked_add(20 * i64::from(step.code()))
                .expect("in range"),
            result: *result,
            power: matches!(step, Step::Write | Step::Observe).then(|| Milliwatts::new(500_000)),
        });
        CommissionRecord {
            device: DeviceNumber(3),
            fingerprint: Some(0x8d1f_5c30_77a2_e901),
            control: Control::Battery,
            agent: "0.1.0".to_owned(),
            told: Milliwatts::new(500_000),
            reversion_seconds: 60,
            steps: steps.collect(),
        }
    };
    let passed = Step::ALL.map(|step| (step, StepResult::Passed));
    let without_meter = passed.map(|(step, result)| match step {
        Step::Meter | Step::Direction => (step, StepResult::Skipped),
        _ => (step, result),
    });
    let mut panels = record(&without_meter);
    (panels.control, panels.fingerprint, panels.device) = (Control::Production, None, DeviceNumber(255));
    let mut extremes = record(&without_meter);
    (extremes.fingerprint, extremes.told) = (Some(u64::MAX), Milliwatts::new(-i64::MAX));
    extremes.agent = "9.9.9-rc.1+A".repeat(3)[..32].to_owned();
    extremes.reversion_seconds = u32::MAX;
    for taken in &mut extremes.steps {
        taken.at = instant("9999-12-31T23:59:59Z");
        taken.power = Some(Milliwatts::new(i64::MAX));
    }
    let failed = Failure::ALL.map(|why| {
        let results = [
            (Step::Measure, StepResult::Passed),
            (Step::Save, StepResult::Passed),
            (Step::Write, StepResult::Failed(why)),
            (Step::Restore, StepResult::Passed),
        ];
        (why.name(), record(&results))
    });
    let mut all = vec![
        ("a battery that passed", record(&passed)),
        ("panels in a home without a meter", panels),
        ("the largest of all", extremes),
    ];
    all.extend(failed);
    all
}

/// Receipts with their names.
pub fn receipts() -> Vec<(&'static str, Receipt)> {
    let mut every = receipt();
    every.entries = Refusal::ALL
        .iter()
        .map(|r| (Digest::of(r.name().as_bytes()), Err(*r)))
        .collect();
    every.entries.sort();
    let mut many = receipt();
    many.entries = (0_u8..24).map(|n| (Digest::of(&[n]), Ok(()))).collect();
    many.entries.sort();
    vec![
        ("two held and one refused", receipt()),
        ("every reason", every),
        ("twenty-four held", many),
    ]
}

fn units(units: i128) -> TokenAmount {
    TokenAmount::new(units).expect("bounded")
}

/// Two hours at half an hour, paid 0.85 a kilowatt-hour in millionths; the last two intervals earn nothing.
pub fn statement() -> SiteStatement {
    let energy = |energy: i64| Some(MilliwattHours::new(energy));
    let compared = |baseline: i64, metered: i64, amount: i128| StatementLine {
        baseline: energy(baseline),
        metered: energy(metered),
        credited: MilliwattHours::new((baseline - metered).max(0)),
        amount: units(amount),
        reason: None,
    };
    let lines = vec![
        compared(612_500, -887_500, 1_275_000),
        compared(640_000, -860_003, 1_275_003),
        StatementLine {
            reason: Some(ZeroReason::NotReduced),
            ..compared(655_000, 655_000, 0)
        },
        StatementLine {
            metered: None,
            credited: MilliwattHours::ZERO,
            reason: Some(ZeroReason::MissingReading),
            ..compared(660_000, 0, 0)
        },
    ];
    SiteStatement {
        gateway: gateway().identity(),
        site: "home-1".to_owned(),
        program: "evening-flex".parse().expect("a name"),
        program_version: 3,
        program_hash: Digest::of(b"the program"),
        event: "2026-04-23-evening".parse().expect("a name"),
        version: 1,
        statement: Digest::of(b"the whole statement"),
        settled_at: instant("2026-04-25T06:00:00Z"),
        asset: Asset::new("FLEX", 6).expect("an asset"),
        start: instant("2026-04-23T17:00:00Z"),
        end: instant("2026-04-23T19:00:00Z"),
        interval: IntervalLength::HALF_HOUR,
        totals: StatementTotals::of(&lines).expect("small"),
        reason: None,
        lines,
        parts: Vec::new(),
    }
}

/// The largest that there can be: 288 lines of the widest numbers.
fn widest_statement() -> SiteStatement {
    let count = i64::try_from(LINES_MAX).expect("small");
    let most = TOKEN_AMOUNT_MAX / i128::from(count);
    let line = |negative: bool| {
        let sign = if negative { -1 } else { 1 };
        StatementLine {
            baseline: Some(MilliwattHours::new(sign * (i64::MAX / count))),
            metered: Some(MilliwattHours::new(sign * (i64::MAX / count))),
            credited: MilliwattHours::new(i64::MAX / count),
            amount: units(i128::from(sign) * most),
            reason: None,
        }
    };
    let mut lines: Vec<StatementLine> = (0..LINES_MAX).map(|index| line(index % 3 == 0)).collect();
    lines[0].amount = TokenAmount::ZERO;
    lines[0].reason = Some(ZeroReason::RoundedToZero);
    SiteStatement {
        site: "~".repeat(128),
        program: "p".repeat(64).parse().expect("a name"),
        program_version: u32::MAX,
        event: "e".repeat(64).parse().expect("a name"),
        version: u32::MAX,
        settled_at: instant("9999-12-31T23:59:59Z"),
        asset: Asset::new("ABCDEFGHIJ12", 18).expect("an asset"),
        start: instant("9999-12-30T00:00:00Z"),
        end: instant("9999-12-31T00:00:00Z"),
        interval: IntervalLength::FIVE_MINUTES,
        totals: StatementTotals::of(&lines).expect("bounded"),
        lines,
        ..statement()
    }
}

/// Statements with their names.
pub fn statements() -> Vec<(&'static str, SiteStatement)> {
    let nothing = |reason| {
        let mut nothing = statement();
        for line in &mut nothing.lines {
            (line.credited, line.amount, line.reason) =
                (MilliwattHours::ZERO, TokenAmount::ZERO, Some(reason));
        }
        if reason == ZeroReason::NoBaseline {
            nothing.lines.iter_mut().for_each(|line| line.baseline = None);
        }
        nothing.totals = StatementTotals::of(&nothing.lines).expect("small");
        nothing.reason = Some(reason);
        nothing
    };
    let mut long = statement();
    (long.interval, long.lines) = (IntervalLength::from_seconds(60).expect("a minute"), Vec::new());
    long.end = instant("2026-04-23T22:00:00Z");
    let mut corrected = statement();
    corrected.version = 2;
    let part = |kind, amount: Option<i128>, reason| StatementPart {
        kind,
        amount: amount.map(units),
        reason,
    };
    let mut parts = statement();
    parts.parts = vec![
        part(PartKind::Energy, None, Some(ZeroReason::NoPrice)),
        part(PartKind::Capacity, Some(5_000_000), None),
        part(PartKind::SeasonAverage, Some(-7_500_000), None),
        part(PartKind::Points, Some(0), Some(ZeroReason::CeilingReached)),
        part(PartKind::Pool, Some(TOKEN_AMOUNT_MAX / 4), None),
        part(PartKind::DataBonus, Some(0), Some(ZeroReason::NoQuality)),
        part(PartKind::Fee, Some(-1), None),
    ];
    let known = parts.parts.iter().filter_map(|part| part.amount);
    parts.totals.amount = TokenAmount::checked_sum(known).expect("bounded");
    let mut owed = statement();
    owed.parts = vec![part(PartKind::SeasonAverage, Some(-7_500_000), None)];
    owed.totals.amount = units(-7_500_000);
    let mut all = vec![
        ("paid by formulas, less a fee", parts),
        ("a home that owes", owed),
        ("a home that earned something", statement()),
        ("a second version", corrected),
        ("more intervals than fit", long),
        ("the largest of all", widest_statement()),
    ];
    all.extend(ZeroReason::ALL.map(|reason| (reason.name(), nothing(reason))));
    all
}
