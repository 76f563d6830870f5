//! What a Modbus client sees of a device, and two equal homes of which one fails.

use gridtally_simulators::{
    Answer, Device, DeviceSpec, Fault, Generation, Home, HomeSpec, ModelAt, Phases, RegisterMap, Role, Table,
};
use tokio_modbus::{ExceptionCode, Request, Response};

/// 2026-06-21T12:00:00Z.
pub const NOON: i64 = 1_782_043_200;
/// When the faults of this file's labs begin.
pub const BEGIN: i64 = NOON + 300;
pub const HOUR: i64 = 3_600;
pub const DAY: i64 = 86_400;

/// A hybrid inverter with every model there is and a meter of both kinds, at a noon at which the battery
/// charges and the rest of the sun goes to the grid: no power is zero.
pub fn spec() -> HomeSpec {
    let mut spec = HomeSpec::draw(21);
    spec.battery.power_watts = 1_000;
    spec.battery.capacity_watt_hours = 20_000;
    spec.battery.initial_soc_permille = 400;
    spec.devices = [Role::Hybrid, Role::Meter]
        .map(|role| {
            let mut device = DeviceSpec::new(role, "LAB");
            device.speak(Generation::All, Phases::Three);
            device.heartbeat_seconds = 60;
            device
        })
        .to_vec();
    spec
}

pub fn read(device: &Device, address: u16, count: u16) -> Result<Vec<u16>, ExceptionCode> {
    match device.answer(&Request::ReadHoldingRegisters(address, count)) {
        Answer::Reply(Response::ReadHoldingRegisters(words)) => Ok(words),
        Answer::Exception(exception) => Err(exception),
        other => panic!("{other:?} to a read"),
    }
}

/// The answer to a write of several registers; `None` where there is none.
pub fn write(device: &Device, address: u16, words: &[u16]) -> Option<Result<(), ExceptionCode>> {
    match device.answer(&Request::WriteMultipleRegisters(address, words.into())) {
        Answer::Reply(Response::WriteMultipleRegisters(at, count)) => {
            assert_eq!((at, usize::from(count)), (address, words.len()));
            Some(Ok(()))
        }
        Answer::Exception(exception) => Some(Err(exception)),
        Answer::Silence => None,
        other => panic!("{other:?} to a write"),
    }
}

/// Writes one point as its type has it.
pub fn set(device: &Device, model: u16, point: &str, value: i128) -> Option<Result<(), ExceptionCode>> {
    let map = device.registers();
    let (at, placed) = map.find(model, 0, point).expect("a point of the model");
    let words: Vec<u16> = placed.kind().encode(value).collect();
    write(device, at.address_of(placed), &words)
}

/// All registers of a device, as many as it truly has, read in blocks.
pub fn seen(device: &Device) -> RegisterMap {
    let truth = device.registers();
    let (base, length) = (truth.base(), u16::try_from(truth.words().len()).unwrap());
    let mut words = Vec::new();
    while words.len() < usize::from(length) {
        let done = u16::try_from(words.len()).unwrap();
        words.extend(read(device, base + done, (length - done).min(100)).expect("a block of the map"));
    }
    RegisterMap::plain([(Table::Holding, base, words)])
}

/// The integer that a client sees in a point, sentinel or not.
pub fn number(device: &Device, model: u16, point: &str) -> i128 {
    let map = device.registers();
    let (at, placed) = map.find(model, 0, point).expect("a point of the model");
    let words = read(device, at.address_of(placed), placed.kind().words()).expect("the point's registers");
    placed.kind().integer(&words).expect("a number")
}

/// Two equal homes; faults befall the first.
pub struct Lab {
    pub failing: Home,
    pub healthy: Home,
    begin: i64,
    end: i64,
}

impl Lab {
    /// The device of that role that fails, and its healthy twin.
    pub fn pair(&self, role: Role) -> (&Device, &Device) {
        (
            self.failing.device(role).unwrap(),
            self.healthy.device(role).unwrap(),
        )
    }

    pub fn hybrids(&self) -> (&Device, &Device) {
        self.pair(Role::Hybrid)
    }

    pub fn meters(&self) -> (&Device, &Device) {
        self.pair(Role::Meter)
    }

    /// Seconds since the fault began.
    pub fn advance_to(&mut self, seconds: i64) {
        assert!(self.begin + seconds < self.end, "the fault would be over");
        self.go(self.begin + seconds);
    }

