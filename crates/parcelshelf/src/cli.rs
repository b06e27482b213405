//! The command line: one subcommand per role. `--help` of each says what it is for and what to do next.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// In-car delivery in which the carrier cannot learn where people park, and nothing opens that its owner has not signed
/// for.
#[derive(Parser, Debug)]
#[command(
    name = "parcelshelf",
    version,
    max_term_width = 110,
    after_help = "Start here:  parcelshelf demo\n\
    A real installation:  parcelshelf init DIR, then doctor DIR, then keyholder, gateway and carrier with their files."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Everything on this machine: starts every party as a process of its own, plays a delivery as a story, stays up
    Demo(Demo),
    /// The carrier's service: shipments, couriers, delegations, outcomes. Holds no key that opens and no place
    Carrier(Serve),
    /// The gateway's front: accounts, sessions, relay. Cannot open
    Gateway(Serve),
    /// The gateway's last hop: checks every chain itself, asks the maker's cloud, writes the log
    Keyholder(Serve),
    /// Cosigns logs that only ever grow, so that none can show two histories or go back unseen
    ///
    /// Run it where no gateway runs. `witness init DIR --log KEY…` writes a configuration with a fresh key and prints the
    /// lines that a keyholder's file needs.
    #[command(args_conflicts_with_subcommands = true)]
    Witness(Witness),
    /// Writes configurations with fresh keys for all parties into a folder
    ///
    /// The folder gets one subfolder per party: operator (admits carriers; keep it offline), second-person (releases a stopped
    /// carrier together with the operator; somebody else's), carrier-root (keep it
    /// offline), depot, carrier, gateway, keyholder. Move each to the machine it belongs to; no party needs another's.
    Init(Init),
    /// A household's own gateway beside its Home Assistant, with no carrier: the first start sets it up, every start runs it
    ///
    /// Guests are invited from the wallet, and couriers of any company read a code at the door. Facing the internet it needs three
    /// names, HOST, wallet.HOST and stop.HOST, and a TLS terminator that passes `Host` on unchanged.
    Household(Household),
    /// Checks configurations: keys, certificates, clocks, origins, hosts that must differ. Exit status 1 if anything is wrong
    Doctor(Doctor),
    /// One maker's cloud alone, simulated, with cars that behave physically
    #[command(subcommand)]
    Sim(Sim),
    /// A whole city's day over real HTTP, with simulated time: routes, cars, couriers, owners, faults, and a judge
    ///
    /// Prints a table and exits with status 1 if anything was opened, located or left open that should not have been.
    Simulate(Simulate),
    /// Attacks on a running system, each by somebody with a name and with what that somebody has
    ///
    /// Prepares a city in the middle of its day, then attacks it, drill by drill, on fresh copies of every store. Exit
    /// status 1 if an attack gains what the design denies. `drill all --list` says what there is.
    /// Example:  parcelshelf drill all --report drills.json
    Drill(Drill),
    /// Routes with areas instead of places: extra kilometres against exact places, and places on a phone at once
    ///
    /// Splits the stops into routes of 100 to 150, plans each twice with the same solver and budget (once with every place
    /// exact, once with private stops at the centre of their area of about 5 km²), drives the second while a phone plans
    /// again whenever places open, and prints medians. `plan_only` keeps the carrier's order, for comparison.
    /// Example:  parcelshelf plan --stops stops.csv --private-share 10 --disclose area
    Plan(Plan),
    /// Goes through a gateway's log from outside. Exit status 0: all holds, 1: a complaint, 2: it could not be read
    ///
    /// Fetches every entry and tile, computes the root anew, and checks signature and cosignatures of the checkpoint; then
    /// every file of the wallet and the stop page, which must be the ones whose hashes stand in the log. With --state it goes
    /// on where it was, and notices when what was there before has changed.
    /// Example:  parcelshelf audit https://gateway.example/log --key KEY --state gateway.audit
    Audit(Audit),
    /// Checks a case bundle, a shown record or a public proof offline, by two libraries. Exit status 0 only if all of it holds
    Verify(Verify),
    /// Makes the public proof of one record of a bundle from what its log serves, with the fields that you choose to show
    ///
    /// Example:  parcelshelf prove BUNDLE.json --record 9 --show kind,at,lock_proof --url https://gateway.example/log
    Prove(Prove),
    /// Prints the services' OpenAPI documents, or writes them into a folder
    Openapi(Openapi),
    /// A depot certifies a courier's phone, face to face
    ///
    /// The phone's stop page shows a code (`/enrol`) and six digits. Scan or paste the code here and type the digits: only
    /// if they are the ones that belong to these keys and this keyholder the phone is certified. Prints the device's name,
    /// which dispatch gives to the courier.
    Enrol(Enrol),
    /// A person's written order to a keyholder: a stopped carrier goes on, or a carrier's key is worth nothing any more
    ///
    /// Orders are signed here and prove themselves; none locates or opens. docs/operations says when to use which.
    #[command(subcommand)]
    Order(Order),
    /// Copies a service's store into one file while the service runs
    ///
    /// What was removed is not in it, and never the data keys: whatever is erased later cannot be read in it either.
    Backup(Backup),
    /// Puts a backup in place of a store that is gone. Never overwrites one; the service must not run
    ///
    /// The key store stays as it is. What was erased since the backup stays erased: its rows are removed at the next start.
    Restore(Restore),
    /// The keys that wrap the data keys
    #[command(subcommand)]
    Keys(Keys),
}

