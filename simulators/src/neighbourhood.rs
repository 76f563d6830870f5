//! Homes under one weather.

use crate::home::{Home, ServedHome};
use crate::random::Random;
use crate::spec::HomeSpec;
use std::io;

/// Several homes near London that differ in roof, battery and household, and share the weather.
///
/// The same seed makes the same homes, and a home does not depend on how many there are.
#[derive(Debug)]
pub struct Neighbourhood {
    homes: Vec<Home>,
}

impl Neighbourhood {
    /// So many homes at this instant, in Unix seconds.
    #[must_use]
    pub fn new(seed: u64, homes: usize, start: i64) -> Self {
        let homes = (0..)
            .take(homes)
            .map(|n| HomeSpec::draw_under(seed, Random::nth(seed, "neighbour", n).next()))
            .map(|spec| Home::new(spec, start))
            .collect();
        Self { homes }
    }

    /// Moves all homes to this instant, in Unix seconds.
    pub fn advance_to(&mut self, unix_seconds: i64) {
        for home in &mut self.homes {
            home.advance_to(unix_seconds);
        }
    }

    /// The homes.
    #[must_use]
    pub fn homes(&self) -> &[Home] {
        &self.homes
    }

    /// Serves every device of every home on a port of its own, in the order of
    /// [`homes`](Self::homes).
    ///
    /// # Errors
    /// If the ports run out.
    pub async fn serve(&self) -> io::Result<Vec<ServedHome>> {
        let mut served = Vec::with_capacity(self.homes.len());
        for home in &self.homes {
            served.push(home.serve().await?);
        }
        Ok(served)
    }
}
