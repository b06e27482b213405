//! `vectors/log.json`: made from published seeds, committed, made again here and compared; then each case is read from the
//! file and run through the public interface. To write it anew: `UPDATE_VECTORS=1 cargo test -p parcelshelf-log --test
//! vectors`.

#![allow(clippy::unwrap_used, reason = "tests; what fails here must stop the test")]

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use parcelshelf_log::Hash;
use parcelshelf_log::note::{Checkpoint, LogSigner, LogVerifier, NotANote};
use parcelshelf_log::record::{Built, ChainHead, Kind, NotARecord, Opening, Record, RecordBuilder};
use parcelshelf_log::sequencer::{self, STEP_ENTRIES_MAX};
use parcelshelf_log::tile::{TileId, TileKind};
use parcelshelf_log::tree::{self, Frontier, leaf_hash};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const ABOUT: &str = "Codes and constructions as in docs/protocol/records-and-log.md. Binary values are base64url, text stands as \
it is. records: each from its seed and fields; an opening is checked against bytes. tree: entry n is SHA-256 of n as 8 bytes, \
big-endian. inclusion and consistency: proofs to check against the roots. checkpoints: notes to check by the verifier key; alone \
means that no other signature may stand in it. tiles: of the tree of 300 entries. A seed is SHA-256(\"parcelshelf test key: \" || name).";
const LOG: &str = "gateway.example/log";
/// Leaves of the biggest tree with proofs.
const LEAVES: u64 = 300;

fn sha256(bytes: impl AsRef<[u8]>) -> Hash {
    Sha256::digest(bytes).into()
}
fn published(name: &str) -> Hash {
    sha256(format!("parcelshelf test key: {name}"))
}
fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
fn from_b64(value: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(value.as_str().unwrap()).unwrap()
}
fn hash(value: &Value) -> Hash {
    from_b64(value).try_into().unwrap()
}
fn hashes(value: &Value) -> Vec<Hash> {
    value.as_array().unwrap().iter().map(hash).collect()
}
fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}
/// Members in alphabetical order, whichever map serde_json was built with.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let ordered: std::collections::BTreeMap<&String, Value> = map.iter().map(|(n, v)| (n, sorted(v))).collect();
            Value::Object(ordered.into_iter().map(|(n, v)| (n.clone(), v)).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

/// Compares with what is committed, or writes it if asked to.
fn same_as_committed(made: &Value) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../vectors/log.json");
    let text = serde_json::to_string_pretty(&sorted(made)).unwrap() + "\n";
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    assert!(committed == text, "vectors/log.json differs from what the code makes");
    serde_json::from_str(&committed).unwrap()
}

const fn record_code(result: &Result<(), NotARecord>) -> &'static str {
    match result {
        Ok(()) => "ok",
        Err(NotARecord::NotCanonical) => "record_not_canonical",
        Err(NotARecord::Bounds) => "record_bounds",
        Err(NotARecord::WrongOpening) => "record_wrong_opening",
        Err(NotARecord::NoSuchField) => "record_no_such_field",
    }
}
const fn note_code<T>(result: &Result<T, NotANote>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(NotANote::Form) => "note_form",
        Err(NotANote::Key) => "note_key",
        Err(NotANote::Signature) => "note_signature",
        Err(NotANote::Checkpoint) => "note_checkpoint",
    }
}

// Records

