// Made by generate.py from the SunSpec model definitions. Do not edit.

use crate::sunspec::Kind::*;
use crate::sunspec::{Count, Group, Model, PointDefinition as P};

pub(super) const M701: Model = Model {
    id: 701,
    label: "DER AC Measurement",
    root: Group {
        name: "DERMeasureAC",
        count: Count::One,
        points: &[
            P::new("ACType", Enum16).mandatory(),
            P::new("St", Enum16),
            P::new("InvSt", Enum16),
            P::new("ConnSt", Enum16),
            P::new("Alrm", Bitfield32),
            P::new("DERMode", Bitfield32),
            P::new("W", Int16).scaled("W_SF").unit("W"),
            P::new("VA", Int16).scaled("VA_SF").unit("VA"),
            P::new("Var", Int16).scaled("Var_SF").unit("Var"),
            P::new("PF", Int16).scaled("PF_SF"),
            P::new("A", Int16).scaled("A_SF").unit("A"),
            P::new("LLV", Uint16).scaled("V_SF").unit("V"),
            P::new("LNV", Uint16).scaled("V_SF").unit("V"),
            P::new("Hz", Uint32).scaled("Hz_SF").unit("Hz"),
            P::new("TotWhInj", Uint64).scaled("TotWh_SF").unit("Wh"),
            P::new("TotWhAbs", Uint64).scaled("TotWh_SF").unit("Wh"),
            P::new("TotVarhInj", Uint64).scaled("TotVarh_SF").unit("Varh"),
            P::new("TotVarhAbs", Uint64).scaled("TotVarh_SF").unit("Varh"),
            P::new("TmpAmb", Int16).scaled("Tmp_SF").unit("C"),
            P::new("TmpCab", Int16).scaled("Tmp_SF").unit("C"),
            P::new("TmpSnk", Int16).scaled("Tmp_SF").unit("C"),
            P::new("TmpTrns", Int16).scaled("Tmp_SF").unit("C"),
            P::new("TmpSw", Int16).scaled("Tmp_SF").unit("C"),
            P::new("TmpOt", Int16).scaled("Tmp_SF").unit("C"),
            P::new("WL1", Int16).scaled("W_SF").unit("W"),
            P::new("VAL1", Int16).scaled("VA_SF").unit("VA"),
            P::new("VarL1", Int16).scaled("Var_SF").unit("Var"),
            P::new("PFL1", Int16).scaled("PF_SF"),
            P::new("AL1", Int16).scaled("A_SF").unit("A"),
            P::new("VL1L2", Uint16).scaled("V_SF").unit("V"),
            P::new("VL1", Uint16).scaled("V_SF").unit("V"),
            P::new("TotWhInjL1", Uint64).scaled("TotWh_SF").unit("Wh"),
            P::new("TotWhAbsL1", Uint64).scaled("TotWh_SF").unit("Wh"),
            P::new("TotVarhInjL1", Uint64).scaled("TotVarh_SF").unit("Varh"),
            P::new("TotVarhAbsL1", Uint64).scaled("TotVarh_SF").unit("Varh"),
            P::new("WL2", Int16).scaled("W_SF").unit("W"),
            P::new("VAL2", Int16).scaled("VA_SF").unit("VA"),
            P::new("VarL2", Int16).scaled("Var_SF").unit("Var"),
            P::new("PFL2", Int16).scaled("PF_SF"),
            P::new("AL2", Int16).scaled("A_SF").unit("A"),
            P::new("VL2L3", Uint16).scaled("V_SF").unit("V"),
            P::new("VL2", Uint16).scaled("V_SF").unit("V"),
            P::new("TotWhInjL2", Uint64).scaled("TotWh_SF").unit("Wh"),
            P::new("TotWhAbsL2", Uint64).scaled("TotWh_SF").unit("Wh"),
            P::new("TotVarhInjL2", Uint64).scaled("TotVarh_SF").unit("Varh"),
            P::new("TotVarhAbsL2", Uint64).scaled("TotVarh_SF").unit("Varh"),
            P::new("WL3", Int16).scaled("W_SF").unit("W"),
            P::new("VAL3", Int16).scaled("VA_SF").unit("VA"),
            P::new("VarL3", Int16).scaled("Var_SF").unit("Var"),
            P::new("PFL3", Int16).scaled("PF_SF"),
            P::new("AL3", Int16).scaled("A_SF").unit("A"),
            P::new("VL3L1", Uint16).scaled("V_SF").unit("V"),
            P::new("VL3", Uint16).scaled("V_SF").unit("V"),
            P::new("TotWhInjL3", Uint64).scaled("TotWh_SF").unit("Wh"),
            P::new("TotWhAbsL3", Uint64).scaled("TotWh_SF").unit("Wh"),
            P::new("TotVarhInjL3", Uint64).scaled("TotVarh_SF").unit("Varh"),
            P::new("TotVarhAbsL3", Uint64).scaled("TotVarh_SF").unit("Varh"),
            P::new("ThrotPct", Uint16).unit("Pct"),
            P::new("ThrotSrc", Bitfield32),
            P::new("A_SF", ScaleFactor),
            P::new("V_SF", ScaleFactor),
            P::new("Hz_SF", ScaleFactor),
            P::new("W_SF", ScaleFactor),
            P::new("PF_SF", ScaleFactor),
            P::new("VA_SF", ScaleFactor),
            P::new("Var_SF", ScaleFactor),
            P::new("TotWh_SF", ScaleFactor),
            P::new("TotVarh_SF", ScaleFactor),
            P::new("Tmp_SF", ScaleFactor),
            P::new("MnAlrmInfo", Text(32)),
        ],
        groups: &[],
    },
};

