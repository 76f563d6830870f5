//! How long requests take on a serial line, and whether a line can carry what is asked of it.

use std::time::Duration;

use crate::device::endpoint::{Endpoint, Parity, SerialLine};

/// Characters of a read's request (unit, function, address, count, checksum), and of its reply without the
/// registers (Modbus over Serial Line 1.02, §2.5.1).
const REQUEST_CHARACTERS: u64 = 8;
const REPLY_CHARACTERS: u64 = 5;
/// Above this rate the silence between frames is fixed (§2.5.1.1).
const FAST_BAUD: u32 = 19_200;
const FAST_SILENCE: Duration = Duration::from_micros(1_750);
/// What devices take to begin their answer, where nothing better is known.
const TURNAROUND: Duration = Duration::from_millis(20);

/// The silence that separates two frames: three and a half characters, at least 1.75 ms.
#[must_use]
pub fn frame_silence(line: &SerialLine) -> Duration {
    if line.baud > FAST_BAUD {
        return FAST_SILENCE;
    }
    characters(line, 7) / 2
}

/// How long a read of so many registers takes on the line, with both silences and no turnaround.
#[must_use]
pub fn read_time(line: &SerialLine, registers: u16) -> Duration {
    let bytes = REQUEST_CHARACTERS + REPLY_CHARACTERS + 2 * u64::from(registers);
    characters(line, bytes).saturating_add(frame_silence(line).saturating_mul(2))
}

/// A line cannot carry what is asked of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{endpoint} needs {} ms for one round of its devices and has {} ms: poll less often, raise the baud \
     rate, or give a device a line of its own",
    needed.as_millis(), available.as_millis()
)]
pub struct BudgetExceeded {
    /// Which line.
    pub endpoint: String,
    /// What a round takes.
    pub needed: Duration,
    /// What there is between two rounds.
    pub available: Duration,
}

/// Checks that reads of so many registers each, one round of all devices, fit into `period` on the endpoint.
/// `pause` is the rest that its devices want between requests. Sockets are not reckoned: what they take
/// is not the line's but the device's.
///
/// # Errors
/// [`BudgetExceeded`].
pub fn check_budget(
    endpoint: &Endpoint,
    reads: impl IntoIterator<Item = u16>,
    pause: Duration,
    period: Duration,
) -> Result<(), BudgetExceeded> {
    let Endpoint::Serial(line) = endpoint else {
        return Ok(());
    };
    let needed = reads.into_iter().fold(Duration::ZERO, |sum, registers| {
        sum.saturating_add(read_time(line, registers))
            .saturating_add(TURNAROUND.max(pause))
    });
    if needed <= period {
        return Ok(());
    }
    Err(BudgetExceeded {
        endpoint: endpoint.to_string(),
        needed,
        available: period,
    })
}

/// The time of so many characters: start bit, eight bits, check bit, stop bits.
fn characters(line: &SerialLine, count: u64) -> Duration {
    let parity = u64::from(line.parity != Parity::None);
    let bits = count.saturating_mul(9 + parity + u64::from(line.stop_bits));
    Duration::from_micros(bits.saturating_mul(1_000_000) / u64::from(line.baud.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(baud: u32, parity: Parity) -> SerialLine {
        SerialLine {
            path: "/dev/ttyUSB0".into(),
            baud,
            parity,
            stop_bits: 1,
        }
    }

    #[test]
    fn a_read_takes_as_long_as_the_line_needs_for_its_bits() {
        // facts of the field: 52 registers (model 103) take 130 ms at 9600 baud 8N1, 34 at 38400.
        for (baud, registers, milliseconds) in [
            (9_600, 2, 24),
            (9_600, 52, 129),
            (9_600, 107, 243),
            (9_600, 125, 281),
            (19_200, 52, 64),
            (38_400, 52, 33),
            (115_200, 125, 26),
        ] {
            let took = read_time(&line(baud, Parity::None), registers).as_millis();
            assert!(
                (milliseconds..=milliseconds + 2).contains(&took),
                "{baud} {registers}: {took}"
            );
        }
        assert!(read_time(&line(9_600, Parity::Even), 52) > read_time(&line(9_600, Parity::None), 52));
    }

    #[test]
    fn a_line_at_9600_baud_carries_two_inverters_with_meters_a_second_and_not_four() {
        let endpoint = Endpoint::Serial(line(9_600, Parity::None));
        let second = Duration::from_secs(1);
        let reads = |devices: usize| [52_u16, 107].into_iter().cycle().take(devices * 2);
        assert_eq!(check_budget(&endpoint, reads(2), Duration::ZERO, second), Ok(()));
        let error = check_budget(&endpoint, reads(4), Duration::ZERO, second).unwrap_err();
        assert!(
            error.to_string().contains("has 1000 ms: poll less often"),
            "{error}"
        );
        let rests = Duration::from_millis(500);
        assert!(check_budget(&endpoint, reads(2), rests, second).is_err());
        let socket = Endpoint::Tcp("a:502".to_owned());
        assert_eq!(check_budget(&socket, reads(99), rests, second), Ok(()));
    }
}
