//! The house rules that a compiler does not see: which crate may lean on which, and which words stay in which rooms.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Which workspace crates each crate may name in `[dependencies]`. A crate exists to forbid a dependency: adding a row
/// here is a decision, not a formality.
const MAY_USE: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("delivery", &["core"]),
    ("opening", &["core"]),
    ("log", &["core"]),
    ("second", &["log"]),
    ("protocol", &["core", "log"]),
    ("access", &["core"]),
    ("routing", &["core"]),
    ("exchange", &["core"]),
    ("access-homeassistant", &["access", "core", "exchange"]),
    ("access-onstar", &["access", "core", "exchange"]),
    ("access-seam", &["access", "core", "exchange"]),
    ("access-tesla", &["access", "core", "exchange"]),
    ("access-smartcar", &["access", "core", "exchange"]),
    ("access-volvo", &["access", "core", "exchange"]),
    ("store", &["core"]),
    ("vault", &["core", "store"]),
    ("edge", &["core", "store"]),
    ("carrier", &["core", "delivery", "edge", "exchange", "protocol", "store", "vault"]),
    ("gateway", &["core", "edge", "exchange", "protocol", "store", "vault"]),
    ("keyholder", &["access", "core", "edge", "exchange", "log", "opening", "protocol", "store", "vault"]),
    ("witness", &["edge", "log", "store"]),
    ("client", &["core", "exchange", "log", "protocol"]),
    ("web-assets", &[]),
    ("simulator", &["client", "core", "edge", "protocol"]),
    (
        "parcelshelf",
        &[
            "access",
            "access-homeassistant",
            "access-onstar",
            "access-smartcar",
            "access-tesla",
            "access-volvo",
            "carrier",
            "client",
            "core",
            "edge",
            "exchange",
            "gateway",
            "keyholder",
            "log",
            // The judge checks hours of standing rules against the zone's calendar.
            "opening",
            "protocol",
            "routing",
            "second",
            "simulator",
            "store",
            "vault",
            "web-assets",
            "witness",
        ],
    ),
];

/// Third-party crates that pure crates must not reach, directly or through others of ours.
const NO_IO: &[&str] =
    &["tokio", "reqwest", "axum", "hyper", "rusqlite", "getrandom", "tracing", "metrics", "governor"];
const PURE: &[&str] = &["core", "delivery", "opening", "log", "protocol", "routing"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("workspace root")
}

/// Crate folder → (workspace crates, third-party crates) of `[dependencies]`.
fn manifests() -> BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(root().join("crates")).expect("crates/") {
        let folder = entry.expect("entry").path();
        let Ok(text) = fs::read_to_string(folder.join("Cargo.toml")) else { continue };
        let manifest: toml::Table = text.parse().expect("manifest");
        let name = folder.file_name().expect("name").to_string_lossy().into_owned();
        let package = manifest["package"]["name"].as_str().expect("package name");
        let expected = if name == "parcelshelf" { name.clone() } else { format!("parcelshelf-{name}") };
        assert_eq!(package, expected, "folders are bare, packages carry the prefix");
        assert!(manifest.contains_key("lints"), "{name}: [lints] workspace = true is missing");
        let (mut ours, mut theirs) = (BTreeSet::new(), BTreeSet::new());
        for dependency in
            manifest.get("dependencies").and_then(toml::Value::as_table).into_iter().flat_map(|t| t.keys())
        {
            match dependency.strip_prefix("parcelshelf-") {
                Some(own) => ours.insert(own.to_owned()),
                None => theirs.insert(dependency.clone()),
            };
        }
        all.insert(name, (ours, theirs));
    }
    assert!(all.len() > 8, "the manifests were not found");
    all
}

fn closure(of: &str, all: &BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)>) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut open = vec![of.to_owned()];
    while let Some(next) = open.pop() {
        for own in all.get(&next).map(|(ours, _)| ours.clone()).unwrap_or_default() {
            if seen.insert(own.clone()) {
                open.push(own);
            }
        }
    }
    seen
}

