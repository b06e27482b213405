//! The carrier's web files replaced by hostile ones: what a courier app can get that is out for places, keys and openings.

use std::sync::Arc;

use anyhow::Context as _;
use http::{HeaderMap, Method, header};
use parcelshelf_client::courier::Device;
use parcelshelf_core::reason::Action;
use parcelshelf_protocol::encoding::b64;
use parcelshelf_simulator::canary::Needles;
use serde_json::json;

use super::gain::Gain;
use super::needles;
use super::stop::Visit;
use super::world::World;

/// Stops at which it tries, at most.
const STOPS_MAX: usize = 8;
/// What the stop page does at a car.
const ACTIONS: [Action; 6] =
    [Action::Locate, Action::Describe, Action::Signal, Action::Open, Action::Close, Action::Lock];
/// Addresses of the gateway's hosts that tell something about somebody.
const TELLING: [&str; 5] = [
    "/v1/wallet/vehicles",
    "/v1/wallet/deliveries",
    "/v1/stops/AAAAAAAAAAAAAAAAAAAAAA/nonces",
    "/v1/keys",
    "/log/pages",
];

/// The files of the courier app are the thief's. In the courier's browser they hold the courier's session, the route, and
/// each stop's link on its way to the stop page. They try to see a place, to get a key, to open; to read the gateway's pages
/// from their own origin, to frame them, and to send the courier on with a changed link.
///
/// # Errors
/// When an honest step does not come about.
pub async fn hostile_courier_app(world: &mut World) -> anyhow::Result<Gain> {
    let mut gain = Gain::default();
    let count = world.share(100).clamp(1, STOPS_MAX);
    let mine = world.take(count).await?;
    let before = world.all_seen(&mine);
    let thief = Device::create(&world.scene().host)?;
    let mut heard = String::new();
    for n in &mine {
        let courier = Arc::clone(world.courier(*n)?);
        let mut visit = Visit::begin(world, *n).await?;
        // What such an app is there for.
        heard.push_str(&courier.shipping.route().await?.to_string());
        heard.push_str(&format!("{}~{}", visit.stop.last_link, b64(visit.stop.salt)));
        // It stands where the phone stands, and signs with a key that it has made.
        let at = visit.beside(world)?;
        for action in ACTIONS {
            let body = match action {
                Action::Open => visit.labels(world)?,
                Action::Close => json!({"handle_checked": true, "photo": null, "done": true}),
                _ => json!({}),
            };
            let answer = visit.act(world, &thief, action, at, body).await;
            heard.push_str(&answer.as_ref().map_or_else(ToString::to_string, ToString::to_string));
            gain.refused("the stop's link with a key of the app's", &["proof_wrong_device"], &answer);
        }
        let key = format!("app-{n}-device");
        let assigned = courier.shipping.assign_device(courier.id, thief.thumbprint(), &key).await;
        gain.refused("a key of the app's as the courier's device", &["not_allowed"], &assigned);
        changed_link(world, &mut gain, *n, &mut visit).await?;
    }
    let asked = from_its_own_origin(world, &mut gain).await?;
    let needles = Needles::new(&needles::of_cars(world, &mine));
    let found = needles.search("what the app holds and hears", heard.as_bytes());
    gain.must(found.is_empty(), || format!("the app reads a place, VIN or plate: {:?}", found.first()));
    gain.figure("stops", mine.len());
    gain.figure("bytes_held_and_heard", heard.len());
    gain.figure("questions_across_origins", asked);
    for (n, before) in before {
        gain.must(world.seen(n).open_commands == before.open_commands, || format!("delivery {n} was opened"));
    }
    Ok(gain)
}

/// The courier is sent to the true stop page, with another salt in the link: what is scanned there fits no signed label.
async fn changed_link(world: &World, gain: &mut Gain, n: usize, visit: &mut Visit) -> anyhow::Result<()> {
    let courier = Arc::clone(world.courier(n)?);
    visit.locate(world, &courier.device).await?.context("an honest look for the car")?;
    // And comes near: carriers whose couriers do not are stopped.
    let at = visit.beside(world)?;
    visit.act(world, &courier.device, Action::Describe, at, json!({})).await.context("the description")?;
    let salt = visit.stop.salt;
    visit.stop.salt[0] ^= 1;
    gain.refused("a link with another salt", &["label_not_listed"], &visit.open(world, &courier.device).await?);
    visit.stop.salt = salt;
    let link = std::mem::replace(&mut visit.stop.last_link, String::from("eyJhbGciOiJFUzI1NiJ9.e30.AAAA"));
    gain.refused("a link of the app's own", &["delegation_unknown"], &visit.open(world, &courier.device).await?);
    visit.stop.last_link = link;
    Ok(())
}

/// Scripts of the courier's host ask the gateway's hosts, and try to have their pages in a frame or a window of theirs. What a
/// browser lets them read is what the answers' headers allow.
async fn from_its_own_origin(world: &World, gain: &mut Gain) -> anyhow::Result<u64> {
    world.show_pages(true);
    world.changed(async |_| Ok(())).await?;
    let asked = asks(world, gain).await;
    world.show_pages(false);
    world.changed(async |_| Ok(())).await?;
    asked
}

async fn asks(world: &World, gain: &mut Gain) -> anyhow::Result<u64> {
    let (http, layout) = (parcelshelf_exchange::bare(None)?, &world.scene().layout);
    let own = layout.courier_origin.as_str();
    let mut asked = 0;
    for origin in [&layout.gateway_origin, &layout.wallet_origin, &layout.stop_origin] {
        for path in TELLING {
            for method in [Method::GET, Method::POST, Method::OPTIONS] {
                let request = http
                    .request(method, format!("{origin}{path}"))
                    .header(header::ORIGIN, own)
                    .header("sec-fetch-site", "cross-site")
                    .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")
                    .header(header::ACCESS_CONTROL_REQUEST_HEADERS, "authorization,dpop");
                let answer = request.send().await.context("no answer")?;
                asked += 1;
                gain.must(!lets_others_read(answer.headers()), || format!("{origin}{path} lets {own} read it"));
            }
        }
    }
    for (origin, path) in [(&layout.wallet_origin, "/consent"), (&layout.stop_origin, "/s/AAAAAAAAAAAAAAAAAAAAAA")] {
        let page = http.get(format!("{origin}{path}")).header(header::ACCEPT, "text/html").send().await?;
        asked += 1;
        let says = |name: &str| page.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        let shown = page.status().is_success();
        gain.must(shown, || format!("{origin}{path} shows no page, so that nothing was tried"));
        let framed = !says("content-security-policy").contains("frame-ancestors 'none'");
        gain.must(!framed, || format!("{origin}{path} can be framed"));
        let reached = says("cross-origin-opener-policy") != "same-origin";
        gain.must(!reached, || format!("a window of {origin}{path} can be reached by who opened it"));
    }
    Ok(asked)
}

fn lets_others_read(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN)
        || headers.contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS)
}
