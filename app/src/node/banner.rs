//! The text that a server prints when it has started.

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::admin::FirstAdmin;
use crate::config::{Engine, MailTo, Settings};

/// The contents of the text.
pub struct Greeting<'a> {
    /// Where it listens.
    pub bound: SocketAddr,
    /// Its base address from this machine.
    pub url: &'a str,
    /// The settings.
    pub settings: &'a Settings,
    /// The sandbox's base address; none if this node does not need it.
    pub sandbox_url: Option<&'a str>,
    /// Whether the sandbox runs in this process.
    pub own_sandbox: bool,
    /// The address of the sandbox's mail server, if the sandbox runs in this process.
    pub mailbox: Option<&'a str>,
    /// The admin that this start created.
    pub admin: Option<&'a FirstAdmin>,
}

impl Greeting<'_> {
    /// The text. The line with the address contains nothing else, because programs wait for it.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let data = match &self.settings.engine {
            Engine::Embedded => format!("{} (embedded store)", self.settings.data_dir.display()),
            Engine::Postgres(url) => format!("{url}"),
        };
        let sandbox = if self.own_sandbox { "simulated gateway and carrier" } else { "simulated, runs elsewhere" };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "jangbu {}", env!("CARGO_PKG_VERSION"));
        let _ = writeln!(text, "  API      {}/v1", self.url);
        let _ = writeln!(text, "  docs     {}/docs", self.url);
        let _ = writeln!(text, "  data     {data}");
        if let Some(url) = self.sandbox_url {
            let _ = writeln!(text, "  sandbox  {url} ({sandbox})");
        }
        if let (Some(mailbox), Some(url)) = (self.mailbox, self.sandbox_url) {
            let _ = writeln!(text, "  mails    {url}/sandbox/mails ({})", self.mails(mailbox));
        }
        let _ = writeln!(text, "  log in   {}", self.login());
        let _ = writeln!(text, "\nTo copy:\n{}", self.commands());
        let _ = writeln!(text, "listening on http://{}", self.bound);
        text
    }

    fn mails(&self, mailbox: &str) -> String {
        match self.settings.notices.mail {
            MailTo::Sandbox => format!("all of them are caught at {mailbox}"),
            MailTo::Server(_) => format!("only what is sent to {mailbox}: mails go to JANGBU_SMTP_URL"),
            MailTo::Nowhere => format!("only what is sent to {mailbox}: JANGBU_SMTP_URL is off"),
        }
    }

    fn login(&self) -> String {
        match self.admin {
            Some(FirstAdmin { email, password: Some(password) }) => {
                format!("{email}  password {password}  (made at this first start, shown only now)")
            }
            Some(FirstAdmin { email, password: None }) => format!("{email} with JANGBU_ADMIN_PASSWORD"),
            None => "as before (another admin: jangbu users create --email ADDRESS --role admin)".to_owned(),
        }
    }

    fn commands(&self) -> String {
        let url = self.url;
        let json = "-H 'Content-Type: application/json'";
        let Some(FirstAdmin { email, password: Some(password) }) = self.admin else {
            return format!(
                "  curl -s {url}/readyz\n  \
                   curl -s '{url}/v1/products?limit=5'\n  \
                   curl -s {url}/v1/auth/register {json} -d \"{{\\\"email\\\":\\\"kim$RANDOM@example.com\\\",\\\"password\\\":\\\"correct horse $RANDOM\\\",\\\"name\\\":\\\"Kim\\\"}}\"\n"
            );
        };
        format!(
            "  TOKEN=$(curl -s {url}/v1/auth/login {json} -d '{{\"email\":\"{email}\",\"password\":\"{password}\"}}' | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')\n  \
               curl -s {url}/v1/products {json} -H \"Authorization: Bearer $TOKEN\" -d '{{\"name\":\"한지 공책\",\"price\":{{\"amount\":\"12000\",\"currency\":\"KRW\"}}}}'\n  \
               curl -s '{url}/v1/products?limit=5'\n"
        )
    }
}
