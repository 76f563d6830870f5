use super::super::line::Port;
use super::super::rtu;
use super::*;
use crate::wire::{LineError, RtuServer};
use tokio_modbus::client::rtu as client;
use tokio_modbus::prelude::*;

/// Long, so that it ends no frame here by accident.
const SILENCE: Duration = Duration::from_millis(50);

fn open(shelf: &Arc<Shelf>) -> RtuServer {
    let line = Line::Pty { link: None };
    RtuServer::open_with_silence(&line, SILENCE, Arc::clone(shelf) as Arc<dyn Bus>).unwrap()
}

fn dial(server: &RtuServer) -> Raw<Port> {
    Raw(Port::open(&serial(server.path())).unwrap())
}

fn frame(unit: u8, pdu: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    rtu::encode(unit, pdu, &mut out);
    out
}

fn ask(address: u8) -> Vec<u8> {
    frame(1, &[3, 0, address, 0, 1])
}

fn told(value: u8) -> Vec<u8> {
    frame(1, &[3, 2, 0, value])
}

/// What comes back for a read of register 5.
async fn reply_under(fault: Fault, count: usize) -> Vec<u8> {
    let shelf = Shelf::one();
    shelf.fail(Some(1), fault);
    let server = open(&shelf);
    let mut raw = dial(&server);
    raw.send(&ask(5)).await;
    raw.hear(count).await
}

#[tokio::test]
async fn a_client_reads_and_writes_and_another_may_come_after_it() {
    let shelf = Shelf::one();
    let server = open(&shelf);
    for round in 1..=3 {
        // Nobody has the line open, and the server has time to notice.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(Arc::strong_count(&shelf), 2, "the line hung up");
        let port = Port::open(&serial(server.path())).unwrap();
        let mut client = client::attach_slave(port, Slave(1));
        soon(async {
            let words = client.read_holding_registers(40_000, 125).await.unwrap().unwrap();
            assert!(words.iter().copied().eq(40_000..40_125));
            assert_eq!(
                client.read_input_registers(17, 2).await.unwrap(),
                Ok(vec![17, 18])
            );
            assert_eq!(client.write_single_register(7, round).await.unwrap(), Ok(()));
            assert_eq!(
                client.write_multiple_registers(8, &[80, 90]).await.unwrap(),
                Ok(())
            );
            let read_back = client.read_holding_registers(7, 4).await.unwrap();
            assert_eq!(read_back, Ok(vec![round, 80, 90, 10]));
        })
        .await;
    }
}

#[tokio::test]
async fn a_late_reply_answers_the_next_request_as_rtu_has_no_transaction_id() {
    let shelf = Shelf::one();
    shelf.fail(Some(1), Fault::LateReply { millis: 500 });
    let server = open(&shelf);
    let port = Port::open(&serial(server.path())).unwrap();
    let mut client = client::attach_slave(port, Slave(1));
    let patience = Duration::from_millis(30);
    let first = tokio::time::timeout(patience, client.read_holding_registers(70, 1)).await;
    assert!(first.is_err(), "the client gives up");
    let second = soon(client.read_holding_registers(83, 1)).await.unwrap();
    assert_eq!(second, Ok(vec![70]), "register 70 for register 83");
}

#[tokio::test]
async fn who_is_not_on_the_line_is_silent_and_a_broadcast_reaches_all_and_is_not_answered() {
    let shelf = Shelf::new(&[1, 2], false);
    let server = open(&shelf);
    let mut raw = dial(&server);
    raw.send(&frame(9, &[3, 0, 5, 0, 1])).await;
    raw.send(&frame(9, &[1, 0, 5, 0, 1])).await;
    raw.send(&frame(0, &[6, 0, 5, 0, 99])).await;
    raw.send(&frame(0, &[3, 0, 5, 0, 1])).await;
    raw.send(&ask(5)).await;
    assert_eq!(raw.hear(7).await, told(99));
    assert_eq!(shelf.register(2, 5), 99);
    raw.send(&frame(1, &[1, 0, 5, 0, 1])).await;
    assert_eq!(raw.hear(5).await, frame(1, &[0x81, 1]));
}

#[tokio::test]
async fn a_request_is_heard_behind_noise_and_a_torn_one_is_given_up_after_silence() {
    let server = open(&Shelf::one());
    let mut raw = dial(&server);
    raw.send(&[&[0xFF, 0x00, 0x13, 0x37][..], &ask(5)].concat()).await;
    assert_eq!(raw.hear(7).await, told(5));

    let torn = frame(1, &[0x10, 0, 0, 0, 60, 120]);
    raw.send(&torn[..7]).await;
    raw.send(&ask(6)).await;
    assert_eq!(raw.hear(7).await, told(6), "the write never ended");
}

