//! Says whether two keysets seal by the same key, without saying anything of the key.
//!
//! It is HKDF-SHA-256 (RFC 5869) of the primary key's material, with a label of its own and all that its output depends on: type,
//! prefix and id. A key of a keyset has at least 128 random bits, so none is found by trying. Other keys are not in it: they
//! open, and do not decide over what is sealed.

use ring::hkdf;

use super::keyset::Keyset;

const LABEL: &[u8] = b"flask-rampart vault: which key seals, v1";

impl Keyset {
    /// 128 bits that are the same wherever the same key is primary; `None` if it is gone, which a sound keyset's is not.
    pub fn fingerprint(&self) -> Option<[u8; 16]> {
        let key = self.keys().iter().find(|key| key.id() == self.primary())?;
        let material = key.material()?;
        let id = key.id().to_be_bytes();
        let parts: [&[u8]; 6] =
            [LABEL, b"\0", material.type_url.as_bytes(), b"\0", key.prefix().name().as_bytes(), &id];
        let mut out = [0; 16];
        hkdf::Salt::new(hkdf::HKDF_SHA256, &[])
            .extract(material.value.expose())
            .expand(&parts, Length)
            .and_then(|okm| okm.fill(&mut out))
            .ok()?;
        Some(out)
    }
}

struct Length;

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        16
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::{Keyset, OutputPrefix, Template};

    fn keyset(seed: u8, prefix: Option<OutputPrefix>) -> Keyset {
        let mut next = seed;
        let mut random = |out: &mut [u8]| {
            out.fill_with(|| {
                next = next.wrapping_mul(5).wrapping_add(17);
                next
            });
            Ok(())
        };
        Keyset::generate(Template::named("AES256_SIV").unwrap(), prefix, &mut random).unwrap()
    }

    #[test]
    fn a_fingerprint_is_that_of_the_key_that_seals() {
        let mut one = keyset(1, None);
        let known = one.fingerprint().unwrap();
        assert_eq!(keyset(1, None).fingerprint().unwrap(), known);
        assert_ne!(keyset(2, None).fingerprint().unwrap(), known);
        assert_ne!(keyset(1, Some(OutputPrefix::Raw)).fingerprint().unwrap(), known);
        // It travels with the key, in whatever form.
        let copy = Keyset::from_json(std::str::from_utf8(one.to_json().expose()).unwrap()).unwrap();
        assert_eq!(copy.fingerprint().unwrap(), known);
        let mut random = |out: &mut [u8]| {
            out.fill(9);
            Ok(())
        };
        let first = one.primary();
        let added = one.add(Template::named("AES256_SIV").unwrap(), None, &mut random).unwrap();
        assert_eq!(one.fingerprint().unwrap(), known);
        one.promote(added).unwrap();
        assert_ne!(one.fingerprint().unwrap(), known);
        one.disable(first).unwrap();
        one.enable(first).unwrap();
        one.promote(first).unwrap();
        assert_eq!(one.fingerprint().unwrap(), known);
    }
}