pub(super) const M702: Model = Model {
    id: 702,
    label: "DER Capacity",
    root: Group {
        name: "DERCapacity",
        count: Count::One,
        points: &[
            P::new("WMaxRtg", Uint16).scaled("W_SF").unit("W"),
            P::new("WOvrExtRtg", Uint16).scaled("W_SF").unit("W"),
            P::new("WOvrExtRtgPF", Uint16).scaled("PF_SF"),
            P::new("WUndExtRtg", Uint16).scaled("W_SF").unit("W"),
            P::new("WUndExtRtgPF", Uint16).scaled("PF_SF"),
            P::new("VAMaxRtg", Uint16).scaled("VA_SF").unit("VA"),
            P::new("VarMaxInjRtg", Uint16).scaled("Var_SF").unit("Var"),
            P::new("VarMaxAbsRtg", Uint16).scaled("Var_SF").unit("Var"),
            P::new("WChaRteMaxRtg", Uint16).scaled("W_SF").unit("W"),
            P::new("WDisChaRteMaxRtg", Uint16).scaled("W_SF").unit("W"),
            P::new("VAChaRteMaxRtg", Uint16).scaled("VA_SF").unit("VA"),
            P::new("VADisChaRteMaxRtg", Uint16).scaled("VA_SF").unit("VA"),
            P::new("VNomRtg", Uint16).scaled("V_SF").unit("V"),
            P::new("VMaxRtg", Uint16).scaled("V_SF").unit("V"),
            P::new("VMinRtg", Uint16).scaled("V_SF").unit("V"),
            P::new("AMaxRtg", Uint16).scaled("A_SF").unit("A"),
            P::new("PFOvrExtRtg", Uint16).scaled("PF_SF"),
            P::new("PFUndExtRtg", Uint16).scaled("PF_SF"),
            P::new("ReactSusceptRtg", Uint16).scaled("S_SF").unit("S"),
            P::new("NorOpCatRtg", Enum16),
            P::new("AbnOpCatRtg", Enum16),
            P::new("CtrlModes", Bitfield32),
            P::new("IntIslandCatRtg", Bitfield16),
            P::new("WMax", Uint16).scaled("W_SF").unit("W").writable(),
            P::new("WMaxOvrExt", Uint16).scaled("W_SF").unit("W").writable(),
            P::new("WOvrExtPF", Uint16).scaled("PF_SF").writable(),
            P::new("WMaxUndExt", Uint16).scaled("W_SF").unit("W").writable(),
            P::new("WUndExtPF", Uint16).scaled("PF_SF").writable(),
            P::new("VAMax", Uint16).scaled("VA_SF").unit("VA").writable(),
            P::new("VarMaxInj", Uint16)
                .scaled("Var_SF")
                .unit("Var")
                .writable(),
            P::new("VarMaxAbs", Uint16)
                .scaled("Var_SF")
                .unit("Var")
                .writable(),
            P::new("WChaRteMax", Uint16).scaled("W_SF").unit("W").writable(),
            P::new("WDisChaRteMax", Uint16)
                .scaled("W_SF")
                .unit("W")
                .writable(),
            P::new("VAChaRteMax", Uint16)
                .scaled("VA_SF")
                .unit("VA")
                .writable(),
            P::new("VADisChaRteMax", Uint16)
                .scaled("VA_SF")
                .unit("VA")
                .writable(),
            P::new("VNom", Uint16).scaled("V_SF").unit("V").writable(),
            P::new("VMax", Uint16).scaled("V_SF").unit("V").writable(),
            P::new("VMin", Uint16).scaled("V_SF").unit("V").writable(),
            P::new("AMax", Uint16).scaled("A_SF").unit("A").writable(),
            P::new("PFOvrExt", Uint16).scaled("PF_SF").writable(),
            P::new("PFUndExt", Uint16).scaled("PF_SF").writable(),
            P::new("IntIslandCat", Bitfield16).writable(),
            P::new("W_SF", ScaleFactor),
            P::new("PF_SF", ScaleFactor),
            P::new("VA_SF", ScaleFactor),
            P::new("Var_SF", ScaleFactor),
            P::new("V_SF", ScaleFactor),
            P::new("A_SF", ScaleFactor),
            P::new("S_SF", ScaleFactor),
        ],
        groups: &[],
    },
};

