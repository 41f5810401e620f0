//! Which names have secret values.
//!
//! A name is compared by its words: case, `-`, `_`, `.` and camel case make no difference, and a name
//! is secret when it *ends* in the words of a secret name. So `password` covers `DB_PASSWORD`,
//! `user.password` and `newPassword`, while `password_hint_shown` and `max_tokens` stay. Names that are
//! long enough to be unmistakable also count at the end of a single word (`dbpassword`).
//!
//! Names whose ending misleads (`next_page_token`) are in the same table, as harmless: the longest
//! entry decides.

use crate::error::ConfigError;

/// What kind of secret a name announces.
pub(super) type Entity = &'static str;

/// Bytes of a name that are looked at, counted from its end.
pub(super) const REACH: usize = 64;

/// At most this many names of the developer's own.
const MOST: usize = 1000;

/// How the end of a name is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Also inside a word: `password` in `dbpassword`.
    Anywhere,
    /// From the start of a word: `pin` in `user_pin`, but not in `mapping`.
    Word,
}

struct Name {
    /// Lower-case, words joined.
    text: Vec<u8>,
    at: At,
    /// None for a name that only looks secret.
    entity: Option<Entity>,
    /// The next name in the same bucket, plus one.
    next: u16,
}

/// The secret names, found by their last three letters.
pub(super) struct Names {
    names: Vec<Name>,
    /// By hash of the last three letters: a name's index plus one. Most names of a log line meet a zero here.
    heads: Box<[u16; BUCKETS]>,
}

impl Names {
    /// The built-in names and *extra* ones, which are labelled `SECRET`.
    pub(super) fn new(extra: &[&str]) -> Result<Self, ConfigError> {
        if extra.len() > MOST {
            return Err(ConfigError::new(format!("at most {MOST} names can be added, not {}", extra.len())));
        }
        let mut table = Self { names: Vec::new(), heads: Box::new([0; BUCKETS]) };
        for label in LABELS {
            table.heads[bucket(*label)] = LABEL;
        }
        for (at, entity, names) in SECRET {
            for name in names.split_ascii_whitespace() {
                table.add(name.as_bytes().to_vec(), *at, Some(entity));
            }
        }
        for name in HARMLESS.split_ascii_whitespace() {
            table.add(name.as_bytes().to_vec(), At::Word, None);
        }
        for name in extra {
            table.add(acceptable(name)?, At::Word, Some("SECRET"));
        }
        Ok(table)
    }

    fn add(&mut self, text: Vec<u8>, at: At, entity: Option<Entity>) {
        let head = &mut self.heads[bucket(last_three(&text))];
        self.names.push(Name { text, at, entity, next: *head });
        *head = self.names.len() as u16;
    }

    /// What the value of *name* is, if it is secret. Only the last [`REACH`] bytes are read.
    pub(super) fn entity(&self, name: &[u8]) -> Option<Entity> {
        let name = &name[name.len().saturating_sub(REACH)..];
        if !self.may_end(name) {
            return None;
        }
        let mut words = Words::of(name);
        if !words.text().is_ascii() {
            words = Words::lower(name);
        }
        let text = words.text();
        let mut best: Option<&Name> = None;
        let mut index = self.heads[bucket(last_three(text))];
        while let Some(candidate) = index.checked_sub(1).and_then(|i| self.names.get(usize::from(i))) {
            let longer = best.is_none_or(|best| best.text.len() < candidate.text.len());
            if longer && text.ends_with(&candidate.text) {
                let start = text.len() - candidate.text.len();
                if candidate.at == At::Anywhere || words.starts_at(start) {
                    best = Some(candidate);
                }
            }
            index = candidate.next;
        }
        best.and_then(|name| name.entity)
    }

