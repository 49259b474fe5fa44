//! How buyers and the shop are told of what happens.

use jangbu_commands::Locale;
use secrecy::SecretString;

use super::raw::Raw;
use super::{ConfigError, SandboxSettings};

/// Where mails go.
#[derive(Clone, Debug)]
pub enum MailTo {
    /// A mail server, by its address, which may hold a password.
    Server(SecretString),
    /// The mailbox of the sandbox that this process runs.
    Sandbox,
    /// Nowhere.
    Nowhere,
}

/// A service that sends messages to telephones.
#[derive(Clone, Debug)]
pub struct MessageSettings {
    /// Its address.
    pub url: String,
    /// What the shop is known by there.
    pub secret: SecretString,
}

/// How buyers and the shop are told of what happens.
#[derive(Clone, Debug)]
pub struct NoticeSettings {
    /// Where mails go.
    pub mail: MailTo,
    /// Who sends them: `ADDRESS` or `NAME <ADDRESS>`.
    pub from: String,
    /// The shop's name in every text.
    pub shop_name: String,
    /// The shop's own address; none: the shop is not told.
    pub shop_email: Option<String>,
    /// The language for those who have not chosen one.
    pub locale: Locale,
    /// The service for messages to telephones; none: there are no messages.
    pub messages: Option<MessageSettings>,
}

const DEFAULT_SHOP_NAME: &str = "jangbu";
/// A sender for the sandbox's mailbox, which nobody answers.
const DEFAULT_FROM: &str = "no-reply@localhost";
/// The longest name, in characters: a subject has it in front of everything else.
const LONGEST_SHOP_NAME: usize = 60;

pub(super) fn notices(raw: &Raw, sandbox: Option<&SandboxSettings>) -> Result<NoticeSettings, ConfigError> {
    let mail = mail_to(raw.smtp_url.as_deref(), sandbox)?;
    let from = match (&mail, &raw.mail_from) {
        (_, Some(from)) => from.clone(),
        (MailTo::Sandbox | MailTo::Nowhere, None) => DEFAULT_FROM.to_owned(),
        (MailTo::Server(_), None) => {
            let problem = "needed with JANGBU_SMTP_URL: the address from which mails are sent";
            return Err(ConfigError::value("JANGBU_MAIL_FROM", problem));
        }
    };
    let shop_name = raw.shop_name.as_deref().unwrap_or(DEFAULT_SHOP_NAME).trim().to_owned();
    if shop_name.is_empty() || shop_name.chars().count() > LONGEST_SHOP_NAME {
        let problem = format!("expected 1 to {LONGEST_SHOP_NAME} characters");
        return Err(ConfigError::value("JANGBU_SHOP_NAME", problem));
    }
    if let Some(email) = raw.shop_email.as_deref()
        && !email.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty())
    {
        return Err(ConfigError::value("JANGBU_SHOP_EMAIL", format!("{email:?} is not an e-mail address")));
    }
    let locale = raw.locale.as_deref().unwrap_or(Locale::Ko.name());
    let locale = Locale::from_name(locale)
        .ok_or_else(|| ConfigError::value("JANGBU_LOCALE", format!("{locale:?} is not known, expected ko or en")))?;
    Ok(NoticeSettings { mail, from, shop_name, shop_email: raw.shop_email.clone(), locale, messages: messages(raw)? })
}

fn mail_to(url: Option<&str>, sandbox: Option<&SandboxSettings>) -> Result<MailTo, ConfigError> {
    match url {
        None if sandbox.is_some_and(|sandbox| sandbox.url.is_none()) => Ok(MailTo::Sandbox),
        None | Some("off") => Ok(MailTo::Nowhere),
        Some(url) if url.starts_with("smtp://") || url.starts_with("smtps://") => {
            Ok(MailTo::Server(SecretString::from(url.to_owned())))
        }
        // The value is not repeated: it may hold a password.
        Some(_) => Err(ConfigError::value(
            "JANGBU_SMTP_URL",
            "not a mail server's address, expected smtp://USER:PASSWORD@HOST:PORT, smtps://... or off",
        )),
    }
}

fn messages(raw: &Raw) -> Result<Option<MessageSettings>, ConfigError> {
    let Some(url) = &raw.message_url else { return Ok(None) };
    if !(url.starts_with("http://") || url.starts_with("https://")) {
        return Err(ConfigError::value(
            "JANGBU_MESSAGE_URL",
            format!("{url:?} is not an address, expected https://HOST/PATH"),
        ));
    }
    let Some(secret) = &raw.message_secret else {
        let problem = "needed with JANGBU_MESSAGE_URL: what the shop is known by there";
        return Err(ConfigError::value("JANGBU_MESSAGE_SECRET", problem));
    };
    Ok(Some(MessageSettings { url: url.clone(), secret: SecretString::from(secret.clone()) }))
}
