//! What files are read as.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};

use jangbu_commands::ImportKind;
use jangbu_kernel::ProductId;
use proptest::prelude::*;
use serde_json::Value;
use uuid::Uuid;

use super::columns;
use super::rows::{ProductRow, StockMode, StockRow, in_the_row, plan};
use super::sheet::{Format, Sheet, copy_rows, count};
use crate::http::fields::Read;
use crate::http::problem::{FieldProblem, Problem};

const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

fn file(content: impl AsRef<[u8]>) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content.as_ref()).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file
}

/// What each row becomes, or the pointer and code of everything that is wrong with it.
fn planned(kind: ImportKind, format: Format, content: &str) -> Vec<Result<String, Vec<(String, &'static str)>>> {
    let mut sheet = Sheet::open(file(content), format, columns(kind)).map_err(Problem::from).unwrap();
    let mut all = Vec::new();
    while let Some((_, raw)) = sheet.next().unwrap() {
        let new = ProductId::new(Uuid::from_u128(1));
        let planned = raw.node().and_then(|node| plan(kind, None, node, new));
        let of = |problem: FieldProblem| (in_the_row(kind, format == Format::Csv, &problem.pointer), problem.code);
        all.push(
            planned
                .map(|planned| format!("{:?}", planned.command))
                .map_err(|problems| problems.into_iter().map(of).collect()),
        );
    }
    all
}

fn products(content: &str) -> Vec<Result<String, Vec<(String, &'static str)>>> {
    planned(ImportKind::Products, Format::Csv, content)
}

fn wrong(pointer: &str, code: &'static str) -> Result<String, Vec<(String, &'static str)>> {
    Err(vec![(pointer.to_owned(), code)])
}

/// The code of the problem that a file as a whole is.
fn refused(format: Format, content: impl AsRef<[u8]>) -> String {
    let error = count(file(content), format, columns(ImportKind::Products)).unwrap_err();
    Problem::from(error).errors()[0].code.to_owned()
}

