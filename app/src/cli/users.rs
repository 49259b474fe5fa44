//! `jangbu users`: the first admin, and operators' changes.

use std::io::{IsTerminal as _, Read as _};
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, Subcommand};
use jangbu_kernel::{Position, Role};
use serde::Serialize;

use super::Done;
use crate::config::Settings;
use crate::node::WriteSide;
use crate::operator::{Created, NewUser, RoleChange, RunningServer, Unlock};
use crate::output::Output;
use crate::password::made_up_password;

#[derive(Debug, Args)]
#[command(after_help = "\
The password comes from --password-file, from JANGBU_PASSWORD, or from standard input
when that is not a terminal; otherwise one is made up and printed once.

Examples:
  jangbu users create --email kim@example.com --role staff
  jangbu users create --email kim@example.com --role admin --password-file ./secret
  jangbu users grant --user kim@example.com --role auditor
  jangbu users revoke --user kim@example.com --role auditor
  jangbu users unlock kim@example.com")]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a user
    Create {
        /// E-mail address, for the login
        #[arg(long, value_name = "ADDRESS")]
        email: String,
        /// Name [default: the part of the address before the @]
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Role; may be given several times
        #[arg(long = "role", value_name = "ROLE", value_parser = role(), required = true)]
        roles: Vec<Role>,
        /// Read the password from this file
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Give a role to a user
    Grant(ChangeArguments),
    /// Take a role from a user
    Revoke(ChangeArguments),
    /// Let a user log in again at once, after wrong passwords
    Unlock {
        /// E-mail address or id of the user
        #[arg(value_name = "USER")]
        user: String,
    },
}

#[derive(Debug, Args)]
struct ChangeArguments {
    /// E-mail address or id of the user
    #[arg(long, value_name = "USER")]
    user: String,
    /// Role
    #[arg(long, value_name = "ROLE", value_parser = role())]
    role: Role,
}

fn role() -> impl clap::builder::TypedValueParser<Value = Role> {
    let names = PossibleValuesParser::new(Role::ALL.iter().map(|role| role.name()));
    names.try_map(|name| Role::from_name(&name).ok_or("unknown role"))
}

#[derive(Serialize)]
struct Made<'a> {
    user_id: String,
    email: &'a str,
    roles: &'a [Role],
    /// Only present if it was generated here.
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<&'a str>,
    position: Position,
}

pub(super) async fn run(arguments: Arguments, settings: &Settings, output: &Output) -> anyhow::Result<Done> {
    match arguments.action {
        Action::Create { email, name, roles, password_file } => {
            let given = given_password(password_file)?;
            let made_up = given.is_none();
            let password = given.unwrap_or_else(made_up_password);
            let name = name.unwrap_or_else(|| email.split('@').next().unwrap_or_default().to_owned());
            let user = NewUser { email, password, name, roles, operator: operator() };
            let created = create(&user, settings).await?;
            let made = Made {
                user_id: created.user_id.to_string(),
                email: &user.email,
                roles: &user.roles,
                password: made_up.then_some(user.password.as_str()),
                position: created.position,
            };
            let mut fields = vec![("user", made.user_id.clone()), ("email", user.email.clone())];
            fields.push(("roles", user.roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(", ")));
            fields.extend(made.password.map(|password| ("password", format!("{password}  (shown only now)"))));
            output.fields(&made, &fields)?;
        }
        Action::Grant(change) => change_role(change, true, settings, output).await?,
        Action::Revoke(change) => change_role(change, false, settings, output).await?,
        Action::Unlock { user } => unlock(Unlock { user, operator: operator() }, settings, output).await?,
    }
    Ok(Done::Yes)
}

async fn create(user: &NewUser, settings: &Settings) -> anyhow::Result<Created> {
    if let Some(server) = RunningServer::find(&settings.data_dir).await? {
        return server.create_user(user).await;
    }
    let side = WriteSide::open(settings).await?;
    let created = side.operator().create_user(user.clone()).await;
    side.close().await;
    Ok(created?)
}

async fn change_role(change: ChangeArguments, grant: bool, settings: &Settings, output: &Output) -> anyhow::Result<()> {
    let change = RoleChange { user: change.user, role: change.role, grant, operator: operator() };
    let changed = match RunningServer::find(&settings.data_dir).await? {
        Some(server) => server.change_role(&change).await?,
        None => {
            let side = WriteSide::open(settings).await?;
            let changed = side.operator().change_role(change.clone()).await;
            side.close().await;
            changed?
        }
    };
    let what = match (grant, changed.changed) {
        (true, true) => "has the role now",
        (true, false) => "had the role already",
        (false, true) => "no longer has the role",
        (false, false) => "did not have the role",
    };
    output.fields(
        &changed,
        &[("user", changed.user_id.to_string()), ("role", change.role.name().to_owned()), ("result", what.to_owned())],
    )?;
    Ok(())
}

async fn unlock(wanted: Unlock, settings: &Settings, output: &Output) -> anyhow::Result<()> {
    let unlocked = match RunningServer::find(&settings.data_dir).await? {
        Some(server) => server.unlock(&wanted).await?,
        None => {
            let side = WriteSide::open(settings).await?;
            let unlocked = side.operator().unlock(wanted).await;
            side.close().await;
            unlocked?
        }
    };
    let fields = [("user", unlocked.user_id.to_string()), ("result", "may log in again at once".to_owned())];
    output.fields(&unlocked, &fields)?;
    Ok(())
}

/// The operating system's name of the user at the command line.
pub(super) fn operator() -> String {
    let user = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    user.filter(|user| !user.is_empty()).unwrap_or_else(|| "unknown".to_owned())
}

fn given_password(file: Option<PathBuf>) -> anyhow::Result<Option<String>> {
    if let Some(path) = file {
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        return first_line(&text).map(Some);
    }
    if let Some(password) = std::env::var("JANGBU_PASSWORD").ok().filter(|password| !password.is_empty()) {
        return Ok(Some(password));
    }
    let input = std::io::stdin();
    if input.is_terminal() {
        return Ok(None);
    }
    // Longer than any accepted password.
    const LONGEST: u64 = 4_096;
    let mut text = String::new();
    input.lock().take(LONGEST).read_to_string(&mut text).context("cannot read the password from standard input")?;
    // Standard input is closed, as services and schedulers start programs: no password was given.
    if text.is_empty() { Ok(None) } else { first_line(&text).map(Some) }
}

fn first_line(text: &str) -> anyhow::Result<String> {
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => bail!("the password is empty"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_password_is_refused_and_a_line_end_is_not_part_of_it() {
        assert!(first_line("\n").is_err());
        assert!(first_line("").is_err());
        assert_eq!(first_line("open sesame\r\n").unwrap(), "open sesame");
    }
}
