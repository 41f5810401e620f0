//! Where browsers report to: what that adds to the headers of a policy.
//!
//! 1. each Content-Security-Policy, enforced or report-only, gets `report-uri` with the address, and over
//!    TLS `report-to rampart` as well;
//! 2. the cross-origin opener and embedder policies get `report-to="rampart"`;
//! 3. over TLS, `Reporting-Endpoints` names the address, as `rampart` and as `default`: without the second,
//!    browsers report no deprecation, intervention, crash or violation of a permissions policy.
//!
//! A policy that names an endpoint of its own stays as it is written.
//!
//! Not over plain HTTP: the Reporting API delivers to TLS alone, and a browser that reads `report-to` reads no
//! `report-uri`, so both together would report nothing.
//!
//! A path is enough of an address: browsers resolve it against the page.
//!
//! Sources: Reporting API, W3C; Content Security Policy Level 3 §6.5, W3C.

use super::csp::{Csp, Setting};
use crate::error::ConfigError;

/// The endpoint's name in `Reporting-Endpoints`.
const NAME: &str = "rampart";

/// An address that takes reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reporting {
    url: String,
}

impl Reporting {
    /// Reports go to *url*: a path on this host, or an https URL.
    ///
    /// # Errors
    /// [`ConfigError`] for a character that would end a directive, a policy or a quoted string.
    pub fn new(url: &str) -> Result<Self, ConfigError> {
        let path = url.starts_with('/') && !url.starts_with("//");
        let clean = url.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\;,'<>#".contains(&byte));
        if !clean || !(path || url.starts_with("https://")) {
            return Err(ConfigError::new(format!(
                "reports: {url:?} is neither a path such as \"/reports\" nor an https URL without quotes, commas and \
                 semicolons"
            )));
        }
        Ok(Self { url: url.to_owned() })
    }

    /// The policy with its directives; as it is where it names an endpoint already.
    pub(super) fn of_csp(&self, csp: &Csp) -> Csp {
        if csp.reports() {
            return csp.clone();
        }
        let uri = format!("report-uri {}", self.url);
        csp.with(&uri, &format!("{uri}; report-to {NAME}"))
    }

    /// The value of a header that is no Content-Security-Policy; `None` where nothing is added.
    pub(super) fn of_field(name: &str, value: &str) -> Option<String> {
        let lower = name.to_ascii_lowercase();
        let isolates = lower.starts_with("cross-origin-opener-policy")
            || lower.starts_with("cross-origin-embedder-policy");
        (isolates && !value.contains(';')).then(|| format!("{value}; report-to=\"{NAME}\""))
    }

    /// The value of `Reporting-Endpoints`, after what the application wrote there.
    pub(super) fn endpoints(&self, own: Option<&str>) -> String {
        let mut names = vec![format!("{NAME}=\"{}\"", self.url)];
        let defines = |name: &str| {
            own.is_some_and(|own| own.split(',').any(|item| item.trim().starts_with(&format!("{name}="))))
        };
        if !defines("default") {
            names.push(format!("default=\"{}\"", self.url));
        }
        // The last of two members of one name counts (RFC 8941 §4.2.2): ours, which the policies name.
        own.map(str::to_owned).into_iter().chain(names).collect::<Vec<_>>().join(", ")
    }
}

