//! The monitor for Python: requests go in as they end, findings come out in batches.
//!
//! What a request was is kept as references to texts that are there anyway, and hashed when a batch is folded. So the
//! request's path pays for looking, and a batch for counting.

use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PySet, PyString};

use crate::limits::address::Prefix;
use crate::monitor::{Engine, Finding, Keys, Layout, Outcome, Party, Rule, Signs, Source, Subject};
use crate::shared::{HEADER_WORDS, SharedWords};

use super::answer::{Ended, Told};
use super::clock::Clock;
use super::errors::guarded;
use super::stores::{boot_id, random_seed, seed_of};

mod accounts;
mod pages;
mod responses;
mod rules;
mod seen;

use pages::Pages;
pub(super) use responses::MonitorState;
use seen::{Seen, Who};

/// What a monitor and its state share.
pub(super) struct Table {
    engine: Engine,
    keys: Keys,
    shared: SharedWords<Layout>,
    prefix: Prefix,
    pages: Pages,
}

impl Table {
    /// The words of the table, behind the header.
    fn words(&self) -> &[AtomicU64] {
        self.shared.words().get(HEADER_WORDS..).unwrap_or_default()
    }
}

/// Who did what, for :meth:`Monitor.note`. Texts that are not known are None.
#[pyclass(frozen, module = "flask_rampart._native")]
pub struct Sight {
    seen: Seen,
    unix: Option<f64>,
}

#[pymethods]
impl Sight {
    /// :param signs: names of signs beside those of *status* and *codes*, such as ``["refresh_reused"]``.
    /// :param status: the answer's; 0 if there was none, and then *signs* are all.
    /// :param login: whether a login that it was succeeded.
    /// :param source: whose doing it was, as :meth:`MonitorState.source_of` tells it.
    /// :param credential: whether it carried a credential, or may have: a 401 of the app's own refused that.
    /// :param unix: when, in seconds since 1970; it is the clock that windows go by. Not given: now.
    /// :raises ValueError: for a sign or a source that there is none of, and a time before 1970 or after the year 9999.
    #[new]
    #[pyo3(signature = (*, signs=vec![], status=0, codes=vec![], route=None, path=None, query=None, address=None, principal=None, issuer=None, token=None, account=None, login=None, reason=None, size=0, request_id=None, source="", credential=true, unix=None))]
    #[expect(clippy::too_many_arguments, reason = "each is given by its name")]
    fn new(
        signs: Vec<String>,
        status: u16,
        codes: Vec<Py<PyString>>,
        route: Option<Py<PyString>>,
        path: Option<Py<PyString>>,
        query: Option<Py<PyString>>,
        address: Option<Py<PyString>>,
        principal: Option<Py<PyString>>,
        issuer: Option<Py<PyString>>,
        token: Option<Py<PyString>>,
        account: Option<Py<PyString>>,
        login: Option<bool>,
        reason: Option<Py<PyString>>,
        size: u64,
        request_id: Option<Py<PyString>>,
        source: &str,
        credential: bool,
        unix: Option<f64>,
        py: Python<'_>,
    ) -> PyResult<Self> {
        if unix.is_some_and(|unix| !(0.0..=LATEST).contains(&unix)) {
            return Err(PyValueError::new_err("a sight is of the years 1970 to 9999"));
        }
        let source = Source::named(source)
            .ok_or_else(|| PyValueError::new_err("a source is \"\", \"content\" or \"crossing\""))?;
        let mut given = Signs(0);
        for name in &signs {
            given = given.with(Signs::named(name)?);
        }
        if status != 0 {
            let outcome = Outcome { status, has_route: route.is_some(), login, has_credential: credential };
            let texts: Vec<_> = codes.iter().map(|code| code.bind(py).to_string_lossy()).collect();
            given = given.with(Signs::of(&outcome, texts.iter().map(AsRef::as_ref)));
        }
        let code = codes.last().map(|code| code.clone_ref(py));
        let seen = Seen {
            signs: given,
            size,
            address,
            at: 0,
            path,
            query,
            source,
            is_deliberate: false,
            route,
            who: Who::Told(principal, issuer, token),
            account,
            code,
            reason,
            request_id,
        };
        Ok(Self { seen, unix })
    }
}

