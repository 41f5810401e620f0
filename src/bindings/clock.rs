//! The one place that reads clocks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::time::{HostTime, UnixTime};

/// The time that every guard of an app is told: the system's, or one that a test advances.
///
/// >>> clock = Clock.manual(1_800_000_000.0)
/// >>> clock.advance(30)
/// >>> clock.now()
/// 1800000030.0
#[pyclass(frozen, module = "flask_rampart._native")]
pub struct Clock(Source);

enum Source {
    System,
    /// Nanoseconds since the Unix epoch. Host time is the same number.
    Manual(AtomicU64),
}

#[pymethods]
impl Clock {
    /// The system's clocks: wall time for tokens and logs, time since boot for limits.
    #[staticmethod]
    fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands at *unix* seconds until it is advanced.
    ///
    /// :raises ValueError: unless *unix* is between 1 and 2**33.
    #[staticmethod]
    fn manual(unix: f64) -> PyResult<Self> {
        if !(1.0..=8_589_934_592.0).contains(&unix) {
            return Err(PyValueError::new_err("a manual clock starts between 1 and 2**33 seconds"));
        }
        Ok(Self(Source::Manual(AtomicU64::new((unix * 1e9) as u64))))
    }

    /// Moves a manual clock forward by *seconds*.
    ///
    /// :raises ValueError: for the system's clock, or if *seconds* is negative or over a century.
    fn advance(&self, seconds: f64) -> PyResult<()> {
        let Source::Manual(now) = &self.0 else {
            return Err(PyValueError::new_err("only a manual clock can be advanced"));
        };
        if !(0.0..=3.2e9).contains(&seconds) {
            return Err(PyValueError::new_err("a clock is advanced by 0 to 3.2e9 seconds"));
        }
        now.fetch_add((seconds * 1e9) as u64, Ordering::AcqRel);
        Ok(())
    }

    /// Seconds since 1970-01-01 UTC.
    fn now(&self) -> f64 {
        self.unix().0
    }
}

impl Clock {
    /// Wall time.
    pub(crate) fn unix(&self) -> UnixTime {
        match &self.0 {
            Source::System => {
                // A wall clock before 1970 reads as 0: every token is then refused as not yet valid.
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                UnixTime(since.as_secs_f64())
            }
            Source::Manual(nanos) => UnixTime(nanos.load(Ordering::Acquire) as f64 / 1e9),
        }
    }

    /// Whether it stands until it is advanced.
    pub(crate) fn is_manual(&self) -> bool {
        matches!(self.0, Source::Manual(_))
    }

    /// Time since boot.
    pub(crate) fn host(&self) -> HostTime {
        match &self.0 {
            Source::System => HostTime(boot_nanos()),
            Source::Manual(nanos) => HostTime(nanos.load(Ordering::Acquire)),
        }
    }
}

fn boot_nanos() -> u64 {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let id = rustix::time::ClockId::Boottime;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let id = rustix::time::ClockId::Monotonic;
    let now = rustix::time::clock_gettime(id);
    (now.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(now.tv_nsec as u64).max(1)
}
