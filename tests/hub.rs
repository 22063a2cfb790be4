//! Models of the hub, against a server on this machine that speaks the hub's protocol.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by panicking")]

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Output,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use assert_cmd::Command;
use dignity::{
    Classifier, Digest, DownloadProgress, Error, HubError, HubModel, HubOptions, HubSnapshot,
    ModelError, Scores,
};
use tempfile::TempDir;

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny-bert");
const MODEL: &str = "tester/tiny";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const OTHER_COMMIT: &str = "76543210fedcba9876543210fedcba9876543210";
const TEXTS: [&str; 3] = ["The old mill reopens on Sunday.", "", "They sang together."];
/// How often a request is made at most.
const ATTEMPTS: usize = 4;

/// A request as the server saw it.
#[derive(Clone, Debug)]
struct Request {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
}

impl Request {
    fn is(&self, method: &str, path: &str) -> bool {
        self.method == method && self.path == path
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// An answer; `cut` ends it after so many bytes of the body.
#[derive(Clone, Debug, Default)]
struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    cut: Option<usize>,
}

impl Answer {
    fn error(status: u16, code: &str) -> Self {
        Self { status, headers: vec![("X-Error-Code", code.to_owned())], ..Self::default() }
    }

    fn set(&mut self, name: &'static str, value: impl ToString) {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value.to_string()));
    }
}

type Files = BTreeMap<String, Vec<u8>>;
/// Changes what the server would answer.
type Fault = Box<dyn Fn(&Request, &mut Answer) + Send>;

struct State {
    files: Files,
    commit: String,
    fault: Fault,
    log: Vec<Request>,
    /// Where large files lie; the server itself if none.
    cdn: Option<String>,
}

/// A hub with one model.
struct Hub {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Hub {
    fn new(files: Files) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            files,
            commit: COMMIT.to_owned(),
            fault: Box::new(|_, _| ()),
            log: Vec::new(),
            cdn: None,
        }));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                thread::spawn(move || answer(&connection, &state));
            }
        });
        Self { address, state }
    }

    /// The tiny model, with a fault.
    fn tiny(fault: impl Fn(&Request, &mut Answer) + Send + 'static) -> Self {
        let hub = Self::new(tiny_files());
        hub.set_fault(fault);
        hub
    }

    fn set_fault(&self, fault: impl Fn(&Request, &mut Answer) + Send + 'static) {
        self.state.lock().unwrap().fault = Box::new(fault);
    }

    fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    fn options(&self, cache: &TempDir) -> HubOptions {
        HubOptions::new(cache.path())
            .endpoint(self.endpoint())
            .retry_delay(Duration::from_millis(1))
    }

    fn fetch(&self, cache: &TempDir) -> Result<HubSnapshot, HubError> {
        fetch(MODEL, &self.options(cache))
    }

    /// The requests since this was last asked.
    fn take_log(&self) -> Vec<Request> {
        std::mem::take(&mut self.state.lock().unwrap().log)
    }
}

