#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use std::sync::Mutex;

use std::io::Write;

use super::*;
use crate::audit::testing::Folder;
use crate::audit::writing::MAX_UNWRITTEN;
use crate::audit::{Report, Verify};

static CLOCK: Mutex<f64> = Mutex::new(1_795_460_400.0);

fn setup(folder: &Folder) -> Arc<Setup> {
    Arc::new(Setup {
        directory: folder.path().to_owned(),
        signer: Signer::generate("api.example.com/audit").unwrap(),
        host: "host-1".to_owned(),
        max_file: 1 << 20,
        max_page: u64::MAX,
        sync: Duration::from_secs(3600),
        checkpoint: Duration::from_secs(10),
        keep: None,
        clock: Box::new(|| UnixTime(*lock(&CLOCK))),
    })
}

fn now() -> UnixTime {
    UnixTime(*lock(&CLOCK))
}

fn verify(setup: &Setup) -> Report {
    Verify::with(&setup.signer).run(&setup.directory).unwrap()
}

fn text(log: &Log) -> String {
    let named = Named { writer: log.writer().to_owned(), number: lock(&log.shared.open).number };
    std::fs::read_to_string(named.path(&log.shared.setup.directory)).unwrap()
}

/// `/dev/full` takes nothing: each write fails with ENOSPC.
fn fill_disk(log: &Log) -> Arc<File> {
    let full = std::fs::OpenOptions::new().append(true).open("/dev/full").unwrap();
    std::mem::replace(&mut lock(&log.shared.open).file, Arc::new(full))
}

#[test]
fn a_record_that_is_asked_for_now_is_with_the_system_before_append_returns() {
    let folder = Folder::new();
    let log = Log::open(setup(&folder)).unwrap();
    let one = log.append(now(), "authz_fail", b",\"code\":\"auth.role\"", When::Now).unwrap();
    assert!(text(&log).lines().last().unwrap().contains("\"code\":\"auth.role\""));
    let two = log.append(now(), "request_completed", b"", When::Soon).unwrap();
    assert_eq!(two, one + 1);
    assert!(!text(&log).contains("request_completed"));
    log.tend().unwrap();
    assert!(text(&log).contains("request_completed"));
}

#[test]
fn many_threads_make_one_chain() {
    let folder = Folder::new();
    let setup = setup(&folder);
    let log = Log::open(Arc::clone(&setup)).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for i in 0..50 {
                    let when = if i % 3 == 0 { When::Soon } else { When::Now };
                    log.append(now(), "authz_fail", b"", when).unwrap();
                }
            });
        }
        scope.spawn(|| (0..10).for_each(|_| log.checkpoint().unwrap()));
    });
    log.close().unwrap();
    let report = verify(&setup);
    assert_eq!(report.faults, []);
    assert!(report.records() > 200);
}

#[test]
fn a_full_disk_is_said_at_once_and_nothing_is_lost_when_there_is_room_again() {
    let folder = Folder::new();
    let setup = setup(&folder);
    let log = Log::open(Arc::clone(&setup)).unwrap();
    let disk = fill_disk(&log);
    for _ in 0..3 {
        let told = log.append(now(), "authz_fail", b"", When::Now).unwrap_err();
        assert_eq!(told.kind(), io::ErrorKind::StorageFull);
    }
    lock(&log.shared.open).file = disk;
    log.append(now(), "sys_startup", b"", When::Now).unwrap();
    assert_eq!(text(&log).matches("authz_fail").count(), 3);
    log.close().unwrap();
    assert_eq!(verify(&setup).faults, []);
}

#[test]
fn what_does_not_fit_while_the_disk_is_full_is_counted_and_the_count_becomes_a_record() {
    let folder = Folder::new();
    let setup = setup(&folder);
    let log = Log::open(Arc::clone(&setup)).unwrap();
    let disk = fill_disk(&log);
    let members = format!(",\"x\":\"{}\"", "y".repeat(MAX_RECORD - 10));
    for _ in 0..9 {
        log.append(now(), "upload", members.as_bytes(), When::Now).unwrap_err();
    }
    assert!(lock(&log.shared.open).unwritten().len() <= MAX_UNWRITTEN + MAX_RECORD);
    lock(&log.shared.open).file = disk;
    log.append(now(), "sys_startup", b"", When::Now).unwrap();
    let written = text(&log);
    let kept = written.matches("\"event\":\"upload\"").count();
    assert!(
        written.contains(&format!("\"event\":\"audit_records_lost\",\"records\":{},", 9 - kept)),
        "{kept}"
    );
    log.close().unwrap();
    assert_eq!(verify(&setup).faults, []);
}

