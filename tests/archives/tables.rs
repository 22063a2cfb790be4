//! Parquet.

use std::{collections::HashMap, fs::File, path::Path, sync::Arc};

use arrow_array::{
    ArrayRef, DictionaryArray, Float32Array, Int64Array, LargeStringArray, ListArray, RecordBatch,
    StringArray, StringViewArray, StructArray,
    cast::AsArray,
    types::{Int8Type, Int32Type},
};
use arrow_schema::{DataType, Field};
use arrow_select::concat::concat_batches;
use parquet::{
    arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder},
    basic::{Compression, GzipLevel},
    file::{metadata::KeyValue, properties::WriterProperties},
};
use serde_json::Value;

use crate::{
    files::{Files, errors, json_lines, posts},
    killed::kill_and_go_on,
};

fn column(name: &str, values: ArrayRef) -> (String, ArrayRef) {
    (name.to_owned(), values)
}

fn write(path: &Path, columns: Vec<(String, ArrayRef)>, group_rows: usize, codec: Compression) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(group_rows))
        .set_compression(codec)
        .set_key_value_metadata(Some(vec![KeyValue::new("origin".to_owned(), "a test".to_owned())]))
        .build();
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// The rows of a file in one batch, and what its writer noted.
fn read(path: &Path) -> (RecordBatch, HashMap<String, String>) {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let noted = builder.metadata().file_metadata().key_value_metadata().unwrap().iter();
    let noted = noted.map(|entry| (entry.key.clone(), entry.value.clone().unwrap_or_default()));
    let noted = noted.filter(|(key, _)| key != "ARROW:schema").collect();
    let schema = builder.schema().clone();
    let batches: Vec<_> = builder.build().unwrap().map(Result::unwrap).collect();
    (concat_batches(&schema, &batches).unwrap(), noted)
}

fn scores(batch: &RecordBatch) -> &StructArray {
    batch.column_by_name("dignity").unwrap().as_struct()
}

const TEXTS: [Option<&str>; 5] = [Some("river"), None, Some("a bakery"), Some(""), Some("river")];

/// Columns of many kinds beside the texts.
fn others() -> Vec<(String, ArrayRef)> {
    let numbers = Int64Array::from(vec![Some(1), Some(2), None, Some(4), Some(5)]);
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([
        Some(vec![Some(1), None]),
        None,
        Some(vec![]),
        Some(vec![Some(2)]),
        Some(vec![Some(3), Some(4)]),
    ]);
    let inner: ArrayRef = Arc::new(StringArray::from(vec![Some("v"), None, Some("w"), None, None]));
    let nested = StructArray::from(vec![(Arc::new(Field::new("in", DataType::Utf8, true)), inner)]);
    let keys: DictionaryArray<Int8Type> = ["x", "y", "x", "z", "y"].into_iter().collect();
    vec![
        column("n", Arc::new(numbers)),
        column("list", Arc::new(lists)),
        column("nested", Arc::new(nested)),
        column("key", Arc::new(keys)),
    ]
}

#[test]
fn every_kind_of_text_column_is_read_and_all_other_columns_are_kept() {
    let kinds: [(&str, ArrayRef); 4] = [
        ("utf8", Arc::new(StringArray::from(TEXTS.to_vec()))),
        ("large", Arc::new(LargeStringArray::from(TEXTS.to_vec()))),
        ("view", Arc::new(StringViewArray::from(TEXTS.to_vec()))),
        ("dictionary", Arc::new(TEXTS.into_iter().collect::<DictionaryArray<Int32Type>>())),
    ];
    let files = Files::new(&[("in.jsonl", b"{\"text\":\"river\"}\n{\"text\":\"a bakery\"}\n")]);
    let plain = json_lines(&files.good(&["in.jsonl"]).stdout);
    let probability = |row: usize| plain[row]["dignity"]["dehumanization"].as_f64().unwrap() as f32;
    let codecs = [
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::LZ4_RAW,
        Compression::UNCOMPRESSED,
    ];
    for ((kind, texts), codec) in kinds.into_iter().zip(codecs) {
        let mut columns = vec![column("text", texts)];
        columns.extend(others());
        let input = format!("{kind}.parquet");
        write(&files.path(&input), columns, 2, codec);
        let output = files.good(&[&input, "-o", "out.parquet", "--id-field", "n"]);
        assert!(errors(&output).contains(&format!("{input}:2: (2) the field \"text\" is null")));
        assert!(errors(&output).contains("5 rows") && errors(&output).contains("2 bad"));

        let (before, _) = read(&files.path(&input));
        let (after, noted) = read(&files.path("out.parquet"));
        assert_eq!(after.project(&[0, 1, 2, 3, 4]).unwrap().columns(), before.columns(), "{kind}");
        let fields = |batch: &RecordBatch| batch.schema().fields()[..5].to_vec();
        assert_eq!(fields(&after), fields(&before), "{kind}");
        assert_eq!(noted["origin"], "a test", "what was noted before is kept");
        let run: Value = serde_json::from_str(&noted["dignity"]).unwrap();
        assert_eq!(
            (&run["model"]["name"], &run["precision"]),
            (&"tiny-bert".into(), &"w8a16".into())
        );
        assert_eq!(run["policies"][0]["name"], "balanced");

        let scores = scores(&after);
        let column = |name: &str| scores.column_by_name(name).unwrap();
        let found: &Float32Array = column("dehumanization").as_primitive();
        let wanted = [Some(probability(0)), None, Some(probability(1)), None, Some(probability(0))];
        assert_eq!(found.iter().collect::<Vec<_>>(), wanted);
        let wrong: Vec<_> = column("error").as_string::<i32>().iter().collect();
        let null = Some("the field \"text\" is null");
        assert_eq!(wrong, [None, null, None, Some("the text is empty"), None]);
        assert_eq!(column("categories").as_struct().num_columns(), 10);
        assert_eq!(column("ways").as_struct().num_columns(), 5);
    }
}

