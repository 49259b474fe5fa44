//! Text in requests: normalized to one form, equal in all its forms, rejected without a visible
//! character.

use jangbu_kernel::Role;
use jangbu_kernel::text::decomposed;
use serde_json::{Value, json};

use crate::house::{House, order_body};

fn sign_up(email: &str, password: &str, name: &str) -> Value {
    json!({"email": email, "password": password, "name": name})
}

#[tokio::test]
async fn a_mailbox_has_one_account_however_its_address_is_written() {
    let house = House::new().await;
    let register = async |email: &str| {
        house.post("", "/v1/auth/register", &[], &sign_up(email, "a long passphrase", "김민지")).await
    };
    for (first, others) in [
        (
            "가나@example.com",
            vec!["가나@EXAMPLE.com".to_owned(), decomposed("가나@example.com"), "가\u{200b}나@example.com".into()],
        ),
        (
            "minji@예시.kr",
            vec!["minji@xn--vv4b11d.kr".into(), "ＭＩＮＪＩ＠예시.kr".into(), decomposed("minji@예시.kr")],
        ),
    ] {
        let made = register(first).await.expect(201);
        assert_eq!(made.body["email"], first);
        for other in others {
            register(&other).await.problem(409, "email_taken");
            let login = json!({"email": other, "password": "a long passphrase"});
            house.post("", "/v1/auth/login", &[], &login).await.expect(200);
        }
    }
}

#[tokio::test]
async fn a_password_is_the_same_on_every_keyboard_and_counted_as_it_is_read() {
    let house = House::new().await;
    let password = "비밀번호여덟글자";
    let body = sign_up("kim@example.com", &decomposed(password), "김민지");
    house.post("", "/v1/auth/register", &[], &body).await.expect(201);
    for form in [password.to_owned(), decomposed(password)] {
        let login = json!({"email": "kim@example.com", "password": form});
        house.post("", "/v1/auth/login", &[], &login).await.expect(200);
    }
    // Seven syllables count as seven characters, however many code points they are sent in.
    let short = sign_up("lee@example.com", &decomposed("비밀번호일곱자"), "이민지");
    let refused = house.post("", "/v1/auth/register", &[], &short).await;
    assert_eq!(refused.problem(400, "validation_failed").pointers(), ["/password"]);
}

#[tokio::test]
async fn a_name_can_be_seen() {
    let house = House::new().await;
    for name in [
        "\u{3164}",
        "\u{200b}\u{200d}",
        "\u{115f}\u{1160}",
        " \u{3000}",
        "\u{2800}",
        "김\u{202e}민지",
        "김\n민지",
        "김\u{0}",
    ] {
        let body = sign_up("kim@example.com", "a long passphrase", name);
        let refused = house.post("", "/v1/auth/register", &[], &body).await;
        assert_eq!(refused.problem(400, "validation_failed").pointers(), ["/name"], "{name:?}");
    }
    let body = sign_up("kim@example.com", "a long passphrase", &format!(" {}\u{200b}\u{3164} ", decomposed("김민지")));
    let made = house.post("", "/v1/auth/register", &[], &body).await.expect(201);
    assert_eq!(made.body["name"], "김민지");
}

#[tokio::test]
async fn null_clears_a_field_and_leaving_it_out_does_not() {
    let house = House::new().await;
    let buyer = house.somebody(&[Role::Customer]).await;
    let change = async |body: &str| house.send_json("PUT", &buyer, "/v1/auth/profile", &[], body).await;
    let changed = change(r#"{"phone": "０１０-1234"}"#).await.expect(200);
    assert_eq!(changed.body["phone"], "010-1234");
    for kept in [r#"{"name": "김민지"}"#, r#"{"name": "김민지", "phone": " "}"#] {
        assert_eq!(change(kept).await.expect(200).body["phone"], "010-1234", "{kept}");
    }
    assert_eq!(change(r#"{"phone": null}"#).await.expect(200).body["phone"], Value::Null);
    let profile = house.get(&buyer, "/v1/auth/profile").await.expect(200);
    assert_eq!((&profile.body["phone"], &profile.body["name"]), (&Value::Null, &json!("김민지")));
    change(r#"{"phone": "call me"}"#).await.problem(400, "validation_failed");
}

#[tokio::test]
async fn what_cannot_be_seen_is_absent_or_refused_everywhere() {
    let house = House::new().await;
    let staff = house.somebody(&[Role::Staff]).await;
    let buyer = house.somebody(&[Role::Customer]).await;
    let product = house.product(&staff, "1000", 10).await;
    let blanks = [" ", "\u{3000}", "\u{200b}", "\u{3164}", "\t\n"];
    for (number, blank) in blanks.into_iter().enumerate() {
        let mut body = order_body(&product, 1);
        body["shipping_address"]["line2"] = json!(blank);
        let key = format!("blank-line-two-{number}");
        let placed = house.post(&staff, "/v1/orders", &[("idempotency-key", &key)], &body).await;
        let placed = placed.expect(201);
        assert_eq!(placed.body["shipping_address"].get("line2").unwrap_or(&Value::Null), &Value::Null);
        for field in ["recipient", "phone", "postal_code", "line1"] {
            let mut body = order_body(&product, 1);
            body["shipping_address"][field] = json!(blank);
            let refused = house.post(&buyer, "/v1/orders", &[("idempotency-key", "never-placed")], &body).await;
            let pointer = format!("/shipping_address/{field}");
            assert_eq!(refused.problem(400, "validation_failed").pointers(), [pointer], "{blank:?}");
        }
        let made = json!({"name": "컵", "price": "1000", "description": blank});
        let made = house.post(&staff, "/v1/products", &[], &made).await.expect(201);
        assert_eq!(made.body["description"], Value::Null);
        let unnamed = json!({"name": blank, "price": "1000"});
        house.post(&staff, "/v1/products", &[], &unnamed).await.problem(400, "validation_failed");
    }
    let padded = json!({"name": "  머그컵 \u{200b}", "price": "1000", "description": " 크다\n둥글다 "});
    let made = house.post(&staff, "/v1/products", &[], &padded).await.expect(201);
    assert_eq!((&made.body["name"], &made.body["description"]), (&json!("머그컵"), &json!("크다\n둥글다")));
}

#[tokio::test]
async fn a_search_with_too_many_words_says_so() {
    let house = House::new().await;
    let words: Vec<String> = (0..21).map(|word| format!("w{word}")).collect();
    let refused = house.get("", &format!("/v1/products?q={}", words.join("+"))).await;
    assert_eq!(refused.problem(400, "validation_failed").pointers(), ["/query/q"]);
    house.get("", &format!("/v1/products?q={}", words[..20].join("+"))).await.expect(200);
}