#[test]
fn dependencies_point_inward() {
    let all = manifests();
    for (name, (ours, _)) in &all {
        let (_, may) =
            MAY_USE.iter().find(|(n, _)| n == name).unwrap_or_else(|| panic!("{name} has no row in MAY_USE"));
        for own in ours {
            assert!(may.contains(&own.as_str()), "{name} must not depend on {own}");
        }
    }
}

#[test]
fn the_carrier_cannot_reach_what_opens() {
    let all = manifests();
    for service in ["carrier", "gateway"] {
        let reached = closure(service, &all);
        let forbidden = |c: &&String| c.starts_with("access") || *c == "opening" || *c == "keyholder";
        assert_eq!(reached.iter().find(forbidden), None, "{service} reaches what opens");
    }
    assert!(closure("keyholder", &all).contains("opening"), "the check itself must be able to fail");
}

#[test]
fn pure_crates_do_no_io() {
    let all = manifests();
    for pure in PURE {
        let mut crates = closure(pure, &all);
        crates.insert((*pure).to_owned());
        for own in crates {
            let Some((_, theirs)) = all.get(&own) else { continue };
            for forbidden in NO_IO {
                assert!(!theirs.contains(*forbidden), "{pure} reaches {forbidden} through {own}");
            }
        }
    }
}

/// Every source file of a crate, without its tests folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    below(folder.join("src"))
}
fn below(folder: PathBuf) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut open = vec![folder];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten() {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                files.push(path);
            }
        }
    }
    files
}

#[test]
fn domain_types_are_not_serialisable() {
    for pure in ["core", "delivery", "opening", "routing"] {
        let text = fs::read_to_string(root().join("crates").join(pure).join("Cargo.toml")).expect("manifest");
        // Tests may read cases that another language's tests read, too.
        let own = text.split("[dev-dependencies]").next().expect("a manifest");
        assert!(!own.contains("serde"), "{pure} must not know serde");
    }
}

#[test]
fn a_makers_name_stays_in_its_adapter() {
    // `opening` may name makes as data, in the one table that eligibility reads.
    for name in [
        "core",
        "delivery",
        "opening",
        "log",
        "protocol",
        "routing",
        "access",
        "store",
        "edge",
        "carrier",
        "gateway",
        "keyholder",
        "client",
    ] {
        for file in sources(&root().join("crates").join(name)) {
            if file.ends_with("makers_table.rs") {
                continue;
            }
            let text = fs::read_to_string(&file).expect("source").to_lowercase();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for maker in ["volvo", "onstar", "tesla", "smartcar", "homeassistant", "home assistant", "seam_"] {
                assert!(!code.contains(maker), "{} names {maker}", file.display());
            }
        }
    }
}

#[test]
fn sql_stays_in_the_stores() {
    for name in manifests().keys().filter(|n| !n.starts_with("store")) {
        for file in sources(&root().join("crates").join(name)) {
            let text = fs::read_to_string(&file).expect("source");
            for statement in ["INSERT INTO", "SELECT * ", "UPDATE rows", "CREATE TABLE", "rusqlite::"] {
                assert!(!text.contains(statement), "{} holds SQL: {statement}", file.display());
            }
        }
    }
}

