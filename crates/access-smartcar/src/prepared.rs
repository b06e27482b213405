//! The bytes of a command. This maker signs nothing, so they hold the wish itself; the nonce makes each unique.

use parcelshelf_access::{Command, Prepared};
use parcelshelf_core::actuation::AccessClass;
use parcelshelf_core::time::Timestamp;
use parcelshelf_core::vehicle::Vin;
use serde::{Deserialize, Serialize};

/// Longer bytes were not made here.
const BYTES_MAX: usize = 512;
const VERSION: u8 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    v: u8,
    maker: String,
    command: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<String>,
    vin: String,
    nonce: String,
    prepared_at_ms: i64,
}

pub(crate) fn encode(command: Command, vin: &Vin, nonce: [u8; 16], now: Timestamp) -> Prepared {
    let (word, class) = match command {
        Command::Open(class) => ("open", Some(class.code().to_owned())),
        Command::Lock => ("lock", None),
    };
    let wish = Wish {
        v: VERSION,
        maker: crate::MAKER.to_owned(),
        command: word.to_owned(),
        class,
        vin: vin.expose().to_owned(),
        nonce: nonce.iter().map(|b| format!("{b:02x}")).collect(),
        prepared_at_ms: now.unix_millis(),
    };
    // A struct of texts and numbers always serialises; empty bytes would be refused by `decode`.
    Prepared::from_bytes(serde_json::to_vec(&wish).unwrap_or_default())
}

/// `None` for bytes that `encode` did not make.
pub(crate) fn decode(prepared: &Prepared) -> Option<(Command, Vin)> {
    let bytes = prepared.as_bytes();
    if bytes.len() > BYTES_MAX {
        return None;
    }
    let wish: Wish = serde_json::from_slice(bytes).ok()?;
    if wish.v != VERSION || wish.maker != crate::MAKER {
        return None;
    }
    let command = match (wish.command.as_str(), wish.class.as_deref()) {
        ("open", Some(class)) => Command::Open(AccessClass::parse(class)?),
        ("lock", None) => Command::Lock,
        _ => return None,
    };
    Some((command, Vin::parse(&wish.vin).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_as_the_command_they_were_made_from() {
        let vin = Vin::parse("YV1XZ16B0N2100001").unwrap();
        let now = Timestamp::from_unix_seconds(1_795_446_000);
        let commands = AccessClass::ALL.map(Command::Open).into_iter().chain([Command::Lock]);
        for command in commands {
            let prepared = encode(command, &vin, [7; 16], now);
            assert!(decode(&prepared) == Some((command, vin.clone())), "{command:?}");
            assert_ne!(prepared, encode(command, &vin, [8; 16], now), "the nonce makes each unique");
        }
    }

    #[test]
    fn the_stored_form_of_version_1_stays_readable() {
        let stored = br#"{"v":1,"maker":"smartcar","command":"open","class":"tailgate_with_cabin","vin":"YV1XZ16B0N2100001","nonce":"07070707070707070707070707070707","prepared_at_ms":1795446000000}"#;
        let vin = Vin::parse("YV1XZ16B0N2100001").unwrap();
        let again = encode(
            Command::Open(AccessClass::TailgateWithCabin),
            &vin,
            [7; 16],
            Timestamp::from_unix_seconds(1_795_446_000),
        );
        assert_eq!(again.as_bytes(), stored, "a change here needs a new version number");
        assert!(decode(&Prepared::from_bytes(stored.to_vec())).is_some());
    }

    #[test]
    fn foreign_bytes_are_refused() {
        for bytes in [
            "",
            "{}",
            r#"{"v":2,"maker":"smartcar","command":"lock","vin":"YV1XZ16B0N2100001","nonce":"","prepared_at_ms":0}"#,
            r#"{"v":1,"maker":"other","command":"lock","vin":"YV1XZ16B0N2100001","nonce":"","prepared_at_ms":0}"#,
            r#"{"v":1,"maker":"smartcar","command":"open","vin":"YV1XZ16B0N2100001","nonce":"","prepared_at_ms":0}"#,
            r#"{"v":1,"maker":"smartcar","command":"lock","class":"trunk","vin":"YV1XZ16B0N2100001","nonce":"","prepared_at_ms":0}"#,
            r#"{"v":1,"maker":"smartcar","command":"lock","vin":"SHORT","nonce":"","prepared_at_ms":0}"#,
            r#"{"v":1,"maker":"smartcar","command":"lock","vin":"YV1XZ16B0N2100001","nonce":"","prepared_at_ms":0,"x":1}"#,
        ] {
            assert!(decode(&Prepared::from_bytes(bytes.into())).is_none(), "{bytes}");
        }
        assert!(decode(&Prepared::from_bytes(vec![b' '; 4_096])).is_none());
    }
}
