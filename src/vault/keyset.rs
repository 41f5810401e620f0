//! Decides which keys there are, which of them seals, and which may still open.
//!
//! A keyset is sound when all of these hold, checked in this order:
//! 1. it has 1 to [`MOST_KEYS`] keys, no two of one id;
//! 2. each key has a status and a prefix that are known, and, unless it is destroyed, a type and a value;
//! 3. exactly one key is primary, and it is enabled.
//!
//! A life: a key is added, promoted to primary, and superseded by the next. An old key still opens while it is enabled. It
//! can be disabled, which can be taken back, and destroyed, which cannot: its material is wiped and its id stays.
//! The primary is neither disabled nor destroyed.
//!
//! What a key is made of is kept as Tink keeps it: a type URL and that type's message, which only a primitive reads. So a key
//! of a type that is not known here can stand in a keyset, and be written again.
//!
//! # What it does not do
//! It draws no random bytes: who makes a key passes a generator in. It has no opinion of a key's age.
//!
//! # What can break it in deployment
//! Two processes that change one file: the later writes over the earlier. A keyset is changed in one place, and handed on.
//!
//! Source: Tink's `tink.proto` and its keyset managers, whose rules these are.

use std::fmt;

use zeroize::Zeroizing;

use super::json;
use super::templates::{Primitive, Template};
use super::wire::{self, KeyData, TYPE_PREFIX};
use crate::crypto::Failed;
use crate::error::ConfigError;
use crate::secret::Secret;

/// The most keys in one keyset, destroyed ones included.
pub const MOST_KEYS: usize = 256;

/// Fills a buffer with random bytes.
pub type Random<'a> = &'a mut dyn FnMut(&mut [u8]) -> Result<(), Failed>;

/// Keys, one of which is primary. Sound by construction.
pub struct Keyset {
    primary: u32,
    keys: Vec<Key>,
}

/// One key of a keyset.
pub struct Key {
    id: u32,
    status: Status,
    prefix: OutputPrefix,
    material: Option<Material>,
}

/// What a key is made of: a type, and a message of that type.
pub struct Material {
    /// Such as `type.googleapis.com/google.crypto.tink.AesGcmKey`.
    pub type_url: String,
    /// A serialized message of that type.
    pub value: Secret,
    /// `SYMMETRIC` is 1.
    kind: i32,
}

/// Whether a key may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It opens, and seals if it is primary.
    Enabled,
    /// It is not used, and can be enabled again.
    Disabled,
    /// Its material is gone.
    Destroyed,
}

/// What stands before the output of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputPrefix {
    /// `01` and the id, big-endian.
    Tink,
    /// `00` and the id. Older than `CRUNCHY`, and for sealing the same.
    Legacy,
    /// Nothing.
    Raw,
    /// `00` and the id.
    Crunchy,
}

impl Status {
    const ALL: [(Self, i32, &'static str); 3] =
        [(Self::Enabled, 1, "ENABLED"), (Self::Disabled, 2, "DISABLED"), (Self::Destroyed, 3, "DESTROYED")];

    /// By its number in Tink's messages.
    pub fn numbered(number: i32) -> Option<Self> {
        Self::ALL.iter().find(|row| row.1 == number).map(|row| row.0)
    }

    /// Its number in Tink's messages.
    pub fn number(self) -> i32 {
        Self::ALL.iter().find(|row| row.0 == self).map_or(0, |row| row.1)
    }

    /// Tink's name of it.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|row| row.0 == self).map_or("", |row| row.2)
    }
}

impl OutputPrefix {
    const ALL: [(Self, i32, &'static str); 4] = [
        (Self::Tink, 1, "TINK"),
        (Self::Legacy, 2, "LEGACY"),
        (Self::Raw, 3, "RAW"),
        (Self::Crunchy, 4, "CRUNCHY"),
    ];

    /// By its number in Tink's messages.
    pub fn numbered(number: i32) -> Option<Self> {
        Self::ALL.iter().find(|row| row.1 == number).map(|row| row.0)
    }

    /// By Tink's name of it.
    ///
    /// # Errors
    /// If there is none of this name.
    pub fn named(name: &str) -> Result<Self, ConfigError> {
        Self::ALL
            .iter()
            .find(|row| row.2 == name)
            .map(|row| row.0)
            .ok_or_else(|| ConfigError::new("a prefix is TINK, CRUNCHY or RAW"))
    }

    /// Its number in Tink's messages.
    pub fn number(self) -> i32 {
        Self::ALL.iter().find(|row| row.0 == self).map_or(0, |row| row.1)
    }

    /// Tink's name of it.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|row| row.0 == self).map_or("", |row| row.2)
    }
}

impl Key {
    /// Unique in its keyset.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Whether it may be used.
    pub fn status(&self) -> Status {
        self.status
    }

