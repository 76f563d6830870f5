//! The ways in which a well-framed reply can be wrong.

use crate::random::Random;
use crate::registers::RegisterMap;
use gridtally_registers::sunspec::{Kind, Placed};
use tokio_modbus::ExceptionCode;

/// The ways in which a reply can be nonsense. Writes only ever meet an exception, and are not applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Nonsense {
    /// Fewer registers than asked for.
    ShortReply,
    /// More registers than asked for.
    LongReply,
    /// As many zeros as were asked for.
    ZeroBlock,
    /// Scale factors beyond ±10.
    ScaleFactorOutOfRange,
    /// "Not implemented" in points that the model makes mandatory.
    Sentinels,
    /// Accumulators at 0, as after a cold start.
    CountersAtZero,
    /// Accumulators with random contents.
    CounterGarbage,
    /// Exception 4, server device failure.
    DeviceFailure,
    /// Exception 6, server device busy.
    Busy,
    /// Exception 11, gateway target device failed to respond.
    GatewayTargetSilent,
}

impl Nonsense {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::ShortReply,
        Self::LongReply,
        Self::ZeroBlock,
        Self::ScaleFactorOutOfRange,
        Self::Sentinels,
        Self::CountersAtZero,
        Self::CounterGarbage,
        Self::DeviceFailure,
        Self::Busy,
        Self::GatewayTargetSilent,
    ];

    /// What a read of these registers gets instead of `healthy`. Where this way would change
    /// nothing (no counter among the registers), the reply is short instead, so that no reply of a
    /// device that talks nonsense is right by chance.
    pub(crate) fn spoil(
        self,
        map: &RegisterMap,
        address: u16,
        healthy: &[u16],
        random: &mut Random,
    ) -> Result<Vec<u16>, ExceptionCode> {
        let mut block = Block {
            map,
            address,
            words: healthy.to_vec(),
        };
        match self {
            Self::ShortReply => block.shorten(random),
            Self::LongReply if healthy.len() < MAX_REPLY_WORDS => {
                block.words.push(healthy.last().copied().unwrap_or_default());
            }
            Self::LongReply => block.shorten(random),
            Self::ZeroBlock => block.words.fill(0),
            Self::ScaleFactorOutOfRange => {
                block.replace(
                    |point| point.kind() == Kind::ScaleFactor,
                    || if random.unit() < 0.5 { 40 } else { 0xFF00 },
                );
            }
            Self::Sentinels => {
                block.replace(|point| point.kind() == Kind::Int16, || 0x8000);
                block.replace(
                    |point| matches!(point.kind(), Kind::Uint16 | Kind::Enum16),
                    || 0xFFFF,
                );
            }
            Self::CountersAtZero => block.replace(|point| point.definition.is_counter(), || 0),
            Self::CounterGarbage => {
                block.replace(
                    |point| point.definition.is_counter(),
                    || u16::try_from(random.between(0, 0xFFFF)).unwrap_or_default(),
                );
            }
            Self::DeviceFailure => return Err(ExceptionCode::ServerDeviceFailure),
            Self::Busy => return Err(ExceptionCode::ServerDeviceBusy),
            Self::GatewayTargetSilent => return Err(ExceptionCode::GatewayTargetDevice),
        }
        if block.words == healthy {
            block.shorten(random);
        }
        Ok(block.words)
    }

    /// Any of the ways.
    pub(crate) fn any(random: &mut Random) -> Self {
        Self::pick(&Self::ALL, random)
    }

    /// Any of the exceptions.
    pub(crate) fn any_exception(random: &mut Random) -> ExceptionCode {
        const EXCEPTIONS: [ExceptionCode; 3] = [
            ExceptionCode::ServerDeviceFailure,
            ExceptionCode::ServerDeviceBusy,
            ExceptionCode::GatewayTargetDevice,
        ];
        Self::pick(&EXCEPTIONS, random)
    }

    fn pick<T: Copy>(choices: &[T], random: &mut Random) -> T {
        let last = i64::try_from(choices.len()).unwrap_or(1) - 1;
        choices[usize::try_from(random.between(0, last)).unwrap_or_default()]
    }
}

