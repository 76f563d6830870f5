//! Arbitrary valid messages.

use std::collections::{BTreeMap, BTreeSet};

use gridtally_protocol::acknowledgement::{Acknowledgement, Declined, Stage};
use gridtally_protocol::agreement::{
    Acceptance, Admission, Claim, ClaimedDevice, GROUPS_MAX, Holder, Revocation, RevocationReason, Rotation,
    Transfer,
};
use gridtally_protocol::beacon::Beacon;
use gridtally_protocol::channel::{Channel, DeviceNumber, Missing, Quality, Quantity};
use gridtally_protocol::commission::{CommissionRecord, Control, Failure, Step, StepRecord, StepResult};
use gridtally_protocol::identity::{Digest, Identity, SigningIdentity};
use gridtally_protocol::instruction::{Charge, EVENT_SECONDS_MAX, Instruction, Level, Target};
use gridtally_protocol::location::CoarseLocation;
use gridtally_protocol::message::SEQUENCE_MAX;
use gridtally_protocol::original::{ORIGINAL_LEN_MAX, Original, OriginalFormat};
use gridtally_protocol::price::{PRICE_DECIMALS_MAX, Price};
use gridtally_protocol::quantity::{Asset, MilliwattHours, Milliwatts, TOKEN_AMOUNT_MAX, TokenAmount};
use gridtally_protocol::receipt::{ENTRIES_MAX, Receipt};
use gridtally_protocol::refusal::Refusal;
use gridtally_protocol::report::{
    ClockState, RESOLUTION_MAX, Report, SAMPLES_MAX, SERIES_MAX, Sample, Series,
};
use gridtally_protocol::resend::{BITMAP_LEN_MAX, ResendRequest};
use gridtally_protocol::statement::{
    LINES_MAX, PARTS_MAX, PartKind, SiteStatement, StatementLine, StatementPart, StatementTotals, ZeroReason,
};
use gridtally_protocol::time::{IntervalLength, Timestamp};
use proptest::prelude::*;
use proptest::sample::select;

/// 9999-12-31T23:59:59Z.
const LATEST: i64 = 253_402_300_799;

pub fn key() -> impl Strategy<Value = SigningIdentity> {
    any::<[u8; 32]>().prop_map(|seed| SigningIdentity::from_secret(&seed).expect("a sound key"))
}

fn identity() -> impl Strategy<Value = Identity> {
    key().prop_map(|key| key.identity())
}

pub fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest::from_bytes)
}

fn instant(unix: i64) -> Timestamp {
    Timestamp::from_unix(unix).expect("within the years")
}

/// Whole numbers of all magnitudes alike: their encodings have all lengths.
fn magnitude(max: u64) -> impl Strategy<Value = u64> {
    (0_u32..64, any::<u64>()).prop_map(move |(shift, value)| (value >> shift).min(max))
}

fn sequence() -> impl Strategy<Value = u64> {
    magnitude(SEQUENCE_MAX).prop_map(|n| n.max(1))
}

fn unix() -> impl Strategy<Value = i64> {
    magnitude(LATEST.unsigned_abs()).prop_map(|s| i64::try_from(s).expect("bounded"))
}

/// Not negative.
fn limit() -> impl Strategy<Value = Milliwatts> {
    magnitude(i64::MAX.unsigned_abs()).prop_map(|p| Milliwatts::new(i64::try_from(p).expect("bounded")))
}

fn power() -> impl Strategy<Value = Milliwatts> {
    (any::<bool>(), limit())
        .prop_map(|(negative, p)| Milliwatts::new(if negative { -p.get() } else { p.get() }))
}

fn target() -> impl Strategy<Value = Target> {
    let charge = (0..=Charge::FULL.thousandths())
        .prop_map(|c| Charge::from_thousandths(c).expect("a state of charge"));
    prop_oneof![
        select(&Level::ALL).prop_map(Target::Simple),
        power().prop_map(Target::SetPoint),
        limit().prop_map(Target::ImportLimit),
        limit().prop_map(Target::ExportLimit),
        charge.prop_map(Target::ChargeState),
    ]
}

fn price() -> impl Strategy<Value = Price> {
    (limit(), 0..=PRICE_DECIMALS_MAX)
        .prop_map(|(digits, decimals)| Price::new(digits.get().into(), decimals).expect("it fits"))
}