/// A policy that is reported on and not enforced.
///
/// # Errors
/// [`ConfigError`] as of [`Csp::build`], and for what browsers ignore in such a policy.
pub(super) fn report_only(directives: &[(String, Setting)], reporting: bool) -> Result<Csp, ConfigError> {
    for (name, setting) in directives {
        let lower = name.to_ascii_lowercase().replace('_', "-");
        let sent = !matches!(setting, Setting::Absent | Setting::Flag(false));
        if sent && matches!(&*lower, "sandbox" | "upgrade-insecure-requests") {
            return Err(ConfigError::new(format!(
                "CSP: browsers ignore {lower} in a report-only policy. Leave it out, or enforce it"
            )));
        }
    }
    let csp = Csp::build(directives)?;
    if !reporting && !csp.reports() {
        return Err(ConfigError::new(
            "CSP: a report-only policy without an address for its reports tells nobody. Set RAMPART_REPORTS, or write \
             \"report-uri\"",
        ));
    }
    Ok(csp)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::headers::{HeaderPolicy, Nonce, Options, Profile, Refusal};

    fn sent(profile: Profile, options: Options, tls: bool, page: bool) -> Vec<(String, String)> {
        let policy = HeaderPolicy::new(profile, &options).unwrap();
        let kind = [("Content-Type", if page { "text/html" } else { "application/json" })];
        let nonce = || Ok::<_, Refusal>(Nonce::parse("0123456789abcdef012345").unwrap());
        let all = policy.apply(&kind, tls, false, nonce).unwrap();
        all.into_iter().map(|(name, value)| (name.to_owned(), value.into_owned())).collect()
    }

    fn of<'a>(sent: &'a [(String, String)], name: &str) -> Option<&'a str> {
        sent.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn options() -> Options {
        Options { reporting: Some(Reporting::new("/reports").unwrap()), ..Options::default() }
    }

    #[test]
    fn every_policy_names_the_endpoint_over_tls() {
        for profile in [Profile::Api, Profile::Html, Profile::Mixed] {
            for page in [true, false] {
                let sent = sent(profile, options(), true, page);
                let csp = of(&sent, "Content-Security-Policy").unwrap();
                assert!(csp.ends_with("; report-uri /reports; report-to rampart"), "{csp}");
                let opener = of(&sent, "Cross-Origin-Opener-Policy").unwrap();
                assert_eq!(opener, "same-origin; report-to=\"rampart\"");
                let endpoints = of(&sent, "Reporting-Endpoints").unwrap();
                assert_eq!(endpoints, "rampart=\"/reports\", default=\"/reports\"");
            }
        }
    }

    #[test]
    fn over_plain_http_nothing_hides_report_uri() {
        let sent = sent(Profile::Html, options(), false, true);
        assert!(of(&sent, "Content-Security-Policy").unwrap().ends_with("; report-uri /reports"));
        assert_eq!(of(&sent, "Reporting-Endpoints"), None);
    }

    #[test]
    fn what_names_an_endpoint_of_its_own_stays() {
        let mut options = options();
        options.csp = Some(vec![
            ("default-src".to_owned(), Setting::Text("'none'".to_owned())),
            ("report-to".to_owned(), Setting::Text("mine".to_owned())),
        ]);
        options.overrides = vec![
            ("Reporting-Endpoints".to_owned(), Some("mine=\"https://r.example/\"".to_owned())),
            ("Cross-Origin-Opener-Policy".to_owned(), Some("same-origin; report-to=\"mine\"".to_owned())),
        ];
        let sent = sent(Profile::Api, options, true, false);
        assert_eq!(of(&sent, "Content-Security-Policy"), Some("default-src 'none'; report-to mine"));
        assert_eq!(of(&sent, "Cross-Origin-Opener-Policy"), Some("same-origin; report-to=\"mine\""));
        let endpoints = of(&sent, "Reporting-Endpoints").unwrap();
        assert_eq!(endpoints, "mine=\"https://r.example/\", rampart=\"/reports\", default=\"/reports\"");
    }

    #[test]
    fn the_report_only_policy_has_the_nonce_of_the_enforced_one() {
        let mut options = options();
        let directives =
            vec![("script-src".to_owned(), Setting::Text("'nonce' 'strict-dynamic'".to_owned()))];
        options.csp_report_only = Some(directives);
        let sent = sent(Profile::Mixed, options.clone(), true, true);
        let found = of(&sent, "Content-Security-Policy-Report-Only").unwrap();
        assert!(found.starts_with("script-src 'nonce-0123456789abcdef012345' 'strict-dynamic'; report-uri"));
        assert!(of(&sent, "Content-Security-Policy").unwrap().contains("'nonce-0123456789abcdef012345'"));
        let data = self::sent(Profile::Mixed, options, true, false);
        assert_eq!(of(&data, "Content-Security-Policy-Report-Only"), None);
    }

    #[test]
    fn a_report_only_policy_that_tells_nobody_or_is_ignored_is_refused() {
        let directives = [("default-src".to_owned(), Setting::Text("'self'".to_owned()))];
        assert!(report_only(&directives, false).unwrap_err().to_string().contains("RAMPART_REPORTS"));
        assert!(report_only(&directives, true).is_ok());
        let ignored = [("sandbox".to_owned(), Setting::Flag(true))];
        assert!(report_only(&ignored, true).unwrap_err().to_string().contains("ignore sandbox"));
    }

    #[test]
    fn an_address_cannot_end_a_directive_or_a_string() {
        for wrong in [
            "",
            "reports",
            "//evil",
            "/a;b",
            "/a,b",
            "/a\"b",
            "/a b",
            "/a\\b",
            "http://x/",
            "/\u{e9}",
            "/a\n",
        ] {
            assert!(Reporting::new(wrong).is_err(), "{wrong:?}");
        }
        assert!(Reporting::new("https://reports.example.com/csp?k=1").is_ok());
    }
}
