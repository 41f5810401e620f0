//! A `Set-Cookie` line as browsers read it (RFC 6265bis section 5.6), whatever an application meant by it.
//!
//! 1. What stands before the first `;` is the pair; before its first `=` the name. Without `=` there is no name.
//! 2. Each further part between `;` is an attribute. Its name counts in any case, blanks around it and around its value
//!    do not count, and one whose value is longer than 1,024 octets is ignored.
//! 3. Of one name the last counts, and what is unknown is ignored. `Secure` and `HttpOnly` have no value: `Secure=false`
//!    is `Secure`. A `SameSite` that is none of the three words is as if there were none.

/// The most octets of name and value together; a longer cookie is dropped (section 5.6, step 5).
const MOST: usize = 4096;
/// The most octets of an attribute's value (section 5.6, step 6).
const MOST_ATTRIBUTE: usize = 1024;

/// When a cookie goes along with a request that another site caused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// With links that were followed.
    Lax,
    /// Always.
    None,
    /// Never.
    Strict,
}

impl SameSite {
    /// The word in any case; `None` for another.
    pub fn named(word: &str) -> Option<Self> {
        [Self::Lax, Self::None, Self::Strict]
            .into_iter()
            .find(|known| known.word().eq_ignore_ascii_case(word))
    }

    /// As it is written on the wire.
    pub fn word(self) -> &'static str {
        self.written().rsplit('=').next().unwrap_or_default()
    }

    pub(super) fn written(self) -> &'static str {
        match self {
            Self::Lax => "; SameSite=Lax",
            Self::None => "; SameSite=None",
            Self::Strict => "; SameSite=Strict",
        }
    }
}

/// What the name of a cookie promises (RFC 6265bis section 4.1.3); a browser drops a cookie that does not keep it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prefix {
    /// Nothing.
    None,
    /// `Secure`.
    Secure,
    /// `Secure`, of this host alone, with `Path=/`.
    Host,
    /// `Secure` and `HttpOnly`.
    Http,
    /// What `Host` and `Http` promise.
    HostHttp,
}

impl Prefix {
    /// That of *name*; browsers know it in any case, so that no server that ignores case is deceived.
    pub fn of(name: &str) -> Self {
        if !name.starts_with("__") {
            return Self::None;
        }
        // The longer of two that begin alike comes first.
        let known = [
            ("__Host-Http-", Self::HostHttp),
            ("__Host-", Self::Host),
            ("__Http-", Self::Http),
            ("__Secure-", Self::Secure),
        ];
        let has = |prefix: &str| {
            name.as_bytes()
                .get(..prefix.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
        };
        known.into_iter().find(|(prefix, _)| has(prefix)).map_or(Self::None, |(_, kind)| kind)
    }

    /// Whether it promises one host.
    pub fn is_host(self) -> bool {
        matches!(self, Self::Host | Self::HostHttp)
    }

    /// Whether it promises that no script reads it.
    pub fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::HostHttp)
    }
}

/// What a `Path` says to a cookie that must have `/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// Nothing: the browser takes the directory of the request.
    Absent,
    /// `/`.
    Root,
    /// Another.
    Other,
}

/// One cookie, as read. A repeated attribute is already decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cookie<'a> {
    /// Empty if the line has none.
    pub name: &'a str,
    /// Without blanks around it.
    pub value: &'a str,
    /// Whether `Secure` stands there.
    pub secure: bool,
    /// Whether `HttpOnly` stands there.
    pub http_only: bool,
    /// One of the three words.
    pub same_site: Option<SameSite>,
    /// Whether `Partitioned` stands there.
    pub partitioned: bool,
    /// Whether it is for a domain, and not for this host alone.
    pub domain: bool,
    /// Where it goes.
    pub path: Path,
    /// Whether a second cookie seems to stand in an attribute, behind a comma.
    pub joined: bool,
}

impl<'a> Cookie<'a> {
    /// Reads any text: what a browser would make of it.
    pub fn read(line: &'a str) -> Self {
        let mut parts = line.split(';');
        let pair = parts.next().unwrap_or_default();
        let (name, value) = pair.split_once('=').unwrap_or(("", pair));
        let mut cookie = Self {
            name: trim(name),
            value: trim(value),
            secure: false,
            http_only: false,
            same_site: None,
            partitioned: false,
            domain: false,
            path: Path::Absent,
            joined: false,
        };
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (trim(name), trim(value));
            if !is_within(&[value], MOST_ATTRIBUTE) {
                continue;
            }
            cookie.attribute(name, value);
            cookie.joined = cookie.joined || (value.contains(',') && is_joined(value));
        }
        cookie
    }

    fn attribute(&mut self, name: &str, value: &str) {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        match name.len() {
            4 if is("Path") => {
                self.path = match value {
                    "/" => Path::Root,
                    // The browser falls back to where the request went.
                    other if !other.starts_with('/') => Path::Absent,
                    _ => Path::Other,
                };
            }
            6 if is("Secure") => self.secure = true,
            6 if is("Domain") => self.domain = !value.is_empty(),
            8 if is("HttpOnly") => self.http_only = true,
            8 if is("SameSite") => self.same_site = SameSite::named(value),
            11 if is("Partitioned") => self.partitioned = true,
            _ => {}
        }
    }

    /// Whether a browser drops it for its size.
    pub fn is_oversized(&self) -> bool {
        !is_within(&[self.name, self.value], MOST)
    }
}

/// Whether these texts have at most so many octets on the wire, where each character is one (PEP 3333).
fn is_within(texts: &[&str], most: usize) -> bool {
    // In UTF-8 none is shorter.
    texts.iter().map(|text| text.len()).sum::<usize>() <= most
        || texts.iter().map(|text| text.chars().count()).sum::<usize>() <= most
}

/// Whether a comma is followed by a word and `=`, as in `Path=/, b=2`. No date has that.
fn is_joined(value: &str) -> bool {
    value.split(',').skip(1).any(|part| {
        let word = part.split_once('=').map(|(word, _)| trim(word));
        word.is_some_and(|word| {
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
        })
    })
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}