#[test]
fn a_disk_that_fills_within_a_record_leaves_one_that_verifies_and_the_rest_follows() {
    let folder = Folder::new();
    let setup = setup(&folder);
    let log = Log::open(Arc::clone(&setup)).unwrap();
    // As a short write leaves it: half of the line is with the system.
    let mut open = lock(&log.shared.open);
    open.add(&log.shared.key, now(), "authz_fail", b"").unwrap();
    let half = open.unwritten().len() / 2;
    let begun = open.unwritten().drain(..half).collect::<Vec<_>>();
    (&*open.file).write_all(&begun).unwrap();
    drop(open);
    let report = verify(&setup);
    assert_eq!((report.faults, report.writers[0].torn), (vec![], half as u64));
    log.append(now(), "sys_startup", b"", When::Now).unwrap();
    log.close().unwrap();
    let report = verify(&setup);
    assert_eq!((report.faults, report.writers[0].torn), (vec![], 0));
}

#[test]
fn a_checkpoint_is_made_when_it_is_time_and_something_has_happened() {
    let folder = Folder::new();
    let log = Log::open(setup(&folder)).unwrap();
    let count = || text(&log).matches("audit_checkpoint").count();
    log.append(now(), "authz_fail", b"", When::Now).unwrap();
    log.tend().unwrap();
    let before = count();
    lock(&log.shared.open).signed_at = UnixTime(now().0 - 10.0);
    log.tend().unwrap();
    assert_eq!(count(), before + 1);
    lock(&log.shared.open).signed_at = UnixTime(now().0 - 10.0);
    log.tend().unwrap();
    assert_eq!(count(), before + 1);
    // A clock that was set back by a day does not put it off by a day.
    log.append(now(), "authz_fail", b"", When::Now).unwrap();
    lock(&log.shared.open).signed_at = UnixTime(now().0 + 86_400.0);
    log.tend().unwrap();
    assert_eq!(count(), before + 2);
}

#[test]
fn a_child_gets_a_writer_of_its_own() {
    let folder = Folder::new();
    let setup = setup(&folder);
    let parent = Log::open(Arc::clone(&setup)).unwrap();
    let child = parent.renewed(Vec::new()).unwrap();
    assert_ne!(parent.writer(), child.writer());
    for log in [&parent, &child] {
        log.append(now(), "authz_fail", b"", When::Now).unwrap();
        log.close().unwrap();
    }
    assert_eq!(verify(&setup).writers.len(), 2);
    assert_eq!(verify(&setup).faults, []);
}

