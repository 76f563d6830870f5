//! Many signatures at once, with the same verdicts as one by one.
//!
//! One equation over a random combination of all signatures is quicker than each by itself, but it may be lenient:
//! the curve has eight points of small order, and what a dishonest signer adds of them to his points can cancel out
//! in the sum ("Taming the many EdDSAs", Chalkias, Garillot, Nikolaenko, SSR 2020). So it is asked only of points
//! that have no part of small order, for which [`Identity::verify`] and the equation agree:
//!
//! 1. What is refused by its form is refused at once: S not below the group's order; R not on the curve, not in
//!    its one canonical encoding, or of small order.
//! 2. All points R and all keys A are proved to be free of such parts together. Let each point have its part t of
//!    small order. If any t is not nothing, then the sum over a random half of the points has such a part as well
//!    with a probability of at least 1/2: of the two choices for one point at most one takes away what the others
//!    sum to. So 128 random halves miss it with a probability of at most 2^−128.
//! 3. Then every difference R + kA − SB lies in the subgroup of prime order, and the sum of all, each by a random
//!    factor of 128 bits, is nothing with a probability of about 2^−128 unless each is nothing.
//!
//! Where 2 or 3 fails, every signature of the batch is verified by itself. The random numbers are drawn from a hash of
//! everything in the batch, so that the same batch takes the same way every time.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "additions and multiplications of points and scalars, which are groups and fields"
)]

use std::collections::BTreeMap;

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{Identity as _, IsIdentity as _, VartimeMultiscalarMul as _};
use sha2::{Digest as _, Sha512};

use super::Identity;

/// Of fewer the proof that points are sound costs more than it saves.
const BATCH_LEN_MIN: usize = 256;
/// So many are summed up at a time, which bounds the memory.
const BATCH_LEN_MAX: usize = 8_192;
/// How many random halves are looked at, and how many bits a random factor has.
const TRIALS: usize = 128;
/// So many points share a table of all their sums.
const WINDOW: usize = 6;

/// A signature over a message, and whose it is said to be.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'m> {
    /// Who is said to have signed.
    pub signer: Identity,
    /// What is said to be signed.
    pub message: &'m [u8],
    /// The signature.
    pub signature: &'m [u8; 64],
}

impl Claim<'_> {
    /// Whether the signer signed that, by [`Identity::verify`].
    #[must_use]
    pub fn holds(&self) -> bool {
        self.signer.verify(self.message, self.signature)
    }
}

