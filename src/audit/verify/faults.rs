//! What can be wrong with a log, and where.

/// Something that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file's name.
    pub file: String,
    /// The line, from 1, if it is in one.
    pub line: Option<u64>,
    /// What.
    pub kind: Kind,
}

impl Fault {
    pub(super) fn of(file: &str, kind: Kind) -> Self {
        Self { file: file.to_owned(), line: None, kind }
    }
}

/// What can be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// There is more than was entered when the writer was found dead, or after it had closed.
    Added,
    /// The record or its link is not what was written.
    Changed,
    /// A checkpoint is not signed by this key, or not of the records before it.
    Checkpoint,
    /// A file that was entered is not there.
    FileMissing,
    /// The files from the first to the last of these numbers are not there.
    FilesMissing(u64, u64),
    /// Records from the first to the last of these numbers are not there.
    Missing(u64, u64),
    /// What has a file's name is none: a link, a pipe, a directory.
    NoFile,
    /// The record belongs elsewhere, or stands here for the second time; or so does a file.
    OutOfPlace,
    /// A file does not begin as its name says, or is empty.
    Opening,
    /// The book is of another log than that which was asked for; or a checkpoint is of another than the book.
    OtherLog,
    /// A process noticed that somebody had changed the log, and wrote that down.
    Noticed,
    /// The book of heads is not that which was there when a record of a writer, or a checkpoint, told of it: one of its lines up to this was changed or
    /// taken out, or it was cut back and has grown again.
    Rewritten,
    /// Records up to this number were entered or signed, and are not there any more.
    Truncated(u64),
    /// The line is no record.
    Unreadable,
    /// A writer says that it has closed, and the checkpoint that goes before that is not there: without the private key nobody can say who wrote it.
    Unsigned,
}

impl Kind {
    /// A stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Kind::Added => "added",
            Kind::Changed => "changed",
            Kind::Checkpoint => "checkpoint",
            Kind::FileMissing | Kind::FilesMissing(..) => "file_missing",
            Kind::Missing(..) => "missing",
            Kind::NoFile => "no_file",
            Kind::OutOfPlace => "out_of_place",
            Kind::OtherLog => "other_log",
            Kind::Opening => "opening",
            Kind::Noticed => "noticed",
            Kind::Rewritten => "rewritten",
            Kind::Truncated(_) => "truncated",
            Kind::Unreadable => "unreadable",
            Kind::Unsigned => "unsigned",
        }
    }

    /// From and to which number, where it is of such.
    pub fn range(&self) -> (Option<u64>, Option<u64>) {
        match *self {
            Kind::Missing(from, to) | Kind::FilesMissing(from, to) => (Some(from), Some(to)),
            Kind::Truncated(to) => (None, Some(to)),
            _ => (None, None),
        }
    }
}

/// Faults as they are found. A log that is wrong from end to end does not fill the memory.
#[derive(Default)]
pub(in crate::audit) struct Faults {
    pub(super) list: Vec<Fault>,
    pub(super) more: u64,
}

impl Faults {
    pub(super) fn push(&mut self, fault: Fault) {
        if self.list.len() < MOST {
            self.list.push(fault);
        } else {
            self.more += 1;
        }
    }
}

const MOST: usize = 1000;