/// Counts what requests were, in a table of fixed size, and tells which rules' thresholds were reached.
///
/// :param rules: dicts with ``name``, ``counts``, ``among``, ``by``, ``measure``, ``threshold``, ``window``, ``share``,
///     ``alone``, ``deviations``, ``learned``; see ``flask_rampart.Rule``; and ``response``, where one is made: it is asked
///     for again if it is no longer in force.
/// :param bytes: size of the table.
/// :param batch: how many requests wait to be counted together; fewer, if the first of them ended a second before.
/// :param seed: 16 bytes that names are hashed with; random, if not given.
/// :raises ValueError: for a rule or a size that cannot be meant.
///
/// >>> clock = Clock.manual(1_800_000_000.0)
/// >>> rule = {"name": "scan", "counts": ["not_found"], "by": "address", "threshold": 2, "window": 60}
/// >>> monitor = Monitor([rule], clock)
/// >>> sight = Sight(status=404, path="/.env", address="192.0.2.7")
/// >>> monitor.note(sight), [found[:5] for found in monitor.note(sight)]
/// ([], [(0, 'address', '192.0.2.7', None, 2)])
#[pyclass(frozen, module = "flask_rampart._native")]
pub struct Monitor {
    table: Arc<Table>,
    clock: Py<Clock>,
    batch: usize,
    waiting: Mutex<Waiting>,
    found: Option<Py<PyAny>>,
}

/// Requests that are not yet counted.
struct Waiting {
    seen: Vec<Seen>,
    /// When the first of them ended, in nanoseconds since boot.
    since: u64,
}

/// A finding: the rule's number, the kind of subject, the subject, its issuer, the count, when (seconds since 1970), the
/// route, the request's id, the address, what is to be known of how it was counted, who is behind it, and whether it was
/// told before.
type Found<'py> = (
    usize,
    &'static str,
    String,
    Option<Bound<'py, PyString>>,
    u64,
    f64,
    Option<Bound<'py, PyString>>,
    Option<Bound<'py, PyString>>,
    Option<Bound<'py, PyString>>,
    &'static str,
    u64,
    bool,
);

#[pymethods]
impl Monitor {
    /// :param found: called with a list of findings (see :meth:`note`) when there are any, in the thread that folds. May
    ///     not raise.
    /// :param file: the directory and the name of a file that all workers of the host map; None for a table of this
    ///     process alone.
    /// :param as_is: to look at that file, whatever its size; a table of this process alone while there is none.
    /// :param trusted: origins whose pages are taken for one's own.
    /// :param fields: the fields that schemes read credentials from, as WSGI names them, beside ``X-API-Key`` and
    ///     ``Authorization``: no page of another site can have a browser send one. Those that are added later count, too.
    /// :param https_only: whether nothing is answered by plain HTTP: a GET that came so is then a page's doing, as browsers
    ///     do not say there whose it was.
    /// :raises ValueError: if the directory or file could be another user's or under another's control, or cannot be
    ///     allocated; the message says the cure.
    #[new]
    #[pyo3(signature = (rules, clock, *, bytes=1_048_576, batch=1, ipv6_prefix=64, seed=None, file=None, as_is=false, found=None, fields=None, trusted=None, https_only=false))]
    #[expect(clippy::too_many_arguments, reason = "each is given by its name")]
    fn new(
        py: Python<'_>,
        rules: Vec<Bound<'_, PyDict>>,
        clock: Py<Clock>,
        bytes: u64,
        batch: usize,
        ipv6_prefix: u32,
        seed: Option<Vec<u8>>,
        file: Option<(PathBuf, String)>,
        as_is: bool,
        found: Option<Py<PyAny>>,
        fields: Option<Py<PySet>>,
        trusted: Option<Py<PyAny>>,
        https_only: bool,
    ) -> PyResult<Self> {
        let seed = seed.map_or_else(random_seed, seed_of)?;
        let layout = Layout::within(bytes)?;
        let rules = rules.iter().map(rules::read).collect::<PyResult<Vec<Rule>>>()?;
        let shared = match file {
            Some((directory, name)) => {
                let boot = boot_id(clock.get())?;
                if as_is {
                    py.detach(|| SharedWords::open_as_is(&directory, &name, &boot))?
                        .unwrap_or_else(|| SharedWords::private(layout, seed))
                } else {
                    // Waits for other processes that open the same file, and allocates it.
                    py.detach(|| SharedWords::open(&directory, &name, layout, &boot, seed))?
                }
            }
            None => SharedWords::private(layout, seed),
        };
        let keys = Keys::new(shared.seed().bytes());
        let engine = Engine::new(shared.layout(), rules, &keys)?;
        let pages = Pages { fields, trusted, https_only };
        let table = Table { engine, keys, shared, prefix: Prefix::new(ipv6_prefix)?, pages };
        Ok(Self {
            table: Arc::new(table),
            clock,
            batch: batch.clamp(1, MOST_WAITING),
            waiting: Mutex::new(Waiting { seen: Vec::new(), since: 0 }),
            found,
        })
    }

