//! Makes an environ true: who the peer is, and by which scheme, host and prefix the request came.
//!
//! One pass over the environ's names; only a request that has a forwarding field, or comes where proxies are trusted, costs
//! more than that. What is believed, `network` decides; what stands here is where WSGI and its servers keep it.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::errors::guarded;
use crate::error::ConfigError;
use crate::network::fields::{self, Role, Unclear};
use crate::network::forwarded::{self, Element};
use crate::network::node;
use crate::network::walk::{End, MOST, Party, Proxies, Walk};

/// Who is believed about where a request came from.
///
/// *proxies*: networks of proxies, and ``"unix"``; None if nobody is. *hops*: proxies that are believed at most. *reads*:
/// ``"for"``, ``"proto"``, ``"host"``, ``"port"``, ``"prefix"`` of X-Forwarded-*, or ``"forwarded"`` for RFC 7239.
///
/// :raises ValueError: for a network that is none.
///
/// >>> rule = PeerRule(["10.0.0.0/8"], None, ["for", "proto"])
/// >>> environ = {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": "203.0.113.9, 192.0.2.1", "wsgi.url_scheme": "http"}
/// >>> rule.settle(environ) is None, environ["REMOTE_ADDR"], "HTTP_X_FORWARDED_FOR" in environ
/// (True, '192.0.2.1', False)
#[pyclass(frozen, module = "flask_rampart._native")]
pub struct PeerRule {
    proxies: Option<Proxies>,
    hops: Option<usize>,
    reads: Reads,
}

/// Which fields of a trusted proxy are read.
#[derive(Default)]
struct Reads {
    standard: bool,
    peer: bool,
    proto: bool,
    host: bool,
    port: bool,
    prefix: bool,
}

