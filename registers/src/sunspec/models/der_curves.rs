// Made by generate.py from the SunSpec model definitions. Do not edit.

use crate::sunspec::Kind::*;
use crate::sunspec::{Count, Group, Model, PointDefinition as P};

pub(super) const M705: Model = Model {
    id: 705,
    label: "DER Volt-Var",
    root: Group {
        name: "DERVoltVar",
        count: Count::One,
        points: &[
            P::new("Ena", Enum16).writable().mandatory(),
            P::new("AdptCrvReq", Uint16).writable().mandatory(),
            P::new("AdptCrvRslt", Enum16).mandatory(),
            P::new("NPt", Uint16).mandatory(),
            P::new("NCrv", Uint16).mandatory(),
            P::new("RvrtTms", Uint32).unit("Secs").writable(),
            P::new("RvrtRem", Uint32).unit("Secs"),
            P::new("RvrtCrv", Uint16).writable(),
            P::new("V_SF", ScaleFactor).mandatory(),
            P::new("DeptRef_SF", ScaleFactor).mandatory(),
            P::new("RspTms_SF", ScaleFactor).mandatory(),
        ],
        groups: &[Group {
            name: "Crv",
            count: Count::Point("NCrv"),
            points: &[
                P::new("ActPt", Uint16).writable().mandatory(),
                P::new("DeptRef", Enum16).writable().mandatory(),
                P::new("Pri", Enum16).writable(),
                P::new("VRef", Uint16).scaled("V_SF").unit("VNomPct").writable(),
                P::new("VRefAuto", Uint16).scaled("V_SF").unit("VNomPct"),
                P::new("VRefAutoEna", Enum16).writable(),
                P::new("VRefAutoTms", Uint16).unit("Secs").writable(),
                P::new("RspTms", Uint32)
                    .scaled("RspTms_SF")
                    .unit("Secs")
                    .writable(),
                P::new("ReadOnly", Enum16).mandatory(),
            ],
            groups: &[Group {
                name: "Pt",
                count: Count::Point("NPt"),
                points: &[
                    P::new("V", Uint16).scaled("V_SF").unit("VNomPct").writable(),
                    P::new("Var", Int16)
                        .scaled("DeptRef_SF")
                        .unit("DeptRef")
                        .writable(),
                ],
                groups: &[],
            }],
        }],
    },
};

pub(super) const M706: Model = Model {
    id: 706,
    label: "DER Volt-Watt",
    root: Group {
        name: "DERVoltWatt",
        count: Count::One,
        points: &[
            P::new("Ena", Enum16).writable().mandatory(),
            P::new("AdptCrvReq", Uint16).writable().mandatory(),
            P::new("AdptCrvRslt", Enum16).mandatory(),
            P::new("NPt", Uint16).mandatory(),
            P::new("NCrv", Uint16).mandatory(),
            P::new("RvrtTms", Uint32).unit("Secs").writable(),
            P::new("RvrtRem", Uint32).unit("Secs"),
            P::new("RvrtCrv", Uint16).writable(),
            P::new("V_SF", ScaleFactor).mandatory(),
            P::new("DeptRef_SF", ScaleFactor).mandatory(),
            P::new("RspTms_SF", ScaleFactor).mandatory(),
        ],
        groups: &[Group {
            name: "Crv",
            count: Count::Point("NCrv"),
            points: &[
                P::new("ActPt", Uint16).writable().mandatory(),
                P::new("DeptRef", Enum16).writable().mandatory(),
                P::new("RspTms", Uint32)
                    .scaled("RspTms_SF")
                    .unit("Secs")
                    .writable(),
                P::new("ReadOnly", Enum16).mandatory(),
            ],
            groups: &[Group {
                name: "Pt",
                count: Count::Point("NPt"),
                points: &[
                    P::new("V", Uint16).scaled("V_SF").unit("VNomPct").writable(),
                    P::new("W", Int16).scaled("DeptRef_SF").unit("DeptRef").writable(),
                ],
                groups: &[],
            }],
        }],
    },
};

