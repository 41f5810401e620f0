//! Builds Python objects straight from a body, with no copy in between.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyNone, PyString, PyTuple};

use super::validation::reject;
use crate::validation::{Bounds, Builder, JsonRejection, Reason, weight};

/// The member names of a schema as Python strings, made once.
///
/// It never changes, so it takes no lock, and no peer can push names out of it. They are interned:
/// `body["text"]` then finds its member by address.
pub(crate) struct Names {
    /// A power of two of slots, at most half of them filled; a name is in the first free slot from
    /// its hash on.
    slots: Box<[Slot]>,
}

type Slot = Option<Known>;

struct Known {
    ends: Ends,
    name: Box<str>,
    object: Py<PyString>,
}

impl Names {
    pub(crate) fn new<'n>(py: Python<'_>, names: impl Iterator<Item = &'n str>) -> Self {
        let names: Vec<&str> = names.collect();
        let mut slots: Vec<Slot> = Vec::new();
        slots.resize_with((names.len() * 2).next_power_of_two().max(2), || None);
        for name in names {
            let ends = Ends::of(name);
            let mut slot = ends.hash() & (slots.len() - 1);
            while slots[slot].as_ref().is_some_and(|taken| *taken.name != *name) {
                slot = (slot + 1) & (slots.len() - 1);
            }
            slots[slot] =
                Some(Known { ends, name: name.into(), object: PyString::intern(py, name).unbind() });
        }
        Self { slots: slots.into() }
    }

    #[inline]
    fn find(&self, name: &str, ends: Ends) -> Option<&Py<PyString>> {
        let mask = self.slots.len() - 1;
        let mut slot = ends.hash() & mask;
        loop {
            match self.slots.get(slot)? {
                Some(known) if known.ends == ends && (ends.are_all() || *known.name == *name) => {
                    return Some(&known.object);
                }
                Some(_) => slot = (slot + 1) & mask,
                None => return None,
            }
        }
    }
}

/// The first and the last eight bytes of a name, and its length: all there is of most names, so that
/// they are compared without a call.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Ends {
    head: u64,
    tail: u64,
    length: usize,
}

impl Ends {
    #[inline]
    fn of(name: &str) -> Self {
        let bytes = name.as_bytes();
        let (head, tail) = match bytes {
            [a, b, c, d, e, f, g, h, ..] => {
                let tail = bytes.last_chunk::<8>().copied().unwrap_or_default();
                (u64::from_le_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), u64::from_le_bytes(tail))
            }
            [a, b, c, d, ..] => {
                let tail = bytes.last_chunk::<4>().copied().unwrap_or_default();
                (u32::from_le_bytes([*a, *b, *c, *d]).into(), u32::from_le_bytes(tail).into())
            }
            [a, .., z] => (u64::from(*a) << 16 | u64::from(bytes[1]) << 8, u64::from(*z)),
            [a] => (u64::from(*a), 0),
            [] => (0, 0),
        };
        Self { head, tail, length: bytes.len() }
    }

    /// Whether the two words cover the name.
    #[inline]
    fn are_all(self) -> bool {
        self.length <= 16
    }

    /// Cheap, and no defence: names of a schema are the developer's, and in [`Recent`] a collision only
    /// costs one string.
    #[inline]
    fn hash(self) -> usize {
        let mixed =
            (self.head ^ self.tail.rotate_left(29) ^ self.length as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 32) as usize
    }
}

/// Names that this body has used already, so that a list of records makes each name once.
type Recent<'py> = Vec<Option<(Ends, Bound<'py, PyString>)>>;

const RECENT: usize = 64;

/// Longer names are made anew each time.
const LONGEST_RECENT: usize = 64;

pub(crate) struct PyBuilder<'py, 'n> {
    py: Python<'py>,
    names: Option<&'n Names>,
    recent: Recent<'py>,
    /// Elements of the arrays that are open, innermost last: a list is made at its final length.
    elements: Vec<Bound<'py, PyAny>>,
}

impl<'py, 'n> PyBuilder<'py, 'n> {
    pub(crate) fn new(py: Python<'py>, names: Option<&'n Names>) -> Self {
        Self { py, names, recent: Vec::new(), elements: Vec::new() }
    }

    pub(crate) fn py(&self) -> Python<'py> {
        self.py
    }

    fn recent(&mut self, name: &str, ends: Ends) -> PyResult<Bound<'py, PyString>> {
        if name.len() > LONGEST_RECENT {
            return PyString::from_bytes(self.py, name.as_bytes());
        }
        if self.recent.is_empty() {
            self.recent.resize_with(RECENT, || None);
        }
        let slot = &mut self.recent[ends.hash() % RECENT];
        if let Some((known, object)) = slot
            && *known == ends
            && (ends.are_all() || object.to_str().is_ok_and(|text| text == name))
        {
            return Ok(object.clone());
        }
        let object = PyString::from_bytes(self.py, name.as_bytes())?;
        *slot = Some((ends, object.clone()));
        Ok(object)
    }
}

