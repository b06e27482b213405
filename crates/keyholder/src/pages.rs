//! What the front shows to browsers, in the log.
//!
//! Whoever replaces the files of the page hosts decides what owners sign and couriers see. The keyholder cannot see what a
//! browser gets, but it knows from its own release what a browser should get, and says so where nobody can take it back: a
//! leaf for each host whenever its files become others. Anybody compares (`parcelshelf audit`). The front has no say in it.

use parcelshelf_log::record::Kind;
use parcelshelf_protocol::encoding::{b64, from_b64};
use parcelshelf_store::Version;
use serde_json::{Value, json};

use crate::db::{COMMON_KEY, Change, Index, openings_of};
use crate::failure::{Failure, broken};
use crate::rows::{LeafRow, PagesRow, RecordRow};
use crate::{Keyholder, SitePages};

/// Sites that there can be.
const SITES: [&str; 2] = ["wallet", "stop"];

impl Keyholder {
    /// Records what each host shows, unless that is what was recorded last.
    pub(crate) async fn show_pages(&self, pages: &[SitePages]) -> Result<(), Failure> {
        for SitePages { site, origin, files } in pages {
            let known = self.db.get::<PagesRow>(site.as_bytes()).await?;
            let files = b64(files);
            if known.as_ref().is_some_and(|k| k.value.files == files && k.value.origin == *origin) {
                continue;
            }
            let mut change = Change::new(&self.db, &self.host);
            let fields = [("site", (*site).to_owned()), ("origin", origin.clone()), ("files", files.clone())];
            let entry = change.note(Kind::PagesServed, &fields, COMMON_KEY).await?;
            let row = PagesRow { v: 1, origin: origin.clone(), files, entry: b64(entry) };
            change.put(site.as_bytes(), known.map_or(Version::Absent, |k| k.version), &row, Index::new());
            change.commit().await?;
        }
        Ok(())
    }

    /// The newest record of each host with all its openings, and which leaf it is; null while it waits for its leaf.
    pub(crate) async fn shown_pages(&self) -> Result<Value, Failure> {
        let mut all = Vec::new();
        for site in SITES {
            let Some(row) = self.db.get::<PagesRow>(site.as_bytes()).await? else { continue };
            let entry = from_b64(&row.value.entry).ok_or_else(|| broken("an entry is none"))?;
            let record = self.db.get::<RecordRow>(&entry).await?.ok_or_else(|| broken("a record is missing"))?.value;
            let opened = self.db.vault.open(COMMON_KEY, &row.value.entry, &record.openings_sealed).await?;
            let openings = opened.as_deref().and_then(|json| openings_of(json));
            let openings = openings.ok_or_else(|| broken("the openings of a record cannot be read"))?;
            let openings: Vec<Value> =
                openings.iter().map(|o| json!({"name": o.name, "salt": b64(o.salt), "value": o.value})).collect();
            let index = self.db.get::<LeafRow>(&entry).await?.map(|leaf| leaf.value.index);
            all.push(json!({"site": site, "record": record.bytes, "openings": openings, "index": index}));
        }
        Ok(json!({"v": 1, "pages": all}))
    }
}
