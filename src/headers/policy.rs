//! A policy computed once, and what it makes of one response's headers.

use std::borrow::Cow;
use std::fmt;

use super::caching::{self, Sharing};
use super::csp::{Csp, Setting, Template};
use super::names::{self, Meaning, NameTable};
use super::nonce::Nonce;
use super::profiles::{self, Profile};
use super::reporting::{self, Reporting};
use super::{fields, permissions};
use crate::error::ConfigError;

/// What an application changes of its profile.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Instead of the profile's policy; of the pages' policy where the profile is `mixed`.
    pub csp: Option<Vec<(String, Setting)>>,
    /// Beside the enforced policy, reported on only; of pages where the profile is `mixed`.
    pub csp_report_only: Option<Vec<(String, Setting)>>,
    /// Features of the browser that are another way than the profile has them: see [`permissions`].
    pub permissions: Option<Vec<(String, Option<Vec<String>>)>>,
    /// Where browsers report to.
    pub reporting: Option<Reporting>,
    /// Names on the removal list that may pass.
    pub keep: Vec<String>,
    /// Headers with another value, or with none: not sent.
    pub overrides: Vec<(String, Option<String>)>,
}

/// Which headers leave with a response. Immutable; share one per application.
pub struct HeaderPolicy {
    profile: Profile,
    table: NameTable,
    /// By kind and transport: see [`HeaderPolicy::chosen`].
    answers: [Answer; 6],
    /// Its index in the answers stands for the transport: plain, TLS.
    policies: [Option<Template>; 2],
    /// Who may keep what each of the answers says nothing else of.
    sharing: [Sharing; 6],
    /// Whether they say themselves that somebody may keep it.
    kept: [bool; 6],
}

/// What is added to one kind of response over one transport.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Constants, in the order in which they are sent.
    pub fixed: Vec<Line<String>>,
    /// Policies that need a nonce.
    pub nonced: Vec<Line<Template>>,
}

/// One header of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line<V> {
    /// Set in [`Seen::present`] where the application sent one of this name.
    pub bit: u64,
    /// As it is written on the wire.
    pub name: String,
    /// What follows the colon.
    pub value: V,
}

/// What was seen of an application's headers so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen {
    /// A bit for each header of the policy that the application set itself.
    pub present: u64,
    cache: Option<Sharing>,
    targeted: bool,
    other: bool,
    page: bool,
}

/// What becomes of one header of an application's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// On the removal list: it does not leave.
    Drop,
    /// It leaves as it is.
    Pass,
}

/// Why a response cannot leave. The application's fault; never holds the value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// A name that is not a token.
    Name,
    /// A value with a control character, or with one beyond Latin-1, of the header of this name.
    Value(String),
}

