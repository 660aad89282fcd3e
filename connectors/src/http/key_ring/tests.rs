use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const EVERY: Duration = Duration::from_secs(1);

/// A place and a platform whose state a test sets: what the place holds, and which keys are good.
#[derive(Debug, Default)]
struct Bench {
    place: Mutex<Option<String>>,
    good: Mutex<BTreeSet<String>>,
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl KeySource for Bench {
    async fn current(&self) -> Result<Secret> {
        let place = self.place.lock().expect("no holder panics").clone();
        place.map(Secret::new).ok_or_else(|| Error::new(ErrorKind::Auth, "use the key: it is empty"))
    }

    fn place(&self) -> String {
        "a test".to_owned()
    }

    fn look_every(&self) -> Option<Duration> {
        Some(EVERY)
    }
}

#[async_trait]
impl Validator for Bench {
    async fn validate(&self, key: &Held) -> Result<Health> {
        self.asked.lock().expect("no holder panics").push(key.secret.expose().to_owned());
        Ok(if self.is_good(key.secret.expose()) { Health::Alive } else { Health::Dead })
    }
}

impl Bench {
    fn new(place: &str, good: &[&str]) -> (Arc<Self>, KeyRing) {
        let bench = Arc::new(Self::default());
        bench.set(place, good);
        (bench.clone(), KeyRing::new(bench))
    }

    /// Sets what the place holds, nothing where it is "", and which keys the platform knows.
    fn set(&self, place: &str, good: &[&str]) {
        *self.place.lock().expect("no holder panics") = Some(place.to_owned()).filter(|key| !key.is_empty());
        *self.good.lock().expect("no holder panics") = good.iter().map(|key| (*key).to_owned()).collect();
    }

    fn is_good(&self, key: &str) -> bool {
        self.good.lock().expect("no holder panics").contains(key)
    }

    /// Returns the keys that the platform was asked about since the last time.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().expect("no holder panics"))
    }

    /// Sends one request as a client does: until it is accepted, or the key is found dead.
    async fn request(&self, ring: &KeyRing) -> Result<String, Option<Error>> {
        loop {
            let key = ring.current(self).await.expect("a key was read");
            if self.is_good(key.secret.expose()) {
                return Ok(key.secret.expose().to_owned());
            }
            // An answer takes its time: what was asked before came before.
            tokio::time::advance(Duration::from_millis(1)).await;
            match ring.refused(&key, Instant::now(), self).await.expect("the platform answers") {
                Refusal::Renewed => {}
                Refusal::Key(error) => return Err(error),
                Refusal::Tenant => panic!("a dead key was found alive"),
            }
        }
    }

    /// Expects a request to be accepted with a key.
    async fn check(&self, ring: &KeyRing, key: &str) {
        assert_eq!(self.request(ring).await.ok().as_deref(), Some(key));
    }
}

async fn later(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn rotation_a_newer_key_is_taken_up_before_the_old_one_is_refused() {
    let (bench, ring) = Bench::new("old", &["old", "new"]);
    bench.check(&ring, "old").await;
    bench.set("new", &["old", "new"]);
    bench.check(&ring, "old").await;
    later(1).await;
    bench.check(&ring, "new").await;
    assert_eq!(bench.asked(), ["new"], "it was tried once, and nobody asked about the old one");
    later(5).await;
    bench.check(&ring, "new").await;
    assert_eq!(bench.asked(), Vec::<String>::new(), "a key that did not change is not tried again");
}

#[tokio::test(start_paused = true)]
async fn rotation_a_bad_newer_key_is_never_used_and_the_old_one_is_as_long_as_it_works() {
    let (bench, ring) = Bench::new("old", &["old"]);
    bench.check(&ring, "old").await;
    bench.set("mistyped", &["old"]);
    for _ in 0..25 {
        later(1).await;
        bench.check(&ring, "old").await;
    }
    assert_eq!(bench.asked(), ["mistyped"; 3], "it is tried again now and then, and not each time");
    // The platform may come to know it later.
    bench.set("mistyped", &["old", "mistyped"]);
    later(10).await;
    bench.check(&ring, "mistyped").await;
}

#[tokio::test(start_paused = true)]
async fn rotation_the_key_before_is_used_again_when_the_newer_one_is_refused() {
    let (bench, ring) = Bench::new("old", &["old", "new"]);
    bench.check(&ring, "old").await;
    bench.set("new", &["old", "new"]);
    later(1).await;
    bench.check(&ring, "new").await;
    bench.set("new", &["old"]);
    bench.check(&ring, "old").await;
    // Once both are dead there is an end, at once.
    bench.set("new", &[]);
    let began = Instant::now();
    assert!(matches!(bench.request(&ring).await, Err(None)));
    assert!(began.elapsed() < ASK_AGAIN, "nothing is waited for");
    // And a key that comes afterwards is taken up, as the next run of a schedule needs it.
    bench.set("newest", &["newest"]);
    later(10).await;
    bench.check(&ring, "newest").await;
}

#[tokio::test(start_paused = true)]
async fn rotation_a_place_that_is_empty_for_a_moment_ends_nothing() {
    let (bench, ring) = Bench::new("old", &["old"]);
    bench.check(&ring, "old").await;
    bench.set("", &["old"]);
    for _ in 0..20 {
        later(1).await;
        bench.check(&ring, "old").await;
    }
    // Even where the old key dies at that very moment, the new one is waited for.
    bench.set("", &[]);
    let (request, ()) = tokio::join!(bench.request(&ring), async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        bench.set("new", &["new"]);
    });
    assert_eq!(request.ok().as_deref(), Some("new"));
    bench.set("", &[]);
    let error = bench.request(&ring).await.expect_err("nobody waits for ever");
    assert_eq!(error.map(|error| error.to_string()).as_deref(), Some("use the key: it is empty"));
}

