//! Both servers, killed in every way.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use gridtally_link::{Link, LinkConfig, LinkEvent};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::mpsc::Receiver;

use super::{PrivateBroker, PrivateCluster, SuperviseError, process};

/// Long enough for a machine under load; nothing waits for it when all is well.
const DEADLINE: Duration = Duration::from_secs(60);
const DATA_DIR_VARIABLE: &str = "GRIDTALLY_TEST_DATA_DIR";

fn any_port() -> Option<SocketAddr> {
    Some("127.0.0.1:0".parse().unwrap())
}

fn connect(cluster: &PrivateCluster) -> postgres::Client {
    postgres::Client::connect(&cluster.connection_string(), postgres::NoTls).unwrap()
}

fn count(client: &mut postgres::Client) -> i64 {
    client.query_one("SELECT count(*) FROM kept", &[]).unwrap().get(0)
}

fn kill(process_id: u32) {
    kill_process(
        Pid::from_raw(i32::try_from(process_id).unwrap()).unwrap(),
        Signal::KILL,
    )
    .unwrap();
}

fn eventually(what: &str, happened: impl Fn() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What the system says of a process: its effective user, its supplementary groups.
fn user_and_groups(process_id: u32) -> (u32, String) {
    let status = fs::read_to_string(format!("/proc/{process_id}/status")).unwrap();
    let field = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap()
            .trim()
            .to_owned()
    };
    (
        field("Uid:").split_whitespace().nth(1).unwrap().parse().unwrap(),
        field("Groups:"),
    )
}

fn assert_unprivileged(process_id: u32) {
    let (user, groups) = user_and_groups(process_id);
    assert_ne!(user, 0, "a server runs as root");
    if rustix::process::geteuid().is_root() {
        assert_eq!(groups, "", "a server kept root's groups");
    }
}

#[test]
fn a_cluster_is_made_safe_private_and_unprivileged_and_keeps_its_data() {
    let data = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let cluster = PrivateCluster::start(data.path()).unwrap();
    println!("made and started in {:?}", start.elapsed());
    assert_unprivileged(cluster.process_id().unwrap());
    let mut client = connect(&cluster);
    for (setting, wanted) in [
        ("data_checksums", "on"),
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("synchronous_commit", "on"),
        ("server_encoding", "UTF8"),
        ("lc_collate", "C"),
        ("listen_addresses", ""),
        ("unix_socket_permissions", "0700"),
    ] {
        let value: String = client
            .query_one("SELECT current_setting($1)", &[&setting])
            .unwrap()
            .get(0);
        assert_eq!(value, wanted, "{setting}");
    }
    client
        .batch_execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1), (2)")
        .unwrap();
    drop(client);
    let start = Instant::now();
    cluster.stop().unwrap();
    println!("stopped in {:?}", start.elapsed());

    // A pid file whose number belongs to another process by now, as after a power cut.
    let pid_file = data.path().join("postgres/cluster/postmaster.pid");
    fs::write(
        &pid_file,
        format!(
            "{}\n/elsewhere\n1\n5432\n/tmp\n\n1 1\nready\n",
            std::process::id()
        ),
    )
    .unwrap();
    let start = Instant::now();
    let cluster = PrivateCluster::start(data.path()).unwrap();
    println!("started again in {:?}", start.elapsed());
    assert_eq!(count(&mut connect(&cluster)), 2);
}

#[test]
fn a_killed_postmaster_is_started_again_with_its_data_intact() {
    let data = tempfile::tempdir().unwrap();
    let cluster = PrivateCluster::start(data.path()).unwrap();
    let mut client = connect(&cluster);
    client.batch_execute("CREATE TABLE kept (n int)").unwrap();
    for round in 1..=2 {
        client
            .batch_execute("INSERT INTO kept SELECT generate_series(1, 1000)")
            .unwrap();
        kill(cluster.process_id().unwrap());
        let start = Instant::now();
        eventually("the postmaster serves again", || cluster.restarts() == round);
        println!("killed and recovered in {:?}", start.elapsed());
        client = connect(&cluster);
        assert_eq!(count(&mut client), i64::from(round) * 1000);
    }
    // Stopped just when it has died: it does not come back.
    kill(cluster.process_id().unwrap());
    cluster.stop().unwrap();
    assert_eq!(process::working_in(&data.path().join("postgres/cluster")), []);
}

