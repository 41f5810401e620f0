#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::audit::testing::{Folder, book, setup};
use crate::audit::{Log, Report, Setup, Verify, When};
use crate::time::UnixTime;

/// A log whose book has small pages.
fn small(folder: &Folder) -> Arc<Setup> {
    let setup = Arc::into_inner(setup(folder)).unwrap();
    Arc::new(Setup { max_page: 6000, max_file: 1 << 20, ..setup })
}

fn open(setup: &Arc<Setup>) -> Log {
    Log::open(Arc::clone(setup)).unwrap()
}

fn verify(setup: &Setup) -> Report {
    Verify::with(&setup.signer).run(&setup.directory).unwrap()
}

fn codes(report: &Report) -> Vec<(&str, &'static str)> {
    report.faults.iter().map(|fault| (fault.file.as_str(), fault.kind.code())).collect()
}

/// Has `log` sign until its book has so many pages beside the one that is written.
fn turned(setup: &Setup, log: &Log, count: usize) {
    for _ in 0..2000 {
        if all(&setup.directory).unwrap().len() >= count {
            return;
        }
        log.append(UnixTime(0.0), "x", b"", When::Now).unwrap();
        log.checkpoint().unwrap();
    }
    panic!("the page was never turned");
}

#[test]
fn names_are_read_as_they_are_written() {
    assert_eq!(read_name(&name(7)), Some(7));
    for wrong in
        ["heads.jsonl", "heads-7.jsonl", "heads-000000.jsonl", "heads-00000x.jsonl", "heads-+00007.jsonl"]
    {
        assert_eq!(read_name(wrong), None, "{wrong}");
    }
}

#[test]
fn a_book_that_was_turned_verifies_and_no_page_grows_beyond_its_bound() {
    let folder = Folder::new();
    let setup = small(&folder);
    let (lives, ends) = (open(&setup), open(&setup));
    ends.append(UnixTime(0.0), "x", b"", When::Now).unwrap();
    ends.close().unwrap();
    open(&setup).killed();
    turned(&setup, &lives, 3);
    for page in all(folder.path()).unwrap() {
        let about = std::fs::metadata(folder.path().join(name(page))).unwrap();
        assert!(about.len() < setup.max_page + 1000, "{}", about.len());
    }
    let report = verify(&setup);
    assert_eq!(codes(&report), []);
    assert_eq!(report.others, Vec::<String>::new());
    assert_eq!(Verify::public(setup.signer.verifier().clone()).run(folder.path()).unwrap().faults, []);
    // Who was killed is entered once, though it stands on a page that nobody reads any more; and who lives is not.
    open(&setup).close().unwrap();
    assert!(book(&folder).contains(CARRIED));
    let pages: String = all(folder.path())
        .unwrap()
        .into_iter()
        .map(|page| std::fs::read_to_string(folder.path().join(name(page))).unwrap())
        .collect();
    let lost = |text: &str| text.matches("\"audit_writer_lost\"").count();
    assert_eq!(lost(&pages) + lost(&book(&folder)), 1);
    lives.close().unwrap();
    assert_eq!(codes(&verify(&setup)), []);
}

#[test]
fn a_book_is_of_the_key_that_it_was_begun_with_whichever_page_it_has_come_to() {
    let folder = Folder::new();
    let setup = small(&folder);
    let other = crate::audit::Signer::generate(setup.signer.verifier().name()).unwrap();
    assert!(is_of(folder.path(), &other).unwrap(), "there is none yet");
    let log = open(&setup);
    for pages in [0, 1] {
        turned(&setup, &log, pages);
        assert!(is_of(folder.path(), &setup.signer).unwrap());
        assert!(!is_of(folder.path(), &other).unwrap());
    }
}

#[test]
fn a_page_that_is_dropped_changed_cut_or_put_back_is_named() {
    let folder = Folder::new();
    let setup = small(&folder);
    let log = open(&setup);
    turned(&setup, &log, 3);
    log.close().unwrap();
    let whole = |page: u32| std::fs::read(folder.path().join(name(page))).unwrap();
    let (first, second) = (whole(1), whole(2));
    let lines = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count();
    for page in 1..=3 {
        let path = folder.path().join(name(page));
        let kept = whole(page);
        std::fs::remove_file(&path).unwrap();
        assert!(codes(&verify(&setup)).contains(&(name(page).as_str(), "file_missing")));
        let half: Vec<u8> =
            kept.split_inclusive(|byte| *byte == b'\n').take(lines(&kept) / 2).flatten().copied().collect();
        std::fs::write(&path, half).unwrap();
        assert_ne!(codes(&verify(&setup)), []);
        let mut changed = kept.clone();
        let at = changed.len() / 2;
        changed[at] ^= 1;
        std::fs::write(&path, changed).unwrap();
        assert_ne!(codes(&verify(&setup)), []);
        std::fs::write(&path, if page == 1 { &second } else { &first }).unwrap();
        assert_ne!(codes(&verify(&setup)), []);
        std::fs::write(&path, kept).unwrap();
        assert_eq!(codes(&verify(&setup)), []);
    }
    // A page of the past in the place of the one that is written.
    let current = std::fs::read(folder.path().join(heads::FILE)).unwrap();
    std::fs::write(folder.path().join(heads::FILE), &second).unwrap();
    assert_ne!(codes(&verify(&setup)), []);
    std::fs::write(folder.path().join(heads::FILE), &current).unwrap();
    std::fs::write(folder.path().join(name(9)), &second).unwrap();
    assert_eq!(codes(&verify(&setup)), [(name(9).as_str(), "out_of_place")]);
}

