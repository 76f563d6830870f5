use gridtally_protocol::channel::Quantity;
use gridtally_protocol::time::{Interval, IntervalLength, Timestamp};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{DerSignature, SigningKey};
use proptest::prelude::*;
use serde::Deserialize;

use super::tier::{CLOCK_MILLIS_MAX, is_meter_signed};
use super::*;

#[derive(Deserialize)]
struct File {
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    format: OriginalFormat,
    key: MeterKey,
    bytes: String,
    verdict: String,
    readings: Vec<Shown>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Shown {
    at_millis: String,
    synchronised: bool,
    register: Option<String>,
    total: Option<ShownTotal>,
    sound: bool,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
struct ShownTotal {
    energy: String,
    resolution: String,
}

fn shown(reading: &RegisterReading) -> Shown {
    let register = |register| match register {
        Register::Import => "import".to_owned(),
        Register::Export => "export".to_owned(),
    };
    Shown {
        at_millis: reading.at_millis.to_string(),
        synchronised: reading.synchronised,
        register: reading.register.map(register),
        total: reading.value.map(|total| ShownTotal {
            energy: total.energy.get().to_string(),
            resolution: total.resolution.get().to_string(),
        }),
        sound: reading.sound,
    }
}

fn verdict(examined: &Result<Parsed<'_>, Unverified>) -> &'static str {
    match examined {
        Ok(_) => "verified",
        Err(Unverified::Form(_)) => "form",
        Err(Unverified::NoKey) => "no_key",
        Err(Unverified::Algorithm { .. }) => "algorithm",
        Err(Unverified::Undefined { .. }) => "undefined",
        Err(Unverified::Curve { .. }) => "curve",
        Err(Unverified::Signature(_)) => "false",
    }
}

/// Made and verified by another implementation: `tests/vectors/meters.py`.
#[test]
fn what_another_implementation_made_is_read_and_judged_as_there() {
    let file: File = serde_json::from_str(include_str!("../../../../tests/vectors/meters.json")).unwrap();
    assert!(!file.vectors.is_empty());
    for vector in file.vectors {
        let bytes = hex::decode(&vector.bytes).unwrap();
        let examined = examine(vector.format, &bytes, Some(&vector.key));
        assert_eq!(
            verdict(&examined),
            vector.verdict,
            "{}: {examined:?}",
            vector.name
        );
        let said: Vec<Shown> = parse(vector.format, &bytes)
            .map(|parsed| parsed.readings.iter().map(shown).collect())
            .unwrap_or_default();
        assert_eq!(said, vector.readings, "{}", vector.name);
        assert!(matches!(
            examine(vector.format, &bytes, None),
            Err(Unverified::NoKey | Unverified::Form(_))
        ));
    }
}

fn signer() -> SigningKey {
    SigningKey::from_slice(&[7; 32]).unwrap()
}

fn key() -> MeterKey {
    let point = hex::encode(signer().verifying_key().to_sec1_point(false));
    format!("secp256r1:{point}").parse().unwrap()
}

/// The totals of an OCMF text, each with its instant, in milliseconds.
fn text(serial: &str, identifier: &str, state: char, totals: &[(i64, i64)]) -> Vec<u8> {
    let reading = |(millis, energy): &(i64, i64)| {
        let at = chrono::DateTime::from_timestamp_millis(*millis).unwrap();
        let time = at.format("%Y-%m-%dT%H:%M:%S,%3f+0000");
        let (whole, part) = (energy / 1_000_000, energy % 1_000_000 / 1_000);
        format!(
            r#"{{"TM":"{time} {state}","RV":{whole}.{part:03},"RI":"{identifier}","RU":"kWh","EF":"","ST":"G"}}"#
        )
    };
    let readings: Vec<String> = totals.iter().map(reading).collect();
    let payload = format!(r#"{{"MS":"{serial}","RD":[{}]}}"#, readings.join(","));
    let signature: DerSignature = signer().sign(payload.as_bytes());
    let signature = hex::encode(signature.as_bytes());
    format!(r#"OCMF|{payload}|{{"SD":"{signature}"}}"#).into_bytes()
}

fn examined(bytes: &[u8]) -> Parsed<'_> {
    examine(OriginalFormat::Ocmf, bytes, Some(&key())).unwrap()
}

const START: i64 = 1_776_956_400;
const FIVE_MINUTES: i64 = 300;

fn interval() -> Interval {
    let length = IntervalLength::from_seconds(300).unwrap();
    Interval::new(Timestamp::from_unix(START).unwrap(), length).unwrap()
}

const IMPORT: &str = "1-0:1.8.0*255";

proptest! {
    #[test]
    fn an_interval_is_signed_where_the_totals_at_its_ends_give_its_energy(
        from in 0_i64..4_000_000, used in 0_i64..20_000, early in -4_000_i64..4_000, late in -4_000_i64..4_000,
        off in -3_i64..=3,
    ) {
        // In watt-hours, which is what the text shows.
        let (start, end) = (START * 1_000 + early, (START + FIVE_MINUTES) * 1_000 + late);
        let one = text("1", IMPORT, 'S', &[(start, from * 1_000)]);
        let other = text("1", IMPORT, 'S', &[(end, (from + used) * 1_000)]);
        let verified = [examined(&one), examined(&other)];
        let reported = MilliwattHours::new((used + off) * 1_000);
        let near = |millis: i64| millis.unsigned_abs() <= CLOCK_MILLIS_MAX;
        let expected = near(early) && near(late) && off.abs() <= 1;
        prop_assert_eq!(is_meter_signed(&verified, Quantity::GridImport, interval(), reported), expected);
        prop_assert!(!is_meter_signed(&verified, Quantity::GridExport, interval(), reported));
        prop_assert!(!is_meter_signed(&verified[..1], Quantity::GridImport, interval(), reported));
        // One text may hold both ends.
        let both = text("1", IMPORT, 'S', &[(start, from * 1_000), (end, (from + used) * 1_000)]);
        let both = [examined(&both)];
        prop_assert_eq!(is_meter_signed(&both, Quantity::GridImport, interval(), reported), expected);
    }

    #[test]
    fn no_changed_byte_of_what_was_signed_verifies(at in any::<prop::sample::Index>(), other in any::<u8>()) {
        let bytes = text("1", IMPORT, 'S', &[(START * 1_000, 5_000_000)]);
        let signed = examined(&bytes).signed.len();
        let mut changed = bytes.clone();
        let place = 5 + at.index(signed);
        prop_assume!(changed[place] != other);
        changed[place] = other;
        prop_assert!(examine(OriginalFormat::Ocmf, &changed, Some(&key())).is_err());
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "OCMF\\|\\{.{0,80}\\}\\|\\{.{0,40}\\}") {
        for format in OriginalFormat::ALL {
            let _ = examine(format, &bytes, Some(&key()));
            let _ = examine(format, text.as_bytes(), Some(&key()));
        }
    }

    #[test]
    fn a_key_reads_back_from_its_text(secret in prop::array::uniform32(1_u8..=0x7f), compressed: bool) {
        let one = SigningKey::from_slice(&secret).unwrap();
        let other = k256::ecdsa::SigningKey::from_slice(&secret).unwrap();
        for (curve, point) in [
            ("secp256r1", hex::encode(one.verifying_key().to_sec1_point(compressed))),
            ("secp256k1", hex::encode(other.verifying_key().to_sec1_point(compressed))),
        ] {
            let key: MeterKey = format!("{curve}:{point}").parse().unwrap();
            prop_assert_eq!(key.curve().name(), curve);
            prop_assert_eq!(key.to_string().parse::<MeterKey>(), Ok(key));
            let json = serde_json::to_string(&key).unwrap();
            prop_assert_eq!(serde_json::from_str::<MeterKey>(&json).unwrap(), key);
        }
    }
}

#[test]
fn what_the_meter_is_not_sure_of_proves_nothing() {
    let reported = MilliwattHours::new(1_000_000);
    let ends = [
        (START * 1_000, 5_000_000),
        ((START + FIVE_MINUTES) * 1_000, 6_000_000),
    ];
    let signed =
        |verified: &[Parsed<'_>]| is_meter_signed(verified, Quantity::GridImport, interval(), reported);
    let sure = text("1", IMPORT, 'S', &ends);
    assert!(signed(&[examined(&sure)]));
    for state in ['U', 'I', 'R'] {
        assert!(
            !signed(&[examined(&text("1", IMPORT, state, &ends))]),
            "clock {state}"
        );
    }
    let mut broken = examined(&sure);
    broken.readings[1].sound = false;
    assert!(!signed(&[broken]));
    let mut coarse = examined(&sure);
    for reading in &mut coarse.readings {
        reading.value.as_mut().unwrap().resolution = MilliwattHours::new(100_000);
    }
    assert!(!signed(&[coarse]));
    // The ends are those of two meters that sign with one key.
    let (one, other) = (
        text("1", IMPORT, 'S', &ends[..1]),
        text("2", IMPORT, 'S', &ends[1..]),
    );
    assert!(!signed(&[examined(&one), examined(&other)]));
}

#[test]
fn a_text_that_is_no_key_is_none() {
    let point = key().to_string();
    let point = point.strip_prefix("secp256r1:").unwrap();
    let other_curve = format!("secp192r1:{point}");
    for text in [
        "",
        "secp256r1:",
        "secp256r1:00",
        "secp256r1:zz",
        point,
        &other_curve,
        "30",
        &"3".repeat(300),
    ] {
        assert_eq!(text.parse::<MeterKey>(), Err(MeterKeyError), "{text}");
    }
}

/// The registers of model 220: 12.34 kWh drawn, nothing of an export.
fn model_220() -> Vec<u8> {
    let mut registers = [0_u16; 48];
    registers[0] = 220;
    registers[1] = 46;
    registers[19] = 1_234; // TotWhImp
    registers[20] = 1; // TotWh_SF
    registers[38] = 0x3186; // Ts
    registers[40] = 250;
    registers[42] = 2;
    registers[43] = 4;
    registers
        .iter()
        .flat_map(|register| register.to_be_bytes())
        .collect()
}

#[test]
fn model_220_is_read_and_never_taken_for_verified() {
    let bytes = model_220();
    let parsed = parse(OriginalFormat::SunSpec220, &bytes).unwrap();
    let [import, export] = &parsed.readings[..] else {
        panic!("two totals: {parsed:?}")
    };
    let total = Total {
        energy: MilliwattHours::new(12_340_000),
        resolution: MilliwattHours::new(10_000),
    };
    assert_eq!(
        (import.register, import.value),
        (Some(Register::Import), Some(total))
    );
    assert_eq!(export.value, None);
    assert_eq!(import.at_millis, (946_684_800 + 0x3186_0000) * 1_000 + 250);
    assert_eq!(
        (parsed.algorithm.as_str(), parsed.signature.len()),
        ("ECC-256", 8)
    );
    let examined = examine(OriginalFormat::SunSpec220, &bytes, Some(&key()));
    assert_eq!(verdict(&examined), "undefined");
    for (place, value) in [(1, 219), (3, 45), (41, 11), (87, 3), (80, 4), (40, 0x7f)] {
        let mut other = bytes.clone();
        other[place] = value;
        assert!(
            parse(OriginalFormat::SunSpec220, &other).is_err(),
            "byte {place}: {value}"
        );
    }
    assert!(parse(OriginalFormat::SunSpec220, &bytes[..95]).is_err());
    assert!(parse(OriginalFormat::SunSpec4, &bytes).is_err());
}
