//! Reads the boundary of a form out of its content type.
//!
//! 1. The type is `multipart/form-data`, in any capitals; each parameter is `name=token` or `name="text"`, and comes once.
//! 2. There is one `boundary` of 1 to 100 characters (RFC 2046 says 70; werkzeug's own test client writes up to 76) of RFC 2046's set or of a token (RFC 9110; half of Android says `*****`), not ending in a blank. Parameters in pieces or with a character set
//!    (`boundary*0=`, RFC 2231) are refused: half of the readers put them together.

use super::Flaw;

const MOST: usize = 100;

/// The boundary that a content type names.
///
/// # Errors
/// [`Flaw::Malformed`] if there is none, or more than one way to read it.
///
/// ```
/// use rampart::uploads::boundary;
/// assert_eq!(boundary("multipart/form-data; boundary=abc"), Ok("abc".to_owned()));
/// assert!(boundary("multipart/form-data; boundary=a; boundary=b").is_err());
/// ```
pub fn boundary(content_type: &str) -> Result<String, Flaw> {
    let bad = Flaw::Malformed("its content type");
    let (kind, mut rest) = match content_type.split_once(';') {
        Some((kind, rest)) => (kind, rest),
        None => (content_type, ""),
    };
    if !kind.trim_matches(BLANK).eq_ignore_ascii_case("multipart/form-data") {
        return Err(bad);
    }
    let mut seen: Vec<String> = Vec::new();
    let mut found = None;
    while !rest.trim_matches(BLANK).is_empty() {
        let (name, after) = rest.split_once('=').ok_or(bad)?;
        let name = name.trim_start_matches(BLANK).to_ascii_lowercase();
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_token) || seen.contains(&name) || seen.len() >= 8 {
            return Err(bad);
        }
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or(bad)?,
            None => after.split_at(after.find([';', ' ', '\t']).unwrap_or(after.len())),
        };
        let after = after.trim_start_matches(BLANK);
        rest = match after.strip_prefix(';') {
            Some(rest) => rest,
            None if after.is_empty() => after,
            None => return Err(bad),
        };
        if value.contains(['\\', '"', ',']) && name != "boundary" {
            return Err(bad);
        }
        if name == "boundary" {
            found = Some(value.to_owned());
        }
        seen.push(name);
    }
    found.filter(|value| is_boundary(value)).ok_or(Flaw::Malformed("its boundary"))
}

fn is_boundary(value: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? !#$%&*^`|~".contains(&byte);
    (1..=MOST).contains(&value.len()) && value.bytes().all(is_allowed) && !value.ends_with(' ')
}

const BLANK: [char; 2] = [' ', '\t'];
