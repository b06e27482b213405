//! Attacks from outside: somebody who knows the car, and an owner's block against an opening that has begun.

use std::collections::BTreeMap;
use std::sync::Arc;

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
use super::schedules::{self, Races};
use super::stop::{Visit, answered};
use super::world::World;
use crate::simulate::owner::plate;

/// What an opening is refused with that the owner has blocked.
const BLOCKED: &[&str] = &["conditions_not_met"];
/// One race in so many has to end this way and one that way, or there was none.
const SOME_OF: u64 = 20;
/// In every so manyth race the opener waits. Both can be first then, in the smallest world as well.
const OPENER_WAITS_EVERY: usize = 5;
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

/// Why an opening was refused.
#[derive(Clone)]
struct Refusal {
    answer: Arc<Failure>,
    /// The owner is told that it was for the block.
    blocked: bool,
}

/// How an owner's block and an opening met.
#[derive(Clone)]
struct Met {
    n: usize,
    /// Whether it was refused, and for the block.
    opened: Result<(), Refusal>,
    /// Nothing was under way any more, said the answer.
    settled: bool,
    before: u64,
    /// What had reached the maker when the owner heard it.
    at_the_answer: u64,
}

/// An owner blocks in the very moment in which the courier opens, over and over, at every distance in time: over HTTP, and
/// in many more schedules in memory. After the answer *blocked, nothing is under way* no command reaches the maker any more.
///
/// # Errors
/// When an honest step does not come about.
pub async fn revoked_race(world: &mut World) -> anyhow::Result<Gain> {
    let mut gain = Gain::default();
    let count = world.share(5).min(500);
    let mine = world.take(count).await?;
    // One courier after another would take longer than the windows are open: all set out at once.
    let mut of_couriers: BTreeMap<usize, Vec<(usize, bool)>> = BTreeMap::new();
    for (i, n) in mine.iter().enumerate() {
        of_couriers.entry(world.day.city.errands[*n].courier).or_default().push((*n, i % OPENER_WAITS_EVERY == 0));
    }
    let here = &*world;
    let lanes = of_couriers.into_values().map(|mine| async move {
        let mut met = Vec::with_capacity(mine.len());
        for (n, opener_waits) in mine {
            met.push(race(here, n, opener_waits).await.with_context(|| format!("delivery {n}"))?);
        }
        anyhow::Ok(met)
    });
    let met = futures_util::future::try_join_all(lanes).await?.concat();
    world.day.sleep_s(1_200).await;
    let (mut block_first, mut open_first, mut in_flight, mut moved) = (0_u64, 0_u64, 0_u64, 0_u64);
    for one in &met {
        let (n, after) = (one.n, world.seen(one.n).open_commands);
        match (&one.opened, one.settled) {
            (Ok(()), false) => in_flight += 1,
            (Ok(()), true) => open_first += 1,
            (Err(refusal), _) => {
                gain.refused("to open while the owner blocks", BLOCKED, &Err::<(), _>(&*refusal.answer));
                block_first += u64::from(refusal.blocked);
            }
        }
        moved += u64::from(after > one.before);
        gain.must(after - one.before <= 1, || format!("delivery {n}: {} commands", after - one.before));
        gain.must(!one.settled || after == one.at_the_answer, || {
            format!("delivery {n}: a command left after the block was acknowledged")
        });
    }
    // Both must have been first now and then, and something must have been able to move.
    let some = (met.len() as u64 / SOME_OF).max(1);
    gain.at_least(some, block_first, "openings that were refused for the block");
    gain.at_least(some, open_first + in_flight, "openings that were taken");
    gain.at_least(some, moved, "cars that got a command");
    gain.at_least(some, met.iter().filter(|m| m.settled).count() as u64, "blocks that were acknowledged as settled");
    gain.figure("cars_that_got_a_command", moved);
    gain.figure("races_over_http", met.len());
    gain.figure("block_was_first", block_first);
    gain.figure("opening_was_first", open_first);
    gain.figure("command_was_under_way", in_flight);
    gain.figure("acknowledged_as_settled", met.iter().filter(|m| m.settled).count());
    let size = world.size.clone();
    let dir = schedules::folder(&world.folder("revoked-race")?);
    let races = Races { dir, stops: size.stops, seed: size.seed, schedules: size.schedules, empty_words: false };
    let tally = world.outside(schedules::raced(races)).await.context("in memory")?;
    gain.figure("in_memory", tally.to_json());
    gain.won.extend(tally.won);
    Ok(gain)
}

async fn race(world: &World, n: usize, opener_waits: bool) -> anyhow::Result<Met> {
    let device = &world.courier(n)?.device;
    let mut visit = Visit::begin(world, n).await?;
    visit.locate(world, device).await??;
    let (at, labels) = (visit.beside(world)?, visit.labels(world)?);
    // Carriers whose couriers go away from many cars without having come near are stopped.
    visit.act(world, device, Action::Describe, at, json!({})).await.context("the description")?;
    let (owner, id) = (world.owner(n)?, world.delivery(n)?.id);
    let (clock, dice) = (&world.scene().host.clock, world.dice);
    // From both at once to half a minute apart; the opening has questions to ask first, so it is mostly given a start.
    let apart = std::time::Duration::from_millis(dice.between("apart", n as u64, 0, 120) * 250);
    let before = world.seen(n).open_commands;
    let wait = async |waits: bool| {
        if waits {
            clock.sleep(apart).await;
        }
    };
    let open = async {
        wait(opener_waits).await;
        visit.act(world, device, Action::Open, at, labels).await
    };
    let block = async {
        wait(!opener_waits).await;
        let answer = answered(world, async || owner.wallet.block(id).await).await;
        // What has reached the maker by the time at which the owner hears it.
        (answer, world.seen(n).open_commands)
    };
    let (opened, (blocked, at_the_answer)) = tokio::join!(open, block);
    let settled = blocked.context("a block is never refused")?;
    if let Ok(answer) = &opened {
        let _ = StopPage::attempt_of(answer)?;
    }
    let opened = match opened {
        Ok(_) => Ok(()),
        Err(answer) => {
            let told = answered(world, async || owner.wallet.timeline(id).await).await.context("the timeline")?;
            let denied = told["refused"].as_array().into_iter().flatten();
            let blocked = denied.into_iter().any(|d| d["code"] == "blocked");
            Err(Refusal { answer: Arc::new(answer), blocked })
        }
    };
    Ok(Met { n, opened, settled, before, at_the_answer })
}
