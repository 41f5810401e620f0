//! The types that are told apart.

/// A type of files.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// Its media type: the registered one, where there is one.
    pub name: &'static str,
    /// How the name of such a file ends, with the dot.
    pub extension: &'static str,
    /// What is looked at in such a file.
    pub family: Family,
}

/// What is looked at in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Pixels.
    Raster,
    /// What stands behind its signature.
    Media,
    /// Text as it is.
    Text,
    /// Text that a browser or another program takes for more.
    Markup,
    /// A zip, whatever it is called.
    Zip,
    /// Compressed by gzip.
    Gzip,
    /// A tar.
    Tar,
    /// Compressed; what is in it is not looked at.
    Packed,
    /// What a machine runs.
    Executable,
    /// A model, or data for one.
    Model,
}

use Family::{Executable, Gzip, Markup, Media, Model, Packed, Raster, Tar, Text, Zip};

const fn kind(name: &'static str, extension: &'static str, family: Family) -> Kind {
    Kind { name, extension, family }
}

static KINDS: &[Kind] = &[
    kind("image/png", ".png", Raster),
    kind("image/jpeg", ".jpg", Raster),
    kind("image/gif", ".gif", Raster),
    kind("image/webp", ".webp", Raster),
    kind("image/avif", ".avif", Raster),
    kind("image/heic", ".heic", Raster),
    kind("image/bmp", ".bmp", Raster),
    kind("image/tiff", ".tiff", Raster),
    kind("image/vnd.microsoft.icon", ".ico", Raster),
    kind("application/pdf", ".pdf", Media),
    kind("audio/mpeg", ".mp3", Media),
    kind("audio/mp4", ".m4a", Media),
    kind("audio/ogg", ".ogg", Media),
    kind("audio/wav", ".wav", Media),
    kind("audio/flac", ".flac", Media),
    kind("video/mp4", ".mp4", Media),
    kind("video/quicktime", ".mov", Media),
    kind("video/webm", ".webm", Media),
    kind("video/matroska", ".mkv", Media),
    kind("font/woff", ".woff", Media),
    kind("font/woff2", ".woff2", Media),
    kind("application/vnd.apache.parquet", ".parquet", Media),
    kind("application/vnd.sqlite3", ".sqlite", Media),
    kind("application/zip", ".zip", Zip),
    kind("application/vnd.openxmlformats-officedocument.wordprocessingml.document", ".docx", Zip),
    kind("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ".xlsx", Zip),
    kind("application/vnd.openxmlformats-officedocument.presentationml.presentation", ".pptx", Zip),
    kind("application/vnd.ms-word.document.macroenabled.12", ".docm", Zip),
    kind("application/vnd.ms-excel.sheet.macroenabled.12", ".xlsm", Zip),
    kind("application/vnd.ms-powerpoint.presentation.macroenabled.12", ".pptm", Zip),
    kind("application/vnd.oasis.opendocument.text", ".odt", Zip),
    kind("application/vnd.oasis.opendocument.spreadsheet", ".ods", Zip),
    kind("application/vnd.oasis.opendocument.presentation", ".odp", Zip),
    kind("application/epub+zip", ".epub", Zip),
    kind("application/java-archive", ".jar", Zip),
    kind("application/vnd.android.package-archive", ".apk", Zip),
    kind("application/x-npz", ".npz", Zip),
    kind("application/gzip", ".gz", Gzip),
    kind("application/x-tar", ".tar", Tar),
    kind("application/x-bzip2", ".bz2", Packed),
    kind("application/x-xz", ".xz", Packed),
    kind("application/zstd", ".zst", Packed),
    kind("application/x-7z-compressed", ".7z", Packed),
    kind("application/vnd.rar", ".rar", Packed),
    kind("text/plain", ".txt", Text),
    kind("text/csv", ".csv", Text),
    kind("application/json", ".json", Text),
    kind("text/html", ".html", Markup),
    kind("image/svg+xml", ".svg", Markup),
    kind("application/xml", ".xml", Markup),
    kind("text/x-script", ".sh", Executable),
    kind("application/x-elf", ".elf", Executable),
    kind("application/vnd.microsoft.portable-executable", ".exe", Executable),
    kind("application/x-mach-binary", ".macho", Executable),
    kind("application/java-vm", ".class", Executable),
    kind("application/wasm", ".wasm", Executable),
    kind("application/x-safetensors", ".safetensors", Model),
    kind("application/x-gguf", ".gguf", Model),
    kind("application/x-onnx", ".onnx", Model),
    kind("application/x-npy", ".npy", Model),
];

/// All types.
pub fn kinds() -> &'static [Kind] {
    KINDS
}

/// The type of this name, in any capitals.
pub fn kind_named(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name.eq_ignore_ascii_case(name))
}

/// The type of a name that stands in this room's own code; that it is in the table is tested.
pub(in crate::uploads) fn named(name: &'static str) -> &'static Kind {
    kind_named(name).unwrap_or(&EXECUTABLE)
}

/// What a file is that is refused in any case, should the table lack a name.
static EXECUTABLE: Kind = kind("application/octet-stream", "", Executable);