#[derive(Args, Debug)]
pub struct Backup {
    /// The service's configuration file
    #[arg(short, long, value_name = "FILE")]
    pub config: PathBuf,
    /// Where the copy goes; must not exist
    pub file: PathBuf,
}

#[derive(Args, Debug)]
pub struct Restore {
    /// The service's configuration file
    #[arg(short, long, value_name = "FILE")]
    pub config: PathBuf,
    /// A file that `backup` wrote
    pub file: PathBuf,
}

#[derive(Subcommand, Debug)]
pub enum Keys {
    /// A new epoch key; every data key is wrapped anew under it, and the old epoch key is destroyed
    ///
    /// From then on an older copy of the key store opens nothing. The service must not run.
    Rotate(RotateKeys),
}

#[derive(Args, Debug)]
pub struct RotateKeys {
    /// The service's configuration file
    #[arg(short, long, value_name = "FILE")]
    pub config: PathBuf,
}

#[derive(Args, Debug)]
pub struct Enrol {
    /// Folder with depot.key and depot.cert, as `init` writes it
    #[arg(long)]
    pub depot: PathBuf,
    /// The gateway's origin for carriers and depots
    #[arg(long)]
    pub gateway: String,
    /// The code that the phone shows; without it, it is read from the standard input
    #[arg(long)]
    pub code: Option<String>,
    /// The six digits on the phone; without them they are asked for
    #[arg(long)]
    pub digits: Option<String>,
}

#[derive(Subcommand, Debug)]
pub enum Order {
    /// One of two different people says that a stopped carrier may locate and open again
    Release(OrderBy),
    /// Revokes a delegation key or a depot's key, or without one the whole carrier; cannot be taken back
    ///
    /// Everything that hangs on it is refused at once. Locking goes on.
    Revoke {
        #[command(flatten)]
        by: OrderBy,
        /// Thumbprint of the delegation key or the depot's; without it the carrier's root and everything below
        #[arg(long, value_name = "THUMBPRINT")]
        revoked: Option<String>,
    },
    /// A legal hold on one delivery, or its end: while it stands nothing of the delivery is erased. Its owner sees it
    Hold {
        #[command(flatten)]
        by: OrderBy,
        /// Id of the delivery
        #[arg(long)]
        delivery: String,
        /// Take the hold off
        #[arg(long)]
        lift: bool,
    },
}

