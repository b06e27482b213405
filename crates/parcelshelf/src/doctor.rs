//! Looks at configurations before anybody depends on them.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::bail;
use parcelshelf_client::Http;
use parcelshelf_core::time::Timestamp;
use parcelshelf_edge::Host;
use parcelshelf_keyholder::keys::{EPOCHS, KeyRing, read_key};
use parcelshelf_protocol::cert::{Cert, Role, VerifiedCert};
use parcelshelf_protocol::jws::{Moment, VerifyingKey};
use parcelshelf_store::keys::is_key_store;
use parcelshelf_vault::{Epochs, Kms as _};

use crate::cli::Doctor;
use crate::services::{KeyholderFile, read};

/// A clock that is further off makes nonces and certificates fail.
const CLOCK_OFF_MAX_MS: i64 = 2_000;
/// Certificates that end sooner are worth a word.
const CERT_LEFT_DAYS: i64 = 7;

/// What was found, good or bad.
#[derive(Debug, Default)]
pub struct Findings {
    lines: Vec<(bool, String)>,
}
impl Findings {
    fn good(&mut self, text: impl Into<String>) {
        self.lines.push((true, text.into()));
    }
    fn bad(&mut self, text: impl Into<String>) {
        self.lines.push((false, text.into()));
    }
    fn check(&mut self, holds: bool, good: impl Into<String>, bad: impl Into<String>) {
        if holds { self.good(good) } else { self.bad(bad) }
    }
    /// What is wrong, in plain words.
    #[must_use]
    pub fn wrong(&self) -> Vec<&str> {
        self.lines.iter().filter(|(good, _)| !good).map(|(_, text)| text.as_str()).collect()
    }
}

/// # Errors
/// When anything is wrong.
pub async fn run(args: &Doctor) -> anyhow::Result<()> {
    let host = Host::system();
    let mut findings = look(&args.path, host.now());
    if args.online {
        online(&args.path, &host, &mut findings).await;
    }
    for (good, text) in &findings.lines {
        println!("{} {text}", if *good { "ok   " } else { "WRONG" });
    }
    let wrong = findings.wrong().len();
    if wrong > 0 {
        bail!("{wrong} {} to put right", if wrong == 1 { "thing" } else { "things" });
    }
    Ok(())
}

fn files(path: &Path) -> [PathBuf; 3] {
    let one = |name: &str| {
        if path.is_dir() { path.join(format!("{name}/{name}.toml")) } else { path.to_owned() }
    };
    [one("keyholder"), one("gateway"), one("carrier")]
}

/// Looks at what lies on the disk.
#[must_use]
pub fn look(path: &Path, now: Timestamp) -> Findings {
    let mut f = Findings::default();
    let [keyholder, gateway, carrier] = files(path);
    // Each party's folder lies on the machine of that party, and a household has no carrier.
    let here = |name: &str| path.is_dir() && path.join(name).is_dir();
    if path.is_dir() && !["keyholder", "gateway", "carrier"].into_iter().any(here) {
        f.bad(format!("{}: no folder of a keyholder, a gateway or a carrier is in it", path.display()));
    }
    let alone = || std::fs::read_to_string(&keyholder).is_ok_and(|text| text.contains("[keyholder"));
    let mut aud = None;
    let mut operator = None;
    if here("keyholder") || (!path.is_dir() && alone()) {
        match read::<KeyholderFile>(&keyholder) {
            Ok(file) => {
                aud = Some(file.keyholder.aud.clone());
                operator = file.keyholder.operator.key().ok();
                look_at_keyholder(&file, &mut f);
            }
            Err(e) => f.bad(format!("keyholder: {e:#}")),
        }
    }
    if here("gateway") {
        match read::<parcelshelf_gateway::Config>(&gateway) {
            Ok(config) => look_at_gateway(&config, aud.as_deref(), &mut f),
            Err(e) => f.bad(format!("gateway: {e:#}")),
        }
    }
    if here("carrier") {
        match read::<parcelshelf_carrier::Config>(&carrier) {
            Ok(config) => look_at_carrier(&config, aud.as_deref(), operator.as_ref(), now, &mut f),
            Err(e) => f.bad(format!("carrier: {e:#}")),
        }
    }
    f
}

fn look_at_keyholder(file: &KeyholderFile, f: &mut Findings) {
    let k = &file.keyholder;
    match KeyRing::load(&k.key_dir, &k.log_origin) {
        Ok(_) => f.good("keyholder: five keys can be read"),
        Err(e) => f.bad(format!("keyholder: {e}")),
    }
    for name in parcelshelf_keyholder::keys::FILES {
        private(&k.key_dir.join(name), "keyholder", f);
    }
    look_at_data_keys("keyholder", &k.key_dir.join(EPOCHS), &k.key_dir.join("storage.key"), &k.data_dir, f);
    f.check(
        k.operator.key().is_ok(),
        "keyholder: the operator's key is a key",
        "keyholder: the operator's key is none",
    );
    let host = host_of(&k.wallet_origin);
    f.check(
        host.as_deref() == Some(k.rp_id.as_str()),
        "keyholder: passkeys belong to exactly the wallet's host",
        format!("keyholder: rp_id is {} and must be the wallet's host, {}", k.rp_id, host.unwrap_or_default()),
    );
    // Socket addresses hold 107 bytes and a zero.
    f.check(
        k.socket.as_os_str().len() <= 107,
        "keyholder: the socket's path is short enough",
        "keyholder: the socket's path has more than 107 bytes; choose a shorter folder",
    );
    let host = Host::system();
    let client = match parcelshelf_exchange::Client::network(host.clock.clone()) {
        Ok(client) => client,
        Err(e) => return f.bad(format!("this machine: {e}")),
    };
    match file.accesses(&host, &client) {
        Ok(_) => f.good("keyholder: the maker's configuration can be used"),
        Err(e) => f.bad(format!("keyholder: {e:#}")),
    }
}

