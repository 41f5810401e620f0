//! Why the words' file cannot be joined while others use it, and what cures it.
//!
//! What nobody uses is made anew, whatever is in it: all of this is about a file that a process that runs has mapped, or
//! holds. A cure is always about that process. It does not find out which that is: a lock does not tell.

use crate::error::ConfigError;

use super::place::Place;

/// Why a file cannot be joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It is ours, and what it says of itself is not so.
    Damaged,
    /// Somebody holds it alone: who makes it does, and not for long.
    Locked,
    /// It is of another boot of the host, or of another clock.
    OtherBoot,
    /// It has what no release of ours for this room and kind of machine has written.
    OtherKind,
    /// It is of another release.
    OtherVersion,
    /// It is being made, or was left so.
    Unfinished,
}

impl Why {
    /// Whether it passes by itself, if nothing is amiss: who makes a file comes to an end, and who is of another release
    /// is being replaced.
    pub fn passes(self) -> bool {
        matches!(self, Self::Locked | Self::OtherVersion | Self::Unfinished)
    }
}

/// What is wrong, and the cure. Who uses a file is not known here: a lock does not tell.
pub(super) fn refused(place: &Place, why: Why) -> ConfigError {
    let path = place.path().display();
    let who = format!("`fuser {path}` and `lslocks` tell which");
    let (what, cure) = match why {
        Why::Damaged => (
            "is damaged, and a process that runs uses it",
            format!("Stop all processes that use it ({who}), and start again: it is then made anew"),
        ),
        Why::Locked => (
            "is locked by another program, for longer than it takes to make it",
            format!("End the program that holds the lock ({who}), and start again"),
        ),
        Why::OtherBoot => (
            "is in use by a process that goes by another clock: it runs on another kernel (a container in a virtual machine \
             of its own), or its clock is one of tests, that stands until it is advanced",
            format!("Give one of the two a directory of its own (shm:///...), or stop that process ({who})"),
        ),
        Why::OtherKind => (
            "has something else in it, and a process that runs uses it",
            format!("Give it a directory of its own (shm:///...), or stop that process ({who})"),
        ),
        Why::OtherVersion => (
            "is of another release, and a process that runs uses it",
            format!("Stop the processes of that release ({who}), and start again: it is then made anew"),
        ),
        Why::Unfinished => (
            "is empty or was never finished, and another program holds it",
            format!("End the program that holds it ({who}), and start again: it is then made anew"),
        ),
    };
    place.refused(what, &cure)
}
