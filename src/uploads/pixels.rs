//! Says how many pixels an image has, by what its head says, without decoding it; and whether something stands behind it.
//!
//! 1. The size is the largest that any part of the image claims: the canvas, a frame, a layer, an image in an icon.
//! 2. PNG, GIF and WebP are walked through to their end, which is the end of the file; JPEG to its end, behind which other things may stand.
//! 3. Frames are counted in GIF, APNG, WebP, TIFF and ICO.
//!
//! It does not decode, so it does not say whether the image can be shown.
//!
//! Sources: PNG (ISO/IEC 15948), GIF89a, ITU-T T.81, RFC 9649 (WebP), TIFF 6.0, ISO/IEC 23008-12 (HEIF); CWE-409 for images.

use std::collections::HashSet;

use super::kinds::Kind;
use super::source::{File, Gone, be16, be32, le16, le32};

/// What an image claims.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) pixels: u64,
    pub(super) frames: u64,
}

/// Why an image is refused.
pub(super) enum Odd {
    /// It does not say its size, or is no such image.
    Broken(&'static str),
    /// Something else stands in the file.
    Behind(&'static str),
    Gone,
}

impl From<Gone> for Odd {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

type Measured = Result<Size, Odd>;

/// What the image in a file of this type claims.
pub(super) fn measure(file: &mut File<'_>, kind: &Kind) -> Measured {
    let size = match kind.name {
        "image/png" => png(file),
        "image/jpeg" => jpeg(file),
        "image/gif" => gif(file),
        "image/webp" => webp(file),
        "image/bmp" => bmp(file),
        "image/tiff" => tiff(file),
        "image/vnd.microsoft.icon" => ico(file),
        _ => heif(file),
    }?;
    if size.pixels == 0 { Err(Odd::Broken("an image without size")) } else { Ok(size) }
}

fn area(width: u64, height: u64) -> u64 {
    width.saturating_mul(height)
}

fn png(file: &mut File<'_>) -> Measured {
    let (length, mut at) = (file.length(), 8_u64);
    let mut size = Size { pixels: 0, frames: 1 };
    loop {
        let head = file.bytes(at, 24)?;
        let (chunk, name) = (u64::from(be32(head, 0)), head.get(4..8).unwrap_or_default());
        if head.len() < 12 || !name.iter().all(u8::is_ascii_alphabetic) {
            return Err(Odd::Broken("a chunk of a PNG"));
        }
        match name {
            b"IHDR" if at == 8 => size.pixels = area(be32(head, 8).into(), be32(head, 12).into()),
            b"acTL" => size.frames = u64::from(be32(head, 8)).max(size.frames),
            b"IHDR" => return Err(Odd::Broken("a PNG with two heads")),
            _ => {}
        }
        at = at.saturating_add(chunk + 12);
        if name == b"IEND" {
            return if at == length { Ok(size) } else { Err(Odd::Behind("something behind a PNG")) };
        }
        if at >= length {
            return Err(Odd::Broken("a PNG without end"));
        }
    }
}

fn jpeg(file: &mut File<'_>) -> Measured {
    let mut at = 2_u64;
    let mut size = Size { pixels: 0, frames: 1 };
    loop {
        let head = file.bytes(at, 10)?;
        let [0xff, marker, ..] = *head else { return Err(Odd::Broken("a marker of a JPEG")) };
        let segment = u64::from(be16(head, 2));
        match marker {
            // Filled up.
            0xff => {
                at += 1;
                continue;
            }
            0xd9 => return Ok(size),
            0x01 | 0xd0..=0xd7 => {
                at += 2;
                continue;
            }
            _ if segment < 2 => return Err(Odd::Broken("a segment of a JPEG")),
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                let claimed = area(be16(head, 7).into(), be16(head, 5).into());
                if claimed == 0 {
                    return Err(Odd::Broken("a JPEG without height"));
                }
                size.pixels = size.pixels.max(claimed);
            }
            _ => {}
        }
        at += 2 + segment;
        if marker == 0xda {
            // What is coded, to the next marker.
            at = loop {
                let piece = file.piece(at)?;
                let Some(found) = memchr::memchr(0xff, piece) else {
                    if piece.is_empty() {
                        return Err(Odd::Broken("a JPEG without end"));
                    }
                    at += piece.len() as u64;
                    continue;
                };
                at += found as u64;
                match file.bytes(at, 2)? {
                    [0xff, 0x00 | 0xd0..=0xd7] => at += 2,
                    [0xff, 0xff] => at += 1,
                    [0xff, _] => break at,
                    _ => return Err(Odd::Broken("a JPEG without end")),
                }
            };
        }
    }
}

fn gif(file: &mut File<'_>) -> Measured {
    let head = file.bytes(0, 13)?;
    if head.len() < 13 {
        return Err(Odd::Broken("a GIF without head"));
    }
    let (width, height, flags) =
        (u64::from(le16(head, 6)), u64::from(le16(head, 8)), head.get(10).copied().unwrap_or(0));
    let table = |flags: u8| if flags & 0x80 == 0 { 0 } else { 3_u64 << ((flags & 7) + 1) };
    let mut size = Size { pixels: area(width, height), frames: 0 };
    let (length, mut at) = (file.length(), 13 + table(flags));
    loop {
        let head = file.bytes(at, 10)?;
        match head {
            [0x3b, ..] if at + 1 == length => return Ok(size),
            [0x3b, ..] => return Err(Odd::Behind("something behind a GIF")),
            [0x21, _, ..] => at += 2,
            [0x2c, rest @ ..] if rest.len() == 9 => {
                let extent = |at: usize| u64::from(le16(rest, at)) + u64::from(le16(rest, at + 4));
                size.pixels = size.pixels.max(area(extent(0), extent(2)));
                size.frames += 1;
                at += 11 + table(rest.get(8).copied().unwrap_or(0));
            }
            _ => return Err(Odd::Broken("a block of a GIF")),
        }
        // Blocks of up to 255 bytes, to an empty one.
        loop {
            let [length] = *file.bytes(at, 1)? else { return Err(Odd::Broken("a GIF without end")) };
            at += 1 + u64::from(length);
            if length == 0 {
                break;
            }
        }
    }
}

fn webp(file: &mut File<'_>) -> Measured {
    let said = u64::from(le32(file.bytes(0, 12)?, 4)) + 8;
    if said != file.length() && said + 1 != file.length() {
        return Err(Odd::Behind("something behind a WebP, or less than it says"));
    }
    let mut size = Size { pixels: 0, frames: 0 };
    let mut at = 12_u64;
    while at + 8 <= said {
        let head = file.bytes(at, 24)?;
        let of_24 = |at: usize| u64::from(le32(head, at) & 0x00ff_ffff) + 1;
        let claimed = match head.get(..4).unwrap_or_default() {
            b"VP8X" => area(of_24(12), of_24(15)),
            b"ANMF" => {
                size.frames += 1;
                area(of_24(14), of_24(17))
            }
            b"VP8 " if head.get(11..14) == Some(&[0x9d, 0x01, 0x2a]) => {
                area((le16(head, 14) & 0x3fff).into(), (le16(head, 16) & 0x3fff).into())
            }
            b"VP8L" if head.get(8) == Some(&0x2f) => {
                let bits = le32(head, 9);
                area(u64::from(bits & 0x3fff) + 1, u64::from(bits >> 14 & 0x3fff) + 1)
            }
            b"VP8 " | b"VP8L" => return Err(Odd::Broken("an image in a WebP")),
            _ => 0,
        };
        size.pixels = size.pixels.max(claimed);
        let chunk = u64::from(le32(head, 4));
        at = at.saturating_add(8 + chunk + (chunk & 1));
    }
    size.frames = size.frames.max(1);
    Ok(size)
}

fn bmp(file: &mut File<'_>) -> Measured {
    let head = file.bytes(0, 26)?;
    let of_32 = |at: usize| u64::from((le32(head, at) as i32).unsigned_abs());
    let pixels = match le32(head, 14) {
        12 => area(le16(head, 18).into(), le16(head, 20).into()),
        _ => area(of_32(18), of_32(22)),
    };
    Ok(Size { pixels, frames: 1 })
}

fn ico(file: &mut File<'_>) -> Measured {
    let count = usize::from(le16(file.bytes(0, 6)?, 4));
    let entries = file.bytes(6, count * 16)?.to_vec();
    let mut size = Size { pixels: 0, frames: count as u64 };
    for entry in entries.chunks(16) {
        let (length, at) = (u64::from(le32(entry, 8)), u64::from(le32(entry, 12)));
        if entry.len() < 16 || at < 6 || at.saturating_add(length) > file.length() {
            return Err(Odd::Broken("an image of an icon"));
        }
        let head = file.bytes(at, 24)?;
        let claimed = if head.starts_with(b"\x89PNG\r\n\x1a\n") {
            area(be32(head, 16).into(), be32(head, 20).into())
        } else {
            area(le32(head, 4).into(), u64::from(le32(head, 8)) / 2)
        };
        size.pixels = size.pixels.max(claimed);
    }
    Ok(size)
}

/// Most images of a TIFF that are looked for.
const MOST_DIRECTORIES: usize = 128;

fn tiff(file: &mut File<'_>) -> Measured {
    let head = file.bytes(0, 8)?;
    let is_little = head.starts_with(b"II");
    let of_16 = |bytes: &[u8], at: usize| if is_little { le16(bytes, at) } else { be16(bytes, at) };
    let of_32 = |bytes: &[u8], at: usize| if is_little { le32(bytes, at) } else { be32(bytes, at) };
    let mut at = u64::from(of_32(head, 4));
    let mut seen = HashSet::new();
    let mut size = Size::default();
    while at != 0 {
        if !seen.insert(at) || seen.len() > MOST_DIRECTORIES {
            return Err(Odd::Broken("the directories of a TIFF"));
        }
        let count = usize::from(of_16(file.bytes(at, 2)?, 0));
        if count > 4096 {
            return Err(Odd::Broken("a directory of a TIFF"));
        }
        let entries = file.bytes(at + 2, count * 12 + 4)?;
        if entries.len() < count * 12 + 4 {
            return Err(Odd::Broken("a directory of a TIFF"));
        }
        let (mut width, mut height) = (0, 0);
        for entry in entries.chunks_exact(12).take(count) {
            let side = match of_16(entry, 0) {
                256 => &mut width,
                257 => &mut height,
                _ => continue,
            };
            // One number, of the types that TIFF gives it. There are readers that take any type, and the last or first of several numbers.
            let value = match (of_16(entry, 2), of_32(entry, 4)) {
                (3, 1) => u64::from(of_16(entry, 8)),
                (4, 1) => u64::from(of_32(entry, 8)),
                _ => return Err(Odd::Broken("the size of a TIFF")),
            };
            if std::mem::replace(side, value) != 0 {
                return Err(Odd::Broken("a TIFF with two sizes"));
            }
        }
        size.pixels = size.pixels.max(area(width, height));
        size.frames += 1;
        at = u64::from(of_32(entries, count * 12));
    }
    Ok(size)
}

/// Most boxes that are looked at.
const MOST_BOXES: usize = 65_536;

fn heif(file: &mut File<'_>) -> Measured {
    let mut size = Size { pixels: 0, frames: 1 };
    // Boxes in boxes: only these lead to what an image's size stands in.
    let (mut at, mut left) = (0_u64, MOST_BOXES);
    let length = file.length();
    while at < length {
        let head = file.bytes(at, 20)?;
        let (mut inner, name) = (8, head.get(4..8).unwrap_or_default());
        let whole = match be32(head, 0) {
            0 => length - at,
            1 => {
                inner = 16;
                u64::from(be32(head, 8)) << 32 | u64::from(be32(head, 12))
            }
            size => u64::from(size),
        };
        left = left.saturating_sub(1);
        if whole < inner || at.saturating_add(whole) > length || left == 0 {
            return Err(Odd::Broken("a box of an image"));
        }
        match name {
            b"meta" => at += inner + 4,
            b"iprp" | b"ipco" => at += inner,
            b"ispe" => {
                size.pixels = size.pixels.max(area(be32(head, 12).into(), be32(head, 16).into()));
                at += whole;
            }
            _ => at += whole,
        }
    }
    Ok(size)
}
