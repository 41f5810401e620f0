//! Where servers keep what the socket itself says, and what they and `ProxyFix` have put in its place.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::{Reads, put, text};
use crate::network::node;
use crate::network::walk::Party;

/// Who a server says is at the other end. gunicorn and granian say nothing of a Unix socket; nginx's `uwsgi_params` say
/// `unix:`.
pub(super) fn party(text: &str) -> Party {
    if text.is_empty() || text == "unix:" {
        return Party::Unix;
    }
    node::address(text).map_or(Party::Unknown, Party::Address)
}

/// A Unix socket, as uWSGI (`0.0.0.0`) and waitress (`localhost`, with the socket's path as port) call it, has no address.
pub(super) fn unmask_unix(environ: &Bound<'_, PyDict>) -> PyResult<()> {
    let py = environ.py();
    let address = text(environ, intern!(py, "REMOTE_ADDR"))?;
    let is_unix = match address.as_deref() {
        Some("0.0.0.0") => environ.contains(intern!(py, "uwsgi.version"))?,
        Some("localhost") => text(environ, intern!(py, "SERVER_PORT"))?
            .is_some_and(|port| !port.bytes().all(|byte| byte.is_ascii_digit())),
        _ => false,
    };
    if is_unix { environ.set_item(intern!(py, "REMOTE_ADDR"), "") } else { Ok(()) }
}

/// The scheme of the socket itself, where the server has taken another from a header field: gunicorn of whom it trusts,
/// which is another list than ours; uWSGI of anybody.
pub(super) fn socket_scheme(environ: &Bound<'_, PyDict>) -> PyResult<()> {
    let py = environ.py();
    if !matches!(text(environ, intern!(py, "wsgi.url_scheme"))?.as_deref(), Some("https" | "wss")) {
        return Ok(());
    }
    if let Some(socket) = environ.get_item(intern!(py, "gunicorn.socket"))?
        && !socket.hasattr(intern!(py, "getpeercert"))?
    {
        return environ.set_item(intern!(py, "wsgi.url_scheme"), "http");
    }
    believed_by_anybody(environ)
}

/// uWSGI's HTTP socket takes `X-Forwarded-Proto` from anybody; its own TLS, and a server in front that speaks its protocol,
/// say so in variables that no header field can set.
pub(super) fn believed_by_anybody(environ: &Bound<'_, PyDict>) -> PyResult<()> {
    let py = environ.py();
    if !environ.contains(intern!(py, "uwsgi.version"))? {
        return Ok(());
    }
    let is = |name, word: &str| -> PyResult<bool> {
        Ok(text(environ, name)?.is_some_and(|text| text.eq_ignore_ascii_case(word)))
    };
    let is_own = is(intern!(py, "HTTPS"), "on")?
        || is(intern!(py, "UWSGI_SCHEME"), "https")?
        || is(intern!(py, "REQUEST_SCHEME"), "https")?;
    if is_own { Ok(()) } else { environ.set_item(intern!(py, "wsgi.url_scheme"), "http") }
}

/// What a `ProxyFix` around the app has made of the environ.
#[derive(Default)]
pub(super) struct Fixed<'py>(Vec<(&'static str, Option<Bound<'py, PyAny>>)>);

impl<'py> Fixed<'py> {
    /// Puts back what the server said, and remembers what stood there.
    pub(super) fn undo(
        environ: &Bound<'py, PyDict>,
        original: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Self> {
        let Some(original) = original else { return Ok(Self::default()) };
        let mut found = Vec::with_capacity(CHANGED.len());
        for name in CHANGED {
            found.push((name, environ.get_item(name)?));
            put(environ, name, original.get_item(name)?.filter(|value| !value.is_none()))?;
        }
        Ok(Self(found))
    }

    /// Gives back what it did where we read nothing ourselves.
    pub(super) fn redo(self, environ: &Bound<'py, PyDict>, reads: &Reads) -> PyResult<()> {
        for (name, value) in self.0 {
            let ours = match name {
                "REMOTE_ADDR" => reads.peer,
                "wsgi.url_scheme" => reads.proto,
                "SCRIPT_NAME" => reads.prefix,
                _ => reads.host || reads.port,
            };
            if !ours {
                put(environ, name, value)?;
            }
        }
        Ok(())
    }

    pub(super) fn names_another(&self, peer: Party) -> bool {
        self.0.iter().any(|(name, value)| {
            let text = value.as_ref().and_then(|value| value.cast::<PyString>().ok());
            *name == "REMOTE_ADDR" && text.is_some_and(|text| party(&text.to_string_lossy()) != peer)
        })
    }
}

/// What `ProxyFix` changes, and keeps as it was.
const CHANGED: [&str; 6] =
    ["REMOTE_ADDR", "wsgi.url_scheme", "HTTP_HOST", "SERVER_NAME", "SERVER_PORT", "SCRIPT_NAME"];
