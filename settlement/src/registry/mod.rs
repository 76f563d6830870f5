//! Who may report what: sites, their gateways' keys, their devices and what those can do at most.

mod authority;
mod conflict;
mod document;
mod enrolment;
pub mod history;
mod membership;
mod standing;

pub use authority::{ChangeError, authorise};
pub use conflict::{Conflict, Shared, conflict};
pub use document::{EnrolmentFileError, read_enrolments};
pub use enrolment::{EnrolledDevice, Enrolment, EnrolmentError, Offer};
pub use membership::{GroupName, Membership, MembershipNameError, ZoneName};
pub use standing::{FormerKey, Standing};