    /// :raises ValueError: for a rule that cannot be meant; says why.
    #[staticmethod]
    fn check(rule: &Bound<'_, PyDict>) -> PyResult<()> {
        rules::read(rule).map(drop)
    }

    /// Counts one sight, at once.
    ///
    /// :returns: findings: each the rule's number, the kind of subject, the subject, its issuer, the count, when (seconds
    ///     since 1970), the route, the request's id, the address, and ``"crossing"`` where pages of other sites made
    ///     browsers send what was counted, ``"content"`` where it was asked for as a part of a page, ``"shared"`` where
    ///     several were counted together as the table is full, else ``""``; who is behind it, for :meth:`MonitorState.mark`;
    ///     and whether it was told before and is to be answered again, as its response is no longer in force.
    fn note<'py>(&self, py: Python<'py>, sight: &Sight) -> PyResult<Vec<Found<'py>>> {
        guarded(|| {
            let (at, unix) = self.now(sight.unix);
            let mut found = vec![];
            self.count(py, &sight.seen, at, at, unix, &mut found);
            Ok(found)
        })
    }

    /// Counts what waits. What is found goes to *found*.
    fn fold(&self, py: Python<'_>) -> PyResult<()> {
        let waiting = std::mem::take(&mut self.wait().seen);
        self.fold_all(py, &waiting)
    }

    /// How many requests wait to be counted.
    #[getter]
    fn waiting(&self) -> usize {
        self.wait().seen.len()
    }

    /// To be called in a forked child: what waits is its parent's to count.
    fn forget(&self) {
        self.wait().seen.clear();
    }

    /// The shared file, or None.
    #[getter]
    fn path(&self) -> Option<String> {
        self.table.shared.path().map(|path| path.to_string_lossy().into_owned())
    }

    /// Places for counters, for principals, and for responses.
    #[getter]
    fn places(&self) -> [usize; 3] {
        self.table.engine.layout().places()
    }

    /// What lasts beyond a window: responses in force, from where accounts are known, and the book of findings.
    #[getter]
    fn state(&self, py: Python<'_>) -> MonitorState {
        MonitorState::new(Arc::clone(&self.table), self.clock.clone_ref(py))
    }

    fn __traverse__(&self, visit: pyo3::gc::PyVisit<'_>) -> Result<(), pyo3::gc::PyTraverseError> {
        visit.call(&self.clock)?;
        visit.call(&self.found)
    }
}

