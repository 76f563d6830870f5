use super::*;
use tokio_modbus::client::tcp;
use tokio_modbus::prelude::*;

#[tokio::test]
async fn a_client_reads_and_writes_with_all_four_functions() {
    let shelf = Shelf::one();
    let server = serve(&shelf).await;
    let mut client = tcp::connect_slave(server.address(), Slave(1)).await.unwrap();
    soon(async {
        let words = client.read_holding_registers(40_000, 125).await.unwrap().unwrap();
        assert!(words.iter().copied().eq(40_000..40_125));
        assert_eq!(client.read_input_registers(7, 2).await.unwrap(), Ok(vec![7, 8]));
        assert_eq!(client.write_single_register(7, 70).await.unwrap(), Ok(()));
        assert_eq!(
            client.write_multiple_registers(8, &[80, 90]).await.unwrap(),
            Ok(())
        );
        let read_back = client.read_holding_registers(7, 4).await.unwrap();
        assert_eq!(read_back, Ok(vec![70, 80, 90, 10]));
        let coils = client.read_coils(0, 1).await.unwrap();
        assert_eq!(coils, Err(ExceptionCode::IllegalFunction));
    })
    .await;
}

#[tokio::test]
async fn requests_in_one_segment_are_answered_in_their_order() {
    let server = serve(&Shelf::one()).await;
    let mut raw = Raw::connect(&server).await;
    let requests: Vec<u8> = (0..500).flat_map(|n| read_request(n, 1_000 + n)).collect();
    raw.send(&requests).await;
    let expected: Vec<u8> = (0..500).flat_map(|n| read_reply(n, 1_000 + n)).collect();
    assert_eq!(raw.hear(expected.len()).await, expected);
}

#[tokio::test]
async fn a_request_may_come_byte_by_byte() {
    let server = serve(&Shelf::one()).await;
    let mut raw = Raw::connect(&server).await;
    raw.0.set_nodelay(true).unwrap();
    for byte in read_request(9, 5) {
        raw.send(&[byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(raw.hear(11).await, read_reply(9, 5));
}

#[tokio::test]
async fn what_is_no_modbus_is_hung_up_on_after_what_was_before_it_is_answered() {
    let server = serve(&Shelf::one()).await;
    let mut raw = Raw::connect(&server).await;
    raw.send(&[read_request(1, 5), b"GET / HTTP/1.1\r\n".to_vec()].concat())
        .await;
    assert_eq!(raw.hear_end().await, read_reply(1, 5));
}

#[tokio::test]
async fn a_gateway_answers_for_absent_units_and_nobody_does_elsewhere() {
    let strange = |unit| vec![0, 1, 0, 0, 0, 6, unit, 0x2B, 0, 0, 0, 1];
    let server = serve(&Shelf::new(&[1, 2], true)).await;
    let mut raw = Raw::connect(&server).await;
    raw.send(&strange(2)).await;
    assert_eq!(raw.hear(9).await, [0, 1, 0, 0, 0, 3, 2, 0xAB, 1]);
    let mut absent = read_request(3, 5);
    absent[6] = 9;
    raw.send(&absent).await;
    assert_eq!(raw.hear(9).await, [0, 3, 0, 0, 0, 3, 9, 0x83, 11]);

    let server = serve(&Shelf::one()).await;
    let mut raw = Raw::connect(&server).await;
    raw.send(&[absent, strange_of_wrong_length(9), read_request(4, 5)].concat())
        .await;
    assert_eq!(
        raw.hear(11).await,
        read_reply(4, 5),
        "the absent unit stays silent"
    );
}

fn strange_of_wrong_length(unit: u8) -> Vec<u8> {
    vec![0, 1, 0, 0, 0, 3, unit, 3, 0]
}

#[tokio::test]
async fn a_dropped_server_closes_its_connections_and_frees_its_port() {
    let shelf = Shelf::one();
    let server = serve(&shelf).await;
    let address = server.address();
    let mut raw = Raw::connect(&server).await;
    raw.send(&read_request(1, 5)).await;
    assert_eq!(raw.hear(11).await, read_reply(1, 5));
    drop(server);
    assert!(raw.hear_end().await.is_empty());
    soon(async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    soon(async {
        while Arc::strong_count(&shelf) > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn clients_do_not_wait_for_each_other() {
    let server = serve(&Shelf::one()).await;
    let mut clients = Vec::new();
    for _ in 0..50 {
        clients.push(Raw::connect(&server).await);
    }
    for (n, client) in (0..50).zip(&mut clients).rev() {
        client.send(&read_request(n, n)).await;
        assert_eq!(client.hear(11).await, read_reply(n, n));
    }
}
