//! Possession of a house's door: each step is asked for when the one before it was seen, and fulfilled by a hand on site.

use parcelshelf_access::{AccessError, AtDoor, LidState, Touched};
use parcelshelf_core::id::WalletId;
use parcelshelf_core::time::Timestamp;
use parcelshelf_edge::problem::Problem;
use parcelshelf_log::record::Kind;
use parcelshelf_opening::possession::doorway::{self, Change as Moved, Leaf, Seen, Sight, Step};
use parcelshelf_protocol::encoding::b64;
use serde_json::{Value, json};

use crate::Keyholder;
use crate::db::{Change, Stored, wallet_key};
use crate::failure::{Failure, broken};
use crate::linking::Reached;
use crate::rows::{PossessionPart, VehicleRow};
use crate::wallets::wallet_index;

fn moved<T>(touched: &Touched<T>) -> Option<Moved> {
    touched.changed_at.map(|at| Moved { at, by_hand: touched.by_hand })
}
fn sight(seen: &AtDoor) -> Sight {
    Sight {
        leaf: match seen.leaf.value {
            LidState::Open => Leaf::Up,
            LidState::Closed => Leaf::Shut,
            LidState::Ajar | LidState::Stuck | LidState::Unknown => Leaf::Other,
        },
        leaf_changed: moved(&seen.leaf),
        clear: seen.in_the_way.value.map(|something| !something),
        clear_changed: moved(&seen.in_the_way),
    }
}
/// No proof is under way; what was proved before stays proved.
const fn over(proved_ms: Option<i64>) -> PossessionPart {
    PossessionPart { doors: Vec::new(), prompts: Vec::new(), changes: Vec::new(), waits_until_ms: None, proved_ms }
}

impl Keyholder {
    /// Begins with a door that is shut and free. Where nothing tells a hand from a command, it is waited instead.
    pub(crate) async fn begin_at_door(
        &self,
        wallet: WalletId,
        mut row: Stored<VehicleRow>,
        door: &Reached,
    ) -> Result<Value, Failure> {
        let now = self.host.now();
        let seen = match door.line.at_door(&door.session).await {
            Err(AccessError::NotSupported) => return self.begin_wait(wallet, row, now).await,
            seen => sight(&seen?),
        };
        if seen.leaf != Leaf::Shut || seen.clear != Some(true) {
            return Err(Problem::new(409, "door_not_shut", "shut the door first, and clear its way").into());
        }
        let steps = doorway::draw(&self.host.random::<16>()).ok_or_else(|| broken("no step was drawn"))?;
        let codes: Vec<String> = steps.iter().map(|step| step.code().to_owned()).collect();
        let first = codes.first().cloned().ok_or_else(|| broken("no step was drawn"))?;
        let mut p = over(row.value.possession.as_ref().and_then(|p| p.proved_ms));
        p.prompts = vec![(first.clone(), now.unix_millis())];
        p.doors = codes;
        let answer = json!({
            "next": first,
            "doors": p.doors.len(),
            "until": now.plus_millis(doorway::STEP_WITHIN_MS).to_rfc3339(),
        });
        row.value.possession = Some(p);
        let mut change = Change::new(&self.db, &self.host);
        change.update(&row, wallet_index(wallet));
        change.journal("vehicle", &row.id, "possession_begun", &json!({}));
        change.commit().await?;
        Ok(answer)
    }

    /// Looks at the door once. A failure ends the proof: what comes after it proves nothing.
    pub(crate) async fn check_at_door(
        &self,
        wallet: WalletId,
        mut row: Stored<VehicleRow>,
        mut p: PossessionPart,
        door: &Reached,
    ) -> Result<Value, Failure> {
        let lost = || broken("a step of a proof cannot be read");
        let (step, prompted_ms) = p.prompts.last().cloned().ok_or_else(lost)?;
        let before = p.changes.last().map(|(_, ms)| Timestamp::from_unix_millis(*ms));
        let seen = sight(&door.line.at_door(&door.session).await?);
        let (asked, now) = (Step::parse(&step).ok_or_else(lost)?, self.host.now());
        let seen = doorway::judge(asked, Timestamp::from_unix_millis(prompted_ms), before, &seen, now);
        let waiting = |p: &PossessionPart| json!({"proved": false, "done": p.changes.len(), "next": p.prompts.last().map(|(step, _)| step.clone())});
        let mut change = Change::new(&self.db, &self.host);
        let answer = match seen {
            Seen::NotYet => return Ok(waiting(&p)),
            Seen::Failed(why) => {
                p = over(p.proved_ms);
                json!({"proved": false, "failed": why.code()})
            }
            Seen::Fulfilled { at } => {
                p.changes.push((step, at.unix_millis()));
                match p.doors.get(p.changes.len()).cloned() {
                    Some(next) => {
                        p.prompts.push((next, now.unix_millis()));
                        waiting(&p)
                    }
                    None => {
                        p = over(Some(now.unix_millis()));
                        let fields = [("vehicle", b64(&row.id))];
                        change.note(Kind::PossessionProved, &fields, &wallet_key(wallet)).await?;
                        self.prove_to_car(&mut change, &row).await?
                    }
                }
            }
        };
        row.value.possession = Some(p);
        change.update(&row, wallet_index(wallet));
        change.journal("vehicle", &row.id, "possession_looked_at", &json!({}));
        change.commit().await?;
        self.log.ring();
        Ok(answer)
    }
}
