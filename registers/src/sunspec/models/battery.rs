// Made by generate.py from the SunSpec model definitions. Do not edit.

use crate::sunspec::Kind::*;
use crate::sunspec::{Count, Group, Model, PointDefinition as P};

pub(super) const M802: Model = Model {
    id: 802,
    label: "Battery Base Model",
    root: Group {
        name: "battery",
        count: Count::One,
        points: &[
            P::new("AHRtg", Uint16).scaled("AHRtg_SF").unit("Ah").mandatory(),
            P::new("WHRtg", Uint16).scaled("WHRtg_SF").unit("Wh").mandatory(),
            P::new("WChaRteMax", Uint16)
                .scaled("WChaDisChaMax_SF")
                .unit("W")
                .mandatory(),
            P::new("WDisChaRteMax", Uint16)
                .scaled("WChaDisChaMax_SF")
                .unit("W")
                .mandatory(),
            P::new("DisChaRte", Uint16).scaled("DisChaRte_SF").unit("%WHRtg"),
            P::new("SoCMax", Uint16).scaled("SoC_SF").unit("%WHRtg"),
            P::new("SoCMin", Uint16).scaled("SoC_SF").unit("%WHRtg"),
            P::new("SocRsvMax", Uint16)
                .scaled("SoC_SF")
                .unit("%WHRtg")
                .writable(),
            P::new("SoCRsvMin", Uint16)
                .scaled("SoC_SF")
                .unit("%WHRtg")
                .writable(),
            P::new("SoC", Uint16).scaled("SoC_SF").unit("%WHRtg").mandatory(),
            P::new("DoD", Uint16).scaled("DoD_SF").unit("%"),
            P::new("SoH", Uint16).scaled("SoH_SF").unit("%"),
            P::new("NCyc", Uint32),
            P::new("ChaSt", Enum16),
            P::new("LocRemCtl", Enum16).mandatory(),
            P::new("Hb", Uint16),
            P::new("CtrlHb", Uint16).writable(),
            P::new("AlmRst", Uint16).writable().mandatory(),
            P::new("Typ", Enum16).mandatory(),
            P::new("State", Enum16).mandatory(),
            P::new("StateVnd", Enum16),
            P::new("WarrDt", Uint32),
            P::new("Evt1", Bitfield32).mandatory(),
            P::new("Evt2", Bitfield32).mandatory(),
            P::new("EvtVnd1", Bitfield32).mandatory(),
            P::new("EvtVnd2", Bitfield32).mandatory(),
            P::new("V", Uint16).scaled("V_SF").unit("V").mandatory(),
            P::new("VMax", Uint16).scaled("V_SF").unit("V"),
            P::new("VMin", Uint16).scaled("V_SF").unit("V"),
            P::new("CellVMax", Uint16).scaled("CellV_SF").unit("V"),
            P::new("CellVMaxStr", Uint16),
            P::new("CellVMaxMod", Uint16),
            P::new("CellVMin", Uint16).scaled("CellV_SF").unit("V"),
            P::new("CellVMinStr", Uint16),
            P::new("CellVMinMod", Uint16),
            P::new("CellVAvg", Uint16).scaled("CellV_SF").unit("V"),
            P::new("A", Int16).scaled("A_SF").unit("A").mandatory(),
            P::new("AChaMax", Uint16).scaled("AMax_SF").unit("A"),
            P::new("ADisChaMax", Uint16).scaled("AMax_SF").unit("A"),
            P::new("W", Int16).scaled("W_SF").unit("W").mandatory(),
            P::new("ReqInvState", Enum16),
            P::new("ReqW", Int16).scaled("W_SF").unit("W"),
            P::new("SetOp", Enum16).writable().mandatory(),
            P::new("SetInvState", Enum16).writable().mandatory(),
            P::new("AHRtg_SF", ScaleFactor).mandatory(),
            P::new("WHRtg_SF", ScaleFactor).mandatory(),
            P::new("WChaDisChaMax_SF", ScaleFactor).mandatory(),
            P::new("DisChaRte_SF", ScaleFactor),
            P::new("SoC_SF", ScaleFactor).mandatory(),
            P::new("DoD_SF", ScaleFactor),
            P::new("SoH_SF", ScaleFactor),
            P::new("V_SF", ScaleFactor).mandatory(),
            P::new("CellV_SF", ScaleFactor).mandatory(),
            P::new("A_SF", ScaleFactor).mandatory(),
            P::new("AMax_SF", ScaleFactor).mandatory(),
            P::new("W_SF", ScaleFactor),
        ],
        groups: &[],
    },
};