/// Three records of one chain and one outside it.
fn built() -> Vec<(&'static str, Built)> {
    let fields = |builder: RecordBuilder, fields: &[(&str, &str)]| {
        fields.iter().fold(builder, |builder, (name, value)| builder.field(name, *value))
    };
    let (delivery, attempt) = (b64(&published("delivery")[..16]), b64(&published("attempt")[..16]));
    let proof = b64(published("a proof"));
    let key = RecordBuilder::new(Kind::KeyAdded, published("record 0"));
    let key = fields(key, &[("at", "2026-11-23T14:30:00.000Z"), ("keys", &b64(published("keys")))]);
    let mut all = vec![("outside a chain", key.build().unwrap())];
    let mut head = ChainHead::default();
    for (name, kind, own) in [
        ("first of a chain", Kind::PlaceDisclosed, vec![("delivery", delivery.as_str()), ("proof", &proof)]),
        (
            "second of a chain",
            Kind::OpenIntended,
            vec![("delivery", delivery.as_str()), ("attempt", &attempt), ("command", "1"), ("proof", &proof)],
        ),
        (
            "third of a chain, with a text beyond ASCII",
            Kind::Alarm,
            vec![("delivery", delivery.as_str()), ("attempt", &attempt), ("reason", "Öppen \"lucka\"\n")],
        ),
    ] {
        let builder = RecordBuilder::new(kind, published(&format!("record {}", all.len())));
        let builder = fields(fields(builder, &[("at", "2026-11-23T15:00:00.123Z")]), &own);
        let built = head.onto(builder).build().unwrap();
        head = head.after(&built.record);
        all.push((name, built));
    }
    all
}
fn records() -> Vec<Value> {
    let all = built();
    let records = all.iter().enumerate().map(|(n, (name, built))| {
        let fields = built.openings.iter().map(|o| json!({"name": o.name, "salt": b64(o.salt), "value": o.value}));
        json!({
            "name": name,
            "seed": b64(published(&format!("record {n}"))),
            "fields": fields.collect::<Vec<_>>(),
            "bytes": String::from_utf8(built.record.bytes().to_vec()).unwrap(),
            "entry": b64(built.record.entry()),
            "leaf_hash": b64(leaf_hash(&built.record.entry())),
            "chain_hash": b64(built.record.chain_hash()),
        })
    });
    records.collect()
}
fn bad_records() -> Vec<Value> {
    let good = String::from_utf8(built()[1].1.record.bytes().to_vec()).unwrap();
    let commitment = b64(published("a commitment"));
    let with = |fields: &[String]| {
        let fields: Vec<String> = fields.iter().map(|name| format!("[\"{name}\",\"{commitment}\"]")).collect();
        format!("{{\"v\":1,\"fields\":[{}]}}", fields.join(","))
    };
    let long = "a".repeat(33);
    let letters = ('a'..='z').flat_map(|a| ['a', 'b'].map(|b| format!("{a}{b}")));
    let names: Vec<String> = letters.take(33).collect();
    let one = |name: &str| with(&[name.to_owned()]);
    [
        ("white space", good.replacen(':', ": ", 1), "record_not_canonical"),
        ("a line feed at the end", format!("{good}\n"), "record_not_canonical"),
        ("another version", good.replacen("\"v\":1", "\"v\":2", 1), "record_not_canonical"),
        ("a member more", good.replacen("{\"v\":1", "{\"v\":1,\"w\":1", 1), "record_not_canonical"),
        ("a member twice", good.replacen("\"v\":1", "\"v\":1,\"v\":1", 1), "record_not_canonical"),
        ("an escape in a name", good.replacen("\"kind\"", "\"k\\u0069nd\"", 1), "record_not_canonical"),
        (
            "a padded commitment",
            one("kind").replacen(&commitment, &format!("{commitment}="), 1),
            "record_not_canonical",
        ),
        (
            "stray bits in a commitment",
            one("kind").replacen(&commitment, &stray(&commitment), 1),
            "record_not_canonical",
        ),
        ("a commitment of 31 bytes", one("kind").replacen(&commitment, &b64([0; 31]), 1), "record_not_canonical"),
        ("three parts in a field", good.replacen("\"],[", "\",0],[", 1), "record_not_canonical"),
        ("no JSON", "record".into(), "record_not_canonical"),
        ("cut off", good[..good.len() - 1].to_owned(), "record_not_canonical"),
        ("no field", with(&[]), "record_bounds"),
        ("33 fields", with(&names), "record_bounds"),
        ("a name twice", with(&["kind".to_owned(), "kind".to_owned()]), "record_bounds"),
        ("a name of 33 letters", one(&long), "record_bounds"),
        ("an upper-case name", one("Kind"), "record_bounds"),
        ("an empty name", one(""), "record_bounds"),
        ("good: 32 fields", with(&names[..32]), "ok"),
        ("good: a name of 32 letters", one(&long[..32]), "ok"),
    ]
    .into_iter()
    .map(|(name, bytes, expect)| json!({"name": name, "bytes": bytes, "expect": expect}))
    .collect()
}
/// The same bytes with a last character whose unused bits are not zero.
fn stray(encoded: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (start, last) = encoded.split_at(encoded.len() - 1);
    let at = ALPHABET.iter().position(|c| *c == last.as_bytes()[0]).unwrap();
    format!("{start}{}", char::from(ALPHABET[at | 1]))
}
fn openings() -> Vec<Value> {
    let all = built();
    let (record, openings) = (&all[2].1.record, &all[2].1.openings);
    let good = |name: &str| openings.iter().find(|o| o.name == name).unwrap().clone();
    let elsewhere = all[1].1.openings.iter().find(|o| o.name == "proof").unwrap().clone();
    let cases: Vec<(&str, Opening, &str)> = vec![
        ("a field", good("command"), "ok"),
        ("the chain's place", good("chain_prev"), "ok"),
        ("another value", Opening { value: "2".into(), ..good("command") }, "record_wrong_opening"),
        ("another salt", Opening { salt: [0; 32], ..good("command") }, "record_wrong_opening"),
        ("another field's name", Opening { name: "attempt".into(), ..good("command") }, "record_wrong_opening"),
        ("the same value in another record", elsewhere, "record_wrong_opening"),
        ("a boundary moved", Opening { name: "comman".into(), ..good("command") }, "record_no_such_field"),
        ("no such field", Opening { name: "reason".into(), ..good("command") }, "record_no_such_field"),
    ];
    let record = String::from_utf8(record.bytes().to_vec()).unwrap();
    let cases = cases.into_iter().map(|(name, o, expect)| {
        let opening = json!({"name": o.name, "salt": b64(o.salt), "value": o.value});
        json!({"name": name, "bytes": record, "opening": opening, "expect": expect})
    });
    cases.collect()
}