fn sample(resolution: u8) -> impl Strategy<Value = Sample> {
    let max = i64::MAX / 10_i64.pow(resolution.into());
    let step = (any::<bool>(), magnitude(max.unsigned_abs())).prop_map(|(negative, size)| {
        let size = i64::try_from(size).expect("bounded");
        if negative { -size } else { size }
    });
    prop_oneof![5 => step.prop_map(Ok), 1 => Just(Ok(max)), 1 => Just(Ok(-max)), 2 => select(&Missing::ALL).prop_map(Err)]
}

fn channels() -> impl Strategy<Value = BTreeSet<Channel>> {
    let channel = (any::<u8>(), select(&Quantity::ALL)).prop_map(|(device, quantity)| Channel {
        device: DeviceNumber(device),
        quantity,
    });
    prop_oneof![
        9 => prop::collection::btree_set(channel.clone(), 1..6),
        1 => prop::collection::btree_set(channel, SERIES_MAX),
    ]
}

/// Mostly none, sometimes few, sometimes many.
fn qualities(count: usize) -> impl Strategy<Value = BTreeMap<u16, Quality>> {
    let index = 0..u16::try_from(count).expect("bounded");
    let some = |max| prop::collection::btree_map(index.clone(), select(&Quality::ALL), 0..=max);
    prop_oneof![2 => Just(BTreeMap::new()), 1 => some(3), 1 => some(count)]
}

fn series(channel: Channel, count: usize) -> impl Strategy<Value = Series> {
    (0..=RESOLUTION_MAX).prop_flat_map(move |resolution| {
        let samples = prop::collection::vec(sample(resolution), count);
        (samples, qualities(count)).prop_map(move |(samples, mut qualities)| {
            qualities.retain(|index, _| samples[usize::from(*index)].is_ok());
            Series {
                channel,
                resolution,
                samples,
                qualities,
            }
        })
    })
}

pub fn report() -> impl Strategy<Value = Report> {
    let count = prop_oneof![20 => 1_usize..30, 1 => Just(SAMPLES_MAX)];
    let all_series = (channels(), count).prop_flat_map(|(channels, count)| {
        channels
            .into_iter()
            .map(|channel| series(channel, count))
            .collect::<Vec<_>>()
    });
    let lengths: Vec<IntervalLength> = (0..=3600)
        .filter_map(|seconds| IntervalLength::from_seconds(seconds).ok())
        .collect();
    let clock = select(&[
        ClockState::Unknown,
        ClockState::FreeRunning,
        ClockState::Synchronised,
    ]);
    (
        sequence(),
        digest(),
        clock,
        select(lengths),
        unix(),
        0_i64..100_000,
        (all_series, prop::option::of(digest())),
    )
        .prop_map(
            |(sequence, previous, clock, interval, unix, delay, (series, beacon))| {
                let span =
                    i64::from(interval.seconds()) * i64::try_from(series[0].samples.len()).expect("bounded");
                let start = instant(unix.min(LATEST - span - delay)).floor_to(interval);
                let issued_at = instant(start.unix() + span + delay);
                let previous = if sequence == 1 { Digest::NONE } else { previous };
                Report {
                    sequence,
                    previous,
                    issued_at,
                    clock,
                    start,
                    interval,
                    series,
                    beacon,
                }
            },
        )
}

pub fn beacon() -> impl Strategy<Value = Beacon> {
    (sequence(), any::<[u8; 32]>(), unix()).prop_map(|(number, nonce, at)| Beacon {
        number,
        nonce,
        issued_at: instant(at),
    })
}

pub fn instruction() -> impl Strategy<Value = Instruction> {
    let times = (
        2..=LATEST,
        1..=EVENT_SECONDS_MAX,
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
    );
    let offer = (prop::option::of("[a-z0-9_-]{1,64}"), prop::option::of(price()));
    (sequence(), identity(), "[a-z0-9-]{1,64}", times, target(), offer).prop_map(
        |(sequence, gateway, event, (end, length, expires, issued), target, (program, price))| {
            let length = length.min(end);
            let at = |index: prop::sample::Index, max: i64| {
                let max = usize::try_from(max).expect("64 bits");
                i64::try_from(index.index(max)).expect("bounded")
            };
            let expires_at = at(expires, end) + 1;
            let issued_at = at(issued, expires_at);
            Instruction {
                sequence,
                gateway,
                event: event.parse().expect("well formed"),
                issued_at: instant(issued_at),
                expires_at: instant(expires_at),
                start: instant(end - length),
                end: instant(end),
                target,
                program: program.map(|name| name.parse().expect("well formed")),
                price,
            }
        },
    )
}

