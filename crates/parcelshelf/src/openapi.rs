//! The services' interfaces as documents, from the code that serves them.

use std::fs;

use anyhow::Context as _;

use crate::cli::Openapi;

/// Name and document of every service.
///
/// # Errors
/// When a document cannot be written as JSON.
pub fn documents() -> anyhow::Result<Vec<(&'static str, String)>> {
    let pretty = |document: utoipa::openapi::OpenApi| document.to_pretty_json().context("a document is not JSON");
    Ok(vec![
        ("carrier", pretty(parcelshelf_carrier::openapi())?),
        ("gateway", pretty(parcelshelf_gateway::openapi(parcelshelf_keyholder::openapi()))?),
        ("keyholder", pretty(parcelshelf_keyholder::openapi())?),
    ])
}

/// # Errors
/// When the folder cannot be written.
pub fn run(args: &Openapi) -> anyhow::Result<()> {
    let documents = documents()?;
    let Some(dir) = &args.write else {
        let all: serde_json::Map<String, serde_json::Value> = documents
            .into_iter()
            .map(|(name, text)| Ok((name.to_owned(), serde_json::from_str(&text)?)))
            .collect::<Result<_, serde_json::Error>>()?;
        println!("{}", serde_json::to_string_pretty(&all)?);
        return Ok(());
    };
    fs::create_dir_all(dir)?;
    for (name, text) in documents {
        let path = dir.join(format!("{name}.json"));
        fs::write(&path, text + "\n").with_context(|| format!("failed to write {}", path.display()))?;
    }
    Ok(())
}
