use super::*;

fn sources(environment: &[(&str, &str)]) -> Sources {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Sources { flags: Flags::default(), environment }
}

/// A configuration file in a folder of its own.
fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jangbu.toml");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn with_file(path: &Path, environment: &[(&str, &str)]) -> Sources {
    let mut sources = sources(environment);
    sources.flags.config = Some(path.to_owned());
    sources
}

fn problem(sources: &Sources) -> String {
    Settings::resolve(sources).unwrap_err().to_string()
}

#[test]
fn without_anything_the_defaults_hold() {
    let settings = Settings::resolve(&sources(&[])).unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.data_dir, PathBuf::from("./data"));
    assert!(matches!(settings.engine, Engine::Embedded));
    assert_eq!(settings.gateway_timeout, Duration::from_secs(5));
    assert_eq!(settings.rate_limit, RateLimit::parse("1000/min").unwrap());
    assert_eq!(settings.auth_rate_limit, RateLimit::parse("30/min").unwrap());
    assert_eq!(settings.command_queue, 8_192);
    assert_eq!(settings.expire_points_every, Duration::from_secs(60));
    assert_eq!(settings.sandbox.unwrap().listen.to_string(), "127.0.0.1:0");
    assert_eq!(settings.admin_email, "admin@example.com");
    assert_eq!(settings.policy, Policy::default());
    assert_eq!(settings.ignored, Vec::<String>::new());
}

#[test]
fn a_flag_beats_the_environment_beats_the_file_beats_the_default() {
    let (_folder, path) = file("listen = '127.0.0.1:1'\ngateway_timeout_ms = 11\nlog = 'warn'");
    let listen = |sources: &Sources| Settings::resolve(sources).unwrap().listen.port();

    let mut all = with_file(&path, &[("JANGBU_LISTEN", "127.0.0.1:2")]);
    all.flags.listen = Some("127.0.0.1:3".into());
    assert_eq!(listen(&all), 3);
    all.flags.listen = None;
    assert_eq!(listen(&all), 2);
    all.environment.clear();
    assert_eq!(listen(&all), 1);

    let settings = Settings::resolve(&all).unwrap();
    assert_eq!(settings.gateway_timeout, Duration::from_millis(11));
    assert_eq!(settings.log, "warn");
    all.environment.insert("JANGBU_GATEWAY_TIMEOUT_MS".into(), "12".into());
    assert_eq!(Settings::resolve(&all).unwrap().gateway_timeout, Duration::from_millis(12));
}

#[test]
fn a_password_of_digits_stays_text() {
    use secrecy::ExposeSecret as _;
    let settings = Settings::resolve(&sources(&[("JANGBU_ADMIN_PASSWORD", "0012345678")])).unwrap();
    assert_eq!(settings.admin_password.unwrap().expose_secret(), "0012345678");
}

#[test]
fn secrets_are_read_from_files_and_never_shown() {
    use secrecy::ExposeSecret as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, "hunter2hunter2\n").unwrap();
    let settings = Settings::resolve(&sources(&[
        ("JANGBU_ADMIN_PASSWORD_FILE", path.to_str().unwrap()),
        ("JANGBU_DATABASE_URL", "postgres://shop:opensesame@db.example.com/shop?sslmode=require"),
    ]))
    .unwrap();
    assert_eq!(settings.admin_password.as_ref().unwrap().expose_secret(), "hunter2hunter2");
    let shown = format!("{settings:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("opensesame"), "{shown}");
    let Engine::Postgres(url) = settings.engine else { panic!("not Postgres") };
    assert_eq!(url.to_string(), "postgres://db.example.com/shop");

    let missing = problem(&sources(&[("JANGBU_MASTER_KEY_FILE", "/nowhere/key")]));
    assert!(missing.contains("/nowhere/key"), "{missing}");
}

