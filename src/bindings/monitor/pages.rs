//! Whose doing a request was, of what its environ says.

use percent_encoding::percent_decode_str;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PySet};

use crate::monitor::{Sent, Source};
use crate::origins::Page;

use super::super::origins::{item, lossy, page_behind};

/// What an app knows of pages.
pub(super) struct Pages {
    /// Names of fields that carry credentials, as WSGI has them, beside `X-API-Key` and `Authorization`. Schemes may
    /// still be added.
    pub fields: Option<Py<PySet>>,
    /// Origins whose pages are one's own.
    pub trusted: Option<Py<PyAny>>,
    /// Whether nothing is answered by plain HTTP but that it should be HTTPS.
    pub https_only: bool,
}

/// Whose doing a request was.
#[derive(Clone, Copy, Default)]
pub(super) struct Doing {
    pub source: Source,
    /// Whether it is its principal's all the same: a page has the credential itself.
    pub is_of_principal: bool,
}

impl Pages {
    /// Whose doing a request was. What the edge has decided about pages of other origins (CORS) is in the exchange.
    pub fn doing_of(&self, exchange: &Bound<'_, PyAny>, environ: &Bound<'_, PyDict>) -> PyResult<Doing> {
        let py = environ.py();
        let trusted = self.trusted.as_ref().map(|trusted| trusted.bind(py));
        let is_foreign = match page_behind(environ, trusted)? {
            // As programs send it, old browsers their images, and all browsers to plain HTTP.
            Page::Unsaid if self.https_only => return by_plain_http(environ),
            Page::Unsaid => return Ok(Doing::default()),
            Page::Own | Page::Trusted => false,
            // Who has a name beside one's own need not be oneself: `alice.pages.example`.
            Page::Hidden | Page::Other | Page::Sibling => true,
        };
        let destination = item(environ, intern!(py, "HTTP_SEC_FETCH_DEST"))?;
        let mode = item(environ, intern!(py, "HTTP_SEC_FETCH_MODE"))?;
        // `Sec-Purpose` and what browsers sent before it, and the field of pings: of one click a link has many.
        let is_aside = environ.contains(intern!(py, "HTTP_SEC_PURPOSE"))?
            || environ.contains(intern!(py, "HTTP_PURPOSE"))?
            || environ.contains(intern!(py, "HTTP_X_MOZ"))?
            || environ.contains(intern!(py, "HTTP_PING_TO"))?;
        let mut sent = Sent {
            is_foreign,
            has_page: true,
            destination: &lossy(&destination),
            mode: &lossy(&mode),
            is_aside,
            method: "GET",
            ..Sent::default()
        };
        if sent.source() == Source::Sender {
            return Ok(Doing::default()); // the usual request of a browser: the rest need not be asked
        }
        let (method, content_type, authorization) = (
            item(environ, intern!(py, "REQUEST_METHOD"))?,
            item(environ, intern!(py, "CONTENT_TYPE"))?,
            item(environ, intern!(py, "HTTP_AUTHORIZATION"))?,
        );
        let (method, content_type, authorization) =
            (lossy(&method), lossy(&content_type), lossy(&authorization));
        sent.method = &method;
        sent.content_type = &content_type;
        sent.authorization = &authorization;
        sent.has_field = self.has_field(environ)?;
        if is_foreign {
            sent.has_cookie = environ.contains(intern!(py, "HTTP_COOKIE"))?;
            sent.is_admitted = is_admitted(exchange, environ)?;
        }
        Ok(Doing { source: sent.source(), is_of_principal: sent.is_of_principal() })
    }

    /// Whether a request carries something that the app can have refused with 401: a field with a credential, a token or
    /// key in the query (RFC 6750 section 2.3), or a body, which may be a login's that nobody told of. A cookie is none: one
    /// that has expired looks like one that was made up, and comes with each request of a page that is left open.
    pub fn has_credential(&self, environ: &Bound<'_, PyDict>) -> PyResult<bool> {
        let py = environ.py();
        let (query, length) =
            (item(environ, intern!(py, "QUERY_STRING"))?, item(environ, intern!(py, "CONTENT_LENGTH"))?);
        Ok(environ.contains(intern!(py, "HTTP_AUTHORIZATION"))?
            || self.has_field(environ)?
            || lossy(&query).split('&').any(names_credential)
            || !matches!(&*lossy(&length), "" | "0")
            || environ.contains(intern!(py, "HTTP_TRANSFER_ENCODING"))?)
    }

    /// Whether a field beside `Authorization` carries a credential.
    fn has_field(&self, environ: &Bound<'_, PyDict>) -> PyResult<bool> {
        let py = environ.py();
        let mut has_field = environ.contains(intern!(py, "HTTP_X_API_KEY"))?;
        for field in self.fields.iter().flat_map(|fields| fields.bind(py).iter()) {
            has_field |= environ.contains(field)?;
        }
        Ok(has_field)
    }
}

/// Whether a parameter of a query has a name that credentials have: `access_token`, `api_key`, `clientSecret`.
fn names_credential(parameter: &str) -> bool {
    let name = parameter.split_once('=').map_or(parameter, |(name, _)| name);
    let name = percent_decode_str(name).decode_utf8_lossy().to_ascii_lowercase().replace("keyword", "");
    ["key", "secret", "token"].iter().any(|word| name.contains(word))
}

/// Whether the policy of CORS that a request meets admits the page that had it sent: what needs a preflight then proves
/// nothing.
fn is_admitted(exchange: &Bound<'_, PyAny>, environ: &Bound<'_, PyDict>) -> PyResult<bool> {
    let py = environ.py();
    let policy = exchange.getattr(intern!(py, "crossing"))?;
    if policy.is_none() {
        return Ok(false);
    }
    match environ.get_item(intern!(py, "HTTP_ORIGIN"))? {
        Some(origin) => Ok(!policy.call_method1(intern!(py, "fields"), (origin,))?.is_none()),
        None => policy.getattr(intern!(py, "any"))?.is_truthy(),
    }
}

/// Whose doing a request was that says nothing of it, where all is by HTTPS.
///
/// By plain HTTP browsers do not say it: any page has a visitor's send a GET there, and what proxies on its way add to that
/// tells nothing. Nothing is given out there, so who sends it himself gains nothing by it. A form has an `Origin`.
fn by_plain_http(environ: &Bound<'_, PyDict>) -> PyResult<Doing> {
    let py = environ.py();
    let scheme = item(environ, intern!(py, "wsgi.url_scheme"))?;
    if lossy(&scheme) != "http" {
        return Ok(Doing::default());
    }
    let method = item(environ, intern!(py, "REQUEST_METHOD"))?;
    let source = if matches!(&*lossy(&method), "GET" | "HEAD") { Source::Site } else { Source::Sender };
    Ok(Doing { source, is_of_principal: false })
}
