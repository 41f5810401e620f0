//! What somebody may try who has taken over the host, and with it the key: checkpoints that are elsewhere hold what was.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::audit::testing::{Folder, setup};
use crate::audit::{Log, Setup, Tap, When};
use crate::time::UnixTime;

/// A log in one file, whose checkpoints go to a tap.
struct Anchored {
    folder: Folder,
    setup: Arc<Setup>,
    tap: Arc<Tap>,
}

impl Anchored {
    fn new() -> Self {
        let folder = Folder::new();
        let setup = Arc::into_inner(setup(&folder)).unwrap();
        let setup = Arc::new(Setup { max_file: 1 << 20, ..setup });
        Self { folder, setup, tap: Arc::new(Tap::of_checkpoints(100)) }
    }

    /// The history of one writer, signed after every record.
    fn written(&self, writer: &str, events: &[&str]) {
        let taps = vec![Arc::clone(&self.tap)];
        let log = Log::of_writer(Arc::clone(&self.setup), taps, writer.to_owned()).unwrap();
        for event in events {
            log.append(UnixTime(0.0), event, b"", When::Now).unwrap();
            log.checkpoint().unwrap();
        }
        log.close().unwrap();
    }

    /// What arrived elsewhere since the last time.
    fn notes(&self) -> Vec<String> {
        let lines = self.tap.take(1000).lines;
        lines
            .iter()
            .map(|line| {
                serde_json::from_slice::<serde_json::Value>(line).unwrap()["note"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect()
    }

    fn wiped(&self) {
        for entry in std::fs::read_dir(self.folder.path()).unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }

    fn faults(&self, notes: &[String]) -> Vec<&'static str> {
        let mut verify = Verify::with(&self.setup.signer);
        assert!(notes.iter().all(|note| verify.known(note)));
        let report = verify.run(self.folder.path()).unwrap();
        assert_eq!(report.unchecked, 0);
        report.faults.iter().map(|fault| fault.kind.code()).collect()
    }
}

const ONE: &str = "0123456789abcdef0123456789abcdef";
const TWO: &str = "11111111111111111111111111111111";

#[test]
fn a_log_that_was_written_anew_with_its_own_key_is_not_that_which_was_anchored() {
    let log = Anchored::new();
    log.written(ONE, &["login", "theft", "logout"]);
    let notes = log.notes();
    assert_eq!(log.faults(&notes), Vec::<&str>::new());
    for history in
        [&["login", "walk", "logout"][..], &["login", "logout"], &["login", "walk", "logout", "x", "y"], &[]]
    {
        log.wiped();
        log.written(ONE, history);
        log.notes();
        assert_eq!(log.faults(&[]), Vec::<&str>::new(), "its key has signed it");
        assert_ne!(log.faults(&notes), Vec::<&str>::new(), "{history:?}");
        // Any one of them that is behind the change is enough, with the public key too.
        let last = notes.last().unwrap();
        let mut verify = Verify::public(log.setup.signer.verifier().clone());
        assert!(verify.known(last));
        assert!(!verify.run(log.folder.path()).unwrap().is_sound());
    }
    // As another writer, or as none.
    log.wiped();
    log.written(TWO, &["login", "walk", "logout"]);
    assert_eq!(log.faults(&notes), ["other_log"]);
}

#[test]
fn a_writer_that_was_never_anchored_is_held_by_the_book_in_the_anchors_of_others() {
    let log = Anchored::new();
    log.written(ONE, &["theft"]);
    log.notes();
    log.written(TWO, &["login"]);
    let notes = log.notes();
    log.wiped();
    log.written(TWO, &["login"]);
    log.notes();
    assert_eq!(log.faults(&[]), Vec::<&str>::new());
    assert_ne!(log.faults(&notes), Vec::<&str>::new());
}

#[test]
fn what_was_written_after_the_last_anchor_is_not_held_by_it() {
    let log = Anchored::new();
    log.written(ONE, &["login", "theft"]);
    let notes = log.notes();
    log.wiped();
    // The same history up to the first checkpoint, to the byte: the clock stands.
    let taps = vec![Arc::clone(&log.tap)];
    let forged = Log::of_writer(Arc::clone(&log.setup), taps, ONE.to_owned()).unwrap();
    forged.append(UnixTime(0.0), "login", b"", When::Now).unwrap();
    forged.checkpoint().unwrap();
    forged.append(UnixTime(0.0), "walk", b"", When::Now).unwrap();
    forged.close().unwrap();
    log.notes();
    assert_eq!(log.faults(&notes[..1]), Vec::<&str>::new());
    assert_ne!(log.faults(&notes[..2]), Vec::<&str>::new());
}

#[test]
fn an_anchor_of_what_was_removed_after_its_time_is_counted_and_no_fault() {
    let log = Anchored::new();
    let setup = Setup {
        keep: Some(Duration::from_secs(86_400)),
        clock: Box::new(|| UnixTime(1_795_460_400.0 + 86_400.0 * 3.0)),
        signer: Signer::parse(std::str::from_utf8(log.setup.signer.to_text().expose()).unwrap()).unwrap(),
        directory: log.folder.path().to_owned(),
        host: "h".to_owned(),
        max_file: 1 << 20,
        max_page: u64::MAX,
        sync: Duration::from_secs(1),
        checkpoint: Duration::from_secs(60),
    };
    log.written(ONE, &["login"]);
    let notes = log.notes();
    let later = Log::open(Arc::new(setup)).unwrap();
    assert_eq!(later.remove_old().unwrap(), Vec::<String>::new(), "opening it did");
    assert!(!Named { writer: ONE.to_owned(), number: 1 }.path(log.folder.path()).exists());
    let mut verify = Verify::with(&log.setup.signer);
    assert!(notes.iter().all(|note| verify.known(note)));
    let report = verify.run(log.folder.path()).unwrap();
    assert_eq!((report.faults, report.unchecked), (vec![], notes.len() as u64));
}

/// A log of another host that has the same key.
fn of_same_key(log: &Anchored, host: &str) -> Anchored {
    let mut other = Anchored::new();
    other.setup = Arc::new(Setup {
        signer: Signer::parse(std::str::from_utf8(log.setup.signer.to_text().expose()).unwrap()).unwrap(),
        host: host.to_owned(),
        ..Arc::into_inner(other.setup).unwrap()
    });
    other
}

fn report(log: &Anchored, notes: &[&[String]], named: Option<&str>) -> Report {
    let mut verify = Verify::public(log.setup.signer.verifier().clone());
    assert!(notes.iter().copied().flatten().all(|note| verify.known(note)));
    named.into_iter().for_each(|log| verify.of_log(log));
    verify.run(log.folder.path()).unwrap()
}

fn codes(report: &Report) -> Vec<&'static str> {
    report.faults.iter().map(|fault| fault.kind.code()).collect()
}

#[test]
fn anchors_of_another_host_with_the_same_key_are_counted_apart_and_no_fault() {
    let a = Anchored::new();
    let b = of_same_key(&a, "host-2");
    a.written(ONE, &["login", "theft"]);
    b.written(TWO, &["look"]);
    let (of_a, of_b) = (a.notes(), b.notes());
    let told = report(&a, &[&of_a, &of_b], None);
    let (log_of_a, log_of_b) = (told.log.clone().unwrap(), report(&b, &[], None).log.unwrap());
    assert_ne!(log_of_a, log_of_b);
    assert!(of_a[0].starts_with(&format!("api.example.com/audit/{log_of_a}/{ONE}\n")), "{}", of_a[0]);
    assert_eq!(codes(&told), Vec::<&str>::new());
    assert_eq!(told.elsewhere, BTreeMap::from([(log_of_b.clone(), of_b.len() as u64)]));
    // Those of this log are held against it as ever.
    a.wiped();
    a.written(ONE, &["login"]);
    let told = report(&a, &[&of_a, &of_b], Some(&log_of_a));
    assert_eq!((told.log.as_deref(), codes(&told).is_empty()), (Some(log_of_a.as_str()), false));
}

#[test]
fn another_hosts_directory_in_the_place_of_one_is_found_by_its_name_or_by_anchors_that_are_all_of_others() {
    let a = Anchored::new();
    let b = of_same_key(&a, "host-2");
    a.written(ONE, &["login", "theft"]);
    b.written(TWO, &["look"]);
    let (of_a, of_b) = (a.notes(), b.notes());
    let log_of_a = report(&a, &[], None).log.unwrap();
    assert_eq!(codes(&report(&a, &[], Some(&log_of_a))), Vec::<&str>::new());
    for notes in [&[][..], &[&of_b[..]], &[&of_a, &of_b]] {
        assert_eq!(codes(&report(&b, notes, Some(&log_of_a))), ["other_log"]);
    }
    assert_eq!(codes(&report(&b, &[&of_a], None)), ["other_log"]);
    // Begun anew, with the key, it is another as well.
    a.wiped();
    a.written(TWO, &["login"]);
    assert_eq!(codes(&report(&a, &[], Some(&log_of_a))), ["other_log"]);
    // And an empty book is none.
    std::fs::write(a.folder.path().join(heads::FILE), "").unwrap();
    assert!(codes(&report(&a, &[], Some(&log_of_a))).contains(&"other_log"));
}

#[test]
fn a_writer_of_another_log_that_is_put_into_this_one_is_named() {
    let a = Anchored::new();
    let b = of_same_key(&a, "host-2");
    a.written(ONE, &["login"]);
    b.written(TWO, &["look", "look"]);
    let named = Named { writer: TWO.to_owned(), number: 1 };
    std::fs::copy(named.path(b.folder.path()), named.path(a.folder.path())).unwrap();
    let told = report(&a, &[], None);
    assert!(
        told.faults.iter().any(|fault| fault.kind == Kind::OtherLog && fault.file == named.name()),
        "{:?}",
        told.faults
    );
}