/// A place that answers once, and never again.
#[derive(Debug, Default)]
struct Hanging(std::sync::atomic::AtomicBool);

#[async_trait]
impl KeySource for Hanging {
    async fn current(&self) -> Result<Secret> {
        if self.0.swap(true, std::sync::atomic::Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        Ok(Secret::new("old"))
    }

    fn place(&self) -> String {
        "a test".to_owned()
    }

    fn look_every(&self) -> Option<Duration> {
        Some(EVERY)
    }
}

#[tokio::test(start_paused = true)]
async fn bounded_a_place_that_does_not_answer_stops_nobody_for_ever() {
    let bench = Bench::default();
    bench.set("", &["old"]);
    let ring = KeyRing::new(Arc::new(Hanging::default()));
    bench.check(&ring, "old").await;
    later(1).await;
    let look = ring.current(&bench);
    let beside = async {
        tokio::task::yield_now().await;
        later(1).await;
        bench.check(&ring, "old").await;
        Instant::now()
    };
    let (looked, at) = tokio::join!(look, beside);
    assert_eq!(looked.expect("the old key").secret.expose(), "old");
    assert!(at.elapsed() > Duration::from_secs(60), "who did not look did not wait");
    bench.set("", &[]);
    let error =
        bench.request(&ring).await.expect_err("the old key is dead").expect("and no newer one can be read");
    assert_eq!(error.to_string(), "read the key: its place does not answer");
}

/// A platform on which a key becomes whole while the half of it is tried.
struct Slow<'a>(&'a Bench);

#[async_trait]
impl Validator for Slow<'_> {
    async fn validate(&self, key: &Held) -> Result<Health> {
        let health = self.0.validate(key).await;
        if key.is(&Secret::new("ne")) {
            self.0.set("new", &["new"]);
        }
        health
    }
}

#[tokio::test(start_paused = true)]
async fn rotation_a_half_written_key_is_read_again_when_the_old_one_is_dead() {
    let (bench, ring) = Bench::new("old", &["old"]);
    let old = ring.read().await.expect("a key");
    bench.set("ne", &["new"]);
    let refusal = ring.refused(&old, Instant::now(), &Slow(&bench)).await.expect("the platform answers");
    assert!(matches!(refusal, Refusal::Renewed));
    bench.check(&ring, "new").await;
}

/// A platform that cannot be reached.
struct CutOff;

#[async_trait]
impl Validator for CutOff {
    async fn validate(&self, _: &Held) -> Result<Health> {
        Err(Error::new(ErrorKind::Unavailable, "cut off"))
    }
}

#[tokio::test(start_paused = true)]
async fn a_newer_key_that_cannot_be_tried_is_left_alone() {
    let (bench, ring) = Bench::new("old", &["old", "new"]);
    bench.check(&ring, "old").await;
    bench.set("new", &["old", "new"]);
    later(1).await;
    assert_eq!(ring.current(&CutOff).await.expect("the old key is there").secret.expose(), "old");
    later(10).await;
    bench.check(&ring, "new").await;
    // A refusal that cannot be explained loses no key that may yet be good.
    bench.set("new", &["old"]);
    let new = ring.held().expect("a key");
    later(1).await;
    assert!(ring.refused(&new, Instant::now(), &CutOff).await.is_err());
    bench.check(&ring, "old").await;
}

#[tokio::test(start_paused = true)]
async fn secrecy_no_key_is_shown_by_what_holds_it() {
    let (bench, ring) = Bench::new("hunter2-old", &["hunter2-old"]);
    bench.check(&ring, "hunter2-old").await;
    bench.set("hunter2-new", &["hunter2-old"]);
    later(1).await;
    bench.check(&ring, "hunter2-old").await;
    let shown = format!("{:?} {:?}", ring.held, ring.known);
    assert!(shown.contains("Doubted") && !shown.contains("hunter2"), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever happens to the place and to the keys: a request is accepted where the place holds a good key or the
    /// one in use is good, and otherwise it is told that the key is dead. It never hangs.
    #[test]
    fn rotation_a_request_finds_the_good_key_whatever_happened(
        steps in proptest::collection::vec((0..4_usize, 0..8_u8, 0..12_u64), 1..30),
    ) {
        const KEYS: [&str; 3] = ["a", "b", "c"];
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            let (bench, ring) = Bench::new("a", &["a"]);
            bench.check(&ring, "a").await;
            for (place, good, pause) in steps {
                let place = KEYS.get(place).copied().unwrap_or_default();
                let known = |bit: usize| good >> bit & 1 == 1;
                let good: Vec<&str> = (0..3).filter(|bit| known(*bit)).map(|bit| KEYS[bit]).collect();
                bench.set(place, &good);
                // A death is believed for a while; who comes after that asks anew.
                later(pause + DEAD_FOR.as_secs()).await;
                let used = ring.held().expect("it was read");
                let must = good.contains(&place) || good.contains(&used.secret.expose());
                match bench.request(&ring).await {
                    Ok(key) => assert!(good.contains(&key.as_str())),
                    Err(_) => assert!(!must, "{place:?} {good:?}"),
                }
            }
        });
    }
}
