//! The shop's policy, as far as the file changes it.

use chrono::TimeDelta;
use jangbu_aggregates::Policy;
use jangbu_aggregates::shipping::{Region, ShippingFee, WeightStep};
use jangbu_kernel::{Currency, Money};
use serde::Deserialize;

use super::ConfigError;
use super::raw::Raw;

/// `[policy]`: an absent value keeps its default.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyFile {
    payment_deadline_seconds: Option<i64>,
    owner_cancel_window_seconds: Option<i64>,
    completion_delay_seconds: Option<i64>,
    ship_within_business_days: Option<u32>,
    /// Dates, as in 2027-05-03, beside the public holidays that the program knows.
    extra_holidays: Option<Vec<String>>,
    max_order_lines: Option<usize>,
    max_line_quantity: Option<u32>,
    inquiry_ladder_ms: Option<Vec<i64>>,
    not_found_before_net_cancel: Option<u32>,
    label_retries_ms: Option<Vec<i64>>,
    undo_retries_ms: Option<Vec<i64>>,
    /// A number or `off`; a setting of the same name outside of the section takes precedence.
    max_open_unpaid_orders: Option<String>,
    max_unpaid_units: Option<String>,
    refunded_points_life_seconds: Option<i64>,
    scan_clock_tolerance_seconds: Option<i64>,
    max_login_failures: Option<u32>,
    max_login_failures_known: Option<u32>,
    max_login_failures_everywhere: Option<u32>,
    first_login_delay_seconds: Option<i64>,
    lock_duration_seconds: Option<i64>,
    refresh_token_life_seconds: Option<i64>,
    refresh_repeat_seconds: Option<i64>,
}

/// `[shipping]`: the shipping fees.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShippingFile {
    /// `[[shipping.fees]]`, one for each currency.
    fees: Vec<FeeFile>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FeeFile {
    currency: String,
    /// A decimal as text, like every amount of this program.
    base: String,
    free_from: Option<String>,
    /// Whether the goods of each seller have a fee of their own.
    #[serde(default)]
    per_seller: bool,
    /// `[[shipping.fees.regions]]`
    #[serde(default)]
    regions: Vec<RegionFile>,
    /// `[[shipping.fees.weights]]`
    #[serde(default)]
    weights: Vec<WeightFile>,
}

/// A surcharge for postal codes of a range.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RegionFile {
    from: String,
    to: String,
    fee: String,
}

/// A surcharge for goods that weigh more.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WeightFile {
    over_grams: u64,
    fee: String,
}

/// A hundred years: longer than any rule needs, and safe to add to any time.
const LONGEST_SECONDS: i64 = 100 * 366 * 24 * 3_600;
/// More business days would be an error of the file.
const MOST_BUSINESS_DAYS: u32 = 60;
/// The sum of all waits of a list has the same limit.
const LONGEST_LIST_MS: i64 = LONGEST_SECONDS * 1_000;

pub(super) fn policy(raw: &Raw) -> Result<Policy, ConfigError> {
    let mut policy = Policy::default();
    if let Some(file) = &raw.policy {
        durations(&mut policy, file)?;
        counts(&mut policy, file)?;
        business_days(&mut policy, file)?;
    }
    waiting_orders(&mut policy, raw)?;
    if let Some(shipping) = &raw.shipping {
        policy.shipping_fees = shipping.fees.iter().map(fee).collect::<Result<_, _>>()?;
    }
    Ok(policy)
}

