//! The nearest right spelling, for messages at start-up. Never runs during a request.

/// The candidate that *word* was probably meant to be, if one is near enough to be worth saying.
///
/// Near is at most two edits (a swap of neighbours is one), one for words of up to four letters.
/// A word that is the beginning of a candidate is near as well: `script` for `script-src`.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A start-up error must stay cheap and readable even where someone pasted a whole policy.
    if word.is_empty() || word.len() > 64 {
        return None;
    }
    let word = word.to_ascii_lowercase();
    let bound = if word.len() <= 4 { 1 } else { 2 };
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let lower = candidate.to_ascii_lowercase();
        let starts = word.len() >= 3 && lower.strip_prefix(&word).is_some_and(|rest| rest.starts_with('-'));
        let distance = if starts { bound } else { edits(word.as_bytes(), lower.as_bytes()) };
        if distance <= bound && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Optimal string alignment distance.
fn edits(a: &[u8], b: &[u8]) -> usize {
    let mut before: Vec<usize> = vec![0; b.len() + 1];
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut cost = (above[j] + usize::from(x != y)).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                cost = cost.min(before[j - 1] + 1);
            }
            row.push(cost);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_its_word() {
        let words = ["script-src", "style-src", "img-src", "frame-ancestors"];
        assert_eq!(nearest("scirpt-src", words), Some("script-src"));
        assert_eq!(nearest("Style-Source", words), None);
        assert_eq!(nearest("image-src", words), Some("img-src"));
        assert_eq!(nearest("frame-ancestor", words), Some("frame-ancestors"));
        assert_eq!(nearest("script", words), Some("script-src"));
        assert_eq!(nearest("", words), None);
        assert_eq!(nearest(&"x".repeat(10_000), words), None);
    }
}
