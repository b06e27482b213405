//! Builds `web/` when something in it has changed: `npm ci` when the lock file is another, then `npm run build`.
//!
//! `WEB_DIST=folder` takes a folder that is built already. `WEB=skip` embeds one page per app that says how to build it:
//! for work on the Rust side alone, and on machines without Node.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// What a change of makes the apps other ones. Never `web/` as a whole: what is installed and built lies below it.
const SOURCES: [&str; 13] = [
    "build",
    "courier",
    "ops",
    "package-lock.json",
    "package.json",
    "public",
    "src",
    "stop",
    "svelte.config.js",
    "testdata",
    "tsconfig.json",
    "vite.config.ts",
    "wallet",
];
/// What Vite and its plugins ask for.
const NODE_MIN: (u32, u32) = (20, 19);
const WAYS_OUT: &str = "\n\n  Two ways out: set WEB_DIST to a folder that is built already (`npm ci && npm run build` in \
                        web/ makes web/dist),\n  or set WEB=skip to build without the web apps. `scripts/setup.sh` \
                        installs Node on Debian.\n";
const APPS: [&str; 4] = ["wallet", "stop", "courier", "ops"];

fn main() {
    println!("cargo::rerun-if-env-changed=WEB_DIST");
    println!("cargo::rerun-if-env-changed=WEB");
    println!("cargo::rerun-if-changed=build.rs");
    let web = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../../web");
    let done = match (env::var("WEB_DIST"), env::var("WEB").as_deref()) {
        (Ok(dist), _) => taken(Path::new(&dist)),
        (_, Ok("skip")) => skipped(),
        _ => built(&web),
    };
    match done {
        Ok(dist) => println!("cargo::rustc-env=PARCELSHELF_WEB_DIST={}", dist.display()),
        Err(why) => {
            eprintln!("\nThe web apps could not be built: {why}{WAYS_OUT}");
            std::process::exit(1);
        }
    }
}

fn taken(dist: &Path) -> Result<PathBuf, String> {
    let list = dist.join("files.json");
    println!("cargo::rerun-if-changed={}", list.display());
    if !list.is_file() {
        return Err(format!("WEB_DIST is {}, and there is no files.json in it", dist.display()));
    }
    dist.canonicalize().map_err(|e| format!("{}: {e}", dist.display()))
}

/// A page per app that says what is missing.
fn skipped() -> Result<PathBuf, String> {
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it")).join("not-built");
    let write = |path: PathBuf, text: String| {
        let folder = path.parent().unwrap_or(&out).to_owned();
        fs::create_dir_all(folder).and_then(|()| fs::write(&path, text)).map_err(|e| format!("{}: {e}", path.display()))
    };
    for app in APPS {
        let page = format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
             content=\"width=device-width\"><title>Not built</title><h1>The {app} app is not in this program</h1>\
             <p>It was built with <code>WEB=skip</code>. Build it again without, with Node 20.19 or newer.</p></html>"
        );
        write(out.join(app).join("index.html"), page)?;
    }
    let sites = APPS.map(|app| format!("\"{app}\":[{{\"path\":\"/index.html\",\"file\":\"{app}/index.html\"}}]"));
    write(out.join("files.json"), format!("{{\"v\":1,\"sites\":{{{}}}}}", sites.join(",")))?;
    Ok(out)
}

fn built(web: &Path) -> Result<PathBuf, String> {
    for source in SOURCES {
        // A path that is not there would run this for ever.
        if web.join(source).exists() {
            println!("cargo::rerun-if-changed={}", web.join(source).display());
        }
    }
    node_is_new_enough()?;
    let (lock, stamp) = (web.join("package-lock.json"), web.join("node_modules/.parcelshelf-lock.json"));
    let wanted = fs::read(&lock).map_err(|e| format!("{}: {e}", lock.display()))?;
    if fs::read(&stamp).ok().as_deref() != Some(&wanted) {
        npm(web, &["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"])?;
        // Written last: a half-made folder is never taken for a whole one.
        fs::write(&stamp, &wanted).map_err(|e| format!("{}: {e}", stamp.display()))?;
    }
    npm(web, &["run", "--silent", "build"])?;
    taken(&web.join("dist"))
}

fn node_is_new_enough() -> Result<(), String> {
    let said = Command::new("node").arg("--version").output();
    let said = said.map_err(|_| format!("Node is missing; {}.{} or newer is needed", NODE_MIN.0, NODE_MIN.1))?;
    let text = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    let mut numbers = text.trim_start_matches('v').split('.').map(|n| n.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= NODE_MIN {
        Ok(())
    } else {
        Err(format!("Node {}.{} or newer is needed, {text} is here", NODE_MIN.0, NODE_MIN.1))
    }
}

fn npm(web: &Path, arguments: &[&str]) -> Result<(), String> {
    // Best compression takes ten seconds, which only a release is worth.
    let compress = if env::var("PROFILE").as_deref() == Ok("release") { "best" } else { "fast" };
    let said = Command::new("npm").args(arguments).current_dir(web).env("WEB_COMPRESS", compress).output();
    let said = said.map_err(|_| String::from("npm is missing"))?;
    if said.status.success() {
        return Ok(());
    }
    let (out, err) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    Err(format!("`npm {}` failed in web/:\n{out}\n{err}", arguments.join(" ")))
}
