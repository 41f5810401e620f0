//! Decides whether a token may be trusted now: the rules of [`super`], in their order.
//!
//! The work that depends on the token alone (signature, reading the claims) is done once for a token and
//! remembered in [`super::seen`]; what depends on the verifier and the moment (is the key still ours, issuer, audience,
//! type, times) is done on every call, by the same code for a remembered token as for a new one.
//!
//! [`Verified`] is made here and nowhere else.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock, RwLock, Weak};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::claims::{Claims, Places};
use super::error::{Reason, TokenError};
use super::header::{self, MAX_HEADER};
use super::key::Key;
use super::keyring::Keyring;
use super::revoked::{Marks, Revoked};
use super::rules::Rules;
use super::seen::{Digest, Seen};
use crate::crypto::sha256;
use crate::error::ConfigError;
use crate::time::UnixTime;

/// A token whose every check held at the moment that it was made for. Only [`Verifier`] makes one.
///
/// It is a proof for that moment: keep it for a request, not for a session. Whether who presents it may use it, is another
/// question: [`bearer`](Self::bearer), [`super::possession`].
#[derive(Clone)]
pub struct Verified(Arc<Checked>);

impl Verified {
    /// The same, if whoever has it may use it: a token that is bound to a key or a certificate is no bearer token.
    pub fn bearer(self) -> Result<Self, TokenError> {
        if self.0.claims.confirmation.is_none() { Ok(self) } else { Err(Reason::Bound.into()) }
    }

    /// What the token claims.
    pub fn claims(&self) -> &Claims {
        &self.0.claims
    }

    /// The claims as JSON text: one strict object.
    pub fn json(&self) -> &[u8] {
        &self.0.json
    }

    /// The name of the key that verified it: the key's own, not what the token says.
    pub fn kid(&self) -> Option<&str> {
        self.0.kid.as_deref()
    }

    /// The name of the algorithm of the key that verified it.
    pub fn algorithm(&self) -> &'static str {
        self.0.alg
    }

    /// The marks under which it may be revoked.
    pub fn marks(&self) -> &Marks {
        self.0.marks()
    }

    /// One place to keep what was made of this token, for as long as it is remembered.
    pub fn attachment(&self) -> &OnceLock<Box<dyn Any + Send + Sync>> {
        &self.0.attachment
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified").field("alg", &self.0.alg).finish_non_exhaustive()
    }
}

/// A token whose signature held and whose claims were read. Not yet trusted: see [`Verifier::admit`].
struct Checked {
    // Weak: a key that left the ring is wiped, and its address is not used again while this is remembered.
    key: Weak<Key>,
    kid: Option<Arc<str>>,
    alg: &'static str,
    typ: Option<Arc<str>>,
    claims: Claims,
    json: Vec<u8>,
    realm: Option<Arc<str>>,
    // Made when something is revoked: most of the time nothing is.
    marks: OnceLock<Marks>,
    attachment: OnceLock<Box<dyn Any + Send + Sync>>,
}

impl Checked {
    /// About what it takes in memory: the text, its copies in the claims, the boxes, and what Python makes of it.
    fn bytes(&self) -> usize {
        let names = self.claims.scopes.len() + self.claims.roles.len();
        720 + 2 * self.json.capacity() + 96 * names
    }

    fn marks(&self) -> &Marks {
        self.marks.get_or_init(|| Marks::of(&self.claims, &self.json, self.realm.as_deref()))
    }
}

/// A header whose signature held once, so that the next token with it need not be read again.
struct Known {
    segment: Box<[u8]>,
    typ: Option<Arc<str>>,
    key: Arc<Key>,
}

/// Verifies tokens with a ring of keys, under fixed rules.
pub struct Verifier {
    keys: Keyring,
    rules: Arc<Rules>,
    places: Arc<Places>,
    headers: RwLock<Headers>,
    seen: Arc<Option<Seen<Checked>>>,
    revoked: Option<Arc<Revoked>>,
    realm: Option<Arc<str>>,
}

#[derive(Default)]
struct Headers {
    known: Vec<Arc<Known>>,
    next: usize,
}

/// Headers remembered: the keys in use times the types in use. The oldest makes room.
const MAX_HEADERS: usize = 16;

/// Longest header remembered, in characters.
const MAX_KNOWN_HEADER: usize = 1024;

/// A token within the length limit that was not found among the seen ones. Only [`Verifier::recall`] makes one.
pub struct Unseen<'a> {
    token: &'a [u8],
    digest: Option<Digest>,
}

