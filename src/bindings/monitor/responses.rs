//! Responses in force, and the book of findings, for Python.

use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::monitor::{Book, Entry, Mark, Party, Response, Subject};

use super::super::clock::Clock;
use super::Table;
use super::accounts::{Pace, Paces};
use super::seen::token_of;

/// Of a :class:`Monitor`, what lasts beyond a window. Shared by all workers, as its counters are.
#[pyclass(frozen, module = "flask_rampart._native")]
pub struct MonitorState {
    pub(super) table: Arc<Table>,
    clock: Py<Clock>,
}

#[pymethods]
impl MonitorState {
    /// Whether any response may be in force: cheap, and asked before all else.
    fn any_marked(&self) -> bool {
        self.table.engine.any_marked(self.table.words(), self.millis())
    }

    /// Puts a response in force on a subject, for all workers.
    ///
    /// :param response: ``"step_up"`` or ``"throttle"``; a throttle of what pages had browsers send: ``"crossing"`` of
    ///     those of other sites, ``"content"`` of one's own, ``"crossing_login"`` of attempts to log in that either had sent.
    /// :param kind: of the subject: ``"address"``, ``"network"``, ``"principal"``, ``"token"``, ``"account"``, ``"host"``.
    /// :param each: of a throttle, seconds for each try.
    /// :param burst: of a throttle, how many may come at once.
    /// :param whose: who is behind it, as a finding tells: whose share of the table it takes. Not given: of an address or a
    ///     network it is known, and each of the others is for itself.
    /// :returns: False if *text* is no such subject.
    /// :raises ValueError: for another response or kind, or a time that is none.
    #[pyo3(signature = (response, kind, text, seconds, *, issuer=None, each=1.0, burst=5, whose=None))]
    #[expect(clippy::too_many_arguments, reason = "each is given by its name")]
    fn mark(
        &self,
        response: &str,
        kind: &str,
        text: &str,
        seconds: f64,
        issuer: Option<&str>,
        each: f64,
        burst: u32,
        whose: Option<u64>,
    ) -> PyResult<bool> {
        let subject = self.subject(kind, text, issuer)?;
        if subject == 0 {
            return Ok(false);
        }
        let pace = (millis(each)? as u32, burst.max(1));
        let now = self.millis();
        let mark = Mark { until: now + millis(seconds)?, since: self.clock.get().unix().0 as u64 };
        let party = match (whose, Subject::named(kind)?) {
            (Some(number), _) => Party::numbered(number),
            (None, Subject::Address | Subject::Caller | Subject::Network) => {
                Party::of(self.source(text.split_once('/').map_or(text, |(bare, _)| bare)), subject)
            }
            _ => Party::apart(subject),
        };
        let on = (named(response, kind)?, subject, party);
        Ok(self.table.engine.mark_of(self.table.words(), on, now, mark, Some(pace)).is_some())
    }

    /// The response in force: seconds that are left of it, and since when (seconds since 1970); None if none is.
    #[pyo3(signature = (response, kind, text, *, issuer=None))]
    fn marked(
        &self,
        response: &str,
        kind: &str,
        text: &str,
        issuer: Option<&str>,
    ) -> PyResult<Option<(f64, u64)>> {
        let now = self.millis();
        let subject = self.subject(kind, text, issuer)?;
        let mark = self.table.engine.marked(self.table.words(), named(response, kind)?, subject, now);
        Ok(mark.map(|mark| ((mark.until - now) as f64 / 1000.0, mark.since)))
    }

    /// Ends a response; says whether it was there. What was counted of the subject is forgotten: it is found anew if it goes
    /// on.
    #[pyo3(signature = (response, kind, text, *, issuer=None))]
    fn unmark(&self, response: &str, kind: &str, text: &str, issuer: Option<&str>) -> PyResult<bool> {
        let subject = self.subject(kind, text, issuer)?;
        let (engine, words) = (&self.table.engine, self.table.words());
        let was_there = engine.unmark(words, named(response, kind)?, subject);
        // After it: what is found meanwhile is in force for good reason.
        engine.forget(words, Subject::named(kind)?, subject);
        Ok(was_there)
    }

    /// Seconds until a subject that is throttled may try again; 0.0 if it may now, which is then counted.
    ///
    /// :param response: which throttle: see :meth:`mark`.
    #[pyo3(signature = (kind, text, *, issuer=None, response="throttle"))]
    fn try_now(&self, kind: &str, text: &str, issuer: Option<&str>, response: &str) -> PyResult<f64> {
        let subject = self.subject(kind, text, issuer)?;
        let response = named(response, kind)?;
        Ok(self.table.engine.try_now(self.table.words(), response, subject, self.millis()) as f64 / 1000.0)
    }