pub(super) const M703: Model = Model {
    id: 703,
    label: "Enter Service",
    root: Group {
        name: "DEREnterService",
        count: Count::One,
        points: &[
            P::new("ES", Enum16).writable(),
            P::new("ESVHi", Uint16).scaled("V_SF").unit("Pct").writable(),
            P::new("ESVLo", Uint16).scaled("V_SF").unit("Pct").writable(),
            P::new("ESHzHi", Uint32).scaled("Hz_SF").unit("Hz").writable(),
            P::new("ESHzLo", Uint32).scaled("Hz_SF").unit("Hz").writable(),
            P::new("ESDlyTms", Uint32).unit("Secs").writable(),
            P::new("ESRndTms", Uint32).unit("Secs").writable(),
            P::new("ESRmpTms", Uint32).unit("Secs").writable(),
            P::new("ESDlyRemTms", Uint32).unit("Secs"),
            P::new("V_SF", ScaleFactor),
            P::new("Hz_SF", ScaleFactor),
        ],
        groups: &[],
    },
};

pub(super) const M704: Model = Model {
    id: 704,
    label: "DER AC Controls",
    root: Group {
        name: "DERCtlAC",
        count: Count::One,
        points: &[
            P::new("PFWInjEna", Enum16).writable(),
            P::new("PFWInjEnaRvrt", Enum16).writable(),
            P::new("PFWInjRvrtTms", Uint32).unit("Secs").writable(),
            P::new("PFWInjRvrtRem", Uint32).unit("Secs"),
            P::new("PFWAbsEna", Enum16).writable(),
            P::new("PFWAbsEnaRvrt", Enum16).writable(),
            P::new("PFWAbsRvrtTms", Uint32).unit("Secs").writable(),
            P::new("PFWAbsRvrtRem", Uint32).unit("Secs"),
            P::new("WMaxLimPctEna", Enum16).writable(),
            P::new("WMaxLimPct", Uint16)
                .scaled("WMaxLimPct_SF")
                .unit("Pct")
                .writable(),
            P::new("WMaxLimPctRvrt", Uint16)
                .scaled("WMaxLimPct_SF")
                .unit("Pct")
                .writable(),
            P::new("WMaxLimPctEnaRvrt", Enum16).writable(),
            P::new("WMaxLimPctRvrtTms", Uint32).unit("Secs").writable(),
            P::new("WMaxLimPctRvrtRem", Uint32).unit("Secs"),
            P::new("WSetEna", Enum16).writable(),
            P::new("WSetMod", Enum16).writable(),
            P::new("WSet", Int32).scaled("WSet_SF").unit("W").writable(),
            P::new("WSetRvrt", Int32).scaled("WSet_SF").unit("W").writable(),
            P::new("WSetPct", Int16)
                .scaled("WSetPct_SF")
                .unit("Pct")
                .writable(),
            P::new("WSetPctRvrt", Int16)
                .scaled("WSetPct_SF")
                .unit("Pct")
                .writable(),
            P::new("WSetEnaRvrt", Enum16).writable(),
            P::new("WSetRvrtTms", Uint32).unit("Secs").writable(),
            P::new("WSetRvrtRem", Uint32).unit("Secs"),
            P::new("VarSetEna", Enum16).writable(),
            P::new("VarSetMod", Enum16).writable(),
            P::new("VarSetPri", Enum16).writable(),
            P::new("VarSet", Int32).scaled("VarSet_SF").unit("Var").writable(),
            P::new("VarSetRvrt", Int32)
                .scaled("VarSet_SF")
                .unit("Var")
                .writable(),
            P::new("VarSetPct", Int16)
                .scaled("VarSetPct_SF")
                .unit("Pct")
                .writable(),
            P::new("VarSetPctRvrt", Int16)
                .scaled("VarSetPct_SF")
                .unit("Pct")
                .writable(),
            P::new("VarSetEnaRvrt", Enum16).writable(),
            P::new("VarSetRvrtTms", Uint32).unit("Secs").writable(),
            P::new("VarSetRvrtRem", Uint32).unit("Secs"),
            P::new("WRmp", Uint16).unit("%Max/Sec").writable(),
            P::new("WRmpRef", Enum16).writable(),
            P::new("VarRmp", Uint16).unit("%Max/Sec").writable(),
            P::new("AntiIslEna", Enum16).writable(),
            P::new("PF_SF", ScaleFactor),
            P::new("WMaxLimPct_SF", ScaleFactor),
            P::new("WSet_SF", ScaleFactor),
            P::new("WSetPct_SF", ScaleFactor),
            P::new("VarSet_SF", ScaleFactor),
            P::new("VarSetPct_SF", ScaleFactor),
        ],
        groups: &[
            Group {
                name: "PFWInj",
                count: Count::One,
                points: &[
                    P::new("PF", Uint16).scaled("PF_SF").writable(),
                    P::new("Ext", Enum16).writable(),
                ],
                groups: &[],
            },
            Group {
                name: "PFWInjRvrt",
                count: Count::One,
                points: &[
                    P::new("PF", Uint16).scaled("PF_SF").writable(),
                    P::new("Ext", Enum16).writable(),
                ],
                groups: &[],
            },
            Group {
                name: "PFWAbs",
                count: Count::One,
                points: &[
                    P::new("PF", Uint16).scaled("PF_SF").writable(),
                    P::new("Ext", Enum16).writable(),
                ],
                groups: &[],
            },
            Group {
                name: "PFWAbsRvrt",
                count: Count::One,
                points: &[
                    P::new("PF", Uint16).scaled("PF_SF").writable(),
                    P::new("Ext", Enum16).writable(),
                ],
                groups: &[],
            },
        ],
    },
};

