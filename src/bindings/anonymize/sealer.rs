//! Seals tokens by keysets that the caller has: those of now, whenever a plan was made.
//!
//! 1. A plan asks for the keyset of each name when it is made, and again at each call of its own (a record, a column, a
//!    piece of a file, a token that is reversed): after a vault has read its keysets anew, these are other objects.
//! 2. What asking raises is passed on, and nothing is sealed by what was known before: that keyset may be one whose keys
//!    were destroyed.
//! 3. A keyset for something else than tokens is refused, when it is met.
//!
//! It does not ask for each value: a call goes on with the keysets that it began with, or those of a call beside it.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use pyo3::prelude::*;

use super::super::vault::PyKeyset;
use crate::anonymize::Sealer;
use crate::crypto::{Failed, fill_random};
use crate::error::ConfigError;
use crate::vault::Primitive;

/// The function that gives keysets by name, what it has given, and what it has raised.
pub(super) struct Sealers {
    by_name: Py<PyAny>,
    given: Mutex<Vec<Arc<Named>>>,
    raised: Mutex<Option<PyErr>>,
}

impl Sealers {
    pub(super) fn new(by_name: &Bound<'_, PyAny>) -> Self {
        Self { by_name: by_name.clone().unbind(), given: Mutex::default(), raised: Mutex::default() }
    }

    /// The function, for the collector of cycles.
    pub(super) fn by_name(&self) -> &Py<PyAny> {
        &self.by_name
    }

    /// What seals now.
    pub(super) fn told(&self) -> Vec<Told> {
        let given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        let mut told: Vec<Told> = given.iter().map(|named| named.told()).collect();
        told.sort();
        told.dedup();
        told
    }

    /// What seals by the keyset of this name, while the plan is made.
    pub(super) fn of(&self, py: Python<'_>, name: Option<&str>) -> Result<Box<dyn Sealer>, ConfigError> {
        let keyset = self.asked(py, name).map_err(|error| {
            *self.raised.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            ConfigError::new("the function that gives keysets has failed")
        })?;
        let now = RwLock::new(Now::of(keyset)?);
        let named = Arc::new(Named { name: name.map(str::to_owned), now });
        self.given.lock().unwrap_or_else(PoisonError::into_inner).push(named.clone());
        Ok(Box::new(ByKeyset(named)))
    }

    /// What the function has raised, to be passed on.
    pub(super) fn raised(&self) -> Option<PyErr> {
        self.raised.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Asks for all keysets again.
    pub(super) fn renew(&self, py: Python<'_>) -> PyResult<()> {
        // Nothing is locked while Python runs: it may come back here.
        let given = self.given.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for named in given {
            let keyset = self.asked(py, named.name.as_deref())?;
            if !named.now.read().unwrap_or_else(PoisonError::into_inner).keyset.is(&keyset) {
                let now = Now::of(keyset)?;
                let mut held = named.now.write().unwrap_or_else(PoisonError::into_inner);
                let before = std::mem::replace(&mut *held, now);
                drop(held);
                drop(before);
            }
        }
        Ok(())
    }

    fn asked(&self, py: Python<'_>, name: Option<&str>) -> PyResult<Py<PyKeyset>> {
        Ok(self.by_name.bind(py).call1((name,))?.cast::<PyKeyset>()?.clone().unbind())
    }
}

/// Before values are treated: the keysets may be others than those that a plan was made with.
pub(super) fn renewed(sealers: Option<&Sealers>, py: Python<'_>) -> PyResult<()> {
    sealers.map_or(Ok(()), |sealers| sealers.renew(py))
}

/// The name that a rule gives, what the keyset of it is for, and which key of it seals, in hexadecimal digits.
pub(super) type Told = (Option<String>, &'static str, String);

struct Named {
    name: Option<String>,
    now: RwLock<Now>,
}

impl Named {
    fn told(&self) -> Told {
        let now = self.now.read().unwrap_or_else(PoisonError::into_inner);
        let primitive = if now.is_deterministic { Primitive::DeterministicAead } else { Primitive::Aead };
        let print = now.keyset.get().fingerprint().unwrap_or_default();
        (self.name.clone(), primitive.name(), print.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

struct Now {
    keyset: Py<PyKeyset>,
    is_deterministic: bool,
}

impl Now {
    fn of(keyset: Py<PyKeyset>) -> Result<Self, ConfigError> {
        match keyset.get().primitive_of() {
            Some(Primitive::DeterministicAead) => Ok(Self { keyset, is_deterministic: true }),
            Some(Primitive::Aead) => Ok(Self { keyset, is_deterministic: false }),
            other => Err(ConfigError::new(format!(
                "tokens are sealed by a keyset for deterministic AEAD (AES256_SIV) or AEAD, and this one is for {}",
                other.map_or("something else", Primitive::name)
            ))),
        }
    }
}

/// By a deterministic AEAD equal values have equal tokens, until another key is primary; by an AEAD none have. A rotation of
/// the keyset is seen by the next value.
struct ByKeyset(Arc<Named>);

impl Sealer for ByKeyset {
    fn seal(&self, plaintext: &[u8], ad: &[u8]) -> Result<Vec<u8>, Failed> {
        let now = self.0.now.read().unwrap_or_else(PoisonError::into_inner);
        let keyset = now.keyset.get();
        if now.is_deterministic {
            keyset.daead().map_err(|_| Failed)?.seal(plaintext, ad, &mut fill_random)
        } else {
            keyset.aead().map_err(|_| Failed)?.seal(plaintext, ad, &mut fill_random)
        }
    }

    fn open(&self, sealed: &[u8], ad: &[u8]) -> Result<Vec<u8>, Failed> {
        let now = self.0.now.read().unwrap_or_else(PoisonError::into_inner);
        let keyset = now.keyset.get();
        let opened = if now.is_deterministic {
            keyset.daead().map_err(|_| Failed)?.open(sealed, ad)
        } else {
            keyset.aead().map_err(|_| Failed)?.open(sealed, ad)
        };
        opened.map(|text| text.expose().to_vec()).map_err(|_| Failed)
    }
}