    /// Every entity that a name can announce.
    pub(super) fn entities(&self) -> impl Iterator<Item = Entity> + '_ {
        self.names.iter().filter_map(|name| name.entity)
    }

    /// Whether a sign after *text* stands after no secret name, wherever the text may begin.
    ///
    /// It is the cheapest test, and refuses most signs of a log line: after a word with an end of its own, and after digits
    /// that follow one or stand alone. What it does not refuse is still to be tested: quotes, blanks, colours, escapes.
    #[inline]
    pub(super) fn is_none(&self, text: &[u8]) -> bool {
        let digits = text.iter().rev().take(8).take_while(|b| b.is_ascii_digit()).count();
        let Some([y, z, a, b, c]) = text[..text.len() - digits].last_chunk() else { return false };
        if !c.is_ascii_alphabetic() {
            // `00` in `09:00`. The digits of `%20` and `key_1` do not stand alone.
            return digits > 0 && matches!(c, b':' | b'/' | b' ' | b',' | b'=' | b'"' | b'(');
        }
        // The `m` after `32` may be a colour's.
        (digits > 0 || *c != b'm' || b.is_ascii_alphabetic())
            && a.is_ascii_alphanumeric()
            && b.is_ascii_alphanumeric()
            && *y != b'%'
            && *z != b'%'
            && self.heads[bucket([a | 0x20, b | 0x20, c | 0x20])] == 0
    }

    /// Whether *text* may end in a word that is no name, but labels a value that has its name beside it (`labels.rs`).
    #[inline]
    pub(super) fn may_label(&self, text: &[u8]) -> bool {
        let Some([y, z, last @ ..]) = text.last_chunk::<5>() else { return false };
        // The first letter may be the digit of an escape.
        *y != b'%' && *z != b'%' && self.heads[bucket(*last)] == LABEL
    }

    /// A cheap test that refuses nearly every text that does not end in a secret name.
    #[inline]
    pub(super) fn may_end(&self, text: &[u8]) -> bool {
        let mut last = [0u8; 3];
        let mut filled = 3;
        for (i, &byte) in text.iter().enumerate().rev() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => {
                    // The digits of `password2` count as little as its separators.
                    if filled == 3 && byte.is_ascii_digit() {
                        continue;
                    }
                    filled -= 1;
                    last[filled] = byte | 0x20;
                    if filled == 0 {
                        // Percent-encoding hides the letters; further left it changes nothing here.
                        let encoded = text[i.saturating_sub(2)..i].contains(&b'%');
                        return encoded || self.heads[bucket(last)] != 0;
                    }
                }
                b'%' | 0x80.. => return true,
                b'_' | b'-' | b'.' | b'$' => {}
                _ => return false,
            }
        }
        false
    }
}

/// A name in lower case without its separators, and where its words start.
struct Words {
    bytes: [u8; 2 * REACH],
    length: usize,
    starts: u128,
}

impl Words {
    fn of(name: &[u8]) -> Self {
        let mut words = Self { bytes: [0; 2 * REACH], length: 0, starts: 0 };
        let (mut at, mut fresh, mut low) = (0, true, false);
        while let Some(&raw) = name.get(at) {
            let (byte, length) = super::coding::percent_in(name, at).unwrap_or((raw, 1));
            at += length;
            if byte.is_ascii_alphanumeric() || byte >= 0x80 {
                if (fresh || (low && byte.is_ascii_uppercase())) && words.length < 128 {
                    words.starts |= 1 << words.length;
                }
                if let Some(place) = words.bytes.get_mut(words.length) {
                    *place = byte.to_ascii_lowercase();
                    words.length += 1;
                }
                low = !byte.is_ascii_uppercase();
                fresh = false;
            } else {
                fresh = true;
            }
        }
        // `password2` and `token_1` are as secret as the first.
        while words.length > 3 && words.bytes[words.length - 1].is_ascii_digit() {
            words.length -= 1;
        }
        words
    }

    /// Of a name that is not of ASCII alone, of which each character has a small letter of its own.
    fn lower(name: &[u8]) -> Self {
        let (mut bytes, mut length) = ([0; 4 * REACH], 0);
        let mut add = |c: char| {
            let mut encoded = [0; 4];
            for byte in c.encode_utf8(&mut encoded).bytes() {
                if let Some(place) = bytes.get_mut(length) {
                    *place = byte;
                    length += 1;
                }
            }
        };
        for chunk in name.utf8_chunks() {
            chunk.valid().chars().flat_map(char::to_lowercase).for_each(&mut add);
            if !chunk.invalid().is_empty() {
                add(char::REPLACEMENT_CHARACTER);
            }
        }
        Self::of(&bytes[..length])
    }