pub fn acknowledgement() -> impl Strategy<Value = Acknowledgement> {
    let stage = prop_oneof![
        power().prop_map(Stage::OptedIn),
        power().prop_map(Stage::Written),
        power().prop_map(Stage::ReadBack),
        select(&Declined::ALL).prop_map(Stage::OptedOut),
        select(&Declined::ALL).prop_map(Stage::Stopped),
        (power(), any::<u32>()).prop_map(|(power, after_seconds)| Stage::Observed { power, after_seconds }),
        select(&[Stage::Received, Stage::Completed, Stage::Restored]),
    ];
    (digest(), unix(), stage).prop_map(|(instruction, at, stage)| Acknowledgement {
        instruction,
        at: instant(at),
        stage,
    })
}

pub fn receipt() -> impl Strategy<Value = Receipt> {
    let verdict = prop_oneof![Just(Ok(())), select(&Refusal::ALL).prop_map(Err)];
    let entries = prop_oneof![9 => 1_usize..10, 1 => Just(ENTRIES_MAX)]
        .prop_flat_map(move |size| prop::collection::vec((digest(), verdict.clone()), size));
    (identity(), unix(), entries).prop_map(|(gateway, issued_at, entries)| Receipt {
        gateway,
        issued_at: instant(issued_at),
        entries: entries
            .into_iter()
            .collect::<BTreeMap<_, _>>()
            .into_iter()
            .collect(),
    })
}

pub fn resend() -> impl Strategy<Value = ResendRequest> {
    let first = magnitude(SEQUENCE_MAX - 512).prop_map(|n| n.max(1));
    let bitmap = prop_oneof![9 => 1_usize..8, 1 => Just(BITMAP_LEN_MAX)]
        .prop_flat_map(|len| prop::collection::vec(any::<u8>(), len));
    (identity(), unix(), first, bitmap).prop_map(|(gateway, issued_at, first_sequence, mut bitmap)| {
        bitmap[0] |= 1;
        let last = bitmap.len() - 1;
        bitmap[last] |= 1;
        ResendRequest {
            gateway,
            issued_at: instant(issued_at),
            first_sequence,
            bitmap,
        }
    })
}

pub fn original() -> impl Strategy<Value = Original> {
    let len = prop_oneof![9 => 1_usize..600, 1 => Just(ORIGINAL_LEN_MAX)];
    let bytes = len.prop_flat_map(|len| prop::collection::vec(any::<u8>(), len));
    (any::<u8>(), select(OriginalFormat::ALL.to_vec()), unix(), bytes).prop_map(
        |(device, format, taken_at, bytes)| Original {
            device: DeviceNumber(device),
            format,
            taken_at: instant(taken_at),
            bytes,
        },
    )
}

pub fn commission() -> impl Strategy<Value = CommissionRecord> {
    let result = prop_oneof![
        3 => Just(StepResult::Passed),
        1 => Just(StepResult::Skipped),
        1 => select(Failure::ALL.to_vec()).prop_map(StepResult::Failed),
    ];
    let power = || any::<i64>().prop_map(|power| Milliwatts::new(power.max(-i64::MAX)));
    let taken = (result, prop::option::of(power()));
    let steps = prop::collection::btree_map(select(Step::ALL.to_vec()), taken, 1..=Step::ALL.len());
    let device = (
        any::<u8>(),
        prop::option::of(any::<u64>()),
        select(Control::ALL.to_vec()),
    );
    (
        device,
        "[0-9A-Za-z.+-]{1,32}",
        power(),
        any::<u32>(),
        unix(),
        steps,
    )
        .prop_map(
            |((device, fingerprint, control), agent, told, reversion_seconds, at, steps)| CommissionRecord {
                device: DeviceNumber(device),
                fingerprint,
                control,
                agent,
                told,
                reversion_seconds,
                steps: steps
                    .into_iter()
                    .map(|(step, (result, power))| StepRecord {
                        step,
                        at: instant(at),
                        result,
                        power,
                    })
                    .collect(),
            },
        )
}

