//! The bytes of a command. This cloud signs nothing, so they hold the wish itself; the nonce makes each unique.

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
struct Stored {
    v: u8,
    maker: String,
    command: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<String>,
    vin: String,
    nonce: String,
    prepared_at_ms: i64,
}

/// What the bytes say.
#[derive(Debug, PartialEq)]
pub(crate) struct Wish {
    pub command: Command,
    pub vin: Vin,
    pub prepared_at: Timestamp,
}

pub(crate) fn encode(command: Command, vin: &Vin, nonce: [u8; 16], now: Timestamp) -> Prepared {
    let (word, class) = match command {
        Command::Open(class) => ("open", Some(class.code().to_owned())),
        Command::Lock => ("lock", None),
    };
    let stored = Stored {
        v: VERSION,
        maker: crate::MAKER.to_owned(),
        command: word.to_owned(),
        class,
        vin: vin.expose().to_owned(),
        nonce: nonce.iter().map(|b| format!("{b:02x}")).collect(),
        prepared_at_ms: now.unix_millis(),
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
    let prepared_at = Timestamp::from_unix_millis(stored.prepared_at_ms);
    Some(Wish { command, vin: Vin::parse(&stored.vin).ok()?, prepared_at })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_795_446_000);
    fn vin() -> Vin {
        Vin::parse("0HALLWAY000000001").unwrap()
    }

    #[test]
    fn bytes_come_back_as_the_command_they_were_made_from() {
        for command in AccessClass::ALL.map(Command::Open).into_iter().chain([Command::Lock]) {
            let prepared = encode(command, &vin(), [7; 16], NOW);
            assert_eq!(decode(&prepared), Some(Wish { command, vin: vin(), prepared_at: NOW }));
            assert_ne!(prepared, encode(command, &vin(), [8; 16], NOW), "the nonce makes each unique");
        }
    }

    #[test]
    fn the_stored_form_of_version_1_stays_readable() {
        let stored = br#"{"v":1,"maker":"seam","command":"open","class":"door","vin":"0HALLWAY000000001","nonce":"07070707070707070707070707070707","prepared_at_ms":1795446000000}"#;
        let again = encode(Command::Open(AccessClass::Door), &vin(), [7; 16], NOW);
        assert_eq!(again.as_bytes(), stored, "a change here needs a new version number");
    }

    #[test]
    fn foreign_bytes_are_refused() {
        for bytes in [
            "",
            "{}",
            r#"{"v":2,"maker":"seam","command":"lock","vin":"0HALLWAY000000001","nonce":"","prepared_at_ms":0}"#,
            r#"{"v":1,"maker":"other","command":"lock","vin":"0HALLWAY000000001","nonce":"","prepared_at_ms":0}"#,
            r#"{"v":1,"maker":"seam","command":"open","vin":"0HALLWAY000000001","nonce":"","prepared_at_ms":0}"#,
            r#"{"v":1,"maker":"seam","command":"lock","class":"door","vin":"0HALLWAY000000001","nonce":"","prepared_at_ms":0}"#,
            r#"{"v":1,"maker":"seam","command":"lock","vin":"SHORT","nonce":"","prepared_at_ms":0}"#,
            r#"{"v":1,"maker":"seam","command":"lock","vin":"0HALLWAY000000001","nonce":"","prepared_at_ms":0,"x":1}"#,
        ] {
            assert!(decode(&Prepared::from_bytes(bytes.into())).is_none(), "{bytes}");
        }
        assert!(decode(&Prepared::from_bytes(vec![b' '; 4_096])).is_none());
    }
}
