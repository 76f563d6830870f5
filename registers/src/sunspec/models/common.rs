// Made by generate.py from the SunSpec model definitions. Do not edit.

use crate::sunspec::Kind::*;
use crate::sunspec::{Count, Group, Model, PointDefinition as P};

pub(super) const M1: Model = Model {
    id: 1,
    label: "Common",
    root: Group {
        name: "common",
        count: Count::One,
        points: &[
            P::new("Mn", Text(16)).mandatory(),
            P::new("Md", Text(16)).mandatory(),
            P::new("Opt", Text(8)),
            P::new("Vr", Text(8)),
            P::new("SN", Text(16)).mandatory(),
            P::new("DA", Uint16).writable(),
            P::new("Pad", Pad),
        ],
        groups: &[],
    },
};
