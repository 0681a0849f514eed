//! Where clients get in: the listeners, and what each of them serves.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::AppError;
use super::state_dir::{self, Addresses};
use crate::config::{Config, Secret};
use crate::gateway::Gateway;
use crate::http::{
    AdminContext, AdminOptions, Entrance, HttpContext, Listener, OriginPolicy, ServeOptions, admin_routes,
    routes,
};
use crate::plugin::Roster;

/// What is served.
pub(super) struct ServingPlan {
    pub(super) gateway: Arc<Gateway>,
    pub(super) entrance: Arc<Entrance>,
    pub(super) roster: Option<Arc<Roster>>,
    pub(super) needs_restart: watch::Receiver<Vec<String>>,
    pub(super) tasks: TaskTracker,
}

/// The listeners, bound and not served yet.
#[derive(Debug)]
pub(super) struct Doors {
    main: Listener,
    address: SocketAddr,
    admin: Option<AdminPlace>,
    unix: Option<Listener>,
}

impl Doors {
    /// Binds what a configuration names.
    pub(super) async fn open(config: &Config) -> Result<Self, AppError> {
        let (main, address) = bind(config.listen, config).await?;
        Ok(Self {
            admin: AdminPlace::find(config, address).await?,
            unix: bind_unix(config)?,
            main,
            address,
        })
    }

    pub(super) fn addresses(&self) -> Addresses {
        Addresses {
            address: self.address,
            admin: self.admin.as_ref().map(|admin| admin.address),
        }
    }

    /// Starts to serve; the admin API on the main listener unless it has one of its own, and never on the Unix socket.
    pub(super) fn serve(
        self,
        plan: ServingPlan,
        (draining, stop): (&CancellationToken, &CancellationToken),
    ) -> Vec<JoinHandle<()>> {
        let config = plan.gateway.config().clone();
        let http = &config.http;
        let origins = OriginPolicy::new(self.address, &http.allowed_hosts, &http.allowed_origins);
        let context = HttpContext {
            gateway: plan.gateway.clone(),
            origins: Arc::new(origins.clone()),
            entrance: plan.entrance.clone(),
            sockets: plan.tasks,
            config,
        };
        let mut serving = Vec::new();
        let mut start = |listener: Listener, routes| {
            let serve = listener.serve(routes, draining.clone(), stop.clone());
            serving.push(tokio::spawn(serve));
        };
        if let Some(unix) = self.unix {
            let origins = Arc::new(origins.without_hosts());
            let context = HttpContext {
                origins,
                ..context.clone()
            };
            start(unix, routes(context, None));
        }
        let mut beside = None;
        if let Some(admin) = self.admin {
            let admin_context = AdminContext::new(AdminOptions {
                gateway: plan.gateway,
                roster: plan.roster,
                entrance: plan.entrance,
                needs_restart: plan.needs_restart,
                listen: admin.address,
                token: admin.token.expose(),
                stopped: stop.clone(),
            });
            match admin.listener {
                Some(listener) => start(listener, admin_routes(admin_context)),
                None => beside = Some(admin_context),
            }
        }
        start(self.main, routes(context, beside));
        serving
    }
}

/// Where the admin API is served.
#[derive(Debug)]
struct AdminPlace {
    address: SocketAddr,
    token: Secret,
    /// A listener of its own; without it the main one.
    listener: Option<Listener>,
}

impl AdminPlace {
    /// Returns the place that the configuration means, if it means one.
    async fn find(config: &Config, main: SocketAddr) -> Result<Option<Self>, AppError> {
        if !config.admin.enabled {
            return Ok(None);
        }
        let (listener, address) = match AdminListen::of(config, main) {
            AdminListen::Own(listen) => {
                let (listener, address) = bind(listen, config).await?;
                (Some(listener), address)
            }
            AdminListen::Main => (None, main),
            AdminListen::Nowhere => {
                warn!(address = %main, "the admin API is not served, because others can reach this address: set admin.listen");
                return Ok(None);
            }
        };
        let token = state_dir::prepare(&config.admin.token_file)?;
        if !address.ip().is_loopback() {
            warn!(%address, "others can reach the admin API, and its token crosses the network as it is: put TLS in front of it");
        }
        Ok(Some(Self {
            address,
            token,
            listener,
        }))
    }
}

/// On which listener the admin API is served.
#[derive(Debug, PartialEq, Eq)]
enum AdminListen {
    Own(SocketAddr),
    Main,
    Nowhere,
}

impl AdminListen {
    /// Others must not reach it unless somebody gave it an address of its own and meant that.
    fn of(config: &Config, main: SocketAddr) -> Self {
        match config.admin.listen {
            Some(listen) => Self::Own(listen),
            None if main.ip().is_loopback() => Self::Main,
            None => Self::Nowhere,
        }
    }
}

async fn bind(address: SocketAddr, config: &Config) -> Result<(Listener, SocketAddr), AppError> {
    let options = ServeOptions::of(&config.http);
    Listener::bind(address, options)
        .await
        .map_err(|source| AppError::Listen { address, source })
}

#[cfg(unix)]
fn bind_unix(config: &Config) -> Result<Option<Listener>, AppError> {
    let Some(path) = &config.http.unix_socket else {
        return Ok(None);
    };
    let refuse = |source| AppError::ListenUnix {
        path: path.clone(),
        source,
    };
    Listener::bind_unix(path, ServeOptions::of(&config.http))
        .map(Some)
        .map_err(refuse)
}

#[cfg(not(unix))]
fn bind_unix(config: &Config) -> Result<Option<Listener>, AppError> {
    let Some(path) = &config.http.unix_socket else {
        return Ok(None);
    };
    Err(AppError::ListenUnix {
        path: path.clone(),
        source: std::io::ErrorKind::Unsupported.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Loader;

    #[test]
    fn the_admin_api_is_where_others_cannot_reach_it() {
        let check = |main: &str, own: Option<&str>, expect: AdminListen| {
            let state_dir = ("state-dir".to_owned(), "/nowhere".to_owned());
            let own = own.map(|own| ("admin.listen".to_owned(), own.to_owned()));
            let loader = Loader {
                flags: [state_dir].into_iter().chain(own).collect(),
                ..Loader::default()
            };
            let config = loader.load().expect("valid").config;
            let main = main.parse().expect("an address");
            assert_eq!(AdminListen::of(&config, main), expect, "{main}");
        };
        check("127.0.0.1:4100", None, AdminListen::Main);
        check("[::1]:4100", None, AdminListen::Main);
        check("0.0.0.0:4100", None, AdminListen::Nowhere);
        check("192.0.2.1:4100", None, AdminListen::Nowhere);
        let own = AdminListen::Own("127.0.0.1:4101".parse().expect("an address"));
        check("0.0.0.0:4100", Some("127.0.0.1:4101"), own);
    }
}
