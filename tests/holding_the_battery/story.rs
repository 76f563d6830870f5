//! What the agent told of its instructions, and that it may be told so.

use gridtally_protocol::acknowledgement::Stage;
use gridtally_protocol::identity::Digest;

/// All stages: of which instruction, how many seconds after the start, what.
#[derive(Debug, Clone)]
pub struct Story(Vec<(Digest, i64, Stage)>);

impl Story {
    /// # Panics
    /// Where stages are told twice, out of order, or contradict one another.
    pub fn of(told: Vec<(Digest, i64, Stage)>) -> Self {
        let story = Self(told);
        for chapter in story.chapters() {
            check(&chapter);
        }
        let instants: Vec<i64> = story.0.iter().map(|(_, at, _)| *at).collect();
        assert!(
            instants.is_sorted(),
            "signed in another order than reached: {story:?}"
        );
        story
    }

    /// The stages of each instruction, in the order of their first.
    pub fn chapters(&self) -> Vec<Vec<(Stage, i64)>> {
        let mut digests: Vec<Digest> = Vec::new();
        for (digest, _, _) in &self.0 {
            if !digests.contains(digest) {
                digests.push(*digest);
            }
        }
        let of = |digest: &Digest| {
            let told = self.0.iter().filter(|(of, _, _)| of == digest);
            told.map(|(_, at, stage)| (*stage, *at)).collect()
        };
        digests.iter().map(of).collect()
    }

    /// The stages of the only instruction.
    pub fn only(&self) -> Vec<(Stage, i64)> {
        let mut chapters = self.chapters();
        assert_eq!(chapters.len(), 1, "{self:?}");
        chapters.remove(0)
    }

    /// The names of the stages of the only instruction.
    pub fn names(&self) -> Vec<&'static str> {
        self.only().iter().map(|(stage, _)| stage.name()).collect()
    }
}

/// Where a stage stands; two on one place exclude each other.
fn place(stage: Stage) -> u8 {
    match stage {
        Stage::Received => 0,
        Stage::OptedIn(_) | Stage::OptedOut(_) => 1,
        Stage::Written(_) => 2,
        Stage::ReadBack(_) => 3,
        Stage::Observed { .. } => 4,
        Stage::Stopped(_) | Stage::Completed => 5,
        Stage::Restored => 6,
    }
}

fn check(chapter: &[(Stage, i64)]) {
    let places: Vec<u8> = chapter.iter().map(|(stage, _)| place(*stage)).collect();
    let is_in_order = places.windows(2).all(|pair| pair[0] < pair[1]);
    assert!(
        is_in_order,
        "told twice, out of order or against itself: {chapter:?}"
    );
    let has = |wanted: u8| places.contains(&wanted);
    assert!(has(0) && has(1), "not received or not answered: {chapter:?}");
    let is_out = chapter
        .iter()
        .any(|(stage, _)| matches!(stage, Stage::OptedOut(_)));
    assert!(!is_out || places.len() == 2, "out, and yet: {chapter:?}");
    assert!(!has(3) || has(2), "read back and never written: {chapter:?}");
    assert!(!has(4) || has(3), "observed and never read back: {chapter:?}");
    assert!(!has(6) || has(5), "restored and not ended: {chapter:?}");
}