    fn go(&mut self, instant: i64) {
        self.failing.advance_to(instant);
        self.healthy.advance_to(instant);
    }

    /// Every register of every device, as a client reads it, is that of the healthy twin.
    pub fn assert_alike(&self, when: &str) {
        for (failing, healthy) in self.failing.devices().iter().zip(self.healthy.devices()) {
            assert_differences(&seen(failing), &healthy.registers(), &[], when);
        }
    }
}

/// The registers in which a map differs from a healthy one are those of the named points.
pub fn assert_differences(seen: &RegisterMap, healthy: &RegisterMap, points: &[&str], when: &str) {
    let different: Vec<String> = healthy
        .points()
        .filter(|(at, point)| seen.point_words(at, point) != healthy.point_words(at, point))
        .map(|(at, point)| format!("{}.{}", at.id(), point.path))
        .collect();
    assert_eq!(different, points, "{when}");
    assert!(
        !points.is_empty() || seen.words() == healthy.words(),
        "{when}: headers"
    );
}

/// Shows a fault of two equal homes twice: switched on and off by hand, and by a schedule of an hour.
/// Before and after it every register is right.
pub fn on_and_off(fault: Fault, shown: impl Fn(&mut Lab)) {
    from_until(BEGIN, HOUR, fault, shown);
}

/// As [`on_and_off`], from a Unix second on for so many seconds.
pub fn from_until(begin: i64, seconds: i64, fault: Fault, shown: impl Fn(&mut Lab)) {
    for by_hand in [true, false] {
        let mut lab = run(begin, seconds, fault, by_hand, &shown);
        let how = if by_hand { "ejected" } else { "scheduled" };
        // A clock is read when the device measures next.
        if !matches!(fault, Fault::ClockDrifts { .. } | Fault::ClockSteps { .. }) {
            lab.assert_alike(&format!("{fault}, at the end ({how})"));
        }
        lab.go(lab.end + 1);
        lab.assert_alike(&format!("{fault}, a second after its end ({how})"));
        lab.go(lab.end + 10 * 60);
        lab.assert_alike(&format!("{fault}, ten minutes after its end ({how})"));
    }
}

/// As [`on_and_off`], for faults that leave their mark on what was written: what is right afterwards
/// is for `after` to say.
pub fn on_and_off_then(fault: Fault, shown: impl Fn(&mut Lab), after: impl Fn(&mut Home, &mut Home)) {
    for by_hand in [true, false] {
        let mut lab = run(BEGIN, HOUR, fault, by_hand, &shown);
        after(&mut lab.failing, &mut lab.healthy);
    }
}

fn run(begin: i64, seconds: i64, fault: Fault, by_hand: bool, shown: &impl Fn(&mut Lab)) -> Lab {
    let start = begin - 300;
    let end = begin + seconds;
    let mut lab = Lab {
        failing: Home::new(spec(), start),
        healthy: Home::new(spec(), start),
        begin,
        end,
    };
    if !by_hand {
        for device in lab.failing.devices() {
            device.schedule(fault, begin..end);
        }
    }
    lab.go(begin - 1);
    lab.assert_alike("a second before the fault");
    lab.go(begin);
    for device in lab.failing.devices().iter().filter(|_| by_hand) {
        device.inject(fault);
    }
    let in_force = |lab: &Lab| {
        let mut devices = lab.failing.devices().iter();
        devices.all(|device| device.active_faults() == [fault])
    };
    assert!(in_force(&lab), "{fault} is in force from its second on");
    shown(&mut lab);
    lab.go(end - 1);
    assert!(in_force(&lab), "{fault} is in force up to its last second");
    lab.go(end);
    for device in lab.failing.devices().iter().filter(|_| by_hand) {
        assert!(device.eject(fault.name()), "{fault} was on");
    }
    let mut devices = lab.failing.devices().iter();
    assert!(
        devices.all(|device| device.active_faults().is_empty()),
        "{fault} is over"
    );
    lab
}

/// Each model's address, number and length in a map.
pub fn chain(map: &RegisterMap) -> Vec<(u16, u16, u16)> {
    map.models()
        .iter()
        .map(|at: &ModelAt| (at.address, at.id(), at.layout.length()))
        .collect()
}