#[derive(Args, Debug)]
pub struct Household {
    /// Folder for keys, configurations and stores; the first start makes it
    pub dir: PathBuf,
    /// At the first start: where the Home Assistant answers, over HTTPS or on the loopback interface
    #[arg(long, value_name = "URL")]
    pub home_assistant: Option<String>,
    /// At the first start: a garage door's entity, and after a comma the sensor in its doorway, such as
    /// `cover.garage,binary_sensor.garage_obstruction`; without one, possession takes 72 hours instead of a minute
    #[arg(long = "garage", value_name = "COVER[,SENSOR]")]
    pub garages: Vec<String>,
    /// The same for a gate
    #[arg(long = "gate", value_name = "COVER[,SENSOR]")]
    pub gates: Vec<String>,
    /// Its public host
    #[arg(long, default_value = "localhost")]
    pub host: String,
    /// Where it listens on the loopback interface
    #[arg(long, default_value_t = 8470)]
    pub port: u16,
    /// Set up and exit
    #[arg(long)]
    pub set_up_only: bool,
}

#[derive(Args, Debug)]
pub struct OrderBy {
    /// Key of the person who orders; a carrier may sign its own revocations with its root
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// Where the gateway answers carriers
    #[arg(long, value_name = "ORIGIN")]
    pub gateway: String,
    /// The keyholder's name, where it is not the gateway's origin
    #[arg(long)]
    pub aud: Option<String>,
    /// Thumbprint of the carrier's root
    #[arg(long, value_name = "THUMBPRINT")]
    pub carrier: String,
}

#[derive(Args, Debug)]
pub struct Demo {
    /// Play the deliveries and exit, instead of staying up
    #[arg(long)]
    pub once: bool,
    /// Park the cars at these stops: a CSV file with the header `id,latitude,longitude`; a row `depot` is left out
    #[arg(long, value_name = "FILE.csv")]
    pub stops: Option<PathBuf>,
    /// How many deliveries to play, each with a car and an owner of its own
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100), value_name = "N")]
    pub deliveries: u32,
    /// Whose cars: one whose cars tell lid and lock, or one that answers later and whose cars tell neither
    #[arg(long, value_enum, default_value = "volvo")]
    pub maker: Maker,
    /// A parcel into a garage instead of a car: a household's own server opens it and shuts it
    #[arg(long, conflicts_with_all = ["stops", "deliveries", "maker", "sabotage", "stage"])]
    pub garage: bool,
    /// A parcel behind a front door: its camera is proved live before it opens, and bolt and sensor prove that it is locked
    #[arg(long, conflicts_with_all = ["garage", "guest", "walk_up", "stops", "deliveries", "maker", "sabotage", "stage"])]
    pub home: bool,
    /// A guest instead of a courier: invited by a link, paired by six digits, let into a garage once
    #[arg(long, conflicts_with_all = ["garage", "walk_up", "stops", "deliveries", "maker", "sabotage", "stage"])]
    pub guest: bool,
    /// No carrier at all: a courier of any company scans the code at a garage, and the owner opens once
    #[arg(long, conflicts_with_all = ["garage", "stops", "deliveries", "maker", "sabotage", "stage"])]
    pub walk_up: bool,
    /// Write what happened as JSON
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Where bundles, logs and stores go; must be empty or absent
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Tamper with the world from outside, to see that the demo notices (for tests)
    #[arg(long, hide = true)]
    pub sabotage: Option<Sabotage>,
    /// Play nothing: start everybody with so many cars of each maker, and say in one line of JSON where the desk is (for
    /// tests)
    #[arg(long, hide = true, value_name = "CARS")]
    pub stage: Option<u32>,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    Volvo,
    Onstar,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// A proxy in front of the maker's cloud swallows locks and says that they were done.
    RelockOff,
    /// A proxy in front of the maker's cloud sends every unlock twice.
    SecondCommand,
    /// A record is taken out of every bundle.
    LeafLeftOut,
    /// Couriers never say what became of a parcel (a simulated day only).
    SilentCouriers,
    /// A proxy in front of a home server paints the pictures of its cameras as the light would make them (a simulated day only).
    PaintedPictures,
}

/// How much goes wrong.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Faults {
    /// Nothing.
    None,
    /// As owners and couriers report it: sleeping cars, one to three commands in a hundred that time out, lost answers.
    Ordinary,
    /// A fifth to two fifths of everything: answers lost after acting, "success" while nothing moved, locks that jam,
    /// wrong clocks, a cloud that is down for minutes.
    Hostile,
}

