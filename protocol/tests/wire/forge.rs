//! A forger's tools: envelopes of any form with an honest signature, and CBOR in every form but the canonical.

use gridtally_protocol::envelope::Purpose;
use gridtally_protocol::identity::SigningIdentity;

use crate::decoders::head;

/// A byte string in its shortest form.
pub fn byte_string(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    head(&mut out, 2, bytes.len());
    out.extend_from_slice(bytes);
    out
}

/// The parts of an envelope, to be changed before it is signed and put together.
#[derive(Clone)]
pub struct Forgery {
    /// What stands before the array: the tag.
    pub tag: Vec<u8>,
    /// The head of the array of four.
    pub array: Vec<u8>,
    /// The content of the protected header's byte string.
    pub protected: Vec<u8>,
    /// The unprotected header, as a whole item.
    pub unprotected: Vec<u8>,
    /// The content of the payload's byte string.
    pub payload: Vec<u8>,
    /// What follows after the envelope.
    pub trailing: Vec<u8>,
}

impl Forgery {
    /// The parts as they should be.
    pub fn honest(purpose: Purpose, payload: &[u8], key: &SigningIdentity) -> Self {
        let [high, low] = purpose.content_type().to_be_bytes();
        let mut protected = vec![0xa3, 0x01, 0x27, 0x03, 0x19, high, low, 0x04];
        protected.extend(byte_string(key.identity().as_bytes()));
        Self {
            tag: vec![0xd2],
            array: vec![0x84],
            protected,
            unprotected: vec![0xa0],
            payload: payload.to_vec(),
            trailing: Vec::new(),
        }
    }

    /// The `Sig_structure` of RFC 9052 §4.4 over the parts as they are.
    pub fn to_be_signed(&self) -> Vec<u8> {
        let context: &[u8] = b"\x84\x6aSignature1";
        [
            context,
            &byte_string(&self.protected),
            &[0x40],
            &byte_string(&self.payload),
        ]
        .concat()
    }

    /// The envelope with a signature that is honest about the parts.
    pub fn sealed(&self, key: &SigningIdentity) -> Vec<u8> {
        self.with_signature(&key.sign(&self.to_be_signed()))
    }

    /// The envelope with any signature.
    pub fn with_signature(&self, signature: &[u8]) -> Vec<u8> {
        let parts: [&[u8]; 7] = [
            &self.tag,
            &self.array,
            &byte_string(&self.protected),
            &self.unprotected,
            &byte_string(&self.payload),
            &byte_string(signature),
            &self.trailing,
        ];
        parts.concat()
    }
}

/// A head in canonical CBOR: where it is, where its content ends, what it says.
#[derive(Debug, Clone, Copy)]
struct Head {
    at: usize,
    len: usize,
    major: u8,
    argument: u64,
    end: usize,
}

/// Every head of an item, outermost first. Byte strings are not looked into.
fn heads(bytes: &[u8], at: usize, found: &mut Vec<Head>) -> usize {
    let (major, info) = (bytes[at] >> 5, bytes[at] & 0x1f);
    let width = match info {
        24..=27 => 1_usize << (info - 24),
        _ => 0,
    };
    let argument = match width {
        0 => u64::from(info),
        _ => bytes[at + 1..at + 1 + width]
            .iter()
            .fold(0, |value, byte| (value << 8) | u64::from(*byte)),
    };
    let index = found.len();
    let len = 1 + width;
    found.push(Head {
        at,
        len,
        major,
        argument,
        end: 0,
    });
    let size = usize::try_from(argument);
    let mut end = at + len;
    match major {
        2 | 3 => end += size.expect("in memory"),
        4 => (0..size.expect("in memory")).for_each(|_| end = heads(bytes, end, found)),
        5 => (0..2 * size.expect("in memory")).for_each(|_| end = heads(bytes, end, found)),
        6 => end = heads(bytes, end, found),
        _ => {}
    }
    found[index].end = end;
    end
}

/// The same data in other forms: each head wider than it need be, each string and array of indefinite length.
pub fn other_forms(canonical: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    assert_eq!(
        heads(canonical, 0, &mut found),
        canonical.len(),
        "one item and nothing after it"
    );
    found
        .into_iter()
        .flat_map(|head| other_forms_of(canonical, head))
        .collect()
}

fn other_forms_of(canonical: &[u8], head: Head) -> Vec<Vec<u8>> {
    let (before, content) = (&canonical[..head.at], &canonical[head.at + head.len..head.end]);
    let after = &canonical[head.end..];
    let argument = head.argument.to_be_bytes();
    let widths = (24_u8..28).filter(|info| 1_usize + (1 << (info - 24)) > head.len);
    let mut forms: Vec<Vec<u8>> = widths
        .map(|info| {
            let wide = &argument[8 - (1 << (info - 24))..];
            [before, &[(head.major << 5) | info], wide, content, after].concat()
        })
        .collect();
    let start = (head.major << 5) | 31;
    match head.major {
        2 | 3 => {
            let chunk = &canonical[head.at..head.end];
            forms.push([before, &[start], chunk, &[0xff], after].concat());
        }
        4 | 5 => forms.push([before, &[start], content, &[0xff], after].concat()),
        _ => {}
    }
    forms
}
