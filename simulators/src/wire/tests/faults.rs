//! Each fault as a client meets it on a socket.

use super::*;
use std::time::Instant;

const ONE: Option<u8> = Some(1);

/// A unit with a fault, and a client of it.
async fn faulty(unit: Option<u8>, fault: Fault) -> (Arc<Shelf>, TcpServer, Raw<TcpStream>) {
    let shelf = Shelf::one();
    shelf.fail(unit, fault);
    let server = serve(&shelf).await;
    let raw = Raw::connect(&server).await;
    (shelf, server, raw)
}

/// What comes back for a read of register 5 with transaction 7.
async fn reply_under(fault: Fault, count: usize) -> Vec<u8> {
    let (_shelf, _server, mut raw) = faulty(ONE, fault).await;
    raw.send(&read_request(7, 5)).await;
    raw.hear(count).await
}

#[tokio::test]
async fn an_offline_device_refuses_connections_and_drops_open_ones_at_their_next_request() {
    let (shelf, server, mut raw) = faulty(None, Fault::OneConnection).await;
    raw.send(&read_request(1, 5)).await;
    assert_eq!(raw.hear(11).await, read_reply(1, 5));
    shelf.fail(None, Fault::Offline);
    raw.send(&read_request(2, 5)).await;
    assert!(raw.hear_end().await.is_empty());
    assert!(Raw::connect(&server).await.hear_end().await.is_empty());
    assert_eq!(shelf.asked(), [1]);
}

#[tokio::test]
async fn an_offline_unit_behind_a_gateway_is_exception_11_and_the_others_answer() {
    let shelf = Shelf::new(&[1, 2], true);
    shelf.fail(Some(2), Fault::Offline);
    let server = serve(&shelf).await;
    let mut raw = Raw::connect(&server).await;
    let mut to_offline = read_request(1, 5);
    to_offline[6] = 2;
    raw.send(&[to_offline, read_request(2, 5)].concat()).await;
    let expected = [vec![0, 1, 0, 0, 0, 3, 2, 0x83, 11], read_reply(2, 5)].concat();
    assert_eq!(raw.hear(expected.len()).await, expected);
    assert_eq!(shelf.asked(), [1]);
}

#[tokio::test]
async fn late_replies_are_each_as_late_as_was_said_and_do_not_add_up() {
    let (_shelf, _server, mut raw) = faulty(ONE, Fault::LateReply { millis: 500 }).await;
    let asked = Instant::now();
    raw.send(&read_request(1, 5)).await;
    let impatient = tokio::time::timeout(Duration::from_millis(20), raw.0.readable()).await;
    assert!(impatient.is_err(), "the client gives up before the reply");
    raw.send(&read_request(2, 6)).await;
    assert_eq!(
        raw.hear(11).await,
        read_reply(1, 5),
        "the first thing heard answers the request given up"
    );
    assert!(asked.elapsed() >= Duration::from_millis(500));
    assert_eq!(raw.hear(11).await, read_reply(2, 6));
    assert!(asked.elapsed() >= Duration::from_millis(520));
}

#[tokio::test]
async fn a_silent_device_answers_nothing_and_does_nothing() {
    let (shelf, _server, mut raw) = faulty(ONE, Fault::Silent).await;
    raw.send(&[0, 1, 0, 0, 0, 6, 1, 6, 0, 5, 0, 99]).await;
    raw.send(&read_request(2, 5)).await;
    // What was swallowed is known by an answer after it, from a unit that is well.
    let mut probe = read_request(3, 5);
    probe[6] = 2;
    shelf.lock().faults.push((Some(2), Fault::Offline));
    raw.send(&probe).await;
    assert_eq!(raw.hear(9).await, [0, 3, 0, 0, 0, 3, 2, 0x83, 11]);
    shelf.heal();
    raw.send(&read_request(4, 5)).await;
    assert_eq!(raw.hear(11).await, read_reply(4, 5), "the write was not applied");
    assert_eq!(shelf.asked(), [1]);
}

#[tokio::test]
async fn ids_units_functions_and_lengths_are_wrong_as_named() {
    let healthy = read_reply(7, 5);
    let with = |at: usize, byte: u8| {
        let mut reply = healthy.clone();
        reply[at] = byte;
        reply
    };
    assert_eq!(reply_under(Fault::WrongTransactionId, 11).await, with(0, 0x80));
    assert_eq!(
        reply_under(Fault::ConstantTransactionId { id: 2 }, 11).await,
        with(1, 2)
    );
    assert_eq!(reply_under(Fault::ForeignUnit, 11).await, with(6, 2));
    assert_eq!(reply_under(Fault::ForeignFunction, 11).await, with(7, 4));
    assert_eq!(
        reply_under(Fault::WrongFrameLength { by: 4 }, 11).await,
        with(5, 9)
    );
    assert_eq!(
        reply_under(Fault::BadCrc, 11).await,
        healthy,
        "there is no checksum on TCP"
    );
}

