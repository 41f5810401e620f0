//! Zip (APPNOTE 6.3): its directory and what stands before each entry must say the same.
//!
//! 1. The file begins with its first entry and ends with the end of its directory and a comment. No other end stands in these, which are what
//!    readers look through from behind.
//! 2. The directory stands right before that end, and has as many entries as it says. One disk. Where a number stands in two places, both say
//!    the same: [`zip64`].
//! 3. An entry is stored or deflated, not encrypted, and said to be a file or folder.
//! 4. The head before an entry has the same name, flags, method and, unless they follow its bytes, sizes. So do those that follow.
//! 5. Entries follow each other without a gap and do not overlap, and unpack to the size and checksum that the directory says. Between the
//!    last and the directory, an APK's signatures may stand.

use flate2::{Decompress, FlushDecompress, Status};

use super::super::source::{File, Gone, WINDOW, le16, le32, le64};
use super::content::Content;
use super::names::Names;
use super::{ArchiveBounds, Bad, zip64};

struct Entry {
    name: Vec<u8>,
    flags: u16,
    method: u16,
    crc: u32,
    packed: u64,
    unpacked: u64,
    at: u64,
    is_folder: bool,
}

/// Looks through a zip; gives the type of what it is used for.
pub(in crate::uploads) fn zip(file: &mut File<'_>, bounds: &ArchiveBounds) -> Result<&'static str, Bad> {
    let (mut entries, directory) = directory(file, bounds)?;
    let mut names = Names::default();
    for entry in &entries {
        names.add(&entry.name, entry.is_folder)?;
    }
    entries.sort_by_key(|entry| entry.at);
    let (mut at, mut total) = (0, 0_u64);
    let mut use_of = Use::default();
    for (index, entry) in entries.iter().enumerate() {
        if entry.at != at {
            return Err(Bad::Archive("a gap before an entry, or two in one place"));
        }
        let (content, end) = unpack(file, entry, directory, bounds)?;
        use_of.see(index, entry, content.head());
        total = total.saturating_add(content.size());
        if total > bounds.bytes {
            return Err(Bad::Archive("its bytes"));
        }
        at = end;
    }
    if bounds.is_bomb(total, directory) {
        return Err(Bad::Archive("its ratio"));
    }
    if at != directory && !is_signed(file, at, directory)? {
        return Err(Bad::Archive("something before its directory"));
    }
    Ok(use_of.kind())
}

const ENTRY: usize = 46;
const END: usize = 22;

/// The entries that the directory names, and where it begins.
fn directory(file: &mut File<'_>, bounds: &ArchiveBounds) -> Result<(Vec<Entry>, u64), Bad> {
    let length = file.length();
    let tail = length.saturating_sub((END + usize::from(u16::MAX)) as u64);
    // It may be longer than a window.
    let mut bytes = Vec::new();
    while tail + (bytes.len() as u64) < length {
        bytes.extend_from_slice(file.piece(tail + bytes.len() as u64)?);
    }
    let mut ends = memchr::memmem::rfind_iter(&bytes, b"PK\x05\x06");
    let end = ends.next().ok_or(Bad::Archive("no end of a directory"))?;
    let other = ends.next();
    let record = bytes.get(end..).unwrap_or_default();
    if record.len() < END || record.len() != END + usize::from(le16(record, 20)) {
        return Err(Bad::Archive("something behind its end"));
    }
    let said = zip64::end(file, record, tail + end as u64)?;
    let start = said.start;
    // Before the directory, it is that of an archive in this one.
    if other.is_some_and(|other| tail + other as u64 >= start) {
        return Err(Bad::Archive("two ends of a directory"));
    }
    if said.entries > bounds.entries {
        return Err(Bad::Archive("its entries"));
    }
    if start.checked_add(said.size) != Some(said.end) {
        return Err(Bad::Archive("where its directory is"));
    }
    let mut entries = Vec::new();
    let mut at = start;
    for _ in 0..said.entries {
        let head = file.bytes(at, ENTRY)?;
        if head.len() < ENTRY || !head.starts_with(b"PK\x01\x02") {
            return Err(Bad::Archive("its directory"));
        }
        let (name, extra, comment) = (le16(head, 28), le16(head, 30), le16(head, 32));
        let attributes = le32(head, 38);
        let mut entry = Entry {
            name: Vec::new(),
            flags: le16(head, 8),
            method: le16(head, 10),
            crc: le32(head, 16),
            packed: le32(head, 20).into(),
            unpacked: le32(head, 24).into(),
            at: le32(head, 42).into(),
            is_folder: false,
        };
        let mut disk = le16(head, 34);
        let (name, extra) = (usize::from(name), usize::from(extra));
        entry.name = file.bytes(at + ENTRY as u64, name)?.to_vec();
        let more = file.bytes(at + (ENTRY + name) as u64, extra)?;
        entry.is_folder = entry.name.ends_with(b"/");
        if more.len() < extra {
            return Err(Bad::Archive("its directory"));
        }
        if let Some(field) = fits_extra(more, &entry.name)? {
            zip64::of_directory(field, [&mut entry.unpacked, &mut entry.packed, &mut entry.at], &mut disk)?;
        }
        fits(&entry, attributes, disk)?;
        at += (ENTRY + name + extra + usize::from(comment)) as u64;
        entries.push(entry);
    }
    if at == said.end { Ok((entries, start)) } else { Err(Bad::Archive("its directory")) }
}

fn fits(entry: &Entry, attributes: u32, disk: u16) -> Result<(), Bad> {
    // Encrypted, in one of three ways; patched; with a hidden directory.
    if entry.flags & (1 | 1 << 5 | 1 << 6 | 1 << 13) != 0 {
        return Err(Bad::Archive("an entry that is encrypted"));
    }
    if !matches!(entry.method, 0 | 8) || (entry.method == 0 && entry.packed != entry.unpacked) || disk != 0 {
        return Err(Bad::Archive("how an entry is packed"));
    }
    // Unix keeps what a file is in its mode: none, a folder, a file.
    let is_said = match attributes >> 28 {
        0 => true,
        4 => entry.is_folder,
        8 => !entry.is_folder,
        _ => return Err(Bad::Archive("an entry that is no file")),
    };
    if !is_said || (entry.is_folder && entry.unpacked > 0) {
        return Err(Bad::Archive("a folder that is a file"));
    }
    Ok(())
}

/// Reads the extra fields of an entry; gives that of zip64, if it is there.
fn fits_extra<'e>(mut extra: &'e [u8], name: &[u8]) -> Result<Option<&'e [u8]>, Bad> {
    let mut found = None;
    while extra.len() >= 4 {
        let (id, size) = (le16(extra, 0), usize::from(le16(extra, 2)));
        let Some(field) = extra.get(4..4 + size) else { return Err(Bad::Archive("an extra field")) };
        match id {
            1 if found.replace(field).is_some() => return Err(Bad::Archive("zip64 twice")),
            // Another name, which some readers take.
            0x7075 if field.get(5..) != Some(name) => {
                return Err(Bad::Archive("an entry with two names"));
            }
            _ => {}
        }
        extra = extra.get(4 + size..).unwrap_or_default();
    }
    // Some tools fill up with less than a field.
    if extra.iter().all(|&byte| byte == 0) { Ok(found) } else { Err(Bad::Archive("an extra field")) }
}

