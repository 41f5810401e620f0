//! Makes an environ true: who the peer is, and by which scheme, host and prefix the request came.
//!
//! Only a request that has a forwarding field, or comes where proxies are trusted, costs anything: of all others the pass
//! that `head` makes over the environ anyway tells that there is nothing to settle ([`is_quiet`]). What is believed,
//! `network` decides; what stands here is where WSGI and its servers keep it.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use self::seen::{Seen, remove, shown, strip};
use self::servers::{Fixed, believed_by_anybody, party, socket_scheme, unmask_unix};
use super::errors::guarded;
use crate::error::ConfigError;
use crate::network::fields::{self, Role, Unclear};
use crate::network::forwarded::{self, Element};
use crate::network::node;
use crate::network::walk::{End, MOST, Party, Proxies, Walk};

mod seen;
mod servers;

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
pub(super) type Told = (&'static str, String);

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
    pub(super) fn settle(&self, environ: &Bound<'_, PyDict>) -> PyResult<Option<Told>> {
        guarded(|| {
            let seen = Seen::of(environ);
            let py = environ.py();
            let mut malformed = seen.two_hosts.then(|| "Host".to_owned());
            remove(environ, &seen.never)?;
            let proxyfix = dict(environ, intern!(py, "werkzeug.proxy_fix.orig"))?;
            let told = match &self.proxies {
                // An app around this one has settled it, and what it left is of its own proxies.
                None if proxyfix.is_some() || environ.contains(intern!(py, SOCKET))? => None,
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
    /// Whether anybody but the socket is believed.
    pub(super) fn trusts(&self) -> bool {
        self.proxies.is_some()
    }

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

/// Whether an entry of an environ says nothing that would have to be settled.
#[inline]
pub(super) fn is_quiet(name: &str, value: &str) -> bool {
    match name.strip_prefix("HTTP_") {
        None => name != "REMOTE_ADDR" || !(value == "0.0.0.0" || value == "localhost"),
        Some(field) => match fields::role(field) {
            None => true,
            Some(Role::Host) => !value.contains(','),
            Some(_) => false,
        },
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

/// In the environ: who is at the other end of the socket, empty for a Unix socket, once that was settled.
const SOCKET: &str = "flask_rampart.socket";

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
