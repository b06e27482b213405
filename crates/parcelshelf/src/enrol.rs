//! `parcelshelf enrol`: a depot certifies a courier's phone, face to face.

use std::io::{BufRead as _, Write as _};

use anyhow::{Context as _, ensure};
use parcelshelf_client::depot::enrol_shown;
use parcelshelf_client::{Host, Http};
use parcelshelf_protocol::enrol::{Enrolment, six_digits};
use parcelshelf_protocol::jws::Moment;
use parcelshelf_protocol::keys::Keys;

use crate::cli::Enrol;
use crate::init::{client_host, signing_key};

/// # Errors
/// When the digits differ, the key cannot be read, or the gateway refuses.
pub async fn run(args: &Enrol) -> anyhow::Result<()> {
    let host = client_host(&parcelshelf_edge::Host::system())?;
    let code = match &args.code {
        Some(code) => code.clone(),
        None => ask("The code that the phone shows: ")?,
    };
    let shown = Enrolment::parse(&code).context("this is no code of a phone: psh-enrol-1~…~…")?;
    let gateway = Http::new(&args.gateway, &host.client);
    let (aud, log) = keyholder(&gateway, &host).await?;
    let digits = match &args.digits {
        Some(digits) => digits.clone(),
        None => ask("The six digits on the phone: ")?,
    };
    let digits: String = digits.chars().filter(char::is_ascii_digit).collect();
    // Ours are not printed: whoever types them has to read them off the phone.
    ensure!(
        digits == six_digits(shown.device(), &log),
        "the digits are not those of these keys and this keyholder; nothing was certified. Scan the code again, and if \
         they still differ tell the gateway's operator"
    );
    let depot = signing_key(&args.depot.join("depot.key"))?;
    let path = args.depot.join("depot.cert");
    let cert = std::fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
    enrol_shown(&gateway, &depot, cert.trim(), &aud, &shown, &host).await.context("to enrol the phone")?;
    println!("enrolled  {}", shown.device());
    println!("Give this name to the courier in dispatch; stops can then be opened on the phone.");
    Ok(())
}

/// The keyholder's name and its log key.
async fn keyholder(gateway: &Http, host: &Host) -> anyhow::Result<(String, String)> {
    let answer = gateway.get("/v1/keys", &[]).await.context("to ask for the keyholder's keys")?;
    let jws = answer["keys"].as_str().context("the gateway shows no keys")?;
    let known = gateway.get("/.well-known/parcelshelf", &[]).await?;
    let aud = known["aud"].as_str().context("the gateway does not say whose it is")?;
    let keys = Keys::verify(jws, &Keys::peek_log(jws)?, aud, Moment::Used(host.now()))?;
    Ok((aud.to_owned(), keys.claims().log.clone()))
}

fn ask(question: &str) -> anyhow::Result<String> {
    let mut out = std::io::stderr();
    write!(out, "{question}")?;
    out.flush()?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}
