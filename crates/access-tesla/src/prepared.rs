//! The bytes of a command: the wish, and for cars that want it the signed message itself. The nonce makes each unique.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parcelshelf_access::{Command, Prepared};
use parcelshelf_core::actuation::AccessClass;
use parcelshelf_core::time::Timestamp;
use parcelshelf_core::vehicle::Vin;
use serde::{Deserialize, Serialize};

/// Longer bytes were not made here.
const BYTES_MAX: usize = 2_048;
const VERSION: u8 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    v: u8,
    maker: String,
    command: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<String>,
    vin: String,
    nonce: String,
    prepared_at_ms: i64,
    /// Base64 of the signed message.
    #[serde(skip_serializing_if = "Option::is_none")]
    signed: Option<String>,
    /// The car refuses the message from then on, by our clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at_ms: Option<i64>,
}

/// A message that a car takes once, and until then.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Signed {
    pub message: Vec<u8>,
    pub expires_at: Timestamp,
}
impl std::fmt::Debug for Signed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signed(<{} bytes>)", self.message.len())
    }
}

/// What the bytes say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wish {
    pub command: Command,
    pub vin: Vin,
    pub nonce: [u8; 16],
    pub prepared_at: Timestamp,
    /// `None`: for a car that takes plain commands, or that nothing was known of.
    pub signed: Option<Signed>,
}

pub(crate) fn encode(wish: &Wish) -> Prepared {
    let (word, class) = match wish.command {
        Command::Open(class) => ("open", Some(class.code().to_owned())),
        Command::Lock => ("lock", None),
    };
    let stored = Stored {
        v: VERSION,
        maker: crate::MAKER.to_owned(),
        command: word.to_owned(),
        class,
        vin: wish.vin.expose().to_owned(),
        nonce: wish.nonce.iter().map(|b| format!("{b:02x}")).collect(),
        prepared_at_ms: wish.prepared_at.unix_millis(),
        signed: wish.signed.as_ref().map(|s| STANDARD.encode(&s.message)),
        expires_at_ms: wish.signed.as_ref().map(|s| s.expires_at.unix_millis()),
    };
    // A struct of texts and numbers always serialises; empty bytes would be refused by `decode`.
    Prepared::from_bytes(serde_json::to_vec(&stored).unwrap_or_default())
}

/// `None` for bytes that `encode` did not make.
pub(crate) fn decode(prepared: &Prepared) -> Option<Wish> {
    let bytes = prepared.as_bytes();
    if bytes.len() > BYTES_MAX {
        return None;
    }
    let stored: Stored = serde_json::from_slice(bytes).ok()?;
    if stored.v != VERSION || stored.maker != crate::MAKER {
        return None;
    }
    let command = match (stored.command.as_str(), stored.class.as_deref()) {
        ("open", Some(class)) => Command::Open(AccessClass::parse(class)?),
        ("lock", None) => Command::Lock,
        _ => return None,
    };
    let signed = match (stored.signed, stored.expires_at_ms) {
        (None, None) => None,
        (Some(text), Some(ms)) => {
            Some(Signed { message: STANDARD.decode(text).ok()?, expires_at: Timestamp::from_unix_millis(ms) })
        }
        _ => return None,
    };
    Some(Wish {
        command,
        vin: Vin::parse(&stored.vin).ok()?,
        nonce: hex(&stored.nonce)?,
        prepared_at: Timestamp::from_unix_millis(stored.prepared_at_ms),
        signed,
    })
}
fn hex(text: &str) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_795_446_000);
    fn wish(command: Command, signed: Option<Signed>) -> Wish {
        Wish { command, vin: Vin::parse("5YJ3E1EA7KF000316").unwrap(), nonce: [7; 16], prepared_at: NOW, signed }
    }

    #[test]
    fn bytes_come_back_as_the_command_they_were_made_from() {
        let signed = Some(Signed { message: vec![1, 2, 250], expires_at: NOW.plus_seconds(20) });
        for command in AccessClass::ALL.map(Command::Open).into_iter().chain([Command::Lock]) {
            for signed in [None, signed.clone()] {
                let wish = wish(command, signed);
                assert_eq!(decode(&encode(&wish)), Some(wish.clone()));
                assert_ne!(encode(&wish), encode(&Wish { nonce: [8; 16], ..wish }), "the nonce makes each unique");
            }
        }
    }

    #[test]
    fn the_stored_forms_of_version_1_stay_readable() {
        let plain = br#"{"v":1,"maker":"tesla","command":"open","class":"trunk","vin":"5YJ3E1EA7KF000316","nonce":"07070707070707070707070707070707","prepared_at_ms":1795446000000}"#;
        let again = encode(&wish(Command::Open(AccessClass::SeparateTrunk), None));
        assert_eq!(again.as_bytes(), plain, "a change here needs a new version number");
        let signed = br#"{"v":1,"maker":"tesla","command":"lock","vin":"5YJ3E1EA7KF000316","nonce":"07070707070707070707070707070707","prepared_at_ms":1795446000000,"signed":"AQL6","expires_at_ms":1795446020000}"#;
        let message = Signed { message: vec![1, 2, 250], expires_at: NOW.plus_seconds(20) };
        assert_eq!(encode(&wish(Command::Lock, Some(message))).as_bytes(), signed);
    }

    #[test]
    fn foreign_bytes_are_refused() {
        let good = r#"{"v":1,"maker":"tesla","command":"lock","vin":"5YJ3E1EA7KF000316","nonce":"07070707070707070707070707070707","prepared_at_ms":0}"#;
        assert!(decode(&Prepared::from_bytes(good.into())).is_some());
        for (from, to) in [
            ("\"v\":1", "\"v\":2"),
            ("tesla", "other"),
            ("lock", "open"),
            ("5YJ3E1EA7KF000316", "SHORT"),
            ("0707", "07"),
            ("0707", "éé"),
            ("\"prepared_at_ms\":0", "\"prepared_at_ms\":0,\"x\":1"),
            ("\"prepared_at_ms\":0", "\"prepared_at_ms\":0,\"signed\":\"AQL6\""),
            ("\"prepared_at_ms\":0", "\"prepared_at_ms\":0,\"signed\":\"!\",\"expires_at_ms\":1"),
        ] {
            let bytes = good.replacen(from, to, 1);
            assert!(decode(&Prepared::from_bytes(bytes.clone().into())).is_none(), "{bytes}");
        }
        assert!(decode(&Prepared::from_bytes(vec![b' '; 4_096])).is_none());
    }
}
