//! Measures how far the people of a table can be told apart: k-anonymity, l-diversity, t-closeness.
//!
//! Rows with the same values of all quasi-identifiers are one class. Then
//! - **k** is the size of the smallest class (Samarati and Sweeney 1998): whoever knows somebody's quasi-identifiers finds k rows;
//! - **l** of a sensitive column is the least number of its values in a class, and its *entropy* form the least exp(H) with H the
//!   entropy of its values in a class (Machanavajjhala et al. 2007): what is left to guess when the class is known;
//! - **t** is the largest distance between a sensitive column's distribution in a class and in the table, from 0 to 1 (Li et al.
//!   2007), each two different values being equally far apart: half the sum of the differences.
//!
//! One pass over the rows. The counts are exact, and memory is bounded: classes, values and pairs of them together are at most
//! `max_entries`, each of some 50 bytes; a table with more is refused, not estimated, since an estimate of a minimum is
//! worth nothing. Rows are not kept: what is kept of a class or a value is a keyed hash of 128 bits (SipHash-2-4), whose key is passed
//! in; two classes are taken for one with a chance below 2^-80 for a million of them.
//!
//! An integer and a float of the same value are one; a text is never a number; nothing is a value like any other.
//!
//! # What it does not do
//! It does not say which columns are quasi-identifiers. It knows nothing of what else is known about these people: k-anonymity
//! holds against those who know the quasi-identifiers alone, and neither l nor t is a bound on everything that can be learned. No
//! differential privacy is here.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use siphasher::sip128::{Hasher128, SipHasher24};

use super::value::Cell;
use crate::error::ConfigError;

/// Counts the rows of a table by class.
pub struct Measure {
    hashing: Hashing,
    sensitive: usize,
    max_entries: usize,
    rows: u64,
    classes: Hashed,
    sizes: Vec<u64>,
    values: Hashed,
    /// Of each value: its column, and how many rows have it.
    seen: Vec<(usize, u64)>,
    /// Class and value, and in how many rows they meet.
    pairs: foldhash::HashMap<(usize, usize), u64>,
    full: bool,
}

/// Rows that have something in common, as it is written down to be counted on elsewhere. Hashes are under the measure's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The class that they are in.
    pub class: u128,
    /// A sensitive column, and the value of it that they have; `None` for all rows of the class.
    pub value: Option<(usize, u128)>,
    /// How many they are.
    pub rows: u64,
}

/// Numbers by hashes of a secret key, which need not be hashed once more: nobody can choose them.
type Hashed = HashMap<u128, usize, BuildHasherDefault<Taken>>;

/// Takes the last bits of a hash for its own.
#[derive(Default)]
struct Taken(u64);

impl Hasher for Taken {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Not asked by keys of 128 bits.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, hash: u128) {
        let [_, _, _, _, _, _, _, _, last @ ..] = hash.to_le_bytes();
        self.0 = u64::from_le_bytes(last);
    }
}

/// Makes hashes of rows: of the class, and of each sensitive value.
#[derive(Clone, Copy)]
pub struct Hashing {
    key: [u8; 16],
    quasi: usize,
    sensitive: usize,
}

impl Hashing {
    /// Appends those of a row. What is missing of it is nothing.
    pub fn row(&self, quasi: &[Cell<'_>], sensitive: &[Cell<'_>], out: &mut Vec<u128>) {
        out.push(self.class_of(quasi));
        for column in 0..self.sensitive {
            let cell = sensitive.get(column).copied().unwrap_or(Cell::Null);
            let mut hasher = SipHasher24::new_with_key(&self.key);
            hasher.write(b"value");
            hasher.write(&(column as u64).to_le_bytes());
            hash(&mut hasher, cell);
            out.push(hasher.finish128().as_u128());
        }
    }

    fn class_of(&self, quasi: &[Cell<'_>]) -> u128 {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write(b"class");
        for column in 0..self.quasi {
            hash(&mut hasher, quasi.get(column).copied().unwrap_or(Cell::Null));
        }
        hasher.finish128().as_u128()
    }
}

/// The table has more classes and values than were allowed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany;

/// What was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Privacy {
    /// Rows of the table.
    pub rows: u64,
    /// Classes.
    pub classes: u64,
    /// The size of the smallest class; 0 for a table without rows.
    pub k: u64,
    /// How many classes have each size, in rising order.
    pub sizes: Vec<(u64, u64)>,
    /// Of each sensitive column, in their order.
    pub sensitive: Vec<Diversity>,
}

