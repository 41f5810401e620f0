//! One request, as texts of Python's that are there anyway.

use std::borrow::Cow;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::limits::address::Prefix;
use crate::monitor::{Keys, Known, Observation, Outcome, Signs, Source, Subject};

use super::super::answer::{Ended, Told};
use super::super::verified::PyVerifiedToken;
use super::pages::Pages;

/// What is known of a request, not yet hashed.
pub(super) struct Seen {
    pub signs: Signs,
    pub size: u64,
    pub address: Option<Py<PyString>>,
    /// When it ended, in nanoseconds since boot; 0 is now.
    pub at: u64,
    pub path: Option<Py<PyString>>,
    pub query: Option<Py<PyString>>,
    pub route: Option<Py<PyString>>,
    pub who: Who,
    /// Whose doing it was.
    pub source: Source,
    /// Whether the principal was proved by what no browser adds by itself.
    pub is_deliberate: bool,
    pub account: Option<Py<PyString>>,
    pub code: Option<Py<PyString>>,
    pub reason: Option<Py<PyString>>,
    pub request_id: Option<Py<PyString>>,
}

/// Who it was.
pub(super) enum Who {
    /// As somebody told it: an id, who vouches for it, and what the credential is called.
    Told(Option<Py<PyString>>, Option<Py<PyString>>, Option<Py<PyString>>),
    /// By a token that was verified here: what it says is read when it is counted, and never becomes a text of Python's.
    Verified(Py<PyVerifiedToken>),
}

impl Default for Who {
    fn default() -> Self {
        Self::Told(None, None, None)
    }
}

impl Who {
    fn id<'a>(&'a self, py: Python<'a>) -> Cow<'a, str> {
        match self {
            Self::Told(id, ..) => lossy(py, id),
            Self::Verified(token) => {
                Cow::Borrowed(token.get().0.claims().subject.as_deref().unwrap_or_default())
            }
        }
    }

    pub fn issuer<'a>(&'a self, py: Python<'a>) -> Option<Cow<'a, str>> {
        match self {
            Self::Told(_, issuer, _) => issuer.as_ref().map(|text| text.bind(py).to_string_lossy()),
            Self::Verified(token) => token.get().0.claims().issuer.as_deref().map(Cow::Borrowed),
        }
    }

    fn token<'a>(&'a self, py: Python<'a>) -> Cow<'a, str> {
        match self {
            Self::Told(_, _, token) => lossy(py, token),
            Self::Verified(token) => name_of(token.get()).unwrap_or_default(),
        }
    }
}