#[derive(Args, Debug, Clone)]
pub struct Simulate {
    /// Stops as CSV: id,latitude,longitude; the row `depot` is where vans start
    #[arg(long, value_name = "FILE")]
    pub stops: PathBuf,
    /// Deliveries, each into a car, a garage or a front door of its own
    #[arg(long, default_value_t = 200)]
    pub deliveries: usize,
    /// Share of the deliveries, 0 to 1, that go into garages and front doors instead of cars. At most 16 do: all are at one
    /// building, and its home server has no more
    #[arg(long, default_value_t = 0.05, value_name = "SHARE", value_parser = share)]
    pub homes: f64,
    /// Share of these, 0 to 1, that go behind front doors: a lock, and a camera that is proved live before it opens
    #[arg(long, default_value_t = 0.5, value_name = "SHARE", value_parser = share)]
    pub front_doors: f64,
    /// Couriers; each has 100 to 150 stops, cars among them
    #[arg(long, default_value_t = 10)]
    pub couriers: usize,
    #[arg(long, value_enum, default_value = "ordinary")]
    pub faults: Faults,
    /// Whose cars, in turn; without it those of all
    #[arg(long, value_delimiter = ',', value_name = "MAKER,…", value_parser = ["volvo", "onstar", "tesla", "smartcar"])]
    pub makers: Vec<String>,
    /// Decides routes, people, cars and everything that goes wrong
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Write the report as JSON
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Write a page of plots (HTML): outcomes by hour, latencies, cost, the map of areas
    #[arg(long, value_name = "FILE")]
    pub page: Option<PathBuf>,
    /// Write what happened to every delivery, line by line
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Play only this delivery's stop (its number as in the trace); the day around it stays the same
    #[arg(long, value_name = "DELIVERY")]
    pub only: Option<usize>,
    /// How much the services log. Every log is searched for VINs, plates, places and log-ins afterwards: with `trace` for
    /// everything that they ever say
    #[arg(long, value_enum, default_value_t = LogLevel::Warn)]
    pub log_level: LogLevel,
    /// The second maker's cloud hangs every other half hour: what does that do to the first one's cars?
    #[arg(long)]
    pub sick: bool,
    /// No ways between the cars: couriers work as fast as the services let them, to see what a delivery costs at saturation
    #[arg(long)]
    pub rush: bool,
    /// Everybody in one thread and in memory, with randomness from the seed: the same seed gives the same day, line by line
    #[arg(long)]
    pub single_threaded: bool,
    /// Kill each service so often with SIGKILL; the keyholder three times out of four between intent and result
    #[arg(long, default_value_t = 0)]
    pub kills: u32,
    /// Where stores and logs go; must be empty or absent. Without it they are removed afterwards
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Tamper with the world from outside, to see that the judge notices (for tests)
    #[arg(long, hide = true)]
    pub sabotage: Option<Sabotage>,
}

#[derive(Args, Debug, Clone)]
pub struct Drill {
    /// Which drill, or `all`
    pub name: String,
    /// Stops as CSV: id,latitude,longitude; the row `depot` is where vans start. Without it a city is invented
    #[arg(long, value_name = "FILE")]
    pub stops: Option<PathBuf>,
    /// Deliveries of the prepared world; a quarter of them is kept for the drills
    #[arg(long, default_value_t = 10_000, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(200..=100_000))]
    pub deliveries: usize,
    #[arg(long, default_value_t = 200, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(2..=10_000))]
    pub couriers: usize,
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Of revoked-race, in memory, beside the races over HTTP
    #[arg(long, default_value_t = 10_000, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1_000_000))]
    pub schedules: usize,
    /// Write the report as JSON
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Where stores, copies and logs go; must be empty or absent. Without it they are removed afterwards
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Say what drills there are, and do nothing
    #[arg(long)]
    pub list: bool,
    /// The keyholder believes its store whoever wrote to it, to see that a drill notices (for tests)
    #[arg(long, hide = true)]
    pub gullible: bool,
}

