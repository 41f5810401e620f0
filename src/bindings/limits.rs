//! Rate limits for Python: quotas, and sets of limits checked in one call.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::error::ConfigError;
use crate::limits::address::{AddressKey, Prefix};
use crate::limits::remote::{Answer, Question, Told};
use crate::limits::{self, Almanac, Entry, Kind, Limits, Now, Stores, Window};

use super::almanac::PyAlmanac;
use super::asked::{Charged, with_keys};
use super::clock::Clock;
use super::errors::guarded;
use super::reservations::Reservation;
use super::stores::LimitStore;

/// How many cells a key may spend: *count* per *period*, at most *burst* at once (GCRA, ITU-T I.371).
///
/// >>> [quota] = Quota.parse("60/minute burst 20")
/// >>> quota.count, quota.period, quota.burst
/// (60, 60.0, 20)
#[pyclass(frozen, eq, from_py_object, module = "flask_rampart._native")]
#[derive(Clone, PartialEq)]
pub struct Quota(limits::Quota);

#[pymethods]
impl Quota {
    /// Reads one or several quotas, joined by ``,`` ``;`` or ``|``: ``<count> (/|per) [<n>]
    /// <second|minute|hour|day|month|year>[s]`` and how it is counted: ``burst <cells>``, ``fixed [<time zone>]`` or ``sliding``; or
    /// ``<count> concurrent``. A month has 30 days, a year 360, unless it is ``fixed``.
    ///
    /// :raises ValueError: if the text cannot be read; the message says what would be right.
    ///
    /// >>> [quota.text for quota in Quota.parse("1 per 2 hours; 1000/day")]
    /// ['1/2 hours', '1000/day']
    #[staticmethod]
    fn parse(text: &str) -> PyResult<Vec<Quota>> {
        Ok(limits::Quota::parse(text)?.into_iter().map(Quota).collect())
    }

    /// Cells per period.
    #[getter]
    fn count(&self) -> u32 {
        self.0.count()
    }

    /// The period, in seconds.
    #[getter]
    fn period(&self) -> f64 {
        self.0.period() as f64 / 1e9
    }

    /// The most cells that may be spent at once.
    #[getter]
    fn burst(&self) -> u32 {
        self.0.burst()
    }

    /// ``"rate"``, ``"fixed"``, ``"sliding"`` or ``"concurrent"``.
    #[getter]
    fn rule(&self) -> &'static str {
        match self.0.rule() {
            limits::Rule::Rate => "rate",
            limits::Rule::Fixed(_) => "fixed",
            limits::Rule::Sliding => "sliding",
            limits::Rule::Concurrent => "concurrent",
        }
    }

    /// The time zone of a fixed window, or None.
    #[getter]
    fn zone(&self) -> Option<&str> {
        match self.0.rule() {
            limits::Rule::Fixed(span) => Some(&span.zone),
            _ => None,
        }
    }

    /// The one way to write this quota.
    #[getter]
    fn text(&self) -> &str {
        self.0.text()
    }

    fn __repr__(&self) -> String {
        format!("Quota({:?})", self.0.text())
    }
}

/// Limits that are checked in one call: all admit and are charged, or none is charged.
///
/// :param entries: ``(scope, quotas, kind)`` each, with one key in a check. Limits with the same scope, quota and
///     kind share counters. *kind* is ``"address"`` (a client's address in any spelling; what is not one shares one
///     key) or ``"text"``.
/// :param ipv6_prefix: leading bits of an IPv6 address that make a client, 32 to 128.
/// :param windows: ``(zone, unit, every, unix) -> (start, end, next_end)``, in seconds since 1970: which window of the calendar
///     the second *unix* is in. Needed for quotas that are ``fixed``.
/// :param places: the store of what is in progress, if not *store*: one of its own, since a flood of keys may fill *store*.
/// :raises ValueError: if there is no entry, an entry has no quota, or something in it cannot be meant.
///
/// >>> clock = Clock.manual(1_800_000_000.0)
/// >>> limits = LimitSet(LimitStore.local(clock), [("login", Quota.parse("1/minute"), "address")])
/// >>> bool(limits.check(("192.0.2.1",))), limits.check(("192.0.2.1",)).retry_after
/// (True, 60)
#[pyclass(frozen, module = "flask_rampart._native")]
pub struct LimitSet {
    limits: Arc<Limits>,
    clock: Py<Clock>,
}

