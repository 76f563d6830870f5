//! What a device does with a request, faults above the frame included.

use super::DeviceState;
use crate::device::Answer;
use crate::device::control::{TimerHabit, Writable};
use crate::fault::{Active, Fault, Layer, Nonsense};
use crate::random::Random;
use crate::registers::Table;
use tokio_modbus::{ExceptionCode, Request, Response};

/// FC 3 and 4 carry at most 125 registers, FC 16 at most 123 (*MODBUS Application Protocol* 1.1b3,
/// §6.3, §6.4 and §6.12).
const MAX_READ: u16 = 125;
const MAX_WRITE: usize = 123;
/// What the byte count of a reply can say at most.
const MAX_REPLY_WORDS: usize = 127;

impl DeviceState {
    pub(crate) fn answer(&mut self, request: &Request<'_>) -> Answer {
        let active = self.active();
        let fault = |wanted: Fault| active.iter().any(|active| active.fault == wanted);
        if fault(Fault::Offline) || fault(Fault::Silent) {
            return Answer::Silence;
        }
        if let Some(exception) = exception_of(&active) {
            return Answer::Exception(exception);
        }
        let outcome = match request {
            _ if fault(Fault::Nonsense) => self.talk_nonsense(request),
            Request::ReadHoldingRegisters(address, count) => self
                .read(Table::Holding, *address, *count, &active)
                .map(Response::ReadHoldingRegisters),
            Request::ReadInputRegisters(address, count) => self
                .read(Table::Input, *address, *count, &active)
                .map(Response::ReadInputRegisters),
            Request::WriteSingleRegister(address, word) => self
                .take(*address, &[*word], &active)
                .map(|()| Response::WriteSingleRegister(*address, *word)),
            Request::WriteMultipleRegisters(address, words) => {
                let count = u16::try_from(words.len()).unwrap_or(u16::MAX);
                self.take(*address, words, &active)
                    .map(|()| Response::WriteMultipleRegisters(*address, count))
            }
            _ => Err(ExceptionCode::IllegalFunction),
        };
        let reading = matches!(
            request,
            Request::ReadHoldingRegisters(..) | Request::ReadInputRegisters(..)
        );
        match outcome {
            Ok(_) if !reading && fault(Fault::WriteAppliedUnanswered) => Answer::Silence,
            Ok(response) => Answer::Reply(response),
            Err(exception) => Answer::Exception(exception),
        }
    }

    /// A read, with what faults make of it.
    fn read(
        &self,
        table: Table,
        address: u16,
        count: u16,
        active: &[Active],
    ) -> Result<Vec<u16>, ExceptionCode> {
        let most = self.profile().map_or(MAX_READ, |profile| profile.max_registers);
        if !(1..=most.min(MAX_READ)).contains(&count) {
            return Err(ExceptionCode::IllegalDataValue);
        }
        let seen = self.distorted(active);
        let map = seen.as_ref().unwrap_or(&self.map);
        let words = map
            .read(table, address, count)
            .map_err(|_| ExceptionCode::IllegalDataAddress)?;
        let mut words = words.to_vec();
        for Active { fault, .. } in active {
            match *fault {
                Fault::SmallReads { registers } if i64::from(count) > registers => {
                    return Err(ExceptionCode::IllegalDataValue);
                }
                Fault::NoReadAcrossModels if self.crosses_models(address, count) => {
                    return Err(ExceptionCode::IllegalDataAddress);
                }
                Fault::ShortReply { by } => {
                    let by = usize::try_from(by.max(0)).unwrap_or(usize::MAX);
                    words.truncate(words.len().saturating_sub(by));
                }
                Fault::LongReply { by } => {
                    let by = usize::try_from(by.max(0)).unwrap_or(usize::MAX);
                    let length = words.len().saturating_add(by).min(MAX_REPLY_WORDS);
                    words.resize(length, 0);
                }
                _ => {}
            }
        }
        Ok(words)
    }

    /// Whether a read takes in registers of more than one model, marker and end model counted as such.
    fn crosses_models(&self, address: u16, count: u16) -> bool {
        let last = address.saturating_add(count - 1);
        let starts = self.map.models().iter().map(|model| model.address);
        let end = self
            .map
            .models()
            .last()
            .and_then(|model| model.address.checked_add(2)?.checked_add(model.layout.length()));
        starts.chain(end).any(|start| address < start && start <= last)
    }

    /// A write, with what faults make of it.
    fn take(&mut self, address: u16, words: &[u16], active: &[Active]) -> Result<(), ExceptionCode> {
        let fault = |wanted: Fault| active.iter().any(|active| active.fault == wanted);
        if fault(Fault::WritesRefused) {
            return Err(ExceptionCode::ServerDeviceFailure);
        }
        let touched = self.check_write(address, words)?;
        if fault(Fault::WritesIgnored) {
            return Ok(());
        }
        let obeys = !fault(Fault::WritesNotObeyed);
        if let (true, Some(recipes)) = (obeys, &mut self.recipes) {
            recipes.expect(&self.map, &touched);
        }
        self.write(address, words, &touched)?;
        if obeys {
            self.obey(&touched, active);
        }
        Ok(())
    }