impl HeaderPolicy {
    /// The policy of this profile with these changes.
    ///
    /// # Errors
    /// [`ConfigError`] with what is wrong and the cure.
    pub fn new(profile: Profile, options: &Options) -> Result<Self, ConfigError> {
        let kept = names::kept(&options.keep)?;
        let mut api = Kind::of(profiles::api(), profiles::API_CSP)?;
        let mut html = Kind::of(profiles::html(), profiles::HTML_CSP)?;
        if let Some(directives) = &options.csp {
            let own = Csp::build(directives)?;
            // In a mixed application the policy is about its pages: data keeps `default-src 'none'`,
            // or a page's allowances would reach an answer that a browser was tricked into rendering.
            (if profile == Profile::Api { &mut api } else { &mut html }).set(CSP, Value::Csp(own));
        }
        if let Some(directives) = &options.csp_report_only {
            let own = reporting::report_only(directives, options.reporting.is_some())?;
            (if profile == Profile::Api { &mut api } else { &mut html }).set(REPORT_ONLY, Value::Csp(own));
        }
        if let Some(features) = &options.permissions {
            let own = permissions::build(profiles::PERMISSIONS, features)?;
            for kind in [&mut api, &mut html] {
                kind.set(PERMISSIONS, Value::Fixed(own.clone()));
            }
        }
        for (name, value) in checked(options, &kept)? {
            for kind in [&mut api, &mut html] {
                match &value {
                    Some(value) => kind.set(&name, value.clone()),
                    None => kind.0.retain(|(known, _)| !known.eq_ignore_ascii_case(&name)),
                }
            }
        }
        let silent = |(name, value): &(String, Option<String>)| {
            value.is_none() && name.eq_ignore_ascii_case(ENDPOINTS)
        };
        // Who wants no endpoints is taken at their word: a policy that names one that is not there reports nothing,
        // and no `report-uri` either.
        if let Some(reporting) = options.reporting.as_ref().filter(|_| !options.overrides.iter().any(silent))
        {
            api.report(reporting);
            html.report(reporting);
        }
        match profile {
            Profile::Api => html = api.clone(),
            Profile::Html => api = html.clone(),
            Profile::Mixed => {}
        }
        let common = Kind(api.0.iter().filter(|line| html.0.contains(line)).cloned().collect());
        let mut slots: Vec<String> = Vec::new();
        for (name, _) in api.0.iter().chain(&html.0) {
            let lower = name.to_ascii_lowercase();
            if !slots.contains(&lower) {
                slots.push(lower);
            }
        }
        if slots.len() > 64 {
            return Err(ConfigError::new("overrides: a policy has at most 64 headers"));
        }
        let answer = |kind: &Kind, tls, nonces| kind.answer(&slots, tls, nonces);
        let answers = [
            answer(&api, false, true),
            answer(&api, true, true),
            answer(&html, false, true),
            answer(&html, true, true),
            // The page was stored with the nonce of its first answer: a new one would lock its scripts out.
            answer(&common, false, false),
            answer(&common, true, false),
        ];
        let policies = [html.policy(false), html.policy(true)];
        let sharing = answers.each_ref().map(Answer::sharing);
        let table = NameTable::new(&kept, &slots);
        let kept = answers.each_ref().map(Answer::is_kept);
        Ok(Self { profile, table, answers, policies, sharing, kept })
    }

    /// The profile it started from.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Whether any response needs a nonce.
    pub fn uses_nonce(&self) -> bool {
        self.answers.iter().any(|answer| !answer.nonced.is_empty())
    }

    /// The Content-Security-Policy of this transport; of pages where the profile is `mixed`.
    pub fn csp(&self, tls: bool) -> Option<&Template> {
        self.policies[usize::from(tls)].as_ref()
    }

    /// All that may be added: an answer for each number that [`HeaderPolicy::chosen`] returns.
    pub fn answers(&self) -> &[Answer; 6] {
        &self.answers
    }

    /// Judges one header of the application's.
    ///
    /// # Errors
    /// [`Refusal`] where the response may not leave at all.
    #[inline]
    pub fn examine(&self, name: &str, value: &str, seen: &mut Seen) -> Result<Verdict, Refusal> {
        let meaning = self.table.meaning(name.as_bytes());
        if meaning == Meaning::Malformed {
            return Err(Refusal::Name);
        }
        if !fields::may_leave(value.as_bytes()) {
            return Err(Refusal::Value(name.to_owned()));
        }
        match meaning {
            Meaning::Dropped => return Ok(Verdict::Drop),
            Meaning::Cache(slot) => {
                seen.present |= slot.map_or(0, |slot| 1 << slot);
                // Several lines are one (RFC 9110 §5.3), and the strictest of its directives counts.
                let said = Sharing::of(value);
                seen.cache = Some(seen.cache.map_or(said, |before| before.min(said)));
            }
            Meaning::Ours(slot) => seen.present |= 1 << slot,
            Meaning::Targeted => seen.targeted = true,
            Meaning::ContentType if is_page(value) => seen.page = true,
            Meaning::ContentType => seen.other = true,
            Meaning::Theirs | Meaning::Malformed => {}
        }
        Ok(Verdict::Pass)
    }

    /// Which answer belongs to a response whose headers were all examined.
    ///
    /// A `304 Not Modified` updates a stored response (RFC 9111 §3.2) and says nothing of its kind:
    /// it gets only what pages and data have in common, and no nonce.
    #[inline]
    pub fn chosen(&self, seen: &Seen, tls: bool, not_modified: bool) -> usize {
        // Two contradicting types: the browser may take either, so the stricter policy is sent.
        let kind = match (not_modified, seen.page && !seen.other) {
            (true, _) => 4,
            (false, true) => 2,
            (false, false) => 0,
        };
        kind + usize::from(tls)
    }

