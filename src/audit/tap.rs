//! Hands the lines of a writer to who sends them elsewhere, and never waits for that.
//!
//! 1. A line is offered when it is sealed, in order, whether or not the disk has taken it: what stands elsewhere is what a proof may need
//!    most when the disk is the trouble.
//! 2. A tap holds so many lines and bytes, and no more. What comes when it is full is dropped and counted ([`Taken::dropped`]); the lines
//!    that are there stay, in order, so that what arrives is a piece of the chain with a gap that its numbers tell.
//! 3. A tap for checkpoints alone drops the oldest instead: each holds all records before it fast, so the newest is worth them all.
//!
//! It sends nothing, and no thread waits on it: who takes comes by every so often.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use super::log::lock;

/// A bounded queue of sealed lines, for one receiver.
pub struct Tap {
    most_lines: usize,
    most_bytes: usize,
    only_checkpoints: bool,
    state: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    lines: VecDeque<Arc<[u8]>>,
    bytes: usize,
    dropped: u64,
    /// How many of these were told.
    told: u64,
}

/// What was taken from a tap.
#[derive(Debug, PartialEq, Eq)]
pub struct Taken {
    /// Lines with their line breaks, in order.
    pub lines: Vec<Arc<[u8]>>,
    /// How many were dropped since the last time.
    pub dropped: u64,
}

impl Tap {
    /// A tap that holds at most so many lines, and so many bytes of them.
    pub fn new(most_lines: usize, most_bytes: usize) -> Self {
        Self { most_lines, most_bytes, only_checkpoints: false, state: Mutex::default() }
    }

    /// A tap for the newest checkpoints.
    pub fn of_checkpoints(most_lines: usize) -> Self {
        Self { only_checkpoints: true, ..Self::new(most_lines.max(1), usize::MAX) }
    }

    /// The oldest lines, at most so many.
    pub fn take(&self, most: usize) -> Taken {
        let mut held = lock(&self.state);
        let count = held.lines.len().min(most);
        let lines: Vec<_> = held.lines.drain(..count).collect();
        held.bytes -= lines.iter().map(|line| line.len()).sum::<usize>();
        let dropped = held.dropped - held.told;
        held.told = held.dropped;
        Taken { lines, dropped }
    }

    /// How many lines were dropped so far.
    pub fn dropped(&self) -> u64 {
        lock(&self.state).dropped
    }

    fn wants(&self, event: &str) -> bool {
        !self.only_checkpoints || event == "audit_checkpoint"
    }

    fn offer(&self, line: &Arc<[u8]>) {
        let mut held = lock(&self.state);
        if self.only_checkpoints && held.lines.len() >= self.most_lines {
            if let Some(oldest) = held.lines.pop_front() {
                held.bytes -= oldest.len();
            }
        } else if held.lines.len() >= self.most_lines || held.bytes + line.len() > self.most_bytes {
            held.dropped += 1;
            return;
        }
        held.bytes += line.len();
        held.lines.push_back(Arc::clone(line));
    }
}

/// All taps of a writer. Most have none, and then nothing is copied.
#[derive(Clone, Default)]
pub(super) struct Taps(pub(super) Arc<[Arc<Tap>]>);

impl Taps {
    pub(super) fn offer(&self, event: &str, line: &[u8]) {
        let mut wanting = self.0.iter().filter(|tap| tap.wants(event)).peekable();
        if wanting.peek().is_some() {
            let line: Arc<[u8]> = line.into();
            wanting.for_each(|tap| tap.offer(&line));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::audit::testing::{Folder, setup};
    use crate::audit::{Log, When};
    use crate::time::UnixTime;

    fn text(taken: &Taken) -> Vec<String> {
        taken.lines.iter().map(|line| String::from_utf8(line.to_vec()).unwrap()).collect()
    }

    #[test]
    fn a_tap_gets_each_line_of_the_log_as_it_stands_there() {
        let folder = Folder::new();
        let (all, points) = (Arc::new(Tap::new(1000, 1 << 20)), Arc::new(Tap::of_checkpoints(2)));
        let log = Log::tapped(setup(&folder), vec![Arc::clone(&all), Arc::clone(&points)]).unwrap();
        let writer = log.writer().to_owned();
        for _ in 0..10 {
            log.append(UnixTime(0.0), "x", b",\"a\":\"0123456789\"", When::Soon).unwrap();
            log.tend().unwrap();
        }
        log.checkpoint().unwrap();
        log.close().unwrap();
        let mut paths: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|one| one.unwrap().path()).collect();
        paths.retain(|path| path.file_name().unwrap().to_string_lossy().starts_with(&writer));
        paths.sort();
        assert!(paths.len() > 1, "files were changed");
        let written: String = paths.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
        assert_eq!(text(&all.take(1000)).concat(), written);
        let signed: Vec<_> = written.lines().filter(|line| line.contains("\"audit_checkpoint\"")).collect();
        // The newest: each covers all before it.
        let told = text(&points.take(10));
        assert_eq!(told.iter().map(|line| line.trim_end()).collect::<Vec<_>>(), signed[signed.len() - 2..]);
    }

    #[test]
    fn a_tap_that_is_full_keeps_what_it_has_and_counts_what_it_drops() {
        let line: Arc<[u8]> = b"12345678\n"[..].into();
        for tap in [Tap::new(3, 1000), Tap::new(1000, 30)] {
            for _ in 0..10 {
                tap.offer(&line);
            }
            assert_eq!(tap.take(2), Taken { lines: vec![Arc::clone(&line); 2], dropped: 7 });
            tap.offer(&line);
            assert_eq!(tap.take(9), Taken { lines: vec![Arc::clone(&line); 2], dropped: 0 });
            assert_eq!(tap.dropped(), 7);
        }
    }

    #[test]
    fn what_a_tap_dropped_is_a_record() {
        let folder = Folder::new();
        let setup = setup(&folder);
        let tap = Arc::new(Tap::new(2, 1000));
        let log = Log::tapped(Arc::clone(&setup), vec![Arc::clone(&tap)]).unwrap();
        for _ in 0..5 {
            log.append(UnixTime(0.0), "x", b"", When::Now).unwrap();
        }
        let dropped = tap.take(10).dropped;
        assert!(dropped >= 3);
        log.lost("syslog", dropped).unwrap();
        log.close().unwrap();
        let found = std::fs::read_dir(folder.path()).unwrap().map(|one| one.unwrap().path());
        let text: String = found.map(|path| std::fs::read_to_string(path).unwrap()).collect();
        assert!(text.contains(&format!("\"audit_records_lost\",\"sink\":\"syslog\",\"records\":{dropped},")));
        assert!(crate::audit::Verify::with(&setup.signer).run(folder.path()).unwrap().is_sound());
    }
}