#[test]
fn a_writer_that_lives_through_many_pages_notices_that_one_was_cut_back() {
    let folder = Folder::new();
    let setup = small(&folder);
    let (idle, busy) = (open(&setup), open(&setup));
    idle.checkpoint().unwrap();
    let before = std::fs::read(folder.path().join(heads::FILE)).unwrap();
    turned(&setup, &busy, 2);
    idle.append(UnixTime(0.0), "x", b"", When::Now).unwrap();
    idle.checkpoint().unwrap();
    assert!(!book(&folder).contains("audit_tampered"));
    // Somebody puts the first page back in the place of the newest.
    std::fs::write(folder.path().join(heads::FILE), before).unwrap();
    idle.append(UnixTime(0.0), "x", b"", When::Now).unwrap();
    idle.checkpoint().unwrap();
    assert!(book(&folder).contains("audit_tampered"));
    assert_ne!(codes(&verify(&setup)), []);
}

#[test]
fn a_process_that_is_killed_while_it_turns_the_page_leaves_a_book_that_verifies_and_is_turned_later() {
    let folder = Folder::new();
    let setup = small(&folder);
    let log = open(&setup);
    log.checkpoint().unwrap();
    let book = folder.path().join(heads::FILE);
    // Between the second name and the new page.
    std::fs::hard_link(&book, folder.path().join(name(1))).unwrap();
    std::fs::write(folder.path().join(format!(".new-{}-2", "0".repeat(32))), b"half a li").unwrap();
    assert_eq!(codes(&verify(&setup)), []);
    log.append(UnixTime(0.0), "x", b"", When::Now).unwrap();
    log.checkpoint().unwrap();
    assert_eq!(codes(&verify(&setup)), []);
    turned(&setup, &log, 2);
    assert_eq!(codes(&verify(&setup)), []);
    assert!(!is_same(&book, &folder.path().join(name(1))));
}

#[test]
fn no_page_of_the_past_is_removed_to_make_room_whatever_the_one_that_is_written_was_made_to_say() {
    let folder = Folder::new();
    let setup = small(&folder);
    let log = open(&setup);
    turned(&setup, &log, 1);
    let kept = std::fs::read(folder.path().join(name(1))).unwrap();
    // Without its first record it seems to be the first page.
    let text = book(&folder);
    std::fs::write(folder.path().join(heads::FILE), text.split_once('\n').unwrap().1).unwrap();
    for _ in 0..60 {
        log.append(UnixTime(0.0), "x", b"", When::Now).unwrap();
        log.checkpoint().unwrap();
    }
    assert_eq!(std::fs::read(folder.path().join(name(1))).unwrap(), kept);
    assert!(codes(&verify(&setup)).iter().any(|(_, code)| *code == "noticed"));
}

#[test]
fn many_writers_turn_pages_at_once_and_make_one_chain_which_is_sound_whenever_it_is_looked_at() {
    let folder = Folder::new();
    let setup = small(&folder);
    open(&setup).close().unwrap();
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let log = open(&setup);
                    for _ in 0..40 {
                        log.append(UnixTime(0.0), "x", b"", When::Now).unwrap();
                        log.checkpoint().unwrap();
                    }
                    log.close().unwrap();
                })
            })
            .collect();
        while writers.iter().any(|writer| !writer.is_finished()) {
            assert_eq!(codes(&verify(&setup)), []);
        }
    });
    assert!(all(folder.path()).unwrap().len() > 2);
    assert_eq!(codes(&verify(&setup)), []);
}

