//! Reads the name of a file that is written twice, as .NET and Spring do: `filename="a.txt"; filename*=UTF-8''a.txt`.
//!
//! RFC 7578 section 4.2 forbids the second one, since of two names one reader takes this and the next one that. So both must be the same name,
//! and then it is all the same. Where it is beyond ASCII, these clients write the first one as words of RFC 2047 (`=?utf-8?B?...?=`), which must
//! hold the second one. `filename*` alone is refused: for some readers the part is no file then.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::urlencoded::decoded;

/// The name that both say; nothing if they are two.
pub(super) fn same(plain: &str, extended: &str) -> Option<String> {
    let (charset, rest) = extended.split_once('\'')?;
    let (language, text) = rest.split_once('\'')?;
    if !charset.eq_ignore_ascii_case("utf-8") || !language.is_empty() {
        return None;
    }
    let name = decoded(text.as_bytes(), false)?.into_owned();
    (plain == name || words(plain).as_deref() == Some(name.as_str())).then_some(name)
}

/// What words of RFC 2047 in UTF-8 hold, each of them whole characters.
fn words(text: &str) -> Option<String> {
    text.split(' ').map(word).collect()
}

fn word(word: &str) -> Option<String> {
    let inner = word.strip_prefix("=?")?.strip_suffix("?=")?;
    let (charset, rest) = inner.split_once('?')?;
    let (coding, text) = rest.split_once('?')?;
    if !charset.eq_ignore_ascii_case("utf-8") || text.contains('?') {
        return None;
    }
    if coding.eq_ignore_ascii_case("b") {
        String::from_utf8(STANDARD.decode(text).ok()?).ok()
    } else if coding.eq_ignore_ascii_case("q") {
        let percents = text.replace('%', "%25").replace('=', "%").replace('_', " ");
        Some(decoded(percents.as_bytes(), false)?.into_owned())
    } else {
        None
    }
}
