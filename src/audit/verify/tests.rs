#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::audit::testing::Folder;
use crate::audit::{Log, Setup, When};
use crate::time::UnixTime;

const NOW: UnixTime = UnixTime(1_795_460_400.0);

fn setup(folder: &Folder) -> Arc<Setup> {
    named(folder, "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")
}

fn named(folder: &Folder, key: &str) -> Arc<Setup> {
    Arc::new(Setup {
        directory: folder.path().to_owned(),
        signer: Signer::parse(key).unwrap(),
        host: "host-1".to_owned(),
        max_file: 3000,
        max_page: u64::MAX,
        sync: Duration::from_secs(1),
        checkpoint: Duration::from_secs(3600),
        keep: None,
        clock: Box::new(|| NOW),
    })
}

fn fill(log: &Log, records: usize) {
    for i in 0..records {
        let members = format!(",\"request\":\"{i}\",\"code\":\"auth.role\"");
        log.append(NOW, "authz_fail", members.as_bytes(), When::Now).unwrap();
    }
}

/// Two writers: one that closed after three files, one that was killed, and one that found it so and closed.
fn written(folder: &Folder) -> Arc<Setup> {
    let setup = setup(folder);
    let one = Log::open(Arc::clone(&setup)).unwrap();
    for _ in 0..2 {
        fill(&one, 20);
        one.tend().unwrap();
    }
    fill(&one, 5);
    one.close().unwrap();
    let killed = Log::open(Arc::clone(&setup)).unwrap();
    fill(&killed, 5);
    killed.checkpoint().unwrap();
    fill(&killed, 5);
    kill(killed);
    let last = Log::open(Arc::clone(&setup)).unwrap();
    fill(&last, 3);
    last.close().unwrap();
    setup
}

/// Ends a writer as SIGKILL does: its descriptor is closed, and nothing more is written.
fn kill(log: Log) {
    log.killed();
}

fn verify(setup: &Setup) -> Report {
    Verify::with(&setup.signer).run(&setup.directory).unwrap()
}

fn publicly(setup: &Setup) -> Report {
    Verify::public(setup.signer.verifier().clone()).run(&setup.directory).unwrap()
}

fn files(folder: &Folder) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder.path()).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect::<BTreeSet<_>>().into_iter().collect()
}

#[test]
fn what_was_written_is_sound_with_either_key() {
    let folder = Folder::new();
    let setup = written(&folder);
    for report in [verify(&setup), publicly(&setup)] {
        assert_eq!(report.faults, []);
        let states: BTreeSet<String> =
            report.writers.iter().map(|told| format!("{:?}", told.state)).collect();
        assert_eq!(states, BTreeSet::from(["Closed".to_owned(), "Lost".to_owned()]));
        assert_eq!(report.writers.iter().map(|told| told.files).sum::<u32>(), 5);
        assert_eq!(report.others, [""; 0]);
        assert!(report.records() > 58);
    }
}

#[test]
fn a_log_that_is_being_written_is_sound() {
    let folder = Folder::new();
    let setup = setup(&folder);
    let log = Log::open(Arc::clone(&setup)).unwrap();
    fill(&log, 3);
    let report = verify(&setup);
    assert_eq!(report.faults, []);
    assert_eq!(report.writers[0].state, State::Running);
    assert_eq!(report.writers[0].records, 5);
}