fn answer(mut connection: &TcpStream, state: &Mutex<State>) -> Option<()> {
    let mut lines = BufReader::new(connection).lines().map_while(Result::ok);
    let first = lines.next()?;
    let (method, rest) = first.split_once(' ')?;
    let headers = lines.take_while(|line| !line.is_empty()).filter_map(|line| {
        let (name, value) = line.split_once(": ")?;
        Some((name.to_ascii_lowercase(), value.to_owned()))
    });
    let request = Request {
        method: method.to_owned(),
        path: rest.split(' ').next()?.to_owned(),
        headers: headers.collect(),
    };
    let answer = {
        let mut state = state.lock().unwrap();
        let mut answer = route(&request, &state);
        (state.fault)(&request, &mut answer);
        state.log.push(request.clone());
        answer
    };
    let mut head = format!("HTTP/1.1 {} Status\r\nConnection: close\r\n", answer.status);
    if !answer.headers.iter().any(|(name, _)| *name == "Transfer-Encoding") {
        write!(head, "Content-Length: {}\r\n", answer.body.len()).unwrap();
    }
    for (name, value) in &answer.headers {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    head.push_str("\r\n");
    connection.write_all(head.as_bytes()).ok()?;
    if request.method != "HEAD" {
        let end = answer.cut.unwrap_or(answer.body.len()).min(answer.body.len());
        connection.write_all(&answer.body[..end]).ok()?;
    }
    Some(())
}

/// What a hub without faults answers.
fn route(request: &Request, state: &State) -> Answer {
    let path = request.path.trim_start_matches('/');
    if let Some(file) = path.strip_prefix("cdn/") {
        return content(request, &state.files[file]);
    }
    let known = |revision: &str| ["main", "refs%2Fpr%2F1", &state.commit].contains(&revision);
    if let Some(repository) = path.strip_prefix("api/models/") {
        let Some(revision) = repository.strip_prefix("tester/tiny/revision/") else {
            return Answer::error(404, "RepoNotFound");
        };
        if !known(revision) {
            return Answer::error(404, "RevisionNotFound");
        }
        let siblings: Vec<_> =
            state.files.keys().map(|file| serde_json::json!({ "rfilename": file })).collect();
        let info = serde_json::json!({ "sha": state.commit, "siblings": siblings });
        return Answer { status: 200, body: info.to_string().into(), ..Answer::default() };
    }
    let resolved = path.strip_prefix("tester/tiny/resolve/").and_then(|rest| rest.split_once('/'));
    let Some((revision, file)) = resolved else { return Answer::error(404, "RepoNotFound") };
    if !known(revision) {
        return Answer::error(404, "RevisionNotFound");
    }
    let Some(bytes) = state.files.get(file) else { return Answer::error(404, "EntryNotFound") };
    let mut answer;
    if file.ends_with(".safetensors") || file.ends_with(".bin") {
        answer = Answer { status: 302, ..Answer::default() };
        let cdn = state.cdn.clone().unwrap_or_default();
        answer.set("Location", format!("{cdn}/cdn/{file}"));
        answer.set("X-Linked-Size", bytes.len());
        answer.set("X-Linked-ETag", format!("\"{}\"", sha256(bytes)));
    } else {
        answer = content(request, bytes);
        answer.set("ETag", format!("W/\"{}\"", etag(bytes)));
    }
    answer.set("X-Repo-Commit", &state.commit);
    answer
}

fn content(request: &Request, bytes: &[u8]) -> Answer {
    let range = request.header("range");
    let from = range.map(|range| {
        range.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse().unwrap()
    });
    match from {
        None => Answer { status: 200, body: bytes.to_vec(), ..Answer::default() },
        Some(from) if from < bytes.len() => {
            let (last, total) = (bytes.len() - 1, bytes.len());
            let range = format!("bytes {from}-{last}/{total}");
            let headers = vec![("Content-Range", range)];
            Answer { status: 206, headers, body: bytes[from..].to_vec(), cut: None }
        }
        Some(_) => {
            let headers = vec![("Content-Range", format!("bytes */{}", bytes.len()))];
            Answer { status: 416, headers, ..Answer::default() }
        }
    }
}

fn sha256(bytes: &[u8]) -> String {
    Digest::of(bytes).to_string().strip_prefix("sha256:").unwrap().to_owned()
}

/// Small files have git's name, of 40 digits; any will do.
fn etag(bytes: &[u8]) -> String {
    sha256(bytes)[..40].to_owned()
}

fn tiny_files() -> Files {
    let names = [
        "config.json",
        "dignity.json",
        "model.safetensors",
        "policies/balanced.toml",
        "policies/strict.toml",
        "tokenizer.json",
    ];
    let mut files: Files = names
        .into_iter()
        .map(|name| (name.to_owned(), fs::read(Path::new(TINY).join(name)).unwrap()))
        .collect();
    files.insert("README.md".to_owned(), b"Not part of what is loaded.".to_vec());
    files
}

/// The tiny model's files but for the weights, and these.
fn files_with(weights: &[(&str, &[u8])]) -> Files {
    let mut files = tiny_files();
    files.remove("model.safetensors");
    files.extend(weights.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())));
    files
}

fn fetch(model: &str, options: &HubOptions) -> Result<HubSnapshot, HubError> {
    model.parse::<HubModel>().unwrap().fetch(options, &mut ())
}

fn cache() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn folder(cache: &TempDir) -> PathBuf {
    cache.path().join("models--tester--tiny")
}

/// The names in `blobs`, sorted.
fn blobs(cache: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(folder(cache).join("blobs")).into_iter().flatten();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn weights() -> Vec<u8> {
    tiny_files().remove("model.safetensors").unwrap()
}

fn assert_whole(snapshot: &HubSnapshot) {
    for (name, bytes) in tiny_files() {
        let path = snapshot.directory().join(&name);
        if name == "README.md" {
            assert!(!path.exists(), "{name} is not needed");
        } else {
            assert!(fs::read(path).unwrap() == bytes, "{name} is not what the hub has");
        }
    }
}

fn score(classifier: &Classifier) -> Vec<Scores> {
    classifier.score(&TEXTS).unwrap()
}

/// Every number, by its bits.
fn bits(scores: &[Scores]) -> Vec<u32> {
    scores.iter().map(|scores| scores.dehumanization().to_bits()).collect()
}

fn is_content(request: &Request) -> bool {
    !request.path.starts_with("/api/")
}

/// An address at which nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn a_model_is_fetched_once_and_scores_as_from_a_directory() {
    let (hub, cache) = (Hub::tiny(|_, _| ()), cache());
    let build = || {
        let builder = Classifier::builder().hub(hub.options(&cache));
        builder.model("hub:tester/tiny").threads(1).build().unwrap()
    };
    let fetched = build();
    let local = Classifier::builder().model(TINY).threads(1).build().unwrap();
    assert_eq!(fetched.model_digest(), local.model_digest());
    assert_eq!(fetched.policies().count(), 2);
    let (fetched, local) = (score(&fetched), score(&local));
    assert_eq!(bits(&fetched), bits(&local));
    assert_eq!(format!("{fetched:?}"), format!("{local:?}"));
    assert_eq!(hub.take_log().iter().filter(|r| r.is("GET", "/cdn/model.safetensors")).count(), 1);

    assert_eq!(bits(&score(&build())), bits(&local));
    let log = hub.take_log();
    assert_eq!(log.len(), 1, "{log:?}");
    assert!(log[0].is("GET", "/api/models/tester/tiny/revision/main"), "{log:?}");
}

