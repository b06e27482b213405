//! The binary: one subcommand per role.

use std::process::ExitCode;

use clap::Parser as _;
use parcelshelf::cli::{Cli, Command, Sim};
use parcelshelf::{demo, doctor, init, openapi, plan, services, sim, simulate, verify};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Demo(args) => demo::run(args).await,
        Command::Carrier(args) => services::carrier(&args).await,
        Command::Gateway(args) => services::gateway(&args).await,
        Command::Keyholder(args) => services::keyholder(&args).await,
        Command::Init(args) => init::run(&args),
        Command::Doctor(args) => doctor::run(&args).await,
        Command::Sim(Sim::Volvo(args)) => sim::volvo(args).await,
        Command::Sim(Sim::Onstar(args)) => sim::onstar(args).await,
        Command::Sim(Sim::Tesla(args)) => sim::tesla(args).await,
        Command::Simulate(args) => simulate::run(args).await,
        Command::Plan(args) => tokio::task::block_in_place(|| plan::run(&args)),
        Command::Verify(args) => verify::run(&args),
        Command::Openapi(args) => openapi::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("parcelshelf: {error:#}");
            ExitCode::FAILURE
        }
    }
}