    fn check_write(&self, address: u16, words: &[u16]) -> Result<Vec<u16>, ExceptionCode> {
        if !(1..=MAX_WRITE).contains(&words.len()) {
            return Err(ExceptionCode::IllegalDataValue);
        }
        let touched: Vec<u16> = (address..=u16::MAX).take(words.len()).collect();
        let known = touched.len() == words.len()
            && touched.iter().all(|&address| {
                self.panel
                    .writable
                    .iter()
                    .any(|writable| writable.covers(address))
            });
        if known {
            Ok(touched)
        } else {
            Err(ExceptionCode::IllegalDataAddress)
        }
    }

    /// All or nothing: no register changes unless each point accepts what it would hold.
    fn write(&mut self, address: u16, words: &[u16], touched: &[u16]) -> Result<(), ExceptionCode> {
        let count = u16::try_from(words.len()).map_err(|_| ExceptionCode::IllegalDataValue)?;
        let before = self.map.read(Table::Holding, address, count);
        let before = before.map_err(|_| ExceptionCode::IllegalDataAddress)?.to_vec();
        self.map.put(Table::Holding, address, words.iter().copied());
        let touches = |place: &Writable| touched.iter().any(|&address| place.covers(address));
        let accepted = self
            .panel
            .writable
            .iter()
            .filter(|place| touches(place))
            .all(|place| place.may_be_written_by(touched) && place.accepts(&self.map));
        if !accepted {
            self.map.put(Table::Holding, address, before);
            return Err(ExceptionCode::IllegalDataValue);
        }
        Ok(())
    }

    /// Starts timers and ramps after a write.
    fn obey(&mut self, touched: &[u16], active: &[Active]) {
        let mut habit = TimerHabit {
            counts: true,
            unit_seconds: 1,
        };
        for Active { fault, .. } in active {
            match fault {
                Fault::NeverReverts => habit.counts = false,
                Fault::ReversionUnit { seconds } => habit.unit_seconds = (*seconds).max(1),
                _ => {}
            }
        }
        for reversion in &mut self.panel.reversions {
            if reversion.is_touched_by(touched) {
                reversion.restart(&self.map, self.now, habit);
            }
        }
        if let Some(recipes) = &mut self.recipes {
            recipes.obey(&self.map, touched, self.now, habit);
        }
        if let Some(heart) = &mut self.panel.heartbeat {
            heart.listen(&self.map, touched, self.now);
        }
        let mut random = Random::nth(self.seed, "window", self.now.cast_unsigned());
        self.panel.steer(&self.map, self.now, &mut random);
        for reversion in &self.panel.reversions {
            reversion.count_down(&mut self.map, self.now);
        }
    }

    /// Nonsense depends on the instant and the registers, not on what was asked before: a client
    /// that is killed and comes back hears the same.
    fn talk_nonsense(&self, request: &Request<'_>) -> Result<Response, ExceptionCode> {
        let Request::ReadHoldingRegisters(address, count) = *request else {
            return Err(Nonsense::any_exception(&mut self.randomness(0, 0)));
        };
        if !(1..=MAX_READ).contains(&count) {
            return Err(ExceptionCode::IllegalDataValue);
        }
        let healthy = self.map.read(Table::Holding, address, count);
        let healthy = healthy.map_err(|_| ExceptionCode::IllegalDataAddress)?;
        let mut random = self.randomness(address, count);
        let how = Nonsense::any(&mut random);
        how.spoil(&self.map, address, healthy, &mut random)
            .map(Response::ReadHoldingRegisters)
    }

    fn randomness(&self, address: u16, count: u16) -> Random {
        let moment = self.now.cast_unsigned() << 32 | u64::from(address) << 16 | u64::from(count);
        Random::nth(self.seed, "nonsense", moment)
    }
}

/// The exception that every request meets, if a fault says so.
fn exception_of(active: &[Active]) -> Option<ExceptionCode> {
    let replies = active
        .iter()
        .filter(|active| active.fault.layer() == Layer::Reply);
    replies
        .filter_map(|active| match active.fault {
            Fault::IllegalAddress => Some(ExceptionCode::IllegalDataAddress),
            Fault::DeviceFailure => Some(ExceptionCode::ServerDeviceFailure),
            Fault::Busy => Some(ExceptionCode::ServerDeviceBusy),
            Fault::GatewayTargetSilent => Some(ExceptionCode::GatewayTargetDevice),
            _ => None,
        })
        .next()
}
