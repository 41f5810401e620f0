//! Header names: which are tokens, which are dropped, which are ours; one look-up decides.

use super::caching::TARGETED;
use crate::error::ConfigError;
use crate::suggest::nearest;

/// Headers that name the software, its version or its internals, lower-cased and sorted: the removal
/// list of OWASP's Secure Headers Project of 2026-07-19.
pub const REMOVED: [&str; 87] = [
    "$wsep",
    "host-header",
    "k-proxy-request",
    "liferay-portal",
    "oraclecommercecloud-version",
    "pega-host",
    "powered-by",
    "product",
    "server",
    "sourcemap",
    "x-aspnet-version",
    "x-aspnetmvc-version",
    "x-atmosphere-error",
    "x-atmosphere-first-request",
    "x-atmosphere-tracking-id",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-spanid",
    "x-b3-traceid",
    "x-backside-transport",
    "x-beserver",
    "x-calculatedbetarget",
    "x-cf-powered-by",
    "x-cms",
    "x-cocoon-version",
    "x-content-encoded-by",
    "x-datadog-origin",
    "x-datadog-parent-id",
    "x-datadog-sampling-priority",
    "x-datadog-tags",
    "x-datadog-trace-id",
    "x-diaginfo",
    "x-dtagentid",
    "x-dthealthcheck",
    "x-dtinjectedservlet",
    "x-envoy-attempt-count",
    "x-envoy-external-address",
    "x-envoy-internal",
    "x-envoy-original-dst-host",
    "x-envoy-upstream-service-time",
    "x-feserver",
    "x-framework",
    "x-generated-by",
    "x-generator",
    "x-gitlab-meta",
    "x-jitsi-release",
    "x-joomla-version",
    "x-kong-admin-latency",
    "x-kong-client-latency",
    "x-kong-proxy-latency",
    "x-kong-request-id",
    "x-kong-response-latency",
    "x-kong-third-party-latency",
    "x-kong-total-latency",
    "x-kong-upstream-latency",
    "x-kong-upstream-status",
    "x-kubernetes-pf-flowschema-ui",
    "x-kubernetes-pf-prioritylevel-uid",
    "x-litespeed-cache",
    "x-litespeed-cache-control",
    "x-litespeed-purge",
    "x-litespeed-tag",
    "x-litespeed-vary",
    "x-mod-pagespeed",
    "x-nextjs-cache",
    "x-nextjs-matched-path",
    "x-nextjs-page",
    "x-nextjs-redirect",
    "x-old-content-length",
    "x-oneagent-js-injection",
    "x-owa-version",
    "x-page-speed",
    "x-php-version",
    "x-powered-by",
    "x-powered-by-plesk",
    "x-powered-cms",
    "x-redirect-by",
    "x-ruxit-js-agent",
    "x-server-powered-by",
    "x-sourcefiles",
    "x-sourcemap",
    "x-turbo-charged-by",
    "x-tyk-trace-id",
    "x-umbraco-version",
    "x-varnish-backend",
    "x-varnish-server",
    "x-woodpecker-version",
];

/// Headers that a browser or a crawler reads for security: what a misspelt override probably meant.
pub(super) const KNOWN: [&str; 24] = [
    "Cache-Control",
    "Clear-Site-Data",
    "Content-Security-Policy",
    "Content-Security-Policy-Report-Only",
    "Cross-Origin-Embedder-Policy",
    "Cross-Origin-Embedder-Policy-Report-Only",
    "Cross-Origin-Opener-Policy",
    "Cross-Origin-Opener-Policy-Report-Only",
    "Cross-Origin-Resource-Policy",
    "Document-Policy",
    "Feature-Policy",
    "NEL",
    "Origin-Agent-Cluster",
    "Permissions-Policy",
    "Referrer-Policy",
    "Report-To",
    "Reporting-Endpoints",
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "X-DNS-Prefetch-Control",
    "X-Download-Options",
    "X-Frame-Options",
    "X-Permitted-Cross-Domain-Policies",
    "X-XSS-Protection",
];

/// Headers that frame or describe one response, or that may stand in it more than once. A constant
/// `Content-Length` would desynchronise every connection; a constant `Set-Cookie` would fix sessions.
const NOT_POLICY: [&str; 27] = [
    "cdn-cache-control",
    "cloudflare-cdn-cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "date",
    "edge-control",
    "etag",
    "keep-alive",
    "last-modified",
    "location",
    "netlify-cdn-cache-control",
    "proxy-authenticate",
    "proxy-authorization",
    "set-cookie",
    "status",
    "surrogate-control",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "vary",
    "vercel-cdn-cache-control",
    "www-authenticate",
    "x-accel-expires",
];

