//! Maps that end, begin, repeat and have holes as they do in the field.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use gridtally_edge::device::reading::Count;
use gridtally_edge::device::{self, Observed};
use gridtally_protocol::channel::Quantity;
use gridtally_protocol::time::Timestamp;
use gridtally_simulators::{Branch, Fault, Generation, HomeSpec, Phases, Role};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::house::{
    BATTERY, DEADLINE, Homes, House, METER, MORNING, PANELS, Shown, Told, Wiring, config, is_read,
};

/// Registers behind a socket, each with its word; what is not there is exception 2.
type Registers = BTreeMap<u16, u16>;

/// `SunS` at 40000, model 1 with 65 registers, model 203 with its counters in watt-hours.
fn meter(import: u32, export: u32) -> Registers {
    let mut words = vec![0x5375, 0x6e53, 1, 65];
    words.extend([0x4120; 65]);
    words.extend([203, 105]);
    let mut model = vec![0x8000; 105];
    model[52] = 0;
    for (offset, count) in [(36, export), (44, import)] {
        let [a, b, c, d] = count.to_be_bytes();
        model[offset] = u16::from_be_bytes([a, b]);
        model[offset + 1] = u16::from_be_bytes([c, d]);
    }
    words.extend(model);
    (40_000..).zip(words).collect()
}

/// The register of model 203 so many behind its number.
const fn of_meter(offset: u16) -> u16 {
    40_000 + 2 + 2 + 65 + offset
}

struct Meter {
    agent: Vec<device::Device>,
    now: i64,
    asked: Arc<Mutex<Vec<(u16, u16)>>>,
}

impl Meter {
    async fn new(registers: Registers, lines: &str) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let address = serve(registers, Arc::clone(&asked)).await;
        let device = format!(
            "[[device]]\nnumber = 1\nname = \"meter\"\nkind = \"grid_meter\"\naddress = \"{address}\"\n\
             timeout_ms = 5000\nnameplate_watts = 20000\n{lines}\n"
        );
        Self {
            agent: device::start(&config(&device).devices).unwrap(),
            now: MORNING,
            asked,
        }
    }

    async fn look(&mut self) -> Shown {
        self.now += 300;
        let observing = self.agent[0].observe(Timestamp::from_unix(self.now).unwrap(), true);
        let snapshot = timeout(DEADLINE, observing.finish()).await.unwrap();
        let channels = snapshot.channels.into_iter();
        channels.map(|(channel, seen)| (channel.quantity, seen)).collect()
    }
}

async fn serve(registers: Registers, asked: Arc<Mutex<Vec<(u16, u16)>>>) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, registers.clone(), Arc::clone(&asked)));
        }
    });
    address
}

async fn converse(mut stream: TcpStream, registers: Registers, asked: Arc<Mutex<Vec<(u16, u16)>>>) {
    let mut request = [0; 12];
    while stream.read_exact(&mut request).await.is_ok() {
        let [t0, t1, _, _, _, _, unit, function, a0, a1, c0, c1] = request;
        let (address, count) = (u16::from_be_bytes([a0, a1]), u16::from_be_bytes([c0, c1]));
        asked.lock().unwrap().push((address, count));
        let words: Option<Vec<u16>> = (address..=u16::MAX)
            .take(count.into())
            .map(|register| registers.get(&register).copied())
            .collect();
        let pdu = match words {
            Some(words) if words.len() == usize::from(count) => {
                let bytes = words.iter().flat_map(|word| word.to_be_bytes());
                let [_, len] = (count * 2).to_be_bytes();
                [function, len].into_iter().chain(bytes).collect()
            }
            _ => vec![function | 0x80, 2],
        };
        let [l0, l1] = u16::try_from(pdu.len() + 1).unwrap().to_be_bytes();
        let reply = [vec![t0, t1, 0, 0, l0, l1, unit], pdu].concat();
        if stream.write_all(&reply).await.is_err() {
            return;
        }
    }
}

fn counts(shown: &Shown) -> BTreeMap<Quantity, u64> {
    let count = |observed: Observed| match observed {
        Observed::Counter(device::Counter {
            count: Count::Integer { count, .. },
            ..
        }) => Some(count),
        _ => None,
    };
    shown
        .iter()
        .filter_map(|(quantity, seen)| Some((*quantity, count((*seen).ok()?)?)))
        .collect()
}

fn both(import: u64, export: u64) -> BTreeMap<Quantity, u64> {
    [(Quantity::GridImport, import), (Quantity::GridExport, export)].into()
}

#[tokio::test]
async fn a_chain_that_ends_in_a_single_zero_is_read() {
    let mut registers = meter(70_000, 5);
    registers.insert(of_meter(107), 0);
    let mut meter = Meter::new(registers, "").await;
    assert_eq!(counts(&meter.look().await), both(70_000, 5));
}

#[tokio::test]
async fn a_chain_that_just_stops_is_read() {
    let mut meter = Meter::new(meter(70_000, 5), "").await;
    assert_eq!(counts(&meter.look().await), both(70_000, 5));
}