/// What is noticed of a request: a word, and the header field that it is about.
type Told = (&'static str, String);

#[pymethods]
impl PeerRule {
    #[new]
    fn new(proxies: Option<Vec<String>>, hops: Option<usize>, reads: Vec<String>) -> PyResult<Self> {
        let proxies = proxies.map(|networks| listed(&networks)).transpose()?;
        let reads = |word: &str| reads.iter().any(|known| known == word);
        let standard = reads("forwarded");
        Ok(Self {
            proxies,
            hops,
            reads: Reads {
                standard,
                peer: standard || reads("for"),
                proto: standard || reads("proto"),
                host: standard || reads("host"),
                port: reads("port"),
                prefix: reads("prefix"),
            },
        })
    }

    /// Makes *environ* true, and says what is to be noticed; None of nearly every request.
    ///
    /// A word, and the field that it is about: ``"malformed"`` is to be refused; ``"unread"``, ``"stranger"``,
    /// ``"unreadable"``, ``"short"`` and ``"disagrees"`` are for people.
    fn settle(&self, environ: &Bound<'_, PyDict>) -> PyResult<Option<Told>> {
        guarded(|| {
            let seen = Seen::of(environ);
            if self.proxies.is_none() && seen.is_quiet() {
                return Ok(None);
            }
            let py = environ.py();
            let mut malformed = seen.contradicts(environ)?;
            remove(environ, &seen.never)?;
            let proxyfix = dict(environ, intern!(py, "werkzeug.proxy_fix.orig"))?;
            let told = match &self.proxies {
                None if proxyfix.is_some() => None,
                None => {
                    if seen.odd_address {
                        unmask_unix(environ)?;
                    }
                    malformed = malformed.or(seen.script_taken(environ)?);
                    if !seen.forwards.is_empty() {
                        believed_by_anybody(environ)?;
                    }
                    strip(environ, &seen)?
                }
                Some(proxies) => {
                    let (told, unclear) = self.walk(environ, proxies, &seen, proxyfix.as_ref())?;
                    malformed = malformed.or(unclear);
                    told
                }
            };
            Ok(malformed.map(|field| ("malformed", field)).or(told))
        })
    }
}

impl PeerRule {
    /// What is to be told, and the field for which the request is refused.
    fn walk(
        &self,
        environ: &Bound<'_, PyDict>,
        proxies: &Proxies,
        seen: &Seen<'_>,
        proxyfix: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<(Option<Told>, Option<String>)> {
        let py = environ.py();
        if environ.contains(intern!(py, SOCKET))? {
            // An app around this one has settled it; whoever walked again would count a proxy twice.
            return Ok((strip(environ, seen)?.and(None), None));
        }
        let fixed = Fixed::undo(environ, proxyfix)?;
        unmask_unix(environ)?;
        socket_scheme(environ)?;
        let address = text(environ, intern!(py, "REMOTE_ADDR"))?;
        let socket = address.as_deref().map_or(Party::Unknown, party);
        environ.set_item(
            intern!(py, SOCKET),
            if socket == Party::Unix { Some("") } else { address.as_deref() },
        )?;
        if !proxies.has(socket) {
            let told = strip(environ, seen)?.map(|(_, field)| ("stranger", field));
            return Ok((told, seen.script_taken(environ)?));
        }
        let field = |name: &'static str| seen.value(name);
        let list = if self.reads.standard { "FORWARDED" } else { "X_FORWARDED_FOR" };
        let said = field(list).filter(|_| self.reads.peer);
        let hops = self.hops.unwrap_or(MOST);
        let mut elements: Vec<Option<Element<'_>>> = Vec::new();
        let walk = match said.as_deref() {
            None => Walk { peer: socket, depth: 0, end: End::Client },
            Some(said) if self.reads.standard => {
                elements = forwarded::from_right(said).take(MOST).collect();
                let entries = elements.iter().map(|it| it.as_ref().and_then(|it| it.r#for.as_deref()));
                proxies.walk(socket, entries, hops)
            }
            Some(said) => proxies.walk(socket, said.rsplit(',').map(Some), hops),
        };
        remove(environ, &seen.forwards)?;
        if walk.depth > 0 {
            if let Party::Address(address) = walk.peer {
                environ.set_item(intern!(py, "REMOTE_ADDR"), address.to_string())?;
            }
            for name in [intern!(py, "REMOTE_PORT"), intern!(py, "REMOTE_HOST")] {
                if environ.contains(name)? {
                    environ.del_item(name)?;
                }
            }
        } else if socket == Party::Unix {
            environ.set_item(intern!(py, "REMOTE_ADDR"), "")?;
        }
        if walk.end == End::Malformed {
            return Ok((Some(("unreadable", shown(list))), seen.script_taken(environ)?));
        }
        let disagrees = self.reads.peer && fixed.names_another(walk.peer);
        fixed.redo(environ, &self.reads)?;
        let unclear = if self.reads.standard {
            let element = walk.depth.checked_sub(1).and_then(|at| elements.get(at)?.as_ref());
            let values = Values {
                proto: element.and_then(|it| it.proto.as_deref()),
                host: element.and_then(|it| it.host.as_deref()),
                ..Values::default()
            };
            values.apply(environ)?.then(|| shown(list))
        } else {
            let [proto, host, port, prefix] = [
                field("X_FORWARDED_PROTO").filter(|_| self.reads.proto),
                field("X_FORWARDED_HOST").filter(|_| self.reads.host),
                field("X_FORWARDED_PORT").filter(|_| self.reads.port),
                field("X_FORWARDED_PREFIX").filter(|_| self.reads.prefix),
            ];
            let mut unclear = None;
            let mut pick = |name: &'static str, said: &Option<String>| -> Option<String> {
                let said = said.as_deref()?;
                let picked = fields::pick(said, walk.depth);
                if picked.is_err() && name != "X_FORWARDED_PROTO" {
                    unclear = Some(shown(name));
                }
                picked.ok().map(str::to_owned)
            };
            let proto = pick("X_FORWARDED_PROTO", &proto);
            let host = pick("X_FORWARDED_HOST", &host);
            let port = pick("X_FORWARDED_PORT", &port);
            let prefix = pick("X_FORWARDED_PREFIX", &prefix);
            let values = Values {
                proto: proto.as_deref(),
                host: host.as_deref(),
                port: port.as_deref(),
                prefix: prefix.as_deref(),
            };
            let wrong = values.apply(environ)?;
            unclear.or_else(|| wrong.then(|| "X-Forwarded-Host, -Port or -Prefix".to_owned()))
        };
        let unclear = if self.reads.prefix { unclear } else { unclear.or(seen.script_taken(environ)?) };
        let is_short = said.is_some() && self.hops.is_some_and(|hops| walk.depth < hops);
        let told = if disagrees {
            Some("disagrees")
        } else if is_short {
            Some("short")
        } else {
            None
        };
        Ok((told.map(|word| (word, shown(list))), unclear))
    }
}

/// What a trusted proxy said of the request.
#[derive(Default)]
struct Values<'a> {
    proto: Option<&'a str>,
    host: Option<&'a str>,
    port: Option<&'a str>,
    prefix: Option<&'a str>,
}

impl Values<'_> {
    /// Writes it into the environ. True if something of it is none that can be meant; what is not clear of the scheme is
    /// left as the socket has it.
    fn apply(&self, environ: &Bound<'_, PyDict>) -> PyResult<bool> {
        let py = environ.py();
        let (port_name, host_name) = (intern!(py, "SERVER_PORT"), intern!(py, "HTTP_HOST"));
        let mut wrong = false;
        if let Some(Ok(scheme)) = self.proto.map(fields::scheme) {
            environ.set_item(intern!(py, "wsgi.url_scheme"), scheme)?;
        }
        match self.host.map(fields::host) {
            Some(Ok((name, port))) => {
                environ.set_item(host_name, self.host)?;
                environ.set_item(intern!(py, "SERVER_NAME"), name)?;
                if let Some(port) = port {
                    environ.set_item(port_name, port)?;
                }
            }
            Some(Err(Unclear)) => wrong = true,
            None => {}
        }
        if let Some(port) = self.port {
            if node::is_port(port) {
                let host = text(environ, host_name)?;
                if let Some((name, _)) = host.as_deref().and_then(|host| fields::host(host).ok()) {
                    let scheme = text(environ, intern!(py, "wsgi.url_scheme"))?;
                    let is_default =
                        matches!((scheme.as_deref(), port), (Some("https"), "443") | (Some("http"), "80"));
                    let host = if is_default { name.to_owned() } else { format!("{name}:{port}") };
                    environ.set_item(host_name, host)?;
                }
                environ.set_item(port_name, port)?;
            } else {
                wrong = true;
            }
        }
        match self.prefix.map(fields::prefix) {
            Some(Ok(path)) => environ.set_item(intern!(py, "SCRIPT_NAME"), path)?,
            Some(Err(Unclear)) => wrong = true,
            None => {}
        }
        Ok(wrong)
    }
}

/// What a `ProxyFix` around the app has made of the environ.
#[derive(Default)]
struct Fixed<'py>(Vec<(&'static str, Option<Bound<'py, PyAny>>)>);

impl<'py> Fixed<'py> {
    /// Puts back what the server said, and remembers what stood there.
    fn undo(environ: &Bound<'py, PyDict>, original: Option<&Bound<'py, PyDict>>) -> PyResult<Self> {
        let Some(original) = original else { return Ok(Self::default()) };
        let mut found = Vec::with_capacity(CHANGED.len());
        for name in CHANGED {
            found.push((name, environ.get_item(name)?));
            put(environ, name, original.get_item(name)?.filter(|value| !value.is_none()))?;
        }
        Ok(Self(found))
    }

    /// Gives back what it did where we read nothing ourselves.
    fn redo(self, environ: &Bound<'py, PyDict>, reads: &Reads) -> PyResult<()> {
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

    fn names_another(&self, peer: Party) -> bool {
        self.0.iter().any(|(name, value)| {
            let text = value.as_ref().and_then(|value| value.cast::<PyString>().ok());
            *name == "REMOTE_ADDR" && text.is_some_and(|text| party(&text.to_string_lossy()) != peer)
        })
    }
}

/// What one pass over an environ finds.
#[derive(Default)]
struct Seen<'py> {
    forwards: Vec<Field<'py>>,
    passes: Vec<Field<'py>>,
    /// Fields that no app shall see, whoever sent them.
    never: Vec<Field<'py>>,
    content: Vec<Field<'py>>,
    two_hosts: bool,
    odd_address: bool,
}

type Field<'py> = (Bound<'py, PyString>, Bound<'py, PyAny>);

impl<'py> Seen<'py> {
    fn of(environ: &Bound<'py, PyDict>) -> Self {
        let mut seen = Self::default();
        for (key, value) in environ.iter() {
            let Ok(key) = key.cast_into::<PyString>() else { continue };
            let Ok(name) = key.to_str() else { continue };
            let Some(name) = name.strip_prefix("HTTP_") else {
                if name == "REMOTE_ADDR" {
                    let text = value.cast::<PyString>().ok().and_then(|text| text.to_str().ok());
                    seen.odd_address = text.is_some_and(|text| text == "0.0.0.0" || text == "localhost");
                }
                continue;
            };
            match fields::role(name) {
                None => {}
                Some(Role::Host) => {
                    let text = value.cast::<PyString>().ok().and_then(|text| text.to_str().ok());
                    seen.two_hosts = text.is_none_or(|text| text.contains(','));
                }
                Some(Role::Forwards) => seen.forwards.push((key, value)),
                Some(Role::Passes) => seen.passes.push((key, value)),
                Some(Role::Content) => seen.content.push((key, value)),
                Some(Role::Path | Role::Proxy) => seen.never.push((key, value)),
            }
        }
        seen
    }

    fn is_quiet(&self) -> bool {
        !self.two_hosts
            && !self.odd_address
            && [&self.forwards, &self.passes, &self.never, &self.content]
                .iter()
                .all(|fields| fields.is_empty())
    }

    /// The field that says a thing once more, and otherwise.
    fn contradicts(&self, environ: &Bound<'py, PyDict>) -> PyResult<Option<String>> {
        if self.two_hosts {
            return Ok(Some("Host".to_owned()));
        }
        for (key, value) in &self.content {
            let name = key.to_str()?.trim_start_matches("HTTP_");
            if environ.get_item(name)?.is_none_or(|true_one| !true_one.eq(value).unwrap_or(false)) {
                return Ok(Some(shown(name)));
            }
        }
        Ok(None)
    }

    /// Whether the server took the path under which the app is served from a header field.
    fn script_taken(&self, environ: &Bound<'py, PyDict>) -> PyResult<Option<String>> {
        let py = environ.py();
        for (key, value) in &self.never {
            if key.to_str()? == "HTTP_SCRIPT_NAME" && environ.contains(intern!(py, "gunicorn.socket"))? {
                let taken = environ.get_item(intern!(py, "SCRIPT_NAME"))?;
                if taken.is_some_and(|taken| taken.eq(value).unwrap_or(true)) && !value.eq("")? {
                    return Ok(Some("Script_Name".to_owned()));
                }
            }
        }
        Ok(None)
    }

    fn value(&self, name: &str) -> Option<String> {
        let (_, value) = self
            .forwards
            .iter()
            .find(|(key, _)| key.to_str().is_ok_and(|key| key.strip_prefix("HTTP_") == Some(name)))?;
        // What is no text of bytes is malformed, and not absent.
        Some(
            value
                .cast::<PyString>()
                .map_or_else(|_| "?".to_owned(), |text| text.to_string_lossy().into_owned()),
        )
    }
}

/// In the environ: who is at the other end of the socket, empty for a Unix socket, once that was settled.
const SOCKET: &str = "flask_rampart.socket";

/// What `ProxyFix` changes, and keeps as it was.
const CHANGED: [&str; 6] =
    ["REMOTE_ADDR", "wsgi.url_scheme", "HTTP_HOST", "SERVER_NAME", "SERVER_PORT", "SCRIPT_NAME"];

fn listed(networks: &[String]) -> Result<Proxies, ConfigError> {
    let mut proxies = Proxies::new();
    for text in networks {
        if text == "unix" {
            proxies.add_unix();
            continue;
        }
        let (address, bits) = text.split_once('/').map_or((text.as_str(), None), |(a, bits)| (a, Some(bits)));
        let wrong = || ConfigError::new(format!("{text:?} is no network"));
        let address: std::net::IpAddr = address.parse().map_err(|_| wrong())?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(all), str::parse).map_err(|_| wrong())?;
        if !proxies.add(address, bits) {
            return Err(wrong());
        }
    }
    Ok(proxies)
}

