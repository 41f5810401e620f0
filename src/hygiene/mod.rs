//! Decides whether a request's head is one that every server, proxy and framework reads in the same way.
//!
//! Rules, in order; the first that is broken refuses:
//! 1. the method is on the list, letter for letter (`methods.rs`);
//! 2. the request line ends in a version of HTTP; the body's end is told once, in one way; what is expected is known (`framing.rs`);
//! 3. the target as it was sent, where the server shows it, names one place on this host (`target.rs`);
//! 4. the path, once decoded, is UTF-8 and has in it nothing that another reader takes for something else (`path.rs`);
//! 5. the query is bytes, and has no control character.
//!
//! Names and values of header fields are judged one by one, by [`may_name`] and [`may_arrive`]. Cookies that are not UTF-8
//! are left out, by [`readable_cookies`]: the one thing that is not refused but dropped.
//!
//! # What it does not do
//! It changes nothing else: a path is refused, never repaired, since what repairs it is one reader more. It does not decode
//! twice (`%252f` is a `%2f` that somebody may want), and does not look at percent-encodings in a query. It does not
//! compare the path with the target: a proxy may rewrite the one and show the other.
//!
//! # Deployment caveat
//! An encoded slash is seen only in the target; `docs/hygiene.md` says which servers show it. A proxy in front that
//! decodes or repairs paths before it forwards them hides what was sent.
//!
//! # Sources
//! RFC 9110 (§5.5, §8.6, §9.1, §10.1.1), RFC 9112 (§3.2, §5.1, §6), RFC 3986 (§2.2, §5.2.4), RFC 3629 (§3, §10), PEP 3333;
//! CWE-22, CWE-444, CWE-158.

mod cookies;
mod framing;
mod methods;
mod path;
mod target;

pub use cookies::readable_cookies;
pub use framing::{may_arrive, may_name};
pub use methods::Methods;

/// What is said of a request before its fields and its body, as WSGI shows it: each character stands for a byte.
#[derive(Debug, Clone, Copy, Default)]
pub struct Head<'h> {
    /// `REQUEST_METHOD`.
    pub method: &'h str,
    /// `SCRIPT_NAME`: the part of the path under which the application is mounted.
    pub mount: &'h str,
    /// `PATH_INFO`: the rest of it.
    pub path: &'h str,
    /// `QUERY_STRING`.
    pub query: &'h str,
    /// What stood in the request line, where the server shows it; empty otherwise.
    pub target: &'h str,
    /// `Host`.
    pub host: &'h str,
    /// `Content-Length`; empty if there is none.
    pub length: &'h str,
    /// `Transfer-Encoding`.
    pub transfer: Option<&'h str>,
    /// `SERVER_PROTOCOL`, such as `HTTP/1.1`; empty if it is not known.
    pub protocol: &'h str,
    /// `Expect`.
    pub expect: Option<&'h str>,
    /// Whether a path may come without its first slash, as a framework's own test client writes it.
    pub relative: bool,
}

/// Why a head is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// An absolute target names another host than `Host` does. Code `request.malformed`.
    Authority,
    /// A backslash in the path. Code `path.malformed`.
    Backslash,
    /// A control character in the path or the target. Code `path.malformed`.
    Control,
    /// A segment `.` or `..`. Code `path.malformed`.
    DotSegment,
    /// `%2f` or `%5c` in the target. Code `path.malformed`.
    EncodedSlash,
    /// The path is not UTF-8. Code `path.malformed`.
    Encoding,
    /// Something else is expected than `100-continue`. Code `expectation.refused`.
    Expectation,
    /// A control character in a field. Code `request.malformed`.
    Field,
    /// `Content-Length` is not one number. Code `request.malformed`.
    Length,
    /// The method is not on the list. Code `method.refused`.
    Method,
    /// The request line does not end in a version of HTTP. Code `request.malformed`.
    Protocol,
    /// A control character in the query, or what is no byte. Code `request.malformed`.
    Query,
    /// The path begins with two slashes, or with none. Code `path.malformed`.
    Slashes,
    /// The target is of no form that an application answers. Code `path.malformed`.
    Target,
    /// `Transfer-Encoding` is not `chunked`, or stands beside a `Content-Length`. Code `request.malformed`.
    Transfer,
}

impl Refusal {
    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Method => "method.refused",
            Self::Expectation => "expectation.refused",
            Self::Authority | Self::Field | Self::Length | Self::Protocol | Self::Query | Self::Transfer => {
                "request.malformed"
            }
            Self::Backslash
            | Self::Control
            | Self::DotSegment
            | Self::EncodedSlash
            | Self::Encoding
            | Self::Slashes
            | Self::Target => "path.malformed",
        }
    }

    /// A word or two for the log.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Authority => "another host in the target",
            Self::Backslash => "backslash",
            Self::Control => "control character in the path",
            Self::DotSegment => "dot segment",
            Self::EncodedSlash => "encoded slash",
            Self::Encoding => "not UTF-8",
            Self::Expectation => "Expect",
            Self::Field => "control character in a field",
            Self::Length => "Content-Length",
            Self::Method => "method",
            Self::Protocol => "version of HTTP",
            Self::Query => "control character in the query",
            Self::Slashes => "first slash",
            Self::Target => "form of the target",
            Self::Transfer => "Transfer-Encoding",
        }
    }
}

/// What an application takes. Made once, at start-up.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The methods that are answered.
    pub methods: Methods,
    /// Whether `%2f` and `%5c` in a path are data.
    pub encoded_slashes: bool,
}

impl Rules {
    /// Whether the head is read by everybody alike.
    ///
    /// # Errors
    /// [`Refusal`]: the first rule that is broken.
    pub fn judge(&self, head: &Head<'_>) -> Result<(), Refusal> {
        if !self.methods.has(head.method) {
            return Err(Refusal::Method);
        }
        framing::judge(head)?;
        target::judge(head, self.encoded_slashes)?;
        path::judge(head.mount, self.encoded_slashes)?;
        path::judge(head.path, self.encoded_slashes)?;
        path::begins(head)?;
        if framing::has_control(head.query.as_bytes()) || head.query.chars().any(|c| c > '\u{ff}') {
            return Err(Refusal::Query);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