pub(super) const M707: Model = Model {
    id: 707,
    label: "DER Trip LV",
    root: Group {
        name: "DERTripLV",
        count: Count::One,
        points: &[
            P::new("Ena", Enum16).writable().mandatory(),
            P::new("AdptCrvReq", Uint16).writable().mandatory(),
            P::new("AdptCrvRslt", Enum16).mandatory(),
            P::new("NPt", Uint16).mandatory(),
            P::new("NCrvSet", Uint16).mandatory(),
            P::new("V_SF", ScaleFactor).mandatory(),
            P::new("Tms_SF", ScaleFactor).mandatory(),
        ],
        groups: &[Group {
            name: "Crv",
            count: Count::Point("NCrvSet"),
            points: &[P::new("ReadOnly", Enum16).mandatory()],
            groups: &[
                Group {
                    name: "MustTrip",
                    count: Count::One,
                    points: &[P::new("ActPt", Uint16).writable()],
                    groups: &[Group {
                        name: "Pt",
                        count: Count::Point("NPt"),
                        points: &[
                            P::new("V", Uint16).scaled("V_SF").unit("VNomPct").writable(),
                            P::new("Tms", Uint32).scaled("Tms_SF").unit("Secs").writable(),
                        ],
                        groups: &[],
                    }],
                },
                Group {
                    name: "MayTrip",
                    count: Count::One,
                    points: &[P::new("ActPt", Uint16).writable()],
                    groups: &[Group {
                        name: "Pt",
                        count: Count::Point("NPt"),
                        points: &[
                            P::new("V", Uint16).scaled("V_SF").unit("VNomPct").writable(),
                            P::new("Tms", Uint32).scaled("Tms_SF").unit("Secs").writable(),
                        ],
                        groups: &[],
                    }],
                },
                Group {
                    name: "MomCess",
                    count: Count::One,
                    points: &[P::new("ActPt", Uint16).writable()],
                    groups: &[Group {
                        name: "Pt",
                        count: Count::Point("NPt"),
                        points: &[
                            P::new("V", Uint16).scaled("V_SF").unit("VNomPct").writable(),
                            P::new("Tms", Uint32).scaled("Tms_SF").unit("Secs").writable(),
                        ],
                        groups: &[],
                    }],
                },
            ],
        }],
    },
};

pub(super) const M708: Model = Model {
    id: 708,
    label: "DER Trip HV",
    root: Group {
        name: "DERTripHV",
        count: Count::One,
        points: &[
            P::new("Ena", Enum16).writable().mandatory(),
            P::new("AdptCrvReq", Uint16).writable().mandatory(),
            P::new("AdptCrvRslt", Enum16).mandatory(),
            P::new("NPt", Uint16).mandatory(),
            P::new("NCrvSet", Uint16).mandatory(),
            P::new("V_SF", ScaleFactor).mandatory(),
            P::new("Tms_SF", ScaleFactor).mandatory(),
        ],
        groups: &[Group {
            name: "Crv",
            count: Count::Point("NCrvSet"),
            points: &[P::new("ReadOnly", Enum16).mandatory()],
            groups: &[
                Group {
                    name: "MustTrip",
                    count: Count::One,
                    points: &[P::new("ActPt", Uint16).writable()],
                    groups: &[Group {
                        name: "Pt",
                        count: Count::Point("NPt"),
                        points: &[
                            P::new("V", Uint16).scaled("V_SF").unit("VNomPct").writable(),
                            P::new("Tms", Uint32).scaled("Tms_SF").unit("Secs").writable(),
                        ],
                        groups: &[],
                    }],
                },
                Group {
                    name: "MayTrip",
                    count: Count::One,
                    points: &[P::new("ActPt", Uint16).writable()],
                    groups: &[Group {
                        name: "Pt",
                        count: Count::Point("NPt"),
                        points: &[
                            P::new("V", Uint16).scaled("V_SF").unit("VNomPct").writable(),
                            P::new("Tms", Uint32).scaled("Tms_SF").unit("Secs").writable(),
                        ],
                        groups: &[],
                    }],
                },
                Group {
                    name: "MomCess",
                    count: Count::One,
                    points: &[P::new("ActPt", Uint16).writable()],
                    groups: &[Group {
                        name: "Pt",
                        count: Count::Point("NPt"),
                        points: &[
                            P::new("V", Uint16).scaled("V_SF").unit("VNomPct").writable(),
                            P::new("Tms", Uint32).scaled("Tms_SF").unit("Secs").writable(),
                        ],
                        groups: &[],
                    }],
                },
            ],
        }],
    },
};

