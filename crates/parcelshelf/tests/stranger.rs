//! A stranger checks a case bundle: a page of Python, somebody else's JOSE library, `docs/protocol/bundle.md`, nothing of
//! ours. `scripts/setup-stranger.sh` makes its interpreter.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::type_complexity, reason = "a table of names and changes")]
#![allow(clippy::print_stdout, reason = "what was counted is printed")]

use std::path::{Path, PathBuf};
use std::process::Command;

use parcelshelf_protocol::bundle::{Bundle, verify};
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}
fn interpreter() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let python = target.join("stranger-venv/bin/python");
    assert!(python.exists(), "run scripts/setup-stranger.sh first: {} is missing", python.display());
    python
}

/// What the stranger says of these files, in their order.
fn judged(anchors: Option<&Path>, files: &[PathBuf]) -> Vec<Value> {
    let mut command = Command::new(interpreter());
    command.arg(root().join("crates/parcelshelf/tests/stranger/verify.py"));
    if let Some(anchors) = anchors {
        command.arg("--anchors").arg(anchors);
    }
    let done = command.args(files).output().unwrap();
    let lines: Vec<Value> =
        String::from_utf8(done.stdout).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.len(), files.len(), "{}", String::from_utf8_lossy(&done.stderr));
    let all_hold = lines.iter().all(|l| l["holds"] == Value::Bool(true));
    assert_eq!(done.status.success(), all_hold, "the exit status says the same");
    lines
}

struct Case {
    dir: tempfile::TempDir,
    bundle: Vec<u8>,
}
impl Case {
    /// A real delivery, played by the demo.
    fn play() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (out, report) = (dir.path().join("out"), dir.path().join("demo.json"));
        let done = Command::new(env!("CARGO_BIN_EXE_parcelshelf"))
            .args(["demo", "--once", "--out", out.to_str().unwrap(), "--report", report.to_str().unwrap()])
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
        let bundle = std::fs::read(report["deliveries"][0]["bundle"].as_str().unwrap()).unwrap();
        Self { dir, bundle }
    }
    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

/// Whole parts left out, doubled or moved: each is a bundle in the right form.
fn rearranged(good: &Bundle) -> Vec<(&'static str, Bundle)> {
    let changes: [(&str, fn(&mut Bundle)); 9] = [
        ("a record of the chain is left out", |b| drop(b.records.remove(b.records.len() - 2))),
        ("a record of a key is left out", |b| drop(b.records.remove(1))),
        ("the last proof is left out", |b| drop(b.proofs.pop())),
        ("a delegation stands twice", |b| {
            let delegations = &mut b.carrier.as_mut().unwrap().delegations;
            delegations.push(delegations[0].clone());
        }),
        ("an opening is left out", |b| drop(b.records[0].openings.pop())),
        ("a record has another number", |b| b.records[0].index += 1),
        ("a path is shorter", |b| b.records[0].inclusion.truncate(1)),
        ("the operator is somebody else", |b| {
            b.anchors.operator = parcelshelf_protocol::jws::Sign::verifying_key(
                &parcelshelf_protocol::jws::SigningKey::from_scalar(&[7; 32]).unwrap(),
            )
            .clone();
        }),
        ("the wallet has another origin", |b| b.anchors.wallet_origin.push('x')),
    ];
    changes
        .into_iter()
        .map(|(what, change)| {
            let mut b = good.clone();
            change(&mut b);
            (what, b)
        })
        .collect()
}

#[test]
fn a_stranger_checks_a_real_bundle_and_refuses_what_was_changed() {
    let case = Case::play();
    let verdict = verify(&case.bundle, None).unwrap();
    let good = case.file("good.json", &case.bundle);
    let whole: Value = serde_json::from_slice(&case.bundle).unwrap();
    let anchors = case.file("anchors.json", whole["anchors"].to_string().as_bytes());
    for told in [judged(None, std::slice::from_ref(&good)), judged(Some(&anchors), std::slice::from_ref(&good))] {
        assert_eq!(told[0]["holds"], true, "{}", told[0]);
        assert_eq!(told[0]["openings"], verdict.openings);
        assert_eq!(told[0]["lock_proof"].as_str(), verdict.lock_proof.map(|p| p.code()));
        assert_eq!(told[0]["carrier"].as_str(), verdict.by.carrier());
        assert_eq!(told[0]["log_size"], verdict.log_size);
    }

    // One bit at each of many places, spread over the whole file.
    let (mut names, mut files) = (Vec::new(), Vec::new());
    let step = (case.bundle.len() / 800).max(1);
    for (n, at) in (0..case.bundle.len()).step_by(step).enumerate() {
        let mut changed = case.bundle.clone();
        changed[at] ^= 1 << (n % 7);
        assert!(verify(&changed, None).is_err());
        files.push(case.file(&format!("bit-{at}.json"), &changed));
        names.push(format!("byte {at}"));
    }
    let bits = files.len();
    for (what, changed) in rearranged(&Bundle::parse_canonical(&case.bundle).unwrap()) {
        let bytes = changed.encode();
        assert!(verify(&bytes, None).is_err(), "{what}");
        files.push(case.file(&format!("part-{}.json", files.len()), &bytes));
        names.push(what.to_owned());
    }
    for (name, told) in names.iter().zip(judged(None, &files)) {
        assert_eq!(told["holds"], false, "{name}: {told}");
    }
    println!("the stranger refused {bits} changed bytes and {} rearranged bundles", files.len() - bits);

    // Another keyholder's anchors.
    let mut others = whole["anchors"].clone();
    others["aud"] = Value::from("https://other.example");
    let others = case.file("others.json", others.to_string().as_bytes());
    assert_eq!(judged(Some(&others), &[good])[0]["holds"], false);
}

/// The cases that other implementers get: whoever reads the page alone takes the good ones and refuses the others.
#[test]
fn a_stranger_judges_the_published_cases_as_they_say() {
    let dir = tempfile::tempdir().unwrap();
    let vectors: Value = serde_json::from_slice(&std::fs::read(root().join("vectors/bundle.json")).unwrap()).unwrap();
    let names: Vec<&str> = vectors["members"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let cases = vectors["cases"].as_array().unwrap();
    let mut files = Vec::new();
    for (n, case) in cases.iter().enumerate() {
        let mut members = vectors["base"].as_object().unwrap().clone();
        members.extend(case["change"].as_object().unwrap().clone());
        let there = names.iter().filter_map(|name| Some(format!("\"{name}\":{}", members[*name].as_str()?)));
        let mut text = format!("{{{}}}", there.collect::<Vec<_>>().join(","));
        if let [from, to] = case["replace"].as_array().unwrap().as_slice() {
            text = text.replace(from.as_str().unwrap(), to.as_str().unwrap());
        }
        let path = dir.path().join(format!("{n}.json"));
        std::fs::write(&path, text).unwrap();
        files.push(path);
    }
    let mut held = 0;
    for (case, told) in cases.iter().zip(judged(None, &files)) {
        assert_eq!(told["holds"], case["expect"] == "ok", "{}: {told}", case["name"]);
        held += usize::from(told["holds"] == true);
    }
    assert!(held >= 4 && held < cases.len(), "{held} of {} hold", cases.len());
}
