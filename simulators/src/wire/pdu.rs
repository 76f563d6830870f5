//! Protocol data units, after *MODBUS Application Protocol Specification V1.1b3*, section 6: what a
//! request asks and how a reply looks, without what carries them.

use std::borrow::Cow;
use tokio_modbus::{ExceptionCode, Request, Response};

/// As long as a PDU can be, in bytes (section 4.1).
pub(super) const MAX_LEN: usize = 253;
/// As many registers as a reply has room for.
const MAX_READ: usize = 125;
/// As many registers as a request can write.
const MAX_WRITE: u16 = 123;

const READ_HOLDING: u8 = 0x03;
const READ_INPUT: u8 = 0x04;
const WRITE_SINGLE: u8 = 0x06;
const WRITE_MULTIPLE: u8 = 0x10;
/// Set in the function code of an exception.
const EXCEPTION: u8 = 0x80;

/// Reads a request for functions 3, 4, 6 and 16.
///
/// # Errors
/// The exception that the specification asks for: 1 for another function, 3 where length, quantity
/// and byte count do not agree or are out of bounds.
pub(super) fn parse(pdu: &[u8]) -> Result<Request<'static>, ExceptionCode> {
    let (&function, body) = pdu.split_first().ok_or(ExceptionCode::IllegalFunction)?;
    match (function, body) {
        (READ_HOLDING | READ_INPUT, &[a, b, c, d]) => {
            let (address, quantity) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            if quantity == 0 || usize::from(quantity) > MAX_READ {
                return Err(ExceptionCode::IllegalDataValue);
            }
            Ok(if function == READ_HOLDING {
                Request::ReadHoldingRegisters(address, quantity)
            } else {
                Request::ReadInputRegisters(address, quantity)
            })
        }
        (WRITE_SINGLE, &[a, b, c, d]) => Ok(Request::WriteSingleRegister(
            u16::from_be_bytes([a, b]),
            u16::from_be_bytes([c, d]),
        )),
        (WRITE_MULTIPLE, &[a, b, c, d, count, ref data @ ..]) => {
            let quantity = u16::from_be_bytes([c, d]);
            let bytes = usize::from(count);
            let fits = (1..=MAX_WRITE).contains(&quantity)
                && bytes == 2 * usize::from(quantity)
                && bytes == data.len();
            if !fits {
                return Err(ExceptionCode::IllegalDataValue);
            }
            let (words, _) = data.as_chunks::<2>();
            let words = words.iter().map(|word| u16::from_be_bytes(*word)).collect();
            Ok(Request::WriteMultipleRegisters(
                u16::from_be_bytes([a, b]),
                Cow::Owned(words),
            ))
        }
        (READ_HOLDING | READ_INPUT | WRITE_SINGLE | WRITE_MULTIPLE, _) => {
            Err(ExceptionCode::IllegalDataValue)
        }
        _ => Err(ExceptionCode::IllegalFunction),
    }
}

/// Appends a reply to a request of that function. Registers beyond the 125 that fit are left out; a
/// kind of reply that our devices do not have becomes exception 4.
pub(super) fn encode(function: u8, response: &Response, out: &mut Vec<u8>) {
    match response {
        Response::ReadHoldingRegisters(words) => encode_registers(READ_HOLDING, words, out),
        Response::ReadInputRegisters(words) => encode_registers(READ_INPUT, words, out),
        Response::WriteSingleRegister(address, word) => encode_pair(WRITE_SINGLE, *address, *word, out),
        Response::WriteMultipleRegisters(address, count) => {
            encode_pair(WRITE_MULTIPLE, *address, *count, out);
        }
        Response::Custom(code, bytes) => {
            out.push(*code);
            out.extend_from_slice(&bytes[..bytes.len().min(MAX_LEN - 1)]);
        }
        _ => encode_exception(function, ExceptionCode::ServerDeviceFailure, out),
    }
}

/// Appends an exception to a request of that function.
pub(super) fn encode_exception(function: u8, exception: ExceptionCode, out: &mut Vec<u8>) {
    out.extend([function | EXCEPTION, exception.into()]);
}

/// The function code of a reply that answers another function: reads of holding and input registers
/// trade places, as do writes of one and of several, so that the rest still looks right.
pub(super) fn foreign_function(function: u8) -> u8 {
    let other = match function & !EXCEPTION {
        READ_HOLDING => READ_INPUT,
        WRITE_SINGLE => WRITE_MULTIPLE,
        WRITE_MULTIPLE => WRITE_SINGLE,
        _ => READ_HOLDING,
    };
    other | (function & EXCEPTION)
}

fn encode_registers(function: u8, words: &[u16], out: &mut Vec<u8>) {
    let words = &words[..words.len().min(MAX_READ)];
    let bytes = u8::try_from(2 * words.len()).unwrap_or(u8::MAX);
    out.extend([function, bytes]);
    out.extend(words.iter().flat_map(|word| word.to_be_bytes()));
}

