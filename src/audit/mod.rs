//! Keeps a record of what happened, of which nobody can change, drop or add a part unseen.
//!
//! - `line.rs`, `lines.rs`, `track.rs`: a record, linked to the one before by HMAC, and how a chain of them is read.
//! - `merkle.rs`, `note.rs`: a signed root over all records of a writer, and short proofs against it.
//! - `identity.rs`: which log it is, of several that one key signs.
//! - `files.rs`, `log.rs`, `writing.rs`, `turning.rs`: one writer for each process, with files of its own, that is killed at any moment without
//!   harm.
//! - `heads.rs`, `pages.rs`, `survivors.rs`, `retention.rs`: the book of all writers, by which a missing file or end of a file is missed.
//! - `tap.rs`: the lines once more, for who sends them elsewhere.
//! - `proof.rs`: that a record was there, for somebody who has not the log.
//! - `verify/`: whether a log is what was written, and where it is not.
//!
//! # What it does not do
//! It keeps nobody who has the key from writing, and nobody who may write to the directory from destroying: it makes that be seen.
//!
//! # What cannot be seen
//! - All files put back to an earlier moment together. Only somebody who holds a later checkpoint sees it, of whichever writer: send
//!   them elsewhere. Each pins the book of heads, and by that every writer of the time.
//! - The end of a killed writer, cut off before anybody opens the log again: back to its last entry in the book, which is at most
//!   [`Setup::checkpoint`] old, or to its beginning, if it was younger. The same holds for the book's last lines, with the ends of the
//!   files that they tell of.
//! - With the public key alone, whatever stands behind the last checkpoint of a writer, and behind the last line of the book that a checkpoint
//!   covers: who may write to the directory may forge, change and drop it. A whole writer without a checkpoint may be made up, or taken out.
//!   The report counts what is so. Links, by which this is seen, take the private key.
//!
//! Sources: RFC 6962 and 9162; C2SP signed-note and tlog-checkpoint; Schneier and Kelsey 1999 (linked records under a key).

mod files;
mod heads;
mod identity;
mod line;
mod lines;
mod log;
mod merkle;
mod note;
mod pages;
mod proof;
mod retention;
mod survivors;
mod tap;
mod track;
mod turning;
mod verify;
mod writing;

#[cfg(test)]
mod testing;

pub use log::{Log, Setup, When};
pub use merkle::{
    Frontier, Hash, consistency, extends, includes, inclusion, inclusion_after, leaf, node, root,
};
pub use note::{Checkpoint, Signer, Verifier};
pub use pages::is_of;
pub use proof::{check, prove};
pub use tap::{Taken, Tap};
pub use verify::{Fault, Kind, Report, State, Told, Verify};