#[test]
fn the_cache_is_laid_out_as_other_tools_do() {
    let (hub, cache) = (Hub::tiny(|_, _| ()), cache());
    let snapshot = hub.fetch(&cache).unwrap();
    assert_whole(&snapshot);
    assert_eq!((snapshot.commit(), snapshot.unreachable()), (COMMIT, None));
    let folder = folder(&cache);
    assert_eq!(snapshot.directory(), folder.join("snapshots").join(COMMIT));
    assert_eq!(fs::read_to_string(folder.join("refs/main")).unwrap(), COMMIT);
    let mut expected: Vec<_> = tiny_files()
        .iter()
        .filter(|(name, _)| *name != "README.md")
        .map(
            |(name, bytes)| {
                if name.ends_with(".safetensors") { sha256(bytes) } else { etag(bytes) }
            },
        )
        .collect();
    expected.sort();
    assert_eq!(blobs(&cache), expected);
    #[cfg(unix)]
    {
        let link = |file: &str| fs::read_link(snapshot.directory().join(file)).unwrap();
        let weights = format!("../../blobs/{}", sha256(&weights()));
        assert_eq!(link("model.safetensors"), PathBuf::from(weights));
        let policy = etag(&tiny_files()["policies/strict.toml"]);
        assert_eq!(link("policies/strict.toml"), PathBuf::from(format!("../../../blobs/{policy}")));
    }
}

