//! Decides whether a file is what it may be.
//!
//! In this order:
//! 1. it is of a type that is wanted, by what is in it ([`kinds`](super::kinds)); an empty file has none;
//! 2. it is no pickle, whatever else it is, and has none in it ([`pickle`](super::pickle));
//! 3. it is nothing else as well, as far as that is cheap to see: see below;
//! 4. an image has at most so many pixels and frames ([`pixels`](super::pixels));
//! 5. an archive may be unpacked ([`archives`](super::archives)). Documents that are zips are archives.
//!
//! # What is seen of files that are two things
//! Anything behind the end of a PNG, GIF, WebP or zip, before a zip, or in a gap of it; the directory of a zip at the end of a file that is
//! none; a PDF or a page that begins in the first 1024 bytes of an image, sound, film or font. A document that is a program of Java's or
//! Android's is that program.
//!
//! # What is not
//! What stands in a file's own places for other things: comments, metadata, chunks nobody reads; what is behind the end of a JPEG and is no
//! zip; scripts in a PDF or SVG; macros are told by a document's type alone. A file that is right here may still break what reads it.

use memchr::memmem;

use super::archives::{ArchiveBounds, Bad, Tar, gzip, zip};
use super::kinds::{
    Family, Kind, Text, is_csv, is_json, is_onnx, is_safetensors, kind_named, kinds, markup, named,
    npy_has_objects, signature,
};
use super::pickle::Pickle;
use super::pixels::{Odd, measure};
use super::source::{File, Gone, Source, le32};
use crate::error::ConfigError;

/// What a file may be.
#[derive(Debug)]
pub struct Wanted {
    kinds: Vec<&'static Kind>,
    archive: ArchiveBounds,
    pixels: u64,
    frames: u64,
}

/// Why a file is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// Which rule it breaks: `type`, `pixels`, `frames` or `archive`.
    pub rule: &'static str,
    /// What is wrong, for the log.
    pub reason: &'static str,
}

impl Wanted {
    /// # Errors
    /// A [`ConfigError`] for a type that is not told apart, or none.
    pub fn new(
        types: &[String],
        archive: ArchiveBounds,
        pixels: u64,
        frames: u64,
    ) -> Result<Self, ConfigError> {
        if types.is_empty() {
            return Err(ConfigError::new("types is empty: no file would be taken"));
        }
        let find = |name: &String| kind_named(name).ok_or_else(|| unknown(name));
        let kinds = types.iter().map(find).collect::<Result<_, _>>()?;
        Ok(Self { kinds, archive, pixels, frames })
    }

    fn has(&self, kind: &Kind) -> bool {
        self.kinds.iter().any(|one| one.name == kind.name)
    }

    fn has_family(&self, family: Family) -> bool {
        self.kinds.iter().any(|one| one.family == family)
    }
}

fn unknown(name: &str) -> ConfigError {
    if name.to_ascii_lowercase().contains("pickle") {
        return ConfigError::new(format!(
            "{name:?}: a pickle runs what it says when it is loaded, and is never taken"
        ));
    }
    let near = match name {
        "image/jpg" => "image/jpeg",
        "image/x-icon" | "image/ico" => "image/vnd.microsoft.icon",
        "image/heif" => "image/heic",
        "text/xml" => "application/xml",
        "audio/mp3" => "audio/mpeg",
        "audio/x-wav" | "audio/wave" => "audio/wav",
        "application/x-zip-compressed" => "application/zip",
        "application/x-gzip" => "application/gzip",
        _ => "",
    };
    let known: Vec<&str> = kinds().iter().map(|kind| kind.name).collect();
    match near {
        "" => ConfigError::new(format!(
            "{name:?} is not a type that is told apart; these are: {}",
            known.join(", ")
        )),
        near => ConfigError::new(format!("{name:?} is written {near:?}")),
    }
}

/// Whether a file of `length` bytes is what it may be: its type, or why it is refused.
///
/// # Errors
/// [`Gone`] if it cannot be read.
pub fn judge(
    source: &mut dyn Source,
    length: u64,
    wanted: &Wanted,
) -> Result<Result<&'static Kind, Refused>, Gone> {
    let mut file = File::new(source, length);
    match decide(&mut file, wanted) {
        Ok(kind) => Ok(Ok(kind)),
        Err(Stop::Refused(refused)) => Ok(Err(refused)),
        Err(Stop::Gone) => Err(Gone),
    }
}

enum Stop {
    Refused(Refused),
    Gone,
}

