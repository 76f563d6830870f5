//! Which requests read the points that are wanted of a model.

use std::ops::Range;

/// Gathers pieces of a model, which must each come in one request (a value with its scale factor), into
/// requests of at most `limit` registers. Neighbours travel together, with what lies between them: it is of
/// the same model. `None` where a piece alone is longer than the limit.
///
/// ```text
/// pieces   [header] [W,W_SF]      [WH,WH_SF]        limit 125: one request      limit 20: two
/// ```
pub(super) fn gather(mut pieces: Vec<Range<u16>>, limit: u16) -> Option<Vec<Range<u16>>> {
    pieces.sort_by_key(|piece| (piece.start, piece.end));
    let mut spans: Vec<Range<u16>> = Vec::new();
    for piece in pieces {
        if piece.len() > usize::from(limit) {
            return None;
        }
        match spans.last_mut() {
            Some(last) if (last.start..last.end.max(piece.end)).len() <= usize::from(limit) => {
                last.end = last.end.max(piece.end);
            }
            _ => spans.push(piece),
        }
    }
    tell_apart(&mut spans, limit);
    Some(spans)
}

/// Makes a request that is as long as the one before it one register longer, into what lies before it in the
/// same model: the reply to the one before, come twice on a line without transaction numbers, is too short then.
fn tell_apart(spans: &mut [Range<u16>], limit: u16) {
    let mut before = 0;
    for span in spans {
        if span.len() == before && span.len() < usize::from(limit) {
            span.start = span.start.saturating_sub(1);
        }
        before = span.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_inverter_is_one_request_and_two_where_the_device_takes_few_registers() {
        let pieces = || vec![0..2, 14..16, 24..27];
        let all = gather(pieces(), 125).unwrap();
        assert_eq!((all.len(), all[0].clone()), (1, 0..27));
        assert_eq!(gather(pieces(), 20), Some(vec![0..16, 24..27]));
        assert_eq!(gather(pieces(), 2), None);
        assert_eq!(gather(Vec::new(), 125), Some(Vec::new()));
    }

    proptest! {
        #[test]
        fn every_piece_lies_whole_in_one_request_and_none_is_too_long(
            pieces in prop::collection::vec((0_u16..1_000, 1_u16..30), 0..40),
            limit in 30_u16..=125,
        ) {
            let pieces: Vec<_> = pieces.into_iter().map(|(start, len)| start..start + len).collect();
            let spans = gather(pieces.clone(), limit).unwrap();
            for piece in &pieces {
                prop_assert!(spans.iter().any(|span| span.start <= piece.start && piece.end <= span.end));
            }
            for span in &spans {
                prop_assert!(span.len() <= usize::from(limit));
                prop_assert!(pieces.iter().any(|piece| piece.start.abs_diff(span.start) <= 1));
                prop_assert!(pieces.iter().any(|piece| piece.end == span.end));
            }
            prop_assert!(spans.is_sorted_by(|a, b| a.start < b.start));
            for (a, b) in spans.iter().zip(spans.iter().skip(1)) {
                prop_assert!(a.len() != b.len() || b.len() == usize::from(limit));
            }
        }
    }
}