pub(super) const CACHE_CONTROL: &str = "cache-control";

/// The longest name that a policy may hold. The longest of the lists has 41.
pub(super) const LONGEST: usize = 64;

/// What a name in an application's list means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It says who may keep the response; in the slot of this number if the policy has it too.
    Cache(Option<u8>),
    /// Nothing to this policy: it passes.
    Theirs,
    /// It chooses the profile.
    ContentType,
    /// On the removal list, and not kept.
    Dropped,
    /// The policy has this header too, in the slot of this number.
    Ours(u8),
    /// Not a token (RFC 9110 §5.6.2).
    Malformed,
    /// It says to one cache who may keep the response.
    Targeted,
}

/// All the names that mean something, in 256 buckets by length and two letters.
///
/// A cryptographic hash of each name would cost more than the rest of the decision. The names in
/// the table are the developer's, so a client cannot crowd a bucket.
pub(super) struct NameTable {
    entries: Box<[(Box<str>, Meaning)]>,
    starts: Box<[u16; 257]>,
}

impl NameTable {
    /// A table of the removal list without *kept*, and of *ours*: the lower-cased name of each slot.
    pub(super) fn new(kept: &[String], ours: &[String]) -> Self {
        let mut entries: Vec<(Box<str>, Meaning)> = vec![("content-type".into(), Meaning::ContentType)];
        for name in REMOVED.iter().filter(|name| !kept.iter().any(|k| k == *name)) {
            entries.push(((*name).into(), Meaning::Dropped));
        }
        let mut cache = None;
        for (slot, name) in (0_u8..).zip(ours) {
            if name == CACHE_CONTROL {
                cache = Some(slot);
            } else {
                entries.push((name.as_str().into(), Meaning::Ours(slot)));
            }
        }
        entries.push((CACHE_CONTROL.into(), Meaning::Cache(cache)));
        entries.extend(TARGETED.iter().map(|name| ((*name).into(), Meaning::Targeted)));
        entries.sort_by_key(|(name, _)| bucket(name.as_bytes()));
        let mut starts = Box::new([0_u16; 257]);
        for (i, start) in starts.iter_mut().enumerate() {
            *start = entries.partition_point(|(name, _)| usize::from(bucket(name.as_bytes())) < i) as u16;
        }
        Self { entries: entries.into(), starts }
    }

    /// What *name* means, whatever its case.
    #[inline]
    pub(super) fn meaning(&self, name: &[u8]) -> Meaning {
        let mut lower = [0_u8; LONGEST];
        let Some(lower) = lower.get_mut(..name.len()) else {
            return if name.iter().all(|b| TOKEN[usize::from(*b)] != 0) {
                Meaning::Theirs
            } else {
                Meaning::Malformed
            };
        };
        let mut token = !name.is_empty();
        for (to, from) in lower.iter_mut().zip(name) {
            *to = TOKEN[usize::from(*from)];
            token &= *to != 0;
        }
        if !token {
            return Meaning::Malformed;
        }
        let bucket = usize::from(bucket(lower));
        let (start, end) = (usize::from(self.starts[bucket]), usize::from(self.starts[bucket + 1]));
        for (entry, meaning) in self.entries.get(start..end).unwrap_or_default() {
            if entry.as_bytes() == lower {
                return *meaning;
            }
        }
        Meaning::Theirs
    }
}

/// Checks the names that an application asked to keep; returns them lower-cased.
pub(super) fn kept(keep: &[String]) -> Result<Vec<String>, ConfigError> {
    let mut kept = Vec::new();
    for name in keep {
        let lower = name.to_ascii_lowercase();
        if !REMOVED.contains(&lower.as_str()) {
            return Err(ConfigError::new(match nearest(&lower, REMOVED) {
                Some(meant) => format!("keep: no header {name:?} is removed. Did you mean {meant:?}?"),
                None => format!("keep: {name:?} is not on the removal list, so it passes without being kept"),
            }));
        }
        kept.push(lower);
    }
    Ok(kept)
}

