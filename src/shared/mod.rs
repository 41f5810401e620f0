//! Words that the processes of a host share: one file, locked, initialised once, and mapped by each of them.
//!
//! A room that wants one truth for all workers says how its words are laid out ([`Layout`]) and opens a [`SharedWords`]; what
//! the words mean, and how two processes change one at once, is the room's own business. Where nothing is to be shared (a test, a process
//! alone), [`SharedWords::private`] is the same words in this process's memory.
//!
//! - `layout`: what a room says of its words, and the first page of the file, which repeats it.
//! - `place`: the directory and the file, checked to be the user's alone.
//! - `file`: the file, locked and mapped; the only `unsafe` of the project.
//! - `patience`: how long others are waited for who have the file.
//! - `presence`: which processes live.
//! - `refusal`: why a file cannot be joined, and what cures it.
//!
//! # What survives what
//! The words outlive every process, however it ends, and a reload. They begin anew at another boot of the host, and when a start finds no
//! process that maps them and wants another shape or version. While one maps them, whoever comes later takes its shape; another version is
//! refused, after five seconds in which its last process may have ended. So a room that changes what its words mean changes
//! the file's name too.
//!
//! # Deployment caveats
//! - "The host" is one kernel and one file: containers share it if they share the directory.
//! - The directory must be local (tmpfs or disk, not NFS) and not swept while workers live.
//! - Someone with the same user id can truncate the file under a worker, which is then killed by `SIGBUS`.

#[allow(unsafe_code)]
mod file;
mod layout;
mod patience;
mod place;
mod presence;
mod refusal;
mod seed;

pub use file::SharedWords;
pub use layout::{HEADER_WORDS, Layout};
pub use seed::Seed;

pub(crate) use file::Own;
pub(crate) use layout::HEADER_BYTES;
pub(crate) use presence::{COUNT_BITS, COUNTS, NUMBERS, Owner};

#[cfg(test)]
mod tests;
