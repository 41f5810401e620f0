//! What Python asks limits with: keys, and what a request costs.

use std::borrow::Cow;

use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyString, PyTuple};

use crate::error::ConfigError;
use crate::limits::Costs;

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

/// Lends the keys as bytes; one key without allocating.
pub(super) fn with_keys<T>(
    keys: &Bound<'_, PyTuple>,
    call: impl FnOnce(&[Cow<'_, [u8]>]) -> Result<T, ConfigError>,
) -> PyResult<T> {
    if keys.len() == 1 {
        let item = keys.get_item(0)?;
        return Ok(call(&[key_bytes(item.cast::<PyString>()?)?])?);
    }
    let items = keys.iter().map(|item| Ok(item.cast_into::<PyString>()?)).collect::<PyResult<Vec<_>>>()?;
    let bytes = items.iter().map(key_bytes).collect::<PyResult<Vec<_>>>()?;
    Ok(call(&bytes)?)
}

/// A key's bytes. A lone surrogate, which JSON can smuggle into a user name, is no reason to fail: it is
/// a key of its own.
fn key_bytes<'a>(key: &'a Bound<'_, PyString>) -> PyResult<Cow<'a, [u8]>> {
    match key.to_cow() {
        Ok(Cow::Borrowed(text)) => Ok(Cow::Borrowed(text.as_bytes())),
        Ok(Cow::Owned(text)) => Ok(Cow::Owned(text.into_bytes())),
        Err(_) => {
            let bytes = key.call_method1("encode", ("utf-8", "surrogatepass"))?;
            Ok(Cow::Owned(bytes.extract::<Vec<u8>>()?))
        }
    }
}
