//! The fields against the model definitions.

use gridtally_registers::sunspec::{Kind, Layout, models};

use crate::device::controls::field::{Field, Shape};
use crate::device::controls::{der, limit, storage};

fn agrees(model: u16, fields: &[Field]) {
    let layout = Layout::new(models::find(model).unwrap(), &[]).unwrap();
    for field in fields {
        let point = layout.point(&field.name).unwrap();
        assert_eq!(field.offset, point.offset, "{}", field.name);
        let shape = match point.kind() {
            Kind::Uint16 | Kind::Enum16 | Kind::Bitfield16 => Shape::Uint16,
            Kind::Int16 => Shape::Int16,
            Kind::Uint32 => Shape::Uint32,
            Kind::Int32 => Shape::Int32,
            other => panic!("{other:?} of {}", field.name),
        };
        assert_eq!(field.shape, shape, "{}", field.name);
        assert!(point.definition.writable, "{}", field.name);
        assert_eq!(
            field.scale.map(|(_, offset)| offset),
            point.scale_offset,
            "{}",
            field.name
        );
        if let Some((name, offset)) = field.scale {
            assert_eq!(
                layout.point(name).map(|point| point.offset),
                Some(offset),
                "{name}"
            );
        }
    }
}

#[test]
fn each_field_is_where_the_model_definition_has_it() {
    agrees(123, limit::FIELDS);
    agrees(124, storage::FIELDS);
    agrees(704, der::FIELDS);
}