#[tokio::test]
async fn a_reply_in_pieces_takes_as_many_pauses() {
    let fault = Fault::SplitSegments { bytes: 3, millis: 30 };
    let (_shelf, _server, mut raw) = faulty(ONE, fault).await;
    let asked = Instant::now();
    raw.send(&read_request(7, 5)).await;
    assert_eq!(raw.hear(11).await, read_reply(7, 5));
    assert!(
        asked.elapsed() >= Duration::from_millis(90),
        "four pieces, three pauses"
    );

    let patient = Fault::SplitSegments {
        bytes: 3,
        millis: 60_000,
    };
    let (_shelf, _server, mut raw) = faulty(ONE, patient).await;
    raw.send(&read_request(7, 5)).await;
    assert_eq!(
        raw.hear_some().await,
        read_reply(7, 5)[..3],
        "the first piece comes alone"
    );
}

#[tokio::test]
async fn two_replies_arrive_in_one_segment_and_a_lonely_one_after_its_patience() {
    let (shelf, _server, mut raw) = faulty(ONE, Fault::MergedSegments { millis: 60_000 }).await;
    raw.send(&read_request(1, 5)).await;
    soon(async {
        while shelf.asked().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    raw.send(&read_request(2, 6)).await;
    let both = [read_reply(1, 5), read_reply(2, 6)].concat();
    assert_eq!(raw.hear_some().await, both, "one read brings both");

    let (_shelf, _server, mut raw) = faulty(ONE, Fault::MergedSegments { millis: 50 }).await;
    let asked = Instant::now();
    raw.send(&read_request(3, 5)).await;
    assert_eq!(raw.hear(11).await, read_reply(3, 5));
    assert!(asked.elapsed() >= Duration::from_millis(50));
}

#[tokio::test]
async fn a_truncated_frame_ends_and_the_connection_goes_on() {
    let (shelf, _server, mut raw) = faulty(ONE, Fault::TruncatedFrame { bytes: 8 }).await;
    raw.send(&read_request(1, 5)).await;
    assert_eq!(raw.hear(8).await, read_reply(1, 5)[..8]);
    shelf.heal();
    raw.send(&read_request(2, 6)).await;
    assert_eq!(raw.hear(11).await, read_reply(2, 6), "nothing came between");
}

#[tokio::test]
async fn noise_comes_before_each_frame() {
    let (_shelf, _server, mut raw) = faulty(ONE, Fault::Noise { bytes: 5 }).await;
    for transaction in 1..=2 {
        raw.send(&read_request(transaction, 5)).await;
        let heard = raw.hear(16).await;
        assert_ne!(heard[..5], [0; 5]);
        assert_eq!(heard[5..], read_reply(transaction, 5));
    }
}

#[tokio::test]
async fn a_duplicate_is_the_same_reply_again() {
    let twice = [read_reply(7, 5), read_reply(7, 5)].concat();
    assert_eq!(reply_under(Fault::DuplicateReply, 22).await, twice);
}

#[tokio::test]
async fn a_deaf_device_swallows_requests_until_its_time_is_over() {
    let millis = 200;
    let (shelf, server, _) = faulty(None, Fault::DeafAfterConnect { millis }).await;
    let connecting = Instant::now();
    let mut raw = Raw::connect(&server).await;
    let mut sent = 0;
    let first = loop {
        sent += 1;
        raw.send(&read_request(sent, 5)).await;
        let patience = Duration::from_millis(10);
        if tokio::time::timeout(patience, raw.0.readable()).await.is_ok() {
            break raw.hear(11).await;
        }
        assert!(connecting.elapsed() < DEADLINE);
    };
    assert!(connecting.elapsed() >= Duration::from_millis(200));
    let [high, low] = [first[0], first[1]];
    let answered = u16::from_be_bytes([high, low]);
    assert_eq!(first, read_reply(answered, 5));
    assert!(answered > 1, "the first request was heard");
    assert!(shelf.asked().len() < usize::from(sent), "all requests were heard");
}

#[tokio::test]
async fn a_second_connection_is_closed_at_once_and_the_first_goes_on() {
    let (_shelf, server, mut first) = faulty(None, Fault::OneConnection).await;
    first.send(&read_request(1, 5)).await;
    assert_eq!(first.hear(11).await, read_reply(1, 5));
    assert!(Raw::connect(&server).await.hear_end().await.is_empty());
    first.send(&read_request(2, 5)).await;
    assert_eq!(first.hear(11).await, read_reply(2, 5));
    drop(first);
    soon(async {
        loop {
            let mut next = Raw::connect(&server).await;
            let mut byte = [0; 11];
            let sent = next.0.write_all(&read_request(3, 5)).await;
            if sent.is_ok() && next.0.read_exact(&mut byte).await.is_ok() {
                break;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_connection_dropped_in_the_middle_of_a_reply_ends_there() {
    let (_shelf, _server, mut raw) = faulty(ONE, Fault::DropMidReply).await;
    raw.send(&read_request(1, 5)).await;
    assert_eq!(raw.hear_end().await, read_reply(1, 5)[..5]);
}

#[tokio::test]
async fn a_reply_that_is_still_due_when_the_fault_ends_comes_first() {
    for fault in [
        Fault::LateReply { millis: 100 },
        Fault::MergedSegments { millis: 60_000 },
    ] {
        let (shelf, _server, mut raw) = faulty(ONE, fault).await;
        raw.send(&read_request(1, 5)).await;
        soon(async {
            while shelf.asked().is_empty() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        shelf.heal();
        raw.send(&read_request(2, 6)).await;
        let both = [read_reply(1, 5), read_reply(2, 6)].concat();
        assert_eq!(raw.hear(22).await, both, "{fault}");
    }
}