#[test]
fn what_would_break_a_line_or_comes_after_the_end_is_refused() {
    let folder = Folder::new();
    let log = Log::open(setup(&folder)).unwrap();
    for members in [b",\"a\":\"\n\"".to_vec(), vec![b' '; MAX_RECORD + 1]] {
        assert_eq!(
            log.append(now(), "x", &members, When::Now).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
    }
    log.close().unwrap();
    log.close().unwrap();
    assert_eq!(log.append(now(), "x", b"", When::Now).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn who_cuts_the_book_back_while_the_log_is_written_is_noticed_in_the_log() {
    let folder = Folder::new();
    let setup = setup(&folder);
    let log = Log::open(Arc::clone(&setup)).unwrap();
    std::fs::write(folder.path().join(heads::FILE), b"").unwrap();
    log.checkpoint().unwrap();
    log.append(now(), "authz_fail", b"", When::Now).unwrap();
    assert!(text(&log).contains("\"event\":\"audit_tampered\",\"of\":\"heads\""));
    assert!(!verify(&setup).is_sound());
}

fn turning(folder: &Folder) -> Arc<Setup> {
    let Ok(setup) = Arc::try_unwrap(setup(folder)) else { panic!("it is shared") };
    Arc::new(Setup { max_file: 1500, ..setup })
}

fn fill(log: &Log) {
    for _ in 0..12 {
        log.append(now(), "authz_fail", b"", When::Now).unwrap();
    }
}

fn path(log: &Log, number: u32) -> PathBuf {
    Named { writer: log.writer().to_owned(), number }.path(&log.shared.setup.directory)
}

fn codes(setup: &Setup) -> Vec<&'static str> {
    verify(setup).faults.iter().map(|fault| fault.kind.code()).collect()
}

fn entered(folder: &Folder) -> usize {
    crate::audit::testing::book(folder).lines().count()
}

#[test]
fn a_name_that_somebody_took_is_passed_over_and_that_is_a_record() {
    let folder = Folder::new();
    let setup = turning(&folder);
    let log = Log::open(Arc::clone(&setup)).unwrap();
    std::fs::write(path(&log, 2), b"").unwrap();
    assert_eq!(codes(&setup), ["opening"]);
    fill(&log);
    log.tend().unwrap();
    assert!(path(&log, 3).exists() && text(&log).contains("\"audit_tampered\",\"of\":\"name\",\"file\":2,"));
    std::fs::remove_file(path(&log, 2)).unwrap();
    // No record is missing between, so no file is.
    assert_eq!(codes(&setup), ["noticed"]);
    std::fs::remove_file(path(&log, 3)).unwrap();
    assert_eq!(codes(&setup), ["file_missing", "truncated"]);
}

#[test]
fn where_no_next_file_can_be_made_the_log_is_signed_synced_and_entered_all_the_same() {
    let folder = Folder::new();
    let setup = turning(&folder);
    let log = Log::open(Arc::clone(&setup)).unwrap();
    let taken: Vec<PathBuf> = (2..40).map(|number| path(&log, number)).collect();
    for path in &taken {
        std::fs::create_dir(path).unwrap();
    }
    fill(&log);
    for round in 0..3 {
        let before = entered(&folder);
        assert_eq!(log.tend().unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert!(!lock(&log.shared.open).is_dirty);
        assert_eq!(entered(&folder), before + 1, "round {round}");
        // It is not tried, and not signed, each time.
        let size = text(&log).len();
        log.tend().unwrap();
        assert_eq!(text(&log).len(), size);
        fill(&log);
    }
    for path in &taken {
        std::fs::remove_dir(path).unwrap();
    }
    log.tend().unwrap();
    assert!(path(&log, 2).exists());
    log.close().unwrap();
    assert_eq!(codes(&setup), [""; 0]);
}

#[test]
fn a_disk_that_is_full_while_the_file_changes_leaves_the_old_one_which_goes_on() {
    let folder = Folder::new();
    let setup = turning(&folder);
    let log = Log::open(Arc::clone(&setup)).unwrap();
    fill(&log);
    let disk = fill_disk(&log);
    log.tend().unwrap_err();
    assert!(!path(&log, 2).exists());
    lock(&log.shared.open).file = disk;
    fill(&log);
    log.tend().unwrap();
    assert!(path(&log, 2).exists());
    fill(&log);
    log.close().unwrap();
    assert_eq!(codes(&setup), [""; 0]);
}

#[test]
fn what_the_book_could_not_be_told_is_told_when_it_can() {
    let folder = Folder::new();
    let setup = setup(&folder);
    let log = Log::open(Arc::clone(&setup)).unwrap();
    let (book, away) = (folder.path().join(heads::FILE), folder.path().join("away"));
    std::fs::rename(&book, &away).unwrap();
    std::fs::create_dir(&book).unwrap();
    log.checkpoint().unwrap_err();
    log.tend().unwrap_err();
    let size = text(&log).len();
    std::fs::remove_dir(&book).unwrap();
    std::fs::rename(&away, &book).unwrap();
    let before = entered(&folder);
    log.tend().unwrap();
    assert_eq!((entered(&folder), text(&log).len()), (before + 1, size));
    log.tend().unwrap();
    assert_eq!(entered(&folder), before + 1);
    assert_eq!(codes(&setup), [""; 0]);
}

#[test]
fn nothing_follows_the_end_and_one_that_the_book_has_not_is_sound() {
    let folder = Folder::new();
    let setup = setup(&folder);
    let log = Log::open(Arc::clone(&setup)).unwrap();
    let (book, away) = (folder.path().join(heads::FILE), folder.path().join("away"));
    std::fs::rename(&book, &away).unwrap();
    std::fs::create_dir(&book).unwrap();
    // As a process that is killed between the last record and the book.
    log.close().unwrap_err();
    std::fs::remove_dir(&book).unwrap();
    std::fs::rename(&away, &book).unwrap();
    let size = text(&log).len();
    assert_eq!(log.checkpoint().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(log.shared.turn(now()).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    log.tend().unwrap();
    assert_eq!(text(&log).len(), size);
    assert_eq!(codes(&setup), [""; 0]);
    drop(log);
    Log::open(Arc::clone(&setup)).unwrap().close().unwrap();
    assert_eq!(codes(&setup), [""; 0]);
    assert!(verify(&setup).writers.iter().all(|told| told.state == crate::audit::State::Closed));
}

#[test]
fn the_logs_own_events_cannot_be_made_by_others() {
    let folder = Folder::new();
    let log = Log::open(setup(&folder)).unwrap();
    for event in ["audit_checkpoint", "audit_tampered", "audit_"] {
        let told = log.append(now(), event, b"", When::Now).unwrap_err();
        assert_eq!(told.kind(), io::ErrorKind::InvalidInput);
    }
    assert!(!text(&log).contains("checkpoint"));
}

#[test]
fn what_many_threads_sign_and_turn_at_once_is_one_log() {
    let folder = Folder::new();
    let setup = turning(&folder);
    let log = Log::open(Arc::clone(&setup)).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..4 {
                    fill(&log);
                    log.tend().unwrap();
                }
            });
        }
        scope.spawn(|| (0..10).for_each(|_| log.checkpoint().unwrap()));
    });
    std::thread::scope(|scope| {
        scope.spawn(|| log.close().unwrap());
        scope.spawn(|| (0..10).for_each(|_| log.tend().unwrap()));
        scope.spawn(|| (0..10).for_each(|_| drop(log.checkpoint())));
    });
    assert!(path(&log, 5).exists());
    assert_eq!(codes(&setup), [""; 0]);
}

