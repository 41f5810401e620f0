//! What somebody may try who may write to the directory, and what happens while others write.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::*;
use crate::audit::line::{Line, Place};
use crate::audit::testing::{Folder, book, setup};
use crate::audit::{Log, Setup, When};
use crate::time::UnixTime;

fn open(setup: &Arc<Setup>) -> Log {
    Log::open(Arc::clone(setup)).unwrap()
}

fn path(folder: &Folder, writer: &str, number: u32) -> PathBuf {
    Named { writer: writer.to_owned(), number }.path(folder.path())
}

fn write_book(folder: &Folder, lines: &[String]) {
    std::fs::write(folder.path().join(heads::FILE), lines.join("\n") + "\n").unwrap();
}

fn codes(report: &Report) -> Vec<&'static str> {
    report.faults.iter().map(|fault| fault.kind.code()).collect()
}

fn verify(setup: &Setup) -> Report {
    Verify::with(&setup.signer).run(&setup.directory).unwrap()
}

fn publicly(setup: &Setup) -> Report {
    Verify::public(setup.signer.verifier().clone()).run(&setup.directory).unwrap()
}

fn note(folder: &Folder, log: &Log) -> String {
    let text = std::fs::read_to_string(path(folder, log.writer(), 1)).unwrap();
    let line = text.lines().rfind(|line| line.contains("audit_checkpoint")).unwrap();
    let record: serde_json::Value = serde_json::from_str(line).unwrap();
    record["note"].as_str().unwrap().to_owned()
}

/// A writer whose files somebody takes out, with the end of the book from its first line on; then others go on.
#[test]
fn a_book_that_was_cut_back_stays_one_however_much_it_grows() {
    for has_seen_it in [true, false] {
        let folder = Folder::new();
        let setup = setup(&folder);
        let before = open(&setup);
        let evil = open(&setup);
        evil.append(UnixTime(0.0), "evil", b"", When::Now).unwrap();
        let writer = evil.writer().to_owned();
        evil.close().unwrap();
        // A checkpoint of another, that was sent elsewhere.
        let kept = if has_seen_it {
            before.checkpoint().unwrap();
            note(&folder, &before)
        } else {
            let after = open(&setup);
            after.checkpoint().unwrap();
            let note = note(&folder, &after);
            let writer = after.writer().to_owned();
            after.close().unwrap();
            std::fs::remove_file(path(&folder, &writer, 1)).unwrap();
            note
        };
        let lines: Vec<String> = book(&folder).lines().map(str::to_owned).collect();
        let first = lines.iter().position(|line| line.contains(&writer)).unwrap();
        write_book(&folder, &lines[..first]);
        std::fs::remove_file(path(&folder, &writer, 1)).unwrap();
        before.killed();
        for _ in 0..3 {
            open(&setup).close().unwrap();
        }
        let report = verify(&setup);
        assert_eq!(codes(&report), if has_seen_it { vec!["rewritten"] } else { vec![] });
        let mut verify = Verify::with(&setup.signer);
        assert!(verify.known(&kept));
        assert!(codes(&verify.run(folder.path()).unwrap()).contains(&"rewritten"));
    }
}

#[test]
fn a_writer_that_lives_notices_a_book_that_was_cut_back_and_has_grown() {
    let folder = Folder::new();
    let setup = setup(&folder);
    let log = open(&setup);
    open(&setup).close().unwrap();
    log.checkpoint().unwrap();
    let lines: Vec<String> = book(&folder).lines().map(str::to_owned).collect();
    write_book(&folder, &lines[..1]);
    for _ in 0..2 {
        open(&setup).close().unwrap();
    }
    log.checkpoint().unwrap();
    assert!(book(&folder).contains("audit_tampered"));
    let written = std::fs::read_to_string(path(&folder, log.writer(), 1)).unwrap();
    assert!(written.contains("\"audit_tampered\",\"of\":\"heads\""));
}

