//! Decides what of a text that a peer wrote may go on, and where: into a page, a file's name, a table, an address.
//!
//! One function for each place, each total, linear in its input, and idempotent (cleaning twice is cleaning once):
//! 1. [`clean_text`]: plain text without what is not seen (`text.rs`);
//! 2. [`HtmlPolicy::clean`]: HTML without what runs, loads or misleads (`html.rs`);
//! 3. [`safe_filename`]: one component that every file system takes for a file's name (`filename.rs`);
//! 4. [`csv_cell`]: a cell that no spreadsheet computes (`cell.rs`);
//! 5. [`safe_redirect`]: an address that stays on this site, or on those listed (`redirect.rs`).
//!
//! # What it does not do
//! It does not decide whether a text is true, polite or spam, nor undo an encoding: what is percent-encoded or
//! base64 stays so. Letters that look alike (Cyrillic `a`) stay: they are some people's letters. It is no
//! substitute for escaping where a text is shown, nor for parameters in SQL.
//!
//! # Deployment caveat
//! Unicode grows: a character newer than the tables compiled in counts as visible, and is in no script that needs joiners.

mod cell;
mod escapes;
mod filename;
mod html;
mod policy;
mod redirect;
mod tags;
mod text;
mod tidy;

pub use cell::csv_cell;
pub use filename::{Names, safe_filename};
pub use policy::HtmlPolicy;
pub use redirect::{Sites, safe_redirect};
pub use text::{Form, TextRules, clean_text};