/// Of every size, a sum of 288 of which still fits.
fn energy() -> impl Strategy<Value = MilliwattHours> {
    (any::<bool>(), magnitude(i64::MAX.unsigned_abs() / 512)).prop_map(|(negative, size)| {
        let size = i64::try_from(size).expect("bounded");
        MilliwattHours::new(if negative { -size } else { size })
    })
}

fn amount() -> impl Strategy<Value = TokenAmount> {
    let units = prop_oneof![
        2 => Just(0),
        3 => 1..=10_000_000_i128,
        1 => -TOKEN_AMOUNT_MAX / 512..=TOKEN_AMOUNT_MAX / 512,
    ];
    units.prop_map(|units| TokenAmount::new(units).expect("bounded"))
}

fn line() -> impl Strategy<Value = StatementLine> {
    let energies = (
        prop::option::weighted(0.9, energy()),
        prop::option::weighted(0.9, energy()),
        energy(),
    );
    (energies, amount(), select(&ZeroReason::ALL)).prop_map(
        |((baseline, metered, credited), amount, reason)| StatementLine {
            baseline,
            metered,
            credited,
            amount,
            reason: (amount == TokenAmount::ZERO).then_some(reason),
        },
    )
}

fn parts() -> impl Strategy<Value = Vec<StatementPart>> {
    let amount = prop::option::of(prop_oneof![
        Just(0_i128),
        -1_000..1_000_i128,
        -(1_i128 << 100)..1_i128 << 100
    ]);
    let part = (select(&PartKind::ALL), amount, select(&ZeroReason::ALL));
    let part = part.prop_map(|(kind, amount, reason)| StatementPart {
        kind,
        amount: amount.map(|units| TokenAmount::new(units).expect("bounded")),
        reason: amount.is_none_or(|units| units == 0).then_some(reason),
    });
    prop_oneof![Just(Vec::new()), prop::collection::vec(part, 1..=PARTS_MAX)]
}

pub fn statement() -> impl Strategy<Value = SiteStatement> {
    let lengths: Vec<IntervalLength> = (0..=3600)
        .filter_map(|seconds| IntervalLength::from_seconds(seconds).ok())
        .collect();
    let count = prop_oneof![12 => 1_usize..24, 1 => Just(LINES_MAX)];
    let lines = count.prop_flat_map(|count| prop::collection::vec(line(), count));
    let of_whom = (identity(), "[!-~]{1,128}", "[a-z0-9_-]{1,64}", "[a-z0-9-]{1,64}");
    let numbers = (1..=u32::MAX, 1..=u32::MAX, digest(), digest(), 0..=18_u8);
    let times = (unix(), 0_i64..100_000, select(lengths));
    (
        of_whom,
        numbers,
        times,
        (lines, parts()),
        select(&ZeroReason::ALL),
    )
        .prop_map(
            |(
                (gateway, site, program, event),
                numbers,
                (unix, delay, interval),
                (mut lines, parts),
                reason,
            )| {
                let seconds = i64::from(interval.seconds());
                let most = usize::try_from(EVENT_SECONDS_MAX / seconds).expect("small");
                lines.truncate(most);
                let span = seconds * i64::try_from(lines.len()).expect("bounded");
                let start = instant(unix.min(LATEST - span - delay)).floor_to(interval);
                let end = instant(start.unix() + span);
                let (program_version, version, program_hash, statement, decimals) = numbers;
                let mut totals = StatementTotals::of(&lines).expect("bounded");
                if !parts.is_empty() {
                    let known = parts.iter().filter_map(|part: &StatementPart| part.amount);
                    totals.amount = TokenAmount::checked_sum(known).expect("bounded");
                }
                SiteStatement {
                    gateway,
                    site,
                    program: program.parse().expect("well formed"),
                    program_version,
                    program_hash,
                    event: event.parse().expect("well formed"),
                    version,
                    statement,
                    settled_at: instant(end.unix() + delay),
                    asset: Asset::new("FLEX", decimals).expect("well formed"),
                    start,
                    end,
                    interval,
                    totals,
                    reason: (totals.amount == TokenAmount::ZERO).then_some(reason),
                    lines,
                    parts,
                }
            },
        )
}