// Tree

fn entries(n: u64) -> Vec<Hash> {
    (0..n).map(|i| sha256(i.to_be_bytes())).collect()
}
fn leaves(n: u64) -> Vec<Hash> {
    entries(n).iter().map(|e| leaf_hash(e)).collect()
}
/// Computes every subtree from its leaves.
struct Plain(Vec<Hash>);
impl tree::Subtrees for Plain {
    fn subtree(&self, level: u8, index: u64) -> Option<Hash> {
        let (start, end) = ((index << level) as usize, ((index + 1) << level) as usize);
        self.0.get(start..end).map(tree::root)
    }
}
fn heads() -> Vec<Value> {
    let sizes = (0..=17).chain([31, 32, 33, 255, 256, 257, LEAVES]);
    sizes.map(|n| json!({"size": n, "root": b64(tree::root(&leaves(n)))})).collect()
}
fn encoded(proof: &[Hash]) -> Vec<String> {
    proof.iter().map(b64).collect()
}
fn inclusion() -> Vec<Value> {
    let plain = Plain(leaves(LEAVES));
    let case = |name: &str, index: u64, size: u64, leaf: Hash, proof: &[Hash], root: Hash, expect: &str| {
        json!({
            "name": name, "index": index, "size": size, "leaf_hash": b64(leaf), "proof": encoded(proof),
            "root": b64(root), "expect": expect,
        })
    };
    let good = |index, size| {
        let proof = tree::inclusion_proof(&plain, index, size).unwrap();
        (plain.0[index as usize], proof, tree::root(&leaves(size)))
    };
    let mut cases: Vec<Value> =
        [(0, 1), (0, 2), (1, 2), (2, 3), (4, 5), (5, 7), (6, 7), (0, 8), (7, 8), (255, 256), (256, 257), (299, 300)]
            .into_iter()
            .map(|(index, size)| {
                let (leaf, proof, root) = good(index, size);
                case(&format!("leaf {index} of {size}"), index, size, leaf, &proof, root, "ok")
            })
            .collect();
    let (leaf, proof, root) = good(5, 7);
    let mut changed = proof.clone();
    changed[1][0] ^= 1;
    let swapped = [proof[1], proof[0], proof[2]];
    let too_many = [root; 65];
    let no = "not_included";
    cases.extend([
        case("another leaf", 5, 7, plain.0[4], &proof, root, no),
        case("another index", 4, 7, leaf, &proof, root, no),
        case("another size with the same path", 5, 6, leaf, &proof, root, no),
        case("an index beyond the tree", 7, 7, leaf, &proof, root, no),
        case("an index far beyond", u64::from(u32::MAX), 7, leaf, &proof, root, no),
        case("the empty tree", 0, 0, leaf, &[], tree::empty_root(), no),
        case("another root", 5, 7, leaf, &proof, tree::root(&leaves(8)), no),
        case("a bit changed", 5, 7, leaf, &changed, root, no),
        case("two hashes swapped", 5, 7, leaf, &swapped, root, no),
        case("one hash short", 5, 7, leaf, &proof[..2], root, no),
        case("one hash more", 5, 7, leaf, &[&proof[..], &[root]].concat(), root, no),
        case("no proof", 5, 7, leaf, &[], root, no),
        case("65 hashes", 5, 7, leaf, &too_many, root, no),
        case("a node shown as a leaf", 0, 2, tree::node_hash(&plain.0[0], &plain.0[1]), &proof[1..2], root, no),
    ]);
    cases
}
fn consistency() -> Vec<Value> {
    let plain = Plain(leaves(LEAVES));
    let root = |n| tree::root(&leaves(n));
    let case = |name: &str, old: u64, new: u64, proof: &[Hash], roots: (Hash, Hash), expect: &str| {
        json!({
            "name": name, "old": old, "new": new, "proof": encoded(proof), "old_root": b64(roots.0),
            "new_root": b64(roots.1), "expect": expect,
        })
    };
    let good = |old, new| tree::consistency_proof(&plain, old, new).unwrap();
    let pairs =
        [(0, 0), (0, 5), (1, 1), (1, 2), (2, 3), (3, 7), (4, 7), (4, 8), (6, 8), (7, 8), (255, 257), (256, 300)];
    let mut cases: Vec<Value> = pairs
        .into_iter()
        .map(|(old, new)| case(&format!("{old} to {new}"), old, new, &good(old, new), (root(old), root(new)), "ok"))
        .collect();
    let proof = good(3, 7);
    let mut forked = leaves(3);
    forked[0][0] ^= 1;
    let mut changed = proof.clone();
    changed[0][31] ^= 0x80;
    let no = "not_consistent";
    cases.extend([
        case("a fork", 3, 7, &proof, (tree::root(&forked), root(7)), no),
        case("roots swapped", 3, 7, &proof, (root(7), root(3)), no),
        case("smaller than before", 7, 3, &proof, (root(7), root(3)), no),
        case("a bit changed", 3, 7, &changed, (root(3), root(7)), no),
        case("one hash short", 3, 7, &proof[1..], (root(3), root(7)), no),
        case("one hash more", 3, 7, &[&proof[..], &[root(3)]].concat(), (root(3), root(7)), no),
        case("no proof", 3, 7, &[], (root(3), root(7)), no),
        case("equal sizes, other roots", 3, 3, &[], (tree::root(&forked), root(3)), no),
        case("equal sizes with a proof", 3, 3, &proof, (root(3), root(3)), no),
        case("from an empty tree that is not", 0, 7, &[], (root(1), root(7)), no),
        case("from the empty tree with a proof", 0, 7, &proof, (tree::empty_root(), root(7)), no),
        case("65 hashes", 3, 7, &[root(3); 65], (root(3), root(7)), no),
    ]);
    cases
}

