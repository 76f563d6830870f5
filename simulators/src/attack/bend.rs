//! How each attack bends what is said.

use gridtally_protocol::channel::{Channel, DeviceNumber, Quantity};
use gridtally_protocol::identity::Digest;
use gridtally_protocol::message::Message as _;
use gridtally_protocol::report::{Report, Series};
use gridtally_protocol::time::{IntervalLength, Timestamp};
use gridtally_protocol::topic::TopicKind;

use super::catalogue::Attack;
use super::scene::{BATTERY, METER, PV, Scene, Sent, Truth};
use super::send::{answer, later, reports, sign, topic};

const HOUR: i64 = 3_600;
/// A kilowatt-hour.
const KWH: i64 = 1_000_000;
/// Reports of so many days before the event are held back.
const HELD_BACK_DAYS: i64 = 6;
/// And come so many seconds after its announcement.
const HELD_BACK_LATE: i64 = 300;

impl Attack {
    /// Everything that reaches the broker of this home, in the order of time: its own reports and its answer, and what the
    /// attacker sends.
    #[must_use]
    pub fn play(self, scene: &Scene<'_>) -> Vec<Sent> {
        let mut truth = scene.truth.clone();
        self.bend(scene, &mut truth);
        let mut told = reports(&truth);
        self.retell(scene, &mut told);
        let mut sent = sign(scene.key, told);
        sent.extend(self.answers(scene));
        self.interfere(scene, &mut sent);
        sent.sort_by_key(|sent| sent.at);
        sent
    }

    /// What the devices are made to say.
    fn bend(self, scene: &Scene<'_>, truth: &mut Truth) {
        let event = scene.event.clone();
        let set = |values: &mut [i64], range: core::ops::Range<usize>, value: i64| {
            values.get_mut(range).unwrap_or_default().fill(value);
        };
        match self {
            Self::NegativeEnergy => set(truth.of(METER, Quantity::GridImport), event, -KWH),
            Self::ScaledEnergy => {
                let export = truth.of(METER, Quantity::GridExport);
                for value in export.get_mut(event).unwrap_or_default() {
                    *value = value.saturating_add(KWH / 10).saturating_mul(1_000);
                }
            }
            Self::NightSun => {
                let midnights = at_clock(truth, 0);
                midnights
                    .into_iter()
                    .for_each(|n| set(truth.of(PV, Quantity::PvProduction), n..n.saturating_add(2), KWH));
            }
            Self::DawnSun => {
                let dawns = at_clock(truth, 4);
                let production = truth.of(PV, Quantity::PvProduction);
                let most = peak(production);
                for dawn in dawns {
                    set(production, dawn..dawn.saturating_add(1), most);
                }
            }
            Self::GridAsSun => {
                for night in at_clock(truth, 1) {
                    set(
                        truth.of(PV, Quantity::PvProduction),
                        night..night.saturating_add(4),
                        KWH,
                    );
                    set(
                        truth.of(METER, Quantity::GridExport),
                        night..night.saturating_add(4),
                        KWH,
                    );
                }
            }
            Self::PhantomDischarge => {
                let discharge = truth.of(BATTERY, Quantity::BatteryDischarge);
                let most = peak(discharge).max(KWH / 2);
                set(discharge, event.clone(), most);
                set(truth.of(BATTERY, Quantity::StateOfCharge), event, 100_000);
            }
            Self::ExportFromNothing => set(truth.of(METER, Quantity::GridExport), event, 4 * KWH),
            Self::BatteryTwice => {
                for quantity in [
                    Quantity::BatteryDischarge,
                    Quantity::BatteryCharge,
                    Quantity::StateOfCharge,
                ] {
                    copy(scene.beside, truth, BATTERY, quantity);
                }
            }
            Self::CopiedNeighbour => copy(scene.beside, truth, PV, Quantity::PvProduction),
            Self::UsedMoreBefore => {
                let hours = per_hour(truth).saturating_mul(3);
                let before = event.start.saturating_sub(hours)..event.start;
                let import = truth.of(METER, Quantity::GridImport);
                for value in import.get_mut(before).unwrap_or_default() {
                    *value = value.saturating_add(KWH);
                }
            }
            Self::BackdatedHistory => {
                let held_back = held_back(scene, truth);
                let import = truth.of(METER, Quantity::GridImport);
                for value in import.get_mut(held_back).unwrap_or_default() {
                    *value = value.saturating_add(KWH);
                }
            }
            _ => {}
        }
    }