/// For each claim in its place whether it holds: what [`Identity::verify`] says of it.
#[must_use]
pub fn verify_all(claims: &[Claim<'_>]) -> Vec<bool> {
    claims
        .chunks(BATCH_LEN_MAX)
        .flat_map(|claims| verdicts(claims, BATCH_LEN_MIN))
        .collect()
}

fn verdicts(claims: &[Claim<'_>], len_min: usize) -> Vec<bool> {
    if claims.len() < len_min {
        return claims.iter().map(Claim::holds).collect();
    }
    let parts: Vec<Option<Parts>> = claims.iter().map(Parts::of).collect();
    let sound: Vec<&Parts> = parts.iter().flatten().collect();
    if Batch::of(&sound).holds() {
        return parts.iter().map(Option::is_some).collect();
    }
    let alone = |(claim, parts): (&Claim<'_>, &Option<Parts>)| parts.is_some() && claim.holds();
    claims.iter().zip(&parts).map(alone).collect()
}

/// A claim whose form is right.
struct Parts {
    signer: Identity,
    r: EdwardsPoint,
    s: Scalar,
    k: Scalar,
    /// The hash of R, A and the message, of which `k` is made; with S it stands for the whole claim.
    hash: [u8; 64],
}

impl Parts {
    fn of(claim: &Claim<'_>) -> Option<Self> {
        let (r, s) = claim.signature.split_first_chunk::<32>()?;
        let s = Option::from(Scalar::from_canonical_bytes(s.try_into().ok()?))?;
        if !is_reduced(r) {
            return None;
        }
        let point = CompressedEdwardsY(*r)
            .decompress()
            .filter(|point| !point.is_small_order())?;
        let hash = Sha512::new()
            .chain_update(r)
            .chain_update(claim.signer.as_bytes())
            .chain_update(claim.message);
        let hash: [u8; 64] = hash.finalize().into();
        Some(Self {
            signer: claim.signer,
            r: point,
            s,
            k: Scalar::from_bytes_mod_order_wide(&hash),
            hash,
        })
    }
}

/// Whether the y of an encoded point is below the field's prime, 2^255 − 19. (An x of nothing with a sign is not
/// canonical either; those points are of small order.)
pub(super) const fn is_reduced(bytes: &[u8; 32]) -> bool {
    let [lowest, middle @ .., highest] = bytes;
    let mut n = 0;
    while n < middle.len() {
        #[expect(clippy::indexing_slicing, reason = "below the length")]
        if middle[n] != 0xff {
            return true;
        }
        n += 1;
    }
    *highest & 0x7f != 0x7f || *lowest < 0xed
}

/// Random numbers that nobody can choose without choosing the batch.
struct Draw {
    seed: [u8; 64],
    drawn: u64,
}

impl Draw {
    fn from(parts: &[&Parts]) -> Self {
        let mut seed = Sha512::new().chain_update(b"gridtally batch of signatures 1");
        for part in parts {
            seed.update(part.hash);
            seed.update(part.s.as_bytes());
        }
        Self {
            seed: seed.finalize().into(),
            drawn: 0,
        }
    }

    fn four(&mut self) -> [u128; 4] {
        let hash = Sha512::new()
            .chain_update(self.seed)
            .chain_update(self.drawn.to_be_bytes());
        self.drawn = self.drawn.wrapping_add(1);
        let hash: [u8; 64] = hash.finalize().into();
        let mut numbers = [0; 4];
        for (number, bytes) in numbers.iter_mut().zip(hash.as_chunks::<16>().0) {
            *number = u128::from_le_bytes(*bytes);
        }
        numbers
    }
}

struct Batch<'p> {
    parts: &'p [&'p Parts],
    keys: BTreeMap<Identity, Key>,
    draw: Draw,
}

#[derive(Default)]
struct Key {
    factor: Scalar,
}

impl<'p> Batch<'p> {
    fn of(parts: &'p [&'p Parts]) -> Self {
        let keys = parts.iter().map(|part| (part.signer, Key::default())).collect();
        Self {
            parts,
            keys,
            draw: Draw::from(parts),
        }
    }

    fn holds(mut self) -> bool {
        self.is_sound() && self.adds_up()
    }

    /// Whether no point has a part of small order.
    fn is_sound(&mut self) -> bool {
        let points = self.parts.iter().map(|part| part.r);
        let points: Vec<EdwardsPoint> = points
            .chain(self.keys.keys().map(|key| key.key.to_edwards()))
            .collect();
        let mut sums = [EdwardsPoint::identity(); TRIALS];
        for window in points.chunks(WINDOW) {
            let table = subset_sums(window);
            // Eight draws or fewer: two for each window.
            let ([a, b, c, d], [e, f, ..]) = (self.draw.four(), self.draw.four());
            let halves = [a, b, c, d, e, f];
            for (trial, sum) in sums.iter_mut().enumerate() {
                let chosen = (0..window.len()).zip(halves);
                let chosen = chosen.fold(0_usize, |chosen, (place, half)| {
                    let bit = usize::from((half >> trial) & 1 == 1);
                    chosen | bit << place
                });
                if let Some(chosen) = table.get(chosen) {
                    *sum += chosen;
                }
            }
        }
        sums.iter().all(is_of_prime_order)
    }

    /// Whether ∑ z·R + ∑ z·k·A − (∑ z·S)·B is nothing, for random z.
    fn adds_up(&mut self) -> bool {
        let mut base = Scalar::ZERO;
        let mut factors = Vec::with_capacity(self.parts.len());
        for four in self.parts.chunks(4) {
            for (part, z) in four.iter().zip(self.draw.four()) {
                let z = Scalar::from(z);
                base += z * part.s;
                if let Some(key) = self.keys.get_mut(&part.signer) {
                    key.factor += z * part.k;
                }
                factors.push(z);
            }
        }
        factors.extend(self.keys.values().map(|key| key.factor));
        factors.push(-base);
        let points = self.parts.iter().map(|part| part.r);
        let points = points.chain(self.keys.keys().map(|key| key.key.to_edwards()));
        let points = points.chain([ED25519_BASEPOINT_POINT]);
        EdwardsPoint::vartime_multiscalar_mul(&factors, points).is_identity()
    }
}

/// The sums of all subsets of a few points: that of subset `n` at place `n`, whose bits choose the points.
fn subset_sums(points: &[EdwardsPoint]) -> Vec<EdwardsPoint> {
    let mut sums = vec![EdwardsPoint::identity()];
    for point in points {
        let with: Vec<EdwardsPoint> = sums.iter().map(|sum| sum + point).collect();
        sums.extend(with);
    }
    sums
}

/// Whether ℓ·P is nothing, as (ℓ − 1)·P = −P.
fn is_of_prime_order(point: &EdwardsPoint) -> bool {
    let product = EdwardsPoint::vartime_double_scalar_mul_basepoint(&-Scalar::ONE, point, &Scalar::ZERO);
    product == -point
}

#[cfg(test)]
mod tests;
