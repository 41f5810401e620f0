#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! What the vault promises, seen from its front.

mod indexes;
mod keysets;
mod sealing;
mod wrapping;
mod wycheproof;

use super::wire::{self, KeyData};
use super::*;
use crate::crypto::Failed;
use crate::error::ConfigError;
use crate::secret::Secret;

/// Bytes that are other each time, and the same in each run.
fn counting() -> impl FnMut(&mut [u8]) -> Result<(), Failed> {
    let mut state = 7u64;
    move |out| {
        for byte in out {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            *byte = state.to_be_bytes()[1];
        }
        Ok(())
    }
}

fn keyset(template: &str, prefix: OutputPrefix) -> Keyset {
    Keyset::generate(Template::named(template).expect("a template"), Some(prefix), &mut counting())
        .expect("a keyset")
}

fn refused(message: &wire::Keyset) -> String {
    Keyset::from_binary(wire::encode(message).expose()).expect_err("not sound").to_string()
}

/// Seals and opens by whatever a keyset is for.
fn sealer(keyset: &Keyset) -> Box<dyn Seals> {
    match keyset.primitive() {
        Some(Primitive::Aead) => Box::new(Aead::new(keyset).expect("an AEAD")),
        _ => Box::new(DeterministicAead::new(keyset).expect("a deterministic AEAD")),
    }
}

trait Seals {
    fn seal(&self, text: &[u8], associated: &[u8]) -> Vec<u8>;
    fn open(&self, sealed: &[u8], associated: &[u8]) -> Result<Secret, Unopened>;
}

impl<C: Cipher> Seals for Sealer<C> {
    fn seal(&self, text: &[u8], associated: &[u8]) -> Vec<u8> {
        Sealer::seal(self, text, associated, &mut counting()).expect("sealed")
    }
    fn open(&self, sealed: &[u8], associated: &[u8]) -> Result<Secret, Unopened> {
        Sealer::open(self, sealed, associated)
    }
}

const SEALING: [&str; 7] = [
    "AES128_GCM",
    "AES128_GCM_SIV",
    "AES256_GCM",
    "AES256_GCM_SIV",
    "AES256_SIV",
    "CHACHA20_POLY1305",
    "XCHACHA20_POLY1305",
];
const PREFIXES: [OutputPrefix; 3] = [OutputPrefix::Tink, OutputPrefix::Crunchy, OutputPrefix::Raw];

/// A keyset of one `RAW` key of this template with these bytes, where the template has a key of this length.
fn of_key(template: &str, key: &[u8]) -> Result<Aead, ConfigError> {
    let template = Template::named(template)?;
    let message = wire::Keyset {
        primary_key_id: 1,
        key: vec![wire::Key {
            key_data: Some(KeyData {
                type_url: template.type_url.to_owned(),
                value: wire::shared((template.encode)(key).expose().to_vec()),
                key_material_type: 1,
            }),
            status: 1,
            key_id: 1,
            output_prefix_type: OutputPrefix::Raw.number(),
        }],
    };
    Aead::new(&Keyset::from_wire(message)?)
}