/// A token whose signature held. Not yet trusted. Only [`Verifier::prove`] makes one.
pub struct Proven(Checked);

impl Verifier {
    /// A verifier with these keys and rules, which asks no list of the revoked.
    pub fn new(keys: Keyring, rules: Rules) -> Result<Self, ConfigError> {
        let places = Arc::new(rules.check()?);
        let seen = Arc::new(Seen::new(rules.seen));
        let (headers, rules) = (RwLock::default(), Arc::new(rules));
        Ok(Self { keys, rules, places, headers, seen, revoked: None, realm: None })
    }

    /// The same, refusing what is in *revoked* at the moment of each call. What it names is in *realm*, where the tokens are
    /// ours, and otherwise in their issuer's.
    pub fn unless(mut self, revoked: Option<Arc<Revoked>>, realm: Option<&str>) -> Self {
        self.revoked = revoked;
        self.realm = realm.map(Into::into);
        self
    }

    /// The same rules and memory with other keys: tokens of a key that is gone are no longer trusted.
    pub fn with_keys(&self, keys: Keyring) -> Self {
        let (rules, places, seen) =
            (Arc::clone(&self.rules), Arc::clone(&self.places), Arc::clone(&self.seen));
        let (revoked, realm) = (self.revoked.clone(), self.realm.clone());
        Self { keys, rules, places, headers: RwLock::default(), seen, revoked, realm }
    }

    /// Whether *token* may be trusted at *now*.
    pub fn verify(&self, token: &[u8], now: UnixTime) -> Result<Verified, TokenError> {
        match self.recall(token, now)? {
            Ok(verified) => Ok(verified),
            Err(unseen) => self.conclude(&unseen, self.prove(&unseen)?, now),
        }
    }