#[test]
fn with_the_public_key_alone_a_writer_taken_out_of_the_book_that_was_signed_is_missed() {
    let folder = Folder::new();
    let setup = setup(&folder);
    let evil = open(&setup);
    let writer = evil.writer().to_owned();
    evil.close().unwrap();
    let log = open(&setup);
    log.checkpoint().unwrap();
    log.close().unwrap();
    let report = publicly(&setup);
    assert_eq!((codes(&report), report.heads, report.heads_signed), (vec![], 5, 4));
    // Links are not checked, so they may be anything; numbers are made to fit.
    let kept = book(&folder);
    let lines = kept.lines().filter(|line| !line.contains(&writer)).enumerate();
    let lines: Vec<String> =
        lines.map(|(seq, line)| format!("{{\"seq\":{seq},{}", line.split_once(',').unwrap().1)).collect();
    write_book(&folder, &lines);
    std::fs::remove_file(path(&folder, &writer, 1)).unwrap();
    assert!(!publicly(&setup).is_sound());
}

/// A writer that never was: its lines as ours are, under a key that is not.
fn forge(folder: &Folder, setup: &Setup, records: usize, is_closed: bool) -> String {
    let elsewhere = Folder::new();
    let forger = Arc::new(Setup {
        directory: elsewhere.path().to_owned(),
        signer: Signer::generate(setup.signer.verifier().name()).unwrap(),
        host: "host-1".to_owned(),
        max_file: 1 << 20,
        max_page: u64::MAX,
        sync: Duration::from_secs(1),
        checkpoint: Duration::from_secs(3600),
        keep: None,
        clock: Box::new(|| UnixTime(0.0)),
    });
    let log = open(&forger);
    for _ in 0..records {
        log.append(UnixTime(0.0), "forged", b"", When::Now).unwrap();
    }
    let writer = log.writer().to_owned();
    log.killed();
    let mut text = std::fs::read(path(&elsewhere, &writer, 1)).unwrap();
    // The record that tells of the forger's own book.
    let key = LinkKey::derive(&[0; 32], "forged").unwrap();
    let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    let (first, rest) = (lines[0].to_vec(), lines.len() - 2);
    let line = Line::read(first.strip_suffix(b"\n").unwrap()).unwrap();
    let mut place = Place { seq: 1, link: line.link };
    text = first.clone();
    for _ in 0..rest {
        place.seal(&key, &mut text, UnixTime(0.0), "forged", b"");
    }
    if is_closed {
        place.seal(&key, &mut text, UnixTime(0.0), "audit_writer_closed", b"");
    }
    std::fs::write(path(folder, &writer, 1), text).unwrap();
    writer
}

#[test]
fn a_forged_writer_is_seen_by_links_and_else_counted_as_what_nobody_signed() {
    for is_closed in [false, true] {
        let folder = Folder::new();
        let setup = setup(&folder);
        open(&setup).close().unwrap();
        assert_eq!((publicly(&setup).unsigned(), verify(&setup).unsigned()), (2, 2));
        let writer = forge(&folder, &setup, 50, is_closed);
        assert!(codes(&verify(&setup)).contains(&"changed"));
        let report = publicly(&setup);
        let told = report.writers.iter().find(|told| told.writer == writer).unwrap();
        assert_eq!((told.signed, told.unsigned), (0, told.records));
        assert_eq!(codes(&report), if is_closed { vec!["unsigned"] } else { vec![] });
    }
}

#[test]
fn a_log_is_sound_whenever_it_is_looked_at_while_it_is_written() {
    let folder = Folder::new();
    let setup = setup(&folder);
    let log = open(&setup);
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                log.append(UnixTime(0.0), "x", b"", When::Now).unwrap();
                log.checkpoint().unwrap();
                log.tend().unwrap();
            }
        });
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                open(&setup).close().unwrap();
            }
        });
        let reports: Vec<Report> = (0..25).map(|_| verify(&setup)).collect();
        is_done.store(true, Ordering::Relaxed);
        for report in reports {
            assert_eq!(report.faults, []);
        }
    });
}

