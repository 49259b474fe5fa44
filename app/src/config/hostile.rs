//! Any content of the environment or the file gives a setting or an error that names what is wrong;
//! never a panic, and never a secret in the message.

use proptest::prelude::*;

use super::*;

const NAMES: &[&str] = &[
    "LISTEN",
    "DATABASE_URL",
    "MASTER_KEY",
    "ADMIN_EMAIL",
    "GATEWAY",
    "TRACKER_URL",
    "TRACKER_API_KEY",
    "TRACKER_CALLBACK_URL",
    "GATEWAY_TIMEOUT_MS",
    "SANDBOX",
    "SANDBOX_LISTEN",
    "SANDBOX_URL",
    "SANDBOX_CARRIER_STEP_MS",
    "RATE_LIMIT",
    "TRUSTED_PROXIES",
    "AUTH_RATE_LIMIT",
    "CORS_ORIGINS",
    "LOG",
    "LOG_FORMAT",
    "NATS_URL",
    "PARROT",
];

fn resolve(environment: Environment, file: Option<&Path>) -> Result<Settings, ConfigError> {
    let flags = Flags { config: file.map(Path::to_owned), ..Flags::default() };
    Settings::resolve(&Sources { flags, environment })
}

/// A value that is nearly valid for some setting.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "(?s).{0,40}",
        "-?[0-9]{0,25}",
        "[0-9.:\\[\\]a-f]{0,30}(:[0-9]{0,7})?",
        "[0-9]{0,12} ?/ ?(s|min|hour|day|)",
        "(https?|postgres|postgresql|ftp)://[a-z:@/.?=&%0-9]{0,40}",
        "(on|off|text|json|true|info)",
    ]
}

proptest! {
    #[test]
    fn any_environment_is_settings_or_an_error(
        values in prop::collection::btree_map(prop::sample::select(NAMES), value(), 0..5),
    ) {
        let environment = values.into_iter().map(|(name, value)| (format!("JANGBU_{name}"), value)).collect();
        if let Err(error) = resolve(environment, None) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn a_database_address_never_shows_its_password(
        user in "[a-z]{1,8}", password in "[A-Z]{12,20}", rest in "[a-z0-9./?=&@:-]{0,30}", scheme in "postgres|postgresql|mysql|http",
    ) {
        let url = format!("{scheme}://{user}:{password}@{rest}");
        let environment = Environment::from([("JANGBU_DATABASE_URL".to_owned(), url.clone())]);
        match resolve(environment, None) {
            Ok(settings) => {
                let shown = format!("{settings:?}");
                prop_assert!(!shown.contains(&password));
                if let Engine::Postgres(read) = settings.engine {
                    prop_assert!(!read.to_string().contains(&password));
                    prop_assert_eq!(read.expose(), url);
                }
            }
            Err(error) => {
                let shown = format!("{error} {error:?}");
                prop_assert!(!shown.contains(&password));
            }
        }
    }

    #[test]
    fn a_rate_limit_is_read_as_it_was_written(requests in 1_u32.., text in value()) {
        let limit = RateLimit::parse(&format!("{requests}/min")).unwrap().unwrap();
        prop_assert_eq!((limit.requests.get(), limit.per), (requests, Duration::from_secs(60)));
        let _ = RateLimit::parse(&text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_file_is_settings_or_an_error(
        lines in prop::collection::vec(
            prop_oneof![
                "[a-z_]{1,20} = (?s).{0,30}",
                "(gateway_timeout_ms|sandbox_carrier_step_ms) = -?[0-9]{1,22}",
                "(listen|rate_limit|log|log_format|sandbox) = '[^']{0,20}'",
                "\\[(policy|shipping|\\[shipping.fees\\])\\]",
                "(payment_deadline_seconds|completion_delay_seconds|max_order_lines|max_line_quantity|max_login_failures) = -?[0-9]{1,22}",
                "(inquiry_ladder_ms|label_retries_ms) = \\[(-?[0-9]{1,20},?){0,4}\\]",
                "(currency|base|free_from) = '[A-Z0-9.]{0,20}'",
                "[\\[\\]{}\"'=#a-z0-9. ]{0,30}",
            ],
            0..6,
        ),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jangbu.toml");
        std::fs::write(&path, lines.join("\n")).unwrap();
        if let Err(error) = resolve(Environment::new(), Some(&path)) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn a_file_of_any_bytes_is_an_error_or_empty(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jangbu.toml");
        std::fs::write(&path, bytes).unwrap();
        let _ = resolve(Environment::new(), Some(&path));
    }
}
