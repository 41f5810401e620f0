//! What Python asks limits with: keys, and what a request costs.

use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyString, PyTuple};

use crate::limits::{Costs, KeyText};

/// A number of cells, at least 0. What is above 2**32 - 1 is above every burst, so it may as well be that.
#[derive(Clone, Copy)]
pub(super) struct Cost(pub u32);

impl<'a, 'py> FromPyObject<'a, 'py> for Cost {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if object.is_instance_of::<PyBool>() {
            return Err(PyTypeError::new_err("a cost is a whole number of cells, not True or False"));
        }
        let cells = match object.extract::<i64>() {
            Ok(cells) => cells,
            Err(error) if error.is_instance_of::<PyOverflowError>(object.py()) => {
                if object.lt(0)? {
                    i64::MIN
                } else {
                    i64::MAX
                }
            }
            Err(error) => return Err(error),
        };
        let cells = u32::try_from(cells.min(i64::from(u32::MAX)));
        cells
            .map(Self)
            .map_err(|_| PyValueError::new_err("a cost is at least 0: less would refill the quota"))
    }
}

/// One cost for all entries, or a tuple of one for each.
pub(super) enum Charged {
    Same(Cost),
    Each(Vec<u32>),
}

impl Charged {
    pub(super) const ONE: Self = Self::Same(Cost(1));

    pub(super) fn costs(&self) -> Costs<'_> {
        match self {
            Self::Same(cost) => Costs::Same(cost.0),
            Self::Each(costs) => Costs::Each(costs),
        }
    }
}

impl<'a, 'py> FromPyObject<'a, 'py> for Charged {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        match object.cast::<PyTuple>() {
            Ok(costs) => {
                let costs = costs.iter().map(|cost| Ok(cost.extract::<Cost>()?.0));
                costs.collect::<PyResult<_>>().map(Self::Each)
            }
            Err(_) => object.extract().map(Self::Same),
        }
    }
}

/// A key that is lent.
#[derive(Clone, Copy)]
pub(super) enum Lent<'k> {
    Text(&'k str),
    Bytes(&'k [u8]),
}

impl KeyText for Lent<'_> {
    #[inline]
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    #[inline]
    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Bytes(_) => None,
        }
    }
}

/// Lends the keys, few of them without allocating. A set with one entry may be given its key as it is.
#[inline(always)]
pub(super) fn with_keys<T>(
    keys: &Bound<'_, PyAny>,
    call: impl FnOnce(&[Lent<'_>]) -> PyResult<T>,
) -> PyResult<T> {
    if let Ok(key) = keys.cast::<PyString>() {
        return match key.to_str() {
            Ok(text) => call(&[Lent::Text(text)]),
            Err(_) => call(&[Lent::Bytes(&encoded(key)?)]),
        };
    }
    let keys = keys.cast::<PyTuple>()?;
    if keys.len() > FEW {
        return with_many(keys, call);
    }
    let mut items = [const { None }; FEW];
    for (item, key) in items.iter_mut().zip(keys.iter_borrowed()) {
        *item = Some(key.cast::<PyString>()?);
    }
    let mut lent = [Lent::Text(""); FEW];
    for (lent, item) in lent.iter_mut().zip(items.iter().flatten()) {
        match item.to_str() {
            Ok(text) => *lent = Lent::Text(text),
            Err(_) => return with_many(keys, call),
        }
    }
    call(lent.get(..keys.len()).unwrap_or_default())
}

fn with_many<T>(keys: &Bound<'_, PyTuple>, call: impl FnOnce(&[Lent<'_>]) -> PyResult<T>) -> PyResult<T> {
    let bytes = keys.iter().map(|key| encoded(key.cast::<PyString>()?)).collect::<PyResult<Vec<_>>>()?;
    let lend = |bytes| std::str::from_utf8(bytes).map_or(Lent::Bytes(bytes), Lent::Text);
    call(&bytes.iter().map(|bytes| lend(bytes)).collect::<Vec<_>>())
}

/// A key's bytes. A lone surrogate, which JSON can smuggle into a user name, is no reason to fail: it is
/// a key of its own.
pub(super) fn encoded(key: &Bound<'_, PyString>) -> PyResult<Vec<u8>> {
    key.call_method1("encode", ("utf-8", "surrogatepass"))?.extract()
}

/// Keys that are lent without allocating.
const FEW: usize = 4;
