//! The key that a thread looked at last. What comes in order comes from one gateway many times over, and to find its point
//! on the curve again costs as much as a third of a verification. Nothing is remembered but what was found sound.

use core::cell::{Cell, RefCell};

use ed25519_dalek::VerifyingKey;

thread_local! {
    static KEY: Cell<Option<VerifyingKey>> = const { Cell::new(None) };
    static TEXT: RefCell<Option<(VerifyingKey, String)>> = const { RefCell::new(None) };
}

/// The sound key of these bytes, where it is the one that was looked at last.
pub(super) fn key(bytes: &[u8; 32]) -> Option<VerifyingKey> {
    KEY.get().filter(|key| key.as_bytes() == bytes)
}

/// Remembers a sound key.
pub(super) fn remember(key: VerifyingKey) {
    KEY.set(Some(key));
}

/// The key of this text, where it is the one that was looked at last.
pub(super) fn key_of_text(text: &str) -> Option<VerifyingKey> {
    TEXT.with_borrow(|known| {
        let (key, known) = known.as_ref()?;
        (known == text).then_some(*key)
    })
}

/// The text of a key; written by `write` where it is not the one that was looked at last.
pub(super) fn text(key: VerifyingKey, write: impl FnOnce() -> String) -> String {
    let known = TEXT.with_borrow(|known| {
        let (last, text) = known.as_ref()?;
        (*last == key).then(|| text.clone())
    });
    known.unwrap_or_else(|| {
        let text = write();
        TEXT.set(Some((key, text.clone())));
        text
    })
}