/// How much is open of one sensitive column.
#[derive(Debug, Clone, PartialEq)]
pub struct Diversity {
    /// Different values in the table.
    pub values: u64,
    /// Least number of different values in a class.
    pub distinct: u64,
    /// Least exp(entropy) of a class, 1 to `distinct` or more of another class.
    pub entropy: f64,
    /// Largest distance of a class from the table, 0 to 1.
    pub closeness: f64,
}

impl Privacy {
    /// How many rows are in classes of fewer than *k*.
    pub fn rows_below(&self, k: u64) -> u64 {
        self.sizes.iter().take_while(|(size, _)| *size < k).map(|(size, classes)| size * classes).sum()
    }
}

impl Measure {
    /// Counts rows of so many quasi-identifiers and sensitive values, with a random *key*.
    ///
    /// # Errors
    /// Without a quasi-identifier, or if nothing may be counted.
    pub fn new(
        key: [u8; 16],
        quasi: usize,
        sensitive: usize,
        max_entries: usize,
    ) -> Result<Self, ConfigError> {
        if quasi == 0 {
            return Err(ConfigError::new(
                "quasi_identifiers: at least one, by which people may be told apart",
            ));
        }
        if max_entries == 0 {
            return Err(ConfigError::new("max_entries is at least 1"));
        }
        Ok(Self {
            hashing: Hashing { key, quasi, sensitive },
            sensitive,
            max_entries,
            rows: 0,
            classes: Hashed::default(),
            sizes: Vec::new(),
            values: Hashed::default(),
            seen: Vec::new(),
            pairs: foldhash::HashMap::default(),
            full: false,
        })
    }

    /// Counts a row. What is missing of it is nothing.
    ///
    /// # Errors
    /// [`TooMany`], once there are more entries than allowed; from then on the measure is void.
    pub fn add(&mut self, quasi: &[Cell<'_>], sensitive: &[Cell<'_>]) -> Result<(), TooMany> {
        self.add_times(quasi, sensitive, 1)
    }

    /// Counts so many rows that are alike in all of this.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn add_times(
        &mut self,
        quasi: &[Cell<'_>],
        sensitive: &[Cell<'_>],
        rows: u64,
    ) -> Result<(), TooMany> {
        if rows == 0 {
            return Ok(());
        }
        let mut hashes = Vec::with_capacity(self.sensitive + 1);
        self.hashing.row(quasi, sensitive, &mut hashes);
        self.add_row(&hashes, rows)
    }

    /// What hashes rows as this does, in other threads.
    pub fn hashing(&self) -> Hashing {
        self.hashing
    }

    /// Counts rows that were hashed already, one behind the other.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn add_hashed(&mut self, rows: &[u128]) -> Result<(), TooMany> {
        rows.chunks_exact(self.sensitive + 1).try_for_each(|row| self.add_row(row, 1))
    }

    fn add_row(&mut self, hashes: &[u128], rows: u64) -> Result<(), TooMany> {
        let Some((class, values)) = hashes.split_first() else { return Ok(()) };
        let class = self.class(*class, rows)?;
        for (column, value) in values.iter().enumerate() {
            let value = self.value(*value, column, rows)?;
            self.pair(class, value, rows)?;
        }
        self.rows = self.rows.saturating_add(rows);
        Ok(())
    }

