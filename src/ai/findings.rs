//! What a filter found: which rule, how often and where. Never what it was.

/// What one rule found in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The rule: `ansi.csi`, `links.image`.
    pub rule: &'static str,
    /// How often.
    pub count: u64,
    /// Where the first of them began, in code points of what the filter was fed.
    pub places: Vec<u64>,
}

/// The finds of one filter, with its place in the text.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    found: Vec<Found>,
}

impl Findings {
    /// Notes a find at *place*. A text can make any number of finds; of their places, only the first are kept.
    pub fn note(&mut self, rule: &'static str, place: u64) {
        let at = match self.found.iter().position(|found| found.rule == rule) {
            Some(at) => at,
            None => {
                self.found.push(Found { rule, count: 0, places: Vec::new() });
                self.found.len() - 1
            }
        };
        if let Some(found) = self.found.get_mut(at) {
            found.count += 1;
            if found.places.len() < PLACES {
                found.places.push(place);
            }
        }
    }

    /// Adds them to those of other filters.
    pub fn tell(&self, all: &mut Vec<Found>) {
        for found in &self.found {
            match all.iter_mut().find(|other| other.rule == found.rule) {
                Some(other) => {
                    other.count += found.count;
                    let room = PLACES.saturating_sub(other.places.len());
                    other.places.extend(found.places.iter().take(room));
                }
                None => all.push(found.clone()),
            }
        }
    }
}

/// How many places are kept for one rule.
const PLACES: usize = 16;

/// The code points of *text*, which are counted fast: a text is mostly passed over in long runs.
pub(super) fn points(text: &str) -> u64 {
    text.chars().count() as u64
}