    /// What stands before its output.
    pub fn prefix(&self) -> OutputPrefix {
        self.prefix
    }

    /// What it is made of; `None` of a destroyed key.
    pub fn material(&self) -> Option<&Material> {
        self.material.as_ref()
    }

    /// Its type without what stands before the name, such as `AesGcmKey`; `""` of a destroyed key.
    pub fn type_name(&self) -> &str {
        let url = self.material.as_ref().map_or("", |material| &material.type_url);
        url.strip_prefix(TYPE_PREFIX).unwrap_or(url)
    }

    /// The bytes that stand before its output: none, or five.
    pub fn prefix_bytes(&self) -> Option<[u8; 5]> {
        let start = match self.prefix {
            OutputPrefix::Raw => return None,
            OutputPrefix::Tink => 1,
            OutputPrefix::Legacy | OutputPrefix::Crunchy => 0,
        };
        let [a, b, c, d] = self.id.to_be_bytes();
        Some([start, a, b, c, d])
    }

    fn read(mut key: wire::Key) -> Result<Self, ConfigError> {
        let id = key.key_id;
        let status = Status::numbered(key.status)
            .ok_or_else(|| ConfigError::new(format!("key {id} has no status that is known")))?;
        let prefix = OutputPrefix::numbered(key.output_prefix_type)
            .ok_or_else(|| ConfigError::new(format!("key {id} has no output prefix that is known")))?;
        let material = match key.key_data.take() {
            // Whatever a destroyed key still carries is dropped here, and wiped.
            _ if status == Status::Destroyed => None,
            Some(mut data) if !data.type_url.is_empty() && !data.value.is_empty() => Some(Material {
                type_url: std::mem::take(&mut data.type_url),
                value: Secret::new(data.value.to_vec()),
                kind: data.key_material_type,
            }),
            _ => return Err(ConfigError::new(format!("key {id} has no key data"))),
        };
        Ok(Self { id, status, prefix, material })
    }

    fn write(&self) -> wire::Key {
        wire::Key {
            key_data: self.material.as_ref().map(|material| KeyData {
                type_url: material.type_url.clone(),
                value: wire::shared(material.value.expose().to_vec()),
                key_material_type: material.kind,
            }),
            status: self.status.number(),
            key_id: self.id,
            output_prefix_type: self.prefix.number(),
        }
    }
}

impl Keyset {
    /// A keyset of one key, which is primary. *prefix* is the template's own unless given.
    ///
    /// # Errors
    /// If keys of the template cannot have the prefix, or the generator fails.
    pub fn generate(
        template: &Template,
        prefix: Option<OutputPrefix>,
        random: Random<'_>,
    ) -> Result<Self, ConfigError> {
        let mut made = Self { primary: 0, keys: Vec::new() };
        made.primary = made.push(template, prefix, random)?;
        Ok(made)
    }

    /// Reads a keyset from Tink's binary form, in clear.
    ///
    /// # Errors
    /// If it is none, or not sound. Nothing of its content is in the error but ids.
    pub fn from_binary(bytes: &[u8]) -> Result<Self, ConfigError> {
        Self::from_wire(wire::decode(bytes, "a keyset")?)
    }

    /// The keyset in Tink's binary form, in clear: what is sealed by a KMS.
    pub fn to_binary(&self) -> Secret {
        wire::encode(&self.to_wire())
    }

    /// Reads a keyset from Tink's JSON form, in clear.
    ///
    /// # Errors
    /// As [`Keyset::from_binary`].
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        Self::from_wire(json::read_keyset(text)?)
    }

