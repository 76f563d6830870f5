//! Reading models from a unit, in requests that the device takes.

use std::ops::Range;

use gridtally_protocol::time::Timestamp;
use gridtally_registers::sunspec::Layout;
use tokio_modbus::ExceptionCode;

use super::image::piece;
use super::spans::gather;
use super::{HEADER_LEN, Image, ModelPlace, SunSpecError};
use crate::device::bus::{Answer, BusError, READ_MAX, Table, Unit};

/// A unit whose holding registers are read, with what was learnt of its limits.
#[derive(Debug)]
pub struct Reader {
    unit: Unit,
    /// The most registers that the owner or the profile lets be asked for at once.
    most: u16,
    /// As many as the device was seen to give. Points that must come together are asked for all the same,
    /// where they alone are more: what is refused is not the limit, but beyond it.
    limit: u16,
    now: Timestamp,
    must: bool,
    connection: u64,
}

impl Reader {
    /// A reader of a unit that gives at most `limit` registers at a time.
    #[must_use]
    pub fn new(unit: Unit, limit: u16) -> Self {
        Self {
            unit,
            most: limit.clamp(1, READ_MAX),
            limit: limit.clamp(1, READ_MAX),
            now: Timestamp::EPOCH,
            must: false,
            connection: 0,
        }
    }

    /// What is read from here on is read at `now`; `must` it, even where the unit was silent?
    pub const fn begin(&mut self, now: Timestamp, must: bool) {
        self.now = now;
        self.must = must;
    }

    /// The unit, to write to it or to tell it what is known of it.
    pub const fn unit(&mut self) -> &mut Unit {
        &mut self.unit
    }

    /// The number of the connection that the last answer came on.
    #[must_use]
    pub const fn connection(&self) -> u64 {
        self.connection
    }

    /// Reads registers in one request.
    ///
    /// # Errors
    /// [`BusError`].
    pub async fn read(&mut self, table: Table, address: u16, count: u16) -> Result<Vec<u16>, BusError> {
        let Answer { words, connection } = self.unit.read(table, address, count, self.now, self.must).await?;
        self.connection = connection;
        Ok(words)
    }

    /// Reads the header of a model and the points of these paths, each in one request with its scale factor,
    /// all in one request where the device takes it. What the model is too short for is left out; and where
    /// the device refuses a request that spans more than one point, they are asked one by one.
    ///
    /// # Errors
    /// [`SunSpecError::Shifted`] where the header is another one, or the error of the exchange.
    pub async fn model<'l>(
        &mut self,
        place: &ModelPlace,
        layout: &'l Layout,
        paths: impl IntoIterator<Item = &str>,
    ) -> Result<Image<'l>, SunSpecError> {
        let points = paths.into_iter().filter_map(|path| layout.point(path));
        self.pieces(place, layout, points.map(piece).collect()).await
    }

    /// Reads every point of a model.
    ///
    /// # Errors
    /// As [`Reader::model`].
    pub async fn whole_model<'l>(
        &mut self,
        place: &ModelPlace,
        layout: &'l Layout,
    ) -> Result<Image<'l>, SunSpecError> {
        self.pieces(place, layout, layout.points().iter().map(piece).collect())
            .await
    }

    async fn pieces<'l>(
        &mut self,
        place: &ModelPlace,
        layout: &'l Layout,
        mut pieces: Vec<Range<u16>>,
    ) -> Result<Image<'l>, SunSpecError> {
        let end = place.len.saturating_add(HEADER_LEN);
        // A point that cannot be asked for together with its scale factor is worth nothing.
        pieces.retain(|piece| piece.end <= end && piece.len() <= usize::from(self.most));
        pieces.push(0..HEADER_LEN);
        let longest = pieces.iter().map(|piece| piece.end - piece.start).max();
        let longest = longest.unwrap_or(HEADER_LEN);
        let mut image = Image::new(layout);
        while let Some(spans) = gather(pieces.clone(), self.limit.max(longest)) {
            match self.spans(place, &spans, &mut image).await {
                Err(SunSpecError::Bus(BusError::Exception(exception)))
                    if self.learn(exception, &spans, longest) => {}
                Err(SunSpecError::Bus(BusError::Exception(exception))) if is_refusal(exception) => {
                    self.one_by_one(place, &pieces, &mut image).await?;
                    break;
                }
                other => {
                    other?;
                    break;
                }
            }
        }
        check_header(place, &image)?;
        Ok(image)
    }

    async fn spans(
        &mut self,
        place: &ModelPlace,
        spans: &[Range<u16>],
        image: &mut Image<'_>,
    ) -> Result<(), SunSpecError> {
        for span in spans {
            let count = span.end.saturating_sub(span.start);
            let address = place.address.checked_add(span.start).ok_or(BusError::Request {
                address: place.address,
                count: usize::from(count),
            })?;
            image.add(span.start, &self.read(Table::Holding, address, count).await?);
        }
        Ok(())
    }

    /// Each piece by itself; those that the device refuses stay unread.
    async fn one_by_one(
        &mut self,
        place: &ModelPlace,
        pieces: &[Range<u16>],
        image: &mut Image<'_>,
    ) -> Result<(), SunSpecError> {
        for piece in pieces {
            match self.spans(place, std::slice::from_ref(piece), image).await {
                Err(SunSpecError::Bus(BusError::Exception(exception))) if is_refusal(exception) => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// Exception 3 says that so many registers are too many (Modbus Application Protocol 1.1b3, §6.3); half
    /// as many are tried, or as many as belong together. Returns whether to try again.
    fn learn(&mut self, exception: ExceptionCode, spans: &[Range<u16>], together: u16) -> bool {
        let longest = spans.iter().map(|span| span.end - span.start).max().unwrap_or(0);
        if exception != ExceptionCode::IllegalDataValue || longest <= together {
            return false;
        }
        self.limit = (longest / 2).max(together);
        true
    }
}

const fn is_refusal(exception: ExceptionCode) -> bool {
    matches!(
        exception,
        ExceptionCode::IllegalDataAddress | ExceptionCode::IllegalDataValue
    )
}

fn check_header(place: &ModelPlace, image: &Image<'_>) -> Result<(), SunSpecError> {
    if image.words().get(..2) == Some(&[place.id, place.len]) {
        return Ok(());
    }
    Err(SunSpecError::Shifted {
        model: place.id,
        address: place.address,
    })
}