    /// What the box makes of it before it signs.
    fn retell(self, scene: &Scene<'_>, reports: &mut Vec<Report>) {
        let of_event = |report: &Report| {
            report
                .end()
                .is_some_and(|end| end > scene.truth.at(scene.event.start))
        };
        match self {
            Self::ClockAhead => {
                for report in reports.iter_mut().filter(|report| of_event(report)) {
                    report.start = later(report.start, 2 * HOUR);
                    report.issued_at = later(report.issued_at, 2 * HOUR);
                }
            }
            Self::OtherIntervals => {
                for report in reports.iter_mut().filter(|report| of_event(report)) {
                    report.interval = IntervalLength::FIVE_MINUTES;
                }
            }
            Self::UnenrolledMeter => {
                for report in reports.iter_mut().filter(|report| of_event(report)) {
                    let samples = vec![Ok(KWH); report.interval_count()];
                    report.series.push(Series {
                        channel: Channel {
                            device: DeviceNumber(9),
                            quantity: Quantity::GridExport,
                        },
                        resolution: 0,
                        samples,
                        qualities: Default::default(),
                    });
                }
            }
            Self::ToldTwice => {
                let told = reports.iter().position(of_event);
                let again = told.and_then(|n| Some((n.checked_add(1)?, reports.get(n)?.clone())));
                if let Some((place, mut again)) = again {
                    again.issued_at = later(again.issued_at, 60);
                    flatter(&mut again);
                    reports.insert(place.min(reports.len()), again);
                    for (number, report) in (1..).zip(reports.iter_mut()) {
                        report.sequence = number;
                    }
                }
            }
            _ => {}
        }
    }

    /// What the home answers to the instruction.
    fn answers(self, scene: &Scene<'_>) -> Vec<Sent> {
        let at = later(scene.announced_at, 60);
        let say = |yes, at| answer(scene.key, scene.instruction, yes, at);
        let answers = match self {
            Self::LateYes => vec![say(true, later(scene.truth.at(scene.event.end), 60))],
            Self::YesAndNo => vec![say(true, at), say(false, at)],
            _ => vec![say(true, at)],
        };
        answers.into_iter().flatten().collect()
    }

    /// What is done to the messages once they are signed.
    fn interfere(self, scene: &Scene<'_>, sent: &mut Vec<Sent>) {
        let own = topic(scene.key.identity(), TopicKind::Report);
        let event_start = scene.truth.at(scene.event.start);
        let is_report = |sent: &Sent| sent.topic == own;
        let event_end = scene.truth.at(scene.event.end);
        let of_event = sent.iter().position(|s| is_report(s) && s.at > event_end);
        let Some((place, report)) = of_event.and_then(|n| Some((n, sent.get(n)?.clone()))) else {
            return;
        };
        let soon = later(report.at, 30);
        let beside = |bytes: Vec<u8>| Sent {
            topic: own.clone(),
            bytes,
            at: soon,
        };
        match self {
            Self::ForgedReport => sent.extend(resigned(&report, scene.stranger).map(beside)),
            Self::UnknownGateway => sent.extend(super::send::honest(scene.stranger, scene.truth)),
            Self::TamperedReport => {
                let mut bytes = report.bytes.clone();
                // In the signature, which ends the envelope.
                if let Some(last) = bytes.last_mut() {
                    *last ^= 1;
                }
                sent.push(beside(bytes));
            }
            Self::ReplayedReport => {
                let again: Vec<Sent> = sent.iter().filter(|s| is_report(s)).cloned().collect();
                sent.extend(again.into_iter().map(|sent| Sent {
                    at: later(sent.at, 24 * HOUR),
                    ..sent
                }));
            }
            Self::ReplayedAsAnother => {
                let other = topic(scene.neighbour.identity(), TopicKind::Report);
                sent.push(Sent {
                    topic: other,
                    ..beside(report.bytes)
                });
            }
            Self::Garbage => sent.push(beside(b"buy more tokens".to_vec())),
            Self::TruncatedReport => {
                let half = report.bytes.len().div_euclid(2);
                sent.push(beside(report.bytes.get(..half).unwrap_or_default().to_vec()));
            }
            Self::OtherPurpose => sent.push(beside(scene.instruction.to_vec())),
            Self::ForgedAnswer => {
                let forged = answer(
                    scene.stranger,
                    scene.instruction,
                    false,
                    later(scene.announced_at, 90),
                );
                let answers = topic(scene.key.identity(), TopicKind::Acknowledgement);
                sent.extend(forged.map(|forged| Sent {
                    topic: answers,
                    ..forged
                }));
            }
            Self::Oversized => sent.push(beside(vec![0xA5; 1 << 20])),
            Self::Equivocation => {
                let second = Report::open(&report.bytes).ok().and_then(|signed| {
                    let mut second = signed.message;
                    flatter(&mut second);
                    second.seal(scene.key).ok()
                });
                sent.extend(second.map(beside));
            }
            Self::BackdatedHistory => hold_back(scene, sent),
            Self::FromTheFuture => {
                if let Some(early) = sent.get_mut(place) {
                    early.at = event_start;
                }
            }
            Self::ClockAhead => {
                // What the box believes to be two hours later.
                for message in sent
                    .iter_mut()
                    .filter(|sent| is_report(sent) && sent.at > event_start)
                {
                    message.at = later(message.at, -2 * HOUR);
                }
            }
            Self::RewrittenChain => rewrite(scene, sent, place),
            Self::WithheldIntervals => drop(sent.remove(place)),
            _ => {}
        }
    }
}

/// The intervals that are held back until the event is announced.
fn held_back(scene: &Scene<'_>, truth: &Truth) -> core::ops::Range<usize> {
    let from = later(scene.announced_at, -HELD_BACK_DAYS * 24 * HOUR);
    let count = |until: Timestamp| (0..truth.len()).take_while(|n| truth.at(*n) < until).count();
    count(from)..count(scene.announced_at)
}