#[pymethods]
impl LimitSet {
    #[new]
    #[pyo3(signature = (store, entries, *, ipv6_prefix=64, windows=None, places=None))]
    fn new(
        py: Python<'_>,
        store: Bound<'_, LimitStore>,
        entries: Vec<(String, Vec<Quota>, String)>,
        ipv6_prefix: u32,
        windows: Option<Py<PyAny>>,
        places: Option<Bound<'_, LimitStore>>,
    ) -> PyResult<Self> {
        let store = store.get();
        let places = places.map_or_else(|| store.store.clone(), |places| places.get().store.clone());
        let stores = Stores { counters: store.store.clone(), places };
        let almanac = windows.map(|windows| Arc::new(PyAlmanac::new(windows)) as Arc<dyn Almanac>);
        let entries = entries.into_iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        let limits = Limits::new(stores, entries, Prefix::new(ipv6_prefix)?, almanac)?;
        Ok(Self { limits: Arc::new(limits), clock: store.clock.clone_ref(py) })
    }

    /// Charges *cost* cells under every limit, if all have them; otherwise charges nothing.
    ///
    /// :param keys: one key for each entry, in order; where there is one entry, the key will do. An empty key is a key like any other.
    /// :param cost: at least 0, or a tuple of such, one for each entry. A cost above a quota's burst is always refused; what costs 0
    ///     is always admitted.
    /// :raises ValueError: if a cost is negative, or *keys* or costs are too few or too many.
    #[pyo3(signature = (keys, cost=Charged::ONE), text_signature = "($self, keys, cost=1)")]
    fn check<'py>(
        slf: &Bound<'py, Self>,
        keys: &Bound<'py, PyAny>,
        cost: Charged,
    ) -> PyResult<Bound<'py, Verdict>> {
        let Self { limits, clock } = slf.get();
        let now = now(limits, clock.get());
        guarded(|| {
            with_keys(keys, |keys| {
                limits.check_then(keys, cost.costs(), now, |verdict| {
                    Bound::new(slf.py(), Verdict { verdict, set: slf.clone().unbind() })
                })?
            })
        })
    }

    /// What :meth:`check` would say. Charges nothing.
    ///
    /// :raises ValueError: as :meth:`check`.
    #[pyo3(signature = (keys, cost=Charged::ONE), text_signature = "($self, keys, cost=1)")]
    fn peek<'py>(
        slf: &Bound<'py, Self>,
        keys: &Bound<'py, PyAny>,
        cost: Charged,
    ) -> PyResult<Bound<'py, Verdict>> {
        let Self { limits, clock } = slf.get();
        let now = now(limits, clock.get());
        guarded(|| {
            with_keys(keys, |keys| {
                let verdict = limits.peek(keys, cost.costs(), now)?;
                Bound::new(slf.py(), Verdict { verdict, set: slf.clone().unbind() })
            })
        })
    }

    /// As :meth:`check`, for a cost that is known only afterwards: charges an estimate, which is to be settled.
    ///
    /// :param capped: whether an estimate above what a quota can hold counts as all that it holds, instead of being refused for ever.
    /// :returns: the verdict, and if it admits, what was charged.
    /// :raises ValueError: as :meth:`check`.
    #[pyo3(signature = (keys, cost=Charged::ONE, *, capped=false), text_signature = "($self, keys, cost=1, *, capped=False)")]
    fn reserve(
        slf: &Bound<'_, Self>,
        keys: &Bound<'_, PyAny>,
        cost: Charged,
        capped: bool,
    ) -> PyResult<(Verdict, Option<Reservation>)> {
        let Self { limits, clock } = slf.get();
        let now = now(limits, clock.get());
        guarded(|| {
            let (verdict, charged) =
                with_keys(keys, |keys| Ok(limits.reserve(keys, cost.costs(), capped, now)?))?;
            let reservation =
                charged.map(|charged| Reservation::new(limits.clone(), clock.clone_ref(slf.py()), charged));
            Ok((Verdict { verdict, set: slf.clone().unbind() }, reservation))
        })
    }

    /// Forgets what *keys* have spent. What is in progress goes on.
    ///
    /// :raises ValueError: if *keys* are too few or too many.
    fn clear(&self, py: Python<'_>, keys: &Bound<'_, PyAny>) -> PyResult<()> {
        let now = now(&self.limits, self.clock.bind(py).get());
        guarded(|| with_keys(keys, |keys| Ok(self.limits.clear(keys, now)?)))
    }

    /// What a store elsewhere is to be asked: the name of each limit's counter, and six arguments for each: its kind, its cost and
    /// what it counts by (see ``check.lua``).
    ///
    /// :param lease: names a request in progress, where a limit is of those.
    /// :param lease_ms: how long such a name is remembered.
    #[pyo3(signature = (keys, cost=Charged::ONE, *, lease="0", lease_ms=0), text_signature = "($self, keys, cost=1, *, lease='0', lease_ms=0)")]
    fn questions<'py>(
        &self,
        py: Python<'py>,
        keys: &Bound<'py, PyAny>,
        cost: Charged,
        lease: &str,
        lease_ms: u64,
    ) -> PyResult<(Vec<String>, Vec<String>)> {
        let now = now(&self.limits, self.clock.bind(py).get());
        let questions = with_keys(keys, |keys| Ok(self.limits.questions(keys, cost.costs(), now)?))?;
        let names = questions.iter().map(|question| format!("{:032x}", question.name)).collect();
        let mut arguments = Vec::with_capacity(questions.len() * 6);
        for Question { cost, rule, .. } in &questions {
            arguments.extend(arguments_of(rule, cost.to_string(), lease, lease_ms));
        }
        Ok((names, arguments))
    }

    /// The verdict of a store elsewhere: of each limit, cells left, microseconds until its counter is full, and microseconds
    /// until the same request would pass (0 if it does, -1 if it never will).
    ///
    /// :raises ValueError: unless there is an answer for each limit.
    fn answered(slf: &Bound<'_, Self>, answers: Vec<(i64, i64, i64)>) -> PyResult<Verdict> {
        let answers = answers.into_iter().map(|(left, reset, wait)| answer_of(left, reset, wait));
        let verdict = slf.get().limits.answered(&answers.collect::<Vec<_>>())?;
        Ok(Verdict { verdict, set: slf.clone().unbind() })
    }

    /// Whether any limit is about what is in progress: then ask by :meth:`reserve`, and ``end`` it.
    #[getter]
    fn has_places(&self) -> bool {
        self.limits.has_places()
    }

    /// How many limits each entry has: of the answers, so many in a row are its own.
    #[getter]
    fn sizes(&self) -> Vec<usize> {
        self.limits.sizes()
    }

    /// The value of the ``RateLimit-Policy`` field (draft-ietf-httpapi-ratelimit-headers).
    #[getter]
    fn policy(&self) -> &str {
        self.limits.policy()
    }
}

