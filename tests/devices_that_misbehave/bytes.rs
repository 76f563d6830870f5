//! Any bytes for an answer.

#[path = "../../fuzz/src/replies.rs"]
mod replies;

use proptest::prelude::*;
use proptest::test_runner::Config;

proptest! {
    #![proptest_config(Config { cases: 160, max_shrink_iters: 60, failure_persistence: None, ..Config::default() })]

    #[test]
    fn whatever_bytes_a_device_answers_the_agent_goes_on(
        how: u8,
        bytes in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        replies::replies(&[vec![how], bytes].concat());
    }
}
