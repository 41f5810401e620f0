//! Several filters, each fed with what the one before it lets pass.
//!
//! When one of them stops, what it had let pass is brought to the end by those after it, and that is all of the text: they
//! judge what they hold back as they would at the end of any text. The findings of the filters before it may be of what came
//! after, in the same piece.
//!
//! Held back: the sum of what its filters hold back.

use std::sync::Arc;

use super::findings::Found;
use super::{Counts, Filter, Plan};

/// Filters in the order in which a text passes them.
#[derive(Clone, Default)]
pub struct Chain(Vec<Arc<dyn Plan>>);

impl Chain {
    /// A chain of these.
    pub fn new(plans: Vec<Arc<dyn Plan>>) -> Self {
        Self(plans)
    }
}

impl Plan for Chain {
    fn start(&self) -> Box<dyn Filter> {
        let filters = self.0.iter().map(|plan| plan.start()).collect();
        Box::new(Run { filters, pieces: (String::new(), String::new()), stopped: None })
    }
}

struct Run {
    filters: Vec<Box<dyn Filter>>,
    /// What one filter gives and the next one takes, kept for the next piece.
    pieces: (String, String),
    stopped: Option<&'static str>,
}

impl Filter for Run {
    fn feed(&mut self, text: &str, out: &mut String) {
        if self.stopped.is_none() {
            self.push(text, false, out);
        }
    }

    fn finish(&mut self, out: &mut String) {
        if self.stopped.is_none() {
            self.push("", true, out);
        }
    }

    fn held(&self) -> usize {
        if self.stopped.is_some() { 0 } else { self.filters.iter().map(|filter| filter.held()).sum() }
    }

    fn findings(&self, all: &mut Vec<Found>) {
        self.filters.iter().for_each(|filter| filter.findings(all));
    }

    fn stopped(&self) -> Option<&'static str> {
        self.stopped
    }

    fn counts(&self) -> Option<Counts> {
        self.filters.iter().find_map(|filter| filter.counts())
    }
}

impl Run {
    fn push(&mut self, text: &str, ends: bool, out: &mut String) {
        let Self { filters, pieces: (now, next), stopped } = self;
        let (mut ends, mut first) = (ends, true);
        now.clear();
        for filter in filters {
            next.clear();
            filter.feed(if first { text } else { now }, next);
            if ends && filter.stopped().is_none() {
                filter.finish(next);
            }
            // The last of several that stopped ended the text first: it was fed only what the others let pass.
            *stopped = filter.stopped().or(*stopped);
            // What stands after this one comes to the end of what it will ever see.
            ends |= filter.stopped().is_some();
            std::mem::swap(now, next);
            first = false;
        }
        out.push_str(if first { text } else { now });
    }
}
