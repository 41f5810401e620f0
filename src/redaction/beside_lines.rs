//! The name of a value in YAML that stands on a line of its own: `- name: DB_PASSWORD`, and below it `value: x`.
//!
//! Both are members of one item (YAML 1.2.2 §8.2): their keys begin in the same column, where the dash of the item counts as a
//! blank, and no line between them begins farther left. Lines before the value's are read, at most [`BEFORE`] bytes.

use super::ahead::{Known, Text};
use super::names::{Entity, Names};

/// Bytes before a value in which its name is looked for.
const BEFORE: usize = 256;

/// What the value of the label at *start*, before the sign at *sign*, is by a name on a line above.
pub(super) fn entity(text: Text<'_>, sign: usize, start: usize, names: &Names) -> Known<Option<Entity>> {
    // Its line is not known to begin where it is cut.
    let from = start.saturating_sub(BEFORE);
    let before = &text[from..start];
    let Some(line) = before.iter().rposition(|b| *b == b'\n') else { return Ok(None) };
    let column = before.len() - line - 1;
    if !before[line + 1..].iter().all(|b| *b == b' ') {
        return Ok(None);
    }
    if !matches!(text.peek(sign + 1)?, Some(b' ')) {
        return Ok(None);
    }
    let mut rest = &before[..line];
    while !rest.is_empty() {
        let place = rest.iter().rposition(|b| *b == b'\n');
        if place.is_none() && from > 0 {
            break;
        }
        let line = &rest[place.map_or(0, |place| place + 1)..];
        rest = &rest[..place.unwrap_or(0)];
        let indent = line.iter().take_while(|b| matches!(b, b' ' | b'-')).count();
        let dash = line[..indent].contains(&b'-');
        if indent < column || line[indent..].trim_ascii().is_empty() {
            break;
        }
        if indent == column
            && let Some(name) = name_of(&line[indent..])
        {
            return Ok(names.entity(name));
        }
        if dash && indent == column {
            break;
        }
    }
    Ok(None)
}

/// The name that a line says: `name: DB_PASSWORD`.
fn name_of(line: &[u8]) -> Option<&[u8]> {
    let value = line.strip_prefix(b"name: ").or_else(|| line.strip_prefix(b"key: "))?.trim_ascii();
    let quoted = |quote: u8| value.strip_prefix(&[quote]).and_then(|rest| rest.strip_suffix(&[quote]));
    Some(quoted(b'"').or_else(|| quoted(b'\'')).unwrap_or(value))
}