    /// What was counted, piece by piece: each class before what is in it, in an order that says nothing.
    ///
    /// # Errors
    /// [`TooMany`], if it was raised before.
    pub fn entries(&self) -> Result<Vec<Entry>, TooMany> {
        if self.full {
            return Err(TooMany);
        }
        let mut classes = vec![0; self.sizes.len()];
        for (hash, at) in &self.classes {
            classes[*at] = *hash;
        }
        let mut values = vec![0; self.seen.len()];
        for (hash, at) in &self.values {
            values[*at] = *hash;
        }
        let mut entries = Vec::with_capacity(self.sizes.len() + self.pairs.len());
        entries.extend(classes.iter().zip(&self.sizes).map(|(class, rows)| Entry {
            class: *class,
            value: None,
            rows: *rows,
        }));
        entries.extend(self.pairs.iter().map(|((class, value), rows)| Entry {
            class: classes[*class],
            value: Some((self.seen[*value].0, values[*value])),
            rows: *rows,
        }));
        // By hash, which is keyed: the order in which rows came, or that of a table of this process, would say something.
        entries.sort_unstable_by_key(|entry| (entry.value.is_some(), entry.class, entry.value));
        Ok(entries)
    }

    /// Counts on from what another wrote down, with the same key.
    ///
    /// # Errors
    /// `Err(Some(…))` for a value of a class that was not there, of a column that is not here; `Err(None)` for too many.
    pub fn add_entry(&mut self, entry: Entry) -> Result<(), Option<ConfigError>> {
        let Some((column, value)) = entry.value else {
            self.class(entry.class, entry.rows).map_err(|_| None)?;
            self.rows = self.rows.saturating_add(entry.rows);
            return Ok(());
        };
        let class = self.classes.get(&entry.class).copied();
        let Some(class) = class.filter(|_| column < self.sensitive) else {
            return Err(Some(ConfigError::new("these are not the counts of one table by these columns")));
        };
        let value = self.value(value, column, entry.rows).map_err(|_| None)?;
        self.pair(class, value, entry.rows).map_err(|_| None)
    }

    /// Adds what another counted, of other rows of the same table.
    ///
    /// # Errors
    /// `Err(Some(…))` if the other has another key or other columns, `Err(None)` for too many entries.
    pub fn merge(&mut self, other: &Self) -> Result<(), Option<ConfigError>> {
        let ways = |measure: &Self| (measure.hashing.key, measure.hashing.quasi, measure.sensitive);
        if ways(self) != ways(other) {
            return Err(Some(ConfigError::new("these were counted with another key, or by other columns")));
        }
        if other.full {
            self.full = true;
            return Err(None);
        }
        let mut classes = vec![0; other.sizes.len()];
        for (hash, at) in &other.classes {
            classes[*at] = self.class(*hash, other.sizes[*at]).map_err(|_| None)?;
        }
        let mut values = vec![0; other.seen.len()];
        for (hash, at) in &other.values {
            let (column, count) = other.seen[*at];
            values[*at] = self.value(*hash, column, count).map_err(|_| None)?;
        }
        for ((class, value), count) in &other.pairs {
            self.pair(classes[*class], values[*value], *count).map_err(|_| None)?;
        }
        self.rows += other.rows;
        Ok(())
    }