pub(super) const M713: Model = Model {
    id: 713,
    label: "DER Storage Capacity",
    root: Group {
        name: "DERStorageCapacity",
        count: Count::One,
        points: &[
            P::new("WHRtg", Uint16).scaled("WH_SF").unit("WH"),
            P::new("WHAvail", Uint16).scaled("WH_SF").unit("WH"),
            P::new("SoC", Uint16).scaled("Pct_SF").unit("Pct"),
            P::new("SoH", Uint16).scaled("Pct_SF").unit("Pct"),
            P::new("Sta", Enum16),
            P::new("WH_SF", ScaleFactor),
            P::new("Pct_SF", ScaleFactor),
        ],
        groups: &[],
    },
};

pub(super) const M714: Model = Model {
    id: 714,
    label: "DER DC Measurement",
    root: Group {
        name: "DERMeasureDC",
        count: Count::One,
        points: &[
            P::new("PrtAlrms", Bitfield32),
            P::new("NPrt", Uint16),
            P::new("DCA", Int16).scaled("DCA_SF").unit("A"),
            P::new("DCW", Int16).scaled("DCW_SF").unit("W"),
            P::new("DCWhInj", Uint64).scaled("DCWH_SF").unit("Wh"),
            P::new("DCWhAbs", Uint64).scaled("DCWH_SF").unit("Wh"),
            P::new("DCA_SF", ScaleFactor),
            P::new("DCV_SF", ScaleFactor),
            P::new("DCW_SF", ScaleFactor),
            P::new("DCWH_SF", ScaleFactor),
            P::new("Tmp_SF", ScaleFactor),
        ],
        groups: &[Group {
            name: "Prt",
            count: Count::Point("NPrt"),
            points: &[
                P::new("PrtTyp", Enum16),
                P::new("ID", Uint16),
                P::new("IDStr", Text(8)),
                P::new("DCA", Int16).scaled("DCA_SF").unit("A"),
                P::new("DCV", Uint16).scaled("DCV_SF").unit("V"),
                P::new("DCW", Int16).scaled("DCW_SF").unit("W"),
                P::new("DCWhInj", Uint64).scaled("DCWH_SF").unit("Wh"),
                P::new("DCWhAbs", Uint64).scaled("DCWH_SF").unit("Wh"),
                P::new("Tmp", Int16).scaled("Tmp_SF").unit("C"),
                P::new("DCSta", Enum16),
                P::new("DCAlrm", Bitfield32),
            ],
            groups: &[],
        }],
    },
};

pub(super) const M715: Model = Model {
    id: 715,
    label: "DERCtl",
    root: Group {
        name: "DERCtl",
        count: Count::One,
        points: &[
            P::new("LocRemCtl", Enum16),
            P::new("DERHb", Uint32),
            P::new("ControllerHb", Uint32).writable(),
            P::new("AlarmReset", Uint16).writable(),
            P::new("OpCtl", Enum16).writable(),
        ],
        groups: &[],
    },
};
