//! `dignity serve` as its clients see it: the command as a process, on a tiny model.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by panicking")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpStream},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        LazyLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use dignity::{Category, Classifier, Probabilities, Scores, Way};
use serde_json::{Value, json};
use tempfile::TempDir;

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny-bert");
/// A classifier of another maker.
const FOREIGN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/families/bert");

/// What the server must agree with, bit for bit.
static LIBRARY: LazyLock<Classifier> =
    LazyLock::new(|| Classifier::builder().model(TINY).threads(1).build().unwrap());

fn library(text: &str) -> Scores {
    LIBRARY.score(&[text]).unwrap().remove(0)
}

/// A running server; it is killed when dropped.
struct Server {
    child: Child,
    url: String,
    address: String,
    directory: TempDir,
    agent: ureq::Agent,
}

struct Answer {
    status: u16,
    body: String,
    headers: ureq::http::HeaderMap,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// A directory with the files of a configuration.
fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(directory.path().join(name), content).unwrap();
    }
    directory
}

fn serve(directory: &TempDir, arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dignity"));
    command
        .current_dir(directory.path())
        .arg("serve")
        .args(arguments)
        .envs([("DIGNITY_MODEL", TINY), ("DIGNITY_PORT", "0"), ("DIGNITY_THREADS", "2")])
        .envs(environment.iter().copied())
        .stdin(Stdio::null());
    command
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        Self::start_in(directory(&[]), arguments, &[])
    }

    fn start_in(directory: TempDir, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let log = fs::File::create(directory.path().join("log")).unwrap();
        let mut child = serve(&directory, arguments, environment)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").unwrap_or_else(|| {
            panic!("{line:?} {}", fs::read_to_string(directory.path().join("log")).unwrap())
        });
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .into();
        let (url, address) = (url.to_owned(), url.split_once("://").unwrap().1.to_owned());
        Self { child, url, address, directory, agent }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    fn get(&self, path: &str) -> Answer {
        answer(self.agent.get(self.url(path)).call().unwrap())
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_bytes(path, body.to_string().as_bytes())
    }

    fn post_bytes(&self, path: &str, body: &[u8]) -> Answer {
        let request = self.agent.post(self.url(path)).header("Content-Type", "application/json");
        answer(request.send(body).unwrap())
    }

    fn scored(&self, text: &str) -> Value {
        let answer = self.post("/v1/score", &json!({ "texts": text }));
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()["results"][0].clone()
    }

    /// The value of a metric, 0 where it was never counted.
    fn metric(&self, name: &str) -> f64 {
        let metrics = self.get("/metrics").body;
        let line = metrics.lines().find(|line| line.rsplit_once(' ').is_some_and(|l| l.0 == name));
        line.map_or(0.0, |line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
    }

    fn raw(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    fn wait(&mut self) -> ExitStatus {
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("the server does not end");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn answer(mut response: ureq::http::Response<ureq::Body>) -> Answer {
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let body = response.body_mut().with_config().limit(1 << 30).read_to_string();
    Answer { status, headers, body: body.unwrap() }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while Instant::now() < end {
        if holds() {
            return;
        }
        thread::sleep(Duration::from_millis(2));
    }
    panic!("never: {what}");
}

/// The f32 that was written.
fn number(value: &Value) -> f32 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number")) as f32
}

/// Whether an object of /v1/score has these probabilities, bit for bit.
fn assert_labels(found: &Value, wanted: &Probabilities) {
    assert_eq!(number(&found["dehumanization"]).to_bits(), wanted.dehumanization.to_bits());
    assert_eq!(number(&found["hate"]).to_bits(), wanted.hate.to_bits());
    for category in Category::ALL {
        let found = number(&found["categories"][category.name()]);
        assert_eq!(found.to_bits(), wanted.categories[category].to_bits(), "{category}");
    }
    for way in Way::ALL {
        let found = number(&found["ways"][way.name()]);
        assert_eq!(found.to_bits(), wanted.ways[way].to_bits(), "{way}");
    }
}

fn assert_scored(found: &Value, text: &str) {
    let wanted = library(text);
    if let Some(reason) = wanted.unscored {
        assert_eq!(found["error"], reason.to_string());
        return;
    }
    assert_labels(found, &wanted.probabilities);
    let windows = found["windows"].as_array().unwrap();
    assert_eq!(windows.len(), wanted.windows.len());
    for (found, wanted) in windows.iter().zip(&wanted.windows) {
        assert_eq!(found["start"], wanted.bytes.start);
        assert_eq!(found["end"], wanted.bytes.end);
        assert_labels(found, &wanted.probabilities);
    }
}

/// Texts that need many windows of the tiny model, and some hundred milliseconds.
fn many_texts(count: usize, bytes: usize) -> Vec<String> {
    (0..count).map(|n| format!("text {n} of a dog and a cat. ").repeat(bytes / 28)).collect()
}

fn policy(name: &str, flag: f32) -> String {
    format!(
        "format = 1\nname = \"{name}\"\nversion = \"1\"\nmodel = \"tiny-bert\"\n[flag]\n\
         dehumanization = {flag}\n[review]\ndehumanization = 0.0\n[because]\ndefault = 0.0\n"
    )
}

#[test]
fn moderations_take_a_text_an_array_and_objects() {
    let server = Server::start(&[]);
    let texts = ["The dog is good.", "", "An old bridge over the river."];
    let ask = |input: Value| {
        let answer = server.post("/v1/moderations", &json!({ "input": input, "model": "any" }));
        assert_eq!(answer.status, 200, "{}", answer.body);
        let body = answer.json();
        assert!(body["id"].as_str().unwrap().starts_with("modr-"));
        assert_eq!(body["model"], "tiny-bert-0.1.0");
        assert_eq!(answer.header("x-request-id").len(), 32);
        body["results"].as_array().unwrap().clone()
    };
    let objects = texts.map(|text| json!({ "type": "text", "text": text }));
    let results = ask(json!(texts));
    assert_eq!(results.len(), 3);
    assert_eq!(ask(json!(objects)), results);
    for (text, result) in texts.into_iter().zip(&results) {
        assert_eq!(ask(json!(text)), std::slice::from_ref(result), "{text}");
        let scores = library(text);
        let found = |name: &str| number(&result["category_scores"][name]);
        assert_eq!(found("dehumanization").to_bits(), scores.dehumanization().to_bits());
        assert_eq!(found("hate").to_bits(), scores.hate().to_bits());
        for category in Category::ALL {
            let wanted = scores.category(category);
            assert_eq!(found(category.name()).to_bits(), wanted.to_bits());
        }
        let categories = result["categories"].as_object().unwrap();
        assert_eq!(categories.len(), 12);
        assert_eq!(categories["dehumanization"], result["flagged"]);
        assert_eq!(categories["hate"], scores.hate() >= 0.5);
        assert_eq!(result["category_applied_input_types"]["religion"], json!(["text"]));
        assert_eq!(result.get("unscored").is_some(), text.is_empty());
    }
}

#[test]
fn moderations_flag_by_the_policy_and_name_the_causes() {
    let files =
        directory(&[("all.toml", &policy("all", 0.0)), ("none.toml", &policy("none", 1.0))]);
    let server =
        Server::start_in(files, &["--policy", "none.toml", "--policy-file", "all.toml"], &[]);
    let result = |body: Value| server.post("/v1/moderations", &body).json()["results"][0].clone();
    let none = result(json!({ "input": "a dog" }));
    assert_eq!((&none["flagged"], &none["categories"]["race"]), (&json!(false), &json!(false)));
    let all = result(json!({ "input": "a dog", "policy": "all" }));
    assert_eq!((&all["flagged"], &all["categories"]["race"]), (&json!(true), &json!(true)));
    assert_eq!(result(json!({ "input": " ", "policy": "all" }))["flagged"], false);
    let unknown = server.post("/v1/moderations", &json!({ "input": "a", "policy": "nope" }));
    assert_eq!(unknown.status, 400);
    assert_eq!(unknown.json()["error"]["param"], "policy");
    let policies = server.get("/v1/policies").json();
    let names: Vec<_> = policies.as_array().unwrap().iter().map(|p| p["name"].clone()).collect();
    assert_eq!(names, ["all", "balanced", "none", "strict"]);
    assert_eq!(policies[2]["default"], true);
    assert_eq!(policies[0]["because"]["race"], 0.0);
}

#[test]
fn comments_are_analyzed_with_spans_in_characters() {
    let server = Server::start(&[]);
    let ask = |body: &Value| server.post("/v1alpha1/comments:analyze", body);
    // Two bytes a character at first, so that bytes would be seen.
    let text = "é".repeat(10) + &" The old dog sleeps on the warm bridge.".repeat(4);
    let scores = library(&text);
    assert!(scores.windows.len() > 2);
    let body = json!({
        "comment": { "text": text, "type": "PLAIN_TEXT" },
        "requestedAttributes": { "DEHUMANIZATION": {}, "IDENTITY_ATTACK": {},
                                 "DEHUMANIZATION_NATIONAL_ORIGIN": { "scoreType": "PROBABILITY" } },
        "languages": ["en"], "clientToken": "token", "doNotStore": true, "sessionId": "7",
    });
    let whole = ask(&body);
    assert_eq!(whole.status, 200, "{}", whole.body);
    let whole = whole.json();
    assert_eq!(whole["clientToken"], "token");
    assert_eq!((&whole["languages"], &whole["detectedLanguages"]), (&json!(["en"]), &json!([])));
    let attributes = whole["attributeScores"].as_object().unwrap();
    assert_eq!(attributes.len(), 3);
    for (name, wanted) in [
        ("DEHUMANIZATION", scores.dehumanization()),
        ("IDENTITY_ATTACK", scores.hate()),
        ("DEHUMANIZATION_NATIONAL_ORIGIN", scores.category(Category::NationalOrigin)),
    ] {
        let summary = &attributes[name]["summaryScore"];
        assert_eq!(number(&summary["value"]).to_bits(), wanted.to_bits(), "{name}");
        assert_eq!(summary["type"], "PROBABILITY");
        let spans = attributes[name]["spanScores"].as_array().unwrap();
        assert_eq!(spans.len(), 1);
        assert_eq!(
            (&spans[0]["begin"], &spans[0]["end"]),
            (&json!(0), &json!(text.chars().count()))
        );
    }

    let mut annotated = body.clone();
    annotated["spanAnnotations"] = json!(true);
    let annotated = ask(&annotated).json();
    let spans = annotated["attributeScores"]["DEHUMANIZATION"]["spanScores"].clone();
    let spans = spans.as_array().unwrap();
    assert_eq!(spans.len(), scores.windows.len());
    for (span, window) in spans.iter().zip(&scores.windows) {
        let characters = |byte: usize| text[..byte].chars().count();
        assert_eq!(span["begin"], characters(window.bytes.start));
        assert_eq!(span["end"], characters(window.bytes.end));
        let value = number(&span["score"]["value"]);
        assert_eq!(value.to_bits(), window.probabilities.dehumanization.to_bits());
    }

    let mut high = body.clone();
    high["requestedAttributes"] = json!({ "DEHUMANIZATION": { "scoreThreshold": 1.0 } });
    assert_eq!(ask(&high).json()["attributeScores"], json!({}));
}

#[test]
fn comments_fail_in_googles_shape() {
    let server = Server::start(&[]);
    let comment = json!({ "text": "a dog" });
    let fault = |body: Value, message: &str| {
        let answer = server.post("/v1alpha1/comments:analyze", &body);
        let error = answer.json()["error"].clone();
        assert_eq!((answer.status, &error["code"]), (400, &json!(400)), "{error}");
        assert_eq!(error["status"], "INVALID_ARGUMENT");
        assert!(error["message"].as_str().unwrap().contains(message), "{error}");
        error["details"][0]["errorType"].clone()
    };
    let unknown = json!({ "comment": comment, "requestedAttributes": { "TOXICITY": {} } });
    assert_eq!(fault(unknown, "DEHUMANIZATION_RELIGION"), "UNKNOWN_ATTRIBUTE");
    let empty =
        json!({ "comment": { "text": " " }, "requestedAttributes": { "DEHUMANIZATION": {} } });
    assert_eq!(fault(empty, "non-empty"), "COMMENT_EMPTY");
    fault(json!({ "comment": comment, "requestedAttributes": {} }), "No attributes");
    fault(json!({ "comment": comment }), "requestedAttributes");
    let field = json!({ "comment": comment, "requestedAttributes": {}, "spans": 1 });
    assert_eq!(fault(field, "unknown field"), Value::Null);
}

#[test]
fn predictions_are_sorted_and_nested_for_batches() {
    let server = Server::start(&[]);
    let ask = |inputs: Value| {
        server.post(
            "/predict",
            &json!({ "inputs": inputs, "truncate": true, "raw_scores": true, "x": 1 }),
        )
    };
    let texts = ["The dog is good.", "An old bridge."];
    let batch = ask(json!([[texts[0]], [texts[1]]])).json();
    assert_eq!(batch.as_array().unwrap().len(), 2);
    for (text, predictions) in texts.into_iter().zip(batch.as_array().unwrap()) {
        assert_eq!(&ask(json!(text)).json(), predictions);
        assert_eq!(&ask(json!([text])).json(), predictions);
        let predictions = predictions.as_array().unwrap();
        assert_eq!(predictions.len(), 17);
        assert!(predictions.is_sorted_by(|a, b| number(&a["score"]) >= number(&b["score"])));
        let animal = predictions.iter().find(|prediction| prediction["label"] == "animal").unwrap();
        assert_eq!(number(&animal["score"]).to_bits(), library(text).way(Way::Animal).to_bits());
    }
    for (inputs, status, kind) in [
        (json!([texts[0], texts[1]]), 422, "Validation"),
        (json!([[texts[0], texts[1]]]), 422, "Validation"),
        (json!(7), 422, "Validation"),
        (json!([]), 400, "Empty"),
        (json!([["a"], [""]]), 400, "Empty"),
    ] {
        let answer = ask(inputs);
        assert_eq!((answer.status, &answer.json()["error_type"]), (status, &json!(kind)));
        assert!(answer.json()["error"].is_string());
    }
}

#[test]
fn scores_tell_everything() {
    let server = Server::start(&[]);
    let long = "An old dog and a good cat. ".repeat(20);
    let texts = ["The dog is good.", " ", &long, "a b1rd"];
    let body = server.post("/v1/score", &json!({ "texts": texts, "policy": "strict" })).json();
    assert_eq!(body["model"]["name"], "tiny-bert");
    assert_eq!(body["model"]["digest"], LIBRARY.model_digest().to_string());
    let strict = LIBRARY.policy_named("strict").unwrap();
    assert_eq!(body["policy"]["digest"], strict.digest().to_string());
    let results = body["results"].as_array().unwrap();
    assert_eq!(results.len(), texts.len());
    for (text, result) in texts.into_iter().zip(results) {
        assert_scored(result, text);
        let scores = library(text);
        if scores.unscored.is_none() {
            let verdict = strict.verdict(&scores);
            assert_eq!(result["verdict"], verdict.decision.name());
            let because: Vec<_> = verdict.because.iter().map(|c| c.name()).collect();
            assert_eq!(result["because"], json!(because));
            assert!(result.get("explanation").is_none());
        }
        let alone = server.scored(text);
        assert_eq!(alone["dehumanization"], result["dehumanization"]);
    }
    assert_eq!(results[1], json!({ "error": "the text is blank" }));
    assert_eq!(results[3]["windows"][1]["view"], "normalized");
}

#[test]
fn explanations_are_those_of_the_library() {
    let server = Server::start(&[]);
    let texts =
        ["The dog is a good cat.".to_owned(), "no b1rd".to_owned(), "One more dog. ".repeat(30)];
    let body = server.post("/v1/score", &json!({ "texts": texts, "explain": true })).json();
    for (text, result) in texts.iter().zip(body["results"].as_array().unwrap()) {
        let wanted = LIBRARY.explain(text, &Default::default()).unwrap();
        let found = &result["explanation"];
        let words = found["words"].as_array().unwrap();
        assert_eq!(words.len(), wanted.words.len());
        assert_eq!(found["windows"].as_array().unwrap().len(), wanted.windows.len());
        for (found, wanted) in words.iter().zip(&wanted.words) {
            assert_eq!(found["start"], wanted.bytes.start);
            assert_eq!(found["end"], wanted.bytes.end);
            let number = number(&found["dehumanization"]);
            assert_eq!(number.to_bits(), wanted.dehumanization.to_bits());
        }
    }
    let many = server.post("/v1/score", &json!({ "texts": vec!["a"; 17], "explain": true }));
    assert_eq!(many.status, 413);
}

#[test]
fn answers_of_many_connections_are_those_of_the_library() {
    let server = Server::start(&["--round-tokens", "300"]);
    let connections = 32;
    thread::scope(|scope| {
        for connection in 0..connections {
            let server = &server;
            scope.spawn(move || {
                for round in 0..8 {
                    let texts: Vec<String> = (0..1 + (connection + round) % 5)
                        .map(|n| match (connection + n) % 4 {
                            0 => format!("dog number {connection} is {round}"),
                            1 => "the same cat for all ".repeat(1 + round),
                            2 => format!("v3ry 0ld br1dge {}", "é".repeat(connection)),
                            _ => " ".repeat(n),
                        })
                        .collect();
                    let answer = server.post("/v1/score", &json!({ "texts": texts }));
                    assert_eq!(answer.status, 200, "{}", answer.body);
                    let results = answer.json()["results"].as_array().unwrap().clone();
                    assert_eq!(results.len(), texts.len());
                    for (text, result) in texts.iter().zip(&results) {
                        assert_scored(result, text);
                    }
                }
            });
        }
    });
    let requests = f64::from(u16::try_from(connections * 8).unwrap());
    assert_eq!(server.metric(r#"dignity_requests_total{api="score",status="200"}"#), requests);
    assert!(server.metric("dignity_rounds_total") < requests, "rounds were shared");
}

#[test]
fn a_small_request_is_not_kept_waiting_by_a_huge_one() {
    let server = Server::start(&["--max-text-bytes", "1000000", "--threads", "1"]);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            // One text, of thousands of windows.
            let answer = server.post("/v1/score", &json!({ "texts": many_texts(1, 600_000) }));
            done.store(true, Ordering::SeqCst);
            assert_eq!(answer.status, 200, "{}", answer.body);
        });
        until("the huge request is taken", || server.metric("dignity_queue_texts") == 1.0);
        for _ in 0..5 {
            assert_scored(&server.scored("The dog is good."), "The dog is good.");
        }
        assert!(!done.load(Ordering::SeqCst), "the small ones were answered first");
    });
}

