//! The parsers of requests answer any input, and read back whatever the printers of this API write.

use http::{HeaderMap, HeaderName, HeaderValue};
use jangbu_commands::identity::Change;
use jangbu_kernel::{OrderId, Timestamp, Version, text, time};
use proptest::prelude::*;

use super::call::read_key;
use super::conditional::{IfMatch, Tag, etag};
use super::fields::{At, Errors, Line, List, Read, ReadText as _, Secret, Text, Whole, read_all};
use super::money::Amount;
use super::node::Node;
use super::pairs::Pairs;
use super::params::{decode, parse_query, parse_uuid};
use super::prefer::{LONGEST_WAIT, Wait};
use super::problem::FieldProblem;
use super::resource::AsOf;
use crate::imports::{ProductRow, StockRow};
use crate::routes;

/// A header value of any bytes that are allowed in one.
fn header_value() -> impl Strategy<Value = HeaderValue> {
    let bytes = prop_oneof![
        prop::collection::vec(prop_oneof![Just(b'\t'), 0x20_u8..0x7f, 0x80_u8..=0xff], 0..60),
        "[-W/\"0-9,*; =a-z]{0,40}".prop_map(String::into_bytes),
        "(wait|WAIT|respond-async) ?= ?\"?[-0-9e.]{0,25}\"?".prop_map(String::into_bytes),
    ];
    bytes.prop_map(|bytes| HeaderValue::from_bytes(&bytes).unwrap())
}

fn headers(name: &'static str, values: &[HeaderValue]) -> HeaderMap {
    values.iter().map(|value| (HeaderName::from_static(name), value.clone())).collect()
}