    /// Whose doing the request of an exchange was: ``"crossing"`` of a page of another site, ``"content"`` of what stands in
    /// a page of one's own, ``""`` of whoever sent it. It goes by what browsers say.
    ///
    /// :param principal: whether it is asked for its principal: ``""``, too, of a page that has the credential itself.
    #[pyo3(signature = (exchange, *, principal=false))]
    fn source_of(&self, exchange: &Bound<'_, PyAny>, principal: bool) -> PyResult<&'static str> {
        let environ = exchange.getattr(intern!(exchange.py(), "environ"))?.cast_into::<PyDict>()?;
        let doing = self.table.pages.doing_of(exchange, &environ)?;
        Ok(if principal && doing.is_of_principal { "" } else { doing.source.name() })
    }

    /// Notes that an account is at home where this address is: its attempts from there have a pace of their own. It is so in
    /// at most 16 networks: the oldest goes for a new one.
    fn know(&self, account: &str, address: &str, seconds: f64) -> PyResult<bool> {
        let (of, now) = (self.home(account, address)?, self.millis());
        let mark = Mark { until: now + millis(seconds)?, since: self.clock.get().unix().0 as u64 };
        let (engine, words) = (&self.table.engine, self.table.words());
        Ok(!of.contains(&0) && engine.know(words, of, self.source(address), now, mark))
    }

    /// Whether an account is known where this address is.
    pub(super) fn knows(&self, account: &str, address: &str) -> PyResult<bool> {
        let of = self.home(account, address)?;
        Ok(!of.contains(&0) && self.table.engine.knows(self.table.words(), of, self.millis()))
    }

    /// Seconds until an account that is throttled may be tried from this address; 0.0 if it may now.
    ///
    /// Each network has its own pace, *each* and *burst*, so that who tries an account from elsewhere does not use up what its
    /// owner has; and so has one where the account is known, *home*, as who shares it with the owner need not be the owner;
    /// and, but for the first attempt in each, all of those together, *homes*. All prefixes of one /48 of IPv6 have another one together, *wide*: they cost whoever has it nothing. And but for
    /// the first attempt out of each /48 or /24, and those that :meth:`grant` gave, the throttled account has one for all of
    /// them, as it was marked with. What one of these refuses is counted of none, and takes no place in the table.
    ///
    /// What a page had sent takes nothing of all that: it has *each* and *burst* for each *source* where the account is known,
    /// and once for all other networks together.
    ///
    /// :param source: as :meth:`source_of` told it.
    #[pyo3(signature = (account, address, *, each=1.0, burst=5, home=(1.0, 5), homes=(2.0, 40), wide=(1.0, 5), source=""))]
    #[expect(clippy::too_many_arguments, reason = "each is given by its name")]
    fn try_account(
        &self,
        account: &str,
        address: &str,
        each: f64,
        burst: u32,
        home: Pace,
        homes: Pace,
        wide: Pace,
        source: &str,
    ) -> PyResult<f64> {
        let paces = Paces { strange: (each, burst), home, homes, wide };
        Ok(self.attempt(account, address, &paces, source)? as f64 / 1000.0)
    }

    /// Gives an account that is throttled *tries* more from the network of this address, within so many seconds, beside
    /// what it has for all networks. Whoever is given them again meanwhile has no more of them.
    fn grant(&self, account: &str, address: &str, tries: u32, seconds: f64) -> PyResult<()> {
        self.give(account, address, tries, seconds)
    }

    /// What a principal's credential is called where it is counted; None if it is not.
    ///
    /// :param sent: the ``Authorization`` that proved it; empty if another field did.
    fn token_of(
        &self,
        principal: &Bound<'_, PyAny>,
        sent: &Bound<'_, PyString>,
    ) -> PyResult<Option<Py<PyString>>> {
        token_of(principal, &self.table.keys, &sent.to_string_lossy())
    }

    /// Writes a finding into the host's book of the last 1,000.
    #[pyo3(signature = (time, rule, severity, kind, subject, count, threshold, response, enforced, route, request_id))]
    #[expect(clippy::too_many_arguments, reason = "the members of a finding")]
    fn write(
        &self,
        time: f64,
        rule: &str,
        severity: u8,
        kind: &str,
        subject: &str,
        count: u64,
        threshold: u64,
        response: u8,
        enforced: bool,
        route: &str,
        request_id: &str,
    ) -> PyResult<()> {
        let kind = Subject::named(kind)?;
        let subject_kind = Subject::NAMES.iter().position(|(_, known)| *known == kind).unwrap_or(0) as u8;
        Book::new(self.table.words()).write(&Entry {
            time,
            count,
            threshold,
            severity,
            subject_kind,
            response,
            enforced,
            rule: rule.into(),
            subject: subject.into(),
            route: route.into(),
            request_id: request_id.into(),
        });
        Ok(())
    }

    /// The last findings of the host, the newest first: each as it was given to :meth:`write`.
    #[expect(clippy::type_complexity, reason = "the members of a finding")]
    fn recent(
        &self,
        limit: usize,
    ) -> Vec<(f64, String, u8, &'static str, String, u64, u64, u8, bool, String, String)> {
        let kind = |index: u8| Subject::NAMES.get(usize::from(index)).map_or("host", |(name, _)| name);
        let told = |entry: Entry| {
            let (rule, subject, route) = (entry.rule, entry.subject, entry.route);
            let kind = kind(entry.subject_kind);
            (
                entry.time,
                rule,
                entry.severity,
                kind,
                subject,
                entry.count,
                entry.threshold,
                entry.response,
                entry.enforced,
                route,
                entry.request_id,
            )
        };
        Book::new(self.table.words()).read(limit).into_iter().map(told).collect()
    }

    /// How many findings the host has had, since its table began.
    #[getter]
    fn total(&self) -> u64 {
        Book::new(self.table.words()).total()
    }
}

impl MonitorState {
    pub(super) fn new(table: Arc<Table>, clock: Py<Clock>) -> Self {
        Self { table, clock }
    }