/// When private places may be read on the courier's phone.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disclose {
    /// All places of an area, once the courier enters it: shorter ways, more places on the phone at once.
    Area,
    /// The next stop's place, once the stop before is finished: one place at a time, longer ways.
    #[value(name = "next_stop", alias = "next-stop")]
    NextStop,
    /// Both, side by side.
    Both,
}

#[derive(Args, Debug)]
pub struct Plan {
    /// Stops as CSV: id,latitude,longitude; the row `depot` is where vans start and end
    #[arg(long, value_name = "FILE")]
    pub stops: PathBuf,
    /// Percent of the stops that are private, 0 to 100; may be repeated. Without it: 1, 10 and 100
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub private_share: Vec<f64>,
    /// Routes of each seed, 100 to 150 stops each
    #[arg(long, default_value_t = 6, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=100))]
    pub routes: usize,
    /// How often everything is drawn anew: routes, private stops, the solver's chance
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub seeds: u64,
    /// When private places may be read on the phone
    #[arg(long, value_enum, default_value = "both")]
    pub disclose: Disclose,
    /// Write the figures as JSON
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Write a page with plots (HTML)
    #[arg(long, value_name = "FILE")]
    pub page: Option<PathBuf>,
}

/// A share of a whole as written on the command line.
fn share(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(value) if (0.0..=1.0).contains(&value) => Ok(value),
        _ => Err(String::from("a share from 0 to 1 is expected")),
    }
}

/// A percentage as written on the command line.
fn percent(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('%').trim().parse::<f64>() {
        Ok(value) if (0.0..=100.0).contains(&value) => Ok(value),
        _ => Err(String::from("a percentage from 0 to 100 is expected")),
    }
}

#[derive(Args, Debug)]
pub struct Serve {
    /// Configuration file (TOML); `parcelshelf init` writes one
    #[arg(short, long, value_name = "FILE")]
    pub config: PathBuf,
    /// Keyholder only: take a store as it is that somebody else has written to. Say it once, after having looked: read
    /// "The store was altered" in docs/operations/README.md first
    #[arg(long)]
    pub accept_altered_store: bool,
    /// Stop for ever at a step, so that a test can kill the process there: `before:KIND` or `after:KIND`
    #[arg(long, hide = true)]
    pub hold_at: Option<String>,
    /// The commit at this step (`before:KIND`) fails once, as on a full disk, and the process goes on
    #[arg(long, hide = true)]
    pub fail_at: Option<String>,
    /// Print every durable step
    #[arg(long, hide = true)]
    pub trace_steps: bool,
    /// Take the time from a board that somebody else moves (file and slot), with wake-ups on standard input
    #[arg(long, hide = true, num_args = 2, value_names = ["BOARD", "SLOT"])]
    pub driven: Option<Vec<String>>,
    /// Show pages in a simulation too, which mostly nobody looks at
    #[arg(long, hide = true)]
    pub with_pages: bool,
}

#[derive(Args, Debug)]
pub struct Witness {
    #[command(subcommand)]
    pub init: Option<WitnessCommand>,
    #[command(flatten)]
    pub serve: Option<Serve>,
}

#[derive(Subcommand, Debug)]
pub enum WitnessCommand {
    /// Writes a configuration with a fresh key
    Init(WitnessInit),
}

#[derive(Args, Debug)]
pub struct WitnessInit {
    /// Folder to write; must be empty or absent
    pub dir: PathBuf,
    /// The witness's name in its signatures, such as its host
    #[arg(long, default_value = "witness.localhost")]
    pub name: String,
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:8490")]
    pub listen: SocketAddr,
    /// Verifier key of a log that it cosigns (as in the keyholder's published keys); may be repeated
    #[arg(long = "log", value_name = "KEY")]
    pub logs: Vec<String>,
}