    /// How many rows so far are in the class of these values.
    pub fn class_size(&self, quasi: &[Cell<'_>]) -> u64 {
        self.classes
            .get(&self.hashing.class_of(quasi))
            .and_then(|at| self.sizes.get(*at))
            .copied()
            .unwrap_or(0)
    }

    /// What was measured.
    ///
    /// # Errors
    /// [`TooMany`], if it was raised before.
    pub fn privacy(&self) -> Result<Privacy, TooMany> {
        if self.full {
            return Err(TooMany);
        }
        let mut sizes = BTreeMap::new();
        for size in &self.sizes {
            *sizes.entry(*size).or_insert(0u64) += 1;
        }
        Ok(Privacy {
            rows: self.rows,
            classes: self.sizes.len() as u64,
            k: sizes.keys().next().copied().unwrap_or(0),
            sizes: sizes.into_iter().collect(),
            sensitive: self.diversities(),
        })
    }

    #[allow(
        clippy::cast_precision_loss,
        reason = "shares of rows: beyond 2^53 of them their last digits say nothing"
    )]
    fn diversities(&self) -> Vec<Diversity> {
        let classes = self.sizes.len();
        let mut found = Vec::with_capacity(self.sensitive);
        let mut sorted: Vec<_> =
            self.pairs.iter().map(|((class, value), count)| (*class, *value, *count)).collect();
        // Sums of floats depend on their order: the same table must measure the same each time.
        sorted.sort_unstable_by_key(|(class, value, count)| (*class, *count, self.seen[*value].1, *value));
        for column in 0..self.sensitive {
            let mut distinct = vec![0u64; classes];
            let mut entropy = vec![0f64; classes];
            // Half the sum of |p - q| over all values: those that the class has not add their q, and all q are 1.
            let mut distance = vec![1f64; classes];
            for (class, value, count) in
                sorted.iter().copied().filter(|(_, value, _)| self.seen[*value].0 == column)
            {
                let share = count as f64 / self.sizes[class] as f64;
                let overall = self.seen[value].1 as f64 / self.rows as f64;
                distinct[class] += 1;
                entropy[class] -= share * share.ln();
                distance[class] += (share - overall).abs() - overall;
            }
            let least = entropy.iter().copied().fold(f64::INFINITY, f64::min);
            let most = distance.iter().copied().fold(0f64, f64::max);
            found.push(Diversity {
                values: self.seen.iter().filter(|(of, _)| *of == column).count() as u64,
                distinct: distinct.iter().copied().min().unwrap_or(0),
                entropy: if least.is_finite() { least.exp() } else { 0.0 },
                closeness: (most / 2.0).clamp(0.0, 1.0),
            });
        }
        found
    }

    fn class(&mut self, hash: u128, rows: u64) -> Result<usize, TooMany> {
        if let Some(at) = self.classes.get(&hash) {
            self.sizes[*at] = self.sizes[*at].saturating_add(rows);
            return Ok(*at);
        }
        self.room()?;
        let at = self.sizes.len();
        self.classes.insert(hash, at);
        self.sizes.push(rows);
        Ok(at)
    }

    fn value(&mut self, hash: u128, column: usize, rows: u64) -> Result<usize, TooMany> {
        if let Some(at) = self.values.get(&hash) {
            self.seen[*at].1 = self.seen[*at].1.saturating_add(rows);
            return Ok(*at);
        }
        self.room()?;
        let at = self.seen.len();
        self.values.insert(hash, at);
        self.seen.push((column, rows));
        Ok(at)
    }

    fn pair(&mut self, class: usize, value: usize, rows: u64) -> Result<(), TooMany> {
        if let Some(count) = self.pairs.get_mut(&(class, value)) {
            *count = count.saturating_add(rows);
            return Ok(());
        }
        self.room()?;
        self.pairs.insert((class, value), rows);
        Ok(())
    }

    fn room(&mut self) -> Result<(), TooMany> {
        if self.full || self.sizes.len() + self.seen.len() + self.pairs.len() >= self.max_entries {
            self.full = true;
            return Err(TooMany);
        }
        Ok(())
    }
}

/// Every value with its kind, and a text with its length: no two rows are written alike.
fn hash(hasher: &mut SipHasher24, cell: Cell<'_>) {
    match cell {
        Cell::Null => hasher.write(b"0"),
        Cell::Bool(truth) => hasher.write(if truth { b"1" } else { b"2" }),
        Cell::Int(number) => {
            hasher.write(b"i");
            hasher.write(&number.to_le_bytes());
        }
        Cell::Float(number) => match whole(number) {
            Some(number) => hash(hasher, Cell::Int(number)),
            None => {
                hasher.write(b"f");
                // One bit pattern for all that is no number.
                let number = if number.is_nan() { f64::NAN } else { number };
                hasher.write(&number.to_bits().to_le_bytes());
            }
        },
        Cell::Text(text) | Cell::Date(_, text) => {
            hasher.write(b"t");
            hasher.write(&(text.len() as u64).to_le_bytes());
            hasher.write(text.as_bytes());
        }
        Cell::Other => hasher.write(b"o"),
    }
}

/// The integer that a float is, if it is one that both can say.
fn whole(number: f64) -> Option<i64> {
    let bound = 9_007_199_254_740_992.0; // 2^53
    if number.fract() != 0.0 || number.abs() > bound {
        return None;
    }
    #[allow(clippy::cast_possible_truncation, reason = "whole, and at most 2^53")]
    Some(number as i64)
}
