//! The binary: one subcommand per role.

use std::process::ExitCode;

use clap::Parser as _;
use parcelshelf::cli::{Cli, Command, Sim};
use parcelshelf::{
    audit, demo, doctor, drill, enrol, household, init, keeping, openapi, order, plan, prove, services, sim, simulate,
    verify, witness,
};
use parcelshelf_edge::driven::a_thread_wakes;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().on_thread_unpark(a_thread_wakes).build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(run(cli)),
        Err(error) => Err(anyhow::Error::new(error).context("failed to start threads")),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("parcelshelf: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let done = match cli.command {
        // Says by its exit status what it found.
        Command::Audit(args) => return Ok(audit::run(&args).await),
        Command::Demo(args) => demo::run(args).await,
        Command::Carrier(args) => services::carrier(&args).await,
        Command::Gateway(args) => services::gateway(&args).await,
        Command::Keyholder(args) => services::keyholder(&args).await,
        Command::Witness(args) => witness::run(&args).await,
        Command::Init(args) => init::run(&args),
        Command::Household(args) => household::run(args).await,
        Command::Doctor(args) => doctor::run(&args).await,
        Command::Sim(Sim::Volvo(args)) => sim::volvo(args).await,
        Command::Sim(Sim::Onstar(args)) => sim::onstar(args).await,
        Command::Sim(Sim::Tesla(args)) => sim::tesla(args).await,
        Command::Sim(Sim::Smartcar(args)) => sim::smartcar(args).await,
        Command::Sim(Sim::Home(args)) => sim::home(args).await,
        Command::Simulate(args) => simulate::run(args).await,
        Command::Drill(args) => drill::run(args).await,
        Command::Plan(args) => tokio::task::block_in_place(|| plan::run(&args)),
        Command::Verify(args) => verify::run(&args),
        Command::Prove(args) => prove::run(&args).await,
        Command::Openapi(args) => openapi::run(&args),
        Command::Enrol(args) => enrol::run(&args).await,
        Command::Order(args) => order::run(&args).await,
        Command::Backup(args) => keeping::back_up(&args),
        Command::Restore(args) => keeping::restore(&args),
        Command::Keys(args) => keeping::keys(&args).await,
    };
    done.map(|()| ExitCode::SUCCESS)
}
