//! `gridtally edge enrol`.

use std::path::PathBuf;

use clap::Args;
use gridtally_protocol::agreement::{Claim, write_claim};
use gridtally_protocol::identity::Digest;
use gridtally_protocol::message::Message as _;
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;

use super::owner::say;
use super::{CONFIG, EdgeError, runtime, write_whole};
use crate::config::AgentConfig;
use crate::enrol::{self, EnrolError};
use crate::identity;
use crate::show::now;

/// Of which box.
#[derive(Debug, Clone, Args)]
pub struct EnrolArgs {
    /// The owner's config
    #[arg(long, value_name = "FILE", default_value = CONFIG)]
    config: PathBuf,
    /// Write the claim into this file as well
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The digest of the claim before, where devices were replaced: the line `Claim …` that came with it
    #[arg(long, value_name = "DIGEST")]
    replaces: Option<Digest>,
    /// Print nothing but the claim
    #[arg(long)]
    quiet: bool,
}

/// Shows the claim.
pub(super) fn run(args: &EnrolArgs) -> Result<(), EdgeError> {
    let config = AgentConfig::load(&args.config)?;
    let key = identity::load_or_create(&config.gateway.key)?;
    let asked = runtime()?.block_on(async {
        let mut asked = Vec::with_capacity(config.devices.len());
        for device in &config.devices {
            asked.push(if device.plate.is_whole() {
                Ok(device.plate.clone())
            } else {
                enrol::ask(device).await.map_err(|error| error.to_string())
            });
        }
        asked
    });
    let claim = enrol::claim(&config, &asked, enrol::nonce()?, now(), args.replaces)?;
    let envelope = claim.seal(&key).map_err(EnrolError::from)?;
    let text = write_claim(&envelope);
    if let Some(path) = &args.out {
        write_whole(path, &format!("{text}\n"))?;
    }
    if args.quiet {
        say(&text);
        return Ok(());
    }
    say(&format!("Gateway {}", key.identity()));
    for line in devices(&claim) {
        say(&line);
    }
    say(&format!("Claim {}\n", Digest::of(&envelope)));
    match QrCode::new(text.as_bytes()) {
        Ok(code) => say(&code.render::<Dense1x2>().quiet_zone(true).build()),
        Err(_) => say("(It is too long for a QR code; pass the text on.)"),
    }
    say(&text);
    say(
        "\nThe owner accepts it:\n  gridtally owner accept CLAIM --site NAME --program PROGRAM --rules-version N \\\n      --beneficiary NAME --location 59.9,10.7 --until 2027-04-21T00:00:00Z",
    );
    Ok(())
}

fn devices(claim: &Claim) -> Vec<String> {
    let line = |device: &gridtally_protocol::agreement::ClaimedDevice| {
        let measures: Vec<&str> = device.quantities.iter().map(|quantity| quantity.name()).collect();
        format!(
            "  {:>3}  {} {}, serial {}, {} W: {}",
            device.number,
            device.make,
            device.model,
            device.serial,
            device.nameplate_milliwatts,
            measures.join(", ")
        )
    };
    claim.devices.iter().map(line).collect()
}
