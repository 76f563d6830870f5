//! The bodies of the fuzz targets on the stable compiler: on any bytes, and on bytes near to good ones.

mod bodies;

use proptest::prelude::*;

const CHECKPOINT: &[u8] = include_bytes!("../goldens/checkpoint");
const PROOF: &[u8] = include_bytes!("../goldens/leaf-1.tlog-proof");
const ENTRIES: &[u8] = include_bytes!("../goldens/entries");

fn good() -> Vec<Vec<u8>> {
    let key = b"PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW".to_vec();
    let first = 2 + usize::from(u16::from_be_bytes([ENTRIES[0], ENTRIES[1]]));
    let bundle = [[1_u8].as_slice(), ENTRIES].concat();
    let paths = [b"tile/0/x001/234.p/17".to_vec(), b"tile/entries/000".to_vec()];
    let files = [
        CHECKPOINT.to_vec(),
        PROOF.to_vec(),
        ENTRIES[2..first].to_vec(),
        bundle,
        key,
    ];
    files.into_iter().chain(paths).collect()
}

#[test]
fn each_body_is_reached_by_something_good() {
    for bytes in good() {
        for (_, body) in bodies::ALL {
            body(&bytes);
        }
    }
    let [checkpoint, proof, leaf, ..] = good().try_into().map(|all: [Vec<u8>; 7]| all).unwrap();
    assert!(gridtally_log::note::SignedCheckpoint::parse(&checkpoint).is_ok());
    assert!(gridtally_log::proof::InclusionProof::parse(&proof).is_ok());
    assert!(gridtally_log::leaf::Leaf::decode(&leaf).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn no_bytes_break_a_law(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        for (_, body) in bodies::ALL {
            body(&bytes);
        }
    }

    #[test]
    fn nothing_near_to_something_good_breaks_a_law(
        which in any::<prop::sample::Index>(), edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..4),
    ) {
        let all = good();
        let mut bytes = all[which.index(all.len())].clone();
        for (at, value, how) in edits {
            let at = at.index(bytes.len().max(1));
            match how {
                0 if !bytes.is_empty() => bytes[at] = value,
                1 if !bytes.is_empty() => drop(bytes.remove(at)),
                _ => bytes.insert(at, value),
            }
        }
        for (_, body) in bodies::ALL {
            body(&bytes);
        }
    }
}
