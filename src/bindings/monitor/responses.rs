//! Responses in force, and the book of findings, for Python.

use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::monitor::{Book, Entry, Mark, Response, Subject};

use super::super::clock::Clock;
use super::Table;
use super::seen::token_of;

/// Of a :class:`Monitor`, what lasts beyond a window. Shared by all workers, as its counters are.
#[pyclass(frozen, module = "flask_rampart._native")]
pub struct MonitorState {
    table: Arc<Table>,
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
    /// :returns: False if *text* is no such subject.
    /// :raises ValueError: for another response or kind, or a time that is none.
    #[pyo3(signature = (response, kind, text, seconds, *, issuer=None, each=1.0, burst=5))]
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
    ) -> PyResult<bool> {
        let subject = self.subject(kind, text, issuer)?;
        if subject == 0 {
            return Ok(false);
        }
        let pace = (millis(each)? as u32, burst.max(1));
        let now = self.millis();
        let mark = Mark { until: now + millis(seconds)?, since: self.clock.get().unix().0 as u64 };
        Ok(self.table.engine.mark(self.table.words(), named(response, kind)?, subject, now, mark, Some(pace)))
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

    /// Ends a response; says whether it was there.
    #[pyo3(signature = (response, kind, text, *, issuer=None))]
    fn unmark(&self, response: &str, kind: &str, text: &str, issuer: Option<&str>) -> PyResult<bool> {
        let subject = self.subject(kind, text, issuer)?;
        Ok(self.table.engine.unmark(self.table.words(), named(response, kind)?, subject))
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

    /// Notes that an account is at home where this address is: its attempts from there are not throttled.
    fn know(&self, account: &str, address: &str, seconds: f64) -> PyResult<bool> {
        let pair = self.pair(account, address)?;
        let now = self.millis();
        let mark = Mark { until: now + millis(seconds)?, since: self.clock.get().unix().0 as u64 };
        Ok(pair != 0 && self.table.engine.mark(self.table.words(), Response::Known, pair, now, mark, None))
    }

    /// Whether an account is known where this address is.
    fn knows(&self, account: &str, address: &str) -> PyResult<bool> {
        let pair = self.pair(account, address)?;
        Ok(pair != 0
            && self.table.engine.marked(self.table.words(), Response::Known, pair, self.millis()).is_some())
    }

    /// Seconds until an account that is throttled may be tried from this address; 0.0 if it may now.
    ///
    /// Each network has its own pace, *each* and *burst*, so that who tries an account from elsewhere does not use up what its
    /// owner has; and so has one where the account is known, *home*, as who shares it with the owner need not be the owner.
    /// All prefixes of one /48 of IPv6 have another one together, *wide*: they cost whoever has it nothing. And but for
    /// the first attempt out of each /48 or /24, and those that :meth:`grant` gave, the throttled account has one for all of
    /// them, as it was marked with. What one of these refuses is counted of none, and takes no place in the table.
    ///
    /// What a page had sent takes nothing of all that: it has *each* and *burst* for each *source* where the account is known,
    /// and once for all other networks together.
    ///
    /// :param source: as :meth:`source_of` told it.
    #[pyo3(signature = (account, address, *, each=1.0, burst=5, home=(1.0, 5), wide=(1.0, 5), source=""))]
    #[expect(clippy::too_many_arguments, reason = "each is given by its name")]
    fn try_account(
        &self,
        account: &str,
        address: &str,
        each: f64,
        burst: u32,
        home: (f64, u32),
        wide: (f64, u32),
        source: &str,
    ) -> PyResult<f64> {
        let (now, engine, words) = (self.millis(), &self.table.engine, self.table.words());
        let of_account = self.subject("account", account, None)?;
        let Some(mark) = engine.marked(words, Response::AccountThrottle, of_account, now) else {
            return Ok(0.0);
        };
        let is_home = self.knows(account, address)?;
        let pair = self.pair(account, address)?;
        let account_pace = (Response::AccountThrottle, of_account);
        let wanted = if source.is_empty() {
            // Apart from each other: where an account has just become known, it has what it has at home.
            let of_home = self.both(pair, self.table.keys.of(b'g', b"home"));
            let near = if is_home { (of_home, home) } else { (pair, (each, burst)) };
            let far = (if is_home { 0 } else { self.wide_pair(of_account, address) }, wide);
            // The widest first, so that the narrower one's place is not taken for what that refuses.
            [far, near]
        } else {
            let whose = if is_home { pair } else { of_account };
            [(self.both(whose, self.table.keys.of(b'g', source.as_bytes())), (each, burst)), (0, wide)]
        };
        // An address that is not known has no network.
        let wanted = wanted.into_iter().filter(|(pair, _)| *pair != 0);
        let mut paces: Vec<_> = wanted.clone().map(|(pair, _)| (Response::Pace, pair)).collect();
        let has_come = |pair: u64| engine.marked(words, Response::Pace, pair, now).is_some();
        let is_apart = is_home || !source.is_empty();
        let mut is_free = is_apart || paces.first().is_some_and(|(_, widest)| !has_come(*widest));
        if !is_free {
            paces.push(self.toll(account_pace, pair, now));
        }
        // Of those that are there: who is refused makes no place for more, which others would lose.
        let wait = engine.wait_all(words, &paces, now);
        if wait > 0 {
            return Ok(wait as f64 / 1000.0);
        }
        let mut has_place = false;
        for (pair, (each, burst)) in wanted {
            if has_come(pair) {
                has_place = true;
                continue;
            }
            let pace = Some((millis(each)? as u32, burst.max(1)));
            let is_instead = engine.mark_told(words, Response::Pace, pair, now, mark, pace);
            has_place |= is_instead.is_some();
            // In a full table one that was pushed out seems to come for the first time; nor is one the first for which two
            // workers want a place at once.
            if is_free && !is_apart && is_instead != Some(false) {
                is_free = false;
                let toll = self.toll(account_pace, pair, now);
                let wait = engine.wait_all(words, &[toll], now);
                if wait > 0 {
                    return Ok(wait as f64 / 1000.0);
                }
                paces.push(toll);
            }
        }
        if is_free && !has_place {
            paces.push(account_pace);
        }
        Ok(engine.try_all(words, &paces, now) as f64 / 1000.0)
    }

    /// Gives an account that is throttled *tries* more from the network of this address, within so many seconds, beside
    /// what it has for all networks. Whoever is given them again meanwhile has no more of them.
    fn grant(&self, account: &str, address: &str, tries: u32, seconds: f64) -> PyResult<()> {
        let (now, engine, words) = (self.millis(), &self.table.engine, self.table.words());
        let (of_account, pair) = (self.subject("account", account, None)?, self.pair(account, address)?);
        let Some(mark) = engine.marked(words, Response::AccountThrottle, of_account, now) else {
            return Ok(());
        };
        if pair != 0 {
            let (seconds, tries) = (millis(seconds)?, tries.max(1));
            let pace = Some(((seconds / u64::from(tries)) as u32, tries));
            let mark = Mark { until: now + seconds, ..mark };
            engine.mark(words, Response::Pace, self.granted(pair), now, mark, pace);
        }
        Ok(())
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

    fn millis(&self) -> u64 {
        self.clock.get().host().0 / 1_000_000
    }

    /// The hash of a subject by its name; 0 if it is none.
    fn subject(&self, kind: &str, text: &str, issuer: Option<&str>) -> PyResult<u64> {
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

    /// The hash of an account in a network; 0 if either is not known.
    fn pair(&self, account: &str, address: &str) -> PyResult<u64> {
        let (account, network) =
            (self.subject("account", account, None)?, self.subject("network", address, None)?);
        if account == 0 || network == 0 {
            return Ok(0);
        }
        Ok(self.both(account, network))
    }

    /// The hash of an account in the /48 of an address, which has many networks; 0 if it has one.
    fn wide_pair(&self, account: u64, address: &str) -> u64 {
        let Some(key) = self.table.prefix.key(address) else { return 0 };
        match *key.as_bytes() {
            [a, b, c, d, e, f, ..] if self.table.prefix.bits() > 48 => {
                self.both(account, self.table.keys.of(b's', &[a, b, c, d, e, f]))
            }
            _ => 0,
        }
    }

    /// What an attempt from a network takes that is not free: of the account's pace, or of what that network was granted.
    fn toll(&self, account: (Response, u64), pair: u64, now: u64) -> (Response, u64) {
        let (engine, words) = (&self.table.engine, self.table.words());
        let granted = (Response::Pace, self.granted(pair));
        let is_granted = engine.marked(words, granted.0, granted.1, now).is_some();
        let must_wait = |of| engine.wait_all(words, &[of], now) > 0;
        if is_granted && must_wait(account) && !must_wait(granted) { granted } else { account }
    }

    /// The hash of what an account was granted in a network.
    fn granted(&self, pair: u64) -> u64 {
        self.both(pair, self.table.keys.of(b'g', b"granted"))
    }

    fn both(&self, account: u64, network: u64) -> u64 {
        self.table.keys.of(b'h', &[account.to_le_bytes(), network.to_le_bytes()].concat())
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

fn millis(seconds: f64) -> PyResult<u64> {
    if !(0.0..=788_400_000.0).contains(&seconds) {
        return Err(PyValueError::new_err("a time is 0 to 788400000 seconds (25 years)"));
    }
    Ok((seconds * 1000.0) as u64)
}
