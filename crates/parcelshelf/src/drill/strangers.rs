//! Attacks from outside: somebody who knows the car, and an owner's block against an opening that has begun.

use std::collections::BTreeMap;

use anyhow::Context as _;
use parcelshelf_client::Failure;
use parcelshelf_client::Http;
use parcelshelf_client::courier::StopPage;
use parcelshelf_client::wallet::{Wallet, WalletSite};
use parcelshelf_core::reason::Action;
use parcelshelf_simulator::canary::Needles;
use reqwest::Method;
use serde_json::{Value, json};

use super::gain::Gain;
use super::needles;
use super::stop::{Visit, answered};
use super::world::World;
use crate::simulate::owner::plate;

/// Addresses that answer everybody the same, whatever is asked.
const PUBLIC: [&str; 6] =
    ["/.well-known/", "/v1/keys", "/v1/challenges", "/log/", "/v1/sessions/challenges", "/oauth/"];

/// Somebody knows VIN, plate, log-in and name of an owner, has a wallet and a courier's key of their own, and asks every
/// address of the house for them: in its path, its query, its body.
///
/// # Errors
/// When an honest step does not come about.
pub async fn identifiers_only(world: &mut World) -> anyhow::Result<Gain> {
    let mut gain = Gain::default();
    let victims = world.take(3).await?;
    let before = world.all_seen(&victims);
    let scene = world.scene().clone();
    let stalker = Wallet::register(WalletSite::new(&scene.layout.wallet_origin, &scene.host)?, &scene.host).await?;
    let hosts = [
        (Http::new(&scene.layout.gateway_origin, &scene.host.client), None),
        (Http::new(&scene.layout.wallet_origin, &scene.host.client), Some(stalker.session().to_owned())),
        (Http::new(&scene.layout.stop_origin, &scene.host.client), None),
        (
            Http::new(&scene.layout.carrier_origin, &scene.host.client),
            Some(format!("Bearer {}", scene.layout.merchant_key)),
        ),
    ];
    let mut heard = String::new();
    let mut asked = 0_u64;
    for n in &victims {
        let car = world.day.cars[*n].clone();
        for known in [car.vin, plate(*n), car.login, String::from("Kim Larsen")] {
            for (path, method) in addresses()? {
                for (http, session) in &hosts {
                    asked += 1;
                    let answer = ask(http, session.as_deref(), &method, &path, &known).await;
                    match answer {
                        Ok(answer) if !PUBLIC.iter().any(|p| path.starts_with(p)) && path.contains('{') => {
                            gain.win(format!("{method} {path} answers to an identifier: {answer}"));
                        }
                        Ok(answer) => heard.push_str(&answer.to_string()),
                        Err(failure) => {
                            gain.count("refusals", failure.code().unwrap_or("no_json"));
                            heard.push_str(&failure.to_string());
                        }
                    }
                }
            }
        }
    }
    let found = Needles::new(&needles::of_cars(world, &victims)).search("answers", heard.as_bytes());
    // What was asked for may be repeated; a place was never asked for.
    gain.must(!found.iter().any(|s| s.needle.starts_with("place")), || String::from("a place was answered"));
    gain.figure("questions", asked);
    for (n, before) in before {
        let after = world.seen(n);
        gain.must(
            after.position_reads_at == before.position_reads_at && after.open_commands == before.open_commands,
            || format!("asking for what identifies the car of {n} moved or located it"),
        );
    }
    Ok(gain)
}

/// Every address of the three services' documents.
fn addresses() -> anyhow::Result<Vec<(String, Method)>> {
    let mut all = BTreeMap::new();
    for (_, text) in crate::openapi::documents()? {
        let document: Value = serde_json::from_str(&text)?;
        for (path, item) in document["paths"].as_object().context("a document without paths")? {
            for method in item.as_object().into_iter().flatten().map(|(m, _)| m.to_uppercase()) {
                if let Ok(method) = method.parse::<Method>() {
                    all.insert((path.clone(), method.to_string()), method);
                }
            }
        }
    }
    Ok(all.into_iter().map(|((path, _), method)| (path, method)).collect())
}