    /// Who may keep a response whose headers were all examined, once the answer of this number is added.
    #[inline]
    pub fn sharing(&self, seen: &Seen, chosen: usize) -> Sharing {
        if seen.targeted {
            return Sharing::Shared;
        }
        seen.cache.unwrap_or_else(|| self.sharing.get(chosen).copied().unwrap_or_default())
    }

    /// Whether it is the policy, and not the response itself, that lets somebody keep it.
    #[inline]
    pub fn is_kept_by_policy(&self, seen: &Seen, chosen: usize) -> bool {
        seen.cache.is_none() && self.kept.get(chosen).copied().unwrap_or_default()
    }

    /// Whether a header of this name says who may keep the response: it goes where that is said anew.
    #[inline]
    pub fn is_of_caching(&self, name: &str) -> bool {
        matches!(self.table.meaning(name.as_bytes()), Meaning::Cache(_) | Meaning::Targeted)
    }

    /// The headers that leave instead of *headers*; *nonce* is asked for only if one is needed.
    ///
    /// # Errors
    /// [`Refusal`], or the error of *nonce*.
    pub fn apply<'a, E: From<Refusal>>(
        &'a self,
        headers: &[(&'a str, &'a str)],
        tls: bool,
        not_modified: bool,
        nonce: impl FnOnce() -> Result<Nonce<'a>, E>,
    ) -> Result<Vec<(&'a str, Cow<'a, str>)>, E> {
        let mut seen = Seen::default();
        let mut sent = Vec::with_capacity(headers.len() + 13);
        for (name, value) in headers {
            if self.examine(name, value, &mut seen)? == Verdict::Pass {
                sent.push((*name, Cow::Borrowed(*value)));
            }
        }
        let answer = &self.answers[self.chosen(&seen, tls, not_modified)];
        for line in answer.fixed.iter().filter(|line| seen.present & line.bit == 0) {
            sent.push((&line.name, Cow::Borrowed(&line.value)));
        }
        let mut nonced = answer.nonced.iter().filter(|line| seen.present & line.bit == 0).peekable();
        if nonced.peek().is_some() {
            let nonce = nonce()?;
            sent.extend(nonced.map(|line| (line.name.as_str(), Cow::Owned(line.value.render(&nonce)))));
        }
        Ok(sent)
    }
}

impl Answer {
    fn sharing(&self) -> Sharing {
        let own = self.fixed.iter().find(|line| line.name.eq_ignore_ascii_case(names::CACHE_CONTROL));
        own.map_or(Sharing::Shared, |line| Sharing::of(&line.value))
    }

