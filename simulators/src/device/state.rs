//! One device from the inside.

use super::{Answer, Reversion, Writable};
use crate::fault::{Fault, FaultPlan, Nonsense};
use crate::random::Random;
use crate::sunspec::RegisterMap;
use tokio_modbus::{ExceptionCode, Request, Response};

/// FC 3 carries at most 125 registers, FC 16 at most 123 (*MODBUS Application Protocol* 1.1b3, §6.3
/// and §6.12).
const MAX_READ: u16 = 125;
const MAX_WRITE: usize = 123;

/// Registers, rules, timers and faults of a device.
#[derive(Debug)]
pub(crate) struct DeviceState {
    unit: u8,
    map: RegisterMap,
    writable: Vec<Writable>,
    reversions: Vec<Reversion>,
    faults: FaultPlan,
    seed: u64,
    now: i64,
}

impl DeviceState {
    pub(crate) fn new(
        unit: u8,
        map: RegisterMap,
        writable: Vec<Writable>,
        reversions: Vec<Reversion>,
        seed: u64,
    ) -> Self {
        Self {
            unit,
            map,
            writable,
            reversions,
            faults: FaultPlan::default(),
            seed,
            now: i64::MIN,
        }
    }

    pub(crate) fn unit(&self) -> u8 {
        self.unit
    }

    pub(crate) fn map(&self) -> &RegisterMap {
        &self.map
    }

    pub(crate) fn map_mut(&mut self) -> &mut RegisterMap {
        &mut self.map
    }

    pub(crate) fn faults_mut(&mut self) -> &mut FaultPlan {
        &mut self.faults
    }

    pub(crate) fn active_faults(&self) -> Vec<Fault> {
        self.faults
            .active(self.now)
            .iter()
            .map(|active| active.fault)
            .collect()
    }

    pub(crate) fn inject(&mut self, fault: Fault) {
        self.faults.inject(fault, self.now);
    }

    /// Sets the device's clock and takes back the controls whose timers have run out.
    pub(crate) fn tick(&mut self, now: i64) {
        self.now = now;
        for reversion in &mut self.reversions {
            for &(address, word) in reversion.expire(now) {
                put(&mut self.map, address, word);
            }
        }
    }

    /// When the next timer runs out.
    pub(crate) fn next_expiry(&self) -> Option<i64> {
        self.reversions
            .iter()
            .filter_map(|reversion| reversion.expires)
            .min()
    }

    pub(crate) fn answer(&mut self, request: &Request<'_>) -> Answer {
        let faults = self.active_faults();
        let outcome = if faults.contains(&Fault::Offline) {
            return Answer::Silence;
        } else if faults.contains(&Fault::Nonsense) {
            self.talk_nonsense(request)
        } else {
            self.respond(request)
        };
        outcome.map_or_else(Answer::Exception, Answer::Reply)
    }

    fn respond(&mut self, request: &Request<'_>) -> Result<Response, ExceptionCode> {
        match request {
            Request::ReadHoldingRegisters(address, count) => Ok(Response::ReadHoldingRegisters(
                self.read(*address, *count)?.to_vec(),
            )),
            Request::WriteSingleRegister(address, word) => {
                self.write(*address, &[*word])?;
                Ok(Response::WriteSingleRegister(*address, *word))
            }
            Request::WriteMultipleRegisters(address, words) => {
                self.write(*address, words)?;
                let count = u16::try_from(words.len()).map_err(|_| ExceptionCode::IllegalDataValue)?;
                Ok(Response::WriteMultipleRegisters(*address, count))
            }
            _ => Err(ExceptionCode::IllegalFunction),
        }
    }

    /// Nonsense depends on the instant and the registers, not on what was asked before: a client
    /// that is killed and comes back hears the same.
    fn talk_nonsense(&self, request: &Request<'_>) -> Result<Response, ExceptionCode> {
        let Request::ReadHoldingRegisters(address, count) = *request else {
            return Err(Nonsense::any_exception(&mut self.randomness(0, 0)));
        };
        let healthy = self.read(address, count)?;
        let mut random = self.randomness(address, count);
        let how = Nonsense::any(&mut random);
        how.spoil(&self.map, address, healthy, &mut random)
            .map(Response::ReadHoldingRegisters)
    }

    fn randomness(&self, address: u16, count: u16) -> Random {
        let moment = self.now.cast_unsigned() << 32 | u64::from(address) << 16 | u64::from(count);
        Random::nth(self.seed, "nonsense", moment)
    }

    fn read(&self, address: u16, count: u16) -> Result<&[u16], ExceptionCode> {
        if !(1..=MAX_READ).contains(&count) {
            return Err(ExceptionCode::IllegalDataValue);
        }
        self.map
            .read(address, count)
            .map_err(|_| ExceptionCode::IllegalDataAddress)
    }

    /// All or nothing: no register changes unless each accepts its word.
    fn write(&mut self, address: u16, words: &[u16]) -> Result<(), ExceptionCode> {
        if !(1..=MAX_WRITE).contains(&words.len()) {
            return Err(ExceptionCode::IllegalDataValue);
        }
        let targets: Vec<(u16, u16)> = (address..=u16::MAX).zip(words.iter().copied()).collect();
        if targets.len() < words.len() {
            return Err(ExceptionCode::IllegalDataAddress);
        }
        for &(address, word) in &targets {
            let writable = self.writable.iter().find(|writable| writable.address == address);
            if !writable.ok_or(ExceptionCode::IllegalDataAddress)?.accepts(word) {
                return Err(ExceptionCode::IllegalDataValue);
            }
        }
        for &(address, word) in &targets {
            put(&mut self.map, address, word);
        }
        for reversion in &mut self.reversions {
            if targets.iter().any(|&(address, _)| reversion.covers(address)) {
                reversion.restart(&self.map, self.now);
            }
        }
        Ok(())
    }
}

fn put(map: &mut RegisterMap, address: u16, word: u16) {
    map.write(address, word)
        .expect("a device's own rules name registers of its own map");
}
