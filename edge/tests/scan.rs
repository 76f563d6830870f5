//! How politely hosts are asked.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gridtally_edge::find::places::Named;
use gridtally_edge::find::report::Report;
use gridtally_edge::find::{Plan, scan};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

const DEADLINE: Duration = Duration::from_secs(60);
const PARALLEL: usize = 4;

/// Who is asked at this moment, and the most that were at once.
#[derive(Default)]
struct Seen {
    now: BTreeMap<IpAddr, usize>,
    hosts: BTreeMap<IpAddr, usize>,
    most: usize,
    most_of_a_host: usize,
}

/// Answers every request with exception 2, after a while.
async fn refuse(mut stream: TcpStream, seen: Arc<Mutex<Seen>>) {
    let host = stream.local_addr().unwrap().ip();
    let mut request = [0; 12];
    while stream.read_exact(&mut request).await.is_ok() {
        {
            let mut seen = seen.lock().unwrap();
            *seen.hosts.entry(host).or_default() += 1;
            *seen.now.entry(host).or_default() += 1;
            seen.most = seen.most.max(seen.now.values().sum());
            seen.most_of_a_host = seen.most_of_a_host.max(seen.now[&host]);
        }
        sleep(Duration::from_millis(5)).await;
        *seen.lock().unwrap().now.get_mut(&host).unwrap() -= 1;
        let [high, low, ..] = request;
        let answer = [high, low, 0, 0, 0, 3, request[6], request[7] | 0x80, 2];
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn hosts_are_asked_one_question_at_a_time_and_few_at_once() {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)))
        .await
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(Mutex::new(Seen::default()));
    let counting = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(refuse(stream, Arc::clone(&counting)));
        }
    });
    let plan = Plan {
        places: "127.0.77.0/28".parse::<Named>().unwrap().places(&[port]),
        units: vec![1, 2, 3],
        bases: vec![40_000, 0, 50_000],
        connect_within: Duration::from_secs(5),
        answer_within: Duration::from_secs(5),
        pause: Duration::ZERO,
        parallel: PARALLEL,
    };
    let (events, mut inbox) = mpsc::channel(8);
    let mut report = Report::default();
    let taking = async {
        while let Some(event) = inbox.recv().await {
            report.take(event);
        }
    };
    timeout(DEADLINE, async { tokio::join!(scan(plan, events), taking) })
        .await
        .expect("an end in time");
    let seen = seen.lock().unwrap();
    assert_eq!((report.done, report.found.len(), seen.hosts.len()), (14, 14, 14));
    assert_eq!(seen.most_of_a_host, 1);
    assert!((2..=PARALLEL).contains(&seen.most), "{} at once", seen.most);
    // Units that refuse alike are one find, of which no more is said than is known.
    assert!(report.found.iter().all(|found| found.also == [2, 3]));
    assert!(
        report.table().contains("no map that is known here"),
        "{}",
        report.table()
    );
}
