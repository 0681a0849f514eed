//! Signatures over plugins: `plugin.sig`, Ed25519 over manifest and component together.
//!
//! It says that the author made these bytes, not that they are any good, and nothing of what the operator configures.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// Stands before the base64 of a public key.
const PUBLIC_PREFIX: &str = "ed25519:";
/// Stands before the base64 of a secret key, so that nobody takes it for the other.
const SECRET_PREFIX: &str = "ed25519-secret:";
/// What is signed begins so: no signature made for another purpose is one of ours.
const PURPOSE: &[u8] = b"portcullis plugin, signature 1\n";

/// Why there is no valid signature.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// The text is no key.
    #[error("this is no {kind} key: expected {prefix} and 32 bytes in base64")]
    Key {
        /// `public` or `secret`.
        kind: &'static str,
        /// How it begins.
        prefix: &'static str,
    },
    /// `plugin.sig` cannot be read.
    #[error("the signature is malformed: {0}")]
    Malformed(String),
    /// The key of the signature is none of those that are trusted.
    #[error("it is signed with {0}, which is not trusted: add it to trusted-keys if you know whose it is")]
    Untrusted(PublicKey),
    /// Manifest or component are not the ones that were signed.
    #[error("the signature of {0} does not fit: plugin.toml or plugin.wasm was changed after it was made")]
    Wrong(PublicKey),
}

/// A key that signatures are checked with. Written `ed25519:BASE64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    fn verifying(self) -> VerifyingKey {
        VerifyingKey::from_bytes(&self.0).expect("it was checked when it was read or made")
    }
}

impl FromStr for PublicKey {
    type Err = SignatureError;

    fn from_str(text: &str) -> Result<Self, SignatureError> {
        let wrong = SignatureError::Key {
            kind: "public",
            prefix: PUBLIC_PREFIX,
        };
        let bytes = decode(text, PUBLIC_PREFIX).ok_or_else(|| wrong.clone())?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| wrong.clone())?;
        // With a weak key one signature fits every message.
        if key.is_weak() {
            Err(wrong)
        } else {
            Ok(Self(bytes))
        }
    }
}

impl TryFrom<String> for PublicKey {
    type Error = SignatureError;

    fn try_from(text: String) -> Result<Self, SignatureError> {
        text.parse()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{PUBLIC_PREFIX}{}", STANDARD.encode(self.0))
    }
}

/// A key that signatures are made with. Its text is the author's secret; `Debug` does not show it.
pub struct SecretKey(SigningKey);

impl fmt::Debug for SecretKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SecretKey of {}", self.public())
    }
}

impl SecretKey {
    /// Makes a new one, with the operating system's random numbers.
    ///
    /// # Errors
    /// The system has none.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// Returns the key that signatures of this one are checked with.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Returns the text that [`str::parse`] reads.
    pub fn to_text(&self) -> String {
        format!("{SECRET_PREFIX}{}", STANDARD.encode(self.0.to_bytes()))
    }

    /// Signs a plugin: the bytes of `plugin.toml` and of `plugin.wasm`.
    pub fn sign(&self, manifest: &[u8], component: &[u8]) -> Signature {
        Signature {
            key: self.public(),
            signature: self.0.sign(&signed_bytes(manifest, component)),
        }
    }
}

impl FromStr for SecretKey {
    type Err = SignatureError;

    fn from_str(text: &str) -> Result<Self, SignatureError> {
        let bytes = decode(text, SECRET_PREFIX).ok_or(SignatureError::Key {
            kind: "secret",
            prefix: SECRET_PREFIX,
        })?;
        Ok(Self(SigningKey::from_bytes(&bytes)))
    }
}

/// A signature and the key that made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    key: PublicKey,
    signature: ed25519_dalek::Signature,
}

/// `plugin.sig`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureFile {
    key: PublicKey,
    signature: String,
}

