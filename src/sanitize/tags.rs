//! The elements and attributes that a policy may allow: none of them runs, loads a document, submits, or names what
//! scripts would find (DOM clobbering).
//!
//! What is on no list here cannot be allowed by any policy. Each name is in lower case; lists are in alphabetical order.

/// Elements of a sentence: what `basic` keeps.
pub(super) const BASIC: &[&str] = &[
    "a",
    "abbr",
    "b",
    "blockquote",
    "br",
    "cite",
    "code",
    "del",
    "em",
    "i",
    "ins",
    "kbd",
    "li",
    "mark",
    "ol",
    "p",
    "pre",
    "q",
    "s",
    "samp",
    "small",
    "strong",
    "sub",
    "sup",
    "u",
    "ul",
    "var",
];

/// Headings: `rich` has them too, and their start ends an open paragraph.
pub(super) const HEADINGS: &[&str] = &["h1", "h2", "h3", "h4", "h5", "h6"];

/// Elements of an article beside those: what `rich` adds.
pub(super) const RICH: &[&str] = &[
    "bdi",
    "caption",
    "col",
    "colgroup",
    "dd",
    "details",
    "dfn",
    "div",
    "dl",
    "dt",
    "figcaption",
    "figure",
    "hr",
    "rp",
    "rt",
    "ruby",
    "span",
    "summary",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "time",
    "tr",
    "wbr",
];

/// Elements that only a policy of one's own allows.
pub(super) const OTHER: &[&str] =
    &["address", "article", "aside", "bdo", "footer", "header", "img", "main", "nav", "section"];

/// A table is all of these or none: a cell outside of one would let its text out before it.
pub(super) const TABLE: &[&str] =
    &["caption", "col", "colgroup", "table", "tbody", "td", "tfoot", "th", "thead", "tr"];

/// Attributes of any element that a policy allows. `class` only in policies of one's own: a page's styles and
/// scripts may give a class a meaning.
pub(super) const ANYWHERE: &[&str] = &["class", "dir", "lang", "title"];

/// Attributes of one element.
pub(super) const ATTRIBUTES: &[(&str, &[&str])] = &[
    ("a", &["href", "hreflang"]),
    ("blockquote", &["cite"]),
    ("col", &["span"]),
    ("colgroup", &["span"]),
    ("del", &["cite", "datetime"]),
    ("details", &["open"]),
    ("img", &["alt", "height", "loading", "src", "width"]),
    ("ins", &["cite", "datetime"]),
    ("li", &["value"]),
    ("ol", &["reversed", "start", "type"]),
    ("q", &["cite"]),
    ("td", &["align", "colspan", "rowspan"]),
    ("th", &["abbr", "align", "colspan", "rowspan", "scope"]),
    ("time", &["datetime"]),
];

/// Schemes that a link may have. None of them runs in the page.
pub(super) const SCHEMES: &[&str] = &["http", "https", "mailto", "sms", "tel", "xmpp"];

/// Elements that go with all that is in them: what is in them is no text of the page, or is read by other rules.
pub(super) const HOLLOW: &[&str] = &[
    "iframe",
    "math",
    "noembed",
    "noframes",
    "noscript",
    "plaintext",
    "script",
    "style",
    "svg",
    "template",
    "textarea",
    "title",
    "xmp",
];

/// Elements without an end.
pub(super) const VOID: &[&str] = &["br", "col", "hr", "img", "wbr"];

/// Elements, beside headings, whose start ends an open paragraph (HTML §13.2.6.4.7).
pub(super) const BLOCKS: &[&str] = &[
    "address",
    "article",
    "aside",
    "blockquote",
    "dd",
    "details",
    "div",
    "dl",
    "dt",
    "figcaption",
    "figure",
    "footer",
    "header",
    "hr",
    "li",
    "main",
    "nav",
    "ol",
    "p",
    "pre",
    "section",
    "summary",
    "table",
    "ul",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted_and_nothing_that_runs_is_on_them() {
        for list in [BASIC, HEADINGS, RICH, OTHER, TABLE, ANYWHERE, SCHEMES, HOLLOW, VOID, BLOCKS] {
            assert!(list.is_sorted());
        }
        for tag in HOLLOW.iter().chain(&[
            "base", "embed", "form", "object", "video", "input", "button", "link", "meta", "body", "html",
            "dialog",
        ]) {
            assert!(![BASIC, HEADINGS, RICH, OTHER].concat().contains(tag), "{tag}");
        }
        let attributes = ATTRIBUTES.iter().flat_map(|(_, names)| *names).chain(ANYWHERE);
        for name in attributes {
            assert!(
                !name.starts_with("on")
                    && !["style", "srcdoc", "srcset", "id", "name", "action"].contains(name)
            );
        }
    }
}
