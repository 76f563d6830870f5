//! Seeded randomness that is the same on every machine and in every version.

/// The SplitMix64 generator (Steele, Lea, Flood, *Fast Splittable Pseudorandom Number Generators*,
/// OOPSLA 2014). Small, and defined for ever: a seed found by a test stays that test.
#[derive(Debug, Clone)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    /// The stream of that name under a seed; streams of different names are independent.
    pub(crate) fn new(seed: u64, stream: &str) -> Self {
        let mut hash = 0xCBF2_9CE4_8422_2325_u64 ^ seed;
        for byte in stream.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
        let mut random = Self { state: hash };
        random.next();
        random
    }

    /// The stream of that name for the n-th thing (a half-hour, a home).
    pub(crate) fn nth(seed: u64, stream: &str, n: u64) -> Self {
        let key = Self::new(seed, stream).next();
        Self {
            state: key ^ n.wrapping_mul(0xD6E8_FEB8_6659_FD93),
        }
    }

    /// 64 random bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A whole number from `least` to `greatest`, both included. The range has to be below 2³².
    pub(crate) fn between(&mut self, least: i64, greatest: i64) -> i64 {
        let width = greatest.abs_diff(least) + 1;
        let scaled = (u128::from(self.next()) * u128::from(width)) >> 64;
        least + i64::try_from(scaled).unwrap_or_default()
    }

    /// A number from 0 up to, not including, 1.
    pub(crate) fn unit(&mut self) -> f64 {
        let high = u32::try_from(self.next() >> 32).unwrap_or_default();
        f64::from(high) / 4_294_967_296.0
    }

    /// About normal (mean 0, variance 1): the sum of four uniform numbers, within ±3.5.
    pub(crate) fn normal(&mut self) -> f64 {
        let sum = self.unit() + self.unit() + self.unit() + self.unit();
        (sum - 2.0) * 1.732_050_807_568_877_2
    }
}
