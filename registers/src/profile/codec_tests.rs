//! The two directions undo each other, for every type, order, scale and sign.

use proptest::prelude::*;

use super::*;

fn decimal(text: &str) -> Decimal {
    Decimal::from_str_exact(text).expect("a decimal")
}

fn number(text: &str) -> Value {
    Value::Number(decimal(text))
}

const INTEGERS: [RegisterType; 7] = [
    RegisterType::U16,
    RegisterType::I16,
    RegisterType::U32,
    RegisterType::I32,
    RegisterType::U64,
    RegisterType::I64,
    RegisterType::Bits,
];

prop_compose! {
    fn layout(kinds: Vec<RegisterType>)(
        kind in prop::sample::select(kinds),
        little_words in any::<bool>(),
        little_bytes in any::<bool>(),
        steps in 1_i128..=1_000_000_000,
        places in 0_u32..=9,
        inverted in any::<bool>(),
    ) -> Encoding {
        Encoding {
            word_order: if little_words { WordOrder::Little } else { WordOrder::Big },
            byte_order: if little_bytes { ByteOrder::Little } else { ByteOrder::Big },
            scale: Decimal::from_i128_with_scale(steps, places),
            inverted,
            ..Encoding::of(kind)
        }
    }
}

proptest! {
    #[test]
    fn every_pattern_of_an_integer_is_written_back_as_it_was_read(
        layout in layout(INTEGERS.to_vec()),
        pattern in prop::array::uniform4(any::<u16>()),
    ) {
        let registers = &pattern[..usize::from(layout.length())];
        let value = layout.decode(registers).expect("every pattern is an integer");
        prop_assert_eq!(layout.encode(&value).expect("it was read"), registers);
    }

    #[test]
    fn every_number_that_can_be_written_reads_back_as_itself(
        layout in layout(INTEGERS.to_vec()),
        value in any::<(i64, bool)>(),
        places in 0_u32..=28,
    ) {
        let value = Value::Number(Decimal::from_i128_with_scale(i128::from(value.0), if value.1 { places } else { 0 }));
        if let Ok(registers) = layout.encode(&value) {
            prop_assert_eq!(layout.decode(&registers), Ok(value));
        }
    }

    #[test]
    fn every_float_of_a_reading_is_written_back_as_it_was_read(
        layout in layout(vec![RegisterType::F32]),
        negative in any::<bool>(),
        exponent in 87_u32..157,
        fraction in 0_u32..1 << 23,
        scale in prop::sample::select(vec!["0.001", "0.1", "1", "1000"]),
    ) {
        let layout = Encoding { scale: decimal(scale), ..layout };
        let bits = u32::from(negative) << 31 | exponent << 23 | fraction;
        let registers = layout.registers(u64::from(bits));
        let value = layout.decode(&registers).expect("a number");
        prop_assert_eq!(layout.encode(&value), Ok(registers));
    }

    #[test]
    fn every_text_that_can_be_written_reads_back_as_itself(
        length in 1_u16..=20,
        little in any::<bool>(),
        text in "\\PC{0,12}",
    ) {
        let byte_order = if little { ByteOrder::Little } else { ByteOrder::Big };
        let layout = Encoding { byte_order, ..Encoding::of(RegisterType::Text(length)) };
        let value = Value::Text(text);
        if let Ok(registers) = layout.encode(&value) {
            prop_assert_eq!(registers.len(), usize::from(length));
            prop_assert_eq!(layout.decode(&registers), Ok(value));
        }
    }

    #[test]
    fn no_registers_make_the_decoder_panic(
        layout in layout([INTEGERS.to_vec(), vec![RegisterType::F32, RegisterType::Text(3)]].concat()),
        registers in prop::collection::vec(any::<u16>(), 0..6),
    ) {
        let decoded = layout.decode(&registers);
        prop_assert_eq!(matches!(decoded, Err(DecodeError::Length { .. })), registers.len() != usize::from(layout.length()));
    }
}

#[test]
fn the_orders_of_words_and_bytes_are_what_they_say() {
    let big = Encoding::of(RegisterType::U32);
    let words = Encoding {
        word_order: WordOrder::Little,
        ..big.clone()
    };
    let bytes = Encoding {
        byte_order: ByteOrder::Little,
        ..big.clone()
    };
    let value = number("16909060"); // 0x01020304
    assert_eq!(big.encode(&value), Ok(vec![0x0102, 0x0304]));
    assert_eq!(words.encode(&value), Ok(vec![0x0304, 0x0102]));
    assert_eq!(bytes.encode(&value), Ok(vec![0x0201, 0x0403]));
}

#[test]
fn a_number_is_scaled_and_signed_exactly() {
    let tenths = Encoding {
        scale: decimal("0.1"),
        inverted: true,
        ..Encoding::of(RegisterType::I16)
    };
    assert_eq!(tenths.decode(&[0xFFFE]), Ok(number("0.2")));
    assert_eq!(
        tenths.decode(&[0x8000]),
        Ok(number("3276.8")),
        "the least number has no counterpart"
    );
    assert_eq!(tenths.encode(&number("3276.8")), Ok(vec![0x8000]));
    assert!(matches!(
        tenths.encode(&number("-3276.8")),
        Err(EncodeError::DoesNotFit { .. })
    ));
    assert!(matches!(
        tenths.encode(&number("0.25")),
        Err(EncodeError::NotAStep { .. })
    ));
    let greatest = Encoding {
        scale: decimal("0.000000001"),
        ..Encoding::of(RegisterType::U64)
    };
    assert_eq!(greatest.decode(&[0xFFFF; 4]), Ok(number("18446744073.709551615")));
}

#[test]
fn what_is_not_available_is_no_number_and_no_number_is_written_as_it() {
    let layout = Encoding {
        not_available: vec![0xFFFF, 0x8000],
        ..Encoding::of(RegisterType::U16)
    };
    assert_eq!(layout.decode(&[0x8000]), Ok(Value::NotAvailable));
    assert_eq!(layout.encode(&Value::NotAvailable), Ok(vec![0xFFFF]));
    assert!(matches!(
        layout.encode(&number("65535")),
        Err(EncodeError::Reserved { .. })
    ));
    let always = Encoding::of(RegisterType::U16);
    assert_eq!(always.encode(&Value::NotAvailable), Err(EncodeError::NoSentinel));
    let float = Encoding::of(RegisterType::F32);
    for not_finite in [[0x7FC0, 0], [0x7F80, 0], [0xFF80, 0], [0xFFFF, 0xFFFF]] {
        assert_eq!(float.decode(&not_finite), Ok(Value::NotAvailable));
    }
    assert_eq!(float.encode(&Value::NotAvailable), Ok(vec![0x7FC0, 0]));
}

#[test]
fn a_text_loses_its_padding_and_nothing_else() {
    let layout = Encoding::of(RegisterType::Text(3));
    assert_eq!(
        layout.decode(&[0x4142, 0x2043, 0x2000]),
        Ok(Value::Text("AB C".into()))
    );
    assert_eq!(
        layout.decode(&[0x4100, 0x4242, 0x4242]),
        Ok(Value::Text("A".into())),
        "rests after a NUL"
    );
    assert_eq!(layout.decode(&[0; 3]), Ok(Value::NotAvailable));
    assert_eq!(layout.decode(&[0xFFFF; 3]), Ok(Value::NotAvailable));
    assert_eq!(layout.decode(&[0x0102, 0, 0]), Err(DecodeError::NotText));
    assert!(matches!(
        layout.encode(&Value::Text("too long".into())),
        Err(EncodeError::Text { bytes_max: 6 })
    ));
}