impl From<Gone> for Stop {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

fn refused(rule: &'static str, reason: &'static str) -> Stop {
    Stop::Refused(Refused { rule, reason })
}

fn bad(bad: Bad) -> Stop {
    match bad {
        Bad::Archive(reason) => refused("archive", reason),
        Bad::Pickle => refused("type", PICKLE),
        Bad::Gone => Stop::Gone,
    }
}

const PICKLE: &str = "a pickle";
const OTHER: &str = "another type";

fn decide(file: &mut File<'_>, wanted: &Wanted) -> Result<&'static Kind, Stop> {
    let found = signature(file)?;
    let (pickle, text) = look_through(file, found.is_none())?;
    // Rule 2 of `pickle.rs`: a signature does not save it. Without one, whatever reads as a pickle is one.
    if pickle.is_running() || (found.is_none() && pickle.is_one()) {
        return Err(refused("type", PICKLE));
    }
    let kind = match found {
        Some(kind) => kind,
        None if text => return of_text(file, wanted),
        None if is_safetensors(file)? => named("application/x-safetensors"),
        None if is_onnx(file)? => named("application/x-onnx"),
        None => return Err(refused("type", "no type that is told apart")),
    };
    if kind.family == Family::Zip {
        if !wanted.has_family(Family::Zip) {
            return Err(refused("type", OTHER));
        }
        let kind = named(zip(file, &wanted.archive).map_err(bad)?);
        return if wanted.has(kind) { Ok(kind) } else { Err(refused("type", OTHER)) };
    }
    if !wanted.has(kind) {
        return Err(refused("type", OTHER));
    }
    match kind.family {
        Family::Raster => {
            let size = measure(file, kind).map_err(|odd| match odd {
                Odd::Broken(reason) => refused("pixels", reason),
                Odd::Behind(reason) => refused("type", reason),
                Odd::Gone => Stop::Gone,
            })?;
            if size.pixels > wanted.pixels {
                return Err(refused("pixels", "its pixels"));
            }
            if size.frames > wanted.frames {
                return Err(refused("frames", "its frames"));
            }
            is_nothing_else(file)?;
        }
        Family::Media if kind.name != "application/pdf" => is_nothing_else(file)?,
        Family::Media => has_no_zip(file)?,
        Family::Gzip => gzip(file, &wanted.archive).map_err(bad)?,
        Family::Tar => {
            let mut tar = Tar::new(&wanted.archive);
            let mut at = 0;
            loop {
                let piece = file.piece(at)?;
                if piece.is_empty() {
                    break;
                }
                at += piece.len() as u64;
                tar.feed(piece).map_err(bad)?;
            }
            tar.finish().map_err(bad)?;
        }
        Family::Model => {
            if npy_has_objects(file.bytes(0, 65_536)?) == Some(true) {
                return Err(refused("type", PICKLE));
            }
            has_no_zip(file)?;
        }
        _ => {}
    }
    Ok(kind)
}

/// Reads the file as a pickle, and as text if it may be one.
fn look_through(file: &mut File<'_>, may_be_text: bool) -> Result<(Pickle, bool), Gone> {
    let (mut pickle, mut text) = (Pickle::new(), Text::default());
    let mut at = 0;
    loop {
        let piece = file.piece(at)?;
        if piece.is_empty() || (pickle.is_decided() && (!may_be_text || text.is_none())) {
            break;
        }
        at += piece.len() as u64;
        pickle.feed(piece);
        if may_be_text {
            text.feed(piece);
        }
    }
    let is_text = may_be_text && file.length() > 0 && text.is_text();
    Ok((pickle, is_text))
}

fn of_text(file: &mut File<'_>, wanted: &Wanted) -> Result<&'static Kind, Stop> {
    let is_whole = file.length() <= 65_536;
    if let Some(name) = markup(file.bytes(0, 65_536)?, is_whole) {
        let kind = named(name);
        return if wanted.has(kind) { Ok(kind) } else { Err(refused("type", OTHER)) };
    }
    for (name, is_one) in [("application/json", is_json as fn(&mut File<'_>) -> _), ("text/csv", is_csv)] {
        let kind = named(name);
        if wanted.has(kind) && is_one(file)? {
            return Ok(kind);
        }
    }
    let plain = named("text/plain");
    if wanted.has(plain) { Ok(plain) } else { Err(refused("type", OTHER)) }
}

/// A file that is none of these may not be opened as one.
fn is_nothing_else(file: &mut File<'_>) -> Result<(), Stop> {
    let head = file.bytes(0, 1024)?.to_ascii_lowercase();
    const BEGINNINGS: [&[u8]; 7] =
        [b"%pdf-", b"<!doctype", b"<html", b"<script", b"<svg", b"<iframe", b"<body"];
    if BEGINNINGS.iter().any(|beginning| memmem::find(&head, beginning).is_some()) {
        return Err(refused("type", "another type begins in it"));
    }
    has_no_zip(file)
}

/// Readers of zip look for the end of its directory from the end of the file.
fn has_no_zip(file: &mut File<'_>) -> Result<(), Stop> {
    // With the locator of a zip64 before it.
    let from = file.length().saturating_sub(65_535 + 22 + 20);
    let mut tail = Vec::new();
    while from + (tail.len() as u64) < file.length() {
        tail.extend_from_slice(file.piece(from + tail.len() as u64)?);
    }
    let is_end = |at: usize| {
        let record = tail.get(at..).unwrap_or_default();
        // There are readers that count back from here, and do not mind where the directory says that it is.
        let size = le32(record, 12);
        let is_far =
            at.checked_sub(20).and_then(|at| tail.get(at..)).is_some_and(|it| it.starts_with(b"PK\x06\x07"));
        record.len() >= 22 && (u64::from(size) <= from + at as u64 || size == u32::MAX || is_far)
    };
    if memmem::find_iter(&tail, b"PK\x05\x06").any(is_end) {
        return Err(refused("type", "a zip at its end"));
    }
    Ok(())
}