#[test]
fn what_another_tool_cached_is_found() {
    let cache = cache();
    let folder = folder(&cache);
    for (name, bytes) in tiny_files() {
        let path = folder.join("snapshots").join(COMMIT).join(&name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    fs::create_dir_all(folder.join("refs")).unwrap();
    fs::write(folder.join("refs/main"), COMMIT).unwrap();
    let offline = HubOptions::new(cache.path()).endpoint(nobody()).offline(true);
    for model in [MODEL.to_owned(), format!("{MODEL}@{COMMIT}")] {
        let snapshot = fetch(&model, &offline).unwrap();
        assert_eq!(snapshot.directory(), folder.join("snapshots").join(COMMIT));
    }
    // With a hub, its files are taken as they are, without asking for their content.
    let hub = Hub::tiny(|_, _| ());
    hub.fetch(&cache).unwrap();
    let log = hub.take_log();
    assert_eq!(log.len(), 1, "{log:?}");
}

#[test]
fn offline_is_without_any_connection() {
    let (hub, cache) = (Hub::tiny(|_, _| ()), cache());
    let offline = hub.options(&cache).offline(true);
    let error = fetch(MODEL, &offline).unwrap_err();
    assert!(matches!(error, HubError::Offline { .. }), "{error}");
    assert!(error.to_string().contains("HF_HUB_OFFLINE"), "{error}");
    assert!(hub.take_log().is_empty());

    hub.fetch(&cache).unwrap();
    hub.take_log();
    let classifier =
        Classifier::builder().hub(offline.clone()).model("hub:tester/tiny").build().unwrap();
    assert_eq!(score(&classifier).len(), TEXTS.len());
    fs::remove_file(folder(&cache).join("snapshots").join(COMMIT).join("tokenizer.json")).unwrap();
    let error = fetch(MODEL, &offline).unwrap_err();
    assert!(
        matches!(&error, HubError::Offline { file, .. } if file == "tokenizer.json"),
        "{error}"
    );
    assert!(hub.take_log().is_empty());
}

#[test]
fn a_fetched_commit_needs_no_server() {
    let (hub, cache) = (Hub::tiny(|_, _| ()), cache());
    let pinned = format!("{MODEL}@{COMMIT}");
    fetch(&pinned, &hub.options(&cache)).unwrap();
    assert!(!folder(&cache).join("refs").exists(), "a commit needs no name");
    hub.take_log();
    let snapshot = fetch(&pinned, &hub.options(&cache)).unwrap();
    assert!(hub.take_log().is_empty());
    assert_whole(&snapshot);
    assert_eq!(snapshot.unreachable(), None);
    // A file that was deleted is noticed.
    fs::remove_file(folder(&cache).join("blobs").join(sha256(&weights()))).unwrap();
    assert_whole(&fetch(&pinned, &hub.options(&cache)).unwrap());
    let log = hub.take_log();
    assert!(log.iter().any(|r| r.is("GET", "/cdn/model.safetensors")), "{log:?}");
    assert!(!log.iter().any(|r| r.path.ends_with("config.json")), "{log:?}");
}

#[test]
fn an_unreachable_hub_is_told_and_the_cache_used() {
    let (hub, cache) = (Hub::tiny(|_, _| ()), cache());
    let unreachable = hub.options(&cache).endpoint(nobody());
    let error = fetch(MODEL, &unreachable).unwrap_err();
    assert!(matches!(error, HubError::Connection { .. }), "{error}");
    hub.fetch(&cache).unwrap();
    let snapshot = fetch(MODEL, &unreachable).unwrap();
    assert_eq!(snapshot.commit(), COMMIT);
    assert!(snapshot.unreachable().unwrap().contains("cannot be reached"));
    for status in [429, 503] {
        hub.set_fault(move |_, answer| *answer = Answer::error(status, ""));
        let reason = hub.fetch(&cache).unwrap().unreachable().unwrap().to_owned();
        assert!(reason.contains(&status.to_string()), "{reason}");
    }
    // A refusal is no lack of a network.
    hub.set_fault(|_, answer| *answer = Answer::error(403, "GatedRepo"));
    assert!(matches!(hub.fetch(&cache), Err(HubError::Gated { .. })));
}

#[test]
fn what_moved_is_fetched_anew_and_what_did_not_is_shared() {
    let (hub, cache) = (Hub::tiny(|_, _| ()), cache());
    hub.fetch(&cache).unwrap();
    hub.take_log();
    {
        let mut state = hub.state.lock().unwrap();
        state.commit = OTHER_COMMIT.to_owned();
        state.files.get_mut("policies/strict.toml").unwrap().push(b'\n');
    }
    let snapshot = hub.fetch(&cache).unwrap();
    assert_eq!(snapshot.commit(), OTHER_COMMIT);
    assert!(fs::read(snapshot.directory().join("model.safetensors")).unwrap() == weights());
    let log = hub.take_log();
    let contents: Vec<_> = log.iter().filter(|r| is_content(r) && r.method == "GET").collect();
    assert_eq!(contents.len(), 1, "{contents:?}");
    assert!(contents[0].path.ends_with("policies/strict.toml"), "{contents:?}");
    assert_eq!(fs::read_to_string(folder(&cache).join("refs/main")).unwrap(), OTHER_COMMIT);
}

#[test]
fn an_update_that_fails_leaves_the_revision_as_it_was() {
    let (hub, cache) = (Hub::tiny(|_, _| ()), cache());
    hub.fetch(&cache).unwrap();
    {
        let mut state = hub.state.lock().unwrap();
        state.commit = OTHER_COMMIT.to_owned();
        state.files.get_mut("model.safetensors").unwrap().push(0);
    }
    hub.set_fault(|request, answer| {
        if request.path.starts_with("/cdn/") {
            *answer = Answer::error(503, "");
        }
    });
    assert!(matches!(hub.fetch(&cache), Err(HubError::Server { status: 503, .. })));
    let offline = fetch(MODEL, &hub.options(&cache).offline(true)).unwrap();
    assert_eq!(offline.commit(), COMMIT);
    assert_whole(&offline);
}

#[test]
fn revisions_are_asked_for_by_name() {
    let (hub, cache) = (Hub::tiny(|_, _| ()), cache());
    let snapshot = fetch("tester/tiny@refs/pr/1", &hub.options(&cache)).unwrap();
    assert_eq!(snapshot.commit(), COMMIT);
    assert_eq!(fs::read_to_string(folder(&cache).join("refs/refs/pr/1")).unwrap(), COMMIT);
    assert!(hub.take_log()[0].is("GET", "/api/models/tester/tiny/revision/refs%2Fpr%2F1"));
}

#[test]
fn what_the_hub_lacks_is_told_apart() {
    let (hub, cache) = (Hub::tiny(|_, _| ()), cache());
    let options = hub.options(&cache);
    let error = fetch("tester/other", &options).unwrap_err();
    assert!(matches!(error, HubError::NoRepository { .. }), "{error}");
    assert!(error.to_string().contains("tester/other"), "{error}");
    let error = fetch("tester/tiny@v9", &options).unwrap_err();
    assert!(matches!(error, HubError::NoRevision { .. }), "{error}");
    assert!(error.to_string().contains("\"v9\""), "{error}");
    hub.take_log();
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        hub.state.lock().unwrap().files = tiny_files();
        hub.state.lock().unwrap().files.remove(file);
        let error = hub.fetch(&cache).unwrap_err();
        assert!(matches!(&error, HubError::NoFile { file: f, .. } if f == file), "{error}");
    }
    assert!(!hub.take_log().iter().any(is_content), "nothing is fetched of half a model");
    // A file that was listed and then is not there.
    let hub = Hub::tiny(|request, answer| {
        if request.path.ends_with("/tokenizer.json") {
            *answer = Answer::error(404, "EntryNotFound");
        }
    });
    let error = hub.fetch(&cache).unwrap_err();
    assert!(matches!(&error, HubError::NoFile { file, .. } if file == "tokenizer.json"), "{error}");
    assert!(!folder(&cache).join("refs").exists());
}

#[test]
fn refusals_say_what_to_do() {
    let cache = cache();
    type Expected = fn(&HubError) -> bool;
    let cases: [(u16, &str, Expected, &str); 7] = [
        (401, "", |e| matches!(e, HubError::Unauthorized { .. }), "HF_TOKEN"),
        (401, "RepoNotFound", |e| matches!(e, HubError::NoRepository { .. }), "HF_TOKEN"),
        (401, "GatedRepo", |e| matches!(e, HubError::Gated { .. }), "accept its licence"),
        (403, "GatedRepo", |e| matches!(e, HubError::Gated { .. }), "accept its licence"),
        (403, "", |e| matches!(e, HubError::Forbidden { .. }), "HF_TOKEN"),
        (429, "", |e| matches!(e, HubError::TooManyRequests), "wait"),
        (418, "", |e| matches!(e, HubError::Status { status: 418, .. }), "418"),
    ];
    for at_file in [false, true] {
        for (status, code, expected, advice) in cases {
            let hub = Hub::tiny(move |request, answer| {
                if is_content(request) == at_file {
                    *answer = Answer::error(status, code);
                }
            });
            let error = hub.fetch(&cache).unwrap_err();
            assert!(expected(&error), "{status} {code}: {error}");
            assert!(error.to_string().contains(advice), "{error}");
            let failed = hub.take_log().iter().filter(|r| is_content(r) == at_file).count();
            assert_eq!(failed, 1, "a refusal is not asked for again");
        }
    }
    assert!(blobs(&cache).is_empty());
}

#[test]
fn a_server_that_fails_is_asked_again_and_not_for_ever() {
    let (hub, cache) = (Hub::tiny(|_, _| ()), cache());
    let times = Mutex::new(0);
    hub.set_fault(move |_, answer| {
        let mut times = times.lock().unwrap();
        *times += 1;
        if *times < ATTEMPTS {
            *answer = Answer::error(500 + u16::try_from(*times).unwrap(), "");
        }
    });
    assert_whole(&hub.fetch(&cache).unwrap());

    let hub = Hub::tiny(|_, answer| *answer = Answer::error(502, ""));
    let error = hub.fetch(&self::cache()).unwrap_err();
    assert!(matches!(error, HubError::Server { status: 502, .. }), "{error}");
    assert_eq!(hub.take_log().len(), ATTEMPTS);
}

/// Cuts the weights after `bytes` of every answer.
fn cut_weights(bytes: usize) -> impl Fn(&Request, &mut Answer) + Send {
    move |request, answer| {
        if request.path == "/cdn/model.safetensors" {
            answer.cut = Some(bytes);
        }
    }
}

fn ranges(log: &[Request]) -> Vec<Option<String>> {
    let weights = log.iter().filter(|r| r.is("GET", "/cdn/model.safetensors"));
    weights.map(|request| request.header("range").map(str::to_owned)).collect()
}

#[test]
fn a_cut_download_goes_on_where_it_was() {
    let (hub, cache) = (Hub::tiny(cut_weights(50_000)), cache());
    assert_whole(&hub.fetch(&cache).unwrap());
    let range = |from| Some(format!("bytes={from}-"));
    assert_eq!(ranges(&hub.take_log()), [None, range(50_000), range(100_000)]);
    assert!(!blobs(&cache).iter().any(|name| name.contains("incomplete")));
}

#[test]
fn a_download_that_is_always_cut_fails_and_a_later_run_goes_on() {
    let (hub, cache) = (Hub::tiny(cut_weights(1_000)), cache());
    let error = hub.fetch(&cache).unwrap_err();
    let size = weights().len() as u64;
    assert!(
        matches!(&error, HubError::Cut { file, received: 4_000, size: s, .. }
            if file == "model.safetensors" && *s == size),
        "{error}"
    );
    assert_eq!(ranges(&hub.take_log()).len(), ATTEMPTS);
    let incomplete = format!("{}.incomplete", sha256(&weights()));
    let partial = fs::read(folder(&cache).join("blobs").join(&incomplete)).unwrap();
    assert!(partial == weights()[..4_000]);
    assert!(!folder(&cache).join("refs").exists(), "the model is not whole");

    hub.set_fault(|_, _| ());
    assert_whole(&hub.fetch(&cache).unwrap());
    assert_eq!(ranges(&hub.take_log()), [Some("bytes=4000-".to_owned())]);
    assert!(!blobs(&cache).contains(&incomplete));
}

#[test]
fn a_server_without_ranges_begins_again() {
    let cut = Mutex::new(false);
    let hub = Hub::tiny(move |request, answer| {
        if request.path == "/cdn/model.safetensors" {
            *answer = Answer { status: 200, body: weights(), ..Answer::default() };
            let mut cut = cut.lock().unwrap();
            if !*cut {
                *cut = true;
                answer.cut = Some(70_000);
            }
        }
    });
    let cache = cache();
    assert_whole(&hub.fetch(&cache).unwrap());
    assert_eq!(ranges(&hub.take_log()), [None, Some("bytes=70000-".to_owned())]);
}

#[test]
fn a_file_of_another_size_is_refused() {
    let size = weights().len() as u64;
    let longer = |request: &Request, answer: &mut Answer| {
        if request.path == "/cdn/model.safetensors" {
            answer.body.extend([0; 10]);
        }
    };
    let shorter = |request: &Request, answer: &mut Answer| {
        if request.path == "/cdn/model.safetensors" {
            answer.body.truncate(1_000);
        }
    };
    for (hub, found) in [(Hub::tiny(longer), size + 10), (Hub::tiny(shorter), 1_000)] {
        let cache = cache();
        let error = hub.fetch(&cache).unwrap_err();
        assert!(
            matches!(&error, HubError::Size { file, expected, found: f }
                if file == "model.safetensors" && *expected == size && *f == found),
            "{error}"
        );
        let message = error.to_string();
        assert!(message.contains(&size.to_string()) && message.contains(&found.to_string()));
        let name = sha256(&weights());
        assert!(!blobs(&cache).iter().any(|blob| blob.starts_with(&name)), "it was kept");
        hub.set_fault(|_, _| ());
        assert_whole(&hub.fetch(&cache).unwrap());
    }
}

#[test]
fn more_bytes_than_told_are_refused_where_no_length_is_told() {
    let hub = Hub::tiny(|request, answer| {
        if request.path == "/cdn/model.safetensors" {
            let mut chunks = format!("{:x}\r\n", answer.body.len() + 1).into_bytes();
            chunks.append(&mut answer.body);
            chunks.extend(b"!\r\n0\r\n\r\n");
            answer.body = chunks;
            answer.set("Transfer-Encoding", "chunked");
        }
    });
    let cache = cache();
    let error = hub.fetch(&cache).unwrap_err();
    let size = weights().len() as u64;
    assert!(matches!(error, HubError::Size { found, .. } if found == size + 1), "{error}");
    assert!(!blobs(&cache).iter().any(|blob| blob.ends_with("incomplete")));
}

#[test]
fn a_file_of_another_digest_is_refused() {
    let hub = Hub::tiny(|request, answer| {
        if request.path == "/cdn/model.safetensors" {
            answer.body[5_000] ^= 1;
        }
    });
    let cache = cache();
    let error = hub.fetch(&cache).unwrap_err();
    let mut wrong = weights();
    wrong[5_000] ^= 1;
    let digests = (Digest::of(&weights()), Digest::of(&wrong));
    assert!(
        matches!(&error, HubError::Digest { file, expected, found }
            if file == "model.safetensors" && (*expected, *found) == digests),
        "{error}"
    );
    let name = sha256(&weights());
    assert!(!blobs(&cache).iter().any(|blob| blob.starts_with(&name)), "it was kept");
    hub.set_fault(|_, _| ());
    // The beginning that an earlier run left is verified, too.
    fs::write(folder(&cache).join("blobs").join(format!("{name}.incomplete")), b"rot").unwrap();
    let error = hub.fetch(&cache).unwrap_err();
    assert!(matches!(error, HubError::Digest { .. }), "{error}");
    assert_whole(&hub.fetch(&cache).unwrap());
}

#[test]
fn an_answer_that_is_no_hubs_is_refused() {
    type Change = fn(&Request, &mut Answer);
    let cases: [(&str, Change); 5] = [
        ("commit hash", |request, answer| {
            if !is_content(request) {
                answer.body = br#"{"sha":"../../x","siblings":[]}"#.to_vec();
            }
        }),
        ("expected value", |request, answer| {
            if !is_content(request) {
                answer.body = b"<html>".to_vec();
            }
        }),
        ("ETag", |_, answer| {
            if answer.headers.iter().any(|(name, _)| *name == "ETag") {
                answer.set("ETag", "\"../../x\"");
            }
        }),
        ("size", |_, answer| answer.headers.retain(|(name, _)| *name != "X-Linked-Size")),
        ("too many redirects", |request, answer| {
            if is_content(request) {
                *answer = Answer { status: 307, ..Answer::default() };
                answer.set("Location", &request.path);
            }
        }),
    ];
    for (fault, change) in cases {
        let (hub, cache) = (Hub::tiny(change), cache());
        let error = hub.fetch(&cache).unwrap_err();
        assert!(matches!(error, HubError::Answer { .. }), "{error}");
        assert!(error.to_string().contains(fault), "{error}");
    }
}

#[test]
fn the_token_is_for_the_hub_alone() {
    let cdn = Hub::tiny(|_, _| ());
    let hub = Hub::tiny(|request, answer| {
        if request.header("authorization") != Some("Bearer secret") {
            *answer = Answer::error(401, "");
        }
    });
    hub.state.lock().unwrap().cdn = Some(cdn.endpoint());
    let cache = cache();
    assert!(matches!(hub.fetch(&cache), Err(HubError::Unauthorized { .. })));
    let options = hub.options(&cache).token(Some("secret".to_owned()));
    assert_whole(&fetch(MODEL, &options).unwrap());
    let log = cdn.take_log();
    assert_eq!(ranges(&log), [None], "the other host has the weights");
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].header("authorization"), None);
    // What the other host refuses is not the hub's word.
    cdn.set_fault(|_, answer| *answer = Answer::error(403, ""));
    fs::remove_file(folder(&cache).join("blobs").join(sha256(&weights()))).unwrap();
    let error = fetch(MODEL, &options).unwrap_err();
    assert!(matches!(error, HubError::Status { status: 403, .. }), "{error}");
}