/// Who a server says is at the other end. gunicorn and granian say nothing of a Unix socket; nginx's `uwsgi_params` say
/// `unix:`.
fn party(text: &str) -> Party {
    if text.is_empty() || text == "unix:" {
        return Party::Unix;
    }
    node::address(text).map_or(Party::Unknown, Party::Address)
}

/// A Unix socket, as uWSGI (`0.0.0.0`) and waitress (`localhost`, with the socket's path as port) call it, has no address.
fn unmask_unix(environ: &Bound<'_, PyDict>) -> PyResult<()> {
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
fn socket_scheme(environ: &Bound<'_, PyDict>) -> PyResult<()> {
    let py = environ.py();
    if text(environ, intern!(py, "wsgi.url_scheme"))?.as_deref() != Some("https") {
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
fn believed_by_anybody(environ: &Bound<'_, PyDict>) -> PyResult<()> {
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

/// Removes all that forwards, and tells of the first of it.
fn strip(environ: &Bound<'_, PyDict>, seen: &Seen<'_>) -> PyResult<Option<Told>> {
    remove(environ, &seen.forwards)?;
    remove(environ, &seen.passes)?;
    let field = match seen.forwards.first() {
        Some((key, _)) => Some(shown(key.to_str()?.trim_start_matches("HTTP_"))),
        // The rest of these names is the peer's own.
        None => seen.passes.first().map(|_| "X-Forwarded-*".to_owned()),
    };
    Ok(field.map(|field| ("unread", field)))
}

fn remove(environ: &Bound<'_, PyDict>, fields: &[Field<'_>]) -> PyResult<()> {
    for (key, _) in fields {
        environ.del_item(key)?;
    }
    Ok(())
}

fn put(environ: &Bound<'_, PyDict>, name: &str, value: Option<Bound<'_, PyAny>>) -> PyResult<()> {
    match value {
        Some(value) => environ.set_item(name, value),
        None if environ.contains(name)? => environ.del_item(name),
        None => Ok(()),
    }
}

fn text(environ: &Bound<'_, PyDict>, name: &Bound<'_, PyString>) -> PyResult<Option<String>> {
    let value = environ.get_item(name)?;
    Ok(value.and_then(|value| value.cast::<PyString>().ok().map(|text| text.to_string_lossy().into_owned())))
}

fn dict<'py>(
    environ: &Bound<'py, PyDict>,
    name: &Bound<'py, PyString>,
) -> PyResult<Option<Bound<'py, PyDict>>> {
    Ok(environ.get_item(name)?.and_then(|value| value.cast_into::<PyDict>().ok()))
}

/// A field's name as people write it. Only names that are known here come to this.
fn shown(name: &str) -> String {
    name.split('_')
        .map(|part| {
            part.get(..1).unwrap_or_default().to_owned()
                + &part.get(1..).unwrap_or_default().to_ascii_lowercase()
        })
        .collect::<Vec<_>>()
        .join("-")
}