pub(super) const M709: Model = Model {
    id: 709,
    label: "DER Trip LF",
    root: Group {
        name: "DERTripLF",
        count: Count::One,
        points: &[
            P::new("Ena", Enum16).writable().mandatory(),
            P::new("AdptCrvReq", Uint16).writable().mandatory(),
            P::new("AdptCrvRslt", Enum16).mandatory(),
            P::new("NPt", Uint16).mandatory(),
            P::new("NCrvSet", Uint16).mandatory(),
            P::new("Hz_SF", ScaleFactor).mandatory(),
            P::new("Tms_SF", ScaleFactor).mandatory(),
        ],
        groups: &[Group {
            name: "Crv",
            count: Count::Point("NCrvSet"),
            points: &[P::new("ReadOnly", Enum16).mandatory()],
            groups: &[
                Group {
                    name: "MustTrip",
                    count: Count::One,
                    points: &[P::new("ActPt", Uint16).writable()],
                    groups: &[Group {
                        name: "Pt",
                        count: Count::Point("NPt"),
                        points: &[
                            P::new("Hz", Uint32).scaled("Hz_SF").unit("Hz").writable(),
                            P::new("Tms", Uint32).scaled("Tms_SF").unit("Secs").writable(),
                        ],
                        groups: &[],
                    }],
                },
                Group {
                    name: "MayTrip",
                    count: Count::One,
                    points: &[P::new("ActPt", Uint16).writable()],
                    groups: &[Group {
                        name: "Pt",
                        count: Count::Point("NPt"),
                        points: &[
                            P::new("Hz", Uint32).scaled("Hz_SF").unit("Hz").writable(),
                            P::new("Tms", Uint32).scaled("Tms_SF").unit("Secs").writable(),
                        ],
                        groups: &[],
                    }],
                },
                Group {
                    name: "MomCess",
                    count: Count::One,
                    points: &[P::new("ActPt", Uint16).writable()],
                    groups: &[Group {
                        name: "Pt",
                        count: Count::Point("NPt"),
                        points: &[
                            P::new("Hz", Uint32).scaled("Hz_SF").unit("Hz").writable(),
                            P::new("Tms", Uint32).scaled("Tms_SF").unit("Secs").writable(),
                        ],
                        groups: &[],
                    }],
                },
            ],
        }],
    },
};

pub(super) const M710: Model = Model {
    id: 710,
    label: "DER Trip HF",
    root: Group {
        name: "DERTripHF",
        count: Count::One,
        points: &[
            P::new("Ena", Enum16).writable().mandatory(),
            P::new("AdptCrvReq", Uint16).writable().mandatory(),
            P::new("AdptCrvRslt", Enum16).mandatory(),
            P::new("NPt", Uint16).mandatory(),
            P::new("NCrvSet", Uint16).mandatory(),
            P::new("Hz_SF", ScaleFactor).mandatory(),
            P::new("Tms_SF", ScaleFactor).mandatory(),
        ],
        groups: &[Group {
            name: "Crv",
            count: Count::Point("NCrvSet"),
            points: &[P::new("ReadOnly", Enum16).mandatory()],
            groups: &[
                Group {
                    name: "MustTrip",
                    count: Count::One,
                    points: &[P::new("ActPt", Uint16).writable()],
                    groups: &[Group {
                        name: "Pt",
                        count: Count::Point("NPt"),
                        points: &[
                            P::new("Hz", Uint32).scaled("Hz_SF").unit("Hz").writable(),
                            P::new("Tms", Uint32).scaled("Tms_SF").unit("Secs").writable(),
                        ],
                        groups: &[],
                    }],
                },
                Group {
                    name: "MayTrip",
                    count: Count::One,
                    points: &[P::new("ActPt", Uint16).writable()],
                    groups: &[Group {
                        name: "Pt",
                        count: Count::Point("NPt"),
                        points: &[
                            P::new("Hz", Uint32).scaled("Hz_SF").unit("Hz").writable(),
                            P::new("Tms", Uint32).scaled("Tms_SF").unit("Secs").writable(),
                        ],
                        groups: &[],
                    }],
                },
                Group {
                    name: "MomCess",
                    count: Count::One,
                    points: &[P::new("ActPt", Uint16).writable()],
                    groups: &[Group {
                        name: "Pt",
                        count: Count::Point("NPt"),
                        points: &[
                            P::new("Hz", Uint32).scaled("Hz_SF").unit("Hz").writable(),
                            P::new("Tms", Uint32).scaled("Tms_SF").unit("Secs").writable(),
                        ],
                        groups: &[],
                    }],
                },
            ],
        }],
    },
};

