//! `requestState`: what the server wants back unchanged, with a HMAC (RFC 2104) of SHA-256 over it.

use std::io;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use sha2::{Digest, Sha256};

/// Bytes of a block of SHA-256.
const BLOCK: usize = 64;

/// The key of this process; a state from before its start is not accepted.
#[derive(Debug)]
pub(super) struct Seal([u8; 32]);

impl Seal {
    pub(super) fn random() -> io::Result<Self> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(io::Error::other)?;
        Ok(Self(key))
    }

    /// Returns a text that only this process makes of `content`, for a request that `purpose` describes.
    pub(super) fn close(&self, content: &[u8], purpose: &[u8]) -> String {
        let tag = self.tag(content, purpose);
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        format!("{}.{}", encode(content), encode(&tag))
    }

    /// Returns the content of a text that this process made for the same purpose.
    pub(super) fn open(&self, text: &str, purpose: &[u8]) -> Option<Vec<u8>> {
        let (content, tag) = text.split_once('.')?;
        let content = BASE64_URL_SAFE_NO_PAD.decode(content).ok()?;
        let tag = BASE64_URL_SAFE_NO_PAD.decode(tag).ok()?;
        (tag == self.tag(&content, purpose)).then_some(content)
    }

    fn tag(&self, content: &[u8], purpose: &[u8]) -> [u8; 32] {
        let length = (content.len() as u64).to_be_bytes();
        hmac(&self.0, &[&length, content, purpose])
    }
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    assert!(key.len() <= BLOCK, "longer keys would have to be hashed first");
    let pad = |byte: u8| {
        let mut block = [byte; BLOCK];
        block.iter_mut().zip(key).for_each(|(place, key)| *place ^= key);
        Sha256::new().chain_update(block)
    };
    let inner = parts.iter().fold(pad(0x36), |hash, part| hash.chain_update(part));
    pad(0x5c).chain_update(inner.finalize()).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hmac_is_that_of_rfc_4231() {
        // Test case 2.
        let tag = hmac(b"Jefe", &[b"what do ya want ", b"for nothing?"]);
        let hex: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn only_what_was_closed_for_the_same_purpose_is_opened() {
        let seal = Seal::random().unwrap();
        let text = seal.close(b"content", b"purpose");
        assert_eq!(seal.open(&text, b"purpose").as_deref(), Some(&b"content"[..]));
        assert_eq!(seal.open(&text, b"another"), None);
        assert_eq!(seal.open(&format!("{text}-TAMPERED"), b"purpose"), None);
        assert_eq!(seal.open(&text.replacen('Y', "Z", 1), b"purpose"), None);
        assert_eq!(Seal::random().unwrap().open(&text, b"purpose"), None);
        assert_eq!(seal.open("", b"purpose"), None);
    }
}