#[tokio::test]
async fn a_register_that_cannot_be_read_kills_no_value_but_its_own() {
    let mut registers = meter(70_000, 5);
    registers.extend([(of_meter(107), 0xffff), (of_meter(108), 0)]);
    // Between the header and the counters, as devices have it that know no currents.
    registers.remove(&of_meter(30));
    let mut healthy = Meter::new(registers.clone(), "").await;
    assert_eq!(counts(&healthy.look().await), both(70_000, 5));
    // Inside one counter: the other one has its scale factor in another request, and stays.
    registers.remove(&of_meter(39));
    let mut half = Meter::new(registers.clone(), "").await;
    let shown = counts(&half.look().await);
    assert_eq!(shown, [(Quantity::GridImport, 70_000)].into());
    // Without the scale factor both are worth nothing.
    registers.remove(&of_meter(54));
    let mut bare = Meter::new(registers, "").await;
    assert_eq!(counts(&bare.look().await), BTreeMap::new());
}

#[tokio::test]
async fn no_read_is_longer_than_the_owner_says_and_each_value_comes_with_its_scale_factor() {
    let mut registers = meter(70_000, 5);
    registers.extend([(of_meter(107), 0xffff), (of_meter(108), 0)]);
    let mut meter = Meter::new(registers, "max_registers = 20").await;
    assert_eq!(counts(&meter.look().await), both(70_000, 5));
    let asked = meter.asked.lock().unwrap().clone();
    assert!(asked.iter().all(|(_, count)| *count <= 20), "{asked:?}");
    for value in [of_meter(38), of_meter(46)] {
        let together = |(address, count): &(u16, u16)| {
            (*address..address + count).contains(&value) && address + count > of_meter(54)
        };
        assert!(asked.iter().any(together), "{asked:?}");
    }
}

#[tokio::test]
async fn a_map_at_4096_is_read_where_the_owner_says_so_and_those_at_0_and_50000_without() {
    for (base, line) in [(4_096, "base = 4096"), (0, ""), (50_000, "")] {
        let mut spec = HomeSpec::draw(u64::from(base));
        spec.device_mut(Role::Battery).unwrap().base = base;
        let homes = Homes::new(spec);
        let served = homes.serve(Wiring::Sockets).await;
        let told = Told {
            lines: ["", "", line],
            ..Told::default()
        };
        House::of(homes, served, told)
            .until_read(BATTERY, 1)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn of_two_models_of_one_number_the_owner_chooses() {
    for (line, instance) in [("", 0), ("instance = 2", 1)] {
        let mut spec = HomeSpec::draw(11);
        let meter = spec.device_mut(Role::Meter).unwrap();
        meter.models = vec![203, 203];
        meter.measures = vec![Branch::Grid, Branch::Battery];
        let homes = Homes::new(spec);
        let device = homes.device(METER);
        let server = device.serve(([127, 0, 0, 1], 0).into()).await.unwrap();
        let text = format!(
            "[[device]]\nnumber = 1\nname = \"meter\"\nkind = \"grid_meter\"\naddress = \"{}\"\nunit = 1\n\
             timeout_ms = 5000\nnameplate_watts = 20000\n{line}\n",
            server.address()
        );
        let mut agent = device::start(&config(&text).devices).unwrap();
        let now = Timestamp::from_unix(MORNING + 300).unwrap();
        let snapshot = timeout(DEADLINE, agent[0].observe(now, true).finish())
            .await
            .unwrap();
        let shown: Shown = snapshot
            .channels
            .into_iter()
            .map(|(c, seen)| (c.quantity, seen))
            .collect();
        let said = |point| u64::try_from(device.registers().value(203, instance, point).unwrap()).unwrap();
        assert_eq!(counts(&shown), both(said("TotWhImp"), said("TotWhExp")), "{line}");
    }
}

#[tokio::test]
async fn of_two_generations_in_one_map_one_is_counted_and_always_the_same() {
    let mut spec = HomeSpec::draw(12);
    spec.device_mut(Role::Inverter)
        .unwrap()
        .speak(Generation::All, Phases::Three);
    spec.device_mut(Role::Meter)
        .unwrap()
        .speak(Generation::All, Phases::Three);
    let mut house = House::new(spec, Wiring::Sockets).await;
    for _ in 0..3 {
        // What is believed is held against the integer models by the house.
        let shown = house.look().await.unwrap();
        assert!(is_read(&shown[PANELS]) && is_read(&shown[METER]), "{shown:?}");
    }
}

#[tokio::test]
async fn a_map_that_moves_up_and_back_while_it_is_read_is_found_within_the_same_look() {
    let mut house = House::new(HomeSpec::draw(13), Wiring::Gateway).await;
    house.until_read(BATTERY, 1).await.unwrap();
    for by in [1, 2, 50, 3] {
        house.inject(BATTERY, Fault::ShiftedMap { by });
        house.until_read(BATTERY, 1).await.unwrap();
        house.mend(BATTERY);
        house.until_read(BATTERY, 1).await.unwrap();
    }
}