fn durations(policy: &mut Policy, file: &PolicyFile) -> Result<(), ConfigError> {
    let seconds = [
        ("policy.payment_deadline_seconds", file.payment_deadline_seconds, &mut policy.payment_deadline),
        ("policy.owner_cancel_window_seconds", file.owner_cancel_window_seconds, &mut policy.owner_cancel_window),
        ("policy.completion_delay_seconds", file.completion_delay_seconds, &mut policy.completion_delay),
        ("policy.refunded_points_life_seconds", file.refunded_points_life_seconds, &mut policy.refunded_points_life),
        ("policy.scan_clock_tolerance_seconds", file.scan_clock_tolerance_seconds, &mut policy.scan_clock_tolerance),
        ("policy.first_login_delay_seconds", file.first_login_delay_seconds, &mut policy.first_login_delay),
        ("policy.lock_duration_seconds", file.lock_duration_seconds, &mut policy.lock_duration),
        ("policy.refresh_token_life_seconds", file.refresh_token_life_seconds, &mut policy.refresh_token_life),
        ("policy.refresh_repeat_seconds", file.refresh_repeat_seconds, &mut policy.refresh_repeat),
    ];
    for (setting, value, target) in seconds {
        if let Some(value) = value {
            if !(0..=LONGEST_SECONDS).contains(&value) {
                return Err(ConfigError::value(
                    setting,
                    format!("{value} is out of range, expected 0 to {LONGEST_SECONDS} seconds, a hundred years"),
                ));
            }
            *target = TimeDelta::seconds(value);
        }
    }
    let ladders = [
        ("policy.inquiry_ladder_ms", &file.inquiry_ladder_ms, &mut policy.inquiry_ladder),
        ("policy.label_retries_ms", &file.label_retries_ms, &mut policy.label_retries),
        ("policy.undo_retries_ms", &file.undo_retries_ms, &mut policy.undo_retries),
    ];
    for (setting, value, target) in ladders {
        if let Some(value) = value {
            *target = waits(value).map_err(|problem| ConfigError::value(setting, problem))?;
        }
    }
    Ok(())
}

/// A list of waits. The times of a retry that uses all of them in turn, and the last one
/// repeatedly, stay within the range of times.
fn waits(list: &[i64]) -> Result<Vec<TimeDelta>, String> {
    if list.is_empty() {
        return Err("expected a list of waits in milliseconds with at least one of them".to_owned());
    }
    if let Some(wait) = list.iter().find(|wait| **wait < 1) {
        return Err(format!("{wait} is out of range, expected a list of waits in milliseconds, each at least 1"));
    }
    let in_all = list.iter().try_fold(0_i64, |sum, wait| sum.checked_add(*wait));
    if in_all.is_none_or(|sum| sum > LONGEST_LIST_MS) {
        return Err(format!(
            "these waits lead more than a hundred years on, expected {LONGEST_LIST_MS} milliseconds in all at most"
        ));
    }
    Ok(list.iter().map(|wait| TimeDelta::milliseconds(*wait)).collect())
}

/// Limits on a buyer's unpaid orders, which can be turned off.
fn waiting_orders(policy: &mut Policy, raw: &Raw) -> Result<(), ConfigError> {
    let file = |of: fn(&PolicyFile) -> &Option<String>| raw.policy.as_ref().and_then(|file| of(file).as_deref());
    let orders = raw.max_open_unpaid_orders.as_deref().or(file(|file| &file.max_open_unpaid_orders));
    let units = raw.max_unpaid_units.as_deref().or(file(|file| &file.max_unpaid_units));
    for (setting, value, target) in [
        ("JANGBU_MAX_OPEN_UNPAID_ORDERS", orders, &mut policy.max_open_unpaid_orders),
        ("JANGBU_MAX_UNPAID_UNITS", units, &mut policy.max_unpaid_units),
    ] {
        match value {
            None => {}
            Some("off") => *target = None,
            Some(number) => match number.parse() {
                Ok(most @ 1..) => *target = Some(most),
                Ok(0) | Err(_) => {
                    let problem = format!("{number:?} is not known, expected a whole number of at least 1, or off");
                    return Err(ConfigError::value(setting, problem));
                }
            },
        }
    }
    Ok(())
}