fn claimed(number: u8) -> impl Strategy<Value = ClaimedDevice> {
    let label = || "[!-~]{0,20}[A-Za-z0-9][!-~]{0,20}".prop_map(|text| text.parse().expect("a label"));
    let quantities = prop::sample::subsequence(&Quantity::ALL[..], 1..=Quantity::ALL.len());
    let energy = limit().prop_map(|p| MilliwattHours::new(p.get().max(1)));
    (
        label(),
        label(),
        label(),
        limit(),
        prop::option::of(energy),
        quantities,
    )
        .prop_map(
            move |(make, model, serial, power, capacity_milliwatt_hours, quantities)| ClaimedDevice {
                number: DeviceNumber(number),
                make,
                model,
                // Different ones: what is claimed twice has a test of its own.
                serial: format!("{number}.{serial}").parse().expect("a label"),
                nameplate_milliwatts: Milliwatts::new(power.get().max(1)),
                capacity_milliwatt_hours,
                quantities,
            },
        )
}

pub fn claim() -> impl Strategy<Value = Claim> {
    let devices = prop::collection::btree_set(100_u8..=255, 1..8)
        .prop_flat_map(|numbers| numbers.into_iter().map(claimed).collect::<Vec<_>>());
    (any::<[u8; 16]>(), unix(), prop::option::of(digest()), devices).prop_map(
        |(nonce, at, replaces, devices)| Claim {
            nonce,
            issued_at: instant(at),
            interval: IntervalLength::FIVE_MINUTES,
            devices,
            replaces,
        },
    )
}

pub fn acceptance() -> impl Strategy<Value = Acceptance> {
    let place = (-900_i16..=900, -1_800_i16..1_800);
    let times = (unix(), 0..LATEST, 1..LATEST);
    let names = ("[!-~]{1,128}", "[!-~]{1,128}", "[a-z0-9_-]{1,64}");
    let offer = (prop::option::of(limit()), prop::option::of(price()));
    (digest(), place, times, names, 1..=u32::MAX, offer).prop_map(
        |(claim, (north, east), (at, from, length), (site, beneficiary, program), rules_version, offer)| {
            let from = from.min(LATEST - 1);
            Acceptance {
                claim,
                issued_at: instant(at),
                site,
                location: CoarseLocation::new(north, east).expect("on earth"),
                beneficiary,
                program: program.parse().expect("a program"),
                rules_version,
                nominated_milliwatts: offer.0,
                bid_per_kwh: offer.1,
                valid_from: instant(from),
                expires_at: instant(from.saturating_add(length).min(LATEST)),
            }
        },
    )
}

pub fn admission() -> impl Strategy<Value = Admission> {
    let name = || "[A-Za-z0-9_-]{1,64}";
    let groups = prop::collection::btree_set(name(), 0..=GROUPS_MAX);
    (digest(), unix(), prop::option::of(name()), groups).prop_map(|(acceptance, at, zone, groups)| {
        Admission {
            acceptance,
            admitted_at: instant(at),
            zone,
            groups: groups.into_iter().collect(),
        }
    })
}

/// What changes an agreement; the keys differ, and nothing takes effect before it was signed.
pub fn changes() -> impl Strategy<Value = (Revocation, Rotation, Transfer)> {
    let which = (select(&RevocationReason::ALL[..]), select(&Holder::ALL[..]));
    (
        digest(),
        which,
        identity(),
        identity(),
        0..LATEST,
        1..LATEST,
        "[!-~]{1,128}",
    )
        .prop_filter("two keys", |(_, _, old, new, ..)| old != new)
        .prop_map(|(subject, (reason, holder), old, new, at, later, beneficiary)| {
            let issued_at = instant(at);
            let effective_at = instant(at.saturating_add(later).min(LATEST));
            let revocation = Revocation {
                subject,
                reason,
                issued_at,
                effective_at,
            };
            let rotation = Rotation {
                agreement: subject,
                holder,
                old,
                new,
                issued_at,
                effective_at,
            };
            let transfer = Transfer {
                agreement: subject,
                from: old,
                to: new,
                beneficiary,
                issued_at,
                effective_at,
            };
            (revocation, rotation, transfer)
        })
}