#[test]
fn a_writer_that_was_killed_within_a_record_verifies_up_to_the_last_whole_one() {
    let folder = Folder::new();
    let setup = setup(&folder);
    let log = Log::open(Arc::clone(&setup)).unwrap();
    fill(&log, 3);
    kill(log);
    let path = files(&folder).remove(0);
    let whole = std::fs::read(&path).unwrap();
    let last = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    for cut in [last + 1, last + 40, whole.len() - 1] {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let report = verify(&setup);
        assert_eq!(report.faults, []);
        assert_eq!((report.writers[0].state, report.writers[0].records), (State::Left, 4));
        assert_eq!(report.writers[0].torn, (cut - last) as u64);
    }
    Log::open(Arc::clone(&setup)).unwrap().close().unwrap();
    assert_eq!(verify(&setup).faults, []);
    // From now on its end is known: what is cut off or added is missed.
    let entered = std::fs::read(&path).unwrap();
    std::fs::write(&path, &entered[..last]).unwrap();
    assert_eq!(verify(&setup).faults.len(), 1);
    let before = entered[..last - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    std::fs::write(&path, &entered[..before]).unwrap();
    assert_eq!(verify(&setup).faults[0].kind, Kind::Truncated(3));
    std::fs::write(&path, [&entered[..], b"x"].concat()).unwrap();
    assert_eq!(verify(&setup).faults[0].kind, Kind::Added);
}

#[test]
fn a_changed_record_is_named_by_its_line_and_those_after_it_are_not_blamed() {
    let folder = Folder::new();
    let setup = written(&folder);
    for path in files(&folder) {
        let whole = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = whole.lines().collect();
        for at in 0..lines.len() {
            let mut changed: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            changed[at] = changed[at].replacen("2026-11-23", "2026-11-24", 1);
            std::fs::write(&path, changed.join("\n") + "\n").unwrap();
            let report = verify(&setup);
            let fault = Fault {
                file: path.file_name().unwrap().to_str().unwrap().to_owned(),
                line: Some(at as u64 + 1),
                kind: Kind::Changed,
            };
            assert_eq!(report.faults.first(), Some(&fault), "{:?}", report.faults);
        }
        std::fs::write(&path, whole).unwrap();
    }
}

/// The book's last line tells of an end that the writer's own file tells as well: a process may have been killed between the two.
/// So it is not missed, and nothing is lost with it.
fn is_last_of_book(path: &std::path::Path, at: usize, lines: usize) -> bool {
    path.ends_with(heads::FILE) && at + 1 == lines
}

#[test]
fn a_record_that_is_deleted_doubled_or_moved_is_named() {
    let folder = Folder::new();
    let setup = written(&folder);
    for path in files(&folder) {
        let whole = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = whole.lines().collect();
        let told = |lines: &[&str]| {
            std::fs::write(&path, lines.join("\n") + "\n").unwrap();
            verify(&setup).faults
        };
        for at in 0..lines.len() {
            let mut less = lines.clone();
            less.remove(at);
            let faults = told(&less);
            let is_missed = !is_last_of_book(&path, at, lines.len());
            assert_eq!(!faults.is_empty(), is_missed, "deleted {at} of {}", lines.len());
            if at + 1 < lines.len() && at > 0 {
                assert!(matches!(faults[0].kind, Kind::Missing(from, to) if from == to), "{faults:?}");
                assert_eq!(faults[0].line, Some(at as u64 + 1));
            }
            let mut more = lines.clone();
            more.insert(at, lines[at]);
            assert!(told(&more).iter().any(|fault| matches!(fault.kind, Kind::OutOfPlace | Kind::Added)));
            if at > 0 {
                let mut other = lines.clone();
                other.swap(at, at - 1);
                assert!(told(&other).iter().any(|fault| fault.kind == Kind::OutOfPlace));
            }
        }
        std::fs::write(&path, whole).unwrap();
    }
}

#[test]
fn a_file_that_is_removed_renamed_or_put_in_the_place_of_another_is_named() {
    let folder = Folder::new();
    let setup = written(&folder);
    let all = files(&folder);
    for path in &all {
        let whole = std::fs::read(path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        std::fs::remove_file(path).unwrap();
        let faults = verify(&setup).faults;
        assert!(faults.contains(&Fault::of(name, Kind::FileMissing)), "{name}: {faults:?}");
        let renamed = folder.path().join("kept.jsonl");
        std::fs::write(&renamed, &whole).unwrap();
        let report = verify(&setup);
        assert_eq!((report.others, report.faults), (vec!["kept.jsonl".to_owned()], faults));
        std::fs::remove_file(renamed).unwrap();
        for other in all.iter().filter(|other| *other != path) {
            std::fs::copy(other, path).unwrap();
            assert!(!verify(&setup).is_sound());
        }
        std::fs::write(path, whole).unwrap();
    }
    assert!(verify(&setup).is_sound());
}

#[test]
fn the_end_of_any_file_cannot_be_cut_off_unseen() {
    let folder = Folder::new();
    let setup = written(&folder);
    for path in files(&folder) {
        let whole = std::fs::read(&path).unwrap();
        let ends = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
        let ends: Vec<usize> = ends.collect();
        for (at, end) in ends[..ends.len() - 1].iter().enumerate() {
            for cut in [*end, end + 10] {
                std::fs::write(&path, &whole[..cut]).unwrap();
                let is_missed = !is_last_of_book(&path, at + 1, ends.len());
                assert_eq!(!verify(&setup).is_sound(), is_missed, "{path:?} {cut}");
            }
        }
        std::fs::write(&path, whole).unwrap();
    }
}

#[test]
fn lines_of_another_log_or_another_key_are_not_taken() {
    let folder = Folder::new();
    let setup = setup(&folder);
    let log = Log::open(Arc::clone(&setup)).unwrap();
    fill(&log, 3);
    log.close().unwrap();
    // An attacker without the key writes a whole log by the same code.
    let forged = Folder::new();
    let key = Signer::generate("PeterNeumann").unwrap().to_text();
    let forger = named(&forged, std::str::from_utf8(key.expose()).unwrap());
    Log::open(forger).unwrap().close().unwrap();
    for path in files(&forged) {
        std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    for report in [verify(&setup), publicly(&setup)] {
        assert!(!report.is_sound());
    }
}

#[test]
fn all_files_put_back_together_are_seen_by_whoever_kept_a_later_checkpoint() {
    let folder = Folder::new();
    let setup = setup(&folder);
    let log = Log::open(Arc::clone(&setup)).unwrap();
    fill(&log, 3);
    let before: Vec<_> =
        files(&folder).into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    fill(&log, 3);
    log.checkpoint().unwrap();
    let path = files(&folder).remove(0);
    let text = std::fs::read_to_string(path).unwrap();
    let record: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let note = record["note"].as_str().unwrap().to_owned();
    let mut verify = Verify::with(&setup.signer);
    assert!(verify.known(&note));
    assert!(!verify.known(&note.replace("\n8\n", "\n9\n")));
    assert_eq!(verify.run(folder.path()).unwrap().faults, []);
    for (path, bytes) in before {
        std::fs::write(path, bytes).unwrap();
    }
    assert_eq!(verify.run(folder.path()).unwrap().faults[0].kind, Kind::Truncated(7));
}

#[test]
fn no_log_is_not_a_sound_one() {
    let folder = Folder::new();
    let setup = setup(&folder);
    assert!(Verify::with(&setup.signer).run(folder.path()).is_err());
}

/// SplitMix64, so that a run repeats.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }
}

#[test]
fn random_bytes_changed_anywhere_are_found() {
    let folder = Folder::new();
    let setup = written(&folder);
    let all: Vec<_> =
        files(&folder).into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    let mut dice = Dice(7);
    for round in 0..600 {
        let (path, whole) = &all[dice.roll(all.len())];
        let mut changed = whole.clone();
        let at = dice.roll(changed.len());
        match round % 4 {
            0 => changed[at] ^= 1 << dice.roll(8),
            1 => drop(changed.remove(at)),
            2 => changed.insert(at, b"0}\n\"a"[dice.roll(5)]),
            _ => {
                let other = dice.roll(changed.len());
                changed.swap(at, other);
            }
        }
        if changed == *whole {
            continue;
        }
        std::fs::write(path, &changed).unwrap();
        let report = verify(&setup);
        // Without its line break, the book's last line is the unfinished one of a process that was killed.
        let is_torn = path.ends_with(heads::FILE) && changed.last() != Some(&b'\n');
        assert!(!report.is_sound() || is_torn, "round {round}: byte {at} of {path:?}");
        std::fs::write(path, whole).unwrap();
    }
}
