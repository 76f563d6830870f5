//! Addresses of the Ethereum virtual machine, written with the checksum of EIP-55.

use core::fmt;
use core::str::FromStr;

use serde::{Serialize, Serializer};
use sha3::{Digest as _, Keccak256};

/// Twenty bytes that name an account on chain. Never the zero address, which nobody can claim for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address([u8; 20]);

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not of the form.
    #[error("{text:?} is no address; an address is 0x and 40 hexadecimal digits")]
    Form {
        /// The text as given, cut to 64 characters.
        text: String,
    },
    /// Capital and small letters, but not those of its checksum.
    #[error(
        "the checksum of {text} is wrong (EIP-55): a digit is mistyped; copy the address again from where it comes from"
    )]
    Checksum {
        /// The text as given.
        text: String,
    },
    /// Twenty zero bytes.
    #[error("the zero address is nobody's; what is paid to it is lost, give another one")]
    Zero,
}

impl Address {
    /// From its bytes.
    ///
    /// # Errors
    /// [`AddressError::Zero`].
    pub fn from_bytes(bytes: [u8; 20]) -> Result<Self, AddressError> {
        if bytes == [0; 20] {
            return Err(AddressError::Zero);
        }
        Ok(Self(bytes))
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

impl FromStr for Address {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let form = || AddressError::Form {
            text: text.chars().take(64).collect(),
        };
        let digits = text.strip_prefix("0x").ok_or_else(form)?;
        let mut bytes = [0; 20];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| form())?;
        let address = Self::from_bytes(bytes)?;
        let has = |letter: fn(&u8) -> bool| digits.as_bytes().iter().any(letter);
        // Letters of one case carry no checksum.
        let mixed = has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
        if mixed && address.to_string() != text {
            return Err(AddressError::Checksum {
                text: text.to_owned(),
            });
        }
        Ok(address)
    }
}

impl fmt::Display for Address {
    /// With its checksum: a letter is capital where the digit at its place in the hash of the small ones is 8 or more.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let small = hex::encode(self.0);
        let hash = hex::encode(Keccak256::digest(small.as_bytes()));
        let digit = |(digit, of_hash): (char, char)| {
            if of_hash >= '8' {
                digit.to_ascii_uppercase()
            } else {
                digit
            }
        };
        let shown: String = small.chars().zip(hash.chars()).map(digit).collect();
        f.pad(&format!("0x{shown}"))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // The examples of EIP-55: all capitals, all small, and four mixed.
    const EXAMPLES: [&str; 8] = [
        "0x52908400098527886E0F7030069857D2E4169EE7",
        "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
        "0xde709f2102306220921060314715629080e2fb77",
        "0x27b1fdb04752bbc536007a920d24acb045561c26",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ];

    #[test]
    fn the_examples_of_eip_55_are_written_as_they_are_read() {
        for text in EXAMPLES {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn letters_of_one_case_carry_no_checksum() {
        for text in EXAMPLES {
            let (small, capital) = (text.to_lowercase(), text[2..].to_uppercase());
            assert_eq!(small.parse::<Address>(), text.parse());
            assert_eq!(format!("0x{capital}").parse::<Address>(), text.parse());
        }
    }

    #[test]
    fn a_mistyped_digit_of_a_checksummed_address_is_found() {
        let text = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAee";
        assert!(matches!(
            text.parse::<Address>(),
            Err(AddressError::Checksum { .. })
        ));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "0x",
            "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAe",
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed0",
            "0X5aaeb6053f3e94c9b9a09f33669435e7ef1beaed",
            "0xgaaeb6053f3e94c9b9a09f33669435e7ef1beaed",
            " 0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed",
        ] {
            assert!(
                matches!(text.parse::<Address>(), Err(AddressError::Form { .. })),
                "{text:?}"
            );
        }
        let zero = format!("0x{}", "0".repeat(40));
        assert_eq!(zero.parse::<Address>(), Err(AddressError::Zero));
    }

    proptest! {
        #[test]
        fn every_address_is_read_as_it_is_written(bytes: [u8; 20]) {
            prop_assume!(bytes != [0; 20]);
            let address = Address::from_bytes(bytes).unwrap();
            prop_assert_eq!(address.to_string().parse::<Address>().unwrap(), address);
        }

        #[test]
        fn no_text_brings_the_reader_down(text in ".{0,60}") {
            let _ = text.parse::<Address>();
        }
    }
}
