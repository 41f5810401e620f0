//! A form that two values share exactly when JSON Schema calls them equal: numbers by value,
//! objects without regard to order, `true` never equal to 1.
//!
//! A container's form holds a number for each container in it, not its content: equal containers get
//! equal numbers. So a value's form is made once for each check, however many `uniqueItems` are
//! above it, and takes time linear in what stands directly in it (CWE-407).

use std::cell::Cell;
use std::collections::HashMap;

use jsonschema::json::{Array, Json, JsonNumber, Node, NodeIdentity, Object};

use super::bounds::Bounds;

thread_local! {
    /// Forms of the body that is being judged on this thread; made when the first is asked for.
    static CURRENT: Cell<Judging> = const { Cell::new(None) };
}

type Judging = Option<Option<Box<Forms>>>;

/// Judges one body, whose containers keep their addresses and contents meanwhile.
pub(super) fn remembering<T>(judge: impl FnOnce() -> T) -> T {
    struct Restore(Judging);
    impl Drop for Restore {
        fn drop(&mut self) {
            // The next body's containers may have the addresses of this one's.
            CURRENT.set(self.0.take());
        }
    }
    let _restore = Restore(CURRENT.replace(Some(None)));
    judge()
}

/// Calls `with` with the forms known so far; outside of [`remembering`], with none.
pub(super) fn with_forms<T>(with: impl FnOnce(&mut Forms) -> T) -> T {
    // Taken out, not borrowed: a check within a check finds none, and is right all the same.
    let taken = CURRENT.take();
    let is_kept = taken.is_some();
    let mut forms = taken.flatten().unwrap_or_default();
    let result = with(&mut forms);
    if is_kept {
        CURRENT.set(Some(Some(forms)));
    }
    result
}

/// Containers seen so far. Keys come from a peer; the maps hash them with a random key.
#[derive(Default)]
pub(super) struct Forms {
    numbers: HashMap<Box<[u8]>, usize>,
    known: HashMap<NodeIdentity, usize>,
}

impl Forms {
    /// Appends the form of `value`.
    pub(super) fn write<'a, F: Json>(&mut self, value: &F::Node<'a>, out: &mut Vec<u8>) {
        self.write_at::<F>(value, out, 0);
    }

    fn write_at<'a, F: Json>(&mut self, value: &F::Node<'a>, out: &mut Vec<u8>, depth: usize) {
        if !write_scalar::<F>(value, out) {
            let number = self.container::<F>(value, out, depth);
            write_length(b'c', number, out);
        }
    }

    /// The number of a container. What is written meanwhile, behind what `out` holds, is taken back.
    fn container<'a, F: Json>(&mut self, value: &F::Node<'a>, out: &mut Vec<u8>, depth: usize) -> usize {
        let identity = value.container_identity();
        if let Some(&number) = identity.as_ref().and_then(|identity| self.known.get(identity)) {
            return number;
        }
        let start = out.len();
        if depth > Bounds::DEEPEST {
            // Unreachable for bodies within bounds; makes two elements look alike, which refuses.
            out.push(b'!');
        } else if let Some(array) = value.as_array() {
            out.push(b'[');
            for element in array.elements() {
                self.write_at::<F>(&element, out, depth + 1);
            }
        } else if let Some(object) = value.as_object() {
            let mut members: Vec<_> = object.members().collect();
            members.sort_by(|(left, _), (right, _)| left.as_ref().cmp(right.as_ref()));
            out.push(b'{');
            for (name, member) in members {
                write_text(b'k', name.as_ref(), out);
                self.write_at::<F>(&member, out, depth + 1);
            }
        }
        let form = out.get(start..).unwrap_or_default();
        let number = match self.numbers.get(form) {
            Some(&number) => number,
            None => {
                let next = self.numbers.len();
                self.numbers.insert(form.into(), next);
                next
            }
        };
        out.truncate(start);
        if let Some(identity) = identity {
            self.known.insert(identity, number);
        }
        number
    }
}

/// Appends the form of a value that is no container; says whether it is none.
pub(super) fn write_scalar<'a, F: Json>(value: &F::Node<'a>, out: &mut Vec<u8>) -> bool {
    if let Some(text) = value.as_string() {
        write_text(b's', &text, out);
    } else if let Some(number) = value.as_number() {
        write_number(&number, out);
    } else if let Some(flag) = value.as_boolean() {
        out.push(if flag { b't' } else { b'f' });
    } else if value.is_null() {
        out.push(b'n');
    } else {
        return false;
    }
    true
}

fn write_text(tag: u8, text: &str, out: &mut Vec<u8>) {
    write_length(tag, text.len(), out);
    out.extend_from_slice(text.as_bytes());
}

fn write_length(tag: u8, length: usize, out: &mut Vec<u8>) {
    out.push(tag);
    out.extend_from_slice(&(length as u64).to_le_bytes());
}

/// The smallest of: an integer of 64 bits, of 128 bits, the bits of a double, digits.
///
/// No double is written out in decimal: that takes 25 µs for each `1e300`.
fn write_number<N: JsonNumber>(number: &N, out: &mut Vec<u8>) {
    if let Some(value) = number.as_i64() {
        return write_integer(value.into(), out);
    }
    // Whole doubles call themselves integers as well, and may be written with an exponent.
    if number.is_written_as_integer() {
        let text = number.as_str();
        if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
            return write_long(&text, out);
        }
    }
    match number.as_f64() {
        Some(value) => write_double(value, out),
        None => write_text(b'l', &number.as_str(), out),
    }
}

fn write_integer(value: i128, out: &mut Vec<u8>) {
    match i64::try_from(value) {
        Ok(value) => {
            out.push(b'i');
            out.extend_from_slice(&value.to_le_bytes());
        }
        Err(_) => {
            out.push(b'I');
            out.extend_from_slice(&value.to_le_bytes());
        }
    }
}

fn write_double(value: f64, out: &mut Vec<u8>) {
    // The range of 128 bits, whose ends are doubles. `-0.0` becomes 0.
    if value.fract() == 0.0 && (-(2_f64.powi(127))..2_f64.powi(127)).contains(&value) {
        return write_integer(value as i128, out);
    }
    out.push(b'd');
    out.extend_from_slice(&value.to_bits().to_le_bytes());
}

fn write_long(digits: &str, out: &mut Vec<u8>) {
    if let Ok(value) = digits.parse() {
        return write_integer(value, out);
    }
    // Equal to a double only if that double's digits are these. The longest double has 309; at 40 or
    // more digits each, writing them out costs less than the body's length does.
    let is_double = |value: &f64| value.is_finite() && format!("{value:.0}") == digits;
    match digits.parse().ok().filter(is_double) {
        Some(value) => write_double(value, out),
        None => write_text(b'l', digits, out),
    }
}