#[test]
fn the_columns_are_the_fields_of_a_row() {
    let fields = |schema| match serde_json::to_value(schema) {
        Ok(Value::Object(schema)) => schema["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let mut of_a_product = fields(ProductRow::schema());
    of_a_product.push("currency".to_owned());
    let mut of_a_stock = fields(StockRow::schema());
    for (kind, fields) in [(ImportKind::Products, &mut of_a_product), (ImportKind::Stock, &mut of_a_stock)] {
        let mut columns: Vec<_> = columns(kind).to_vec();
        columns.sort_unstable();
        fields.sort_unstable();
        assert_eq!(columns, *fields);
    }
}

#[test]
fn cells_are_read_by_the_rules_of_the_api() {
    let content = "\u{feff}name,description,price,currency,weight_grams,active,image_urls,category_ids,metadata\r\n\
        \"보이차, 100g\",\"첫째 줄\n\"\"특선\"\"\",12000,KRW,100,false,https://x.example/1;https://x.example/2,,\"{\"\"sku\"\":\"\"T-1\"\"}\"\r\n\
        \r\n\
        mug,, 12.50 ,USD,,,,[],\r\n";
    let read = products(content);
    assert_eq!(read.len(), 2, "a blank line is no row");
    let tea = read[0].as_ref().unwrap();
    for part in [
        "보이차, 100g",
        "첫째 줄\\n\\\"특선",
        "12000",
        "KRW",
        "Some(100)",
        "Some(false)",
        "x.example/2",
        "\"sku\": \"T-1\"",
    ] {
        assert!(tea.contains(part), "{part} in {tea}");
    }
    let mug = read[1].as_ref().unwrap();
    assert!(mug.contains("category_ids: Some([])") && mug.contains("weight_grams: None"), "{mug}");
}

#[test]
fn a_row_says_everything_that_is_wrong_with_it_and_the_next_one_goes_on() {
    let read = products(
        "id,name,price,currency,active,metadata,options\n\
         x,tea,1e3,KRW,yes,,\n\
         ,tea,0.5,KRW,,,\n\
         ,tea,1,won,,,\n\
         ,tea,,KRW,,,\n\
         ,tea,1,,,{,\n\
         ,tea,1,,,,\"{\"\"a\"\":\"\"b\"\"}\"\n\
         ,tea,1\n\
         ,tea,1,,true,,\n",
    );
    let several: Vec<_> = [("/id", "invalid_id"), ("/price", "invalid_amount"), ("/active", "wrong_type")]
        .map(|(pointer, code)| (pointer.to_owned(), code))
        .to_vec();
    assert_eq!(read[0], Err(several));
    assert_eq!(read[1], wrong("/price", "invalid_amount"));
    assert_eq!(read[2], wrong("/currency", "invalid_currency"));
    assert_eq!(read[3], wrong("/price", "required"));
    assert_eq!(read[4], wrong("/metadata", "malformed_json"));
    assert_eq!(read[5], wrong("/variant_of", "required"));
    assert_eq!(read[6], wrong("", "wrong_number_of_cells"));
    assert!(read[7].is_ok());
}

#[test]
fn a_line_of_json_is_a_row() {
    let content = format!(
        "\u{feff}{{\"name\":\"tea\",\"price\":{{\"amount\":\"1\",\"currency\":\"USD\"}},\"description\":null}}\n\n\
         {{\"name\":\"tea\",\"name\":\"tea\"}}\n[1]\nnonsense\n{{\"available\":3}}\n{{\"id\":\"{ID}\",\"variant_of\":null}}"
    );
    let read = planned(ImportKind::Products, Format::Jsonl, &content);
    assert!(read[0].as_ref().unwrap().contains("description: Some(None)"), "{read:?}");
    assert_eq!(read[1], wrong("", "malformed_json"));
    assert_eq!(read[2], wrong("", "wrong_type"));
    assert_eq!(read[3], wrong("", "malformed_json"));
    assert_eq!(read[4], wrong("/available", "unknown_field"));
    assert!(read[5].as_ref().unwrap().contains("variant: Some(None)"), "{read:?}");
    assert_eq!(read.len(), 6);
}

#[test]
fn a_row_of_stock_came_in_or_was_counted() {
    let content = format!(
        "product_id,quantity,mode,name,available\n{ID},5,receive,tea,-3\n{ID},0,count,,\n{ID},5,,,\n{ID},-1,count,,\n,5,count,,\n"
    );
    let read = planned(ImportKind::Stock, Format::Csv, &content);
    assert!(read[0].as_ref().unwrap().starts_with("ReceiveStock"));
    assert!(read[1].as_ref().unwrap().starts_with("CountStock"));
    assert_eq!(read[2], wrong("/mode", "required"));
    assert_eq!(read[3], wrong("/quantity", "out_of_range"));
    assert_eq!(read[4], wrong("/product_id", "required"));
    assert_eq!(in_the_row(ImportKind::Stock, true, "/counted"), "/quantity");
    assert_eq!(in_the_row(ImportKind::Products, false, "/of"), "/variant_of");
    assert_eq!(StockMode::from_name("receive"), Some(StockMode::Receive));
}

#[test]
fn a_file_that_cannot_be_read_is_refused_as_a_whole() {
    for (content, code) in [
        ("", "missing_head"),
        ("\n\n", "missing_head"),
        ("id,color\n", "unknown_column"),
        ("id;name;price\n", "unknown_column"),
        ("name,name\n", "repeated"),
        ("NAME\n", "unknown_column"),
    ] {
        assert_eq!(refused(Format::Csv, content), code, "{content:?}");
    }
    assert_eq!(refused(Format::Csv, b"name\n\xba\xb8\xc0\xcc\xc2\xf7\n"), "not_utf8", "as older spreadsheets write it");
    assert_eq!(refused(Format::Jsonl, b"{\"name\":\"\xff\"}\n"), "not_utf8");
    let unclosed = format!("name\n\"{}", "x\n".repeat(1_000_000));
    assert_eq!(refused(Format::Csv, unclosed), "row_too_long");
    assert_eq!(refused(Format::Jsonl, "x".repeat(2_000_000)), "row_too_long");
    let error = count(file("id,color\n"), Format::Csv, columns(ImportKind::Products)).unwrap_err();
    assert!(Problem::from(error).detail().contains("\"color\""));
    assert_eq!(count(file("name\n"), Format::Csv, columns(ImportKind::Products)).unwrap(), 0);
    assert_eq!(count(file(""), Format::Jsonl, columns(ImportKind::Products)).unwrap(), 0);
}

#[test]
fn the_rows_that_are_wanted_are_copied_with_their_head() {
    let copied = |format, content: &str| {
        let mut to = Vec::new();
        copy_rows(file(content), format, |row| row == 2, &mut to).unwrap();
        String::from_utf8(to).unwrap()
    };
    assert_eq!(copied(Format::Csv, "name,price\na,1\n\"b,\nc\",2\n\nd,3\n"), "name,price\n\"b,\nc\",2\n");
    assert_eq!(copied(Format::Jsonl, "{}\n\n{\"id\": 1}\n{}\n"), "{\"id\": 1}\n");
}

#[test]
fn a_media_type_says_how_a_file_is_written() {
    for (text, format) in [
        ("text/csv", Some(Format::Csv)),
        ("Text/CSV; charset=UTF-8; header=present", Some(Format::Csv)),
        ("text/csv; charset=euc-kr", None),
        ("application/x-ndjson", Some(Format::Jsonl)),
        ("application/jsonl", Some(Format::Jsonl)),
        ("application/json", None),
        ("", None),
    ] {
        assert_eq!(Format::of_media_type(text), format, "{text}");
    }
    for format in Format::ALL {
        assert_eq!(Format::of_media_type(format.media_type()), Some(*format));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_rows_or_are_refused(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            "(\u{feff})?(name|id|price|metadata)(,(active|options|currency))?\r?\n([a-z,;\"{}\\[\\]:\\\\0-9 \r\n]{0,80})".prop_map(String::into_bytes),
        ],
        is_csv in any::<bool>(),
    ) {
        let format = if is_csv { Format::Csv } else { Format::Jsonl };
        let Ok(mut sheet) = Sheet::open(file(&bytes), format, columns(ImportKind::Products)) else { return Ok(()) };
        let mut last = 0;
        while let Ok(Some((number, raw))) = sheet.next() {
            prop_assert_eq!(number, last + 1);
            last = number;
            prop_assert!(!raw.identity().is_empty() || is_csv);
            let planned = raw.node().and_then(|node| plan(ImportKind::Products, None, node, ProductId::new(Uuid::nil())));
            if let Err(problems) = planned {
                prop_assert!(!problems.is_empty());
            }
        }
    }
}
