//! How often a password or a code may be guessed: two leaky buckets, one for each address and one for all,
//! in constant memory. Nobody who is signed in is ever held up by them.

use std::net::IpAddr;
use std::time::Duration;

/// How many addresses are remembered; the one that was quiet for longest makes room.
const ADDRESSES_MAX: usize = 64;
const ONE_ADDRESS: Limits = Limits {
    burst: 5,
    refill: Duration::from_secs(30),
};
/// A hundred million guesses, at one each 4 s, take twelve years.
const ALL_ADDRESSES: Limits = Limits {
    burst: 20,
    refill: Duration::from_secs(4),
};

#[derive(Debug, Clone, Copy)]
struct Limits {
    burst: u32,
    refill: Duration,
}

/// When a bucket will be full again; it holds nothing else.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    full_at: Duration,
}

impl Bucket {
    /// How long until the next attempt.
    fn wait(self, limits: Limits, now: Duration) -> Duration {
        let missing = self.full_at.saturating_sub(now);
        let room = limits.refill.saturating_mul(limits.burst.saturating_sub(1));
        missing.saturating_sub(room)
    }

    fn take(&mut self, limits: Limits, now: Duration) {
        self.full_at = self.full_at.max(now).saturating_add(limits.refill);
    }
}

/// The attempts of all.
#[derive(Debug, Default)]
pub struct Attempts {
    addresses: Vec<(IpAddr, Bucket)>,
    all: Bucket,
}

impl Attempts {
    /// Takes one attempt, at a time since any fixed instant.
    ///
    /// # Errors
    /// How long to wait; then none was taken.
    pub fn take(&mut self, address: IpAddr, now: Duration) -> Result<(), Duration> {
        let address = network_of(address);
        let known = self.addresses.iter().position(|(a, _)| *a == address);
        let mut bucket = known
            .and_then(|i| self.addresses.get(i))
            .map_or_else(Bucket::default, |(_, b)| *b);
        let wait = bucket
            .wait(ONE_ADDRESS, now)
            .max(self.all.wait(ALL_ADDRESSES, now));
        if !wait.is_zero() {
            return Err(wait);
        }
        bucket.take(ONE_ADDRESS, now);
        self.all.take(ALL_ADDRESSES, now);
        if let Some(index) = known {
            self.addresses.swap_remove(index);
        } else if self.addresses.len() >= ADDRESSES_MAX {
            let quiet = self
                .addresses
                .iter()
                .enumerate()
                .min_by_key(|(_, (_, b))| b.full_at);
            if let Some(index) = quiet.map(|(i, _)| i) {
                self.addresses.swap_remove(index);
            }
        }
        self.addresses.push((address, bucket));
        Ok(())
    }

    /// Forgives an address that knew the secret.
    pub fn forgive(&mut self, address: IpAddr) {
        let address = network_of(address);
        self.addresses.retain(|(a, _)| *a != address);
    }
}

/// An IPv6 host has its whole /64 to choose addresses from.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6([a, b, c, d, 0, 0, 0, 0].into())
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn host(n: u32) -> IpAddr {
        IpAddr::V4(std::net::Ipv4Addr::from_bits(0x0a00_0000 + n))
    }

    #[test]
    fn five_guesses_then_one_each_half_minute() {
        let mut attempts = Attempts::default();
        let start = Duration::from_secs(1000);
        for _ in 0..5 {
            attempts.take(host(1), start).unwrap();
        }
        assert_eq!(attempts.take(host(1), start), Err(Duration::from_secs(30)));
        assert_eq!(attempts.take(host(2), start), Ok(()));
        assert_eq!(attempts.take(host(1), start + Duration::from_secs(30)), Ok(()));
        assert!(attempts.take(host(1), start + Duration::from_secs(31)).is_err());
        attempts.forgive(host(1));
        assert_eq!(attempts.take(host(1), start + Duration::from_secs(31)), Ok(()));
    }

    #[test]
    fn a_whole_ipv6_network_is_one_guesser() {
        let mut attempts = Attempts::default();
        for i in 0..5_u16 {
            let address = std::net::Ipv6Addr::new(0xfd00, 0, 0, 1, i, i, i, i);
            attempts.take(address.into(), Duration::ZERO).unwrap();
        }
        assert!(
            attempts
                .take("fd00:0:0:1::99".parse().unwrap(), Duration::ZERO)
                .is_err()
        );
        assert!(
            attempts
                .take("fd00:0:0:2::99".parse().unwrap(), Duration::ZERO)
                .is_ok()
        );
    }

    proptest! {
        #[test]
        fn however_many_guess_memory_and_rate_are_bounded(
            guesses in prop::collection::vec((0_u32..10_000, 0_u64..3), 0..2000)
        ) {
            let mut attempts = Attempts::default();
            let (mut now, mut taken) = (Duration::ZERO, 0_u64);
            for (who, pause) in guesses {
                now += Duration::from_secs(pause);
                taken += u64::from(attempts.take(host(who), now).is_ok());
                prop_assert!(attempts.addresses.len() <= ADDRESSES_MAX);
            }
            prop_assert!(taken <= 20 + now.as_secs() / 4);
        }
    }
}