fn encode_pair(function: u8, first: u16, second: u16, out: &mut Vec<u8>) {
    out.push(function);
    out.extend(first.to_be_bytes());
    out.extend(second.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(response: &Response) -> Vec<u8> {
        let mut out = Vec::new();
        encode(0x03, response, &mut out);
        out
    }

    #[test]
    fn the_examples_of_the_specification_are_read_and_written() {
        let read = parse(&[0x03, 0x00, 0x6B, 0x00, 0x03]);
        assert_eq!(read, Ok(Request::ReadHoldingRegisters(0x6B, 3)));
        let read = parse(&[0x04, 0x00, 0x08, 0x00, 0x01]);
        assert_eq!(read, Ok(Request::ReadInputRegisters(8, 1)));
        let write = parse(&[0x06, 0x00, 0x01, 0x00, 0x03]);
        assert_eq!(write, Ok(Request::WriteSingleRegister(1, 3)));
        let write = parse(&[0x10, 0x00, 0x01, 0x00, 0x02, 0x04, 0x00, 0x0A, 0x01, 0x02]);
        let words = Cow::Owned(vec![0x0A, 0x0102]);
        assert_eq!(write, Ok(Request::WriteMultipleRegisters(1, words)));

        let reply = encoded(&Response::ReadHoldingRegisters(vec![0x022B, 0x0000, 0x0064]));
        assert_eq!(reply, [0x03, 0x06, 0x02, 0x2B, 0x00, 0x00, 0x00, 0x64]);
        let reply = encoded(&Response::WriteMultipleRegisters(1, 2));
        assert_eq!(reply, [0x10, 0x00, 0x01, 0x00, 0x02]);
        let mut refusal = Vec::new();
        encode_exception(0x01, ExceptionCode::IllegalDataAddress, &mut refusal);
        assert_eq!(refusal, [0x81, 0x02]);
    }

    #[test]
    fn an_unknown_function_is_illegal_and_a_wrong_length_is_an_illegal_value() {
        assert_eq!(parse(&[]), Err(ExceptionCode::IllegalFunction));
        assert_eq!(parse(&[0x01, 0, 0, 0, 1]), Err(ExceptionCode::IllegalFunction));
        assert_eq!(parse(&[0x83, 0, 0, 0, 1]), Err(ExceptionCode::IllegalFunction));
        for wrong in [
            &[0x03, 0, 0, 0][..],
            &[0x03, 0, 0, 0, 0],
            &[0x03, 0, 0, 0, 126],
            &[0x04, 0, 0, 0, 1, 0],
            &[0x06, 0, 0],
            &[0x10, 0, 0, 0, 1],
            &[0x10, 0, 0, 0, 0, 0],
            &[0x10, 0, 0, 0, 1, 2, 0],
            &[0x10, 0, 0, 0, 2, 2, 0, 0],
            &[0x10, 0, 0, 0, 1, 2, 0, 0, 0],
        ] {
            assert_eq!(parse(wrong), Err(ExceptionCode::IllegalDataValue), "{wrong:02X?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic_and_what_it_reads_is_in_bounds(pdu in prop::collection::vec(any::<u8>(), 0..300)) {
            match parse(&pdu) {
                Ok(Request::ReadHoldingRegisters(_, n) | Request::ReadInputRegisters(_, n)) => prop_assert!((1..=125).contains(&n)),
                Ok(Request::WriteMultipleRegisters(_, words)) => prop_assert!((1..=123).contains(&words.len())),
                Ok(Request::WriteSingleRegister(..)) => prop_assert_eq!(pdu.len(), 5),
                Ok(other) => prop_assert!(false, "{:?}", other),
                Err(exception) => prop_assert!(matches!(exception, ExceptionCode::IllegalFunction | ExceptionCode::IllegalDataValue)),
            }
        }

        #[test]
        fn what_a_client_writes_is_what_is_read(address: u16, words in prop::collection::vec(any::<u16>(), 1..=123)) {
            let mut pdu = vec![0x10];
            pdu.extend(address.to_be_bytes());
            pdu.extend(u16::try_from(words.len()).unwrap().to_be_bytes());
            pdu.push(u8::try_from(2 * words.len()).unwrap());
            pdu.extend(words.iter().flat_map(|word| word.to_be_bytes()));
            prop_assert_eq!(parse(&pdu), Ok(Request::WriteMultipleRegisters(address, Cow::Owned(words))));
        }

        #[test]
        fn a_reply_is_never_longer_than_a_frame_can_carry(words in prop::collection::vec(any::<u16>(), 0..400)) {
            let pdu = encoded(&Response::ReadHoldingRegisters(words.clone()));
            prop_assert!(pdu.len() <= MAX_LEN);
            prop_assert_eq!(usize::from(pdu[1]), pdu.len() - 2);
            prop_assert_eq!(pdu.len() - 2, 2 * words.len().min(125));
        }
    }
}
