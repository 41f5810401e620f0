//! Which elements, attributes and schemes are left of HTML.
//!
//! The named ones:
//! - `none`: no element; what is left is text, escaped;
//! - `basic`: what a comment needs: emphasis, links, lists, quotations, code;
//! - `rich`: what an article needs: `basic` with headings, tables, definitions, figures, details, ruby.
//!
//! None has images: one that a stranger chose tells its host who reads the page, and carries off what a model was
//! made to write into its address (OWASP LLM10:2026). A policy of one's own may have them.
//!
//! A policy of one's own is built of what `tags.rs` lists. It cannot allow what is unsafe.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use ammonia::{Builder, UrlRelative};
use url::{ParseError, Url};

use super::tags::{ANYWHERE, ATTRIBUTES, BASIC, HEADINGS, OTHER, RICH, SCHEMES, TABLE};
use crate::error::ConfigError;

/// What is left of HTML. Built once, shared by all threads.
pub struct HtmlPolicy {
    pub(super) builder: Builder<'static>,
    pub(super) tags: HashSet<&'static str>,
    /// Attributes by element, and of every element under `*`.
    pub(super) attributes: HashMap<&'static str, HashSet<&'static str>>,
    name: Option<&'static str>,
}

impl HtmlPolicy {
    /// The policy of that name: `none`, `basic` or `rich`.
    ///
    /// # Errors
    /// For any other name.
    pub fn named(name: &str) -> Result<Self, ConfigError> {
        let (name, tags): (_, &[&[&str]]) = match name {
            "none" => ("none", &[]),
            "basic" => ("basic", &[BASIC]),
            "rich" => ("rich", &[BASIC, HEADINGS, RICH]),
            _ => {
                return Err(ConfigError::new(format!(
                    "{name:?} is not a policy. There are \"none\", \"basic\" and \"rich\", and HtmlPolicy(...)"
                )));
            }
        };
        let tags: HashSet<_> = tags.iter().flat_map(|tags| tags.iter().copied()).collect();
        let mut attributes: HashMap<_, HashSet<_>> = ATTRIBUTES
            .iter()
            .filter(|(tag, _)| tags.contains(tag))
            .map(|(tag, names)| (*tag, names.iter().copied().collect()))
            .collect();
        if !tags.is_empty() {
            attributes.insert("*", HashSet::from(["dir", "lang", "title"]));
        }
        Ok(Self::build(tags, attributes, HashSet::from(["http", "https", "mailto"]), false, Some(name)))
    }

    /// A policy of these elements, attributes (element and name; `*` is every element) and schemes. With *relative*,
    /// links within this site stay as well.
    ///
    /// # Errors
    /// For what is unsafe, unknown, or cannot have an effect.
    pub fn own(
        tags: &[String],
        attributes: &[(String, String)],
        schemes: &[String],
        relative: bool,
    ) -> Result<Self, ConfigError> {
        let mut allowed = tags.iter().map(|tag| element(tag)).collect::<Result<HashSet<_>, _>>()?;
        if TABLE.iter().any(|part| allowed.contains(part)) {
            allowed.extend(TABLE);
        }
        let mut named: HashMap<&'static str, HashSet<&'static str>> = HashMap::new();
        for (tag, name) in attributes {
            let (tag, name) = attribute(tag, name)?;
            if tag != "*" && !allowed.contains(tag) {
                return Err(ConfigError::new(format!("attributes: {tag:?} is not among the tags")));
            }
            named.entry(tag).or_default().insert(name);
        }
        let schemes = schemes.iter().map(|name| scheme(name)).collect::<Result<HashSet<_>, _>>()?;
        Ok(Self::build(allowed, named, schemes, relative, None))
    }

    /// What it is called; none if it is one's own.
    pub fn name(&self) -> Option<&'static str> {
        self.name
    }

    /// The elements that stay, in alphabetical order.
    pub fn tags(&self) -> Vec<&'static str> {
        let mut tags: Vec<_> = self.tags.iter().copied().collect();
        tags.sort_unstable();
        tags
    }

    fn build(
        tags: HashSet<&'static str>,
        attributes: HashMap<&'static str, HashSet<&'static str>>,
        schemes: HashSet<&'static str>,
        relative: bool,
        name: Option<&'static str>,
    ) -> Self {
        let mut builder = Builder::empty();
        let mut of_one = attributes.clone();
        let cited = schemes.clone();
        builder
            .generic_attributes(of_one.remove("*").unwrap_or_default())
            .tag_attributes(of_one)
            .tags(tags.clone())
            .url_schemes(schemes)
            .url_relative(if relative { UrlRelative::PassThrough } else { UrlRelative::Deny })
            .link_rel(Some("noopener noreferrer nofollow"))
            // `ammonia` takes `cite` for a text. No browser follows it, but scripts of pages make links of it.
            .attribute_filter(move |_, name, value| {
                (name != "cite" || is_cited(value, &cited, relative)).then_some(Cow::Borrowed(value))
            });
        Self { builder, tags, attributes, name }
    }
}

