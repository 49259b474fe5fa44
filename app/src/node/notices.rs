//! The ways by which this node tells people of what happens.

use std::sync::Arc;

use anyhow::Context as _;
use jangbu_commands::notices::NoticeOptions;
use jangbu_integrations::channels::mail::Mail;
use jangbu_integrations::channels::message::Messages;
use jangbu_kernel::channel::Channel;
use secrecy::ExposeSecret as _;

use crate::config::{MailTo, Settings};

/// Makes the channels that are configured. `mailbox` is the address of the mail server of the sandbox
/// that this process runs.
///
/// # Errors
/// When a setting cannot be used.
pub(super) fn options(settings: &Settings, mailbox: Option<&str>) -> anyhow::Result<NoticeOptions> {
    let notices = &settings.notices;
    let mut channels: Vec<Arc<dyn Channel>> = Vec::new();
    let server = match &notices.mail {
        MailTo::Server(url) => Some(url.expose_secret()),
        MailTo::Sandbox => mailbox,
        MailTo::Nowhere => None,
    };
    match server {
        Some(url) => {
            channels.push(Arc::new(Mail::new(url, &notices.from).context("JANGBU_SMTP_URL or JANGBU_MAIL_FROM")?));
        }
        None => tracing::info!("no mails are sent: JANGBU_SMTP_URL names no mail server"),
    }
    if let Some(messages) = &notices.messages {
        channels.push(Arc::new(Messages::new(&messages.url, &messages.secret).context("JANGBU_MESSAGE_URL")?));
    }
    let mut options = NoticeOptions::new(channels, notices.shop_name.clone());
    options.shop_email.clone_from(&notices.shop_email);
    options.locale = notices.locale;
    Ok(options)
}
