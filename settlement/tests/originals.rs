//! What meters sign themselves: on its way into the engine's store, and what a bundle's reader is told of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod room;
mod scenario;

use std::fs;

use clap::Parser as _;
use gridtally_protocol::channel::DeviceNumber;
use gridtally_protocol::message::Message as _;
use gridtally_protocol::original::{Original, OriginalFormat};
use gridtally_protocol::refusal::Refusal;
use gridtally_protocol::time::Timestamp;
use gridtally_protocol::topic::TopicKind;
use gridtally_settlement::cli;
use gridtally_settlement::ingest::originals::MeterKey;
use gridtally_settlement::proofs::bundle::Bundle;
use gridtally_settlement::proofs::evidence::{Evidence, ReceivedOriginal};
use gridtally_settlement::store::originals::originals_of;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};

use room::{Home, NOON, Room, Sealed, at};
use scenario::{Scenario, engine, gateway};

#[derive(clap::Parser)]
struct VerifyCommand {
    #[command(flatten)]
    args: cli::verify::VerifyArgs,
}

fn meter() -> SigningKey {
    SigningKey::from_slice(&[7; 32]).unwrap()
}

fn meter_key() -> Option<MeterKey> {
    let point = hex::encode(meter().verifying_key().to_sec1_point(false));
    Some(format!("secp256r1:{point}").parse().unwrap())
}

