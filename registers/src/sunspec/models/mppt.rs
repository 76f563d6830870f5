// Made by generate.py from the SunSpec model definitions. Do not edit.

use crate::sunspec::Kind::*;
use crate::sunspec::{Count, Group, Model, PointDefinition as P};

pub(super) const M160: Model = Model {
    id: 160,
    label: "Multiple MPPT Inverter Extension Model",
    root: Group {
        name: "mppt",
        count: Count::One,
        points: &[
            P::new("DCA_SF", ScaleFactor),
            P::new("DCV_SF", ScaleFactor),
            P::new("DCW_SF", ScaleFactor),
            P::new("DCWH_SF", ScaleFactor),
            P::new("Evt", Bitfield32),
            P::new("N", Count),
            P::new("TmsPer", Uint16),
        ],
        groups: &[Group {
            name: "module",
            count: Count::Point("N"),
            points: &[
                P::new("ID", Uint16),
                P::new("IDStr", Text(8)),
                P::new("DCA", Uint16).scaled("DCA_SF").unit("A"),
                P::new("DCV", Uint16).scaled("DCV_SF").unit("V"),
                P::new("DCW", Uint16).scaled("DCW_SF").unit("W"),
                P::new("DCWH", Acc32).scaled("DCWH_SF").unit("Wh"),
                P::new("Tms", Uint32).unit("Secs"),
                P::new("Tmp", Int16).unit("C"),
                P::new("DCSt", Enum16),
                P::new("DCEvt", Bitfield32),
            ],
            groups: &[],
        }],
    },
};