/// As many registers as a reply can carry.
const MAX_REPLY_WORDS: usize = 125;

/// A reply in the making, with the points that lie in it.
struct Block<'a> {
    map: &'a RegisterMap,
    address: u16,
    words: Vec<u16>,
}

impl Block<'_> {
    fn shorten(&mut self, random: &mut Random) {
        let last = i64::try_from(self.words.len()).unwrap_or(1) - 1;
        self.words
            .truncate(usize::try_from(random.between(0, last)).unwrap_or_default());
    }

    /// Overwrites each register that belongs to a chosen point.
    fn replace(&mut self, chosen: impl Fn(&Placed) -> bool, mut word: impl FnMut() -> u16) {
        for (model, point) in self.map.points().filter(|(_, point)| chosen(point)) {
            let start = model.address_of(point);
            for register in start..start + point.kind().words() {
                let index = register.checked_sub(self.address).map(usize::from);
                if let Some(slot) = index.and_then(|index| self.words.get_mut(index)) {
                    *slot = word();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::energy::Energy;
    use crate::registers::{Table, shared_layout};
    use proptest::prelude::*;

    fn meter() -> RegisterMap {
        let mut map = RegisterMap::sunspec(40_000, vec![shared_layout(203, &[]).unwrap()]).unwrap();
        let mut page = map.page(0).unwrap();
        page.scales(&[("TotWh_SF", -1)]);
        page.energy("TotWhImp", Energy::from_watt_hours(12_345), None);
        page.raw("W", 500);
        map
    }

    fn spoiled(how: Nonsense) -> Result<Vec<u16>, ExceptionCode> {
        let map = meter();
        how.spoil(
            &map,
            40_002,
            map.read(Table::Holding, 40_002, 107).unwrap(),
            &mut Random::new(1, "test"),
        )
    }

    #[test]
    fn each_nonsense_does_what_its_name_says() {
        assert!(spoiled(Nonsense::ShortReply).unwrap().len() < 107);
        assert_eq!(spoiled(Nonsense::LongReply).unwrap().len(), 108);
        assert_eq!(spoiled(Nonsense::ZeroBlock).unwrap(), [0; 107]);
        let scale = spoiled(Nonsense::ScaleFactorOutOfRange).unwrap()[54].cast_signed();
        assert!(scale.abs() > 10);
        assert_eq!(spoiled(Nonsense::Sentinels).unwrap()[18], 0x8000, "W");
        assert_eq!(
            spoiled(Nonsense::CountersAtZero).unwrap()[46..48],
            [0, 0],
            "TotWhImp"
        );
        assert_ne!(
            spoiled(Nonsense::CounterGarbage).unwrap()[46..48],
            [1, 57_914],
            "TotWhImp"
        );
        assert_eq!(
            spoiled(Nonsense::DeviceFailure),
            Err(ExceptionCode::ServerDeviceFailure)
        );
        assert_eq!(spoiled(Nonsense::Busy), Err(ExceptionCode::ServerDeviceBusy));
        assert_eq!(
            spoiled(Nonsense::GatewayTargetSilent),
            Err(ExceptionCode::GatewayTargetDevice)
        );
    }

    proptest! {
        #[test]
        fn no_reply_of_a_nonsense_device_is_right(
            seed: u64, first in 40_000_u16..40_109, count in 1_u16..=125,
        ) {
            let map = meter();
            let count = count.min(40_111 - first);
            let healthy = map.read(Table::Holding, first, count).unwrap();
            let mut random = Random::new(seed, "test");
            for how in Nonsense::ALL {
                prop_assert_ne!(how.spoil(&map, first, healthy, &mut random), Ok(healthy.to_vec()));
            }
        }
    }
}
