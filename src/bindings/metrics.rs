//! Metrics for Python: the table, and what a request that has ended adds to it.

use std::borrow::Cow;
use std::path::PathBuf;

use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};

use super::answer::Told;
use super::clock::Clock;
use super::errors::guarded;
use super::limits::Verdict;
use super::stores::{boot_id, random_seed};
use crate::metrics::{Counter, Format, Gauge, Metrics, Request, Shape};
use crate::time::HostTime;

/// A gauge: its name, its help text, and its series: labels and value.
type PyGauge = (String, String, Vec<(Vec<(String, String)>, f64)>);

/// How often something happened, for all workers of the host: a table of a fixed size that each of them maps.
///
/// >>> table = MetricTable.local(Clock.manual(1_800_000_000.0))
/// >>> table.add("bans", ["address"])
/// >>> table.samples()
/// [('rampart_bans_total', {'by': 'address'}, 1.0)]
#[pyclass(frozen, module = "flask_rampart._native", weakref)]
pub struct MetricTable {
    core: Metrics,
    clock: Py<Clock>,
}

#[pymethods]
impl MetricTable {
    /// The table in *directory*/*name*, shared by every process that opens it; kept over restarts, begun anew after a reboot.
    ///
    /// :param directory: an absolute path to a local directory of the user's own, mode 0700; created so if missing.
    /// :param series: counters of routes that have room, 64 to 2**20, and a quarter as many histograms; 352 bytes for each. While other
    ///     workers use the table, its present size is kept.
    /// :raises ValueError: if the directory or file could be another user's or under another's control, or cannot be
    ///     allocated; the message says the cure.
    #[staticmethod]
    #[pyo3(signature = (directory, name, clock, *, series=4096))]
    fn shared(
        py: Python<'_>,
        directory: PathBuf,
        name: &str,
        clock: Bound<'_, Clock>,
        series: u32,
    ) -> PyResult<Self> {
        let (boot, seed, shape) = (boot_id(clock.get())?, random_seed()?, Shape::new(series)?);
        // Waits for other processes that open the same file, and allocates it.
        let core = py.detach(|| Metrics::shared(&directory, name, shape, &boot, seed))?;
        Ok(Self { core, clock: clock.unbind() })
    }

    /// The table in *directory*/*name* as it is, whatever its size, to look at; None if nobody has made one since the host began.
    ///
    /// :raises ValueError: if the directory or file could be another user's or under another's control.
    #[staticmethod]
    fn existing(
        py: Python<'_>,
        directory: PathBuf,
        name: &str,
        clock: Bound<'_, Clock>,
    ) -> PyResult<Option<Self>> {
        let boot = boot_id(clock.get())?;
        let core = py.detach(|| Metrics::existing(&directory, name, &boot))?;
        Ok(core.map(|core| Self { core, clock: clock.unbind() }))
    }

    /// A table of this process alone.
    ///
    /// :raises ValueError: unless *series* is 64 to 2**20.
    #[staticmethod]
    #[pyo3(signature = (clock, *, series=4096))]
    fn local(clock: Bound<'_, Clock>, series: u32) -> PyResult<Self> {
        Ok(Self { core: Metrics::private(Shape::new(series)?, random_seed()?), clock: clock.unbind() })
    }

    /// Adds *count* to a counter, such as ``"bans"``, with these labels, one for each that it has.
    ///
    /// :raises ValueError: for what is no counter, or other labels than it has.
    #[pyo3(signature = (counter, labels, count=1))]
    fn add(&self, counter: &str, labels: Vec<String>, count: u64) -> PyResult<()> {
        let kind = Counter::ALL
            .into_iter()
            .find(|kind| kind.family().name.strip_prefix("rampart_") == Some(counter))
            .filter(|kind| kind.family().labels.len() == labels.len())
            .ok_or_else(|| PyValueError::new_err("there is no such counter with so many labels"))?;
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        self.core.add(kind, &labels, count, self.clock.get().unix());
        Ok(())
    }

    /// Has what counts refusals by these codes begin, at 0.
    fn expect(&self, codes: Vec<String>) {
        let now = self.clock.get().unix();
        codes.iter().for_each(|code| self.core.refused(code, 0, now));
    }

    /// Counts a request that has ended.
    ///
    /// :param route: the template that matched; None if none did.
    /// :param micros: how long it took, in microseconds.
    /// :param codes: of its refusals.
    /// :param aborted: whether the answer broke off.
    #[pyo3(signature = (route, method, status, micros, codes=vec![], *, address="", principal="", aborted=false))]
    #[expect(clippy::too_many_arguments, reason = "what a request was, told once")]
    fn request(
        &self,
        route: Option<&str>,
        method: &str,
        status: i64,
        micros: u64,
        codes: Vec<String>,
        address: &str,
        principal: &str,
        aborted: bool,
    ) {
        let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
        let looking = false;
        let request =
            Request { route, method, status, micros, aborted, looking, codes: &codes, address, principal };
        let clock = self.clock.get();
        self.core.request(&request, clock.unix(), clock.host());
    }