#[test]
fn a_change_of_the_book_is_told_by_the_first_process_that_notices_it_and_by_no_other() {
    let folder = Folder::new();
    let clock = Arc::new(Mutex::new(1_795_460_400.0));
    let told = Arc::clone(&clock);
    let setup = Arc::new(Setup {
        clock: Box::new(move || UnixTime(*lock(&told))),
        ..Arc::into_inner(setup(&folder)).unwrap()
    });
    let one = Log::open(Arc::clone(&setup)).unwrap();
    let two = Log::open(Arc::clone(&setup)).unwrap();
    let path = folder.path().join(heads::FILE);
    for _ in 0..2 {
        one.checkpoint().unwrap();
        two.checkpoint().unwrap();
        assert_eq!((one.noticed(), two.noticed()), (vec![], vec![]));
        let book = std::fs::read_to_string(&path).unwrap();
        let kept = book.lines().count() - 2;
        let cut: String = book.split_inclusive('\n').take(kept).collect();
        std::fs::write(&path, cut).unwrap();
        *lock(&clock) += 1.0;
        for _ in 0..3 {
            one.checkpoint().unwrap();
            two.checkpoint().unwrap();
        }
        assert_eq!((one.noticed(), two.noticed()), (vec![heads::FILE.to_owned()], vec![]));
    }
}

#[test]
fn who_opens_a_log_whose_book_nobody_has_looked_at_since_it_was_changed_tells_it() {
    let folder = Folder::new();
    let setup = setup(&folder);
    Log::open(Arc::clone(&setup)).unwrap().close().unwrap();
    let path = folder.path().join(heads::FILE);
    let book = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, book.replacen("\"size\":1", "\"size\":2", 1)).unwrap();
    let log = Log::open(Arc::clone(&setup)).unwrap();
    assert_eq!(log.noticed(), [heads::FILE]);
    assert!(text(&log).contains("\"audit_tampered\",\"of\":\"heads\""));
    let next = Log::open(setup).unwrap();
    assert_eq!((log.noticed(), next.noticed()), (vec![], vec![]));
}

#[test]
fn a_name_that_somebody_took_is_told() {
    let folder = Folder::new();
    let log = Log::open(setup(&folder)).unwrap();
    let named = Named { writer: log.writer().to_owned(), number: 2 };
    std::fs::write(named.path(folder.path()), b"x\n").unwrap();
    log.shared.turn(now()).unwrap();
    assert_eq!(log.noticed(), [named.name()]);
}

#[test]
fn a_small_record_is_written_at_once_unless_somebody_or_the_disk_would_have_to_be_waited_for() {
    let folder = Folder::new();
    let log = Log::open(setup(&folder)).unwrap();
    let put = |members: &[u8]| log.append_at_once(now(), "x", members, When::Now);
    assert_eq!(put(b",\"at\":\"once\"").unwrap().unwrap(), 2);
    assert!(text(&log).contains("\"at\":\"once\""));
    let long = [&b",\"a\":\""[..], &[b'y'; 20_000], b"\""].concat();
    assert!(put(&long).is_none());
    log.shared.is_behind.store(true, Ordering::Relaxed);
    assert!(put(b"").is_none());
    assert_eq!(log.append_at_once(now(), "x", b"", When::Soon).unwrap().unwrap(), 3);
    log.shared.is_behind.store(false, Ordering::Relaxed);
    assert!(put(b"").is_some());
    let held = lock(&log.shared.open);
    assert!(put(b"").is_none());
    drop(held);
    let whole = fill_disk(&log);
    assert!(put(b"").unwrap().is_err());
    lock(&log.shared.open).file = whole;
    assert!(put(b"").is_some());
    log.close().unwrap();
    assert_eq!(verify(&log.shared.setup).faults, []);
}