#[derive(Args, Debug)]
pub struct Init {
    /// Folder to write; must be empty or absent
    pub dir: PathBuf,
    /// The gateway's public host; the wallet lives on wallet.HOST, the stop page on stop.HOST
    #[arg(long, default_value = "localhost")]
    pub host: String,
    /// First of the TCP ports to use (gateway, carrier)
    #[arg(long, default_value_t = 8470)]
    pub port: u16,
    /// The carrier's name as owners will read it
    #[arg(long, default_value = "Northwind Parcels")]
    pub carrier_name: String,
    /// Address of the maker's cloud; the default is the simulator of `parcelshelf sim volvo`
    #[arg(long, default_value = "http://127.0.0.1:8480")]
    pub maker_base: String,
    /// Address of a second maker's cloud, such as the simulator of `parcelshelf sim onstar`; without it there is one maker
    #[arg(long)]
    pub onstar_base: Option<String>,
    /// Country of the second maker's cars (two capital letters)
    #[arg(long, default_value = "US")]
    pub onstar_country: String,
    /// Address of Tesla's cloud, such as the simulator of `parcelshelf sim tesla`; without it their cars take no part
    #[arg(long)]
    pub tesla_base: Option<String>,
    /// Country of their cars (two capital letters)
    #[arg(long, default_value = "SE")]
    pub tesla_country: String,
    /// Address of the aggregator's cloud, such as the simulator of `parcelshelf sim smartcar`; without it its cars take no part
    #[arg(long)]
    pub smartcar_base: Option<String>,
    /// Country of its cars (two capital letters)
    #[arg(long, default_value = "SE")]
    pub smartcar_country: String,
    /// Address of a household's server, such as the simulator of `parcelshelf sim home`; its garage takes part
    #[arg(long)]
    pub home_base: Option<String>,
    /// Garages in a row at that server, where its world file has several
    #[arg(long, default_value_t = 1, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=16))]
    pub home_garages: usize,
    /// Front doors at that server, which open although nothing records what happens inside; only where no house is real
    #[arg(long, hide = true, default_value_t = 0, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(0..=16))]
    pub home_front_doors: usize,
    /// No owner waits whose car reports no doors to prove possession by; only where no car is real
    #[arg(long, hide = true)]
    pub no_possession_wait: bool,
}

#[derive(Args, Debug)]
pub struct Doctor {
    /// Folder written by `init`, or one party's configuration file
    pub path: PathBuf,
    /// Also ask the running services (health, clocks)
    #[arg(long)]
    pub online: bool,
}

#[derive(Subcommand, Debug)]
pub enum Sim {
    /// Volvo's cloud: identity, Connected Vehicle API v2, Location API v1
    ///
    /// Prints its address when ready. How to get a token: open `/` in a browser, or send the owner's name as
    /// `login_hint` to `/as/authorization.oauth2` (PKCE S256 is enforced), then exchange the code at
    /// `/as/token.oauth2` with the client id and secret of the world file. Every API request carries the bearer token and
    /// `vcc-api-key`. `/__sim/help` lists the control path: hands at doors, sleep, faults, clock, the record of every lid.
    Volvo(SimVolvo),
    /// OnStar's cloud (Chevrolet, Buick, GMC, Cadillac): login, garage, commands, positions
    ///
    /// Prints its address when ready. How to get a token: open `/` in a browser. The login takes the owner's name as
    /// `login_hint` (PKCE S256 is enforced); its token is exchanged at `/sec/authz/v3/oauth/token`. A command answers with an
    /// address to ask later. `/__sim/help` lists the control path: hands at the trunk, sleep, faults, clock, the record.
    Onstar(SimOnstar),
    /// Tesla's cloud: login, Fleet API of one region, plain and signed commands
    ///
    /// Prints its address when ready. How to get a token: open `/` in a browser. The login takes the owner's name as
    /// `login_hint`. Cars with `signed` in the world file take signed commands only and check signature, counter, epoch and
    /// expiry. The trunk's button toggles. `/__sim/help` lists the control path: hands, sleep, faults, clock, the record.
    Tesla(SimTesla),
    /// Smartcar's cloud: consent, tokens, vehicle API v2.0 and what is known of v3
    ///
    /// Prints its address when ready. How to get a token: open `/` in a browser. The consent page takes the owner's name as
    /// `login_hint`. "Success" of a command says only that it was accepted; how old a state is stands in a header.
    /// `/__sim/help` lists the control path: hands, sleep, faults, clock, the record.
    Smartcar(SimSmartcar),
    /// A household's Home Assistant: login, states and services of a garage door with a drive
    ///
    /// Prints its address when ready. How to get a token: `/auth/authorize` takes a name as `login_hint`, which the real one
    /// does not; then exchange the code at `/auth/token`. `/__sim/help` lists the control path: hands, obstacles, a broken
    /// drive, a lost line, faults, the record.
    Home(SimHome),
}