#[tokio::test]
async fn a_request_in_pieces_is_whole_if_there_is_no_silence_in_it() {
    let shelf = Shelf::one();
    let line = Line::Pty { link: None };
    let server = RtuServer::open_with_silence(&line, DEADLINE, shelf).unwrap();
    let mut raw = dial(&server);
    for byte in ask(5) {
        raw.send(&[byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(raw.hear(7).await, told(5));
}

#[tokio::test]
async fn frames_are_wrong_as_named() {
    let healthy = told(5);
    let spoiled = reply_under(Fault::BadCrc, 7).await;
    assert_eq!(spoiled[..5], healthy[..5]);
    assert_ne!(spoiled[5..], healthy[5..]);
    assert_eq!(reply_under(Fault::ForeignUnit, 7).await, frame(2, &[3, 2, 0, 5]));
    assert_eq!(
        reply_under(Fault::ForeignFunction, 7).await,
        frame(1, &[4, 2, 0, 5])
    );
    assert_eq!(reply_under(Fault::Noise { bytes: 5 }, 12).await[5..], healthy);
    assert_eq!(reply_under(Fault::DuplicateReply, 14).await, healthy.repeat(2));
    for tcp_only in [
        Fault::WrongTransactionId,
        Fault::ConstantTransactionId { id: 2 },
        Fault::WrongFrameLength { by: 4 },
        Fault::DeafAfterConnect { millis: 60_000 },
        Fault::OneConnection,
    ] {
        assert_eq!(reply_under(tcp_only, 7).await, healthy, "{tcp_only}");
    }
}

#[tokio::test]
async fn what_is_cut_off_or_unsaid_is_followed_by_the_next_reply() {
    for (fault, left) in [
        (Fault::TruncatedFrame { bytes: 4 }, 4),
        (Fault::TruncatedFrame { bytes: 8 }, 6),
        (Fault::DropMidReply, 3),
        (Fault::Silent, 0),
        (Fault::Offline, 0),
    ] {
        let shelf = Shelf::one();
        shelf.fail(Some(1), fault);
        let server = open(&shelf);
        let mut raw = dial(&server);
        raw.send(&frame(1, &[6, 0, 9, 0, 7])).await;
        raw.send(&ask(5)).await;
        // A unit without a fault tells that the request before it is done with.
        raw.send(&frame(0, &[6, 0, 8, 0, 1])).await;
        soon(async {
            while shelf.register(1, 8) != 1 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        shelf.heal();
        raw.send(&ask(6)).await;
        let write = frame(1, &[6, 0, 9, 0, 7]);
        let kept = |reply: &[u8]| match fault {
            Fault::TruncatedFrame { bytes: 8 } => reply[..reply.len() - 1].to_vec(),
            Fault::DropMidReply => reply[..reply.len() / 2].to_vec(),
            _ => reply[..left].to_vec(),
        };
        let expected = [kept(&write), kept(&told(5)), told(6)].concat();
        assert_eq!(raw.hear(expected.len()).await, expected, "{fault}");
        let applied = left > 0;
        assert_eq!(shelf.register(1, 9) == 7, applied, "{fault}");
    }
}

#[tokio::test]
async fn a_reader_that_never_reads_does_not_stop_the_line() {
    let shelf = Shelf::one();
    let server = open(&shelf);
    let mut raw = dial(&server);
    let requests = 2_000;
    for _ in 0..requests {
        raw.send(&frame(1, &[3, 0, 0, 0, 125])).await;
    }
    soon(async {
        while shelf.asked().len() < requests {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_link_leads_to_the_line_and_goes_with_it() {
    let directory = std::env::temp_dir().join(format!("gridtally-line-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let at = directory.join("inverter");
    let line = Line::Pty {
        link: Some(at.clone()),
    };
    std::os::unix::fs::symlink("/nowhere", &at).unwrap();
    let server = RtuServer::open(&line, Shelf::one()).unwrap();
    assert_eq!(server.path(), at);
    let mut raw = dial(&server);
    raw.send(&ask(5)).await;
    assert_eq!(raw.hear(7).await, told(5));
    drop(server);
    soon(async {
        while std::fs::symlink_metadata(&at).is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;

    std::fs::write(&at, "precious").unwrap();
    let error = RtuServer::open(&line, Shelf::one()).unwrap_err();
    assert!(matches!(error, LineError::LinkTaken { .. }), "{error}");
    assert_eq!(std::fs::read_to_string(&at).unwrap(), "precious");
    let error = RtuServer::open(&serial(&at), Shelf::one()).unwrap_err();
    assert!(matches!(error, LineError::Settings { .. }), "{error}");
    std::fs::remove_dir_all(&directory).unwrap();
    let error = RtuServer::open(&serial(&at), Shelf::one()).unwrap_err();
    assert!(matches!(error, LineError::Open { .. }), "{error}");
}