pub(super) const M711: Model = Model {
    id: 711,
    label: "DER Frequency Droop",
    root: Group {
        name: "DERFreqDroop",
        count: Count::One,
        points: &[
            P::new("Ena", Enum16).writable().mandatory(),
            P::new("AdptCtlReq", Uint16).writable().mandatory(),
            P::new("AdptCtlRslt", Enum16).mandatory(),
            P::new("NCtl", Uint16).mandatory(),
            P::new("RvrtTms", Uint32).unit("Secs").writable(),
            P::new("RvrtRem", Uint32).unit("Secs"),
            P::new("RvrtCtl", Uint16).writable(),
            P::new("Db_SF", ScaleFactor).mandatory(),
            P::new("K_SF", ScaleFactor).mandatory(),
            P::new("RspTms_SF", ScaleFactor).mandatory(),
        ],
        groups: &[Group {
            name: "Ctl",
            count: Count::Point("NCtl"),
            points: &[
                P::new("DbOf", Uint32)
                    .scaled("Db_SF")
                    .unit("Hz")
                    .writable()
                    .mandatory(),
                P::new("DbUf", Uint32)
                    .scaled("Db_SF")
                    .unit("Hz")
                    .writable()
                    .mandatory(),
                P::new("KOf", Uint16).scaled("K_SF").writable().mandatory(),
                P::new("KUf", Uint16).scaled("K_SF").writable().mandatory(),
                P::new("RspTms", Uint32)
                    .scaled("RspTms_SF")
                    .unit("Secs")
                    .writable()
                    .mandatory(),
                P::new("PMin", Int16).unit("Pct").writable(),
                P::new("ReadOnly", Enum16).mandatory(),
            ],
            groups: &[],
        }],
    },
};

pub(super) const M712: Model = Model {
    id: 712,
    label: "DER Watt-Var",
    root: Group {
        name: "DERWattVar",
        count: Count::One,
        points: &[
            P::new("Ena", Enum16).writable().mandatory(),
            P::new("AdptCrvReq", Uint16).writable().mandatory(),
            P::new("AdptCrvRslt", Enum16).mandatory(),
            P::new("NPt", Uint16).mandatory(),
            P::new("NCrv", Uint16).mandatory(),
            P::new("RvrtTms", Uint32).unit("Secs").writable(),
            P::new("RvrtRem", Uint32).unit("Secs"),
            P::new("RvrtCrv", Uint16).writable(),
            P::new("W_SF", ScaleFactor).mandatory(),
            P::new("DeptRef_SF", ScaleFactor).mandatory(),
        ],
        groups: &[Group {
            name: "Crv",
            count: Count::Point("NCrv"),
            points: &[
                P::new("ActPt", Uint16).writable().mandatory(),
                P::new("DeptRef", Enum16).writable().mandatory(),
                P::new("Pri", Enum16).writable(),
                P::new("ReadOnly", Enum16).mandatory(),
            ],
            groups: &[Group {
                name: "Pt",
                count: Count::Point("NPt"),
                points: &[
                    P::new("W", Int16).scaled("W_SF").unit("WMaxPct").writable(),
                    P::new("Var", Int16)
                        .scaled("DeptRef_SF")
                        .unit("VarPct")
                        .writable(),
                ],
                groups: &[],
            }],
        }],
    },
};