fn counts(policy: &mut Policy, file: &PolicyFile) -> Result<(), ConfigError> {
    let at_least_one = |setting, value: Option<u32>| match value {
        Some(0) => Err(ConfigError::value(setting, "0 is out of range, expected at least 1")),
        other => Ok(other),
    };
    if let Some(lines) = file.max_order_lines {
        if lines == 0 {
            return Err(ConfigError::value("policy.max_order_lines", "0 is out of range, expected at least 1"));
        }
        policy.max_order_lines = lines;
    }
    if let Some(quantity) = at_least_one("policy.max_line_quantity", file.max_line_quantity)? {
        policy.max_line_quantity = quantity;
    }
    if let Some(answers) = at_least_one("policy.not_found_before_net_cancel", file.not_found_before_net_cancel)? {
        policy.not_found_before_net_cancel = answers;
    }
    let failures = [
        ("policy.max_login_failures", file.max_login_failures, &mut policy.max_login_failures),
        ("policy.max_login_failures_known", file.max_login_failures_known, &mut policy.max_login_failures_known),
        (
            "policy.max_login_failures_everywhere",
            file.max_login_failures_everywhere,
            &mut policy.max_login_failures_everywhere,
        ),
    ];
    for (setting, value, target) in failures {
        if let Some(failures) = at_least_one(setting, value)? {
            *target = failures;
        }
    }
    Ok(())
}

fn business_days(policy: &mut Policy, file: &PolicyFile) -> Result<(), ConfigError> {
    if let Some(days) = file.ship_within_business_days {
        if !(1..=MOST_BUSINESS_DAYS).contains(&days) {
            let problem = format!("{days} is out of range, expected 1 to {MOST_BUSINESS_DAYS} business days");
            return Err(ConfigError::value("policy.ship_within_business_days", problem));
        }
        policy.ship_within_business_days = days;
    }
    let mut holidays = Vec::new();
    for text in file.extra_holidays.iter().flatten() {
        let day: chrono::NaiveDate = text.parse().map_err(|_| {
            let problem = format!("{text:?} is not a date, expected text such as \"2027-05-03\"");
            ConfigError::value("policy.extra_holidays", problem)
        })?;
        holidays.push(day);
    }
    policy.calendar = std::mem::take(&mut policy.calendar).with_holidays(holidays);
    Ok(())
}

fn fee(file: &FeeFile) -> Result<ShippingFee, ConfigError> {
    let currency: Currency =
        file.currency.parse().map_err(|error| ConfigError::value("shipping.fees.currency", format!("{error}")))?;
    let amount = |setting, text: &str| {
        Money::parse(text, currency).ok().filter(|amount| !amount.is_negative()).ok_or_else(|| {
            ConfigError::value(
                setting,
                format!("{text:?} is not an amount of {currency}, expected text such as \"3000\""),
            )
        })
    };
    let region = |region: &RegionFile| {
        let is_code = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let is_range = is_code(&region.from) && is_code(&region.to) && region.from.len() == region.to.len();
        if !is_range || region.from > region.to {
            let problem = format!(
                "{:?} to {:?} is no range of postal codes, expected digits such as from = \"63000\", to = \"63644\"",
                region.from, region.to
            );
            return Err(ConfigError::value("shipping.fees.regions", problem));
        }
        let fee = amount("shipping.fees.regions.fee", &region.fee)?;
        Ok(Region { from: region.from.clone(), to: region.to.clone(), fee })
    };
    let step = |step: &WeightFile| {
        let fee = amount("shipping.fees.weights.fee", &step.fee)?;
        Ok(WeightStep { over_grams: step.over_grams, fee })
    };
    Ok(ShippingFee {
        base: amount("shipping.fees.base", &file.base)?,
        free_from: file.free_from.as_deref().map(|text| amount("shipping.fees.free_from", text)).transpose()?,
        per_seller: file.per_seller,
        regions: file.regions.iter().map(region).collect::<Result<_, _>>()?,
        weights: file.weights.iter().map(step).collect::<Result<_, _>>()?,
    })
}
