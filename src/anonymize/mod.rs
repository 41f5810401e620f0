//! Decides what stands in the place of a value, so that a table can be used and the people in it are harder to find.
//!
//! - `pseudonym.rs`: the same value, the same pseudonym, by HMAC under a key and a scope; not reversed.
//! - `token.rs`: a token that whoever has the key can turn back; authenticated.
//! - `ff1.rs`: a text of the same length and alphabet; turned back, not authenticated.
//! - `generalise/`: a coarser date, age, number, postcode, network or place.
//! - `suppress.rs`: nothing, or a constant.
//! - `plan.rs`: which of these a column has, and what becomes of those that have none; `column.rs`: what it does to a value.
//! - `records/`: whole records of JSON Lines and CSV, as they are written.
//! - `outline.rs`: what kind of values a rule makes.
//! - `measure.rs`: what is left to find: k-anonymity, l-diversity, t-closeness.
//!
//! A value that a rule cannot read is refused or becomes nothing, as the plan says, and is never passed on as it was.
//! Everything is linear in the value, and bounded.
//!
//! # What it does not do
//! It finds no personal data (the rule `redact` is given something that does). It adds no noise: there is no differential privacy
//! here. It does not make data anonymous by itself: that depends on what else is known, and on what the plan leaves.
//!
//! # What can break it in deployment
//! A key that is where the data are: then pseudonyms and tokens are a detour, not a protection. A plan whose default is `keep`, and
//! that a new column passes by. Pseudonyms of one scope in two publications, which can be joined.
//!
//! Sources: RFC 2104, RFC 5869, RFC 5297; NIST SP 800-38G with the draft of its revision 1; GDPR Art. 4(5) and recital 26; 45 CFR
//! 164.514; Sweeney 2002; Machanavajjhala et al. 2007; Li et al. 2007.

mod column;
mod decimal;
mod ff1;
mod generalise;
mod key;
mod measure;
mod outline;
mod path;
mod plan;
mod pseudonym;
mod reading;
mod records;
mod rules;
mod spelling;
mod suppress;
mod token;
mod value;

#[cfg(test)]
mod tests;

pub use column::{Column, Fate, Met, REDACTED};
pub use ff1::{Alphabet, Ff1, MAX_LENGTH, MIN_DOMAIN};
pub use generalise::{
    Ages, DateFormat, Dates, Grid, Networks, Numbers, Postcodes, Unit, ZIP3_SMALL_2000, named_date,
};
pub use key::{MAX_KEY, MIN_KEY, MasterKey};
pub use measure::{Diversity, Entry, Hashing, Measure, Privacy, TooMany};
pub use outline::Gives;
pub use path::{Step, shown_name, steps};
pub use plan::{Hands, Node, OnError, Plan, Scrub, SealerFor, Unnamed};
pub use pseudonym::{BASE32_BITS, EMAIL_BITS, Form, HEX_BITS, Pseudonymizer, collision_chance};
pub use records::{Counts, Cutter, Dialect, Fault, Lines, Measured, Refusal, Table, Tally, Treated, Watch};
pub use rules::RULES;
pub use spelling::Spelling;
pub use suppress::Suppress;
pub use token::{RawSiv, Sealer, Tokenizer};
pub use value::{Cell, Made, Refused, date};
