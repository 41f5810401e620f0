//! Proofs that a record is in a log, for somebody who has not the log.
//!
//! A proof is the record, its writer's signed checkpoint, and the hashes from the record to the checkpoint's root: it shows, with the public key alone,
//! that the record stood there when the log was signed, and nothing of any other record. It is one JSON object.
//!
//! It needs the writer's files from the record's own on, up to that checkpoint: each says in its first record which trees it goes on with, which is all
//! that is needed of what stood before. So what was removed after its time is not missed. The checkpoint's root holds these fast: where they
//! are not what they were, there is no proof.

use std::io;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::files::{self, Named};
use super::identity::Origin;
use super::line::Line;
use super::lines::Lines;
use super::merkle::{self, Frontier, Hash};
use super::note::{Checkpoint, Verifier};

/// Makes the proof for record `seq` of `writer`, against the first checkpoint behind it. None if there is no such record, or none signed
/// behind it yet, or if what stands between is not what was signed.
///
/// # Errors
/// If a file cannot be read.
pub fn prove(directory: &Path, writer: &str, seq: u64, verifier: &Verifier) -> io::Result<Option<Value>> {
    let (files, _) = Named::all(directory)?;
    let mut part = Part::default();
    for named in files.iter().filter(|named| named.writer == writer) {
        let mut lines = Lines::of(files::open(&named.path(directory))?);
        while let Some(text) = lines.next()? {
            let Some(line) = Line::read(text.bytes) else { continue };
            if text.number == 1 && part.record.is_none() {
                part = Part::from(&line);
            }
            if line.seq != part.size() {
                // Something is missing before the record: the next file tells where it begins. Or behind it: then nothing is shown.
                if part.record.is_some() {
                    return Ok(None);
                }
                break;
            }
            if line.seq == seq {
                part.record = std::str::from_utf8(line.body).ok().map(|body| (seq, body.to_owned()));
            }
            if line.event == b"audit_checkpoint"
                && let Some(proof) = part.against(&line, writer, verifier)
            {
                return Ok(Some(proof));
            }
            part.push(merkle::leaf(line.body));
        }
    }
    Ok(None)
}

/// A piece of a writer's log: the tree over what stands before, and the leaves from there on.
#[derive(Default)]
struct Part {
    before: Frontier,
    leaves: Vec<Hash>,
    whole: Frontier,
    /// The record that is to be proved, once it is found: its number and body.
    record: Option<(u64, String)>,
}

impl Part {
    /// From the first record of a file on. What is no such record is taken for the first of all: its number then says that it is not.
    fn from(line: &Line<'_>) -> Self {
        let before = line.members().and_then(|members| line.subtrees(&members)).unwrap_or_default();
        Self { whole: before.clone(), before, ..Self::default() }
    }

    fn size(&self) -> u64 {
        self.whole.size()
    }

    fn push(&mut self, leaf: Hash) {
        self.leaves.push(leaf);
        self.whole.push(leaf);
    }

    /// The proof by the checkpoint that stands in this line, if it is one, of this writer and of what was read.
    fn against(&self, line: &Line<'_>, writer: &str, verifier: &Verifier) -> Option<Value> {
        let (seq, record) = self.record.as_ref()?;
        let members = line.members()?;
        let note = members["note"].as_str()?;
        let point = Checkpoint::parse(verifier.open(note)?)?;
        let origin = Origin::read(&point.origin, verifier.name())?;
        if origin.writer != writer || point.size != self.size() || point.root != self.whole.root() {
            return None;
        }
        let path = merkle::inclusion_after(&self.before, &self.leaves, *seq)?;
        let path: Vec<String> = path.iter().map(|hash| STANDARD.encode(hash)).collect();
        Some(json!({ "record": record, "index": seq, "path": path, "checkpoint": note }))
    }
}