/// Unpacks an entry, of which nothing is kept; gives what it is, and where it ends.
fn unpack(
    file: &mut File<'_>,
    entry: &Entry,
    directory: u64,
    bounds: &ArchiveBounds,
) -> Result<(Content, u64), Bad> {
    let head = file.bytes(entry.at, 30)?;
    let differs = Bad::Archive("an entry that its directory tells otherwise");
    if head.len() < 30 || !head.starts_with(b"PK\x03\x04") {
        return Err(differs);
    }
    let follows = entry.flags & 8 != 0;
    let (crc, packed, unpacked) = (le32(head, 14), u64::from(le32(head, 18)), u64::from(le32(head, 22)));
    if le16(head, 6) != entry.flags
        || le16(head, 8) != entry.method
        || !(crc == entry.crc || follows && crc == 0)
    {
        return Err(differs);
    }
    let (name, extra) = (usize::from(le16(head, 26)), usize::from(le16(head, 28)));
    if file.bytes(entry.at + 30, name)? != entry.name {
        return Err(differs);
    }
    let more = file.bytes(entry.at + 30 + name as u64, extra)?;
    if more.len() < extra {
        return Err(differs);
    }
    let wide = fits_extra(more, &entry.name)?;
    if wide.is_some_and(|field| field.len() != 16) {
        return Err(differs);
    }
    let far = |at: usize| wide.map(|field| le64(field, at));
    if !zip64::of_head(packed, far(8), entry.packed, follows)
        || !zip64::of_head(unpacked, far(0), entry.unpacked, follows)
    {
        return Err(differs);
    }
    let is_wide = wide.is_some();
    let start = entry.at + (30 + name + extra) as u64;
    let mut end = start.saturating_add(entry.packed);
    if end > directory {
        return Err(Bad::Archive("an entry that runs into its directory"));
    }
    if entry.unpacked > bounds.entry {
        return Err(Bad::Archive("the bytes of an entry"));
    }
    if bounds.is_bomb(entry.unpacked, entry.packed) {
        return Err(Bad::Archive("its ratio"));
    }
    let mut content = Content::new();
    if entry.method == 0 {
        let mut at = start;
        while at < end {
            let left = usize::try_from(end - at).unwrap_or(usize::MAX);
            let piece = file.piece(at)?;
            let piece = piece.get(..left.min(piece.len())).unwrap_or_default();
            content.feed(piece);
            at += piece.len() as u64;
        }
    } else {
        inflate(file, start, end, entry.unpacked, &mut content)?;
    }
    if content.size() != entry.unpacked || content.crc() != entry.crc {
        return Err(Bad::Archive("an entry that is not what its directory says"));
    }
    content.finish(bounds)?;
    if follows {
        let head = file.bytes(end, 24)?;
        let signed = if head.starts_with(b"PK\x07\x08") { 4 } else { 0 };
        let (packed, unpacked, length) = if is_wide {
            (le64(head, signed + 4), le64(head, signed + 12), 20)
        } else {
            (le32(head, signed + 4).into(), le32(head, signed + 8).into(), 12)
        };
        if (le32(head, signed), packed, unpacked) != (entry.crc, entry.packed, entry.unpacked) {
            return Err(differs);
        }
        end += signed as u64 + length;
        if end > directory {
            return Err(differs);
        }
    }
    Ok((content, end))
}