/// A member's name. One that the schema knows is only looked at: under the stable ABI, each count of
/// its references would be a call.
pub(crate) enum Key<'py, 'n> {
    Known(&'n Bound<'py, PyString>),
    Made(Bound<'py, PyString>),
}

impl<'py: 'n, 'n> Builder for PyBuilder<'py, 'n> {
    type Value = Bound<'py, PyAny>;
    type Key = Key<'py, 'n>;
    /// Where its elements start.
    type Array = usize;
    type Object = Bound<'py, PyDict>;
    type Fault = PyErr;

    #[inline]
    fn null(&mut self) -> Self::Value {
        PyNone::get(self.py).to_owned().into_any()
    }

    #[inline]
    fn boolean(&mut self, value: bool) -> Self::Value {
        PyBool::new(self.py, value).to_owned().into_any()
    }

    #[inline]
    fn integer(&mut self, value: i64) -> Self::Value {
        PyInt::new(self.py, value).into_any()
    }

    fn big_integer(&mut self, literal: &str) -> PyResult<Self::Value> {
        // At most 4,300 digits, which `int` accepts unless the process lowered its limit
        // (`sys.set_int_max_str_digits`): then the number is too long for this process.
        self.py.get_type::<PyInt>().call1((literal,)).map_err(|error| {
            if error.is_instance_of::<PyValueError>(self.py) {
                return reject(self.py, JsonRejection { reason: Reason::NumberTooLong, offset: None });
            }
            error
        })
    }

    #[inline]
    fn float(&mut self, value: f64) -> Self::Value {
        PyFloat::new(self.py, value).into_any()
    }

    #[inline]
    fn string(&mut self, value: &str) -> PyResult<Self::Value> {
        Ok(PyString::from_bytes(self.py, value.as_bytes())?.into_any())
    }

    #[inline]
    fn array(&mut self) -> usize {
        self.elements.len()
    }

    #[inline]
    fn push(&mut self, _array: &mut usize, value: Self::Value) -> PyResult<()> {
        self.elements.push(value);
        Ok(())
    }

    #[inline]
    fn end_array(&mut self, array: usize) -> PyResult<Self::Value> {
        Ok(PyList::new(self.py, self.elements.drain(array..))?.into_any())
    }

    #[inline]
    fn object(&mut self) -> Self::Object {
        PyDict::new(self.py)
    }

    #[inline]
    fn key(&mut self, name: &str) -> PyResult<Self::Key> {
        let ends = Ends::of(name);
        match self.names.and_then(|names| names.find(name, ends)) {
            Some(known) => Ok(Key::Known(known.bind(self.py))),
            None => self.recent(name, ends).map(Key::Made),
        }
    }

    #[inline]
    fn insert(&mut self, object: &mut Self::Object, key: Self::Key, value: Self::Value) -> PyResult<()> {
        match key {
            Key::Known(name) => object.set_item(name, value),
            Key::Made(name) => object.set_item(name, value),
        }
    }

    #[inline]
    fn end_object(&mut self, object: Self::Object, members: usize) -> Option<Self::Value> {
        (object.len() == members).then(|| object.into_any())
    }
}

/// What an object made elsewhere weighs, if it is within `bounds`.
///
/// It stands in for the parse that the object never had: it ends cycles and objects that hold one
/// another many times over, by depth and by number.
pub(crate) fn measure(value: &Bound<'_, PyAny>, bounds: &Bounds) -> Result<usize, JsonRejection> {
    let refuse = |reason| Err(JsonRejection { reason, offset: None });
    let mut open = vec![(value.clone(), 1)];
    let (mut values, mut keys, mut characters) = (0, 0, 0_usize);
    while let Some((value, depth)) = open.pop() {
        values += 1;
        let before = open.len();
        if let Ok(dict) = value.cast::<PyDict>() {
            keys += dict.len();
            if keys > bounds.max_keys() {
                return refuse(Reason::TooManyKeys);
            }
            open.extend(dict.iter().map(|(_, member)| (member, depth + 1)));
        } else if let Ok(list) = value.cast::<PyList>() {
            open.extend(list.iter().map(|element| (element, depth + 1)));
        } else if let Ok(tuple) = value.cast::<PyTuple>() {
            open.extend(tuple.iter().map(|element| (element, depth + 1)));
        } else {
            if let Ok(text) = value.cast::<PyString>() {
                characters = characters.saturating_add(text.len().unwrap_or(0));
            }
            continue;
        }
        if depth > bounds.max_depth() {
            return refuse(Reason::TooDeep);
        }
        // A parsed body of `max_bytes` holds fewer values than that.
        if values + (open.len() - before) > bounds.max_bytes() {
            return refuse(Reason::TooLarge);
        }
    }
    Ok(weight(values, characters))
}