    pub(super) fn millis(&self) -> u64 {
        self.clock.get().host().0 / 1_000_000
    }

    /// An account and a network where it may be known.
    fn home(&self, account: &str, address: &str) -> PyResult<[u64; 2]> {
        Ok([self.subject("account", account, None)?, self.subject("network", address, None)?])
    }

    /// The hash of a subject by its name; 0 if it is none.
    pub(super) fn subject(&self, kind: &str, text: &str, issuer: Option<&str>) -> PyResult<u64> {
        let address = |length: usize, tag: u8| {
            self.table.prefix.key(text).map_or(0, |key| {
                let bytes = key.as_bytes();
                let length = if bytes.len() == 4 { length } else { bytes.len() };
                self.table.keys.of(tag, bytes.get(..length).unwrap_or_default())
            })
        };
        Ok(match Subject::named(kind)? {
            Subject::Account => self.table.keys.of(b'u', text.as_bytes()),
            Subject::Address | Subject::Caller => address(4, b'a'),
            Subject::Host => 1,
            // As it is told: with its prefix.
            Subject::Network => match text.split_once('/') {
                Some((bare, _)) => return self.subject(kind, bare, issuer),
                None => address(3, b'n'),
            },
            Subject::Principal => self.table.keys.of_issuer(b'p', text.as_bytes(), issuer.map(str::as_bytes)),
            Subject::Token => self.table.keys.of_issuer(b't', text.as_bytes(), issuer.map(str::as_bytes)),
        })
    }
}

fn named(response: &str, kind: &str) -> PyResult<Response> {
    match (response, kind) {
        ("step_up", "account") => Ok(Response::AccountStepUp),
        ("content", "address" | "network" | "principal") => Ok(Response::Content),
        ("crossing", "address" | "network" | "principal") => Ok(Response::Crossing),
        ("crossing_login", "address" | "network") => Ok(Response::CrossingLogin),
        ("step_up", _) => Ok(Response::StepUp),
        ("throttle", "account") => Ok(Response::AccountThrottle),
        ("throttle", _) => Ok(Response::Throttle),
        _ => Err(PyValueError::new_err(
            "a \"step_up\" or a \"throttle\" is in force, or one of what pages had sent",
        )),
    }
}

pub(super) fn millis(seconds: f64) -> PyResult<u64> {
    if !(0.0..=788_400_000.0).contains(&seconds) {
        return Err(PyValueError::new_err("a time is 0 to 788400000 seconds (25 years)"));
    }
    Ok((seconds * 1000.0) as u64)
}