    /// The cheap half of [`verify`](Self::verify): the verdict on a token seen before, or the token to [`prove`](Self::prove).
    pub fn recall<'a>(
        &self,
        token: &'a [u8],
        now: UnixTime,
    ) -> Result<Result<Verified, Unseen<'a>>, TokenError> {
        if token.len() > self.rules.max_bytes {
            return Err(Reason::Length.into());
        }
        let Some(seen) = &*self.seen else { return Ok(Err(Unseen { token, digest: None })) };
        let digest = sha256(token);
        // The very key that verified it must still be ours; another one, even of the same name, has to verify it anew.
        let Some(checked) = seen.get(&digest).filter(|checked| self.keys.holds(&checked.key)) else {
            return Ok(Err(Unseen { token, digest: Some(digest) }));
        };
        let verdict = self.admit(checked, now);
        if matches!(verdict, Err(TokenError::Expired)) {
            seen.remove(&digest);
        }
        verdict.map(Ok)
    }

    /// The dear half of [`verify`](Self::verify): form, signature and claims. It touches nothing that a fork could break,
    /// so it may run beside Python.
    pub fn prove(&self, unseen: &Unseen<'_>) -> Result<Proven, TokenError> {
        Ok(Proven(self.check(unseen.token)?))
    }

    /// The end of [`verify`](Self::verify): everything that [`recall`](Self::recall) checks, and the token is remembered.
    pub fn conclude(
        &self,
        unseen: &Unseen<'_>,
        Proven(checked): Proven,
        now: UnixTime,
    ) -> Result<Verified, TokenError> {
        let checked = Arc::new(checked);
        let bytes = checked.bytes();
        let verified = self.admit(checked, now)?;
        if let (Some(seen), Some(digest)) = (&*self.seen, unseen.digest) {
            seen.insert(digest, Arc::clone(&verified.0), bytes);
        }
        Ok(verified)
    }

    /// Whether some key takes more than half a millisecond to verify with.
    pub fn is_slow(&self) -> bool {
        self.keys.verifies_slowly()
    }

    /// Longest token, in bytes.
    pub fn max_bytes(&self) -> usize {
        self.rules.max_bytes
    }

    /// What depends on the token alone: form, header, key, signature, claims.
    fn check(&self, token: &[u8]) -> Result<Checked, Reason> {
        let (header, rest) = split_at_dot(token, token.iter().position(|byte| *byte == b'.'))?;
        let (payload, signature) = split_at_dot(rest, rest.iter().rposition(|byte| *byte == b'.'))?;
        let signed = &token[..header.len() + 1 + payload.len()];
        // A dot is no character of base64url, so a third one is found by decoding what is between the two.
        let json =
            decode(payload).map_err(|reason| if payload.contains(&b'.') { Reason::Parts } else { reason })?;
        let mut room = [0; MAX_SIGNATURE];
        let signature = decode_signature(signature, &mut room)?;
        let (known, fresh) = match self.known_header(header) {
            Some(known) => (known, false),
            None => (Arc::new(self.read_header(header)?), true),
        };
        known.key.verifying().verify(signed, signature).map_err(|_| Reason::Signature)?;
        if fresh {
            self.remember_header(&known);
        }
        let claims = Claims::parse(&json, &self.places)?;
        Ok(Checked {
            key: Arc::downgrade(&known.key),
            kid: known.key.kid().cloned(),
            alg: known.key.alg(),
            typ: known.typ.clone(),
            claims,
            json,
            realm: self.realm.clone(),
            marks: OnceLock::new(),
            attachment: OnceLock::new(),
        })
    }

    /// What depends on this verifier and the moment. Runs on every call, remembered token or not.
    fn admit(&self, checked: Arc<Checked>, now: UnixTime) -> Result<Verified, TokenError> {
        let claims = &checked.claims;
        self.rules.admit_type(checked.typ.as_deref())?;
        self.rules.admit_issuer(claims.issuer.as_deref())?;
        self.rules.admit_audience(claims.audience.as_deref())?;
        self.rules.admit_times(claims.not_before, claims.issued_at, claims.expires_at, now)?;
        if let Some(revoked) = &self.revoked
            && revoked.covers(|| checked.marks())
        {
            return Err(Reason::Revoked.into());
        }
        Ok(Verified(checked))
    }

    fn read_header(&self, segment: &[u8]) -> Result<Known, Reason> {
        if segment.len() > MAX_HEADER {
            return Err(Reason::Header);
        }
        let json = decode(segment)?;
        let header = header::parse(&json)?;
        let key = Arc::clone(self.keys.find(&header)?);
        Ok(Known { segment: segment.into(), typ: header.typ.as_deref().map(Into::into), key })
    }

    fn known_header(&self, segment: &[u8]) -> Option<Arc<Known>> {
        // Like the seen tokens: a lock that is taken is a miss, never a wait.
        let headers = self.headers.try_read().ok()?;
        headers.known.iter().find(|known| *known.segment == *segment).map(Arc::clone)
    }

    /// Called only after the signature held: what a forger writes in a header is not kept.
    fn remember_header(&self, known: &Arc<Known>) {
        if known.segment.len() > MAX_KNOWN_HEADER {
            return;
        }
        let Ok(mut headers) = self.headers.try_write() else { return };
        if headers.known.iter().any(|other| other.segment == known.segment) {
            return;
        }
        if headers.known.len() < MAX_HEADERS {
            headers.known.push(Arc::clone(known));
        } else {
            let place = headers.next % MAX_HEADERS;
            headers.known[place] = Arc::clone(known);
            headers.next = place + 1;
        }
    }

    #[cfg(test)]
    pub(super) fn remembered(&self) -> (usize, (usize, usize)) {
        let headers = self.headers.try_read().map(|headers| headers.known.len()).unwrap_or_default();
        (headers, self.seen.as_ref().as_ref().map(Seen::size).unwrap_or_default())
    }
}

/// Longest signature: RSA with 8192 bits.
const MAX_SIGNATURE: usize = 1024;

pub(super) fn split_at_dot(text: &[u8], dot: Option<usize>) -> Result<(&[u8], &[u8]), Reason> {
    let dot = dot.ok_or(Reason::Parts)?;
    Ok((&text[..dot], &text[dot + 1..]))
}

/// Strict base64url (RFC 7515 §2): no padding, no other character, no stray bits at the end.
pub(super) fn decode(text: &[u8]) -> Result<Vec<u8>, Reason> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Reason::Encoding)
}

fn decode_signature<'a>(text: &[u8], room: &'a mut [u8; MAX_SIGNATURE]) -> Result<&'a [u8], Reason> {
    if text.len() > MAX_SIGNATURE.div_ceil(3) * 4 {
        return Err(Reason::Signature);
    }
    match URL_SAFE_NO_PAD.decode_slice(text, room) {
        Ok(length) => Ok(&room[..length]),
        Err(base64::DecodeSliceError::OutputSliceTooSmall) => Err(Reason::Signature),
        Err(base64::DecodeSliceError::DecodeError(_)) => Err(Reason::Encoding),
    }
}
