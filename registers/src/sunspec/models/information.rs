// Made by generate.py from the SunSpec model definitions. Do not edit.

use crate::sunspec::Kind::*;
use crate::sunspec::{Count, Group, Model, PointDefinition as P};

pub(super) const M120: Model = Model {
    id: 120,
    label: "Nameplate",
    root: Group {
        name: "nameplate",
        count: Count::One,
        points: &[
            P::new("DERTyp", Enum16).mandatory(),
            P::new("WRtg", Uint16).scaled("WRtg_SF").unit("W").mandatory(),
            P::new("WRtg_SF", ScaleFactor).mandatory(),
            P::new("VARtg", Uint16).scaled("VARtg_SF").unit("VA").mandatory(),
            P::new("VARtg_SF", ScaleFactor).mandatory(),
            P::new("VArRtgQ1", Int16)
                .scaled("VArRtg_SF")
                .unit("var")
                .mandatory(),
            P::new("VArRtgQ2", Int16)
                .scaled("VArRtg_SF")
                .unit("var")
                .mandatory(),
            P::new("VArRtgQ3", Int16)
                .scaled("VArRtg_SF")
                .unit("var")
                .mandatory(),
            P::new("VArRtgQ4", Int16)
                .scaled("VArRtg_SF")
                .unit("var")
                .mandatory(),
            P::new("VArRtg_SF", ScaleFactor).mandatory(),
            P::new("ARtg", Uint16).scaled("ARtg_SF").unit("A").mandatory(),
            P::new("ARtg_SF", ScaleFactor).mandatory(),
            P::new("PFRtgQ1", Int16)
                .scaled("PFRtg_SF")
                .unit("cos()")
                .mandatory(),
            P::new("PFRtgQ2", Int16)
                .scaled("PFRtg_SF")
                .unit("cos()")
                .mandatory(),
            P::new("PFRtgQ3", Int16)
                .scaled("PFRtg_SF")
                .unit("cos()")
                .mandatory(),
            P::new("PFRtgQ4", Int16)
                .scaled("PFRtg_SF")
                .unit("cos()")
                .mandatory(),
            P::new("PFRtg_SF", ScaleFactor).mandatory(),
            P::new("WHRtg", Uint16).scaled("WHRtg_SF").unit("Wh"),
            P::new("WHRtg_SF", ScaleFactor),
            P::new("AhrRtg", Uint16).scaled("AhrRtg_SF").unit("AH"),
            P::new("AhrRtg_SF", ScaleFactor),
            P::new("MaxChaRte", Uint16).scaled("MaxChaRte_SF").unit("W"),
            P::new("MaxChaRte_SF", ScaleFactor),
            P::new("MaxDisChaRte", Uint16).scaled("MaxDisChaRte_SF").unit("W"),
            P::new("MaxDisChaRte_SF", ScaleFactor),
            P::new("Pad", Pad),
        ],
        groups: &[],
    },
};

