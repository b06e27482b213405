//! What was acknowledged is on the disk: the system calls of running services, read with strace. Between the request and the
//! first byte of its 201 a flush of the store has been completed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "what was counted is printed")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use parcelshelf::people::{Courier, Owner, order};
use parcelshelf::stage::{Setting, Stage};
use parcelshelf_core::area::Position;
use parcelshelf_simulator::volvo::WorldFile;

/// Attaches to a running service; waits until it is attached.
fn attach(pid: u32, into: &Path) -> Child {
    let calls = "trace=fdatasync,fsync,read,recvfrom,recvmsg,readv,write,writev,sendto,sendmsg";
    let child = Command::new("strace")
        .args(["-f", "-s", "48", "-e", calls, "-o"])
        .arg(into)
        .args(["-p", &pid.to_string()])
        .stderr(Stdio::piped())
        .spawn()
        .expect("strace is installed by scripts/setup.sh");
    for _ in 0..500 {
        // Every thread is traced once something of the runtime's own is seen.
        if std::fs::metadata(into).is_ok_and(|m| m.len() > 0) {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child
}

fn detach(mut strace: Child) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(strace.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    strace.wait().unwrap();
}

/// A flush that is over. SQLite calls one or the other, as it was built.
fn is_flush(line: &str) -> bool {
    (line.contains("fdatasync") || line.contains("fsync")) && line.trim_end().ends_with("= 0")
}

/// How many 201 answers were written, and those before whose first byte no flush was completed since their request.
fn unflushed(trace: &str) -> (usize, Vec<String>) {
    let (mut acknowledged, mut early) = (0, Vec::new());
    let mut flushed_since_request = false;
    for line in trace.lines() {
        if line.contains("\"POST /v1/") {
            flushed_since_request = false;
        } else if is_flush(line) {
            flushed_since_request = true;
        } else if line.contains("\"HTTP/1.1 201") && !line.contains("read") && !line.contains("recv") {
            acknowledged += 1;
            if !flushed_since_request {
                early.push(line.to_owned());
            }
        }
    }
    (acknowledged, early)
}

#[test]
fn the_check_itself_can_fail() {
    let good = "1 read(9, \"POST /v1/shipments HTT\"..., 8) = 8\n2 fdatasync(7 <unfinished ...>\n2 <... fdatasync resumed>) = 0\n1 writev(9, [{iov_base=\"HTTP/1.1 201 Created\"...";
    assert_eq!(unflushed(good), (1, Vec::new()));
    let still_flushing = good.replace("2 <... fdatasync resumed>) = 0\n", "");
    assert_eq!(unflushed(&still_flushing).1.len(), 1);
}

#[tokio::test]
async fn no_acknowledgement_of_a_service_precedes_its_flush() {
    let dir = tempfile::tempdir().unwrap();
    let mut stage = Stage::start(dir.path(), &WorldFile::demo(), Setting::default()).await.unwrap();
    let scene = std::sync::Arc::clone(&stage.scene);
    let place = Position::new(57.708_87, 11.974_56, 10.0).unwrap();
    let cars = scene.sim().get("/__sim/cars", &[]).await.unwrap();
    let vin = cars["cars"][0]["vin"].as_str().unwrap();
    let owner = Owner::enrol(&scene, "alex@example.org", vin, place, "KLM 482").await.unwrap();
    let traces = ["carrier", "keyholder"].map(|name| dir.path().join(format!("{name}.strace")));
    let straces =
        [attach(stage.carrier.pid().unwrap(), &traces[0]), attach(stage.keyholder.pid().unwrap(), &traces[1])];
    let merchant = scene.merchant();
    for n in 0..8 {
        let order = order(scene.host.now(), &format!("FJB1234567{n}")).unwrap();
        let ordered = merchant.ship(&order, &format!("ship-{n:04}")).await.unwrap();
        owner.allow(&scene, &ordered).await.unwrap();
        Courier::hire(&scene, "Sam Rivera", &format!("hire-{n:04}")).await.unwrap();
    }
    for strace in straces {
        detach(strace);
    }
    for (name, path) in ["carrier", "keyholder"].iter().zip(&traces) {
        let trace = std::fs::read_to_string(path).unwrap();
        let flushes = trace.lines().filter(|l| is_flush(l)).count();
        let (acknowledged, early) = unflushed(&trace);
        println!("{name}: {acknowledged} acknowledgements, {flushes} flushes");
        // Shipments and couriers there; grants and devices here.
        assert!(acknowledged >= 16, "{name}: only {acknowledged} acknowledgements were seen:\n{trace:.2000}");
        assert!(flushes >= acknowledged, "{name}: one writer, one after the other, needs a flush each");
        assert!(early.is_empty(), "{name}: acknowledged before the flush:\n{}", early.join("\n"));
    }
    stage.stop().await.unwrap();
}