#[test]
fn what_is_not_a_request_is_refused_with_a_reason() {
    let server = Server::start(&[]);
    let fault = |body: &[u8]| {
        let answer = server.post_bytes("/v1/moderations", body);
        let error = answer.json()["error"].clone();
        assert_eq!(error.as_object().unwrap().len(), 4, "{error}");
        assert_eq!(error["type"], "invalid_request_error");
        assert!(!error["message"].as_str().unwrap().contains("secret"), "{error}");
        (answer.status, error["code"].as_str().unwrap().to_owned(), error["param"].clone())
    };
    let code = |code: &str, param: Value| (400, code.to_owned(), param);
    assert_eq!(fault(b""), code("invalid_json", Value::Null));
    assert_eq!(fault(b"{\"input\": "), code("invalid_json", Value::Null));
    assert_eq!(fault(b"{\"input\": \"a\"} x"), code("invalid_json", Value::Null));
    assert_eq!(fault(b"{\"input\": \"\xff\"}"), code("invalid_utf8", Value::Null));
    assert_eq!(fault(br#"{"input": "\ud800"}"#), code("invalid_json", Value::Null));
    assert_eq!(fault(b"[]"), code("invalid_type", Value::Null));
    assert_eq!(fault(b"{}"), code("missing_required_parameter", Value::Null));
    assert_eq!(fault(br#"{"input": 7}"#), code("invalid_type", json!("input")));
    assert_eq!(fault(br#"{"input": ["a", 7]}"#), code("invalid_type", json!("input[1]")));
    assert_eq!(fault(br#"{"input": []}"#), code("empty", json!("input")));
    assert_eq!(fault(br#"{"input": "a", "user": "secret"}"#).1, "unknown_parameter");
    let image = br#"{"input": [{"type": "image_url", "image_url": {"url": "secret"}}]}"#;
    assert_eq!(fault(image).0, 400);
    let nested = "[".repeat(100_000);
    assert_eq!(fault(format!("{{\"input\": {nested}").as_bytes()).0, 400);

    let answer = server.post("/v1/score", &json!({ "texts": { "secret": 1 } }));
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["error"]["param"], "texts");
    let form = server.agent.post(server.url("/v1/score")).send("texts=secret").unwrap();
    assert_eq!(form.status().as_u16(), 415);
    assert_eq!(server.get("/v1/nothing").status, 404);
    assert_eq!(server.get("/v1/nothing").json()["error"]["code"], "unknown_path");
    let wrong = server.get("/v1/score");
    assert_eq!((wrong.status, wrong.header("allow")), (405, "POST"));
    assert_eq!(wrong.json()["error"]["code"], "method_not_allowed");
    assert_eq!(server.post("/health", &json!({})).status, 405);
    assert_scored(&server.scored("a dog"), "a dog");
}

#[test]
fn too_much_is_refused_with_its_limit() {
    let server = Server::start(&["--max-body-bytes", "200000", "--max-text-bytes", "1000"]);
    let fault = |path: &str, body: &Value| {
        let answer = server.post(path, body);
        assert_eq!(answer.status, 413, "{}", answer.body);
        answer.json()["error"].clone()
    };
    let many = fault("/v1/moderations", &json!({ "input": vec!["a"; 10_000] }));
    assert_eq!(
        (&many["code"], &many["type"]),
        (&json!("too_many_texts"), &json!("invalid_request_error"))
    );
    assert_eq!(many["message"], "10000 texts in one request; at most 1000 are taken");
    let long = fault("/v1/moderations", &json!({ "input": ["a", "b".repeat(1_001)] }));
    assert_eq!(long["message"], "text 1 has 1001 bytes; at most 1000 are taken");
    let body = fault("/v1/moderations", &json!({ "input": "a".repeat(3_000_000) }));
    assert_eq!(body["code"], "body_too_large");
    assert!(body["message"].as_str().unwrap().contains("200000 bytes"));
    let google = fault("/v1alpha1/comments:analyze", &json!({ "a": "a".repeat(300_000) }));
    assert_eq!(google["status"], "INVALID_ARGUMENT");

    // Without a length told, and with a head that is too large.
    let mut stream = server.raw();
    stream
        .write_all(b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        .unwrap();
    let chunk = format!("{:x}\r\n{}\r\n", 100_000, " ".repeat(100_000));
    for _ in 0..3 {
        stream.write_all(chunk.as_bytes()).unwrap();
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    assert!(first_line(stream).contains("413"));
    let mut stream = server.raw();
    let _ = stream
        .write_all(format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(1 << 20)).as_bytes());
    assert!(first_line(stream).contains("431"));
}

fn first_line(stream: TcpStream) -> String {
    let mut line = String::new();
    let _ = BufReader::new(stream).read_line(&mut line);
    line
}

#[test]
fn slow_clients_are_told_and_left() {
    let server = Server::start(&["--read-timeout", "0.3"]);
    let mut body = server.raw();
    body.write_all(b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"te")
        .unwrap();
    let mut head = server.raw();
    head.write_all(b"POST /v1/score HTT").unwrap();
    let mut answer = String::new();
    body.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("slow_body") && answer.contains("connection: close"), "{answer}");
    let mut answer = String::new();
    let _ = head.read_to_string(&mut answer);
    assert!(!answer.contains("200"), "{answer}");
    assert_scored(&server.scored("a dog"), "a dog");
}

#[test]
fn what_takes_too_long_is_answered_with_503() {
    let server = Server::start(&["--answer-timeout", "0.001", "--max-text-bytes", "1000000"]);
    let answer = server.post("/v1/moderations", &json!({ "input": many_texts(1, 900_000) }));
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"), "{}", answer.body);
    assert_eq!(answer.json()["error"]["type"], "server_error");
    until("the queue is empty", || server.metric("dignity_queue_texts") == 0.0);
}

#[test]
fn a_full_queue_is_told_and_nothing_else_fails() {
    let server = Server::start(&["--queue-texts", "8", "--threads", "1"]);
    let refused = AtomicUsize::new(0);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let texts = many_texts(8, 100_000);
            let answer = server.post("/v1/score", &json!({ "texts": texts }));
            done.store(true, Ordering::SeqCst);
            assert_eq!(answer.status, 200, "{}", answer.body);
            let results = answer.json()["results"].as_array().unwrap().clone();
            assert_scored(&results[7], &texts[7]);
        });
        until("the queue is full", || server.metric("dignity_queue_texts") == 8.0);
        for _ in 0..4 {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    let answer = server.post("/v1/moderations", &json!({ "input": "a dog" }));
                    if answer.status == 429 {
                        refused.fetch_add(1, Ordering::SeqCst);
                        assert_eq!(answer.header("retry-after"), "1");
                        let error = answer.json()["error"].clone();
                        assert_eq!(
                            (&error["type"], &error["code"]),
                            (&json!("rate_limit_error"), &json!("queue_full"))
                        );
                    } else {
                        assert_eq!(answer.status, 200, "{}", answer.body);
                    }
                }
            });
        }
    });
    assert!(refused.load(Ordering::SeqCst) > 0);
    // What can never find room is not told to come again.
    let never = server.post("/v1/moderations", &json!({ "input": vec!["a"; 9] }));
    assert_eq!(never.status, 413);
    let counted = server.metric(r#"dignity_requests_total{api="moderations",status="429"}"#);
    assert_eq!(counted, f64::from(u32::try_from(refused.load(Ordering::SeqCst)).unwrap()));
    assert_scored(&server.scored("a dog"), "a dog");
}

#[test]
fn a_client_that_goes_gives_up_its_place() {
    let server = Server::start(&["--threads", "1", "--max-body-bytes", "20000000"]);
    let body = json!({ "texts": many_texts(60, 200_000) }).to_string();
    let mut stream = server.raw();
    let head = format!(
        "POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    until("the request is taken", || server.metric("dignity_queue_texts") == 60.0);
    stream.shutdown(Shutdown::Both).unwrap();
    drop(stream);
    let gone = || server.metric(r#"dignity_requests_total{api="score",status="499"}"#);
    until("the client is missed", || gone() == 1.0);
    until("its place is free", || server.metric("dignity_queue_texts") == 0.0);
    // Nobody counted its texts as scored: they were not computed to the end.
    assert_eq!(server.metric(r#"dignity_texts_total{api="score"}"#), 0.0);
}

#[test]
fn keys_open_the_door() {
    let files = directory(&[("keys", "first-key\n\nsecond-key\n"), ("empty", "\n")]);
    let server = Server::start_in(files, &["--api-keys-file", "keys"], &[]);
    let ask = |path: &str, header: Option<(&str, &str)>| {
        let mut request =
            server.agent.post(server.url(path)).header("Content-Type", "application/json");
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        answer(request.send(r#"{"input": "a dog"}"#).unwrap())
    };
    let path = "/v1/moderations";
    let missing = ask(path, None);
    assert_eq!(
        (missing.status, missing.header("www-authenticate")),
        (401, "Bearer realm=\"dignity\"")
    );
    assert_eq!(missing.json()["error"]["code"], "missing_api_key");
    for wrong in ["Bearer first-ke", "Bearer", "Bearer ", "Basic first-key", "first-key"] {
        assert_eq!(ask(path, Some(("Authorization", wrong))).status, 401, "{wrong}");
    }
    let code = ask(path, Some(("Authorization", "Bearer wrong"))).json()["error"]["code"].clone();
    assert_eq!(code, "invalid_api_key");
    for right in ["Bearer first-key", "bearer second-key"] {
        assert_eq!(ask(path, Some(("Authorization", right))).status, 200, "{right}");
    }
    // In the query, where others log it, only as the Perspective API has it.
    assert_eq!(ask("/v1/moderations?key=first-key", None).status, 401);
    let comments = "/v1alpha1/comments:analyze";
    assert_eq!(
        ask(&format!("{comments}?key=nope"), None).json()["error"]["status"],
        "UNAUTHENTICATED"
    );
    assert_eq!(ask(&format!("{comments}?alt=json&key=first-key"), None).status, 400);
    assert_eq!(ask(comments, Some(("X-Goog-Api-Key", "second-key"))).status, 400);
    assert_eq!(server.get("/metrics").status, 401);
    for open in ["/", "/page.js", "/health", "/ready", "/openapi.json"] {
        assert_eq!(server.get(open).status, 200, "{open}");
    }
    for key in ["first-key", "second-key"] {
        assert!(!server.log().contains(key));
    }
    let refused = serve(&server.directory, &["--api-keys-file", "empty"], &[]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let empty = [("DIGNITY_API_KEYS", "")];
    let refused = serve(&server.directory, &[], &empty).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let environment = Server::start_in(directory(&[]), &[], &[("DIGNITY_API_KEYS", "a,b")]);
    assert_eq!(environment.post("/v1/score", &json!({ "texts": "a" })).status, 401);
}

#[test]
fn flags_count_before_the_environment_and_that_before_the_file() {
    let files = || directory(&[("c.toml", "max_texts = 1\nmodel = \"nowhere\"\n")]);
    let most = |arguments: &[&str], environment: &[(&str, &str)]| {
        let arguments = [&["--config", "c.toml"], arguments].concat();
        let server = Server::start_in(files(), &arguments, environment);
        let answer = server.post("/v1/score", &json!({ "texts": vec!["a"; 9] }));
        answer.json()["error"]["message"].as_str().unwrap().to_owned()
    };
    assert!(most(&[], &[]).contains("at most 1 are"));
    assert!(most(&[], &[("DIGNITY_MAX_TEXTS", "2")]).contains("at most 2 are"));
    let both = most(&["--max-texts", "3"], &[("DIGNITY_MAX_TEXTS", "2")]);
    assert!(both.contains("at most 3 are"), "{both}");
    for (config, told) in [
        ("max_text = 1", "unknown field"),
        ("port = 70000", "port"),
        ("engine = \"x\"", "engine"),
        ("read_timeout = -1.0", "read_timeout"),
    ] {
        let files = directory(&[("c.toml", config)]);
        let output = serve(&files, &["--config", "c.toml"], &[]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{config}");
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(errors.contains(told), "{errors}");
    }
}

#[cfg(unix)]
#[test]
fn policies_are_read_again_on_request_and_bad_ones_are_not_taken() {
    let files = directory(&[("mine.toml", &policy("mine", 1.0))]);
    let server = Server::start_in(files, &["--policy", "mine.toml", "--log-json"], &[]);
    let verdict = || server.scored("a dog")["verdict"].clone();
    assert_eq!(verdict(), "review");
    fs::write(server.path("mine.toml"), policy("mine", 0.0)).unwrap();
    assert_eq!(verdict(), "review");
    server.signal("-HUP");
    until("the policy is read", || verdict() == "flag");
    fs::write(server.path("mine.toml"), policy("mine", 7.0)).unwrap();
    server.signal("-HUP");
    until("the fault is told", || server.log().contains("policies stay as they were"));
    assert_eq!(verdict(), "flag");
    assert!(server.log().lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
    assert_eq!(server.metric(r#"dignity_policy_reloads_total{outcome="success"}"#), 1.0);
    assert_eq!(server.metric(r#"dignity_policy_reloads_total{outcome="failure"}"#), 1.0);
}

/// What the server answers to a request for its health over TLS.
fn secure_health(server: &Server, certificate: &str) -> String {
    use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()).unwrap();
    let provider = rustls::crypto::ring::default_provider();
    let config = rustls::ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let connection = rustls::ClientConnection::new(config.into(), name).unwrap();
    let mut stream = rustls::StreamOwned::new(connection, server.raw());
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[cfg(unix)]
#[test]
fn a_certificate_makes_it_https() {
    let certificate = include_str!("fixtures/tls/certificate.pem");
    let key = include_str!("fixtures/tls/key.pem");
    let files = || directory(&[("certificate.pem", certificate), ("key.pem", key)]);
    let arguments = ["--tls-cert", "certificate.pem", "--tls-key", "key.pem"];
    let server = Server::start_in(files(), &arguments, &[]);
    assert!(server.url.starts_with("https://"));
    assert!(secure_health(&server, certificate).starts_with("HTTP/1.1 200"));
    // In the clear it says nothing.
    let mut clear = server.raw();
    clear.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = clear.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"));
    // Files that do not do leave it as it was.
    fs::write(server.path("key.pem"), "no key").unwrap();
    server.signal("-HUP");
    until("the fault is told", || server.log().contains("certificate stays as it was"));
    assert!(secure_health(&server, certificate).starts_with("HTTP/1.1 200"));
    for wrong in
        [&arguments[..2], &["--tls-cert", "certificate.pem", "--tls-key", "certificate.pem"]]
    {
        let output = serve(&files(), wrong, &[]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
    }
}

#[cfg(unix)]
#[test]
fn an_orderly_end_answers_what_was_taken() {
    let mut server = Server::start(&["--threads", "1", "--audit", "audit.jsonl"]);
    let texts = many_texts(8, 100_000);
    let body = json!({ "texts": texts });
    let (address, answer) = thread::scope(|scope| {
        let taken = scope.spawn(|| server.post("/v1/score", &body));
        until("the request is taken", || server.metric("dignity_queue_texts") == 8.0);
        server.signal("-TERM");
        until("nobody new is let in", || TcpStream::connect(&server.address).is_err());
        (server.address.clone(), taken.join().unwrap())
    });
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_scored(&answer.json()["results"][7], &texts[7]);
    assert!(server.wait().success());
    assert!(TcpStream::connect(address).is_err());
    let records = fs::read_to_string(server.path("audit.jsonl")).unwrap();
    assert_eq!(records.lines().count(), 8);
}

#[test]
fn audit_records_and_logs_hold_no_text() {
    let server =
        Server::start(&["--audit", "audit.jsonl", "--log-level", "debug", "--policy", "strict"]);
    let text = "Zanzibar zebras zigzag";
    assert_eq!(server.post("/v1/moderations", &json!({ "input": [text, ""] })).status, 200);
    server.scored(text);
    let analyze =
        json!({ "comment": { "text": text }, "requestedAttributes": { "DEHUMANIZATION": {} } });
    assert_eq!(server.post("/v1alpha1/comments:analyze?q=Zanzibar", &analyze).status, 200);
    server.post("/v1/score", &json!({ "texts": text, "explain": true }));
    server.post("/v1/score", &json!({ "texts": text, "Zanzibar": text }));
    server.post("/predict", &json!({ "inputs": { "text": text } }));
    server.post_bytes("/v1/score", format!("{{\"texts\": {text}").as_bytes());
    server.get("/Zanzibar");
    let records = || fs::read_to_string(server.path("audit.jsonl")).unwrap();
    until("all records are written", || records().lines().count() == 5);
    let rows: Vec<Value> =
        records().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let digest = dignity::Digest::of(text.as_bytes()).to_string();
    for row in [&rows[0], &rows[2], &rows[3], &rows[4]] {
        assert_eq!(row["input"], digest);
    }
    assert_eq!(rows[1]["scores"]["error"], "the text is empty");
    assert_eq!(rows[0]["model"]["digest"], LIBRARY.model_digest().to_string());
    assert!(rows[0]["tokenizer"].as_str().unwrap().starts_with("sha256:"));
    let strict = LIBRARY.policy_named("strict").unwrap();
    assert_eq!(rows[0]["policy"]["digest"], strict.digest().to_string());
    assert_eq!(rows[0]["verdict"], strict.verdict(&library(text)).decision.name());
    assert_eq!(rows[0]["api"], "moderations");
    assert_eq!(rows[0]["request"], rows[1]["request"]);
    assert!(rows[0]["time"].as_str().unwrap().starts_with("20"));
    for file in [records(), server.log()] {
        for word in text.split(' ') {
            assert!(!file.to_lowercase().contains(&word.to_lowercase()), "{word} in {file}");
        }
    }
    assert!(server.log().contains("/v1alpha1/comments:analyze"));
}

#[test]
fn metrics_count_what_was_done() {
    let server = Server::start(&[]);
    for _ in 0..3 {
        server.post("/v1/score", &json!({ "texts": ["a dog", "a cat", ""] }));
    }
    server.post("/predict", &json!({ "inputs": 1 }));
    let metrics = server.get("/metrics");
    assert!(metrics.header("content-type").starts_with("application/openmetrics-text"));
    assert!(metrics.body.ends_with("# EOF\n"));
    for (name, wanted) in [
        (r#"dignity_requests_total{api="score",status="200"}"#, 3.0),
        (r#"dignity_requests_total{api="predict",status="422"}"#, 1.0),
        (r#"dignity_request_duration_seconds_count{api="score"}"#, 3.0),
        (r#"dignity_texts_total{api="score"}"#, 9.0),
        ("dignity_windows_total", 6.0),
        ("dignity_queue_texts", 0.0),
    ] {
        assert_eq!(server.metric(name), wanted, "{name}");
    }
    let verdicts = metrics.body.lines().filter(|line| line.starts_with("dignity_verdicts_total"));
    let sum: u32 =
        verdicts.map(|line| line.rsplit(' ').next().unwrap().parse::<u32>().unwrap()).sum();
    assert_eq!(sum, 9);
    assert!(metrics.body.contains("model=\"tiny-bert\""));
}

#[test]
fn the_page_is_its_own_and_may_ask_nobody_else() {
    let server = Server::start(&[]);
    assert!(server.address.starts_with("127.0.0.1:"));
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/page.css", "text/css; charset=utf-8"),
        ("/page.js", "text/javascript; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
    ] {
        let file = server.get(path);
        assert_eq!((file.status, file.header("content-type")), (200, kind));
        let policy = file.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none';") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert_eq!(file.header("x-content-type-options"), "nosniff");
        assert_eq!(file.header("referrer-policy"), "no-referrer");
        let elsewhere = file.body.replace("http://www.w3.org/2000/svg", "");
        assert!(!elsewhere.contains("http://") && !elsewhere.contains("https://"), "{path}");
    }
}

#[test]
fn the_description_names_the_paths_that_there_are() {
    let server = Server::start(&[]);
    let description = server.get("/openapi.json").json();
    assert!(description["openapi"].as_str().unwrap().starts_with("3."));
    let paths = description["paths"].as_object().unwrap();
    let mut names: Vec<_> = paths.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "/health",
            "/metrics",
            "/predict",
            "/ready",
            "/v1/moderations",
            "/v1/policies",
            "/v1/score",
            "/v1alpha1/comments:analyze",
        ]
    );
    for (path, methods) in paths {
        for operation in methods.as_object().unwrap().values() {
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.values().all(|response| response["description"].is_string()));
        }
        let status = match methods.as_object().unwrap().keys().next().unwrap().as_str() {
            "get" => server.get(path).status,
            _ => server.post(path, &json!({})).status,
        };
        assert!([200, 400, 422].contains(&status), "{path}: {status}");
    }
    assert_eq!(server.get("/health").json()["status"], "ok");
    assert_eq!(server.get("/ready").json()["status"], "ready");
}

#[test]
fn a_port_that_is_taken_is_told() {
    let server = Server::start(&[]);
    let port = server.address.rsplit(':').next().unwrap();
    let files = directory(&[]);
    let output = serve(&files, &["--port", port], &[]).output();
    let errors = String::from_utf8(output.unwrap().stderr).unwrap();
    assert!(
        errors.contains("cannot listen on 127.0.0.1") || errors.contains("multiple times"),
        "{errors}"
    );
}

#[test]
fn a_model_of_another_maker_answers_by_its_labels_and_their_roles() {
    let roles = "[roles]\ninsult = 'dehumanization'\nidentity_hate = 'hate'\n";
    let files = [("roles.toml", roles), ("mine.toml", &policy("mine", 0.0))];
    let arguments = ["--model", FOREIGN, "--roles", "roles.toml", "--policy", "mine.toml"];
    let server = Server::start_in(directory(&files), &arguments, &[]);

    let scored = server.scored("The dog is good.");
    let labels = &scored["labels"];
    assert_eq!(labels.as_object().unwrap().len(), 3);
    assert_eq!(scored["dehumanization"], labels["insult"]);
    assert_eq!((&scored["verdict"], &scored["because"]), (&json!("flag"), &json!([])));
    let predicted = server.post("/predict", &json!({ "inputs": "The dog is good." })).json();
    let names: Vec<_> = predicted.as_array().unwrap().iter().map(|p| &p["label"]).collect();
    assert!(names.len() == 3 && names.contains(&&json!("neutral")), "{names:?}");
    let moderated = server.post("/v1/moderations", &json!({ "input": "The dog is good." })).json();
    assert_eq!(moderated["model"], "bert");
    let categories = moderated["results"][0]["categories"].as_object().unwrap();
    assert!(categories.keys().eq(["dehumanization", "hate"]), "{categories:?}");
    let attribute = |name: &str| {
        let request =
            json!({ "comment": { "text": "A dog." }, "requestedAttributes": { name: {} } });
        server.post("/v1alpha1/comments:analyze", &request).status
    };
    assert_eq!((attribute("IDENTITY_ATTACK"), attribute("DEHUMANIZATION_AGE")), (200, 400));
    drop(server);

    for (arguments, fault) in [
        (&["--model", FOREIGN][..], "no label for dehumanization"),
        (&["--model", FOREIGN, "--roles", "roles.toml"], "no policy"),
    ] {
        let failed = serve(&directory(&files), arguments, &[]).output().unwrap();
        let told = String::from_utf8(failed.stderr).unwrap();
        assert!(!failed.status.success() && told.contains(fault), "{told}");
    }
}