#[test]
fn a_renamed_repository_is_followed() {
    let hub = Hub::tiny(|request, answer| {
        if let Some(rest) = request.path.strip_prefix("/api/models/tester/old/") {
            *answer = Answer { status: 307, ..Answer::default() };
            answer.set("Location", format!("/api/models/tester/tiny/{rest}"));
        } else if let Some(rest) = request.path.strip_prefix("/tester/old/") {
            *answer = Answer { status: 307, ..Answer::default() };
            answer.set("Location", format!("/tester/tiny/{rest}"));
        }
    });
    let cache = cache();
    assert_whole(&fetch("tester/old", &hub.options(&cache)).unwrap());
}

#[test]
fn weights_in_several_files_are_fetched_all() {
    let index = br#"{"metadata":{},"weight_map":{"a":"one.safetensors","b":"two.safetensors","c":"one.safetensors"}}"#;
    let parts: [(&str, &[u8]); 3] = [
        ("model.safetensors.index.json", index),
        ("one.safetensors", b"first"),
        ("two.safetensors", b"second"),
    ];
    let (hub, cache) = (Hub::new(files_with(&parts)), cache());
    let snapshot = hub.fetch(&cache).unwrap();
    for (name, bytes) in parts {
        assert_eq!(fs::read(snapshot.directory().join(name)).unwrap(), bytes);
    }
    fetch(MODEL, &hub.options(&cache).offline(true)).unwrap();

    let hub = Hub::new(files_with(&parts[..2]));
    let error = hub.fetch(&self::cache()).unwrap_err();
    assert!(
        matches!(&error, HubError::NoFile { file, .. } if file == "two.safetensors"),
        "{error}"
    );
    assert!(!hub.take_log().iter().any(|r| r.path == "/cdn/one.safetensors"));

    for bad in ["{}", r#"{"weight_map":{}}"#, "[", r#"{"weight_map":{"a":1}}"#] {
        let hub = Hub::new(files_with(&[("model.safetensors.index.json", bad.as_bytes())]));
        let error = hub.fetch(&self::cache()).unwrap_err();
        assert!(matches!(error, HubError::Index { .. }), "{bad}: {error}");
    }
}