/// What the meter signs: its total of what was drawn, in watt-hours.
fn signed(instant: &str, watt_hours: u32) -> Vec<u8> {
    let time = instant.replace('Z', ",000+0000");
    let payload = format!(
        r#"{{"MS":"7","RD":[{{"TM":"{time} S","RV":{watt_hours},"RI":"1-0:1.8.0","RU":"Wh","EF":"","ST":"G"}}]}}"#
    );
    let signature: Signature = meter().sign(payload.as_bytes());
    let signature = hex::encode(signature.to_der().as_bytes());
    format!(r#"OCMF|{payload}|{{"SA":"ECDSA-secp256r1-SHA256","SD":"{signature}"}}"#).into_bytes()
}

fn original(device: u8, taken_at: Timestamp, bytes: Vec<u8>) -> Original {
    Original {
        device: DeviceNumber(device),
        format: OriginalFormat::Ocmf,
        taken_at,
        bytes,
    }
}

fn sealed(home: &Home, original: &Original) -> Sealed {
    Sealed::new(home.topic(TopicKind::Original), original.seal(&home.key).unwrap())
}

#[test]
fn what_a_meter_signed_is_kept_byte_for_byte_and_what_it_did_not_is_refused_with_the_reason() {
    let mut room = Room::open();
    let mut home = Home::new(1);
    home.enrolment.devices[0].meter_key = meter_key();
    room.enrol(&home);
    let mut wire = room.wire();
    let text = signed(NOON, 5_000);

    let good = sealed(&home, &original(1, at(NOON), text.clone()));
    assert_eq!(wire.deliver(&good), Ok(()));
    assert_eq!(wire.deliver(&good), Ok(()), "the same again is the same answer");
    let keyless = sealed(&home, &original(2, at(NOON), text.clone()));
    assert_eq!(wire.deliver(&keyless), Ok(()), "nothing is wrong with it");

    let forged = String::from_utf8(text.clone()).unwrap().replace("5000", "6000");
    let forged = sealed(&home, &original(1, at(NOON), forged.into_bytes()));
    assert_eq!(wire.deliver(&forged), Err(Refusal::OriginalUnverified));
    let nonsense = sealed(&home, &original(1, at(NOON), b"OCMF|{}".to_vec()));
    assert_eq!(wire.deliver(&nonsense), Err(Refusal::OriginalUnverified));
    let nobodys = sealed(&home, &original(9, at(NOON), text.clone()));
    assert_eq!(wire.deliver(&nobodys), Err(Refusal::UnknownChannel));
    let early = sealed(&home, &original(1, at("2026-04-21T12:10:00Z"), text));
    assert_eq!(wire.deliver(&early), Err(Refusal::FromTheFuture));

    let gateways = [home.identity()];
    let kept = |from: &str, until: &str, room: &mut Room| {
        let (from, until) = (at(from), at(until));
        let kept = room
            .store
            .transact(|t| originals_of(t, &gateways, from, until, at(NOON)));
        let mut kept: Vec<Vec<u8>> = kept.unwrap().into_iter().map(|o| o.envelope).collect();
        kept.sort();
        kept
    };
    let mut expected = vec![good.bytes, keyless.bytes];
    expected.sort();
    assert_eq!(kept(NOON, NOON, &mut room), expected);
    assert!(kept("2026-04-21T12:00:01Z", "2026-04-22T12:00:00Z", &mut room).is_empty());
    let refused = room.refused();
    let bytes: Vec<&[u8]> = refused.iter().map(|r| r.bytes.as_slice()).collect();
    for one in [&forged, &nonsense, &nobodys, &early] {
        assert!(bytes.contains(&one.bytes.as_slice()), "{refused:#?}");
    }

    let mut client = room.client();
    let rows = client
        .query("SELECT unverified FROM original ORDER BY device", &[])
        .unwrap();
    let why: Vec<Option<String>> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(
        why,
        [None, Some("no meter_key is enrolled for the device".to_owned())]
    );
    for change in [
        "DELETE FROM original",
        "UPDATE original SET unverified = NULL",
        "TRUNCATE original",
    ] {
        assert!(client.execute(change, &[]).is_err(), "{change}");
    }
}

const INTERVAL: &str = "home-1@2026-04-21T18:05:00Z";

/// What `verify --reading` says of the interval, with these originals of home 1.
fn told(originals: &[(&str, Vec<u8>)]) -> String {
    let mut evidence: Evidence = Scenario::new().evidence();
    evidence.enrolments[0].devices[0].meter_key = meter_key();
    let key = gateway(1);
    for (taken_at, bytes) in originals {
        let original = original(1, at(taken_at), bytes.clone());
        evidence.originals.push(ReceivedOriginal {
            gateway: key.identity(),
            received_at: at(taken_at),
            envelope: original.seal(&key).unwrap(),
        });
    }
    let (bundle, _) = Bundle::seal(evidence, &engine()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.bundle");
    fs::write(&path, bundle.to_text()).unwrap();
    let command = VerifyCommand::parse_from(["verify", path.to_str().unwrap(), "--reading", INTERVAL]);
    let mut out = Vec::new();
    cli::verify::run(&command.args, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_bundles_reader_is_told_which_reading_the_meters_signature_proves() {
    let (start, end) = ("2026-04-21T18:00:00Z", "2026-04-21T18:30:00Z");
    let proven = told(&[(start, signed(start, 5_000)), (end, signed(end, 5_250))]);
    for sentence in [
        "  1/grid_import            0.250000 kWh; meter_signed: the meter's own signature proves it\n",
        "  1/grid_export            0.000000 kWh\n",
        "Record original/z6Mk",
        "  ocmf of device 1, taken 2026-04-21T18:00:00Z; the meter's own signature holds\n",
        "Everything holds.",
    ] {
        assert!(proven.contains(sentence), "{sentence:?} is not in\n{proven}");
    }
    // The meter counted something else, or signed one end only.
    for originals in [
        vec![(start, signed(start, 5_000)), (end, signed(end, 5_240))],
        vec![(start, signed(start, 5_000))],
        vec![],
    ] {
        let text = told(&originals);
        assert!(!text.contains("meter_signed"), "{text}");
        assert!(text.contains("Everything holds."), "{text}");
    }
    let forged = String::from_utf8(signed(end, 5_240))
        .unwrap()
        .replace("5240", "5250");
    let text = told(&[(start, signed(start, 5_000)), (end, forged.into_bytes())]);
    assert!(!text.contains("meter_signed"), "{text}");
    let why = "taken 2026-04-21T18:30:00Z; it proves nothing: the signature is none of the enrolled key\n";
    assert!(text.contains(why), "{text}");
}