impl LimitSet {
    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }
}

/// What a set of limits says of a request. True if it may pass.
#[pyclass(frozen, module = "flask_rampart._native")]
pub struct Verdict {
    verdict: limits::Verdict,
    set: Py<LimitSet>,
}

#[pymethods]
impl Verdict {
    /// Whether the request may pass.
    #[getter]
    pub(super) fn admitted(&self) -> bool {
        self.verdict.admitted
    }

    /// Whether the same request could ever pass: False if it costs more than a quota can hold.
    #[getter]
    fn payable(&self) -> bool {
        !self.verdict.never
    }

    /// Seconds to wait, rounded up, at least 1; 0 if admitted.
    #[getter]
    fn retry_after(&self) -> u64 {
        self.verdict.retry_after()
    }

    /// The text of the quota that refused and must be waited for longest, or None.
    #[getter]
    fn violated(&self) -> Option<&str> {
        self.violation().map(|(_, quota)| quota.text())
    }

    /// The entry of the set that the rest is about: the one that must be waited for longest, else the one that has fewest left.
    #[getter]
    fn entry(&self) -> usize {
        self.limits().entry_of(self.verdict.limit).unwrap_or(0)
    }

    /// The entries of the set that refuse, in order.
    #[getter]
    fn refusing(&self) -> Vec<usize> {
        self.limits().refusing(&self.verdict)
    }

    /// Those of them that refuse for what the key itself has spent, and not since it shares a counter with others in a flood.
    #[getter]
    fn striking(&self) -> Vec<usize> {
        self.limits().striking(&self.verdict)
    }

    /// The scope of the limit that refused, or None.
    #[getter]
    fn scope(&self) -> Option<&str> {
        self.violation().map(|(scope, _)| scope)
    }

    /// Cells left: under the limit that refused, else under the one that has fewest.
    #[getter]
    pub(super) fn remaining(&self) -> u32 {
        self.verdict.remaining
    }

    /// The most that limit can hold.
    #[getter]
    pub(super) fn limit(&self) -> u32 {
        self.limits().limit(self.verdict.limit).map_or(0, |(_, quota)| quota.burst())
    }

