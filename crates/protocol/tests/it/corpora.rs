//! The fuzz targets over their committed corpora, and over every prefix and many changed bytes of each file. To write the
//! seeds anew from the vectors: `UPDATE_CORPORA=1 cargo test -p parcelshelf-protocol --test it corpora`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use parcelshelf_log::cosign::WitnessSigner;
use parcelshelf_log::note::{Checkpoint, LogSigner};
use parcelshelf_log::proof::PublicProof;
use parcelshelf_log::record::{Kind, RecordBuilder};
use parcelshelf_log::shown::ShownRecord;
use parcelshelf_log::tree::{leaf_hash, node_hash};
use parcelshelf_log::witness::AddCheckpoint;
use parcelshelf_protocol::bundle::Bundle;
use serde_json::Value;

use crate::case::delivered;

#[path = "../../../../fuzz/src/targets.rs"]
mod targets;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus")
}
fn vectors(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors").join(name);
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[derive(Default)]
struct Seeds(BTreeMap<&'static str, Vec<Vec<u8>>>);
impl Seeds {
    fn add(&mut self, target: &'static str, bytes: impl Into<Vec<u8>>) {
        self.0.entry(target).or_default().push(bytes.into());
    }
}

/// From the vectors and a whole case: one good file of each form at least.
fn seeds() -> Seeds {
    let mut s = Seeds::default();
    let bundle = delivered();
    of_a_case(&mut s, &bundle);
    for case in vectors("messages.json")["cases"].as_array().unwrap().iter().filter(|c| c["expect"] == "ok") {
        for (name, target) in [("jws", "messages"), ("ticket", "messages"), ("assertion", "assertion")] {
            if let Some(text) = case["input"][name].as_str() {
                s.add(target, text);
            }
        }
        if let Some(text) = case["input"]["statement"].as_str() {
            let bytes = parcelshelf_protocol::encoding::from_b64(text).unwrap_or_else(|| text.as_bytes().to_vec());
            s.add("statement", bytes);
        }
    }
    let values = vectors("values.json");
    s.add("contents", values["rules"][0]["bytes"].as_str().unwrap());
    for content in [
        r#"{"latitude":57.7,"longitude":11.8,"accuracy_m":25,"taken_at":null,"read_at":"2026-11-23T15:00:00.000Z","colour":"blue","model":null,"class":"trunk"}"#,
        r#"{"latitude":57.7,"longitude":11.8,"accuracy_m":25,"nonce":"AAABogjryYARwjXmmvNG"}"#,
        r#"{"vin":"YV1ZW25UMR1000001"}"#,
        r#"{"plate":"KLM 482","colour":"blue","model":"V60","opens_how":"hand under the handle","notes":"","records_video":true}"#,
    ] {
        s.add("contents", content);
    }
    s.add("nonce", values["nonces"][0]["nonce"].as_str().unwrap());
    s.add("sealed", parcelshelf_protocol::encoding::from_b64(values["boxes"][0]["box"].as_str().unwrap()).unwrap());
    for text in [
        "872830828ffffff",
        "2026-11-23T15:00:00.000Z",
        "YV1ZW25UMR1000001",
        "JD-0002 1234 5678",
        bundle.anchors.operator.to_jwk().as_str(),
        "kind=alarm\nat=2026-11-23T15:00:00.000Z\ndelivery=AAAAAAAAAAAAAAAAAAAAAA\nattempt=AAAAAAAAAAAAAAAAAAAAAA\nreason=left_open",
    ] {
        s.add("values", text);
    }
    of_a_log(&mut s);
    s.add(
        "maker_json",
        r#"{"data":{"tailgate":{"value":"CLOSED","timestamp":"2026-11-23T15:00:00Z"}},"list":[1,2.5,null,true]}"#,
    );
    s
}

fn of_a_case(s: &mut Seeds, bundle: &Bundle) {
    s.add("bundle", bundle.encode());
    s.add("assertion", bundle.assertion.to_json());
    s.add("statement", bundle.passkeys[0].statement.clone());
    let carrier = bundle.carrier.as_ref().unwrap();
    let all = [&bundle.keys, &carrier.cert, &carrier.delegation_cert, &bundle.grant, &bundle.accepted];
    for message in all.into_iter().chain(&carrier.delegations).chain(&bundle.proofs) {
        s.add("messages", message.as_str());
    }
    let ticket = format!("{}~{}~{}", carrier.request, carrier.delegation_cert, carrier.cert);
    s.add("messages", ticket);
    s.add("record", bundle.records[0].bytes.clone());
    s.add("note", bundle.checkpoint.as_str());
    s.add("note", bundle.anchors.log.as_str());
}

/// A log of two leaves, signed and cosigned by the keys that the targets know.
fn of_a_log(s: &mut Seeds) {
    let name = "gateway.example/log";
    let log = LogSigner::from_seed(name, &[9; 32]).unwrap();
    let witness = WitnessSigner::from_seed("witness.example", &[7; 32]).unwrap();
    let built = RecordBuilder::new(Kind::Locked, [3; 32]).field("lock_proof", "observed").build().unwrap();
    let (a, leaf) = (leaf_hash(b"a"), leaf_hash(&built.record.entry()));
    let checkpoint = Checkpoint { origin: name.into(), size: 2, root: node_hash(&a, &leaf) };
    let note = log.sign(&checkpoint.text()) + &witness.cosign(&checkpoint, 1_790_000_000);
    let proof = PublicProof { leaf, index: 1, inclusion: vec![a], note: note.clone() };
    s.add("public_proof", proof.text());
    s.add("record", built.record.bytes());
    s.add("shown_record", ShownRecord { record: built.record, openings: built.openings, proof }.text());
    s.add("note", note.as_str());
    s.add("note", witness.verifier().line());
    s.add("add_checkpoint", AddCheckpoint { old: 1, proof: vec![a, leaf], note }.text());
    s.add("tile", "tile/0/x001/x234/067");
    s.add("tile", "tile/entries/000.p/17");
    s.add("tile", [&[0, 32][..], &a, &[0, 32], &leaf].concat());
    s.add("tree", [&1_u64.to_le_bytes()[..], &1_u64.to_le_bytes(), &a, &checkpoint.root].concat());
    let key = parcelshelf_protocol::jws::SigningKey::from_scalar(&[7; 32]).unwrap();
    let signature = parcelshelf_protocol::jws::Sign::sign(&key, b"message").unwrap();
    let point = parcelshelf_protocol::jws::Sign::verifying_key(&key).point();
    s.add("signatures", [&signature[..], point, b"message"].concat());
}

/// Files of a target, in their order.
fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let Ok(entries) = fs::read_dir(folder().join(target)) else { return Vec::new() };
    let mut all: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
    all.sort();
    all.into_iter().map(|p| (p.clone(), fs::read(p).unwrap())).collect()
}

fn write_if_asked() {
    if std::env::var_os("UPDATE_CORPORA").is_none() {
        return;
    }
    for (target, files) in seeds().0 {
        let dir = folder().join(target);
        fs::create_dir_all(&dir).unwrap();
        for (n, bytes) in files.iter().enumerate() {
            fs::write(dir.join(format!("seed-{n:02}")), bytes).unwrap();
        }
    }
}

/// A file takes part up to this many changes, spread over it.
const CHANGES_MAX: usize = 400;

#[test]
fn every_target_takes_its_corpus_and_what_lies_beside_it() {
    write_if_asked();
    let mut runs = 0;
    for (name, target) in targets::TARGETS {
        let files = corpus(name);
        assert!(!files.is_empty(), "{name} has no corpus");
        for (path, bytes) in files {
            println!("{}", path.display());
            target(&bytes);
            let step = bytes.len().div_ceil(CHANGES_MAX).max(1);
            for at in (0..bytes.len()).step_by(step) {
                target(&bytes[..at]);
                let mut changed = bytes.clone();
                changed[at] = changed[at].wrapping_add(1 + u8::try_from(at % 7).unwrap());
                target(&changed);
                runs += 3;
            }
        }
    }
    println!("{runs} runs");
}

/// The script reads the names from the file; the folders are theirs and nobody else's.
#[test]
fn there_is_a_corpus_for_every_target_and_for_nothing_else() {
    let mut folders: Vec<String> =
        fs::read_dir(folder()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    folders.sort();
    let mut names: Vec<&str> = targets::TARGETS.iter().map(|(n, _)| *n).collect();
    names.sort_unstable();
    assert_eq!(folders, names);
}