pub(super) const M121: Model = Model {
    id: 121,
    label: "Basic Settings",
    root: Group {
        name: "settings",
        count: Count::One,
        points: &[
            P::new("WMax", Uint16)
                .scaled("WMax_SF")
                .unit("W")
                .writable()
                .mandatory(),
            P::new("VRef", Uint16)
                .scaled("VRef_SF")
                .unit("V")
                .writable()
                .mandatory(),
            P::new("VRefOfs", Int16)
                .scaled("VRefOfs_SF")
                .unit("V")
                .writable()
                .mandatory(),
            P::new("VMax", Uint16).scaled("VMinMax_SF").unit("V").writable(),
            P::new("VMin", Uint16).scaled("VMinMax_SF").unit("V").writable(),
            P::new("VAMax", Uint16).scaled("VAMax_SF").unit("VA").writable(),
            P::new("VArMaxQ1", Int16)
                .scaled("VArMax_SF")
                .unit("var")
                .writable(),
            P::new("VArMaxQ2", Int16)
                .scaled("VArMax_SF")
                .unit("var")
                .writable(),
            P::new("VArMaxQ3", Int16)
                .scaled("VArMax_SF")
                .unit("var")
                .writable(),
            P::new("VArMaxQ4", Int16)
                .scaled("VArMax_SF")
                .unit("var")
                .writable(),
            P::new("WGra", Uint16)
                .scaled("WGra_SF")
                .unit("% WMax/sec")
                .writable(),
            P::new("PFMinQ1", Int16)
                .scaled("PFMin_SF")
                .unit("cos()")
                .writable(),
            P::new("PFMinQ2", Int16)
                .scaled("PFMin_SF")
                .unit("cos()")
                .writable(),
            P::new("PFMinQ3", Int16)
                .scaled("PFMin_SF")
                .unit("cos()")
                .writable(),
            P::new("PFMinQ4", Int16)
                .scaled("PFMin_SF")
                .unit("cos()")
                .writable(),
            P::new("VArAct", Enum16).writable(),
            P::new("ClcTotVA", Enum16).writable(),
            P::new("MaxRmpRte", Uint16)
                .scaled("MaxRmpRte_SF")
                .unit("% WGra")
                .writable(),
            P::new("ECPNomHz", Uint16)
                .scaled("ECPNomHz_SF")
                .unit("Hz")
                .writable(),
            P::new("ConnPh", Enum16).writable(),
            P::new("WMax_SF", ScaleFactor).mandatory(),
            P::new("VRef_SF", ScaleFactor).mandatory(),
            P::new("VRefOfs_SF", ScaleFactor).mandatory(),
            P::new("VMinMax_SF", ScaleFactor),
            P::new("VAMax_SF", ScaleFactor),
            P::new("VArMax_SF", ScaleFactor),
            P::new("WGra_SF", ScaleFactor),
            P::new("PFMin_SF", ScaleFactor),
            P::new("MaxRmpRte_SF", ScaleFactor),
            P::new("ECPNomHz_SF", ScaleFactor),
        ],
        groups: &[],
    },
};

pub(super) const M122: Model = Model {
    id: 122,
    label: "Measurements_Status",
    root: Group {
        name: "status",
        count: Count::One,
        points: &[
            P::new("PVConn", Bitfield16).mandatory(),
            P::new("StorConn", Bitfield16).mandatory(),
            P::new("ECPConn", Bitfield16).mandatory(),
            P::new("ActWh", Acc64).unit("Wh"),
            P::new("ActVAh", Acc64).unit("VAh"),
            P::new("ActVArhQ1", Acc64).unit("varh"),
            P::new("ActVArhQ2", Acc64).unit("varh"),
            P::new("ActVArhQ3", Acc64).unit("varh"),
            P::new("ActVArhQ4", Acc64).unit("varh"),
            P::new("VArAval", Int16).scaled("VArAval_SF").unit("var"),
            P::new("VArAval_SF", ScaleFactor),
            P::new("WAval", Uint16).scaled("WAval_SF").unit("W"),
            P::new("WAval_SF", ScaleFactor),
            P::new("StSetLimMsk", Bitfield32),
            P::new("StActCtl", Bitfield32),
            P::new("TmSrc", Text(4)),
            P::new("Tms", Uint32).unit("Secs"),
            P::new("RtSt", Bitfield16),
            P::new("Ris", Uint16).scaled("Ris_SF").unit("ohms"),
            P::new("Ris_SF", ScaleFactor),
        ],
        groups: &[],
    },
};