    /// The keyset in Tink's JSON form, in clear.
    pub fn to_json(&self) -> Secret {
        json::write_keyset(&self.to_wire())
    }

    /// Reads Tink's message.
    ///
    /// # Errors
    /// If it is not sound.
    pub fn from_wire(message: wire::Keyset) -> Result<Self, ConfigError> {
        if message.key.is_empty() {
            return Err(ConfigError::new("this keyset has no keys"));
        }
        if message.key.len() > MOST_KEYS {
            return Err(ConfigError::new(format!("a keyset has at most {MOST_KEYS} keys")));
        }
        let primary = message.primary_key_id;
        let keys = message.key.into_iter().map(Key::read).collect::<Result<Vec<_>, _>>()?;
        let mut ids: Vec<u32> = keys.iter().map(Key::id).collect();
        ids.sort_unstable();
        if let Some(pair) = ids.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(ConfigError::new(format!("two keys have the id {}", pair[0])));
        }
        match keys.iter().find(|key| key.id == primary) {
            None => Err(ConfigError::new("this keyset has no primary key")),
            Some(key) if key.status != Status::Enabled => {
                Err(ConfigError::new(format!("the primary key {primary} is not enabled")))
            }
            Some(_) => Ok(Self { primary, keys }),
        }
    }

    /// Tink's message.
    pub fn to_wire(&self) -> wire::Keyset {
        wire::Keyset { primary_key_id: self.primary, key: self.keys.iter().map(Key::write).collect() }
    }

    /// What may be told of it.
    pub fn info(&self) -> wire::KeysetInfo {
        let key_info = self.keys.iter().map(|key| wire::KeyInfo {
            type_url: key.material.as_ref().map_or_else(String::new, |material| material.type_url.clone()),
            status: key.status.number(),
            key_id: key.id,
            output_prefix_type: key.prefix.number(),
        });
        wire::KeysetInfo { primary_key_id: self.primary, key_info: key_info.collect() }
    }

    /// The same keys once more, for what takes long: meanwhile, the original may change.
    pub fn snapshot(&self) -> Self {
        let keys = self.keys.iter().map(|key| Key {
            id: key.id,
            status: key.status,
            prefix: key.prefix,
            material: key.material.as_ref().map(|material| Material {
                type_url: material.type_url.clone(),
                value: Secret::new(material.value.expose().to_vec()),
                kind: material.kind,
            }),
        });
        Self { primary: self.primary, keys: keys.collect() }
    }

    /// The id of the key that seals.
    pub fn primary(&self) -> u32 {
        self.primary
    }

    /// All keys, in the order in which they were added.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Those that may be used, with their material.
    pub fn enabled(&self) -> impl Iterator<Item = (&Key, &Material)> {
        self.keys
            .iter()
            .filter(|key| key.status == Status::Enabled)
            .filter_map(|key| key.material.as_ref().map(|material| (key, material)))
    }

    /// What its primary key is for; `None` if it is of a type that is not known here.
    pub fn primitive(&self) -> Option<Primitive> {
        let (_, material) = self.enabled().find(|(key, _)| key.id == self.primary)?;
        Primitive::of(&material.type_url)
    }

    /// Adds an enabled key, which opens and does not yet seal; its id.
    ///
    /// # Errors
    /// If the keyset is full, if it is for something else, if keys of the template cannot have the prefix, or if the
    /// generator fails.
    pub fn add(
        &mut self,
        template: &Template,
        prefix: Option<OutputPrefix>,
        random: Random<'_>,
    ) -> Result<u32, ConfigError> {
        if self.primitive() != Some(template.primitive) {
            return Err(ConfigError::new(format!(
                "{} is for {}, and this keyset is not: keys of one keyset are for one thing",
                template.name,
                template.primitive.name()
            )));
        }
        self.push(template, prefix, random)
    }

    /// Makes an enabled key primary: it seals from now on.
    ///
    /// # Errors
    /// If there is no such key, or it is not enabled.
    pub fn promote(&mut self, id: u32) -> Result<(), ConfigError> {
        let key = self.find(id)?;
        if key.status != Status::Enabled {
            return Err(ConfigError::new(format!(
                "key {id} is {}; only an enabled key is promoted",
                key.status.name()
            )));
        }
        self.primary = id;
        Ok(())
    }

    /// Adds a key and makes it primary; its id. The old ones still open.
    ///
    /// # Errors
    /// As [`Keyset::add`].
    pub fn rotate(
        &mut self,
        template: &Template,
        prefix: Option<OutputPrefix>,
        random: Random<'_>,
    ) -> Result<u32, ConfigError> {
        let id = self.add(template, prefix, random)?;
        self.primary = id;
        Ok(id)
    }

    /// Disables a key: it no longer opens, until it is enabled.
    ///
    /// # Errors
    /// If there is no such key, or it is primary or destroyed.
    pub fn disable(&mut self, id: u32) -> Result<(), ConfigError> {
        self.change(id, Status::Disabled)
    }

    /// Enables a key that was disabled.
    ///
    /// # Errors
    /// If there is no such key, or it is destroyed.
    pub fn enable(&mut self, id: u32) -> Result<(), ConfigError> {
        if self.find(id)?.status == Status::Enabled {
            return Ok(());
        }
        self.change(id, Status::Enabled)
    }

    /// Destroys a key for good: its material is wiped, what it sealed is lost.
    ///
    /// # Errors
    /// If there is no such key, or it is primary or was destroyed before.
    pub fn destroy(&mut self, id: u32) -> Result<(), ConfigError> {
        self.change(id, Status::Destroyed)?;
        self.find(id)?.material = None;
        Ok(())
    }

    fn change(&mut self, id: u32, status: Status) -> Result<(), ConfigError> {
        let primary = self.primary;
        let key = self.find(id)?;
        if key.status == Status::Destroyed {
            return Err(ConfigError::new(format!("key {id} was destroyed")));
        }
        if id == primary {
            return Err(ConfigError::new(format!("key {id} is primary: promote another first")));
        }
        key.status = status;
        Ok(())
    }

    fn find(&mut self, id: u32) -> Result<&mut Key, ConfigError> {
        let found = self.keys.iter_mut().find(|key| key.id == id);
        found.ok_or_else(|| ConfigError::new(format!("this keyset has no key {id}")))
    }

    fn push(
        &mut self,
        template: &Template,
        prefix: Option<OutputPrefix>,
        random: Random<'_>,
    ) -> Result<u32, ConfigError> {
        if self.keys.len() >= MOST_KEYS {
            return Err(ConfigError::new(format!("a keyset has at most {MOST_KEYS} keys")));
        }
        let prefix = match prefix {
            Some(asked) if !template.prefixes.contains(&asked) => {
                return Err(ConfigError::new(format!(
                    "{} is not made with the prefix {}",
                    template.name,
                    asked.name()
                )));
            }
            asked => asked.or(template.prefixes.first().copied()).unwrap_or(OutputPrefix::Raw),
        };
        let no_random = |_| ConfigError::new("the system gives no random bytes");
        let mut bytes = Zeroizing::new(vec![0; template.key_len]);
        random(&mut bytes).map_err(no_random)?;
        let id = self.new_id(random).map_err(no_random)?;
        let value = (template.encode)(&bytes);
        let material = Material { type_url: template.type_url.to_owned(), value, kind: SYMMETRIC };
        self.keys.push(Key { id, status: Status::Enabled, prefix, material: Some(material) });
        Ok(id)
    }

    /// An id that is not taken, of 31 bits, as Tink's are.
    fn new_id(&self, random: Random<'_>) -> Result<u32, Failed> {
        // A generator that repeats itself for so long is none.
        for _ in 0..1000 {
            let mut bytes = [0; 4];
            random(&mut bytes)?;
            let id = u32::from_be_bytes(bytes) & 0x7fff_ffff;
            if id != 0 && self.keys.iter().all(|key| key.id != id) {
                return Ok(id);
            }
        }
        Err(Failed)
    }
}

impl fmt::Debug for Keyset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyset").field("primary", &self.primary).field("keys", &self.keys).finish()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("status", &self.status)
            .field("prefix", &self.prefix)
            .field("type", &self.type_name())
            .finish_non_exhaustive()
    }
}

/// `SYMMETRIC` in Tink's `KeyMaterialType`.
const SYMMETRIC: i32 = 1;