#[test]
fn a_half_made_cluster_is_made_again() {
    let data = tempfile::tempdir().unwrap();
    let unfinished = data.path().join("postgres/cluster.new");
    fs::create_dir_all(unfinished.join("base")).unwrap();
    fs::write(unfinished.join("PG_VERSION"), "15\n").unwrap();
    let cluster = PrivateCluster::start(data.path()).unwrap();
    assert_eq!(connect(&cluster).query("SELECT 1", &[]).unwrap().len(), 1);
    assert!(!unfinished.exists());
}

#[test]
fn one_owner_runs_a_cluster_and_others_attach_even_under_a_long_path() {
    let outer = tempfile::tempdir().unwrap();
    let data = outer
        .path()
        .join("a-directory-with-a-name-that-no-socket-address-has-room-for".repeat(2));
    // With nobody there, who attaches owns.
    let first = PrivateCluster::attach(&data).unwrap();
    assert!(first.process_id().is_some());
    assert!(matches!(
        PrivateCluster::start(&data),
        Err(SuperviseError::InUse { .. })
    ));
    let second = PrivateCluster::attach(&data).unwrap();
    assert_eq!(second.process_id(), None);
    let mut client = connect(&second);

    // The owner stops only when the other is done.
    let stopping = std::thread::spawn(move || first.stop());
    client
        .batch_execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)")
        .unwrap();
    assert_eq!(count(&mut client), 1);
    drop(client);
    drop(second);
    stopping.join().unwrap().unwrap();

    let owner = PrivateCluster::start(&data).unwrap();
    assert_eq!(count(&mut connect(&owner)), 1);
}

#[test]
fn a_version_that_is_not_installed_is_named() {
    let data = tempfile::tempdir().unwrap();
    let cluster = data.path().join("postgres/cluster");
    fs::create_dir_all(&cluster).unwrap();
    fs::write(cluster.join("PG_VERSION"), "9.6\n").unwrap();
    let error = PrivateCluster::start(data.path()).unwrap_err().to_string();
    assert!(error.contains("postgresql-9.6"), "{error}");
}

/// Not a test: the process that the next one kills.
#[test]
#[ignore = "run by a_killed_engine_is_succeeded_by_the_next"]
fn hold_both_servers_until_killed() {
    let Some(data) = std::env::var_os(DATA_DIR_VARIABLE) else {
        return;
    };
    let cluster = PrivateCluster::start(Path::new(&data)).unwrap();
    let broker = PrivateBroker::start(Path::new(&data), any_port()).unwrap();
    connect(&cluster)
        .batch_execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)")
        .unwrap();
    let (postmaster, mosquitto) = (cluster.process_id().unwrap(), broker.process_id().unwrap());
    println!("\nheld {postmaster} {mosquitto} {}", broker.address());
    loop {
        std::thread::park();
    }
}