impl Seen {
    /// Of an exchange that has ended at a time, in nanoseconds since boot.
    pub fn of(keys: &Keys, pages: &Pages, at: u64, ended: &Ended<'_, '_>, told: &Told<'_>) -> PyResult<Self> {
        let Ended { exchange, environ, status, .. } = *ended;
        let py = exchange.py();
        let route = told.route.as_ref().map(|route| route.clone().unbind());
        let tried = exchange.getattr(intern!(py, "tried"))?;
        let (account, login) = if tried.is_none() {
            (None, None)
        } else {
            let (account, succeeded): (Bound<'_, PyString>, Option<bool>) = tried.extract()?;
            // Who did not say how it ended said it by the status.
            (Some(account.unbind()), Some(succeeded.unwrap_or((200..400).contains(&status))))
        };
        let outcome = Outcome {
            status: u16::try_from(status).unwrap_or(0),
            has_route: route.is_some(),
            login,
            has_credential: status == 401 && told.codes.is_empty() && pages.has_credential(environ)?,
        };
        let doing = pages.doing_of(exchange, environ)?;
        let mut seen = Self {
            signs: Signs::of(&outcome, []),
            size: ended.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
            address: item(environ, intern!(py, "REMOTE_ADDR"))?,
            at,
            path: item(environ, intern!(py, "PATH_INFO"))?,
            query: item(environ, intern!(py, "QUERY_STRING"))?,
            route,
            who: Who::default(),
            source: doing.source,
            is_deliberate: doing.is_of_principal,
            account,
            code: None,
            reason: None,
            request_id: Some(ended.id.clone().unbind()),
        };
        if !told.codes.is_empty() {
            seen.refused(exchange, &outcome, &told.codes)?;
        }
        if let Some(principal) = &told.principal {
            // A token in the query is written by whoever has it: a page has the visitor's browser send it, so it says
            // nothing of the address, but never with somebody else's token.
            seen.is_deliberate |= exchange.getattr(intern!(py, "deliberate"))?.is_truthy()?;
            seen.identified(principal, keys, exchange, environ)?;
        }
        Ok(seen)
    }

    fn refused(
        &mut self,
        exchange: &Bound<'_, PyAny>,
        outcome: &Outcome,
        codes: &Bound<'_, PyTuple>,
    ) -> PyResult<()> {
        let py = exchange.py();
        let texts: Vec<Bound<'_, PyString>> =
            codes.iter().map(|code| Ok(code.cast_into()?)).collect::<PyResult<_>>()?;
        let given: Vec<Cow<'_, str>> = texts.iter().map(|code| code.to_string_lossy()).collect();
        self.signs = Signs::of(outcome, given.iter().map(AsRef::as_ref));
        self.code = texts.last().map(|code| code.clone().unbind());
        let refusal = exchange.getattr(intern!(py, "refusal"))?;
        if !refusal.is_none() {
            self.reason = text(refusal.getattr(intern!(py, "reason"))?);
        }
        Ok(())
    }

    fn identified(
        &mut self,
        principal: &Bound<'_, PyAny>,
        keys: &Keys,
        exchange: &Bound<'_, PyAny>,
        environ: &Bound<'_, PyDict>,
    ) -> PyResult<()> {
        let py = principal.py();
        if let Ok(token) = principal.cast::<PyVerifiedToken>()
            && has_name(token.get())
        {
            self.who = Who::Verified(token.clone().unbind());
            return Ok(());
        }
        // One of a scheme of the app's own may lack what it does not know.
        let of = |name: &Bound<'_, PyString>| Ok::<_, PyErr>(principal.getattr_opt(name)?.and_then(text));
        let (id, issuer) = (of(intern!(py, "id"))?, of(intern!(py, "issuer"))?);
        let is_elsewhere = exchange.getattr(intern!(py, "elsewhere"))?.is_truthy()?;
        let sent = if is_elsewhere { None } else { item(environ, intern!(py, "HTTP_AUTHORIZATION"))? };
        self.who = Who::Told(id, issuer, token_of(principal, keys, &lossy(py, &sent))?);
        Ok(())
    }

    /// The request in keyed hashes.
    pub fn observation(
        &self,
        py: Python<'_>,
        keys: &Keys,
        prefix: &Prefix,
        at: u64,
        now: u64,
        unix: u64,
    ) -> Observation {
        let address = self.address.as_ref().and_then(|text| prefix.key(&text.bind(py).to_string_lossy()));
        let issuer = self.who.issuer(py);
        let (principal, token) = (self.who.id(py), self.who.token(py));
        let (account, place, query) =
            (lossy(py, &self.account), lossy(py, &self.path), lossy(py, &self.query));
        let kind = match self.code {
            Some(_) => [lossy(py, &self.route), lossy(py, &self.code), lossy(py, &self.reason)],
            None => Default::default(),
        };
        let known = Known {
            address: address.as_ref().map_or(&[], |address| address.as_bytes()),
            principal: principal.as_bytes(),
            token: token.as_bytes(),
            issuer: issuer.as_deref().map(str::as_bytes),
            account: account.as_bytes(),
            place: place.as_bytes(),
            query: query.as_bytes(),
            source: self.source,
            is_deliberate: self.is_deliberate,
            kind: kind.each_ref().map(|part| part.as_bytes()),
        };
        Observation { now, ..keys.observe(&known, at, unix, self.signs, self.size) }
    }

    /// How people call the subject.
    pub fn subject(&self, py: Python<'_>, subject: Subject, prefix: &Prefix) -> String {
        let text = match subject {
            Subject::Account => lossy(py, &self.account),
            Subject::Address | Subject::Caller | Subject::Network => lossy(py, &self.address),
            Subject::Host => Cow::Borrowed("the host"),
            Subject::Principal => self.who.id(py),
            Subject::Token => self.who.token(py),
        };
        if subject == Subject::Network { network(&text, prefix) } else { text.into_owned() }
    }
}

/// What a credential is called where it is counted; none of what has no name, and of a key: that is used by all servers
/// of whoever has it, and a token by one client.
///
/// It is the token's `jti`; without one whose it is and when it was made; where that is not known either, a keyed hash of
/// `sent`, which is what came as `Authorization`, and of whose it is. That is empty where it was proved by another field:
/// what a gateway sends for everybody is nobody's.
pub(super) fn token_of(
    principal: &Bound<'_, PyAny>,
    keys: &Keys,
    sent: &str,
) -> PyResult<Option<Py<PyString>>> {
    let py = principal.py();
    if let Ok(token) = principal.cast::<PyVerifiedToken>()
        && let Some(name) = name_of(token.get())
    {
        return Ok(Some(PyString::new(py, &name).unbind()));
    }
    let kind = principal.getattr_opt(intern!(py, "kind"))?;
    let kind = kind.and_then(text);
    let kind = lossy(py, &kind);
    if kind == "api_key" {
        return Ok(None);
    }
    if let Some(id) = principal.getattr_opt(intern!(py, "token_id"))?
        && !id.is_none()
    {
        return Ok(text(id));
    }
    let issued = principal.getattr_opt(intern!(py, "issued_at"))?;
    let subject = principal.getattr_opt(intern!(py, "id"))?.and_then(text);
    if let (Some(at), Some(_)) = (issued.and_then(|at| at.extract::<f64>().ok()), &subject) {
        let name = made_at(&lossy(py, &subject), at);
        return Ok(Some(PyString::new(py, &name).unbind()));
    }
    let Some((scheme, credential)) = sent.split_once(' ') else { return Ok(None) };
    if !scheme.eq_ignore_ascii_case("Bearer") && !scheme.eq_ignore_ascii_case("DPoP") {
        return Ok(None);
    }
    let subject = lossy(py, &subject);
    let whose = format!("{} {} {kind}{subject}{}", kind.len(), subject.len(), credential.trim());
    let name = format!("hash {:016x}", keys.of(b'c', whose.as_bytes()));
    Ok(Some(PyString::new(py, &name).unbind()))
}

/// What a token that was verified here is called; none if it says neither what it is nor when it was made.
fn name_of(token: &PyVerifiedToken) -> Option<Cow<'_, str>> {
    let claims = token.0.claims();
    match (claims.token_id.as_deref(), claims.issued_at) {
        (Some(id), _) => Some(Cow::Borrowed(id)),
        (None, Some(at)) => Some(made_at(claims.subject.as_deref().unwrap_or_default(), at).into()),
        (None, None) => None,
    }
}

