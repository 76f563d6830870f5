//! How long it takes to seal and to open a report.

use std::hint::black_box;
use std::time::Instant;

use gridtally_protocol::envelope::Envelope;
use gridtally_protocol::message::Message as _;
use gridtally_protocol::report::Report;

use crate::examples::{gateway, home_report, realistic};

const ROUNDS: u32 = 5000;

fn timed<T>(what: &str, work: impl Fn() -> T) {
    let begun = Instant::now();
    for _ in 0..ROUNDS {
        black_box(work());
    }
    println!(
        "{what:<28} {:>8.2} us",
        begun.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS)
    );
}

#[test]
#[ignore = "prints timings: cargo test --release -p gridtally-protocol --test wire -- --ignored --nocapture speed"]
fn sealing_and_opening_a_report_of_twelve_intervals() {
    let (report, key) = (home_report(12, realistic), gateway());
    let payload = report.encode().expect("a valid report");
    let sealed = report.seal(&key).expect("a valid report");
    timed("encode", || report.encode());
    timed("sign alone", || key.sign(&payload));
    timed("seal: encode, sign", || report.seal(&key));
    timed("parse the envelope", || Envelope::parse(&sealed));
    timed("decode the payload", || Report::decode(&payload));
    timed("open: parse, verify, decode", || Report::open(&sealed));
}
