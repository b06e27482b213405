//! `docs/protocol/` says what the code does, where that can be compared: codes, kinds of records, sizes, links.

use std::collections::BTreeSet;
use std::path::PathBuf;

use parcelshelf_protocol::bundle::BUNDLE_MAX;
use parcelshelf_protocol::records::Event;
use parcelshelf_protocol::seal::Purpose;
use parcelshelf_protocol::{Fault, Kind, Refused};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/protocol")
}
fn page(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap()
}
/// What stands between a heading and the next one.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let start = page.find(&format!("{heading}\n")).unwrap_or_else(|| panic!("no {heading}")) + heading.len();
    let rest = &page[start..];
    &rest[..rest.find("\n#").unwrap_or(rest.len())]
}
/// Cells of a table's rows, without its head.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let lines = text.lines().filter(|l| l.starts_with('|') && !l.starts_with("|--"));
    lines.skip(1).map(|l| l.trim_matches('|').split('|').map(str::trim).collect()).collect()
}
fn in_backticks(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_code_is_explained_and_no_other() {
    let chain = page("chain.md");
    let own = rows(section(&chain, "### Checks of their own"));
    let explained: Vec<&str> = own.iter().flat_map(|r| in_backticks(r[0])).collect();
    let all: BTreeSet<&str> = Refused::OWN.iter().map(|r| r.code()).collect();
    assert_eq!(explained.iter().copied().collect::<BTreeSet<_>>(), all);
    assert_eq!(explained.len(), all.len(), "a code is explained twice");

    // Shared checks are a kind and a fault.
    let shared = section(&chain, "### Checks that several kinds share: `<kind>_<fault>`");
    let kinds = in_backticks(shared.lines().find(|l| l.starts_with("Kinds:")).unwrap());
    let faults: Vec<&str> = rows(shared).iter().flat_map(|r| in_backticks(r[0])).collect();
    let told: BTreeSet<String> = kinds.iter().flat_map(|k| faults.iter().map(move |f| format!("{k}_{f}"))).collect();
    let shared: BTreeSet<String> = Kind::ALL
        .into_iter()
        .flat_map(|k| Fault::ALL.iter().map(move |f| Refused::Common(k, *f).code().to_owned()))
        .collect();
    assert_eq!(told, shared);
}

#[test]
fn every_kind_of_record_is_told_with_its_fields_in_order() {
    let records = page("records-and-log.md");
    let rows = rows(section(&records, "## Kinds and their fields"));
    let mut told = Vec::new();
    for row in &rows {
        for kind in in_backticks(row[0]) {
            let fields: Vec<&str> = row[1].split('·').map(|f| in_backticks(f)[0]).collect();
            assert_eq!(Some(fields), Event::field_names(kind), "{kind}");
            told.push(kind);
        }
    }
    told.sort_unstable();
    let mut all = Event::KINDS.to_vec();
    all.sort_unstable();
    assert_eq!(told, all);
}

#[test]
fn sizes_are_those_of_the_code() {
    let sealing = page("sealing.md");
    let rows = rows(section(&sealing, "## A box"));
    for purpose in Purpose::ALL {
        let row = rows.iter().find(|r| r[0] == format!("`{}`", purpose.code()) && r.len() == 5).unwrap();
        assert_eq!(row[3].replace(',', ""), purpose.content_max().to_string(), "{purpose:?}");
    }
    let bundle = page("bundle.md");
    assert!(bundle.replace(',', "").contains(&format!("{BUNDLE_MAX} bytes")));
}

/// As a code host makes anchors: lower case, letters, digits, spaces as hyphens, the rest dropped.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_')).collect::<String>().replace(' ', "-")
}

#[test]
fn links_lead_somewhere() {
    let mut links = 0;
    for name in std::fs::read_dir(folder()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()) {
        let text = page(&name);
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            let (file, fragment) = link.split_once('#').unwrap_or((link, ""));
            let path = folder().join(if file.is_empty() { &name } else { file });
            assert!(path.exists(), "{name}: {link}");
            if !fragment.is_empty() {
                let target = std::fs::read_to_string(path).unwrap();
                let found = target.lines().any(|l| l.starts_with('#') && anchor(l) == fragment);
                assert!(found, "{name}: {link}");
            }
            links += 1;
        }
    }
    assert!(links > 20, "{links} links");
}
