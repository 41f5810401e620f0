//! What sanitize offers, by the names that schemas use: `x-clean` and the formats that begin with `safe-`.
//!
//! Handed to validation here, so that neither room knows the other.

use std::borrow::Cow;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::error::ConfigError;
use crate::sanitize::{
    Form, HtmlPolicy, Names, Sites, TextRules, clean_text, csv_cell, safe_filename, safe_redirect,
};
use crate::validation::Cleaners;
use crate::validation::cleaners::Clean;

/// All that a schema may name.
pub(super) static CLEANERS: LazyLock<Cleaners> = LazyLock::new(|| {
    Cleaners::default()
        .with("cell", cell)
        .with("filename", filename)
        .with("html", html)
        .with("text", text)
        .with_format("safe-cell", |text| csv_cell(text) == text)
        .with_format("safe-filename", |text| {
            FILE.as_ref().is_some_and(|names| safe_filename(text, names) == text)
        })
        .with_format("safe-html", |text| BASIC.as_ref().is_some_and(|policy| policy.clean(text) == text))
        .with_format("safe-redirect", |text| {
            HERE.as_ref().is_some_and(|sites| safe_redirect(text, sites).is_some())
        })
        .with_format("safe-text", |text| clean_text(text, PLAIN) == text)
});

const PLAIN: TextRules = TextRules { form: Form::Nfc, lines: true, limit: None };
static FILE: LazyLock<Option<Names>> = LazyLock::new(|| Names::new("file", 255).ok());
static BASIC: LazyLock<Option<HtmlPolicy>> = LazyLock::new(|| HtmlPolicy::named("basic").ok());
static HERE: LazyLock<Option<Sites>> = LazyLock::new(|| Sites::new([]).ok());

fn cell(options: &Value) -> Result<Clean, ConfigError> {
    known(options, &[])?;
    Ok(clean(csv_cell))
}

fn filename(options: &Value) -> Result<Clean, ConfigError> {
    let options = known(options, &["fallback", "limit"])?;
    let fallback = match options.get("fallback") {
        None => "file",
        Some(fallback) => fallback.as_str().ok_or_else(|| ConfigError::new("fallback is a name"))?,
    };
    let names = Names::new(fallback, count(&options, "limit")?.unwrap_or(255))?;
    Ok(clean(move |text| Cow::Owned(safe_filename(text, &names))))
}

fn html(options: &Value) -> Result<Clean, ConfigError> {
    let options = known(options, &["policy"])?;
    let name = match options.get("policy") {
        None => "basic",
        Some(policy) => policy.as_str().ok_or_else(|| {
            ConfigError::new(
                "policy is \"none\", \"basic\" or \"rich\"; one of your own is for clean_html() in the view",
            )
        })?,
    };
    let policy = HtmlPolicy::named(name)?;
    Ok(clean(move |text| Cow::Owned(policy.clean(text))))
}

fn text(options: &Value) -> Result<Clean, ConfigError> {
    let options = known(options, &["form", "lines", "limit"])?;
    let form = match options.get("form").map(|form| form.as_str().unwrap_or_default()) {
        None | Some("NFC") => Form::Nfc,
        Some("NFKC") => Form::Nfkc,
        Some(_) => return Err(ConfigError::new("form is \"NFC\" or \"NFKC\"")),
    };
    let lines = match options.get("lines") {
        None => true,
        Some(lines) => lines.as_bool().ok_or_else(|| ConfigError::new("lines is true or false"))?,
    };
    let rules = TextRules { form, lines, limit: count(&options, "limit")? };
    Ok(clean(move |text| clean_text(text, rules)))
}

fn clean(with: impl for<'t> Fn(&'t str) -> Cow<'t, str> + Send + Sync + 'static) -> Clean {
    std::sync::Arc::new(move |text| {
        let cleaned = with(text);
        (cleaned != text).then(|| cleaned.into_owned())
    })
}

/// Options, if all of them are known.
fn known(options: &Value, names: &[&str]) -> Result<Map<String, Value>, ConfigError> {
    let map = match options {
        Value::Null => Map::new(),
        Value::Object(map) => map.clone(),
        _ => return Err(ConfigError::new("its options are an object")),
    };
    match map.keys().find(|name| !names.contains(&name.as_str())) {
        Some(name) if names.is_empty() => {
            Err(ConfigError::new(format!("{name:?} is no option; it has none")))
        }
        Some(name) => {
            Err(ConfigError::new(format!("{name:?} is no option; there are \"{}\"", names.join("\", \""))))
        }
        None => Ok(map),
    }
}

fn count(options: &Map<String, Value>, name: &str) -> Result<Option<usize>, ConfigError> {
    let Some(said) = options.get(name) else { return Ok(None) };
    let count = said.as_u64().and_then(|count| usize::try_from(count).ok());
    count.map(Some).ok_or_else(|| ConfigError::new(format!("{name} is a whole number, 0 or more")))
}
