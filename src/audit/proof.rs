//! Proofs that a record is in a log, for somebody who has not the log.
//!
//! A proof is the record, its writer's signed checkpoint, and the hashes from the record to the checkpoint's root: it shows, with the public key alone,
//! that the record stood there when the log was signed, and nothing of any other record. It is one JSON object.
//!
//! It needs all files of the writer up to that checkpoint: where the first of them were removed after their time, there is none.

use std::io;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::files::{self, Named};
use super::line::Line;
use super::lines::Lines;
use super::merkle::{self, Hash};
use super::note::{Checkpoint, Verifier};

/// Makes the proof for record `seq` of `writer`, against the first checkpoint behind it. None if there is no such record, or none signed
/// behind it yet, or files before it are gone.
///
/// # Errors
/// If a file cannot be read.
pub fn prove(directory: &Path, writer: &str, seq: u64, verifier: &Verifier) -> io::Result<Option<Value>> {
    let (files, _) = Named::all(directory)?;
    let origin = format!("{}/{writer}", verifier.name());
    let (mut leaves, mut record): (Vec<Hash>, Option<String>) = (Vec::new(), None);
    for named in files.iter().filter(|named| named.writer == writer) {
        let mut lines = Lines::of(files::open(&named.path(directory))?);
        while let Some(text) = lines.next()? {
            let Some(line) = Line::read(text.bytes) else { continue };
            if line.seq != leaves.len() as u64 {
                return Ok(None);
            }
            if line.seq == seq {
                record = std::str::from_utf8(line.body).ok().map(str::to_owned);
            }
            if line.event == b"audit_checkpoint"
                && let Some(body) = &record
                && let Some((proof, _)) =
                    against(&line, &leaves, seq, body, verifier).filter(|(_, point)| point.origin == origin)
            {
                return Ok(Some(proof));
            }
            leaves.push(merkle::leaf(line.body));
        }
    }
    Ok(None)
}

fn against(
    line: &Line<'_>,
    leaves: &[Hash],
    seq: u64,
    record: &str,
    verifier: &Verifier,
) -> Option<(Value, Checkpoint)> {
    let members = line.members()?;
    let note = members["note"].as_str()?;
    let point = Checkpoint::parse(verifier.open(note)?)?;
    if point.size != leaves.len() as u64 || point.root != merkle::root(leaves) {
        return None;
    }
    let path = merkle::inclusion(leaves, usize::try_from(seq).ok()?)?;
    let path: Vec<String> = path.iter().map(|hash| STANDARD.encode(hash)).collect();
    Some((json!({ "record": record, "index": seq, "path": path, "checkpoint": note }), point))
}

/// Whether a proof holds: the record as JSON, and what the checkpoint says. None if it does not, or if it is of another log than the key's.
pub fn check(proof: &Value, verifier: &Verifier) -> Option<(Value, Checkpoint)> {
    let point = Checkpoint::parse(verifier.open(proof["checkpoint"].as_str()?)?)?;
    // One key may sign for more than audit logs; the name is that of the key, and a writer.
    let writer = point.origin.strip_prefix(verifier.name())?.strip_prefix('/')?;
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
    (!writer.contains('/')).then_some((shown, point))
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