/// How much is logged.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    Warn,
    Info,
    Debug,
    Trace,
}
impl LogLevel {
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

#[derive(Args, Debug)]
pub struct SimHome {
    /// Address to listen on; port 0 takes any free one
    #[arg(long, default_value = "127.0.0.1:8484")]
    pub listen: SocketAddr,
    /// World file (JSON): people and doors. Without it: one garage in Gothenburg
    #[arg(long, value_name = "FILE")]
    pub world: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct SimSmartcar {
    /// Address to listen on; port 0 takes any free one
    #[arg(long, default_value = "127.0.0.1:8483")]
    pub listen: SocketAddr,
    /// World file (JSON): owners, clients, cars, faults. Without it: one car in Gothenburg
    #[arg(long, value_name = "FILE")]
    pub world: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct SimTesla {
    /// Address to listen on; port 0 takes any free one
    #[arg(long, default_value = "127.0.0.1:8482")]
    pub listen: SocketAddr,
    /// World file (JSON): owners, clients, cars, faults. Without it: one Model 3 in Stockholm
    #[arg(long, value_name = "FILE")]
    pub world: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct SimOnstar {
    /// Address to listen on; port 0 takes any free one
    #[arg(long, default_value = "127.0.0.1:8481")]
    pub listen: SocketAddr,
    /// World file (JSON): owners, clients, cars, faults. Without it: one Chevrolet in Detroit
    #[arg(long, value_name = "FILE")]
    pub world: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct SimVolvo {
    /// Address to listen on; port 0 takes any free one
    #[arg(long, default_value = "127.0.0.1:8480")]
    pub listen: SocketAddr,
    /// World file (JSON): owners, clients, cars, faults. Without it: one car in Gothenburg
    #[arg(long, value_name = "FILE")]
    pub world: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct Audit {
    /// Where the log is, such as https://gateway.example/log
    pub url: String,
    /// The log's verifier key, as in the gateway's published keys; later the state file knows it
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// What was found before, and is written after a good end
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Verifier key of a witness that should have cosigned; may be repeated
    #[arg(long, value_name = "KEY")]
    pub witness: Vec<String>,
    /// How many of them must have; one, unless said otherwise
    #[arg(long, value_name = "N")]
    pub quorum: Option<usize>,
    /// Only the log: the files that the gateway's page hosts show are not compared with their logged hashes
    #[arg(long)]
    pub log_only: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct Verify {
    /// Case bundle, as the owner exported it, or what `parcelshelf prove` made
    pub file: PathBuf,
    /// Print what was checked, in plain words, and what the judgement rests on
    #[arg(long)]
    pub explain: bool,
    /// Demand this log key (a verifier key as in `anchors.log`) instead of only printing the bundle's own
    #[arg(long, value_name = "KEY")]
    pub log_key: Option<String>,
    /// Verifier key of a witness that should have cosigned (proofs and shown records); may be repeated
    #[arg(long, value_name = "KEY")]
    pub witness: Vec<String>,
    /// How many of them must have; one, unless said otherwise
    #[arg(long, value_name = "N")]
    pub quorum: Option<usize>,
    /// Print the verdict as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct Prove {
    /// Case bundle, as the owner exported it
    pub file: PathBuf,
    /// Which of its records, from 0; without it they are listed
    #[arg(long, value_name = "N")]
    pub record: Option<usize>,
    /// Fields to show; without any the proof tells that the leaf is there and nothing of what it says
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub show: Vec<String>,
    /// Where the log is served, such as https://gateway.example/log
    #[arg(long)]
    pub url: Option<String>,
    /// Write the proof here instead of printing it
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct Openapi {
    /// Write carrier.json, gateway.json and keyholder.json here
    #[arg(long, value_name = "DIR")]
    pub write: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