/// Whether an address may be given as a source, by the rules of links.
fn is_cited(value: &str, schemes: &HashSet<&'static str>, relative: bool) -> bool {
    match Url::parse(value) {
        Ok(url) => schemes.contains(url.scheme()),
        Err(ParseError::RelativeUrlWithoutBase) => relative,
        Err(_) => false,
    }
}

fn element(tag: &str) -> Result<&'static str, ConfigError> {
    let all = [BASIC, HEADINGS, RICH, OTHER];
    let mut known = all.iter().flat_map(|tags| tags.iter().copied());
    known.find(|known| *known == tag).ok_or_else(|| {
        ConfigError::new(format!(
            "tags: {tag:?} cannot be allowed: an element that runs, loads, submits or styles, or none at all. \
             Those that can are {}",
            all.concat().join(", ")
        ))
    })
}

fn attribute(tag: &str, name: &str) -> Result<(&'static str, &'static str), ConfigError> {
    if let Some(name) = ANYWHERE.iter().find(|known| **known == name) {
        return Ok((if tag == "*" { "*" } else { element(tag)? }, name));
    }
    let own = ATTRIBUTES.iter().find(|(known, _)| *known == tag);
    let found =
        own.and_then(|(tag, names)| names.iter().find(|known| **known == name).map(|name| (*tag, *name)));
    found.ok_or_else(|| {
        let own = own.map(|(_, names)| names.join(", ")).unwrap_or_default();
        ConfigError::new(format!(
            "attributes: {name:?} of {tag:?} cannot be allowed: one that runs, loads, styles or names what scripts find, \
             or none at all. Those that can are {}, {own}",
            ANYWHERE.join(", ")
        ))
    })
}

fn scheme(name: &str) -> Result<&'static str, ConfigError> {
    SCHEMES.iter().copied().find(|known| *known == name).ok_or_else(|| {
        ConfigError::new(format!(
            "schemes: {name:?} cannot be allowed. Those that can are {}",
            SCHEMES.join(", ")
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(tags: &[&str], attributes: &[(&str, &str)], schemes: &[&str]) -> Result<HtmlPolicy, ConfigError> {
        let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
        let attributes: Vec<_> =
            attributes.iter().map(|(tag, name)| (tag.to_string(), name.to_string())).collect();
        let schemes: Vec<String> = schemes.iter().map(ToString::to_string).collect();
        HtmlPolicy::own(&tags, &attributes, &schemes, false)
    }

    #[test]
    fn what_is_unsafe_cannot_be_allowed() {
        for tag in
            ["script", "style", "svg", "math", "iframe", "object", "form", "base", "SCRIPT", "*", "", "a b"]
        {
            assert!(own(&[tag], &[], &[]).is_err(), "{tag:?}");
        }
        for name in [
            "onclick",
            "style",
            "srcdoc",
            "id",
            "name",
            "srcset",
            "rel",
            "target",
            "formaction",
            "data-x",
            "HREF",
        ] {
            assert!(own(&["a"], &[("a", name)], &[]).is_err(), "{name:?}");
            assert!(own(&["a"], &[("*", name)], &[]).is_err(), "{name:?}");
        }
        for scheme in ["javascript", "data", "vbscript", "file", "blob", "*", "https:"] {
            assert!(own(&["a"], &[], &[scheme]).is_err(), "{scheme:?}");
        }
        assert!(own(&["p"], &[("a", "href")], &[]).is_err());
        assert!(own(&["p"], &[("*", "href")], &[]).is_err());
    }

    #[test]
    fn a_source_has_a_scheme_that_links_have() {
        let quoted = |policy: &HtmlPolicy, cite: &str| policy.clean(&format!("<q cite=\"{cite}\">x</q>"));
        let Ok(basic) = HtmlPolicy::named("basic") else { unreachable!("it is named") };
        assert_eq!(quoted(&basic, "https://a.example/"), "<q cite=\"https://a.example/\">x</q>");
        for cite in [
            "javascript:x",
            "java&Tab;script:x",
            "&#106;avascript:x",
            "data:,x",
            "/x",
            "//x",
            "",
            " vbscript:x",
        ] {
            assert_eq!(quoted(&basic, cite), "<q>x</q>", "{cite:?}");
        }
        let own = HtmlPolicy::own(&["q".into()], &[("q".into(), "cite".into())], &["https".into()], true);
        let Ok(own) = own else { unreachable!("it is listed") };
        assert_eq!(quoted(&own, "/x"), "<q cite=\"/x\">x</q>");
        assert_eq!(quoted(&own, "http://x"), "<q>x</q>");
        assert_eq!(quoted(&own, "javascript:x"), "<q>x</q>");
    }

    #[test]
    fn one_part_of_a_table_brings_the_others() {
        assert_eq!(own(&["td"], &[], &[]).map(|policy| policy.tags()), Ok(TABLE.to_vec()));
    }
}
