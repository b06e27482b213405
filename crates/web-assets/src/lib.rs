//! The four web apps as files: what each host serves, with the compressed forms beside it.
//!
//! What it is: the output of `web/`, built by `build.rs` when something in it has changed, embedded in a release and read
//! from the disk by a debug build (so that `npm run build` needs no cargo). What it is not: it knows no HTTP; whoever
//! serves decides about headers.
//!
//! The two types to know: [`App`] and [`File`].

use std::borrow::Cow;

use serde::Deserialize;

#[derive(rust_embed::Embed)]
#[folder = "$PARCELSHELF_WEB_DIST"]
struct Dist;

/// Each is served by a host of its own and reaches nothing of another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum App {
    /// Owners, at the gateway.
    Wallet,
    /// Couriers at one stop, at the gateway.
    Stop,
    /// Couriers on their route, at the carrier.
    Courier,
    /// Staff, at the carrier.
    Ops,
}
impl App {
    pub const ALL: [Self; 4] = [Self::Wallet, Self::Stop, Self::Courier, Self::Ops];
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wallet => "wallet",
            Self::Stop => "stop",
            Self::Courier => "courier",
            Self::Ops => "ops",
        }
    }
}

/// One file of an app.
#[derive(Debug, Clone)]
pub struct File {
    /// Where it is served, such as `/assets/main-4f2a.js`.
    pub path: String,
    pub body: Cow<'static, [u8]>,
    pub brotli: Option<Cow<'static, [u8]>>,
    pub gzip: Option<Cow<'static, [u8]>>,
}

/// `files.json` of the build.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    v: u8,
    sites: std::collections::BTreeMap<String, Vec<Entry>>,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    path: String,
    /// Below the build's folder.
    file: String,
}

/// What an app's host serves, and nothing else.
///
/// # Errors
/// A text that says what is missing in the build's folder.
pub fn files(app: App) -> Result<Vec<File>, String> {
    let list = Dist::get("files.json").ok_or("the web build has no files.json")?;
    let list: List = serde_json::from_slice(&list.data).map_err(|e| format!("files.json of the web build: {e}"))?;
    if list.v != 1 {
        return Err(format!("files.json of the web build has version {}, 1 is expected", list.v));
    }
    let entries = list.sites.get(app.name()).ok_or_else(|| format!("the web build has no app {}", app.name()))?;
    entries.iter().map(|e| file(e).ok_or_else(|| format!("the web build lacks {}", e.file))).collect()
}

fn file(entry: &Entry) -> Option<File> {
    let beside = |ending: &str| Dist::get(&format!("{}.{ending}", entry.file)).map(|f| f.data);
    Some(File {
        path: entry.path.clone(),
        body: Dist::get(&entry.file)?.data,
        brotli: beside("br"),
        gzip: beside("gz"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_app_has_a_page_and_only_its_own_files() {
        for app in App::ALL {
            let files = files(app).unwrap_or_else(|e| panic!("{e}"));
            assert!(files.iter().any(|f| f.path == "/index.html"), "{} has no page", app.name());
            for file in files {
                assert!(file.path.starts_with('/') && !file.path.contains(".."), "{}", file.path);
                assert!(!file.body.is_empty(), "{} is empty", file.path);
            }
        }
    }
}