pub(super) const M123: Model = Model {
    id: 123,
    label: "Immediate Controls",
    root: Group {
        name: "controls",
        count: Count::One,
        points: &[
            P::new("Conn_WinTms", Uint16).unit("Secs").writable(),
            P::new("Conn_RvrtTms", Uint16).unit("Secs").writable(),
            P::new("Conn", Enum16).writable().mandatory(),
            P::new("WMaxLimPct", Uint16)
                .scaled("WMaxLimPct_SF")
                .unit("% WMax")
                .writable()
                .mandatory(),
            P::new("WMaxLimPct_WinTms", Uint16).unit("Secs").writable(),
            P::new("WMaxLimPct_RvrtTms", Uint16).unit("Secs").writable(),
            P::new("WMaxLimPct_RmpTms", Uint16).unit("Secs").writable(),
            P::new("WMaxLim_Ena", Enum16).writable().mandatory(),
            P::new("OutPFSet", Int16)
                .scaled("OutPFSet_SF")
                .unit("cos()")
                .writable()
                .mandatory(),
            P::new("OutPFSet_WinTms", Uint16).unit("Secs").writable(),
            P::new("OutPFSet_RvrtTms", Uint16).unit("Secs").writable(),
            P::new("OutPFSet_RmpTms", Uint16).unit("Secs").writable(),
            P::new("OutPFSet_Ena", Enum16).writable().mandatory(),
            P::new("VArWMaxPct", Int16)
                .scaled("VArPct_SF")
                .unit("% WMax")
                .writable(),
            P::new("VArMaxPct", Int16)
                .scaled("VArPct_SF")
                .unit("% VArMax")
                .writable(),
            P::new("VArAvalPct", Int16)
                .scaled("VArPct_SF")
                .unit("% VArAval")
                .writable(),
            P::new("VArPct_WinTms", Uint16).unit("Secs").writable(),
            P::new("VArPct_RvrtTms", Uint16).unit("Secs").writable(),
            P::new("VArPct_RmpTms", Uint16).unit("Secs").writable(),
            P::new("VArPct_Mod", Enum16).writable(),
            P::new("VArPct_Ena", Enum16).writable().mandatory(),
            P::new("WMaxLimPct_SF", ScaleFactor).mandatory(),
            P::new("OutPFSet_SF", ScaleFactor).mandatory(),
            P::new("VArPct_SF", ScaleFactor),
        ],
        groups: &[],
    },
};

pub(super) const M124: Model = Model {
    id: 124,
    label: "Storage",
    root: Group {
        name: "storage_basic",
        count: Count::One,
        points: &[
            P::new("WChaMax", Uint16)
                .scaled("WChaMax_SF")
                .unit("W")
                .writable()
                .mandatory(),
            P::new("WChaGra", Uint16)
                .scaled("WChaDisChaGra_SF")
                .unit("% WChaMax/sec")
                .writable()
                .mandatory(),
            P::new("WDisChaGra", Uint16)
                .scaled("WChaDisChaGra_SF")
                .unit("% WChaMax/sec")
                .writable()
                .mandatory(),
            P::new("StorCtl_Mod", Bitfield16).writable().mandatory(),
            P::new("VAChaMax", Uint16)
                .scaled("VAChaMax_SF")
                .unit("VA")
                .writable(),
            P::new("MinRsvPct", Uint16)
                .scaled("MinRsvPct_SF")
                .unit("% WChaMax")
                .writable(),
            P::new("ChaState", Uint16).scaled("ChaState_SF").unit("% AhrRtg"),
            P::new("StorAval", Uint16).scaled("StorAval_SF").unit("AH"),
            P::new("InBatV", Uint16).scaled("InBatV_SF").unit("V"),
            P::new("ChaSt", Enum16),
            P::new("OutWRte", Int16)
                .scaled("InOutWRte_SF")
                .unit("% WDisChaMax")
                .writable(),
            P::new("InWRte", Int16)
                .scaled("InOutWRte_SF")
                .unit(" % WChaMax")
                .writable(),
            P::new("InOutWRte_WinTms", Uint16).unit("Secs").writable(),
            P::new("InOutWRte_RvrtTms", Uint16).unit("Secs").writable(),
            P::new("InOutWRte_RmpTms", Uint16).unit("Secs").writable(),
            P::new("ChaGriSet", Enum16).writable(),
            P::new("WChaMax_SF", ScaleFactor).mandatory(),
            P::new("WChaDisChaGra_SF", ScaleFactor).mandatory(),
            P::new("VAChaMax_SF", ScaleFactor),
            P::new("MinRsvPct_SF", ScaleFactor),
            P::new("ChaState_SF", ScaleFactor),
            P::new("StorAval_SF", ScaleFactor),
            P::new("InBatV_SF", ScaleFactor),
            P::new("InOutWRte_SF", ScaleFactor),
        ],
        groups: &[],
    },
};