// Checkpoints

fn signer() -> LogSigner {
    LogSigner::from_seed(LOG, &published("keyholder log")).unwrap()
}
fn checkpoints() -> Vec<Value> {
    let signer = signer();
    let root = tree::root(&leaves(7));
    let checkpoint = Checkpoint { origin: LOG.into(), size: 7, root };
    let note = signer.sign(&checkpoint.text());
    let (body, signature) = note.split_once("\n\n").unwrap();
    let witness = LogSigner::from_seed("witness.example", &published("witness")).unwrap();
    let cosigned = format!("{note}{}", witness.sign(&checkpoint.text()).split_once("\n\n").unwrap().1);
    let impostor = LogSigner::from_seed(LOG, &published("somebody")).unwrap();
    let signed = |text: String| signer.sign(&text);
    let encoded = STANDARD.encode(root);
    let ok = "ok";
    let cases = [
        ("good", note.clone(), true, ok),
        ("the empty tree", Checkpoint { size: 0, root: tree::empty_root(), ..checkpoint.clone() }.text(), true, ok),
        ("with a witness's signature", cosigned.clone(), false, ok),
        ("with a witness's signature, where none may stand", cosigned, true, "note_form"),
        ("signed twice", format!("{note}{signature}"), true, "note_form"),
        ("unsigned", format!("{body}\n"), false, "note_form"),
        ("no line feed at the end", note.trim_end().to_owned(), false, "note_form"),
        ("a hyphen for the dash", note.replacen('\u{2014}', "-", 1), false, "note_form"),
        ("nothing", String::new(), false, "note_form"),
        ("too long", format!("{}{note}", "x".repeat(9_000)), false, "note_form"),
        ("by another key of the same name", impostor.sign(&checkpoint.text()), false, "note_signature"),
        ("by a witness only", witness.sign(&checkpoint.text()), false, "note_signature"),
        ("another size", note.replacen("\n7\n", "\n8\n", 1), false, "note_signature"),
        ("another root", note.replacen(&encoded, &STANDARD.encode([0; 32]), 1), false, "note_signature"),
        ("another log's origin", signed(format!("other.example/log\n7\n{encoded}\n")), false, "note_checkpoint"),
        ("a size with a zero before", signed(format!("{LOG}\n07\n{encoded}\n")), false, "note_checkpoint"),
        ("a size with a sign", signed(format!("{LOG}\n+7\n{encoded}\n")), false, "note_checkpoint"),
        ("a negative size", signed(format!("{LOG}\n-7\n{encoded}\n")), false, "note_checkpoint"),
        (
            "a size beyond 64 bits",
            signed(format!("{LOG}\n18446744073709551616\n{encoded}\n")),
            false,
            "note_checkpoint",
        ),
        (
            "a root without padding",
            signed(format!("{LOG}\n7\n{}\n", encoded.trim_end_matches('='))),
            false,
            "note_checkpoint",
        ),
        ("a root of 31 bytes", signed(format!("{LOG}\n7\n{}\n", STANDARD.encode([0; 31]))), false, "note_checkpoint"),
        ("a line more", signed(format!("{LOG}\n7\n{encoded}\nmore\n")), false, "note_checkpoint"),
        ("a line short", signed(format!("{LOG}\n7\n")), false, "note_checkpoint"),
    ];
    let cases = cases.into_iter().map(|(name, note, alone, expect)| {
        // The empty tree's is built from its text.
        let note = if note.contains('\u{2014}') || expect != ok { note } else { signed(note) };
        json!({"name": name, "note": note, "alone": alone, "key": signer.verifier().line(), "expect": expect})
    });
    cases.collect()
}
fn verifier_keys() -> Vec<Value> {
    let line = signer().verifier().line();
    // The base64 of a key may hold a plus sign, and this one does.
    let parts: Vec<&str> = line.splitn(3, '+').collect();
    let (id, key) = (parts[1], parts[2]);
    assert!(key.contains('+'));
    let rest = format!("{}+{id}", parts[0]);
    let mut bytes = STANDARD.decode(key).unwrap();
    bytes[0] = 2;
    let other_type = format!("{rest}+{}", STANDARD.encode(&bytes));
    let upper = line.replacen(id, &id.to_uppercase(), 1);
    assert_ne!(upper, line, "the id has a letter");
    let cases = [
        ("good", line.clone(), "ok"),
        ("another id", line.replacen(id, "00000000", 1), "note_key"),
        ("an id in upper case", upper, "note_key"),
        ("another type of signature", other_type, "note_key"),
        ("a character more", format!("{line}A"), "note_key"),
        ("a key of 31 bytes", format!("{rest}+{}", STANDARD.encode([1; 32])), "note_key"),
        ("a space in the name", line.replacen("gateway", "gate way", 1), "note_key"),
        ("no name", format!("+{}", line.split_once('+').unwrap().1), "note_key"),
        ("two parts", rest, "note_key"),
        ("nothing", String::new(), "note_key"),
    ];
    cases.into_iter().map(|(name, line, expect)| json!({"name": name, "line": line, "expect": expect})).collect()
}