    fn text(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn starts_at(&self, index: usize) -> bool {
        index < 128 && self.starts >> index & 1 == 1
    }
}

fn acceptable(name: &str) -> Result<Vec<u8>, ConfigError> {
    let words = Words::lower(name.as_bytes());
    let text = words.text();
    let problem = if name.len() > REACH {
        "is longer than 64 bytes"
    } else if text.len() < 3 {
        "is shorter than three letters and would be found in too many words"
    } else if text.iter().all(u8::is_ascii_digit) {
        "has no letter"
    } else if name.contains(|c: char| c.is_whitespace() || c.is_control() || "=:\"'%&".contains(c)) {
        "contains a blank, a quote or a separator; give the name alone, such as 'license_key'"
    } else if b"redacted".ends_with(text) {
        "is what replaces a secret"
    } else {
        return Ok(text.to_vec());
    };
    Err(ConfigError::new(format!("the secret name {name:?} {problem}")))
}

const BUCKETS: usize = 4096;

/// How `value`, `name` and `content` end, and what stands in their buckets: no name has this number.
const LABELS: &[[u8; 3]] = &[*b"lue", *b"ame", *b"ent"];
const LABEL: u16 = u16::MAX;

fn last_three(text: &[u8]) -> [u8; 3] {
    text.last_chunk().copied().unwrap_or_default()
}

#[inline]
fn bucket(last: [u8; 3]) -> usize {
    // Not by `map`, which may be a call for each.
    let [a, b, c] = [usize::from(last[0]), usize::from(last[1]), usize::from(last[2])];
    (a.wrapping_mul(1031) ^ b.wrapping_mul(61) ^ c) % BUCKETS
}

/// Words joined, lower-case.
const SECRET: &[(At, Entity, &str)] = &[
    (At::Anywhere, "PASSWORD", "password passwd passphrase userpwd dbpwd kennwort passwort"),
    (
        At::Anywhere,
        "PASSWORD",
        "passwords passcode passcodes passphrases passwordconfirmation passwordconfirm",
    ),
    (
        At::Word,
        "PASSWORD",
        "pwd pwds pass passwds passwdconfirmation passwdconfirm pwdconfirm passphraseconfirmation dbpw bindpw rootpw adminpw userpw requirepass",
    ),
    (At::Anywhere, "SECRET", "secret secretkey signingkey encryptionkey masterkey"),
    (At::Anywhere, "SECRET", "secretkeys signingkeys encryptionkeys masterkeys secretkeyfallbacks hmackey"),
    (At::Word, "SECRET", "secretkeybase"),
    (
        At::Word,
        "SECRET",
        "credential credentials connectionstring secrets secretfallbacks signingkeyfallbacks",
    ),
    (At::Anywhere, "TOKEN", "token accesstoken refreshtoken idtoken authtoken bearertoken"),
    (
        At::Word,
        "TOKEN",
        "jwt jwts auth tokens amzsignature googsignature idtokenhint codeverifier authorizationcode",
    ),
    (At::Word, "TOKEN", "clientassertion samlresponse samlassertion"),
    (At::Anywhere, "API_KEY", "apikey accesskey authkey appkey applicationkey subscriptionkey"),
    (At::Anywhere, "API_KEY", "apikeys accesskeys authkeys appkeys subscriptionkeys"),
    (At::Anywhere, "AWS_SECRET_KEY", "secretaccesskey awssecretkey"),
    (At::Anywhere, "AWS_ACCESS_KEY", "awsaccesskeyid accesskeyid"),
    (At::Anywhere, "AZURE_KEY", "accountkey sharedaccesskey sharedaccesssignature"),
    (At::Word, "AZURE_KEY", "sig"),
    (At::Anywhere, "AUTHORIZATION", "authorization"),
    (At::Anywhere, "PRIVATE_KEY", "privatekey privatekeys sshkey deploykey"),
    (At::Word, "PRIVATE_KEY", "clientkeydata"),
    (At::Word, "SESSION", "session sessionid sessid phpsessid jsessionid sid sessionkey"),
    (At::Anywhere, "COOKIE", "setcookie"),
    (At::Word, "COOKIE", "cookie cookies"),
    (At::Word, "OTP", "otp totp otps onetimecode mfacode verificationcode securitycode recoverycode"),
    (At::Word, "OTP", "otpcode otpcodes totpcode recoverycodes backupcode backupcodes"),
    (At::Word, "PIN", "pin pincode"),
    (At::Word, "CVV", "cvv cvc csc cardcode"),
    (At::Word, "CREDIT_CARD", "cardnumber ccnumber creditcard"),
    (At::Word, "US_SSN", "ssn"),
];

/// Endings that mislead: cursors of paged lists, and the vocabulary of language models.
const HARMLESS: &str = "nexttoken pagetoken paginationtoken continuationtoken synctoken eostoken bostoken \
    padtoken unktoken septoken masktoken clstoken stoptoken pertoken lasttoken firsttoken maxtokens mintokens numtokens ntokens newtokens totaltokens \
    prompttokens completiontokens inputtokens outputtokens cachedtokens reasoningtokens thinkingtokens texttokens \
    audiotokens predictiontokens generatedtokens contexttokens remainingtokens usedtokens specialtokens stoptokens \
    eostokens padtokens cachecreationtokens cachereadtokens";

#[cfg(test)]
mod tests;