#[test]
fn a_killed_engine_is_succeeded_by_the_next() {
    let data = tempfile::tempdir().unwrap();
    let this_module = module_path!().split_once("::").unwrap().1;
    let mut engine = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture"])
        .arg(format!("{this_module}::hold_both_servers_until_killed"))
        .env(DATA_DIR_VARIABLE, data.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let held = BufReader::new(engine.stdout.take().unwrap())
        .lines()
        .find_map(|line| line.unwrap().strip_prefix("held ").map(str::to_owned))
        .expect("the other process serves");
    let held: Vec<&str> = held.split(' ').collect();
    let (postmaster, mosquitto): (u32, u32) = (held[0].parse().unwrap(), held[1].parse().unwrap());
    assert!(matches!(
        PrivateCluster::start(data.path()),
        Err(SuperviseError::InUse { .. })
    ));
    assert!(matches!(
        PrivateBroker::start(data.path(), None),
        Err(SuperviseError::InUse { .. })
    ));

    kill(engine.id());
    engine.wait().unwrap();
    // Its servers live on as orphans.
    user_and_groups(postmaster);
    user_and_groups(mosquitto);

    let cluster = PrivateCluster::start(data.path()).unwrap();
    let broker = PrivateBroker::start(data.path(), None).unwrap();
    assert_eq!(count(&mut connect(&cluster)), 1);
    assert_eq!(broker.address().to_string(), held[2]);
    let postmasters = process::working_in(&data.path().join("postgres/cluster"));
    assert!(postmasters.iter().all(|found| found.process_id != postmaster));
    let brokers = process::with_argument(
        "mosquitto",
        &data.path().canonicalize().unwrap().join("broker/mosquitto.conf"),
    );
    assert_eq!(
        brokers.iter().map(|found| found.process_id).collect::<Vec<_>>(),
        [broker.process_id().unwrap()]
    );
}

async fn connected(events: &mut Receiver<LinkEvent>) {
    let waiting = async { while !matches!(events.recv().await.unwrap(), LinkEvent::Connected) {} };
    tokio::time::timeout(DEADLINE, waiting)
        .await
        .expect("connected in time");
}

#[tokio::test]
async fn a_killed_broker_comes_back_where_it_was_and_links_find_their_subscriptions_again() {
    let data = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let broker = PrivateBroker::start(data.path(), any_port()).unwrap();
    println!("broker started in {:?}", start.elapsed());
    let address = broker.address();
    assert_unprivileged(broker.process_id().unwrap());
    let config = |client_id: &str| LinkConfig {
        subscriptions: vec!["kept/#".to_owned()],
        backoff_max: Duration::from_millis(500),
        ..LinkConfig::new(address.to_string(), client_id)
    };
    let (link, mut events) = Link::start(config("one"));
    connected(&mut events).await;
    for round in 1..=3_u8 {
        let process_id = broker.process_id().unwrap();
        let pid_file = fs::read_to_string(data.path().join("broker/mosquitto.pid")).unwrap();
        assert_eq!(pid_file.trim(), process_id.to_string());
        kill(process_id);
        connected(&mut events).await;
        link.publish("kept/topic", vec![round], false).unwrap();
        let event = tokio::time::timeout(DEADLINE, events.recv())
            .await
            .unwrap()
            .unwrap();
        let LinkEvent::Message(delivery) = event else {
            panic!("expected a message, got {event:?}")
        };
        assert_eq!(delivery.payload, [round]);
        link.acknowledge(&delivery);
        eventually("the restart is counted", || broker.restarts() == u32::from(round));
    }
    broker.stop().unwrap();
    assert!(!data.path().join("broker/mosquitto.pid").exists());
}

#[tokio::test]
async fn a_kept_session_survives_an_orderly_restart_of_the_broker() {
    let data = tempfile::tempdir().unwrap();
    let broker = PrivateBroker::start(data.path(), any_port()).unwrap();
    let address = broker.address();
    let keeper = || LinkConfig {
        clean_session: false,
        subscriptions: vec!["kept/#".to_owned()],
        ..LinkConfig::new(address.to_string(), "keeper")
    };
    let (link, mut events) = Link::start(keeper());
    connected(&mut events).await;
    drop(link);
    while events.recv().await.is_some() {}
    let (sender, mut sent) = Link::start(LinkConfig::new(address.to_string(), "sender"));
    connected(&mut sent).await;
    sender
        .publish("kept/topic", b"while you were out".to_vec(), false)
        .unwrap();
    drop(sender);
    while sent.recv().await.is_some() {}
    broker.stop().unwrap();

    let broker = PrivateBroker::start(data.path(), None).unwrap();
    assert_eq!(broker.address(), address);
    let (_link, mut events) = Link::start(keeper());
    connected(&mut events).await;
    let event = tokio::time::timeout(DEADLINE, events.recv())
        .await
        .unwrap()
        .unwrap();
    let LinkEvent::Message(delivery) = event else {
        panic!("expected a message, got {event:?}")
    };
    assert_eq!(delivery.payload, b"while you were out");
}