fn look_at_gateway(c: &parcelshelf_gateway::Config, aud: Option<&str>, f: &mut Findings) {
    let hosts = [&c.origin, &c.wallet_origin, &c.stop_origin].map(|o| host_of(o));
    let differ =
        hosts.iter().all(Option::is_some) && hosts[0] != hosts[1] && hosts[0] != hosts[2] && hosts[1] != hosts[2];
    f.check(
        differ,
        "gateway: gateway, wallet and stop page are three hosts",
        "gateway: origin, wallet_origin and stop_origin must be three different hosts: a page of one must not reach another's",
    );
    let secure = [&c.origin, &c.wallet_origin, &c.stop_origin].iter().zip(&hosts).all(|(o, h)| {
        o.starts_with("https://") || h.as_deref().is_some_and(|h| h == "localhost" || h.ends_with(".localhost"))
    });
    f.check(
        secure,
        "gateway: https, or this machine",
        "gateway: origins must be https; passkeys do not work otherwise",
    );
    f.check(
        hosts[1].as_deref() == Some(c.rp_id.as_str()),
        "gateway: rp_id is the wallet's host",
        "gateway: rp_id must be the wallet's host",
    );
    if let Some(aud) = aud {
        f.check(
            c.aud == aud,
            "gateway: names the keyholder as it names itself",
            "gateway: aud differs from the keyholder's",
        );
    }
    private(&c.nonce_key, "gateway", f);
    look_at_data_keys("gateway", &c.epochs_dir(), &c.nonce_key, &c.data_dir, f);
    if let Err(e) = read_key(&c.nonce_key) {
        f.bad(format!("gateway: {e}"));
    }
    if let Some(push) = &c.push {
        private(&push.key, "gateway", f);
        f.check(
            !push.local || hosts[1].as_deref().is_some_and(|h| h == "localhost" || h.ends_with(".localhost")),
            "gateway: phones are woken through push services of browsers",
            "gateway: push.local is for trying out on this machine; no phone is woken by it",
        );
    }
}

fn look_at_carrier(
    c: &parcelshelf_carrier::Config,
    aud: Option<&str>,
    operator: Option<&VerifyingKey>,
    now: Timestamp,
    f: &mut Findings,
) {
    for key in [&c.delegation_key, &c.storage_key] {
        private(key, "carrier", f);
        if let Err(e) = read_key(key) {
            f.bad(format!("carrier: {e}"));
        }
    }
    look_at_data_keys("carrier", &c.epochs_dir(), &c.storage_key, &c.data_dir, f);
    if let Some(aud) = aud {
        f.check(
            c.aud == aud,
            "carrier: names the keyholder as it names itself",
            "carrier: aud differs from the keyholder's",
        );
    }
    f.check(
        !c.api_keys.is_empty(),
        "carrier: keys of the interface are configured",
        "carrier: nobody has a key of the interface",
    );
    if let Some(pages) = &c.pages {
        let hosts = [&pages.courier_origin, &pages.ops_origin, &c.wallet_origin, &c.stop_origin].map(|o| host_of(o));
        let differ = (1..hosts.len()).all(|n| !hosts[..n].contains(&hosts[n]));
        f.check(
            differ,
            "carrier: the courier app and the operations page are hosts of their own",
            "carrier: courier_origin and ops_origin must be two hosts, and none of the gateway's: a page of one must not \
             reach another's",
        );
    }
    let text = |path: &Path| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let Ok(root) = VerifyingKey::parse_jwk(text(&c.root).as_bytes()) else {
        f.bad("carrier: the root's public key cannot be read");
        return;
    };
    if let Some(operator) = operator {
        let cert = Cert::verify(&text(&c.carrier_cert), operator, Role::Carrier, &c.aud, Moment::Used(now));
        certificate("carrier: admitted by the operator", cert.map_err(|r| r.code()), now, f);
    }
    let cert = Cert::verify(&text(&c.delegation_cert), &root, Role::Delegation, &c.aud, Moment::Used(now));
    certificate("carrier: the delegation key is certified by the root", cert.map_err(|r| r.code()), now, f);
}

fn certificate(what: &str, cert: Result<VerifiedCert, &'static str>, now: Timestamp, f: &mut Findings) {
    match cert {
        Ok(cert) => {
            let days = cert.claims().window.end().millis_since(now) / 86_400_000;
            f.check(
                days >= CERT_LEFT_DAYS,
                format!("{what}, for {days} more days"),
                format!("{what}, but for {days} days only: certify it anew"),
            );
        }
        Err(code) => f.bad(format!("{what}? No: {code}")),
    }
}