#[test]
fn a_log_is_sound_whenever_it_is_looked_at_while_files_are_removed() {
    let folder = Folder::new();
    let clock = Arc::new(AtomicU64::new(1_795_460_400));
    let told = Arc::clone(&clock);
    let Ok(setup) = Arc::try_unwrap(setup(&folder)) else { panic!("it is shared") };
    let setup = Arc::new(Setup {
        keep: Some(Duration::from_secs(1)),
        clock: Box::new(move || UnixTime(told.load(Ordering::Relaxed) as f64)),
        ..setup
    });
    let log = open(&setup);
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                for _ in 0..5 {
                    log.append(UnixTime(0.0), "x", b"", When::Now).unwrap();
                }
                log.tend().unwrap();
                clock.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let mut reports = Vec::new();
        while reports.len() < 40 || (reports.len() < 5000 && !book(&folder).contains("audit_file_removed")) {
            reports.push(verify(&setup));
        }
        is_done.store(true, Ordering::Relaxed);
        for report in reports {
            assert_eq!(report.faults, []);
        }
    });
    assert!(book(&folder).contains("audit_file_removed"));
}

#[test]
fn what_is_no_file_is_told_and_neither_followed_nor_waited_for() {
    let folder = Folder::new();
    let setup = setup(&folder);
    let log = open(&setup);
    let place = path(&folder, log.writer(), 2);
    let other = path(&folder, &"ab".repeat(16), 1);
    for place in [&place, &other] {
        let name = place.file_name().unwrap().to_str().unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, place, rustix::fs::Mode::RWXU).unwrap();
        assert_eq!(verify(&setup).faults, [Fault::of(name, Kind::NoFile)]);
        open(&setup).close().unwrap();
        std::fs::remove_file(place).unwrap();
        std::os::unix::fs::symlink("/dev/zero", place).unwrap();
        assert_eq!(verify(&setup).faults, [Fault::of(name, Kind::NoFile)]);
        open(&setup).close().unwrap();
        std::fs::remove_file(place).unwrap();
    }
    assert_eq!(verify(&setup).faults, []);
    std::fs::remove_file(folder.path().join(heads::FILE)).unwrap();
    std::os::unix::fs::symlink("/dev/zero", folder.path().join(heads::FILE)).unwrap();
    assert!(verify(&setup).faults.contains(&Fault::of(heads::FILE, Kind::NoFile)));
}

#[test]
fn what_is_wrong_from_end_to_end_is_counted_and_does_not_fill_the_memory() {
    let folder = Folder::new();
    let setup = setup(&folder);
    let log = open(&setup);
    // A gap of 300,000 files is one fault.
    std::fs::write(path(&folder, log.writer(), 300_000), b"junk\n").unwrap();
    assert_eq!(codes(&verify(&setup)), ["unreadable"]);
    std::fs::remove_file(path(&folder, log.writer(), 300_000)).unwrap();
    let other = path(&folder, &"ab".repeat(16), 1);
    std::fs::write(&other, vec![b'\n'; 100_000]).unwrap();
    let report = verify(&setup);
    assert_eq!((report.faults.len(), report.more), (1000, 99_000));
    // A sparse file of 1 TiB ends at its first line.
    File::options().write(true).truncate(true).open(&other).unwrap().set_len(1 << 40).unwrap();
    assert_eq!(codes(&verify(&setup)), ["unreadable"]);
    open(&setup).close().unwrap();
}

/// Subtrees of 2^64 - 1 records are 64, and one more would be too many.
#[test]
fn an_opening_with_the_last_of_all_numbers_is_no_record() {
    let folder = Folder::new();
    let setup = setup(&folder);
    open(&setup).close().unwrap();
    let (hash, writer) = ("A".repeat(43), "ab".repeat(16));
    for seq in [u64::MAX, i64::MAX as u64] {
        let subtrees = vec![format!("\"{hash}\""); seq.count_ones() as usize].join(",");
        let line = format!(
            "{{\"seq\":{seq},\"time\":\"2026-11-29T10:00:00.000000Z\",\"event\":\"audit_file_opened\",\"log\":\"{}\",\
             \"writer\":\"{writer}\",\"file\":1,\"subtrees\":[{subtrees}],\"link\":\"{hash}\"}}\n",
            setup.signer.verifier().name()
        );
        std::fs::write(path(&folder, &writer, 1), line).unwrap();
        for report in [verify(&setup), publicly(&setup)] {
            assert!(!report.is_sound());
        }
    }
}