/// Any JSON value, not too deep.
fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        "(?s).{0,20}".prop_map(Into::into),
        "[0-9]{1,20}".prop_map(Into::into),
    ];
    let name = "lines|product_id|quantity|shipping_address|payment|legs|method|amount|currency|card_token|email|password|name|price|delta|counted|reason|roles|[a-z~/]{0,5}";
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::vec((name, inner), 0..6)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Reading returns a value or an error within bounds.
fn answers<T: Read>(node: &Node) -> Result<(), TestCaseError> {
    if let Err(errors) = read_all::<T>(node.clone(), "") {
        prop_assert!((1..=50).contains(&errors.len()));
        for FieldProblem { pointer, code, detail } in errors {
            prop_assert!(pointer.is_empty() || pointer.starts_with('/'), "{}", pointer);
            prop_assert!(!code.is_empty() && !detail.is_empty());
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_body_of_any_bytes_is_json_or_is_not(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        // The stricter parser accepts nothing that the usual one rejects.
        if Node::parse(&bytes).is_ok() {
            prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_ok());
        }
    }

    #[test]
    fn a_json_text_is_read_whatever_stands_in_it(value in json(), cut in any::<prop::sample::Index>()) {
        let text = value.to_string();
        prop_assert!(Node::parse(text.as_bytes()).is_ok(), "{}", text);
        let _ = Node::parse(&text.as_bytes()[..cut.index(text.len())]);
    }

    #[test]
    fn every_command_reads_any_json_or_says_what_is_wrong(value in json()) {
        let node = Node::parse(value.to_string().as_bytes()).unwrap();
        answers::<routes::auth::RegisterBody>(&node)?;
        answers::<routes::auth::LoginBody>(&node)?;
        answers::<routes::auth::RefreshBody>(&node)?;
        answers::<routes::auth::ProfileBody>(&node)?;
        answers::<routes::users::RolesBody>(&node)?;
        answers::<routes::products::CreateProductBody>(&node)?;
        answers::<routes::products::ChangeProductBody>(&node)?;
        answers::<routes::products::VariantBody>(&node)?;
        answers::<routes::categories::CreateCategoryBody>(&node)?;
        answers::<routes::categories::ChangeCategoryBody>(&node)?;
        answers::<routes::categories::CategoryListQuery>(&node)?;
        answers::<Pairs<2, 3, 4>>(&node)?;
        answers::<routes::stock::ReceiveStockBody>(&node)?;
        answers::<routes::stock::CountStockBody>(&node)?;
        answers::<routes::stock::WriteOffStockBody>(&node)?;
        answers::<routes::stock::AdjustStockBody>(&node)?;
        answers::<routes::stock::StockThresholdBody>(&node)?;
        answers::<routes::stock::BackOrderBody>(&node)?;
        answers::<routes::stock::BuyerLimitBody>(&node)?;
        answers::<routes::imports::ImportProductsQuery>(&node)?;
        answers::<routes::imports::ImportStockQuery>(&node)?;
        answers::<routes::imports::ExportQuery>(&node)?;
        answers::<ProductRow>(&node)?;
        answers::<StockRow>(&node)?;
        answers::<routes::stock::SendTransferBody>(&node)?;
        answers::<routes::stock::ReceiveTransferBody>(&node)?;
        answers::<routes::stock::LoseTransferBody>(&node)?;
        answers::<routes::locations::OpenLocationBody>(&node)?;
        answers::<routes::locations::ChangeLocationBody>(&node)?;
        answers::<routes::points::GrantPointsBody>(&node)?;
        answers::<routes::orders::PlaceOrderBody>(&node)?;
        answers::<routes::orders::QuoteBody>(&node)?;
        answers::<routes::orders::ShippingQuoteBody>(&node)?;
        answers::<routes::orders::CancelOrderBody>(&node)?;
        answers::<routes::orders::CancelLinesBody>(&node)?;
        answers::<routes::orders::AddressBody>(&node)?;
        answers::<routes::orders::NoteBody>(&node)?;
        answers::<routes::payments::RequestPaymentBody>(&node)?;
        answers::<routes::refunds::RefundBody>(&node)?;
        answers::<routes::shipments::ShipmentStatusBody>(&node)?;
        answers::<routes::shipments::DispatchBody>(&node)?;
        answers::<routes::returns::ReturnBody>(&node)?;
        answers::<routes::returns::ApproveReturnBody>(&node)?;
        answers::<routes::returns::RejectReturnBody>(&node)?;
        answers::<routes::returns::WithdrawReturnBody>(&node)?;
        answers::<routes::returns::SendReturnBody>(&node)?;
        answers::<routes::returns::InspectReturnBody>(&node)?;
        answers::<routes::returns::CloseReturnBody>(&node)?;
        answers::<routes::returns::ReturnListQuery>(&node)?;
        answers::<routes::returns::PageQuery>(&node)?;
        // A query is an object of its own kind, with the same fields.
        answers::<routes::orders::OrderListQuery>(&node)?;
        answers::<routes::orders::NoteQuery>(&node)?;
        answers::<routes::products::ProductListQuery>(&node)?;
        answers::<routes::stock::MovementQuery>(&node)?;
        answers::<routes::stock::StockListQuery>(&node)?;
        answers::<routes::users::UserListQuery>(&node)?;
        answers::<routes::sagas::SagaListQuery>(&node)?;
        answers::<routes::notices::NoticeListQuery>(&node)?;
        answers::<routes::auth::NoticesBody>(&node)?;
        answers::<Text<1, 10>>(&node)?;
        answers::<Line<1, 10>>(&node)?;
        answers::<Change<Line<1, 10>>>(&node)?;
        answers::<Secret<10>>(&node)?;
        answers::<Whole<-5, 5>>(&node)?;
        answers::<List<Amount, 1, 3>>(&node)?;
        answers::<OrderId>(&node)?;
        answers::<Timestamp>(&node)?;
        answers::<Option<AsOf>>(&node)?;
        answers::<bool>(&node)?;
    }

    #[test]
    fn an_amount_is_read_or_refused(text in "(?s).{0,50}|[-0-9.eE]{0,45}") {
        let node = Node::Text(text.clone());
        if let Ok(amount) = read_all::<Amount>(node, "") {
            let mut errors = Errors::default();
            let read = amount.or_won(&At::Root(""), &mut errors);
            prop_assert_eq!(read.is_some(), errors.is_empty());
            if let Some(money) = read {
                prop_assert!(!money.is_negative());
                prop_assert_eq!(money.amount(), text.parse().unwrap());
            }
        }
    }

    #[test]
    fn the_forms_of_one_text_are_read_as_one(text in "[가-힣a-zA-Z0-9éü]{1,20}( [가-힣a-z]{1,5})?") {
        let read = |text: &str| read_all::<Line<1, 40>>(Node::Text(text.to_owned()), "").map(|line| line.0).ok();
        let parted: String = text.chars().flat_map(|c| [c, '\u{200b}']).collect();
        for form in [text::decomposed(&text), format!(" {text}\u{3000}"), format!("\u{feff}{text}\t"), parted] {
            prop_assert_eq!(read(&form), Some(text.clone()), "{:?}", form);
        }
    }

    #[test]
    fn a_text_without_anything_to_see_is_absent_or_refused(blank in "[ \t\r\n\u{a0}\u{3000}\u{200b}\u{3164}\u{115f}\u{ffa0}\u{feff}]{0,20}") {
        let node = || Node::Text(blank.clone());
        prop_assert!(read_all::<Line<1, 40>>(node(), "").is_err());
        prop_assert!(read_all::<Text<1, 40>>(node(), "").is_err());
        prop_assert!(read_all::<Option<Line<1, 40>>>(node(), "").unwrap().is_none());
        prop_assert!(read_all::<Option<Text<1, 40>>>(node(), "").unwrap().is_none());
        prop_assert!(matches!(read_all::<Change<Line<1, 40>>>(node(), ""), Ok(Change::Keep)));
        prop_assert!(matches!(read_all::<Change<Line<1, 40>>>(Node::Null, ""), Ok(Change::Clear)));
    }

    #[test]
    fn the_document_and_the_reader_say_the_same_of_a_text(text in "(?s).{0,12}|[a가\u{301}\u{3164}\u{200b}\u{200f}\u{202e} \t\n\u{0}\u{fe0f}]{0,8}") {
        let fits = |one_line, blank| regex::Regex::new(&text::pattern(one_line, blank, 1)).unwrap().is_match(&text);
        let node = || Node::Text(text.clone());
        prop_assert_eq!(read_all::<Line<1, 100>>(node(), "").is_ok(), fits(true, false), "{:?}", text);
        prop_assert_eq!(read_all::<Text<1, 100>>(node(), "").is_ok(), fits(false, false), "{:?}", text);
        prop_assert_eq!(read_all::<Option<Line<1, 100>>>(node(), "").is_ok(), fits(true, true), "{:?}", text);
        prop_assert_eq!(read_all::<Option<Text<1, 100>>>(node(), "").is_ok(), fits(false, true), "{:?}", text);
    }

    #[test]
    fn a_pointer_finds_its_way(name in "(?s).{0,20}", index in any::<usize>()) {
        let root = At::Root("");
        let named = At::Name(&root, &name);
        let pointer = At::Index(&named, index).pointer();
        let parts: Vec<String> = pointer.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~")).collect();
        prop_assert_eq!(parts, vec![name, index.to_string()]);
    }

    #[test]
    fn percent_encoding_reads_back(text in "(?s).{0,40}", junk in "(?s)[%+0-9a-fA-F&=é]{0,40}") {
        let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
        prop_assert_eq!(decode(&encoded), Some(text));
        let _ = decode(&junk);
    }

    #[test]
    fn a_query_is_read_or_refused(query in "(?s).{0,60}|[a-c%0-9=&+]{0,60}|(limit=[0-9]{0,4}&?){0,40}") {
        if let Ok(members) = parse_query(&query) {
            let mut names: Vec<_> = members.iter().map(|(name, _)| name.clone()).collect();
            names.sort();
            names.dedup();
            prop_assert_eq!(names.len(), members.len());
        }
    }

    #[test]
    fn an_id_has_one_form(bits in any::<u128>(), text in "(?s).{0,50}|[-0-9a-fA-F{}]{30,40}") {
        let id = uuid::Uuid::from_u128(bits);
        prop_assert_eq!(parse_uuid(&id.to_string()), Some(id));
        if let Some(read) = parse_uuid(&text) {
            prop_assert_eq!(read.to_string(), text.to_lowercase());
        }
    }

    #[test]
    fn a_moment_reads_back(millis in -62_135_596_800_000_i64..=253_402_300_799_999, text in "(?s).{0,40}|[-+0-9TZ:.]{10,40}") {
        let moment = Timestamp::from_timestamp_millis(millis).unwrap();
        prop_assert_eq!(Timestamp::parse_text(&time::rfc3339(moment)), Some(moment));
        prop_assert_eq!(AsOf::parse_text(&time::rfc3339(moment)), Some(AsOf::Time(moment)));
        if let Some(read) = Timestamp::parse_text(&text) {
            prop_assert_eq!(Timestamp::parse_text(&time::rfc3339(read)), Some(read));
        }
    }

    #[test]
    fn a_version_reads_back(version in 1_u64.., text in "(?s).{0,30}|[-+0-9]{0,25}") {
        prop_assert_eq!(AsOf::parse_text(&version.to_string()), Some(AsOf::Version(Version::new(version))));
        if let Some(AsOf::Version(read)) = AsOf::parse_text(&text) {
            prop_assert_eq!(Some(read), text.parse().ok());
        }
    }

    #[test]
    fn a_tag_reads_back(version in any::<u64>()) {
        let tag = etag(Version::new(version));
        prop_assert_eq!(IfMatch::read(&headers("if-match", std::slice::from_ref(&tag))).unwrap(), IfMatch::OneOf(vec![Version::new(version)]));
        prop_assert!(Tag::new(Version::new(version), None).is_known(&headers("if-none-match", &[tag])));
    }

    #[test]
    fn conditions_are_read_or_refused(values in prop::collection::vec(header_value(), 0..3), version in any::<u64>()) {
        let _ = IfMatch::read(&headers("if-match", &values));
        let _ = Tag::new(Version::new(version), None).is_known(&headers("if-none-match", &values));
    }

    #[test]
    fn waits_are_read_or_refused(values in prop::collection::vec(header_value(), 0..3)) {
        for name in ["prefer", "jangbu-wait-for", "jangbu-min-position"] {
            if let Ok(wait) = Wait::read(&headers(name, &values)) {
                prop_assert!(wait.limit() <= LONGEST_WAIT);
            }
        }
    }

    #[test]
    fn a_key_is_taken_as_it_is_or_refused(values in prop::collection::vec(header_value(), 0..3)) {
        if let Ok(Some(key)) = read_key(&headers("idempotency-key", &values)) {
            prop_assert!((8..=255).contains(&key.len()));
            prop_assert_eq!(vec![key.as_bytes()], values.iter().map(HeaderValue::as_bytes).collect::<Vec<_>>());
        }
    }
}