fn private(path: &Path, party: &str, f: &mut Findings) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path).map(|m| m.permissions().mode() & 0o077);
    match mode {
        Ok(0) => {}
        Ok(_) => f.bad(format!("{party}: others can read {}; chmod 600 it", path.display())),
        Err(e) => f.bad(format!("{party}: {}: {e}", path.display())),
    }
}

/// The keys under which everything personal lies: epoch keys in their folder, wrapped data keys in their file.
fn look_at_data_keys(party: &str, epochs: &Path, storage_key: &Path, data_dir: &Path, f: &mut Findings) {
    look_at_epochs(party, epochs, storage_key, f);
    let (store, keys) = (data_dir.join(format!("{party}.db")), data_dir.join(format!("{party}-keys.db")));
    match is_key_store(&keys) {
        Ok(true) => {
            private(&keys, party, f);
            f.good(format!("{party}: the data keys are where they belong"));
        }
        Ok(false) => f.bad(format!(
            "{party}: {} is no key store. Put the right file there; with another one everything personal is lost",
            keys.display()
        )),
        Err(e) if e.kind() == ErrorKind::NotFound && !store.exists() => {
            f.good(format!("{party}: no store yet; the first start makes it"));
        }
        Err(e) if e.kind() == ErrorKind::NotFound => f.bad(format!(
            "{party}: {} is missing and {} is there. Do not start the service: it would make new keys, and nothing \
             personal in that store could be read. Find the file; it is in no backup of the data",
            keys.display(),
            store.display()
        )),
        Err(e) => f.bad(format!(
            "{party}: {}: {e}; let the service's user read and write it, and nobody else",
            keys.display()
        )),
    }
}

fn look_at_epochs(party: &str, dir: &Path, storage_key: &Path, f: &mut Findings) {
    use std::os::unix::fs::PermissionsExt as _;
    let about = match std::fs::metadata(dir) {
        Ok(about) if about.is_dir() => about,
        Ok(_) => return f.bad(format!("{party}: {} must be a folder of epoch keys, and is a file", dir.display())),
        Err(e) if e.kind() == ErrorKind::NotFound => {
            return f.bad(format!(
                "{party}: the epoch keys' folder {} is missing. Put it back from where you keep keys: without it nothing \
                 personal can be read. Where there never was one, stop the service and say `parcelshelf keys rotate`",
                dir.display()
            ));
        }
        Err(e) => return f.bad(format!("{party}: {}: {e}; let the service's user read it", dir.display())),
    };
    if about.permissions().mode() & 0o022 != 0 {
        f.bad(format!("{party}: others can put keys into {}; chmod 700 it", dir.display()));
    }
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) => return f.bad(format!("{party}: {}: {e}; chmod 700 it for the service's user", dir.display())),
    };
    let mut keys = 0;
    for entry in entries.flatten() {
        private(&entry.path(), party, f);
        keys += 1;
    }
    let Ok(storage) = read_key(storage_key) else { return };
    match Epochs::open(dir, &storage, Host::system().entropy) {
        Ok(_) if keys == 0 => f.bad(format!(
            "{party}: {} is empty. Put the epoch keys back; where there never were any, stop the service and say \
             `parcelshelf keys rotate`",
            dir.display()
        )),
        Ok(epochs) => f.good(format!("{party}: {keys} epoch {}, the newest is {}", words(keys), epochs.current())),
        Err(e) => f.bad(format!("{party}: {e}. Put the right file back, or move away what does not belong there")),
    }
}

const fn words(keys: usize) -> &'static str {
    if keys == 1 { "key" } else { "keys" }
}

fn host_of(origin: &str) -> Option<String> {
    let rest = origin.split_once("://")?.1;
    Some(rest.split(['/', ':']).next()?.to_owned())
}

/// Asks the running services for health and time.
async fn online(path: &Path, host: &Host, f: &mut Findings) {
    let [_, gateway, carrier] = files(path);
    let origins = [
        ("gateway", read::<parcelshelf_gateway::Config>(&gateway).map(|c| c.origin)),
        ("carrier", read::<parcelshelf_carrier::Config>(&carrier).map(|c| format!("http://{}", c.listen))),
    ];
    let client = match parcelshelf_exchange::Client::network(host.clock.clone()) {
        Ok(client) => client,
        Err(e) => return f.bad(format!("this machine: {e}")),
    };
    for (name, origin) in origins {
        let Ok(origin) = origin else { continue };
        match Http::new(&origin, &client).server_time("/healthz").await {
            Ok(there) => {
                let off = host.now().millis_since(there).abs();
                f.check(
                    off <= CLOCK_OFF_MAX_MS,
                    format!("{name}: answers, its clock is {off} ms off"),
                    format!("{name}: its clock is {off} ms off; let both machines use NTP"),
                );
            }
            Err(e) => f.bad(format!("{name}: does not answer at {origin}: {e}")),
        }
    }
}