#[test]
fn tables_and_texts_go_into_one_another() {
    let files = Files::new(&[("a.jsonl", posts(30).as_bytes())]);
    files.good(&["a.jsonl", "-o", "a.parquet"]);
    let (table, _) = read(&files.path("a.parquet"));
    let names: Vec<_> = table.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["id", "text", "dignity"]);
    // A file scored before: its scores are replaced.
    files.good(&["a.parquet", "-o", "b.parquet"]);
    assert_eq!(read(&files.path("b.parquet")).0, table);
    let plain = json_lines(&files.good(&["a.jsonl"]).stdout);
    let back = json_lines(&files.good(&["b.parquet"]).stdout);
    for (plain, back) in plain.iter().zip(&back) {
        assert_eq!((&plain["text"], &plain["dignity"]), (&back["text"], &back["dignity"]));
    }
    assert_eq!((plain.len(), back.len()), (30, 30));
    files.good(&["b.parquet", "-o", "b.csv"]);
    assert_eq!(String::from_utf8(files.read("b.csv")).unwrap().lines().count(), 31);
    // No rows, and yet a table with all columns.
    std::fs::write(files.path("none.txt"), "").unwrap();
    files.good(&["none.txt", "-o", "none.parquet"]);
    let (none, _) = read(&files.path("none.parquet"));
    assert_eq!((none.num_rows(), scores(&none).num_columns()), (0, 9));
}

#[test]
fn what_is_no_table_of_texts_is_told_before_anything_is_scored() {
    let files = Files::new(&[("broken.parquet", b"PAR1 not a table PAR1"), ("b.jsonl", b"")]);
    let mut columns = others();
    columns.push(column("text", Arc::new(StringArray::from(TEXTS.to_vec()))));
    write(&files.path("a.parquet"), columns, 100, Compression::SNAPPY);
    let wrong = files.bad(&["a.parquet", "--text-field", "body", "-o", "o.jsonl"]);
    assert!(
        wrong.contains("a.parquet: no column \"body\"; the header has n, list, nested, key, text"),
        "{wrong}"
    );
    let number = files.bad(&["a.parquet", "--text-field", "n", "-o", "o.jsonl"]);
    assert!(
        number.contains("the column \"n\" is Int64, not text; the file has n (Int64), list ("),
        "{number}"
    );
    let broken = files.bad(&["broken.parquet", "-o", "o.jsonl"]);
    assert!(broken.contains("broken.parquet: cannot be read as Parquet: "), "{broken}");
    let mixed = files.bad(&["a.parquet", "b.jsonl", "-o", "o.parquet"]);
    assert!(mixed.contains("a.parquet and b.jsonl have not the same columns"), "{mixed}");
    let mut cut = files.read("a.parquet");
    cut.truncate(cut.len() - 9);
    std::fs::write(files.path("cut.parquet"), cut).unwrap();
    assert!(files.bad(&["cut.parquet", "-o", "o.jsonl"]).contains("cannot be read as Parquet"));
    assert!(!files.path("o.jsonl").exists() && !files.path("o.parquet").exists());
}

#[test]
fn shards_of_a_table_have_every_row_once() {
    let files = Files::new(&[]);
    let numbers: Vec<i64> = (0..3_000).collect();
    let texts: Vec<_> = numbers.iter().map(|n| format!("{n}")).collect();
    let columns = vec![
        column("n", Arc::new(Int64Array::from(numbers.clone()))),
        column("text", Arc::new(StringArray::from(texts))),
    ];
    write(&files.path("in.parquet"), columns, 700, Compression::SNAPPY);
    let mut found = Vec::new();
    for shard in ["1/2", "2/2"] {
        files.good(&["in.parquet", "--shard", shard, "-o", "out.parquet"]);
        let (table, noted) = read(&files.path("out.parquet"));
        assert!(noted["dignity"].contains(shard));
        assert_eq!(table.num_rows(), 1_500);
        let numbers: &Int64Array = table.column(0).as_primitive();
        let texts: &StringArray = table.column(1).as_string();
        for (n, text) in numbers.values().iter().zip(texts.iter()) {
            assert_eq!(n.to_string(), text.unwrap());
        }
        found.extend(numbers.values().iter().copied());
    }
    found.sort_unstable();
    assert_eq!(found, numbers);
}

#[test]
fn a_killed_run_over_tables_goes_on_and_gives_the_same_rows() {
    // A checkpoint is made after 2,048 rows at the earliest.
    const ROWS: usize = 12_000;
    let files = Files::new(&[]);
    let texts: Vec<_> = (0..ROWS).map(|n| format!("river {n} garden")).collect();
    let columns = vec![
        column(
            "key",
            Arc::new(
                (0..ROWS).map(|n| ["x", "y", "z"][n % 3]).collect::<DictionaryArray<Int8Type>>(),
            ),
        ),
        column("text", Arc::new(StringArray::from(texts))),
    ];
    write(&files.path("in.parquet"), columns, 1_500, Compression::SNAPPY);
    let targets = ["whole.parquet", "killed.parquet"];
    kill_and_go_on(&files, &["in.parquet"], targets, 3, ROWS as u64);
    let [whole, killed] = targets.map(|name| read(&files.path(name)));
    assert_eq!(whole.0.num_rows(), ROWS);
    assert_eq!(whole.1, killed.1, "what is noted of the run");
    assert!(whole.0 == killed.0, "the rows are not the same");
}
