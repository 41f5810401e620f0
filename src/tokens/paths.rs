//! Where scopes and roles are found in the claims: a name, a dotted path, or a JSON Pointer.
//!
//! `"roles"` is a claim of that name. `"realm_access.roles"` is a claim of exactly that name, or else the
//! member `roles` of the claim `realm_access`; a claim whose name is an address with dots in it, such as
//! `"https://app.example.com/roles"`, is therefore found by writing it down. `"/resource_access/my.app/roles"`
//! is a JSON Pointer (RFC 6901), for members whose names contain dots.

use crate::error::ConfigError;

/// Most places that may be configured for scopes, and for roles.
const MAX_PATHS: usize = 16;

/// Claims that are read as what they are registered for (RFC 7519 §4.1, RFC 7800 §3.1, OpenID Connect Core §2).
const REGISTERED: [&str; 9] = ["aud", "auth_time", "cnf", "exp", "iat", "iss", "jti", "nbf", "sub"];

/// Where a list of names is found.
pub(super) struct ClaimPath {
    /// The claim of exactly this name, too. `None` for a pointer.
    whole: Option<Box<str>>,
    parts: Box<[Box<str>]>,
}

impl ClaimPath {
    /// Reads one path; *setting* is named in the error.
    fn parse(setting: &str, text: &str) -> Result<Self, ConfigError> {
        let (whole, parts): (_, Box<[Box<str>]>) = match text.strip_prefix('/') {
            Some(pointer) => {
                let unescape = |part: &str| part.replace("~1", "/").replace("~0", "~").into();
                (None, pointer.split('/').map(unescape).collect())
            }
            None => (Some(text.into()), text.split('.').map(Into::into).collect()),
        };
        let plain_name = whole.is_some() && parts.len() == 1;
        if text.is_empty() || text.len() > 256 || (plain_name && parts.iter().any(|part| part.is_empty())) {
            return Err(ConfigError::new(format!("{setting}: {text:?} is not the name or path of a claim")));
        }
        let first = parts.first().map(|part| &**part);
        if first.is_some_and(|name| REGISTERED.contains(&name)) {
            return Err(ConfigError::new(format!(
                "{setting}: {text:?} is a registered claim with a meaning of its own"
            )));
        }
        if parts.len() > 8 {
            return Err(ConfigError::new(format!("{setting}: {text:?} has more than 8 steps")));
        }
        Ok(Self { whole, parts })
    }

    /// Reads all paths of a setting.
    pub(super) fn parse_all(setting: &str, texts: &[String]) -> Result<Vec<Self>, ConfigError> {
        if texts.len() > MAX_PATHS {
            return Err(ConfigError::new(format!("{setting} has more than {MAX_PATHS} entries")));
        }
        texts.iter().map(|text| Self::parse(setting, text)).collect()
    }

    /// How the member *name*, found *level* steps below the claims, relates to this path.
    pub(super) fn step(&self, level: usize, name: &str) -> Step {
        if level == 0 && self.whole.as_deref() == Some(name) {
            return Step::Here;
        }
        match self.parts.get(level) {
            Some(part) if **part == *name && level + 1 == self.parts.len() => Step::Here,
            Some(part) if **part == *name => Step::Below,
            _ => Step::Elsewhere,
        }
    }
}

/// What a member is to a path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The path goes on inside it.
    Below,
    /// The path does not lead here.
    Elsewhere,
    /// The path ends here.
    Here,
}
