//! A case as its owner exports it, against what the car itself recorded.

use parcelshelf::judge::{self, Seen, judge};
use parcelshelf::people::{Owner, until};
use parcelshelf::stage::Stage;
use parcelshelf_core::id::DeliveryId;
use parcelshelf_protocol::bundle::Anchors;

pub async fn seen(stage: &Stage, owner: &Owner) -> Seen {
    Seen::of(&stage.scene.seen_of(&owner.hands.vin).await.unwrap())
}

pub async fn case(stage: &Stage, owner: &Owner, before: Seen, delivery: DeliveryId) -> judge::Finding {
    let bytes = until(&stage.scene.host, "the case bundle", async || match owner.wallet.bundle(delivery).await {
        Ok(bytes) => Ok(Some(bytes)),
        Err(failure) if failure.code() == Some("bundle_not_ready") => Ok(None),
        Err(other) => Err(other),
    });
    let keys = owner.wallet.pinned().claims();
    let anchors = Anchors::published(keys, &stage.scene.operator);
    judge(seen(stage, owner).await.since(before), &bytes.await.unwrap(), &anchors)
}
