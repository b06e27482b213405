//! Case bundles: a good one, and what is refused. A bundle is one text; `base` holds it cut into its members, each in its
//! one spelling, and a case names the members that are different.

use parcelshelf_protocol::bundle::{Bundle, verify};
use serde_json::{Map, Value, json};

use super::check_names;
use crate::case::{BadBundle, announced_cases, bad_stories, changed, delivered, visited_cases};

const MEMBERS: [&str; 15] = [
    "v",
    "anchors",
    "keys",
    "carrier",
    "delegation_cert",
    "devices",
    "passkeys",
    "request",
    "grant",
    "assertion",
    "accepted",
    "delegations",
    "proofs",
    "records",
    "checkpoint",
];
const ABOUT: &str = "A bundle's text is { and } around the members of `base` in the order of `members`, each as \"name\": and its \
                     text, with commas between. A case has the members of `change` in place of the base's, without those \
                     that are null, and then every first `replace` text replaced by the second. Verify without expected anchors and compare the code.";

/// The members of a bundle's text, each as it stands there.
fn members(text: &str) -> Map<String, Value> {
    let starts: Vec<Option<usize>> = MEMBERS
        .iter()
        .scan(0, |from, name| {
            // No value holds a quotation mark that is not escaped, and the names come in this order at the top.
            let mark = format!("\"{name}\":");
            let at = text[*from..].find(&mark).map(|at| at + *from + mark.len());
            *from = at.map_or(*from, |at| after(text, at));
            Some(at)
        })
        .collect();
    let value = |at: &Option<usize>| at.map_or(Value::Null, |at| json!(&text[at..after(text, at)]));
    MEMBERS.iter().zip(&starts).map(|(n, at)| ((*n).to_owned(), value(at))).collect()
}
/// Where the JSON value that starts here ends.
fn after(text: &str, at: usize) -> usize {
    let mut values = serde_json::Deserializer::from_str(&text[at..]).into_iter::<serde::de::IgnoredAny>();
    values.next().unwrap().unwrap();
    at + values.byte_offset()
}
fn text_of(members: &Map<String, Value>) -> String {
    let all = MEMBERS.iter().filter_map(|n| Some(format!("\"{n}\":{}", members[*n].as_str()?)));
    let all: Vec<String> = all.collect();
    format!("{{{}}}", all.join(","))
}
fn encoded(bundle: &Bundle) -> String {
    String::from_utf8(bundle.encode()).unwrap()
}

pub fn all() -> Value {
    let base = members(&encoded(&delivered()));
    let case = |(name, expect, bundle): BadBundle| {
        let theirs = members(&encoded(&bundle));
        let change: Map<_, _> = theirs.into_iter().filter(|(n, v)| base[n] != *v).collect();
        json!({"name": name, "change": change, "replace": [], "expect": expect})
    };
    let mut cases = vec![json!({"name": "delivered", "change": {}, "replace": [], "expect": "ok"})];
    cases.extend(bad_stories().into_iter().chain(changed()).chain(announced_cases()).chain(visited_cases()).map(case));
    for (name, from, to) in [
        ("white space", "{\"v\":1,", "{\"v\":1, "),
        ("another version", "{\"v\":1", "{\"v\":2"),
        ("a member more", "{\"v\":1", "{\"v\":1,\"x\":1"),
        ("an escape that is not needed", "{\"aud\":\"https", "{\"aud\":\"\\u0068ttps"),
        ("a leading zero", "\"index\":1,", "\"index\":01,"),
        ("a line feed at the end", "\\n\"}", "\\n\"}\n"),
    ] {
        cases.push(json!({"name": name, "change": {}, "replace": [from, to], "expect": "bundle_not_canonical"}));
    }
    json!({"about": ABOUT, "members": MEMBERS, "base": base, "cases": cases})
}

/// Runs each case of the file; how many are bad.
pub fn check(file: &Value) -> usize {
    let cases = file["cases"].as_array().unwrap();
    check_names(cases);
    for case in cases {
        let mut members = file["base"].as_object().unwrap().clone();
        members.extend(case["change"].as_object().unwrap().clone());
        let mut text = text_of(&members);
        if let [from, to] = case["replace"].as_array().unwrap().as_slice() {
            let other = text.replace(from.as_str().unwrap(), to.as_str().unwrap());
            assert_ne!(other, text, "{}", case["name"]);
            text = other;
        }
        let code = verify(text.as_bytes(), None).map_or_else(|r| r.code(), |_| "ok");
        assert_eq!(code, case["expect"].as_str().unwrap(), "{}", case["name"]);
    }
    cases.iter().filter(|c| c["expect"] != "ok").count()
}