    /// Seconds until its counter is full, rounded up; in a refusal, until the request would pass.
    #[getter]
    pub(super) fn reset(&self) -> u64 {
        self.limits().reset(&self.verdict)
    }

    /// The value of the ``RateLimit`` field for that limit, such as ``"60/minute burst 20";r=19;t=1``.
    #[getter]
    pub(super) fn fields<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        self.limits().field_then(&self.verdict, |field| PyString::new(py, field))
    }

    fn __bool__(&self) -> bool {
        self.verdict.admitted
    }

    fn __repr__(&self) -> String {
        let Self { verdict, .. } = self;
        format!("Verdict(admitted={}, remaining={})", verdict.admitted, verdict.remaining)
    }
}

impl Verdict {
    pub(super) fn of(verdict: limits::Verdict, set: Py<LimitSet>) -> Self {
        Self { verdict, set }
    }

    /// The scope of the limit that decided it, and how.
    pub(super) fn decided(&self) -> (&str, &'static str) {
        let scope = self.limits().limit(self.verdict.limit).map_or("", |(scope, _)| scope);
        (scope, if self.verdict.admitted { "admitted" } else { "refused" })
    }

    fn limits(&self) -> &Limits {
        &self.set.get().limits
    }

    fn violation(&self) -> Option<(&str, &limits::Quota)> {
        if self.verdict.admitted { None } else { self.limits().limit(self.verdict.limit) }
    }
}

/// What a check goes by. The wall clock is read only for limits that go by it.
pub(super) fn now(limits: &Limits, clock: &Clock) -> Now {
    let host = clock.host();
    let unix = if limits.has_windows() { (clock.unix().0.max(0.0) * 1e9) as u64 } else { 0 };
    Now { host, unix }
}

/// Six arguments of the script for one limit.
pub(super) fn arguments_of(rule: &Told, cost: String, lease: &str, lease_ms: u64) -> [String; 6] {
    let zero = || "0".to_owned();
    let (kind, [p1, p2, p3, p4]) = match rule {
        Told::Rate { interval, burst } => ("g", [interval.to_string(), burst.to_string(), zero(), zero()]),
        Told::Fixed { limit, window: Window { start, end, next_end } } => {
            ("w", [limit.to_string(), start.to_string(), end.to_string(), next_end.to_string()])
        }
        Told::Sliding { limit, period } => ("s", [limit.to_string(), period.to_string(), zero(), zero()]),
        Told::Concurrent { limit } => {
            ("c", [limit.to_string(), lease.to_owned(), lease_ms.to_string(), zero()])
        }
    };
    [kind.to_owned(), cost, p1, p2, p3, p4]
}

/// What the script says of one limit.
pub(super) fn answer_of(left: i64, reset: i64, wait: i64) -> Answer {
    let whole = |number: i64| u64::try_from(number).unwrap_or(0);
    Answer {
        remaining: u32::try_from(whole(left)).unwrap_or(u32::MAX),
        reset: whole(reset),
        wait: u64::try_from(wait).ok(),
    }
}

fn entry((scope, quotas, kind): (String, Vec<Quota>, String)) -> Result<Entry, ConfigError> {
    let kind = match kind.as_str() {
        "address" => Kind::Address,
        "text" => Kind::Text,
        other => {
            return Err(ConfigError::new(format!(
                "{other:?} is not a kind of key. Use \"address\" or \"text\""
            )));
        }
    };
    Ok(Entry { scope, quotas: quotas.into_iter().map(|quota| quota.0).collect(), kind })
}

/// What a client's address counts as: one text for all the ways in which it can be written and varied.
///
/// *ipv6_prefix* bits of an IPv6 address count; a mapped or translated IPv4 address is that IPv4 address; zones and
/// ports are dropped. What is no address is ``""``: count all of those together, never not at all.
///
/// :raises ValueError: if *ipv6_prefix* is not between 32 and 128.
///
/// >>> client_key("::ffff:192.0.2.1", 64) == client_key("192.0.2.1:443", 64)
/// True
#[pyfunction]
pub fn client_key(address: &Bound<'_, PyString>, ipv6_prefix: u32) -> PyResult<String> {
    let prefix = Prefix::new(ipv6_prefix)?;
    let text = address.to_string_lossy();
    let key = prefix.key(&text);
    let bytes = key.as_ref().map(AddressKey::as_bytes).unwrap_or_default();
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