    /// All series in Prometheus' text format 0.0.4, or as OpenMetrics 1.0.
    ///
    /// :param gauges: each ``(name, help, [([(label, value), ...], number), ...])``; they come first.
    #[pyo3(signature = (*, openmetrics=false, gauges=vec![]))]
    fn text<'py>(
        &self,
        py: Python<'py>,
        openmetrics: bool,
        gauges: Vec<PyGauge>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let format = if openmetrics { Format::OpenMetrics } else { Format::Prometheus };
        let gauges: Vec<Gauge> =
            gauges.into_iter().map(|(name, help, series)| Gauge { name, help, series }).collect();
        guarded(|| Ok(PyBytes::new(py, py.detach(|| self.core.text(format, &gauges)).as_bytes())))
    }

    /// Each counter, and of each histogram its count and its sum (in seconds): name, labels, value.
    fn samples<'py>(&self, py: Python<'py>) -> PyResult<Vec<(String, Bound<'py, PyDict>, f64)>> {
        let named = |sample: crate::metrics::Sample| {
            let labels = PyDict::new(py);
            for (name, value) in &sample.labels {
                labels.set_item(name, value)?;
            }
            Ok((sample.name, labels, sample.value))
        };
        self.core.samples().into_iter().map(named).collect()
    }

    /// The last hour in steps of five seconds, oldest first: when each began (in seconds since 1970), requests, refused ones, and
    /// those that were answered with a status of the 5xx.
    fn timeline(&self) -> Vec<(u64, u32, u32, u32)> {
        let steps = self.core.timeline(self.clock.get().unix());
        steps.into_iter().map(|step| (step.begins, step.requests, step.refused, step.failed)).collect()
    }

    /// From now on this process remembers the last refusals, with address and principal, for :meth:`recent`.
    fn remember_refusals(&self) {
        self.core.remember_refusals();
    }

    /// The last refusals that were remembered, newest first: time, code, address, principal, method, route.
    #[pyo3(signature = (limit=2048))]
    fn recent(&self, limit: usize) -> Vec<(f64, String, String, String, String, String)> {
        let told = self.core.recent(limit);
        told.into_iter()
            .map(|one| (one.time, one.code, one.address, one.principal, one.method, one.route))
            .collect()
    }

    /// How many processes live that have counted a request. Looks at a file for each.
    fn workers(&self) -> usize {
        self.core.workers(self.clock.get().host())
    }

    /// To be called in a forked child: it is another worker.
    fn forget_parent(&self) {
        self.core.forget_parent();
    }

    /// The shared file, or None.
    #[getter]
    fn path(&self) -> Option<Cow<'_, str>> {
        self.core.path().map(|path| path.to_string_lossy())
    }

    /// How many series have room, and how many there are.
    #[getter]
    fn room(&self) -> (usize, usize) {
        self.core.room()
    }

    /// When the first request was counted, in seconds since 1970; 0.0 before.
    #[getter]
    fn since(&self) -> f64 {
        self.core.since()
    }
}

impl MetricTable {
    /// Counts a request as the edge knows it, and says what time it was since boot.
    pub(super) fn count(
        &self,
        exchange: &Bound<'_, PyAny>,
        environ: &Bound<'_, PyDict>,
        told: &Told<'_>,
        status: i64,
        micros: u64,
        aborted: bool,
    ) -> PyResult<HostTime> {
        let py = exchange.py();
        let clock = self.clock.get();
        let (now, host) = (clock.unix(), clock.host());
        let method = text_of(environ, intern!(py, "REQUEST_METHOD"))?;
        let method = method.as_ref().map(lossy).unwrap_or_default();
        let route = told.route.as_ref().map(lossy);
        for pair in exchange.getattr(intern!(py, "limits"))?.cast_into::<PyTuple>()? {
            let Ok(pair) = pair.cast_into::<PyTuple>() else { continue };
            if let Ok(verdict) = pair.get_item(0)?.cast::<Verdict>() {
                let (scope, decision) = verdict.get().decided();
                self.core.add(Counter::LimitDecisions, &[scope, decision], 1, now);
            }
        }
        let codes = &told.codes;
        let looking = exchange.getattr(intern!(py, "looking"))?.is_truthy()?;
        let plain = Request {
            route: route.as_deref(),
            method: &method,
            status,
            micros,
            aborted,
            looking,
            codes: &[],
            address: "",
            principal: "",
        };
        if codes.is_empty() {
            self.core.request(&plain, now, host);
            return Ok(host);
        }
        let address = text_of(environ, intern!(py, "REMOTE_ADDR"))?;
        let address = address.as_ref().map(lossy).unwrap_or_default();
        let principal = match &told.principal {
            Some(principal) => Some(principal.getattr(intern!(py, "id"))?),
            None => None,
        };
        let principal = principal.as_ref().and_then(|id| id.cast::<PyString>().ok()).map(lossy);
        let codes: Vec<Bound<'_, PyString>> =
            codes.iter().filter_map(|code| code.cast_into().ok()).take(MOST_CODES).collect();
        let codes: Vec<Cow<'_, str>> = codes.iter().map(lossy).collect();
        let codes: Vec<&str> = codes.iter().map(AsRef::as_ref).collect();
        let principal = principal.as_deref().unwrap_or_default();
        self.core.request(&Request { codes: &codes, address: &address, principal, ..plain }, now, host);
        Ok(host)
    }
}

fn text_of<'py>(
    environ: &Bound<'py, PyDict>,
    name: &Bound<'py, PyString>,
) -> PyResult<Option<Bound<'py, PyString>>> {
    Ok(environ.get_item(name)?.and_then(|found| found.cast_into().ok()))
}

/// The text without a copy, if it is sound.
fn lossy<'a>(text: &'a Bound<'_, PyString>) -> Cow<'a, str> {
    match text.to_str() {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(text.to_string_lossy().into_owned()),
    }
}

/// A view may refuse as often as it likes.
const MOST_CODES: usize = 32;
