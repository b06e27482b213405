//! `vectors/*.json`: made from published keys, committed, made again here and compared byte for byte; then each is read
//! from the file and run through the public interface. To write them anew: `UPDATE_VECTORS=1 cargo test -p
//! parcelshelf-protocol --test it vectors`.

mod bundle_cases;
mod chain_cases;
mod message_cases;
mod value_cases;

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::support::{Case, World};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../vectors").join(name)
}

/// Compares with what is committed, or writes it if asked to.
fn same_as_committed(name: &str, made: &Value) -> Value {
    let text = serde_json::to_string_pretty(made).unwrap() + "\n";
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(path(name), &text).unwrap();
    }
    let committed = std::fs::read_to_string(path(name)).unwrap();
    assert!(committed == text, "vectors/{name} differs from what the code makes");
    serde_json::from_str(&committed).unwrap()
}

/// `base` with the members of `change` in place of its own.
fn changed(base: &Value, change: &Value) -> Value {
    let mut out = base.as_object().unwrap().clone();
    out.extend(change.as_object().unwrap().clone());
    Value::Object(out)
}
/// The members in which `case` differs from `base`.
fn difference(base: &Value, case: &Value) -> Value {
    let base = base.as_object().unwrap();
    let differs = case.as_object().unwrap().iter().filter(|(name, value)| base.get(*name) != Some(*value));
    Value::Object(differs.map(|(n, v)| (n.clone(), v.clone())).collect::<Map<_, _>>())
}
fn check_names(cases: &[Value]) {
    let names: BTreeSet<&str> = cases.iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), cases.len(), "two cases share a name");
}

#[test]
fn chains() {
    let base = serde_json::to_value(World::new().case()).unwrap();
    let cases: Vec<Value> = chain_cases::all()
        .into_iter()
        .map(|c| {
            let case = serde_json::to_value(&c.case).unwrap();
            json!({"name": c.name, "about": c.about, "change": difference(&base, &case), "expect": c.expect})
        })
        .collect();
    let about = "A case is `base` with the members of `change` in place of its own. Verify as docs/protocol/chain.md \
                 says, at `now_ms`, and compare the code; `ok` means that the chain holds.";
    let file = same_as_committed("chain.json", &json!({"about": about, "base": base, "cases": cases}));

    let cases = file["cases"].as_array().unwrap();
    check_names(cases);
    let mut bad = 0;
    for vector in cases {
        let case: Case = serde_json::from_value(changed(&file["base"], &vector["change"])).unwrap();
        assert_eq!(case.code(), vector["expect"].as_str().unwrap(), "{}: {}", vector["name"], vector["about"]);
        bad += usize::from(vector["expect"] != "ok");
    }
    println!("chain.json: {} good, {bad} bad", cases.len() - bad);
    assert!(bad >= 40);
}

#[test]
fn messages() {
    let made = message_cases::all();
    let file = same_as_committed("messages.json", &json!({"about": message_cases::ABOUT, "cases": made}));
    let cases = file["cases"].as_array().unwrap();
    check_names(cases);
    for vector in cases {
        let code = message_cases::run(vector["kind"].as_str().unwrap(), &vector["input"]);
        assert_eq!(code, vector["expect"].as_str().unwrap(), "{}", vector["name"]);
    }
    let bad = cases.iter().filter(|c| c["expect"] != "ok").count();
    println!("messages.json: {} good, {bad} bad", cases.len() - bad);
}

#[test]
fn bundles() {
    let file = same_as_committed("bundle.json", &bundle_cases::all());
    let bad = bundle_cases::check(&file);
    println!("bundle.json: {bad} bad");
    assert!(bad >= 20);
}

#[test]
fn values() {
    let file = same_as_committed("values.json", &value_cases::all());
    value_cases::check(&file);
}
