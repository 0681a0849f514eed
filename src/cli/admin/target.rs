//! Which gateway is meant, and the token for it.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::anyhow;

use super::super::ConfigArgs;
use super::super::serve::loader;
use super::failure::Failure;
use crate::app::state_dir::{addresses, read_token};
use crate::config::{Config, Secret};

/// A gateway to talk to.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) address: SocketAddr,
    pub(super) token: Secret,
}

impl Target {
    /// Finds the gateway that runs with the configuration that the arguments mean, or listens where they say.
    pub(super) fn find(args: &ConfigArgs) -> Result<Self, Failure> {
        let loaded = loader(args)
            .map_err(Failure::Input)?
            .load_gateway()
            .map_err(|error| Failure::Input(anyhow!("the configuration is not valid:\n{error}")))?;
        let config = loaded.config;
        if !config.admin.enabled {
            return Err(refuse("the admin API is switched off (admin.enabled = false)"));
        }
        Ok(Self {
            address: admin_address(&config, args.listen.is_some())?,
            token: read_token(&config.admin.token_file)?,
        })
    }
}

fn admin_address(config: &Config, is_named: bool) -> Result<SocketAddr, Failure> {
    let configured = config.admin.listen.unwrap_or(config.listen);
    let mut address = if is_named && configured.port() != 0 {
        configured
    } else {
        let not_served = "the gateway does not serve its admin API, because others can reach its address: set admin.listen";
        addresses(&config.state_dir)?
            .admin
            .ok_or_else(|| refuse(not_served))?
    };
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    Ok(address)
}

fn refuse(message: &'static str) -> Failure {
    Failure::Input(anyhow!(message))
}