#[test]
fn without_a_rate_limit_log_ins_have_none_either() {
    let limits = |environment: &[(&str, &str)]| {
        let settings = Settings::resolve(&sources(environment)).unwrap();
        (settings.rate_limit.is_some(), settings.auth_rate_limit.is_some())
    };
    assert_eq!(limits(&[("JANGBU_RATE_LIMIT", "off")]), (false, false));
    assert_eq!(limits(&[("JANGBU_RATE_LIMIT", "off"), ("JANGBU_AUTH_RATE_LIMIT", "5/min")]), (false, false));
    assert_eq!(limits(&[("JANGBU_AUTH_RATE_LIMIT", "off")]), (true, false));
}

#[test]
fn errors_name_the_setting_and_what_would_be_right() {
    for (name, value, wanted) in [
        ("JANGBU_LISTEN", "8080", "IP:PORT"),
        ("JANGBU_DATABASE_URL", "mysql://x", "postgres://"),
        ("JANGBU_GATEWAY_TIMEOUT_MS", "0", "1 to 60000"),
        ("JANGBU_CARRIER", "pigeon", "sandbox or manual"),
        ("JANGBU_COMMAND_QUEUE", "0", "1 to 1000000"),
        ("JANGBU_EXPIRE_POINTS_EVERY_MS", "99", "100 to 3600000"),
        ("JANGBU_SANDBOX", "maybe", "on or off"),
        ("JANGBU_RATE_LIMIT", "many", "1000/min"),
        ("JANGBU_AUTH_RATE_LIMIT", "0/min", "1000/min"),
        ("JANGBU_LOG_FORMAT", "xml", "text or json"),
        ("JANGBU_ADMIN_EMAIL", "admin", "e-mail"),
        ("JANGBU_CORS_ORIGINS", "shop.example.com", "https://"),
    ] {
        let problem = problem(&sources(&[(name, value)]));
        assert!(problem.contains(name) && problem.contains(wanted), "{problem}");
    }
}

#[test]
fn mails_go_to_the_sandbox_until_a_server_is_named() {
    let notices = |environment: &[(&str, &str)]| Settings::resolve(&sources(environment)).unwrap().notices;
    assert!(matches!(notices(&[]).mail, MailTo::Sandbox));
    for environment in [("JANGBU_SANDBOX", "off"), ("JANGBU_SANDBOX_URL", "http://x:1"), ("JANGBU_SMTP_URL", "off")] {
        assert!(matches!(notices(&[environment]).mail, MailTo::Nowhere), "{environment:?}");
    }
    let server = ("JANGBU_SMTP_URL", "smtps://kim:secret@mail.example.com");
    let told = notices(&[server, ("JANGBU_MAIL_FROM", "Shop <a@example.com>"), ("JANGBU_LOCALE", "en")]);
    assert!(matches!(told.mail, MailTo::Server(_)));
    assert_eq!((told.from.as_str(), told.locale.name(), told.shop_email), ("Shop <a@example.com>", "en", None));
    assert!(!format!("{:?}", told.mail).contains("secret"));
    for (wrong, named) in [
        (vec![server], "JANGBU_MAIL_FROM"),
        (vec![("JANGBU_SMTP_URL", "http://x")], "JANGBU_SMTP_URL"),
        (vec![("JANGBU_LOCALE", "fr")], "JANGBU_LOCALE"),
        (vec![("JANGBU_SHOP_EMAIL", "desk")], "JANGBU_SHOP_EMAIL"),
        (vec![("JANGBU_SHOP_NAME", " ")], "JANGBU_SHOP_NAME"),
        (vec![("JANGBU_MESSAGE_URL", "ftp://x"), ("JANGBU_MESSAGE_SECRET", "s")], "JANGBU_MESSAGE_URL"),
        (vec![("JANGBU_MESSAGE_URL", "http://x")], "JANGBU_MESSAGE_SECRET"),
    ] {
        let told = problem(&sources(&wrong));
        assert!(told.contains(named), "{wrong:?}: {told}");
    }
}

#[test]
fn a_misspelt_setting_in_the_file_is_refused_and_in_the_environment_noted() {
    let (_folder, path) = file("lisen = '127.0.0.1:1'");
    let text = problem(&with_file(&path, &[]));
    assert!(text.contains("lisen") && text.contains("jangbu.toml"), "{text}");

    let settings = Settings::resolve(&sources(&[("JANGBU_LISEN", "127.0.0.1:1")])).unwrap();
    assert_eq!(settings.ignored.len(), 1);
    let settings = Settings::resolve(&sources(&[("JANGBU_NATS_URL", "nats://127.0.0.1")])).unwrap();
    assert!(settings.ignored.iter().any(|note| note.contains("does not use NATS yet")));
}