fn has_name(token: &PyVerifiedToken) -> bool {
    let claims = token.0.claims();
    claims.token_id.is_some() || claims.issued_at.is_some()
}

fn made_at(subject: &str, at: f64) -> String {
    format!("{subject} of {at}")
}

fn network(address: &str, prefix: &Prefix) -> String {
    use std::net::{Ipv4Addr, Ipv6Addr};
    match prefix.key(address) {
        Some(key) => match *key.as_bytes() {
            [a, b, c, _] => format!("{}/24", Ipv4Addr::new(a, b, c, 0)),
            ref bytes => {
                let bytes: [u8; 16] = bytes.try_into().unwrap_or_default();
                format!("{}/{}", Ipv6Addr::from(bytes), prefix.bits())
            }
        },
        None => address.into(),
    }
}

fn lossy<'a>(py: Python<'a>, text: &'a Option<Py<PyString>>) -> Cow<'a, str> {
    text.as_ref().map_or(Cow::Borrowed(""), |text| text.bind(py).to_string_lossy())
}

fn text(value: Bound<'_, PyAny>) -> Option<Py<PyString>> {
    value.cast_into().ok().map(Bound::unbind)
}

/// What is no text is left out: the server is at fault.
fn item(environ: &Bound<'_, PyDict>, name: &Bound<'_, PyString>) -> PyResult<Option<Py<PyString>>> {
    Ok(environ.get_item(name)?.and_then(text))
}