async fn ask(http: &Http, session: Option<&str>, method: &Method, path: &str, known: &str) -> Result<Value, Failure> {
    let escaped: String = url::form_urlencoded::byte_serialize(known.as_bytes()).collect();
    let filled = path.split('/').map(|part| if part.starts_with('{') { escaped.as_str() } else { part });
    let path = filled.collect::<Vec<_>>().join("/");
    let headers: Vec<(&str, &str)> =
        session.map(|s| ("authorization", s)).into_iter().chain([("idempotency-key", "drill-identifier")]).collect();
    if *method == Method::GET || *method == Method::DELETE {
        let path = format!("{path}?vin={escaped}&plate={escaped}&email={escaped}&name={escaped}&q={escaped}");
        return http.send(method.clone(), &path, &headers, None).await;
    }
    let body = json!({"vin": known, "plate": known, "email": known, "name": known, "id": known, "q": known});
    http.send(method.clone(), &path, &headers, Some(body.to_string().into_bytes())).await
}

/// How an owner's block and an opening met.
#[derive(Default)]
struct Race {
    block_first: u64,
    open_first: u64,
    in_flight: u64,
}

/// An owner blocks in the very moment in which the courier opens, over and over, at every distance in time. After the answer
/// *blocked, nothing is under way* no command reaches the maker any more.
///
/// # Errors
/// When an honest step does not come about.
pub async fn revoked_race(world: &mut World) -> anyhow::Result<Gain> {
    let mut gain = Gain::default();
    let count = world.share(5).min(500);
    let mine = world.take(count).await?;
    let mut race = Race::default();
    let mut settled = Vec::new();
    for (i, n) in mine.iter().enumerate() {
        let device = &world.courier(*n)?.device;
        let mut visit = Visit::begin(world, *n).await?;
        visit.locate(world, device).await??;
        let (at, labels) = (visit.beside(world)?, visit.labels(world)?);
        let prepared =
            answered(world, async || visit.page.prepare(device, &visit.stop, Action::Open, at, labels.clone()).await)
                .await?;
        let (owner, id) = (world.owner(*n)?, world.delivery(*n)?.id);
        let clock = &world.scene().host.clock;
        // From both at once to half a minute apart; the opening has questions to ask first, so it is given a start.
        let apart = std::time::Duration::from_millis(world.dice.between("apart", i as u64, 0, 120) * 250);
        let opener_waits = world.dice.hit("who waits", i as u64, 0.2);
        let before = world.seen(*n).open_commands;
        let open = async {
            if opener_waits {
                clock.sleep(apart).await;
            }
            answered(world, async || visit.page.send(&prepared).await).await
        };
        let block = async {
            if !opener_waits {
                clock.sleep(apart).await;
            }
            let answer = answered(world, async || owner.wallet.block(id).await).await;
            // What has reached the maker by the time at which the owner hears it.
            (answer, world.seen(*n).open_commands)
        };
        let (opened, (blocked, at_the_answer)) = tokio::join!(open, block);
        let is_settled = blocked.context("a block is never refused")?;
        gain.count(
            "to open while the owner blocks",
            opened.as_ref().map_or_else(|f| f.code().unwrap_or("none"), |_| "taken"),
        );
        match (&opened, is_settled) {
            (Ok(_), false) => race.in_flight += 1,
            (Ok(_), true) => race.open_first += 1,
            (Err(_), _) => race.block_first += 1,
        }
        if is_settled {
            settled.push((*n, at_the_answer));
        }
        let commands = world.seen(*n).open_commands - before;
        gain.must(commands <= 1, || format!("delivery {n}: {commands} commands"));
        if let Ok(answer) = &opened {
            let _ = StopPage::attempt_of(answer)?;
        }
    }
    world.day.sleep_s(1_200).await;
    for (n, at_the_answer) in &settled {
        let after = world.seen(*n).open_commands;
        gain.must(after == *at_the_answer, || format!("delivery {n}: a command left after the block was acknowledged"));
    }
    gain.figure("races_over_http", mine.len());
    gain.figure("block_was_first", race.block_first);
    gain.figure("opening_was_first", race.open_first);
    gain.figure("command_was_under_way", race.in_flight);
    gain.figure("acknowledged_as_settled", settled.len());
    Ok(gain)
}
