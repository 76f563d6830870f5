//! Which requests read the points of one pace.

use super::Profile;
use super::point::{Point, Poll, Table};

/// One request: neighbouring registers of one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Of which table.
    pub table: Table,
    /// The first register.
    pub address: u16,
    /// How many: 1 to the profile's `max_registers`.
    pub count: u16,
}

impl Block {
    /// The registers of a point within an answer to this request; `None` where the point is not in the block
    /// or the answer is too short.
    #[must_use]
    pub fn registers_of<'r>(&self, point: &Point, answer: &'r [u16]) -> Option<&'r [u16]> {
        if point.table != self.table {
            return None;
        }
        let first = usize::from(point.address.checked_sub(self.address)?);
        answer.get(first..first + usize::from(point.length()))
    }

    fn end(&self) -> u32 {
        u32::from(self.address) + u32::from(self.count)
    }
}

impl Profile {
    /// The requests that read every point of a pace, in the order of their addresses. A point is never split,
    /// no request is longer than `max_registers`, and one spans at most `gap_ok` registers in a row that
    /// belong to no point of this pace: many devices answer a request that touches an absent register with an
    /// exception.
    ///
    /// ```text
    /// points   [0 1][2 3]    [6 7]          gap_ok = 0: 0..4, 6..8      gap_ok = 2: 0..8
    /// ```
    ///
    /// Points that are read [`Poll::Never`] have no requests.
    #[must_use]
    pub fn blocks(&self, poll: Poll) -> Vec<Block> {
        let mut points: Vec<&Point> = self.points.iter().filter(|point| point.poll == poll).collect();
        points.retain(|point| point.poll != Poll::Never);
        points.sort_by_key(|point| (point.table, point.address, point.length()));
        let mut blocks: Vec<Block> = Vec::new();
        for point in points {
            match blocks
                .last_mut()
                .and_then(|last| self.extended(*last, point).map(|longer| (last, longer)))
            {
                Some((last, longer)) => *last = longer,
                None => blocks.push(Block {
                    table: point.table,
                    address: point.address,
                    count: point.length(),
                }),
            }
        }
        blocks
    }

    /// The block with the point in it, where both fit one request.
    fn extended(&self, block: Block, point: &Point) -> Option<Block> {
        let gap = u32::from(point.address).saturating_sub(block.end());
        let count = u16::try_from(block.end().max(point.end()) - u32::from(block.address)).ok()?;
        let fits = block.table == point.table && gap <= u32::from(self.gap_ok) && count <= self.max_registers;
        fits.then_some(Block { count, ..block })
    }
}
