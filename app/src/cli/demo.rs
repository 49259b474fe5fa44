//! `jangbu demo`: fills a running server with a believable shop.

use anyhow::{Context as _, bail};
use jangbu_kernel::Role;

use super::Done;
use crate::config::Settings;
use crate::demo::{self, DemoAccess, DemoArgs};
use crate::operator::{NewUser, RunningServer};
use crate::password::made_up_password;

pub(super) async fn run(arguments: DemoArgs, settings: &Settings) -> anyhow::Result<Done> {
    let access = access(&arguments, settings).await?;
    demo::run(&arguments, &access).await?;
    Ok(Done::Yes)
}

/// With access to the data folder the demo creates a staff account for itself; otherwise it needs
/// credentials.
async fn access(arguments: &DemoArgs, settings: &Settings) -> anyhow::Result<DemoAccess> {
    let running = RunningServer::find(&settings.data_dir).await?;
    match (&arguments.server, running) {
        (None, Some(server)) => {
            let user = NewUser {
                email: format!("demo.{}@example.com", uuid::Uuid::now_v7().simple()),
                password: made_up_password(),
                name: "데모 점장".to_owned(),
                roles: vec![Role::Staff, Role::Customer],
                operator: "demo".to_owned(),
            };
            server.create_user(&user).await.context("the demo could not make itself a member of the staff")?;
            Ok(DemoAccess {
                server: server.address().to_string(),
                email: user.email,
                password: user.password,
                sandbox: arguments.sandbox.clone().or_else(|| server.sandbox().map(str::to_owned)),
            })
        }
        (Some(address), _) => {
            let Some(password) = settings.admin_password() else {
                bail!("set JANGBU_ADMIN_EMAIL and JANGBU_ADMIN_PASSWORD to a login of the server at {address}");
            };
            Ok(DemoAccess {
                server: address.clone(),
                email: settings.admin_email.clone(),
                password,
                sandbox: arguments.sandbox.clone(),
            })
        }
        (None, None) => bail!(
            "no server runs on the data folder {}; start one with `jangbu serve`, or name one with --server",
            settings.data_dir.display()
        ),
    }
}