/// Whether a proof holds: the record as JSON, and what the checkpoint says. None if it does not, or if it is of another log than the key's.
pub fn check(proof: &Value, verifier: &Verifier) -> Option<(Value, Checkpoint)> {
    let point = Checkpoint::parse(verifier.open(proof["checkpoint"].as_str()?)?)?;
    // One key may sign for more than audit logs.
    Origin::read(&point.origin, verifier.name())?;
    let record = proof["record"].as_str()?;
    let path: Option<Vec<Hash>> = proof["path"]
        .as_array()?
        .iter()
        .map(|hash| STANDARD.decode(hash.as_str()?).ok()?.try_into().ok())
        .collect();
    let leaf = merkle::leaf(record.as_bytes());
    if !merkle::includes(&leaf, proof["index"].as_u64()?, point.size, &path?, &point.root) {
        return None;
    }
    let shown = serde_json::from_str(&format!("{record}}}")).ok()?;
    Some((shown, point))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::audit::testing::Folder;
    use crate::audit::{Log, Setup, Signer, When};
    use crate::time::UnixTime;

    #[test]
    fn what_was_kept_is_proved_whichever_files_before_it_are_gone() {
        let folder = Folder::new();
        let setup = crate::audit::testing::setup(&folder);
        let log = Log::open(Arc::clone(&setup)).unwrap();
        for i in 0..60 {
            log.append(UnixTime(0.0), "authz_fail", format!(",\"n\":{i}").as_bytes(), When::Now).unwrap();
            log.tend().unwrap();
        }
        log.close().unwrap();
        let verifier = setup.signer.verifier();
        let files = Named::all(folder.path()).unwrap().0;
        assert!(files.len() > 4, "{}", files.len());
        for gone in &files {
            let mut text = Lines::of(files::open(&gone.path(folder.path())).unwrap());
            let first = Line::read(text.next().unwrap().unwrap().bytes).unwrap().seq;
            for seq in first.saturating_sub(1)..first + 6 {
                let proof = prove(folder.path(), log.writer(), seq, verifier).unwrap();
                // The last two of a writer are its last checkpoint and its end, which nothing signs.
                if seq < first || (gone == files.last().unwrap() && proof.is_none()) {
                    assert_eq!(proof, None);
                    continue;
                }
                assert_eq!(check(&proof.unwrap(), verifier).unwrap().0["seq"], seq);
            }
            std::fs::remove_file(gone.path(folder.path())).unwrap();
        }
    }

    #[test]
    fn every_signed_record_is_proved_to_who_has_the_public_key_alone() {
        let folder = Folder::new();
        let setup = Arc::new(Setup {
            directory: folder.path().to_owned(),
            signer: Signer::generate("log").unwrap(),
            host: "h".to_owned(),
            max_file: 1000,
            max_page: u64::MAX,
            sync: Duration::from_secs(1),
            checkpoint: Duration::from_secs(3600),
            keep: None,
            clock: Box::new(|| UnixTime(0.0)),
        });
        let log = Log::open(Arc::clone(&setup)).unwrap();
        for i in 0..20 {
            log.append(UnixTime(0.0), "authz_fail", format!(",\"n\":{i}").as_bytes(), When::Now).unwrap();
            log.tend().unwrap();
        }
        log.checkpoint().unwrap();
        let last = log.append(UnixTime(0.0), "authz_fail", b"", When::Now).unwrap();
        let verifier = setup.signer.verifier();
        // The last but one is the checkpoint itself, and nothing was signed after it.
        for seq in 0..last - 1 {
            let proof = prove(folder.path(), log.writer(), seq, verifier).unwrap().unwrap();
            let (record, point) = check(&proof, verifier).unwrap();
            assert_eq!(record["seq"], seq);
            assert!(point.size > seq && point.origin.ends_with(log.writer()));
            assert_eq!(check(&proof, Signer::generate("log").unwrap().verifier()), None);
            let mut other = proof.clone();
            other["record"] = json!(proof["record"].as_str().unwrap().replace("\"seq\":", "\"seq\": "));
            assert_eq!(check(&other, verifier), None);
            let mut other = proof;
            other["index"] = json!(seq + 1);
            assert_eq!(check(&other, verifier), None);
        }
        // A copy under the name of a writer that never was proves nothing of that one.
        let other = "b".repeat(32);
        for (named, copy) in Named::all(folder.path()).unwrap().0.into_iter().map(|named| {
            let copy = Named { writer: other.clone(), number: named.number };
            (named, copy)
        }) {
            std::fs::copy(named.path(folder.path()), copy.path(folder.path())).unwrap();
        }
        assert_eq!(prove(folder.path(), &other, 2, verifier).unwrap(), None);
        let point =
            Checkpoint { origin: "log".to_owned(), size: 1, root: merkle::leaf(b"{\"a\":1"), heads: None };
        let foreign = setup.signer.sign(&point.to_text());
        let proof = json!({ "record": "{\"a\":1", "index": 0, "path": [], "checkpoint": foreign });
        assert_eq!(check(&proof, verifier), None);
        for unsigned in [last - 1, last, last + 1] {
            assert_eq!(prove(folder.path(), log.writer(), unsigned, verifier).unwrap(), None);
        }
    }
}