impl Signature {
    /// Reads `plugin.sig`.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &[u8]) -> Result<Self, SignatureError> {
        let malformed = |what: String| SignatureError::Malformed(what);
        let text = std::str::from_utf8(text).map_err(|error| malformed(error.to_string()))?;
        let file: SignatureFile = toml::from_str(text).map_err(|error| malformed(error.to_string()))?;
        let bytes = STANDARD.decode(&file.signature).ok();
        let signature = bytes.and_then(|bytes| ed25519_dalek::Signature::from_slice(&bytes).ok());
        Ok(Self {
            key: file.key,
            signature: signature.ok_or_else(|| malformed("expected 64 bytes in base64".to_owned()))?,
        })
    }

    /// Returns the text of `plugin.sig`.
    pub fn to_text(&self) -> String {
        format!(
            "# Of plugin.toml and plugin.wasm together: `portcullis plugin verify` checks it.\nkey = \"{}\"\nsignature = \
             \"{}\"\n",
            self.key,
            STANDARD.encode(self.signature.to_bytes())
        )
    }

    /// Returns the key that it says to be made with.
    pub fn key(&self) -> PublicKey {
        self.key
    }

    /// Checks that one of the trusted keys signed exactly these bytes.
    ///
    /// # Errors
    /// It was another key, or they were other bytes.
    pub fn verify(
        &self,
        trusted: &[PublicKey],
        manifest: &[u8],
        component: &[u8],
    ) -> Result<(), SignatureError> {
        if !trusted.contains(&self.key) {
            return Err(SignatureError::Untrusted(self.key));
        }
        let signed = signed_bytes(manifest, component);
        let verified = self.key.verifying().verify_strict(&signed, &self.signature);
        verified.map_err(|_| SignatureError::Wrong(self.key))
    }
}

/// Digests of equal length, so that no byte can move from one file to the other.
fn signed_bytes(manifest: &[u8], component: &[u8]) -> Vec<u8> {
    let mut bytes = PURPOSE.to_vec();
    bytes.extend_from_slice(&Sha256::digest(manifest));
    bytes.extend_from_slice(&Sha256::digest(component));
    bytes
}

fn decode(text: &str, prefix: &str) -> Option<[u8; 32]> {
    STANDARD
        .decode(text.trim().strip_prefix(prefix)?)
        .ok()?
        .try_into()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> SecretKey {
        SecretKey(SigningKey::from_bytes(&[7; 32]))
    }

    #[test]
    fn keys_and_signatures_survive_being_written() {
        let secret = secret();
        let again: SecretKey = secret.to_text().parse().expect("a secret key");
        assert_eq!(again.public(), secret.public());
        let public: PublicKey = secret.public().to_string().parse().expect("a public key");
        assert_eq!(public, secret.public());
        let signature = secret.sign(b"m", b"c");
        let again = Signature::parse(signature.to_text().as_bytes()).expect("a signature");
        assert_eq!(again, signature);
        assert_eq!(again.verify(&[public], b"m", b"c"), Ok(()));
        assert!(!format!("{secret:?}").contains(&secret.to_text()));
    }

    #[test]
    fn a_new_key_is_another() {
        let new = || SecretKey::generate().expect("the system has random numbers");
        assert_ne!(new().public(), new().public());
    }

    #[test]
    fn what_was_changed_or_is_not_trusted_is_refused() {
        let (secret, key) = (secret(), secret().public());
        let signature = secret.sign(b"ab", b"c");
        for (manifest, component) in [
            (&b"ab"[..], &b"d"[..]),
            (b"abc", b""),
            (b"a", b"bc"),
            (b"c", b"ab"),
        ] {
            let verified = signature.verify(&[key], manifest, component);
            assert_eq!(verified, Err(SignatureError::Wrong(key)));
        }
        assert_eq!(
            signature.verify(&[], b"ab", b"c"),
            Err(SignatureError::Untrusted(key))
        );
        // The key of somebody who is trusted, on the signature of somebody else.
        let other = SecretKey(SigningKey::from_bytes(&[8; 32]));
        let claimed = Signature {
            key,
            ..other.sign(b"ab", b"c")
        };
        assert_eq!(
            claimed.verify(&[key], b"ab", b"c"),
            Err(SignatureError::Wrong(key))
        );
    }

    #[test]
    fn what_is_no_key_or_signature_is_refused() {
        let text = secret().public().to_string();
        for wrong in [
            "",
            "ed25519:",
            &text[8..],
            &text[..text.len() - 4],
            &secret().to_text(),
        ] {
            assert!(wrong.parse::<PublicKey>().is_err(), "{wrong}");
        }
        // A key of small order: the identity.
        let weak = format!("{PUBLIC_PREFIX}AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
        assert!(weak.parse::<PublicKey>().is_err());
        assert!(text.parse::<SecretKey>().is_err());
        let whole = secret().sign(b"m", b"c").to_text();
        for wrong in [
            "",
            "key = 1",
            &format!("{whole}more = 1"),
            &whole.replace("==", ""),
        ] {
            let parsed = Signature::parse(wrong.as_bytes());
            assert!(matches!(parsed, Err(SignatureError::Malformed(_))), "{wrong}");
        }
        assert!(matches!(
            Signature::parse(b"\xff"),
            Err(SignatureError::Malformed(_))
        ));
    }
}