#[test]
fn old_weights_are_fetched_where_there_are_no_others() {
    let (hub, cache) = (Hub::new(files_with(&[("pytorch_model.bin", b"old")])), cache());
    let snapshot = hub.fetch(&cache).unwrap();
    assert_eq!(fs::read(snapshot.directory().join("pytorch_model.bin")).unwrap(), b"old");

    let mut all = tiny_files();
    all.insert("pytorch_model.bin".to_owned(), b"old".to_vec());
    all.insert("model.safetensors.index.json".to_owned(), b"{}".to_vec());
    let hub = Hub::new(all);
    assert_whole(&hub.fetch(&self::cache()).unwrap());
    let log = hub.take_log();
    let weights = log.iter().filter(|r| r.path.contains("model.")).map(|r| &r.path[..]);
    let asked: Vec<_> = weights.filter(|path| path.contains("/resolve/")).collect();
    assert!(asked.iter().all(|path| path.ends_with("/model.safetensors")), "{asked:?}");
}

#[test]
fn what_a_model_may_have_is_fetched_where_it_is() {
    let mut files = tiny_files();
    files.remove("dignity.json");
    files.insert("roles.toml".to_owned(), b"# roles".to_vec());
    files.insert("tokenizer_config.json".to_owned(), b"{}".to_vec());
    files.insert("policies/deep/er.toml".to_owned(), b"# not a policy".to_vec());
    let (hub, cache) = (Hub::new(files.clone()), cache());
    let snapshot = hub.fetch(&cache).unwrap();
    for file in ["roles.toml", "tokenizer_config.json", "policies/strict.toml"] {
        assert!(fs::read(snapshot.directory().join(file)).unwrap() == files[file], "{file}");
    }
    assert!(!snapshot.directory().join("policies/deep").exists());
    assert!(!hub.take_log().iter().any(|r| r.path.contains("dignity.json")), "it is not listed");
}