#[test]
fn a_file_that_was_named_has_to_be_there() {
    let text = problem(&with_file(Path::new("/nowhere/jangbu.toml"), &[]));
    assert!(text.contains("/nowhere/jangbu.toml"), "{text}");
}

#[test]
fn the_rules_of_the_shop_can_be_replaced() {
    let (_folder, path) = file(
        "[policy]\npayment_deadline_seconds = 60\ninquiry_ladder_ms = [10, 20]\nmax_order_lines = 3\n\
         [[shipping.fees]]\ncurrency = 'KRW'\nbase = '3000'\nfree_from = '50000'\nper_seller = true\n\
         [[shipping.fees.regions]]\nfrom = '63000'\nto = '63644'\nfee = '3000'\n\
         [[shipping.fees.weights]]\nover_grams = 20000\nfee = '2000'\n",
    );
    let policy = Settings::resolve(&with_file(&path, &[])).unwrap().policy;
    assert_eq!(policy.payment_deadline, chrono::TimeDelta::seconds(60));
    assert_eq!(policy.inquiry_ladder.len(), 2);
    assert_eq!(policy.max_order_lines, 3);
    assert_eq!(policy.owner_cancel_window, Policy::default().owner_cancel_window);
    let [fee] = policy.shipping_fees.as_slice() else { panic!("{:?}", policy.shipping_fees) };
    assert_eq!((fee.per_seller, fee.regions.len(), fee.weights[0].over_grams), (true, 1, 20_000));

    for wrong in [
        "[policy]\npayment_deadline_seconds = -1",
        "[policy]\nlabel_retries_ms = []",
        "[policy]\nmax_line_quantity = 0",
        "[policy]\nmax_quantity = 1",
        "[[shipping.fees]]\ncurrency = 'KRW'\nbase = '0.5'",
        "[[shipping.fees]]\ncurrency = 'won'\nbase = '1'",
        "[[shipping.fees]]\ncurrency = 'KRW'\nbase = '1'\n[[shipping.fees.regions]]\nfrom = '2'\nto = '1'\nfee = '1'",
        "[[shipping.fees]]\ncurrency = 'KRW'\nbase = '1'\n[[shipping.fees.regions]]\nfrom = 'A1'\nto = 'B1'\nfee = '1'",
        "[[shipping.fees]]\ncurrency = 'KRW'\nbase = '1'\n[[shipping.fees.weights]]\nover_grams = -1\nfee = '1'",
        "[[shipping.fees]]\ncurrency = 'KRW'\nbase = '1'\n[[shipping.fees.weights]]\nover_grams = 1\nfee = '-1'",
    ] {
        let (_folder, path) = file(wrong);
        assert!(Settings::resolve(&with_file(&path, &[])).is_err(), "{wrong}");
    }
}

#[test]
fn waits_that_lead_beyond_a_hundred_years_are_refused() {
    let hundred_years: i64 = 100 * 366 * 24 * 3_600;
    let said = |line: String| {
        let (_folder, path) = file(&format!("[policy]\n{line}"));
        Settings::resolve(&with_file(&path, &[])).map(|settings| settings.policy).map_err(|error| error.to_string())
    };
    for ladder in ["inquiry_ladder_ms", "label_retries_ms", "undo_retries_ms"] {
        let whole = hundred_years * 1_000;
        assert!(said(format!("{ladder} = [1, {}]", whole - 1)).is_ok(), "{ladder}");
        for beyond in [format!("[1, {whole}]"), format!("[{}, {}]", i64::MAX, i64::MAX), format!("[{}]", i64::MAX)] {
            let problem = said(format!("{ladder} = {beyond}")).unwrap_err();
            assert!(problem.contains(ladder) && problem.contains("a hundred years"), "{problem}");
        }
        let problem = said(format!("{ladder} = [5, 0]")).unwrap_err();
        assert!(problem.contains(ladder) && problem.contains("each at least 1"), "{problem}");
    }
    for setting in ["payment_deadline_seconds", "completion_delay_seconds", "refunded_points_life_seconds"] {
        assert!(said(format!("{setting} = {hundred_years}")).is_ok(), "{setting}");
        let problem = said(format!("{setting} = {}", hundred_years + 1)).unwrap_err();
        assert!(problem.contains(setting) && problem.contains("a hundred years"), "{problem}");
    }
    // Even the longest list leads to times that can be written.
    let policy = said(format!("inquiry_ladder_ms = [{}]", hundred_years * 1_000)).unwrap();
    let in_2100 = chrono::DateTime::from_timestamp(4_102_444_800, 0).unwrap();
    assert!(in_2100.checked_add_signed(policy.inquiry_ladder[0]).is_some());
}