/// What a home sends that never sends the history which [`Attack::BackdatedHistory`] holds back: leaving days out moves a
/// baseline up or down, and that is not for lies to earn.
#[must_use]
pub fn without_history(scene: &Scene<'_>) -> Vec<Sent> {
    let mut sent = Attack::BackdatedHistory.play(scene);
    let late = later(scene.announced_at, HELD_BACK_LATE);
    sent.retain(|message| message.at != late);
    sent
}

/// Reports of the days before come only when the event is announced.
fn hold_back(scene: &Scene<'_>, sent: &mut [Sent]) {
    let from = later(scene.announced_at, -HELD_BACK_DAYS * 24 * HOUR);
    for message in sent
        .iter_mut()
        .filter(|sent| sent.at >= from && sent.at < scene.announced_at)
    {
        message.at = later(scene.announced_at, HELD_BACK_LATE);
    }
}

/// The report of the event names another one before it than there was.
fn rewrite(scene: &Scene<'_>, sent: &mut [Sent], place: usize) {
    let Some(message) = sent.get_mut(place) else {
        return;
    };
    let rewritten = Report::open(&message.bytes).ok().and_then(|signed| {
        let mut report = signed.message;
        report.previous = Digest::of(b"another history");
        flatter(&mut report);
        report.seal(scene.key).ok()
    });
    if let Some(bytes) = rewritten {
        message.bytes = bytes;
    }
}

fn resigned(report: &Sent, key: &gridtally_protocol::identity::SigningIdentity) -> Option<Vec<u8>> {
    Report::open(&report.bytes).ok()?.message.seal(key).ok()
}

fn flatter(report: &mut Report) {
    for series in &mut report.series {
        match series.channel.quantity {
            Quantity::GridImport => series.samples.fill(Ok(0)),
            Quantity::GridExport => {
                let values = series.samples.iter_mut().flatten();
                values.for_each(|value| *value = value.saturating_add(KWH / 10));
            }
            _ => {}
        }
    }
}

fn copy(from: &Truth, to: &mut Truth, device: DeviceNumber, quantity: Quantity) {
    if let Some(series) = from.series.get(&Channel { device, quantity }) {
        to.series.insert(Channel { device, quantity }, series.clone());
    }
}

fn per_hour(truth: &Truth) -> usize {
    usize::try_from(3_600_u32.div_euclid(truth.interval.seconds())).unwrap_or(1)
}

/// The most of any interval: what the device can, and more than its nameplate never.
fn peak(values: &[i64]) -> i64 {
    values.iter().copied().max().unwrap_or_default()
}

/// The intervals that begin at this hour, UTC.
fn at_clock(truth: &Truth, hour: i64) -> Vec<usize> {
    let begins = |at: Timestamp| at.unix().rem_euclid(24 * HOUR) == hour * HOUR;
    (0..truth.len()).filter(|n| begins(truth.at(*n))).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use gridtally_protocol::identity::SigningIdentity;

    use super::super::send::IN_A_REPORT;
    use super::*;

    fn truth(shift: i64) -> Truth {
        let mut series = BTreeMap::new();
        for (device, quantity) in [
            (METER, Quantity::GridImport),
            (METER, Quantity::GridExport),
            (PV, Quantity::PvProduction),
            (BATTERY, Quantity::BatteryDischarge),
            (BATTERY, Quantity::BatteryCharge),
            (BATTERY, Quantity::StateOfCharge),
        ] {
            let values = (0..48 * 16).map(|n: i64| 1_000 * (n % 7 + shift)).collect();
            series.insert(Channel { device, quantity }, values);
        }
        Truth {
            start: "2026-04-06T00:00:00Z".parse().unwrap(),
            interval: IntervalLength::HALF_HOUR,
            series,
        }
    }

    #[test]
    fn every_attack_sends_something_else_than_an_honest_home() {
        let key = |n| SigningIdentity::from_secret(&[n; 32]).unwrap();
        let (own, neighbour, stranger) = (key(1), key(2), key(3));
        let (truth, beside) = (truth(1), truth(2));
        let scene = Scene {
            key: &own,
            truth: &truth,
            neighbour: &neighbour,
            beside: &beside,
            stranger: &stranger,
            instruction: b"an instruction",
            announced_at: truth.at(48 * 15 + 20),
            event: 48 * 15 + 34..48 * 15 + 38,
        };
        let mut usual = super::super::honest(&own, &truth);
        usual.extend(answer(
            &own,
            b"an instruction",
            true,
            later(scene.announced_at, 60),
        ));
        usual.sort_by_key(|sent| sent.at);
        assert_eq!(usual.len(), 48 * 16 / IN_A_REPORT + 1);
        for attack in Attack::ALL {
            let sent = attack.play(&scene);
            assert_ne!(sent, usual, "{attack} is no attack");
            assert!(sent.is_sorted_by_key(|sent| sent.at));
            assert_eq!(sent, attack.play(&scene), "{attack} is the same each time");
        }
    }
}