/// Inflates what stands from `at` to `end`, to no more than `most` bytes.
fn inflate(file: &mut File<'_>, mut at: u64, end: u64, most: u64, content: &mut Content) -> Result<(), Bad> {
    let broken = Bad::Archive("an entry that cannot be unpacked");
    let mut inflater = Decompress::new(false);
    let mut out = vec![0; WINDOW / 2];
    loop {
        let left = usize::try_from(end - at).unwrap_or(usize::MAX);
        let piece = if left == 0 { &[][..] } else { file.piece(at)? };
        let piece = piece.get(..left.min(piece.len())).unwrap_or_default();
        let (before_in, before_out) = (inflater.total_in(), inflater.total_out());
        let status = inflater.decompress(piece, &mut out, FlushDecompress::None).map_err(|_| broken)?;
        let (taken, made) = (inflater.total_in() - before_in, inflater.total_out() - before_out);
        at += taken;
        if inflater.total_out() > most {
            return Err(Bad::Archive("an entry with more than it says"));
        }
        content.feed(out.get(..usize::try_from(made).unwrap_or(0)).unwrap_or_default());
        match status {
            Status::StreamEnd if at == end => return Ok(()),
            Status::StreamEnd => return Err(Bad::Archive("something behind what is packed")),
            _ if taken == 0 && made == 0 => return Err(broken),
            _ => {}
        }
    }
}

/// Whether what stands there is an APK's block of signatures (APK Signature Scheme v2).
fn is_signed(file: &mut File<'_>, from: u64, to: u64) -> Result<bool, Gone> {
    if to < from || to - from < 32 {
        return Ok(false);
    }
    let first = le64(file.bytes(from, 8)?, 0);
    let last = file.bytes(to - 24, 24)?;
    Ok(last.ends_with(b"APK Sig Block 42")
        && le64(last, 0) == first
        && first.checked_add(8) == Some(to - from))
}

/// What a zip is used for, by the names in it.
#[derive(Default)]
struct Use {
    mimetype: Vec<u8>,
    has: [bool; 7],
    arrays: usize,
    others: usize,
}

impl Use {
    fn see(&mut self, index: usize, entry: &Entry, head: &[u8]) {
        let name = entry.name.as_slice();
        if index == 0 && name == b"mimetype" && entry.method == 0 {
            self.mimetype = head.trim_ascii_end().to_vec();
        }
        let marks: [bool; 7] = [
            name == b"AndroidManifest.xml",
            name == b"META-INF/MANIFEST.MF" || name.ends_with(b".class"),
            name == b"[Content_Types].xml",
            name.starts_with(b"word/"),
            name.starts_with(b"xl/"),
            name.starts_with(b"ppt/"),
            name.to_ascii_lowercase().ends_with(b"vbaproject.bin"),
        ];
        self.has.iter_mut().zip(marks).for_each(|(has, mark)| *has |= mark);
        *(if name.ends_with(b".npy") { &mut self.arrays } else { &mut self.others }) += 1;
    }

    /// The worst first: what is a program and a document is a program.
    fn kind(&self) -> &'static str {
        let [android, java, office, word, sheets, slides, macros] = self.has;
        if android {
            return "application/vnd.android.package-archive";
        }
        if java {
            return "application/java-archive";
        }
        if office {
            return match (word, sheets, slides, macros) {
                (true, false, false, false) => {
                    "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
                }
                (false, true, false, false) => {
                    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
                }
                (false, false, true, false) => {
                    "application/vnd.openxmlformats-officedocument.presentationml.presentation"
                }
                (true, false, false, true) => "application/vnd.ms-word.document.macroenabled.12",
                (false, true, false, true) => "application/vnd.ms-excel.sheet.macroenabled.12",
                (false, false, true, true) => "application/vnd.ms-powerpoint.presentation.macroenabled.12",
                _ => "application/zip",
            };
        }
        match self.mimetype.as_slice() {
            b"application/vnd.oasis.opendocument.text" => "application/vnd.oasis.opendocument.text",
            b"application/vnd.oasis.opendocument.spreadsheet" => {
                "application/vnd.oasis.opendocument.spreadsheet"
            }
            b"application/vnd.oasis.opendocument.presentation" => {
                "application/vnd.oasis.opendocument.presentation"
            }
            b"application/epub+zip" => "application/epub+zip",
            _ if self.arrays > 0 && self.others == 0 => "application/x-npz",
            _ => "application/zip",
        }
    }
}