/// Every trap of makers' clouds has a test by name, or says that no adapter meets it yet.
#[test]
fn every_trap_has_its_test() {
    let table = fs::read_to_string(root().join("docs/makers/traps.md")).unwrap();
    let tests: BTreeSet<String> = below(root().join("crates"))
        .iter()
        .flat_map(|path| fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect::<Vec<_>>())
        .filter_map(|line| {
            let name = line.trim_start().strip_prefix("pub ").unwrap_or(line.trim_start());
            let name = name.strip_prefix("async ").unwrap_or(name).strip_prefix("fn ")?;
            Some(name.split('(').next()?.to_owned())
        })
        .collect();
    let named = |line: &str| line.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let rows: Vec<&str> =
        table.lines().filter(|l| l.starts_with("| ") && l[2..].starts_with(char::is_numeric)).collect();
    assert_eq!(rows.len(), 28);
    for (n, row) in rows.iter().enumerate() {
        assert!(row.starts_with(&format!("| {} |", n + 1)), "{row}");
        assert!(!named(row).is_empty() || row.contains("no adapter yet"), "{row}");
    }
    let missing: Vec<String> =
        table.lines().filter(|l| !l.contains(".rs`")).flat_map(named).filter(|name| !tests.contains(name)).collect();
    assert!(missing.is_empty(), "named in docs/makers/traps.md and not there: {missing:?}");
}

/// Every number, and every text that could be one, that a request to the carrier may hold: (where, name).
fn taken(
    schema: &Value,
    schemas: &Value,
    at: &str,
    name: &str,
    all: &mut Vec<(String, String)>,
    open: &mut Vec<String>,
) {
    if let Some(named) = schema["$ref"].as_str() {
        let named = named.rsplit('/').next().unwrap();
        return taken(&schemas[named], schemas, &format!("{at} {named}"), name, all, open);
    }
    for either in ["oneOf", "anyOf", "allOf"] {
        for one in schema[either].as_array().into_iter().flatten() {
            taken(one, schemas, at, name, all, open);
        }
    }
    let is = |kind: &str| schema["type"] == kind || schema["type"].as_array().is_some_and(|a| a.contains(&kind.into()));
    if is("integer") || is("number") {
        all.push((at.to_owned(), name.to_owned()));
    }
    if is("object") && schema["additionalProperties"] != false {
        open.push(at.to_owned());
    }
    for (member, inner) in schema["properties"].as_object().into_iter().flatten() {
        let place =
            ["lat", "lon", "lng", "position", "place", "cell", "geo", "speed", "heading", "accuracy", "trace", "track"];
        let words: Vec<&str> = member.split('_').collect();
        assert!(!place.iter().any(|p| words.iter().any(|w| w.starts_with(p))), "{at}: {member} sounds like a place");
        taken(inner, schemas, at, member, all, open);
    }
    if schema["items"].is_object() {
        taken(&schema["items"], schemas, at, name, all, open);
    }
}

/// The carrier records no trace of its vans (docs/decisions/0091), because nothing takes one: whoever adds a number to a request
/// says here what it is.
#[test]
fn no_route_of_the_carrier_takes_a_place() {
    let document = serde_json::to_value(parcelshelf_carrier::openapi()).unwrap();
    let (mut all, mut open, mut bodies) = (Vec::new(), Vec::new(), 0);
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let at = format!("{method} {path}");
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let name = parameter["name"].as_str().unwrap();
                assert!(
                    ["stop", "courier", "delivery", "parcel", "shipment", "staff", "state", "cursor", "limit", "after"]
                        .contains(&name),
                    "{at} takes {name}"
                );
            }
            for body in operation["requestBody"]["content"].as_object().into_iter().flatten() {
                bodies += 1;
                taken(&body.1["schema"], &document["components"]["schemas"], &at, "", &mut all, &mut open);
            }
        }
    }
    assert!(bodies > 20, "{bodies}");
    let numbers: BTreeSet<&str> = all.iter().map(|(_, name)| name.as_str()).collect();
    // A door's parcels; which alarm is acknowledged; what a parcel is like.
    let known = ["bears_minutes_in_car", "parcels", "seq", "size_mm", "value_minor", "weight_g"];
    assert_eq!(numbers, BTreeSet::from(known), "{all:?}");
    // Unknown members are refused, so that nothing else comes in beside them. A passkey's answer has a parser of its own.
    assert!(open.iter().all(|at| at.ends_with("AssertionParts")), "{open:?}");
}
