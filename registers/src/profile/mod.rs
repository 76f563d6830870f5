mod codec;
mod encoding;
mod float;
mod vocabulary;
pub use self::codec::*;
pub use self::encoding::*;
pub use self::vocabulary::*;