#[test]
fn a_page_whose_time_is_over_goes_and_what_it_told_of_is_not_missed() {
    let folder = Folder::new();
    let (start, day) = (1_795_460_400.0, 86_400.0);
    let now = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let told = Arc::clone(&now);
    let setup = Arc::into_inner(small(&folder)).unwrap();
    let setup = Arc::new(Setup {
        keep: Some(Duration::from_secs(10 * 86_400)),
        clock: Box::new(move || UnixTime(start + told.load(std::sync::atomic::Ordering::Relaxed) as f64)),
        ..setup
    });
    let at = |days: f64| now.store((days * day) as u64, std::sync::atomic::Ordering::Relaxed);
    let gone = open(&setup);
    gone.append(UnixTime(start), "x", b"", When::Now).unwrap();
    gone.close().unwrap();
    let log = open(&setup);
    turned(&setup, &log, 1);
    at(5.0);
    turned(&setup, &log, 2);
    at(12.0);
    let before = verify(&setup).log;
    let removed = log.remove_old().unwrap();
    assert_eq!(removed.iter().filter(|file| read_name(file).is_some()).collect::<Vec<_>>(), [&name(1)]);
    assert_eq!(removed.len(), 2, "{removed:?}");
    assert_eq!(codes(&verify(&setup)), []);
    turned(&setup, &log, 3);
    let report = verify(&setup);
    assert_eq!(codes(&report), []);
    assert!(before.is_some() && report.log == before, "it is the same log without its first page");
    assert!(!book(&folder).contains(gone.writer()), "what is over is not carried on");
    // The next page that somebody drops is missed all the same.
    std::fs::remove_file(folder.path().join(name(2))).unwrap();
    assert!(codes(&verify(&setup)).contains(&(name(2).as_str(), "file_missing")));
}

#[test]
fn a_page_that_was_made_to_look_old_is_not_removed() {
    let folder = Folder::new();
    let setup = Arc::into_inner(small(&folder)).unwrap();
    let setup = Arc::new(Setup { keep: Some(Duration::from_secs(86_400)), ..setup });
    let log = open(&setup);
    turned(&setup, &log, 1);
    let path = folder.path().join(name(1));
    let old = std::fs::read_to_string(&path).unwrap().replace("\"time\":\"20", "\"time\":\"19");
    std::fs::write(&path, old).unwrap();
    assert_eq!(log.remove_old().unwrap(), Vec::<String>::new());
    assert!(path.exists());
}

/// Whoever may write to the directory may put any number into a line. Following it page by page took hours and all memory.
#[test]
fn a_number_that_a_changed_line_claims_is_not_counted_up_to() {
    for of_small_pages in [false, true] {
        let folder = Folder::new();
        let setup = small(&folder);
        let log = open(&setup);
        turned(&setup, &log, if of_small_pages { 2 } else { 0 });
        log.close().unwrap();
        let kept = book(&folder);
        let (first, rest) = kept.split_once('\n').unwrap();
        let link = Line::read(first.as_bytes()).unwrap().link;
        let mut hash = Vec::new();
        write_hash(&mut hash, &link);
        let hash = String::from_utf8(hash).unwrap();
        for (number, oldest) in [(u32::MAX, 1), (u32::MAX, u32::MAX), (9, 8), (2, u32::MAX)] {
            let forged = format!(
                "{{\"seq\":0,\"time\":\"2026-11-29T10:00:00.000000Z\",\"event\":\"{OPENED}\",\"book\":{number},\"oldest\":{oldest},\
                 \"before\":\"{hash}\",\"subtrees\":[],\"link\":\"{hash}\"}}"
            );
            std::fs::write(folder.path().join(heads::FILE), format!("{forged}\n{rest}")).unwrap();
            let report = verify(&setup);
            let told = codes(&report);
            let is_named = |code| told.contains(&(heads::FILE, code));
            assert!(is_named("changed") || is_named("out_of_place"), "{told:?}");
            assert!(told.len() < 100);
            // Without the key the number may be right: then the pages between are one gap, named once.
            let report = Verify::public(setup.signer.verifier().clone()).run(folder.path()).unwrap();
            assert!((1..100).contains(&report.faults.len()), "{number}: {:?}", report.faults);
            // Retention reads the book when a log is opened.
            let keep = Some(Duration::from_secs(1));
            let later = Setup {
                keep,
                clock: Box::new(|| UnixTime(1.9e9)),
                ..Arc::into_inner(small(&folder)).unwrap()
            };
            let signer =
                crate::audit::Signer::parse(std::str::from_utf8(setup.signer.to_text().expose()).unwrap());
            open(&Arc::new(Setup { signer: signer.unwrap(), ..later })).close().unwrap();
        }
    }
}

#[test]
fn pages_that_are_gone_are_named_by_their_gap() {
    let folder = Folder::new();
    let setup = small(&folder);
    let log = open(&setup);
    turned(&setup, &log, 5);
    log.close().unwrap();
    for page in [2, 3, 5] {
        std::fs::remove_file(folder.path().join(name(page))).unwrap();
    }
    let gaps: Vec<_> = verify(&setup)
        .faults
        .into_iter()
        .filter(|fault| fault.kind.code() == "file_missing")
        .map(|fault| (fault.file.clone(), fault.kind.range()))
        .collect();
    assert_eq!(gaps, [(name(2), (Some(2), Some(3))), (name(5), (None, None))]);
}
