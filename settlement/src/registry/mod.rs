//! Who may report what: sites, their gateways' keys, their devices and what those can do at most.

mod document;
mod enrolment;
mod membership;

pub use document::{EnrolmentFileError, read_enrolments};
pub use enrolment::{EnrolledDevice, Enrolment, EnrolmentError, Offer};
pub use membership::{GroupName, Membership, MembershipNameError, ZoneName};