    fn is_kept(&self) -> bool {
        let own = self.fixed.iter().find(|line| line.name.eq_ignore_ascii_case(names::CACHE_CONTROL));
        own.is_some_and(|line| caching::is_kept(&line.value))
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Value {
    Csp(Csp),
    Fixed(String),
    /// Sent over TLS alone.
    Tls(String),
}

/// The headers of one kind of response.
#[derive(Clone)]
struct Kind(Vec<(String, Value)>);

impl Kind {
    fn of(headers: Vec<(&str, &str)>, csp: &str) -> Result<Self, ConfigError> {
        let mut lines = Vec::with_capacity(headers.len() + 1);
        for (name, value) in headers {
            lines.push((name.to_owned(), Value::Fixed(value.to_owned())));
        }
        lines.push((CSP.to_owned(), Value::Csp(Csp::parse(csp)?)));
        Ok(Self(lines))
    }

    fn set(&mut self, name: &str, value: Value) {
        match self.0.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    fn report(&mut self, reporting: &Reporting) {
        for (name, value) in &mut self.0 {
            match value {
                Value::Csp(csp) => *csp = reporting.of_csp(csp),
                Value::Fixed(text) => {
                    if let Some(longer) = Reporting::of_field(name, text) {
                        *text = longer;
                    }
                }
                Value::Tls(_) => {}
            }
        }
        let own = self.0.iter().find(|(name, _)| name.eq_ignore_ascii_case(ENDPOINTS));
        let value = match own {
            Some((_, Value::Fixed(own))) => Value::Fixed(reporting.endpoints(Some(own))),
            _ => Value::Tls(reporting.endpoints(None)),
        };
        self.set(ENDPOINTS, value);
    }

    fn answer(&self, slots: &[String], tls: bool, nonces: bool) -> Answer {
        let mut answer = Answer::default();
        for (name, value) in &self.0 {
            // RFC 6797 §7.2: never over plain HTTP, where anyone could have written it.
            if !tls && name.eq_ignore_ascii_case("Strict-Transport-Security") {
                continue;
            }
            let bit =
                slots.iter().position(|slot| slot.eq_ignore_ascii_case(name)).map_or(0, |slot| 1 << slot);
            let name = name.clone();
            match value {
                Value::Tls(_) if !tls => {}
                Value::Fixed(value) | Value::Tls(value) => {
                    answer.fixed.push(Line { bit, name, value: value.clone() });
                }
                Value::Csp(csp) => match csp.template(tls) {
                    None => {}
                    Some(template) => match template.fixed() {
                        Some(value) => answer.fixed.push(Line { bit, name, value: value.to_owned() }),
                        None if nonces => answer.nonced.push(Line { bit, name, value: template.clone() }),
                        None => {}
                    },
                },
            }
        }
        answer
    }

    fn policy(&self, tls: bool) -> Option<Template> {
        match self.0.iter().find(|(name, _)| name.eq_ignore_ascii_case(CSP)) {
            Some((_, Value::Csp(csp))) => csp.template(tls).cloned(),
            _ => None,
        }
    }
}

/// The overrides, each checked, with policies read.
fn checked(options: &Options, kept: &[String]) -> Result<Vec<(String, Option<Value>)>, ConfigError> {
    let mut checked: Vec<(String, Option<Value>)> = Vec::new();
    for (name, value) in &options.overrides {
        let lower = names::overridden(name)?;
        if checked.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            return Err(ConfigError::new(format!("overrides: {name} stands twice (case does not count)")));
        }
        if names::is_removed(&lower) && (value.is_some() || kept.contains(&lower)) {
            return Err(ConfigError::new(format!(
                "overrides: {name} is on the removal list, for it tells what runs here. To let the view's pass, name it \
                 in keep, and not here"
            )));
        }
        if lower == "content-security-policy" && options.csp.is_some() {
            return Err(ConfigError::new(
                "give the Content-Security-Policy as csp or in overrides, not both",
            ));
        }
        if lower == "content-security-policy-report-only" && options.csp_report_only.is_some() {
            return Err(ConfigError::new(
                "give the report-only policy as csp_report_only or in overrides, not both",
            ));
        }
        if lower == "permissions-policy" && options.permissions.is_some() {
            return Err(ConfigError::new("give Permissions-Policy as permissions or in overrides, not both"));
        }
        let value = match value {
            None => None,
            Some(text) if lower.starts_with("content-security-policy") => Some(Value::Csp(Csp::parse(text)?)),
            Some(text) => {
                fields::check(name, &lower, text)?;
                Some(Value::Fixed(text.clone()))
            }
        };
        checked.push((name.clone(), value));
    }
    Ok(checked)
}

/// `text/html` and `application/xhtml+xml`, whatever their case and parameters.
#[inline]
fn is_page(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim_matches([' ', '\t']);
    essence.eq_ignore_ascii_case("text/html") || essence.eq_ignore_ascii_case("application/xhtml+xml")
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => f.write_str("a header's name is not a token (RFC 9110 §5.6.2)"),
            Self::Value(name) => write!(
                f,
                "the value of {name} has a control character or one beyond Latin-1 (RFC 9110 §5.5); the response was not sent"
            ),
        }
    }
}

impl std::error::Error for Refusal {}

const CSP: &str = "Content-Security-Policy";
const REPORT_ONLY: &str = "Content-Security-Policy-Report-Only";
const ENDPOINTS: &str = "Reporting-Endpoints";
const PERMISSIONS: &str = "Permissions-Policy";

#[cfg(test)]
mod tests;