#[test]
fn parts_of_the_weights_cannot_lead_elsewhere() {
    for bad in ["../../../evil.safetensors", "/evil", "a/b.safetensors", "..", "a\\\\b", "C:x", ""]
    {
        let index = format!(r#"{{"weight_map":{{"a":"{bad}"}}}}"#);
        let mut files = files_with(&[("model.safetensors.index.json", index.as_bytes())]);
        files.insert(bad.replace("\\\\", "\\"), b"evil".to_vec());
        let (hub, cache) = (Hub::new(files), cache());
        let error = hub.fetch(&cache).unwrap_err();
        assert!(matches!(error, HubError::Index { .. }), "{bad}: {error}");
        let log = hub.take_log();
        let asked: Vec<_> = log.iter().filter(|r| is_content(r)).collect();
        assert!(asked.iter().all(|r| r.path.ends_with("index.json")), "{asked:?}");
    }
}

#[test]
fn two_at_once_download_once() {
    let (hub, cache) = (Hub::tiny(|_, _| ()), cache());
    thread::scope(|scope| {
        let runs = [(); 4].map(|()| scope.spawn(|| hub.fetch(&cache).unwrap()));
        runs.into_iter().for_each(|run| assert_whole(&run.join().unwrap()));
    });
    assert_eq!(ranges(&hub.take_log()).len(), 1);
}

#[test]
fn progress_is_told() {
    #[derive(Default)]
    struct Sums(BTreeMap<String, (u64, u64)>, String, usize);
    impl DownloadProgress for Sums {
        fn start(&mut self, file: &str, done: u64, total: u64) {
            self.1 = file.to_owned();
            self.0.insert(file.to_owned(), (done, total));
        }
        fn advance(&mut self, bytes: u64) {
            self.0.get_mut(&self.1).unwrap().0 += bytes;
        }
        fn finish(&mut self) {
            self.2 += 1;
        }
    }
    let (hub, cache) = (Hub::tiny(cut_weights(50_000)), cache());
    let mut sums = Sums::default();
    MODEL.parse::<HubModel>().unwrap().fetch(&hub.options(&cache), &mut sums).unwrap();
    assert_eq!(sums.2, 6);
    for (name, bytes) in tiny_files().iter().filter(|(name, _)| *name != "README.md") {
        let size = bytes.len() as u64;
        assert_eq!(sums.0[name], (size, size), "{name}");
    }
}

#[test]
fn bad_names_are_told_when_the_model_is_loaded() {
    for bad in ["hub:", "hub: ", "hub:a b", "hub:a/b/c", "hub:../x", "hub:a/b@", "hub:a/b@../x"] {
        let Err(error) = Classifier::builder().model(bad).build() else { panic!("{bad}") };
        let named = matches!(error, Error::Model(ModelError::Hub(HubError::Name(_))));
        assert!(named, "{bad}: {error}");
    }
}

/// `dignity score`, with no variable of the environment that tells about a hub but those given.
fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::cargo_bin("dignity").unwrap();
    for (name, _) in std::env::vars() {
        let upper = name.to_ascii_uppercase();
        let is_hubs = ["HF_", "HUGGING", "TRANSFORMERS_", "XDG_"];
        if is_hubs.iter().any(|start| upper.starts_with(start)) || upper.ends_with("_PROXY") {
            command.env_remove(name);
        }
    }
    command.envs(variables.iter().copied());
    command.args(["score", "--text", "They sang together."]).args(arguments).output().unwrap()
}