#[test]
fn business_days_are_counted_by_the_file() {
    let said = |line: &str| {
        let (_folder, path) = file(&format!("[policy]\n{line}"));
        Settings::resolve(&with_file(&path, &[])).map(|settings| settings.policy).map_err(|error| error.to_string())
    };
    let paid_at = "2026-11-30T03:00:00Z".parse().unwrap();
    let ship_by = |line: &str| said(line).unwrap().ship_by(paid_at).to_rfc3339();
    assert_eq!(ship_by(""), "2026-12-03T15:00:00+00:00");
    assert_eq!(ship_by("ship_within_business_days = 1"), "2026-12-01T15:00:00+00:00");
    assert_eq!(ship_by("extra_holidays = ['2026-12-02', '2026-12-03']"), "2026-12-07T15:00:00+00:00");
    for line in ["ship_within_business_days = 0", "ship_within_business_days = 61", "extra_holidays = ['3 May']"] {
        let problem = said(line).unwrap_err();
        assert!(problem.contains(line.split(' ').next().unwrap()), "{problem}");
    }
}

#[test]
fn no_part_of_a_databases_password_is_shown() {
    for (url, shown) in [
        ("postgres://shop:sesame@db.example.com/shop?sslmode=require", "postgres://db.example.com/shop"),
        ("postgres://shop:sesa@me@db.example.com:5432/shop", "postgres://db.example.com:5432/shop"),
        ("postgresql://shop:sesame%40@db.example.com", "postgres://db.example.com"),
        ("postgres:///shop?host=/run/postgresql&user=shop&password=sesame", "postgres:///shop"),
        ("postgres://db.example.com/shop?password=sesame", "postgres://db.example.com/shop"),
    ] {
        let Engine::Postgres(parsed) = Settings::resolve(&sources(&[("JANGBU_DATABASE_URL", url)])).unwrap().engine
        else {
            panic!("{url} is Postgres")
        };
        assert_eq!((parsed.to_string(), format!("{parsed:?}")), (shown.to_owned(), shown.to_owned()));
    }
    // What would be taken for host, port or database is rejected, and not repeated in the error.
    for url in [
        "postgres://shop:1234/sesame@db.example.com/shop",
        "postgres://shop:1234?sesame@db.example.com/shop",
        "postgres://shop:1234#sesame@db.example.com/shop",
        "postgres://shop:sesame/db.example.com",
        "postgres://shop:sesame",
        "postgres:///shop?password=1234@sesame",
        "mysql://shop:sesame@db.example.com",
    ] {
        let said = problem(&sources(&[("JANGBU_DATABASE_URL", url)]));
        assert!(said.contains("JANGBU_DATABASE_URL"), "{said}");
        for part in ["sesame", "1234", "example.com"] {
            assert!(!said.contains(part), "{url}: {said}");
        }
    }
}

#[test]
fn a_broken_file_is_told_without_its_secrets() {
    let (_folder, path) = file("listen = '127.0.0.1:1'\nmaster_key = 'sesame\n");
    let said = problem(&with_file(&path, &[]));
    assert!(said.contains("line 2") && !said.contains("sesame"), "{said}");
}
