#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use super::*;
use crate::audit::testing::{Folder, book};
use crate::audit::{Kind, Log, Report, Setup, Signer, Verify, When};

const DAY: u64 = 86_400;
const BEGIN: u64 = 1_795_460_400;

struct Kept {
    folder: Folder,
    clock: Arc<AtomicU64>,
    setup: Arc<Setup>,
}

impl Kept {
    fn new() -> Self {
        let (folder, clock) = (Folder::new(), Arc::new(AtomicU64::new(BEGIN)));
        let told = Arc::clone(&clock);
        let setup = Arc::new(Setup {
            directory: folder.path().to_owned(),
            signer: Signer::generate("log").unwrap(),
            host: "h".to_owned(),
            max_file: 1500,
            max_page: u64::MAX,
            sync: Duration::from_secs(3600),
            checkpoint: Duration::from_secs(3600),
            keep: Some(Duration::from_secs(30 * DAY)),
            clock: Box::new(move || UnixTime(told.load(Ordering::Relaxed) as f64)),
        });
        Self { folder, clock, setup }
    }

    fn open(&self) -> Log {
        Log::open(Arc::clone(&self.setup)).unwrap()
    }

    fn wait(&self, days: u64) {
        self.clock.fetch_add(days * DAY, Ordering::Relaxed);
    }

    /// Records enough to change files.
    fn fill(&self, log: &Log) {
        for _ in 0..12 {
            log.append((self.setup.clock)(), "authz_fail", b"", When::Now).unwrap();
        }
        log.tend().unwrap();
    }

    fn files(&self) -> Vec<Named> {
        Named::all(self.folder.path()).unwrap().0
    }

    fn report(&self) -> Report {
        let publicly = Verify::public(self.setup.signer.verifier().clone()).run(self.folder.path()).unwrap();
        let report = Verify::with(&self.setup.signer).run(self.folder.path()).unwrap();
        assert_eq!(publicly.is_sound(), report.is_sound(), "{:?} {:?}", publicly.faults, report.faults);
        report
    }
}

#[test]
fn files_whose_time_is_over_go_from_the_oldest_on_and_are_not_missed() {
    let kept = Kept::new();
    let log = kept.open();
    for _ in 0..4 {
        kept.fill(&log);
        kept.wait(10);
    }
    // Of five files, the first two end 40 and 30 days ago; what is exactly 30 days old is kept.
    assert_eq!(kept.files().len(), 5);
    assert_eq!(log.remove_old().unwrap().len(), 1);
    assert_eq!(log.remove_old().unwrap().len(), 0);
    kept.wait(1);
    assert_eq!(log.remove_old().unwrap().len(), 1);
    assert_eq!(kept.report().faults, []);
    // Of a writer that lives the newest stays, however old.
    kept.wait(100);
    assert_eq!(log.remove_old().unwrap().len(), 2);
    assert_eq!(kept.files().len(), 1);
    log.close().unwrap();
    assert_eq!(kept.report().faults, []);
    // The next who opens the log removes what is left of one that has ended.
    kept.wait(31);
    let next = kept.open();
    assert_eq!(kept.files().len(), 1);
    assert_eq!(kept.report().faults, []);
    // One that was removed by hand is missed still.
    kept.fill(&next);
    std::fs::remove_file(kept.files()[0].path(kept.folder.path())).unwrap();
    assert_eq!(kept.report().faults[0].kind, Kind::FileMissing);
}

#[test]
fn a_file_is_as_old_as_its_records_say_whatever_the_file_system_says() {
    let kept = Kept::new();
    kept.open().close().unwrap();
    let path = kept.files()[0].path(kept.folder.path());
    File::options().append(true).open(&path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    let log = kept.open();
    assert_eq!(log.remove_old().unwrap(), [""; 0]);
    assert!(path.exists());
}

#[test]
fn what_was_changed_or_cut_back_is_not_removed_whatever_it_says() {
    let kept = Kept::new();
    let log = kept.open();
    kept.fill(&log);
    log.close().unwrap();
    let first = kept.files()[0].path(kept.folder.path());
    let last = kept.files()[1].path(kept.folder.path());
    let (before, end) = (std::fs::read_to_string(&first).unwrap(), std::fs::read_to_string(&last).unwrap());
    // All of it made to seem old: no link fits.
    std::fs::write(&first, before.replace("\"2026-", "\"1990-")).unwrap();
    let log = kept.open();
    assert_eq!(log.remove_old().unwrap(), [""; 0]);
    // It is old, and one record of it was taken out.
    kept.wait(31);
    let less: Vec<&str> =
        before.lines().enumerate().filter(|(at, _)| *at != 3).map(|(_, line)| line).collect();
    std::fs::write(&first, less.join("\n") + "\n").unwrap();
    assert_eq!(log.remove_old().unwrap(), [""; 0]);
    // The end of the last file is cut off: it does not end as the book says.
    std::fs::write(&first, &before).unwrap();
    let cut = end.trim_end().rfind('\n').unwrap();
    std::fs::write(&last, &end[..=cut]).unwrap();
    assert_eq!(log.remove_old().unwrap().len(), 1);
    assert_eq!(kept.report().faults[0].kind.code(), "truncated");
    std::fs::write(&last, &end).unwrap();
    assert_eq!(log.remove_old().unwrap().len(), 1);
    assert_eq!(kept.report().faults, []);
}

#[test]
fn what_a_killed_writer_left_unfinished_is_removed_with_the_rest() {
    let kept = Kept::new();
    let log = kept.open();
    kept.fill(&log);
    log.killed();
    let path = kept.files()[1].path(kept.folder.path());
    let torn = [std::fs::read(&path).unwrap(), b"{\"seq\":1".to_vec()].concat();
    std::fs::write(&path, torn).unwrap();
    kept.open().close().unwrap();
    assert_eq!(kept.report().faults, []);
    kept.wait(31);
    let log = kept.open();
    assert_eq!(kept.files().len(), 1);
    assert_eq!(kept.report().faults, []);
    drop(log);
}

#[test]
fn of_many_that_remove_at_once_none_fails_and_nothing_is_missed() {
    for _ in 0..5 {
        let kept = Kept::new();
        let log = kept.open();
        for _ in 0..4 {
            kept.fill(&log);
        }
        log.close().unwrap();
        kept.wait(31);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let log = kept.open();
                    log.remove_old().unwrap();
                    log.close().unwrap();
                });
            }
        });
        assert_eq!(kept.report().faults, []);
        assert_eq!(book(&kept.folder).matches("audit_file_removed").count(), 5);
    }
}

#[test]
fn a_file_that_was_entered_and_not_removed_is_no_fault_and_goes_with_the_next_but_another_in_its_place_is_one()
 {
    let kept = Kept::new();
    let log = kept.open();
    kept.fill(&log);
    kept.fill(&log);
    let path = kept.files()[0].path(kept.folder.path());
    let whole = std::fs::read(&path).unwrap();
    kept.wait(31);
    assert_eq!(log.remove_old().unwrap().len(), 2);
    // As if the process had been killed between.
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(kept.report().faults, []);
    for forged in [&b""[..], b"junk\n", &whole[..whole.len() / 2], &[&whole[..], b"x"].concat()] {
        std::fs::write(&path, forged).unwrap();
        assert_eq!(kept.report().faults[0].kind.code(), "out_of_place");
    }
    std::fs::write(&path, &whole).unwrap();
    kept.fill(&log);
    assert!(!path.exists());
    assert_eq!(kept.report().faults, []);
}