fn errors(output: &Output) -> &str {
    str::from_utf8(&output.stderr).unwrap()
}

#[test]
fn the_command_names_the_commit_and_takes_the_environment() {
    let hub = Hub::tiny(|request, answer| {
        if request.header("authorization") != Some("Bearer secret") && is_content(request) {
            *answer = Answer::error(401, "GatedRepo");
        }
    });
    let home = cache();
    let (endpoint, path) = (hub.endpoint(), home.path().to_str().unwrap());
    let variables = [("HF_ENDPOINT", &endpoint[..]), ("HF_HOME", path)];
    let model = ["--model", "hub:tester/tiny"];
    let with = |more: (&'static str, &'static str)| [&variables[..], &[more]].concat();

    let output = run(&model, &with(("HF_HUB_OFFLINE", "1")));
    assert_eq!(output.status.code(), Some(1));
    assert!(errors(&output).contains("offline mode is on"), "{}", errors(&output));
    assert!(hub.take_log().is_empty());

    let output = run(&model, &variables);
    assert_eq!(output.status.code(), Some(1));
    assert!(errors(&output).contains("accept its licence"), "{}", errors(&output));

    let output = run(&model, &with(("HF_TOKEN", "secret")));
    assert!(output.status.success(), "{}", errors(&output));
    let header = errors(&output).lines().next().unwrap();
    assert!(header.contains(&format!(" from hub:tester/tiny@{COMMIT}; engine")), "{header}");
    assert!(header.starts_with("dignity 0.") && header.contains("model tiny-bert"), "{header}");
    let local = run(&["--model", TINY], &[]);
    assert_eq!(output.stdout, local.stdout);
    assert!(home.path().join("hub/models--tester--tiny/refs/main").is_file());

    let output = run(&[&model[..], &["--quiet"]].concat(), &variables);
    assert!(output.status.success() && output.stderr.is_empty(), "{}", errors(&output));

    hub.take_log();
    let output = run(&model, &with(("TRANSFORMERS_OFFLINE", "yes")));
    assert!(output.status.success(), "{}", errors(&output));
    assert!(hub.take_log().is_empty());

    let nobody = nobody();
    let output = run(&model, &[("HF_ENDPOINT", &nobody), ("HF_HOME", path)]);
    assert!(output.status.success(), "{}", errors(&output));
    let note = errors(&output).lines().next().unwrap();
    assert!(note.contains("cannot be reached") && note.contains(COMMIT), "{note}");
}

#[test]
fn nothing_is_asked_for_a_model_that_is_here() {
    let (hub, home) = (Hub::tiny(|_, _| ()), cache());
    let endpoint = hub.endpoint();
    let variables = [("HF_ENDPOINT", &endpoint[..]), ("HF_HOME", home.path().to_str().unwrap())];
    assert!(run(&["--model", TINY], &variables).status.success());
    assert!(run(&["--model", "no/such/directory"], &variables).status.code() == Some(1));
    assert!(hub.take_log().is_empty());
}