// Tiles

fn tiles() -> Value {
    assert!(LEAVES as usize <= STEP_ENTRIES_MAX);
    let plan = sequencer::plan(&Frontier::default(), &entries(LEAVES), |_, _| None);
    let tiles = plan.tiles.iter().map(|(id, bytes)| json!({"path": id.path(), "sha256": b64(sha256(bytes))}));
    let paths = [(0, 0, 256), (0, 1, 44), (1, 0, 1), (2, 999, 255), (5, 1_000, 256), (0, 1_234_067, 256)];
    let good = paths.into_iter().map(|(level, number, width)| {
        let id = TileId { kind: TileKind::Hashes { level }, number, width };
        json!({"path": id.path(), "level": level, "number": number, "width": width})
    });
    let bad = [
        "tile/0/1",
        "tile/0/0001",
        "tile/0/x000/001",
        "tile/6/000",
        "tile/00/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/001/x002",
        "tile/0/../000",
        "tile/0/000/",
        "/tile/0/000",
        "tile/entries/0",
        "tile/x/000",
        "tile/0/+01",
        "",
    ];
    json!({"of_300_entries": tiles.collect::<Vec<_>>(), "paths": good.collect::<Vec<_>>(), "no_paths": bad})
}

#[test]
fn the_log() {
    let made = json!({
        "about": ABOUT,
        "log_key": {"seed": b64(published("keyholder log")), "line": signer().verifier().line()},
        "records": records(),
        "record_bytes": bad_records(),
        "openings": openings(),
        "heads": heads(),
        "inclusion": inclusion(),
        "consistency": consistency(),
        "checkpoints": checkpoints(),
        "verifier_keys": verifier_keys(),
        "tiles": tiles(),
    });
    let file = same_as_committed(&made);
    let cases = |name: &str| file[name].as_array().unwrap().clone();
    let (mut good, mut bad) = (0, 0);
    let mut check = |case: &Value, code: &str| {
        assert_eq!(code, text(&case["expect"]), "{}", case["name"]);
        *(if code == "ok" { &mut good } else { &mut bad }) += 1;
    };

    let mut previous: Option<Record> = None;
    for case in cases("records") {
        let kind = Kind::parse(text(&case["fields"][0]["value"])).unwrap();
        let fields = case["fields"].as_array().unwrap();
        let builder = fields
            .iter()
            .skip(1)
            .fold(RecordBuilder::new(kind, hash(&case["seed"])), |b, f| b.field(text(&f["name"]), text(&f["value"])));
        let built = builder.build().unwrap();
        assert_eq!(built.record.bytes(), text(&case["bytes"]).as_bytes(), "{}", case["name"]);
        assert_eq!(Record::parse(text(&case["bytes"]).as_bytes()).as_ref(), Ok(&built.record));
        assert_eq!(built.record.entry(), hash(&case["entry"]));
        assert_eq!(leaf_hash(&built.record.entry()), hash(&case["leaf_hash"]));
        assert_eq!(built.record.chain_hash(), hash(&case["chain_hash"]));
        for (opening, field) in built.openings.iter().zip(fields) {
            assert_eq!(opening.salt, hash(&field["salt"]));
        }
        if let Some(last) = fields.iter().find(|f| f["name"] == "chain_prev" && f["value"] != b64([0; 32])) {
            assert_eq!(hash(&last["value"]), previous.unwrap().chain_hash(), "{}", case["name"]);
        }
        previous = Some(built.record);
    }
    for case in cases("record_bytes") {
        check(&case, record_code(&Record::parse(text(&case["bytes"]).as_bytes()).map(|_| ())));
    }
    for case in cases("openings") {
        let o = &case["opening"];
        let opening =
            Opening { name: text(&o["name"]).into(), salt: hash(&o["salt"]), value: text(&o["value"]).into() };
        let record = Record::parse(text(&case["bytes"]).as_bytes()).unwrap();
        check(&case, record_code(&record.check(&opening)));
    }
    for head in cases("heads") {
        let size = head["size"].as_u64().unwrap();
        let mut frontier = Frontier::default();
        leaves(size).into_iter().for_each(|leaf| frontier.append(leaf, |_, _, _| {}));
        assert_eq!(frontier.root(), hash(&head["root"]), "{size}");
    }
    for case in cases("inclusion") {
        let (index, size) = (case["index"].as_u64().unwrap(), case["size"].as_u64().unwrap());
        let (leaf, proof, root) = (hash(&case["leaf_hash"]), hashes(&case["proof"]), hash(&case["root"]));
        let holds = tree::verify_inclusion(&leaf, index, size, &proof, &root);
        check(&case, if holds { "ok" } else { "not_included" });
    }
    for case in cases("consistency") {
        let (old, new) = (case["old"].as_u64().unwrap(), case["new"].as_u64().unwrap());
        let (proof, roots) = (hashes(&case["proof"]), (hash(&case["old_root"]), hash(&case["new_root"])));
        let holds = tree::verify_consistency(old, new, &proof, &roots.0, &roots.1);
        check(&case, if holds { "ok" } else { "not_consistent" });
    }
    for case in cases("checkpoints") {
        let key = LogVerifier::parse(text(&case["key"])).unwrap();
        let note = text(&case["note"]);
        let alone = case["alone"].as_bool().unwrap();
        let verified = if alone { Checkpoint::verify_alone(note, &key) } else { Checkpoint::verify(note, &key) };
        check(&case, note_code(&verified));
    }
    for case in cases("verifier_keys") {
        check(&case, note_code(&LogVerifier::parse(text(&case["line"]))));
    }
    for path in file["tiles"]["paths"].as_array().unwrap() {
        let id = TileId::parse(text(&path["path"])).unwrap();
        assert_eq!(Some(id.number), path["number"].as_u64());
        assert_eq!(Some(u64::from(id.width)), path["width"].as_u64());
    }
    for path in file["tiles"]["no_paths"].as_array().unwrap() {
        assert_eq!(TileId::parse(text(path)), None, "{path}");
    }
    println!("log.json: {good} good, {bad} bad");
    assert!(good >= 25 && bad >= 60, "{good} good, {bad} bad");
}