/// Checks that a header of this name may be a constant of the application; returns it lower-cased.
pub(super) fn overridden(name: &str) -> Result<String, ConfigError> {
    let lower = name.to_ascii_lowercase();
    if name.is_empty() || name.len() > LONGEST || !name.bytes().all(|b| TOKEN[usize::from(b)] != 0) {
        return Err(ConfigError::new(format!(
            "overrides: {name:?} is not a header name: 1 to {LONGEST} letters, digits and - (RFC 9110 §5.6.2)"
        )));
    }
    if NOT_POLICY.contains(&lower.as_str()) {
        return Err(ConfigError::new(format!(
            "overrides: {name} belongs to one response and cannot be a constant of all; set it in the view"
        )));
    }
    let known = KNOWN.iter().any(|known| known.eq_ignore_ascii_case(&lower));
    if let (false, Some(meant)) = (known, nearest(&lower, KNOWN)) {
        return Err(ConfigError::new(format!(
            "overrides: {name} is not a known header. Did you mean {meant}?"
        )));
    }
    Ok(lower)
}

/// Whether *lower* is on the removal list.
pub(super) fn is_removed(lower: &str) -> bool {
    REMOVED.contains(&lower)
}

#[inline]
fn bucket(lower: &[u8]) -> u8 {
    let last = lower.last().copied().unwrap_or(0);
    let middle = lower.get(lower.len() / 2).copied().unwrap_or(0);
    (lower.len() as u8).wrapping_mul(63) ^ last.wrapping_mul(25) ^ middle.wrapping_mul(211)
}

/// The lower-cased byte of each that may stand in a token (RFC 9110 §5.6.2), 0 for the rest.
const TOKEN: [u8; 256] = {
    let mut table = [0_u8; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        let punctuation = matches!(
            b,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        );
        if b.is_ascii_alphanumeric() || punctuation {
            table[byte] = b.to_ascii_lowercase();
        }
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn every_name_of_the_removal_list_is_dropped_in_any_case() {
        let table = NameTable::new(&[], &[]);
        let mut sorted = REMOVED;
        sorted.sort_unstable();
        assert_eq!(sorted, REMOVED, "a list that is read by people stays sorted");
        for name in REMOVED {
            assert_eq!(name, name.to_ascii_lowercase());
            assert!(name.len() < LONGEST);
            for spelling in [name.to_owned(), name.to_ascii_uppercase()] {
                assert_eq!(table.meaning(spelling.as_bytes()), Meaning::Dropped, "{spelling}");
            }
            for other in [format!("{name}x"), format!("x{name}"), name[..name.len() - 1].to_owned()] {
                let meaning = table.meaning(other.as_bytes());
                assert!(meaning == Meaning::Theirs || is_removed(&other), "{other}");
            }
        }
    }

    #[test]
    fn a_name_must_be_a_token() {
        let table = NameTable::new(&[], &[]);
        let long = "x".repeat(LONGEST + 1);
        assert_eq!(table.meaning(long.as_bytes()), Meaning::Theirs);
        for bad in ["", "a b", "a:b", "a\r\nb", "a\0", "naïve", "X-A ", "\"a\"", "a/b", &format!("{long}\n")]
        {
            assert_eq!(table.meaning(bad.as_bytes()), Meaning::Malformed, "{bad:?}");
        }
    }

    #[test]
    fn no_bucket_is_crowded() {
        let ours: Vec<String> = KNOWN.iter().map(|name| name.to_ascii_lowercase()).collect();
        let table = NameTable::new(&[], &ours);
        let widest = table.starts.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!(widest <= 3, "{widest}");
        for (slot, name) in KNOWN.iter().enumerate() {
            let slot = slot as u8;
            let expected =
                if *name == "Cache-Control" { Meaning::Cache(Some(slot)) } else { Meaning::Ours(slot) };
            assert_eq!(table.meaning(name.as_bytes()), expected);
        }
    }

    #[test]
    fn a_kept_name_must_be_one_that_would_be_removed() {
        assert_eq!(kept(&["SERVER".to_owned()]).unwrap(), ["server"]);
        let message = kept(&["X-Powered-Bye".to_owned()]).unwrap_err().to_string();
        assert!(message.contains("Did you mean \"x-powered-by\"?"), "{message}");
        assert!(kept(&["X-Request-Id".to_owned()]).unwrap_err().to_string().contains("passes"));
    }
}
