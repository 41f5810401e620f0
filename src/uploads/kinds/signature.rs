//! Signatures, and what must stand behind them.

use memchr::memmem;

use super::super::archives::is_tar;
use super::super::source::{File, Gone, be32, le32, le64};
use super::table::{Kind, named};

/// The type that a file's beginning names, if it does.
pub(in crate::uploads) fn signature(file: &mut File<'_>) -> Result<Option<&'static Kind>, Gone> {
    let length = file.length();
    let head = file.bytes(0, 4096)?.to_vec();
    let name = match by_head(&head, length) {
        // What is at the end of these counts as well.
        Some("application/vnd.apache.parquet") => {
            let is_whole = length >= 12 && file.bytes(length - 4, 4)? == b"PAR1";
            is_whole.then_some("application/vnd.apache.parquet")
        }
        found => found,
    };
    Ok(name.map(named))
}

/// Whether something that begins so is an archive, or compressed.
pub(in crate::uploads) fn is_archive(head: &[u8]) -> bool {
    const MAGICS: [&[u8]; 9] = [
        b"PK\x03\x04",
        b"PK\x05\x06",
        b"PK\x07\x08",
        b"\x1f\x8b",
        b"BZh",
        b"\xfd7zXZ\0",
        b"\x28\xb5\x2f\xfd",
        b"7z\xbc\xaf\x27\x1c",
        b"Rar!\x1a\x07",
    ];
    MAGICS.iter().any(|magic| head.starts_with(magic)) || is_tar(head)
}

fn by_head(head: &[u8], length: u64) -> Option<&'static str> {
    let at = |offset: usize, magic: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    Some(match head {
        [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] if at(12, b"IHDR") => "image/png",
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => "image/gif",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => "audio/wav",
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => return of_brands(head),
        [b'B', b'M', ..] if is_bmp(head, length) => "image/bmp",
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => "image/tiff",
        [0, 0, 1, 0, count, 0, ..] if *count > 0 && length >= 6 + 16 * u64::from(*count) => {
            "image/vnd.microsoft.icon"
        }
        [b'%', b'P', b'D', b'F', b'-', ..] => "application/pdf",
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => "application/zip",
        [0x1f, 0x8b, 8, ..] => "application/gzip",
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..] => "application/x-bzip2",
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => "application/x-xz",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "application/zstd",
        [b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c, ..] => "application/x-7z-compressed",
        [b'R', b'a', b'r', b'!', 0x1a, 7, 0 | 1, ..] => "application/vnd.rar",
        [b'O', b'g', b'g', b'S', 0, ..] => "audio/ogg",
        [b'f', b'L', b'a', b'C', ..] => "audio/flac",
        [b'I', b'D', b'3', 2..=4, ..] => "audio/mpeg",
        [0xff, second, ..] if second & 0xe6 == 0xe2 && is_mp3(head) => "audio/mpeg",
        [0x1a, 0x45, 0xdf, 0xa3, ..] => {
            let head = head.get(..64).unwrap_or(head);
            let is_web = memmem::find(head, b"webm").is_some();
            let is_video = is_web || memmem::find(head, b"matroska").is_some();
            return is_video.then_some(if is_web { "video/webm" } else { "video/matroska" });
        }
        [b'w', b'O', b'F', b'F', ..] => "font/woff",
        [b'w', b'O', b'F', b'2', ..] => "font/woff2",
        [b'P', b'A', b'R', b'1', ..] => "application/vnd.apache.parquet",
        _ if head.starts_with(b"SQLite format 3\0") => "application/vnd.sqlite3",
        [0x7f, b'E', b'L', b'F', ..] => "application/x-elf",
        [b'M', b'Z', ..] if length >= 64 && head.contains(&0) => {
            "application/vnd.microsoft.portable-executable"
        }
        [0xfe, 0xed, 0xfa, 0xce | 0xcf, ..] | [0xce | 0xcf, 0xfa, 0xed, 0xfe, ..] => {
            "application/x-mach-binary"
        }
        [0xca, 0xfe, 0xba, 0xbe, ..] => {
            // A fat binary counts its parts where a class has its version, 45 or more.
            if be32(head, 4) < 45 { "application/x-mach-binary" } else { "application/java-vm" }
        }
        [0, b'a', b's', b'm', ..] => "application/wasm",
        [b'G', b'G', b'U', b'F', ..] if is_gguf(head, length) => "application/x-gguf",
        [0x93, b'N', b'U', b'M', b'P', b'Y', 1..=3, 0, ..] => "application/x-npy",
        _ if is_tar(head) => "application/x-tar",
        _ => return None,
    })
}

/// ISO/IEC 14496-12: a box with the file's brands.
fn of_brands(head: &[u8]) -> Option<&'static str> {
    let size = usize::try_from(be32(head, 0)).ok()?;
    if !(16..=512).contains(&size) || size % 4 != 0 || head.len() < size {
        return None;
    }
    let major = head.get(8..12)?;
    let mut brands = head.get(16..size)?.chunks(4).chain([major]);
    match major {
        b"avif" | b"avis" => return Some("image/avif"),
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" => return Some("image/heic"),
        b"M4A " | b"M4B " => return Some("audio/mp4"),
        b"qt  " => return Some("video/quicktime"),
        _ => {}
    }
    let all: Vec<&[u8]> = brands.by_ref().collect();
    let has = |names: &[&[u8]]| all.iter().any(|brand| names.contains(brand));
    if has(&[b"avif", b"avis"]) {
        Some("image/avif")
    } else if has(&[b"heic", b"heix", b"mif1", b"msf1"]) {
        Some("image/heic")
    } else if has(&[
        b"isom", b"iso2", b"iso3", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"M4V ", b"dash",
        b"MSNV",
    ]) {
        Some("video/mp4")
    } else {
        None
    }
}

fn is_bmp(head: &[u8], length: u64) -> bool {
    // Some writers leave its length at 0.
    let said = u64::from(le32(head, 2));
    (said == length || said == 0)
        && le32(head, 6) == 0
        && matches!(le32(head, 14), 12 | 40 | 52 | 56 | 64 | 108 | 124)
}

/// Two frames of layer III, one behind the other.
fn is_mp3(head: &[u8]) -> bool {
    let frame = |at: usize| -> Option<usize> {
        let [first, second, third] = [*head.get(at)?, *head.get(at + 1)?, *head.get(at + 2)?];
        if first != 0xff || second & 0xe6 != 0xe2 {
            return None;
        }
        const RATES: [[usize; 14]; 2] = [
            [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
            [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
        ];
        let version = second >> 3 & 3;
        let (table, per, divided) = match version {
            3 => (0, 144, 1),
            2 => (1, 72, 2),
            0 => (1, 72, 4),
            _ => return None,
        };
        let rate = RATES.get(table)?.get(usize::from(third >> 4).checked_sub(1)?)? * 1000;
        let samples = [44_100, 48_000, 32_000].get(usize::from(third >> 2 & 3))? / divided;
        Some(per * rate / samples + usize::from(third >> 1 & 1))
    };
    frame(0).is_some_and(|size| frame(size).is_some())
}

/// As many tensors and entries as there is room for. Each entry has a name, a type and a value; each tensor a name, dimensions and an offset.
fn is_gguf(head: &[u8], length: u64) -> bool {
    let (tensors, entries) = (le64(head, 8), le64(head, 16));
    let least = tensors.saturating_mul(24).saturating_add(entries.saturating_mul(13));
    (2..=3).contains(&le32(head, 4)) && length >= 24 && least <= length - 24
}
