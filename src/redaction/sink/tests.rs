#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use std::io::Read;
use std::path::Path;
use std::time::Instant;

use super::*;

const NEVER: Duration = Duration::from_secs(3600);

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sink-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("access.log")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn sink(path: &Path, delay: Duration) -> Sink {
    let redactor = Arc::new(Redactor::new(&[]).unwrap());
    let sink = Sink::new(redactor, Outlet::File(path.to_owned()), delay).unwrap();
    sink.start();
    sink
}

/// A request that is known by its target.
fn request(target: &str) -> Access<'_> {
    Access {
        request_id: "1",
        client: None,
        method: "GET",
        route: None,
        target,
        status: 200,
        micros: 1,
        size: None,
        principal: None,
        codes: &[],
        complete: true,
    }
}

fn say(sink: &Sink, target: &str) -> bool {
    sink.write(&request(target), UnixTime(1_795_460_400.0)).unwrap()
}

/// The targets of the lines, each with its end.
fn written(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    text.split_inclusive('\n').map(target).collect()
}

fn target(line: &str) -> String {
    let found = line.split("\"target\":\"").nth(1).and_then(|rest| rest.split('"').next());
    found.map_or_else(|| line.to_owned(), |target| format!("{target}\n"))
}

#[test]
fn lines_wait_for_the_delay_and_are_then_written_without_being_asked() {
    let folder = Folder::new("delay");
    let sink = sink(&folder.file(), Duration::from_millis(20));
    assert!(!say(&sink, "one"));
    assert!(!say(&sink, "two"));
    let started = Instant::now();
    while written(&folder.file()).is_empty() {
        assert!(started.elapsed() < Duration::from_secs(20));
        std::thread::yield_now();
    }
    assert_eq!(written(&folder.file()), "one\ntwo\n");
}

#[test]
fn without_a_delay_a_line_is_due_at_once() {
    let folder = Folder::new("none");
    let sink = sink(&folder.file(), Duration::ZERO);
    assert!(say(&sink, "one"));
    sink.flush().unwrap();
    assert_eq!(written(&folder.file()), "one\n");
}

#[test]
fn what_waits_is_bounded_by_its_size() {
    let folder = Folder::new("bound");
    let sink = sink(&folder.file(), NEVER);
    let target = "x".repeat(1024);
    let due = (0..64).find(|_| say(&sink, &target)).expect("64 KiB are due");
    assert!((55..=63).contains(&due), "{due}");
    sink.flush().unwrap();
    assert_eq!(written(&folder.file()).lines().count(), due + 1);
}

#[test]
fn what_waits_is_written_when_the_sink_is_dropped() {
    let folder = Folder::new("drop");
    let sink = sink(&folder.file(), NEVER);
    say(&sink, "last words");
    drop(sink);
    assert_eq!(written(&folder.file()), "last words\n");
}

#[test]
fn a_renewed_sink_has_none_of_the_lines_that_wait_in_the_old_one() {
    let folder = Folder::new("renewed");
    let parent = sink(&folder.file(), NEVER);
    say(&parent, "parent");
    let child = parent.renewed();
    assert!(child.needs_thread());
    child.start();
    say(&child, "child");
    drop(child);
    assert_eq!(written(&folder.file()), "child\n");
    drop(parent);
    assert_eq!(written(&folder.file()), "child\nparent\n");
}

#[test]
fn threads_and_sinks_do_not_tear_one_anothers_lines() {
    let folder = Folder::new("threads");
    let sinks: Vec<Sink> = (0..2).map(|_| sink(&folder.file(), Duration::from_millis(1))).collect();
    std::thread::scope(|scope| {
        for thread in 0..4_usize {
            let sink = &sinks[thread % 2];
            scope.spawn(move || {
                for number in 0..2_000 {
                    if say(sink, &format!("{thread} {number} {}", "y".repeat(thread * 31))) {
                        sink.flush().unwrap();
                    }
                }
            });
        }
    });
    drop(sinks);
    let text = written(&folder.file());
    let mut next = [0; 4];
    for line in text.lines() {
        let parts: Vec<&str> = line.split(' ').collect();
        let thread: usize = parts[0].parse().unwrap();
        assert_eq!(parts[1].parse::<i32>().unwrap(), next[thread], "in order, none lost");
        assert_eq!(parts[2].len(), thread * 31);
        next[thread] += 1;
    }
    assert_eq!(next, [2_000; 4]);
}

#[test]
fn a_file_that_was_rotated_away_is_left_alone_and_a_new_one_begun() {
    let folder = Folder::new("rotated");
    let (file, old) = (folder.file(), folder.0.join("access.log.1"));
    let sink = sink(&file, NEVER);
    say(&sink, "before");
    sink.flush().unwrap();
    std::fs::rename(&file, &old).unwrap();
    say(&sink, "after");
    sink.flush().unwrap();
    assert_eq!((written(&old), written(&file)), ("before\n".to_owned(), "after\n".to_owned()));
    std::fs::remove_file(&file).unwrap();
    say(&sink, "again");
    sink.flush().unwrap();
    assert_eq!(written(&file), "again\n");
}

#[test]
fn where_no_new_file_can_be_made_the_old_one_goes_on() {
    let folder = Folder::new("stuck");
    let inner = folder.0.join("inner");
    std::fs::create_dir(&inner).unwrap();
    let file = inner.join("access.log");
    let sink = sink(&file, NEVER);
    let mut old = File::open(&file).unwrap();
    std::fs::remove_dir_all(&inner).unwrap();
    say(&sink, "still here");
    sink.flush().unwrap();
    let mut text = String::new();
    old.read_to_string(&mut text).unwrap();
    assert_eq!(target(&text), "still here\n");
}

#[cfg(target_os = "linux")]
#[test]
fn lines_that_a_full_disk_refuses_are_counted_and_the_next_caller_is_told() {
    let sink = sink(Path::new("/dev/full"), NEVER);
    say(&sink, "one");
    say(&sink, "two");
    let failure = sink.flush().unwrap_err();
    assert_eq!(failure.lost, 2);
    assert_eq!(failure.error.raw_os_error(), Some(28));
    say(&sink, "three");
    sink.shared.flush();
    let failure = sink.write(&request("four"), UnixTime(1.0)).unwrap_err();
    assert_eq!(failure.lost, 1);
}

#[test]
fn a_pipe_gets_whole_lines_in_pieces_that_it_takes_at_once() {
    let line = |length: usize| format!("{}\n", "z".repeat(length - 1)).into_bytes();
    assert_eq!(piece(&line(100)), 100);
    assert_eq!(piece(&line(PIECE * 3)), PIECE * 3, "a line longer than a piece is written alone");
    let lines = [line(PIECE / 2), line(PIECE / 4), line(PIECE)].concat();
    assert_eq!(piece(&lines), PIECE / 2 + PIECE / 4);
    assert_eq!(
        piece(&vec![b'z'; PIECE + 1]),
        PIECE + 1,
        "without a line's end there is nothing to keep whole"
    );
}

#[test]
fn a_line_that_was_torn_does_not_swallow_the_next() {
    let folder = Folder::new("torn");
    let sink = sink(&folder.file(), NEVER);
    lock(&sink.shared.open).is_torn = true;
    std::fs::write(folder.file(), "half a li").unwrap();
    say(&sink, "whole");
    sink.flush().unwrap();
    assert_eq!(written(&folder.file()), "half a li\nwhole\n");
}
