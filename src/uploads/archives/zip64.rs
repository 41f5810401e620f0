//! Zip64 (APPNOTE 4.3.14, 4.3.15, 4.5.3): numbers in a second place, for those that are too large for the first, or whose writer did not know.
//!
//! numpy and writers of streams use it for the smallest files. So it is read, and the two places must say the same: a number in the first place
//! is that of the second, or all ones. What is not needed is not there, and nothing stands between the parts.

use super::super::source::{File, le16, le32, le64};
use super::Bad;

/// What stands in the place of a number that is elsewhere.
const ELSEWHERE: u64 = u32::MAX as u64;

const RECORD: u64 = 56;
const LOCATOR: u64 = 20;

/// What the end of a directory says of it.
#[derive(PartialEq, Eq)]
pub(super) struct End {
    pub(super) entries: u64,
    pub(super) size: u64,
    pub(super) start: u64,
    /// Where the directory must end.
    pub(super) end: u64,
}

/// What the end of a directory says, which stands at `at`.
pub(super) fn end(file: &mut File<'_>, record: &[u8], at: u64) -> Result<End, Bad> {
    if le32(record, 4) != 0 || le16(record, 8) != le16(record, 10) {
        return Err(Bad::Archive("several disks"));
    }
    let near = End {
        entries: le16(record, 8).into(),
        size: le32(record, 12).into(),
        start: le32(record, 16).into(),
        end: at,
    };
    let Some(from) = at.checked_sub(LOCATOR) else { return Ok(near) };
    let locator = file.bytes(from, 20)?;
    // Whoever finds it here takes it, be it in the comment of an entry.
    if !locator.starts_with(b"PK\x06\x07") {
        return Ok(near);
    }
    let bad = Bad::Archive("the two ends of a zip64");
    let place = le64(locator, 8);
    if le32(locator, 4) != 0 || le32(locator, 16) != 1 || place.checked_add(RECORD) != Some(from) {
        return Err(bad);
    }
    let record = file.bytes(place, 56)?;
    if !record.starts_with(b"PK\x06\x06")
        || le64(record, 4) != RECORD - 12
        || le64(record, 16) != 0
        || le64(record, 24) != le64(record, 32)
    {
        return Err(bad);
    }
    let far = End { entries: le64(record, 24), size: le64(record, 40), start: le64(record, 48), end: place };
    let fits = |near: u64, far: u64, elsewhere: u64| near == far || near == elsewhere;
    let fits = fits(near.entries, far.entries, u16::MAX.into())
        && fits(near.size, far.size, ELSEWHERE)
        && fits(near.start, far.start, ELSEWHERE);
    if fits { Ok(far) } else { Err(bad) }
}

/// Reads the numbers of an entry in the directory that are in its extra field.
pub(super) fn of_directory(field: &[u8], numbers: [&mut u64; 3], disk: &mut u16) -> Result<(), Bad> {
    let mut at = 0;
    for number in numbers.into_iter().filter(|number| **number == ELSEWHERE) {
        *number = le64(field, at);
        at += 8;
    }
    if *disk == u16::MAX {
        *disk = u16::try_from(le32(field, at)).unwrap_or(u16::MAX);
        at += 4;
    }
    if at == field.len() { Ok(()) } else { Err(Bad::Archive("the numbers of an entry")) }
}

/// Whether the head before an entry says `known`, which is a size; or nothing, if it may. `far` is what stands in its extra field.
pub(super) fn of_head(near: u64, far: Option<u64>, known: u64, may_be_0: bool) -> bool {
    let is_known = |said: u64| said == known || (may_be_0 && said == 0);
    match far {
        Some(far) => is_known(far) && (near == ELSEWHERE || is_known(near)),
        None => is_known(near),
    }
}