impl Monitor {
    /// Notes a request that has ended. Never fails the request: what went wrong is told as unraisable.
    pub(super) fn observe(&self, ended: &Ended<'_, '_>, told: &Told<'_>) {
        let py = ended.exchange.py();
        let noted = guarded(|| {
            let now = ended.now.unwrap_or_else(|| self.clock.get().host()).0;
            let seen = Seen::of(&self.table.keys, &self.table.pages, now, ended, told)?;
            let mut waiting = self.wait();
            waiting.seen.push(seen);
            if waiting.seen.len() == 1 {
                waiting.since = now;
            }
            // Not by a thread: it would have to be started again after each fork, and wake up in workers that idle.
            if waiting.seen.len() < self.batch && now.saturating_sub(waiting.since) < LONGEST {
                return Ok(());
            }
            let full = std::mem::replace(&mut waiting.seen, Vec::with_capacity(self.batch));
            drop(waiting);
            self.fold_all(py, &full)
        });
        if let Err(error) = noted {
            error.write_unraisable(py, None);
        }
    }

    fn wait(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts each as of when it ended, however long it waited.
    fn fold_all(&self, py: Python<'_>, waiting: &[Seen]) -> PyResult<()> {
        if waiting.is_empty() {
            return Ok(());
        }
        let clock = self.clock.get();
        let (now, unix) = (clock.host().0, clock.unix().0);
        let found = guarded(|| {
            let mut found = vec![];
            for seen in waiting {
                let ago = now.saturating_sub(seen.at) as f64 / 1e9;
                self.count(py, seen, seen.at / SECOND, now / SECOND, unix - ago, &mut found);
            }
            Ok(found)
        })?;
        match &self.found {
            Some(tell) if !found.is_empty() => tell.call1(py, (found,)).map(drop),
            _ => Ok(()),
        }
    }

    /// The clock of windows, in seconds, and the time of day. A replay's records are both.
    fn now(&self, unix: Option<f64>) -> (u64, f64) {
        match unix {
            Some(unix) => (unix as u64, unix),
            None => {
                let clock = self.clock.get();
                (clock.host().0 / SECOND, clock.unix().0)
            }
        }
    }

    /// Counts one, as of a time (seconds by the clock of windows), now; what is found is added.
    fn count<'py>(
        &self,
        py: Python<'py>,
        seen: &Seen,
        at: u64,
        now: u64,
        unix: f64,
        all: &mut Vec<Found<'py>>,
    ) {
        let table = &self.table;
        let observation = seen.observation(py, &table.keys, &table.prefix, at, now, unix as u64);
        let mut found: Vec<Finding> = vec![];
        table.engine.fold(table.words(), &observation, &mut |finding| found.push(finding));
        for finding in found {
            let bound = |text: &Option<Py<PyString>>| text.as_ref().map(|text| text.bind(py).clone());
            let has_issuer = matches!(finding.subject, Subject::Principal | Subject::Token);
            let (subject, how) = match (finding.is_shared, finding.is_crossing) {
                (true, _) => (FULL.to_owned(), "shared"),
                (_, true) => (seen.subject(py, finding.subject, &table.prefix), seen.source.name()),
                _ => (seen.subject(py, finding.subject, &table.prefix), ""),
            };
            all.push((
                finding.rule,
                finding.subject.name(),
                subject,
                seen.who.issuer(py).filter(|_| has_issuer).map(|issuer| PyString::new(py, &issuer)),
                finding.count,
                unix,
                bound(&seen.route),
                bound(&seen.request_id),
                bound(&seen.address),
                how,
                Party::behind(&observation, finding.subject).number(),
                finding.is_again,
            ));
        }
    }
}

/// Whom it is about when nobody can be told apart any more.
const FULL: &str = "the table is full: who found no place in it";
const MOST_WAITING: usize = 1024;
/// The last second of the year 9999, and all of it.
const LATEST: f64 = 253_402_300_800.0;
/// Nanoseconds that a request waits to be counted, if another one ends.
const LONGEST: u64 = SECOND;
const SECOND: u64 = 1_000_000_000;
